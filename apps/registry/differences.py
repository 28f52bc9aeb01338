"""What a new contract changes for those who use the old one: the material of the breaking-change guard.

Whom it touches is known three floors up (`agreements`): this module only says what, operation by operation.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.registry.choices import CLASS_CHOICES, AnswerFormat, is_higher_class
from apps.registry.contract import Contract, FieldSpec, OperationSpec, ParameterSpec

CATALOG_NAMED = "catalog_named"
"""A shared catalog where none was named: only the values of who has codes translated are read differently by it."""


@dataclass(frozen=True)
class Difference:
    """One change. `path` is a field's path or `?name` of a parameter, empty for the operation; `breaks`: a call or a reading
    that worked before may fail or lose data."""

    code: str
    operation: str
    path: str
    breaks: bool
    text: str


def differences(old: Contract, new: Contract) -> list[Difference]:
    """All changes from `old` to `new`, breaking ones first. Operations are the same when their codes are."""
    before = {operation.code: operation for operation in old.operations}
    after = {operation.code: operation for operation in new.operations}
    found: list[Difference] = []
    for code, operation in before.items():
        if code not in after:
            found.append(
                Difference("operation_removed", code, "", True, _("The operation %(name)s is gone.") % {"name": operation.name})
            )
        else:
            pair = operation, after[code]
            found += [*_calls(*pair), *_answers(*pair), *_parameters(*pair), *_fields(*pair)]
    found += [
        Difference("operation_added", code, "", False, _("New operation %(name)s.") % {"name": operation.name})
        for code, operation in after.items() if code not in before
    ]  # fmt: skip
    return sorted(found, key=lambda change: not change.breaks)


def breaking(old: Contract, new: Contract) -> list[Difference]:
    return [change for change in differences(old, new) if change.breaks]


def _calls(old: OperationSpec, new: OperationSpec) -> list[Difference]:
    if (old.method, old.path) == (new.method, new.path):
        return []
    text = _("%(name)s is called as %(after)s instead of %(before)s.") % {
        "name": new.name, "before": f"{old.method} {old.path}", "after": f"{new.method} {new.path}"}  # fmt: skip
    return [Difference("address_changed", old.code, "", True, text)]


def _answers(old: OperationSpec, new: OperationSpec) -> list[Difference]:
    """What each answer is written in, and the codes of which day stand in it."""
    found = []
    if _given_as(old) != _given_as(new):
        text = _("%(name)s is answered in %(after)s instead of %(before)s.") % {
            "name": new.name, "before": _given_as(old).label, "after": _given_as(new).label}  # fmt: skip
        found.append(Difference("format_changed", old.code, "", True, text))
    if old.codes_day != new.codes_day:
        text = _("%(name)s holds the administrative codes of %(after)s instead of %(before)s.") % {
            "name": new.name, "before": _day(old.codes_day), "after": _day(new.codes_day)}  # fmt: skip
        found.append(Difference("codes_day_changed", old.code, "", True, text))
    return found


def _given_as(spec: OperationSpec) -> AnswerFormat:
    """As the consumer gets it: an answer that is described as a SOAP message is given as JSON."""
    return AnswerFormat.JSON if spec.soap else AnswerFormat(spec.answer)


def _day(text: str) -> str:
    return date_format(datetime.date.fromisoformat(text), "SHORT_DATE_FORMAT") if text else _("the present day")


def _parameters(old: OperationSpec, new: OperationSpec) -> list[Difference]:
    before = {(row.name, row.location): row for row in old.parameters}
    after = {(row.name, row.location): row for row in new.parameters}
    found = []
    for key, row in before.items():
        if key not in after:
            text = _("The parameter %(name)s is gone: calls that send it are refused.") % {"name": row.name}
            found.append(Difference("parameter_removed", old.code, f"?{row.name}", True, text))
        elif why := _narrower(row, after[key]):
            found.append(Difference("parameter_narrower", old.code, f"?{row.name}", True, f"{row.name}: {why}"))
        if key in after:
            found += _catalog(old.code, f"?{row.name}", row.catalog_code, after[key].catalog_code)
    for key, row in after.items():
        if key not in before:
            text = (_("The new parameter %(name)s is required.") if row.required else _("New parameter %(name)s.")) % {
                "name": row.name
            }
            found.append(Difference("parameter_added", old.code, f"?{row.name}", row.required, text))
    return found


def _narrower(old: ParameterSpec, new: ParameterSpec) -> str:
    if new.required and not old.required:
        return _("it is now required.")
    if new.max_length < old.max_length:
        return _("its longest value is shorter.")
    if new.pattern != old.pattern and new.pattern:
        return _("its pattern changed.")
    return ""


def _fields(old: OperationSpec, new: OperationSpec) -> list[Difference]:
    before, after = old.leaves(), new.leaves()
    found = [
        Difference("field_removed", old.code, path, True, _("The field %(path)s is gone.") % {"path": path})
        for path in before if path not in after
    ]  # fmt: skip
    for path, spec in after.items():
        if path not in before:
            found.append(Difference("field_added", old.code, path, False, _("New field %(path)s.") % {"path": path}))
        else:
            found += _field(old.code, before[path], spec)
    return found


def _field(operation: str, old: FieldSpec, new: FieldSpec) -> list[Difference]:
    found = []
    if old.type != new.type:
        text = _("The field %(path)s changes its type from %(before)s to %(after)s.") % {
            "path": new.path, "before": old.type, "after": new.type}  # fmt: skip
        found.append(Difference("type_changed", operation, new.path, True, text))
    if new.personal_data and old.personal_data != new.personal_data:
        # Nothing fails, but what was agreed rested on another class: somebody must look.
        text = class_changed(new.path, old.personal_data, new.personal_data)
        is_higher = is_higher_class(new.personal_data, old.personal_data)
        found.append(Difference("class_changed", operation, new.path, is_higher, text))
    if old.is_envelope != new.is_envelope:
        # Opened to, or no longer given to, all who have any access: nobody asked for it, so somebody must see it.
        said = (
            _("The field %(path)s now comes with every access.")
            if new.is_envelope
            else _("The field %(path)s no longer comes with every new access.")
        )
        found.append(Difference("envelope_changed", operation, new.path, False, said % {"path": new.path}))
    return found + _catalog(operation, new.path, old.catalog_code, new.catalog_code)


def _catalog(operation: str, path: str, before: str, after: str) -> list[Difference]:
    if before == after:
        return []
    said = {"name": path.removeprefix("?"), "before": before, "after": after}
    if not before:
        return [Difference(CATALOG_NAMED, operation, path, True, _("%(name)s holds codes of the catalog %(after)s.") % said)]
    text = (
        _("%(name)s holds codes of the catalog %(after)s instead of %(before)s.")
        if after
        else _("%(name)s no longer holds codes of the catalog %(before)s.")
    )
    return [Difference("catalog_changed", operation, path, True, text % said)]


def class_changed(path: str, before: str, after: str) -> str:
    """In the words an officer reads, not in codes."""
    said = dict(CLASS_CHOICES)
    return _("The field %(path)s changes its personal-data class from %(before)s to %(after)s.") % {
        "path": path, "before": said[before], "after": said[after],
    }  # fmt: skip
