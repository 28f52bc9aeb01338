"""Old and new codes of shared catalogs: tables made from the lineage, and their use on a call. No choice is ever made.

Where a grant says that the consumer uses the codes of a day, the values of declared parameters and fields that hold codes
of a catalog are translated between that day and the provider's (`Operation.codes_day`; empty: today). Making a table asks
`catalogs.lineage` about every code of the first day, once a release; the gateway reads it with its policy, so that no call
waits for it, and a call whose table is not made yet is refused.

A code with one heir of everything becomes that heir. Any other code is not translated: in a request the call is refused and
told the candidates; in an answer the value becomes `many:26734|26737`, `ended:00001` or `unknown:99999`, which is no code of
any catalog and so cannot be mistaken for one.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

import msgspec

from apps.gateway.code_tables import Entries
from apps.gateway.paths import canonical_path, canonical_query
from apps.gateway.policy import Policy
from apps.gateway.policy_kinds import CodeTable, Grant, Operation, Parameter
from apps.gateway.refusals import Refused
from apps.gateway.xml_cutting import TEXT, Element, XmlCutter

_DECODE = msgspec.json.Decoder(float_hook=lambda text: msgspec.Raw(text.encode())).decode
"""Numbers keep their spelling."""
_ENCODE = msgspec.json.Encoder().encode
TODAY = ""
"""The key of a day that moves: the catalog as it is today."""


def catalog_and_level(text: str) -> tuple[str, str]:
    """`administrative-units/commune` → the catalog's code and the one level meant (empty: all of them)."""
    catalog, _slash, level = text.partition("/")
    return catalog, level


def days_of(grant: Grant, operation: Operation) -> tuple[str, str]:
    """(the consumer's day, the provider's day)."""
    return grant.codes_day, operation.codes_day


def table_of(policy: Policy, catalog_code: str, day_from: str, day_to: str) -> CodeTable:
    """Raises Refused: without its table nothing is translated, and nothing untranslated passes."""
    table = policy.codes.get((catalog_code, day_from, day_to))
    if table is None:
        raise Refused("codes_not_ready")
    return table


def translated_value(policy: Policy, grant: Grant, operation: Operation, parameter: Parameter, value: str) -> str:
    """A parameter's value in the codes of the provider's day. Raises Refused with the candidates."""
    consumer, provider = days_of(grant, operation)
    if consumer == provider:
        return value
    heir = table_of(policy, parameter.catalog_code, consumer, provider).entries.get(value)
    if isinstance(heir, str):
        return heir
    result = "unknown" if heir is None else "many" if heir else "ended"
    raise Refused("code_not_exact", parameter=parameter.name, result=result, candidates=list(heir or [])[:50])


def addressed(
    policy: Policy, grant: Grant, operation: Operation, segments: tuple[str, ...], pairs: list[tuple[str, str]]
) -> tuple[str, str]:
    """(canonical path, canonical query) in the codes of the provider's day. Raises Refused.

    Only the values of parameters that hold codes differ from what was authorized. The tables of the answer are asked for too:
    a call that could not be answered is not let through.
    """
    consumer, provider = days_of(grant, operation)
    if consumer != provider:
        for catalog in {catalog for _path, catalog in operation.coded}:
            table_of(policy, catalog, provider, consumer)
    coded = {row.name: row for row in operation.parameters if row.catalog_code}

    def value_of(name: str, value: str) -> str:
        return translated_value(policy, grant, operation, coded[name], value) if name in coded else value

    template = operation.path_template.lstrip("/").split("/")
    path = [
        value_of(part[1:-1], value) if part.startswith("{") else value for part, value in zip(template, segments, strict=True)
    ]
    order = [row.name for row in operation.parameters if row.location == "query"]
    query = sorted(((name, value_of(name, value)) for name, value in pairs), key=lambda pair: order.index(pair[0]))
    return canonical_path(path), canonical_query(query) if query else ""


