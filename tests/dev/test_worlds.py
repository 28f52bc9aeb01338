"""`tests.fixtures.worlds`: what is put back is what the verbs made, it is the test's alone, and nothing is put back in doubt."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import time_machine
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import override_settings
from django.utils import timezone, translation

from apps.agreements.choices import AgreementStatus
from apps.agreements.models import Agreement, Duty
from apps.audit.models import AuditEvent
from apps.core.epoch import current_epoch
from apps.gateway.models import GatewayProcess
from apps.organizations.choices import Role
from apps.organizations.models import FocalPoint, Organization
from tests.factories.agreements import accepted
from tests.factories.connections import World, world
from tests.factories.organizations import officer
from tests.fixtures import worlds
from tests.fixtures.database import _columns, _tables, restore_seed
from tests.fixtures.worlds import BESIDE, remembered

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def a_test() -> Iterator[None]:
    """What a test without `transaction=True` runs in."""
    atomic = transaction.atomic()
    atomic._from_testcase = True
    with atomic:
        yield
        connection.check_constraints()
        transaction.set_rollback(True)


@pytest.fixture
def ran(monkeypatch) -> Iterator[list]:
    """Which factories ran their verbs, with nothing remembered from before."""
    monkeypatch.setattr(worlds, "_kept", {})
    monkeypatch.setattr(worlds, "_known", None)
    return []


@pytest.fixture
def small(ran):
    """A world of one agency, and what goes on from it."""

    @remembered
    def agency(**facts) -> Organization:
        ran.append("agency")
        return officer(Role.CONSUMER_OFFICER).memberships.get().organization

    @remembered
    def with_head(agency: Organization, **facts) -> Organization:
        ran.append("with_head")
        agency.focal_points.create(name="A", position="B", phone="1", email="a@example.vn")
        return agency

    return agency, with_head


def remembered_already(small, ran) -> tuple:
    """`small`, when its verbs run no more."""
    agency, with_head = small
    for _turn in range(3):
        with a_test():
            with_head(agency())
    ran.clear()
    return small


def gateway_says(running: int) -> None:
    """What a gateway beside writes at any moment, also when the rows of the last test have just been taken away."""
    now = timezone.now()
    facts = {"name": "beside", "started_at": now, "seen_at": now, "epoch": 1, "policy": "", "grants": 0, "running": running}
    GatewayProcess.objects.create(id=uuid.uuid4(), draining=False, faults=[], pauses=[], **facts)


def everything() -> dict[str, list]:
    """All rows of all tables, but for what processes beside this one write."""
    with connection.cursor() as cursor:
        found = {}
        for name in sorted(set(_tables(cursor)) - BESIDE):
            cursor.execute(f"SELECT {_columns(cursor, name)} FROM {name} ORDER BY 1")
            found[name] = cursor.fetchall()
        return found


def test_what_is_put_back_is_what_the_verbs_made_row_by_row(ran):
    seen = []
    for _turn in range(4):
        with a_test():
            w = world()
            before = everything()
            agreement = accepted(w)
            seen.append((before, everything(), vars(w), agreement, list(agreement.grants.order_by("pk")), current_epoch()))
    (_made, kept, *put_back) = seen
    assert len(put_back) == 2
    for turn in put_back:
        assert turn == kept
    filled = [name for name, rows in kept[1].items() if rows]
    assert len(filled) > 30
    assert kept[0] != kept[1]


def test_verbs_run_twice_and_then_never_again(small, ran):
    agency, with_head = small
    for _turn in range(5):
        with a_test():
            assert with_head(agency()).focal_points.count() == 1
    assert ran == ["agency", "with_head"] * 2


def test_what_one_test_changes_in_rows_and_objects_the_next_does_not_see(ran):
    for turn in range(5):
        with a_test():
            w = world()
            agreement = accepted(w)
            assert (agreement.title, agreement.status) == ("Tra cứu đăng ký doanh nghiệp", AgreementStatus.IN_FORCE)
            assert w.consumer.name.startswith("Sở Thử nghiệm")
            assert not hasattr(w, "joiner")
            assert Agreement.objects.get() == agreement
            assert Organization.objects.filter(name__startswith="Sở đổi tên").count() == 0
            agreement.title = f"Đã đổi {turn}"
            agreement.save()
            w.consumer.name = f"Sở đổi tên {turn}"
            w.consumer.save()
            w.joiner = w.consumer
            AuditEvent.objects.create(event="x")


def test_the_database_guards_what_was_put_back(ran):
    for _turn in range(3):
        with a_test():
            version = accepted(world()).current_version
            with pytest.raises(IntegrityError), transaction.atomic():
                Duty.objects.create(agreement_id=0, party_id=0, kind="data_deleted")
                connection.check_constraints()
            with pytest.raises(DatabaseError, match="agreements_agreementversion"), transaction.atomic():
                type(version).objects.filter(pk=version.pk).update(content={})


def test_whatever_was_written_before_the_verbs_run(small, ran):
    agency, with_head = remembered_already(small, ran)
    with a_test():
        first = agency()
        assert ran == []
        AuditEvent.objects.create(event="x")
        with_head(first)
        assert ran == ["with_head"]
    with a_test():
        AuditEvent.objects.create(event="x")
        assert agency() != agency()
    assert ran == ["with_head", "agency", "agency"]


def test_another_world_than_the_one_just_made_is_no_beginning(small, ran):
    agency, with_head = remembered_already(small, ran)
    with a_test():
        mine = agency()
        mine.short_name = "X"
        with_head(mine)
        assert ran == ["with_head"]


def test_where_the_clock_stands_the_worlds_of_that_moment_are_put_back(small, ran):
    agency, with_head = small
    for day in (1, 2):
        for _turn in range(3):
            with time_machine.travel(datetime.datetime(2026, 1, day, tzinfo=datetime.UTC), tick=False), a_test():
                assert with_head(agency()).created_at == timezone.now()
    assert ran == ["agency", "with_head"] * 4
    ran.clear()
    with a_test():
        with time_machine.travel(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), tick=False):
            made = agency()
        with_head(made)
    assert ran == ["with_head"]


def test_what_is_done_to_the_objects_given_is_done_again_and_they_stay_the_same_objects(small, ran):
    agency, _with_head = small

    @remembered
    def renamed(agency: Organization) -> tuple[FocalPoint, str]:
        ran.append("renamed")
        agency.name = "Tên mới"
        agency.save()
        return FocalPoint(organization=agency, name="A"), agency.name

    for _turn in range(4):
        with a_test():
            made = agency()
            assert made.name != "Tên mới"
            point, name = renamed(made)
            assert point.organization is made
            assert (made.name, name, Organization.objects.get(pk=made.pk).name) == ("Tên mới",) * 3
    assert ran == ["agency", "renamed"] * 2


def test_what_waits_for_the_commit_waits_again(ran):
    done = []

    @remembered
    def waking(**facts) -> Organization:
        ran.append("waking")
        transaction.on_commit(lambda: done.append("woken"))
        return officer(Role.CONSUMER_OFFICER).memberships.get().organization

    for turn in range(4):
        gateway_says(turn)
        with worlds.committed():
            waking()
            assert len(done) == turn
        assert len(done) == turn + 1
        restore_seed()
    assert ran == ["waking"] * 2


def test_rows_that_were_taken_away_are_taken_away_again(small, ran):
    _agency, with_head = small

    @remembered
    def without_head(agency: Organization) -> Organization:
        ran.append("without_head")
        agency.focal_points.all().delete()
        return Organization.objects.get(pk=agency.pk)

    for _turn in range(4):
        with a_test():
            headed = with_head(_agency())
            assert headed.focal_points.count() == 1
            assert without_head(headed).focal_points.count() == 0
    assert ran == ["agency", "with_head", "without_head"] * 2


@pytest.mark.parametrize(
    "elsewhere",
    [
        lambda: time_machine.travel(timezone.now() + datetime.timedelta(days=1)),
        lambda: translation.override("en"),
        lambda: override_settings(DEBUG=False),
        lambda: override_settings(MARK=object()),
    ],
    ids=["clock", "language", "settings", "object"],
)
def test_with_another_clock_language_or_settings_the_verbs_run(small, ran, elsewhere):
    agency, _with_head = small
    for _turn in range(3):
        with a_test():
            agency()
    ran.clear()
    with elsewhere(), a_test():
        agency()
    assert ran == ["agency"]


def test_the_same_settings_are_the_same_world(small, ran):
    agency, _with_head = small
    for allowed in ("a", "b"):
        for _turn in range(4):
            with override_settings(EGRESS_ALLOW=[allowed]), a_test():
                agency()
    assert len(ran) == 2 * 2
    for _turn in range(4):
        with override_settings(MARK=object()), a_test():
            agency()
    assert len(ran) == 2 * 2 + 4


def test_facts_tell_worlds_apart_and_objects_are_no_facts(small, ran):
    agency, _with_head = small
    for _turn in range(4):
        for facts in ({"a": 1}, {"a": True}, {"a": "1"}, {"b": [1]}):
            with a_test():
                agency(**facts)
    assert len(ran) == 2 * 3 + 4


def test_outside_a_tests_own_transaction_the_verbs_run(small, ran):
    agency, _with_head = small
    for _turn in range(4):
        with transaction.atomic():
            agency()
            transaction.set_rollback(True)
    agency()
    assert ran == ["agency"] * 5


def test_a_transactional_test_may_begin_with_a_world_and_only_begin(small, ran):
    agency, with_head = small
    for _turn in range(8):
        with worlds.committed():
            made = with_head(agency())
        assert Organization.objects.get() == made
        with worlds.committed():
            agency()
        restore_seed()
    # Twice, and once more wherever a process of the session (a gateway's heartbeat) wrote between: no such database is bare.
    begun = ran.count("with_head")
    assert 2 <= begun <= 5
    assert ran.count("agency") == begun + 8


def test_the_epoch_only_rises(ran):
    for _turn in range(3):
        with a_test():
            accepted(world())
            put_back = current_epoch()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE core_policyepoch SET epoch = epoch + 1000")
    later = current_epoch()
    with a_test():
        accepted(world())
        assert current_epoch() == max(later, put_back)


def test_a_factory_that_takes_away_a_row_of_the_migrations_is_never_remembered(ran):
    @remembered
    def without_rules(**facts) -> World:
        from apps.legal.models import RefusalGround

        ran.append("without")
        ground = RefusalGround.objects.order_by("pk").last()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("DELETE FROM legal_refusalground WHERE id = %s", [ground.pk])
        return ground

    for _turn in range(4):
        with a_test():
            without_rules()
    assert ran == ["without"] * 4
