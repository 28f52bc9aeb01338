"""Importing agencies, people and roles: looked at first, whole or not at all, twice does nothing, hostile files refused."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.core.errors import Conflict, DomainError, InvalidFact, NotPermitted
from apps.organizations import imports
from apps.organizations.choices import Role
from apps.organizations.models import Membership, Organization
from tests.factories.accounts import UserFactory
from tests.factories.organizations import MembershipFactory, OrganizationFactory, SuspendedOrganizationFactory, officer

pytestmark = pytest.mark.django_db

AGENCIES = """code,name,old_code,kind,parent,phone
H03.20.1,Phòng Kế hoạch,,unit,H03.20,
H03.20,Sở Xây dựng,000.00.20.H03,department,H03,+84 209 111
H03,Ủy ban nhân dân tỉnh,000.00.00.H03,province,,
"""
PEOPLE = """Tên đăng nhập;Họ và tên;Thư điện tử;Chức vụ;Cơ quan;Vai trò
nguyen.a;Nguyễn Văn A;a@example.vn;Chuyên viên;000.00.20.H03;consumer_officer
nguyen.a;Nguyễn Văn A;a@example.vn;Chuyên viên;H03.20;provider_officer
tran.b;Trần Thị B;b@example.vn;Phó Giám đốc;H03.20;signer
"""


@pytest.fixture
def operator():
    return officer(Role.OPERATOR)


def run(kind, text, by):
    content = text if isinstance(text, bytes) else text.encode()
    return imports.apply(kind, content, by=by, digest=imports.preview(kind, content, by=by).digest)


def test_a_preview_says_what_would_happen_and_writes_nothing(operator):
    plan = imports.preview("organizations", AGENCIES.encode(), by=operator)
    assert plan.can_apply
    assert plan.counts == {"create": 3, "change": 0, "same": 0, "refused": 0}
    assert [row.key for row in plan.rows] == ["H03", "H03.20", "H03.20.1"]  # parents first, whatever the file's order
    assert not Organization.objects.filter(code__startswith="H03.20").exists()


def test_all_agencies_of_a_file_are_held_before_the_first_is_written(operator):
    """An approval that holds the second one waits for the epoch, which the first one's new name raises."""
    run("organizations", AGENCIES, operator)
    with CaptureQueriesContext(connection) as asked:
        run(
            "organizations",
            AGENCIES.replace("Sở Xây dựng", "Sở Quy hoạch").replace("Phòng Kế hoạch", "Phòng Tổng hợp"),
            operator,
        )
    texts = [row["sql"] for row in asked]
    held = next(
        number for number, text in enumerate(texts) if "FOR NO KEY UPDATE" in text and "organizations_organization" in text
    )
    assert all(
        str(pk) in texts[held] for pk in Organization.objects.filter(code__startswith="H03.20").values_list("pk", flat=True)
    )
    assert not [text for text in texts[:held] if text.startswith("UPDATE")]
    assert Organization.objects.get(code="H03.20").name == "Sở Quy hoạch"


def test_a_file_is_applied_whole_and_a_second_time_does_nothing(operator):
    first = run("organizations", AGENCIES, operator)
    assert first.counts["create"] == 3
    office = Organization.objects.get(code="H03.20.1")
    assert office.parent.parent.old_code == "000.00.00.H03"
    events = AuditEvent.objects.count()
    again = imports.apply("organizations", AGENCIES.encode(), by=operator, digest=first.digest)
    assert again.counts["same"] == 3
    assert AuditEvent.objects.count() == events


def test_only_what_differs_is_changed_and_shown(operator):
    run("organizations", AGENCIES, operator)
    plan = run("organizations", AGENCIES.replace("Sở Xây dựng", "Sở Xây dựng và Giao thông"), operator)
    changed = [row for row in plan.rows if row.action == "change"]
    assert [row.changes for row in changed] == [{"name": ["Sở Xây dựng", "Sở Xây dựng và Giao thông"]}]


