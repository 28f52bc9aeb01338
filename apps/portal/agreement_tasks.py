"""What waits for a person in agreements: content, signatures, duties, tests, accounts, terms that end."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from apps.agreements.choices import AcceptanceStatus, AgreementStatus, CredentialStatus, Side, StepKind, VersionState
from apps.agreements.clock import EXPIRY, RENEWAL, longest
from apps.agreements.models import (
    AcceptanceRecord,
    Agreement,
    AgreementVersion,
    Consent,
    Credential,
    Duty,
    Party,
    RequestBasis,
    Signature,
    StepClock,
)
from apps.connections.actions import EDITABLE
from apps.connections.choices import RequestKind
from apps.connections.models import ConnectionRequest
from apps.connections.querysets import OPEN
from apps.organizations.choices import Role
from apps.organizations.roles import is_operator, organization_ids
from apps.portal.task import MOST, Task


def in_agreements(user) -> list[Task]:
    sources = (_to_agree, _agreements_to_sign, _to_collect, _to_test, _to_confirm, _expiring, _ending, _duties, _to_finish)
    return [task for source in sources for task in source(user)]


def _agreements_to_sign(user):
    mine = organization_ids(user, Role.SIGNER)
    if mine:
        # By what is to be signed now: a signature over a content that was negotiated again since signs nothing.
        newest = AgreementVersion.objects.filter(agreement=OuterRef("pk")).order_by("-number").values("pk")[:1]
        signed = Signature.objects.filter(version=OuterRef("newest"), party__organization_id__in=mine)
        # The first content awaits signatures, or a change does while the former version is in force.
        change = AgreementVersion.objects.filter(agreement=OuterRef("pk"), state="draft")
        waits = Q(status=AgreementStatus.AWAITING_SIGNATURES) | (Q(status=AgreementStatus.IN_FORCE) & Exists(change))
        rows = Agreement.objects.visible_to(user).filter(waits)
        rows = rows.filter(parties__organization_id__in=mine, parties__left_at__isnull=True)
        # Who drafted it, or wrote in the request it comes from, does not sign it (`signing.party_to_sign`).
        basis = RequestBasis.objects.filter(agreement=OuterRef("pk"), version__isnull=False).order_by("-version__number")
        drafted = AgreementVersion.objects.filter(pk=OuterRef("newest"), drafted_by=user)
        wrote = ConnectionRequest.objects.filter(Q(created_by=user) | Q(preparers=user), pk=OuterRef("request"))
        rows = rows.annotate(newest=Subquery(newest), request=Subquery(basis.values("request")[:1]), due=_due(StepKind.SIGN))
        rows = rows.exclude(Exists(signed)).exclude(Exists(drafted)).exclude(Exists(wrote)).distinct()[:MOST]
        for row in rows:
            what = _("Sign the change") if row.status == AgreementStatus.IN_FORCE else _("Sign the agreement")
            yield Task(
                what, row.number, row.title, reverse("portal:agreement", args=[row.uuid]), due_at=row.due, since=row.updated_at
            )


def _to_agree(user):
    """Negotiations whose newest content waits for the word of the person's agency."""
    mine = organization_ids(user, Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER)
    if mine:
        newest = AgreementVersion.objects.filter(agreement=OuterRef("agreement")).order_by("-number").values("pk")[:1]
        parties = Party.objects.filter(organization_id__in=mine, left_at__isnull=True).annotate(newest=Subquery(newest))
        waiting = parties.exclude(Exists(Consent.objects.filter(party=OuterRef("pk"), version=OuterRef("newest"))))
        rows = Agreement.objects.filter(status=AgreementStatus.NEGOTIATING, parties__in=waiting).distinct()
        for row in rows.annotate(due=_due(StepKind.NEGOTIATE)).order_by("updated_at")[:MOST]:
            yield Task(_("Agree on the content or propose another"), row.number, row.title,
                       reverse("portal:agreement", args=[row.uuid]), due_at=row.due, since=row.updated_at)  # fmt: skip


def _due(step: str, of: str = "agreement"):
    """The end of the time for `step` of each row, which the clock names by `of`."""
    return StepClock.objects.due(step, **{of: OuterRef("pk")})


def _duties(user):
    """Agreements that end, have expired or that the person's agency has left, with something on its checklist still open."""
    consumes, provides = organization_ids(user, Role.CONSUMER_OFFICER), organization_ids(user, Role.PROVIDER_OFFICER)
    theirs = Q(party__organization_id__in=consumes, party__side=Side.CONSUMER)
    theirs |= Q(party__organization_id__in=provides, party__side=Side.PROVIDER)
    if consumes or provides:
        rows = Duty.objects.owed().filter(theirs)
        for row in rows.select_related("agreement").order_by("id")[:MOST]:
            yield Task(_("Do the duty at the end"), row.agreement.number, capfirst(row.get_kind_display()),
                       reverse("portal:agreement", args=[row.agreement.uuid]), since=row.created_at)  # fmt: skip


