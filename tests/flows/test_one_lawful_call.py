"""Bắc Kạn, 2019: the public-service portal looks up companies in the national business registration database.

The whole story over HTTP against running processes, the sandbox as the real upstream. Nobody writes a row by hand: the
agencies and people exist, everything else is asked, decided and signed here.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests
from django.contrib.auth import get_user_model
from django.db import connection

from apps.catalogs import first_releases
from apps.portal.demo import people as founders
from apps.sync import demonstration
from tests.factories.accounts import PASSWORD, hashed_password
from tests.factories.catalogs import CatalogFactory
from tests.flows.people import TIMEOUT, Person, System
from tests.flows.province import CATALOGS

pytestmark = [pytest.mark.flow, pytest.mark.processes("portal", "gateway", "sandbox")]

PROVINCE = json.loads(Path(founders.__file__).with_name("province.json").read_text(encoding="utf-8"))
SERVICE = "business-registration"
DETAIL = "chiTietDoanhNghiep"
PURPOSE = "giai-quyet-tthc"
COMPANY = "0990000001"
GRANTED = {
    "Status", "Message", "DataCount", "Data.MainInformation.NAME", "Data.MainInformation.ENTERPRISE_GDT_CODE",
    "Data.HOAdress.AddressFullText", "Data.BusinessActivity[].CODE",
}  # fmt: skip
ASKED = sorted(path for path in GRANTED if path.startswith("Data."))


@pytest.fixture
def province(running_platform):
    """The agencies and people of the demonstration, each with a password; and what is needed to reach the processes."""
    people = founders.found(PROVINCE)
    get_user_model().objects.filter(pk__in=[user.pk for user in people.values()]).update(password=hashed_password())
    for code in CATALOGS:
        CatalogFactory(code=code)
    return running_platform


def person(platform, username: str) -> Person:
    return Person(platform.url("portal"), username, PASSWORD)


def leaves(value: object, path: str = "") -> set[str]:
    """The paths of all leaves of a JSON answer, `[]` for lists."""
    if isinstance(value, dict):
        return (
            set().union(*(leaves(child, f"{path}.{key}" if path else key) for key, child in value.items())) if value else set()
        )
    if isinstance(value, list):
        return set().union(*(leaves(child, f"{path}[]") for child in value)) if value else set()
    return {path}


def rows(sql: str, *values) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def received(platform, **query) -> list[dict]:
    """The upstream's own record of what reached it."""
    return requests.get(f"{platform.url('sandbox')}/sandbox/received", query, timeout=TIMEOUT).json()


def publish_the_service(platform) -> None:
    """Step 2: provider and signer publish terms, service, contract and addresses."""
    officer, signer = person(platform, "cungcap"), person(platform, "ky.cungcap")
    operator = person(platform, "vanhanh")
    operator.post("purposes", {"code": PURPOSE, "name": "Giải quyết thủ tục hành chính"})
    regulation = PROVINCE["regulations"][0]
    terms = officer.post("usage-regulations", {**regulation, "issued_on": "2019-10-01", "effective_from": "2019-11-01"})
    signer.post(f"usage-regulations/{terms['uuid']}/sign", {"password": PASSWORD, "version": terms["version"]})
    row = PROVINCE["services"][0]
    facts = {name: row[name] for name in ("code", "name", "description", "capacity_rps", "daily_quota", "contact", "sla")}
    officer.post("services", {**facts, "provider": row["provider"], "usage_regulation": terms["uuid"]})
    version = officer.post(f"services/{SERVICE}/versions")
    contract = json.loads(
        (Path(founders.__file__).parents[2] / "registry/data/business-registration.json").read_text(encoding="utf-8")
    )
    officer.put(f"service-versions/{version['uuid']}/contract", contract)
    for environment, prefix in (("test", "/test"), ("production", "")):
        base = platform.url("sandbox") + prefix
        secret = {"consumer_key": platform.env["LGSP_SANDBOX_KEY"], "consumer_secret": platform.env["LGSP_SANDBOX_SECRET"]}
        address = {"base_url": f"{base}/apiCSDLDKDN/1.0", "auth_kind": "ngsp", "auth_settings": {"token_url": f"{base}/token"}}
        officer.put(f"service-versions/{version['uuid']}/upstreams/{environment}", {**address, "secret": secret})
    officer.post(f"service-versions/{version['uuid']}/publish")


