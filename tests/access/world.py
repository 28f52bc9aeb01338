"""The small world of the access matrix: two parties, a stranger, the platform's own people, one object of each kind.

What belongs to the two parties alone carries `CANARY`, so that a leak to the stranger can be seen in bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from django.utils import timezone

from apps.agreements.models import Grant, StandardClause
from apps.audit.models import AuditEvent
from apps.disputes.actions import open_ticket, raise_dispute
from apps.legal.models import CalendarException, LegalBasis, LegalRule, RefusalGround
from apps.notices.models import OutboxMessage
from apps.organizations.choices import Role
from apps.registry.choices import Environment
from apps.registry.models import Feedback
from tests.factories.accounts import UserFactory
from tests.factories.agreements import accepted
from tests.factories.catalogs import CatalogFactory, WebhookFactory, published, rows
from tests.factories.connections import forwarded
from tests.factories.connections import world as two_parties
from tests.factories.organizations import officer
from tests.factories.sync import CatalogSourceFactory, ClosedRunFactory
from tests.fixtures.worlds import remembered

CANARY = "CANARY-7f3a"
VERBS = {
    "requests": "forward",
    "accounts": "revoke",
    "test-records": "confirm",
    "catalog-releases": "publish",
    "catalog-webhooks": "pause",
    "grants": "suspend",
    "agreements": "suspend",
    "my-services": "change",
    "service-versions": "deprecate",
    "regulations": "end",
    "agencies": "name-focal-point",
    "systems": "change",
    "disputes": "answer",
    "tickets": "answer",
}
"""The step that stands for all in the portal's addresses `…/do/{verb}/`."""
NOBODYS = "00000000-0000-4000-8000-000000000000"
"""An identifier of no row, where an object of the kind would cost more than it shows."""
_KWARG = re.compile(r"([^/]+)/\{([a-zA-Z_0-9]+)\}")


@dataclass
class World:
    """`people` by actor name; `objects` maps the path segment before an identifier to the identifier used there."""

    people: dict
    objects: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)

    def address(self, route: str) -> str:
        """The route with its identifiers filled in. Raises KeyError for a segment this world has no object for."""
        plain = (
            route.replace("items/{level}/{item}", f"items/{self.objects['levels']}/{self.objects['items']}")
            .replace("{uidb36}-{key}", "1-set-password")
            .replace("export.{file_type}", "export.csv")
        )
        for segment, verb in VERBS.items():
            if f"/{segment}/" in plain:
                plain = plain.replace("/do/{verb}/", f"/do/{verb}/")
        return _KWARG.sub(lambda match: f"{match[1]}/{self.objects[match[1]]}", plain)


@remembered
def build() -> World:
    parties = two_parties()
    agreement = accepted(parties)
    request = forwarded(parties, title=CANARY, purpose_text=CANARY, solution=CANARY)
    people = {
        "nobody": UserFactory(username="vo"),
        "consumer": parties.consumer_officer,
        "signer": parties.consumer_signer,
        "provider": parties.provider_officer,
        "stranger": parties.stranger,
        "administrator": officer(Role.AGENCY_ADMIN, parties.consumer),
        "operator": parties.operator,
        "legal": officer(Role.LEGAL_OFFICER),
        "auditor": officer(Role.AUDITOR),
    }
    objects = {**_of_the_case(parties, agreement, request), **_of_the_platform(parties)}
    return World(people, {segment: str(value) for segment, value in objects.items()})


