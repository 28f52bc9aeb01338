"""The pages of shared catalogs: any date, history, the drawing of a reform, deciding about a release."""

from __future__ import annotations

import datetime as dt
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from openpyxl import Workbook

from apps.catalogs import actions, first_releases
from apps.catalogs.choices import ReleaseStatus
from apps.catalogs.models import Catalog, Entry, Release
from apps.organizations.choices import Role
from tests.factories.catalogs import CatalogFactory, ClosedCatalogFactory, TreeCatalogFactory, judged, published, rows
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db
JUN = dt.date(2025, 6, 1)


@pytest.fixture(scope="module")
def units(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), transaction.atomic():
        first_releases.load(by=officer(Role.OPERATOR), only=("administrative-units",))
        yield Catalog.objects.get(code="administrative-units")
        transaction.set_rollback(True)


@pytest.fixture
def operator(db):
    return officer(Role.OPERATOR)


@pytest.fixture
def consumer(db):
    return officer(Role.CONSUMER_OFFICER)


def read(client, name, *args, **given) -> str:
    response = client.get(reverse(name, args=args), given)
    assert response.status_code == 200, response.content[:300]
    return response.content.decode()


def test_a_catalog_is_browsed_at_any_date(units, as_person, consumer):
    client = as_person(consumer)
    assert "Phường Trúc Bạch" in read(client, "portal:catalog", units.code, as_of="30/06/2025", q="00004")
    now = read(client, "portal:catalog", units.code, as_of="01/07/2025", q="00004")
    assert "Phường Ba Đình" in now
    assert "Trúc Bạch" not in now
    assert "Phường Trúc Bạch" in read(client, "portal:catalog", units.code, as_of="01/07/2025", q="00004", known_at="1")


def test_a_release_that_is_not_there_is_not_taken_for_now_without_a_word(units, as_person, consumer):
    client = as_person(consumer)
    tomorrow = timezone.localdate() + dt.timedelta(days=1)
    wrong = ("20250630", "hôm qua", "4", f"{tomorrow:%d/%m/%Y}", "31/12/9999")
    right = ("3", "30/06/2025", "", f"{timezone.localdate():%d/%m/%Y}")
    for known_at, is_understood in (*((text, False) for text in wrong), *((text, True) for text in right)):
        text = read(client, "portal:catalog", units.code, known_at=known_at)
        assert ("không phải số bản đã có" not in text) is is_understood, known_at


@pytest.mark.parametrize(
    "given", [{"as_of": "31/02/2025"}, {"known_at": "x"}, {"page": "x"}, {"page": "9" * 21}, {"level": "x"}, {"q": "\x00'%"}]
)
def test_nonsense_in_the_address_gives_a_page(units, as_person, consumer, given):
    read(as_person(consumer), "portal:catalog", units.code, **given)


def test_the_page_of_a_code_shows_its_history_and_lineage(units, as_person, consumer):
    text = read(as_person(consumer), "portal:catalog-item", units.code, "province", "19")
    assert "Tỉnh Bắc Kạn" in text
    assert "202/2025/QH15" in text
    assert as_person(consumer).get(reverse("portal:catalog-item", args=[units.code, "province", "98"])).status_code == 404


def test_the_drawing_shows_what_became_of_bac_kan(units, as_person, consumer):
    client = as_person(consumer)
    with CaptureQueriesContext(connection) as queries:
        text = read(client, "portal:catalog-reform", units.code, "2025-07-01", unit="province:06")
    assert len(queries) < 30
    communes = Entry.objects.filter(catalog=units, level="commune", parent_level="district").valid_on(dt.date(2025, 6, 30))
    districts = Entry.objects.filter(catalog=units, level="district", parent_code="06").valid_on(dt.date(2025, 6, 30))
    old = communes.filter(parent_code__in=districts.values("code"))
    assert text.count('class="reform__old"') == old.count() == 108
    assert text.count("<path") >= old.count()
    assert text.count('class="reform-list__') == text.count("<path"), "where there is no room to draw, a list says the same"
    assert "Tỉnh Thái Nguyên" in text
    assert "Phường Đức Xuân" in text
    assert client.get(reverse("portal:catalog-reform", args=[units.code, "2025-07-02"])).status_code == 404
    assert client.get(reverse("portal:catalog-reform", args=[units.code, "x"])).status_code == 404
    assert client.get(reverse("portal:catalog-reform", args=[units.code, "0001-01-01"])).status_code == 404


