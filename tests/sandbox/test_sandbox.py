"""The stand-in speaks the wire of the national platforms, quirks included, and witnesses what it received."""

from __future__ import annotations

import os
import subprocess
import sys

import defusedxml.ElementTree as ET  # noqa: N817
import pytest
import requests

from apps.sandbox import faults
from tests.sandbox.process import KEY, ROOT, SECRET


def test_a_token_comes_as_wso2_gives_it(sandbox):
    answer = requests.post(
        f"{sandbox.url}/token", data={"grant_type": "client_credentials"}, auth=(KEY, SECRET), timeout=60
    ).json()
    assert set(answer) == {"access_token", "scope", "token_type", "expires_in"}
    assert (answer["scope"], answer["token_type"], answer["expires_in"]) == ("am_application_scope default", "Bearer", 3600)


@pytest.mark.parametrize(("auth", "form", "status", "error"), [
    ((KEY, "wrong"), {"grant_type": "client_credentials"}, 401, "invalid_client"),
    (None, {"grant_type": "client_credentials"}, 401, "invalid_client"),
    ((KEY, SECRET), {"grant_type": "password"}, 400, "unsupported_grant_type"),
    ((KEY, SECRET), {}, 400, "unsupported_grant_type"),
])  # fmt: skip
def test_a_refused_token_is_an_oauth_error(sandbox, auth, form, status, error):
    answer = requests.post(f"{sandbox.url}/token", data=form, auth=auth, timeout=60)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_faults_of_the_gateway_come_as_json_or_xml(sandbox):
    as_json = requests.get(f"{sandbox.url}/dmdc/1.0/AllCategory", timeout=60)
    assert (as_json.status_code, as_json.json()["fault"]["code"]) == (401, 900902)
    sandbox.set(fault_format="xml")
    as_xml = requests.get(f"{sandbox.url}/dmdc/1.0/AllCategory", headers={"Authorization": "Bearer x"}, timeout=60)
    root = ET.fromstring(as_xml.content)
    assert root.tag == "{http://wso2.org/apimanager/security}fault"
    assert root[0].text == "900901"
    nothing = sandbox.get("/nothing/<&>")
    assert (nothing.status_code, ET.fromstring(nothing.content)[0].text) == (404, "900906")


@pytest.mark.parametrize("base", ["/dmdc/1.0", "/dmdc"])
def test_catalogs_answer_with_and_without_the_version_segment(sandbox, base):
    codes = {row["CategoryCode"] for row in sandbox.get(f"{base}/AllCategory").json()}
    assert {"donvihanhchinhcap1", "donvihanhchinhcap2", "donvihanhchinhcap3", "madantoc", "maquocgia", "matongiao"} <= codes
    for code in codes:
        columns = [row["PropertyCode"] for row in sandbox.get(f"{base}/Metadata/{code}").json()]
        rows = sandbox.get(f"{base}/Category/{code}").json()
        assert isinstance(rows, list)
        assert all(list(row) == columns for row in rows)


@pytest.mark.parametrize(("day", "counts", "dong_nai"), [
    ("2025-06-30", (63, 696, 10035), "Tỉnh Đồng Nai"),
    ("2025-07-01", (34, 0, 3321), "Tỉnh Đồng Nai"),
    ("2026-04-30", (34, 0, 3321), "Thành phố Đồng Nai"),
])  # fmt: skip
def test_the_feed_is_that_of_one_of_three_days(sandbox, day, counts, dong_nai):
    sandbox.set(as_of=day)
    levels = [sandbox.get(f"/dmdc/1.0/Category/donvihanhchinhcap{level}").json() for level in (1, 2, 3)]
    assert tuple(len(rows) for rows in levels) == counts
    assert next(row["TenTinh"] for row in levels[0] if row["MaTinh"] == "75") == dong_nai
    assert sandbox.get("/dmdc/1.0/Category/donvihanhchinhcap1?as_of=2025-06-30").json() != levels[0] or day == "2025-06-30"


