"""Contract data read with suspicion: what is wrong is collected with its place, so that a form shows all of it at once."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable

from django.utils.translation import gettext as _

from apps.core.canonical import canonical_json
from apps.core.errors import InvalidFact
from apps.core.text import clean, is_storable
from apps.registry import patterns, soap
from apps.registry.choices import (
    CONTAINER_TYPES,
    UNCLASSIFIED,
    AnswerFormat,
    ConnectionKind,
    FieldType,
    Method,
    ParameterLocation,
    PersonalDataClass,
)
from apps.registry.contract import (
    MAX_DEPTH,
    MAX_FIELDS,
    MAX_OPERATIONS,
    MAX_PARAMETERS,
    MAX_SAMPLE,
    Contract,
    FieldSpec,
    OperationSpec,
    ParameterSpec,
)
from apps.registry.models import NAME, PATH_TEMPLATE

_SEGMENT = re.compile(r"^[^\s.\[\]\"\\\x00-\x1f\x7f][^.\[\]\"\\\x00-\x1f\x7f]{0,119}$")
_LINK = re.compile(r"^https?://[^\s\"<>]{1,490}$|^/[^\s\"<>/][^\s\"<>]{0,490}$")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class _Faults:
    """Collects what is wrong and where, so that a form shows all of it at once."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def add(self, where: str, why: object) -> None:
        if len(self.found) < 100:
            self.found.setdefault(where, []).append(str(why))

    def raise_any(self) -> None:
        if self.found:
            raise InvalidFact(_("The contract of the service is not valid."), code="contract_invalid", fields=self.found)


def read_contract(data: object) -> Contract:
    """Turn data into a Contract. Raises InvalidFact (`contract_invalid`) with `fields`: place → reasons."""
    faults = _Faults()
    rows = _list(data, "operations", "", MAX_OPERATIONS, faults)
    operations = [_operation(row, f"operations[{index}]", faults) for index, row in enumerate(rows)]
    if not rows:
        faults.add("operations", _("At least one operation is needed."))
    _once((op.code for op in operations), "operations", _("The code %(value)s appears twice."), faults)
    _once((f"{op.method} {_shape(op.path)}" for op in operations), "operations", _("The path %(value)s appears twice."), faults)
    spec = {
        "samples": [_sample(row, f"samples[{i}]", operations, faults) for i, row in enumerate(_list(data, "samples", "", 400, faults))],
        "errors": [_pair(row, f"errors[{i}]", ("code", "meaning"), faults)
                   for i, row in enumerate(_list(data, "errors", "", 200, faults))],
        "documents": [_pair(row, f"documents[{i}]", ("title", "url"), faults)
                      for i, row in enumerate(_list(data, "documents", "", 50, faults))],
    }  # fmt: skip
    faults.raise_any()
    return Contract(tuple(operations), spec)


def _sample(row: object, where: str, operations: list[OperationSpec], faults: _Faults) -> dict:
    row = row if isinstance(row, dict) else {}
    code = _text(row, "operation", where, 80, faults, required=True)
    if code and code not in {op.code for op in operations}:
        faults.add(f"{where}.operation", _("There is no operation with this code."))
    response = row.get("response")
    try:
        size = len(canonical_json(response))
    except (TypeError, ValueError, RecursionError):
        size = MAX_SAMPLE + 1
    if size > MAX_SAMPLE:
        faults.add(f"{where}.response", _("A sample answer is JSON of at most %(count)d bytes.") % {"count": MAX_SAMPLE})
        response = None
    elif not is_storable(response):
        faults.add(f"{where}.response", _("The sample answer of %(code)s holds a character or a number that cannot be kept.")
                   % {"code": code})  # fmt: skip
    return {"operation": code, "request": _text(row, "request", where, 2_000, faults), "response": response}


def _pair(row: object, where: str, keys: tuple[str, str], faults: _Faults) -> dict:
    row = row if isinstance(row, dict) else {}
    return {key: _text(row, key, where, 500, faults, required=True, pattern=_LINK if key == "url" else None) for key in keys}


