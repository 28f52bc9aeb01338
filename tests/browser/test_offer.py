"""A real Chromium: a provider takes a service from its OpenAPI file to the catalog, at the width of a desk and of a telephone."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from apps.organizations.choices import Role
from apps.registry.models import DataService
from tests.browser.test_case import DESK, TELEPHONE, settled, visit  # noqa: F401 -- visit is a fixture
from tests.factories.organizations import FocalPointFactory, OrganizationFactory, officer
from tests.factories.registry import SignedRegulationFactory
from tests.portal.test_offers import OPENAPI

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes("portal")]
ADDRESS = "https://api.example.gov.vn/dat-dai"


@pytest.fixture
def owner(running_platform, transactional_db):
    provider = OrganizationFactory()
    FocalPointFactory(organization=provider)
    SignedRegulationFactory(organization=provider)
    return officer(Role.PROVIDER_OFFICER, provider)


@pytest.mark.parametrize("browser_context", [DESK, TELEPHONE], indirect=True, ids=["1366", "390"])
def test_a_service_from_its_file_to_the_last_missing_thing(owner, visit, browser_context, tmp_path):  # noqa: F811
    file = tmp_path / "land.json"
    file.write_text(json.dumps(OPENAPI), encoding="utf-8")
    page = visit(owner)
    page.goto(visit.base + reverse("portal:offers"))
    settled(page)
    page.click(f"main a[href='{reverse('portal:offer-new')}'] >> nth=0")
    settled(page)
    for name, text in {
        "code": "thua-dat", "name": "Tra cứu thửa đất", "description": "Thông tin thửa đất", "capacity_rps": "5", "daily_quota": "500",
        "sla": "99 %", "contact": "Tổ dữ liệu",
    }.items():  # fmt: skip
        page.fill(f"#id_{name}", text)
    page.select_option("#id_usage_regulation", index=1)
    page.set_input_files("#id_file", str(file))
    page.click("main form button.btn--primary")
    settled(page)
    version = DataService.objects.get(code="thua-dat").versions.get()
    assert page.url.endswith(reverse("portal:version", args=[version.uuid]))
    assert page.locator(".ticks li").count() == 17
    missing = page.locator(".ticks li:not(.is-done)").count()

    page.click(f"a[href='{reverse('portal:version-step', args=[version.uuid, 'operation'])}'] >> nth=0")
    settled(page)
    for number, box in enumerate(page.locator("input[name$='-label']").all()):
        box.fill(f"Tên {number}")
    page.locator("select[name$='-personal_data']").last.select_option("basic")
    page.select_option("#id_rest", "none")
    page.click("button[value=leave]")
    settled(page)

    page.click(f"a[href='{reverse('portal:version-step', args=[version.uuid, 'examples'])}'] >> nth=0")
    settled(page)
    page.fill("#id_errors_told", "404 | Không tìm thấy")
    page.click("main form button.btn--primary")
    settled(page)
    assert page.locator(".ticks li:not(.is-done)").count() == missing - 4, "names, classes, samples and errors are there now"
    assert page.locator("form[action$='/do/publish/']").count() == 0, "not before the addresses are there"

    page.click("a[href*='environment=test'] >> nth=0")
    settled(page)
    page.fill("#id_base_url", ADDRESS)
    page.fill("#id_secret", "")
    page.click("main form button.btn--primary")
    page.wait_for_load_state()
    assert page.locator(".msg--error, .error").first.is_visible(), "an address outside the list is refused beside its field"
    assert page.input_value("#id_base_url") == ADDRESS
    assert browser_context.foreign_requests == []


def test_the_tree_of_agencies_opens_by_keyboard(owner, visit):  # noqa: F811
    top = OrganizationFactory()
    below = OrganizationFactory(parent=top)
    page = visit(owner)
    page.goto(visit.base + reverse("portal:agencies"))
    settled(page)
    line = page.locator(f"a[href='{reverse('portal:agency', args=[below.code])}']")
    summary = page.locator("details", has=line).locator("summary").first
    assert line.is_visible()
    summary.focus()
    page.keyboard.press("Enter")
    assert not line.is_visible()
