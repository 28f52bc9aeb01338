"""The time that each step of an agreement may take (regulations, section 7): begun, shown, reminded of, late, over."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.agreements.actions import (
    agree_content,
    announce_suspension,
    approve_request,
    confirm_acceptance,
    decline_agreement,
    decline_change,
    leave_agreement,
    propose_content,
    reject_acceptance,
    reopen_agreement,
    resume_agreement,
    sign_agreement,
    start_change,
    suspend_agreement,
    suspend_consumer,
    terminate_agreement,
)
from apps.agreements.choices import StepKind, SuspensionKind, VersionState
from apps.agreements.clock import run_clock
from apps.agreements.models import Agreement, StepClock
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request
from apps.legal.actions import change_rule
from apps.legal.models import LegalRule
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.organizations.models import Membership
from apps.portal import inbox
from tests.agreements.test_joining import asked, joiner
from tests.factories.agreements import (
    accepted,
    agreement_in_force,
    awaiting_signatures,
    negotiating,
    recorded,
    signed_special,
)
from tests.factories.connections import world as new_world
from tests.factories.organizations import InformationSystemFactory, officer
from tests.fixtures.races import again, at_once

MONDAY = "2026-06-01T09:00:00+07:00"


def at(text: str):
    return time_machine.travel(f"2026-{text}+07:00", tick=False)


def hash_of(agreement: Agreement) -> str:
    return agreement.versions.order_by("-number").first().content_hash


def told(event: str) -> set:
    return {notice.recipient for notice in Notice.objects.filter(kind=f"step.{event}").select_related("recipient")}


def clock_of(agreement: Agreement, step: str) -> StepClock:
    return agreement.clocks.waiting().get(step=step)


@dataclass
class Case:
    """One of the four times: how an agreement comes to wait for the step, until when, for whom, and what ends the wait."""

    step: str
    make: Callable
    half: str
    """Local time at which half has passed; nothing is told a minute before."""
    due: str
    rule: str
    who: tuple[str, ...]
    ends: dict[str, Callable] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.step


def with_a_record(w) -> Agreement:
    agreement = agreement_in_force(w)
    recorded(w, agreement)
    return agreement


def sign_all(w, agreement):
    for signer in (w.consumer_signer, w.provider_signer):
        sign_agreement(agreement, by=signer, content_hash=hash_of(agreement))


def end(w, agreement):
    terminate_agreement(agreement, by=w.provider_officer, ground="authority", reason="Có yêu cầu")


def decline(w, agreement):
    decline_agreement(agreement, by=w.consumer_officer, reason="Không thống nhất được")


def record_of(agreement):
    return agreement.acceptances.get()


CASES = [
    Case(
        StepKind.NEGOTIATE, negotiating, "06-08T23:59:59", "06-15T23:59:59", "agreement.negotiate", ("consumer_officer",),
        {
            "agreed": lambda w, row: agree_content(row, by=w.consumer_officer, content_hash=hash_of(row)),
            "declined": decline,
        },
    ),
    Case(
        StepKind.SIGN, awaiting_signatures, "06-02T23:59:59", "06-04T23:59:59", "agreement.sign",
        ("consumer_signer", "provider_signer"),
        {
            "signed": sign_all,
            "declined": decline,
            "reopened": lambda w, row: reopen_agreement(row, by=w.consumer_officer, reason="Xem lại"),
        },
    ),
    Case(
        StepKind.TEST, agreement_in_force, "06-15T23:59:59", "06-29T23:59:59", "test.period", ("consumer_officer",),
        {"recorded": recorded, "terminated": end},
    ),
    Case(
        StepKind.CONFIRM, with_a_record, "06-02T23:59:59", "06-03T23:59:59", "test.confirm", ("provider_officer",),
        {
            "confirmed": lambda w, row: confirm_acceptance(record_of(row), by=w.provider_officer),
            "rejected": lambda w, row: reject_acceptance(record_of(row), by=w.provider_officer, comment="Thiếu kết quả"),
            "terminated": end,
        },
    ),
]  # fmt: skip
MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture(params=CASES, ids=str)
def case(request) -> Case:
    return request.param


@pytest.fixture
def world(case, request, db):
    return request.getfixturevalue("special" if case.step in (StepKind.NEGOTIATE, StepKind.SIGN) else "w")


@pytest.fixture
def waits(case, world):
    """An agreement that waits for the step since Monday the first of June 2026, nine o'clock."""
    with time_machine.travel(MONDAY, tick=False):
        agreement = case.make(world)
        Notice.objects.all().delete()
        return agreement


