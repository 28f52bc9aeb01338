"""What people say is said once, however often it is sent: answers, comments, questions about a service (CC-05)."""

import re
import uuid

import pytest
from django.test import Client

from apps.audit.models import AuditEvent
from apps.connections.actions import comment_request
from apps.connections.models import Comment
from apps.core.errors import Conflict
from apps.disputes.actions import answer_dispute, escalate_dispute, raise_dispute
from apps.disputes.choices import DisputeCategory
from apps.disputes.models import Answer
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.registry.actions import give_feedback
from apps.registry.models import Feedback
from tests.factories.agreements import agreement_in_force
from tests.factories.connections import forwarded, world
from tests.factories.organizations import officer
from tests.fixtures.races import at_once


def _dispute(w):
    facts = {"category": DisputeCategory.DATA, "title": "Sai tên", "description": "Sai dấu."}
    return raise_dispute(agreement_in_force(w), by=w.consumer_officer, **facts)


def _answer(w):
    row = _dispute(w)
    return w.provider_officer, f"/api/v1/disputes/{row.uuid}/answer", f"/portal/disputes/{row.uuid}/", "do/answer/", {}


def _comment(w):
    row = forwarded(w)
    return w.provider_officer, f"/api/v1/requests/{row.uuid}/comments", f"/portal/requests/{row.uuid}/", "comment/", {}


def _feedback(w):
    here = f"/portal/services/{w.service.code}/"
    return w.consumer_officer, "/api/v1/feedback", here, "ask/", {"service": w.service.code}


SAID = {
    "answer": (_answer, Answer, "dispute.answered"),
    "comment": (_comment, Comment, "request.commented"),
    "feedback": (_feedback, Feedback, "feedback.given"),
}
"""What is said → who says it and where, the row it makes, the notice."""


def told(kind: str) -> list:
    return sorted(Notice.objects.filter(kind=kind).values_list("recipient", flat=True))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("racers")
@pytest.mark.parametrize("through", ["api", "portal"])
@pytest.mark.parametrize("name", SAID)
def test_cc_05_eight_posts_at_once_say_it_once(name, through):
    where, model, kind = SAID[name]
    w, key = world(), uuid.uuid4()
    person, api, page, step, more = where(w)
    browsers = [Client() for _turn in range(8)]
    for browser in browsers:
        browser.force_login(person)
        browser.get(page)
    body = {"text": "Sẽ đối chiếu lại.", **more}
    if through == "api":
        sent = {"content_type": "application/json", "headers": {"Idempotency-Key": str(key)}}
        answers = at_once(*[lambda browser=browser: browser.post(api, body, **sent) for browser in browsers])
    else:
        body["uuid"] = str(key)
        answers = at_once(*[lambda browser=browser: browser.post(page + step, body) for browser in browsers])
    assert {getattr(answer, "status_code", answer) // 100 for answer in answers} <= {2, 3}
    assert model.objects.get().uuid == key
    assert AuditEvent.objects.filter(event=kind).count() == 1
    assert len(told(kind)) == len(set(told(kind))) > 0


@pytest.mark.django_db
@pytest.mark.parametrize("name", SAID)
def test_cc_05_the_page_brings_a_key_of_its_own_each_time(name, client):
    where, model, _kind = SAID[name]
    person, _api, page, step, _more = where(world())
    client.force_login(person)
    key, other = (re.search(r'name="uuid" value="([0-9a-f-]{36})"', client.get(page).content.decode())[1] for _n in range(2))
    assert key != other
    for sent in (key, key, other):
        client.post(page + step, {"text": "Sẽ đối chiếu lại.", "uuid": sent})
    assert {str(row.uuid) for row in model.objects.all()} == {key, other}


@pytest.mark.django_db
def test_a_key_is_one_persons_and_one_acts():
    w, key = world(), uuid.uuid4()
    colleague, dispute, request = officer(Role.PROVIDER_OFFICER, w.provider), _dispute(w), forwarded(w)
    answer_dispute(dispute, by=w.provider_officer, text="Sẽ sửa.", uuid=key)
    comment_request(request, by=w.provider_officer, text="Sẽ sửa.", uuid=key)
    give_feedback(w.service, by=w.consumer_officer, text="Hỏi", uuid=key)
    for again in (
        lambda: answer_dispute(dispute, by=colleague, text="Sẽ sửa.", uuid=key),
        lambda: answer_dispute(_dispute(w), by=w.provider_officer, text="Sẽ sửa.", uuid=key),
        lambda: comment_request(request, by=colleague, text="Sẽ sửa.", uuid=key),
        lambda: comment_request(forwarded(w), by=w.provider_officer, text="Sẽ sửa.", uuid=key),
        lambda: give_feedback(w.service, by=w.stranger, text="Hỏi", uuid=key),
        # Another text under the same key is not what was said: it must not be lost as if it were.
        lambda: answer_dispute(dispute, by=w.provider_officer, text="Khác.", uuid=key),
        lambda: comment_request(request, by=w.provider_officer, text="Khác.", uuid=key),
        lambda: give_feedback(w.service, by=w.consumer_officer, text="Khác", uuid=key),
    ):
        with pytest.raises(Conflict) as refusal:
            again()
        assert refusal.value.code == "idempotency_key_reused"
    assert (Answer.objects.count(), Comment.objects.count(), Feedback.objects.count()) == (1, 1, 1)


@pytest.mark.django_db
def test_an_answer_that_is_sent_again_after_the_level_has_passed_is_the_same_answer():
    w, key = world(), uuid.uuid4()
    dispute = _dispute(w)
    first = answer_dispute(dispute, by=w.provider_officer, text="Sẽ sửa.", uuid=key)
    escalate_dispute(dispute, by=w.consumer_officer, reason="Chưa sửa")
    assert answer_dispute(dispute, by=w.provider_officer, text="Sẽ sửa.", uuid=key) == first
