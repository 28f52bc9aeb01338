"""What an operator reads about a source: its state, since when, why, and what to do."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from django.utils import timezone, translation

from apps.notices.models import OutboxMessage
from apps.portal.inbox import tasks
from apps.sync.advice import _OURS, advice_of
from apps.sync.choices import RunStatus
from apps.sync.condition import State, condition_of, newest_runs
from apps.sync.models import Source
from tests.factories.sync import (
    CatalogSourceFactory,
    ClosedRunFactory,
    PushSourceFactory,
    QueuedRunFactory,
    RunningRunFactory,
)

APPS = Path(__file__).resolve().parent.parent.parent / "apps"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("upstream_auth_refused", "credential"),
        ("wso2_900901", "credential"),
        ("wso2_900908", "may not use"),
        ("http_403", "may not use"),
        ("wso2_900906", "does not know this address"),
        ("http_404", "does not know this address"),
        ("wso2_900802", "quota"),
        ("http_429", "quota"),
        ("wso2_101503", "behind it does not"),
        ("http_502", "behind it does not"),
        ("http_422", "another shape"),
        ("columns_missing", "another shape"),
        ("something_new", "this platform itself"),
    ],
)
def test_every_code_is_put_into_words(code, words):
    with translation.override("en"):
        advice = advice_of(code)
        assert words in str(advice.why)
        assert str(advice.todo)


def test_no_code_needs_no_advice():
    assert advice_of("") is None


def test_every_code_that_outbound_and_adapters_raise_is_known():
    """A new failure without words of its own would be told as an error of this platform."""
    files = [APPS / "core" / "outbound.py", *(APPS / "sync").glob("*.py"), *(APPS / "sync" / "clients").glob("*.py")]
    text = "\n".join(path.read_text() for path in files if path.name not in ("actions.py", "feed.py", "advice.py"))
    codes = set(re.findall(r'code="([a-z_]+)"', text)) | {"upstream_auth_refused", "upstream_auth_unreadable", "unexpected"}
    assert len(codes) > 15
    assert {code for code in codes if advice_of(code) is _OURS} == {"unexpected"}


AN_HOUR_AGO = datetime.timedelta(hours=1)


def source(**facts) -> Source:
    return CatalogSourceFactory(**{"last_success_at": timezone.now() - AN_HOUR_AGO, **facts})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("facts", "run", "state"),
    [
        ({}, None, State.NEW),
        ({"enabled": False}, None, State.OFF),
        ({}, (ClosedRunFactory, {}), State.FRESH),
        ({}, (QueuedRunFactory, {}), State.RUNNING),
        ({}, (RunningRunFactory, {}), State.RUNNING),
        ({}, (QueuedRunFactory, {"error_code": "http_503"}), State.RETRYING),
        ({}, (RunningRunFactory, {"error_code": "http_503"}), State.RETRYING),
        ({}, (ClosedRunFactory, {"status": RunStatus.FAILED, "error_code": "http_403"}), State.FAILED),
        ({"enabled": False}, (ClosedRunFactory, {"status": RunStatus.FAILED}), State.FAILED),
        ({"alarmed_at": timezone.now()}, (ClosedRunFactory, {}), State.STALE),
        ({"alarmed_at": timezone.now()}, None, State.STALE),
        ({}, (ClosedRunFactory, {"status": RunStatus.HELD}), State.WAITING),
    ],
)
def test_the_most_pressing_thing_is_said(facts, run, state):
    made = source(**facts)
    newest = run[0](source=made, **run[1]) if run else None
    assert condition_of(made, newest).state == state


@pytest.mark.django_db
def test_newest_runs_of_many_sources_are_one_query(django_assert_num_queries):
    sources = [source() for _ in range(3)]
    for each in sources:
        ClosedRunFactory(source=each)
        newest = QueuedRunFactory(source=each)
    with django_assert_num_queries(1):
        found = newest_runs(sources)
    assert found[sources[2].pk] == newest


@pytest.mark.django_db
def test_the_home_page_tells_the_operator_what_failed_and_what_waits(operator):
    failed = ClosedRunFactory(source=source(), status=RunStatus.FAILED, error_code="http_403", error_text="Status 403.")
    stale = source(alarmed_at=timezone.now(), last_success_at=None)
    ClosedRunFactory(source=source())
    mended = ClosedRunFactory(source=source(), status=RunStatus.FAILED)
    ClosedRunFactory(source=mended.source)
    held = ClosedRunFactory(source=PushSourceFactory(), status=RunStatus.HELD, report={"counts": {"add": 3}})
    old = ClosedRunFactory(source=PushSourceFactory(), status=RunStatus.HELD)
    ClosedRunFactory(source=old.source, status=RunStatus.UNCHANGED)
    OutboxMessage.objects.create(channel="email", key="new", next_attempt_at=timezone.now())
    assert "/admin/notices/outboxmessage/" not in {task.url for task in tasks(operator)}
    stuck = OutboxMessage.objects.create(channel="email", key="stuck", next_attempt_at=timezone.now(), last_error="refused")
    OutboxMessage.objects.filter(pk=stuck.pk).update(created_at=timezone.now() - AN_HOUR_AGO)
    told = {task.url for task in tasks(operator)}
    assert told == {
        f"/admin/sync/source/{failed.source.code}/change/",
        f"/admin/sync/source/{stale.code}/change/",
        f"/admin/sync/syncrun/{held.uuid}/change/",
        "/admin/notices/outboxmessage/",
    }
