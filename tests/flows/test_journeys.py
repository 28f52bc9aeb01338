"""Whole journeys of a connection, each by people with their real roles over HTTP against running processes.

Every journey has a system of its own, so that they do not meet at the gateway; `province` is shared by all of them.
"""

from __future__ import annotations

import datetime

import pytest

from tests.factories.accounts import PASSWORD
from tests.flows.province import ADDRESS, CODE, NAME, RESTRICTED, Province

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _django_db_helper(django_db_setup):
    """Instead of pytest-django's: the database is made, and not emptied between the journeys of one province."""


def test_default_sharing_then_a_change_then_a_renewal(province: Province):
    officer, provider = province.person("khaithac"), province.person("cungcap")
    end = (datetime.date.today() + datetime.timedelta(days=300)).isoformat()
    request = province.file("khaithac", "H03.01.1", ["cong-dvc-bac-kan"], wanted_to=end)
    assert (request["status"], "Điều 40(3)" in request["deadline_citation"]) == ("checking", True)
    agreement = province.approve(request)
    assert officer.get(f"agreements/{agreement}")["status"] == "in_force"
    system = province.collect("khaithac", "cong-dvc-bac-kan")
    province.passes(system, CODE, NAME)
    production = province.into_production("khaithac", agreement, "cong-dvc-bac-kan")
    province.passes(production, CODE, NAME)

    change = officer.post(f"agreements/{agreement}/change")
    draft = officer.get(f"requests/{change['request']}")
    assert draft["kind"] == "change"
    assert sorted(draft["scope"][0]["fields_asked"]) == sorted([CODE, NAME]), "starts from what runs"
    scope = [{"operation": draft["scope"][0]["operation"], "fields": [CODE, NAME, ADDRESS]}]
    officer.patch(f"requests/{change['request']}", {"scope": scope})
    asked = province.submit("khaithac", change["request"], "ky.khaithac")
    province.passes(production, CODE, NAME)  # the old version is in force until the new one is
    assert province.approve(asked) == agreement
    province.passes(system, CODE, NAME, ADDRESS)
    province.passes(production, CODE, NAME)  # what is new waits in production for its own test
    province.accept("khaithac", agreement, "cong-dvc-bac-kan")
    province.passes(production, CODE, NAME, ADDRESS)
    told = officer.get(f"agreements/{agreement}/differences")
    assert [(row["kind"], row["after"] != "") for row in told if "Field" in row["item"] or "Mục tin" in row["item"]] == [
        ("added", True)
    ]

    assert provider.get(f"agreements/{agreement}")["current_version"]["content"]["term"]["valid_to"] == end
    renewal = officer.post(f"agreements/{agreement}/renew")
    until = officer.get(f"requests/{renewal['request']}")["wanted_to"]
    assert until > end
    assert province.approve(province.submit("khaithac", renewal["request"], "ky.khaithac")) == agreement
    current = officer.get(f"agreements/{agreement}")["current_version"]
    assert (current["number"], current["content"]["term"]["valid_to"]) == (3, until)
    province.passes(production, CODE, NAME, ADDRESS)


