"""Verbs on usage regulations and their standard terms: one writes, another signs, nobody edits what was signed."""

from __future__ import annotations

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.audit import actions as audit
from apps.core.changes import change, save_valid
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.core.permissions import require
from apps.core.text import clean
from apps.core.workflow import came_second, stale
from apps.organizations.locks import hold_active
from apps.organizations.models import Organization
from apps.registry.models import UsageRegulation
from apps.registry.terms import terms_hash, usual_months

FACTS = ("number", "title", "issued_on", "effective_from", "effective_to", "log_retention_months", "usage_duration", "terms")


@transaction.atomic
def write_terms(
    organization: Organization,
    *,
    by,
    number: str,
    title: str,
    issued_on: datetime.date,
    effective_from: datetime.date,
    terms: str = "",
    effective_to: datetime.date | None = None,
    log_retention_months: int | None = None,
    usage_duration: str = "",
) -> UsageRegulation:
    """Enter a regulation on use (NĐ 47/2020 Điều 22) with the standard terms of default sharing. `by` is its author.

    Raises NotPermitted, InvalidFact, Conflict (`organization_not_active`: the agency was merged or closed at this instant).
    """
    require(by, "registry.write_terms", organization)
    hold_active(organization)
    regulation = UsageRegulation(
        organization=organization, number=clean(number), title=clean(title), issued_on=issued_on,
        effective_from=effective_from, effective_to=effective_to, log_retention_months=log_retention_months or usual_months(),
        usage_duration=clean(usage_duration), terms=terms.strip(), written_by=by,
    )  # fmt: skip
    save_valid(regulation)
    audit.record("usage_regulation.written", regulation, by=by, organizations=[organization])
    return regulation


@transaction.atomic
def change_terms(regulation: UsageRegulation, *, by, version: int | None = None, **facts) -> dict:
    """Edit an unsigned regulation; who edits becomes its author, so that they cannot sign it. Raises StaleVersion for an old form."""
    require(by, "registry.write_terms", regulation)
    _lock(regulation, version)
    _unsigned(regulation)
    regulation.written_by = by
    regulation.save(update_fields=["written_by", "updated_at"])
    changed = change(regulation, facts=facts, allowed=FACTS)
    if changed:
        audit.record("usage_regulation.changed", regulation, by=by, organizations=[regulation.keeper],
                     fields=sorted(changed))  # fmt: skip
    return changed


@transaction.atomic
def sign_terms(regulation: UsageRegulation, *, by, version: int | None = None) -> UsageRegulation:
    """The provider's signer signs the terms once: its standing signature under every default agreement.

    `version` is that of the page the signer read. The door proves first who the person is (re-authentication). Raises
    NotPermitted (`four_eyes` when the signer wrote them), FactMissing (no terms), StaleVersion, Conflict (signed already).
    """
    require(by, "registry.sign_terms", regulation)
    _lock(regulation, version)
    _unsigned(regulation)
    if regulation.written_by_id == by.pk:
        raise NotPermitted(_("Who wrote the terms does not sign them."), code="four_eyes")
    if not regulation.terms.strip():
        raise FactMissing(fields={"terms": [_("There are no terms to sign.")]})
    regulation.terms_hash = terms_hash(regulation)
    regulation.terms_signed_by = by
    regulation.terms_signed_at = timezone.now()
    regulation.version += 1
    save_valid(regulation)
    audit.record("usage_regulation.signed", regulation, by=by, organizations=[regulation.keeper],
                 hash=regulation.terms_hash)  # fmt: skip
    return regulation


@transaction.atomic
def end_terms(regulation: UsageRegulation, *, by, effective_to: datetime.date, version: int | None = None) -> UsageRegulation:
    """Set the day from which a regulation no longer holds. Agreements in force keep the terms they were made under."""
    require(by, "registry.write_terms", regulation)
    _lock(regulation, version)
    if effective_to < timezone.localdate():
        raise InvalidFact(fields={"effective_to": [_("A regulation is not ended in the past.")]})
    regulation.effective_to = effective_to
    regulation.version += 1
    save_valid(regulation)
    audit.record("usage_regulation.ended", regulation, by=by, organizations=[regulation.keeper],
                 effective_to=str(effective_to))  # fmt: skip
    return regulation


def _lock(regulation: UsageRegulation, version: int | None) -> None:
    regulation.refresh_from_db(from_queryset=UsageRegulation.objects.select_for_update(no_key=True))
    if version is not None and version != regulation.version:
        raise stale(regulation)


def _unsigned(regulation: UsageRegulation) -> None:
    if regulation.is_signed:
        said = _("The terms are signed: write a new regulation that replaces them.")
        raise came_second(regulation, said, Conflict, code="already_signed")
