"""GW-16: whatever the gateway rests on fails, it refuses; a provider is not contacted, an answer not given uncut."""

from __future__ import annotations

import pytest

from apps.core.epoch import current_epoch
from apps.gateway.models import AnonymousRefusalCount, CallIntent, CallOutcome, CallRefusal
from tests.gateway.conftest import ask_token, send, wait_for_epoch
from tests.gateway.processes import GatewayProcess, database_url
from tests.gateway.world import CUT
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ["token store", "row agreement", "row organization", "row informationsystem", "decision",
          "ledger", "database", "digest", "address"]  # fmt: skip
AFTER = ["names of fields", "filter"]
"""The provider was called by then; its answer stays here."""


@pytest.fixture
def breakable(world, provider, tmp_path):
    """`breakable(part)` calls while `part` fails (empty: nothing does)."""
    switch = tmp_path / "broken"
    switch.write_text("")
    process = GatewayProcess(
        database_url(), allow=[f"127.0.0.1:{provider.port}"], module="tests.gateway.broken", LGSP_TEST_BROKEN=str(switch)
    ).start()
    try:
        wait_for_epoch(process.url, current_epoch())
        token = ask_token(process.url, world.credential.client_id, world.secret)

        def call(part: str):
            switch.write_text(part)
            try:
                return send(
                    process.url,
                    path=world.path,
                    headers={"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code},
                )
            finally:
                switch.write_text("")

        yield call
    finally:
        process.stop()


def test_gw_16_a_part_that_fails_opens_nothing(breakable, provider):
    for part in BEFORE:
        assert breakable("").json == CUT
        before = len(provider.seen)
        answer = breakable(part)
        assert (answer.status, answer.code) in ((500, "internal"), (503, "not_ready")), (part, answer.body)
        assert b"0209" not in answer.body
        assert len(provider.seen) == before, f"{part}: the provider was contacted"
        written = list(CallRefusal.objects.filter(call_id=answer.call_id).values_list("code", flat=True))
        assert written == (["internal"] if answer.code == "internal" and part != "token store" else []), part
    assert CallIntent.objects.count() == len(provider.seen) == len(BEFORE)
    counted = AnonymousRefusalCount.objects.filter(code="not_ready")
    until(lambda: sum(counted.values_list("count", flat=True)) >= 1, "what could not be written was not counted")


def test_gw_16_without_its_filter_no_answer_is_given_and_the_call_is_on_record(breakable, provider):
    for part in AFTER:
        answer = breakable(part)
        assert (answer.status, answer.code) == (500, "internal"), (part, answer.body)
        assert b"0999999999" not in answer.body
        assert CallOutcome.objects.get(call_id=answer.call_id).outcome == "provider_failed"
        assert breakable("").json == CUT


def test_gw_16_a_policy_that_cannot_be_read_anew_refuses_what_it_refused(breakable, world, provider):
    """What decides is read again before a refusal is told; without that nobody is told anything for sure, and nothing passes."""
    assert breakable("").json == CUT
    world.change(world.grant, "grant", status="suspended")
    answer = breakable("policy store")
    assert (answer.status, answer.code) == (503, "not_ready")
    assert breakable("").code == "grant_suspended"
    assert len(provider.seen) == 1