def people_of(case, world) -> set:
    """Those named, and whoever else holds their role in their agency."""
    named = [getattr(world, name).memberships.get() for name in case.who]
    return {row.user for one in named for row in Membership.objects.filter(organization=one.organization, role=one.role)}


def moments(case) -> tuple[datetime.datetime, datetime.datetime]:
    return tuple(datetime.datetime.fromisoformat(f"2026-{text}+07:00") for text in (case.half, case.due))


def ran(moment) -> tuple[int, int]:
    with time_machine.travel(moment, tick=False):
        found = run_clock()
    return found["steps_half"], found["steps_late"]


def test_half_is_told_to_whoever_acts_and_the_end_to_them_and_the_operator_each_once(case, world, waits):
    half, due = moments(case)
    clock = clock_of(waits, case.step)
    assert (clock.begun_at.isoformat(), clock.half_at, clock.due_at) == ("2026-06-01T02:00:00+00:00", half, due)
    assert (clock.deadline_rule.code, clock.deadline_rule.evidence) == (case.rule, "D")
    assert ran(half - MINUTE) == (0, 0)
    assert told("half") == set()
    assert [ran(half + MINUTE), ran(half + 2 * MINUTE)] == [(1, 0), (0, 0)]
    assert told("half") == people_of(case, world)
    assert ran(due - MINUTE) == (0, 0)
    assert told("late") == set()
    assert [ran(due + MINUTE), ran(due + 2 * MINUTE)] == [(0, 1), (0, 0)]
    assert told("late") == {*people_of(case, world), world.operator}
    notice = Notice.objects.filter(kind="step.late").first()
    assert notice.url == reverse("portal:agreement", args=[waits.uuid])
    assert notice.facts["params"]["due"] == f"{due:%d/%m/%Y %H:%M}"
    assert Notice.objects.filter(kind__startswith="step.").count() == 2 * len(people_of(case, world)) + 1


def test_what_is_late_already_is_told_as_late_only(case, waits):
    _half, due = moments(case)
    assert ran(due + MINUTE) == (0, 1)
    assert told("half") == set()


@pytest.mark.parametrize(
    ("case", "ending"),
    [pytest.param(case, name, id=f"{case}-{name}") for case in CASES for name in case.ends],
    indirect=["case"],
)
def test_nothing_is_told_after_the_step_is_done(case, world, waits, ending):
    clock = clock_of(waits, case.step)
    with at("06-01T10:00:00"):
        case.ends[ending](world, waits)
        assert not StepClock.objects.waiting().filter(pk=clock.pk).exists()
    _half, due = moments(case)
    StepClock.objects.exclude(pk=clock.pk).delete()  # what begins by the ending has its own tests
    ran(due + MINUTE)
    assert (told("half"), told("late")) == (set(), set())
    assert StepClock.objects.get(pk=clock.pk).over_at is not None, "nobody looks at it again"


def test_a_rule_changed_tomorrow_changes_no_running_clock(case, waits):
    with at("06-01T10:00:00"):
        old = LegalRule.objects.rule(case.rule, timezone.localdate())
        change_rule(
            case.rule, by=officer(Role.LEGAL_OFFICER), value=Decimal(1), citation="Quy định mới",
            effective_from=datetime.date(2026, 6, 2), evidence="D",
        )  # fmt: skip
    clock = clock_of(waits, case.step)
    assert (clock.due_at, clock.deadline_rule) == (moments(case)[1], old)
    assert ran(datetime.datetime.fromisoformat("2026-06-02T23:59:59+07:00") - MINUTE) == (0, 0)


@pytest.mark.parametrize("door", ["page", "api"])
def test_whoever_reads_the_agreement_sees_until_when_and_by_which_rule(case, world, waits, door):
    seen = {name: shown(waits, getattr(world, name), door) for name in ("consumer_officer", "provider_officer", "operator")}
    rule = clock_of(waits, case.step).deadline_rule
    for name, text in seen.items():
        assert rule.name in text, name
        assert rule.citation in text, name
    _half, due = moments(case)
    wanted = f"{due:%H:%M %d/%m/%Y}" if door == "page" else f"{due:%Y-%m-%dT%H:%M:%S}"
    assert wanted in seen["consumer_officer"]
    assert shown(waits, world.stranger, door) == ""


def shown(agreement, user, door: str) -> str:
    """What the page or the API says, the day it began; empty when there is nothing for this person."""
    address = {"page": reverse("portal:agreement", args=[agreement.uuid]), "api": f"/api/v1/agreements/{agreement.uuid}"}[door]
    client = Client()
    with at("06-01T10:00:00"):
        client.force_login(user)
        answer = client.get(address)
    return answer.content.decode() if answer.status_code == 200 else ""


