"""Suspending by hand: of several consumers the one that was chosen is stopped, and what a page says of opening again is so."""

from __future__ import annotations

import datetime
from importlib import import_module

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from apps.agreements.actions import (
    complete_duty,
    leave_agreement,
    merge_organizations,
    suspend_agreement,
    suspend_consumer,
    suspend_grant,
    terminate_agreement,
)
from apps.agreements.actions.life import expire_agreement
from apps.agreements.models import Agreement, ConsumerSuspension
from apps.audit.models import AuditEvent
from apps.notices.models import Notice
from tests.agreements.test_joining import asked
from tests.agreements.test_leaving import CERTIFICATE, Joiner, joined
from tests.factories.agreements import accepted, special_world


def address(agreement) -> str:
    return reverse("portal:agreement", args=[agreement.uuid])


def stop(client, agreement, organization, **changes):
    body = {
        "one-party": organization.uuid, "one-violation": "Chuyển tiếp dữ liệu", "one-plan": "Xác minh",
        "one-restore_conditions": "Báo cáo", "one-determined_at": "01/01/2026 08:00", "back": address(agreement), **changes,
    }  # fmt: skip
    return client.post(reverse("portal:consumer-suspend", args=[agreement.uuid]), body, follow=True)


@pytest.mark.parametrize("chosen", [0, 1])
def test_wf_42_of_several_consumers_the_one_chosen_is_stopped(world, as_person, chosen):
    agreement = accepted(world)
    joined(world, agreement)
    parties = list(agreement.parties.filter(side="consumer").order_by("-side", "id"))
    answer = stop(as_person(world.provider_officer), agreement, parties[chosen].organization)
    assert answer.status_code == 200
    assert ConsumerSuspension.objects.get().party == parties[chosen]
    still = agreement.grants.filter(status="active").values_list("system__organization", flat=True)
    assert set(still) == {parties[1 - chosen].organization_id}


def test_who_is_still_joining_is_no_consumer_to_be_stopped(db, as_person):
    w = special_world()
    agreement, one = asked(w)
    answer = stop(as_person(w.operator), agreement, one.organization)
    assert [message.level_tag for message in answer.context["messages"]] == ["error"]
    assert not ConsumerSuspension.objects.filter(party__organization=one.organization).exists()


# --- opening again: what is said is so ------------------------------------------------------------

WHY = {"kind": "violation", "violation": "Dùng sai mục đích", "plan": "Xác minh", "restore_conditions": "Báo cáo"}
ONE = {"violation": "Chuyển tiếp", "plan": "Xác minh", "restore_conditions": "Báo cáo"}


def said(client, door: str, row, *args, **body) -> str:
    here = address(row if isinstance(row, Agreement) else row.agreement)
    answer = client.post(
        reverse(door, args=[row.uuid, *args]), {"back": here, "version": getattr(row, "version", ""), **body}, follow=True
    )
    return " ".join(str(message) for message in answer.context["messages"])


def told(kind: str, person) -> bool:
    return Notice.objects.filter(kind=kind, recipient=person).exists()


def test_an_agreement_is_said_to_be_in_force_again_when_nothing_suspends_it(world, as_person):
    agreement = accepted(world)
    suspend_agreement(agreement, by=world.provider_officer, **WHY)
    suspend_agreement(agreement, by=world.operator, **WHY)
    first = said(as_person(world.provider_officer), "portal:agreement-step", agreement, "resume")
    agreement.refresh_from_db()
    assert agreement.status == "suspended"
    assert "có hiệu lực trở lại" not in first
    assert "vẫn tạm ngừng" in first
    assert "có hiệu lực trở lại" in said(as_person(world.operator), "portal:agreement-step", agreement, "resume")


def test_an_access_is_said_to_be_open_again_when_nothing_suspends_it(world, as_person):
    grant = accepted(world).grants.get(environment="production")
    suspend_grant(grant, by=world.provider_officer, reason="x")
    suspend_grant(grant, by=world.operator, reason="y")
    first = said(as_person(world.provider_officer), "portal:grant-step", grant, "resume")
    grant.refresh_from_db()
    assert grant.status == "suspended"
    assert "Đã mở lại" not in first
    assert "vẫn tạm ngừng" in first
    assert "Đã mở lại" in said(as_person(world.operator), "portal:grant-step", grant, "resume")
    assert told("grant.resumed", world.consumer_officer)


def test_an_access_under_a_suspended_agreement_is_not_said_to_be_open_again(world, as_person):
    agreement = accepted(world)
    grant = agreement.grants.get(environment="production")
    suspend_grant(grant, by=world.provider_officer, reason="x")
    suspend_agreement(agreement, by=world.provider_officer, **WHY)
    page = as_person(world.provider_officer).get(address(agreement)).content.decode()
    assert "Chỉ gỡ tạm ngừng của quyền khai thác này" in page
    first = said(as_person(world.provider_officer), "portal:grant-step", grant, "resume")
    grant.refresh_from_db()
    assert grant.status == "active"
    assert "Đã mở lại" not in first
    assert "khi thỏa thuận có hiệu lực trở lại" in first
    notice = Notice.objects.get(kind="grant.resumed", recipient=world.consumer_officer)
    assert "is open again" not in notice.facts["message"]


