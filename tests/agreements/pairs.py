"""Two verbs that touch the same rows, at the same instant: how a pair is written, and what must hold whoever was first.

Whoever loses is told so, and by whom, where the refusal says that somebody was first; nobody hangs, fails hard or waits in a circle;
and whatever came first, no call is open that was stopped, nothing is in effect twice, and nothing is half done (`sane`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pytest
from django.db.models import Count, F

from apps.agreements.choices import AgreementStatus, GrantStatus, Side
from apps.agreements.models import Agreement, ConsumerSuspension, Credential, Grant, StepClock
from apps.audit.models import AuditEvent
from apps.notices.models import Notice
from tests.fixtures.races import again, at_once, on, refusals

ROUNDS = [pytest.param(3, id="quick"), pytest.param(1000, id="full", marks=pytest.mark.full)]
LIVE = (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED)
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Pair(NamedTuple):
    """`may`: which of the two may have been done when both are through: "first", "second", "both".

    `told`: the codes of what a loser may be told, where it matters. `each`: events that each of the two records of the same thing.
    `after`: what more must hold, of what is known and of which were done.
    """

    name: str
    make: Callable[[], dict]
    first: Callable
    second: Callable
    may: str
    told: str = ""
    each: str = ""
    after: Callable[[dict, str], None] = lambda _found, _came: None


def of_pairs(pairs: tuple[Pair, ...]):
    """A test for each of these pairs, with a few rounds or a thousand."""
    by_name = pytest.mark.parametrize("pair", pairs, ids=[pair.name.replace(" ", "-") for pair in pairs])
    return lambda test: pytest.mark.parametrize("rounds", ROUNDS)(by_name(test))


def act(verb, what: str, who: str, **facts) -> Callable:
    """What is known → an act that reads its row afresh: `verb` on what is called so, or on what the world calls so, by that person."""

    def ready(found: dict):
        obj = found[what] if what in found else getattr(found["w"], what)
        given = {name: value(found) if callable(value) else value for name, value in facts.items()}
        return on(verb, obj, found[who] if who in found else getattr(found["w"], who), **given)

    return ready


def race(pair: Pair, rounds: int) -> None:
    for found in again(rounds, lambda: named(pair.make())):
        event, notice = newest(AuditEvent), newest(Notice)
        answers = at_once(pair.first(found), pair.second(found))
        lost = refusals(answers)
        refused = [isinstance(answer, Exception) for answer in answers]
        came = {(False, False): "both", (False, True): "first", (True, False): "second", (True, True): "none"}[*refused]
        assert came in pair.may.split(), answers
        assert not pair.told or {error.code for error in lost} <= set(pair.told.split()), answers
        acted = {str(row.actor) for row in AuditEvent.objects.filter(pk__gt=event).select_related("actor")}
        assert {error.extra["by"] for error in lost if "by" in error.extra} <= acted, answers
        sane(found)
        told_once(event, notice, pair.each.split())
        pair.after(found, came)


def named(found: dict) -> dict:
    return {**found, "consumer_organization": found["w"].consumer}


def newest(model) -> int:
    return model.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def was_first(one: str, other: str) -> bool:
    """Whether the event `one` was recorded before `other`: verbs that take turns record in their turn."""
    pks = dict(AuditEvent.objects.filter(event__in=(one, other)).order_by("pk").values_list("event", "pk"))
    return pks[one] < pks[other]


def told_once(event: int, notice: int, each: list[str]) -> None:
    """No verb recorded the same of the same thing twice, and nobody was told the same of the same thing twice.

    What is told of is what the key names first, or else the address: the rest of a key is what tells one telling from the next.
    """
    events = AuditEvent.objects.filter(pk__gt=event).exclude(event__in=each).values("event", "object_ref")
    twice = [row for row in events.annotate(times=Count("pk")) if row["times"] > 1]
    assert not twice, twice
    rows = Notice.objects.filter(pk__gt=notice).values_list("recipient__username", "kind", "key", "url")
    told = Counter((person, kind, UUID.search(f"{key} {url}")[0]) for person, kind, key, url in rows)
    assert not [row for row, times in told.items() if times > 1], told


def sane(found: dict) -> None:
    """What holds whoever was first."""
    opened = Grant.objects.exclude(status=GrantStatus.ENDED)
    assert not opened.exclude(agreement__status__in=LIVE).exists(), "access without an agreement"
    twice = opened.values("agreement", "system", "operation", "environment").annotate(times=Count("pk")).filter(times__gt=1)
    assert not twice.exists(), "two accesses in effect for one"
    gone = opened.filter(operation__version__status="retired") | opened.filter(operation__version__service__status="retired")
    assert not gone.exists(), "access to what was retired"
    party = {"agreement__parties__organization": F("system__organization"), "agreement__parties__side": Side.CONSUMER}
    bound = opened.filter(**party, agreement__parties__left_at__isnull=True, agreement__parties__is_joining=False)
    assert not opened.exclude(pk__in=bound.values("pk")).exists(), "access of who is no party"
    for agreement in Agreement.objects.filter(status__in=LIVE):
        assert agreement.versions.filter(state="current").count() == 1
        assert (agreement.status == AgreementStatus.SUSPENDED) == bool(agreement.suspension_kind)
    ticking = StepClock.objects.not_over().filter(agreement__status=AgreementStatus.SUSPENDED, paused_at__isnull=True)
    assert not ticking.exists(), "time passes while nobody can take the step"
    for row in ConsumerSuspension.objects.open().select_related("party"):
        held = Grant.objects.filter(agreement=row.agreement, system__organization=row.party.organization_id)
        assert not held.filter(status=GrantStatus.ACTIVE).exists(), "a stopped consumer has access"
    record = found.get("record")
    if record is not None:
        record.refresh_from_db()
        production = opened.filter(agreement=record.agreement, environment="production")
        fresh = production.filter(version_of=record.for_version, created_at__gt=record.created_at)
        assert record.status == "confirmed" or not fresh.exists(), "opened without a confirmation"
    for row in Credential.objects.filter(status="unclaimed").values("system", "environment").annotate(times=Count("pk")):
        assert row["times"] == 1, "two accounts wait to be collected"