def test_the_api_says_what_waits_and_whether_it_is_late(case, world, waits):
    client = Client()
    for moment, late in ((moments(case)[1] - MINUTE, False), (moments(case)[1] + MINUTE, True)):
        with time_machine.travel(moment, tick=False):
            client.force_login(world.provider_officer)
            found = client.get(f"/api/v1/agreements/{waits.uuid}").json()["deadlines"]
        assert [(row["step"], row["is_late"], row["paused_at"]) for row in found] == [(case.step, late, None)]
        system = world.system.code if case.step in (StepKind.TEST, StepKind.CONFIRM) else None
        assert (found[0]["system"] or {}).get("code") == system


def test_the_home_page_says_until_when_to_whoever_acts(case, world, waits):
    address = reverse("portal:agreement", args=[waits.uuid])
    with at("06-01T10:00:00"):
        for person in people_of(case, world):
            assert [task.due_at for task in inbox.tasks(person) if task.url == address] == [moments(case)[1]]
        assert not [task for task in inbox.tasks(world.stranger) if task.url == address]


def test_home_lines_with_their_due_time_take_no_query_a_row(w):
    agreement = agreement_in_force(w)
    before = queries_of(w.consumer_officer)
    systems = [w.system, InformationSystemFactory(organization=w.consumer), InformationSystemFactory(organization=w.consumer)]
    agreement_in_force(w, systems=systems)
    due = [task for task in inbox.tasks(w.consumer_officer) if task.url == reverse("portal:agreement", args=[agreement.uuid])]
    assert due
    assert queries_of(w.consumer_officer) == before


def queries_of(user) -> int:
    with CaptureQueriesContext(connection) as found:
        inbox.tasks(user)
    return len(found)


# What begins each of them


def steps_of(agreement) -> list[tuple[str, str]]:
    return sorted((row.step, f"{timezone.localtime(row.begun_at):%m-%d}") for row in agreement.clocks.waiting())


def test_without_a_rule_for_it_a_step_has_no_end_and_is_taken_all_the_same(special):
    """They are the platform's own targets: nobody is kept from agreeing because one of them was ended."""
    LegalRule.objects.filter(code="agreement.negotiate").update(effective_to=timezone.localdate() - datetime.timedelta(days=1))
    agreement = negotiating(special)
    assert (agreement.status, StepClock.objects.filter(agreement=agreement).exists()) == ("negotiating", False)


def test_a_special_agreement_has_one_time_after_the_other(special):
    w = special
    with at("06-01T09:00:00"):
        agreement = negotiating(w)
    assert steps_of(agreement) == [("negotiate", "06-01")]
    with at("06-02T09:00:00"):
        propose_content(agreement, by=w.consumer_officer, changes={"other_terms": "Báo cáo quý."}, note="Báo cáo quý")
        assert steps_of(agreement) == [("negotiate", "06-01")], "a counter-proposal wins nobody time"
    with at("06-03T09:00:00"):
        agree_content(agreement, by=w.provider_officer, content_hash=hash_of(agreement))
        assert steps_of(agreement) == [("sign", "06-03")]
    with at("06-04T09:00:00"):
        reopen_agreement(agreement, by=w.provider_officer, reason="Xem lại")
        assert steps_of(agreement) == [("negotiate", "06-04")]
        for person in (w.provider_officer, w.consumer_officer):
            agree_content(agreement, by=person, content_hash=hash_of(agreement))
    with at("06-05T09:00:00"):
        other = officer(Role.SIGNER, w.consumer)
        for signer in (other, w.provider_signer):
            sign_agreement(agreement, by=signer, content_hash=hash_of(agreement))
        assert steps_of(agreement) == [("test", "06-05")]
        record = recorded(w, agreement)
        assert steps_of(agreement) == [("confirm", "06-05")]
    with at("06-08T09:00:00"):
        reject_acceptance(record, by=w.provider_officer, comment="Thiếu kết quả")
        assert steps_of(agreement) == [("test", "06-08")], "who tests again has the whole time"
        confirm_acceptance(recorded(w, agreement), by=w.provider_officer)
        assert steps_of(agreement) == []


def change(w, agreement, **facts):
    request = start_change(agreement, by=w.consumer_officer)
    save_draft(request, by=w.consumer_officer, **facts)
    if agreement.sharing_form == "default":
        sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)
    agreement.refresh_from_db()


def special_in_production(w) -> Agreement:
    agreement = signed_special(w)
    confirm_acceptance(recorded(w, agreement), by=w.provider_officer)
    return agreement


