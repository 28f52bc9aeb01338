"""The workflow helper on a real lifecycle row, with two real connections."""

import threading
from functools import partial

import pytest
import rules
from django.db import connection, transaction

from apps.core.errors import NotPermitted, StaleVersion, TransitionNotAllowed
from apps.core.workflow import Step, Workflow
from apps.organizations.models import Organization

LIFE = Workflow(
    "organization",
    (
        Step("suspend", ("active",), "suspended", "test.suspend", "Suspend"),
        Step("close", ("active", "suspended"), "closed", "test.close", "Close", style="danger"),
    ),
)


class Person:
    """Somebody whom the rules below give these permissions."""

    def __init__(self, *permissions):
        self.permissions = permissions


@pytest.fixture(autouse=True)
def _rules():
    for step in LIFE.steps:
        rules.add_perm(step.permission, rules.predicate(partial(_holds, step.permission), name=step.permission))
    yield
    for step in LIFE.steps:
        rules.remove_perm(step.permission)


def _holds(permission, user, obj) -> bool:
    return permission in user.permissions


ANYBODY = Person("test.suspend", "test.close")


@pytest.fixture
def agency(db):
    return Organization.objects.create(name="Sở A", code="H03.01")


def test_a_move_changes_status_version_and_facts_in_one_row(agency):
    LIFE.move(agency, "suspend", by=ANYBODY, phone="1")
    agency.refresh_from_db()
    assert (agency.status, agency.version, agency.phone) == ("suspended", 2, "1")


def test_a_role_is_asked_for(agency):
    with pytest.raises(NotPermitted):
        LIFE.move(agency, "close", by=Person("test.suspend"))


@pytest.mark.parametrize(("verb", "status"), LIFE.disallowed(["active", "suspended", "closed"]))
def test_no_step_from_a_state_the_table_does_not_name(agency, verb, status):
    agency.status = status
    agency.save()
    with pytest.raises(TransitionNotAllowed) as refused:
        LIFE.move(agency, verb, by=ANYBODY)
    assert refused.value.extra["state"] == status


def test_a_stale_reader_is_refused_even_in_the_right_state(agency):
    old = Organization.objects.get(pk=agency.pk)
    with transaction.atomic():
        LIFE.move(agency, "suspend", by=ANYBODY)
        Organization.objects.filter(pk=agency.pk).update(status="active")
    with pytest.raises(TransitionNotAllowed):
        LIFE.move(old, "suspend", by=ANYBODY)
    with pytest.raises(StaleVersion):
        LIFE.move(Organization.objects.get(pk=agency.pk), "suspend", by=ANYBODY, version=1)


def test_only_available_steps_are_offered(agency):
    assert [s.verb for s in LIFE.available(agency, ANYBODY)] == ["suspend", "close"]
    assert [s.verb for s in LIFE.available(agency, Person("test.close"))] == ["close"]


@pytest.mark.django_db(transaction=True)
def test_a_move_outside_a_transaction_is_a_programming_error():
    agency = Organization.objects.create(name="Sở A", code="H03.01")
    with pytest.raises(RuntimeError):
        LIFE.move(agency, "suspend", by=ANYBODY)


@pytest.mark.django_db(transaction=True)
def test_of_two_at_the_same_instant_exactly_one_moves():
    """CC-01 on the helper itself: both read the same version, then a barrier, then both move."""
    Organization.objects.create(name="Sở A", code="H03.01")
    for _round in range(20):
        Organization.objects.update(status="active")
        outcomes, barrier = [], threading.Barrier(2)

        def act(verb, barrier=barrier, outcomes=outcomes):
            mine = Organization.objects.get(code="H03.01")
            barrier.wait()
            try:
                with transaction.atomic():
                    LIFE.move(mine, verb, by=ANYBODY)
                outcomes.append("moved")
            except TransitionNotAllowed:
                outcomes.append("refused")
            finally:
                connection.close()

        threads = [threading.Thread(target=act, args=(verb,)) for verb in ("suspend", "close")]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert sorted(outcomes) == ["moved", "refused"]
