"""Services in the states a test may need. Contracts are real: the business registration API of the demonstration."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import factory
from django.utils import timezone

from apps.organizations.choices import Role
from apps.registry.choices import Environment, ServiceStatus, SharingForm, UpstreamAuth, VersionStatus
from apps.registry.contract import write_contract
from apps.registry.contract_reading import read_contract
from apps.registry.models import DataService, Operation, Purpose, ServiceVersion, Upstream, UsageRegulation
from apps.registry.terms import terms_hash
from tests.factories.base import Factory
from tests.factories.organizations import MinistryFactory, officer

BUSINESS_REGISTRATION = json.loads(
    (Path(__file__).resolve().parents[2] / "apps/registry/data/business-registration.json").read_text(encoding="utf-8")
)
ENTERPRISE = "chiTietDoanhNghiep"


def classified(contract: dict) -> dict:
    """`contract` with “not personal” where it says nothing: a test of something else need not say it of each field."""
    operations = [
        {**operation, "fields": [{"personal_data": "none", **field} for field in operation.get("fields", ())]}
        for operation in contract["operations"]
    ]
    return {**contract, "operations": operations}


class PurposeFactory(Factory):
    class Meta:
        model = Purpose

    code = factory.Sequence(lambda n: f"muc-dich-{n}")
    name = factory.Sequence(lambda n: f"Mục đích thử nghiệm {n}")


class UsageRegulationFactory(Factory):
    """A regulation with written terms that nobody has signed yet."""

    class Meta:
        model = UsageRegulation

    organization = factory.SubFactory(MinistryFactory)
    number = factory.Sequence(lambda n: f"{n}/QĐ-BTN")
    title = "Quy chế khai thác, sử dụng dữ liệu"
    issued_on = datetime.date(2026, 1, 5)
    effective_from = datetime.date(2026, 1, 15)
    log_retention_months = 12
    usage_duration = "Trong thời hạn giải quyết thủ tục"
    terms = "Chỉ dùng đúng mục đích; không chia sẻ lại; xóa khi hết thời hạn."


class SignedRegulationFactory(UsageRegulationFactory):
    """The terms are signed by a signer of the issuing organization: the standing signature of default sharing."""

    terms_hash = factory.LazyAttribute(lambda row: terms_hash(row))
    terms_signed_at = factory.LazyFunction(timezone.now)
    terms_signed_by = factory.LazyAttribute(lambda row: officer(Role.SIGNER, row.organization))


class DataServiceFactory(Factory):
    """A default-sharing service, complete but for a version."""

    class Meta:
        model = DataService
        skip_postgeneration_save = True

    code = factory.Sequence(lambda n: f"dich-vu-{n}")
    name = factory.Sequence(lambda n: f"Dịch vụ thử nghiệm {n}")
    description = "Tra cứu thông tin đăng ký doanh nghiệp."
    provider = factory.SubFactory(MinistryFactory)
    sharing_form = SharingForm.DEFAULT
    capacity_rps = 50
    daily_quota = 10_000
    usage_regulation = factory.SubFactory(SignedRegulationFactory, organization=factory.SelfAttribute("..provider"))
    contact = "Trung tâm dữ liệu, 0209 000 000"
    sla = "Sẵn sàng 99,5 %; trả lời trong 2 giây."


class DraftVersionFactory(Factory):
    """A draft 1.0 with the business registration contract (`contract=` takes another)."""

    class Meta:
        model = ServiceVersion
        skip_postgeneration_save = True

    service = factory.SubFactory(DataServiceFactory)
    major = 1
    minor = 0
    ready_at = factory.LazyFunction(timezone.now)

    @factory.post_generation
    def contract(self, create, extracted, **kwargs):
        if create:
            contract = read_contract(classified(extracted or BUSINESS_REGISTRATION))
            write_contract(self, contract)
            self.interface_spec = contract.spec
            self.save()


class UpstreamFactory(Factory):
    """Where the provider answers. Tests that call give the loopback address of their own server."""

    class Meta:
        model = Upstream

    version = factory.SubFactory(DraftVersionFactory)
    environment = Environment.PRODUCTION
    base_url = "http://127.0.0.1:8002/apiCSDLDKDN/1.0"
    auth_kind = UpstreamAuth.NONE


class PublishedVersionFactory(DraftVersionFactory):
    """A published version with upstream addresses for both environments (`base_url=` sets both)."""

    @factory.post_generation
    def base_url(self, create, extracted, **kwargs):
        address = {"base_url": extracted} if extracted else {}
        for environment in Environment.values:
            UpstreamFactory(version=self, environment=environment, **address, **kwargs)

    @classmethod
    def _after_postgeneration(cls, instance, create, results=None):
        # A published contract cannot be written to: the state comes last, as in life.
        if create and instance.status == VersionStatus.DRAFT:
            instance.status, instance.published_at = VersionStatus.PUBLISHED, timezone.now()
            instance.save()


class PublishedServiceFactory(DataServiceFactory):
    """A service with one published version: `service.versions.get()`; options: `version__contract`, `version__base_url`."""

    version = factory.RelatedFactory(PublishedVersionFactory, factory_related_name="service")


class SpecialServiceFactory(PublishedServiceFactory):
    sharing_form = SharingForm.SPECIAL


class SuspendedServiceFactory(PublishedServiceFactory):
    status = ServiceStatus.SUSPENDED


def operation_of(service: DataService, code: str = ENTERPRISE) -> Operation:
    """The operation `code` of the service's newest version."""
    return Operation.objects.filter(version__service=service, code=code).order_by("-version__major", "-version__minor")[0]


def leaf_paths(operation: Operation, *, personal: bool = True) -> list[str]:
    """The leaf paths of an operation; without personal data when asked so."""
    rows = [row for row in operation.fields.all() if row.is_leaf]
    return [row.path for row in rows if personal or row.personal_data == "none"]
