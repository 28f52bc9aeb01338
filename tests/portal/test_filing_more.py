"""Filing beyond the plain case: special sharing, paper, several agencies, joining, changes, colleagues, the next case."""

from __future__ import annotations

import datetime
import re
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.agreements.actions import publish_service_version, start_change
from apps.audit.models import AuditEvent
from apps.connections.actions import assign_request, forward_request, return_request, save_draft, submit_request
from apps.connections.models import ConnectionRequest
from apps.legal.models import LegalRule
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.portal import inbox
from apps.registry.actions import add_version
from apps.registry.choices import SharingForm
from tests.factories import agreements, connections
from tests.factories.organizations import FocalPointFactory, InformationSystemFactory, ReadyOrganizationFactory, officer
from tests.factories.registry import PublishedServiceFactory, operation_of


def edit(request, key: str) -> str:
    return reverse("portal:request-edit", args=[request.uuid, key])


def page(request) -> str:
    return reverse("portal:request", args=[request.uuid])


# --- how many calls -----------------------------------------------------------------------------


def test_wf_25_a_new_request_without_a_number_is_offered_the_smallest_default_and_nothing_is_written(world, as_person):
    beside = PublishedServiceFactory(daily_quota=700)
    scope = {world.operation: world.fields(), operation_of(beside): world.fields()}
    draft = connections.complete_draft(world, calls_per_day=None, scope=scope)
    client = as_person(world.consumer_officer, "en")
    shown = client.get(edit(draft, "why"))
    assert shown.context["form"]["calls_per_day"].value() == 700
    assert "Entered is the default quota of the services" in shown.content.decode()
    sent = {name: shown.context["form"][name].value() or "" for name in ("purpose", "purpose_text", "technician")}
    client.post(edit(draft, "why"), {**sent, "version": draft.version, "calls_per_day": "", "go": "leave"})
    draft.refresh_from_db()
    assert draft.calls_per_day is None
    save_draft(draft, by=world.consumer_officer, calls_per_day=20)
    shown = client.get(edit(draft, "why"))
    assert shown.context["form"]["calls_per_day"].value() == 20
    assert "Entered is the default quota of the services" not in shown.content.decode()


def test_nothing_is_offered_where_no_service_has_a_default_nor_for_what_runs(world, as_person):
    agreement = agreements.accepted(world)
    client = as_person(world.consumer_officer)
    change = save_draft(start_change(agreement, by=world.consumer_officer), by=world.consumer_officer, calls_per_day=None)
    assert client.get(edit(change, "why")).context["form"]["calls_per_day"].value() is None
    draft = connections.complete_draft(world, calls_per_day=None)
    assert client.get(edit(draft, "why")).context["form"]["calls_per_day"].value() == 10_000
    type(world.service).objects.update(daily_quota=None)
    assert client.get(edit(draft, "why")).context["form"]["calls_per_day"].value() is None


# --- returned -----------------------------------------------------------------------------------


def test_what_a_return_asks_for_stands_on_the_step_where_it_is_filled_in(world, as_person):
    request = connections.submitted(world)
    for text in ("Nêu điều, khoản.", "Nêu cả khoản giao nhiệm vụ."):
        remarks = [("legal_basis", text), ("scope", f"Bỏ bớt mục tin. {text}")]
        return_request(request, by=world.operator, remarks=remarks)
        browser = as_person(world.consumer_officer)
        why, data, who, check = (browser.get(edit(request, key)).context["returned"] for key in ("why", "data", "who", "check"))
        assert [row.text for row in why] == [text], "of the newest return only"
        assert [row.text for row in data] == [f"Bỏ bớt mục tin. {text}"]
        assert not who
        assert len(check) == 2
        assert text in browser.get(edit(request, "why")).content.decode()
        request.refresh_from_db()
        submit_request(request, by=world.consumer_officer)


