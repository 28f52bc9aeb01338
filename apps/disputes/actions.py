"""The verbs of disputes and tickets."""

from __future__ import annotations

import datetime
import uuid as uuids

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements.choices import Side
from apps.agreements.models import Agreement
from apps.audit import actions as audit
from apps.connections.announcements import people
from apps.connections.choices import RequestStatus
from apps.connections.models import ConnectionRequest
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.core.fields import keyed_hash
from apps.core.numbers import next_number
from apps.core.once import made_before, made_once
from apps.core.workflow import came_second, require, stale
from apps.disputes import clock
from apps.disputes.choices import DisputeCategory, DisputeStatus, TicketKind
from apps.disputes.models import Answer, Dispute, Ticket
from apps.disputes.querysets import RUNNING
from apps.disputes.workflow import DISPUTE, TICKET
from apps.legal import deadlines
from apps.legal.calendar import WorkCalendar
from apps.notices.actions import notify
from apps.organizations.choices import OrganizationStatus, Role
from apps.organizations.models import Organization
from apps.organizations.roles import organization_ids
from apps.registry.models import DataService

OFFICERS = (Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER)
LEVEL_1 = "dispute.level_1"
LONGEST = datetime.timedelta(days=366)
"""How far ahead an explanation may be due: its half and its end are counted day by day."""
LEVELS = {DisputeStatus.LEVEL_1: "escalate_to_2", DisputeStatus.LEVEL_2: "escalate_to_3"}


@transaction.atomic
def raise_dispute(
    subject: Agreement | ConnectionRequest,
    *,
    by,
    category: str,
    title: str,
    description: str,
    respondent: Organization | None = None,
    uuid: uuids.UUID | None = None,
) -> Dispute:
    """Raise an obstacle about an agreement of one's own or a refused request; the other party has the days of the rule `LEVEL_1`.

    `respondent` names the other party where there are several. `uuid`, chosen by the caller, makes the act repeatable
    (CC-05). Raises NotPermitted for who is no party, InvalidFact for a respondent who is none, FactMissing for empty texts.
    """
    again = made_before(Dispute, uuid, raised_by=by)
    if again is not None:
        return again
    _require_texts(title=title, description=description)
    if category not in DisputeCategory.values:
        raise InvalidFact(code="unknown_category", fields={"category": [category]})
    mine, others = sides_for(subject, by)
    if not mine:
        raise NotPermitted(code="not_a_party")
    facts = {**_about(subject), "raised_for_id": min(mine), "respondent_id": _other(others, respondent)}
    _hold_sides(facts["raised_for_id"], facts["respondent_id"])
    facts.update(category=category, title=title.strip(), description=description.strip(),
                 **clock.start(LEVEL_1, timezone.now()))  # fmt: skip
    dispute, is_new = made_once(Dispute, uuid, _numbered(Dispute, "VM", raised_by=by, **facts), raised_by=by)
    if not is_new:
        return dispute
    audit.record("dispute.raised", dispute, by=by, organizations=_sides(dispute), category=category)
    tell(dispute, "raised", N_("Dispute %(number)s was raised; it is to be answered by %(due)s."), [dispute.respondent_id])
    return dispute


def _numbered(model, prefix: str, **facts):
    """How a row of these facts is made with the next number, as `made_once` asks for it."""
    return lambda key: model.objects.create(uuid=key, number=next_number(prefix), **facts)


def sides_for(subject: Agreement | ConnectionRequest, by) -> tuple[frozenset[int], frozenset[int]]:
    """The agencies in whose name `by` may raise an obstacle about `subject`, and those on the other side of it.

    Both are empty for who is no officer of a bound party. Two sides of a request that were merged since are one: nobody is
    left on the other.
    """
    if isinstance(subject, ConnectionRequest):
        mine = organization_ids(by, Role.CONSUMER_OFFICER) & subject.consumer_ids()
        return mine, subject.provider_ids() - mine if mine else frozenset()
    for side, other, role in (
        (Side.CONSUMER, Side.PROVIDER, Role.CONSUMER_OFFICER),
        (Side.PROVIDER, Side.CONSUMER, Role.PROVIDER_OFFICER),
    ):
        mine = organization_ids(by, role) & subject.organization_ids(side)
        if mine:
            return mine, subject.organization_ids(other)
    return frozenset(), frozenset()


def _about(subject: Agreement | ConnectionRequest) -> dict:
    if isinstance(subject, Agreement):
        return {"agreement": subject, "version_of": subject.current_version}
    if subject.status != RequestStatus.REFUSED:
        raise FactMissing(_("Only a refused request is disputed; an open one is still being decided."), code="not_refused")
    return {"request": subject}