def test_special_sharing_is_negotiated_until_both_sides_accept_the_same_words(province: Province):
    officer, provider = province.person("khaithac"), province.person("cungcap")
    person = province.person("khaithac")
    draft = person.post(
        "requests", {"consumer": "H03.01.1", **province.content(person, ["mot-cua-bac-kan"], service=RESTRICTED)}
    )
    gaps = {row["field"] for row in draft["missing"]}
    assert "special_reason" in gaps
    near = person.get(f"requests/{draft['uuid']}/alternatives")
    assert [row["code"] for row in near] == ["business-registration"], "the default service with the same fields comes near"
    reason = {"special_reason": "Cần số liệu theo lô.", "alternatives": [row["code"] for row in near]}
    person.patch(f"requests/{draft['uuid']}", reason)
    province.person("vanhanh")
    request = person.post(f"requests/{draft['uuid']}/submit")
    agreement = province.approve(request)
    first = officer.get(f"agreements/{agreement}")
    assert first["status"] == "negotiating"
    province_is_closed(province, agreement)

    proposed = provider.post(
        f"agreements/{agreement}/propose",
        {"changes": {"other_terms": "Chỉ gọi trong giờ hành chính."}, "note": "Giới hạn giờ."},
    )
    draft_hash = provider.get(f"agreements/{agreement}/versions")[0]["content_hash"]
    stale = officer.api("POST", f"agreements/{agreement}/agree", {"content_hash": "0" * 64})
    assert stale.status_code == 409
    assert proposed["status"] == "negotiating"
    agreed = officer.post(f"agreements/{agreement}/agree", {"content_hash": draft_hash})
    assert agreed["status"] == "awaiting_signatures"
    wrong = province.person("ky.khaithac").api(
        "POST", f"agreements/{agreement}/sign", {"content_hash": draft_hash, "password": "x"}
    )
    assert wrong.status_code in (400, 403)
    for signer in ("ky.khaithac", "ky.cungcap"):
        province.person(signer).post(f"agreements/{agreement}/sign", {"content_hash": draft_hash, "password": PASSWORD})
    signed = officer.get(f"agreements/{agreement}")
    assert (signed["status"], len(signed["current_version"]["signatures"])) == ("in_force", 2)
    province.passes(province.collect("khaithac", "mot-cua-bac-kan"), CODE, NAME, service=RESTRICTED)


def province_is_closed(province: Province, agreement: str) -> None:
    """Nothing opens before the last signature."""
    assert province.person("khaithac").get(f"grants?agreement={agreement}")["results"] == []


def test_a_stranger_joins_an_agreement_in_force(province: Province):
    request = province.file("kehoach", "H03.02", ["dau-thau-bac-kan"])
    agreement = province.approve(request)
    number = province.person("kehoach").get(f"agreements/{agreement}")["number"]
    joiner = province.person("taichinh")
    assert joiner.api("GET", f"agreements/{agreement}").status_code == 404
    begun = joiner.post(f"joining/{number}", {"consumer": "H03.03"})
    draft = joiner.get(f"requests/{begun['request']}")
    assert (draft["kind"], draft["systems"]) == ("join", [])
    own = {"systems": ["ngan-sach-bac-kan"], "technician": "Phòng Tin học, 0209 000 200"}
    joiner.patch(f"requests/{begun['request']}", own)
    assert province.approve(province.submit("taichinh", begun["request"], "ky.taichinh")) == agreement
    parties = joiner.get(f"agreements/{agreement}")["parties"]
    assert {row["organization"]["code"] for row in parties if row["side"] == "consumer"} == {"H03.02", "H03.03"}
    province.passes(province.collect("taichinh", "ngan-sach-bac-kan"), CODE, NAME)
    province.passes(province.collect("kehoach", "dau-thau-bac-kan"), CODE, NAME)