def test_pushed_rows_are_stored_all_or_none_and_told_by_msg_and_count(sandbox):
    headers = {"Authorization": f"Bearer {sandbox.token()}"}
    address = f"{sandbox.url}/dmdc/1.0/Category/qlvanbandieuhanhcap2"
    row = {"MaDinhDanhCap2": "H03.12", "TenDonVi": "Sở Mẫu"}
    assert requests.post(address, json=[row], headers=headers, timeout=60).json() == {"MSG": "Done", "Count": 1}
    again = requests.post(address, json=[{**row, "MaDinhDanhCap2": "H03.13"}, row], headers=headers, timeout=60).json()
    assert again["Count"] == 0
    assert again["MSG"].startswith('Data not insert: Record 2: MaDinhDanhCap2 "H03.12" is duplicate')
    assert [stored["MaDinhDanhCap2"] for stored in sandbox.get("/dmdc/1.0/Category/qlvanbandieuhanhcap2").json()] == ["H03.12"]


def test_the_two_environments_do_not_share_tokens_or_pushed_rows(sandbox):
    test_token = sandbox.token("/test")
    assert sandbox.get("/test/dmdc/AllCategory", test_token).status_code == 200
    assert sandbox.get("/dmdc/AllCategory", test_token).status_code == 401


def test_a_company_has_the_keys_of_the_wire_and_is_made_up(sandbox):
    answer = sandbox.get("/apiCSDLDKDN/1.0/chiTietDoanhNghiep?msdn=0990000007").json()
    assert (answer["Status"], answer["DataCount"]) == ("1", 1)
    assert set(answer["Data"]) == {"MainInformation", "HOAdress", "Representatives", "BusinessActivity", "Member"}
    assert answer["Data"]["MainInformation"]["ENTERPRISE_GDT_CODE"] == "0990000007"
    assert "MẪU" in answer["Data"]["MainInformation"]["NAME"]
    assert "MẪU" in answer["Data"]["Representatives"]["FULL_NAME"]
    assert answer == sandbox.get("/apiCSDLDKDN/chiTietDoanhNghiep?msdn=0990000007").json()


@pytest.mark.parametrize("code", ["0990000000", "0990000501", "4601234567", "", "099000001x", "../../x"])
def test_an_unknown_company_is_a_success_without_main_information(sandbox, code):
    answer = sandbox.get("/apiCSDLDKDN/1.0/chiTietDoanhNghiep", params={"msdn": code}).json()
    assert "MainInformation" not in answer["Data"]


def test_dossier_lists_page_and_refuse_more_than_five_days(sandbox):
    sandbox.set(today="2026-11-20")

    def ask(first, last, **page):
        return sandbox.get("/apiCSDLDKDN/1.0/danhSachHoSo", params={"from_date": first, "to_date": last, **page}).json()

    whole = ask("16/11/2026", "20/11/2026", limit=200)
    assert whole["Status"] == "1"
    assert whole["DataCount"] == len(whole["Data"]) > 4
    pages = [ask("16/11/2026", "20/11/2026", offset=n, limit=4)["Data"] for n in range(0, whole["DataCount"], 4)]
    assert [row for page in pages for row in page] == whole["Data"]
    one = sandbox.get("/apiCSDLDKDN/1.0/tinhTrangHoSo", params={"in_journal_no": whole["Data"][0]["IN_JOURNAL_NO"]}).json()
    assert one["Data"][0]["NAME"] == whole["Data"][0]["NAME"]
    for first, last in (
        ("15/11/2026", "20/11/2026"),
        ("20/11/2026", "19/11/2026"),
        ("30/02/2026", "01/03/2026"),
        ("2026-11-16", "x"),
    ):
        assert ask(first, last)["Status"] == "0"
    assert ask("21/11/2026", "25/11/2026")["DataCount"] == 0  # nothing from the future


def test_todays_dossiers_are_the_same_as_the_days(sandbox):
    sandbox.set(today="2026-11-18")
    today = sandbox.get(
        "/apiCSDLDKDN/1.0/danhSachHoSoTrongNgay", params={"from_ts": "00:00", "to_ts": "23:59", "limit": 200}
    ).json()
    day = sandbox.get(
        "/apiCSDLDKDN/1.0/danhSachHoSo", params={"from_date": "18/11/2026", "to_date": "18/11/2026", "limit": 200}
    ).json()
    assert [r["IN_JOURNAL_NO"] for r in today["Data"]] == [r["IN_JOURNAL_NO"] for r in day["Data"]]


