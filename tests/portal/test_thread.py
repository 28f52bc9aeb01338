"""The thread and the files of a case; what begins on an agreement's page; words for every event."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from apps.connections.choices import RequestKind
from apps.connections.models import ConnectionRequest
from apps.portal.events import LABELS
from tests.factories import agreements, connections
from tests.forms import posted

PDF = b"%PDF-1.7\n%%EOF\n"


def comment(client, request, **data):
    return client.post(reverse("portal:comment", args=[request.uuid]), data)


def page(client, request) -> str:
    return client.get(reverse("portal:request", args=[request.uuid])).content.decode()


def test_a_shared_word_reaches_the_other_side_an_internal_one_does_not(world, as_person):
    request = connections.forwarded(world)
    consumer, provider = as_person(world.consumer_officer), as_person(world.provider_officer)
    comment(consumer, request, text="Xin bổ sung căn cứ.")
    comment(consumer, request, text="Chỉ nội bộ thôi.", is_internal="on")
    assert "Xin bổ sung căn cứ." in page(provider, request)
    assert "Chỉ nội bộ thôi." in page(consumer, request)
    assert "Chỉ nội bộ thôi." not in page(provider, request)
    assert "Chỉ nội bộ thôi." not in page(as_person(world.operator), request)


def test_that_an_internal_word_was_said_is_told_to_nobody_else_either(world, as_person):
    request = connections.forwarded(world)
    said = str(LABELS["request.commented"])
    comment(as_person(world.consumer_officer), request, text="Chỉ nội bộ thôi.", is_internal="on")
    shown = as_person(world.provider_officer).get(reverse("portal:request", args=[request.uuid])).context
    assert said not in [str(row.words) for row in shown["timeline"]]
    assert shown["timeline"], "the rest of what happened is told"


def test_a_stranger_says_nothing(world, as_person):
    request = connections.forwarded(world)
    assert comment(as_person(world.stranger), request, text="x").status_code == 404
    assert not request.comments.exists()


def test_a_file_is_attached_fetched_and_taken_out(world, as_person):
    request = connections.complete_draft(world)
    consumer = as_person(world.consumer_officer)
    data = {"file": SimpleUploadedFile("cong-van.pdf", PDF), "kind": "assessment"}
    consumer.post(reverse("portal:attach", args=[request.uuid]), data)
    row = request.attachments.get()
    assert (row.name, row.kind) == ("cong-van.pdf", "assessment")
    url = reverse("portal:file", args=[row.uuid])
    response = consumer.get(url)
    assert response.content == PDF
    assert response["Content-Disposition"].startswith("attachment")
    assert as_person(world.stranger).get(url).status_code == 404
    consumer.post(reverse("portal:file-remove", args=[row.uuid]))
    assert consumer.get(url).status_code == 404


def test_a_file_that_is_not_what_it_says_is_refused_with_a_word(world, as_person):
    request = connections.complete_draft(world)
    consumer = as_person(world.consumer_officer)
    back = reverse("portal:request", args=[request.uuid])
    data = {"file": SimpleUploadedFile("cong-van.pdf", b"<html><script>alert(1)</script>"), "back": back}
    response = consumer.post(reverse("portal:attach", args=[request.uuid]), data)
    assert response["Location"] == back
    assert not request.attachments.exists()
    assert "msg--error" in consumer.get(back).content.decode()


@pytest.mark.parametrize(("kind", "made"), [("change", RequestKind.CHANGE), ("renewal", RequestKind.RENEWAL)])
def test_a_change_and_a_renewal_start_from_what_runs(world, as_person, kind, made):
    agreement = agreements.agreement_in_force(world, wanted_to=timezone.localdate() + datetime.timedelta(days=100))
    browser = as_person(world.consumer_officer)
    page = browser.get(reverse("portal:agreement", args=[agreement.uuid])).content.decode()
    where = reverse("portal:agreement-start", args=[agreement.uuid, kind])
    (form,) = [part for part in page.split("<form")[1:] if where in part.split(">")[0]]
    response = browser.post(where, posted(f"<form{form}"))
    draft = ConnectionRequest.objects.get(kind=made)
    assert response["Location"] == reverse("portal:request-edit", args=[draft.uuid, "who"])
    assert draft.requested_operations.get().operation == world.operation
    step = reverse("portal:request-edit", args=[draft.uuid, "why"])
    terms = draft.note
    given = posted(browser.get(step).content.decode().split("<main")[1]) | {"change_reason": "Vì việc mới.", "go": "leave"}
    shown = browser.post(step, given, follow=True).content.decode()
    draft.refresh_from_db()
    assert (draft.change_reason, draft.note) == ("Vì việc mới.", terms)
    assert "Vì việc mới." in shown
    plain = connections.complete_draft(world)
    assert "change_reason" not in browser.get(reverse("portal:request-edit", args=[plain.uuid, "why"])).content.decode()
    assert as_person(world.stranger).post(reverse("portal:agreement-start", args=[agreement.uuid, kind])).status_code == 404


def test_what_runs_without_an_end_has_nothing_to_renew(world, as_person):
    agreement = agreements.agreement_in_force(world, wanted_to=None)
    page = as_person(world.consumer_officer).get(reverse("portal:agreement", args=[agreement.uuid])).content.decode()
    assert reverse("portal:agreement-start", args=[agreement.uuid, "change"]) in page
    assert reverse("portal:agreement-start", args=[agreement.uuid, "renewal"]) not in page


def test_a_planned_suspension_is_announced_in_time_and_called_off(world, as_person):
    agreement = agreements.agreement_in_force(world)
    provider = as_person(world.provider_officer)
    url = reverse("portal:suspension-announce", args=[agreement.uuid])

    def moment(days: int) -> str:
        return (timezone.localtime() + datetime.timedelta(days=days)).strftime("%d/%m/%Y %H:%M")

    provider.post(url, {"planned-starts_at": moment(1), "planned-ends_at": moment(2), "planned-reason": "Bảo trì"})
    assert not agreement.planned_suspensions.exists(), "seven working days' notice"
    provider.post(url, {"planned-starts_at": moment(30), "planned-ends_at": moment(31), "planned-reason": "Bảo trì"})
    planned = agreement.planned_suspensions.get()
    shown = as_person(world.consumer_officer).get(reverse("portal:agreement", args=[agreement.uuid])).content.decode()
    assert "Bảo trì" in shown
    provider.post(reverse("portal:suspension-cancel", args=[planned.uuid]))
    planned.refresh_from_db()
    assert planned.cancelled_at is not None


def test_a_counter_proposal_changes_only_what_was_typed_anew(db, as_person):
    special = agreements.special_world()
    agreement = agreements.negotiating(special)
    before = agreement.current_version.content
    consumer = as_person(special.consumer_officer)
    form = consumer.get(reverse("portal:agreement", args=[agreement.uuid])).context["proposal_form"]
    typed = {f"propose-{name}": "" if value is None else value for name, value in form.initial.items()}
    typed["propose-valid_to"] = form.initial["valid_to"].strftime("%d/%m/%Y")
    typed.update({"propose-other_terms": "Họp rà soát mỗi quý.", "propose-note": "Thêm rà soát."})
    agreement.refresh_from_db()
    consumer.post(reverse("portal:agreement-propose", args=[agreement.uuid]), {**typed, "version": agreement.version})
    after = agreement.versions.order_by("-number").first().content
    changed = {name for name in after if after[name] != before.get(name)} - {"version", "supersedes", "change_note"}
    assert changed == {"other_terms"}
    assert after["other_terms"] == "Họp rà soát mỗi quý."


def test_every_event_of_a_case_has_words():
    found = set()
    for app in ("connections", "agreements"):
        for path in Path(settings.BASE_DIR, "apps", app).rglob("*.py"):
            found |= set(re.findall(r'audit\.record\(\s*f?"([a-z_]+\.[a-z_]+)"', path.read_text(encoding="utf-8")))
    assert len(found) > 25
    assert found <= set(LABELS), sorted(found - set(LABELS))