def test_a_refusal_is_disputed_through_the_levels(province: Province):
    officer, provider, operator = (province.person(name) for name in ("khaithac", "cungcap", "vanhanh"))
    request = province.file("khaithac", "H03.01.1", ["mot-cua-bac-kan"])
    here = f"requests/{request['uuid']}"
    assert provider.api("GET", here).status_code == 404, "not the provider's before it is forwarded"
    remarks = {"remarks": [{"field": "solution", "text": "Nêu rõ có lưu hay không."}]}
    assert operator.post(f"{here}/return", remarks)["paused_at"]
    officer.patch(here, {"solution": "Hiển thị cho công chức một cửa; không lưu."})
    province.submit("khaithac", request["uuid"], "ky.khaithac")
    operator.post(f"{here}/forward")
    bare = provider.api("POST", f"{here}/refuse", {"ground": "R3", "reason": " ", "citation": ""})
    assert bare.status_code in (400, 422)
    ground = {"ground": "R3", "reason": "Không thuộc chức năng.", "citation": "NĐ 47/2020/NĐ-CP Điều 52(1)(a)"}
    assert provider.post(f"{here}/refuse", ground)["status"] == "refused"
    assert officer.api("POST", f"{here}/submit").status_code == 409
    assert any("R3" in row["text"] for row in officer.get("notices")["results"])

    body = {"request": request["number"], "category": "rights", "title": "Không đồng ý", "description": "Đúng chức năng."}
    raised = officer.post("disputes", body)
    dispute = f"disputes/{raised['uuid']}"
    assert province.person("taichinh").api("GET", dispute).status_code == 404
    assert officer.api("POST", f"{dispute}/escalate", {"reason": "Ngay"}).status_code == 422, "level 1 still has time"
    provider.post(f"{dispute}/answer", {"text": "Giữ nguyên."})
    assert officer.post(f"{dispute}/escalate", {"reason": "Chưa thỏa đáng."})["status"] == "level_2"
    operator.post(f"{dispute}/answer", {"text": "Đề nghị bộ cho ý kiến."})
    assert officer.post(f"{dispute}/escalate", {"reason": "Vượt thẩm quyền tỉnh."})["status"] == "level_3"
    sent = {"sent_to": "Bộ Kế hoạch và Đầu tư", "number": "15/STTTT", "day": datetime.date.today().isoformat()}
    assert operator.post(f"{dispute}/document-sent", sent)["sent_number"] == "15/STTTT"
    reply = {"text": "Đồng ý chia sẻ.", "document_number": "99/BKHĐT", "document_date": sent["day"]}
    operator.post(f"{dispute}/answer", reply)
    assert officer.post(f"{dispute}/resolve", {"outcome": "Gửi lại yêu cầu."})["status"] == "resolved"
    assert operator.post(f"{dispute}/close")["status"] == "closed"


def test_suspension_closes_at_once_and_resuming_opens_again_then_termination_with_its_duties(province: Province):
    officer, provider = province.person("tuphap"), province.person("cungcap")
    agreement = province.approve(province.file("tuphap", "H03.04", ["cong-chung-bac-kan"]))
    system = province.collect("tuphap", "cong-chung-bac-kan")
    province.passes(system, CODE, NAME)

    early = {"starts_at": (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)).isoformat(), "reason": "Nâng cấp",
             "ends_at": (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)).isoformat()}  # fmt: skip
    refused = provider.api("POST", f"agreements/{agreement}/planned-suspensions", early)
    assert refused.status_code == 400, "it is announced seven working days ahead"
    in_time = datetime.datetime.fromisoformat(refused.json()["earliest"]) + datetime.timedelta(days=1)
    period = {
        "starts_at": in_time.isoformat(),
        "ends_at": (in_time + datetime.timedelta(hours=8)).isoformat(),
        "reason": "Nâng cấp",
    }
    assert officer.api("POST", f"agreements/{agreement}/planned-suspensions", period).status_code == 403
    announced = provider.post(f"agreements/{agreement}/planned-suspensions", period)
    assert [row["uuid"] for row in officer.get("planned-suspensions")["results"]] == [announced["uuid"]]
    assert "Nâng cấp" in officer.page(f"portal/agreements/{agreement}/"), "the banner of who is concerned"
    told = [row["text"] for row in officer.get("notices")["results"] if "Nâng cấp" in row["text"]]
    assert len(told) == 1
    province.passes(system, CODE, NAME)  # until it begins
    assert provider.post(f"planned-suspensions/{announced['uuid']}/cancel")["cancelled_at"]
    assert "Nâng cấp" not in officer.page(f"portal/agreements/{agreement}/")
    assert officer.api("POST", f"agreements/{agreement}/suspend", {"kind": "violation"}).status_code in (400, 403, 422)
    violation = {
        "kind": "violation",
        "violation": "Gọi ngoài mục đích.",
        "plan": "Rà soát.",
        "restore_conditions": "Có giải trình.",
    }
    assert provider.post(f"agreements/{agreement}/suspend", violation)["status"] == "suspended"
    province.refused(system, "agreement_suspended")
    provider.post(f"agreements/{agreement}/resume", {"comment": "Đã giải trình."})
    province.passes(system, CODE, NAME)

    ending = officer.post(f"agreements/{agreement}/terminate", {"ground": "consumer", "reason": "Không còn nhu cầu."})
    assert ending["status"] == "ending"
    answer = province.call(system)
    assert answer.status_code in (401, 403), answer.text
    early = provider.api("POST", f"agreements/{agreement}/finish")
    assert (early.status_code, early.json()["code"]) == (422, "duties_open")
    for duty in ending["duties"]:
        who = officer if duty["party"]["organization"]["code"] == "H03.04" else provider
        paper = {"certificate": ("bien-ban-xoa.pdf", b"%PDF-1.7", "application/pdf")} if duty["kind"] == "data_deleted" else {}
        who.send(f"duties/{duty['uuid']}/complete", {"note": "Đã thực hiện, có biên bản."}, paper)
    assert provider.post(f"agreements/{agreement}/finish")["status"] == "terminated"


