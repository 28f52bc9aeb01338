"""One run from claim to close, against the real sandbox over HTTP."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.catalogs import first_releases
from apps.catalogs.models import Catalog, Entry, Release
from apps.core import outbound, upstream_auth
from apps.notices.models import Notice
from apps.sync import rows
from apps.sync.choices import RunStatus
from apps.sync.models import SyncRun
from apps.sync.walk import backoff, run_sync
from tests.factories.catalogs import published
from tests.factories.sync import (
    AdministrativeSourceFactory,
    CatalogFactory,
    CatalogSourceFactory,
    QueuedRunFactory,
    SelfPublishingCatalogFactory,
    at_sandbox,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_tokens_of_other_tests():
    outbound._TOKENS.__init__()


@pytest.fixture
def source(sandbox):
    return CatalogSourceFactory(**at_sandbox(sandbox))


def names(catalog) -> set[tuple[str, str]]:
    return set(Entry.objects.filter(catalog=catalog).valid_on(timezone.localdate()).values_list("code", "name"))


def test_a_first_run_publishes_the_list_where_the_catalog_publishes_itself(source, run_now):
    run = run_now(source)
    assert (run.status, run.error_code) == (RunStatus.PUBLISHED, "")
    assert run.counts["fetched"] == run.counts["rows"] == 54
    assert run.finished_at
    assert run.release.number == 1
    assert ("01", "Kinh") in names(source.catalog)
    source.refresh_from_db()
    assert source.last_success_at is not None


def test_the_same_list_again_is_unchanged_and_writes_no_entry(source, run_now):
    run_now(source)
    before = Entry.objects.count()
    run = run_now(source)
    assert run.status == RunStatus.UNCHANGED
    assert Entry.objects.count() == before
    assert Release.objects.live().count() == 1


def test_a_change_is_published_and_the_old_meaning_stays_in_time(source, sandbox, run_now):
    run_now(source)
    entry = Entry.objects.get(catalog=source.catalog, code="02")
    sandbox.fault("one_name", "/dmdc/*", times=0)
    run = run_now(source)
    assert (run.status, run.counts["renamed"]) == (RunStatus.PUBLISHED, 1)
    entry.refresh_from_db()
    assert (entry.name, entry.valid_to is None and entry.superseded_in is None) == ("Tày", False)
    assert ("02", "Tày (Thổ)") in names(source.catalog)


def test_where_the_catalog_does_not_publish_itself_a_harmless_release_waits(sandbox, run_now, operator):
    source = CatalogSourceFactory(catalog=CatalogFactory(), **at_sandbox(sandbox))
    run = run_now(source)
    assert run.status == RunStatus.HELD
    assert run.release.status == "ready"
    assert names(source.catalog) == set()
    assert run_now(source).status == RunStatus.HELD  # the schedule finds the same list again: nobody is told twice
    assert Release.objects.count() == 1
    assert Notice.objects.filter(recipient=operator, kind="sync_held").count() == 1


def test_administrative_units_as_loaded_from_the_files_are_unchanged_by_the_feed_of_the_same_day(sandbox, run_now, operator):
    """Names, parents and types derived from the feed equal those of the files; what the feed does not say is kept."""
    first_releases.load(by=operator, only=("administrative-units",))
    source = AdministrativeSourceFactory(catalog=Catalog.objects.get(code="administrative-units"), **at_sandbox(sandbox))
    run = run_now(source)
    assert (run.status, run.error_text) == (RunStatus.UNCHANGED, "")
    assert run.counts["fetched"] == 3355


def test_the_feed_of_before_the_reform_is_held_after_it(sandbox, run_now, operator):
    first_releases.load(by=operator, only=("administrative-units",))
    source = AdministrativeSourceFactory(catalog=Catalog.objects.get(code="administrative-units"), **at_sandbox(sandbox))
    before = names(source.catalog)
    sandbox.set(as_of="2025-06-30")
    run = run_now(source)
    assert run.status == RunStatus.HELD
    assert "reused_code" in run.release.hold_reasons
    assert names(source.catalog) == before


def test_short_names_derived_from_full_names_are_those_of_the_files():
    for unit in [*first_releases.units_2025(), *first_releases.legacy_units()]:
        assert rows.without_type(unit["full_name"], unit["attributes"]["type"]) == unit["name"]


def test_the_envelope_adapter_gives_the_same_catalog_from_another_shape(sandbox, run_now):
    source = CatalogSourceFactory(
        adapter="envelope", **at_sandbox(sandbox, base_url=f"{sandbox.url}/tn", token_url=f"{sandbox.url}/tn/token")
    )
    source.settings["adapter"] = {"page_size": 20}
    source.save()
    other = CatalogSourceFactory(**at_sandbox(sandbox))
    assert run_now(source).status == run_now(other).status == RunStatus.PUBLISHED
    assert names(source.catalog) == names(other.catalog)
    assert len([entry for entry in sandbox.received("/tn/ngsp/") if entry["method"] == "GET"]) == 3


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("html_200", "not_json"),
        ("cut_json", "not_json"),
        ("no_body", "not_json"),
        ("utf16", "not_json"),
        ("bom", "not_json"),
        ("invalid_utf8", "not_json"),
        ("truncated", "truncated"),
        ("reset", "reset"),
        ("store_then_drop", "reset"),
        ("429", "wso2_900802"),
        ("503", "wso2_303001"),
        ("500", "http_500"),
        ("xml_fault", "wso2_900900"),
        ("json_fault", "wso2_101503"),
        ("fault_200", "wso2_303001"),
    ],
)
def test_a_failure_that_may_pass_is_tried_again_and_then_succeeds(source, sandbox, run_now, mode, code):
    sandbox.fault(mode, "/dmdc/*")
    run = run_now(source)
    assert (run.status, run.error_code) == (RunStatus.QUEUED, code)
    assert run.next_attempt_at > timezone.now()
    assert not Release.objects.exists()
    SyncRun.objects.update(next_attempt_at=timezone.now())
    assert run_sync(run.uuid) == RunStatus.PUBLISHED


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("403", "wso2_900908"),
        ("redirect", "redirected"),
        ("not_a_list", "wrong_shape"),
        ("not_records", "wrong_shape"),
        ("null", "wrong_shape"),
        ("renamed_columns", "columns_missing"),
    ],
)
def test_a_permanent_failure_stops_at_once_and_tells_the_operator(source, sandbox, run_now, operator, mode, code):
    sandbox.fault(mode, "/dmdc/*", times=0)
    run = run_now(source)
    assert (run.status, run.error_code, run.attempt) == (RunStatus.FAILED, code, 1)
    assert Notice.objects.filter(recipient=operator, kind="sync_failed").count() == 1
    event = AuditEvent.objects.get(event="sync_run.failed")
    assert event.actor.is_machine
    assert not Release.objects.exists()


def test_wrong_credentials_stop_at_once_without_a_storm(source, sandbox, run_now):
    sandbox.fault("refuse_client", "/token", times=0)
    run = run_now(source)
    assert (run.status, run.error_code) == (RunStatus.FAILED, "upstream_auth_refused")
    assert len(sandbox.received("/token")) == 1


@pytest.mark.parametrize(
    "mode",
    ["duplicated", "other_name_twice", "nfd_twins", "nfd", "shrunk", "empty", "no_key", "numbers", "reused"],
)
def test_a_harmful_list_is_held_and_what_is_live_stays(source, sandbox, run_now, operator, mode):
    run_now(source)
    before = names(source.catalog)
    sandbox.fault(mode, "/dmdc/*", times=0)
    run = run_now(source)
    assert (run.status, run.error_code) == (RunStatus.HELD, "")
    assert run.release.hold_reasons
    assert names(source.catalog) == before
    assert Notice.objects.filter(recipient=operator, kind="sync_held").exists()


def test_a_release_published_at_the_last_instant_holds_a_list_that_was_harmless(
    source, sandbox, run_now, operator, monkeypatch
):
    """Between the judgement and the publication an officer doubles the list: the machine must hold, not fail."""
    run_now(source)
    more = [{"code": str(n), "name": f"Nhóm {n}"} for n in range(60, 90)]

    def meanwhile(step: str) -> None:
        if step == "sync.deciding":
            published(source.catalog, more, by=operator, scope="changes", effective_on=timezone.localdate())

    sandbox.fault("one_name", "/dmdc/*", times=0)
    monkeypatch.setattr("apps.sync.walk.reach", meanwhile)
    run = run_now(source)
    assert (run.status, run.error_code, run.release.status) == (RunStatus.HELD, "", "held")
    assert len(names(source.catalog)) == 54 + 30


@pytest.fixture
def two_levels(sandbox):
    """Provinces and districts of before the reform: a tree of 759 units."""
    sandbox.set(as_of="2025-06-30")
    catalog = SelfPublishingCatalogFactory(levels=first_releases.ADMINISTRATIVE_UNITS["levels"][:2])
    source = AdministrativeSourceFactory(catalog=catalog, **at_sandbox(sandbox))
    source.settings["parts"] = source.settings["parts"][:2]
    source.save()
    return source


@pytest.mark.parametrize("mode", ["cyclic", "self_parent", "orphan"])
def test_a_broken_tree_is_held(two_levels, sandbox, run_now, mode):
    assert run_now(two_levels).status == RunStatus.PUBLISHED
    before = names(two_levels.catalog)
    assert len(before) == 63 + 696
    sandbox.fault(mode, "/dmdc/1.0/Category/donvihanhchinhcap2", times=0)
    run = run_now(two_levels)
    assert run.status == RunStatus.HELD
    assert run.release.hold_reasons
    assert names(two_levels.catalog) == before


def test_a_token_revoked_mid_run_is_renewed_once_and_the_run_goes_on(two_levels, sandbox, run_now):
    sandbox.fault("expire_tokens", "/dmdc/*", after=1)
    run = run_now(two_levels)
    assert (run.status, run.attempt) == (RunStatus.PUBLISHED, 1)
    assert len(sandbox.received("/token")) == 2


def test_the_second_refusal_of_a_fresh_token_stops(source, sandbox, run_now):
    sandbox.fault("expire_tokens", "/dmdc/*", times=0)
    run = run_now(source)
    assert (run.status, run.error_code) == (RunStatus.FAILED, "wso2_900901")
    assert len(sandbox.received("/dmdc/")) == 2


def test_retry_after_is_honoured(source, sandbox, run_now):
    sandbox.fault("429", "/dmdc/*", seconds=3000)
    run = run_now(source)
    assert run.next_attempt_at > timezone.now() + datetime.timedelta(seconds=2900)


def test_the_budget_of_attempts_ends_a_failing_run(source, sandbox, run_now, operator, settings):
    settings.SYNC_ATTEMPTS = 3
    sandbox.fault("503", "/dmdc/*", times=0)
    run = run_now(source)
    for _again in range(5):
        SyncRun.objects.update(next_attempt_at=timezone.now())
        run_sync(run.uuid)
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.FAILED, 3)
    assert len([e for e in sandbox.received("/dmdc/") if e["fault"] == "503"]) == 3


def test_a_run_that_kills_its_workers_is_ended_by_the_budget(source, settings):
    run = QueuedRunFactory(source=source, attempt=settings.SYNC_ATTEMPTS)
    assert run_sync(run.uuid) == RunStatus.FAILED
    run.refresh_from_db()
    assert run.error_code == "budget_spent"


def test_waits_double_with_jitter_and_a_cap():
    waits = [backoff(n, None) for n in range(1, 20)]
    assert 21 <= waits[0] <= 39
    assert max(waits) <= 3600 * 1.3
    assert len({backoff(3, None) for _ in range(20)}) > 1
    assert backoff(1, 5000) == 5000


def test_an_address_that_is_no_longer_allowed_is_never_called(source, sandbox, run_now, settings):
    settings.EGRESS_ALLOW = []
    run = run_now(source)
    assert (run.status, run.error_code) == (RunStatus.FAILED, "egress_refused")
    assert sandbox.received() == []


def test_the_secret_rests_encrypted_and_shows_in_no_row(source, sandbox, run_now):
    from django.db import connection

    run_now(source)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s::text FROM sync_source s UNION ALL SELECT r::text FROM sync_syncrun r UNION ALL SELECT a::text FROM audit_auditevent a"
        )
        stored = " ".join(row[0] for row in cursor.fetchall())
    assert sandbox.secret not in stored
    assert source.auth.secret["consumer_secret"] == sandbox.secret
    assert upstream_auth.AuthKind.NGSP in stored
