"""What waits for a person, by role: the lines of the home page, ordered by what is due.

It reads only rows `visible_to` the person and decides nothing: a line leads to the page where the buttons are.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from django.db.models import Exists, OuterRef, Q, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from apps.agreements.actions.reorganization import OFFICER_OF, unattended
from apps.agreements.choices import AcceptanceStatus, AgreementStatus, CredentialStatus, GrantStatus, Side, VersionState
from apps.agreements.models import (
    AcceptanceRecord,
    Agreement,
    AgreementVersion,
    Consent,
    Credential,
    Duty,
    Grant,
    Party,
    Signature,
)
from apps.catalogs.choices import ReleaseStatus
from apps.catalogs.models import Release
from apps.connections import clock
from apps.connections.actions import EDITABLE
from apps.connections.choices import Channel, DecisionStatus, RequestStatus
from apps.connections.models import ConnectionRequest, ProviderDecision
from apps.core.errors import InvalidFact
from apps.disputes.choices import DisputeStatus, TicketStatus
from apps.disputes.models import Answer, Dispute, Ticket
from apps.notices.models import OutboxMessage
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.organizations.roles import is_operator, organization_ids
from apps.portal.unsigned import unsigned
from apps.registry.choices import SharingForm, VersionStatus
from apps.registry.clock import BEFORE_REVIEW, publishing_due
from apps.registry.models import DataService, DefaultShareList, Feedback, ServiceVersion, UsageRegulation
from apps.sync.models import Source, SyncRun

MOST = 200
"""Lines read per source; a person with more has a list page for them."""
EXPIRY_WARNING = datetime.timedelta(days=30)
FAR = datetime.datetime.max.replace(tzinfo=datetime.UTC)


@dataclass(order=True)
class Task:
    """One thing to do: `due_at` None comes last; `since` orders those."""

    sort: tuple = field(init=False, repr=False)
    what: str = field(compare=False)
    name: str = field(compare=False)
    detail: str = field(compare=False)
    url: str = field(compare=False)
    due_at: datetime.datetime | None = field(default=None, compare=False)
    paused_at: datetime.datetime | None = field(default=None, compare=False)
    since: datetime.datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        self.sort = (self.due_at or FAR, self.since or FAR)

    @property
    def is_late(self) -> bool:
        return bool(self.due_at and not self.paused_at and self.due_at < timezone.now())

    @property
    def is_due_today(self) -> bool:
        return bool(self.due_at and not self.is_late and timezone.localdate(self.due_at) == timezone.localdate())


def tasks(user) -> list[Task]:
    """Everything that waits for `user`, most urgent first."""
    found = [*_to_check(user), *_to_decide(user), *_to_complete(user), *_paper(user), *_to_sign(user), *_to_agree(user)]
    found += [*_agreements_to_sign(user), *_terms_to_sign(user), *_to_collect(user), *_to_confirm(user), *_expiring(user)]
    found += [*_duties(user), *_to_finish(user)]
    found += [*_disputes(user), *_tickets(user), *_held_releases(user), *_failing_sources(user), *_held_pushes(user)]
    found += [*_questions(user), *_ready_drafts(user), *_reviews(user), *_stuck_messages(user), *_unattended(user)]
    return sorted(found)


def next_case(user, after: ConnectionRequest) -> Task | None:
    """The most urgent case to check or decide besides the one on the screen: twenty due today are handled in a row.

    What was given to a colleague is the colleague's: two who work side by side are not led to the same cases.
    """
    here, free = reverse("portal:request", args=[after.uuid]), Q(handler=None) | Q(handler=user)
    waiting = sorted([*_to_check(user, free), *_to_decide(user, free)])
    return next((task for task in waiting if task.url != here), None)


def _case(request: ConnectionRequest, what: str, due_at=None) -> Task:
    return Task(
        what=what,
        name=request.number,
        detail=request.title or str(request.consumer),
        url=reverse("portal:request", args=[request.uuid]),
        due_at=due_at or request.due_at,
        paused_at=request.paused_at if due_at is None else None,
        since=request.updated_at,
    )


def _to_check(user, which: Q | None = None):
    if is_operator(user):
        rows = ConnectionRequest.objects.visible_to(user).filter(which or Q(), status=RequestStatus.CHECKING)
        yield from (_case(row, _("Check for completeness")) for row in _ordered(rows))


def _to_decide(user, which: Q | None = None):
    mine = organization_ids(user, Role.PROVIDER_OFFICER)
    if mine:
        parts = ProviderDecision.objects.filter(which or Q(), provider_id__in=mine, status=DecisionStatus.PENDING)
        rows = ConnectionRequest.objects.filter(status=RequestStatus.AWAITING_PROVIDER, pk__in=parts.values("request_id"))
        yield from (_case(row, _("Decide the request")) for row in _ordered(rows))


def _to_complete(user):
    mine = organization_ids(user, Role.CONSUMER_OFFICER)
    if mine:
        rows = ConnectionRequest.objects.filter(consumer_id__in=mine, status__in=[RequestStatus.RETURNED, RequestStatus.DRAFT])
        for row in _ordered(rows):
            returned = row.status == RequestStatus.RETURNED
            due = getattr(row, "lapses_at", None) if returned else None
            yield _case(row, _("Complete the returned request") if returned else _("Finish the draft"), due)


def _paper(user):
    """Requests on paper that are entered and not submitted: the time of the law runs from the day the paper came (WF-17)."""
    if is_operator(user):
        for row in _ordered(ConnectionRequest.objects.filter(channel=Channel.PAPER, status__in=EDITABLE)):
            yield _case(row, _("Submit the request that came on paper"), row.lapses_at or _due_of_paper(row))


def _due_of_paper(request: ConnectionRequest) -> datetime.datetime | None:
    """When it will have been due, once submitted; None where no rule of that day is known."""
    try:
        return request.due_at or clock.receipt(request, clock.moment_of_receipt(request))["due_at"]
    except InvalidFact:
        return None


def _to_sign(user):
    yield from (_case(row, _("Read and sign the request")) for row in unsigned(user, MOST))


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
        rows = rows.annotate(newest=Subquery(newest)).exclude(Exists(signed)).distinct()[:MOST]
        for row in rows:
            what = _("Sign the change") if row.status == AgreementStatus.IN_FORCE else _("Sign the agreement")
            yield Task(what, row.number, row.title, reverse("portal:agreement", args=[row.uuid]), since=row.updated_at)


def _to_agree(user):
    """Negotiations whose newest content waits for the word of the person's agency."""
    mine = organization_ids(user, Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER)
    if mine:
        newest = AgreementVersion.objects.filter(agreement=OuterRef("agreement")).order_by("-number").values("pk")[:1]
        parties = Party.objects.filter(organization_id__in=mine, left_at__isnull=True).annotate(newest=Subquery(newest))
        waiting = parties.exclude(Exists(Consent.objects.filter(party=OuterRef("pk"), version=OuterRef("newest"))))
        rows = Agreement.objects.filter(status=AgreementStatus.NEGOTIATING, parties__in=waiting).distinct()
        for row in rows.order_by("updated_at")[:MOST]:
            yield Task(_("Agree on the content or propose another"), row.number, row.title,
                       reverse("portal:agreement", args=[row.uuid]), since=row.updated_at)  # fmt: skip