def _operation(row: object, where: str, faults: _Faults) -> OperationSpec:
    row = row if isinstance(row, dict) else {}
    kind = _choice(row, "kind", where, ConnectionKind, ConnectionKind.READ, faults)
    if kind == ConnectionKind.UPDATE:
        faults.add(f"{where}.kind", _("Update connections are not built yet: only reading operations can be registered."))
    parameters = [
        _parameter(item, f"{where}.parameters[{index}]", faults)
        for index, item in enumerate(_list(row, "parameters", where, MAX_PARAMETERS, faults))
    ]
    spec = OperationSpec(
        code=_text(row, "code", where, 80, faults, required=True, pattern=NAME.regex),
        name=_text(row, "name", where, 300, faults, required=True),
        description=_text(row, "description", where, 5_000, faults, one_line=False),
        method=_choice(row, "method", where, Method, Method.GET, faults),
        path=_text(row, "path", where, 300, faults, required=True, pattern=PATH_TEMPLATE.regex),
        kind=kind,
        answer=_choice(row, "answer", where, AnswerFormat, AnswerFormat.JSON, faults),
        codes_day=_day(row, "codes_day", where, faults),
        soap=_soap(row, where, faults),
        parameters=tuple(parameters),
        fields=_fields(row, where, faults),
    )
    for name in soap.unsent(spec.soap, [p.name for p in spec.parameters]):
        faults.add(
            f"{where}.soap", _("The parameter %(name)s and the elements of the message do not fit together.") % {"name": name}
        )
    _once((p.name for p in parameters), f"{where}.parameters", _("The parameter %(value)s appears twice."), faults)
    _check_placeholders(spec, where, faults)
    return spec


def _soap(row: dict, where: str, faults: _Faults) -> dict:
    try:
        return soap.read(row.get("soap") or {})
    except ValueError as error:
        faults.add(f"{where}.soap", _("The SOAP message is not well described: %(where)s.") % {"where": str(error)[:80]})
        return {}


def _day(row: dict, key: str, where: str, faults: _Faults) -> str:
    value = _text(row, key, where, 10, faults)
    try:
        return datetime.date.fromisoformat(value).isoformat() if value else ""
    except ValueError:
        faults.add(f"{where}.{key}", _("A day is expected here: 2025-06-30."))
        return ""


def _check_placeholders(spec: OperationSpec, where: str, faults: _Faults) -> None:
    in_path = _PLACEHOLDER.findall(spec.path)
    declared = {p.name for p in spec.parameters if p.location == ParameterLocation.PATH}
    _once(in_path, f"{where}.path", _("The parameter %(value)s appears twice."), faults)
    if set(in_path) != declared:
        faults.add(f"{where}.path", _("The parameters in the path and the declared path parameters differ."))
    if any(part in (".", "..") for part in spec.path.split("/")):
        faults.add(f"{where}.path", _("A path must not contain . or .. as a part."))


def _parameter(row: object, where: str, faults: _Faults) -> ParameterSpec:
    row = row if isinstance(row, dict) else {}
    location = _choice(row, "location", where, ParameterLocation, ParameterLocation.QUERY, faults)
    pattern = _text(row, "pattern", where, 200, faults, raw=True)
    max_length = _number(row, "max_length", where, 200, 2_000, faults)
    if pattern and (why := patterns.fault(pattern, max_length)):
        faults.add(f"{where}.pattern", why)
    return ParameterSpec(
        name=_text(row, "name", where, 80, faults, required=True, pattern=NAME.regex),
        label=_text(row, "label", where, 200, faults),
        location=location,
        required=location == ParameterLocation.PATH or _flag(row, "required", where, faults),
        pattern=pattern,
        max_length=max_length,
        is_subject=_flag(row, "is_subject", where, faults),
        example=_text(row, "example", where, 200, faults),
        catalog_code=_text(row, "catalog_code", where, 60, faults),
    )


def _fields(row: dict, where: str, faults: _Faults) -> tuple[FieldSpec, ...]:
    specs = [
        _field(item, f"{where}.fields[{index}]", faults)
        for index, item in enumerate(_list(row, "fields", where, MAX_FIELDS, faults))
    ]
    _once((spec.path for spec in specs), f"{where}.fields", _("The field %(value)s appears twice."), faults)
    tree = with_containers(specs)
    if len(tree) > MAX_FIELDS:
        faults.add(f"{where}.fields", _("Too many fields."))
    by_path = {spec.path: spec for spec in tree}
    for spec in tree:
        parent = by_path.get(spec.parent_path)
        if parent is not None and parent.is_leaf:
            faults.add(f"{where}.fields", _("%(path)s lies inside %(parent)s, which is not a group.")
                       % {"path": spec.path, "parent": parent.path})  # fmt: skip
        if f"{spec.path}[]" in by_path:
            faults.add(f"{where}.fields", _("%(path)s is both a value and a list.") % {"path": spec.path})
    return tuple(tree)


