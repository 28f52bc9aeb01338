"""CC-01 by the table: two verbs that touch the same rows, at the same instant, and what may come of it (`pairs`)."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.agreements.actions import (
    announce_end_of_version,
    approve_request,
    cancel_suspension,
    claim_credential,
    confirm_acceptance,
    end_grant,
    extend_test,
    lift_consumer_suspension,
    merge_organizations,
    publish_service_version,
    record_acceptance,
    resume_agreement,
    resume_grant,
    retire_service_version,
    revoke_credential,
    rotate_credential,
    sign_agreement,
    suspend_agreement,
    suspend_consumer,
    suspend_grant,
    suspend_service,
    terminate_agreement,
)
from apps.agreements.actions.life import expire_agreement
from apps.agreements.actions.suspension import begin_suspension, finish_suspension
from apps.agreements.models import Agreement, Grant, PlannedSuspension
from apps.connections.actions import lapse_request, sign_request, submit_request, withdraw_request
from apps.connections.models import ConnectionRequest
from apps.disputes.maintenance import announce_maintenance
from apps.organizations.actions.systems import retire_system, suspend_system
from apps.organizations.choices import Role
from apps.registry.actions import retire_service
from apps.registry.models import ServiceVersion
from tests.agreements.pairs import Pair, act, of_pairs, race
from tests.agreements.test_publishing import successor
from tests.agreements.test_races import WHY, changing
from tests.factories.agreements import accepted, agreement_in_force, awaiting_signatures, collected, recorded, special_world
from tests.factories.connections import forwarded, returned, world
from tests.factories.organizations import FocalPointFactory, ReadyOrganizationFactory, officer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("racers")]
LAW = "Nghị quyết 202/2025/QH15"
FORCE = {"kind": "force_majeure", "violation": "Mất điện", "plan": "Chờ"}

# --- cases of the age that a pair needs: name → what the acts need ------------------------------------------------------------


def asked() -> dict:
    w = world()
    return {"w": w, "request": forwarded(w)}


def on_trial() -> dict:
    w = world()
    return {"w": w, "agreement": agreement_in_force(w)}


def running() -> dict:
    """In production, with an account collected and everything else at hand that somebody may do with it."""
    w = world()
    agreement = accepted(w)
    FocalPointFactory(organization=w.provider)
    account, _secret = collected(w)
    return {
        "w": w, "agreement": agreement, "grant": agreement.grants.get(environment="production"), "account": account,
        "consumer": agreement.parties.get(side="consumer"), "heir": ReadyOrganizationFactory(),
        "colleague": officer(Role.PROVIDER_OFFICER, w.provider),
    }  # fmt: skip


def changing_now() -> dict:
    found = running()
    return {**found, "request": changing(found["w"], found["agreement"])}


def changing_twice() -> dict:
    found = changing_now()
    return {**found, "second": changing(found["w"], found["agreement"])}


def changed() -> dict:
    """A new version in force that was tested, and a minor version of the service ready to be published."""
    found = changing_now()
    approve_request(found["request"], by=found["w"].provider_officer)
    agreement = Agreement.objects.get(pk=found["agreement"].pk)
    grant = agreement.grants.exclude(status="ended").get(environment="production")
    record = recorded(found["w"], agreement)
    return {**found, "agreement": agreement, "grant": grant, "record": record, "draft": successor(found["w"])}


def publishing() -> dict:
    found = running()
    return {**found, "draft": successor(found["w"])}


def publishing_and_changing() -> dict:
    found = changing_now()
    return {**found, "draft": successor(found["w"])}


def at_the_end_of_a_version() -> dict:
    return end_of_version(changing_now())


def at_the_end_of_a_version_tested() -> dict:
    return end_of_version(changed())


def end_of_version(found: dict) -> dict:
    version = found["w"].service.versions.get(status="published")
    announce_end_of_version(version, by=found["w"].provider_officer, until=timezone.localdate() + datetime.timedelta(days=30))
    ServiceVersion.objects.filter(pk=version.pk).update(deprecated_on=timezone.localdate())
    return {**found, "version": ServiceVersion.objects.get(pk=version.pk)}


def rotated() -> dict:
    found = running()
    return {**found, "successor": rotate_credential(found["account"], by=found["w"].consumer_officer)}


def halted() -> dict:
    found = running()
    return {**found, "grant": suspend_grant(found["grant"], by=found["w"].operator, reason="x")}


def stopped() -> dict:
    found = running()
    made = suspend_consumer(found["consumer"], by=found["w"].operator, **WHY)
    return {**found, "grant": Grant.objects.get(pk=found["grant"].pk), "suspension": made}


def _planned(found: dict, first: int, last: int, **facts) -> PlannedSuspension:
    now = timezone.now()
    hour = datetime.timedelta(hours=1)
    return PlannedSuspension.objects.create(
        agreement=found["agreement"], starts_at=now + first * hour, ends_at=now + last * hour, reason="Bảo trì",
        announced_by=found["w"].provider_officer, **facts,
    )  # fmt: skip


def about_to_pause() -> dict:
    found = changing_now()
    return {**found, "planned": _planned(found, -1, 5)}


def about_to_go_on() -> dict:
    found = running()
    planned = _planned(found, -5, 5)
    begin_suspension(planned, by=found["w"].operator)
    PlannedSuspension.objects.filter(pk=planned.pk).update(ends_at=timezone.now() - datetime.timedelta(hours=1))
    return {**found, "planned": PlannedSuspension.objects.get(pk=planned.pk), "agreement": Agreement.objects.get()}


def at_its_last_moment() -> dict:
    found = changing_now()
    Agreement.objects.update(
        valid_from=timezone.now() - datetime.timedelta(days=9), valid_to=timezone.now() - datetime.timedelta(hours=1)
    )
    return {**found, "agreement": Agreement.objects.get()}


def nearly_lapsed() -> dict:
    w = world()
    request = returned(w)
    sign_request(request, by=w.consumer_signer)
    ConnectionRequest.objects.filter(pk=request.pk).update(lapses_at=timezone.now() - datetime.timedelta(hours=1))
    return {"w": w, "request": request}


def half_signed() -> dict:
    w = special_world()
    agreement = awaiting_signatures(w)
    shown = agreement.current_version.content_hash
    sign_agreement(agreement, by=w.consumer_signer, content_hash=shown)
    return {"w": w, "agreement": agreement, "shown": shown}


# --- acts: what is known → an act that reads its row afresh -------------------------------------------------------------------


def soon(hours: int) -> datetime.datetime:
    return timezone.now() + datetime.timedelta(days=20, hours=hours)


approve = act(approve_request, "request", "provider_officer")
confirm = act(confirm_acceptance, "record", "provider_officer")
record = act(
    record_acceptance, "agreement", "consumer_officer", system=lambda f: f["w"].system, summary="Đạt",
    tested_on=lambda _f: timezone.localdate(),
)  # fmt: skip
extend = act(extend_test, "agreement", "consumer_officer", system=lambda f: f["w"].system, reason="x")
halt_system = act(suspend_system, "system", "operator", reason="x")
end_system = act(retire_system, "system", "operator", reason="x")
halt_service = act(suspend_service, "service", "operator", reason="x")
end_service = act(retire_service, "service", "provider_officer", reason="x")
maintain = act(
    announce_maintenance, "service", "provider_officer", reason="x", starts_at=lambda _f: soon(0), ends_at=lambda _f: soon(2)
)
publish = act(publish_service_version, "draft", "provider_officer")
retire = act(retire_service_version, "version", "provider_officer", reason="x")
suspend = act(suspend_agreement, "agreement", "operator", **FORCE)
resume = act(resume_agreement, "agreement", "operator")
terminate = act(terminate_agreement, "agreement", "operator", ground="authority", reason="x")
expire = act(expire_agreement, "agreement", "operator")
stop_consumer = act(suspend_consumer, "consumer", "provider_officer", **WHY)
lift = act(lift_consumer_suspension, "suspension", "operator")
merge = act(merge_organizations, "consumer_organization", "operator", into=lambda f: f["heir"], instrument=LAW)
merge_provider = act(merge_organizations, "provider", "operator", into=lambda f: f["heir"], instrument=LAW)
merge_back = act(merge_organizations, "heir", "operator", into=lambda f: f["w"].consumer, instrument=LAW)
begin = act(begin_suspension, "planned", "operator")
finish = act(finish_suspension, "planned", "operator")
call_off = act(cancel_suspension, "planned", "provider_officer")
rotate = act(rotate_credential, "account", "consumer_officer")
revoke = act(revoke_credential, "account", "consumer_officer", reason="x")
claim = act(claim_credential, "successor", "consumer_officer")
revoke_successor = act(revoke_credential, "successor", "consumer_officer", reason="x")
halt_one = act(suspend_grant, "grant", "operator", reason="x")
open_one = act(resume_grant, "grant", "operator")
end_one = act(end_grant, "grant", "operator", reason="x")
sign = act(sign_agreement, "agreement", "provider_signer", content_hash=lambda f: f["shown"])
lapse = act(lapse_request, "request", "operator")
submit = act(submit_request, "request", "consumer_officer")
withdraw = act(withdraw_request, "request", "consumer_officer")


PAIRS = (
    # The deadlocks there were: each of the two locked what the other went on to want.
    Pair("approve, system suspended", asked, approve, halt_system, "both second"),
    Pair("approve, system retired", asked, approve, end_system, "both second"),
    Pair("approve, service suspended", asked, approve, halt_service, "both second"),
    Pair("approve, service retired", asked, approve, end_service, "first second"),
    Pair("successor collected, old account revoked", rotated, claim, revoke, "both"),
    Pair("second confirmation, version published", changed, confirm, publish, "both"),
    Pair("second confirmation, service suspended", changed, confirm, halt_service, "both"),
    Pair("second confirmation, maintenance announced", changed, confirm, maintain, "both"),
    Pair("provider merged, service suspended", running, merge_provider, halt_service, "both first second"),
    Pair("consumer merged, system suspended", running, merge, halt_system, "both first second"),
    Pair("consumer suspended, version published", publishing, stop_consumer, publish, "both"),
    Pair("terminated, version published", publishing, terminate, publish, "both"),
    # A change comes into force.
    Pair("change, suspension", changing_now, approve, suspend, "both first second"),
    Pair("change, termination", changing_now, approve, terminate, "both first second"),
    Pair("change, another change", changing_twice, approve, act(approve_request, "second", "provider_officer"), "first second"),
    Pair("change, consumer suspended", changing_now, approve, stop_consumer, "both"),
    Pair("change, merge", changing_now, approve, merge, "both first"),
    Pair("change, version published", publishing_and_changing, approve, publish, "both"),
    Pair("change, account revoked", changing_now, approve, revoke, "both"),
    Pair("change, planned suspension begins", about_to_pause, approve, begin, "both second"),
    Pair("change, expiry", at_its_last_moment, approve, expire, "first second"),
    Pair("change, version retired", at_the_end_of_a_version, approve, retire, "both second"),
    Pair("last signature, system suspended", half_signed, sign, halt_system, "both"),
    # The time to test.
    Pair("test extended, record handed in", on_trial, extend, record, "both second"),
    Pair("test extended twice", on_trial, extend, extend, "first second"),
    Pair("test extended, suspension", on_trial, extend, suspend, "both second"),
    # The clock.
    Pair("planned suspension begins, suspension at once", about_to_pause, begin, suspend, "both first"),
    Pair("planned suspension begins, called off", about_to_pause, begin, call_off, "both first second"),
    Pair("planned suspension ends, resumed by hand", about_to_go_on, finish, resume, "both first"),
    Pair("planned suspension ends, termination", about_to_go_on, finish, terminate, "both first second"),
    Pair("expiry, termination", at_its_last_moment, expire, terminate, "first second"),
    Pair("lapse, submission", nearly_lapsed, lapse, submit, "first second"),
    Pair("lapse, withdrawal", nearly_lapsed, lapse, withdraw, "first second"),
    # Reorganization.
    Pair("merge, consumer suspended", running, merge, stop_consumer, "both first"),
    Pair("merge, termination", running, merge, terminate, "first second"),
    Pair("merge, the reverse merge", running, merge, merge_back, "first second"),
    Pair("merge, version published", publishing, merge, publish, "both"),
    Pair("merge, one access ended", running, merge, end_one, "both"),
    # Versions of the service.
    Pair("version retired, confirmation", at_the_end_of_a_version_tested, retire, confirm, "both first"),
    Pair("version published twice", publishing, publish, publish, "first second"),
    Pair("version published, one access suspended", publishing, publish, halt_one, "both"),
    # One access, one account.
    Pair("one access ended, resumed", halted, end_one, open_one, "both first"),
    Pair("one access ended, its consumer's suspension lifted", stopped, end_one, lift, "both"),
    Pair("one access ended, confirmation", changed, end_one, confirm, "both second"),
    Pair("rotated twice", running, rotate, rotate, "first second"),
    Pair("rotated, revoked", running, rotate, revoke, "both second"),
    Pair("collected twice", rotated, claim, claim, "first second"),
    Pair("collected, revoked", rotated, claim, revoke_successor, "both second"),
)


@of_pairs(PAIRS)
def test_cc_01_two_verbs_at_once(pair, rounds):
    race(pair, rounds)
