"""The registers of agencies, systems, roles and people in the admin shell."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import User
from apps.organizations.choices import Role
from apps.organizations.models import FocalPoint, InformationSystem, Membership, Organization
from tests.factories.accounts import UserFactory
from tests.factories.organizations import InformationSystemFactory, MembershipFactory, ReadyOrganizationFactory, officer

pytestmark = pytest.mark.django_db
LISTS = (
    "organizations/organization",
    "organizations/focalpoint",
    "organizations/informationsystem",
    "organizations/membership",
)


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def agency():
    return ReadyOrganizationFactory(code="H03.12", name="Sở Nội vụ")


@pytest.fixture
def member(agency):
    return signed_in(officer(Role.CONSUMER_OFFICER, agency))


@pytest.fixture
def operator():
    return signed_in(officer(Role.OPERATOR))


def text(response) -> str:
    return response.content.decode()


@pytest.mark.parametrize("path", LISTS)
def test_lists_open_for_members_with_their_rows_only(member, agency, path, django_assert_max_num_queries):
    foreign = InformationSystemFactory(name="Hệ thống của người khác")
    stranger = MembershipFactory(organization=foreign.organization)
    with django_assert_max_num_queries(14):
        answer = member.get(f"/admin/{path}/")
    assert answer.status_code == 200
    assert foreign.name not in text(answer)
    assert stranger.user.full_name not in text(answer)


def test_the_list_of_people_is_the_platforms(member, operator):
    assert member.get("/admin/accounts/user/").status_code == 403
    assert operator.get("/admin/accounts/user/").status_code == 200
    person = UserFactory()
    assert member.get(f"/admin/accounts/user/{person.uuid}/change/").status_code in (302, 403, 404)
    assert person.email not in text(member.get(f"/admin/accounts/user/{person.uuid}/change/", follow=True))
    probe = operator.get("/admin/accounts/user/?password__startswith=md5")
    assert probe.status_code in (302, 400)


def test_the_operator_enters_changes_and_suspends_an_agency_by_hand(operator, agency):
    given = {"code": "H03.13", "name": "Phòng Mới", "kind": "unit", "parent": "H03.12"}
    made = operator.post("/admin/organizations/organization/do/register/", given)
    assert made.url == "/admin/organizations/organization/H03.13/change/"
    assert operator.get(made.url).status_code == 200
    row = Organization.objects.get(code="H03.13")
    path = "/admin/organizations/organization/H03.13/do/"
    answer = operator.post(f"{path}change/", {**given, "phone": "0209 5", "version": row.version})
    assert answer.status_code == 302, text(answer)
    stale = operator.post(f"{path}change/", {**given, "phone": "0209 6", "version": row.version})
    assert stale.status_code == 409
    assert operator.post(f"{path}suspend/", {"reason": ""}).status_code == 200
    assert operator.post(f"{path}suspend/", {"reason": "Sáp nhập"}).status_code == 302
    assert operator.post(f"{path}suspend/", {"reason": "Sáp nhập"}).status_code == 409
    row.refresh_from_db()
    assert (row.status, row.phone, row.parent) == ("suspended", "0209 5", agency)


def test_a_member_sees_only_the_buttons_that_are_theirs(member, operator, agency):
    own = text(member.get("/admin/organizations/organization/H03.12/change/"))
    assert "/do/name-focal-point/" in own
    assert "/do/suspend/" not in own
    assert "/do/suspend/" in text(operator.get("/admin/organizations/organization/H03.12/change/"))
    for verb in ("change", "suspend", "close"):
        assert member.post(f"/admin/organizations/organization/H03.12/do/{verb}/", {"reason": "x"}).status_code == 403
    for verb in ("register", "import"):
        assert member.get(f"/admin/organizations/organization/do/{verb}/").status_code == 403


def test_an_agency_names_its_focal_point_by_hand(member, agency):
    given = {"name": "Trần Mẫu", "position": "Chánh Văn phòng", "phone": "0209 2", "email": "tran@example.vn"}
    assert member.post("/admin/organizations/organization/H03.12/do/name-focal-point/", given).status_code == 302
    assert FocalPoint.objects.current().get(organization=agency).name == "Trần Mẫu"
    assert "Trần Mẫu" in text(member.get("/admin/organizations/focalpoint/"))


def test_a_member_registers_a_system_of_their_own_agency_only(member, agency):
    foreign = ReadyOrganizationFactory(code="H03.77")
    facts = {
        "name": "Một cửa",
        "kind": "one_stop",
        "network": "tslcd",
        "security_level": "2",
        "security_expires_on": "05/12/2026",
    }
    path = "/admin/organizations/informationsystem/do/register/"
    assert member.post(path, {**facts, "code": "khac", "organization": foreign.code}).status_code == 403
    assert member.post(path, {**facts, "code": "mot-cua", "organization": "H03.12"}).status_code == 302
    system = InformationSystem.objects.get()
    assert (system.code, system.security_expires_on.month) == ("mot-cua", 12)


def test_roles_are_given_and_ended_by_hand_and_never_to_oneself(operator, agency):
    user = UserFactory(username="le.c")
    given = {"username": "le.c", "organization": "H03.12", "role": "signer"}
    assert operator.post("/admin/organizations/membership/do/give/", given).status_code == 302
    row = Membership.objects.get(user=user)
    me = User.objects.get(memberships__role=Role.OPERATOR)
    own = operator.post("/admin/organizations/membership/do/give/", {**given, "username": me.username})
    assert own.status_code == 403
    assert operator.post(f"/admin/organizations/membership/{row.uuid}/do/end/", {}).status_code == 302
    assert not Membership.objects.current().filter(user=user).exists()


def test_an_account_is_opened_by_hand_and_its_first_password_shown_once(operator, agency):
    given = {"username": "moi", "full_name": "Người Mới", "organization": "H03.12", "role": "signer"}
    assert operator.post("/admin/accounts/user/do/open/", given).status_code == 302
    user = User.objects.get(username="moi")
    path = f"/admin/accounts/user/{user.uuid}/do/initial-password/"
    answer = operator.post(path)
    word = re.search(r"<strong>([a-z2-9-]{23})</strong>", text(answer))[1]
    user.refresh_from_db()
    assert user.check_password(word)
    assert "no-store" in answer["Cache-Control"]
    assert word not in text(operator.get(f"/admin/accounts/user/{user.uuid}/change/"))


def test_a_file_is_looked_at_and_then_imported_by_hand(operator):
    rows = "code,name\nH03.60,Sở Sáu mươi\n"
    path = "/admin/organizations/organization/do/import/"
    file = SimpleUploadedFile("f.csv", rows.encode())
    seen = operator.post(path, {"kind": "organizations", "file": file})
    assert seen.status_code == 200
    assert not Organization.objects.filter(code="H03.60").exists()
    hidden = dict(re.findall(r'name="(kind|content|digest)" value="([^"]*)"', text(seen)))
    assert operator.post(path, {**hidden, "digest": "0" * 64}).status_code == 409
    done = operator.post(path, hidden)
    assert done.status_code == 200
    assert Organization.objects.filter(code="H03.60").exists()
    bad = operator.post(path, {"kind": "organizations", "file": SimpleUploadedFile("f.xlsx", b"PK\x03\x04")})
    assert bad.status_code == 400


def test_hostile_text_is_shown_and_never_run(operator, agency):
    ReadyOrganizationFactory(code="H03.66", name="<script>alert(1)</script>", parent=agency)
    for path in ("", "H03.66/change/"):
        assert "<script>alert(1)" not in text(operator.get(f"/admin/organizations/organization/{path}"))
    rows = 'code,name\nH03.61,"<img src=x onerror=alert(1)>"\n'
    seen = operator.post(
        "/admin/organizations/organization/do/import/",
        {"kind": "organizations", "file": SimpleUploadedFile("f.csv", rows.encode())},
    )
    assert "<img src=x" not in text(seen)


def test_the_history_of_a_row_is_the_audit_log_and_only_what_one_may_read(operator, member, agency):
    operator.post("/admin/organizations/organization/H03.12/do/suspend/", {"reason": "Sáp nhập"})
    operator.post("/admin/organizations/organization/H03.12/do/resume/", {"reason": "Xong"})
    path = "/admin/organizations/organization/H03.12/history/"
    seen = operator.get(path)
    assert [row.event for row in seen.context["timeline"]] == ["organization.resumed", "organization.suspended"]
    assert len(member.get(path).context["timeline"]) == 2
    stranger = signed_in(officer(Role.CONSUMER_OFFICER))
    assert stranger.get(path).context["timeline"] == []
    assert operator.get("/admin/organizations/organization/H03.99/history/").status_code == 404


def test_every_link_of_a_row_leads_somewhere(operator, agency):
    """unfold's own links name primary keys, which our addresses do not know."""
    row = Membership.objects.exclude(organization__code="H03.12").get()
    address = f"/admin/organizations/membership/{row.uuid}/"
    shown = text(operator.get(f"{address}change/"))
    assert f'"{address}history/"' in shown
    links = {link for link in re.findall(r'href="(/admin/[^"?]+)"', shown) if link != "/admin/"}
    assert {link: operator.get(link).status_code for link in links} == dict.fromkeys(links, 200)
    assert not [link for link in links if re.search(r"/\d+/", link)]


def test_a_state_is_shown_in_words(operator, agency):
    assert "(&#x27;active&#x27;" not in text(operator.get("/admin/organizations/organization/H03.12/change/"))
