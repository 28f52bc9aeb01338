"""Who signs hears of a request that lacks only their signature; nobody has to carry it to their desk."""

import datetime

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.agreements.actions import start_change
from apps.connections.actions import attach_file, draft_request, enter_paper_request, save_draft, sign_request
from apps.notices.models import Notice, OutboxMessage
from apps.organizations.choices import Role
from tests.factories.agreements import accepted, special_world
from tests.factories.connections import complete_draft, considered, returned, world
from tests.factories.organizations import MembershipFactory, officer

PDF = b"%PDF-1.7\n%%EOF\n"
pytestmark = pytest.mark.django_db


@pytest.fixture
def w():
    return world()


def told(person: User) -> int:
    return Notice.objects.filter(kind="request.ready", recipient=person).count()


def test_the_signer_is_told_when_the_last_gap_is_filled_and_once_only(w):
    request = complete_draft(w, technician="")
    assert not Notice.objects.filter(kind="request.ready").exists()
    save_draft(request, by=w.consumer_officer, technician="Nguyễn Văn Kỹ")
    assert set(Notice.objects.filter(kind="request.ready").values_list("recipient", flat=True)) == {w.consumer_signer.pk}
    assert OutboxMessage.objects.filter(key__startswith=f"email:request.ready:{request.uuid}").count() == 1
    save_draft(request, by=w.consumer_officer, title="Tên khác")
    assert told(w.consumer_signer) == 1


def test_a_draft_that_is_opened_complete_is_told_at_once(w):
    complete_draft(w)
    assert told(w.consumer_signer) == 1


def test_a_signature_over_another_content_is_asked_for_anew(w):
    request = complete_draft(w)
    sign_request(request, by=w.consumer_signer)
    save_draft(request, by=w.consumer_officer, title="Tên khác")
    assert told(w.consumer_signer) == 2
    attach_file(request, by=w.consumer_officer, name="van-ban.pdf", data=PDF)
    assert told(w.consumer_signer) == 2, "it is still the same signature that is missing"


def test_a_change_is_asked_for_when_it_changes_something(w):
    request = start_change(accepted(w), by=w.consumer_officer)
    asked = Notice.objects.filter(kind="request.ready", key__contains=str(request.uuid))
    assert not asked.exists()
    save_draft(request, by=w.consumer_officer, calls_per_day=700)
    assert asked.get().recipient == w.consumer_signer


def test_the_officer_is_told_that_it_is_signed_once_a_content(w):
    request = complete_draft(w)
    for _twice in range(2):
        sign_request(request, by=w.consumer_signer)
    assert Notice.objects.filter(kind="request.signed", recipient=w.consumer_officer).count() == 1


def test_a_returned_request_that_was_completed_is_told_too(w):
    request = returned(w)
    before = told(w.consumer_signer)
    save_draft(request, by=w.consumer_officer, purpose_text="Tiếp nhận hồ sơ cấp phép xây dựng.")
    assert told(w.consumer_signer) == before + 1


def test_who_wrote_in_it_and_who_has_signed_are_not_asked(w):
    wrote = officer(Role.SIGNER, w.consumer)
    MembershipFactory(user=wrote, organization=w.consumer, role=Role.CONSUMER_OFFICER)
    draft = draft_request(w.consumer, by=User.objects.get(pk=wrote.pk), **w.content())
    assert (told(w.consumer_signer), told(wrote)) == (1, 0)
    sign_request(draft, by=w.consumer_signer)
    save_draft(draft, by=w.consumer_officer)
    assert told(w.consumer_signer) == 1, "what was signed is what it says"


def test_special_sharing_and_paper_are_not_signed_here():
    w = special_world()
    considered(complete_draft(w, special_reason="Dịch vụ mặc định không có địa chỉ trụ sở."), w)
    plain = world()
    facts = {"received_on": timezone.localdate() - datetime.timedelta(days=1), "paper_signer": "Trần Văn Ký"}
    paper = enter_paper_request(plain.consumer, by=plain.operator, **facts, **plain.content())
    attach_file(paper, by=plain.operator, name="van-ban.pdf", data=PDF, kind="paper")
    assert not Notice.objects.filter(kind="request.ready").exists()
