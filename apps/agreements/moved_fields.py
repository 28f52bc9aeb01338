"""What became of the fields of a content since it was written, where its service got a new minor version meanwhile.

A field that is gone, or of a higher class, is not what its signers read: nobody may be promised what never comes, or be given sensitive
data that nobody assessed (AG-20). What is agreed on already is kept from it by the guard of publishing (`impact`); this is for what was
still negotiated then.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.agreements.choices import AgreementStatus
from apps.agreements.models import AgreementVersion
from apps.core.errors import Conflict
from apps.registry.choices import is_higher_class
from apps.registry.differences import class_changed
from apps.registry.models import Field, Operation
from apps.registry.querysets import LIVE


@dataclass(frozen=True)
class MovedField:
    """A field of a content: its class as written, and as it is `after`; empty where the service gives it no more."""

    operation: str
    path: str
    before: str
    after: str

    @property
    def text(self) -> str:
        if not self.after:
            return _("The field %(path)s is gone.") % {"path": self.path}
        return class_changed(self.path, self.before, self.after)


def moved_fields(content: dict) -> tuple[MovedField, ...]:
    """The fields of `content` that are gone or of a higher class in what answers for it today. Two queries.

    None where all of it was retired: then nothing opens at all, and who would open it is told so (`operation_gone`).
    """
    rows = answering(content)
    live = {operation.pk for operation, _row in rows if operation.version.status in LIVE}
    if not live:
        return ()
    known: dict[int, dict[str, str]] = defaultdict(dict)
    for field in Field.objects.filter(operation__in=live):
        if field.is_leaf:
            known[field.operation_id][field.path] = field.personal_data
    found = [
        MovedField(operation.name, field["path"], field["personal_data"], known[operation.pk].get(field["path"], ""))
        for operation, row in rows
        for field in row["fields"]
    ]
    return tuple(row for row in found if not row.after or is_higher_class(row.after, row.before))


def answering(content: dict) -> list[tuple[Operation, dict]]:
    """(operation, row) of the scope, of the minor version that replaced the one it names, as `grants.operation_of`; in one query."""
    codes = {(row["service"], row["operation"]) for row in content["scope"]}
    rows = Operation.objects.filter(
        code__in={code for _service, code in codes}, version__service__code__in={s for s, _code in codes}
    )
    known = {}
    for operation in rows.select_related("version__service__provider"):
        version = operation.version
        known.setdefault((version.service.code, str(version.major), operation.code), {})[str(version.minor)] = operation
    found = []
    for row in content["scope"]:
        major, minor = row["version"].split(".")
        minors = known.get((row["service"], major, row["operation"]), {})
        live = [operation for operation in minors.values() if operation.version.status in LIVE]
        exact = minors.get(minor)
        operation = next(iter(live), exact) if exact and exact.version.status not in LIVE else exact
        found += [(operation, row)] if operation else []
    return found


def require_as_written(version: AgreementVersion) -> None:
    """Raise Conflict (`fields_changed`) that names what changed and says what to do, unless the service still is what `version` says."""
    moved = moved_fields(version.content)
    if moved:
        texts = [row.text for row in moved]
        said = _("The service has changed since this content was made. %(changes)s %(advice)s")
        raise Conflict(
            said % {"changes": " ".join(texts), "advice": what_to_do(version.agreement)}, code="fields_changed", fields={"scope": texts}
        )  # fmt: skip


def what_to_do(agreement) -> str:
    """How a content whose service changed is made anew, where the agreement stands."""
    if agreement.status == AgreementStatus.NEGOTIATING:
        return _("Propose a content without these fields, or decline the agreement and file a new request.")
    if agreement.status == AgreementStatus.AWAITING_SIGNATURES:
        return _("Negotiate it again and leave these fields out, or decline the agreement and file a new request.")
    return _("Decline this change and begin it anew, so that it is made of the service as it stands.")