def test_one_bad_row_stops_all(operator):
    broken = AGENCIES + "H03.21,Sở Y tế,,department,H77.1,\n"
    plan = imports.preview("organizations", broken.encode(), by=operator)
    bad = [row for row in plan.rows if row.action == "refused"]
    assert [(row.line, row.key) for row in bad] == [(5, "H03.21")]
    with pytest.raises(InvalidFact) as caught:
        imports.apply("organizations", broken.encode(), by=operator, digest=plan.digest)
    assert caught.value.code == "rows_refused"
    assert "5" in caught.value.extra["rows"]
    assert not Organization.objects.filter(code="H03.20").exists()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("H03.20,Sở Trùng,,,,", "twice"),
        ("H03.22,=HYPERLINK(1),,,,", "formula"),
        ("H03.22,Sở A,,department,,@SUM(A1)", "formula"),
        ("H03.22,Sở A,,department,,-1+2", "formula"),
        ("h 03,Sở A,,,,", "code"),
        ("H03.22,,,,,", "empty"),
        ("H03.22,Sở A,000.00.20.H03,,,", "twice"),
        ("H03.22,Sở A,12,,,", "old_code"),
        ("H03.22,Sở A,,vua,,", "kind"),
        ("H03.22,Sở A,,,H03.22,", "itself"),
        ("H03.22,Sở A", "cells"),
        ("H03.22," + "A" * 501 + ",,,,", "long"),
    ],
)
def test_a_row_is_refused_with_its_reason(operator, row, why, settings):
    settings.LANGUAGE_CODE = "en"
    from django.utils import translation

    with translation.override("en"):
        plan = imports.preview("organizations", (AGENCIES + row + "\n").encode(), by=operator)
    reasons = " ".join(reason for r in plan.rows for reason in r.reasons)
    assert why in reasons
    assert not plan.can_apply


