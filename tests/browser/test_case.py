"""A real Chromium: one case from the login to the secret, at the width of a desk and of a telephone, under the strict policy."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.agreements.models import Agreement, Credential
from apps.connections.models import ConnectionRequest
from tests.factories import connections
from tests.factories.accounts import PASSWORD
from tests.factories.registry import operation_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes("portal")]
DESK = {"viewport": {"width": 1366, "height": 900}}
TELEPHONE = {"viewport": {"width": 390, "height": 844}}


@pytest.fixture
def world(running_platform, transactional_db):
    return connections.world()


@pytest.fixture
def visit(browser_context, running_platform):
    """`visit(user)` is a page in which that person has logged in by the form; every page's errors are kept in `.errors`."""
    base = running_platform.url("portal")

    def log_in(user):
        browser_context.clear_cookies()
        page = browser_context.new_page()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
        page.goto(base + reverse("account_login"))
        page.fill("input[name=login]", user.username)
        page.fill("input[name=password]", PASSWORD)
        page.click("main button[type=submit], main form button")
        page.wait_for_url("**" + reverse("home"))
        return page

    log_in.base = base
    return log_in


def settled(page) -> None:
    """The page is whole: no script error, nothing the policy refused, nothing wider than the window."""
    page.wait_for_load_state()
    assert page.errors == []
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url


@pytest.mark.parametrize("browser_context", [DESK, TELEPHONE], indirect=True, ids=["1366", "390"])
def test_a_case_from_the_login_to_the_secret(world, visit, browser_context):
    officer = visit(world.consumer_officer)
    settled(officer)
    officer.goto(visit.base + reverse("portal:service", args=[world.service.code]))
    settled(officer)
    officer.click(f"a[href*='{reverse('portal:request-new')}']")
    officer.fill("#id_title", "Tra cứu doanh nghiệp")
    officer.check("input[name=systems]")
    settled(officer)
    officer.click("button[value=next]")

    settled(officer)
    assert officer.locator("[data-count=all]").inner_text() == "0"
    officer.locator("button[data-choose=plain]:visible").first.click()
    chosen = int(officer.locator("[data-count=all]").inner_text())
    assert chosen > 5
    assert officer.locator("[data-count=sensitive]").inner_text() == "0", "nothing sensitive is chosen with the rest"
    officer.click("button[value=next]")

    settled(officer)
    officer.select_option("#id_purpose", index=1)
    for name, text in {
        "purpose_text": "Đối chiếu khi giải quyết hồ sơ.", "legal_basis": "NĐ 47/2020/NĐ-CP", "solution": "Hiển thị, không lưu.",
        "calls_per_day": "500", "wanted_from": "05/12/2030", "technician": "Nguyễn Văn An",
    }.items():  # fmt: skip
        officer.fill(f"#id_{name}", text)
    officer.click("button[value=next]")
    settled(officer)
    case = ConnectionRequest.objects.get()
    assert case.requested_operations.get().fields.count() == chosen
    assert case.wanted_from.isoformat() == "2030-12-05"
    url = visit.base + reverse("portal:request", args=[case.uuid])

    signer = visit(world.consumer_signer)
    signer.click("text=Đọc và ký yêu cầu")
    settled(signer)
    signer.fill("#id_password", PASSWORD)
    signer.click("form[action$='/do/sign/'] button")
    settled(signer)
    assert signer.locator(".msg--success").is_visible()

    officer = visit(world.consumer_officer)
    officer.goto(url)
    officer.click("form[action$='/do/submit/'] button")
    settled(officer)

    operator = visit(world.operator)
    operator.goto(url)
    operator.click("form[action$='/do/forward/'] button")
    settled(operator)

    provider = visit(world.provider_officer)
    provider.click("text=Quyết định yêu cầu")
    settled(provider)
    provider.locator("details", has=provider.locator("form[action$='/do/approve/']")).locator("summary").click()
    provider.click("form[action$='/do/approve/'] button")
    settled(provider)
    assert provider.url.endswith(reverse("portal:agreement", args=[Agreement.objects.get().uuid]))

    officer = visit(world.consumer_officer)
    officer.click("text=Nhận tài khoản kết nối")
    settled(officer)
    officer.locator("details", has=officer.locator("form[action$='/do/claim/']")).locator("summary").click()
    officer.click("form[action$='/do/claim/'] button")
    settled(officer)
    secret = officer.locator("#secret").inner_text()
    assert len(secret) >= 32
    officer.goto(visit.base + reverse("portal:credential", args=[Credential.objects.get().uuid]))
    assert secret not in officer.content(), "never a second time"
    assert browser_context.foreign_requests == []


