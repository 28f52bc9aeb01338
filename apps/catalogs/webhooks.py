"""Webhooks: an agency's system is told of each release of a catalog at its own address.

The verbs of a webhook, and `announce`, which publishing calls in its own transaction: one outbox row a receiver, in the order
of releases, sent by the worker (`delivery.py`). A message names the release and where its changes are read; it carries no rows,
so that one that comes twice or late does no harm.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop as N_

from apps.accounts.models import User
from apps.audit import actions as audit
from apps.catalogs.choices import WebhookStatus
from apps.catalogs.models import Catalog, Release, Webhook
from apps.catalogs.workflow import WEBHOOK
from apps.core.egress import check_url
from apps.core.errors import Conflict, FactMissing, InvalidFact
from apps.core.workflow import require
from apps.notices import webhooks as signed
from apps.notices.actions import enqueue, notify
from apps.notices.models import OutboxMessage
from apps.organizations.choices import Role, SystemStatus
from apps.organizations.models import InformationSystem

CHANNEL = "catalog-webhook"
OVERLAP = dt.timedelta(hours=24)
"""How long a renewed secret's predecessor still signs."""
MOST_PER_SYSTEM = 50


@transaction.atomic
def add_webhook(catalog: Catalog, system: InformationSystem, url: str, *, by) -> tuple[Webhook, str]:
    """Tell `system` of each further release of `catalog` at `url`; return the webhook and its secret, shown this once.

    Raises NotPermitted, EgressRefused (the address is not on the allow-list), InvalidFact, Conflict.
    """
    require(by, "catalogs.add_webhook", system)
    check_url(url)
    if system.status != SystemStatus.ACTIVE:
        raise InvalidFact(_("The system is not active."), fields={"system": [str(_("The system is not active."))]})
    if Webhook.objects.filter(system=system).exclude(status=WebhookStatus.ENDED).count() >= MOST_PER_SYSTEM:
        raise Conflict(_("This system has too many webhooks already."))
    secret = signed.new_secret()
    current = catalog.current.number if catalog.current else None
    webhook = Webhook(catalog=catalog, system=system, url=url, secret=secret, told_release=current, added_by=by)
    try:
        with transaction.atomic():
            webhook.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(_("This address is told of this catalog already.")) from error
    _record("added", webhook, by=by, url=url, catalog=catalog.code)
    return webhook, secret


@transaction.atomic
def pause_webhook(webhook: Webhook, *, by, reason: str = "", version: int | None = None) -> Webhook:
    """Send nothing for a while. What waits is dropped: resuming tells the newest release."""
    WEBHOOK.move(webhook, "pause", by=by, version=version, status_reason=reason[:300])
    _drop_waiting(webhook)
    _record("paused", webhook, by=by, reason=reason)
    return webhook


@transaction.atomic
def resume_webhook(webhook: Webhook, *, by, version: int | None = None) -> Webhook:
    """Send again, first of all the newest release when the receiver has not heard of it."""
    WEBHOOK.move(webhook, "resume", by=by, version=version, status_reason="")
    current = Catalog.objects.select_related("current").get(pk=webhook.catalog_id).current
    if current and current.number > (webhook.told_release or 0):
        enqueue([_message(webhook, current, since=webhook.told_release or 0, suffix=f":resumed:{webhook.version}")])
    _record("resumed", webhook, by=by)
    return webhook


@transaction.atomic
def renew_webhook_secret(webhook: Webhook, *, by, version: int | None = None) -> str:
    """Make a new secret and return it, this once. Messages carry both signatures for a day."""
    secret, now = signed.new_secret(), timezone.now()
    WEBHOOK.check(webhook, "renew_secret", by=by, version=version)
    old = webhook.secret
    WEBHOOK.move(webhook, "renew_secret", by=by, secret=secret, old_secret=old, old_secret_until=now + OVERLAP)
    _record("secret_renewed", webhook, by=by)
    return secret


@transaction.atomic
def end_webhook(webhook: Webhook, *, by, reason: str = "", version: int | None = None) -> Webhook:
    """Send nothing any more."""
    WEBHOOK.move(webhook, "end", by=by, version=version, status_reason=reason[:300])
    _drop_waiting(webhook)
    _record("ended", webhook, by=by, reason=reason)
    return webhook


