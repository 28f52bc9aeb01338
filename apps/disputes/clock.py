"""The clock of disputes and tickets: what starts it, and whom it reminds at half of the time and tells at the end.

The same as a request's (`connections.reminders`): the rule found at the beginning stays with the case, each word is said
once a clock, and what is late goes to the operator too.
"""

from __future__ import annotations

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from apps.connections.announcements import moment, people
from apps.core import ticks
from apps.disputes.choices import DisputeStatus
from apps.disputes.models import Dispute, Ticket
from apps.legal import deadlines
from apps.notices.actions import notify
from apps.organizations.choices import Role

OFFICERS = (Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER)
CORRECT = "ticket.wrong_data"
"""The rule of how long a provider has to correct what was reported wrong (WF-46)."""
MOST = 500


def start(code: str, at: datetime.datetime) -> dict:
    """Facts to write when a clock by the rule `code` begins `at`."""
    deadline = deadlines.start(code, at)
    return {**until(deadline.due_at, at), "deadline_rule": deadline.rule}


def until(due_at: datetime.datetime, at: datetime.datetime) -> dict:
    """Facts to write when a person named the end."""
    half = deadlines.halfway(at, due_at)
    return {"due_at": due_at, "half_at": half, "deadline_rule": None, "reminded_at": None, "escalated_at": None}


def run_clock() -> dict[str, int]:
    """Whatever is due now. A second run does nothing. Returns how many of each.

    What somebody holds is left for the next tick, and stops nothing else (`ticks`).
    """
    now = timezone.now()
    half = (case for model in (Dispute, Ticket) for case in _due(model, "half_at", "reminded_at", now, due_at__gt=now))
    late = (case for model in (Dispute, Ticket) for case in _due(model, "due_at", "escalated_at", now))
    return {
        "reminded": ticks.each(half, lambda case: _remind(case, now)),
        "escalated": ticks.each(late, lambda case: _escalate(case, now)),
    }


def _due(model, moment: str, told: str, now, **more):
    """The next of them. What is late is told so and reminded of no more: it must not fill the turn of the others."""
    return model.objects.waiting().filter(**{f"{moment}__lte": now, f"{told}__isnull": True}, **more).order_by(moment)[:MOST]


@transaction.atomic
def _remind(case: Dispute | Ticket, now) -> int:
    if case.due_at <= now or not _claim(case, "reminded_at", now):
        return 0  # late already: that is what is told
    messages = {
        "dispute": N_("Half of the time for dispute %(number)s has passed; it is to be answered by %(due)s."),
        "ticket": N_("Half of the time for the question %(number)s has passed; it is to be answered by %(due)s."),
    }
    _tell(case, "half", messages, handlers(case))
    return 1


@transaction.atomic
def _escalate(case: Dispute | Ticket, now) -> int:
    if not _claim(case, "escalated_at", now):
        return 0
    messages = {
        "dispute": N_("Dispute %(number)s is late; it may be taken one level up."),
        "ticket": N_("The question %(number)s is late: it was to be answered by %(due)s."),
    }
    if case.status == DisputeStatus.LEVEL_3:
        messages["dispute"] = N_("Dispute %(number)s is late: the body in charge was to answer by %(due)s.")
    _tell(case, "late", messages, [*_officers(*_sides(case)), *people(Role.OPERATOR)])
    return 1


def _claim(case, told: str, now) -> bool:
    """Of two clocks that run at once, one tells."""
    rows = type(case).objects.waiting().filter(pk=case.pk, due_at=case.due_at, **{f"{told}__isnull": True})
    return rows.update(**{told: now}) == 1


def handlers(case: Dispute | Ticket) -> list:
    """On whose desk it lies: the other party's officers, or the digital unit's from level 2 on."""
    if isinstance(case, Dispute):
        return _officers(case.respondent_id) if case.status == DisputeStatus.LEVEL_1 else list(people(Role.OPERATOR))
    return _officers(case.asked_of_id)


def _sides(case: Dispute | Ticket) -> tuple[int, int]:
    return (case.raised_for_id, case.respondent_id) if isinstance(case, Dispute) else (case.asked_by_id, case.asked_of_id)


def _officers(*organizations: int) -> list:
    return [person for role in OFFICERS for person in people(role, list(organizations))]


def _tell(case: Dispute | Ticket, event: str, messages: dict[str, str], recipients: list) -> None:
    kind = case._meta.model_name
    notify(
        recipients, f"{kind}.{event}", key=f"{kind}.{event}:{case.uuid}:{case.due_at:%Y%m%d%H%M%S}", message=messages[kind],
        url=f"/portal/{kind}s/{case.uuid}/", number=case.number, due=moment(case.due_at),
    )  # fmt: skip