def test_nobody_is_said_to_have_signed_where_no_signature_is_asked_for(db, as_person):
    default, special = connections.world(), connections.world(sharing_form=SharingForm.SPECIAL)
    signed = connections.signed_draft(default)
    page = as_person(default.consumer_officer).get(edit(signed, "check")).content.decode()
    assert "Yêu cầu đã đầy đủ và được ký. Có thể gửi." in page
    ready = connections.considered(connections.complete_draft(special, special_reason="Không có dịch vụ khác."), special)
    page = as_person(special.consumer_officer).get(edit(ready, "check")).content.decode()
    assert "Yêu cầu đã đầy đủ. Có thể gửi." in page


# --- special sharing ----------------------------------------------------------------------------


def test_wf_33_special_sharing_leads_over_the_default_services_that_come_near(db, as_person):
    w = connections.world(sharing_form=SharingForm.SPECIAL)
    other = PublishedServiceFactory()
    draft = connections.complete_draft(w)
    browser = as_person(w.consumer_officer)
    ticks = [f"{w.operation.uuid}|{path}" for path in w.fields()]
    saved = browser.post(edit(draft, "data"), {"field": ticks, "go": "next", "version": draft.version})
    assert saved["Location"].endswith("/edit/near/")
    shown = browser.get(saved["Location"]).content.decode()
    assert other.name in shown
    draft.refresh_from_db()
    answer = browser.post(
        saved["Location"], {"considered": [other.code, "forged"], "special_reason": "Theo lô.", "version": draft.version}
    )
    assert answer["Location"].endswith("/edit/why/")
    draft.refresh_from_db()
    assert (draft.alternatives, draft.special_reason) == ([other.code], "Theo lô.")
    assert 'name="special_reason"' not in browser.get(edit(draft, "why")).content.decode()


def test_default_sharing_has_no_such_page(world, as_person):
    draft = connections.complete_draft(world)
    assert as_person(world.consumer_officer).get(edit(draft, "near"))["Location"].endswith("/edit/why/")


# --- paper --------------------------------------------------------------------------------------


def test_wf_17_the_operator_enters_a_paper_request_with_its_day(world, as_person):
    browser, address = as_person(world.operator), reverse("portal:request-paper")
    assert as_person(world.consumer_officer).get(address).status_code == 403
    facts = {
        "consumer": world.consumer.pk,
        "received_on": "02/11/2026",
        "paper_signer": "Giám đốc",
        "title": "Yêu cầu giấy",
        "uuid": uuid4(),
    }
    assert browser.post(address, {**facts, "received_on": "31/02/2026"}).status_code == 400
    answer = browser.post(address, facts)
    row = ConnectionRequest.objects.get()
    assert (row.channel, row.paper_received_on, row.paper_signer) == ("paper", datetime.date(2026, 11, 2), "Giám đốc")
    assert answer["Location"] == edit(row, "who")
    assert world.system.name in browser.get(answer["Location"]).content.decode()
    assert browser.get(edit(row, "check")).status_code == 200
    text = browser.get(reverse("portal:request", args=[row.uuid])).content.decode()
    assert "02/11/2026" in text
    assert "Giám đốc" in text
    assert "Thời hạn bắt đầu tính khi gửi" not in text, "it runs already"
    assert row.deadline_rule.citation in text
    assert row.number in browser.get(reverse("portal:requests") + "?due=open").content.decode()


def test_a_paper_received_tomorrow_is_refused(world, as_person):
    tomorrow = (timezone.localdate() + datetime.timedelta(days=1)).strftime("%d/%m/%Y")
    facts = {"consumer": world.consumer.pk, "received_on": tomorrow, "paper_signer": "Giám đốc", "title": "x", "uuid": uuid4()}
    as_person(world.operator).post(reverse("portal:request-paper"), facts)
    assert not ConnectionRequest.objects.exists()


# --- several agencies ---------------------------------------------------------------------------


