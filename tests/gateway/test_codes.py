"""Old and new codes: translated both ways where the grant says so, marked where there is no single heir, never chosen."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.gateway import code_tables, lineage_tables
from apps.gateway.models import CallIntent, CallOutcome, CodeTable
from apps.organizations.choices import Role
from apps.registry.models import Field, Operation, Parameter, ServiceVersion, Upstream
from tests.factories.catalogs import CatalogFactory, published
from tests.factories.organizations import officer
from tests.gateway.conftest import wait_for_epoch
from tests.gateway.world import make_grant

EVE, REFORM = dt.date(2025, 6, 30), dt.date(2025, 7, 1)


def line(old: str, new: str, kind: str, share: str = "all") -> dict:
    return {
        "old_code": old,
        "new_code": new,
        "kind": kind,
        "effective_on": REFORM,
        "area_share": share,
        "population_share": share,
    }


def reform(code: str = "don-vi-thu"):
    """00001 and 00002 became 00010; 00003 went in parts to 00010 and 00011; 00004 stayed; 00005 ended."""
    by, catalog = officer(Role.OPERATOR), CatalogFactory(code=code)
    old = [{"code": f"0000{n}", "name": f"Xã cũ {n}"} for n in (1, 2, 3, 5)] + [{"code": "00004", "name": "Xã giữ nguyên"}]
    published(catalog, old, by=by, effective_on=dt.date(2025, 1, 1))
    new = [
        {"code": "00010", "name": "Phường mới"},
        {"code": "00011", "name": "Xã mới khác"},
        {"code": "00004", "name": "Xã giữ nguyên"},
    ]
    lines = [line("00001", "00010", "merged"), line("00002", "00010", "merged"), line("00003", "00010", "split", "part"),
             line("00003", "00011", "split", "part")]  # fmt: skip
    published(catalog, new, by=by, effective_on=REFORM, successions=lines, instrument="NQ thử")
    return catalog


JSON_FIELDS = {
    "total": "",
    "rows[].unit": "don-vi-thu",
    "rows[].born[]": "don-vi-thu/item",
    "rows[].name": "",
    "home.unit": "don-vi-thu",
}


def coded_operation(world, provider, major: int, fields: dict[str, str], granted: list[str], **facts):
    """A grant of the eve of the reform on an operation of a further version, which takes and gives codes."""
    version = ServiceVersion.objects.create(service=world.service, major=major, status="draft")
    operation = Operation.objects.create(
        version=version, code=f"people{major}", name="Dân", method="GET", path_template="/units/{unit}", **facts
    )
    Parameter.objects.create(operation=operation, name="unit", location="path", required=True, catalog_code="don-vi-thu")
    Parameter.objects.create(operation=operation, name="near", location="query", catalog_code="don-vi-thu")
    Parameter.objects.create(operation=operation, name="page", location="query")
    for path, catalog in fields.items():
        Field.objects.create(operation=operation, path=path, name=path, catalog_code=catalog, is_envelope=path == "total")
    Upstream.objects.create(version=version, environment="production", base_url=provider.url + "/api")
    world.change(version, "serviceversion", status="published", published_at=timezone.now())
    _agreement, grant = make_grant(operation, world.system, world.purpose, fields=granted)
    world.change(grant, "grant", codes_day=EVE)
    return grant


@pytest.fixture
def coded(world, provider):
    reform()
    return coded_operation(world, provider, 2, JSON_FIELDS, ["rows[].unit", "rows[].born[]", "home.unit"])


ANSWER = {
    "total": 12345678901234567890123, "rows": [
        {"unit": "00010", "born": ["00004", "00011"], "name": "canary"}, {"unit": "00004", "born": [], "name": "canary"},
        {"unit": None, "born": ["77777"]}, {"unit": "", "born": None},
    ],
    "home": {"unit": "00010", "canary": "00010"},
}  # fmt: skip


@pytest.fixture
def ask(call, world, coded, provider, gateway):
    lineage_tables.keep()
    provider.answer("/api/units/00010", ANSWER)
    return lambda unit="00001", query="", **headers: call(f"/gw/{world.service.code}/v2/units/{unit}{query}", **headers)


pytestmark = pytest.mark.django_db(transaction=True)


def test_codes_are_translated_both_ways_and_ambiguous_ones_marked(ask, provider):
    answer = ask("00001", "?near=00002&page=3")
    assert provider.seen[-1].target == "/api/units/00010?near=00010&page=3"
    assert answer.json == {
        "total": 12345678901234567890123,
        "rows": [
            {"unit": "many:00001|00002|00003", "born": ["00004", "many:00003"]}, {"unit": "00004", "born": []},
            {"unit": None, "born": ["unknown:77777"]}, {"unit": "", "born": None},
        ],
        "home": {"unit": "many:00001|00002|00003"},
    }  # fmt: skip
    days = "from=today;to=2025-06-30;release=2"
    assert answer.headers["x-code-translation"] == f"don-vi-thu;{days}, don-vi-thu/item;{days};marked=4"
    assert b"canary" not in answer.body
    outcome = CallOutcome.objects.get()
    assert (outcome.answer_bytes, outcome.outcome) == (len(answer.body), "delivered")


XML_FIELDS = {"@home": "don-vi-thu", "total": "", "row[].unit": "don-vi-thu", "row[].born[]": "don-vi-thu/item", "row[].at.@code": "don-vi-thu",
              "row[].at.#text": "", "row[].name": ""}  # fmt: skip
XML_ANSWER = """<?xml version="1.0"?><o:people xmlns:o="urn:dan" home=" 00010 " other="00010"><total>00010</total>
<row><unit>00010</unit><born>00004</born><born>00011</born><at code="00004">00010</at><name>canary</name></row>
<row><unit> 00004
</unit><born>77777</born><at code="00010" hidden="00010">x</at></row>
<row><unit/><unit xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/><born><b>00010</b></born></row></o:people>"""


def test_codes_in_an_xml_answer_are_translated_like_those_in_json(ask, call, world, coded, provider):
    granted = ["@home", "row[].unit", "row[].born[]", "row[].at.@code", "row[].at.#text"]
    coded_operation(world, provider, 3, XML_FIELDS, granted, answer="xml")
    provider.answer("/api/units/00010", raw=XML_ANSWER.encode(), headers={"Content-Type": "application/xml"})
    answer = call(f"/gw/{world.service.code}/v3/units/00001")
    assert answer.status == 200, answer.body
    assert answer.body.decode().partition("\n")[2] == (
        '<people xmlns="urn:dan" home="many:00001|00002|00003"><total xmlns="">00010</total>'
        '<row xmlns=""><unit>many:00001|00002|00003</unit><born>00004</born><born>many:00003</born><at code="00004">00010</at></row>'
        '<row xmlns=""><unit>00004</unit><born>unknown:77777</born><at code="many:00001|00002|00003">x</at></row>'
        '<row xmlns=""><unit></unit></row></people>'
    )
    days = "from=today;to=2025-06-30;release=2"
    assert answer.headers["x-code-translation"] == f"don-vi-thu;{days}, don-vi-thu/item;{days};marked=5"
    assert b"canary" not in answer.body
    outcome = CallOutcome.objects.order_by("call_id").last()
    assert (outcome.answer_bytes, outcome.outcome) == (len(answer.body), "delivered")


@pytest.mark.parametrize(
    ("unit", "result", "candidates"),
    [("00003", "many", ["00010", "00011"]), ("00005", "ended", []), ("99999", "unknown", []), ("00010", "unknown", [])],
)
def test_a_code_without_a_single_heir_is_refused_with_the_candidates(ask, provider, unit, result, candidates):
    answer = ask(unit)
    assert (answer.status, answer.code) == (400, "code_not_exact")
    assert (answer.json["parameter"], answer.json["result"], answer.json["candidates"]) == ("unit", result, candidates)
    assert ask("00001", "?near=00003").json["parameter"] == "near"
    assert provider.seen == []
    assert CallIntent.objects.count() == 0


def test_without_a_table_nothing_passes(call, world, coded, provider):
    answer = call(f"/gw/{world.service.code}/v2/units/00001")
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "codes_not_ready", "60")
    assert provider.seen == []


def test_a_grant_that_does_not_say_so_is_not_translated(ask, world, coded, provider):
    world.change(coded, "grant", codes_day=None)
    answer = ask("00010")
    assert answer.json["home"] == {"unit": "00010"}
    assert "x-code-translation" not in answer.headers


def test_tables_nobody_needs_any_more_are_dropped(ask, world, coded):
    world.change(coded, "grant", codes_day=None)
    assert lineage_tables.keep() == 3
    assert not CodeTable.objects.exists()


def test_a_new_release_reaches_the_next_call_once_its_table_is_made(ask, provider, gateway):
    from apps.catalogs.models import Catalog
    from apps.core.epoch import current_epoch

    assert ask("00005").code == "code_not_exact"
    catalog = Catalog.objects.get(code="don-vi-thu")
    published(
        catalog,
        [],
        by=officer(Role.OPERATOR),
        scope="changes",
        effective_on=REFORM,
        successions=[line("00005", "00010", "merged")],
    )
    assert lineage_tables.keep() == 3
    wait_for_epoch(gateway.url, current_epoch())
    assert ask("00005").status == 200
    assert lineage_tables.keep() == 0, "the same release needs no new table"


def test_what_one_may_call_says_whose_codes_it_speaks(ask, call, world):
    rows = {row["operation"]: row for row in call("/gw/me").json["grants"]}
    assert (rows["people2"]["codes_day"], rows["company"]["codes_day"]) == ("2025-06-30", None)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a machine with much to do is no fault of the table
@given(
    st.dictionaries(
        st.text("0123456789", min_size=1, max_size=5), st.sampled_from(["same", "exact", "many", "ended"]), max_size=30
    )
)
def test_a_packed_table_says_the_same(rows):
    answers = []
    for code, kind in rows.items():
        heirs = {"same": [code], "exact": ["x" + code], "many": ["a", code], "ended": []}[kind]
        answers.append((code, "exact" if kind == "same" else kind, heirs))
    entries = code_tables.unpack(code_tables.pack(answers))
    assert entries == {code: heirs[0] if result == "exact" else tuple(heirs) for code, result, heirs in answers}
    assert code_tables.pack(reversed(answers)) == code_tables.pack(answers)
    assert json.dumps(sorted(entries)) == json.dumps(sorted(rows))


@pytest.mark.django_db
def test_the_day_asked_for_is_agreed_on_and_reaches_every_grant():
    from tests.factories.agreements import accepted
    from tests.factories.connections import world as parties

    w = parties()
    agreement = accepted(w, codes_day=EVE)
    assert agreement.current_version.content["method"]["codes_day"] == "2025-06-30"
    assert set(agreement.grants.values_list("codes_day", flat=True)) == {EVE}