def test_the_reform_s_release_shows_its_reasons_and_counts(units, as_person, operator):
    release = Release.objects.get(catalog=units, number=2)
    client = as_person(operator)
    text = read(client, "portal:catalog-release", release.uuid, kind="reused", q="ba dinh")
    assert "Trúc Bạch" in text
    assert "Ba Đình" in text
    assert "7.444" in text


@pytest.fixture
def held(operator):
    catalog = CatalogFactory(name="Danh mục <b>thử</b>")
    published(catalog, rows(100), by=operator)
    given = [
        *rows(90)[1:],
        {"code": "A001", "name": "Bạch <script>alert(1)</script> Đằng"},
        {"code": "??", "name": "Dòng hỏng"},
    ]
    return judged(catalog, given, by=operator, effective_on=JUN)


def test_an_officer_sees_what_a_held_release_would_do_and_decides(as_person, operator, held):
    client = as_person(operator)
    text = read(client, "portal:catalog-release", held.uuid)
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;" in text
    for reason in held.hold_reasons:
        assert f'name="accept_{reason}"' in text
    assert "Kết thúc 10 trên 100 mã đang dùng (10,0 %)" in text
    assert "1 dòng bị từ chối. Khi công bố" in text
    assert "A095" in read(client, "portal:catalog-release", held.uuid, kind="closed")
    assert "<tbody>" not in read(client, "portal:catalog-release", held.uuid, q="%")
    assert "Dòng hỏng" in read(client, "portal:catalog-release", held.uuid, kind="refused")
    step = reverse("portal:catalog-release-step", args=[held.uuid, "publish"])
    facts = {"effective_on": "01/06/2025", "version": held.version, "back": reverse("portal:catalog-release", args=[held.uuid])}
    refused = client.post(step, facts, follow=True)
    held.refresh_from_db()
    assert (held.status, refused.status_code) == (ReleaseStatus.HELD, 200)
    client.post(step, {**facts, **{f"accept_{reason}": "on" for reason in held.hold_reasons}, "version": held.version})
    held.refresh_from_db()
    assert (held.status, held.number, held.published_by) == (ReleaseStatus.PUBLISHED, 2, operator)


def test_a_changed_day_that_brings_a_reason_brings_its_box_too(as_person, operator):
    """From September on the province is no more: the day is kept, the page asks for the new reason, and with it the list goes out."""
    catalog, client = TreeCatalogFactory(), as_person(operator)
    units = [{"code": "10", "name": "Tỉnh Lào Cai"}, {"code": "11", "name": "Tỉnh Điện Biên", "valid_to": "2025-09-01"}]
    communes = [{"code": f"{n:05}", "name": f"Xã {n}", "parent_code": "10"} for n in range(1, 60)]
    published(catalog, [*units, *communes], by=operator)
    added = [{"code": "00099", "name": "Xã Mường Phăng", "parent_code": "11"}]
    release = judged(catalog, added, by=operator, scope="changes", effective_on=JUN)
    assert (release.status, release.hold_reasons) == (ReleaseStatus.READY, [])
    step = reverse("portal:catalog-release-step", args=[release.uuid, "publish"])
    facts = {"effective_on": "01/10/2025", "version": release.version}
    client.post(step, facts)
    release.refresh_from_db()
    assert (release.status, release.effective_on) == (ReleaseStatus.HELD, dt.date(2025, 10, 1))
    page = read(client, "portal:catalog-release", release.uuid)
    (reason,) = release.hold_reasons
    assert f'name="accept_{reason}"' in page
    assert 'value="01/10/2025"' in page
    client.post(step, {**facts, "version": release.version, f"accept_{reason}": "on"})
    release.refresh_from_db()
    assert (release.status, release.accepted) == (ReleaseStatus.PUBLISHED, [reason])