def _other(parties: frozenset[int], respondent: Organization | None) -> int:
    if not parties or (respondent is not None and respondent.pk not in parties):
        raise InvalidFact(_("This organization is not the other party."), code="not_the_other_party")
    if respondent is None and len(parties) > 1:
        raise FactMissing(_("Several organizations are on the other side: name one."), fields={"respondent": [_("Required.")]})
    return respondent.pk if respondent else next(iter(parties))


def _hold_sides(*organizations: int) -> None:
    """Take turns with a merge of one of the two: what is begun after it would lie with an agency in which nobody acts."""
    rows = Organization.objects.select_for_update(no_key=True).filter(pk__in=organizations).order_by("pk")
    if any(row.status == OrganizationStatus.CLOSED for row in rows):
        raise Conflict(_("One of the two agencies has been closed."), code="organization_closed")


@transaction.atomic
def answer_dispute(
    dispute: Dispute, *, by, text: str, document_number: str = "", document_date: datetime.date | None = None,
    uuid: uuids.UUID | None = None,
) -> Answer:  # fmt: skip
    """The level in charge answers. At level 3 the answer names the document it was sent with (NĐ 47/2020 Điều 49(3)).

    A level may answer more than once; `uuid` as in `raise_dispute`. Raises TransitionNotAllowed when it was taken up or settled at
    this instant: the answer was written for another level.
    """
    seen = dispute.status
    Dispute.objects.select_for_update(no_key=True).get(pk=dispute.pk)
    dispute.refresh_from_db()
    same = {"dispute": dispute, "author": by, "text": text.strip(), "document_number": document_number.strip(),
            "document_date": document_date}  # fmt: skip
    again = made_before(Answer, uuid, **same)
    if again is not None:
        return again
    if dispute.status not in RUNNING or dispute.status != seen:
        raise came_second(dispute, state=dispute.status)
    require(by, "disputes.answer", dispute)
    _require_texts(text=text)
    if dispute.status == DisputeStatus.LEVEL_3 and not (document_number.strip() and document_date):
        raise FactMissing(_("Level 3 is settled by a document: give its number and date."), code="document_missing")
    level = dispute.status
    answer, _new = made_once(Answer, uuid, lambda key: Answer.objects.create(uuid=key, level=level, **same), **same)
    audit.record("dispute.answered", dispute, by=by, organizations=_sides(dispute), level=dispute.status)
    # What the digital unit or the body in charge answers, both sides have to carry out.
    sides = [dispute.raised_for_id] + ([dispute.respondent_id] if dispute.status != DisputeStatus.LEVEL_1 else [])
    tell(dispute, f"answered-{answer.uuid}", N_("Dispute %(number)s was answered."), sides, but=by)
    return answer


@transaction.atomic
def send_document(
    dispute: Dispute, *, by, sent_to: str, number: str, day: datetime.date, version: int | None = None
) -> Dispute:
    """The digital unit has sent the document to the body in charge: to whom, under which number, when (Điều 48, 49(3)).

    Sent again (to another body, or corrected), the newest is on the record and the earlier one in the history.
    """
    require(by, "disputes.send_document", dispute)
    if dispute.status != DisputeStatus.LEVEL_3:
        raise came_second(dispute, state=dispute.status)
    _require_texts(sent_to=sent_to, number=number)
    if day > timezone.localdate():
        raise InvalidFact(code="sent_in_future", fields={"day": [_("The day lies in the future.")]})
    rows = Dispute.objects.filter(pk=dispute.pk, status=DisputeStatus.LEVEL_3, version=version or dispute.version)
    facts = {"sent_to": sent_to.strip(), "sent_number": number.strip(), "sent_date": day}
    if rows.update(version=F("version") + 1, updated_at=timezone.now(), **facts) != 1:
        dispute.refresh_from_db()
        raise stale(dispute)
    dispute.refresh_from_db()
    audit.record(
        "dispute.document_sent", dispute, by=by, organizations=_sides(dispute), number=number.strip(), sent_to=sent_to.strip()
    )
    tell(dispute, "document_sent", N_("The document about dispute %(number)s was sent to the body in charge."),
          [dispute.raised_for_id, dispute.respondent_id])  # fmt: skip
    return dispute


def can_escalate(dispute: Dispute) -> bool:
    """Is the present level late, or has it answered? Before that there is nothing to take further (WF-52)."""
    if dispute.status not in LEVELS:
        return False
    is_late = dispute.due_at is not None and dispute.due_at <= timezone.now()
    return is_late or dispute.answers.filter(level=dispute.status).exists()