class Translator:
    """Translates the coded leaves of cut answers for one grant and operation."""

    def __init__(self, policy: Policy, grant: Grant, operation: Operation, granted: Iterable[str]) -> None:
        consumer, provider = days_of(grant, operation)
        coded = dict(operation.coded)
        self.codes = policy.codes
        self.paths = [
            (tuple(path.replace("[]", "").strip(".").split(".")), table_of(policy, coded[path], provider, consumer))
            for path in granted
            if path in coded and consumer != provider
        ]
        releases = sorted({(table.catalog, table.release) for _parts, table in self.paths})
        self.note = ", ".join(
            f"{catalog};from={provider or 'today'};to={consumer};release={number}" for catalog, number in releases
        )

    def translate(self, body: bytes) -> tuple[bytes, int]:
        """The same answer in the consumer's codes, and how many values had no single heir."""
        if not self.paths:
            return body, 0
        tree, marked = _DECODE(body), 0
        for parts, table in self.paths:
            marked += _walk(tree, parts, table.entries)
        return _ENCODE(tree), marked


class XmlTranslator(Translator):
    """The same for answers in XML: the texts of coded elements and the values of coded attributes, spaces around them aside."""

    def __init__(self, policy: Policy, grant: Grant, operation: Operation, knife: XmlCutter) -> None:
        super().__init__(policy, grant, operation, knife.paths)
        self.knife = knife

    def translate(self, body: bytes) -> tuple[bytes, int]:
        if not self.paths:
            return body, 0
        root = self.knife.read(body)
        marked = sum(_walk_xml(root, parts, table.entries) for parts, table in self.paths)
        return self.knife.write(root)[0], marked


def translator(policy: Policy, grant: Grant, operation: Operation, knife: object) -> Translator:
    """What translates the answers that `knife` cut for the grant. Raises Refused when a table is missing."""
    if operation.answer == "xml" and isinstance(knife, XmlCutter) and not operation.soap:
        return XmlTranslator(policy, grant, operation, knife)
    return Translator(policy, grant, operation, knife.paths)


def _walk_xml(element: Element, parts: tuple[str, ...], entries: Entries) -> int:
    name, *deeper = parts
    if name.startswith("@"):
        pairs = [
            (key, *_mark(value.strip(), entries)) if key == name[1:] else (key, value, 0) for key, value in element.attributes
        ]
        element.attributes = [(key, value) for key, value, _marked in pairs]
        return sum(marked for _key, _value, marked in pairs)
    if name == TEXT:
        return _mark_text(element, entries)
    found = [child for child in element.kept() if child.name == name]
    if deeper:
        return sum(_walk_xml(child, tuple(deeper), entries) for child in found)
    return sum(_mark_text(child, entries) for child in found)


def _mark_text(element: Element, entries: Entries) -> int:
    value, marked = _mark("".join(element.text).strip(), entries)
    element.text = [value] if value else []
    return marked


def _walk(node: object, parts: tuple[str, ...], entries: Entries) -> int:
    """Translate every value at `parts` below `node`, through lists; returns how many were marked."""
    if type(node) is list:
        return sum(_walk(item, parts, entries) for item in node)
    if type(node) is not dict or parts[0] not in node:
        return 0
    if len(parts) > 1:
        return _walk(node[parts[0]], parts[1:], entries)
    node[parts[0]], marked = _mark(node[parts[0]], entries)
    return marked


def _mark(value: object, entries: Entries) -> tuple[object, int]:
    if type(value) is list:
        pairs = [_mark(item, entries) for item in value]
        return [pair[0] for pair in pairs], sum(pair[1] for pair in pairs)
    if value is None or value == "":
        return value, 0
    code = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    heir = entries.get(code)
    if isinstance(heir, str):
        return heir, 0
    if heir is None:
        return f"unknown:{code}", 1
    return (f"many:{'|'.join(heir)}" if heir else f"ended:{code}"), 1


def day_text(day: datetime.date | None) -> str:
    return day.isoformat() if day else TODAY