def test_an_old_page_gets_409(as_person, operator, held):
    step = reverse("portal:catalog-release-step", args=[held.uuid, "reject"])
    assert as_person(operator).post(step, {"note": "x", "version": held.version - 1}).status_code in (302, 409)
    held.refresh_from_db()
    assert held.status == ReleaseStatus.HELD


def test_buttons_come_from_the_table(as_person, operator, held):
    client = as_person(operator)
    text = read(client, "portal:catalog-release", held.uuid)
    assert "do/publish/" in text
    assert "do/reject/" in text
    assert "do/undo/" not in text
    actions.reject_release(held, by=operator, note="Không đúng")
    assert "/do/" not in read(client, "portal:catalog-release", held.uuid)


def test_others_neither_see_nor_decide_what_waits(as_person, consumer, held):
    client = as_person(consumer)
    assert client.get(reverse("portal:catalog-release", args=[held.uuid])).status_code == 404
    step = reverse("portal:catalog-release-step", args=[held.uuid, "publish"])
    assert client.post(step, {"effective_on": "01/06/2025"}).status_code == 404
    assert held.catalog.name not in read(client, "portal:catalog-releases", status="held").split("<tbody>")[-1]
    assert client.get(reverse("portal:catalog-stage", args=[held.catalog.code])).status_code == 404


def test_a_stranger_without_login_is_led_to_the_login(client, held):
    for name, args in (("portal:catalogs", ()), ("portal:catalog", (held.catalog.code,)), ("portal:catalog-releases", ())):
        response = client.get(reverse(name, args=args))
        assert (response.status_code, "login" in response["Location"]) == (302, True)


def workbook(*lines) -> SimpleUploadedFile:
    book = Workbook()
    for line in lines:
        book.active.append(line)
    out = io.BytesIO()
    book.save(out)
    return SimpleUploadedFile("danh-muc.xlsx", out.getvalue())


@pytest.mark.parametrize(
    "upload",
    [
        {"file": lambda: workbook(["Mã", "Tên"], ["A001", "Tên gọi số 1 mới"], ["B1", "=1+1"])},
        {"file": lambda: SimpleUploadedFile("x.csv", "code,name\nA001,Tên gọi số 1 mới\nB1,=1+1\n".encode())},
        {"text": lambda: "code,name\nA001,Tên gọi số 1 mới\nB1,=1+1\n"},
    ],
    ids=["xlsx", "csv", "typed"],
)
def test_an_officer_stages_a_list_and_sees_it_before_anything_changes(as_person, operator, upload):
    catalog = CatalogFactory()
    published(catalog, rows(5), by=operator)
    client = as_person(operator)
    read(client, "portal:catalog-stage", catalog.code)
    facts = {
        "scope": "changes",
        "effective_on": "01/06/2025",
        "instrument": "QĐ 7",
        **{name: make() for name, make in upload.items()},
    }
    answer = client.post(reverse("portal:catalog-stage", args=[catalog.code]), facts)
    release = Release.objects.get(catalog=catalog, number=None)
    assert answer["Location"] == reverse("portal:catalog-release", args=[release.uuid])
    assert (release.effective_on, release.counts["renamed"], release.counts["refused"]) == (JUN, 1, 1)
    assert Entry.objects.filter(catalog=catalog).valid_on(JUN).get(code="A001").name == "Tên gọi số 1"


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"text": "code,name\n1,x", "file": "both"},
        {"file": "torn"},
        {"text": "a,b\n1,2"},
        {"text": "code,name\n1,x", "effective_on": "31/02/2025"},
    ],
    ids=["nothing", "both", "torn", "other columns", "31/02"],
)
def test_a_list_that_cannot_be_read_is_refused_on_the_form(as_person, operator, facts):
    catalog = CatalogFactory()
    given = {"scope": "full", "effective_on": "01/06/2025", **facts}
    if "file" in given:
        given["file"] = SimpleUploadedFile("x.xlsx", b"PK\x03\x04 torn")
    answer = as_person(operator).post(reverse("portal:catalog-stage", args=[catalog.code]), given)
    assert answer.status_code == 400
    assert not Release.objects.filter(catalog=catalog).exists()


