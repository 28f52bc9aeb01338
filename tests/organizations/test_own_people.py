"""WF-06: an agency's administrator keeps the roles of its own people, and nothing beyond."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.core.errors import Conflict, InvalidFact, NotFound, NotPermitted
from apps.notices.models import Notice
from apps.organizations import actions
from apps.organizations.choices import AGENCY_ROLES, Role
from apps.organizations.models import Membership
from apps.organizations.roles import has_role
from tests.factories.accounts import UserFactory
from tests.factories.organizations import EndedMembershipFactory, MembershipFactory, OrganizationFactory, officer

pytestmark = pytest.mark.django_db


@pytest.fixture
def agency():
    return OrganizationFactory()


@pytest.fixture
def admin(agency):
    return officer(Role.AGENCY_ADMIN, agency)


@pytest.fixture
def colleague(agency):
    return officer(Role.CONSUMER_OFFICER, agency)


def account(agency, admin, **changes) -> User:
    facts = {
        "full_name": "Cán bộ xã",
        "email": "cb@example.vn",
        "organization": agency,
        "role": Role.CONSUMER_OFFICER,
        **changes,
    }
    return actions.open_account("can.bo.xa", by=admin, **facts)


@pytest.mark.parametrize("role", AGENCY_ROLES)
def test_the_administrator_gives_and_ends_a_role_of_its_own_people_and_the_operators_hear_of_it(agency, admin, colleague, role):
    operator = officer(Role.OPERATOR)
    held = actions.give_role(colleague, agency, role, by=admin)
    assert has_role(User.objects.get(pk=colleague.pk), role, agency.pk)
    if role == Role.CONSUMER_OFFICER:
        return  # held before: nothing new to tell
    assert held.given_by == admin
    assert AuditEvent.objects.about(held).get(event="role.given").actor == admin
    assert Notice.objects.filter(kind="role.given", recipient=operator).count() == 1
    actions.end_role(held, by=admin)
    assert not has_role(User.objects.get(pk=colleague.pk), role, agency.pk)
    assert Notice.objects.filter(kind="role.ended", recipient=operator).count() == 1


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.LEGAL_OFFICER, Role.AUDITOR, Role.AGENCY_ADMIN])
def test_no_role_of_the_platform_nor_another_administrator_comes_from_an_agency(agency, admin, colleague, role):
    with pytest.raises(NotPermitted):
        actions.give_role(colleague, agency, role, by=admin)
    with pytest.raises(NotPermitted):
        account(agency, admin, role=role)
    held = MembershipFactory(organization=agency, role=role)
    with pytest.raises(NotPermitted):
        actions.end_role(held, by=admin)
    assert Membership.objects.current().filter(pk=held.pk).exists()
    assert not User.objects.filter(username="can.bo.xa").exists()


def test_nothing_happens_in_another_agency(admin, colleague):
    other = OrganizationFactory()
    theirs = MembershipFactory(organization=other, role=Role.SIGNER)
    with pytest.raises(NotPermitted):
        actions.give_role(colleague, other, Role.SIGNER, by=admin)
    with pytest.raises(NotPermitted):
        actions.end_role(theirs, by=admin)
    with pytest.raises(NotPermitted):
        account(other, admin)


def test_other_agencies_people_are_not_there_for_the_administrator(agency, admin):
    stranger = officer(Role.SIGNER, OrganizationFactory())
    with pytest.raises(NotFound):
        actions.give_role(stranger, agency, Role.SIGNER, by=admin)
    former = EndedMembershipFactory(organization=agency).user
    assert actions.give_role(former, agency, Role.SIGNER, by=admin).role == Role.SIGNER


def test_the_administrator_opens_an_account_with_a_role_and_an_address(agency, admin):
    for name in ("email", "role", "organization"):
        with pytest.raises(InvalidFact) as refusal:
            account(agency, admin, **{name: None if name == "organization" else ""})
        assert set(refusal.value.extra["fields"]) == {name}
    assert not User.objects.filter(username="can.bo.xa").exists()
    made = account(agency, admin)
    assert has_role(made, Role.CONSUMER_OFFICER, agency.pk)
    with pytest.raises(NotPermitted):
        actions.set_initial_password(made, by=admin)
    with pytest.raises(NotPermitted):
        actions.disable_person(made, by=admin, reason="x")


def test_who_gives_the_roles_takes_none_of_the_steps(agency, admin):
    operator = officer(Role.OPERATOR)
    with pytest.raises(NotPermitted):
        actions.give_role(admin, agency, Role.SIGNER, by=admin)
    for person, role in ((admin, Role.SIGNER), (officer(Role.SIGNER, agency), Role.AGENCY_ADMIN)):
        with pytest.raises(Conflict) as refusal:
            actions.give_role(person, agency, role, by=operator)
        assert refusal.value.code == "administrator_apart"


def test_the_role_ends_with_the_agency_and_with_the_membership(agency, admin, colleague):
    Membership.objects.filter(user=admin).update(ended_at="2026-01-01T00:00:00Z")
    with pytest.raises(NotPermitted):
        actions.give_role(colleague, agency, Role.SIGNER, by=User.objects.get(pk=admin.pk))


def browser(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_the_agencys_page_has_the_doors_and_only_for_its_administrator(agency, admin, colleague):
    page, give = reverse("portal:agency", args=[agency.code]), reverse("portal:agency-role", args=[agency.code])
    new = reverse("portal:agency-person", args=[agency.code])
    mine = browser(admin)
    assert {give, new} <= set(_links(mine.get(page)))
    form = mine.get(give).context["form"]
    assert [value for value, _label in form.fields["role"].choices] == [role.value for role in AGENCY_ROLES]
    sent = {"username": colleague.username, "organization": agency.code, "role": "signer"}
    assert mine.post(give, sent).status_code == 302
    held = colleague.memberships.get(role=Role.SIGNER)
    end = reverse("portal:agency-role-end", args=[agency.code, held.uuid])
    assert end in _links(mine.get(page))
    assert browser(colleague).post(end).status_code == 403
    assert mine.post(end, {"reason": "Chuyển công tác"}).status_code == 302
    assert not Membership.objects.current().filter(pk=held.pk).exists()
    opened = {"username": "can.bo.moi", "full_name": "Cán bộ mới", "organization": agency.code, "role": "consumer_officer"}
    assert mine.post(new, opened).status_code == 400
    assert mine.post(new, {**opened, "email": "moi@example.vn"}).status_code == 302
    assert has_role(User.objects.get(username="can.bo.moi"), Role.CONSUMER_OFFICER, agency.pk)


def test_a_name_of_another_agency_is_answered_as_a_name_of_nobody(agency, admin):
    give, stranger = reverse("portal:agency-role", args=[agency.code]), officer(Role.SIGNER, OrganizationFactory())
    answers = [
        browser(admin).post(give, {"username": name, "organization": agency.code, "role": "signer"})
        for name in (stranger.username, "khong-co-ai")
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    errors = [answer.context["form"].errors["username"] for answer in answers]
    assert errors[0] == errors[1]


def test_another_agencys_pages_are_closed(admin):
    other = OrganizationFactory()
    held = MembershipFactory(organization=other, role=Role.SIGNER)
    for name in ("agency-role", "agency-person"):
        assert browser(admin).get(reverse(f"portal:{name}", args=[other.code])).status_code == 403
    assert browser(admin).get(reverse("portal:agency-role-end", args=[other.code, held.uuid])).status_code == 404


def test_the_api_shows_the_administrator_its_own_people_without_what_they_are_elsewhere(agency, admin, colleague):
    elsewhere = OrganizationFactory()
    MembershipFactory(user=colleague, organization=elsewhere, role=Role.SIGNER)
    officer(Role.SIGNER, elsewhere)
    rows = browser(admin).get("/api/v1/people").json()["results"]
    assert {row["username"] for row in rows} == {admin.username, colleague.username}
    roles = next(row["roles"] for row in rows if row["username"] == colleague.username)
    assert [role["organization"]["code"] for role in roles] == [agency.code]
    assert browser(admin).get(f"/api/v1/people?organization={elsewhere.code}").json()["results"] == []
    assert browser(colleague).get("/api/v1/people").json()["results"] == []
    given = browser(admin).post(
        "/api/v1/memberships", {"user": str(colleague.uuid), "organization": agency.code, "role": "signer"},
        content_type="application/json",
    )  # fmt: skip
    assert given.status_code == 201
    other = UserFactory()
    unknown = browser(admin).post(
        "/api/v1/memberships", {"user": str(other.uuid), "organization": agency.code, "role": "signer"},
        content_type="application/json",
    )  # fmt: skip
    assert unknown.status_code == 404


def _links(answer) -> list[str]:
    return [part.split('"')[0] for part in answer.content.decode().split('href="')[1:]]