@transaction.atomic
def try_webhook(webhook: Webhook, *, by) -> OutboxMessage:
    """Put a trial message (type `catalog.trial`) into the receiver's line; its outcome is read among the deliveries."""
    require(by, "catalogs.pause_webhook", webhook)
    if webhook.status != WebhookStatus.ACTIVE:
        raise FactMissing(_("Resume the webhook first: nothing is sent while it is paused."))
    stamp = timezone.now()
    message = OutboxMessage(
        channel=CHANNEL, key=f"{stream_of(webhook)}:trial:{stamp.timestamp()}", stream=stream_of(webhook),
        payload={
            "webhook": str(webhook.uuid),
            "event": {"type": "catalog.trial", "timestamp": stamp.isoformat(), "data": {"catalog": webhook.catalog.code}},
        },
    )  # fmt: skip
    enqueue([message])
    _record("tried", webhook, by=by)
    return message


@transaction.atomic
def give_up(webhook: Webhook, reason: str) -> None:
    """The machine's pause, when the receiver is gone or took no attempt; the agency's officers are told."""
    machine = User.objects.machine("catalogs")
    WEBHOOK.move(webhook, "give_up", by=machine, status_reason=reason[:300])
    _drop_waiting(webhook)
    _record("given_up", webhook, by=machine, reason=reason)
    notify(
        _officers(webhook), "catalog_webhook.given_up", key=f"catalog_webhook.given_up:{webhook.uuid}:{webhook.version}",
        message=N_("“%(system)s” no longer takes the messages about “%(catalog)s”; they are paused."),
        url=f"/portal/catalog-webhooks/{webhook.uuid}/", system=webhook.system.name, catalog=webhook.catalog.name,
    )  # fmt: skip


def announce(catalog: Catalog, release: Release) -> None:
    """Put a message about `release` into the outbox for each receiver. Called while the catalog's row is held: in order."""
    rows = Webhook.objects.active().filter(catalog=catalog).select_related("catalog")
    enqueue([_message(webhook, release, since=release.number - 1) for webhook in rows])


def stream_of(webhook: Webhook) -> str:
    """The name of the receiver's line in the outbox: its messages leave in order."""
    return f"{CHANNEL}:{webhook.uuid}"


def deliveries(webhook: Webhook):
    """The receiver's messages, newest first."""
    return OutboxMessage.objects.filter(stream=stream_of(webhook)).order_by("-id")


def _message(webhook: Webhook, release: Release, *, since: int, suffix: str = "") -> OutboxMessage:
    event = {
        "type": "catalog.release.published",
        "timestamp": release.published_at.isoformat(),
        "data": {
            "catalog": webhook.catalog.code,
            "release": release.number,
            "effective_on": release.effective_on.isoformat(),
            "undoes": release.inverse_of.number if release.inverse_of else None,
            "counts": _counts(release),
            **since_facts(webhook, since),
        },
    }  # fmt: skip
    return OutboxMessage(
        channel=CHANNEL, key=f"{stream_of(webhook)}:{release.number}{suffix}", stream=stream_of(webhook),
        payload={"webhook": str(webhook.uuid), "event": event},
    )  # fmt: skip


def since_facts(webhook: Webhook, since: int) -> dict:
    """From which release on the changes are to be read, and where."""
    return {"since": since, "changes": f"{settings.SITE_URL}/api/v1/catalogs/{webhook.catalog.code}/changes?since={since}"}


def _counts(release: Release) -> dict[str, int]:
    """What the release changes; lines of a crosswalk where it has any (they are read at `crosswalk`, not among the changes)."""
    always = ("added", "closed", "renamed", "reparented", "changed", "lineage")
    sometimes = tuple(name for name in ("crosswalk_opened", "crosswalk_closed") if name in release.counts)
    return {name: release.counts.get(name, 0) for name in (*always, *sometimes)}


def _drop_waiting(webhook: Webhook) -> None:
    deliveries(webhook).drop(str(webhook.get_status_display()))


def _officers(webhook: Webhook):
    return User.objects.filter(
        is_active=True, memberships__ended_at__isnull=True, memberships__organization=webhook.system.organization_id,
        memberships__role__in=(Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER),
    ).distinct()  # fmt: skip


def _record(event: str, webhook: Webhook, *, by, **facts) -> None:
    audit.record(f"catalog_webhook.{event}", webhook, by=by, organizations=[webhook.system.organization], **facts)
