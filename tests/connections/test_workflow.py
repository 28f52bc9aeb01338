"""The request's table: every step from every state that does not allow it is refused, and nothing moves."""

import pytest
from django.db import transaction

from apps.connections.choices import RequestStatus
from apps.connections.workflow import DECISION, REQUEST
from apps.core.errors import TransitionNotAllowed
from apps.core.workflow import may
from tests.factories.connections import complete_draft, world

ACTORS = {
    "submit": "consumer_officer", "forward": "operator", "approve": "provider_officer", "return": "operator",
    "refuse": "provider_officer", "withdraw": "consumer_officer", "lapse": "operator", "fall": "operator",
}  # fmt: skip


@pytest.mark.parametrize(("verb", "status"), REQUEST.disallowed(RequestStatus.values))
def test_a_step_from_a_state_that_does_not_allow_it_is_refused(db, verb, status):
    w = world()
    request = complete_draft(w)
    ground = {"refusal_reason": "x", "refusal_citation": "x"} if status == RequestStatus.REFUSED else {}
    if ground:
        from apps.legal.models import RefusalGround

        ground["refusal_ground"] = RefusalGround.objects.first()
    type(request).objects.filter(pk=request.pk).update(status=status, **ground)
    request.refresh_from_db()
    request.decisions.create(provider=w.provider, requested_by=w.consumer_officer)
    with pytest.raises(TransitionNotAllowed), transaction.atomic():
        REQUEST.move(request, verb, by=getattr(w, ACTORS[verb]))
    request.refresh_from_db()
    assert request.status == status


def test_every_status_can_be_reached_or_is_the_first():
    targets = {step.target for step in REQUEST.steps}
    assert set(RequestStatus.values) == targets | {RequestStatus.DRAFT}


def test_a_final_state_has_no_way_out():
    sources = {source for step in REQUEST.steps for source in step.sources}
    assert sources.isdisjoint({RequestStatus.APPROVED, RequestStatus.REFUSED, RequestStatus.WITHDRAWN})


def test_every_permission_of_the_tables_is_a_rule():
    from rules import perm_exists

    for workflow in (REQUEST, DECISION):
        assert all(perm_exists(step.permission) for step in workflow.steps if step.permission)


def test_a_superuser_without_a_role_may_take_no_step(w):
    request = complete_draft(w)
    w.stranger.is_superuser = True
    assert REQUEST.available(request, w.stranger) == []
    assert not may(w.stranger, "connections.submit_request", request)
