"""The replay before a decision: recorded calls under the policy as it would be, judged by `decision` itself."""

from __future__ import annotations

import hashlib
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.agreements.actions import publish_service_version, start_change
from apps.agreements.models import Agreement, Grant
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request
from apps.gateway import call_ids
from apps.gateway.models import CallIntent, CallOutcome, CallRefusal, FieldSet
from apps.gateway.preview import replay_request, replay_version
from apps.registry.choices import Environment
from tests.agreements.test_amendment import joined
from tests.agreements.test_publishing import successor, version_in_use
from tests.factories.agreements import accepted, negotiating, special_world
from tests.factories.connections import forwarded, world


@pytest.fixture
def w(db):
    return world()


def noon(days_ago: int):
    return timezone.localtime().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)


def record(
    grant: Grant, *, names: list[str] | None = None, source: str = "10.1.2.3", at=None, count: int = 1, every=1.0
) -> None:
    """Calls of `grant` as the gateway records them, one each `every` seconds."""
    names = list(grant.fields) if names is None else names
    digest = hashlib.sha256("\n".join(names).encode()).digest()
    fields, _made = FieldSet.objects.get_or_create(digest=digest, defaults={"names": names})
    for number in range(count):
        moment = (at or noon(2)) + timedelta(seconds=number * every)
        call = CallIntent.objects.create(
            call_id=call_ids.make(int(moment.timestamp() * 1000)), admitted_at=moment, grant=grant, credential_id=1, epoch=1,
            request_digest=b"\x01" * 32, source=source,
        )  # fmt: skip
        CallOutcome.objects.create(call=call, recorded_at=moment, outcome="delivered", status=200, delivered=fields)


def record_refusal(w, code: str, *, purpose: str = "", count: int = 1) -> None:
    credential = w.system.credentials.filter(environment="test").first()
    for _number in range(count):
        CallRefusal.objects.create(
            call_id=uuid.UUID(call_ids.make_text(int(timezone.now().timestamp() * 1000))), refused_at=timezone.now(), code=code,
            status=403, credential=credential, system=w.system, service=w.service, operation=w.operation, method="GET", epoch=1,
            asked_service=w.service.code, asked_purpose=purpose or w.purpose.code, source="10.1.2.3",
        )  # fmt: skip


def production(agreement: Agreement) -> Grant:
    return agreement.grants.get(environment=Environment.PRODUCTION)


def change_of(w, agreement: Agreement, **changes):
    """A change request of `agreement`, forwarded to the provider."""
    draft = save_draft(start_change(agreement, by=w.consumer_officer), by=w.consumer_officer, **changes)
    sign_request(draft, by=w.consumer_signer)
    return forward_request(submit_request(draft, by=w.consumer_officer), by=w.operator)


def test_the_same_again_lets_everything_pass(w):
    agreement = accepted(w)
    record(production(agreement), count=3)
    found = replay_request(change_of(w, agreement, note="như cũ"), w.provider_officer)
    (line,) = found.lines
    assert (found.days, line.environment, line.calls, line.passing, line.refused, line.losing) == (30, "production", 3, 3, 0, 0)


def test_what_names_a_minor_version_that_was_replaced_is_replayed_on_what_answers_now(w):
    version_in_use(w)
    agreement = Agreement.objects.get()
    request = change_of(w, agreement, note="như cũ")
    publish_service_version(successor(w), by=w.provider_officer)
    record(production(agreement), count=3)
    found = replay_request(request, w.provider_officer)
    assert (found.calls, found.total("passing"), dict(found.reasons)) == (3, 3, {})


def test_the_other_consumers_of_the_agreement_are_not_told_as_refused(w):
    agreement = accepted(w)
    system, _asker, _signer = joined(agreement, w)
    mine, others = (agreement.grants.filter(status="active", system=one).order_by("pk").last() for one in (w.system, system))
    record(mine, count=3)
    record(others, count=4)
    found = replay_request(change_of(w, agreement, note="như cũ"), w.provider_officer)
    assert (found.calls, found.total("passing"), found.total("refused")) == (7, 7, 0)


