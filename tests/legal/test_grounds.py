"""WF-31: the legal officer keeps the grounds of refusal as rows with citation and dates; what was refused keeps its wording."""

from __future__ import annotations

import datetime

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.connections.actions import refuse_request
from apps.core.errors import Conflict, InvalidFact, NotPermitted
from apps.legal import actions
from apps.legal.models import RefusalGround
from apps.organizations.choices import Role
from apps.portal.forms import RefuseForm
from tests.factories.connections import forwarded, refused, world
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db
WORDS = {"name": "Dữ liệu thuộc diện hạn chế", "citation": "NĐ 278/2025/NĐ-CP Điều 9"}


@pytest.fixture
def legal():
    return officer(Role.LEGAL_OFFICER)


def today() -> datetime.date:
    return timezone.localdate()


def offered() -> list[str]:
    return [ground.code for ground in RefuseForm().fields["ground"].queryset]


def test_a_new_ground_may_be_chosen_from_its_first_day_on(legal):
    actions.add_ground("R7", by=legal, effective_from=today() + datetime.timedelta(days=1), **WORDS)
    assert "R7" not in offered()
    made = actions.add_ground("R8", by=legal, effective_from=today(), **WORDS)
    assert "R8" in offered()
    event = AuditEvent.objects.about(made).get(event="refusal_ground.added")
    assert (event.actor, event.facts["citation"]) == (legal, WORDS["citation"])


def test_another_wording_holds_from_its_day_and_a_refusal_keeps_the_old_one(legal):
    request = refused(world())
    before = request.refusal_ground
    made = actions.change_ground(before.code, by=legal, effective_from=today(), **WORDS)
    request.refresh_from_db()
    assert request.refusal_ground == before
    assert request.refusal_ground.name != made.name
    assert RefusalGround.objects.in_force(today()).get(code=before.code) == made
    assert AuditEvent.objects.about(made).get(event="refusal_ground.changed").facts["before"] == before.citation


def test_an_ended_ground_is_offered_and_taken_no_more(legal):
    w = world()
    request = forwarded(w)
    ground = RefusalGround.objects.get(code="R6")
    actions.end_ground("R6", by=legal, effective_to=today())
    assert "R6" not in offered()
    with pytest.raises(InvalidFact) as refusal:
        refuse_request(request, by=w.provider_officer, ground=ground, reason="Đã có dịch vụ khác.", citation=ground.citation)
    assert refusal.value.code == "ground_not_in_force"


@pytest.mark.parametrize("role", [role for role in Role if role != Role.LEGAL_OFFICER])
def test_only_the_legal_officer_changes_grounds(role):
    person = officer(role)
    with pytest.raises(NotPermitted):
        actions.add_ground("R7", by=person, effective_from=today(), **WORDS)
    with pytest.raises(NotPermitted):
        actions.change_ground("R1", by=person, effective_from=today(), **WORDS)
    with pytest.raises(NotPermitted):
        actions.end_ground("R1", by=person, effective_to=today())
    assert not AuditEvent.objects.filter(event__startswith="refusal_ground").exists()


def test_what_is_no_ground_is_refused_and_leaves_nothing(legal):
    with pytest.raises(Conflict):
        actions.add_ground("R1", by=legal, effective_from=today(), **WORDS)
    for code, facts in (("r 9", WORDS), ("R9", {**WORDS, "citation": " "}), ("R9", {**WORDS, "name": "x" * 400})):
        with pytest.raises(InvalidFact):
            actions.add_ground(code, by=legal, effective_from=today(), **facts)
    for verb, day in ((actions.change_ground, "effective_from"), (actions.end_ground, "effective_to")):
        more = WORDS if verb is actions.change_ground else {}
        with pytest.raises(InvalidFact):
            verb("R9", by=legal, **{day: today()}, **more)
        with pytest.raises(InvalidFact):
            verb("R1", by=legal, **{day: RefusalGround.objects.get(code="R1").effective_from}, **more)
    assert RefusalGround.objects.count() == 6


def test_of_one_code_one_wording_is_open(legal):
    with pytest.raises(IntegrityError), transaction.atomic():
        RefusalGround.objects.create(code="R1", effective_from=today(), **WORDS)


def test_the_register_has_the_doors(client, legal):
    client.force_login(legal)
    listing = "/admin/legal/refusalground/"
    assert "/admin/legal/refusalground/do/add/" in client.get(listing).content.decode()
    sent = {"code": "R7", "name": "Căn cứ mới", "citation": "NĐ 1/2026 Điều 2", "effective_from": "26/11/2020"}
    assert client.post("/admin/legal/refusalground/do/add/", sent).status_code == 302
    row = RefusalGround.objects.get(code="R7")
    page = f"/admin/legal/refusalground/{row.uuid}"
    assert client.get(f"{page}/do/change/").context["form"]["name"].value() == "Căn cứ mới"
    assert client.post(f"{page}/do/end/", {"effective_to": "25/11/2020"}).status_code == 400
    assert client.post(f"{page}/do/end/", {"effective_to": "27/11/2020"}).status_code == 302
    row.refresh_from_db()
    assert row.effective_to == datetime.date(2020, 11, 27)
    assert client.get(f"{page}/change/").status_code == 200
    client.force_login(officer(Role.OPERATOR))
    assert client.get("/admin/legal/refusalground/do/add/").status_code == 403


def test_the_api_has_them_too(client, legal):
    client.force_login(legal)
    body = {"code": "R7", **WORDS, "effective_from": "2026-01-01"}
    made = client.post("/api/v1/refusal-grounds", body, content_type="application/json")
    assert made.status_code == 201, made.content
    changed = {**WORDS, "effective_from": "2026-02-01"}
    assert client.post("/api/v1/refusal-grounds/R7/change", changed, content_type="application/json").status_code == 201
    ended = {"effective_to": "2026-03-01"}
    assert client.post("/api/v1/refusal-grounds/R7/end", ended, content_type="application/json").status_code == 201
    rows = client.get("/api/v1/refusal-grounds?code=R7&in_force_on=2026-02-15").json()["results"]
    assert [row["effective_from"] for row in rows] == ["2026-02-01"]
    assert client.get("/api/v1/refusal-grounds?code=R7&in_force_on=2026-03-02").json()["results"] == []
