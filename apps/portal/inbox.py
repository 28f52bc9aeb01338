"""What waits for a person, by role: the lines of the home page, ordered by what is due.

It reads only rows `visible_to` the person and decides nothing: a line leads to the page where the buttons are.
"""

from __future__ import annotations

import datetime

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from apps.agreements.actions.reorganization import unattended
from apps.agreements.announcements import OFFICER_OF
from apps.catalogs.choices import ReleaseStatus
from apps.catalogs.models import Release
from apps.connections.actions import EDITABLE
from apps.connections.choices import Channel, DecisionStatus, RequestStatus
from apps.connections.models import ConnectionRequest, ProviderDecision
from apps.disputes.choices import DisputeStatus, TicketStatus
from apps.disputes.models import Dispute, Ticket
from apps.notices.models import OutboxMessage
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.organizations.roles import is_operator, organization_ids
from apps.portal.agreement_tasks import in_agreements
from apps.portal.task import MOST, Task
from apps.portal.unsigned import unsigned
from apps.registry.choices import SharingForm, VersionStatus
from apps.registry.clock import BEFORE_REVIEW, publishing_due
from apps.registry.models import DataService, DefaultShareList, Feedback, ServiceVersion, UsageRegulation
from apps.sync.models import Source, SyncRun


def tasks(user) -> list[Task]:
    """Everything that waits for `user`, most urgent first."""
    found = [*_to_check(user), *_to_decide(user), *_to_complete(user), *_paper(user), *_to_sign(user), *_terms_to_sign(user)]
    found += in_agreements(user)
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
            yield _case(row, _("Submit the request that came on paper"), row.lapses_at)


def _to_sign(user):
    yield from (_case(row, _("Read and sign the request")) for row in unsigned(user, MOST))


def _terms_to_sign(user):
    mine = organization_ids(user, Role.SIGNER)
    if mine:
        rows = UsageRegulation.objects.kept_by_any(mine).filter(terms_signed_at__isnull=True).exclude(terms="")[:MOST]
        for row in rows:
            yield Task(_("Sign the standard terms"), row.number, row.title, reverse("portal:terms", args=[row.uuid]),
                       since=row.created_at)  # fmt: skip


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
    rows = Dispute.objects.with_answered().filter(lying)
    # What the body in charge replied is entered, and no clock runs; the document may still have to be noted.
    rows = rows.exclude(is_answered=True, status__in=[DisputeStatus.LEVEL_1, DisputeStatus.LEVEL_2])
    for row in rows.order_by("due_at", "id")[:MOST]:
        yield _obstacle(row, told[row.status], due_at=None if row.is_answered else row.due_at)
    raised = Dispute.objects.running().filter(raised_for_id__in=mine)
    for row in raised.with_answered().filter(is_answered=True).order_by("updated_at", "id")[:MOST]:
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