def test_all_that_is_not_sensitive_is_chosen_at_a_press_and_what_is_sensitive_only_by_hand(world, visit):
    """In the one operation of the service that has a sensitive field (`tinhTrangHoSo`)."""
    with_sensitive = operation_of(world.service, "tinhTrangHoSo")
    leaves = with_sensitive.fields.filter(is_envelope=False).exclude(type__in=["object", "array"])
    classes = dict(leaves.values_list("path", "personal_data"))
    (sensitive,) = [path for path, personal in classes.items() if personal == "sensitive"]
    officer = visit(world.consumer_officer)
    officer.goto(visit.base + reverse("portal:request-new") + f"?service={world.service.code}")
    officer.fill("#id_title", "Tình trạng hồ sơ")
    officer.check("input[name=systems]")
    officer.click("button[value=next]")

    operation = officer.locator("details[data-operation]", has_text=with_sensitive.name)
    operation.locator("summary").first.click()
    boxes = operation.locator("input[type=checkbox][data-class]")
    by_hand = operation.locator("input[data-class=sensitive]")
    assert (by_hand.count(), boxes.count()) == (1, len(classes))

    def ticked() -> list[str]:
        return [box.get_attribute("data-class") for box in boxes.all() if box.is_checked()]

    def told() -> list[str]:
        return [officer.locator(f"[data-count={name}]").inner_text() for name in ("all", "basic", "sensitive")]

    plain = sorted(personal for personal in classes.values() if personal != "sensitive")
    assert ticked() == []
    operation.locator("button[data-choose=plain]").click()
    assert not by_hand.is_checked()
    assert sorted(ticked()) == plain
    assert told() == [str(len(plain)), str(plain.count("basic")), "0"]
    assert not officer.locator("[data-when-sensitive]").is_visible()
    by_hand.check()
    assert told() == [str(len(classes)), str(plain.count("basic")), "1"]
    assert officer.locator("[data-when-sensitive]").is_visible()
    operation.locator("button[data-choose=none]").click()
    assert ticked() == []
    operation.locator("button[data-choose=plain]").click()
    officer.click("button[value=next]")

    settled(officer)
    chosen = ConnectionRequest.objects.get().requested_operations.get(operation=with_sensitive)
    assert set(chosen.fields.values_list("path", flat=True)) == set(classes) - {sensitive}


def test_the_keyboard_reaches_the_content_in_two_steps(world, visit):
    page = visit(world.operator)
    page.goto(visit.base + reverse("portal:requests"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "lg-skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("browser_context", [TELEPHONE], indirect=True, ids=["390"])
def test_the_menu_of_the_telephone_opens_and_closes_by_keyboard(world, visit):
    page = visit(world.operator)
    button = page.locator("#lg-menu-button")
    assert button.get_attribute("aria-expanded") == "false"
    assert not page.locator("#lg-side a").first.is_visible()
    button.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    assert page.evaluate("document.activeElement.closest('#lg-side') !== null")
    page.keyboard.press("Escape")
    assert button.get_attribute("aria-expanded") == "false"


def test_every_control_has_a_name(world, visit):
    """Inputs, buttons and links say what they are without their icon; the registers of unfold included."""
    request = connections.forwarded(world)
    page = visit(world.provider_officer)
    nameless = """Array.from(document.querySelectorAll('input:not([type=hidden]),select,textarea,button,a[href]')).filter(e => {
        if (!e.offsetParent && e.getClientRects().length === 0) return false;
        const copy = e.cloneNode(true);
        copy.querySelectorAll('[aria-hidden=true]').forEach(part => part.remove());
        const text = copy.textContent.trim();
        const labelled = e.labels && e.labels.length > 0;
        return !text && !labelled && !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby') && e.type !== 'submit';
    }).map(e => e.outerHTML.slice(0, 120))"""
    for url in (
        reverse("home"),
        reverse("portal:requests"),
        reverse("portal:request", args=[request.uuid]),
        "/admin/organizations/organization/",
    ):
        page.goto(visit.base + url)
        page.wait_for_load_state()
        page.wait_for_timeout(300)
        assert page.evaluate(nameless) == [], url


def test_the_registers_run_under_their_own_policy(world, visit):
    page = visit(world.operator)
    for url in ("/admin/organizations/organization/", "/admin/legal/legalrule/", "/admin/registry/dataservice/"):
        page.goto(visit.base + url)
        page.wait_for_load_state()
        assert page.locator("main h1").is_visible()
    assert page.errors == []