def _of_the_case(parties, agreement, request) -> dict:
    record = agreement.acceptances.get()
    return {
        "requests": request.uuid,
        "agreements": agreement.uuid,
        "grants": Grant.objects.get(agreement=agreement, environment=Environment.PRODUCTION).uuid,
        "credentials": parties.system.credentials.get(environment=Environment.PRODUCTION).uuid,
        "accounts": parties.system.credentials.get(environment=Environment.PRODUCTION).uuid,
        "acceptances": record.uuid,
        "test-records": record.uuid,
        "deadlines": agreement.clocks.get(step="test").uuid,
        "joining": agreement.number,
        "duties": NOBODYS,
        "planned-suspensions": NOBODYS,
        "maintenance": NOBODYS,
        "attachments": NOBODYS,
        "files": NOBODYS,
        "suspensions": NOBODYS,
        "consumer-suspensions": NOBODYS,
        "start": "renewal",
        "go": "services",
        "log": "calls",
        "disputes": raise_dispute(
            agreement, by=parties.consumer_officer, category="data", title=CANARY, description=CANARY
        ).uuid,
        "tickets": open_ticket(
            agreement, by=parties.consumer_officer, kind="wrong_data", asked_of=parties.provider, text=CANARY
        ).uuid,
        "new": "wrong_data",
        "calls": NOBODYS,
        "call-refusals": NOBODYS,
        "callintent": NOBODYS,
        "callrefusal": NOBODYS,
        "notices": NOBODYS,
        "handlers": parties.operator.uuid,
        "edit": "who",
        "do": "suspend",
    }


def _of_the_platform(parties) -> dict:
    version = parties.service.versions.get()
    regulation = parties.service.usage_regulation
    officer_membership = parties.consumer_officer.memberships.get()
    exception = CalendarException.objects.create(day="2027-01-02", is_working=True, reason="x", citation="x")
    catalog = published_catalog(by=parties.operator)
    source = CatalogSourceFactory(catalog=catalog)
    run = ClosedRunFactory(source=source)
    waiting = OutboxMessage.objects.create(channel="email", key="x", next_attempt_at=timezone.now())
    return {
        "organizations": parties.consumer.code,
        "organization": parties.consumer.code,
        "providers": parties.provider.code,
        "focalpoint": parties.consumer.focal_points.get().uuid,
        "systems": parties.system.code,
        "informationsystem": parties.system.code,
        "memberships": officer_membership.uuid,
        "membership": officer_membership.uuid,
        "roles": officer_membership.uuid,
        "people": parties.consumer_officer.uuid,
        "user": parties.consumer_officer.uuid,
        "imports": "organizations",
        "services": parties.service.code,
        "dataservice": parties.service.code,
        "my-services": parties.service.code,
        "agencies": parties.consumer.code,
        "service-versions": version.uuid,
        "serviceversion": version.uuid,
        "operations": parties.operation.uuid,
        "upstreams": "test",
        "usage-regulations": regulation.uuid,
        "usageregulation": regulation.uuid,
        "regulations": regulation.uuid,
        "purposes": parties.purpose.code,
        "purpose": parties.purpose.code,
        "legal-rules": "connection.decide",
        "legalrule": LegalRule.objects.get(code="connection.decide", effective_to=None).uuid,
        "refusalground": RefusalGround.objects.get(code="R1").uuid,
        "refusal-grounds": "R1",
        "legalbasis": LegalBasis.objects.get(code="account").uuid,
        "legal-bases": "account",
        "standardclause": StandardClause.objects.order_by("id").first().uuid,
        "calendarexception": exception.uuid,
        "catalogs": catalog.code,
        "crosswalk": CatalogFactory().code,
        "items": catalog.entries.first().code,
        "reforms": "2025-07-01",
        "levels": catalog.entries.first().level,
        "catalog-releases": catalog.releases.first().uuid,
        "catalog-webhooks": WebhookFactory(catalog=catalog, system=parties.system, added_by=parties.consumer_officer).uuid,
        "sources": source.code,
        "source": source.code,
        "runs": run.uuid,
        "syncrun": run.uuid,
        "auditevent": AuditEvent.objects.order_by("-id").first().uuid,
        "outboxmessage": waiting.uuid,
        "outbox-messages": waiting.uuid,
        "enterprise-changes": source.code,
        "feedback": Feedback.objects.create(
            service=parties.service,
            organization=parties.consumer,
            author=parties.consumer_officer,
            text="Hỏi",
            due_at=timezone.now(),
            deadline_rule=LegalRule.objects.get(code="service.feedback"),
        ).uuid,
        "default-lists": NOBODYS,
        "defaultsharelist": NOBODYS,
        "confirm-email": "x",
    }


def published_catalog(*, by):
    """A catalog everybody may read, with one published release."""
    catalog = CatalogFactory()
    published(catalog, rows(3), by=by)
    return catalog
