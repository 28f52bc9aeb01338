"""CC-01 by the table: what one party does while another leaves, agrees, gives up a change or decides on a test; and a request's own people."""

from __future__ import annotations

import pytest

from apps.agreements.actions import (
    agree_content,
    approve_request,
    decline_change,
    follow_agreement,
    leave_agreement,
    reject_acceptance,
    reopen_agreement,
    sign_agreement,
    start_change,
)
from apps.agreements.models import StepClock
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request
from apps.notices.models import Notice
from tests.agreements.pairs import Pair, act, of_pairs, race, was_first
from tests.agreements.test_leaving import Joiner
from tests.agreements.test_race_pairs import approve, changed, confirm, running, sign, submit, terminate, withdraw
from tests.agreements.test_races import changing
from tests.factories.agreements import accepted, awaiting_signatures, signed_special, special_world
from tests.factories.connections import complete_draft, signed_draft, world

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("racers")]

# --- cases of the age that a pair needs ---------------------------------------------------------------------------------------


def of_two_consumers() -> dict:
    """The one that joined last has asked for a change, which only waits for the provider."""
    w = world()
    agreement = accepted(w)
    other = Joiner(w, agreement)
    agreement.refresh_from_db()
    request = start_change(agreement, by=other.officer)
    sign_request(request, by=other.signer)
    submit_request(request, by=other.officer)
    return {"w": w, "agreement": agreement, "request": forward_request(request, by=w.operator)}


def change_to_be_signed(w, agreement, asker, signers: list) -> dict:
    """A change that `asker` asked for and `signers` have signed: the provider's signature is the last."""
    request = start_change(agreement, by=asker)
    save_draft(request, by=asker, calls_per_day=900)
    submit_request(request, by=asker)
    approve_request(forward_request(request, by=w.operator), by=w.provider_officer)
    agreement.refresh_from_db()
    shown = agreement.versions.order_by("-number").first().content_hash
    for signer in signers:
        sign_agreement(agreement, by=signer, content_hash=shown)
    return {"w": w, "agreement": agreement, "shown": shown}


def change_half_signed() -> dict:
    w = special_world()
    return change_to_be_signed(w, signed_special(w), w.consumer_officer, [w.consumer_signer])


def change_of_two_consumers_nearly_signed() -> dict:
    w = special_world()
    agreement = signed_special(w)
    other = Joiner(w, agreement)
    joining = agreement.versions.order_by("-number").first().content_hash
    for signer in (w.consumer_signer, w.provider_signer, other.signer):
        sign_agreement(agreement, by=signer, content_hash=joining)
    return change_to_be_signed(w, agreement, other.officer, [w.consumer_signer, other.signer])


def nobody_has_agreed() -> dict:
    w = special_world()
    agreement = reopen_agreement(awaiting_signatures(w), by=w.consumer_officer, reason="Xem lại")
    return {"w": w, "agreement": agreement, "shown": agreement.versions.order_by("-number").first().content_hash}


def left_behind() -> dict:
    """A signed draft of a change, whose agreement has another content since."""
    found = running()
    w, agreement = found["w"], found["agreement"]
    draft = start_change(agreement, by=w.consumer_officer)
    sign_request(draft, by=w.consumer_signer)
    approve_request(changing(w, agreement), by=w.provider_officer)
    return {**found, "request": draft}


def drafted() -> dict:
    w = world()
    return {"w": w, "request": complete_draft(w)}


def signed_already() -> dict:
    w = world()
    return {"w": w, "request": signed_draft(w)}


# --- acts ---------------------------------------------------------------------------------------------------------------------

leave = act(leave_agreement, "agreement", "consumer_officer", reason="x")
give_up = act(decline_change, "agreement", "consumer_officer", reason="x")
agree = act(agree_content, "agreement", "consumer_officer", content_hash=lambda f: f["shown"])
provider_agrees = act(agree_content, "agreement", "provider_officer", content_hash=lambda f: f["shown"])
reject = act(reject_acceptance, "record", "operator", comment="x")
follow = act(follow_agreement, "request", "consumer_officer")
sign_draft = act(sign_request, "request", "consumer_signer")

# --- what more must hold ------------------------------------------------------------------------------------------------------


def only_the_other_goes_on(found: dict, came: str) -> None:
    """Whoever was first: the content in force names the other consumer alone."""
    if came == "both":
        consumers = found["agreement"].versions.get(state="current").content["consumers"]
        assert found["w"].consumer.code not in {row["code"] for row in consumers}
        assert len(consumers) == 1


def agreed_once(found: dict, _came: str) -> None:
    agreement = found["agreement"]
    agreement.refresh_from_db()
    assert agreement.status == "awaiting_signatures"
    assert StepClock.objects.not_over().filter(step="sign").count() == 1
    told = Notice.objects.filter(key=f"agreement.agreed:{agreement.uuid}:{agreement.version}")
    assert told.filter(recipient=found["w"].consumer_officer).exists()


def in_force_or_given_up(found: dict, came: str) -> None:
    states = dict(found["agreement"].versions.values_list("number", "state"))
    assert states == ({1: "superseded", 2: "current"} if came == "second" else {1: "current", 2: "superseded"})


def production_or_another_test(found: dict, came: str) -> None:
    found["record"].refresh_from_db()
    assert found["record"].status == ("confirmed" if came == "second" else "rejected")
    tests = StepClock.objects.not_over().filter(step="test", begun_at__gte=found["record"].decided_at)
    assert tests.count() == (came == "first")


def signed_before(step: str):
    """What was given up or handed in is signed by nobody afterwards."""

    def after(_found: dict, came: str) -> None:
        assert came != "both" or was_first("request.signed", step)

    return after


PAIRS = (
    # One consumer of two leaves.
    Pair("left, change of the other", of_two_consumers, leave, approve, "both", after=only_the_other_goes_on),
    Pair("left, termination", of_two_consumers, leave, terminate, "first second", "transition_not_allowed"),
    Pair(
        "left, last signature of a change", change_of_two_consumers_nearly_signed, leave, sign, "both second", "change_pending",
        after=only_the_other_goes_on,
    ),
    # A content on its way.
    Pair(
        "change given up, its last signature", change_half_signed, give_up, sign, "first second",
        "no_change_pending transition_not_allowed", after=in_force_or_given_up,
    ),
    Pair("both sides agree", nobody_has_agreed, agree, provider_agrees, "both", each="agreement.content_agreed", after=agreed_once),
    Pair(
        "test not accepted, confirmed", changed, reject, confirm, "first second", "transition_not_allowed",
        after=production_or_another_test,
    ),
    # A draft and its people.
    Pair("put on what stands now, submitted", left_behind, follow, submit, "first second", "stale_version transition_not_allowed"),
    Pair("put on what stands now, withdrawn", left_behind, follow, withdraw, "first second", "stale_version transition_not_allowed"),
    Pair(
        "signed, withdrawn", drafted, sign_draft, withdraw, "both second", "transition_not_allowed",
        after=signed_before("request.withdrawn"),
    ),
    Pair("signed, submitted", drafted, sign_draft, submit, "both first", "request_incomplete"),
    Pair(
        "signed again, submitted", signed_already, sign_draft, submit, "both second", "transition_not_allowed",
        after=signed_before("request.submitted"),
    ),
)  # fmt: skip


@of_pairs(PAIRS)
def test_cc_01_two_people_at_once(pair, rounds):
    race(pair, rounds)
