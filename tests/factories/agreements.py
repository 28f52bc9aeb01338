"""Agreements, grants and accounts, made by the verbs themselves."""

from __future__ import annotations

from django.utils import timezone

from apps.agreements.actions import (
    agree_content,
    approve_request,
    claim_credential,
    confirm_acceptance,
    record_acceptance,
    sign_agreement,
)
from apps.agreements.models import AcceptanceRecord, Agreement, Credential, Grant
from apps.registry.choices import Environment, SharingForm
from tests.factories.connections import World, forwarded, world
from tests.fixtures.worlds import remembered


def special_world() -> World:
    return world(sharing_form=SharingForm.SPECIAL)


@remembered
def agreement_in_force(world: World, **changes) -> Agreement:
    """Default sharing: in force by approval, with test grants and an account to collect."""
    return approve_request(forwarded(world, **changes), by=world.provider_officer)


@remembered
def negotiating(world: World, **changes) -> Agreement:
    """Special sharing: approved, the provider's side agrees to the request's content, the consumer's not yet."""
    changes.setdefault("special_reason", "Dịch vụ mặc định không có địa chỉ trụ sở.")
    return approve_request(forwarded(world, **changes), by=world.provider_officer)


@remembered
def awaiting_signatures(world: World, **changes) -> Agreement:
    agreement = negotiating(world, **changes)
    return agree_content(agreement, by=world.consumer_officer, content_hash=agreement.current_version.content_hash)


@remembered
def signed_special(world: World, **changes) -> Agreement:
    agreement = awaiting_signatures(world, **changes)
    for signer in (world.consumer_signer, world.provider_signer):
        sign_agreement(agreement, by=signer, content_hash=agreement.current_version.content_hash)
    return agreement


def recorded(world: World, agreement: Agreement) -> AcceptanceRecord:
    return record_acceptance(
        agreement, world.system, by=world.consumer_officer, tested_on=timezone.localdate(),
        summary="10 lượt gọi thử, trả về đúng các mục tin đã đăng ký.",
    )  # fmt: skip


@remembered
def accepted(world: World, **changes) -> Agreement:
    """In force and in production: the test record is confirmed by the provider."""
    agreement = agreement_in_force(world, **changes)
    confirm_acceptance(recorded(world, agreement), by=world.provider_officer)
    return agreement


def production_grant(world: World) -> Grant:
    """An active production grant, with everything that had to happen before it."""
    return accepted(world).grants.get(environment=Environment.PRODUCTION)


def collected(world: World, environment: str = Environment.PRODUCTION) -> tuple[Credential, str]:
    """The system's account in `environment`, collected; with its plain secret."""
    credential = Credential.objects.get(system=world.system, environment=environment)
    return credential, claim_credential(credential, by=world.consumer_officer)
