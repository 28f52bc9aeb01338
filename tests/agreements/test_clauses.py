"""The legal officer gives a standard clause its next text; what was agreed keeps its own."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.agreements.actions import change_clause
from apps.agreements.models import StandardClause
from apps.audit.models import AuditEvent
from apps.core.errors import InvalidFact, NotPermitted
from apps.organizations.choices import Role
from tests.factories.agreements import agreement_in_force
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db
TEXT = "Không chia sẻ lại cho bên thứ ba dưới mọi hình thức."


def today() -> datetime.date:
    return timezone.localdate()


def test_new_contents_are_made_with_the_next_text_from_its_day_and_old_ones_keep_theirs(w):
    legal = officer(Role.LEGAL_OFFICER)
    before = agreement_in_force(w).current_version
    made = change_clause("restrictions", by=legal, text=TEXT, citation="NĐ 1/2027 Điều 2", effective_from=today())
    assert StandardClause.objects.texts_on(today())["restrictions"] == TEXT
    assert StandardClause.objects.texts_on(today() - datetime.timedelta(days=1))["restrictions"] != TEXT
    after = agreement_in_force(w).current_version
    assert after.content["restrictions"]["text"] == TEXT
    before.refresh_from_db()
    assert before.content["restrictions"]["text"] != TEXT
    assert AuditEvent.objects.about(made).get(event="standard_clause.changed").actor == legal


@pytest.mark.parametrize("role", [role for role in Role if role != Role.LEGAL_OFFICER])
def test_nobody_else_changes_a_clause(role):
    with pytest.raises(NotPermitted):
        change_clause("restrictions", by=officer(role), text=TEXT, effective_from=today())
    assert not StandardClause.objects.filter(text=TEXT).exists()


def test_what_is_no_clause_is_refused_and_changes_nothing():
    legal, first = (
        officer(Role.LEGAL_OFFICER),
        StandardClause.objects.get(code="restrictions", effective_to=None).effective_from,
    )
    for code, facts in (
        ("khong-co", {"text": TEXT, "effective_from": today()}), ("restrictions", {"text": " ", "effective_from": today()}),
        ("restrictions", {"text": TEXT, "effective_from": first}), ("restrictions", {"text": "x" * 20_001, "effective_from": today()}),
    ):  # fmt: skip
        with pytest.raises(InvalidFact):
            change_clause(code, by=legal, **facts)
    assert StandardClause.objects.get(code="restrictions").effective_to is None


def test_the_register_has_the_door(client):
    client.force_login(officer(Role.LEGAL_OFFICER))
    row = StandardClause.objects.get(code="restrictions")
    page = f"/admin/agreements/standardclause/{row.uuid}/do/change/"
    assert client.get(page).context["form"]["text"].value() == row.text
    sent = {"text": TEXT, "citation": "x", "effective_from": today().strftime("%d/%m/%Y")}
    assert client.post(page, sent).status_code == 302
    assert client.post(page, sent).status_code in (400, 409), "what was followed is followed once"
    assert StandardClause.objects.filter(code="restrictions").count() == 2
    client.force_login(officer(Role.OPERATOR))
    assert client.get(page).status_code == 403
