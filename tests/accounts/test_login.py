"""Logging in: one door, throttled per account, shut for who was disabled."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from apps.accounts import actions
from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.organizations.choices import Role
from tests.factories.accounts import PASSWORD, UserFactory
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db
WRONG = "mat khau sai hoan toan"


@pytest.fixture(autouse=True)
def _fresh_throttles():
    cache.clear()


@pytest.fixture
def person():
    return officer(Role.CONSUMER_OFFICER, username="can-bo", email="can.bo@example.vn")


def login(client: Client, name: str, password: str, **headers):
    return client.post(reverse("account_login"), {"login": name, "password": password}, headers=headers)


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def is_throttled(response) -> bool:
    return response.status_code == 429 or "too_many_login_attempts" in {
        error.code for error in response.context["form"].non_field_errors().as_data()
    }


@pytest.mark.parametrize("name", ["can-bo", "CAN-BO", "can.bo@example.vn", "Can.Bo@Example.VN"])
def test_a_person_logs_in_by_user_name_or_mail_and_it_is_written_down(client, person, name):
    login(client, name, PASSWORD)
    assert is_in(client)
    assert AuditEvent.objects.get(event="session.opened").actor == person


def test_the_admins_own_login_form_is_not_another_door(client, person):
    answer = client.post("/admin/login/", {"username": "can-bo", "password": PASSWORD})
    assert answer.status_code == 302
    assert answer.url.startswith(reverse("account_login"))
    assert not is_in(client)


def test_nobody_registers_themselves(client):
    answer = client.post("/accounts/signup/", {"username": "ke-la", "email": "x@example.vn", "password1": PASSWORD})
    assert answer.status_code in (403, 404)
    assert not User.objects.filter(username="ke-la").exists()


def test_a_disabled_account_is_refused_at_its_very_next_request(client, person):
    login(client, "can-bo", PASSWORD)
    assert client.get(reverse("home")).status_code == 200
    actions.disable_account(person, by=officer(Role.OPERATOR), reason="Nghỉ việc")
    assert client.get(reverse("home")).status_code == 302
    assert client.get("/api/v1/notices").status_code in (401, 403)
    again = Client()
    login(again, "can-bo", PASSWORD)
    assert not is_in(again)


def test_a_new_password_ends_the_persons_other_sessions(client, person):
    elsewhere = Client()
    login(elsewhere, "can-bo", PASSWORD)
    assert elsewhere.get(reverse("home")).status_code == 200
    actions.set_own_password(person, "mot mat khau hoan toan moi")
    assert elsewhere.get(reverse("home")).status_code == 302


# --- brute force (AN-06) ------------------------------------------------------------------------


def fail(client, times, name="can-bo", **headers):
    for _i in range(times):
        response = login(client, name, WRONG, **headers)
    return response


def test_five_failures_shut_the_account_even_for_the_right_password(client, person):
    assert not is_throttled(fail(client, 5))
    assert is_throttled(login(client, "can-bo", PASSWORD))
    assert not is_in(client)
    assert AuditEvent.objects.filter(event="session.refused", object_ref=str(person.uuid)).count() == 5


def test_another_address_in_a_header_does_not_open_it_again(client, person):
    for number in range(5):
        login(client, "can-bo", WRONG, **{"X-Forwarded-For": f"203.0.113.{number}"})
    assert is_throttled(login(client, "can-bo", PASSWORD, **{"X-Forwarded-For": "198.51.100.7"}))
    assert not is_in(client)


@pytest.mark.parametrize("names", [("can-bo", "CAN-BO"), ("can-bo", "can.bo@example.vn"), ("can-bo", "ｃａｎ－ｂｏ")])
def test_other_spellings_of_the_name_share_the_count(client, person, names):
    for number in range(5):
        login(client, names[number % 2], WRONG)
    assert is_throttled(login(client, "can-bo", PASSWORD))


def test_a_colleague_behind_the_same_address_still_gets_in(client, person):
    UserFactory(username="dong-nghiep")
    fail(client, 6)
    login(client, "dong-nghiep", PASSWORD)
    assert is_in(client)


def test_the_address_behind_a_known_proxy_is_the_clients(client, person, settings):
    """With one proxy of ours, only the last entry counts: what a client writes before it changes nothing."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "3/m/ip"}
    for number in range(3):
        login(client, f"ai-do-{number}", WRONG, **{"X-Forwarded-For": f"10.9.9.{number}, 203.0.113.5"})
    assert is_throttled(login(client, "can-bo", PASSWORD, **{"X-Forwarded-For": "10.1.1.1, 203.0.113.5"}))
    login(client, "can-bo", PASSWORD, **{"X-Forwarded-For": "203.0.113.5, 203.0.113.99"})
    assert is_in(client)


# --- the one-time password ----------------------------------------------------------------------


def test_a_one_time_password_opens_only_the_page_where_it_is_changed(client):
    person = UserFactory(username="moi", last_login=None)
    word = actions.set_initial_password(person, by=officer(Role.OPERATOR))
    login(client, "moi", word)
    assert is_in(client)
    assert client.get(reverse("home")).url == reverse("account_change_password")
    answer = client.get("/api/v1/notices")
    assert (answer.status_code, answer.json()["code"]) == (403, "password_change_required")
    new = "tôi tự chọn mật khẩu này"
    client.post(reverse("account_change_password"), {"oldpassword": word, "password1": new, "password2": new})
    assert client.get(reverse("home")).status_code == 200
    person.refresh_from_db()
    assert not person.must_change_password


def test_passwords_are_long_and_may_be_vietnamese(person):
    from apps.core.errors import InvalidFact

    for weak in ("ngan", "password1234", "can.bo@example.vn"):
        with pytest.raises(InvalidFact):
            actions.set_own_password(person, weak)
    long = "một câu thật dài để làm mật khẩu, dài hơn sáu mươi tư ký tự, không bị cắt"
    actions.set_own_password(person, long)
    assert person.check_password(long)
    assert not person.check_password(long[:64])
