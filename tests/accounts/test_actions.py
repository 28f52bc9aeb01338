"""The verbs on accounts."""

from __future__ import annotations

import pytest

from apps.accounts import actions
from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.core.errors import InvalidFact, NotPermitted, TransitionNotAllowed
from apps.organizations.choices import Role
from tests.factories.accounts import MachineFactory, UserFactory
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db
REASON = "Nghỉ việc"


@pytest.fixture
def operator():
    return officer(Role.OPERATOR)


@pytest.fixture
def person():
    return UserFactory(last_login=None)


VERBS = {
    "change": lambda user, by: actions.change_account(user, by=by, position="Trưởng phòng"),
    "disable": lambda user, by: actions.disable_account(user, by=by, reason=REASON),
    "set a first password": lambda user, by: actions.set_initial_password(user, by=by),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("role", [r for r in Role if r != Role.OPERATOR])
def test_only_the_operator_manages_accounts(person, role, verb):
    with pytest.raises(NotPermitted):
        VERBS[verb](person, officer(role))


@pytest.mark.parametrize("verb", VERBS)
def test_being_superuser_opens_nothing(person, verb):
    with pytest.raises(NotPermitted):
        VERBS[verb](person, UserFactory(is_superuser=True))


@pytest.mark.parametrize("verb", ["disable", "set a first password"])
def test_nobody_manages_their_own_account(operator, verb):
    with pytest.raises(NotPermitted) as caught:
        VERBS[verb](operator, operator)
    assert caught.value.code == "own_account"


@pytest.mark.parametrize("verb", ["change", "set a first password"])
def test_machines_are_left_alone(operator, verb):
    machine = MachineFactory()
    with pytest.raises(NotPermitted):
        VERBS[verb](machine, operator)


def test_an_account_is_disabled_and_enabled_once_with_a_reason(operator, person):
    with pytest.raises(InvalidFact):
        actions.disable_account(person, by=operator, reason=" ")
    with pytest.raises(TransitionNotAllowed):
        actions.enable_account(person, by=operator, reason=REASON)
    actions.disable_account(person, by=operator, reason=REASON)
    actions.change_account(person, by=officer(Role.OPERATOR), phone="0209 3810 001")
    with pytest.raises(TransitionNotAllowed) as caught:
        actions.disable_account(person, by=officer(Role.OPERATOR), reason=REASON)
    assert operator.full_name in str(caught.value), "who comes second is told who was first"
    assert caught.value.extra["by"] == operator.full_name
    actions.enable_account(person, by=operator, reason=REASON)
    assert User.objects.get(pk=person.pk).is_active
    events = list(AuditEvent.objects.about(person).values_list("event", flat=True))
    assert events == ["account.enabled", "account.changed", "account.disabled"]


def test_what_a_person_is_cannot_be_changed_into_power(operator, person):
    for name in ("is_superuser", "is_staff", "is_active", "password", "username", "is_machine", "last_login"):
        with pytest.raises(InvalidFact):
            actions.change_account(person, by=operator, **{name: True})


def test_the_audit_row_names_fields_and_no_personal_data(operator, person):
    actions.change_account(person, by=operator, full_name="Nguyễn Thị Riêng Tư", phone="0912 345 678")
    facts = AuditEvent.objects.get(event="account.changed").facts
    assert facts == {"fields": ["full_name", "phone"]}


def test_a_first_password_is_given_before_the_first_login_only(operator, person):
    from django.utils import timezone

    word = actions.set_initial_password(person, by=operator)
    person.refresh_from_db()
    assert person.check_password(word)
    assert person.must_change_password
    assert word not in str(list(AuditEvent.objects.values()))
    User.objects.filter(pk=person.pk).update(last_login=timezone.now())
    with pytest.raises(TransitionNotAllowed):
        actions.set_initial_password(person, by=operator)


def test_a_rule_is_asked_whoever_asks_and_a_disabled_person_holds_nothing(operator):
    assert operator.has_perm("organizations.give_role")
    operator.is_active = False
    assert not operator.has_perm("organizations.give_role")
    assert not UserFactory(is_superuser=True).has_perm("organizations.give_role")
