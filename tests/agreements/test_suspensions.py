"""Who suspended an agreement or one access is on a row of its own; they open it again, or the operator does, and nobody else."""

from __future__ import annotations

import datetime

import pytest
from django.test import Client
from django.utils import timezone

from apps.agreements.actions import (
    announce_suspension,
    approve_request,
    cancel_suspension,
    confirm_acceptance,
    lift_consumer_suspension,
    merge_organizations,
    resume_agreement,
    resume_grant,
    start_change,
    suspend_agreement,
    suspend_consumer,
    suspend_grant,
)
from apps.agreements.models import Suspension
from apps.audit.models import AuditEvent
from apps.connections.actions import forward_request, sign_request, submit_request
from apps.core.epoch import current_epoch
from apps.core.errors import Conflict, NotPermitted, StaleVersion
from apps.notices.models import Notice
from apps.organizations.choices import Role
from tests.factories.agreements import accepted, recorded
from tests.factories.connections import World, forwarded
from tests.factories.organizations import officer
from tests.factories.registry import PublishedServiceFactory, operation_of
from tests.fixtures.worlds import remembered

LAW = "Nghị quyết 202/2025/QH15"
WHY = {"violation": "Chuyển tiếp", "plan": "Xác minh", "restore_conditions": "Báo cáo"}


def facts(reason: str) -> dict:
    return {"kind": "violation", "violation": reason, "plan": "Xác minh", "restore_conditions": "Báo cáo"}


@pytest.fixture
def two(w: World):
    """In force and in production over services of two providers; the second one's officer beside it."""
    return over_two(w)


@remembered
def over_two(w: World) -> tuple:
    service = PublishedServiceFactory()
    second = officer(Role.PROVIDER_OFFICER, service.provider)
    request = forwarded(w, scope={w.operation: w.fields(), operation_of(service): w.fields()})
    approve_request(request, by=w.provider_officer)
    agreement = approve_request(request, by=second)
    confirm_acceptance(recorded(w, agreement), by=w.operator)
    return agreement, second


# --- the agreement --------------------------------------------------------------------------------


def test_what_one_provider_suspended_another_does_not_open_and_is_told_who_may(w, two):
    agreement, second = two
    suspend_agreement(agreement, by=w.provider_officer, **facts("A"))
    row = Suspension.objects.get()
    assert (row.provider, row.grant, row.reason, row.suspended_by) == (w.provider, None, "A", w.provider_officer)
    with pytest.raises(NotPermitted) as refused:
        resume_agreement(agreement, by=second)
    assert refused.value.code == "not_the_suspender"
    assert w.provider.name in str(refused.value.detail)
    resume_agreement(agreement, by=officer(Role.PROVIDER_OFFICER, w.provider))
    assert agreement.status == "in_force"
    row.refresh_from_db()
    assert row.lifted_at is not None


def test_what_the_operator_suspended_no_provider_opens(w):
    agreement = accepted(w)
    suspend_agreement(agreement, by=w.operator, **facts("A"))
    with pytest.raises(NotPermitted) as refused:
        resume_agreement(agreement, by=w.provider_officer)
    assert refused.value.code == "not_the_suspender"
    resume_agreement(agreement, by=w.operator)
    assert agreement.status == "in_force"


@pytest.mark.parametrize("first", ["provider", "second", "operator"])
def test_it_opens_when_the_last_of_those_who_suspended_lifts_its_own(w, two, first):
    agreement, second = two
    people = {"provider": w.provider_officer, "second": second, "operator": w.operator}
    order = [first, *(name for name in people if name != first)]
    for name in order:
        suspend_agreement(agreement, by=people[name], **facts(name))
    assert agreement.violation == first
    for index, name in enumerate(order[:-1]):
        before = current_epoch()
        resume_agreement(agreement, by=people[name], comment="Xong")
        agreement.refresh_from_db()
        assert (agreement.status, agreement.violation) == ("suspended", order[index + 1])
        assert current_epoch() == before, "nothing has opened"
    resume_agreement(agreement, by=people[order[-1]])
    assert (agreement.status, agreement.violation) == ("in_force", "")
    told = AuditEvent.objects.about(agreement).values_list("event", flat=True)
    assert [told.filter(event=f"agreement.{name}").count() for name in ("suspended", "suspension_added")] == [1, 2]
    assert AuditEvent.objects.about(agreement).filter(event="agreement.suspension_lifted").count() == 2
    assert AuditEvent.objects.about(agreement).filter(event="agreement.resumed").count() == 1
    assert Notice.objects.filter(kind="agreement.suspension_lifted", recipient=w.consumer_officer).count() == 2