def _field(row: object, where: str, faults: _Faults) -> FieldSpec:
    row = row if isinstance(row, dict) else {}
    path = _text(row, "path", where, 300, faults, required=True, raw=True)
    segments = path.split(".")
    if path and (len(segments) > MAX_DEPTH or not all(_is_segment(s, first=i == 0) for i, s in enumerate(segments))):
        faults.add(f"{where}.path", _("A field's path is made of names separated by dots; [] marks a list."))
    kind = _choice(row, "type", where, FieldType, FieldType.STRING, faults)
    if kind == FieldType.ARRAY and path and not path.endswith("[]"):
        faults.add(f"{where}.path", _("The path of a list ends with []."))
    if kind == FieldType.OBJECT and path.endswith("[]"):
        kind = FieldType.ARRAY.value  # a list of groups is one node
    return FieldSpec(
        path=path,
        label=_text(row, "label", where, 200, faults),
        type=kind,
        personal_data=_class(row, kind, where, faults),
        is_envelope=_flag(row, "is_envelope", where, faults),
        catalog_code=_text(row, "catalog_code", where, 60, faults),
        is_master_data=_flag(row, "is_master_data", where, faults),
    )


def _class(row: dict, kind: str, where: str, faults: _Faults) -> str:
    """What nobody has said stays open until somebody says it; a group holds nothing of its own."""
    if row.get("personal_data", UNCLASSIFIED) == UNCLASSIFIED:
        return PersonalDataClass.NONE.value if kind in CONTAINER_TYPES else UNCLASSIFIED
    return _choice(row, "personal_data", where, PersonalDataClass, PersonalDataClass.NONE, faults)


def _is_segment(segment: str, *, first: bool) -> bool:
    name = segment.removesuffix("[]")
    return (first and segment == "[]") or _SEGMENT.match(name) is not None


def with_containers(specs: Iterable[FieldSpec]) -> list[FieldSpec]:
    """The same fields with every group and list on the way added before its first child; order is kept."""
    given = {spec.path: spec for spec in specs}
    done: dict[str, FieldSpec] = {}
    for spec in given.values():
        parts = spec.path.split(".")
        for depth in range(1, len(parts)):
            above = ".".join(parts[:depth])
            if above not in done:
                kind = FieldType.ARRAY if above.endswith("[]") else FieldType.OBJECT
                done[above] = given.get(above) or FieldSpec(
                    path=above, type=kind.value, personal_data=PersonalDataClass.NONE.value
                )
        done.setdefault(spec.path, spec)
    return list(done.values())


def _list(data: object, key: str, where: str, most: int, faults: _Faults) -> list:
    value = data.get(key, []) if isinstance(data, dict) else None
    place = f"{where}.{key}".strip(".")
    if not isinstance(value, list | tuple):
        faults.add(place, _("A list is expected here."))
        return []
    if len(value) > most:
        faults.add(place, _("At most %(count)d are taken.") % {"count": most})
    return list(value[:most])


def _text(row, key, where, longest, faults, *, required=False, pattern=None, raw=False, one_line=True) -> str:
    value = row.get(key, "")
    value = "" if value is None else value
    if not isinstance(value, str) or not is_storable(value):
        faults.add(f"{where}.{key}", _("A text is expected here."))
        return ""
    value = value if raw else clean(value) if one_line else value.strip()
    if required and not value:
        faults.add(f"{where}.{key}", _("This is required."))
    elif len(value) > longest:
        faults.add(f"{where}.{key}", _("At most %(count)d characters.") % {"count": longest})
    elif value and pattern is not None and not pattern.match(value):
        faults.add(f"{where}.{key}", _("“%(value)s” is not allowed here.") % {"value": value[:80]})
    return value[:longest]


def _choice(row, key, where, choices, default, faults) -> str:
    value = row.get(key, default)
    if value not in choices.values:
        faults.add(f"{where}.{key}", _("“%(value)s” is not one of: %(all)s.")
                   % {"value": str(value)[:80], "all": ", ".join(choices.values)})  # fmt: skip
        return default.value
    return str(value)


def _flag(row, key, where, faults) -> bool:
    value = row.get(key, False)
    if not isinstance(value, bool):
        faults.add(f"{where}.{key}", _("True or false is expected here."))
        return False
    return value


def _number(row, key, where, default, most, faults) -> int:
    value = row.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        faults.add(f"{where}.{key}", _("A whole number from 1 to %(most)d is expected here.") % {"most": most})
        return default
    return value


def _once(values: Iterable[str], where: str, message: str, faults: _Faults) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            faults.add(where, message % {"value": value[:120]})
        seen.add(value)


def _shape(path: str) -> str:
    """Two templates that differ only in the names of their parameters are one address."""
    return _PLACEHOLDER.sub("{}", path)