def test_lists_cost_a_fixed_number_of_queries(as_person, operator, held):
    ClosedCatalogFactory()
    client = as_person(operator)
    read(client, "portal:catalogs")
    for name, args in (("portal:catalogs", ()), ("portal:catalog-releases", ()), ("portal:catalog", (held.catalog.code,))):
        with CaptureQueriesContext(connection) as queries:
            read(client, name, *args)
        assert len(queries) <= 16, name


def test_attributes_and_sources_are_words_not_codes(units, as_person, operator):
    """The pages of a release and of a code name no attribute by its key and no source by its code."""
    release = units.releases.get(number=3)
    pages = [
        as_person(operator).get(reverse("portal:catalog-release", args=[release.uuid])).content.decode(),
        as_person(operator).get(reverse("portal:catalog-item", args=[units.code, "commune", "25270"])).content.decode(),
    ]
    for text in pages:
        assert "căn cứ pháp lý: 237/NQ-UBTVQH16" in text or "căn cứ pháp lý:</span> 237/NQ-UBTVQH16" in text
        assert "legal_basis" not in text
        assert "loại đơn vị" in text
    assert "tệp đi kèm nền tảng (administrative-unit-changes-2026)" in pages[0]


def test_whose_list_a_release_was_is_for_the_platform_s_own_people(client, as_person, operator, consumer):
    """Neither answers nor filters of the open API tell outsiders an officer's user name or identifier: new rows, and rows of old."""
    catalog, other = CatalogFactory(), CatalogFactory()
    published(other, [{"code": "B1", "name": "Đồng tên"}], by=operator)
    published(catalog, rows(5), by=operator, source=f"portal:{operator.username}")
    office = as_person(operator)
    typed = {"scope": "changes", "effective_on": "01/06/2025", "text": "code,name\nB1,Mục thêm"}
    office.post(reverse("portal:catalog-stage", args=[catalog.code]), typed)
    lines = {"other": other.code, "effective_on": "01/06/2025", "text": "code,other_code,relation\nA001,B1,exact"}
    office.post(reverse("portal:crosswalk-stage", args=[catalog.code]), lines)
    sources = [f"portal:{operator.username}"]
    for release in Release.objects.filter(catalog=catalog, number=None):
        actions.publish_release(release, by=operator, accept=release.hold_reasons)
        sources.append(release.source)
    assert set(sources[1:]) == {f"portal:{operator.uuid}", f"crosswalk:{operator.uuid}:{other.code}"}

    operator.full_name = ""
    operator.save()
    url = f"/api/v1/catalogs/{catalog.code}/releases"
    for asker in (client, as_person(consumer)):
        answers = [asker.get(url), *(asker.get(f"/api/v1/catalog-releases/{row.uuid}") for row in catalog.releases.all())]
        for answer in answers:
            assert answer.status_code == 200
            assert not any(
                word in answer.content.decode() for word in (operator.username, str(operator.uuid), operator.uuid.hex)
            )
        assert [row["source"] for row in answers[0].json()["results"]] == ["crosswalk", "portal", "portal"]
        assert [asker.get(url, {"source": source}).json()["count"] for source in sources] == [0, 0, 0]
        assert asker.get(url, {"source": "portal"}).json()["count"] == 2
    assert {row["source"] for row in office.get(url).json()["results"]} == set(sources)
    assert [office.get(url, {"source": source}).json()["count"] for source in sources] == [1, 1, 1]
    for row in catalog.releases.all():
        assert str(operator.uuid) not in read(as_person(consumer), "portal:catalog-release", row.uuid)
        assert str(operator.uuid) not in read(office, "portal:catalog-release", row.uuid), "people read words, not identifiers"
