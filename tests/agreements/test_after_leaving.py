"""Who has left an agreement reads what was valid until then, and nothing of what became of it later (ADR 0022)."""

from __future__ import annotations

import datetime
import re

import pytest
from django.test import Client
from django.utils import timezone

from apps.agreements.actions import (
    announce_suspension,
    complete_duty,
    leave_agreement,
    resume_agreement,
    start_change,
    suspend_agreement,
    suspend_consumer,
    terminate_agreement,
)
from apps.agreements.models import Agreement, AgreementVersion, Duty, Party
from apps.agreements.reading import changes, left_at, version_for
from apps.connections.actions import save_draft, withdraw_request
from apps.disputes.maintenance import announce_maintenance
from apps.portal.figures import figures
from apps.portal.inbox import tasks
from lgsp.dev.testing import has_pango
from tests.agreements.test_leaving import CERTIFICATE, REASON, Joiner, decide, joined, signed_in
from tests.factories.agreements import accepted
from tests.factories.connections import World

API = ("", "versions", "differences")
LISTS = ("grants", "acceptances", "duties", "planned-suspensions", "consumer-suspensions")
SEARCHES = (
    "status=in_force", "status=suspended", "status=ending", "status=terminated", "ends_before=2031-01-01T00:00:00Z",
    "ordering=valid_to", "ordering=-valid_to",
)  # fmt: skip


@pytest.fixture
def agreement(w) -> Agreement:
    return accepted(w)


@pytest.fixture
def other(w, agreement) -> Joiner:
    return joined(w, agreement)


@pytest.fixture
def left(w, agreement, other) -> Agreement:
    """An agreement that the first consumer has left, the second one goes on."""
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    return agreement


def everything_read(person, agreement) -> dict[str, str]:
    """Address → what it answers `person`; the form's token aside."""
    client, one = signed_in(person), f"/api/v1/agreements/{agreement.uuid}"
    page = f"/portal/agreements/{agreement.uuid}/"
    found = [f"{one}/{part}".rstrip("/") for part in API] + [f"/api/v1/{rows}" for rows in LISTS]
    found += [f"/api/v1/agreements?{search}" for search in ("", *SEARCHES)]
    found += ["/portal/agreements/", "/portal/agreements/?status=in_force", "/portal/agreements/?status=terminated"]
    found += [page, f"{page}print/", *(f"{page}?version={row.number}" for row in seen(agreement, person))]
    return {address: _answer(client, address) for address in found}


def dated(year: int, month: int, day: int) -> datetime.datetime:
    return timezone.make_aware(datetime.datetime(year, month, day, 9))


def seen(agreement, person):
    return AgreementVersion.objects.visible_to(person).filter(agreement=agreement).order_by("number")


def _answer(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.content[:500])
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode())


def change(w, agreement, other):
    request = start_change(agreement, by=other.officer)
    save_draft(request, by=other.officer, wanted_to=request.wanted_to + datetime.timedelta(days=365))
    decide(request, w, other.officer, other.signer)
    agreement.refresh_from_db()


def life_goes_on(w: World, agreement: Agreement, other: Joiner):
    """What may become of an agreement, step by step."""
    yield change(w, agreement, other)
    third = Joiner(w, agreement)
    agreement.refresh_from_db()
    yield third
    yield suspend_consumer(
        agreement.parties.get(organization=third.organization), by=w.provider_officer, violation="Dùng sai", plan="Chờ",
        restore_conditions="Sửa",
    )  # fmt: skip
    yield suspend_agreement(agreement, by=w.operator, kind="force_majeure", violation="Mất điện", plan="Chờ")
    yield resume_agreement(agreement, by=w.operator)
    yield announce_suspension(
        agreement, by=w.provider_officer, starts_at=dated(2031, 3, 3), ends_at=dated(2031, 3, 4), reason="Bảo trì"
    )
    yield leave_agreement(agreement, by=third.officer, reason="Hệ thống thứ ba ngừng dùng")
    yield terminate_agreement(agreement, by=w.provider_officer, ground="purpose_gone", reason="Hết mục đích")


def test_nothing_it_reads_changes_with_what_becomes_of_the_agreement(w, left, other):
    before, statuses = everything_read(w.consumer_officer, left), []
    for _done in life_goes_on(w, left, other):
        left.refresh_from_db()
        if left.status != "in_force":
            assert everything_read(w.consumer_officer, left) == before
            statuses.append(left.status)
    assert statuses == ["suspended", "ending"]
    assert "Hết mục đích" in signed_in(other.officer).get(f"/portal/agreements/{left.uuid}/").content.decode()


def test_it_reads_what_was_valid_until_it_left(w, agreement, other):
    before = {row.number: row.content for row in agreement.versions.all()}
    document = signed_in(w.consumer_officer).get(f"/portal/agreements/{agreement.uuid}/print/").content
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    client = signed_in(w.consumer_officer)
    rows = client.get(f"/api/v1/agreements/{agreement.uuid}/versions").json()
    assert {row["number"]: row["content"] for row in rows} == before
    shown = client.get(f"/api/v1/agreements/{agreement.uuid}").json()
    assert (shown["current_version"]["number"], shown["status"]) == (max(before), "ending")
    assert {row["party"]["organization"]["code"] for row in shown["current_version"]["signatures"]} == {
        w.consumer.code, w.provider.code, other.organization.code,
    }  # fmt: skip
    assert {row["system"]["code"] for row in shown["grants"]} == {w.system.code}
    assert {row["system"]["code"] for row in shown["acceptances"]} == {w.system.code}
    assert {row["party"]["organization"]["code"] for row in shown["duties"]} == {w.consumer.code}
    assert client.get(f"/portal/agreements/{agreement.uuid}/print/").content == document
    page = client.get(f"/portal/agreements/{agreement.uuid}/").content.decode()
    assert "Cơ quan của bạn đã rời" in page
    assert REASON in page, "its own leaving is the last it reads"


