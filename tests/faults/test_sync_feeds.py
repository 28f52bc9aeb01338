"""SY-02, FI-27 to FI-31: whatever a national platform sends, what is live stays, or is wholly replaced.

The corpus is `feeds.py`; it comes over real loopback HTTP from `FaultyNgsp`.
"""

from __future__ import annotations

import copy

import pytest
from django.utils import timezone

from apps.catalogs.models import Entry, Release, StagedEntry
from apps.core import outbound
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.sync.models import SyncRun
from apps.sync.walk import run_sync
from tests.factories.organizations import officer
from tests.factories.sync import CatalogSourceFactory, SelfPublishingCatalogFactory
from tests.faults import feeds
from tests.faults.faulty_ngsp import FaultyNgsp

pytestmark = pytest.mark.django_db


@pytest.fixture
def ngsp(settings):
    outbound._TOKENS.__init__()
    with FaultyNgsp(feeds.good_rows()) as server:
        settings.EGRESS_ALLOW = [*settings.EGRESS_ALLOW, f"127.0.0.1:{server.port}"]
        yield server


@pytest.fixture
def source(ngsp):
    """A source whose first list is live."""
    catalog = SelfPublishingCatalogFactory(levels=copy.deepcopy(feeds.LEVELS))
    source = CatalogSourceFactory(catalog=catalog, settings=copy.deepcopy(feeds.SETTINGS), **ngsp.access())
    assert run(source).status == "published"
    return source


def run(source) -> SyncRun:
    row = SyncRun.objects.create(source=source)
    run_sync(row.uuid)
    row.refresh_from_db()
    return row


def live(source) -> list[tuple]:
    rows = Entry.objects.filter(catalog=source.catalog).valid_on(timezone.localdate()).order_by("code")
    return list(rows.values_list("code", "name", "parent_code", "attributes"))


def test_the_corpus_is_large_enough():
    assert len(feeds.CORPUS) >= 60
    assert len({feeds.body_of(name) for name in feeds.CORPUS}) == len(feeds.CORPUS)


@pytest.mark.parametrize("name", feeds.CORPUS)
def test_sy_02_a_feed_never_harms_what_is_live(source, ngsp, name):
    """What is live stays, the row says what became of the feed, and the next good feed needs nobody's help."""
    operator = officer(Role.OPERATOR)
    before, fate = live(source), feeds.CORPUS[name][1]
    ngsp.plan.append(feeds.body_of(name))
    row = run(source)
    assert (row.status, row.error_code) == (fate.status, fate.code)
    if fate.status == "published":
        assert len(live(source)) == len(before)
        assert live(source) != before
        return
    assert live(source) == before
    assert Release.objects.live().count() == 1
    if fate.status == "held":
        assert set(row.release.hold_reasons) == fate.reasons
        problems = StagedEntry.objects.filter(release=row.release).values_list("problems", flat=True)
        assert {problem for each in problems for problem in each} == fate.problems
    else:
        assert not Release.objects.open().exists()
    assert (row.finished_at is None) is (fate.status == "queued")
    assert row.error_text or fate.status in ("held", "unchanged"), "a person would not know why"
    assert Notice.objects.filter(recipient=operator).count() == (fate.status in ("held", "failed"))
    _the_good_feed_follows(source, row)
    assert live(source) == before


def _the_good_feed_follows(source, row: SyncRun) -> None:
    """No bad list waits on as if it were still meant, and no run stays open."""
    SyncRun.objects.filter(pk=row.pk).update(next_attempt_at=timezone.now())
    again = row if row.status == "queued" else SyncRun.objects.create(source=source)
    assert run_sync(again.uuid) == "unchanged"
    assert not Release.objects.open().exists()
    assert not SyncRun.objects.open().exists()
