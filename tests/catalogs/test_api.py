import datetime as dt
import io

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from openpyxl import load_workbook
from rest_framework.throttling import SimpleRateThrottle

from apps.catalogs import actions, unchanged
from apps.catalogs.api import questions
from apps.catalogs.api.throttling import CatalogThrottle
from apps.catalogs.models import Catalog, Entry, Release
from tests.factories.catalogs import CatalogFactory, ClosedCatalogFactory, judged, published, rows

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/catalogs"
UNITS = f"{ROOT}/administrative-units"
JUN = dt.date(2025, 6, 1)


@pytest.fixture(autouse=True)
def no_throttle(monkeypatch):
    monkeypatch.setattr("apps.catalogs.api.throttling.CatalogThrottle.allow_request", lambda *args: True)


@pytest.fixture
def units(loaded) -> Catalog:
    return Catalog.objects.get(code="administrative-units")


def get(client, url, **given):
    response = client.get(url, given)
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return response, body


def read(client, url, **given) -> dict:
    response, body = get(client, url, **given)
    assert response.status_code == 200, body
    return orjson.loads(body)


def test_anybody_reads_an_open_catalog(client, units):
    page = read(client, f"{UNITS}/items")
    assert (page["count"], page["pages"], len(page["items"])) == (3355, 34, 100)
    assert page["next"] == f"{UNITS}/items?page=2"


def test_as_of_and_known_at_are_two_times(client, units):
    before = read(client, f"{UNITS}/items/00004", as_of="2025-06-30")
    after = read(client, f"{UNITS}/items/00004", as_of="2025-07-01")
    assert (before["name"], after["name"]) == ("Trúc Bạch", "Ba Đình")
    as_known = read(client, f"{UNITS}/items/00004", as_of="2025-07-01", known_at="1")
    assert (as_known["name"], as_known["valid_to"]) == ("Trúc Bạch", None)
    assert before["valid_to"] == "2025-07-01"


def test_a_moment_before_the_first_release_knows_nothing(client, units):
    assert read(client, f"{UNITS}/items", known_at="2020-01-01")["count"] == 0
    assert read(client, f"{UNITS}/items", known_at="2020-01-01T08:00:00+07:00")["count"] == 0


@pytest.mark.parametrize("part", ["items", "items/00004", "items/00004/history", "snapshot", "translate", "crosswalk"])
def test_a_time_that_is_not_over_is_no_known_at(client, units, part):
    """The next release of today would change the answer of the very same question."""
    given = {
        "translate": {"code": "00004", "level": "commune", "from": "2025-06-30", "to": "2025-07-01"},
        "crosswalk": {"code": "00004", "level": "commune", "to": "countries"},
        "items/00004/history": {"level": "commune"},
    }.get(part, {})
    now = timezone.localtime()
    for known_at in (now.date(), now.date() + dt.timedelta(days=1), (now + dt.timedelta(minutes=1)).isoformat(), "9999-12-31"):
        response = client.get(f"{UNITS}/{part}", {**given, "known_at": str(known_at)})
        assert (response.status_code, response.json()["code"], list(response.json()["fields"])) == (
            400,
            "invalid",
            ["known_at"],
        )
    for known_at in (now.date() - dt.timedelta(days=1), (now - dt.timedelta(minutes=1)).isoformat()):
        assert client.get(f"{UNITS}/{part}", {**given, "known_at": str(known_at)}).json().get("code") != "invalid"


def test_a_day_means_its_end_where_it_is_known_and_its_beginning_where_it_changed(operator):
    catalog, noon = CatalogFactory(), timezone.localtime().replace(hour=12) - dt.timedelta(days=3)
    for number in (1, 2):
        release = Release.objects.create(
            catalog=catalog, number=number, status="published", source="test", effective_on=JUN, staged_by=operator,
            published_by=operator, published_at=noon + dt.timedelta(days=number - 1),
        )  # fmt: skip
    catalog.current = release
    days = [str(noon.date() + dt.timedelta(days=n)) for n in (-1, 0, 1, 2)]
    assert [questions.known_number(catalog, day) for day in days] == [0, 1, 2, 2]
    assert [questions._release_number(catalog, day, "changed_since") for day in days] == [0, 0, 1, 2]
    moments = [(noon + dt.timedelta(minutes=minutes)).isoformat() for minutes in (-1, 0, 1)]
    assert [questions.known_number(catalog, moment) for moment in moments] == [0, 1, 1]
    assert questions.known_number(catalog, moments[1].replace("+", " ")) == 1, "a plus sign that became a space"


