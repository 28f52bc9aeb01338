"""Importing agencies, people and roles from a CSV file: looked at first, applied whole or not at all, twice does nothing.

`preview` reads a file with suspicion and says for every row what would happen and why not; its digest names the file
and that plan. `apply` makes the plan again: only when the digest is still the same (nobody changed anything between)
it is carried out, in one transaction, by the same verbs as everything else. A file whose rows all stand already
is applied without a trace.

Refused as a whole: too big, not UTF-8 (Excel's UTF-16 and Windows code pages are named), a workbook instead of text,
broken quotes, unknown or doubled columns. Refused row by row: formulas, missing or wrong values, doubles, unknown parents.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit import actions as audit
from apps.core.canonical import canonical_json
from apps.core.errors import Conflict, DomainError, InvalidFact
from apps.core.permissions import require
from apps.organizations.imports import agencies, people
from apps.organizations.imports.rows import COLUMNS, MAX_BYTES, Row, read

__all__ = ["KINDS", "MAX_BYTES", "Plan", "apply", "preview"]
KINDS = tuple(COLUMNS)
_PLANNERS = {"organizations": agencies.plan, "people": people.plan, "roles": people.plan_roles}
_APPLIERS = {"organizations": agencies.apply, "people": people.apply, "roles": people.apply_role}


@dataclass(frozen=True)
class Plan:
    kind: str
    rows: list[Row]
    digest: str

    @property
    def counts(self) -> dict[str, int]:
        return {action: sum(row.action == action for row in self.rows) for action in ("create", "change", "same", "refused")}

    @property
    def can_apply(self) -> bool:
        return bool(self.rows) and not self.counts["refused"]

    @property
    def is_done(self) -> bool:
        return self.counts["same"] == len(self.rows)


def preview(kind: str, content: bytes, *, by) -> Plan:
    """What the file would do, row by row; nothing is written. Raises NotPermitted, InvalidFact (`file_refused`)."""
    require(by, "organizations.import_file")
    rows = read(kind, content)
    _PLANNERS[kind](rows)
    for row in rows:
        if row.facts.get("role") and row.facts.get("username") == by.username:
            row.refuse(_("Nobody gives a role to themselves."))
    # Reasons are left out: they depend on the reader's language.
    plan = [[row.line, row.facts, row.action, row.changes] for row in rows]
    digest = hashlib.sha256(canonical_json([kind, hashlib.sha256(content).hexdigest(), plan])).hexdigest()
    return Plan(kind, rows, digest)


@transaction.atomic
def apply(kind: str, content: bytes, *, by, digest: str) -> Plan:
    """Carry out the plan that `preview` showed under `digest`. All rows or none.

    Raises NotPermitted, InvalidFact (`rows_refused`), Conflict (`preview_stale`: look again).
    """
    require(by, "organizations.import_file")
    if kind == "organizations":
        agencies.take_turns(read(kind, content))
    plan = preview(kind, content, by=by)
    if plan.is_done:
        return plan
    if plan.counts["refused"]:
        raise InvalidFact(_("Some rows are refused; nothing was imported."), code="rows_refused",
                          rows={str(row.line): row.reasons for row in plan.rows if row.reasons})  # fmt: skip
    if plan.digest != digest:
        raise Conflict(_("The file or the register changed since the preview: look at it again."), code="preview_stale")
    for row in plan.rows:
        if row.action != "same":
            _carry_out(kind, row, by)
    audit.record("import.applied", by=by, kind=kind, digest=digest, counts=plan.counts)
    return plan


def _carry_out(kind: str, row: Row, by) -> None:
    try:
        _APPLIERS[kind](row.facts, row.changes, by)
    except DomainError as error:
        # Whatever the preview could not see (somebody was faster) undoes the whole import and names the line.
        error.extra["line"] = row.line
        raise