def test_a_circle_of_parents_is_refused(operator):
    circle = "code,name,parent\nH03.1,Một,H03.2\nH03.2,Hai,H03.3\nH03.3,Ba,H03.1\n"
    assert imports.preview("organizations", circle.encode(), by=operator).counts["refused"] == 3


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "missing"),
        (b"code,name\n", "rows"),
        ("code,name\nH03.1,Sở\n".encode("utf-16"), "UTF-16"),
        ("code,name\nH03.1,Sở Nội vụ\n".encode("utf-16-le"), "UTF-16"),
        ("code,name\nH03.1,Sơ Tài chính đầu tư\n".encode("cp1258", "replace"), "CP1258"),
        (b"PK\x03\x04 workbook", "workbook"),
        (b"\xd0\xcf\x11\xe0 old workbook", "workbook"),
        (b'code,name\nH03.1,"never closed\n', "CSV"),
        (b"code,name,secret\nH03.1,A,x\n", "Unknown"),
        (b"code,name,name\nH03.1,A,B\n", "twice"),
        (b"code\nH03.1\n", "missing"),
        (b"code,name\n" + b"H03.1,A\n" * 5001, "5001"),
        (b"code,name\n" + b"x" * (1024 * 1024), "1 MiB"),
        (b"code,name\nH03.1," + b"A" * 200_000 + b"\n", "CSV"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused_with_a_clear_word(operator, content, why):
    from django.utils import translation

    with translation.override("en"), pytest.raises(InvalidFact) as caught:
        imports.preview("organizations", content, by=operator)
    assert caught.value.code == "file_refused"
    assert why in str(caught.value.detail)


def test_a_byte_order_mark_and_semicolons_are_what_excel_writes(operator):
    content = "\ufeff" + AGENCIES.replace(",", ";")
    assert imports.preview("organizations", content.encode(), by=operator).counts["create"] == 3


def test_people_come_with_their_roles(operator):
    run("organizations", AGENCIES, operator)
    plan = run("people", PEOPLE, operator)
    assert plan.counts["create"] == 3
    assert sorted(Membership.objects.filter(user__username="nguyen.a").values_list("role", flat=True)) == [
        "consumer_officer", "provider_officer",
    ]  # fmt: skip
    assert User.objects.get(username="tran.b").position == "Phó Giám đốc"
    assert imports.preview("people", PEOPLE.encode(), by=operator).is_done


@pytest.mark.parametrize(
    "row",
    [
        "le.c;Lê C;a@example.vn;;H03.20;signer",  # a mailbox of another row
        "nguyen.a;Tên Khác;a@example.vn;Chuyên viên;H03.20;signer",  # tells something else
        "le.c;Lê C;;;H99.1;signer",  # unknown agency
        "le.c;Lê C;;;H03.20;vua",  # unknown role
        "le c;Lê C;;;;",  # a name that cannot be typed
        "machine:clock;Máy;;;;",
        "le.c;;;;;",
    ],
)
def test_a_persons_row_is_refused(operator, row):
    run("organizations", AGENCIES, operator)
    plan = imports.preview("people", (PEOPLE + row + "\n").encode(), by=operator)
    assert plan.counts["refused"] >= 1
    with pytest.raises(InvalidFact):
        imports.apply("people", (PEOPLE + row + "\n").encode(), by=operator, digest=plan.digest)
    assert not User.objects.filter(username="tran.b").exists()


def test_a_mailbox_in_the_register_stays_its_owners(operator):
    UserFactory(username="chu", email="a@example.vn")
    OrganizationFactory(code="H03.20", old_code="000.00.20.H03")
    assert imports.preview("people", PEOPLE.encode(), by=operator).counts["refused"] == 2


def test_roles_are_imported_for_people_who_exist(operator):
    user, agency = UserFactory(username="le.c"), OrganizationFactory(code="H03.20")
    text = "username,organization,role\nle.c,H03.20,signer\n"
    assert run("roles", text, operator).counts["create"] == 1
    assert Membership.objects.current().filter(user=user, organization=agency, role=Role.SIGNER).exists()
    assert imports.preview("roles", text.encode(), by=operator).is_done
    bad = "username,organization,role\nai.do,H03.20,signer\nle.c,H03.99,signer\nle.c,H03.20,vua\n"
    assert imports.preview("roles", bad.encode(), by=operator).counts["refused"] == 3


def test_an_operator_cannot_import_a_role_for_themselves(operator):
    OrganizationFactory(code="H03.20")
    text = f"username,organization,role\n{operator.username},H03.20,signer\n"
    assert imports.preview("roles", text.encode(), by=operator).counts["refused"] == 1


def test_a_suspended_agency_takes_no_new_people(operator):
    SuspendedOrganizationFactory(code="H03.20")
    UserFactory(username="le.c")
    text = "username,organization,role\nle.c,H03.20,signer\n"
    assert imports.preview("roles", text.encode(), by=operator).counts["refused"] == 1


def test_what_only_the_verb_can_see_undoes_the_whole_import_and_names_the_line(operator):
    agency = OrganizationFactory(code="H03.20")
    auditor = UserFactory(username="kiem.toan")
    MembershipFactory(user=auditor, organization=agency, role=Role.AUDITOR)
    UserFactory(username="le.c")
    text = "username,organization,role\nle.c,H03.20,signer\nkiem.toan,H03.20,signer\n"
    with pytest.raises(DomainError) as caught:
        run("roles", text, operator)
    assert (caught.value.code, caught.value.extra["line"]) == ("auditor_apart", 3)
    assert not Membership.objects.filter(user__username="le.c").exists()


def test_a_preview_that_is_no_longer_true_is_not_applied(operator):
    plan = imports.preview("organizations", AGENCIES.encode(), by=operator)
    OrganizationFactory(code="H03", name="Ai đó nhanh hơn")
    with pytest.raises(Conflict) as caught:
        imports.apply("organizations", AGENCIES.encode(), by=operator, digest=plan.digest)
    assert caught.value.code == "preview_stale"
    assert not Organization.objects.filter(code="H03.20").exists()


def test_another_file_is_not_applied_under_a_previews_digest(operator):
    plan = imports.preview("organizations", AGENCIES.encode(), by=operator)
    with pytest.raises(Conflict):
        imports.apply("organizations", AGENCIES.replace("Kế hoạch", "Khác").encode(), by=operator, digest=plan.digest)


@pytest.mark.parametrize("role", [r for r in Role if r != Role.OPERATOR])
def test_only_the_operator_imports(role):
    with pytest.raises(NotPermitted):
        imports.preview("organizations", AGENCIES.encode(), by=officer(role))


def test_three_thousand_communes_are_looked_at_in_a_few_queries(operator, django_assert_max_num_queries):
    rows = "".join(f"H03.20.X{n},Xã Số {n},,commune,H03.20,\n" for n in range(3_000))
    with django_assert_max_num_queries(5):
        plan = imports.preview("organizations", (AGENCIES + rows).encode(), by=operator)
    assert plan.counts["create"] == 3_003


# --- by API --------------------------------------------------------------------------------------


def upload(text: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("co-quan.csv", text.encode(), content_type="text/csv")


def test_a_file_is_previewed_and_applied_by_api(operator):
    client = APIClient()
    client.force_login(operator)
    seen = client.post("/api/v1/imports/organizations/preview", {"file": upload(AGENCIES)}, format="multipart")
    assert seen.status_code == 200, seen.json()
    assert seen.json()["can_apply"] is True
    done = client.post(
        "/api/v1/imports/organizations/apply", {"file": upload(AGENCIES), "digest": seen.json()["digest"]}, format="multipart"
    )
    assert done.json()["counts"]["create"] == 3
    assert Organization.objects.filter(code="H03.20.1").exists()
    assert client.post("/api/v1/imports/secrets/preview", {"file": upload(AGENCIES)}, format="multipart").status_code == 404


def test_others_are_refused_by_api():
    client = APIClient()
    assert (
        client.post("/api/v1/imports/organizations/preview", {"file": upload(AGENCIES)}, format="multipart").status_code == 401
    )
    client.force_login(officer(Role.SIGNER))
    for step in ("preview", "apply"):
        answer = client.post(f"/api/v1/imports/organizations/{step}", {"file": upload(AGENCIES)}, format="multipart")
        assert answer.status_code == 403
