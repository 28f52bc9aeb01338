"""Regulations section 8, item 1: by what document a signer signs: given with the role, changed by whoever gives it, never by oneself."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.core.errors import Conflict, InvalidFact, NotPermitted, StaleVersion, TransitionNotAllowed
from apps.notices.models import Notice
from apps.organizations import actions, imports
from apps.organizations.choices import Role
from apps.organizations.models import Membership
from tests.factories.accounts import UserFactory
from tests.factories.organizations import EndedMembershipFactory, MembershipFactory, OrganizationFactory, officer

pytestmark = pytest.mark.django_db
DOCUMENT, OTHER = "36/QĐ-STC ngày 05/01/2026 của Giám đốc Sở", "40/UQ-STC ngày 02/03/2026"


@pytest.fixture
def agency():
    return OrganizationFactory(code="H03.12")


@pytest.fixture
def operator():
    return officer(Role.OPERATOR)


@pytest.fixture
def admin(agency):
    return officer(Role.AGENCY_ADMIN, agency)


@pytest.fixture
def held(agency) -> Membership:
    """A signer by office."""
    return MembershipFactory(organization=agency, role=Role.SIGNER)


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def stored(row: Membership) -> str:
    return Membership.objects.get(pk=row.pk).authority


def changes_of(row: Membership):
    return AuditEvent.objects.about(row).filter(event="role.authority_changed")


def test_the_document_is_given_with_the_role_and_is_on_record(operator, agency):
    held = actions.give_role(UserFactory(), agency, Role.SIGNER, by=operator, authority=f"  {DOCUMENT} ")
    assert stored(held) == DOCUMENT
    assert AuditEvent.objects.about(held).get(event="role.given").facts["authority"] == DOCUMENT
    opened = actions.open_account(
        "ky.moi", by=operator, full_name="Người Ký", organization=agency, role=Role.SIGNER, authority=OTHER
    )
    assert opened.memberships.get().authority == OTHER
    assert actions.give_role(UserFactory(), agency, Role.SIGNER, by=operator).authority == ""


def test_the_administrator_changes_it_as_often_as_it_changes_and_the_operators_hear_of_each(agency, admin, operator, held):
    for number, (before, after) in enumerate([("", DOCUMENT), (DOCUMENT, OTHER), (OTHER, "")], 1):
        assert actions.change_authority(held, by=admin, authority=after) == {"authority": [before, after]}
        event = changes_of(held).first()
        assert (stored(held), event.actor, event.facts["changes"]) == (after, admin, {"authority": [before, after]})
        assert Notice.objects.filter(kind="role.authority_changed", recipient=operator).count() == number
    assert actions.change_authority(held, by=admin, authority="") == {}
    assert changes_of(held).count() == 3, "what changed nothing is no event"


def test_what_the_operator_changes_is_told_to_no_operator(operator, held):
    actions.change_authority(held, by=operator, authority=DOCUMENT)
    assert changes_of(held).get().organizations == [held.organization.uuid]
    assert not Notice.objects.filter(kind="role.authority_changed").exists()


def test_nobody_changes_their_own(operator, agency):
    own = MembershipFactory(user=operator, organization=agency, role=Role.SIGNER)
    with pytest.raises(NotPermitted) as refusal:
        actions.change_authority(own, by=operator, authority=DOCUMENT)
    assert (refusal.value.code, stored(own)) == ("own_account", "")


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.OPERATOR, Role.AGENCY_ADMIN)])
def test_who_may_not_give_the_role_does_not_change_its_document(agency, held, role):
    with pytest.raises(NotPermitted):
        actions.change_authority(held, by=officer(role, agency), authority=DOCUMENT)
    assert stored(held) == ""


def test_nothing_happens_in_another_agency(admin):
    theirs = MembershipFactory(organization=OrganizationFactory(), role=Role.SIGNER)
    with pytest.raises(NotPermitted):
        actions.change_authority(theirs, by=admin, authority=DOCUMENT)
    assert stored(theirs) == ""


@pytest.mark.parametrize("role", [role for role in Role if role != Role.SIGNER])
def test_only_a_signer_signs_by_a_document(operator, agency, role):
    other = MembershipFactory(organization=agency, role=role)
    acts = [
        lambda: actions.give_role(UserFactory(), agency, role, by=operator, authority=DOCUMENT),
        lambda: actions.open_account("moi", by=operator, full_name="Mới", organization=agency, role=role, authority=DOCUMENT),
        lambda: actions.change_authority(other, by=operator, authority=DOCUMENT),
    ]
    for act in acts:
        with pytest.raises(InvalidFact) as refusal:
            act()
        assert set(refusal.value.extra["fields"]) == {"authority"}
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.filter(pk=other.pk).update(authority=DOCUMENT)
    assert not User.objects.filter(username="moi").exists()


def test_an_account_without_a_role_has_no_document(operator):
    with pytest.raises(InvalidFact):
        actions.open_account("moi", by=operator, full_name="Mới", authority=DOCUMENT)


def test_a_longer_text_than_there_is_room_for_is_refused(operator, agency, held):
    for act in (
        lambda: actions.give_role(UserFactory(), agency, Role.SIGNER, by=operator, authority="1" * 301),
        lambda: actions.change_authority(held, by=operator, authority="1" * 301),
    ):
        with pytest.raises(InvalidFact) as refusal:
            act()
        assert set(refusal.value.extra["fields"]) == {"authority"}


def test_whoever_comes_second_is_told_who_was_first(operator, admin, held):
    seen = held.version
    actions.change_authority(held, by=admin, authority=DOCUMENT, version=seen)
    with pytest.raises(StaleVersion) as refusal:
        actions.change_authority(held, by=operator, authority=OTHER, version=seen)
    assert (refusal.value.extra["by"], stored(held)) == (str(admin), DOCUMENT)
    read_before = Membership.objects.get(pk=held.pk)
    actions.end_role(held, by=operator)
    with pytest.raises(TransitionNotAllowed):
        actions.change_authority(read_before, by=operator, authority=OTHER)
    assert stored(held) == DOCUMENT


def test_a_role_that_is_held_by_another_document_is_not_given_by_this_one(operator, agency, held):
    again = {"user": held.user, "organization": agency, "role": Role.SIGNER, "by": operator}
    with pytest.raises(Conflict) as refusal:
        actions.give_role(**again, authority=DOCUMENT)
    assert (refusal.value.code, stored(held)) == ("authority_differs", "")
    actions.change_authority(held, by=operator, authority=DOCUMENT)
    assert actions.give_role(**again, authority=DOCUMENT) == held
    assert actions.give_role(**again) == held
    assert stored(held) == DOCUMENT


def test_what_fails_late_leaves_nothing(admin, held, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("late")

    monkeypatch.setattr("apps.organizations.actions.people.notify", fail)
    with pytest.raises(RuntimeError):
        actions.change_authority(held, by=admin, authority=DOCUMENT)
    assert (stored(held), changes_of(held).count()) == ("", 0)


# --- the doors ----------------------------------------------------------------------------------


def test_the_agencys_page_shows_it_and_has_the_door_for_the_administrator_alone(agency, admin, held):
    page, door = (reverse(f"portal:{name}", args=args) for name, args in (
        ("agency", [agency.code]), ("agency-role-authority", [agency.code, held.uuid]),
    ))  # fmt: skip
    mine, signer = signed_in(admin), signed_in(held.user)
    assert door in mine.get(page).content.decode()
    form = mine.get(door).context["form"]
    assert (form.initial["authority"], form.initial["version"]) == ("", 1)
    assert mine.post(door, {"authority": DOCUMENT, "version": 1}).status_code == 302
    assert stored(held) == DOCUMENT
    stale = mine.post(door, {"authority": OTHER, "version": 1})
    assert (stale.status_code, [row.now for row in stale.context["form"].overtaken]) == (409, [DOCUMENT])
    assert mine.post(door, {"authority": DOCUMENT, "version": 2}).status_code == 302, "left as it stands"
    shown = signer.get(page).content.decode()
    assert DOCUMENT in shown
    assert door not in shown
    assert signer.post(door, {"authority": OTHER}).status_code == 403
    officer_of_it = MembershipFactory(organization=agency, role=Role.CONSUMER_OFFICER)
    other = reverse("portal:agency-role-authority", args=[agency.code, officer_of_it.uuid])
    assert other not in mine.get(page).content.decode()
    assert mine.post(other, {"authority": OTHER}).status_code == 400


def test_the_forms_that_give_a_role_ask_for_it(agency, admin):
    mine, colleague = signed_in(admin), officer(Role.CONSUMER_OFFICER, agency)
    give, new = (reverse(f"portal:agency-{name}", args=[agency.code]) for name in ("role", "person"))
    asked = {"organization": agency.code, "role": "signer", "authority": DOCUMENT}
    assert mine.post(give, {**asked, "username": colleague.username, "role": "provider_officer"}).status_code == 400
    assert mine.post(give, {**asked, "username": colleague.username}).status_code == 302
    person = {"username": "ky.moi", "full_name": "Người Ký", "email": "ky@example.vn"}
    assert mine.post(new, {**asked, **person}).status_code == 302
    given = Membership.objects.filter(organization=agency, role=Role.SIGNER)
    assert list(given.values_list("authority", flat=True)) == [DOCUMENT, DOCUMENT]


def test_the_admin_has_the_step_for_a_signers_role_that_has_not_ended(operator, agency, held):
    client = signed_in(operator)
    others = (MembershipFactory(organization=agency), EndedMembershipFactory(organization=agency, role=Role.SIGNER))
    pages = {row: f"/admin/organizations/membership/{row.uuid}/" for row in (held, *others)}
    offered = {row for row, page in pages.items() if f"{page}do/authority/" in client.get(f"{page}change/").content.decode()}
    assert offered == {held}
    assert client.post(f"{pages[held]}do/authority/", {"authority": DOCUMENT, "version": 1}).status_code == 302
    assert DOCUMENT in client.get(f"{pages[held]}change/").content.decode()
    assert client.post(f"{pages[held]}do/authority/", {"authority": OTHER, "version": 1}).status_code == 409
    history = client.get(f"{pages[held]}history/").context["timeline"]
    assert [row.event for row in history] == ["role.authority_changed"]


def test_the_api_gives_shows_and_changes_it(agency, admin, operator):
    def caller(user) -> APIClient:
        client = APIClient()
        client.force_login(user)
        return client

    given = {"user": str(UserFactory().uuid), "organization": agency.code, "role": "signer", "authority": DOCUMENT}
    made = caller(operator).post("/api/v1/memberships", given)
    assert (made.status_code, made.json()["authority"], made.json()["version"]) == (201, DOCUMENT, 1)
    address = f"/api/v1/memberships/{made.json()['uuid']}"
    mine = caller(admin)
    changed = mine.patch(address, {"authority": OTHER, "version": 1})
    assert (changed.status_code, changed.json()["authority"], changed.json()["version"]) == (200, OTHER, 2)
    stale = mine.patch(address, {"authority": "", "version": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_version")
    assert mine.patch(address, {}).json() == changed.json()
    assert mine.patch(address, {"authority": "1" * 301}).status_code == 400
    signer = caller(User.objects.get(uuid=given["user"]))
    assert signer.patch(address, {"authority": ""}).status_code == 403
    stranger = caller(officer(Role.AGENCY_ADMIN))
    assert stranger.patch(address, {"authority": ""}).status_code == 404
    assert mine.get(address).json()["authority"] == OTHER
    opened = caller(operator).post(
        "/api/v1/people",
        {"username": "moi", "full_name": "Mới", "organization": agency.code, "role": "signer", "authority": OTHER},
    )
    assert [role["authority"] for role in opened.json()["roles"]] == [OTHER]


# --- a file -------------------------------------------------------------------------------------


def planned(kind: str, text: str, by) -> imports.Plan:
    return imports.preview(kind, text.encode(), by=by)


def run(kind: str, text: str, by) -> imports.Plan:
    return imports.apply(kind, text.encode(), by=by, digest=planned(kind, text, by).digest)


def test_a_file_of_roles_may_name_it(operator, agency, held):
    new = UserFactory(username="ky.moi")
    held.user.username = "ky.cu"
    held.user.save()
    text = f"Tên đăng nhập;Cơ quan;Vai trò;Văn bản ủy quyền\nky.moi;{agency.code};signer;{DOCUMENT}\nky.cu;{agency.code};signer;{OTHER}\n"
    plan = run("roles", text, operator)
    assert [(row.action, row.changes) for row in plan.rows] == [
        ("create", {"role": ["", f"signer @ {agency.code}"], "authority": ["", DOCUMENT]}),
        ("change", {"authority": ["", OTHER]}),
    ]
    assert (new.memberships.get().authority, stored(held)) == (DOCUMENT, OTHER)
    assert changes_of(held).get().actor == operator
    assert run("roles", text, operator).is_done
    emptied = text.replace(OTHER, "")
    assert planned("roles", emptied, operator).is_done, "an empty cell says nothing"


def test_a_file_without_the_column_is_read_as_before(operator, agency, held):
    held.user.username = "ky.cu"
    held.user.save()
    actions.change_authority(held, by=operator, authority=DOCUMENT)
    assert planned("roles", f"username,organization,role\nky.cu,{agency.code},signer\n", operator).is_done


def test_a_file_of_people_may_name_it_too(operator, agency):
    head = "username,full_name,organization,role,authority\n"
    row = f"ky.moi,Người Ký,{agency.code},signer,"
    run("people", f"{head}{row}{DOCUMENT}\n", operator)
    held = Membership.objects.get(user__username="ky.moi")
    assert held.authority == DOCUMENT
    plan = run("people", f"{head}{row}{OTHER}\n", operator)
    assert [(one.action, one.changes) for one in plan.rows] == [("change", {"authority": [DOCUMENT, OTHER]})]
    assert stored(held) == OTHER


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("roles", "ky.moi,{agency},consumer_officer,36/QĐ"),
        ("roles", "ky.moi,{agency},signer," + "1" * 301),
        ("people", "nguoi.moi,Người Mới,,,36/QĐ"),
        ("people", "nguoi.moi,Người Mới,{agency},provider_officer,36/QĐ"),
    ],
)
def test_a_row_that_no_role_could_bear_is_refused(operator, agency, kind, row):
    UserFactory(username="ky.moi")
    head = {"roles": "username,organization,role,authority\n", "people": "username,full_name,organization,role,authority\n"}
    plan = planned(kind, head[kind] + row.format(agency=agency.code) + "\n", operator)
    assert plan.counts["refused"] == 1
