"""Pages of the crosswalk and of the preferred table."""

from __future__ import annotations

import datetime as dt
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from openpyxl import Workbook

from apps.catalogs import actions
from apps.catalogs.choices import ReleaseStatus
from apps.catalogs.models import Catalog, Correspondence, Release
from apps.catalogs.preference import prefer_catalog
from apps.organizations.choices import Role
from tests.factories.catalogs import CatalogFactory, published, rows
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db
JUN = dt.date(2025, 6, 1)


@pytest.fixture
def operator(db):
    return officer(Role.OPERATOR)


@pytest.fixture
def consumer(db):
    return officer(Role.CONSUMER_OFFICER)


@pytest.fixture
def tables(operator):
    mine, other = CatalogFactory(code="cua-minh", name="Bảng của mình"), CatalogFactory(code="bang-kia", name="Bảng <b>kia</b>")
    published(mine, rows(60), by=operator)
    published(other, [{"code": f"B{n}", "name": f"Đồng tên {n}"} for n in range(1, 61)], by=operator)
    return mine, other


def recorded(mine, lines, operator) -> Release:
    given = [{"other": "bang-kia", **line} for line in lines]
    release = actions.stage_release(mine, (), by=operator, correspondences=given, source="crosswalk:x", effective_on=JUN)
    return actions.publish_release(actions.judge_release(release, by=operator), by=operator)


def read(client, name, *args, **given) -> str:
    response = client.get(reverse(name, args=args), given)
    assert response.status_code == 200, response.content[:300]
    return response.content.decode()


def workbook(*lines) -> SimpleUploadedFile:
    book = Workbook()
    for line in lines:
        book.active.append(line)
    out = io.BytesIO()
    book.save(out)
    return SimpleUploadedFile("doi-chieu.xlsx", out.getvalue())


@pytest.mark.parametrize(
    "upload",
    [
        {"file": lambda: workbook(["Mã", "Mã đối chiếu", "Quan hệ"], ["A001", "B1", "Giống nhau"], ["A002", "=1+1", "exact"])},
        {"file": lambda: SimpleUploadedFile("x.csv", b"code,other_code,relation\nA001,B1,exact\nA002,=1+1,exact\n")},
        {"text": lambda: "code,other_code,relation\nA001,B1,exact\nA002,=1+1,exact\n"},
    ],
    ids=["xlsx", "csv", "typed"],
)
def test_an_officer_enters_lines_sees_them_first_and_publishes_them(as_person, operator, tables, upload):
    mine, other = tables
    client = as_person(operator)
    assert 'value="bang-kia" selected' in read(client, "portal:crosswalk-stage", mine.code, other=other.code)
    facts = {
        "other": other.code,
        "effective_on": "01/06/2025",
        "instrument": "QĐ 7",
        **{k: make() for k, make in upload.items()},
    }
    answer = client.post(reverse("portal:crosswalk-stage", args=[mine.code]), facts)
    release = Release.objects.get(catalog=mine, number=None)
    assert answer["Location"] == reverse("portal:catalog-release", args=[release.uuid])
    page = read(client, "portal:catalog-release", release.uuid)
    assert "Đồng tên 1" in page
    assert "công thức" in page, "the formula is refused with its reason"
    assert not Correspondence.objects.exists(), "nothing is live before the decision"
    step = reverse("portal:catalog-release-step", args=[release.uuid, "publish"])
    client.post(step, {"effective_on": "01/06/2025", "version": release.version, "accept_refused_rows": "on"})
    release.refresh_from_db()
    assert release.status == ReleaseStatus.PUBLISHED
    line = Correspondence.objects.get()
    assert (line.code, line.other_code, line.legal_basis) == ("A001", "B1", "QĐ 7")


@pytest.mark.parametrize(
    "facts",
    [{}, {"text": "a,b\n1,2"}, {"text": "code,other_code,relation\nA001,B1,exact", "other": "cua-minh"}, {"text": "code,other_code,relation\n", "effective_on": "31/02/2025"}],
    ids=["nothing", "other columns", "the table itself", "31/02"],
)  # fmt: skip
def test_lines_that_cannot_be_read_are_refused_on_the_form(as_person, operator, tables, facts):
    given = {"other": "bang-kia", "effective_on": "01/06/2025", **facts}
    answer = as_person(operator).post(reverse("portal:crosswalk-stage", args=["cua-minh"]), given)
    assert answer.status_code == 400
    assert not Release.objects.filter(number=None).exists()


