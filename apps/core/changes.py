"""Writing facts of a row that is not moving: locked, against the version the caller saw, validated, told apart.

`WORKFLOW.move` changes a status; this changes everything else. Both raise `version`, so a stale form is refused
whichever of the two came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.utils.translation import gettext as _

from apps.core.errors import Conflict, InvalidFact
from apps.core.workflow import stale


def change(
    obj: models.Model, *, facts: Mapping[str, object], allowed: Iterable[str], version: int | None = None
) -> dict[str, list[str]]:
    """Write `facts` to `obj` under a row lock and return what changed: name → [before, after] as text.

    Raises InvalidFact for a name outside `allowed` or a value the model refuses, StaleVersion when `version`
    (what the caller saw) is old. An empty answer means that nothing was different and nothing was written.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a change must run inside the verb's transaction")
    unknown = sorted(set(facts) - set(allowed))
    if unknown:
        raise InvalidFact(fields={name: [_("This cannot be changed.")] for name in unknown})
    obj.refresh_from_db(from_queryset=type(obj)._base_manager.select_for_update(no_key=True))
    if version is not None and version != obj.version:
        raise stale(obj)
    changed = {}
    for name, value in facts.items():
        before = getattr(obj, name)
        if before != value:
            changed[name] = [_text(before), _text(value)]
            setattr(obj, name, value)
    if changed:
        if hasattr(obj, "version"):
            obj.version += 1
        save_valid(obj)
    return changed


def save_valid(obj: models.Model, *, unique: bool = True) -> models.Model:
    """Validate and save `obj`. Raises InvalidFact with `fields`, or Conflict when another actor saved the same just now.

    `unique=False` leaves uniqueness to the database alone (bulk work that has looked already).
    """
    try:
        obj.full_clean(validate_unique=unique, validate_constraints=unique)
    except ValidationError as error:
        raise invalid(error) from None
    try:
        with transaction.atomic():
            obj.save()
    except IntegrityError as error:
        raise Conflict(_("The same was entered by somebody else just now."), code="already_exists") from error
    return obj


def invalid(error: ValidationError) -> InvalidFact:
    """The model's refusal as an error of the domain: `fields` maps a field (or non_field_errors) to sentences."""
    fields = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
    if NON_FIELD_ERRORS in fields:
        fields["non_field_errors"] = fields.pop(NON_FIELD_ERRORS)
    return InvalidFact(next(iter(fields.values()))[0], fields=fields)


def _text(value: object) -> str:
    return "" if value is None else str(value)[:500]