def test_the_operator_lifts_its_own_first_and_the_others_only_by_a_second_step(w):
    agreement = accepted(w)
    suspend_agreement(agreement, by=w.provider_officer, **facts("A"))
    suspend_agreement(agreement, by=w.operator, **facts("B"))
    resume_agreement(agreement, by=w.operator)
    assert (agreement.status, agreement.violation) == ("suspended", "A")
    resume_agreement(agreement, by=w.operator)
    assert agreement.status == "in_force"
    assert not Suspension.objects.standing().exists()


def test_one_side_suspends_once_and_a_form_from_before_is_told(w):
    agreement = accepted(w)
    seen = agreement.version
    suspend_agreement(agreement, by=w.provider_officer, **facts("A"))
    with pytest.raises(Conflict) as refused:
        suspend_agreement(agreement, by=officer(Role.PROVIDER_OFFICER, w.provider), **facts("lần nữa"))
    assert refused.value.code == "already_suspended"
    with pytest.raises(StaleVersion):
        suspend_agreement(agreement, by=w.operator, version=seen, **facts("B"))
    assert Suspension.objects.count() == 1


def test_a_planned_suspension_is_called_off_and_ended_by_who_announced_it_or_the_operator(w, two):
    agreement, second = two
    soon = timezone.now() + datetime.timedelta(days=30)
    planned = announce_suspension(
        agreement, by=w.provider_officer, starts_at=soon, ends_at=soon + datetime.timedelta(hours=2), reason="Nâng cấp"
    )
    assert planned.provider == w.provider
    with pytest.raises(NotPermitted) as refused:
        cancel_suspension(planned, by=second)
    assert refused.value.code == "not_the_suspender"
    type(planned).objects.filter(pk=planned.pk).update(started_at=timezone.now())
    type(agreement).objects.filter(pk=agreement.pk).update(
        status="suspended", suspension_kind="planned", suspended_at=timezone.now()
    )
    agreement.refresh_from_db()
    with pytest.raises(NotPermitted) as refused:
        resume_agreement(agreement, by=second)
    assert refused.value.code == "not_the_suspender"
    resume_agreement(agreement, by=w.provider_officer)
    assert agreement.status == "in_force"


# --- one access -----------------------------------------------------------------------------------


@pytest.fixture
def grant(w):
    return accepted(w).grants.get(environment="production")


def test_an_access_the_operator_suspended_its_provider_does_not_open(w, grant):
    suspend_grant(grant, by=w.operator, reason="A")
    with pytest.raises(NotPermitted) as refused:
        resume_grant(grant, by=w.provider_officer)
    assert refused.value.code == "not_the_suspender"
    resume_grant(grant, by=w.operator)
    assert grant.status == "active"


def test_an_access_opens_when_both_have_lifted_theirs(w, grant):
    suspend_grant(grant, by=w.provider_officer, reason="A")
    suspend_grant(grant, by=w.operator, reason="B")
    assert grant.status_reason == "A"
    assert {"A", "B"} == {
        n.facts["params"]["reason"] for n in Notice.objects.filter(kind__in=("grant.suspended", "grant.suspension_added"))
    }
    with pytest.raises(Conflict):
        suspend_grant(grant, by=w.operator, reason="lần nữa")
    resume_grant(grant, by=w.provider_officer)
    assert (grant.status, grant.status_reason) == ("suspended", "B")
    resume_grant(grant, by=w.operator)
    assert (grant.status, grant.status_reason) == ("active", "")


def changed(w, agreement):
    request = start_change(agreement, by=w.consumer_officer)
    sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)