def test_a_narrower_scope_says_which_calls_would_lose_which_fields(w):
    agreement = accepted(w)
    grant = production(agreement)
    record(grant, count=2)
    record(grant, names=w.fields(1), count=5)
    found = replay_request(change_of(w, agreement, scope={w.operation: w.fields(2)}), w.provider_officer)
    assert (found.calls, found.total("passing"), found.total("losing")) == (7, 7, 2)
    assert dict(found.lost) == {w.fields(3)[2]: 2}


def test_networks_and_quota_say_which_calls_would_be_refused(w):
    agreement = accepted(w)
    grant = production(agreement)
    record(grant, source="10.1.2.3", count=5)
    record(grant, source="192.168.9.9", count=2)
    record(grant, at=noon(3), count=2)
    changed = change_of(w, agreement, source_networks=["10.1.2.0/24"], calls_per_day=3, calls_per_second=1000)
    found = replay_request(changed, w.provider_officer)
    assert (found.calls, found.total("passing"), found.total("refused")) == (9, 5, 4)
    assert dict(found.reasons) == {"network_not_allowed": 2, "quota_day_exceeded": 2}


def test_a_lower_rate_says_what_of_a_second_would_be_refused(w):
    agreement = accepted(w)
    record(production(agreement), count=5, every=0.01)
    found = replay_request(change_of(w, agreement, calls_per_second=2), w.provider_officer)
    assert (found.total("passing"), dict(found.reasons)) == (2, {"rate_exceeded": 3})


def test_another_purpose_refuses_the_calls_that_name_the_old_one(w):
    from tests.factories.registry import PurposeFactory

    agreement = accepted(w)
    record(production(agreement), count=4)
    found = replay_request(change_of(w, agreement, purpose=PurposeFactory()), w.provider_officer)
    assert (found.total("passing"), dict(found.reasons)) == (0, {"purpose_not_granted": 4})


def test_refused_calls_that_would_pass_are_told_and_others_stay_refused(w):
    request = forwarded(w)
    w.system.credentials.create(environment="test", client_id="x-test-1", issued_by=w.operator)
    record_refusal(w, "grant_missing", count=3)
    record_refusal(w, "parameter_invalid", count=2)
    record_refusal(w, "purpose_not_granted", purpose="khac")
    found = replay_request(request, w.provider_officer)
    assert dict(found.opened) == {"grant_missing": 3}
    assert (found.calls, found.total("opened")) == (0, 3)


def test_only_calls_of_the_last_thirty_days_that_the_reader_may_see(w):
    agreement = accepted(w)
    record(production(agreement), count=1)
    changed = change_of(w, agreement, note="như cũ")
    assert replay_request(changed, w.stranger).calls == 0
    assert replay_request(changed, w.consumer_officer).calls == replay_request(changed, w.operator).calls == 1


def test_a_suspended_system_would_be_refused(w):
    agreement = accepted(w)
    record(production(agreement), count=1)
    changed = change_of(w, agreement, note="như cũ")
    type(w.system).objects.filter(pk=w.system.pk).update(status="suspended")
    assert dict(replay_request(changed, w.provider_officer).reasons) == {"system_not_active": 1}


def test_a_version_is_replayed_before_it_is_signed(db):
    w = special_world()
    agreement = negotiating(w)
    version = agreement.current_version
    found = replay_version(version, w.provider_officer)
    assert (found.days, found.calls) == (30, 0)


def test_a_log_too_large_for_a_page_is_not_waited_for(w):
    agreement = accepted(w)
    changed = change_of(w, agreement, note="như cũ")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        before = cursor.fetchone()
        cursor.execute(
            "INSERT INTO call_intent (call_id, admitted_at, grant_id, credential_id, epoch, request_digest) "
            "SELECT (left(call_id_floor(at)::text, 13) || substr(gen_random_uuid()::text, 14))::uuid, at, %s, 1, 1, 'x' "
            "FROM (SELECT now() - n * interval '1 second' AS at FROM generate_series(1, 20000) AS n) AS moments",
            [production(agreement).pk],
        )
        assert replay_request(changed, w.provider_officer, budget_ms=1).days == 0
        assert replay_request(changed, w.provider_officer, budget_ms=60_000).calls == 20_000
        cursor.execute("SELECT current_setting('statement_timeout')")
        assert cursor.fetchone() == before