def test_search_ignores_tones_and_case_and_folds_d(client, units):
    found = read(client, f"{UNITS}/items", q="dong NAI", level="province")
    assert [item["full_name"] for item in found["items"]] == ["Thành phố Đồng Nai"]
    assert read(client, f"{UNITS}/items", q="ĐỒNG nai", level="province")["count"] == 1
    assert read(client, f"{UNITS}/items", q="ong nai", level="province")["count"] == 0


def test_filters_by_level_parent_and_change(client, units):
    assert read(client, f"{UNITS}/items", level="commune", parent="19")["count"] == 92
    assert read(client, f"{UNITS}/items", level="commune", parent="province:19")["count"] == 92
    assert read(client, f"{UNITS}/items", changed_since="2")["count"] == 11
    assert read(client, f"{UNITS}/items", as_of="2025-06-30", level="district")["count"] == 696


def test_sorted_by_name_means_the_vietnamese_alphabet(client, units):
    names = [item["name"] for item in read(client, f"{UNITS}/items", level="province", order="name")["items"]]
    assert names[:4] == ["An Giang", "Bắc Ninh", "Cà Mau", "Cao Bằng"]
    assert names.index("Đắk Lắk") > names.index("Cao Bằng")
    assert names.index("Đắk Lắk") < names.index("Gia Lai")


@pytest.mark.parametrize(
    ("path", "given", "field"),
    [
        ("items", {"as_of": "31/02/2025"}, "as_of"),
        ("items", {"as_of": "2025-02-31"}, "as_of"),
        ("items", {"level": "village"}, "level"),
        ("items", {"page": "0"}, "page"),
        ("items", {"page": "١"}, "page"),
        ("items", {"page": "99"}, "page"),
        ("items", {"page_size": "1001"}, "page_size"),
        ("items", {"known_at": "yesterday"}, "known_at"),
        ("items", {"known_at": "20250630"}, "known_at"),
        ("items", {"known_at": "4"}, "known_at"),
        ("items", {"known_at": "2025-W27-1"}, "known_at"),
        ("items", {"as_of": "20250630"}, "as_of"),
        ("items", {"as_of": "2025-W27-1"}, "as_of"),
        ("items", {"as_of": ["2025-06-30", "2025-07-01"]}, "as_of"),
        ("items", {"parent": "province:99"}, "parent"),
        ("items", {"parent": "nowhere:19"}, "parent"),
        ("items", {"parent": "province:06"}, "parent"),
        ("items", {"order": "random"}, "order"),
        ("items", {"levell": "commune"}, "levell"),
        ("items", {"q": "a\x00"}, "q"),
        ("changes", {}, "since"),
        ("changes", {"since": "x"}, "since"),
        ("changes", {"since": "4"}, "since"),
        ("changes", {"since": "1", "level": "commune"}, "level"),
        ("translate", {"code": "1", "level": "commune", "from": "2025-06-30"}, "to"),
        ("translate", {"code": "1", "from": "2025-06-30", "to": "2025-07-01"}, "level"),
        ("translate", {"code": ["1", "2"], "level": "commune", "from": "2025-06-30", "to": "2025-07-01"}, "code"),
        ("translate", {"code": "1", "level": "commune", "from": "2025-06-30", "to": "2025-07-01", "knownat": "1"}, "knownat"),
        ("translate", {"code": "1", "level": "commune", "from": "2025-06-30", "to": "2025-07-01", "known_at": "4"}, "known_at"),
        ("translate", {"code": "1", "level": "commune", "from": "2025-02-30", "to": "2025-07-01"}, "from"),
    ],
)
def test_a_bad_question_is_told_which_part_is_bad(client, units, path, given, field):
    response = client.get(f"{UNITS}/{path}", given)
    assert response.status_code == 400
    assert field in response.json()["fields"]