@pytest.mark.parametrize("wider", [True, False])
def test_a_change_is_to_be_signed_and_tested_where_it_opens_more(special, wider):
    w = special
    with at("06-01T09:00:00"):
        agreement = special_in_production(w)
    with at("06-03T09:00:00"):
        change(w, agreement, scope={w.operation: w.fields(4 if wider else 2)})
        assert steps_of(agreement) == [("sign", "06-03")]
    assert ran(datetime.datetime.fromisoformat("2026-06-05T00:00:00+07:00")) == (1, 0)
    assert told("half") >= {w.consumer_signer, w.provider_signer}
    assert not told("half") & {w.consumer_officer, w.provider_officer, w.operator, w.stranger}
    with at("06-05T09:00:00"):
        sign_all(w, agreement)
        assert steps_of(agreement) == ([("test", "06-05")] if wider else []), "what production has already needs no test"


def test_a_change_that_was_declined_is_waited_for_no_more(special):
    w = special
    with at("06-01T09:00:00"):
        agreement = special_in_production(w)
        change(w, agreement, scope={w.operation: w.fields(2)})
        decline_change(agreement, by=w.consumer_officer, reason="Không cần nữa")
        assert steps_of(agreement) == []
    with at("06-05T09:00:00"):
        change(w, agreement, scope={w.operation: w.fields(1)})
        assert steps_of(agreement) == [("sign", "06-05")]


def test_a_version_that_begins_later_is_tested_from_its_first_day(w):
    with at("06-01T09:00:00"):
        agreement = accepted(w)
        change(w, agreement, scope={w.operation: w.fields(4)}, wanted_from=datetime.date(2026, 6, 22))
        assert agreement.versions.get(number=2).state == VersionState.SCHEDULED
        assert steps_of(agreement) == []
    with at("06-22T00:01:00"):
        run_clock()
        assert steps_of(agreement) == [("test", "06-22")]


def test_each_system_of_the_consumers_has_its_own_time(w):
    with at("06-01T09:00:00"):
        other = InformationSystemFactory(organization=w.consumer)
        agreement = agreement_in_force(w, systems=[w.system, other])
        recorded(w, agreement)
        assert [(row.step, row.system) for row in agreement.clocks.waiting().order_by("step")] == [
            ("confirm", w.system), ("test", other),
        ]  # fmt: skip


def test_one_who_joins_takes_no_time_from_the_others_nor_gives_them_any(w):
    with at("06-01T09:00:00"):
        agreement = agreement_in_force(w)
    one = joiner()
    with at("06-03T09:00:00"):
        approve_request(one.asks(w, agreement), by=w.provider_officer)
    assert [(row.system, f"{timezone.localtime(row.begun_at):%m-%d}") for row in agreement.clocks.waiting().order_by("pk")] == [
        (w.system, "06-01"), (one.system, "06-03"),
    ]  # fmt: skip


# Who reads them


def test_who_is_joining_sees_until_when_it_is_to_sign_and_nothing_of_the_others(special):
    with at("06-01T09:00:00"):
        agreement, one = asked(special)
        other = InformationSystemFactory(organization=special.consumer)
        StepClock.objects.create(
            agreement=agreement, step=StepKind.TEST, system=other, begun_at=timezone.now(), half_at=timezone.now(),
            due_at=timezone.now(), deadline_rule=LegalRule.objects.rule("test.period", timezone.localdate()),
        )  # fmt: skip
    client = Client()
    with at("06-01T10:00:00"):
        client.force_login(one.officer)
        found = client.get(f"/api/v1/agreements/{agreement.uuid}").json()["deadlines"]
        page = client.get(reverse("portal:agreement", args=[agreement.uuid])).content.decode()
    assert [row["step"] for row in found] == ["sign"]
    assert "23:59 04/06/2026" in page
    assert other.name not in page
    assert set(StepClock.objects.visible_to(one.officer).values_list("step", flat=True)) == {"sign"}
    ran(datetime.datetime.fromisoformat("2026-06-03T00:01:00+07:00"))
    assert one.signer in told("half")
    decline_change(agreement, by=special.provider_officer, reason="Không đủ điều kiện")
    assert not StepClock.objects.visible_to(one.officer).exists()


def test_who_has_left_sees_none_and_hears_of_none(w):
    with at("06-01T09:00:00"):
        agreement = agreement_in_force(w)
        one = joiner()
        approve_request(one.asks(w, agreement), by=w.provider_officer)
        agreement.refresh_from_db()
        leave_agreement(agreement, by=one.officer, reason="Không còn nhu cầu")
    assert [row.system for row in agreement.clocks.waiting()] == [w.system]
    assert StepClock.objects.visible_to(w.consumer_officer).exists()
    assert not StepClock.objects.visible_to(one.officer).exists()
    ran(datetime.datetime.fromisoformat("2026-06-16T00:01:00+07:00"))
    assert told("half") == {w.consumer_officer}


