"""A small world for calls: a provider's service with one operation, a consumer's system with a grant and an account."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from apps.agreements.choices import AgreementStatus, CredentialStatus, GrantStatus, Side, VersionState
from apps.agreements.models import Agreement, AgreementVersion, Credential, Grant, Party
from apps.agreements.secrets import hash_secret, new_secret
from apps.core.epoch import raise_epoch
from apps.organizations.models import InformationSystem, Organization
from apps.registry.models import DataService, Field, Operation, Parameter, Purpose, ServiceVersion, Upstream
from tests.factories.accounts import UserFactory
from tests.factories.organizations import InformationSystemFactory, MinistryFactory, OrganizationFactory
from tests.factories.registry import DataServiceFactory, PurposeFactory

FIELDS = {
    "Status": ("string", True), "Data": ("object", False), "Data.Main": ("object", False), "Data.Main.NAME": ("string", False),
    "Data.Main.CODE": ("string", False), "Data.Main.PHONE": ("string", False), "Data.Items": ("array", False),
    "Data.Items[].CODE": ("string", False), "Data.Items[].NAME": ("string", False),
}  # fmt: skip
GRANTED = ["Data.Main.NAME", "Data.Items[].CODE"]
WITHHELD = {"Data.Main.CODE", "Data.Main.PHONE", "Data.Items[].NAME"}
ANSWER = {
    "Status": "1",
    "Data": {
        "Main": {"NAME": "CÔNG TY MẪU", "CODE": "0999999999", "PHONE": "0209"},
        "Items": [{"CODE": "6201", "NAME": "Lập trình"}, {"CODE": "6202", "NAME": "Tư vấn"}],
    },
    "Undeclared": "canary-undeclared",
}
CUT = {"Status": "1", "Data": {"Main": {"NAME": "CÔNG TY MẪU"}, "Items": [{"CODE": "6201"}, {"CODE": "6202"}]}}


@dataclass
class World:
    service: DataService
    version: ServiceVersion
    operation: Operation
    consumer: Organization
    system: InformationSystem
    purpose: Purpose
    agreement: Agreement
    grant: Grant
    credential: Credential
    secret: str

    @property
    def path(self) -> str:
        return f"/gw/{self.service.code}/v1/companies/0999999999"

    def change(self, obj, kind: str, **facts) -> int:
        """Write facts and raise the epoch in one transaction, as every verb does; returns the epoch."""
        with transaction.atomic():
            type(obj).objects.filter(pk=obj.pk).update(**facts)
            for name, value in facts.items():
                setattr(obj, name, value)
            return raise_epoch(kind, obj.uuid)


def make_service(base_url: str, *, environment: str = "production", **facts) -> tuple[DataService, ServiceVersion, Operation]:
    service = DataServiceFactory(provider=MinistryFactory(), **facts)
    version = ServiceVersion.objects.create(service=service, major=1, status="draft")
    operation = Operation.objects.create(
        version=version, code="company", name="Tra cứu", method="GET", path_template="/companies/{code}"
    )
    Parameter.objects.create(
        operation=operation, name="code", location="path", required=True, pattern="[0-9]{10}", is_subject=True
    )
    Parameter.objects.create(operation=operation, name="from_date", location="query", max_length=10)
    for position, (path, (kind, envelope)) in enumerate(FIELDS.items()):
        Field.objects.create(
            operation=operation, path=path, name=path.rsplit(".", 1)[-1], type=kind, is_envelope=envelope, position=position
        )
    search = Operation.objects.create(version=version, code="search", name="Tìm", method="POST", path_template="/search")
    Field.objects.create(operation=search, path="Status", name="Status", is_envelope=True)
    # Generous: only a test of the deadline sets it so short that a slow machine could meet it.
    Upstream.objects.create(
        version=version, environment=environment, base_url=base_url, timeout_ms=30_000, max_response_bytes=200_000
    )
    ServiceVersion.objects.filter(pk=version.pk).update(status="published", published_at=timezone.now())
    version.refresh_from_db()
    return service, version, operation


def make_grant(operation: Operation, system: InformationSystem, purpose: Purpose, **facts) -> tuple[Agreement, Grant]:
    now = timezone.now()
    number = uuid.uuid4().hex[:12]
    agreement = Agreement.objects.create(
        number=f"TT-{number}", title="Thỏa thuận thử nghiệm", sharing_form="default", status=AgreementStatus.IN_FORCE,
        valid_from=now - timedelta(days=1), in_force_at=now - timedelta(days=1),
    )  # fmt: skip
    Party.objects.create(agreement=agreement, organization=operation.version.service.provider, side=Side.PROVIDER)
    Party.objects.create(agreement=agreement, organization=system.organization, side=Side.CONSUMER)
    content = AgreementVersion.objects.create(
        agreement=agreement,
        number=1,
        state=VersionState.CURRENT,
        content={"scope": []},
        content_hash="0" * 64,
        drafted_by=UserFactory(),
    )
    defaults = {
        "environment": "production", "fields": GRANTED, "valid_from": now - timedelta(days=1), "status": GrantStatus.ACTIVE,
    }  # fmt: skip
    grant = Grant.objects.create(
        agreement=agreement, version_of=content, system=system, operation=operation, purpose=purpose, **{**defaults, **facts}
    )
    return agreement, grant


def make_credential(system: InformationSystem, environment: str = "production", **facts) -> tuple[Credential, str]:
    secret = new_secret()
    credential = Credential.objects.create(
        system=system, environment=environment, client_id=f"{system.code}-{uuid.uuid4().hex[:8]}", secret_hash=hash_secret(secret),
        status=CredentialStatus.ACTIVE, issued_by=UserFactory(), claimed_at=timezone.now(), **facts,
    )  # fmt: skip
    return credential, secret


def make_world(base_url: str, **grant_facts) -> World:
    service, version, operation = make_service(base_url)
    consumer = OrganizationFactory()
    system = InformationSystemFactory(organization=consumer)
    purpose = PurposeFactory()
    agreement, grant = make_grant(operation, system, purpose, **grant_facts)
    credential, secret = make_credential(system)
    with transaction.atomic():
        raise_epoch("world")
    return World(service, version, operation, consumer, system, purpose, agreement, grant, credential, secret)
