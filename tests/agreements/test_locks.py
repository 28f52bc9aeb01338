"""Every verb takes its turns on rows in the order of `apps.agreements.locks`, and on none that is new to it after the epoch.

Two verbs that keep one order can only wait for each other in a line. What a statement locks is read from it as it is sent, so
this holds of every branch a test or a walk comes to, and not only of the instant at which a race happened to be run.
"""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.agreements.actions import (
    announce_end_of_version,
    approve_request,
    claim_credential,
    confirm_acceptance,
    end_grant,
    leave_agreement,
    lift_consumer_suspension,
    postpone_end_of_version,
    publish_service_version,
    reissue_credential,
    resume_agreement,
    resume_grant,
    revoke_credential,
    rotate_credential,
    sign_agreement,
    start_change,
    start_join,
    suspend_agreement,
    suspend_consumer,
    suspend_grant,
    suspend_service,
    terminate_agreement,
)
from apps.agreements.models import Agreement
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request
from apps.core.epoch import raise_epoch
from apps.disputes.maintenance import announce_maintenance
from apps.disputes.reorganization import merge_organizations
from apps.organizations.actions.agencies import suspend_organization
from apps.organizations.actions.systems import retire_system, suspend_system
from apps.organizations.choices import Role
from apps.registry.actions import retire_service
from tests.agreements.locking import LockOrder, OutOfOrder
from tests.agreements.test_amendment import joiner
from tests.agreements.test_publishing import successor
from tests.agreements.test_races import WHY, changing
from tests.factories.agreements import awaiting_signatures, collected, recorded
from tests.factories.connections import World, forwarded
from tests.factories.organizations import FocalPointFactory, InformationSystemFactory, ReadyOrganizationFactory, officer

LAW = "Nghị quyết 202/2025/QH15"


def verbs(w: World, special: World):
    """(name, the verb ready to be taken): each is prepared when its turn has come."""
    request = forwarded(w)
    yield "approve", lambda: approve_request(request, by=w.provider_officer)
    agreement = Agreement.objects.get(bases__request=request)
    record = recorded(w, agreement)
    yield "confirm", lambda: confirm_acceptance(record, by=w.provider_officer)
    change = changing(w, agreement)
    yield "approve a change", lambda: approve_request(change, by=w.provider_officer)
    agreement.refresh_from_db()
    again = recorded(w, agreement)
    yield "confirm a change", lambda: confirm_acceptance(again, by=w.provider_officer)
    grant = agreement.grants.filter(status="active", environment="production").get()
    yield "suspend one access", lambda: suspend_grant(grant, by=w.operator, reason="x")
    yield "resume one access", lambda: resume_grant(grant, by=w.operator)
    consumer = agreement.parties.get(side="consumer")
    held = []
    yield "suspend a consumer", lambda: held.append(suspend_consumer(consumer, by=w.operator, **WHY))
    yield "lift it", lambda: lift_consumer_suspension(held[0], by=w.operator)
    organization, asker, signer = joiner()
    joining = start_join(agreement, organization, by=asker)
    save_draft(joining, by=asker, systems=[InformationSystemFactory(organization=organization)], technician="Lê Văn Nối")
    sign_request(joining, by=signer)
    submit_request(joining, by=asker)
    forward_request(joining, by=w.operator)
    yield "approve a joiner", lambda: approve_request(joining, by=w.provider_officer)
    account, _secret = collected(w)
    successors = []
    yield "rotate", lambda: successors.append(rotate_credential(account, by=w.consumer_officer))
    yield "collect the successor", lambda: claim_credential(successors[0], by=w.consumer_officer)
    account.refresh_from_db()
    yield "revoke", lambda: revoke_credential(account, by=w.consumer_officer, reason="x")
    yield "revoke the successor", lambda: revoke_credential(successors[0], by=w.consumer_officer, reason="x")
    yield "issue anew", lambda: reissue_credential(w.system, "production", by=w.operator)
    FocalPointFactory(organization=w.provider)
    draft = successor(w)
    yield "publish", lambda: publish_service_version(draft, by=w.provider_officer)
    days = [timezone.localdate() + datetime.timedelta(days=count) for count in (30, 60)]
    yield "announce the end of a version", lambda: announce_end_of_version(draft, by=w.provider_officer, until=days[0])
    yield "announce a later one", lambda: postpone_end_of_version(draft, by=w.provider_officer, until=days[1])
    soon = timezone.now() + datetime.timedelta(days=20)
    period = {"starts_at": soon, "ends_at": soon + datetime.timedelta(hours=2), "reason": "x"}
    yield "announce maintenance", lambda: announce_maintenance(w.service, by=w.provider_officer, **period)
    facts = {"kind": "force_majeure", "violation": "x", "plan": "y"}
    agreement.refresh_from_db()
    yield "suspend", lambda: suspend_agreement(agreement, by=w.operator, **facts)
    yield "resume", lambda: resume_agreement(agreement, by=w.operator)
    yield "leave", lambda: leave_agreement(agreement, by=asker, reason="x")
    yield (
        "merge the consumer",
        lambda: merge_organizations(w.consumer, ReadyOrganizationFactory(), by=w.operator, instrument=LAW),
    )
    heir = ReadyOrganizationFactory()
    yield "merge the provider", lambda: merge_organizations(w.provider, heir, by=w.operator, instrument=LAW)
    grant = agreement.grants.filter(status="active").first()
    yield "end one access", lambda: end_grant(grant, by=w.operator, reason="x")
    agreement.refresh_from_db()
    yield "terminate", lambda: terminate_agreement(agreement, by=w.operator, ground="authority", reason="x")
    w.system.refresh_from_db()
    yield "suspend a system", lambda: suspend_system(w.system, by=w.operator, reason="x")
    yield "retire a system", lambda: retire_system(w.system, by=w.operator, reason="x")
    w.service.refresh_from_db()
    yield "suspend a service", lambda: suspend_service(w.service, by=w.operator, reason="x")
    w.service.refresh_from_db()
    yield "retire a service", lambda: retire_service(w.service, by=officer(Role.PROVIDER_OFFICER, heir), reason="x")
    signed = awaiting_signatures(special)
    shown = signed.current_version.content_hash
    for name, signer in (("sign", special.consumer_signer), ("sign last", special.provider_signer)):
        yield name, lambda signer=signer: sign_agreement(signed, by=signer, content_hash=shown)
    amended = start_change(signed, by=special.consumer_officer)
    save_draft(amended, by=special.consumer_officer, calls_per_day=900)
    submit_request(amended, by=special.consumer_officer)
    forward_request(amended, by=special.operator)
    yield "approve a change to be signed", lambda: approve_request(amended, by=special.provider_officer)
    draft = signed.versions.order_by("-number").first()
    for name, signer in (("sign a change", special.consumer_signer), ("sign it last", special.provider_signer)):
        yield name, lambda signer=signer: sign_agreement(signed, by=signer, content_hash=draft.content_hash)
    yield "suspend an agency", lambda: suspend_organization(special.consumer, by=special.operator, reason="x")


def test_every_verb_locks_in_one_order_and_nothing_new_after_the_epoch(w, special):
    taken = 0
    for name, act in verbs(w, special):
        with LockOrder(name):
            act()
        taken += 1
    assert taken == 35


def test_the_order_is_seen_to_be_broken(w):
    with (
        pytest.raises(OutOfOrder, match="organizations_informationsystem after core_policyepoch"),
        LockOrder("the wrong way round"),
    ):
        raise_epoch("informationsystem", w.system.uuid)
        suspend_system(w.system, by=w.operator, reason="x")