# Standing still


FORCE = {"kind": SuspensionKind.FORCE_MAJEURE, "violation": "Mất điện.", "plan": "Chờ."}


def test_the_clock_stands_still_while_the_agreement_does(w):
    with at("06-01T09:00:00"):
        agreement = agreement_in_force(w)
    with at("06-10T09:00:00"):
        suspend_agreement(agreement, by=w.operator, **FORCE)
        Notice.objects.all().delete()
    assert ran(datetime.datetime.fromisoformat("2026-07-20T09:00:00+07:00")) == (0, 0), "nobody can test meanwhile"
    with at("07-20T09:00:00"):
        clock = clock_of(agreement, StepKind.TEST)
        assert not clock.is_late
        client = Client()
        client.force_login(w.consumer_officer)
        assert "tạm dừng" in client.get(reverse("portal:agreement", args=[agreement.uuid])).content.decode()
        assert client.get(f"/api/v1/agreements/{agreement.uuid}").json()["deadlines"][0]["paused_at"].startswith("2026-06-10")
        resume_agreement(agreement, by=w.operator)
    clock.refresh_from_db()
    # Of twenty working days thirteen were left, of the half three.
    assert (timezone.localtime(clock.half_at).date().isoformat(), timezone.localtime(clock.due_at).date().isoformat()) == (
        "2026-07-23", "2026-08-06",
    )  # fmt: skip
    assert clock.paused_at is None
    assert ran(datetime.datetime.fromisoformat("2026-07-24T00:01:00+07:00")) == (1, 0)


def test_an_announced_suspension_stops_it_too_and_what_was_late_stays_late(w):
    with at("06-01T09:00:00"):
        agreement = with_a_record(w)
        announce_suspension(
            agreement, by=w.provider_officer, starts_at=datetime.datetime.fromisoformat("2026-06-12T00:00:00+07:00"),
            ends_at=datetime.datetime.fromisoformat("2026-06-16T00:00:00+07:00"), reason="Nâng cấp",
        )  # fmt: skip
        due = clock_of(agreement, StepKind.CONFIRM).due_at
    assert ran(datetime.datetime.fromisoformat("2026-06-12T00:01:00+07:00")) == (0, 0), "begun in the same minute"
    assert clock_of(agreement, StepKind.CONFIRM).paused_at is not None
    assert ran(datetime.datetime.fromisoformat("2026-06-16T00:01:00+07:00")) == (0, 1)
    assert clock_of(agreement, StepKind.CONFIRM).due_at == due


def test_who_is_suspended_is_not_told_to_test(w):
    with at("06-01T09:00:00"):
        agreement = agreement_in_force(w)
        party = agreement.parties.get(organization=w.consumer)
        suspend_consumer(party, by=w.provider_officer, violation="x", plan="x", restore_conditions="x")
    assert ran(datetime.datetime.fromisoformat("2026-06-16T00:01:00+07:00")) == (0, 0)
    assert clock_of(agreement, StepKind.TEST).over_at is None


# What the database holds


def test_one_clock_of_a_kind_runs_and_each_says_whose_it_is(w):
    agreement = agreement_in_force(w)
    row = agreement.clocks.get()
    facts = {name: getattr(row, name) for name in ("agreement", "begun_at", "half_at", "due_at", "deadline_rule")}
    for wrong in ({"step": "test", "system": row.system}, {"step": "test"}, {"step": "sign", "system": row.system}):
        with pytest.raises((IntegrityError, ValidationError)), transaction.atomic():
            StepClock.objects.create(**facts, **wrong)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("racers")
@pytest.mark.parametrize("rounds", [pytest.param(3, id="quick"), pytest.param(1000, id="full", marks=pytest.mark.full)])
def test_two_clocks_at_once_tell_once(rounds):
    def make():
        w = new_world()
        agreement = agreement_in_force(w)
        StepClock.objects.update(half_at=timezone.now(), begun_at=timezone.now() - datetime.timedelta(days=9))
        return w, agreement

    for w, _agreement in again(rounds, make):
        answers = at_once(run_clock, run_clock)
        assert sorted(answer["steps_half"] for answer in answers) == [0, 1], answers
        assert told("half") == {w.consumer_officer}
        assert Notice.objects.filter(kind="step.half").count() == 1
