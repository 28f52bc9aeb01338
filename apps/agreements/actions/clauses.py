"""The verb of the legal officer on standard clauses: the next text follows, nothing is edited."""

from __future__ import annotations

import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from apps.agreements.models import StandardClause
from apps.audit import actions as audit
from apps.core.errors import InvalidFact, StaleVersion
from apps.core.permissions import require
from apps.core.text import clean

MAX_TEXT = 20_000


@transaction.atomic
def change_clause(
    code: str, *, by, text: str, effective_from: datetime.date, citation: str = "", seen: StandardClause | None = None
) -> StandardClause:
    """From `effective_from` contents are made with this text; what was made before keeps its own.

    `seen` is the row the caller saw as the present one: another one is StaleVersion. Raises InvalidFact when there is no
    such clause, the text is empty or too long, or the day is not later than the present clause's first.
    """
    require(by, "agreements.change_clause")
    old = (
        StandardClause.objects.select_for_update(no_key=True)
        .filter(code=code, effective_to__isnull=True)
        .order_by("-effective_from")
        .first()
    )
    if old is None:
        raise InvalidFact(code="no_such_clause")
    if seen is not None and seen.pk != old.pk:
        raise StaleVersion(_("Somebody else has changed it meanwhile."), present=str(old.uuid))
    if effective_from <= old.effective_from:
        raise InvalidFact(
            code="not_later", fields={"effective_from": [_("The day must be later than the first day of the present text.")]}
        )
    if not text.strip() or len(text) > MAX_TEXT:
        raise InvalidFact(fields={"text": [_("This is required.")] if not text.strip() else [_("The text is too long.")]})
    old.effective_to = effective_from
    old.save(update_fields=["effective_to", "updated_at"])
    made = StandardClause.objects.create(
        code=code, text=text.strip(), citation=clean(citation)[:300], effective_from=effective_from
    )
    audit.record("standard_clause.changed", made, by=by, code=code, effective_from=str(effective_from))
    return made
