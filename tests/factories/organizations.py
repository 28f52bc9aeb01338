"""Agencies, their people, their systems."""

from __future__ import annotations

import datetime

import factory
from django.utils import timezone

from apps.organizations.choices import Network, OrganizationKind, OrganizationStatus, Role, SystemKind
from apps.organizations.models import FocalPoint, InformationSystem, Membership, Organization
from tests.factories.accounts import UserFactory
from tests.factories.base import Factory


class OrganizationFactory(Factory):
    """An active provincial department with both identifier forms and no focal point."""

    class Meta:
        model = Organization
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Sở Thử nghiệm {n}")
    short_name = factory.Sequence(lambda n: f"STN{n}")
    kind = OrganizationKind.DEPARTMENT
    code = factory.Sequence(lambda n: f"H03.T{n}")
    old_code = ""


class MinistryFactory(OrganizationFactory):
    name = factory.Sequence(lambda n: f"Bộ Thử nghiệm {n}")
    kind = OrganizationKind.MINISTRY
    code = factory.Sequence(lambda n: f"G{n % 90 + 10}.T{n}")


class ExternalOrganizationFactory(OrganizationFactory):
    name = factory.Sequence(lambda n: f"Công ty Thử nghiệm {n}")
    kind = OrganizationKind.EXTERNAL


class SuspendedOrganizationFactory(OrganizationFactory):
    status = OrganizationStatus.SUSPENDED


class FocalPointFactory(Factory):
    """The current focal point of an organization."""

    class Meta:
        model = FocalPoint

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Đầu mối {n}")
    position = "Phó Chánh Văn phòng"
    function = "Đầu mối chia sẻ dữ liệu"
    phone = "0209 000 000"
    email = factory.Sequence(lambda n: f"dau-moi-{n}@example.vn")


class ReadyOrganizationFactory(OrganizationFactory):
    """An agency that may submit and publish: it has named its focal point (WF-01)."""

    focal_point = factory.RelatedFactory(FocalPointFactory, factory_related_name="organization")


class InformationSystemFactory(Factory):
    """An active system on the government network with a security decision in force (WF-61)."""

    class Meta:
        model = InformationSystem

    organization = factory.SubFactory(OrganizationFactory)
    code = factory.Sequence(lambda n: f"he-thong-{n}")
    name = factory.Sequence(lambda n: f"Hệ thống thử nghiệm {n}")
    kind = SystemKind.ONE_STOP
    network = Network.TSLCD
    security_level = 2
    security_decision = "15/QĐ-STTTT"
    security_expires_on = factory.LazyFunction(lambda: timezone.localdate() + datetime.timedelta(days=365))


class MembershipFactory(Factory):
    """A role held today."""

    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    organization = factory.SubFactory(OrganizationFactory)
    role = Role.CONSUMER_OFFICER


class EndedMembershipFactory(MembershipFactory):
    ended_at = factory.LazyFunction(timezone.now)


def officer(role: Role | str, organization: Organization | None = None, **facts):
    """A person with one role; `facts` go to the user. Platform roles get an operating agency when none is given."""
    user = UserFactory(**facts)
    MembershipFactory(user=user, organization=organization or OrganizationFactory(), role=role)
    return user
