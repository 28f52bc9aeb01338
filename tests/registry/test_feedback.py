"""WF-04: a provider receives and answers what others ask about its published services."""

from __future__ import annotations

import datetime

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.errors import FactMissing, InvalidFact, NotPermitted, TransitionNotAllowed
from apps.notices.models import Notice
from apps.registry import clock
from apps.registry.actions import answer_feedback, give_feedback
from apps.registry.models import Feedback
from tests.factories import connections
from tests.factories.accounts import UserFactory
from tests.factories.organizations import OrganizationFactory


@pytest.fixture
def w(db):
    return connections.world()


def asked(w) -> Feedback:
    return give_feedback(w.service, by=w.consumer_officer, text="  Có trường mã số thuế không?  ")


def test_a_question_has_a_term_from_the_law_and_reaches_the_provider(w):
    row = asked(w)
    assert (row.text, row.organization) == ("Có trường mã số thuế không?", w.consumer)
    assert row.due_at > timezone.now()
    assert row.deadline_rule.code == "service.feedback"
    assert Notice.objects.filter(kind="feedback.given", recipient=w.provider_officer).count() == 1
    assert AuditEvent.objects.get(event="feedback.given").actor == w.consumer_officer


def test_the_provider_answers_once_and_the_asker_is_told(w):
    row = asked(w)
    for person in (w.stranger, w.consumer_officer, w.provider_signer, w.operator):
        with pytest.raises(NotPermitted):
            answer_feedback(row, by=person, answer="Không")
    answer_feedback(row, by=w.provider_officer, answer="Có, từ bản 1.1.")
    assert (row.status, row.answered_by) == ("answered", w.provider_officer)
    assert Notice.objects.filter(kind="feedback.answered", recipient=w.consumer_officer).count() == 1
    with pytest.raises(TransitionNotAllowed):
        answer_feedback(row, by=w.provider_officer, answer="Lần nữa")


def test_what_cannot_be_asked(w):
    for text, error in (("  ", FactMissing), ("x" * 5_001, InvalidFact)):
        with pytest.raises(error):
            give_feedback(w.service, by=w.consumer_officer, text=text)
    with pytest.raises(InvalidFact):
        give_feedback(w.service, by=w.consumer_officer, text="Hỏi", organization=OrganizationFactory())
    with pytest.raises(NotPermitted):
        give_feedback(w.service, by=UserFactory(), text="Hỏi")
    assert not Feedback.objects.exists()


def test_a_late_answer_is_told_once(w):
    row = asked(w)
    later = row.due_at + datetime.timedelta(hours=1)
    clock.remind(later)
    clock.remind(later)
    assert Notice.objects.filter(kind="feedback.late", recipient=w.provider_officer).count() == 1
    assert Notice.objects.filter(kind="feedback.late", recipient=w.operator).count() == 1


def test_on_the_page_by_the_asker_and_the_provider(w):
    page = reverse("portal:service", args=[w.service.code])
    client = Client()
    client.force_login(w.stranger)
    assert client.post(reverse("portal:service-ask", args=[w.service.code]), {"text": "<b>Hỏi</b>"}).status_code == 302
    row = Feedback.objects.get()
    shown = client.get(page).content.decode()
    assert "&lt;b&gt;Hỏi&lt;/b&gt;" in shown
    assert reverse("portal:feedback-answer", args=[row.uuid]) not in shown
    client.force_login(w.provider_officer)
    assert reverse("portal:feedback-answer", args=[row.uuid]) in client.get(page).content.decode()
    client.post(reverse("portal:feedback-answer", args=[row.uuid]), {"answer": "Đáp", "version": row.version})
    client.force_login(w.consumer_officer)
    assert "Đáp" in client.get(page).content.decode()


def test_by_api(w):
    client = Client()
    client.force_login(w.stranger)
    made = client.post("/api/v1/feedback", {"service": w.service.code, "text": "Hỏi"}, content_type="application/json")
    assert made.status_code == 201, made.content
    assert client.get(f"/api/v1/feedback?service={w.service.code}").json()["count"] == 1
    address = f"/api/v1/feedback/{made.json()['uuid']}/answer"
    assert client.post(address, {"answer": "x"}, content_type="application/json").status_code == 403
    client.force_login(w.provider_officer)
    assert client.post(address, {"answer": "Đáp"}, content_type="application/json").json()["status"] == "answered"