def test_the_two_tables_are_shown_side_by_side_from_either_end(as_person, consumer, operator, tables):
    recorded(tables[0], [{"code": f"A{n:03}", "other_code": f"B{n}", "relation": "broader"} for n in range(1, 61)], operator)
    client = as_person(consumer)
    with CaptureQueriesContext(connection) as queries:
        text = read(client, "portal:crosswalk", "cua-minh", "bang-kia")
    assert len(queries) <= 14
    assert text.count("<tr>") == 26
    assert "<b>kia</b>" not in text
    assert "new-crosswalk" not in text, "a consumer enters nothing"
    assert "rộng hơn" in text
    assert "hẹp hơn" in read(client, "portal:crosswalk", "bang-kia", "cua-minh")
    assert read(client, "portal:crosswalk", "cua-minh", "bang-kia", q="dong ten 60").count("<tr>") == 2
    assert "<tbody>" not in read(client, "portal:crosswalk", "cua-minh", "bang-kia", q="%")
    assert read(client, "portal:crosswalk", "cua-minh", "bang-kia", page="3").count("<tr>") == 11
    assert "<tbody>" not in read(client, "portal:crosswalk", "cua-minh", "bang-kia", as_of="31/05/2025")
    assert read(client, "portal:crosswalk", "cua-minh", "bang-kia", page="999").count("<tr>") == 26
    for nonsense in ({"page": "x"}, {"page": "0"}, {"as_of": "31/02/2025"}, {"q": "\x00%'"}):
        read(client, "portal:crosswalk", "cua-minh", "bang-kia", **nonsense)
    assert client.get(reverse("portal:crosswalk", args=["cua-minh", "cua-minh"])).status_code == 404


def test_the_page_of_a_code_says_what_other_tables_have(as_person, consumer, operator, tables):
    lines = [{"code": "A001", "other_code": "B1", "relation": "exact"}, {"code": "A002", "relation": "none"}]
    recorded(tables[0], lines, operator)
    assert "Đồng tên 1" in read(as_person(consumer), "portal:catalog-item", "cua-minh", "item", "A001")
    assert "không có mã tương ứng" in read(as_person(consumer), "portal:catalog-item", "cua-minh", "item", "A002")


def test_the_preferred_table_is_marked_on_the_pages_and_by_its_keepers_only(as_person, consumer, operator, tables):
    client = as_person(operator)
    answer = client.post(reverse("portal:catalog-prefer", args=["cua-minh"]), {"over": "bang-kia", "basis": "Đa số dùng"})
    assert answer["Location"] == reverse("portal:catalog", args=["cua-minh"])
    assert Catalog.objects.get(code="bang-kia").preferred.code == "cua-minh"
    page = read(as_person(consumer), "portal:catalog", "bang-kia")
    assert "Bảng của mình" in page
    assert "Đa số dùng" in page
    assert "/prefer/" not in page
    listed = read(as_person(consumer), "portal:catalogs")
    assert listed.count("bảng ưu tiên") == 1
    as_person(consumer).post(reverse("portal:catalog-part", args=["bang-kia"]), {"reason": "x"})
    assert Catalog.objects.get(code="bang-kia").preferred is not None
    client.post(reverse("portal:catalog-part", args=["bang-kia"]), {"reason": "Khác nội dung"})
    assert Catalog.objects.get(code="bang-kia").preferred is None


def test_a_step_without_its_facts_is_refused_on_the_page(as_person, operator, tables):
    answer = as_person(operator).post(reverse("portal:catalog-prefer", args=["cua-minh"]), {"over": "bang-kia"}, follow=True)
    assert "msg--error" in answer.content.decode()
    assert not Catalog.objects.exclude(preferred=None).exists()


def test_the_list_of_catalogs_costs_the_same_however_many_are_preferred(as_person, operator, tables):
    for number in range(5):
        prefer_catalog(tables[0], CatalogFactory(code=f"khac-{number}"), by=operator, basis="x")
    client = as_person(operator)
    read(client, "portal:catalogs")
    with CaptureQueriesContext(connection) as queries:
        read(client, "portal:catalogs")
    assert len(queries) <= 16