@transaction.atomic
def escalate_dispute(dispute: Dispute, *, by, reason: str, version: int | None = None) -> Dispute:
    """Take it one level up, when this level is late or its answer does not settle it. Raises FactMissing before that.

    Each level has a rule of its own: the first two by law (Điều 49(1), (2)), the third the platform's, as
    Điều 49(3) names no term (WF-51 to 53).
    """
    verb = LEVELS.get(dispute.status)
    if verb is None:
        raise came_second(dispute, state=dispute.status)
    DISPUTE.check(dispute, verb, by=by, version=version)
    _require_texts(reason=reason)
    if not can_escalate(dispute):
        raise FactMissing(_("The present level still has time to answer."), code="not_late")
    facts = clock.start(f"dispute.{DISPUTE.step(verb).target}", timezone.now())
    DISPUTE.move(dispute, verb, by=by, version=version, **facts)
    audit.record(
        "dispute.escalated", dispute, by=by, organizations=_sides(dispute), level=dispute.status, reason=reason.strip()
    )
    tell(dispute, "escalated", N_("Dispute %(number)s was taken one level up."), [dispute.respondent_id], operators=True)
    return dispute


@transaction.atomic
def resolve_dispute(dispute: Dispute, *, by, outcome: str, version: int | None = None) -> Dispute:
    """The side that raised it says how it was settled."""
    _require_texts(outcome=outcome)
    DISPUTE.move(dispute, "resolve", by=by, version=version, outcome=outcome.strip(), resolved_at=timezone.now(), due_at=None,
                 half_at=None)  # fmt: skip
    audit.record("dispute.resolved", dispute, by=by, organizations=_sides(dispute))
    tell(dispute, "resolved", N_("Dispute %(number)s is settled."), [dispute.respondent_id], operators=True)
    return dispute


@transaction.atomic
def close_dispute(dispute: Dispute, *, by, version: int | None = None) -> Dispute:
    """The operator has checked that what was agreed is done (NĐ 47/2020 Điều 50)."""
    DISPUTE.move(dispute, "close", by=by, version=version)
    audit.record("dispute.closed", dispute, by=by, organizations=_sides(dispute))
    tell(dispute, "closed", N_("Dispute %(number)s is closed."), [dispute.raised_for_id, dispute.respondent_id], but=by)
    return dispute


@transaction.atomic
def open_ticket(
    agreement: Agreement, *, by, kind: str, asked_of: Organization, text: str, due_at: datetime.datetime | None = None,
    record_key: str = "", service: DataService | None = None, uuid: uuids.UUID | None = None,
) -> Ticket:  # fmt: skip
    """Ask the other party: a provider asks a consumer to explain its use (with a due date), a consumer reports wrong data,
    which the provider corrects within the term of the rule `ticket.wrong_data` (WF-46).

    `service` names one of those under the agreement; reported wrong, it is the asked agency's own. `uuid` as in `raise_dispute`.
    """
    again = made_before(Ticket, uuid, author=by)
    if again is not None:
        return again
    _require_texts(text=text)
    side, role = (
        (Side.PROVIDER, Role.PROVIDER_OFFICER) if kind == TicketKind.EXPLANATION else (Side.CONSUMER, Role.CONSUMER_OFFICER)
    )
    mine = organization_ids(by, role) & agreement.organization_ids(side)
    if not mine:
        raise NotPermitted(code="not_a_party")
    other = Side.CONSUMER if side == Side.PROVIDER else Side.PROVIDER
    if asked_of.pk not in agreement.organization_ids(other):
        raise InvalidFact(_("This organization is not the other party."), code="not_the_other_party")
    _check_service(service, agreement, asked_of if kind == TicketKind.WRONG_DATA else None)
    if kind == TicketKind.EXPLANATION and (due_at is None or due_at <= timezone.now()):
        raise FactMissing(_("Say until when the explanation is expected."), fields={"due_at": [_("Required.")]})
    now = timezone.now()
    if due_at is not None and due_at > now + LONGEST:
        raise InvalidFact(fields={"due_at": [_("At most a year from now.")]})
    _hold_sides(min(mine), asked_of.pk)
    facts = {"kind": kind, "agreement": agreement, "service": service, "asked_by_id": min(mine), "asked_of": asked_of,
             "text": text.strip(), "record_key_hash": keyed_hash(record_key) if record_key else "",
             **(_until(due_at, now) if kind == TicketKind.EXPLANATION else clock.start(clock.CORRECT, now))}  # fmt: skip
    ticket, is_new = made_once(Ticket, uuid, _numbered(Ticket, "PH", author=by, **facts), author=by)
    if not is_new:
        return ticket
    audit.record("ticket.opened", ticket, by=by, organizations=[ticket.asked_by, asked_of], kind=kind)
    tell(ticket, "opened", N_("There is a question for you: %(number)s."), [asked_of.pk])
    return ticket


