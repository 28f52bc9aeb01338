"""A SOAP 1.1 facade for consumers that have nothing else: `POST /gw/{service}/v{major}/soap`.

The element in the body is named by an operation's code, its children by the operation's parameters; namespaces are not
looked at. What cannot send HTTP headers may put `AccessToken`, `PurposeCode` and `IdempotencyKey` into the SOAP header. From
there on it is a call like any other: the same decision, fields and log (the digest of the answer is that of the XML sent). An
answer is `{operation}Response` in `urn:lgsp:{service}:v{major}`; a refusal is a fault with the problem's facts as its detail,
under status 500 as SOAP 1.1 over HTTP wants it, except 401.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape  # noqa: S406  (writes only)

import msgspec

from apps.gateway.cutting import DEEPEST, NotWellFormed
from apps.gateway.exchange import Exchange, read_body
from apps.gateway.paths import canonical_query, encode
from apps.gateway.policy import Operation, Policy
from apps.gateway.problems import CONTENT_TYPE as PROBLEM
from apps.gateway.refusals import Refused
from apps.gateway.xml_cutting import ENVELOPE, NIL, parse, split

PATH = b"/soap"
BODY_BYTES = 65_536
TYPE = b"text/xml; charset=utf-8"
IN_HEADER = {"AccessToken": b"authorization", "PurposeCode": b"x-purpose-code", "IdempotencyKey": b"idempotency-key"}
_OWN = (b"content-type", b"content-length", b"transfer-encoding")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def is_meant(scope: dict, path: bytes) -> bool:
    """A POST of XML to the facade's path."""
    if path != PATH or scope["method"] != "POST":
        return False
    kinds = [value.partition(b";")[0].strip().lower() for name, value in scope["headers"] if name == b"content-type"]
    return kinds == [b"text/xml"]


async def serve(calls, exchange: Exchange, service: str, major: int) -> None:
    """Turn the message into a call and let it be served. A message that is none is refused like any wrong body."""
    namespace = f"urn:lgsp:{service}:v{major}"
    soap = SoapExchange(exchange, "POST", b"", {}, namespace)
    try:
        message = Message.read(await read_body(exchange, BODY_BYTES))
        soap = SoapExchange(exchange, "POST", b"", message.header, namespace)
        operation = _operation(calls.runtime.policy, service, major, message.operation)
        if operation is None:
            await calls.serve(soap, service, major, PATH, "operation_unknown")
            return
        path, query = address(operation, message.parameters)
    except NotWellFormed:
        await calls.serve(soap, service, major, PATH, "body_invalid")
    except Refused as refused:
        await calls.serve(soap, service, major, PATH, refused.code)
    else:
        await calls.serve(SoapExchange(exchange, operation.method, query, message.header, namespace), service, major, path)


def _operation(policy: Policy | None, service: str, major: int, code: str) -> Operation | None:
    found = policy.service_codes.get(service) if policy is not None else None
    route = policy.routes.get((found.id, major)) if found is not None else None
    rows = route.operations.values() if route is not None else ()
    return next((row for row in rows if row.code == code), None)


def address(operation: Operation, parameters: list[tuple[str, str]]) -> tuple[bytes, bytes]:
    """The path and query that the message stands for. Raises Refused where a part of the path is missing."""
    given = dict(parameters)
    if len(given) != len(parameters):
        raise Refused("parameter_repeated")
    parts = []
    for part in operation.path_template.lstrip("/").split("/"):
        if not part.startswith("{"):
            parts.append(part)
        elif value := given.pop(part[1:-1], ""):
            parts.append(encode(value))
        else:
            raise Refused("parameter_missing")
    return ("/" + "/".join(parts)).encode(), canonical_query(given.items()).encode()


