"""CC-01, 05, 06, 07 on a real PostgreSQL: two people at the same instant, and exactly one thing happens."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test import Client

from apps.accounts.models import User
from apps.agreements.actions import (
    approve_request,
    confirm_acceptance,
    merge_organizations,
    reject_acceptance,
    suspend_agreement,
    terminate_agreement,
)
from apps.agreements.models import AcceptanceRecord, Agreement, Grant
from apps.audit.models import AuditEvent
from apps.connections.actions import (
    draft_request,
    forward_request,
    refuse_request,
    return_request,
    save_draft,
    sign_request,
    submit_request,
    withdraw_request,
)
from apps.connections.models import ConnectionRequest
from apps.core.errors import Conflict, DomainError, StaleVersion
from apps.core.numbers import next_number
from apps.legal.models import RefusalGround
from apps.notices.models import Notice
from apps.organizations.actions import suspend_organization
from apps.organizations.choices import Role
from tests.factories.agreements import agreement_in_force, recorded, special_world
from tests.factories.connections import World, complete_draft, forwarded, signed_draft, world
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer
from tests.factories.registry import PublishedServiceFactory, operation_of
from tests.fixtures.races import again, at_once, on, refusals, while_not_committed, with_state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("racers")]
ROUNDS = [pytest.param(4, id="quick"), pytest.param(1000, id="full", marks=pytest.mark.full)]


def verb(act, person: User, request: ConnectionRequest, **facts):
    return on(act, request, person, **facts)


def refusal() -> dict:
    return {"ground": RefusalGround.objects.get(code="R3"), "reason": "Không thuộc chức năng.", "citation": "Điều 52"}


DECISIVE = ("request.approved", "request.refused", "request.withdrawn", "request.returned")


def check_one_winner(w, request, answers) -> None:
    """Exactly one transition, one audit event of it, one notice of it for each person it concerns, and every loser is told."""
    losers = refusals(answers)
    assert len(losers) == len(answers) - 1
    won = AuditEvent.objects.about(request).get(event__in=DECISIVE)
    for loser in losers:
        assert is_told_who_was_first(loser, won), (loser, loser.extra)
    notices = Notice.objects.filter(kind=won.event, key__contains=str(request.uuid)).select_related("recipient")
    assert Counter(notice.recipient for notice in notices) == Counter(concerned(won, w))


def is_told_who_was_first(loser, won: AuditEvent) -> bool:
    told = loser.extra.get("state"), loser.extra.get("by")
    return isinstance(loser, Conflict) and told == (won.event.removeprefix("request."), str(won.actor))


def concerned(won: AuditEvent, w: World) -> set[User]:
    """Whoever asked hears of a decision, whoever was asked that there is none to take any more, nobody of what they did."""
    asked = User.objects.filter(memberships__organization=w.provider, memberships__role=Role.PROVIDER_OFFICER)
    return {
        "request.approved": {w.consumer_officer},
        "request.refused": {w.consumer_officer, w.operator, *asked},
        "request.withdrawn": {*asked},
        "request.returned": {w.consumer_officer, *asked},
    }[won.event] - {won.actor}


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("other", ["approve", "refuse", "withdraw", "return"])
def test_cc_01_approval_against_another_step(rounds, other):
    for w, request in again(rounds, lambda: with_state(world(), forwarded)):
        answers = at_once(verb(approve_request, w.provider_officer, request), second_step(other, w, request))
        check_one_winner(w, request, answers)
        request.refresh_from_db()
        assert (request.status == "approved") == Agreement.objects.filter(bases__request=request).exists()
        assert Agreement.objects.filter(bases__request=request).count() <= 1


def second_step(name, w, request):
    if name == "withdraw":
        return verb(withdraw_request, w.consumer_officer, request)
    if name == "return":
        return verb(return_request, w.operator, request, remarks=[("note", "Thiếu")])
    colleague = officer(Role.PROVIDER_OFFICER, w.provider)
    if name == "refuse":
        return verb(refuse_request, colleague, request, **refusal())
    return verb(approve_request, colleague, request)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_approval_against_an_edit_approves_what_was_submitted(rounds):
    for w, request in again(rounds, lambda: with_state(world(), forwarded)):
        made, edited = at_once(
            verb(approve_request, w.provider_officer, request), verb(save_draft, w.consumer_officer, request, title="Sửa lén")
        )
        assert isinstance(made, Agreement), made
        assert isinstance(edited, Conflict), edited
        request.refresh_from_db()
        assert made.title == request.title != "Sửa lén"
        assert not AuditEvent.objects.about(request).filter(event="request.edited").exists()


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_two_providers_approve_at_once_and_one_agreement_is_made(rounds):
    def of_two_providers():
        w, service = world(), PublishedServiceFactory()
        scope = {w.operation: w.fields(), operation_of(service): w.fields()}
        return w, forwarded(w, scope=scope), officer(Role.PROVIDER_OFFICER, service.provider)

    for w, request, other in again(rounds, of_two_providers):
        answers = at_once(verb(approve_request, w.provider_officer, request), verb(approve_request, other, request))
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        assert sum(answer is not None for answer in answers) == 1
        assert Agreement.objects.filter(bases__request=request).count() == 1


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_what_is_submitted_is_what_was_signed_though_somebody_edits(rounds):
    from apps.connections.completeness import missing

    for turn, (w, request) in enumerate(again(rounds, lambda: with_state(world(), signed_draft))):
        answers = at_once(
            verb(submit_request, w.consumer_officer, request),
            verb(save_draft, w.consumer_officer, request, title=f"Sửa lúc gửi {turn}"),
        )
        assert len(refusals(answers)) == 1
        request.refresh_from_db()
        assert request.status == "draft" or missing(request) == []


@pytest.mark.parametrize("side", ["consumer", "provider"])
def test_cc_01_an_approval_waits_for_who_suspends_an_agency_that_takes_part_and_makes_no_agreement(side):
    w = world()
    request = forwarded(w)
    answers = while_not_committed(
        on(suspend_organization, getattr(w, side), w.operator, reason="Vi phạm"),
        verb(approve_request, w.provider_officer, request),
    )
    assert len(refusals(answers)) == 1
    assert not Agreement.objects.exists()
    request.refresh_from_db()
    assert request.status == "awaiting_provider"


def test_cc_01_an_approval_waits_for_a_merge_and_holds_no_other_agency_than_those_that_take_part():
    w = special_world()
    neighbour, heir = ReadyOrganizationFactory(parent=w.consumer), ReadyOrganizationFactory()
    systems = [w.system, InformationSystemFactory(organization=neighbour)]
    request = forwarded(w, special_reason="Dịch vụ mặc định không có.", systems=systems)
    (refused,) = while_not_committed(
        on(merge_organizations, neighbour, w.operator, into=heir, instrument="Nghị quyết 202/2025/QH15"),
        verb(approve_request, w.provider_officer, request),
    )
    assert isinstance(refused, StaleVersion), refused
    assert not Agreement.objects.exists()
    agreement = verb(approve_request, w.provider_officer, request)()
    assert set(agreement.organization_ids()) == {w.consumer.pk, heir.pk, w.provider.pk}


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("other", ["reject", "terminate"])
def test_cc_01_confirm_against_reject_and_against_termination(rounds, other):
    for w, (agreement, record) in again(rounds, lambda: with_state(world(), in_test)):
        if other == "reject":
            second = on(reject_acceptance, record, w.operator, comment="Thiếu")
        else:
            second = on(terminate_agreement, agreement, w.operator, ground="authority", reason="Yêu cầu")
        answers = at_once(on(confirm_acceptance, record, w.provider_officer), second)
        losers = [answer for answer in answers if isinstance(answer, Exception)]
        assert all(isinstance(loser, DomainError) for loser in losers), losers
        assert len(losers) == 1 or (other == "terminate" and not losers)
        record.refresh_from_db()
        agreement.refresh_from_db()
        open_production = Grant.objects.filter(agreement=agreement, environment="production").exclude(status="ended").exists()
        assert open_production == (record.status == "confirmed" and agreement.status == "in_force")


def in_test(w: World) -> tuple[Agreement, AcceptanceRecord]:
    agreement = agreement_in_force(w)
    return agreement, recorded(w, agreement)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_suspension_and_termination_at_once_end_with_everything_closed(rounds):
    for w, agreement in again(rounds, lambda: with_state(world(), agreement_in_force)):
        answers = at_once(
            on(suspend_agreement, agreement, w.provider_officer, kind="force_majeure", violation="Mất điện", plan="Chờ"),
            on(terminate_agreement, agreement, w.operator, ground="authority", reason="Yêu cầu"),
        )
        assert len(refusals(answers)) == 1
        agreement.refresh_from_db()
        assert agreement.status in ("suspended", "ending")
        assert agreement.status != "ending" or not agreement.grants.exclude(status="ended").exists()


def test_cc_01_two_signers_of_one_agency_and_a_double_click_at_once_are_one_signature():
    for _turn in range(4):
        w = world()
        draft, colleague = complete_draft(w), officer(Role.SIGNER, w.consumer)
        people = (w.consumer_signer, w.consumer_signer, colleague)
        answers = at_once(*[verb(sign_request, person, draft) for person in people])
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        assert draft.signatures.count() == 1
        submit_request(draft, by=w.consumer_officer)
        assert isinstance(approve_request(forward_request(draft, by=w.operator), by=w.provider_officer), Agreement)


@pytest.mark.parametrize("count", [2, 8, 20])
def test_cc_05_parallel_posts_with_one_key_make_one_draft(count):
    w = world()
    key = uuid.uuid4()

    def draft():
        by = User.objects.get(pk=w.consumer_officer.pk)
        return draft_request(w.consumer, by=by, uuid=key, title="Một lần")

    answers = at_once(*[draft] * count)
    assert not [answer for answer in answers if isinstance(answer, Exception)], answers
    assert {answer.uuid for answer in answers} == {key}
    assert ConnectionRequest.objects.count() == 1
    assert AuditEvent.objects.filter(event="request.drafted").count() == 1


def _api(w, key):
    return "/api/v1/requests", {"consumer": w.consumer.code, "title": "Một lần"}, 201


def _first_step(w, key):
    facts = {"consumer": w.consumer.pk, "title": "Một lần", "systems": [w.system.pk], "uuid": str(key)}
    return "/portal/requests/new/", facts, 302


@pytest.mark.parametrize("door", [_api, _first_step])
def test_cc_05_twenty_posts_of_one_form_at_once_make_one_draft(door):
    w = world()
    key = uuid.uuid4()
    where, body, done = door(w, key)
    browsers = [Client() for _turn in range(20)]
    for browser in browsers:
        browser.force_login(w.consumer_officer)
        browser.get("/portal/requests/new/")
    kind = {"content_type": "application/json", "headers": {"Idempotency-Key": str(key)}} if door is _api else {}
    answers = at_once(*[lambda browser=browser: browser.post(where, body, **kind) for browser in browsers])
    assert {getattr(answer, "status_code", answer) for answer in answers} == {done}
    made = ConnectionRequest.objects.get()
    assert made.uuid == key
    assert {answer.url if door is _first_step else answer.json()["uuid"] for answer in answers} == {
        f"/portal/requests/{made.uuid}/edit/data/" if door is _first_step else str(made.uuid)
    }
    assert AuditEvent.objects.filter(event="request.drafted").count() == 1


def _beginning(kind: str):
    """What begins on an agreement in force: the API's address, the portal's, and what is posted to each."""

    def api(w, agreement):
        if kind == "join":
            return f"/api/v1/joining/{agreement.number}", {"consumer": w.stranger.memberships.first().organization.code}
        return f"/api/v1/agreements/{agreement.uuid}/{'renew' if kind == 'renewal' else kind}", {}

    def portal(w, agreement):
        if kind == "join":
            facts = {"number": agreement.number, "consumer": w.stranger.memberships.first().organization_id}
            return "/portal/joining/", facts
        return f"/portal/agreements/{agreement.uuid}/start/{kind}/", {}

    return api, portal


def _on_paper():
    facts = {"received_on": "2026-01-05", "paper_signer": "Giám đốc", "title": "Một lần"}
    return (
        lambda w, _agreement: ("/api/v1/requests/paper", {"consumer": w.consumer.code, **facts}),
        lambda w, _agreement: ("/portal/requests/paper/", {"consumer": w.consumer.pk, **facts, "received_on": "05/01/2026"}),
    )


BEGINNINGS = {
    "change": _beginning("change"), "renewal": _beginning("renewal"), "join": _beginning("join"), "paper": _on_paper(),
}  # fmt: skip


@pytest.mark.parametrize("through", ["api", "portal"])
@pytest.mark.parametrize("name", BEGINNINGS)
def test_cc_05_twenty_posts_of_one_beginning_at_once_make_one_draft(name, through):
    w, key = world(), uuid.uuid4()
    agreement = agreement_in_force(w)
    before = set(ConnectionRequest.objects.values_list("pk", flat=True))
    person = {"join": w.stranger, "paper": w.operator}.get(name, w.consumer_officer)
    where, body = BEGINNINGS[name][through == "portal"](w, agreement)
    browsers = [Client() for _turn in range(20)]
    for browser in browsers:
        browser.force_login(person)
        browser.get("/portal/requests/")
    if through == "api":
        kind, done = {"content_type": "application/json", "headers": {"Idempotency-Key": str(key)}}, 201
    else:
        kind, body, done = {}, {**body, "uuid": str(key)}, 302
    answers = at_once(*[lambda browser=browser: browser.post(where, body, **kind) for browser in browsers])
    assert {getattr(answer, "status_code", answer) for answer in answers} == {done}
    made = ConnectionRequest.objects.exclude(pk__in=before).get()
    assert made.uuid == key
    if through == "api":
        assert {answer.json()["uuid" if name == "paper" else "request"] for answer in answers} == {str(key)}
    else:
        assert {answer.url for answer in answers} == {f"/portal/requests/{key}/edit/who/"}
    begun = "request.entered_from_paper" if name == "paper" else f"agreement.{name}_begun"
    assert AuditEvent.objects.filter(event=begun).count() == 1


@pytest.mark.parametrize("each", [pytest.param(5, id="quick"), pytest.param(1000, id="full", marks=pytest.mark.full)])
def test_cc_06_numbers_are_unique_and_without_gaps_under_64_threads(each):
    def take():
        found = []
        for _turn in range(each):
            with transaction.atomic():
                found.append(next_number("YC"))
        return found

    # At most sixteen connections at once: what is tested is the number, not the server's connection limit.
    slots = threading.Semaphore(16)

    def guarded():
        with slots:
            try:
                return take()
            finally:
                connections.close_all()

    answers = at_once(*[guarded] * 64)
    numbers = [number for answer in answers for number in answer]
    assert len(set(numbers)) == len(numbers) == 64 * each
    assert max(int(number.rsplit("-", 1)[1]) for number in numbers) == 64 * each
    print(f"CC-06: 64 threads took {each:,} numbers each, all different and none left out")


def test_cc_07_a_stuck_lock_holder_makes_others_wait_five_seconds_and_no_longer():
    w = world()
    request = forwarded(w)
    holding, done = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            ConnectionRequest.objects.select_for_update().get(pk=request.pk)
            holding.set()
            done.wait(timeout=30)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    holding.wait(timeout=10)
    client = Client()
    client.force_login(w.provider_officer)
    client.get("/api/v1/requests")  # the first request of a process loads half of Django; that is no waiting
    began = time.monotonic()
    try:
        answer = client.post(f"/api/v1/requests/{request.uuid}/approve", {}, content_type="application/json")
        took = time.monotonic() - began
        with pytest.raises(OperationalError), transaction.atomic():
            ConnectionRequest.objects.select_for_update().get(pk=request.pk)
    finally:
        done.set()
        holder.join(timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert answer["Retry-After"]
    assert 4 < took < 25, "not until the holder lets go"
    assert connection.is_usable()


def test_cc_07_nobody_waits_runs_or_idles_in_a_transaction_without_end():
    with connection.cursor() as cursor:
        for name, most in (("lock_timeout", 5), ("statement_timeout", 60), ("idle_in_transaction_session_timeout", 60)):
            cursor.execute("SELECT extract(epoch FROM current_setting(%s)::interval)", [name])
            assert 0 < cursor.fetchone()[0] <= most, name


def test_a_loser_never_gets_anything_but_a_domain_error():
    w = world()
    request = forwarded(w)
    people = [officer(Role.PROVIDER_OFFICER, w.provider) for _turn in range(6)]
    answers = at_once(*[verb(approve_request, person, request) for person in people])
    assert sum(isinstance(answer, Agreement) for answer in answers) == 1
    assert all(isinstance(answer, Agreement | DomainError) for answer in answers)