@pytest.mark.parametrize("closed", ["by the operator too", "alone", "with the agreement", ""])
def test_a_consumer_is_said_to_be_let_in_again_when_nothing_of_its_access_stays_closed(world, as_person, closed):
    agreement = accepted(world)
    party = agreement.parties.get(side="consumer")
    row = suspend_consumer(party, by=world.provider_officer, **ONE)
    if closed == "by the operator too":
        # What opens while the first one stands is held by it; the operator finds the rest and holds that.
        agreement.grants.filter(environment="production").update(status="active", held_by=None)
        suspend_consumer(party, by=world.operator, **ONE)
    if closed == "alone":
        suspend_grant(agreement.grants.get(environment="production"), by=world.operator, reason="y")
    if closed == "with the agreement":
        suspend_agreement(agreement, by=world.operator, **WHY)
    first = said(as_person(world.provider_officer), "portal:consumer-lift", row)
    row.refresh_from_db()
    assert row.lifted_at is not None
    assert ("Đã mở lại" in first) is (not closed)
    assert ("vẫn tạm ngừng" in first) is bool(closed)
    assert told("agreement.consumer_resumed", world.consumer_officer) is (not closed)
    assert told("agreement.consumer_suspension_lifted", world.consumer_officer) is bool(closed)
    last = AuditEvent.objects.about(agreement).order_by("-id").first()
    assert last.event == ("consumer.suspension_lifted" if closed else "consumer.resumed")


# --- nothing is left suspended of what has ended ---------------------------------------------------


@pytest.mark.parametrize("end", ["leaves", "terminated", "expired"])
def test_who_has_left_and_what_has_ended_is_suspended_no_more(world, as_person, end):
    agreement = accepted(world)
    other = joined(world, agreement)
    row = suspend_consumer(agreement.parties.get(organization=world.consumer), by=world.provider_officer, **ONE)
    by = world.consumer_officer if end == "leaves" else world.operator
    if end == "leaves":
        leave_agreement(agreement, by=by, reason="Ngừng dùng")
    elif end == "terminated":
        terminate_agreement(agreement, by=by, ground="authority", reason="Cơ quan có thẩm quyền yêu cầu")
    else:
        now = timezone.now()
        days = datetime.timedelta(days=2)
        Agreement.objects.filter(pk=agreement.pk).update(valid_from=now - 2 * days, valid_to=now - days)
        agreement.refresh_from_db()
        expire_agreement(agreement, by=by)
    row.refresh_from_db()
    assert (row.lifted_by, row.lifted_at is not None) == (by, True)
    for person in (world.provider_officer, world.operator):
        page = as_person(person).get(address(agreement)).content.decode()
        assert reverse("portal:consumer-lift", args=[row.uuid]) not in page
    said(as_person(world.operator), "portal:consumer-lift", row)
    assert not told("agreement.consumer_resumed", other.officer)
    assert not told("agreement.consumer_suspension_lifted", other.officer)


@pytest.mark.parametrize("end", ["leaves", "terminated"])
def test_what_was_left_suspended_before_is_put_away_in_the_name_of_who_left_or_ended_it(world, end):
    agreement = accepted(world)
    other = joined(world, agreement)
    party = agreement.parties.get(organization=world.consumer)
    row = suspend_consumer(party, by=world.provider_officer, **ONE)
    still = suspend_consumer(agreement.parties.get(organization=other.organization), by=world.operator, **ONE)
    if end == "leaves":
        leave_agreement(agreement, by=world.consumer_officer, reason="Ngừng dùng")
    else:
        terminate_agreement(agreement, by=world.operator, ground="authority", reason="Theo yêu cầu")
    ConsumerSuspension.objects.filter(pk__in=[row.pk, still.pk]).update(lifted_at=None, lifted_by=None)
    with connection.cursor() as cursor:
        cursor.execute(import_module("apps.agreements.migrations.0022_suspensions_over").OVER)
    row.refresh_from_db()
    party.refresh_from_db()
    assert row.lifted_by == (world.consumer_officer if end == "leaves" else world.operator)
    assert row.lifted_at == (party.left_at or agreement.ended_at)
    assert ConsumerSuspension.objects.open().filter(pk=still.pk).exists() is (end == "leaves")


def test_what_held_one_that_left_does_not_stop_who_succeeds_it(world):
    agreement = accepted(world)
    other = joined(world, agreement)
    third = Joiner(world, agreement)
    agreement.refresh_from_db()
    suspend_consumer(agreement.parties.get(organization=world.consumer), by=world.provider_officer, **ONE)
    leave_agreement(agreement, by=world.consumer_officer, reason="Ngừng dùng")
    for duty in agreement.duties.all():
        complete_duty(duty, by=world.consumer_officer, note="Đã xong", file=CERTIFICATE)
    merge_organizations(third.organization, world.consumer, by=world.operator, instrument="Nghị quyết 202/2025/QH15")
    states = agreement.grants.exclude(status="ended").values_list("system__organization", "status")
    assert set(states) == {(world.consumer.pk, "active"), (other.organization.pk, "active")}