def test_a_reorganization_carries_the_agreement_over_and_nobodys_access_grows(province: Province):
    before = province.approve(province.file("diachinh", "H03.06", ["dat-dai-bac-kan"]))
    system = province.collect("diachinh", "dat-dai-bac-kan")
    province.passes(system, CODE, NAME)
    law = {"source": "H03.06", "into": "H03.07", "instrument": "Nghị quyết 01/NQ-HĐND ngày 01/11/2026"}
    assert province.person("diachinh").api("POST", "reorganizations", law).status_code == 403
    merged = province.person("vanhanh").post("reorganizations", law)
    successor = province.person("noivu")
    carried = successor.get(f"agreements/{before}")
    assert [carried["number"]] == merged["agreements"]
    assert {row["organization"]["code"] for row in carried["parties"] if row["side"] == "consumer"} >= {"H03.07"}
    assert carried["current_version"]["number"] == 2
    province.passes(system, CODE, NAME)
    assert province.person("diachinh").api("GET", f"agreements/{before}").status_code in (401, 403, 404)
    assert len(carried["grants"]) == 1


def test_a_provider_that_is_merged_leaves_its_services_and_agreements_to_its_successor(province: Province):
    service = "labour-enterprises"
    province.publish("laodong", "H03.12", {service: "default"})
    request = province.file("vanphong", "H03.01", ["qlvb-bac-kan"], service=service)
    agreement = province.approve(request, "laodong")
    system = province.collect("vanphong", "qlvb-bac-kan")
    province.passes(system, CODE, NAME, service=service)
    successor, consumer = province.person("noivu"), province.person("vanphong")
    assert successor.api("GET", f"agreements/{agreement}").status_code == 404
    law = {"source": "H03.12", "into": "H03.07", "instrument": "Nghị quyết 02/NQ-HĐND ngày 01/11/2026"}
    number = consumer.get(f"agreements/{agreement}")["number"]
    assert province.person("vanhanh").post("reorganizations", law)["agreements"] == [number]
    carried = consumer.get(f"agreements/{agreement}")
    assert [row["organization"]["code"] for row in carried["parties"] if row["side"] == "provider" and not row["left_at"]] == [
        "H03.07"
    ]
    assert (carried["current_version"]["number"], len(carried["grants"])) == (2, 1)
    province.passes(system, CODE, NAME, service=service)
    assert province.person("laodong").api("POST", f"agreements/{agreement}/suspend", {}).status_code in (401, 403, 404)
    halt = {"kind": "violation", "violation": "Gọi ngoài mục đích.", "plan": "Rà soát.", "restore_conditions": "Giải trình."}
    assert successor.post(f"agreements/{agreement}/suspend", halt)["status"] == "suspended"
    province.refused(system, "agreement_suspended", service=service)
    successor.post(f"agreements/{agreement}/resume", {"comment": "Đã giải trình."})
    province.passes(system, CODE, NAME, service=service)
    assert successor.get(f"services/{service}")["provider"]["code"] == "H03.07"
