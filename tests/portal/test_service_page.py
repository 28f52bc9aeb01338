"""What a consumer reads of a service: its operations and fields, its terms, its health, and all of it on paper."""

from __future__ import annotations

import datetime
import html
import re

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from apps.registry.models import DataService, HealthProbe, Upstream
from tests.factories.organizations import FocalPointFactory
from tests.factories.registry import BUSINESS_REGISTRATION

TYPES = {"string": "text", "number": "number", "date": "date", "object": "group", "array": "list"}
CLASSES = {"none": "none", "basic": "basic personal data", "sensitive": "sensitive personal data"}
NOW = datetime.datetime.fromisoformat("2026-03-04T15:30:00+07:00")
HERE = "/gw/{code}/v1"


@pytest.fixture
def service(world) -> DataService:
    FocalPointFactory(organization=world.provider, name="Lò Thị Đầu Mối", email="dau-moi@example.vn")
    return world.service


@pytest.fixture
def page_of(world, as_person):
    """`page_of("portal:service", service)` as a consumer reads it, in English."""

    def read(name: str, service: DataService) -> str:
        answer = as_person(world.consumer_officer, "en").get(reverse(name, args=[service.code]))
        assert answer.status_code == 200
        return answer.content.decode()

    return read


def words(markup: str) -> str:
    """What a reader sees of it, without the names of icons."""
    seen = re.sub(r'<span class="lg-icon"[^>]*>[^<]*</span>', "", markup)
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", seen)).split())


def facts(page: str) -> dict[str, str]:
    return {words(name): words(told) for name, told in re.findall("<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", page, re.DOTALL)}