def _duties(user):
    """Agreements that end, have expired or that the person's agency has left, with something on its checklist still open."""
    consumes, provides = organization_ids(user, Role.CONSUMER_OFFICER), organization_ids(user, Role.PROVIDER_OFFICER)
    theirs = Q(party__organization_id__in=consumes, party__side=Side.CONSUMER)
    theirs |= Q(party__organization_id__in=provides, party__side=Side.PROVIDER)
    if consumes or provides:
        rows = Duty.objects.owed().filter(theirs)
        for row in rows.select_related("agreement").order_by("id")[:MOST]:
            yield Task(_("Do the duty before the end"), row.agreement.number, capfirst(row.get_kind_display()),
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


def _terms_to_sign(user):
    mine = organization_ids(user, Role.SIGNER)
    if mine:
        rows = UsageRegulation.objects.kept_by_any(mine).filter(terms_signed_at__isnull=True).exclude(terms="")[:MOST]
        for row in rows:
            yield Task(_("Sign the standard terms"), row.number, row.title, reverse("portal:terms", args=[row.uuid]),
                       since=row.created_at)  # fmt: skip


def _to_collect(user):
    mine = organization_ids(user, Role.CONSUMER_OFFICER)
    if mine:
        # An account whose access has ended meanwhile opens nothing: nobody need collect it.
        of_use = Grant.objects.filter(system=OuterRef("system"), environment=OuterRef("environment"))
        of_use = of_use.exclude(status=GrantStatus.ENDED)
        rows = Credential.objects.filter(Exists(of_use), system__organization_id__in=mine, status=CredentialStatus.UNCLAIMED)
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
        for row in rows.select_related("agreement", "system").order_by("id")[:MOST]:
            yield Task(_("Confirm the test record"), row.agreement.number, str(row.system),
                       reverse("portal:agreement", args=[row.agreement.uuid]), since=row.created_at)  # fmt: skip


def _expiring(user):
    rows = Credential.objects.filter(status=CredentialStatus.ACTIVE, expires_at__lt=timezone.now() + EXPIRY_WARNING)
    # Rotated already: the successor is at work, or waits to be collected (a line of its own).
    rows = rows.exclude(Exists(Credential.objects.filter(replaces=OuterRef("pk")).exclude(status=CredentialStatus.REVOKED)))
    if not is_operator(user):
        rows = rows.filter(system__organization_id__in=organization_ids(user, Role.CONSUMER_OFFICER))
    for row in rows.select_related("system").order_by("expires_at")[:MOST]:
        yield Task(_("Renew the credential"), row.client_id, f"{row.system} ({row.get_environment_display()})",
                   reverse("portal:credential", args=[row.uuid]), due_at=row.expires_at)  # fmt: skip


def _disputes(user):
    """Obstacles to answer, to take further when nobody answered in time, to send on, and to close."""
    mine, operates = organization_ids(user, Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER), is_operator(user)
    told = {
        DisputeStatus.LEVEL_1: _("Answer the obstacle"),
        DisputeStatus.LEVEL_2: _("Settle the obstacle (level 2)"),
        DisputeStatus.LEVEL_3: _("Send the document, enter the reply (level 3)"),
        DisputeStatus.RESOLVED: _("Follow up and close the obstacle"),
    }
    lying = Q(status=DisputeStatus.LEVEL_1, respondent_id__in=mine)
    if operates:
        lying |= Q(status__in=[DisputeStatus.LEVEL_2, DisputeStatus.LEVEL_3, DisputeStatus.RESOLVED])
    answered = Answer.objects.filter(dispute=OuterRef("pk"), level=OuterRef("status"))
    rows = Dispute.objects.filter(lying).exclude(Exists(answered), status__in=[DisputeStatus.LEVEL_1, DisputeStatus.LEVEL_2])
    for row in rows.order_by("due_at", "id")[:MOST]:
        yield _obstacle(row, told[row.status], due_at=row.due_at)
    raised = Dispute.objects.running().filter(raised_for_id__in=mine)
    for row in raised.filter(Exists(answered)).order_by("updated_at", "id")[:MOST]:
        yield _obstacle(row, _("Read the answer: settled, or one level up"), due_at=None)
    for row in raised.late(timezone.now()).exclude(status=DisputeStatus.LEVEL_3).order_by("due_at", "id")[:MOST]:
        yield _obstacle(row, _("Not answered in time: take it one level up"), due_at=row.due_at)


def _obstacle(row: Dispute, what: str, *, due_at: datetime.datetime | None) -> Task:
    return Task(what, row.number, row.title, reverse("portal:dispute", args=[row.uuid]), due_at=due_at, since=row.updated_at)


def _tickets(user):
    """Questions to answer, and answers to read."""
    mine = organization_ids(user, Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER)
    if mine:
        asked, given = Q(status=TicketStatus.OPEN, asked_of_id__in=mine), Q(status=TicketStatus.ANSWERED, asked_by_id__in=mine)
        for row in Ticket.objects.filter(asked | given).order_by("due_at", "id")[:MOST]:
            to_answer = row.status == TicketStatus.OPEN
            yield Task(_("Answer the question") if to_answer else _("Read the answer and close"), row.number,
                       row.get_kind_display().capitalize(), reverse("portal:ticket", args=[row.uuid]),
                       due_at=row.due_at if to_answer else None, since=row.updated_at)  # fmt: skip


def _held_releases(user):
    """Releases of catalogs that the brake held for a person."""
    if user.has_perm("catalogs.publish_release"):
        for row in Release.objects.filter(status=ReleaseStatus.HELD).select_related("catalog").order_by("id")[:MOST]:
            yield Task(_("Decide the held release"), str(row.catalog), str(row), reverse("portal:catalog-release", args=[row.uuid]),
                       since=row.created_at)  # fmt: skip


def _failing_sources(user):
    """Sources of synchronization whose alarm is on, or whose newest run failed; the error says what was seen."""
    if is_operator(user):
        for row in Source.objects.in_trouble().order_by("last_success_at")[:MOST]:
            seen = row.newest_error or _("No success within twice its interval.")
            yield Task(_("Look at the failing synchronization"), row.name, seen, reverse("admin:sync_source_change", args=[row.code]),
                       since=row.last_success_at or row.created_at)  # fmt: skip


def _stuck_messages(user):
    """One line when mail or webhooks do not leave: how many, since when, and what the last of them met."""
    if is_operator(user) and (oldest := OutboxMessage.objects.stuck().order_by("id").first()):
        count = OutboxMessage.objects.stuck().count()
        yield Task(_("Messages do not leave"), _("%(count)d outgoing messages") % {"count": count}, oldest.last_error,
                   reverse("admin:notices_outboxmessage_changelist"), since=oldest.created_at)  # fmt: skip


def _unattended(user):
    """Parties for which nobody acts, as after a merge: roles are not carried over, and reminders would reach nobody there."""
    if is_operator(user):
        for side, role in OFFICER_OF.items():
            for row in unattended(side).order_by("id")[:MOST]:
                yield Task(_("Have somebody given the role"), row.name, capfirst(role.label),
                           reverse("portal:agency", args=[row.code]), since=row.updated_at)  # fmt: skip


def _held_pushes(user):
    """Outgoing differences that nobody decided yet."""
    if is_operator(user):
        for run in SyncRun.objects.undecided_pushes().select_related("source")[:MOST]:
            rows = _("%(count)d rows to send") % {"count": run.report.get("counts", {}).get("add", 0)}
            yield Task(_("Decide what is sent to the national catalog"), run.source.name, rows,
                       reverse("admin:sync_syncrun_change", args=[run.uuid]), since=run.created_at)  # fmt: skip


def _questions(user):
    """Questions about one's own services, until when they are to be answered."""
    mine = organization_ids(user, Role.PROVIDER_OFFICER)
    if mine:
        rows = Feedback.objects.open().filter(service__provider_id__in=mine).select_related("service").order_by("due_at")
        for row in rows[:MOST]:
            yield Task(_("Answer the question"), row.service.name, row.text[:120],
                       reverse("portal:service", args=[row.service.code]) + "#questions", due_at=row.due_at)  # fmt: skip


def _ready_drafts(user):
    """Versions that work and wait to be published within their working day."""
    mine = organization_ids(user, Role.PROVIDER_OFFICER)
    if mine:
        rows = ServiceVersion.objects.filter(service__provider_id__in=mine, status=VersionStatus.DRAFT, ready_at__isnull=False)
        for row in rows.select_related("service").order_by("ready_at")[:MOST]:
            yield Task(_("Publish the version that works"), row.service.name, row.number,
                       reverse("portal:version", args=[row.uuid]), due_at=publishing_due(row), since=row.ready_at)  # fmt: skip


def _reviews(user):
    """Default-share lists whose six-month review is near or late, and the first one where services are shared by default without any."""
    mine = organization_ids(user, Role.PROVIDER_OFFICER)
    if mine:
        soon = timezone.localdate() + BEFORE_REVIEW
        kept = DefaultShareList.objects.kept_by_any(mine).in_force()
        for row in kept:
            if row.next_review_on <= soon:
                yield Task(_("Review the default-share list"), row.number, str(row.keeper), reverse("portal:default-lists"),
                           due_at=_end_of(row.next_review_on))  # fmt: skip
        shared = DataService.objects.live().filter(provider_id__in=mine, sharing_form=SharingForm.DEFAULT)
        shared = shared.exclude(default_lists__in=[row.pk for row in kept])
        for agency in Organization.objects.filter(pk__in=shared.values("provider_id"), default_lists=None)[:MOST]:
            yield Task(
                _("Enter the decision on the default-share list"), agency.code, str(agency), reverse("portal:default-lists")
            )


def _end_of(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(23, 59), tzinfo=timezone.get_current_timezone())


def _ordered(rows):
    return rows.select_related("consumer").order_by("due_at", "id")[:MOST]
