"""System checks: what a deployment may not get wrong. `manage.py check --deploy` runs them all, start-up the plain ones."""

from __future__ import annotations

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connection

OLDEST_POSTGRESQL = 150000
DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
"""Settings of PostgreSQL without which a committed row may be gone after a power cut: then no record would be evidence."""


@checks.register(checks.Tags.security)
def field_keys_are_fernet_keys(app_configs, **kwargs) -> list[checks.CheckMessage]:
    for number, key in enumerate(settings.FIELD_KEYS, 1):
        try:
            Fernet(key)
        except ValueError:
            return [
                checks.Error(f"LGSP_FIELD_KEYS: key {number} is no Fernet key (32 bytes, url-safe base64).", id="lgsp.E001")
            ]
    return []


@checks.register(checks.Tags.security)
def messages_are_wake_ups_only(app_configs, **kwargs) -> list[checks.CheckMessage]:
    """JSON only, acknowledged after the work, one at a time, no remote control: what the leases rely on."""
    wanted = {
        "CELERY_ACCEPT_CONTENT": ["json"],
        "CELERY_TASK_SERIALIZER": "json",
        "CELERY_TASK_ACKS_LATE": True,
        "CELERY_TASK_REJECT_ON_WORKER_LOST": True,
        "CELERY_WORKER_PREFETCH_MULTIPLIER": 1,
        "CELERY_WORKER_ENABLE_REMOTE_CONTROL": False,
        "CELERY_TASK_IGNORE_RESULT": True,
    }
    found = [
        checks.Error(f"{name} must be {value!r}.", id="lgsp.E002")
        for name, value in wanted.items()
        if getattr(settings, name, None) != value
    ]
    options = getattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", {})
    visible = options.get("visibility_timeout", 0)
    if settings.CELERY_BROKER_URL.startswith("redis") and visible <= 2 * settings.CELERY_TASK_TIME_LIMIT:
        found.append(checks.Error("visibility_timeout must exceed twice CELERY_TASK_TIME_LIMIT.", id="lgsp.E003"))
    return found


@checks.register(checks.Tags.security, deploy=True)
def the_broker_is_a_server(app_configs, **kwargs) -> list[checks.CheckMessage]:
    if settings.CELERY_BROKER_URL.startswith(("filesystem", "memory")):
        return [checks.Error("CELERY_BROKER_URL must name RabbitMQ or Redis in production.", id="lgsp.E004")]
    return []


@checks.register(checks.Tags.security, deploy=True)
def addresses_are_https(app_configs, **kwargs) -> list[checks.CheckMessage]:
    return [
        checks.Error(f"{variable} must be an https:// address in production, not {value!r}.", id="lgsp.E005")
        for variable, value in (("LGSP_SITE_URL", settings.SITE_URL), ("LGSP_GATEWAY_URL", settings.GATEWAY_URL))
        if not value.startswith("https://")
    ]


@checks.register(checks.Tags.security, deploy=True)
def the_database_keeps_what_it_commits(app_configs, **kwargs) -> list[checks.CheckMessage]:
    """Ask the server itself, so that neither postgresql.conf nor a role's own settings can hide it."""
    try:
        with connection.cursor() as cursor:
            version = connection.pg_version
            shown = {name: _show(cursor, name) for name in DURABLE}
    except DatabaseError as error:
        return [checks.Error(f"The database does not answer, so its durability is not known: {error}", id="lgsp.E006")]
    found = [
        checks.Error(f"PostgreSQL runs with {name} = off: a committed record may be lost.", id="lgsp.E007")
        for name, value in shown.items()
        if value == "off"
    ]
    if version < OLDEST_POSTGRESQL:
        found.append(checks.Error(f"PostgreSQL 15 or newer is needed, not {version // 10000}.", id="lgsp.E008"))
    return found


def _show(cursor, name: str) -> str:
    cursor.execute("SELECT current_setting(%s)", [name])
    return cursor.fetchone()[0]