def table(markup: str, name: str) -> list[tuple[str, ...]]:
    """The rows of the table that bears this name, a cell a text."""
    body = markup.split(f'aria-label="{name}"')[1].split("<tbody>")[1].split("</tbody>")[0]
    return [tuple(map(words, re.findall("<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL))) for row in body.split("</tr>")[:-1]]


def operations(page: str, service: DataService) -> dict[str, str]:
    """Name and address of each operation → its block."""
    blocks = re.findall(r'<details class="more"[^>]*><summary>(.*?)</summary>(.*?)</details>', page, re.DOTALL)
    return {words(name): block for name, block in blocks if HERE.format(code=service.code) in name}


def described(field: dict) -> tuple[str, str, str]:
    """A field of the contract as its line on the page."""
    marks = f" (catalog {field['catalog_code']})" if "catalog_code" in field else ""
    marks += " (master data)" if field.get("is_master_data") else ""
    is_group = field.get("type") in ("object", "array")
    personal = "" if is_group else "envelope" if field.get("is_envelope") else CLASSES[field["personal_data"]]
    return f"{field['label']}{marks} {field['path']}", TYPES[field.get("type", "string")], personal


@pytest.mark.parametrize("name", ["portal:service", "portal:service-document"])
def test_every_operation_is_described_with_its_parameters_and_every_field_of_its_answer(service, page_of, name):
    shown = operations(page_of(name, service), service)
    contract = BUSINESS_REGISTRATION["operations"]
    assert list(shown) == [f"{row['name']} GET {HERE.format(code=service.code)}{row['path']}" for row in contract]
    for operation, block in zip(contract, shown.values(), strict=True):
        assert operation["description"] in words(block)
        lines = table(block, "Fields of the answer")
        implied = [line for line in lines if line[0] == "Data Data"]
        assert [line for line in lines if line not in implied] == [described(field) for field in operation["fields"]]
        told = table(block, "Parameters")
        assert [line[0] for line in told] == [row["name"] for row in operation["parameters"]]
        for row, line in zip(operation["parameters"], told, strict=True):
            assert row["label"] in line[1]
            assert (row["pattern"] in line[1], f"(example: {row['example']} )" in line[1]) == (True, True)
            assert ("names the data subject" in line[1]) == row.get("is_subject", False)
            assert line[2:] == ("in the query", "yes" if row.get("required") else "no")


@pytest.mark.parametrize("name", ["portal:service", "portal:service-document"])
def test_samples_and_the_meaning_of_errors_are_shown(service, page_of, name):
    page = page_of(name, service)
    first = next(iter(operations(page, service).values()))
    assert "msdn=0990000001" in words(first)
    assert '"NAME": "CÔNG TY MẪU"' in words(first)
    for error in BUSINESS_REGISTRATION["errors"]:
        assert f"{error['code']} {error['meaning']}" in words(page)


def test_the_terms_of_a_service_are_stated(service, page_of):
    told = facts(page_of("portal:service", service))
    expected = {
        "State": "active",
        "Sharing form": "default sharing",
        "Classification": "shared between agencies",
        "Protocol": "REST/JSON",
        "Capacity": "50 calls a second",
        "Default quota": "10,000 calls a day",
        "Service level": "Sẵn sàng 99,5 %; trả lời trong 2 giây.",
        "Contact": "Trung tâm dữ liệu, 0209 000 000",
        "Focal point": "Lò Thị Đầu Mối, Phó Chánh Văn phòng 0209 000 000, dau-moi@example.vn",
        "Access log kept for": "12 months",
    }
    assert {name: told[name] for name in expected} == expected
    regulation = service.usage_regulation
    signed_on = timezone.localdate(regulation.terms_signed_at).strftime("%d/%m/%Y")
    assert told["Usage regulation"] == f"{regulation} standard terms signed on {signed_on}"


def test_the_technical_document_has_what_the_circular_asks_for(service, page_of):
    Upstream.objects.filter(environment="test").update(timeout_ms=2_500, max_response_bytes=2 * 1024 * 1024)
    page = page_of("portal:service-document", service)
    told = facts(page)
    expected = {
        "Code": service.code,
        "Provider": f"{service.provider} ( {service.provider.code} )",
        "What it offers": "Tra cứu thông tin đăng ký doanh nghiệp.",
        "Capacity and quota": "50 calls a second, 10,000 calls a day",
        "Service level": "Sẵn sàng 99,5 %; trả lời trong 2 giây.",
        "Protocol": "REST/JSON",
        "Usage regulation": str(service.usage_regulation),
        "Focal point": "Lò Thị Đầu Mối, Phó Chánh Văn phòng, 0209 000 000, dau-moi@example.vn",
        "v1.0, production": "longest wait 15 s, largest answer 10.0 MB",
        "v1.0, test": "longest wait 2.5 s, largest answer 2.0 MB",
    }
    assert {name: told[name] for name in expected} == expected
    assert "OAuth 2.0 client credentials" in told["Authentication"]
    headings = [words(heading) for heading in re.findall("<h2>(.*?)</h2>", page)]
    assert headings == ["1. The service", "2. Ability to serve and security", "3. Version 1.0"]
    assert f"Address at the gateway: {HERE.format(code=service.code)}" in words(page)
    document = page.split("<main")[1]
    assert document.count("<details") == document.count('<details class="more" open') == 4, "paper does not unfold"


# --- health ---------------------------------------------------------------------------------------


def looked(upstream: Upstream, hours_ago: int, *times: int | None) -> None:
    """A look a time given in milliseconds, so many hours ago; None of those that nobody answered."""
    for time in times:
        at = timezone.now() - datetime.timedelta(hours=hours_ago)
        HealthProbe.objects.create(
            upstream=upstream, at=at, answered=time is not None, latency_ms=8_000 if time is None else time
        )


def health_of(page: str) -> str:
    return page.split('<h2 id="health-h">')[1].split("</section>")[0]


@pytest.fixture
def looks(service):
    """Yesterday's and today's looks at the address of production; nobody looked at the other one."""
    with time_machine.travel(NOW, tick=False):
        production = Upstream.objects.get(version__service=service, environment="production")
        Upstream.objects.filter(pk=production.pk).update(is_healthy=True, health_since=NOW - datetime.timedelta(hours=1))
        looked(production, 0, 100, 300)
        looked(production, 1, 400, None)
        looked(production, 2, None, None)
        looked(production, 30, 1)
        yield production


def test_the_health_of_each_address_is_told_with_its_history_by_the_hour(service, looks, page_of):
    block = health_of(page_of("portal:service", service))
    production, test = block.split('<div class="sub">')[1:]
    assert "production: answers since 14:30 04/03/2026 v1.0" in words(production)
    assert "50 % of 6 looks answered," in words(production)
    assert "test: not looked at yet v1.0" in words(test)
    assert table(production, "Health by the hour") == [
        ("15:00 04/03", "2", "100", "200"), ("14:00 04/03", "2", "50", "400"), ("13:00 04/03", "2", "0", "–"),
    ]  # fmt: skip


def test_the_drawing_has_a_bar_an_hour_the_present_one_on_the_right(service, looks, page_of):
    bars = re.findall(
        r'<rect class="health__(\w+)" x="(\d+)" y="(\d+)" width="3" height="(\d+)"',
        health_of(page_of("portal:service", service)),
    )
    assert [int(x) for _state, x, _y, _height in bars] == [4 * hour for hour in range(24)]
    assert [state for state, *_rest in bars] == ["none"] * 21 + ["down", "part", "good"]
    assert [int(height) for *_rest, height in bars][-4:] == [1, 40, 38, 19]
    assert all(int(y) + int(height) == 40 for _state, _x, y, height in bars), "bars stand on the ground"


def test_an_address_that_does_not_answer_says_since_when_and_never_where_it_is(service, looks, page_of):
    Upstream.objects.filter(pk=looks.pk).update(is_healthy=False, base_url="http://10.11.12.13:8002/bi-mat")
    for name in ("portal:service", "portal:service-document"):
        assert "10.11.12.13" not in page_of(name, service)
    assert "production: does not answer since 14:30 04/03/2026" in words(health_of(page_of("portal:service", service)))


def test_a_service_without_an_address_says_so(service, page_of):
    Upstream.objects.all().delete()
    assert "No address is looked at yet." in health_of(page_of("portal:service", service))
