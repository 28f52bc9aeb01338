"""The REST API of sync, over HTTP semantics with the test client."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from apps.organizations.choices import Role
from apps.sync.models import SyncRun
from tests.factories.organizations import officer
from tests.factories.sync import CatalogSourceFactory, ClosedRunFactory, PushSourceFactory, RunningRunFactory

pytestmark = pytest.mark.django_db
READERS = (Role.OPERATOR, Role.LEGAL_OFFICER, Role.AUDITOR)
OTHERS = tuple(r for r in Role if r not in READERS)


def session(person) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def source(settings):
    settings.EGRESS_ALLOW = ["127.0.0.1:8002"]
    return CatalogSourceFactory(code="ngsp-dan-toc", secret='{"username":"u","password":"hush"}', auth_kind="basic")


@pytest.mark.parametrize("role", READERS)
def test_platform_people_read_sources_and_runs_without_the_credential(source, role):
    run = RunningRunFactory(source=source, counts={"fetched": 7}, stage="fetching")
    client = session(officer(role))
    body = client.get("/api/v1/sync/sources/ngsp-dan-toc").json()
    assert body["has_secret"] is True
    assert "hush" not in str(body)
    assert "secret" not in body
    progress = client.get(f"/api/v1/sync/runs/{run.uuid}").json()
    assert (progress["status"], progress["stage"], progress["source"]) == ("running", "fetching", "ngsp-dan-toc")
    assert progress["progress"] == [{"name": "fetched", "label": progress["progress"][0]["label"], "value": 7}]
    assert progress["elapsed_seconds"] >= 0
    assert client.get("/api/v1/sync/runs", {"status": "running", "source": "ngsp-dan-toc"}).json()["count"] == 1
    assert client.get("/api/v1/sync/runs", {"status": "failed"}).json()["count"] == 0


@pytest.mark.parametrize("role", OTHERS)
def test_others_find_nothing(source, role):
    run = RunningRunFactory(source=source)
    client = session(officer(role))
    assert client.get("/api/v1/sync/sources").json()["count"] == 0
    for path in ("sources/ngsp-dan-toc", f"runs/{run.uuid}"):
        assert client.get(f"/api/v1/sync/{path}").status_code == 404
    assert client.post("/api/v1/sync/sources/ngsp-dan-toc/run").status_code == 404
    assert client.patch("/api/v1/sync/sources/ngsp-dan-toc", {"enabled": False}, "application/json").status_code == 404


def test_without_a_session_the_answer_is_401(source):
    for path in ("sources", "sources/ngsp-dan-toc", "runs"):
        assert Client().get(f"/api/v1/sync/{path}").status_code == 401


def test_an_operator_runs_a_source_and_follows_the_run(source):
    client = session(officer(Role.OPERATOR, full_name="Vũ Vận Hành"))
    answer = client.post("/api/v1/sync/sources/ngsp-dan-toc/run")
    assert answer.status_code == 202
    run = answer.json()
    assert (run["status"], run["trigger"], run["requested_by"]) == ("queued", "person", "Vũ Vận Hành")
    assert client.get(f"/api/v1/sync/runs/{run['uuid']}").json()["status"] == "queued"
    again = client.post("/api/v1/sync/sources/ngsp-dan-toc/run")
    assert (again.status_code, again.json()["code"], again.json()["run"]) == (409, "run_already_open", run["uuid"])


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.LEGAL_OFFICER])
def test_readers_may_not_run_or_change(source, role):
    client = session(officer(role))
    assert client.post("/api/v1/sync/sources/ngsp-dan-toc/run").status_code == 403
    assert client.patch("/api/v1/sync/sources/ngsp-dan-toc", {"enabled": False}, "application/json").status_code == 403
    assert not SyncRun.objects.exists()


def test_an_operator_changes_the_schedule_and_the_credential(source):
    client = session(officer(Role.OPERATOR))
    change = {"interval_minutes": 15, "secret": '{"username":"v","password":"p"}', "version": 1}
    answer = client.patch("/api/v1/sync/sources/ngsp-dan-toc", change, "application/json")
    assert (answer.status_code, answer.json()["interval_minutes"], answer.json()["version"]) == (200, 15, 2)
    source.refresh_from_db()
    assert source.auth.secret["username"] == "v"
    stale = client.patch("/api/v1/sync/sources/ngsp-dan-toc", {"interval_minutes": 20, "version": 1}, "application/json")
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_version")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"interval_minutes": 1}, 400, "invalid"),
        ({"interval_minutes": "x"}, 400, "invalid"),
        ({"next_run_at": "31/02/2026"}, 400, "invalid"),
        ({"base_url": "http://169.254.169.254/"}, 400, "egress_refused"),
        ({"settings": {}}, 400, "invalid"),
        ({"adapter": "other"}, 400, "invalid"),
    ],
)
def test_bad_input_is_told_and_changes_nothing(source, change, status, code):
    client = session(officer(Role.OPERATOR))
    answer = client.patch("/api/v1/sync/sources/ngsp-dan-toc", change, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"
    source.refresh_from_db()
    assert source.version == 1


def test_a_held_push_is_approved_by_the_api():
    report = {"digest": "d", "counts": {"add": 1, "differ": 0, "only_there": 0}, "add": [{"MaDinhDanhCap2": "H03.1"}]}
    held = ClosedRunFactory(source=PushSourceFactory(), status="held", report=report)
    client = session(officer(Role.OPERATOR))
    assert client.get(f"/api/v1/sync/runs/{held.uuid}").json()["report"]["counts"]["add"] == 1
    answer = client.post(f"/api/v1/sync/runs/{held.uuid}/approve-push")
    assert (answer.status_code, answer.json()["approves"]) == (202, str(held.uuid))
    assert session(officer(Role.AUDITOR)).post(f"/api/v1/sync/runs/{held.uuid}/approve-push").status_code == 403


def test_lists_cost_a_fixed_number_of_queries(source, django_assert_num_queries):
    client = session(officer(Role.OPERATOR))
    for _ in range(3):
        ClosedRunFactory(source=CatalogSourceFactory(), requested_by=officer(Role.OPERATOR))
    with django_assert_num_queries(5):  # session, user, memberships, count, rows
        client.get("/api/v1/sync/runs")
    with django_assert_num_queries(5):
        client.get("/api/v1/sync/sources")


def test_no_primary_key_leaves_the_house(source):
    run = ClosedRunFactory(source=source, finished_at=timezone.now())
    client = session(officer(Role.OPERATOR))
    for body in (client.get("/api/v1/sync/sources/ngsp-dan-toc").json(), client.get(f"/api/v1/sync/runs/{run.uuid}").json()):
        assert not {"id", "pk", "fence", "lease_until"} & set(body)
