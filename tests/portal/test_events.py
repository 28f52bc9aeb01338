"""Who reads the audit log, and that it has words for what it says."""

import re
from pathlib import Path

from apps.audit import actions as audit
from apps.organizations.choices import Role
from apps.portal.events import label
from tests.factories.accounts import UserFactory
from tests.factories.organizations import OrganizationFactory, officer


def log_in(client, user):
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def events(client, user, **query) -> list[str]:
    return [row["event"] for row in log_in(client, user).get("/api/v1/audit-events", query).json()["results"]]


def test_a_member_reads_the_events_of_their_own_agency_only(db, client):
    mine, other = OrganizationFactory(), OrganizationFactory()
    audit.record("organization.changed", mine, by=None, organizations=[mine])
    audit.record("organization.suspended", other, by=None, organizations=[other])
    assert events(client, officer(Role.CONSUMER_OFFICER, mine)) == ["organization.changed"]
    assert events(client, officer(Role.AUDITOR)) == ["organization.suspended", "organization.changed"]
    assert events(client, UserFactory()) == []


def test_the_list_asks_the_same_number_of_queries_however_long_it_is(db, client, django_assert_max_num_queries):
    agency = OrganizationFactory()
    person = log_in(client, officer(Role.AUDITOR))
    for _row in range(30):
        audit.record("organization.changed", agency, by=UserFactory(), organizations=[agency])
    with django_assert_max_num_queries(6):
        assert len(person.get("/api/v1/audit-events").json()["results"]) == 30


def test_me_says_what_i_am_and_where(db, client):
    agency = OrganizationFactory(name="Sở A", code="H03.77")
    user = officer(Role.SIGNER, agency, username="lan")
    body = log_in(client, user).get("/api/v1/me").json()
    assert body["roles"] == [{"role": "signer", "organization": "H03.77", "organization_name": "Sở A"}]


def test_every_event_that_a_verb_names_has_words():
    """Names put together at run time are not seen here; their forms are: states of runs and of webhooks."""
    apps = Path(__file__).resolve().parents[2] / "apps"
    written = [path.read_text(encoding="utf-8") for path in apps.rglob("*.py") if "migrations" not in path.parts]
    named = {name for text in written for name in re.findall(r'\brecord\(\s*"([a-z_]+\.[a-z_]+)"', text)}
    assert len(named) > 60
    assert {name for name in named | {"sync_run.published", "sync_run.held"} if str(label(name)) == name} == set()