def test_the_provincial_envelope_wraps_the_same_rows_in_pages(sandbox):
    first = sandbox.get("/tn/ngsp/DanhMuc/madantoc?page=1&size=50").json()
    second = sandbox.get("/tn/ngsp/DanhMuc/madantoc?page=2&size=50").json()
    assert set(first) == {"code", "status", "correlationId", "response"}
    assert first["response"]["items"] + second["response"]["items"] == sandbox.get("/dmdc/Category/madantoc").json()
    assert sandbox.get("/tn/ngsp/DanhMuc/madantoc?page=0").json()["status"] == "FAILED"


def test_what_was_received_is_written_down_without_secrets(sandbox):
    token = sandbox.token()
    sandbox.get("/apiCSDLDKDN/1.0/chiTietDoanhNghiep?msdn=0990000001", token, headers={"X-Call-Id": "call-7"})
    (entry,) = [entry for entry in sandbox.received() if entry["call_id"] == "call-7"]
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", "/apiCSDLDKDN/1.0/chiTietDoanhNghiep", 200)
    assert "authorization" in entry["header_names"]
    everything = str(sandbox.received())
    assert token not in everything
    assert SECRET not in everything


def test_revoked_and_expired_tokens_are_refused(sandbox):
    token = sandbox.token()
    sandbox.admin("POST", "revoke-tokens")
    assert sandbox.get("/dmdc/AllCategory", token).status_code == 401
    sandbox.set(token_seconds=0)
    assert sandbox.get("/dmdc/AllCategory", sandbox.token()).status_code == 401


def test_a_fault_is_played_as_often_as_asked_and_after_as_many_good_answers(sandbox):
    sandbox.fault("503", "/dmdc/*", after=1, times=2)
    assert [sandbox.get("/dmdc/AllCategory").status_code for _ in range(5)] == [200, 503, 503, 200, 200]


def test_the_page_for_developers_lists_every_address_and_fault(sandbox):
    content = requests.get(f"{sandbox.url}/", timeout=60).json()
    page = requests.get(f"{sandbox.url}/", headers={"Accept": "text/html"}, timeout=60)
    assert page.headers["content-type"].startswith("text/html")
    for row in content["speaks"]:
        assert row["path"].replace("&", "&amp;") in page.text
    assert set(content["fault_modes"]) == set(faults.MODES)  # every fault has its words
    for fault in content["faults"]:
        assert f"<code>{fault['mode']}</code>" in page.text
        assert len(fault["does"]) > 10
        assert fault["good_client"]
    assert f"curl -X POST {sandbox.url}/sandbox/faults" in page.text


def test_the_page_shows_no_host_that_is_none(sandbox):
    page = requests.get(f"{sandbox.url}/", headers={"Accept": "text/html", "Host": "<script>x"}, timeout=60)
    assert "<script" not in page.text


@pytest.mark.parametrize(("method", "path", "content"), [
    ("POST", "faults", {"mode": "nonsense"}), ("PUT", "switches", {"as_of": "31/12/2026"}), ("PUT", "switches", {"other": 1}),
    ("POST", "nonsense", None),
])  # fmt: skip
def test_a_wrong_admin_call_changes_nothing(sandbox, method, path, content):
    before = sandbox.admin("GET", "switches")["switches"]
    assert requests.request(method, f"{sandbox.url}/sandbox/{path}", json=content, timeout=60).status_code in (400, 404)
    assert sandbox.admin("GET", "switches")["switches"] == before


def test_without_credentials_the_process_does_not_start():
    started = subprocess.run(
        [sys.executable, "-m", "uvicorn", "apps.sandbox.app:app", "--port", "0"],
        cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert started.returncode != 0
    assert "LGSP_SANDBOX_KEY" in started.stderr
    assert "Traceback" not in started.stderr
