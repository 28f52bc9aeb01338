"""What time does by itself: announced suspensions, expiry, reminders. Every run a second time does nothing."""

import datetime

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from apps.agreements import clock
from apps.agreements.actions import (
    announce_suspension,
    cancel_suspension,
    claim_credential,
    resume_agreement,
    rotate_credential,
    suspend_agreement,
    terminate_agreement,
)
from apps.agreements.choices import AgreementStatus, SuspensionKind
from apps.agreements.clock import _remind, _warn, run_clock
from apps.agreements.models import Agreement, Credential, PlannedSuspension
from apps.connections.models import ConnectionRequest
from apps.core.epoch import current_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.gateway.decision import _is_paused
from apps.gateway.policy_rows import _agreement_query
from apps.notices.models import Notice
from tests.factories.agreements import agreement_in_force, collected
from tests.factories.legal import set_rule

MONDAY = "2026-06-01T09:00:00+07:00"


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def announce(w, agreement, starts="2026-06-12T22:00:00+07:00", ends="2026-06-13T02:00:00+07:00", by=None):
    return announce_suspension(
        agreement, by=by or w.provider_officer, starts_at=at(starts), ends_at=at(ends), reason="Nâng cấp máy chủ."
    )


@time_machine.travel(MONDAY, tick=False)
def test_wf_40_seven_working_days_lie_between_notice_and_beginning(w):
    agreement = agreement_in_force(w)
    with pytest.raises(InvalidFact) as refusal:
        announce(w, agreement, starts="2026-06-10T22:00:00+07:00")
    assert refusal.value.code == "notice_too_short"
    assert "7.00" not in str(refusal.value.detail)
    assert refusal.value.extra["earliest"].startswith("2026-06-10")
    planned = announce(w, agreement)
    assert planned.starts_at == at("2026-06-12T22:00:00+07:00")
    assert Notice.objects.filter(kind="agreement.suspension_announced", recipient=w.consumer_officer).exists()


def test_wf_40_it_begins_and_ends_by_the_clock_and_holds_at_once(w):
    with time_machine.travel(MONDAY, tick=False):
        agreement = agreement_in_force(w)
        announce(w, agreement)
    with time_machine.travel("2026-06-12T21:59:00+07:00", tick=False):
        assert run_clock()["begun"] == 0
    with time_machine.travel("2026-06-12T22:00:30+07:00", tick=False):
        before = current_epoch()
        assert run_clock()["begun"] == 1
        assert run_clock()["begun"] == 0
    agreement.refresh_from_db()
    assert (agreement.status, agreement.suspension_kind) == (AgreementStatus.SUSPENDED, SuspensionKind.PLANNED)
    assert current_epoch() == before + 1
    told = Notice.objects.filter(kind="agreement.suspension_begun")
    assert {row.recipient for row in told} >= {w.consumer_officer, w.provider_officer, w.operator}
    assert told.count() == told.values("recipient").distinct().count()
    assert told.get(recipient=w.consumer_officer).facts["params"]["end"] == "02:00 13/06/2026"
    with time_machine.travel("2026-06-13T02:00:30+07:00", tick=False):
        assert run_clock()["over"] == 1
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.IN_FORCE


def test_resumed_by_hand_a_planned_suspension_is_over_for_the_gateway_too(w):
    with time_machine.travel(MONDAY, tick=False):
        agreement = agreement_in_force(w)
        planned = announce(w, agreement)
    with time_machine.travel("2026-06-12T22:00:30+07:00", tick=False):
        run_clock()
        agreement.refresh_from_db()
        before = current_epoch()
        resume_agreement(agreement, by=w.provider_officer)
        assert paused(agreement) is False
        assert current_epoch() == before + 1
    with time_machine.travel("2026-06-12T22:01:30+07:00", tick=False):
        told = run_clock()
        assert (told["begun"], told["over"]) == (0, 0)
        planned.refresh_from_db()
        assert planned.ended_at == at("2026-06-12T22:00:30+07:00")
        announce(w, agreement, starts="2026-07-01T22:00:00+07:00", ends="2026-07-02T02:00:00+07:00")
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.IN_FORCE


@pytest.fixture
def stopped_before(w):
    """Force majeure an hour before an announced suspension begins."""
    with time_machine.travel(MONDAY, tick=False):
        agreement = agreement_in_force(w)
        planned = announce(w, agreement)
    with time_machine.travel("2026-06-12T21:00:00+07:00", tick=False):
        suspend_agreement(agreement, by=w.operator, kind=SuspensionKind.FORCE_MAJEURE, violation="Mất điện.", plan="Chờ.")
    return agreement, planned


