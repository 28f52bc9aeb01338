"""SOAP 1.1 toward a provider: the parameters of a call as the message the contract describes (`registry.soap`)."""

from __future__ import annotations

from functools import lru_cache
from xml.sax.saxutils import escape  # noqa: S406  (writes only)

import msgspec
from msgspec import Struct

from apps.gateway.paths import query_pairs, segments
from apps.gateway.policy_kinds import Operation
from apps.gateway.xml_cutting import ENVELOPE

CONTENT_TYPE = "text/xml; charset=utf-8"


class Part(Struct, frozen=True):
    """One element: where it stands, and what it holds (one of the three)."""

    path: str
    parameter: str = ""
    value: str = ""
    source: str = ""


class Message(Struct, frozen=True):
    request: str
    response: str
    action: str = ""
    namespace: str = ""
    response_namespace: str = ""
    elements: tuple[Part, ...] = ()


@lru_cache(maxsize=5_000)
def message_of(text: str) -> Message:
    """The description of an operation. Raises msgspec.ValidationError when the row is not one."""
    return msgspec.json.decode(text, type=Message)


def values_of(operation: Operation, path: str, query: str) -> dict[str, str]:
    """The parameters as they were authorized, from the canonical address."""
    template = operation.path_template.lstrip("/").split("/")
    found = {part[1:-1]: value for part, value in zip(template, segments(path.encode()), strict=True) if part.startswith("{")}
    return found | dict(query_pairs(query.encode()))


def write_request(message: Message, values: dict[str, str], known: dict[str, str]) -> bytes:
    """The envelope. Elements of one group stand together where the first of them stands; absent parameters are left out."""
    root: dict = {}
    for part in message.elements:
        value = values.get(part.parameter) if part.parameter else known[part.source] if part.source else part.value
        if value is None:
            continue
        node = root
        *groups, last = part.path.split(".")
        for name in groups:
            node = node.setdefault(name, {})
        node[last] = value
    space = f' xmlns="{escape(message.namespace)}"' if message.namespace else ""
    inner = "".join(_write(name, value) for name, value in root.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<soapenv:Envelope xmlns:soapenv="{ENVELOPE}"><soapenv:Body>'
        f"<{message.request}{space}>{inner}</{message.request}></soapenv:Body></soapenv:Envelope>"
    ).encode()


def _write(name: str, value: object) -> str:
    inner = "".join(_write(key, item) for key, item in value.items()) if isinstance(value, dict) else escape(str(value))
    return f"<{name}>{inner}</{name}>"


def headers(message: Message) -> list[tuple[str, str]]:
    return [("Accept", "text/xml"), ("Content-Type", CONTENT_TYPE), ("SOAPAction", f'"{message.action}"')]
