"""The verbs on agencies, systems and people."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from apps.accounts.choices import SETUP
from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.core.epoch import current_epoch
from apps.core.errors import Conflict, InvalidFact, NotPermitted, StaleVersion, TransitionNotAllowed
from apps.notices.models import OutboxMessage
from apps.organizations import actions
from apps.organizations.choices import OrganizationStatus, Role, SystemStatus
from apps.organizations.models import FocalPoint, InformationSystem, Membership, Organization
from apps.organizations.roles import has_role
from apps.organizations.workflow import ORGANIZATION, SYSTEM
from tests.factories.accounts import MachineFactory, UserFactory
from tests.factories.organizations import (
    FocalPointFactory,
    InformationSystemFactory,
    MembershipFactory,
    OrganizationFactory,
    officer,
)

pytestmark = pytest.mark.django_db
REASON = "Theo quyết định 12/QĐ-UBND"


@pytest.fixture
def operator():
    return officer(Role.OPERATOR)


@pytest.fixture
def agency():
    return OrganizationFactory()


def last_event(obj) -> AuditEvent:
    return AuditEvent.objects.about(obj).first()


# --- agencies -----------------------------------------------------------------------------------


def test_the_operator_registers_an_agency_and_the_act_is_written_down(operator, agency):
    made = actions.register_organization(
        " h03.12 ", "  Sở  Nội vụ ", by=operator, parent=agency, old_code="000.00.12.h03", short_name="SNV"
    )
    assert (made.code, made.name, made.old_code, made.parent) == ("H03.12", "Sở Nội vụ", "000.00.12.H03", agency)
    event = last_event(made)
    assert (event.event, event.actor, event.organizations) == ("organization.registered", operator, [made.uuid])


@pytest.mark.parametrize("role", [r for r in Role if r != Role.OPERATOR])
def test_no_other_role_registers_changes_or_suspends_an_agency(role, agency):
    person = officer(role, agency)
    with pytest.raises(NotPermitted):
        actions.register_organization("H03.99", "Sở Khác", by=person)
    with pytest.raises(NotPermitted):
        actions.change_organization(agency, by=person, name="Tên khác")
    with pytest.raises(NotPermitted):
        actions.suspend_organization(agency, by=person, reason=REASON)
    agency.refresh_from_db()
    assert agency.status == OrganizationStatus.ACTIVE


def test_a_superuser_without_the_role_may_not_either(agency):
    root = UserFactory(is_superuser=True)
    with pytest.raises(NotPermitted):
        actions.register_organization("H03.99", "Sở Khác", by=root)
    with pytest.raises(NotPermitted):
        actions.give_role(UserFactory(), agency, Role.SIGNER, by=root)


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"code": "khong hop le"}, "code"),
        ({"code": ""}, "code"),
        ({"old_code": "H03"}, "old_code"),
        ({"name": ""}, "name"),
        ({"kind": "ministry-of-magic"}, "kind"),
        ({"email": "khong-phai-thu"}, "email"),
    ],
)
def test_nonsense_is_refused_with_the_field_named_and_nothing_is_written(operator, facts, field):
    before = Organization.objects.count()
    given = {"code": "H03.77", "name": "Sở Thử", **facts}
    with pytest.raises(InvalidFact) as caught:
        actions.register_organization(given.pop("code"), given.pop("name"), by=operator, **given)
    assert field in caught.value.extra["fields"]
    assert Organization.objects.count() == before


def test_an_identifier_is_taken_once_in_either_form(operator):
    actions.register_organization("H03.12", "Sở Một", by=operator, old_code="000.00.12.H03")
    with pytest.raises(InvalidFact) as caught:
        actions.register_organization("H03.12", "Sở Hai", by=operator)
    assert "code" in caught.value.extra["fields"]
    with pytest.raises(InvalidFact):
        actions.register_organization("H03.13", "Sở Hai", by=operator, old_code="000.00.12.H03")


def test_an_agency_is_found_by_either_identifier(operator):
    made = actions.register_organization("H03.12", "Sở Một", by=operator, old_code="000.00.12.H03")
    assert Organization.objects.by_code("H03.12") == made
    assert Organization.objects.by_code(" 000.00.12.h03 ") == made
    assert Organization.objects.by_code("H03.1") is None
    assert Organization.objects.by_code("") is None


def test_an_agency_never_stands_under_itself(operator, agency):
    child = OrganizationFactory(parent=agency)
    grandchild = OrganizationFactory(parent=child)
    for parent in (agency, child, grandchild):
        with pytest.raises(InvalidFact) as caught:
            actions.change_organization(agency, by=operator, parent=parent)
        assert "parent" in caught.value.extra["fields"]
    agency.refresh_from_db()
    assert agency.parent is None


def test_a_change_is_told_field_by_field_and_raises_the_epoch_only_for_what_is_on_the_wire(operator, agency):
    before = current_epoch()
    assert actions.change_organization(agency, by=operator, phone="0209 111 222") == {"phone": ["", "0209 111 222"]}
    assert current_epoch() == before
    actions.change_organization(agency, by=operator, code="H03.88")
    assert current_epoch() == before + 1
    assert last_event(agency).facts["changes"]["code"][1] == "H03.88"
    assert actions.change_organization(agency, by=operator, code="H03.88") == {}
    assert AuditEvent.objects.about(agency).count() == 2


def test_a_stale_form_changes_nothing(operator, agency):
    seen = agency.version
    actions.change_organization(agency, by=operator, phone="1")
    with pytest.raises(StaleVersion):
        actions.change_organization(agency, by=operator, version=seen, phone="2")
    agency.refresh_from_db()
    assert agency.phone == "1"


def test_only_listed_facts_can_be_changed(operator, agency):
    for name, value in {"status": "closed", "uuid": "x", "version": 9}.items():
        with pytest.raises((InvalidFact, TypeError, StaleVersion)):
            actions.change_organization(agency, by=operator, **{name: value})
    agency.refresh_from_db()
    assert agency.status == OrganizationStatus.ACTIVE


ORGANIZATION_VERBS = {
    "suspend": actions.suspend_organization,
    "resume": actions.resume_organization,
    "close": actions.close_organization,
}


def test_every_step_of_an_agency_has_its_verb():
    assert {step.verb for step in ORGANIZATION.steps} == set(ORGANIZATION_VERBS)


@pytest.mark.parametrize(("verb", "status"), ORGANIZATION.disallowed(OrganizationStatus.values))
def test_an_agency_takes_no_step_from_a_wrong_status(operator, verb, status):
    agency = OrganizationFactory(status=status)
    with pytest.raises(TransitionNotAllowed):
        ORGANIZATION_VERBS[verb](agency, by=operator, reason=REASON)
    agency.refresh_from_db()
    assert agency.status == status
    assert not AuditEvent.objects.about(agency).exists()


def test_suspending_an_agency_takes_its_peoples_rights_and_raises_the_epoch(operator, agency):
    person = officer(Role.CONSUMER_OFFICER, agency)
    before = current_epoch()
    actions.suspend_organization(agency, by=operator, reason=REASON)
    assert current_epoch() == before + 1
    assert not has_role(User.objects.get(pk=person.pk), Role.CONSUMER_OFFICER)
    assert last_event(agency).facts == {"reason": REASON}
    actions.resume_organization(agency, by=operator)
    assert has_role(User.objects.get(pk=person.pk), Role.CONSUMER_OFFICER)
    assert current_epoch() == before + 2


@pytest.mark.parametrize("verb", [actions.suspend_organization, actions.close_organization])
def test_without_a_reason_nothing_is_suspended_or_closed(operator, agency, verb):
    with pytest.raises(InvalidFact):
        verb(agency, by=operator, reason="  ")


def test_the_operating_agency_cannot_be_shut_from_inside(operator):
    home = operator.memberships.get().organization
    for verb in (actions.suspend_organization, actions.close_organization):
        with pytest.raises(Conflict) as caught:
            verb(home, by=operator, reason=REASON)
        assert caught.value.code == "operating_agency"


def test_an_agency_is_closed_only_when_nothing_lives_under_it(operator, agency):
    child, system = OrganizationFactory(parent=agency), InformationSystemFactory(organization=agency)
    member, focal = MembershipFactory(organization=agency), FocalPointFactory(organization=agency)
    with pytest.raises(Conflict) as caught:
        actions.close_organization(agency, by=operator, reason=REASON)
    assert caught.value.code == "has_children"
    actions.close_organization(child, by=operator, reason=REASON)
    with pytest.raises(Conflict) as caught:
        actions.close_organization(agency, by=operator, reason=REASON)
    assert caught.value.code == "has_systems"
    actions.retire_system(system, by=operator, reason=REASON)
    actions.close_organization(agency, by=operator, reason=REASON)
    member.refresh_from_db()
    focal.refresh_from_db()
    assert member.ended_at
    assert focal.ended_at


def test_what_blows_up_late_leaves_nothing(operator, agency, monkeypatch):
    before = current_epoch()

    def explode(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr("apps.organizations.actions.agencies.audit.record", explode)
    with pytest.raises(RuntimeError):
        actions.suspend_organization(agency, by=operator, reason=REASON)
    assert Organization.objects.get(pk=agency.pk).status == OrganizationStatus.ACTIVE
    assert current_epoch() == before


# --- focal points -------------------------------------------------------------------------------

FOCAL = {"name": "Nguyễn Văn Mẫu", "position": "Chánh Văn phòng", "phone": "0209 1", "email": "mau@example.vn"}


@pytest.mark.parametrize("role", [Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER, Role.SIGNER])
def test_an_agency_names_its_own_focal_point_and_keeps_the_one_before(agency, role):
    person = officer(role, agency)
    first = actions.name_focal_point(agency, by=person, **FOCAL)
    second = actions.name_focal_point(agency, by=person, **{**FOCAL, "name": "Trần Thị Mẫu"})
    first.refresh_from_db()
    assert first.ended_at is not None
    assert second.ended_at is None
    assert FocalPoint.objects.filter(organization=agency).count() == 2
    assert last_event(second).event == "focal_point.named"


def test_naming_the_same_focal_point_again_changes_nothing(operator, agency):
    first = actions.name_focal_point(agency, by=operator, **FOCAL)
    assert actions.name_focal_point(agency, by=operator, **FOCAL) == first


def test_a_stranger_names_no_focal_point(agency):
    with pytest.raises(NotPermitted):
        actions.name_focal_point(agency, by=officer(Role.CONSUMER_OFFICER), **FOCAL)


@pytest.mark.parametrize("missing", ["name", "position", "phone", "email"])
def test_a_focal_point_is_published_whole_or_not_at_all(operator, agency, missing):
    actions.name_focal_point(agency, by=operator, **FOCAL)
    with pytest.raises(InvalidFact):
        actions.name_focal_point(agency, by=operator, **{**FOCAL, missing: ""})
    assert FocalPoint.objects.get(organization=agency, ended_at=None).name == FOCAL["name"]


# --- systems ------------------------------------------------------------------------------------

SYSTEM_VERBS = {"suspend": actions.suspend_system, "resume": actions.resume_system, "retire": actions.retire_system}


def test_an_officer_registers_a_system_of_their_own_agency_only(agency):
    person = officer(Role.CONSUMER_OFFICER, agency)
    system = actions.register_system(agency, by=person, code="Mot-Cua", name="Một cửa", security_level=2)
    assert (system.code, system.organization) == ("mot-cua", agency)
    assert last_event(system).event == "system.registered"
    with pytest.raises(NotPermitted):
        actions.register_system(OrganizationFactory(), by=person, code="khac", name="Khác")


def test_a_system_has_a_level_from_one_to_five(operator, agency):
    with pytest.raises(InvalidFact):
        actions.register_system(agency, by=operator, code="mot-cua", name="Một cửa", security_level=6)
    with pytest.raises(IntegrityError), transaction.atomic():
        InformationSystemFactory(security_level=0)


def test_owner_and_code_of_a_system_stay(operator):
    system = InformationSystemFactory()
    for name, value in {"organization": OrganizationFactory(), "code": "khac", "status": "retired"}.items():
        with pytest.raises(InvalidFact):
            actions.change_system(system, by=operator, **{name: value})


def test_a_change_of_network_reaches_the_gateway(operator):
    system, before = InformationSystemFactory(), current_epoch()
    actions.change_system(system, by=operator, name="Tên mới")
    assert current_epoch() == before
    actions.change_system(system, by=operator, network="internet")
    assert current_epoch() == before + 1


@pytest.mark.parametrize(("verb", "status"), SYSTEM.disallowed(SystemStatus.values))
def test_a_system_takes_no_step_from_a_wrong_status(operator, verb, status):
    system = InformationSystemFactory(status=status)
    with pytest.raises(TransitionNotAllowed):
        SYSTEM_VERBS[verb](system, by=operator, reason=REASON)
    system.refresh_from_db()
    assert system.status == status


@pytest.mark.parametrize("step", SYSTEM.steps, ids=lambda step: step.verb)
def test_each_step_of_a_system_is_taken_written_down_and_told_to_the_gateway(operator, step):
    system, before = InformationSystemFactory(status=step.sources[0]), current_epoch()
    SYSTEM_VERBS[step.verb](system, by=operator, reason=REASON)
    assert InformationSystem.objects.get(pk=system.pk).status == step.target
    assert current_epoch() == before + 1
    assert last_event(system).actor == operator


def test_an_agency_cannot_undo_the_operators_suspension(operator):
    system = InformationSystemFactory()
    person = officer(Role.CONSUMER_OFFICER, system.organization)
    actions.suspend_system(system, by=operator, reason=REASON)
    with pytest.raises(NotPermitted):
        actions.resume_system(system, by=person)


# --- people -------------------------------------------------------------------------------------


def test_an_account_is_opened_without_a_password_and_told_by_mail(operator, agency):
    user = actions.open_account(
        "Nguyen.Van.A", by=operator, full_name="Nguyễn Văn A", email="A@Example.vn", organization=agency,
        role=Role.CONSUMER_OFFICER,
    )  # fmt: skip
    assert (user.username, user.email, user.has_usable_password()) == ("nguyen.van.a", "a@example.vn", False)
    assert has_role(User.objects.get(pk=user.pk), Role.CONSUMER_OFFICER, agency.pk)
    message = OutboxMessage.objects.get()
    assert message.payload["to"] == "a@example.vn"
    assert "/accounts/password/reset/" in message.payload["params"]["address"]


def test_one_login_is_one_person(operator):
    actions.open_account("can.bo", by=operator, full_name="Một", email="mot@example.vn")
    for username, email in (("CAN.BO", "hai@example.vn"), ("can.bo.2", "MOT@example.vn")):
        with pytest.raises(InvalidFact):
            actions.open_account(username, by=operator, full_name="Hai", email=email)
    with pytest.raises(IntegrityError), transaction.atomic():
        UserFactory(username="CAN.BO")
    with pytest.raises(IntegrityError), transaction.atomic():
        UserFactory(email="MOT@EXAMPLE.VN")


@pytest.mark.parametrize("username", ["", "có dấu", "hai chữ", "a", "machine:clock", "x" * 151, "a\nb"])
def test_a_user_name_that_cannot_be_typed_is_refused(operator, username):
    with pytest.raises(InvalidFact):
        actions.open_account(username, by=operator, full_name="Người", email="n@example.vn")


def test_nobody_gives_a_role_to_themselves_or_ends_their_own(operator, agency):
    other = officer(Role.OPERATOR)
    with pytest.raises(NotPermitted) as caught:
        actions.give_role(operator, agency, Role.SIGNER, by=operator)
    assert caught.value.code == "own_account"
    with pytest.raises(NotPermitted):
        actions.end_role(operator.memberships.get(), by=operator)
    assert other.memberships.current().exists()


@pytest.mark.parametrize("role", [r for r in Role if r not in (Role.OPERATOR, Role.AGENCY_ADMIN)])
def test_only_the_operator_gives_roles(agency, role):
    with pytest.raises(NotPermitted):
        actions.give_role(UserFactory(), agency, Role.CONSUMER_OFFICER, by=officer(role, agency))


def test_a_role_given_twice_is_one_role(operator, agency):
    user = UserFactory()
    first = actions.give_role(user, agency, Role.SIGNER, by=operator)
    assert actions.give_role(user, agency, Role.SIGNER, by=operator) == first
    assert first.given_by == operator
    assert AuditEvent.objects.filter(event="role.given").count() == 1


def test_a_role_ends_with_the_next_request_and_once(operator):
    membership = MembershipFactory(role=Role.PROVIDER_OFFICER)
    actions.end_role(membership, by=operator)
    assert not has_role(User.objects.get(pk=membership.user_id), Role.PROVIDER_OFFICER)
    with pytest.raises(TransitionNotAllowed) as caught:
        actions.end_role(membership, by=officer(Role.OPERATOR))
    assert operator.full_name in str(caught.value), "who comes second is told who was first"


def test_who_comes_second_is_told_who_moved_the_agency_or_the_system_first(operator):
    agency, system = OrganizationFactory(), InformationSystemFactory()
    for verb, row in ((actions.suspend_organization, agency), (actions.suspend_system, system)):
        seen = type(row).objects.get(pk=row.pk)
        verb(row, by=operator, reason="Kiểm tra")
        with pytest.raises(TransitionNotAllowed) as caught:
            verb(seen, by=officer(Role.OPERATOR), reason="Kiểm tra")
        assert operator.full_name in str(caught.value)


def test_who_checks_is_not_who_acts(operator, agency):
    auditor, signer = officer(Role.AUDITOR, agency), officer(Role.SIGNER, agency)
    for person, role in ((auditor, Role.SIGNER), (signer, Role.AUDITOR)):
        with pytest.raises(Conflict) as caught:
            actions.give_role(person, agency, role, by=operator)
        assert caught.value.code == "auditor_apart"


def test_the_last_operator_stays(operator):
    second = officer(Role.OPERATOR)
    actions.end_role(second.memberships.get(), by=operator)
    setup = User.objects.machine(SETUP)
    with pytest.raises(Conflict) as caught:
        actions.end_role(operator.memberships.get(), by=setup)
    assert caught.value.code == "last_operator"


@pytest.mark.parametrize("state", ["machine", "disabled", "suspended agency", "unknown role"])
def test_a_role_needs_a_person_and_an_agency_that_are_active(operator, agency, state):
    user = MachineFactory() if state == "machine" else UserFactory(is_active=state != "disabled")
    where = OrganizationFactory(status="suspended") if state == "suspended agency" else agency
    with pytest.raises((NotPermitted, Conflict, InvalidFact)):
        actions.give_role(user, where, "king" if state == "unknown role" else Role.SIGNER, by=operator)
    assert not Membership.objects.filter(user=user).exists()


def test_the_setup_machine_founds_a_platform_and_other_machines_do_not():
    setup, other = User.objects.machine(SETUP), User.objects.machine("clock")
    agency = actions.register_organization("H03.01", "Sở Khoa học và Công nghệ", by=setup)
    user = actions.open_account("van.hanh", by=setup, full_name="Vận hành", organization=agency, role=Role.OPERATOR)
    assert has_role(user, Role.OPERATOR)
    with pytest.raises(NotPermitted):
        actions.register_organization("H03.02", "Sở Khác", by=other)


def test_a_new_mail_address_is_told_to_the_old_one(operator):
    user = UserFactory(email="cu@example.vn")
    actions.change_person(user, by=operator, email="moi@example.vn", position="Trưởng phòng")
    assert OutboxMessage.objects.get().payload["to"] == "cu@example.vn"
    facts = AuditEvent.objects.filter(event="account.changed").get().facts
    assert facts == {"fields": ["email", "position"]}