@pytest.mark.parametrize("clock_came", [True, False])
def test_an_announced_period_is_not_opened_inside_by_resuming_what_stopped_it_before(w, stopped_before, clock_came):
    agreement, planned = stopped_before
    with time_machine.travel("2026-06-12T22:05:00+07:00", tick=False):
        if clock_came:
            run_clock()
        with pytest.raises(NotPermitted):
            resume_agreement(agreement, by=w.consumer_officer)
        with pytest.raises(FactMissing) as refusal:
            resume_agreement(agreement, by=w.operator)
        assert refusal.value.code == "planned_suspension_runs"
        assert "02:00 13/06/2026" in str(refusal.value.detail)
        assert planned in PlannedSuspension.objects.open()
        cancel_suspension(planned, by=w.provider_officer)  # somebody says so
        resume_agreement(agreement, by=w.operator)
        assert (agreement.status, paused(agreement)) == (AgreementStatus.IN_FORCE, False)


def test_the_announced_period_beside_another_suspension_ends_with_its_time(w, stopped_before):
    agreement, planned = stopped_before
    for moment in ("2026-06-12T22:00:30+07:00", "2026-06-13T02:00:30+07:00"):
        with time_machine.travel(moment, tick=False):
            run_clock()
    agreement.refresh_from_db()
    assert (agreement.status, agreement.suspension_kind) == (AgreementStatus.SUSPENDED, SuspensionKind.FORCE_MAJEURE)
    planned.refresh_from_db()
    assert planned.ended_at == at("2026-06-13T02:00:30+07:00")
    with time_machine.travel("2026-06-13T02:05:00+07:00", tick=False):
        resume_agreement(agreement, by=w.operator)


def test_a_planned_suspension_that_has_begun_is_ended_by_resuming_not_called_off(w):
    with time_machine.travel(MONDAY, tick=False):
        planned = announce(w, agreement_in_force(w))
    with time_machine.travel("2026-06-12T22:00:30+07:00", tick=False):
        run_clock()
        with pytest.raises(Conflict) as refusal:
            cancel_suspension(planned, by=w.provider_officer)
    assert refusal.value.code == "already_begun"


