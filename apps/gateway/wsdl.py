"""The description of a facade for one consumer: `GET /gw/{service}/v{major}/soap?wsdl`, WSDL 1.1 with bindings for SOAP 1.1 and 1.2.

It holds what the caller's system may call of this version in the environment of its account, with the fields it is granted, and
nothing else: what another consumer may read is not told. Addresses are the configured one, never the request's `Host`.

Every value is a text, as the facade writes it. The elements of a group stand in the order of their names, all of them may be
missing, lists repeat their element. Where names of a contract are not names of XML, and for operations that answer in XML, what
may stand there is left open (`xsd:any`).
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape  # noqa: S406  (writes only)

from django.conf import settings

from apps.gateway.cutting import Node, tree_of
from apps.gateway.decision import Caller
from apps.gateway.exchange import Exchange
from apps.gateway.facade import IN_HEADER, PATH, XML_NAME, namespace_of
from apps.gateway.policy import Policy, Route
from apps.gateway.policy_kinds import LIVE_VERSIONS, Grant, Operation
from apps.gateway.refusals import Refused

ASKED = b"wsdl"
_SPACES = (
    ("wsdl", "http://schemas.xmlsoap.org/wsdl/"), ("soap", "http://schemas.xmlsoap.org/wsdl/soap/"),
    ("soap12", "http://schemas.xmlsoap.org/wsdl/soap12/"), ("xsd", "http://www.w3.org/2001/XMLSchema"),
)  # fmt: skip
_TRANSPORT = "http://schemas.xmlsoap.org/soap/http"
_PROBLEM = "urn:lgsp:problem"


def is_meant(scope: dict, path: bytes) -> bool:
    return path == PATH and scope["method"] == "GET" and scope["query_string"].lower() == ASKED


async def serve(calls, exchange: Exchange, service: str, major: int) -> None:
    try:
        _token, caller = await calls.caller_of(exchange)
        text = describe(calls.runtime.policy, caller, service, major)
    except Refused as refused:
        await calls.refuse_stranger(exchange, refused)
        return
    headers = [(b"content-type", b"text/xml; charset=utf-8"), (b"cache-control", b"no-store")]
    await exchange.answer(200, headers, text.encode())


def describe(policy: Policy, caller: Caller, service: str, major: int) -> str:
    """The whole document. Raises Refused: no such service, or nothing of it is granted to the caller."""
    found = policy.service_codes.get(service)
    route = policy.routes.get((found.id, major)) if found is not None else None
    if route is None or route.version.status not in LIVE_VERSIONS:
        raise Refused("service_unknown")
    granted = _granted(policy, caller, route)
    if not granted:
        raise Refused("grant_missing")
    return _document(
        service, major, [(operation, route.cut_set(operation, grant.fields)[0], grant) for operation, grant in granted], policy
    )


def _granted(policy: Policy, caller: Caller, route: Route) -> list[tuple[Operation, Grant]]:
    """The operations of the version with the grant that is in use, by code."""
    found = policy.by_system.get(caller.system.id, {})
    rows = []
    for operation in sorted(route.operations.values(), key=lambda row: row.code):
        grants = [
            g for g in found.get(operation.id, ()) if g.environment == caller.credential.environment and g.status == "active"
        ]
        if grants:
            rows.append((operation, grants[0]))
    return rows


def _document(service: str, major: int, rows: list[tuple[Operation, tuple[str, ...], Grant]], policy: Policy) -> str:
    space, name = namespace_of(service, major), f"lgsp-{service}-v{major}"
    address = f"{settings.GATEWAY_URL.rstrip('/')}/gw/{service}/v{major}{PATH.decode()}"
    spaces = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in _SPACES)
    codes = [operation.code for operation, _paths, _grant in rows]
    parts = [
        f'<?xml version="1.0" encoding="UTF-8"?>\n<wsdl:definitions name="{name}" targetNamespace="{space}" xmlns:tns="{space}"'
        f' xmlns:problem="{_PROBLEM}"{spaces}>',
        _types(space, rows),
        '<wsdl:message name="access">' + "".join(f'<wsdl:part name="{row}" element="tns:{row}"/>' for row in IN_HEADER) + "</wsdl:message>",
        '<wsdl:message name="refusal"><wsdl:part name="problem" element="problem:problem"/></wsdl:message>',
        *[_messages(code) for code in codes],
        '<wsdl:portType name="port">', *[_abstract(operation, grant, policy) for operation, _paths, grant in rows], "</wsdl:portType>",
        *[_binding(prefix, codes) for prefix in ("soap", "soap12")],
        f'<wsdl:service name="{name}">',
        *[
            f'<wsdl:port name="{prefix}" binding="tns:{prefix}"><{prefix}:address location="{_quoted(address)}"/></wsdl:port>'
            for prefix in ("soap", "soap12")
        ],
        "</wsdl:service></wsdl:definitions>",
    ]  # fmt: skip
    return "".join(parts)


def _messages(code: str) -> str:
    return "".join(
        f'<wsdl:message name="{code}{suffix}"><wsdl:part name="body" element="tns:{code}{suffix}"/></wsdl:message>'
        for suffix in ("", "Response")
    )


def _abstract(operation: Operation, grant: Grant, policy: Policy) -> str:
    code, agreement = operation.code, policy.rows["agreement"][grant.agreement_id].number
    told = f"{agreement}; PurposeCode: {grant.purpose}" + ("" if operation.method in ("GET", "HEAD") else "; IdempotencyKey")
    return (
        f'<wsdl:operation name="{code}"><wsdl:documentation>{escape(told)}</wsdl:documentation><wsdl:input message="tns:{code}"/>'
        f'<wsdl:output message="tns:{code}Response"/><wsdl:fault name="refusal" message="tns:refusal"/></wsdl:operation>'
    )


def _binding(prefix: str, codes: Iterable[str]) -> str:
    header = "".join(f'<{prefix}:header message="tns:access" part="{row}" use="literal"/>' for row in IN_HEADER)
    body = f'<{prefix}:body use="literal"/>'
    operations = "".join(
        f'<wsdl:operation name="{code}"><{prefix}:operation soapAction="" style="document"/><wsdl:input>{body}{header}</wsdl:input>'
        f'<wsdl:output>{body}</wsdl:output><wsdl:fault name="refusal"><{prefix}:fault name="refusal" use="literal"/></wsdl:fault>'
        f"</wsdl:operation>"
        for code in codes
    )
    binding = f'<{prefix}:binding style="document" transport="{_TRANSPORT}"/>'
    return f'<wsdl:binding name="{prefix}" type="tns:port">{binding}{operations}</wsdl:binding>'


# --- types -----------------------------------------------------------------------------------------


def _types(space: str, rows: list[tuple[Operation, tuple[str, ...], Grant]]) -> str:
    elements = [f'<xsd:element name="{name}" type="xsd:string"/>' for name in IN_HEADER]
    for operation, paths, _grant in rows:
        elements += [_request(operation), _response(operation, paths)]
    return (
        f'<wsdl:types><xsd:schema targetNamespace="{space}" elementFormDefault="qualified">{"".join(elements)}</xsd:schema>'
        f'<xsd:schema targetNamespace="{_PROBLEM}" elementFormDefault="qualified"><xsd:element name="problem">{_open()}</xsd:element>'
        f"</xsd:schema></wsdl:types>"
    )


def _request(operation: Operation) -> str:
    """A sequence, so that every client can write it; the facade takes the parameters in any order."""
    rows = []
    for row in operation.parameters:
        least = 1 if row.required or row.location == "path" else 0
        limit = f'<xsd:maxLength value="{row.max_length}"/>' if row.max_length else ""
        kind = f'<xsd:simpleType><xsd:restriction base="xsd:string">{limit}</xsd:restriction></xsd:simpleType>'
        rows.append(f'<xsd:element name="{row.name}" minOccurs="{least}">{kind}</xsd:element>')
    inner = f"<xsd:complexType><xsd:sequence>{''.join(rows)}</xsd:sequence></xsd:complexType>"
    return f'<xsd:element name="{operation.code}">{inner}</xsd:element>'


def _response(operation: Operation, paths: tuple[str, ...]) -> str:
    tree = tree_of(paths)
    if operation.answer == "xml" and not operation.soap:
        inner = _open()
    elif tree.lists:
        inner = f"<xsd:complexType><xsd:sequence>{_element('item', tree, repeated=True)}</xsd:sequence></xsd:complexType>"
    else:
        inner = _group(tree)
    return f'<xsd:element name="{operation.code}Response">{inner}</xsd:element>'


def _group(node: Node) -> str:
    if not all(XML_NAME.fullmatch(name) for name in node.children):
        return _open()
    rows = "".join(_element(name, child, repeated=bool(child.lists)) for name, child in sorted(node.children.items()))
    return f"<xsd:complexType><xsd:sequence>{rows}</xsd:sequence></xsd:complexType>"


def _element(name: str, node: Node, *, repeated: bool) -> str:
    most = ' maxOccurs="unbounded"' if repeated else ""
    if not node.children:
        return f'<xsd:element name="{name}" type="xsd:string" minOccurs="0"{most} nillable="true"/>'
    return f'<xsd:element name="{name}" minOccurs="0"{most} nillable="true">{_group(node)}</xsd:element>'


def _open() -> str:
    return (
        '<xsd:complexType><xsd:sequence><xsd:any minOccurs="0" maxOccurs="unbounded" processContents="lax"/></xsd:sequence>'
        "</xsd:complexType>"
    )


def _quoted(text: str) -> str:
    return escape(text, {'"': "&quot;"})
