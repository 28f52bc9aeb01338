"""The system checks find what they are for."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from django.db import connection

from apps.core import checks


def _ids(found) -> list[str]:
    return [message.id for message in found]


def test_a_field_key_that_is_no_fernet_key_is_refused(settings):
    assert checks.field_keys_are_fernet_keys(None) == []
    settings.FIELD_KEYS = [*settings.FIELD_KEYS, "x" * 44]
    assert _ids(checks.field_keys_are_fernet_keys(None)) == ["lgsp.E001"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CELERY_ACCEPT_CONTENT", ["json", "pickle"]),
        ("CELERY_TASK_SERIALIZER", "pickle"),
        ("CELERY_TASK_ACKS_LATE", False),
        ("CELERY_TASK_REJECT_ON_WORKER_LOST", False),
        ("CELERY_WORKER_PREFETCH_MULTIPLIER", 4),
        ("CELERY_WORKER_ENABLE_REMOTE_CONTROL", True),
    ],
)
def test_a_celery_setting_that_breaks_the_leases_is_found(name, value, settings):
    assert checks.messages_are_wake_ups_only(None) == []
    setattr(settings, name, value)
    assert _ids(checks.messages_are_wake_ups_only(None)) == ["lgsp.E002"]


def test_redis_must_not_deliver_again_while_a_task_still_runs(settings):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1/0"
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 2 * settings.CELERY_TASK_TIME_LIMIT}
    assert _ids(checks.messages_are_wake_ups_only(None)) == ["lgsp.E003"]
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 4 * settings.CELERY_TASK_TIME_LIMIT}
    assert checks.messages_are_wake_ups_only(None) == []


def test_production_needs_a_broker_that_is_a_server(settings):
    settings.CELERY_BROKER_URL = "filesystem://"
    assert _ids(checks.the_broker_is_a_server(None)) == ["lgsp.E004"]
    settings.CELERY_BROKER_URL = "amqp://broker.example//"
    assert checks.the_broker_is_a_server(None) == []


def test_production_addresses_are_https(settings):
    settings.SITE_URL, settings.GATEWAY_URL = "http://lgsp.example", "https://gateway.example"
    assert _ids(checks.addresses_are_https(None)) == ["lgsp.E005"]


@pytest.mark.django_db
def test_dl_05_a_session_that_may_lose_commits_is_found():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    assert any("synchronous_commit = off" in message.msg for message in checks.the_database_keeps_what_it_commits(None))


@pytest.mark.django_db
def test_dl_05_a_durable_server_is_left_in_peace(settings):
    """The embedded test cluster runs without fsync, and the check must say exactly that; a real server says nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = 'off'", [list(checks.DURABLE)])
        off = {name for (name,) in cursor.fetchall()}
    found = checks.the_database_keeps_what_it_commits(None)
    assert {name for name in checks.DURABLE if any(f"{name} = off" in message.msg for message in found)} == off
    assert len(found) == len(off)


def test_the_checks_are_registered():
    from django.core.checks.registry import registry

    registered = {check.__name__ for check in registry.get_checks(include_deployment_checks=True)}
    assert {"messages_are_wake_ups_only", "the_database_keeps_what_it_commits", "addresses_are_https"} <= registered
    assert django_settings.CELERY_ACCEPT_CONTENT == ["json"]