class Message:
    """What a consumer sent: the operation, its parameters in their order, and what stood in the SOAP header."""

    def __init__(self) -> None:
        self.operation = ""
        self.parameters: list[tuple[str, str]] = []
        self.header: dict[bytes, bytes] = {}
        self._stack: list[str] = []
        self._text: list[str] = []

    @classmethod
    def read(cls, body: bytes) -> Message:
        """Raises NotWellFormed: also for an element inside a parameter, and for two messages."""
        message = cls()
        parse(body, message._start, message._end, message._text.append)
        if not message.operation:
            raise NotWellFormed("no message")
        return message

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        namespace, local = split(name)
        self._stack.append(local)
        self._text.clear()
        depth = len(self._stack)
        if depth > DEEPEST or (depth == 1 and (namespace, local) != (ENVELOPE, "Envelope")):
            raise NotWellFormed("no SOAP envelope")
        if depth == 2 and (namespace != ENVELOPE or local not in ("Header", "Body")):
            raise NotWellFormed("neither header nor body")
        if self._stack[1:2] == ["Body"] and (depth > 4 or (depth == 3 and self.operation)):
            raise NotWellFormed("more than one message, or not a flat one")
        if depth == 3 and self._stack[1] == "Body":
            self.operation = local

    def _end(self, _name: str) -> None:
        local, text = self._stack.pop(), "".join(self._text)
        self._text.clear()
        if len(self._stack) == 3 and self._stack[1] == "Body":
            self.parameters.append((local, text))
        if self._stack[1:] == ["Header"] and local in IN_HEADER:
            prefix = "Bearer " if local == "AccessToken" else ""
            self.header[IN_HEADER[local]] = (prefix + text.strip()).encode("latin-1", "replace")


class SoapExchange(Exchange):
    """The consumer's exchange, seen as the call its message stands for; answers are wrapped again."""

    __slots__ = ("namespace",)

    def __init__(self, outer: Exchange, method: str, query: bytes, header: dict[bytes, bytes], namespace: str) -> None:
        kept = [(name, value) for name, value in outer.scope["headers"] if name not in _OWN]
        there = {name for name, _value in kept}
        kept += [(name, value) for name, value in header.items() if name not in there]
        super().__init__({**outer.scope, "method": method, "query_string": query, "headers": kept}, outer.receive, outer._send)
        self.namespace = namespace

    def rendered(self, body: bytes, content_type: bytes, operation: str) -> tuple[bytes, bytes]:
        inner = (
            body.decode().partition("?>")[2].strip()
            if content_type == b"application/xml"
            else _children(msgspec.json.decode(body))
        )
        nil = f' xmlns:xsi="{NIL.partition(" ")[0]}"' if "xsi:nil" in inner else ""
        return _envelope(f'<{operation}Response xmlns="{self.namespace}"{nil}>{inner}</{operation}Response>'), TYPE

    async def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        if (b"content-type", PROBLEM) in headers:
            headers = [(b"content-type", TYPE) if name == b"content-type" else (name, value) for name, value in headers]
            status, body = (status if status == 401 else 500), _fault(msgspec.json.decode(body))
        elif not body:
            status, body = 200, _envelope("")
            headers = [*headers, (b"content-type", TYPE)]
        await super().answer(status, headers, body)


def _fault(problem: dict) -> bytes:
    code = "Client" if problem["status"] < 500 else "Server"
    detail = f'<problem xmlns="urn:lgsp:problem">{_children(problem)}</problem>'
    return _envelope(
        f"<soapenv:Fault><faultcode>soapenv:{code}</faultcode><faultstring>{_text(problem['title'])}</faultstring>"
        f"<detail>{detail}</detail></soapenv:Fault>"
    )


def _envelope(inner: str) -> bytes:
    text = f'<soapenv:Envelope xmlns:soapenv="{ENVELOPE}"><soapenv:Body>{inner}</soapenv:Body></soapenv:Envelope>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


def _children(value: object) -> str:
    """Elements for the members of an object, `item` for those of a bare list."""
    if isinstance(value, dict):
        return "".join(_element(name, item) for name, item in value.items())
    if isinstance(value, list):
        return "".join(_element("item", item) for item in value)
    return _text(value)


def _element(name: str, value: object) -> str:
    """A member as elements: a list repeats it, null is nil. A name XML does not have stands in an attribute."""
    tag, attribute = (name, "") if _NAME.fullmatch(name) else ("field", f' name="{_text(name)}"')
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if value is None:
        return f'<{tag}{attribute} xsi:nil="true"/>'
    return f"<{tag}{attribute}>{_children(value)}</{tag}>"


def _text(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return escape(_NO_XML.sub("\ufffd", text), {'"': "&quot;"})
