"""The REST API of agencies, systems, roles and people."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from apps.organizations.choices import OrganizationStatus, Role, SystemStatus
from apps.organizations.models import FocalPoint, InformationSystem, Membership, Organization
from tests.factories.accounts import UserFactory
from tests.factories.organizations import (
    EndedMembershipFactory,
    FocalPointFactory,
    InformationSystemFactory,
    MembershipFactory,
    OrganizationFactory,
    ReadyOrganizationFactory,
    officer,
)

pytestmark = pytest.mark.django_db


def signed_in(user) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


@pytest.fixture
def operator():
    return signed_in(officer(Role.OPERATOR))


@pytest.fixture
def agency():
    return ReadyOrganizationFactory(name="Sở Nội vụ", code="H03.12", old_code="000.00.12.H03")


@pytest.fixture
def member(agency):
    return signed_in(officer(Role.CONSUMER_OFFICER, agency))


def test_the_directory_is_open_to_members_and_shut_to_others(member, agency):
    answer = member.get("/api/v1/organizations")
    assert answer.json()["count"] == Organization.objects.count()
    assert signed_in(UserFactory()).get("/api/v1/organizations").json()["count"] == 0
    assert APIClient().get("/api/v1/organizations").status_code == 401


@pytest.mark.parametrize("code", ["H03.12", "h03.12", "000.00.12.H03"])
def test_an_agency_is_read_under_either_identifier(member, agency, code):
    body = member.get(f"/api/v1/organizations/{code}").json()
    assert (body["uuid"], body["code"], body["old_code"]) == (str(agency.uuid), "H03.12", "000.00.12.H03")
    assert body["focal_point"]["position"] == "Phó Chánh Văn phòng"


@pytest.mark.parametrize("code", ["H03.99", "H03", "1", "H03.12.", "%00"])
def test_what_is_not_there_is_not_found(member, agency, code):
    assert member.get(f"/api/v1/organizations/{code}").status_code == 404


def test_agencies_are_found_without_tones_and_by_what_they_lack(member, agency):
    OrganizationFactory(name="Ủy ban nhân dân xã Đồng Phúc", kind="commune")

    def found(query):
        return [row["name"] for row in member.get(f"/api/v1/organizations?{query}").json()["results"]]

    assert found("q=dong phuc") == ["Ủy ban nhân dân xã Đồng Phúc"]
    assert found("kind=commune") == ["Ủy ban nhân dân xã Đồng Phúc"]
    assert found("code=000.00.12.h03") == ["Sở Nội vụ"]
    assert found("without_focal_point=true") == ["Ủy ban nhân dân xã Đồng Phúc"]
    assert member.get("/api/v1/organizations?kind=king").status_code == 400
    assert len(found("folded__startswith=x")) == 2


def test_the_tree_is_drawn_in_order_by_one_query(member, agency, django_assert_num_queries):
    OrganizationFactory(name="Phòng B", parent=agency)
    OrganizationFactory(name="Phòng Ă", parent=OrganizationFactory(name="Phòng A", parent=agency))
    rows = member.get("/api/v1/organizations/tree").json()
    assert [(row["name"], row["depth"]) for row in rows] == [("Sở Nội vụ", 0), ("Phòng A", 1), ("Phòng Ă", 2), ("Phòng B", 1)]
    with django_assert_num_queries(4):  # session, user, roles, the tree
        member.get("/api/v1/organizations/tree")


@pytest.mark.parametrize(("path", "queries"), [("organizations", 6), ("focal-points", 5), ("systems", 5), ("memberships", 5)])
def test_a_list_costs_the_same_however_long(member, agency, django_assert_num_queries, path, queries):
    for _i in range(15):
        child = ReadyOrganizationFactory(parent=agency)
        InformationSystemFactory(organization=agency)
        MembershipFactory(organization=agency)
        FocalPointFactory(organization=child, ended_at="2026-01-01T00:00Z")
    with django_assert_num_queries(queries):
        assert member.get(f"/api/v1/{path}").json()["count"] >= 15


def test_the_operator_enters_and_changes_an_agency(operator, agency):
    made = operator.post("/api/v1/organizations", {"code": "H03.13", "name": "Phòng Mới", "parent": "000.00.12.H03"})
    assert made.status_code == 201
    assert made.json()["parent"] == "H03.12"
    changed = operator.patch("/api/v1/organizations/H03.13", {"phone": "0209 1", "version": made.json()["version"]})
    assert (changed.status_code, changed.json()["phone"]) == (200, "0209 1")
    stale = operator.patch("/api/v1/organizations/H03.13", {"phone": "0209 2", "version": made.json()["version"]})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_version")


def test_nonsense_is_told_field_by_field(operator, agency):
    answer = operator.post("/api/v1/organizations", {"code": "x", "name": "Phòng", "parent": "H99.1"})
    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == {"parent"}
    answer = operator.post("/api/v1/organizations", {"code": "x", "name": "Phòng"})
    assert set(answer.json()["fields"]) == {"code"}


def test_mass_assignment_changes_nothing_else(operator, agency):
    given = {"status": "closed", "uuid": "0" * 32, "version": agency.version, "folded": "x", "id": 1, "name": "Sở Nội vụ mới"}
    assert operator.patch("/api/v1/organizations/H03.12", given).status_code == 200
    agency.refresh_from_db()
    assert (agency.status, agency.folded[:6]) == (OrganizationStatus.ACTIVE, "so noi")


@pytest.mark.parametrize("verb", ["suspend", "resume", "close"])
def test_only_the_operator_moves_an_agency(member, operator, agency, verb):
    refused = member.post(f"/api/v1/organizations/H03.12/{verb}", {"reason": "Lý do"})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")


def test_an_agency_is_suspended_and_its_member_is_out_at_once(member, operator, agency):
    assert operator.post("/api/v1/organizations/H03.12/suspend", {"reason": "Sáp nhập"}).json()["status"] == "suspended"
    assert member.get("/api/v1/organizations").json()["count"] == 0
    again = operator.post("/api/v1/organizations/H03.12/suspend", {"reason": "Sáp nhập"})
    assert (again.status_code, again.json()["code"]) == (409, "transition_not_allowed")


FOCAL = {"name": "Trần Thị Mẫu", "position": "Chánh Văn phòng", "phone": "0209 2", "email": "tran@example.vn"}


def test_an_agency_names_its_focal_point_and_the_history_is_its_own(member, agency):
    made = member.post("/api/v1/organizations/H03.12/focal-points", FOCAL)
    assert made.status_code == 201
    assert len(member.get("/api/v1/organizations/H03.12/focal-points").json()) == 2
    stranger = signed_in(officer(Role.CONSUMER_OFFICER))
    assert [row["name"] for row in stranger.get("/api/v1/organizations/H03.12/focal-points").json()] == [FOCAL["name"]]
    assert stranger.post("/api/v1/organizations/H03.12/focal-points", FOCAL).status_code == 403
    assert FocalPoint.objects.current().get(organization=agency).name == FOCAL["name"]


# --- systems ------------------------------------------------------------------------------------


def test_a_member_keeps_the_systems_of_their_own_agency_and_sees_no_others(member, agency):
    made = member.post("/api/v1/systems", {"organization": "H03.12", "code": "mot-cua", "name": "Một cửa", "security_level": 2})
    assert made.status_code == 201
    foreign = InformationSystemFactory()
    assert [row["code"] for row in member.get("/api/v1/systems").json()["results"]] == ["mot-cua"]
    for method, path in (("get", ""), ("patch", ""), ("post", "/retire"), ("post", "/suspend")):
        answer = getattr(member, method)(f"/api/v1/systems/{foreign.code}{path}", {"reason": "x"})
        assert answer.status_code == 404, (method, path)
    other = {"organization": foreign.organization.code, "code": "khac", "name": "Khác"}
    assert member.post("/api/v1/systems", other).status_code == 403


def test_a_system_is_suspended_by_the_operator_alone(member, operator, agency):
    system = InformationSystemFactory(organization=agency)
    assert member.post(f"/api/v1/systems/{system.code}/suspend", {"reason": "x"}).status_code == 403
    assert operator.post(f"/api/v1/systems/{system.code}/suspend", {"reason": "Mất an toàn"}).status_code == 200
    assert InformationSystem.objects.get(pk=system.pk).status == SystemStatus.SUSPENDED


def test_owner_code_and_status_of_a_system_are_not_written(member, agency):
    system = InformationSystemFactory(organization=agency)
    given = {"code": "khac", "organization": "H03.1", "status": "retired", "name": "Tên mới"}
    assert member.patch(f"/api/v1/systems/{system.code}", given).status_code == 200
    stored = InformationSystem.objects.get(pk=system.pk)
    assert (stored.code, stored.organization, stored.status, stored.name) == (system.code, agency, "active", "Tên mới")


# --- roles and people ---------------------------------------------------------------------------


def test_roles_are_seen_where_one_works_and_given_by_the_operator(member, operator, agency):
    foreign = MembershipFactory()
    seen = {row["organization"]["code"] for row in member.get("/api/v1/memberships").json()["results"]}
    assert seen == {"H03.12"}
    assert member.get(f"/api/v1/memberships/{foreign.uuid}").status_code == 404
    assert member.post(f"/api/v1/memberships/{foreign.uuid}/end", {}).status_code == 404
    user = UserFactory()
    given = {"user": str(user.uuid), "organization": "H03.12", "role": "signer"}
    assert member.post("/api/v1/memberships", given).status_code == 403
    made = operator.post("/api/v1/memberships", given)
    assert made.status_code == 201
    assert operator.post(f"/api/v1/memberships/{made.json()['uuid']}/end", {"reason": "Chuyển công tác"}).status_code == 200
    assert Membership.objects.get(user=user).ended_at is not None


def test_nobody_gives_a_role_to_themselves_by_api_either(agency):
    person = officer(Role.OPERATOR)
    given = {"user": str(person.uuid), "organization": "H03.12", "role": "signer"}
    answer = signed_in(person).post("/api/v1/memberships", given)
    assert (answer.status_code, answer.json()["code"]) == (403, "own_account")


@pytest.mark.parametrize("role", [Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER, Role.SIGNER])
def test_agency_people_do_not_read_the_list_of_accounts(agency, role):
    person, client = UserFactory(), signed_in(officer(role, agency))
    assert client.get("/api/v1/people").json()["count"] == 0
    assert client.get(f"/api/v1/people/{person.uuid}").status_code == 404
    assert client.post("/api/v1/people", {"username": "moi", "full_name": "Mới"}).status_code == 403


def test_the_auditor_reads_accounts_and_changes_none(agency):
    client, person = signed_in(officer(Role.AUDITOR)), UserFactory()
    assert client.get(f"/api/v1/people/{person.uuid}").status_code == 200
    assert client.patch(f"/api/v1/people/{person.uuid}", {"email": "ke@example.vn"}).status_code == 403
    assert client.post(f"/api/v1/people/{person.uuid}/initial-password").status_code == 403


def test_the_life_of_an_account_by_api(operator, agency):
    made = operator.post(
        "/api/v1/people",
        {"username": "nguoi.moi", "full_name": "Người Mới", "email": "moi@example.vn", "organization": "H03.12", "role": "signer",
         "is_superuser": True, "is_staff": False},
    )  # fmt: skip
    assert made.status_code == 201
    body = made.json()
    assert body["roles"][0]["role"] == "signer"
    path = f"/api/v1/people/{body['uuid']}"
    word = operator.post(f"{path}/initial-password")
    assert word["Cache-Control"] == "no-store"
    from apps.accounts.models import User

    user = User.objects.get(uuid=body["uuid"])
    assert user.check_password(word.json()["password"])
    assert not user.is_superuser
    assert operator.patch(path, {"position": "Phó phòng"}).json()["position"] == "Phó phòng"
    assert operator.post(f"{path}/disable", {"reason": "Nghỉ việc"}).json()["is_active"] is False
    assert operator.post(f"{path}/disable", {"reason": "Nghỉ việc"}).status_code == 409
    assert operator.post(f"{path}/enable", {"reason": "Trở lại"}).json()["is_active"] is True


def test_people_are_listed_with_todays_roles_at_a_constant_cost(operator, agency, django_assert_num_queries):
    for _i in range(10):
        person = officer(Role.SIGNER, agency)
        EndedMembershipFactory(user=person, organization=agency, role=Role.CONSUMER_OFFICER)
    with django_assert_num_queries(6):
        rows = operator.get("/api/v1/people?organization=h03.12").json()["results"]
    assert len(rows) == 10
    assert {len(row["roles"]) for row in rows} == {1}


def test_a_body_too_large_or_too_deep_is_refused(operator):
    too_large = operator.generic("POST", "/api/v1/organizations", b" " * (6 * 1024 * 1024), content_type="application/json")
    assert too_large.status_code in (400, 413)
    too_deep = operator.generic("POST", "/api/v1/organizations", b"[" * 200_000, content_type="application/json")
    assert too_deep.status_code == 400