def _check_service(service: DataService | None, agreement: Agreement, provider: Organization | None) -> None:
    """Raise InvalidFact for a service that is not under the agreement, or not that provider's."""
    if service is None:
        return
    if not agreement.grants.filter(operation__version__service=service).exists():
        text = _("This service is not under the agreement.")
        raise InvalidFact(text, code="service_not_in_agreement", fields={"service": [text]})
    if provider is not None and service.provider_id != provider.pk:
        text = _("This service is another agency's.")
        raise InvalidFact(text, code="service_of_another", fields={"service": [text]})


@transaction.atomic
def answer_ticket(ticket: Ticket, *, by, answer: str, version: int | None = None) -> Ticket:
    _require_texts(answer=answer)
    TICKET.move(ticket, "answer", by=by, version=version, answer=answer.strip(), answered_by=by, answered_at=timezone.now())
    audit.record("ticket.answered", ticket, by=by, organizations=[ticket.asked_by, ticket.asked_of])
    tell(ticket, "answered", N_("Your question %(number)s was answered."), [ticket.asked_by_id])
    return ticket


@transaction.atomic
def ask_again(ticket: Ticket, *, by, text: str, version: int | None = None) -> Ticket:
    """The answer does not do; the question goes back with what is missing, and with as much time as it had."""
    _require_texts(text=text)
    TICKET.move(ticket, "ask_again", by=by, version=version, text=f"{ticket.text}\n\n{text.strip()}", **_time_again(ticket))
    audit.record("ticket.asked_again", ticket, by=by, organizations=[ticket.asked_by, ticket.asked_of])
    tell(ticket, "asked_again", N_("There is a question for you: %(number)s."), [ticket.asked_of_id])
    return ticket


def _until(due_at: datetime.datetime, now: datetime.datetime) -> dict:
    return {**clock.until(due_at, now), "days": _working_days(now, due_at)}


def _working_days(first: datetime.datetime, last: datetime.datetime) -> int:
    day = timezone.localdate(first)
    return max(1, WorkCalendar(day).between(day, timezone.localdate(last)))


def _time_again(ticket: Ticket) -> dict:
    """A clock as long as the first one: by the rule, or as many working days as were named."""
    now = timezone.now()
    if ticket.kind == TicketKind.WRONG_DATA:
        return clock.start(clock.CORRECT, now)
    days = ticket.days or _working_days(ticket.created_at, ticket.due_at)
    return {**clock.until(deadlines.working_days(days, now).due_at, now), "days": days}


@transaction.atomic
def close_ticket(ticket: Ticket, *, by, version: int | None = None) -> Ticket:
    """Who asked is done with it, answered or not; it leaves the other's desk, which is told."""
    TICKET.move(ticket, "close", by=by, version=version)
    audit.record("ticket.closed", ticket, by=by, organizations=[ticket.asked_by, ticket.asked_of])
    tell(ticket, "closed", N_("The question %(number)s is closed."), [ticket.asked_by_id, ticket.asked_of_id], but=by)
    return ticket


def _sides(dispute: Dispute) -> list[Organization]:
    return [dispute.raised_for, dispute.respondent]


def tell(obj, event: str, message: str, organizations: list[int], *, operators: bool = False, but=None, **params) -> None:
    """Tell the officers of these organizations, but for one person, once that `event` happened to a dispute or a ticket as it stands."""
    kind = obj._meta.model_name
    recipients = [person for role in OFFICERS for person in people(role, organizations) if person != but]
    recipients += people(Role.OPERATOR) if operators else []
    due = timezone.localtime(obj.due_at).strftime("%d/%m/%Y") if obj.due_at else ""
    notify(
        recipients, f"{kind}.{event.split('-')[0]}", key=f"{kind}.{event}:{obj.uuid}:{obj.version}", message=message,
        url=f"/portal/{kind}s/{obj.uuid}/", number=obj.number, due=due, **params,
    )  # fmt: skip


def _require_texts(**texts: str) -> None:
    absent = [name for name, text in texts.items() if not text.strip()]
    if absent:
        raise FactMissing(fields={name: [_("This field is required.")] for name in absent})