def test_who_suspended_goes_with_the_access_to_the_next_version(w, grant):
    suspend_grant(grant, by=w.operator, reason="A")
    suspend_grant(grant, by=w.provider_officer, reason="B")
    since = [row.since for row in grant.standing_suspensions()]
    changed(w, grant.agreement)
    follower = grant.agreement.grants.exclude(status="ended").get(environment="production")
    assert [(r.provider, r.reason, r.since) for r in follower.standing_suspensions()] == [
        (None, "A", since[0]), (w.provider, "B", since[1]),
    ]  # fmt: skip
    resume_grant(follower, by=w.provider_officer)
    assert follower.status == "suspended"
    resume_grant(follower, by=w.operator)
    assert follower.status == "active"


def test_an_access_suspended_while_its_consumer_is_stays_so_when_that_is_lifted(w, grant):
    agreement = grant.agreement
    made = suspend_consumer(agreement.parties.get(side="consumer"), by=w.provider_officer, **WHY)
    grant.refresh_from_db()
    suspend_grant(grant, by=w.operator, reason="A")
    changed(w, agreement)
    lift_consumer_suspension(made, by=w.provider_officer)
    rows = agreement.grants.exclude(status="ended").values_list("environment", "status", "status_reason", "held_by")
    assert sorted(rows) == [("production", "suspended", "A", None), ("test", "active", "", None)]


# --- a merge of the providers ---------------------------------------------------------------------


def test_what_two_providers_suspended_is_their_successors_with_both_reasons(w, two):
    agreement, second = two
    into = second.memberships.get().organization
    suspend_agreement(agreement, by=w.provider_officer, **facts("A"))
    suspend_agreement(agreement, by=second, **facts("B"))
    own = agreement.grants.get(operation=w.operation, environment="production")
    suspend_grant(own, by=w.provider_officer, reason="C")
    merge_organizations(w.provider, into, by=w.operator, instrument=LAW)
    row = agreement.suspensions.standing().get(grant=None)
    assert (row.provider, row.reason) == (into, "B\nA")
    agreement.refresh_from_db()
    own.refresh_from_db()
    resume_agreement(agreement, by=second)
    resume_grant(own, by=second)
    assert (agreement.status, own.status) == ("in_force", "active")


# --- the doors ------------------------------------------------------------------------------------


def signed_in(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_the_api_says_who_suspended_and_offers_the_step_to_them_alone(w, two):
    agreement, second = two
    suspend_agreement(agreement, by=w.provider_officer, **facts("A"))
    suspend_grant(agreement.grants.filter(operation=w.operation).first(), by=w.operator, reason="B")
    offered = {}
    for name, person in {
        "own": w.provider_officer,
        "other": second,
        "operator": w.operator,
        "consumer": w.consumer_officer,
    }.items():
        answer = signed_in(person).get(f"/api/v1/agreements/{agreement.uuid}").json()
        (row,) = answer["suspensions"]
        assert (row["provider"]["code"], row["reason"]) == (w.provider.code, "A")
        assert [one for grant in answer["grants"] for one in grant["suspensions"]][0]["provider"] is None
        offered[name] = [step["verb"] for step in answer["available_actions"]]
    assert [name for name, steps in offered.items() if "resume" in steps] == ["own", "operator"]
    answer = signed_in(second).post(f"/api/v1/agreements/{agreement.uuid}/resume", {}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_the_suspender")


def test_the_page_says_who_suspended_and_who_opens(w, two):
    agreement, second = two
    suspend_agreement(agreement, by=w.provider_officer, **facts("Lý do của bên A"))
    page = f"/portal/agreements/{agreement.uuid}/"
    step = f"{page}do/resume/"
    shown = signed_in(second).get(page).content.decode()
    assert "Lý do của bên A" in shown
    assert step not in shown
    assert f"{page}do/suspend/" in shown, "it may add its own reason"
    own = signed_in(w.provider_officer).get(page).content.decode()
    assert step in own
    assert f"{page}do/suspend/" not in own
    given = {**facts("Lý do của bên B"), "version": agreement.version}
    assert signed_in(second).post(f"{page}do/suspend/", given).status_code == 302
    agreement.refresh_from_db()
    assert signed_in(w.provider_officer).post(step, {"version": agreement.version}).status_code == 302
    agreement.refresh_from_db()
    assert (agreement.status, agreement.violation) == ("suspended", "Lý do của bên B")
    assert signed_in(w.consumer_officer).get(page).content.decode().count("Lý do của bên B") >= 1
