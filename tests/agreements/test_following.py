"""A change, renewal or joining whose agreement moved on meanwhile is put on what stands now and can be approved (A15)."""

import datetime

import pytest
from django.test import Client
from django.utils import timezone

from apps.agreements.actions import approve_request, follow_agreement, sign_agreement, start_change, start_join, start_renewal
from apps.agreements.choices import GrantStatus, VersionState
from apps.audit.models import AuditEvent
from apps.connections.actions import forward_request, return_request, save_draft, sign_request, submit_request, withdraw_request
from apps.connections.content import request_hash
from apps.core.errors import FactMissing, NotPermitted, StaleVersion, TransitionNotAllowed
from apps.organizations.choices import Role
from tests.factories.agreements import accepted, signed_special
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer

pytestmark = pytest.mark.django_db


def decided(w, request, by=None, signer=None):
    if request.sharing_form == "default":
        sign_request(request, by=signer or w.consumer_signer)
    submit_request(request, by=by or w.consumer_officer)
    forward_request(request, by=w.operator)
    agreement = approve_request(request, by=w.provider_officer)
    draft = agreement.versions.filter(state=VersionState.DRAFT).first()
    for person in (w.consumer_signer, w.provider_signer) if draft else ():
        sign_agreement(agreement, by=person, content_hash=draft.content_hash)
    return agreement


MAKE = {"default": accepted, "special": signed_special}


@pytest.fixture(params=MAKE)
def running(request):
    w = request.getfixturevalue("w" if request.param == "default" else "special")
    return w, MAKE[request.param](w)


def changed(w, agreement, **facts):
    return save_draft(start_change(agreement, by=w.consumer_officer), by=w.consumer_officer, **facts)


def stuck(w, request):
    """`request` submitted, forwarded, refused approval because the agreement moved, and returned."""
    if request.sharing_form == "default":
        sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    with pytest.raises(FactMissing) as refusal:
        approve_request(request, by=w.provider_officer)
    assert refusal.value.code == "agreement_changed"
    request.refresh_from_db()
    return return_request(request, by=w.provider_officer, remarks=[("note", "Thỏa thuận đã thay đổi.")])


def paths(request):
    return {field.path for row in request.requested_operations.all() for field in row.fields.all()}


def test_after_a_return_it_is_put_on_what_stands_now_and_approved_with_both_changes(running):
    w, agreement = running
    mine = changed(w, agreement, scope={w.operation: w.fields(5)}, note="Thêm hai mục tin.")
    decided(w, changed(w, agreement, calls_per_day=900, technician="Trần Văn Mới"))
    stuck(w, mine)
    merge = follow_agreement(mine, by=w.consumer_officer)
    mine.refresh_from_db()
    assert (set(merge.content), merge.kept) == ({"calls_per_day", "technician"}, [])
    assert (mine.calls_per_day, mine.technician, paths(mine)) == (900, "Trần Văn Mới", set(w.fields(5)))
    decided(w, mine)
    content = agreement.current_version.content
    assert (agreement.current_version.number, content["method"]["calls_per_day"]) == (3, 900)
    assert {field["path"] for field in content["scope"][0]["fields"]} == set(w.fields(5))
    event = AuditEvent.objects.get(event="request.put_on_current")
    assert (event.actor, event.facts["before"], event.facts["after"]) == (w.consumer_officer, 1, 2)
    assert event.facts["taken"] == ["calls_per_day", "technician"]


def test_what_both_changed_stays_the_drafters_and_is_named(w):
    agreement = accepted(w)
    mine = changed(w, agreement, calls_per_day=50, legal_basis="Nghị định 1")
    decided(w, changed(w, agreement, calls_per_day=900, solution="Hiển thị khác."))
    merge = follow_agreement(mine, by=w.consumer_officer)
    assert (merge.kept, set(merge.content)) == (["calls_per_day"], {"solution"})
    assert (mine.calls_per_day, mine.legal_basis, mine.solution) == (50, "Nghị định 1", "Hiển thị khác.")


def test_fields_taken_away_and_added_under_it_go_with_those_the_drafter_chose(w):
    agreement = accepted(w, scope={w.operation: w.fields(4)})
    one, two, three, four, five, six = w.fields(6)
    mine = changed(w, agreement, scope={w.operation: [two, three, four, five]})
    decided(w, changed(w, agreement, scope={w.operation: [one, two, three, six]}))
    merge = follow_agreement(mine, by=w.consumer_officer)
    assert paths(mine) == {two, three, five, six}
    assert merge.kept == ["scope"]