def file_the_request(platform) -> dict:
    """Step 3, the consumer's half: drafted, signed, submitted."""
    officer, signer = person(platform, "khaithac"), person(platform, "ky.khaithac")
    (version,) = officer.get(f"services/{SERVICE}")["versions"]
    operations = officer.get(f"service-versions/{version['uuid']}")["operations"]
    wanted = next(row["uuid"] for row in operations if row["code"] == DETAIL)
    content = {
        "consumer": "H03.01.1", "title": "Tra cứu doanh nghiệp", "systems": ["cong-dvc-bac-kan"], "purpose": PURPOSE,
        "scope": [{"operation": wanted, "fields": ASKED}],
        "purpose_text": "Đối chiếu thông tin doanh nghiệp nộp hồ sơ.", "solution": "Điền sẵn tên và địa chỉ; không lưu.",
        "legal_basis": "NĐ 47/2020/NĐ-CP Điều 33", "procedures": ["1.001612"], "calls_per_day": 1000, "calls_per_second": 10,
        "technician": "Tổ kỹ thuật, 0209 000 100",
    }  # fmt: skip
    request = officer.post("requests", content)
    seen = signer.get(f"requests/{request['uuid']}")
    signer.post(f"requests/{request['uuid']}/sign", {"content_hash": seen["content_hash"], "password": PASSWORD})
    return officer.post(f"requests/{request['uuid']}/submit")


def collect(platform, environment: str) -> System:
    officer = person(platform, "khaithac")
    (row,) = officer.get(f"credentials?environment={environment}&status=unclaimed")["results"]
    claimed = officer.post(f"credentials/{row['uuid']}/claim")
    return System(platform.url("gateway"), claimed["client_id"], claimed["client_secret"])


def company(number: str = COMPANY) -> str:
    return f"{SERVICE}/v1/{DETAIL}?msdn={number}"


def test_one_lawful_call_from_the_request_to_the_refusal_after_suspension(province):
    publish_the_service(province)
    request = file_the_request(province)
    assert request["status"] == "checking"
    assert "Điều 40(3)" in request["deadline_citation"]
    person(province, "vanhanh").post(f"requests/{request['uuid']}/forward")
    approved = person(province, "cungcap").post(f"requests/{request['uuid']}/approve", {"comment": "Đúng phạm vi."})
    assert approved["status"] == "approved"

    agreement = person(province, "khaithac").get(f"agreements/{approved['agreement']}")
    assert agreement["status"] == "in_force"
    test_system = collect(province, "test")
    tried = test_system.call(company(), PURPOSE)
    assert tried.status_code == 200, tried.text
    assert [entry["environment"] for entry in received(province, call_id=tried.headers["X-Call-Id"])] == ["test"]

    record = person(province, "khaithac").post(
        f"agreements/{agreement['uuid']}/acceptances",
        {"system": "cong-dvc-bac-kan", "tested_on": request["created_at"][:10], "summary": "Đã gọi thử, đúng phạm vi."},
    )
    person(province, "cungcap").post(f"acceptances/{record['uuid']}/confirm", {"comment": "Xác nhận."})
    system = collect(province, "production")

    answer = system.call(company(), PURPOSE)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert leaves(body) <= GRANTED
    assert body["Data"]["MainInformation"]["ENTERPRISE_GDT_CODE"] == COMPANY
    assert leaves(body) >= {"Status", "Data.MainInformation.NAME", "Data.HOAdress.AddressFullText"}
    assert "LEGAL_NAMES" in answer.headers["X-Withheld-Fields"]

    refused = system.call(f"{SERVICE}/v1/danhSachHoSo?from_date=01/11/2026&to_date=02/11/2026&offset=0&limit=10", PURPOSE)
    assert (refused.status_code, refused.json()["code"]) == (403, "grant_missing")
    assert refused.headers["Content-Type"].startswith("application/problem+json")
    unlawful = system.call(company(), "thong-ke-bao-cao")
    assert unlawful.status_code == 403
    assert unlawful.json()["code"].startswith("purpose_")

    (grant,) = person(province, "cungcap").get("grants?environment=production")["results"]
    person(province, "cungcap").post(f"grants/{grant['uuid']}/suspend", {"reason": "Nghi ngờ dùng sai mục đích"})
    after = system.call(company(), PURPOSE)
    assert (after.status_code, after.json()["code"]) == (403, "grant_suspended")

    calls = {answer.headers["X-Call-Id"], tried.headers["X-Call-Id"]}
    refusals = {refused.json()["call_id"], unlawful.json()["call_id"], after.json()["call_id"]}
    assert_the_records_agree(province, calls, refusals)


