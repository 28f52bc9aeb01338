"""The stand-in of the population database behaves as the wire reference says."""

from __future__ import annotations

import base64
import time

import pytest
import requests
from defusedxml.ElementTree import fromstring

from apps.sandbox import population

SOAP = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{}</e:Body></e:Envelope>'
HEAD = "<MaYeuCau>1</MaYeuCau><MaDVC>1.001</MaDVC><MaTichHop>037</MaTichHop><MaCanBo>x</MaCanBo>"


def ask(number: int = 3, *, name: str = "", birth: str = "", head: str = HEAD) -> bytes:
    who = population.person(number)
    inner = f"{head}<SoDinhDanh>{who['SoDinhDanh']}</SoDinhDanh><HoVaTen>{name or population.full_name(who)}</HoVaTen>{birth}"
    return SOAP.format(f'<TraCuuThongTinCongDan xmlns="{population.ASKS}">{inner}</TraCuuThongTinCongDan>').encode()


def born(tag: str, value: str) -> str:
    return f"<NgayThangNamSinh><{tag}>{value}</{tag}></NgayThangNamSinh>"


def found(body: bytes) -> bool:
    reply = population.answer(body)
    assert reply.status == 200, reply.body
    return b"<CongDan>" in reply.body


def test_a_person_is_found_by_number_name_and_birth_date_in_every_known_form():
    day = population.person(3)["Ngay"]
    assert found(ask())
    for tag, value in (("NgayThangNam", day), ("NgayThangNam", f"{day[:4]}-{day[4:6]}-{day[6:]}"), ("Nam", day[:4])):
        assert found(ask(birth=born(tag, value)))
    assert not found(ask(birth=born("Nam", "1800")))
    assert not found(ask(name="NGƯỜI KHÁC"))
    assert not found(ask(number=population.PEOPLE + 1))


@pytest.mark.parametrize(
    "body",
    [b"<x", SOAP.format("").encode(), SOAP.format("<Khac/>").encode(), ask(head=HEAD.replace("<MaDVC>1.001</MaDVC>", "")),
     ask(head=HEAD.replace("037", "999")), b'<!DOCTYPE x [<!ENTITY a "b">]>' + ask()],
)  # fmt: skip
def test_what_is_no_proper_request_gets_a_fault_with_status_500(body):
    reply = population.answer(body)
    assert reply.status == 500
    assert fromstring(reply.body).find(".//faultcode").text == "s:Client"


def test_the_check_answers_yes_or_no():
    who = population.person(3)
    inner = (
        f"<MaDichVu>033</MaDichVu><SoDinhDanh>{who['SoDinhDanh']}</SoDinhDanh><HoVaTen>{population.full_name(who)}</HoVaTen>"
    )
    body = SOAP.format(f'<XacThucThongTinCongDan xmlns="{population.ASKS}">{inner}</XacThucThongTinCongDan>').encode()
    assert b"<TonTai>true</TonTai>" in population.answer(body).body
    assert b"<TonTai>false</TonTai>" in population.answer(body.replace(who["Ten"].encode(), b"KHAC")).body


def test_both_routes_want_to_know_who_asks(sandbox):
    bearer = {"Authorization": f"Bearer {sandbox.token()}"}
    assert requests.post(f"{sandbox.url}/dancu/1.0", ask(), headers=bearer, timeout=60).status_code == 200
    assert requests.post(f"{sandbox.url}/dancu/1.0", ask(), timeout=60).status_code == 401

    def direct(stamp: str, secret: str) -> int:
        word = base64.b64encode(f"{sandbox.key}:{population.digest(sandbox.key, stamp, secret)}".encode()).decode()
        given = {"Timestamp": stamp, "Authorization": f"Basic {word}"}
        return requests.post(f"{sandbox.url}/dancu", ask(), headers=given, timeout=60).status_code

    now = time.time()
    assert direct(str(int(now)), sandbox.secret) == direct(str(int(now * 1000)), sandbox.secret) == 200
    assert direct(str(int(now) - 3600), sandbox.secret) == direct(str(int(now)), "x") == direct("x", sandbox.secret) == 401
