"""Requests that rest on an agreement that is over lie on nobody's desk: the clock withdraws them, once, and everybody is told."""

from __future__ import annotations

import datetime

import pytest
import time_machine
from django.utils import timezone

from apps.agreements.actions import drop_amendment, start_change, start_join, start_renewal, terminate_agreement
from apps.agreements.clock import run_clock
from apps.audit.models import AuditEvent
from apps.connections.actions import forward_request, return_request, sign_request, submit_request, withdraw_request
from apps.connections.models import ConnectionRequest
from apps.core.errors import FactMissing, TransitionNotAllowed
from apps.notices.models import Notice
from apps.portal.inbox import tasks
from tests.factories.agreements import accepted
from tests.factories.connections import world
from tests.factories.organizations import ReadyOrganizationFactory, officer

pytestmark = pytest.mark.django_db


@pytest.fixture
def w():
    return world()


def end(agreement, w):
    return terminate_agreement(agreement, by=w.operator, ground="authority", reason="Yêu cầu")


def draft(request, w):
    return request


def checking(request, w):
    sign_request(request, by=w.consumer_signer)
    return submit_request(request, by=w.consumer_officer)


def returned(request, w):
    return return_request(checking(request, w), by=w.operator, remarks=[("note", "Thiếu")])


def awaiting(request, w):
    return forward_request(checking(request, w), by=w.operator)


@pytest.mark.parametrize("state", [draft, checking, returned, awaiting])
@pytest.mark.parametrize("start", [start_change, start_renewal])
def test_an_open_request_falls_with_its_agreement_whatever_its_state(w, start, state):
    agreement = accepted(w, wanted_to=timezone.localdate() + datetime.timedelta(days=90))
    request = state(start(agreement, by=w.consumer_officer), w)
    assert run_clock()["fallen"] == 0
    end(agreement, w)
    assert run_clock()["fallen"] == 1
    assert run_clock()["fallen"] == 0
    request.refresh_from_db()
    assert (request.status, request.paused_at, request.lapses_at) == ("withdrawn", None, None)
    (event,) = AuditEvent.objects.about(request).filter(event="request.fallen")
    assert event.facts["agreement"] == agreement.number
    told = Notice.objects.filter(kind="request.fallen", key__contains=str(request.uuid))
    assert told.filter(recipient=w.consumer_officer).count() == 1
    assert told.filter(recipient=w.provider_officer).count() == (state is awaiting)
    assert told.filter(recipient=w.operator).count() == (state is checking)
    assert not told.filter(recipient=w.stranger).exists()
    for person in (w.consumer_officer, w.provider_officer, w.operator):
        assert not [task for task in tasks(person) if str(request.uuid) in task.url]


def test_it_falls_also_when_the_term_ran_out(w):
    agreement = accepted(w, wanted_to=timezone.localdate() + datetime.timedelta(days=90))
    request = awaiting(start_renewal(agreement, by=w.consumer_officer), w)
    with time_machine.travel(agreement.valid_to + datetime.timedelta(seconds=1), tick=False):
        counted = run_clock()
    assert (counted["expired"], counted["fallen"]) == (1, 1)
    request.refresh_from_db()
    assert request.status == "withdrawn"


def test_who_would_join_is_told_too(w):
    agreement = accepted(w)
    joiner = ReadyOrganizationFactory()
    person = officer("consumer_officer", joiner)
    request = start_join(agreement, by=person, consumer=joiner)
    end(agreement, w)
    run_clock()
    request.refresh_from_db()
    assert request.status == "withdrawn"
    assert Notice.objects.filter(kind="request.fallen", recipient=person).count() == 1


def test_nothing_falls_while_its_agreement_runs_or_after_it_was_decided(w):
    agreement = accepted(w)
    request = start_change(agreement, by=w.consumer_officer)
    with pytest.raises(FactMissing):
        drop_amendment(request, by=w.operator)
    withdraw_request(request, by=w.consumer_officer)
    end(agreement, w)
    with pytest.raises(TransitionNotAllowed):
        drop_amendment(request, by=w.operator)
    first = ConnectionRequest.objects.get(basis__agreement=agreement, kind="new")
    with pytest.raises(TransitionNotAllowed):
        drop_amendment(first, by=w.operator)
    assert not AuditEvent.objects.filter(event="request.fallen").exists()
