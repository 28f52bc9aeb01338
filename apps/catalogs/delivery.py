"""Sending one message of a webhook: the outbox's sender for the channel `catalog-webhook`."""

from __future__ import annotations

from django.db.models import Q
from django.utils import timezone

from apps.catalogs import webhooks
from apps.catalogs.choices import WebhookStatus
from apps.catalogs.models import Webhook
from apps.core.errors import TransitionNotAllowed
from apps.core.outbound import OutboundError
from apps.notices import webhooks as signed
from apps.notices.models import OutboxMessage
from apps.notices.outbox import MOST_ATTEMPTS, Undeliverable
from apps.organizations.choices import OrganizationStatus, SystemStatus


def send(message: OutboxMessage) -> None:
    """POST the message, signed. Raises OutboundError (to be tried again) or Undeliverable (nobody to send to)."""
    webhook = _receiver(message)
    _reach_back(message, webhook)
    try:
        signed.post(webhook.url, message.payload["event"], message=message, secrets=_secrets(webhook))
    except OutboundError as error:
        gone = error.extra.get("upstream_status") == 410
        if gone or message.attempts >= MOST_ATTEMPTS:
            _give_up(webhook, error)
            raise Undeliverable(error.code) from error
        raise
    _told(webhook, message.payload["event"]["data"].get("release"))


def _receiver(message: OutboxMessage) -> Webhook:
    rows = Webhook.objects.select_related("catalog", "system__organization")
    webhook = rows.get(uuid=message.payload["webhook"])
    if webhook.status != WebhookStatus.ACTIVE:
        raise Undeliverable(webhook.status)
    if webhook.system.status != SystemStatus.ACTIVE or webhook.system.organization.status != OrganizationStatus.ACTIVE:
        raise Undeliverable("the system or its agency is not active")
    return webhook


def _reach_back(message: OutboxMessage, webhook: Webhook) -> None:
    """Let the message begin where the receiver stands: earlier ones may have been dropped (its agency was suspended)."""
    data, told = message.payload["event"]["data"], webhook.told_release or 0
    if "since" in data and told < data["since"]:
        data |= webhooks.since_facts(webhook, told)
        OutboxMessage.objects.filter(pk=message.pk).update(payload=message.payload)


def _secrets(webhook: Webhook) -> list[str]:
    """The secret, and the one before it while both are good."""
    both = webhook.old_secret and webhook.old_secret_until and webhook.old_secret_until > timezone.now()
    return [webhook.secret, webhook.old_secret] if both else [webhook.secret]


def _give_up(webhook: Webhook, error: OutboundError) -> None:
    try:
        webhooks.give_up(webhook, error.code)
    except TransitionNotAllowed:
        return  # somebody paused or ended it meanwhile


def _told(webhook: Webhook, release: int | None) -> None:
    if release is not None:
        rows = Webhook.objects.filter(Q(told_release__isnull=True) | Q(told_release__lt=release), pk=webhook.pk)
        rows.update(told_release=release, told_at=timezone.now())
