"""A SOAP facade for consumers that have nothing else: `POST /gw/{service}/v{major}/soap`, in SOAP 1.1 and 1.2.

The content type says which (`text/xml`, `application/soap+xml`), and the envelope must be of the same. The element in the body
is named by an operation's code, its children by the operation's parameters; their namespaces are not looked at. What cannot send
HTTP headers may put `AccessToken`, `PurposeCode` and `IdempotencyKey` into the SOAP header; any other header block that must be
understood is refused. From there on it is a call like any other: the same decision, fields and log (the digest of the answer is
that of the XML sent). An answer is `{operation}Response` in `urn:lgsp:{service}:v{major}`, the elements of a group in the order
of their names, as `wsdl` describes them; a refusal is a fault with the problem's facts as its detail: under status 500 (SOAP 1.1),
400 or 500 (SOAP 1.2), except 401.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape  # noqa: S406  (writes only)

import msgspec
from msgspec import Struct

from apps.gateway.cutting import DEEPEST, NotWellFormed
from apps.gateway.exchange import Exchange, read_body
from apps.gateway.paths import canonical_query, encode
from apps.gateway.policy import Policy
from apps.gateway.policy_kinds import Operation
from apps.gateway.problems import CONTENT_TYPE as PROBLEM
from apps.gateway.refusals import Refused
from apps.gateway.xml_cutting import ENVELOPE, NIL, parse, split

PATH = b"/soap"
BODY_BYTES = 65_536
UNKNOWN_SHARE = 8
"""Of the calls a process serves at once, one in so many may be a message whose caller stands inside it."""
ENVELOPE_12 = "http://www.w3.org/2003/05/soap-envelope"


class Soap(Struct, frozen=True):
    """One version of SOAP on the wire."""

    envelope: str
    media: bytes
    callers: str
    ours: str
    """The fault codes of who is to blame."""

    @property
    def content_type(self) -> bytes:
        return self.media + b"; charset=utf-8"


SOAP_11 = Soap(ENVELOPE, b"text/xml", "Client", "Server")
SOAP_12 = Soap(ENVELOPE_12, b"application/soap+xml", "Sender", "Receiver")
_VERSIONS = {version.media: version for version in (SOAP_11, SOAP_12)}
IN_HEADER = {"AccessToken": b"authorization", "PurposeCode": b"x-purpose-code", "IdempotencyKey": b"idempotency-key"}
_OWN = (b"content-type", b"content-length", b"transfer-encoding")
XML_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def namespace_of(service: str, major: int) -> str:
    return f"urn:lgsp:{service}:v{major}"


def version_of(scope: dict, path: bytes) -> Soap | None:
    """The SOAP that a POST to the facade's path speaks; None when it is none."""
    if path != PATH or scope["method"] != "POST":
        return None
    kinds = [value.partition(b";")[0].strip().lower() for name, value in scope["headers"] if name == b"content-type"]
    return _VERSIONS.get(kinds[0]) if len(kinds) == 1 else None


async def serve(calls, exchange: Exchange, service: str, major: int, version: Soap) -> None:
    """Turn the message into a call and let it be served. A message that is none is refused like any wrong body."""
    namespace = namespace_of(service, major)
    soap = SoapExchange(exchange, "POST", b"", {}, namespace, version)
    try:
        message = Message.read(await _body(calls, exchange), version)
        soap = SoapExchange(exchange, "POST", b"", message.header, namespace, version)
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
        soap = SoapExchange(exchange, operation.method, query, message.header, namespace, version)
        await calls.serve(soap, service, major, path)