def _to_finish(user):
    """Agreements whose checklist is done: one press is left."""
    mine = organization_ids(user, Role.PROVIDER_OFFICER)
    if mine:
        left = Duty.objects.filter(agreement=OuterRef("pk"), done_at__isnull=True)
        rows = Agreement.objects.filter(~Exists(left), status=AgreementStatus.ENDING, parties__side=Side.PROVIDER,
                                        parties__organization_id__in=mine).distinct()  # fmt: skip
        for row in rows.order_by("updated_at")[:MOST]:
            yield Task(_("Complete the termination"), row.number, row.title,
                       reverse("portal:agreement", args=[row.uuid]), since=row.updated_at)  # fmt: skip


def _to_collect(user):
    mine = organization_ids(user, Role.CONSUMER_OFFICER)
    if mine:
        rows = Credential.objects.of_use().filter(system__organization_id__in=mine, status=CredentialStatus.UNCLAIMED)
        for row in rows.select_related("system")[:MOST]:
            yield Task(_("Collect the credential"), row.client_id, f"{row.system} ({row.get_environment_display()})",
                       reverse("portal:credential", args=[row.uuid]), since=row.created_at)  # fmt: skip


def _to_confirm(user):
    mine = organization_ids(user, Role.PROVIDER_OFFICER)
    # A test under a version that was replaced, or an agreement that stands still or is over, opens nothing.
    rows = AcceptanceRecord.objects.filter(
        status=AcceptanceStatus.RECORDED, agreement__status=AgreementStatus.IN_FORCE, for_version__state=VersionState.CURRENT
    )
    if not is_operator(user):
        # One provider of several does not confirm for the others.
        others = Party.objects.filter(side=Side.PROVIDER, left_at__isnull=True).exclude(organization_id__in=mine)
        rows = rows.filter(agreement__parties__organization_id__in=mine, agreement__parties__side=Side.PROVIDER).distinct()
        rows = rows.exclude(agreement_id__in=others.values("agreement_id"))
    if mine or is_operator(user):
        rows = rows.annotate(due=_due(StepKind.CONFIRM, "record"))
        for row in rows.select_related("agreement", "system").order_by("id")[:MOST]:
            yield Task(_("Confirm the test record"), row.agreement.number, str(row.system),
                       reverse("portal:agreement", args=[row.agreement.uuid]), due_at=row.due, since=row.created_at)  # fmt: skip


def _to_test(user):
    """Systems of the person's agency with test access that is not in production yet, and no test record."""
    mine = organization_ids(user, Role.CONSUMER_OFFICER)
    if mine:
        rows = StepClock.objects.running().filter(step=StepKind.TEST, system__organization_id__in=mine)
        for row in rows.select_related("agreement", "system").order_by("due_at", "id")[:MOST]:
            yield Task(_("Test, and enter the test record"), row.agreement.number, str(row.system),
                       reverse("portal:agreement", args=[row.agreement.uuid]), due_at=row.due_at, since=row.begun_at)  # fmt: skip


def _expiring(user):
    now = timezone.now()
    rows = Credential.objects.of_use().filter(status=CredentialStatus.ACTIVE, expires_at__lt=now + longest(EXPIRY, now))
    # Rotated already: the successor is at work, or waits to be collected (a line of its own).
    rows = rows.exclude(Exists(Credential.objects.filter(replaces=OuterRef("pk")).exclude(status=CredentialStatus.REVOKED)))
    if not is_operator(user):
        rows = rows.filter(system__organization_id__in=organization_ids(user, Role.CONSUMER_OFFICER))
    for row in rows.select_related("system").order_by("expires_at")[:MOST]:
        yield Task(_("Renew the credential"), row.client_id, f"{row.system} ({row.get_environment_display()})",
                   reverse("portal:credential", args=[row.uuid]), due_at=row.expires_at)  # fmt: skip


def _ending(user):
    """Agreements of whose end the parties are reminded by now, and that nobody renews yet."""
    mine, now = organization_ids(user, Role.CONSUMER_OFFICER), timezone.now()
    if mine:
        ours = Party.objects.filter(
            agreement=OuterRef("pk"), organization_id__in=mine, side=Side.CONSUMER, left_at=None, is_joining=False
        )
        # One's own draft, or whoever's that was sent: what another consumer has only begun renews nothing.
        begun = Q(request__consumer_id__in=mine, request__status__in=EDITABLE) | Q(request__status__in=OPEN)
        renewals = RequestBasis.objects.filter(begun, agreement=OuterRef("pk"), request__kind=RequestKind.RENEWAL)
        later = AgreementVersion.objects.filter(
            agreement=OuterRef("pk"), state__in=(VersionState.DRAFT, VersionState.SCHEDULED)
        )
        rows = Agreement.objects.filter(
            Exists(ours), ~Exists(renewals), ~Exists(later), status=AgreementStatus.IN_FORCE,
            valid_to__gt=now, valid_to__lte=now + longest(RENEWAL, now),
        )  # fmt: skip
        for row in rows.order_by("valid_to", "id")[:MOST]:
            yield Task(_("Renew the agreement, or let it end"), row.number, row.title, reverse("portal:agreement", args=[row.uuid]),
                       due_at=row.valid_to)  # fmt: skip
