"""A consumer and a provider with their people, and requests in every state, made by the verbs themselves."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from django.utils import timezone

from apps.accounts.models import User
from apps.connections.actions import (
    draft_request,
    forward_request,
    refuse_request,
    return_request,
    save_draft,
    sign_request,
    submit_request,
    withdraw_request,
)
from apps.connections.alternatives import near
from apps.connections.choices import RequestStatus
from apps.connections.models import ConnectionRequest
from apps.legal.models import RefusalGround
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem, Organization
from apps.registry.models import DataService, Operation, Purpose
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer
from tests.factories.registry import PublishedServiceFactory, PurposeFactory, leaf_paths, operation_of
from tests.fixtures.worlds import remembered


@dataclass
class World:
    """Two agencies, one service, and the people who act. All names are roles: `world.consumer_officer`."""

    consumer: Organization
    provider: Organization
    system: InformationSystem
    service: DataService
    operation: Operation
    purpose: Purpose
    consumer_officer: User
    consumer_signer: User
    provider_officer: User
    provider_signer: User
    operator: User
    stranger: User
    """A consumer and provider officer and signer of an agency that has nothing to do with the case."""

    def fields(self, count: int = 3) -> list[str]:
        """The first leaves without personal data that are not part of the envelope."""
        plain = leaf_paths(self.operation, personal=False)
        envelope = set(self.operation.fields.filter(is_envelope=True).values_list("path", flat=True))
        return [path for path in plain if path not in envelope][:count]

    def content(self, **changes) -> dict:
        """Everything a complete request needs."""
        return {
            "title": "Tra cứu đăng ký doanh nghiệp",
            "systems": [self.system],
            "scope": {self.operation: self.fields()},
            "purpose": self.purpose,
            "purpose_text": "Kiểm tra thông tin doanh nghiệp khi tiếp nhận hồ sơ.",
            "solution": "Hiển thị cho công chức một cửa, không lưu lại.",
            "legal_basis": "Nghị định 47/2020/NĐ-CP\nNghị định 61/2018/NĐ-CP",
            "procedures": ["2.001610"],
            "calls_per_day": 500,
            "calls_per_second": 5,
            "wanted_to": timezone.localdate() + datetime.timedelta(days=365),
            "technician": "Nguyễn Văn Kỹ, 0209 111 222",
            **changes,
        }


@remembered
def world(**service) -> World:
    """A fresh world; `service` goes to the service's factory (e.g. `sharing_form`)."""
    service = PublishedServiceFactory(**service)
    consumer, provider = ReadyOrganizationFactory(), service.provider
    stranger = officer(Role.CONSUMER_OFFICER)
    for role in (Role.PROVIDER_OFFICER, Role.SIGNER):
        stranger.memberships.create(organization=stranger.memberships.get(role=Role.CONSUMER_OFFICER).organization, role=role)
    return World(
        consumer=consumer, provider=provider, system=InformationSystemFactory(organization=consumer), service=service,
        operation=operation_of(service), purpose=PurposeFactory(),
        consumer_officer=officer(Role.CONSUMER_OFFICER, consumer), consumer_signer=officer(Role.SIGNER, consumer),
        provider_officer=officer(Role.PROVIDER_OFFICER, provider), provider_signer=officer(Role.SIGNER, provider),
        operator=officer(Role.OPERATOR), stranger=stranger,
    )  # fmt: skip


@remembered
def complete_draft(world: World, **changes) -> ConnectionRequest:
    return draft_request(world.consumer, by=world.consumer_officer, **world.content(**changes))


def considered(request: ConnectionRequest, world: World) -> ConnectionRequest:
    """For special sharing: the default services that come near were looked at (WF-33)."""
    codes = [row.service.code for row in near(request)]
    return save_draft(request, by=world.consumer_officer, alternatives=codes) if codes else request


@remembered
def signed_draft(world: World, **changes) -> ConnectionRequest:
    request = considered(complete_draft(world, **changes), world)
    sign_request(request, by=world.consumer_signer)
    return request


@remembered
def submitted(world: World, **changes) -> ConnectionRequest:
    return submit_request(signed_draft(world, **changes), by=world.consumer_officer)


@remembered
def forwarded(world: World, **changes) -> ConnectionRequest:
    return forward_request(submitted(world, **changes), by=world.operator)


def returned(world: World, **changes) -> ConnectionRequest:
    remarks = [("purpose_text", "Nêu rõ thủ tục nào.")]
    return return_request(submitted(world, **changes), by=world.operator, remarks=remarks)


def refused(world: World, **changes) -> ConnectionRequest:
    ground = RefusalGround.objects.get(code="R3")
    return refuse_request(
        forwarded(world, **changes), by=world.provider_officer, ground=ground, reason="Không thuộc chức năng.",
        citation="NĐ 47/2020/NĐ-CP Điều 52(1)(a)",
    )  # fmt: skip


def withdrawn(world: World, **changes) -> ConnectionRequest:
    return withdraw_request(complete_draft(world, **changes), by=world.consumer_officer)


def change(request: ConnectionRequest, world: World, **content) -> ConnectionRequest:
    return save_draft(request, by=world.consumer_officer, **content)


IN_STATE = {
    RequestStatus.DRAFT: complete_draft,
    RequestStatus.CHECKING: submitted,
    RequestStatus.RETURNED: returned,
    RequestStatus.AWAITING_PROVIDER: forwarded,
    RequestStatus.REFUSED: refused,
    RequestStatus.WITHDRAWN: withdrawn,
}
"""Status → how to come to it by verbs. `approved` is in `tests.factories.agreements`."""