def test_networks_of_both_are_kept(w):
    agreement = accepted(w, source_networks=["10.0.0.0/24", "10.0.1.0/24"])
    mine = changed(w, agreement, source_networks=["10.0.0.0/24", "10.0.1.0/24", "10.0.9.0/24"])
    decided(w, changed(w, agreement, source_networks=["10.0.1.0/24", "10.0.5.0/24"]))
    follow_agreement(mine, by=w.consumer_officer)
    assert set(mine.source_networks) == {"10.0.1.0/24", "10.0.5.0/24", "10.0.9.0/24"}


def test_a_signature_over_the_former_content_does_not_stand_for_the_new_one(w):
    agreement = accepted(w)
    mine = changed(w, agreement, note="Ghi chú")
    decided(w, changed(w, agreement, calls_per_day=900))
    stuck(w, mine)
    before = request_hash(mine)
    follow_agreement(mine, by=w.consumer_officer)
    assert request_hash(mine) != before
    with pytest.raises(FactMissing) as refusal:
        submit_request(mine, by=w.consumer_officer)
    assert set(refusal.value.extra["fields"]) == {"signatures"}


def test_a_renewal_keeps_its_longer_term(w):
    agreement = accepted(w)
    mine = start_renewal(agreement, by=w.consumer_officer)
    until = mine.wanted_to
    decided(w, changed(w, agreement, calls_per_day=900))
    follow_agreement(mine, by=w.consumer_officer)
    assert (mine.calls_per_day, mine.wanted_to, mine.wanted_from) == (900, until, None)
    decided(w, mine)
    agreement.refresh_from_db()
    assert timezone.localdate(agreement.valid_to) > until


def test_a_renewal_under_which_the_end_was_taken_away_is_told_so_and_withdrawn(w):
    agreement = accepted(w)
    mine = start_renewal(agreement, by=w.consumer_officer)
    decided(w, changed(w, agreement, wanted_to=None))
    agreement.refresh_from_db()
    assert agreement.valid_to is None
    client = browser(w.consumer_officer)
    told = client.get(f"/api/v1/requests/{mine.uuid}/basis").json()
    assert (told["has_moved"], told["taken"], told["kept"]) == (True, [], [])
    done = client.post(f"/api/v1/requests/{mine.uuid}/follow", {}, "application/json")
    assert (done.status_code, done.json()["code"]) == (409, "no_end")
    page = client.get(f"/portal/requests/{mine.uuid}/")
    assert (page.status_code, page.context["moved"]["may_follow"], page.context["moved"]["has_no_end"]) == (200, False, True)
    assert "do/withdraw/" in page.content.decode()
    assert withdraw_request(mine, by=w.consumer_officer).status == "withdrawn"


def test_a_renewal_goes_on_once_there_is_an_end_again(w):
    agreement = accepted(w)
    mine, until = start_renewal(agreement, by=w.consumer_officer), agreement.current_version.content["term"]["valid_to"]
    decided(w, changed(w, agreement, wanted_to=None))
    decided(w, changed(w, agreement, wanted_to=datetime.date.fromisoformat(until)))
    follow_agreement(mine, by=w.consumer_officer)
    mine.refresh_from_db()
    assert (mine.basis.starts_from.number, mine.wanted_to.isoformat() > until) == (3, True)


def test_two_ask_to_join_at_once_and_both_come_in(w):
    agreement = accepted(w)
    joiners = []
    for _turn in range(2):
        organization = ReadyOrganizationFactory()
        asker, signer = officer(Role.CONSUMER_OFFICER, organization), officer(Role.SIGNER, organization)
        request = start_join(agreement, organization, by=asker)
        system = InformationSystemFactory(organization=organization)
        joiners.append((save_draft(request, by=asker, systems=[system], technician="Lê Văn Nối"), asker, signer, system))
    first, second = joiners
    decided(w, first[0], by=first[1], signer=first[2])
    merge = follow_agreement(second[0], by=second[1])
    assert (merge.content, merge.kept) == ({}, [])
    decided(w, second[0], by=second[1], signer=second[2])
    open_rows = agreement.grants.exclude(status=GrantStatus.ENDED)
    assert {grant.system for grant in open_rows} == {w.system, first[3], second[3]}