async def _body(calls, exchange: Exchange) -> bytes:
    """The message, counted among the calls while it comes. Raises Refused: before a byte of it is read where the caller is nobody.

    Whose token is in the message itself cannot be known before; only so many of those are read at once.
    """
    runtime = calls.runtime
    unknown = not exchange.header(b"authorization")
    runtime.running += 1
    runtime.unknown_readers += unknown
    try:
        if runtime.running > runtime.most_running or runtime.unknown_readers > max(1, runtime.most_running // UNKNOWN_SHARE):
            raise Refused("overloaded")
        if not unknown:
            await calls.make_out(exchange)
        return await read_body(exchange, BODY_BYTES)
    finally:
        runtime.running -= 1
        runtime.unknown_readers -= unknown


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

    def __init__(self, version: Soap = SOAP_11) -> None:
        self.envelope = version.envelope
        self.operation = ""
        self.parameters: list[tuple[str, str]] = []
        self.header: dict[bytes, bytes] = {}
        self._stack: list[str] = []
        self._text: list[str] = []

    @classmethod
    def read(cls, body: bytes, version: Soap = SOAP_11) -> Message:
        """Raises NotWellFormed: also for an element inside a parameter, for two messages and for another version's envelope."""
        message = cls(version)
        parse(body, message._start, message._end, message._text.append)
        if not message.operation:
            raise NotWellFormed("no message")
        return message

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, local = split(name)
        self._stack.append(local)
        self._text.clear()
        depth = len(self._stack)
        if depth > DEEPEST or (depth == 1 and (namespace, local) != (self.envelope, "Envelope")):
            raise NotWellFormed("no SOAP envelope of this version")
        if depth == 2 and (namespace != self.envelope or local not in ("Header", "Body")):
            raise NotWellFormed("neither header nor body")
        if depth == 3 and self._stack[1] == "Header" and local not in IN_HEADER and self._must_be_understood(attributes):
            raise NotWellFormed("a header block that must be understood and is not")
        if self._stack[1:2] == ["Body"] and (depth > 4 or (depth == 3 and self.operation)):
            raise NotWellFormed("more than one message, or not a flat one")
        if depth == 3 and self._stack[1] == "Body":
            self.operation = local

    def _must_be_understood(self, attributes: dict[str, str]) -> bool:
        return attributes.get(f"{self.envelope} mustUnderstand", "").strip() in ("1", "true")

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

    __slots__ = ("namespace", "version")

    def __init__(
        self, outer: Exchange, method: str, query: bytes, header: dict[bytes, bytes], namespace: str, version: Soap
    ) -> None:
        kept = [(name, value) for name, value in outer.scope["headers"] if name not in _OWN]
        there = {name for name, _value in kept}
        kept += [(name, value) for name, value in header.items() if name not in there]
        super().__init__({**outer.scope, "method": method, "query_string": query, "headers": kept}, outer.receive, outer._send)
        self.namespace, self.version = namespace, version

    def rendered(self, body: bytes, content_type: bytes, operation: str) -> tuple[bytes, bytes]:
        inner = (
            body.decode().partition("?>")[2].strip()
            if content_type == b"application/xml"
            else _children(msgspec.json.decode(body))
        )
        nil = f' xmlns:xsi="{NIL.partition(" ")[0]}"' if "xsi:nil" in inner else ""
        answer = f'<{operation}Response xmlns="{self.namespace}"{nil}>{inner}</{operation}Response>'
        return _envelope(answer, self.version), self.version.content_type

    async def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        kind = self.version.content_type
        if (b"content-type", PROBLEM) in headers:
            headers = [(b"content-type", kind) if name == b"content-type" else (name, value) for name, value in headers]
            problem = msgspec.json.decode(body)
            blamed = 400 if problem["status"] < 500 and self.version is SOAP_12 else 500
            status, body = (status if status == 401 else blamed), _fault(problem, self.version, self.language)
        elif not body:
            status, body = 200, _envelope("", self.version)
            headers = [*headers, (b"content-type", kind)]
        await super().answer(status, headers, body)


def _fault(problem: dict, version: Soap = SOAP_11, language: str = "vi") -> bytes:
    code = f"soapenv:{version.callers if problem['status'] < 500 else version.ours}"
    title, detail = _text(problem["title"]), f'<problem xmlns="urn:lgsp:problem">{_children(problem)}</problem>'
    if version is SOAP_11:
        inner = f"<faultcode>{code}</faultcode><faultstring>{title}</faultstring><detail>{detail}</detail>"
    else:
        inner = (
            f"<soapenv:Code><soapenv:Value>{code}</soapenv:Value></soapenv:Code><soapenv:Reason>"
            f'<soapenv:Text xml:lang="{language}">{title}</soapenv:Text></soapenv:Reason><soapenv:Detail>{detail}</soapenv:Detail>'
        )
    return _envelope(f"<soapenv:Fault>{inner}</soapenv:Fault>", version)


def _envelope(inner: str, version: Soap = SOAP_11) -> bytes:
    text = f'<soapenv:Envelope xmlns:soapenv="{version.envelope}"><soapenv:Body>{inner}</soapenv:Body></soapenv:Envelope>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


def _children(value: object) -> str:
    """Elements for the members of an object in the order of their names, `item` for those of a bare list."""
    if isinstance(value, dict):
        return "".join(_element(name, value[name]) for name in sorted(value))
    if isinstance(value, list):
        return "".join(_element("item", item) for item in value)
    return _text(value)


def _element(name: str, value: object) -> str:
    """A member as elements: a list repeats it, null is nil. A name XML does not have stands in an attribute."""
    tag, attribute = (name, "") if XML_NAME.fullmatch(name) else ("field", f' name="{_text(name)}"')
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if value is None:
        return f'<{tag}{attribute} xsi:nil="true"/>'
    return f"<{tag}{attribute}>{_children(value)}</{tag}>"


def _text(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return escape(_NO_XML.sub("\ufffd", text), {'"': "&quot;"})