def paused(agreement) -> bool:
    """Whether the gateway holds calls back now: what it reads of the agreement, and its own question."""
    query, _arguments, make = _agreement_query(None)
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column.name for column in cursor.description]
        rows = [make(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
    return next(_is_paused(row, timezone.now().timestamp()) for row in rows if row.id == agreement.pk)


def test_a_violation_found_meanwhile_is_not_ended_by_the_clock(w):
    with time_machine.travel(MONDAY, tick=False):
        agreement = agreement_in_force(w)
        announce(w, agreement)
    with time_machine.travel("2026-06-10T09:00:00+07:00", tick=False):
        suspend_agreement(
            agreement, by=w.operator, kind=SuspensionKind.VIOLATION, violation="x", plan="y", restore_conditions="z"
        )
    for moment in ("2026-06-12T22:00:30+07:00", "2026-06-13T02:00:30+07:00"):
        with time_machine.travel(moment, tick=False):
            run_clock()
    agreement.refresh_from_db()
    assert (agreement.status, agreement.suspension_kind) == (AgreementStatus.SUSPENDED, SuspensionKind.VIOLATION)


@time_machine.travel(MONDAY, tick=False)
def test_it_can_be_called_off_before_it_begins(w):
    planned = announce(w, agreement_in_force(w))
    cancel_suspension(planned, by=w.operator)
    with pytest.raises(Conflict):
        cancel_suspension(planned, by=w.operator)
    announce(w, planned.agreement)


@time_machine.travel(MONDAY, tick=False)
def test_one_announcement_at_a_time_with_a_reason_and_an_end(w):
    agreement = agreement_in_force(w)
    with pytest.raises(InvalidFact):
        announce(w, agreement, ends="2026-06-12T21:00:00+07:00")
    with pytest.raises(FactMissing):
        announce_suspension(agreement, by=w.operator, starts_at=timezone.now(), ends_at=timezone.now(), reason=" ")
    announce(w, agreement)
    with pytest.raises(Conflict):
        announce(w, agreement)


@pytest.mark.parametrize("person", ["consumer_officer", "provider_signer", "stranger"])
def test_only_the_provider_and_the_operator_announce(w, person):
    with time_machine.travel(MONDAY, tick=False), pytest.raises(NotPermitted):
        announce(w, agreement_in_force(w), by=getattr(w, person))


def test_ag_06_the_end_is_told_sixty_thirty_and_seven_days_before_each_once(w):
    agreement = agreement_in_force(w)
    told = []
    for days in (61, 60, 45, 30, 29, 7, 6, 1):
        with time_machine.travel(agreement.valid_to - datetime.timedelta(days=days), tick=False):
            told.append((days, run_clock()["renewals"]))
            assert run_clock()["renewals"] == 0
    assert told == [(61, 0), (60, 1), (45, 0), (30, 1), (29, 0), (7, 1), (6, 0), (1, 0)]
    assert Notice.objects.filter(kind="agreement.ends_soon", recipient=w.consumer_officer).count() == 3
    wanted = ConnectionRequest.objects.get().wanted_to
    assert all(f"{wanted:%d/%m/%Y}" in str(row) for row in Notice.objects.filter(kind="agreement.ends_soon").values()), (
        "the last day asked for, not the midnight after"
    )


def test_of_an_end_that_was_moved_since_the_clock_read_it_nobody_is_told(w):
    """A renewal came between: its own end is told of in its time."""
    agreement = agreement_in_force(w)
    account, _secret = collected(w, environment="test")
    later = datetime.timedelta(days=365)
    Agreement.objects.update(valid_to=agreement.valid_to + later)
    Credential.objects.update(expires_at=account.expires_at + later)
    for stale, tell, end in ((agreement, _remind, agreement.valid_to), (account, _warn, account.expires_at)):
        assert tell(stale, end - datetime.timedelta(days=6)) == 0
        fresh = type(stale).objects.get(pk=stale.pk)
        assert (getattr(fresh, "reminded_days", None), getattr(fresh, "warned_days", None)) == (None, None)
        assert tell(fresh, end + later - datetime.timedelta(days=6)) == 1


def test_ag_06_the_end_is_told_while_the_agreement_is_suspended_too(w):
    agreement = agreement_in_force(w)
    suspend_agreement(agreement, by=w.operator, kind=SuspensionKind.FORCE_MAJEURE, violation="Mất điện.", plan="Chờ.")
    for days in (60, 30, 7):
        with time_machine.travel(agreement.valid_to - datetime.timedelta(days=days), tick=False):
            assert run_clock()["renewals"] == 1
            assert run_clock()["renewals"] == 0
    for person in (w.consumer_officer, w.provider_officer):
        heard = Notice.objects.filter(kind="agreement.ends_soon", recipient=person)
        assert heard.count() == 3
        assert all("suspended" in row.facts["message"] for row in heard), "it cannot be renewed before it is resumed"


@pytest.mark.parametrize("planned", [True, False])
def test_both_sides_hear_that_a_suspended_agreement_has_run_out(w, planned):
    with time_machine.travel(MONDAY, tick=False):
        agreement = agreement_in_force(w, wanted_to=datetime.date(2026, 6, 12))
        if planned:
            announce(w, agreement, ends="2026-06-20T02:00:00+07:00")
        else:
            suspend_agreement(agreement, by=w.operator, kind=SuspensionKind.FORCE_MAJEURE, violation="Mất điện.", plan="Chờ.")
    with time_machine.travel("2026-06-12T22:00:30+07:00", tick=False):
        run_clock()
        agreement.refresh_from_db()
        assert agreement.status == AgreementStatus.SUSPENDED
    with time_machine.travel("2026-06-13T00:00:30+07:00", tick=False):
        assert run_clock()["expired"] == 1
        assert run_clock()["expired"] == 0
    told = {row.recipient for row in Notice.objects.filter(kind="agreement.expired").select_related("recipient")}
    assert {w.consumer_officer, w.provider_officer, w.operator} <= told


def test_te_13_an_account_is_warned_of_thirty_seven_and_one_day_before(w):
    agreement_in_force(w, wanted_to=None)
    credential, _secret = collected(w, "test")
    told = []
    for days in (31, 30, 8, 7, 2, 1):
        with time_machine.travel(credential.expires_at - datetime.timedelta(days=days), tick=False):
            told.append((days, run_clock()["accounts"]))
    assert told == [(31, 0), (30, 1), (8, 0), (7, 1), (2, 0), (1, 1)]


# --- the days are the legal officer's --------------------------------------------------------------


def before(end: datetime.datetime, days: int):
    return time_machine.travel(end - datetime.timedelta(days=days), tick=False)


def end_of(w, kind: str) -> datetime.datetime:
    """The end of what the clock speaks of as `kind`: an agreement, or an account of it."""
    agreement = agreement_in_force(w, **({} if kind == "renewals" else {"wanted_to": None}))
    return agreement.valid_to if kind == "renewals" else collected(w, "test")[0].expires_at


KINDS = {"renewals": ("agreement.ends_soon", (60, 30, 7)), "accounts": ("credential.ends_soon", (30, 7, 1))}


@pytest.mark.parametrize("kind", KINDS)
def test_the_days_before_an_end_are_those_of_the_rules(w, kind):
    rule, _days = KINDS[kind]
    end, told = end_of(w, kind), []
    with before(end, 100):
        for number, days in enumerate((50, 20, 5), 1):
            set_rule(f"{rule}_{number}", days)
    for days in (60, 51, 50, 30, 20, 7, 5, 1):
        with before(end, days):
            told += [days] * run_clock()[kind]
    assert told == [50, 20, 5]
    assert Notice.objects.filter(kind=rule, recipient=w.consumer_officer).count() == 3


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_told_is_not_told_again_when_its_rule_changes_and_the_next_is_told(w, kind):
    rule, (first, second, third) = KINDS[kind]
    end = end_of(w, kind)

    def heard(days: int) -> int:
        with before(end, days):
            run_clock()
        return Notice.objects.filter(kind=rule, recipient=w.consumer_officer).count()

    assert heard(first) == 1
    with before(end, first - 1):
        set_rule(f"{rule}_1", first - 2)
    assert [heard(first - 1), heard(first - 2)] == [1, 1], "it is the first reminder all the same"
    assert heard(second) == 2
    with before(end, second - 1):
        set_rule(f"{rule}_2", 0)
    assert [heard(second - 1), heard(third + 1)] == [2, 2]
    assert heard(third) == 3, "that the second is none any more does not make the third a second"


def test_a_reminder_that_is_set_to_a_longer_time_is_told_at_once(w):
    end = end_of(w, "renewals")
    with before(end, 60):
        run_clock()
    with before(end, 50):
        set_rule("agreement.ends_soon_2", 55)
        assert run_clock()["renewals"] == 1
        assert run_clock()["renewals"] == 0


def test_a_reminder_of_no_days_is_none(w):
    end = end_of(w, "renewals")
    with before(end, 100):
        for number in (1, 2, 3):
            set_rule(f"agreement.ends_soon_{number}", 0)
    for days in (60, 30, 7, 1):
        with before(end, days):
            assert run_clock()["renewals"] == 0
    assert not Notice.objects.filter(kind="agreement.ends_soon").exists()


def test_a_rule_that_changes_while_the_clock_runs_stops_it_not(w):
    end = end_of(w, "renewals")
    with before(end, 60):
        (agreement,) = clock.ending_soon(timezone.now())
        set_rule("agreement.ends_soon_1", 40)
        assert clock._remind(agreement, timezone.now()) == 0
    agreement.refresh_from_db()
    assert agreement.reminded_days is None


def test_te_13_an_account_that_was_rotated_is_not_to_be_rotated_in_time(w):
    agreement_in_force(w, wanted_to=None)
    old, _secret = collected(w, "test")
    new = rotate_credential(old, by=w.consumer_officer)
    with time_machine.travel(old.expires_at - datetime.timedelta(days=30), tick=False):
        assert run_clock()["accounts"] == 1, "the successor was not collected"
    claim_credential(new, by=w.consumer_officer)
    assert run_clock()["accounts"] == 0, "it ends within the overlap because its successor is at work"


def test_te_13_an_account_whose_access_has_ended_is_not_to_be_rotated(w):
    agreement = agreement_in_force(w, wanted_to=None)
    account, _secret = collected(w, "test")
    terminate_agreement(agreement, by=w.operator, ground="authority", reason="Yêu cầu")
    with time_machine.travel(account.expires_at - datetime.timedelta(days=30), tick=False):
        assert run_clock()["accounts"] == 0
    assert not Notice.objects.filter(kind="credential.ends_soon").exists()


def test_of_an_agreement_that_is_over_no_suspension_is_announced_any_more(w):
    with time_machine.travel(MONDAY, tick=False):
        agreement = agreement_in_force(w)
        announce(w, agreement)
        terminate_agreement(agreement, by=w.operator, ground="authority", reason="Yêu cầu")
        assert not PlannedSuspension.objects.open().exists(), "the banner went on telling of it until its day"
        assert run_clock()["begun"] == 0
