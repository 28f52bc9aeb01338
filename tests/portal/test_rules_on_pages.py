"""When the legal officer gives a rule another value, the pages say that one: no page has a number of days of its own."""

from __future__ import annotations

import datetime
import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.agreements.actions import suspend_agreement
from apps.agreements.choices import SuspensionKind
from apps.agreements.models import Credential
from apps.core.errors import InvalidFact
from apps.disputes.models import Dispute
from apps.legal.deadlines import working_days
from apps.organizations.choices import Role
from apps.portal import inbox
from apps.registry.actions import add_version, mark_ready
from tests.factories.agreements import agreement_in_force, collected
from tests.factories.legal import CITATION, set_rule
from tests.factories.organizations import officer


def page(client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_who_raises_an_obstacle_reads_how_long_the_other_party_has(world, as_person):
    set_rule("dispute.level_1", 5)
    agreement = agreement_in_force(world)
    browser, address = as_person(world.consumer_officer), f"{reverse('portal:dispute-new')}?agreement={agreement.uuid}"
    text = page(browser, address)
    assert f"Bên kia có 5 ngày làm việc để trả lời ({CITATION})" in text
    facts = {"uuid": uuid.uuid4(), "respondent": world.provider.pk, "category": "data", "title": "Sai tên", "description": "x"}
    answer = browser.post(address, facts, follow=True)
    assert f"thời hạn trả lời là 5 ngày làm việc ({CITATION})" in answer.content.decode()
    dispute = Dispute.objects.get()
    assert dispute.due_at == working_days(5, dispute.created_at).due_at


def test_a_dispute_that_was_raised_twice_says_the_rule_it_runs_under(world, as_person):
    agreement = agreement_in_force(world)
    browser, address = as_person(world.consumer_officer), f"{reverse('portal:dispute-new')}?agreement={agreement.uuid}"
    facts = {"uuid": uuid.uuid4(), "respondent": world.provider.pk, "category": "data", "title": "Sai tên", "description": "x"}
    browser.post(address, facts)
    set_rule("dispute.level_1", 5)
    answer = browser.post(address, facts, follow=True)
    assert "thời hạn trả lời là 7 ngày làm việc" in answer.content.decode()


def test_who_suspends_reads_until_when_it_is_to_be_told(world, as_person):
    set_rule("suspension.violation_notice", 3)
    agreement = agreement_in_force(world)
    text = page(as_person(world.operator), reverse("portal:agreement", args=[agreement.uuid]))
    assert text.count(f"thời hạn thông báo theo quy định là 3 ngày kể từ thời điểm này ({CITATION})") == 2


def test_a_planned_suspension_that_was_not_announced_is_told_how_long_ahead_it_is_to_be(world):
    set_rule("suspension.planned_notice", 9)
    agreement = agreement_in_force(world)
    with pytest.raises(InvalidFact) as refusal:
        suspend_agreement(agreement, by=world.operator, kind=SuspensionKind.PLANNED)
    assert refusal.value.code == "needs_notice"
    assert f"thông báo trước ít nhất 9 ngày làm việc ({CITATION})" in str(refusal.value.detail)


@pytest.fixture
def draft(world):
    return add_version(world.service, by=world.provider_officer)


@pytest.mark.parametrize("shell", ["portal", "admin"])
def test_who_says_that_a_version_works_reads_until_when_it_is_published(world, draft, as_person, shell):
    set_rule("service.publish", 3)
    browser = as_person(world.provider_officer)
    step = reverse("portal:version-step", args=[draft.uuid, "ready"])
    here = reverse("portal:version", args=[draft.uuid])
    if shell == "admin":
        here, step = (f"/admin/registry/serviceversion/{draft.uuid}/{last}/" for last in ("change", "do/ready"))
    assert f"phải được công bố trong 3 ngày làm việc ({CITATION})" in page(browser, step)
    mark_ready(draft, by=world.provider_officer)
    text = page(browser, here)
    assert "Hạn công bố" in text
    assert f"({CITATION})" in text


@pytest.mark.parametrize("where", ["portal:default-lists", "portal:default-list-new", "admin"])
def test_how_often_a_default_share_list_is_reviewed_is_said_where_lists_are(world, as_person, where):
    set_rule("default_list.review", 4)
    address = "/admin/registry/defaultsharelist/do/decide/" if where == "admin" else reverse(where)
    assert f"rà soát ít nhất 4 tháng một lần ({CITATION})" in page(as_person(world.provider_officer), address)


# --- reminders of what ends -----------------------------------------------------------------------


def waiting(person, what: str) -> list[str]:
    return [task.name for task in inbox.tasks(person) if task.what == what]


def test_an_agreement_waits_for_its_consumer_from_the_first_reminder_on(world):
    what, last = "Gia hạn thỏa thuận, hoặc để hết hạn", timezone.localdate() + datetime.timedelta(days=50)
    agreement = agreement_in_force(world, wanted_to=last)
    assert waiting(world.consumer_officer, what) == [agreement.number]
    set_rule("agreement.ends_soon_1", 40)
    assert waiting(world.consumer_officer, what) == []


def test_an_account_waits_to_be_renewed_from_the_first_warning_on(world, as_person):
    agreement_in_force(world)
    account, _secret = collected(world, "test")
    Credential.objects.filter(pk=account.pk).update(expires_at=timezone.now() + datetime.timedelta(days=20))

    def told() -> tuple:
        (row,) = as_person(world.consumer_officer).get(reverse("portal:accounts")).context["page"]
        return waiting(world.consumer_officer, "Gia hạn tài khoản kết nối"), row.ends_soon

    assert told() == ([account.client_id], True)
    set_rule("credential.ends_soon_1", 10)
    assert told() == ([], False)


def test_the_register_has_the_reminders(as_person, db):
    text = page(as_person(officer(Role.LEGAL_OFFICER)), "/admin/legal/legalrule/?q=ends_soon")
    assert all(f"{days} ngày" in text for days in (60, 30, 7, 1))