def test_a_bulk_question_with_a_part_nobody_knows_is_refused(client, units):
    body = {"level": "commune", "from": "2025-06-30", "to": "2025-07-01", "codes": ["00001"], "knownAt": "1"}
    answer = client.post(f"{UNITS}/translate", body, "application/json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["knownAt"])


def test_a_search_text_without_a_word_finds_nothing(client, units):
    assert read(client, f"{UNITS}/items", q="%';--")["count"] == 0
    assert read(client, f"{UNITS}/items", q="")["count"] == 3355


def test_a_parent_of_that_day_that_has_no_children_is_an_empty_list(client, units):
    assert read(client, f"{UNITS}/items", parent="commune:00004")["count"] == 0
    assert read(client, f"{UNITS}/items", parent="province:06", as_of="2025-06-30")["count"] == 8


def test_lineage_at_a_level_where_the_code_never_was_is_unknown(client, units):
    answer = client.get(f"{UNITS}/items/01834/lineage", {"level": "district"})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_code")


def test_an_unknown_code_is_told_apart_from_an_empty_list(client, units):
    response = client.get(f"{UNITS}/items/99999")
    assert (response.status_code, response.json()["code"]) == (404, "unknown_code")
    assert client.get(f"{ROOT}/nothing/items").status_code == 404


def test_a_code_at_several_levels_must_be_asked_with_its_level(client, operator):
    levels = [{"code": c, "name": c, "pattern": r"\d\d", "parents": []} for c in ("big", "small")]
    catalog = CatalogFactory(levels=levels)
    published(catalog, [{"code": "01", "level": level, "name": level} for level in ("big", "small")], by=operator)
    response = client.get(f"{ROOT}/{catalog.code}/items/01")
    assert (response.status_code, response.json()["code"], response.json()["levels"]) == (
        409,
        "ambiguous_code",
        ["big", "small"],
    )
    assert read(client, f"{ROOT}/{catalog.code}/items/01", level="small")["name"] == "small"


def test_a_catalog_that_needs_an_account_tells_strangers_so(client, operator, provider_officer):
    catalog = ClosedCatalogFactory()
    published(catalog, rows(3), by=operator)
    for path in (
        "",
        "/items",
        "/items/A001",
        "/snapshot",
        "/changes?since=0",
        "/export.csv",
        "/releases",
        "/items/A001/history",
    ):
        assert client.get(f"{ROOT}/{catalog.code}{path}").status_code == 401, path
    assert catalog.code not in [line["code"] for line in read(client, ROOT)["results"]]
    client.force_login(provider_officer)
    assert read(client, f"{ROOT}/{catalog.code}/items")["count"] == 3


def test_the_reader_is_throttled(client, units, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("apps.catalogs.api.throttling.CatalogThrottle.rate", "3/min", raising=False)
    codes = [client.get(UNITS, REMOTE_ADDR="198.51.100.7").status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]


def test_the_issue_s_question_is_answered_as_the_issue_says(client, units):
    asked = {"level": "commune", "code": "01834", "from": "2025-06-30", "to": "2025-07-01"}
    body = read(client, f"{UNITS}/translate", **asked)
    assert body["result"] == "exact"
    assert set(body["heirs"][0]) == {"code", "name", "level", "valid_from", "area_share", "population_share"}
    assert set(body["via"][0]) == {"kind", "effective_date", "legal_basis"}


def test_ten_thousand_codes_are_translated_in_one_call_and_one_more_is_refused(client, units):
    codes = list(
        Entry.objects.filter(catalog=units, level="commune").valid_on(dt.date(2025, 6, 30)).values_list("code", flat=True)
    )
    question = {"level": "commune", "from": "2025-06-30", "to": "2025-07-01"}
    with CaptureQueriesContext(connection) as queries:
        response = client.post(f"{UNITS}/translate", {**question, "codes": codes[:10_000]}, content_type="application/json")
    assert response.status_code == 200
    assert len(response.json()["results"]) == 10_000
    assert len(queries) <= 12
    refused = client.post(
        f"{UNITS}/translate", {**question, "codes": [*codes, *codes][:10_001]}, content_type="application/json"
    )
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("path", "given", "most"),
    [
        ("", {}, 2), ("/items", {}, 3), ("/items", {"as_of": "2025-06-30"}, 3), ("/items/00004", {}, 2),
        ("/items/00004", {"as_of": "2025-06-30"}, 2), ("/items/00004/history", {}, 2), ("/items/19/lineage", {"level": "province"}, 5),
        ("/snapshot", {"level": "commune"}, 2), ("/changes", {"since": "2"}, 2), ("/export.csv", {"level": "province"}, 2),
        ("/releases", {}, 3),
    ],
)  # fmt: skip
def test_reads_cost_few_queries(client, units, path, given, most):
    with CaptureQueriesContext(connection) as queries:
        response, _ = get(client, f"{UNITS}{path}", **given)
    assert response.status_code == 200
    assert len(queries) <= most


def test_a_reader_who_has_the_bytes_gets_304(client, units):
    for path in (
        "/items",
        "/items/00004",
        "/snapshot?level=province",
        "/snapshot?level=province&as_of=2025-06-30",
        "/items?as_of=2025-06-30&q=ha",
    ):
        first = client.get(f"{UNITS}{path}")
        again = client.get(f"{UNITS}{path}", headers={"If-None-Match": f'"other", {first["ETag"]}'})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
        assert not first["ETag"].startswith("W/")


TAGGED = (
    "/items", "/items/00004", "/items/00004?as_of=2025-06-30", "/snapshot?level=commune", "/items/00004/history",
    "/items/19/lineage?level=province", "/changes?since=2", "/translate?level=commune&code=01834&from=2025-06-30&to=2025-07-01",
)  # fmt: skip


@pytest.fixture
def still_clock(monkeypatch):
    """The time of the memory of answers stands still unless the test moves it."""
    now = [1000.0]
    monkeypatch.setattr(unchanged.time, "monotonic", lambda: now[0])
    unchanged.forget()
    return now


def test_a_304_costs_no_query(client, units, still_clock):
    tags = {path: client.get(f"{UNITS}{path}")["ETag"] for path in TAGGED}
    for number, (path, tag) in enumerate(tags.items()):
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(f"{UNITS}{path}", headers={"If-None-Match": tag})
        assert (answer.status_code, answer["ETag"], answer.content) == (304, tag, b"")
        assert len(queries) == (0 if number else 1), "one look a second for all catalogs"
    still_clock[0] += 1.5
    with CaptureQueriesContext(connection) as queries:
        assert client.get(f"{UNITS}/items", headers={"If-None-Match": tags["/items"]}).status_code == 304
    assert len(queries) == 1


def test_a_304_without_a_query_is_counted_in_the_rate(client, units, still_clock, monkeypatch):
    tag = client.get(f"{UNITS}/items")["ETag"]
    monkeypatch.setattr(CatalogThrottle, "allow_request", SimpleRateThrottle.allow_request)
    monkeypatch.setattr(CatalogThrottle, "rate", "2/min", raising=False)
    CatalogThrottle.cache.clear()
    answers = [client.get(f"{UNITS}/items", headers={"If-None-Match": tag}).status_code for _reading in range(3)]
    CatalogThrottle.cache.clear()
    assert answers == [304, 304, 429]


def queries_of(act) -> int:
    with CaptureQueriesContext(connection) as asked:
        act()
    return len(asked)


@pytest.mark.parametrize(
    "path", ["export.csv", "export.xlsx", "export.json?level=item", "difference", "difference?kind=added&page=1"]
)
def test_who_has_a_file_or_a_difference_gets_304_before_it_is_made_again(client, operator, path, monkeypatch):
    catalog = CatalogFactory()
    release = published(catalog, rows(60), by=operator)
    url = f"/api/v1/catalog-releases/{release.uuid}/{path}" if "difference" in path else f"{ROOT}/{catalog.code}/{path}"
    answers, first = [], client.get(url)
    assert (first.status_code, first["ETag"][:3], first["Cache-Control"]) == (200, 'W/"', "no-cache")
    whole = queries_of(lambda: client.get(url).getvalue())  # a file is made as it is read
    for tag in (first["ETag"], first["ETag"].removeprefix("W/")):
        asked = queries_of(lambda tag=tag: answers.append(client.get(url, headers={"If-None-Match": tag})))
        assert (answers[-1].status_code, answers[-1].content, answers[-1]["ETag"]) == (304, b"", first["ETag"])
        assert asked < whole, "it was made all the same"
    monkeypatch.setattr(CatalogThrottle, "allow_request", lambda *args: True)
    published(catalog, [{"code": "B1", "name": "Mục thêm"}], by=operator, scope="changes", effective_on=JUN)
    later = client.get(url, headers={"If-None-Match": first["ETag"]})
    assert later.status_code == 200
    assert later["ETag"] != first["ETag"]


@pytest.mark.parametrize("path", ["export.xlsx", "difference"])
def test_dear_answers_have_a_rate_of_their_own(client, operator, monkeypatch, path):
    catalog = CatalogFactory()
    release = published(catalog, rows(3), by=operator)
    url = f"/api/v1/catalog-releases/{release.uuid}/{path}" if "difference" in path else f"{ROOT}/{catalog.code}/{path}"
    monkeypatch.undo()
    CatalogThrottle.cache.clear()
    found = [client.get(url, REMOTE_ADDR="198.51.100.8").status_code for _ in range(22)]
    others = client.get(f"{ROOT}/{catalog.code}/items", REMOTE_ADDR="198.51.100.8").status_code
    CatalogThrottle.cache.clear()
    assert (found, others) == ([200] * 20 + [429] * 2, 200)


def test_a_new_release_a_new_day_and_a_closed_catalog_end_what_was_remembered(client, operator, still_clock, monkeypatch):
    catalog = CatalogFactory()
    published(catalog, rows(3), by=operator)
    address = f"/api/v1/catalogs/{catalog.code}/items"
    first = client.get(address)["ETag"]

    def again(tag: str) -> int:
        return client.get(address, headers={"If-None-Match": tag}).status_code

    assert again(first) == 304
    published(catalog, rows(4), by=operator)  # by another process: this one has not heard of it
    assert again(first) == 304
    still_clock[0] += 1.5
    assert again(first) == 200
    second = client.get(address)["ETag"]
    assert again(second) == 304
    Catalog.objects.filter(pk=catalog.pk).update(is_public=False)
    still_clock[0] += 1.5
    assert again(second) == 401
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(address)["ETag"] == second
    assert again(second) == 304
    client.logout()
    assert again(second) == 401


def test_a_release_published_by_this_process_is_seen_at_once(client, operator, still_clock, django_capture_on_commit_callbacks):
    catalog = CatalogFactory()
    published(catalog, rows(3), by=operator)
    address = f"/api/v1/catalogs/{catalog.code}/items"
    tag = client.get(address)["ETag"]
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 304
    with django_capture_on_commit_callbacks(execute=True):
        published(catalog, rows(4), by=operator)
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 200


def test_a_snapshot_is_the_items_of_all_pages(client, units):
    whole = read(client, f"{UNITS}/snapshot", level="commune")
    assert whole["count"] == len(whole["items"]) == 3321
    paged = [item for page in range(1, 35) for item in read(client, f"{UNITS}/items", level="commune", page=page)["items"]]
    assert paged == whole["items"]


def test_a_snapshot_of_another_day_or_as_known_before(client, units):
    before = read(client, f"{UNITS}/snapshot", level="commune", as_of="2025-06-30")
    assert before["count"] == len(before["items"]) == 10_035
    unknowing = read(client, f"{UNITS}/snapshot", level="province", as_of="2025-07-01", known_at="1")
    assert (unknowing["release"], unknowing["count"]) == (1, 63), "the first release had not heard of the reform"
    assert read(client, f"{UNITS}/snapshot", level="province", as_of="2025-07-01")["count"] == 34


def test_history_shows_every_stretch_and_every_correction(client, operator):
    catalog = CatalogFactory()
    published(catalog, rows(3), by=operator)
    published(catalog, [{"code": "A001", "name": "Tên gọi số 1 b"}], by=operator, scope="changes", effective_on=JUN)
    entry = Entry.objects.get(catalog=catalog, code="A001", valid_from=JUN)
    actions.correct_entry(entry, by=operator, note="x", name="Tên gọi số 1 c", full_name="Tên gọi số 1 c")
    entries = read(client, f"{ROOT}/{catalog.code}/items/A001/history")["entries"]
    assert [(e["name"], e["release"], e["closed_in"], e["superseded_in"]) for e in entries] == [
        ("Tên gọi số 1", 1, 2, None), ("Tên gọi số 1 b", 2, None, 3), ("Tên gọi số 1 c", 3, None, None),
    ]  # fmt: skip
    as_known = read(client, f"{ROOT}/{catalog.code}/items/A001/history", known_at="1")["entries"]
    assert [(e["name"], e["valid_to"], e["closed_in"]) for e in as_known] == [("Tên gọi số 1", None, None)]


def test_the_change_feed_rebuilds_the_list_from_any_point_whatever_the_page(client, operator):
    catalog = CatalogFactory()
    published(catalog, rows(30), by=operator)
    published(catalog, [*rows(29), {"code": "B1", "name": "Mới"}], by=operator, effective_on=JUN)
    release = published(catalog, [{"code": "A001", "name": "Tên gọi số 1 b"}], by=operator, scope="changes", effective_on=JUN)
    actions.undo_release(release, by=operator, note="x")
    entry = Entry.objects.get(catalog=catalog, code="A002", superseded_in=None)
    actions.correct_entry(entry, by=operator, note="x", name="Tên gọi số 2 đúng", full_name="Tên gọi số 2 đúng")
    for limit in (1, 3, 7, 1000):
        known, cursor, complete, calls = {}, "0", False, 0
        while not complete:
            body = read(client, f"{ROOT}/{catalog.code}/changes", since=cursor, limit=limit)
            for line in body["changes"]:
                key = line["level"], line["code"], line["valid_from"]
                if line["change"] == "withdrawn":
                    del known[key]
                elif line["change"] == "closed":
                    known[key]["valid_to"] = line["valid_to"]
                else:
                    known[key] = {"name": line["name"], "valid_to": line["valid_to"]}
            cursor, complete, calls = body["cursor"], body["complete"], calls + 1
        stored = {
            (e.level, e.code, e.valid_from.isoformat()): {"name": e.name, "valid_to": e.valid_to and e.valid_to.isoformat()}
            for e in Entry.objects.filter(catalog=catalog).current()
        }
        assert known == stored
        assert cursor == "5"
    assert read(client, f"{ROOT}/{catalog.code}/changes", since="5")["changes"] == []


def test_exports_of_a_past_day_hold_the_rows_of_that_day(client, units):
    response, body = get(client, f"{UNITS}/export.csv", as_of="2025-06-30", level="district")
    assert body.decode("utf-8-sig").count("\r\n") == 697
    assert response["Content-Disposition"] == 'attachment; filename="administrative-units-2025-06-30.csv"'
    _, body = get(client, f"{UNITS}/export.xlsx", level="province")
    sheet = load_workbook(io.BytesIO(body))["items"]
    assert sheet.max_row == 35
    assert sheet["B2"].value == "01"
    assert read(client, f"{UNITS}/export.json", as_of="2025-06-30", level="province")["count"] == 63


def test_readers_see_published_releases_and_keepers_see_those_that_wait(client, operator, machine):
    catalog = CatalogFactory()
    published(catalog, rows(10), by=operator)
    waiting = judged(catalog, rows(2), by=machine, effective_on=JUN)
    url = f"{ROOT}/{catalog.code}/releases"
    assert [line["number"] for line in read(client, url)["results"]] == [1]
    assert client.get(f"/api/v1/catalog-releases/{waiting.uuid}").status_code == 404
    assert client.get(f"/api/v1/catalog-releases/{waiting.uuid}/difference").status_code == 404
    client.force_login(operator)
    assert [line["status"] for line in read(client, url)["results"]] == ["held", "published"]
    detail = read(client, f"/api/v1/catalog-releases/{waiting.uuid}")
    assert {step["verb"] for step in detail["steps"]} == {"publish", "reject"}


def test_an_officer_stages_looks_and_publishes_by_api(client, operator):
    catalog = CatalogFactory()
    published(catalog, rows(10), by=operator)
    client.force_login(operator)
    body = {
        "rows": [{"code": r["code"], "name": r["name"], "attributes": r["attributes"]} for r in rows(9)],
        "effective_on": "2025-06-01",
    }
    made = client.post(f"{ROOT}/{catalog.code}/releases", body, content_type="application/json")
    assert (made.status_code, made.json()["status"], made.json()["hold_reasons"]) == (201, "held", ["closed_share"])
    url = f"/api/v1/catalog-releases/{made.json()['uuid']}"
    difference = read(client, f"{url}/difference", kind="closed")
    assert [(line["code"], line["after"]) for line in difference] == [("A010", None)]
    refused = client.post(f"{url}/publish", {}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"], refused.json()["reasons"]) == (
        422,
        "reasons_not_accepted",
        ["closed_share"],
    )
    done = client.post(f"{url}/publish", {"accept": ["closed_share"], "note": "Đúng"}, content_type="application/json")
    assert (done.status_code, done.json()["number"]) == (200, 2)
    undone = client.post(f"{url}/undo", {"note": "Nhầm"}, content_type="application/json")
    assert (undone.status_code, undone.json()["number"], undone.json()["inverse_of"]) == (200, 3, 2)


@pytest.mark.parametrize("who", ["anonymous", "provider_officer"])
def test_nobody_else_writes(client, operator, request, who):
    catalog = CatalogFactory()
    release = published(catalog, rows(3), by=operator)
    if who != "anonymous":
        client.force_login(request.getfixturevalue(who))
    expected = 401 if who == "anonymous" else 403
    doors = [
        (f"{ROOT}/{catalog.code}/releases", {"rows": []}),
        (f"/api/v1/catalog-releases/{release.uuid}/undo", {"note": "x"}),
        (f"/api/v1/catalog-releases/{release.uuid}/reject", {"note": "x"}),
        (f"/api/v1/catalog-releases/{release.uuid}/publish", {}),
        (
            f"{ROOT}/{catalog.code}/levels/item/items/A001/correct",
            {"valid_on": "2025-02-01", "note": "x", "facts": {"name": "y"}},
        ),
    ]
    for url, body in doors:
        assert client.post(url, body, content_type="application/json").status_code == expected, url
    assert Release.objects.filter(catalog=catalog).count() == 1


def test_an_officer_corrects_an_entry_by_api(client, operator):
    catalog = CatalogFactory()
    published(catalog, rows(3), by=operator)
    client.force_login(operator)
    body = {"valid_on": "2025-02-01", "note": "Sai", "facts": {"name": "Đúng", "full_name": "Đúng"}}
    answer = client.post(f"{ROOT}/{catalog.code}/levels/item/items/A001/correct", body, content_type="application/json")
    assert (answer.status_code, answer.json()["name"], answer.json()["release"]) == (200, "Đúng", 2)
    assert read(client, f"{ROOT}/{catalog.code}/items/A001", known_at="1")["name"] == "Tên gọi số 1"


def test_what_a_published_release_changed_can_be_looked_at_for_ever(client, units, operator):
    release = Release.objects.get(catalog=units, number=2)
    client.force_login(operator)
    url = f"/api/v1/catalog-releases/{release.uuid}/difference"
    found = client.get(url, {"kind": "closed", "q": "bac kan"})
    assert ("district", "058") in {(line["level"], line["code"]) for line in found.json()}
    assert int(client.get(url, {"kind": "reused"})["X-Total-Count"]) == release.counts["reused"]
    assert int(client.get(url, {"kind": "added"})["X-Total-Count"]) == release.counts["added"]
    assert int(client.get(url, {"kind": "closed"})["X-Total-Count"]) == release.counts["closed"]
