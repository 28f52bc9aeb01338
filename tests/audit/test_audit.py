import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection, transaction

from apps.audit import actions as audit
from apps.audit.models import AuditEvent
from apps.organizations.models import Organization


@pytest.fixture
def row(db):
    agency = Organization.objects.create(name="Sở A", code="H03.01")
    user = get_user_model().objects.create(username="ha")
    return audit.record("organization.registered", agency, by=user, organizations=[agency], code="H03.01")


def test_a_row_names_actor_object_and_organizations(row):
    agency = Organization.objects.get()
    found = AuditEvent.objects.about(agency).get()
    assert (found.actor.username, found.object_label, found.organizations) == ("ha", "Sở A", [agency.uuid])


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_auditevent SET event = 'x'", "DELETE FROM audit_auditevent"],
)
def test_au_02_the_database_refuses_to_rewrite_history(row, statement):
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_au_02_the_database_refuses_to_empty_the_table(truncate_guards):
    audit.record("test.happened", by=None)
    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute("TRUNCATE audit_auditevent")
    assert AuditEvent.objects.count() == 1


def test_a_refused_attempt_is_recorded_in_its_own_transaction(db, client):
    user = get_user_model().objects.create(username="ha")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    body = {"value": "1", "citation": "x", "effective_from": "2027-01-01", "evidence": "T"}
    answer = client.post("/api/v1/legal-rules/connection.decide/change", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    event = AuditEvent.objects.get()
    assert (event.event, event.outcome, event.actor) == ("attempt.refused", "refused", user)
    assert event.facts["path"] == "/api/v1/legal-rules/connection.decide/change"