def assert_the_records_agree(platform, calls: set[str], refusals: set[str]) -> None:
    """One intent and one outcome a call, one row a refusal, and the upstream saw exactly the admitted calls."""
    assert {str(row[0]) for row in rows("SELECT call_id FROM call_intent")} == calls
    assert sorted(str(row[0]) for row in rows("SELECT call_id FROM call_outcome")) == sorted(calls)
    assert {str(row[0]) for row in rows("SELECT call_id FROM call_refusal")} == refusals
    seen = list(received(platform, path=DETAIL))
    assert sorted(entry["call_id"] for entry in seen if entry["call_id"] in calls) == sorted(calls)
    assert not [entry for entry in received(platform) if entry["call_id"] in refusals]
    log = person(platform, "kiemtra").get("calls")
    assert calls <= {row["call_id"] for row in log["results"]}


def test_a_stranger_learns_nothing_of_the_case(province):
    publish_the_service(province)
    request = file_the_request(province)
    stranger = person(province, "taichinh")
    assert stranger.api("GET", f"requests/{request['uuid']}").status_code == 404
    assert stranger.get("requests")["results"] == []
    assert stranger.api("POST", f"requests/{request['uuid']}/withdraw", {}).status_code == 404


@pytest.mark.processes("portal", "sandbox", "worker")
def test_the_worker_syncs_shared_catalogs_from_ngsp(province, settings):
    """Step 1: the operator runs the sources; what NGSP says otherwise than the live release comes in as a release."""
    by = get_user_model().objects.get(username="vanhanh")
    first_releases.load(by=by, only=("ethnic-groups", "positions"))
    url, env = province.url("sandbox"), province.env
    settings.EGRESS_ALLOW = [urlsplit(url).netloc]
    demonstration.load(by=by, base_url=url, key=env["LGSP_SANDBOX_KEY"], secret=env["LGSP_SANDBOX_SECRET"])
    operator = person(province, "vanhanh")
    for code in ("ngsp-positions", "ngsp-ethnic-groups"):  # due at once, then tomorrow: below only our own runs are open
        wait_for_the_schedule(operator, code)
    today = datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")).date().isoformat()
    kinh = "catalogs/ethnic-groups/levels/group/items/01"
    right = operator.get(kinh.replace("levels/group/", ""))["name"]
    operator.post(f"{kinh}/correct", {"valid_on": today, "note": "Thử", "facts": {"name": "Tên ghi nhầm"}})

    ended = {code: run_now(operator, code) for code in ("ngsp-positions", "ngsp-ethnic-groups")}
    assert ended["ngsp-positions"]["status"] == "unchanged"
    release = operator.get(f"catalog-releases/{ended['ngsp-ethnic-groups']['release']}")
    assert release["counts"]["renamed"] == 1, release
    if release["status"] == "held":
        operator.post(f"catalog-releases/{release['uuid']}/publish", {"accept": release["hold_reasons"], "note": "Đúng."})
    assert operator.get(kinh.replace("levels/group/", ""))["name"] == right
    assert {entry["path"].split("/")[1] for entry in received(province)} >= {"token", "dmdc"}


def wait_for_the_schedule(operator: Person, source: str) -> None:
    """Wait until the worker's own schedule has run a new source."""
    deadline = time.monotonic() + 240
    while not (facts := operator.get(f"sync/sources/{source}"))["last_success_at"]:
        assert time.monotonic() < deadline, facts
        time.sleep(0.3)


def run_now(operator: Person, source: str) -> dict:
    """Ask for a run and wait until the worker has closed it."""
    run = operator.post(f"sync/sources/{source}/run")
    deadline = time.monotonic() + 240
    while (run := operator.get(f"sync/runs/{run['uuid']}"))["status"] in ("queued", "running"):
        assert time.monotonic() < deadline, run
        time.sleep(0.3)
    return run