def test_one_request_names_systems_of_agencies_below_and_of_others_the_officer_files_for(world, as_person):
    below = InformationSystemFactory(organization=ReadyOrganizationFactory(parent=world.consumer))
    second = ReadyOrganizationFactory()
    world.consumer_officer.memberships.create(organization=second, role=Role.CONSUMER_OFFICER)
    other, strange = InformationSystemFactory(organization=second), InformationSystemFactory()
    draft = connections.complete_draft(world)
    browser = as_person(world.consumer_officer)
    shown = browser.get(edit(draft, "who")).content.decode()
    assert all(system.name in shown for system in (world.system, below, other))
    assert strange.name not in shown
    facts = {"consumer": world.consumer.pk, "uuid": draft.uuid, "title": "Nhiều hệ thống", "version": draft.version}
    browser.post(edit(draft, "who"), {**facts, "systems": [world.system.pk, below.pk, other.pk]})
    assert draft.systems.count() == 3
    draft.refresh_from_db()
    browser.post(edit(draft, "who"), {**facts, "version": draft.version, "systems": [strange.pk]})
    assert draft.systems.count() == 3


# --- joining, changes ---------------------------------------------------------------------------


def test_wf_34_a_stranger_finds_an_agreement_and_asks_to_join(world, as_person):
    agreement = agreements.agreement_in_force(world)
    browser = as_person(world.stranger)
    shown = browser.get(reverse("portal:joinable")).content.decode()
    assert agreement.number in shown
    assert agreement.number not in as_person(world.consumer_officer).get(reverse("portal:joinable")).content.decode()
    assert as_person(world.operator).get(reverse("portal:joinable")).status_code == 403
    onward = reverse("portal:joining") + f"?number={agreement.number}"
    assert onward in shown
    assert f'value="{agreement.number}"' in browser.get(onward).content.decode()


def test_search_among_joinable_agreements_needs_no_tones(world, as_person):
    agreement = agreements.agreement_in_force(world)
    from apps.core.text import fold

    browser = as_person(world.stranger)
    assert agreement.number in browser.get(reverse("portal:joinable"), {"q": fold(world.service.name)}).content.decode()
    assert agreement.number not in browser.get(reverse("portal:joinable"), {"q": "khong co gi"}).content.decode()


def test_az_02_no_search_among_joinable_agreements_tells_who_takes_data_under_them(world, as_person):
    """The page names services and providers; a consumer is for the parties to know, so its name finds nothing."""
    agreement = agreements.agreement_in_force(world)
    type(world.consumer).objects.filter(pk=world.consumer.pk).update(folded="so khai thac kimsong")
    type(world.provider).objects.filter(pk=world.provider.pk).update(folded="so cung cap tinhgia")
    browser = as_person(world.stranger)
    found = {
        word: agreement.number in browser.get(reverse("portal:joinable"), {"q": word}).content.decode()
        for word in ("kimsong", "tinhgia")
    }
    assert found == {"kimsong": False, "tinhgia": True}


def test_a_change_shows_what_differs_from_what_runs(world, as_person):
    agreement = agreements.agreement_in_force(world)
    draft = start_change(agreement, by=world.consumer_officer)
    browser = as_person(world.consumer_officer)
    assert "Chưa có thay đổi" in browser.get(page(draft)).content.decode()
    more = world.fields(4)
    save_draft(draft, by=world.consumer_officer, scope={world.operation: more}, calls_per_day=9999)
    shown = browser.get(page(draft)).content.decode()
    assert "Thay đổi so với nội dung đang thực hiện" in shown
    assert "9999" in shown
    assert shown.count('chip--green">thêm') == 1
    assert "Thay đổi so với" in browser.get(edit(draft, "check")).content.decode()


# --- stale forms --------------------------------------------------------------------------------


