"""The shell: who comes in, in which language, under which policy."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.organizations.choices import Role
from tests.factories.accounts import PASSWORD, UserFactory
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator():
    return officer(Role.OPERATOR, full_name="Hoàng Giang")


def policy(response) -> dict[str, str]:
    parts = [part.strip().partition(" ") for part in response["Content-Security-Policy"].split(";")]
    return {name: value for name, _space, value in parts}


def test_a_stranger_is_sent_to_the_login_page(client):
    response = client.get(reverse("home"))
    assert response.status_code == 302
    assert response["Location"] == f"{reverse('account_login')}?next={reverse('home')}"


def test_the_admin_has_no_login_form_of_its_own(client):
    response = client.get("/admin/login/?next=/admin/legal/legalrule/")
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("account_login"))
    assert client.post("/admin/login/", {"username": "x", "password": "y"}).status_code == 302


def test_the_login_page_never_leads_to_another_host(client):
    assert "evil" not in client.get("/admin/login/?next=https://evil.example/")["Location"]


def test_login_leads_home_and_home_greets(client, operator):
    response = client.post(reverse("account_login"), {"login": operator.username, "password": PASSWORD}, follow=True)
    assert response.redirect_chain[-1][0] == reverse("home")
    assert "Hoàng Giang" in response.content.decode()


def test_nobody_registers_by_himself(client):
    assert client.get(reverse("account_signup")).status_code == 404
    assert client.post(reverse("account_signup"), {}).status_code == 404


def test_an_english_browser_gets_vietnamese(client):
    response = client.get(reverse("account_login"), headers={"Accept-Language": "en-US,en"})
    assert response["Content-Language"] == "vi"
    assert '<html lang="vi">' in response.content.decode()


def test_english_comes_by_a_form_and_stays(client):
    assert client.get(reverse("set_language"), {"language": "en"}).cookies.get("django_language") is None
    client.post(reverse("set_language"), {"language": "en", "next": reverse("account_login")})
    assert '<html lang="en">' in client.get(reverse("account_login")).content.decode()


def test_the_language_form_leads_to_no_other_host(client):
    response = client.post(reverse("set_language"), {"language": "en", "next": "https://evil.example/"})
    assert "evil" not in response["Location"]


def test_a_person_without_role_is_told_so(client):
    client.force_login(UserFactory())
    assert "portal/no_role.html" in [template.name for template in client.get(reverse("home")).templates]


def test_daily_pages_are_under_the_strict_policy(client, operator):
    client.force_login(operator)
    for name in ("home", "portal:requests", "portal:agreements", "portal:services", "portal:notices"):
        response = client.get(reverse(name))
        assert response.status_code == 200, name
        assert policy(response)["script-src"] == "'self'"
        assert policy(response)["style-src"] == "'self'"
        page = response.content.decode()
        assert " style=" not in page
        assert "<style" not in page
        assert "onclick" not in page
        assert "<script>" not in page


def test_the_looser_policy_is_for_the_registers_only(client, operator):
    client.force_login(operator)
    found = policy(client.get("/admin/legal/legalrule/"))
    assert found["script-src"] == "'self' 'unsafe-eval'"
    assert "unsafe-inline" not in found["script-src"]
    assert found["frame-ancestors"] == "'none'"


def test_who_may_not_enter_the_registers_gets_403_not_a_login_loop(client):
    client.force_login(UserFactory(is_staff=False))
    assert client.get("/admin/legal/legalrule/").status_code == 403


def test_every_page_has_landmarks_and_a_skip_link(client, operator):
    client.force_login(operator)
    for url in (reverse("home"), "/admin/legal/legalrule/", reverse("account_change_password")):
        page = client.get(url).content.decode()
        assert page.count("<main ") == 1, url
        assert 'href="#main"' in page, url


def test_logging_out_takes_a_form(client, operator):
    client.force_login(operator)
    client.get(reverse("account_logout"))
    assert client.get(reverse("home")).status_code == 200
    client.post(reverse("account_logout"))
    assert client.get(reverse("home")).status_code == 302


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_errors_have_pages_in_both_languages(client, lang):
    client.cookies["django_language"] = lang
    response = client.get("/khong-co-trang-nay/")
    assert response.status_code == 404
    assert f'<html lang="{lang}">' in response.content.decode()


def test_under_api_the_same_error_is_problem_json(client):
    response = client.get("/api/khong-co/")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "not_found"


def test_a_crash_answers_without_telling_why(client, operator, monkeypatch):
    client.force_login(operator)
    client.raise_request_exception = False
    monkeypatch.setattr("apps.portal.inbox.tasks", lambda user: 1 / 0)
    response = client.get(reverse("home"))
    assert response.status_code == 500
    assert "ZeroDivisionError" not in response.content.decode()
