"""What a request changes of what runs: the API says what the case page shows, to each reader its own part (AG-03)."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from apps.agreements.actions import approve_request, decline_change, leave_agreement, start_change
from apps.agreements.models import Agreement
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request, withdraw_request
from apps.connections.models import ConnectionRequest
from tests.agreements.test_joining import asked, draft_of, joiner, secrets_of
from tests.agreements.test_leaving import REASON, Joiner
from tests.factories.agreements import accepted, signed_special
from tests.factories.connections import World

pytestmark = pytest.mark.django_db


def changed(w: World, agreement: Agreement, **facts) -> ConnectionRequest:
    agreement.refresh_from_db()
    return save_draft(start_change(agreement, by=w.consumer_officer), by=w.consumer_officer, **facts)


def submitted(w: World, request: ConnectionRequest) -> ConnectionRequest:
    sign_request(request, by=w.consumer_signer)
    return submit_request(request, by=w.consumer_officer)


def approved(w: World, request: ConnectionRequest) -> Agreement:
    return approve_request(forward_request(submitted(w, request), by=w.operator), by=w.provider_officer)


def answers(person, request: ConnectionRequest) -> tuple:
    client = Client()
    client.force_login(person)
    found = client.get(f"/api/v1/requests/{request.uuid}/basis"), client.get(f"/portal/requests/{request.uuid}/")
    assert [answer.status_code for answer in found] == [200, 200]
    return found


def told(person, request: ConnectionRequest) -> list[tuple]:
    """What both doors tell `person`, who is told the same by both."""
    api, page = answers(person, request)
    names = ("item", "kind", "before", "after", "personal_data")
    given = [tuple(row[name] for name in names) for row in api.json()["differences"]]
    assert given == [tuple(str(row[name]) for name in names) for row in page.context.get("differences", [])]
    return given


def values(rows: list[tuple]) -> set[tuple[str, str]]:
    return {(before, after) for _item, _kind, before, after, _class in rows}


def test_in_each_state_it_is_told_what_the_page_shows(w):
    request = changed(w, accepted(w), calls_per_day=50, scope={w.operation: w.fields(4)})
    drafted = told(w.consumer_officer, request)
    assert ("500", "50") in values(drafted)
    assert [kind for _item, kind, *_rest in drafted] == ["added", "changed"]
    submitted(w, request)
    assert told(w.operator, request) == drafted
    forward_request(request, by=w.operator)
    assert told(w.provider_officer, request) == drafted
    approve_request(request, by=w.provider_officer)
    for person in (w.consumer_officer, w.consumer_signer, w.provider_officer, w.operator):
        assert told(person, request) == drafted
    client = Client()
    client.force_login(w.stranger)
    assert client.get(f"/api/v1/requests/{request.uuid}/basis").status_code == 404


def test_a_draft_without_a_purpose_changes_nothing_yet(w):
    assert told(w.consumer_officer, changed(w, accepted(w), calls_per_day=50, purpose=None)) == []


def test_what_cannot_be_approved_because_of_others_is_shown_all_the_same(w):
    """Its page failed: the check of the approval was asked for the differences too."""
    agreement = accepted(w)
    Joiner(w, agreement)
    assert ("500", "50") in values(told(w.consumer_officer, changed(w, agreement, calls_per_day=50)))


def test_of_what_was_approved_it_stays_what_it_changed_whoever_comes_and_goes(w):
    agreement = accepted(w)
    request = changed(w, agreement, calls_per_day=900)
    approved(w, request)
    before = told(w.consumer_officer, request)
    assert values(before) == {("500", "900")}
    other = Joiner(w, agreement)
    assert told(w.consumer_officer, request) == before
    third = Joiner(w, agreement)
    own = save_draft(start_change(agreement, by=third.officer), by=third.officer, technician="Trần Văn Mới")
    sign_request(own, by=third.signer)
    submit_request(own, by=third.officer)
    approve_request(forward_request(own, by=w.operator), by=w.provider_officer)
    unchanged = told(third.officer, own)
    leave_agreement(agreement, by=other.officer, reason=REASON)
    assert told(third.officer, own) == unchanged, "that another left was not its wish"


def test_who_has_left_learns_nothing_of_who_leaves_after_it(w):
    agreement = accepted(w)
    other = Joiner(w, agreement)
    Joiner(w, agreement)
    request = withdraw_request(changed(w, agreement, calls_per_day=50), by=w.consumer_officer)
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    before = told(w.consumer_officer, request)
    assert values(before) == {("500", "50")}
    leave_agreement(agreement, by=other.officer, reason=REASON)
    assert told(w.consumer_officer, request) == before


def test_who_joins_is_told_of_itself_alone_from_the_draft_until_it_is_declined(special):
    w, one = special, joiner()
    agreement = signed_special(w)
    request = one.asks(w, agreement)
    own = {("", one.organization.name), ("", one.system.name)}

    def reads_its_own_part() -> None:
        for person in (one.officer, one.signer):
            assert values(told(person, request)) == own
            text = json.dumps(answers(person, request)[0].json(), ensure_ascii=False)
            assert [word for word in secrets_of(w) if word in text] == []

    reads_its_own_part()
    approve_request(request, by=w.provider_officer)
    reads_its_own_part()
    assert values(told(w.provider_officer, request)) >= own
    decline_change(agreement, by=w.consumer_officer, reason="Không đồng ý")
    reads_its_own_part()


def test_the_joining_of_an_agreement_with_a_past_tells_no_more(special):
    """The first consumer has tested, was suspended and is to pause: nothing of that is among the differences either."""
    agreement, one = asked(special)
    request = agreement.bases.get(request__kind="join").request
    assert request.basis.version == draft_of(agreement)
    text = json.dumps(answers(one.officer, request)[0].json(), ensure_ascii=False)
    assert [word for word in secrets_of(special) if word in text] == []