def test_cc_03_a_stale_form_gets_409_with_the_difference_and_overwrites_nothing(world, as_person):
    draft = connections.complete_draft(world)
    seen = draft.version
    save_draft(draft, by=world.consumer_officer, title="Tên người khác vừa lưu")
    facts = {
        "consumer": world.consumer.pk,
        "uuid": draft.uuid,
        "title": "Tên của tôi",
        "version": seen,
        "systems": [world.system.pk],
    }
    answer = as_person(world.consumer_officer).post(edit(draft, "who"), facts)
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "Tên người khác vừa lưu" in text
    assert "Tên của tôi" in text
    draft.refresh_from_db()
    assert draft.title == "Tên người khác vừa lưu"
    assert AuditEvent.objects.about(draft).filter(event="request.edited").count() == 1


def test_cc_03_a_stale_choice_of_fields_shows_the_fields(world, as_person):
    draft = connections.complete_draft(world)
    seen = draft.version
    save_draft(draft, by=world.consumer_officer, scope={world.operation: world.fields(2)})
    mine = world.fields(4)[-1]
    answer = as_person(world.consumer_officer).post(
        edit(draft, "data"), {"field": [f"{world.operation.uuid}|{mine}"], "version": seen}
    )
    assert answer.status_code == 409
    assert mine in answer.content.decode()
    assert {f.path for f in draft.requested_operations.get().fields.all()} == set(world.fields(2))


def test_a_draft_opened_again_after_a_minor_version_still_has_its_fields_chosen(world, as_person):
    draft = connections.complete_draft(world)
    FocalPointFactory(organization=world.provider)
    minor = add_version(world.service, by=world.provider_officer)
    publish_service_version(minor, by=world.provider_officer)
    browser = as_person(world.consumer_officer)
    shown = browser.get(edit(draft, "data"))
    ((_service, choices),) = shown.context["services"]
    chosen = {choice.operation.code: choice.chosen for choice in choices if choice.chosen}
    assert chosen == {world.operation.code: len(world.fields())}
    ticked = re.findall(r'name="field" value="([^"]+)"[^>]* checked', shown.content.decode())
    operation = minor.operations.get(code=world.operation.code)
    assert set(ticked) == {f"{operation.uuid}|{path}" for path in world.fields()}
    draft.refresh_from_db()
    browser.post(edit(draft, "data"), {"version": draft.version, "field": ticked})
    (row,) = draft.requested_operations.all()
    assert (row.operation, {f.path for f in row.fields.all()}) == (operation, set(world.fields()))


# --- the officer's day --------------------------------------------------------------------------


def test_a_case_is_given_to_a_colleague_who_finds_it_by_filter(world, as_person):
    request = connections.forwarded(world)
    colleague = officer(Role.PROVIDER_OFFICER, world.provider)
    browser = as_person(world.provider_officer)
    assert str(colleague) in browser.get(page(request)).content.decode()
    address = reverse("portal:assign", args=[request.uuid])
    for wrong in ("", "x", world.operator.uuid, world.stranger.uuid):
        browser.post(address, {"handler": wrong})
    assert not request.decisions.filter(handler__isnull=False).exists()
    browser.post(address, {"handler": colleague.uuid})
    assert request.decisions.get().handler == colleague
    assert Notice.objects.filter(kind__startswith="request.assigned", recipient=colleague).exists()
    mine = reverse("portal:requests") + "?due=mine"
    assert request.number in as_person(colleague).get(mine).content.decode()
    assert request.number not in browser.get(mine).content.decode()
    assert as_person(world.stranger).post(address, {"handler": colleague.uuid}).status_code == 404
    assert 'name="handler"' not in as_person(world.consumer_officer).get(page(request)).content.decode()