def test_only_who_edits_the_request_does_it_while_it_can_be_edited_and_when_something_moved(w):
    agreement = accepted(w)
    mine = changed(w, agreement, note="Ghi chú")
    with pytest.raises(FactMissing) as refusal:
        follow_agreement(mine, by=w.consumer_officer)
    assert refusal.value.code == "nothing_moved"
    decided(w, changed(w, agreement, calls_per_day=900))
    for person in (w.provider_officer, w.operator, w.stranger, w.consumer_signer):
        with pytest.raises(NotPermitted):
            follow_agreement(mine, by=person)
    with pytest.raises(StaleVersion):
        follow_agreement(mine, by=w.consumer_officer, version=mine.version - 1)
    mine.refresh_from_db()
    sign_request(mine, by=w.consumer_signer)
    submit_request(mine, by=w.consumer_officer)
    with pytest.raises(TransitionNotAllowed):
        follow_agreement(mine, by=w.consumer_officer)
    assert mine.basis.starts_from.number == 1


def browser(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_the_api_tells_what_moved_and_follows(w):
    agreement = accepted(w)
    mine = changed(w, agreement, calls_per_day=50)
    client, where = browser(w.consumer_officer), f"/api/v1/requests/{mine.uuid}"
    told = client.get(f"{where}/basis").json()
    assert (told["starts_from"], told["stands_now"], told["has_moved"], told["changed_under"]) == (1, 1, False, [])
    decided(w, changed(w, agreement, calls_per_day=900, solution="Hiển thị khác."))
    told = client.get(f"{where}/basis").json()
    assert (told["agreement"], told["stands_now"], told["has_moved"]) == (agreement.number, 2, True)
    assert (told["taken"], told["kept"]) == (["solution"], ["calls_per_day"])
    assert {(row["before"], row["after"]) for row in told["changed_under"]} >= {("500", "900")}
    assert client.post(f"{where}/follow", {"version": 1}, "application/json").json()["code"] == "stale_version"
    mine.refresh_from_db()
    done = client.post(f"{where}/follow", {"version": mine.version}, "application/json")
    assert (done.status_code, done.json()["starts_from"], done.json()["has_moved"]) == (200, 2, False)
    assert (done.json()["taken"], done.json()["kept"]) == (["solution"], ["calls_per_day"])
    assert browser(w.stranger).get(f"{where}/basis").status_code == 404
    first = agreement.bases.order_by("pk").first().request
    assert client.get(f"/api/v1/requests/{first.uuid}/basis").status_code == 404


def test_the_page_shows_what_moved_and_who_may_do_what(w):
    agreement = accepted(w)
    mine = changed(w, agreement, calls_per_day=50)
    where = f"/portal/requests/{mine.uuid}/"
    client = browser(w.consumer_officer)
    assert "moved" not in client.get(where).context
    decided(w, changed(w, agreement, calls_per_day=900, solution="Hiển thị khác."))
    page = client.get(where)
    assert "Hiển thị khác." in page.content.decode()
    assert f"{where}do/follow/" in page.content.decode()
    assert len(page.context["moved"]["kept"]) == 1
    mine.refresh_from_db()
    assert client.post(f"{where}do/follow/", {"version": mine.version}).status_code == 302
    mine.refresh_from_db()
    assert (mine.calls_per_day, mine.solution, mine.basis.starts_from.number) == (50, "Hiển thị khác.", 2)
    page = client.get(where)
    assert "moved" not in page.context
    assert {(row["before"], row["after"]) for row in page.context["differences"]} == {("900", "50")}


def test_who_decides_reads_on_the_page_that_it_is_to_be_returned(w):
    agreement = accepted(w)
    mine = changed(w, agreement, note="Ghi chú")
    sign_request(mine, by=w.consumer_signer)
    submit_request(mine, by=w.consumer_officer)
    forward_request(mine, by=w.operator)
    decided(w, changed(w, agreement, calls_per_day=900))
    page = browser(w.provider_officer).get(f"/portal/requests/{mine.uuid}/")
    assert page.context["moved"]["may_follow"] is False
    assert "do/follow/" not in page.content.decode()