def test_the_next_version_is_not_found_by_number(w, left):
    number = left.current_version.number
    client = signed_in(w.consumer_officer)
    page = f"/portal/agreements/{left.uuid}/"
    for address in (f"{page}?version={number}", f"{page}print/?version={number}", f"{page}preview/?version={number}"):
        assert client.get(address).status_code == 404, address
    for part in ("preview", "differences", "document"):
        assert client.get(f"/api/v1/agreements/{left.uuid}/{part}?version={number}").status_code == 404, part
        known = client.get(f"/api/v1/agreements/{left.uuid}/{part}?version={number - 1}")
        assert known.status_code == (503 if part == "document" and not has_pango() else 200), part


def test_its_duties_done_the_agreement_has_ended_for_it(w, left):
    for duty in Duty.objects.visible_to(w.consumer_officer):
        complete_duty(duty, by=w.consumer_officer, note="Đã xóa.", file=CERTIFICATE)
    client = signed_in(w.consumer_officer)
    shown = client.get(f"/api/v1/agreements/{left.uuid}").json()
    assert shown["status"] == "terminated"
    assert shown["ended_at"] == shown["valid_to"]
    for status, number in (("terminated", 1), ("ending", 0), ("in_force", 0)):
        assert len(client.get(f"/api/v1/agreements?status={status}").json()["results"]) == number, status
    soon = {"ends_before": (timezone.now() + datetime.timedelta(minutes=1)).isoformat()}
    assert len(client.get("/api/v1/agreements", soon).json()["results"]) == 1, "it ended when it left"
    assert figures(w.consumer_officer)["in_force"] == 0


def test_the_search_knows_only_whom_it_knew(w, left, other):
    third = Joiner(w, left)
    client = signed_in(w.consumer_officer)

    def found(**asked) -> set[str]:
        api = {row["uuid"] for row in client.get("/api/v1/agreements", asked).json()["results"]}
        if "q" in asked:
            page = client.get("/portal/agreements/", asked).content.decode()
            assert (left.number in page) == (str(left.uuid) in api)
        return api

    for asked in ({"q": left.number}, {"q": other.organization.name}, {"party": other.organization.code}):
        assert found(**asked) == {str(left.uuid)}, asked
    for asked in ({"q": third.organization.code}, {"party": third.organization.code}):
        assert found(**asked) == set(), asked
        mine = signed_in(other.officer).get("/api/v1/agreements", asked).json()["results"]
        assert [row["uuid"] for row in mine] == [str(left.uuid)]


def test_of_who_leaves_after_it_it_learns_nothing(w, left, other):
    Joiner(w, left)
    leave_agreement(left, by=other.officer, reason=REASON)
    (row,) = [row for row in Party.objects.visible_to(w.consumer_officer) if row.organization_id == other.organization.pk]
    assert row.left_at is not None
    assert row.left_as_read is None
    assert row.left_at == Party.objects.visible_to(w.provider_officer).get(pk=row.pk).left_as_read


def test_a_maintenance_of_the_services_is_no_news_of_its_agreement_any_more(w, left, other):
    facts = {"starts_at": dated(2031, 3, 3), "ends_at": dated(2031, 3, 4), "reason": "Nâng cấp máy chủ"}
    announce_maintenance(w.service, by=w.provider_officer, **facts)
    page = f"/portal/agreements/{left.uuid}/"
    assert "Nâng cấp máy chủ" in signed_in(other.officer).get(page).content.decode()
    assert "Nâng cấp máy chủ" not in signed_in(w.consumer_officer).get(page).content.decode()


def test_its_signer_is_not_asked_to_sign_what_comes_later(w, left, other):
    now = left.current_version
    facts = {"content": now.content, "content_hash": now.content_hash, "drafted_by": w.provider_officer}
    AgreementVersion.objects.create(agreement=left, number=now.number + 1, **facts)
    assert not [task for task in tasks(w.consumer_signer) if left.number in str(task)]
    assert [task for task in tasks(other.signer) if left.number in str(task)]


def test_a_request_it_withdrew_does_not_tell_what_stands_now(w, agreement, other):
    request = start_change(agreement, by=w.consumer_officer)
    withdraw_request(request, by=w.consumer_officer)
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    old, new = agreement.versions.order_by("-number")[:2][::-1]
    told = signed_in(w.consumer_officer).get(f"/api/v1/requests/{request.uuid}/basis").json()
    assert (told["starts_from"], told["has_moved"], told["changed_under"]) == (old.number, False, [])
    assert changes(old, new, w.consumer_officer) == []
    assert changes(old, new, other.officer) != []


def test_who_acts_for_one_that_stays_reads_on(w, left, other):
    w.consumer_officer.memberships.create(organization=other.organization, role="consumer_officer")
    person = type(w.consumer_officer).objects.get(pk=w.consumer_officer.pk)
    assert left_at(left, person) is None
    assert version_for(left, person) == left.current_version


def test_the_list_names_who_left_among_the_parties_to_itself_alone(client, w, left, other):
    """For it the agreement is as it was; for the others it is a party no more."""
    cells = {}
    for who, user in (("left", w.consumer_officer), ("other", other.officer)):
        client.force_login(user)
        row = client.get("/portal/agreements/").content.decode().partition("<tbody")[2].partition("</tbody>")[0]
        cells[who] = [f"{agency}<br>" in row for agency in (w.consumer, other.organization)]
    assert cells == {"left": [True, True], "other": [False, True]}