def test_twenty_cases_are_handled_in_a_row_by_the_next_case_link(world, as_person):
    first, second = connections.submitted(world), connections.submitted(world)
    browser = as_person(world.operator)
    assert page(second) in browser.get(page(first)).content.decode()
    forward_request(first, by=world.operator)
    shown = browser.get(page(first)).content.decode()
    assert page(second) in shown
    assert "Hồ sơ tiếp theo" in shown
    forward_request(second, by=world.operator)
    assert "Hồ sơ tiếp theo" not in browser.get(page(first)).content.decode()
    assert page(second) in as_person(world.provider_officer).get(page(first)).content.decode()


def test_the_next_case_is_not_one_that_was_given_to_a_colleague(world, as_person):
    first, second, third = (connections.submitted(world) for _n in range(3))
    colleague = officer(Role.OPERATOR)
    assign_request(second, by=world.operator, handler=colleague)
    assert as_person(world.operator).get(page(first)).context["next_case"].name == third.number
    assert as_person(colleague).get(page(first)).context["next_case"].name == second.number
    assert any(task.name == second.number for task in inbox.tasks(world.operator)), "on the home page it stands for all"
    for request in (first, second):
        forward_request(request, by=world.operator)
    assign_request(second, by=world.provider_officer, handler=officer(Role.PROVIDER_OFFICER, world.provider))
    assert as_person(world.provider_officer).get(page(first)).context["next_case"] is None


@pytest.mark.parametrize(("query", "found"), [({"q": "ten co dau"}, True), ({"q": "Tên có dấu"}, True), ({"q": "ten khac"}, False),
                                              ({"kind": "new"}, True), ({"kind": "join"}, False), ({"due": "paused"}, False)])  # fmt: skip
def test_the_list_finds_titles_without_tones_and_by_kind(world, as_person, query, found):
    request = connections.submitted(world, title="Tên có dấu")
    assert (request.number in as_person(world.operator).get(reverse("portal:requests"), query).content.decode()) == found


def test_a_returned_case_is_found_among_the_paused(world, as_person):
    request = connections.returned(world)
    assert request.number in as_person(world.operator).get(reverse("portal:requests"), {"due": "paused"}).content.decode()


def test_a_service_that_the_list_leaves_out_is_sought_by_a_word(world, as_person, monkeypatch):
    monkeypatch.setattr("apps.portal.views.filing.MOST_LISTED", 1)
    far = PublishedServiceFactory(name="Ý kiến của dân")
    PublishedServiceFactory(name="An toàn thực phẩm")
    draft, browser = connections.complete_draft(world), as_person(world.consumer_officer)
    shown = browser.get(edit(draft, "data"))
    assert (far.code in [row.code for row in shown.context["others"]], shown.context["more"]) == (False, True)
    fields = [f"{world.operation.uuid}|{path}" for path in world.fields()]
    sent = browser.post(edit(draft, "data"), {"version": draft.version, "field": fields, "go": "seek", "sought": "y kien"})
    assert sent.status_code == 302
    found = browser.get(sent.url)
    assert [row.code for row in found.context["others"]] == [far.code]
    assert not found.context["more"]
    assert 'value="y kien"' in found.content.decode()


def test_a_returned_request_says_by_which_rule_it_lapses_and_another_says_nothing_of_it(world, as_person):
    rule = LegalRule.objects.rule("connection.return_limit", timezone.localdate())
    request, other = connections.returned(world), connections.submitted(world)
    shown = as_person(world.consumer_officer).get(page(request)).content.decode()
    assert str(rule) in shown
    assert rule.citation in shown
    assert str(rule) not in as_person(world.consumer_officer).get(page(other)).content.decode()


def test_a_change_is_offered_further_services_of_its_own_providers_alone(world, as_person):
    of_the_same, of_another = PublishedServiceFactory(provider=world.provider), PublishedServiceFactory()
    request = start_change(agreements.accepted(world), by=world.consumer_officer)
    browser = as_person(world.consumer_officer)
    assert browser.get(edit(request, "data")).context["others"] == [of_the_same]
    offered = browser.get(edit(connections.complete_draft(world), "data")).context["others"]
    assert set(offered) == {of_the_same, of_another}
