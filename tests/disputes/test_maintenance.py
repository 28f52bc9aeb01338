"""Maintenance of a service: announced in time to all who call it, obeyed by the gateway to the second, put away by the clock."""

from __future__ import annotations

import datetime

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from apps.audit.models import AuditEvent
from apps.core.epoch import current_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.disputes.maintenance import announce_maintenance, cancel_maintenance, close_maintenance
from apps.disputes.models import Maintenance
from apps.disputes.tasks import clock
from apps.notices.models import Notice
from tests.factories.agreements import agreement_in_force
from tests.factories.connections import world

MONDAY = datetime.datetime.fromisoformat("2026-06-01T09:00:00+07:00")
FACTS = {
    "starts_at": MONDAY + datetime.timedelta(days=14),
    "ends_at": MONDAY + datetime.timedelta(days=14, hours=4),
    "reason": "Nâng cấp máy chủ",
}


@pytest.fixture
def w(db):
    with time_machine.travel(MONDAY, tick=False):
        made = world()
        made.agreement = agreement_in_force(made)
        yield made


def announced(w, **changes) -> Maintenance:
    return announce_maintenance(w.service, by=w.provider_officer, **{**FACTS, **changes})


def test_all_who_may_call_are_told_once_and_it_is_on_record(w):
    before = current_epoch()
    row = announced(w)
    assert current_epoch() > before, "the gateways hear of it"
    for person in (w.consumer_officer, w.provider_officer, w.operator):
        assert Notice.objects.filter(kind="maintenance.announced", recipient=person).count() == 1
    assert not Notice.objects.filter(kind="maintenance.announced", recipient=w.stranger).exists()
    event = AuditEvent.objects.about(w.service).get(event="maintenance.announced")
    assert (event.actor, event.organizations) == (w.provider_officer, [w.provider.uuid])
    assert Maintenance.objects.open().get() == row


def test_the_operator_may_announce_and_nobody_else(w):
    for person in (w.consumer_officer, w.stranger, w.consumer_signer, w.provider_signer):
        with pytest.raises(NotPermitted):
            announce_maintenance(w.service, by=person, **FACTS)
        row = Maintenance.objects.first() or announced(w)
        with pytest.raises(NotPermitted):
            cancel_maintenance(row, by=person)
    cancel_maintenance(Maintenance.objects.get(), by=w.operator)
    assert announce_maintenance(w.service, by=w.operator, **FACTS).announced_by == w.operator


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"reason": " "}, FactMissing, ""),
        ({"starts_at": MONDAY + datetime.timedelta(days=3)}, InvalidFact, "notice_too_short"),
        ({"starts_at": MONDAY - datetime.timedelta(days=3)}, InvalidFact, "notice_too_short"),
        ({"ends_at": FACTS["starts_at"]}, InvalidFact, "period"),
    ],
)
def test_what_cannot_be_announced(w, changes, error, code):
    with pytest.raises(error) as raised:
        announced(w, **changes)
    assert not code or raised.value.code == code
    assert not Maintenance.objects.exists()
    assert not Notice.objects.filter(kind="maintenance.announced").exists()


def test_only_an_active_service_and_one_at_a_time(w):
    announced(w)
    with pytest.raises(Conflict):
        announced(w)
    cancel_maintenance(Maintenance.objects.get(), by=w.provider_officer)
    type(w.service).objects.filter(pk=w.service.pk).update(status="suspended")
    with pytest.raises(FactMissing):
        announced(w)


def test_it_is_called_off_once_also_while_it_runs(w):
    row = announced(w)
    with time_machine.travel(FACTS["starts_at"] + datetime.timedelta(hours=1), tick=False):
        cancel_maintenance(row, by=w.provider_officer)
        with pytest.raises(Conflict):
            cancel_maintenance(row, by=w.provider_officer)
    assert Notice.objects.filter(kind="maintenance.cancelled", recipient=w.consumer_officer).count() == 1
    assert AuditEvent.objects.about(w.service).filter(event="maintenance.cancelled").count() == 1


def test_the_clock_puts_away_what_is_over_and_not_before(w):
    row = announced(w)
    with time_machine.travel(FACTS["ends_at"] - datetime.timedelta(seconds=1), tick=False):
        assert clock()["closed"] == 0
    with time_machine.travel(FACTS["ends_at"], tick=False):
        assert clock()["closed"] == 1
        assert clock()["closed"] == close_maintenance(row, by=w.operator) == 0
        assert announced(
            w,
            starts_at=FACTS["starts_at"] + datetime.timedelta(days=30),
            ends_at=FACTS["ends_at"] + datetime.timedelta(days=30),
        )
    row.refresh_from_db()
    assert row.ended_at
    assert AuditEvent.objects.filter(event="maintenance.ended").count() == 1


def test_an_error_on_the_way_announces_nothing(w, monkeypatch):
    monkeypatch.setattr("apps.disputes.maintenance.tell_of_service", lambda *args, **facts: 1 / 0)
    before = current_epoch()
    with pytest.raises(ZeroDivisionError):
        announced(w)
    assert not Maintenance.objects.exists()
    assert current_epoch() == before


def test_the_api_announces_lists_and_calls_off(w):
    client = APIClient()
    client.force_authenticate(w.provider_officer)
    given = {**FACTS, "service": w.service.code}
    made = client.post("/api/v1/maintenance", given, format="json")
    assert made.status_code == 201, made.content
    reader = APIClient()
    reader.force_authenticate(w.stranger)
    (row,) = reader.get("/api/v1/maintenance", {"ended_at__isnull": True}).json()["results"]
    assert (row["service"], row["reason"]) == (w.service.code, FACTS["reason"])
    assert reader.post(f"/api/v1/maintenance/{row['uuid']}/cancel").status_code == 403
    assert client.post(f"/api/v1/maintenance/{row['uuid']}/cancel").json()["cancelled_at"]
    assert client.post("/api/v1/maintenance", {**given, "service": "khong-co"}, format="json").status_code == 404


def test_the_pages_show_the_banner_and_take_the_steps(w, client):
    service, agreement = reverse("portal:service", args=[w.service.code]), reverse("portal:agreement", args=[w.agreement.uuid])
    client.force_login(w.provider_officer)
    form = {
        f"maintenance-{name}": value
        for name, value in (("starts_at", "15/06/2026 08:00"), ("ends_at", "15/06/2026 12:00"), ("reason", "Nâng cấp"))
    }
    announce = reverse("portal:maintenance-announce", args=[w.service.code])
    assert announce in client.get(service).content.decode()
    assert client.post(announce, form).status_code == 302
    row = Maintenance.objects.get()
    cancel = reverse("portal:maintenance-cancel", args=[row.uuid])
    client.force_login(w.consumer_officer)
    for page in (service, agreement):
        text = client.get(page).content.decode()
        assert "12:00 15/06/2026" in text
        assert cancel not in text
    client.post(cancel)
    assert Maintenance.objects.open().exists(), "a consumer called it off"
    client.force_login(w.provider_officer)
    assert cancel in client.get(service).content.decode()
    assert client.post(cancel).status_code == 302
    assert "Nâng cấp" not in client.get(agreement).content.decode()
    assert timezone.now() == MONDAY
