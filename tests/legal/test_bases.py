"""The provisions that refusals of calls cite are rows with dates: the legal officer gives the next one, nothing is edited."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.epoch import current_epoch
from apps.core.errors import InvalidFact, NotPermitted
from apps.core.models import PolicyChange
from apps.gateway.refusals import TABLE
from apps.legal.actions import change_basis
from apps.legal.models import LegalBasis
from apps.organizations.choices import Role
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db
NEXT = "NĐ 1/2027/NĐ-CP, Điều 2"


@pytest.fixture
def legal():
    return officer(Role.LEGAL_OFFICER)


def test_every_basis_a_refusal_names_is_there_and_no_other():
    assert set(LegalBasis.objects.citations(timezone.localdate())) == {row.basis for row in TABLE.values()} - {""}


def test_the_next_provision_is_cited_from_its_day_on_record_and_known_to_the_gateways(legal):
    day = timezone.localdate() + datetime.timedelta(days=3)
    before, epoch = LegalBasis.objects.get(code="scope"), current_epoch()
    made = change_basis("scope", by=legal, citation=f" {NEXT} ", effective_from=day)

    def cited(on):
        return LegalBasis.objects.citations(on)["scope"]

    assert [cited(day - datetime.timedelta(days=1)), cited(day)] == [before.citation, NEXT]
    event = AuditEvent.objects.about(made).get(event="legal_basis.changed")
    assert (event.actor, event.facts["before"], event.facts["after"]) == (legal, before.citation, NEXT)
    changes = PolicyChange.objects.filter(epoch__gt=epoch)
    assert set(changes.values_list("kind", "ref")) == {("legalbasis", before.uuid), ("legalbasis", made.uuid)}


@pytest.mark.parametrize("role", [role for role in Role if role != Role.LEGAL_OFFICER])
def test_only_the_legal_officer_changes_a_provision(role):
    with pytest.raises(NotPermitted):
        change_basis("scope", by=officer(role), citation=NEXT, effective_from=timezone.localdate())
    assert not LegalBasis.objects.filter(citation=NEXT).exists()


@pytest.mark.parametrize(
    ("code", "citation", "too_early"),
    [("none", NEXT, False), ("scope", "", False), ("scope", "x" * 301, False), ("scope", NEXT, True)],
)
def test_what_is_no_provision_is_refused_and_changes_nothing(legal, code, citation, too_early):
    before, epoch = set(LegalBasis.objects.values_list("pk", "effective_to")), current_epoch()
    day = LegalBasis.objects.get(code="scope").effective_from if too_early else timezone.localdate()
    with pytest.raises(InvalidFact):
        change_basis(code, by=legal, citation=citation, effective_from=day)
    assert (set(LegalBasis.objects.values_list("pk", "effective_to")), current_epoch()) == (before, epoch)


def test_the_portal_and_the_api_are_doors_to_the_verb(legal, client):
    client.force_login(legal, backend="django.contrib.auth.backends.ModelBackend")
    row = LegalBasis.objects.get(code="record")
    page = f"/admin/legal/legalbasis/{row.uuid}/do/change/"
    assert row.citation in client.get(page).content.decode()
    sent = {"citation": NEXT, "effective_from": f"{timezone.localdate():%d/%m/%Y}"}
    assert client.post(page, sent).status_code == 302
    assert LegalBasis.objects.citations(timezone.localdate())["record"] == NEXT
    body = {"citation": "NĐ 3", "effective_from": "2030-01-01"}
    assert client.post("/api/v1/legal-bases/record/change", body, content_type="application/json").status_code == 201
    rows = client.get("/api/v1/legal-bases?code=record&in_force_on=2030-01-01").json()["results"]
    assert [row["citation"] for row in rows] == ["NĐ 3"]
