"""What people and the clock do beside calls: reading the log (which is itself recorded), partitions, what has expired."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.agreements.models import Credential
from apps.audit import actions as audit
from apps.core.epoch import raise_epoch
from apps.core.errors import InvalidFact
from apps.gateway import subjects, sweeper
from apps.gateway.models import AccessToken, AnonymousRefusalCount, CallIntent, GatewayProcess, IdempotencyKey
from apps.organizations.models import Organization
from apps.organizations.roles import organization_ids

MONTHS_AHEAD = 3
KEY_DAYS = 30
COUNT_DAYS = 90


@transaction.atomic
def note_reading(what: str, *, by, asked: dict, rows: int) -> None:
    """Record that `by` read the access log: which filters, how many rows (LOG-06). Never what the rows hold."""
    mine = Organization.objects.filter(pk__in=organization_ids(by))
    audit.record("call_log.read", by=by, organizations=mine, what=what, asked=asked, rows=rows)


@transaction.atomic
def search_calls_about(
    identifiers: Sequence[str],
    *,
    by,
    reason: str,
    since: datetime.datetime,
    until: datetime.datetime | None = None,
    service: str = "",
) -> tuple[list[CallIntent], bool]:
    """The calls about one person that `by` may see, newest first, and whether there are more; the reading is on record.

    For who has to answer a person (Luật 91/2025/QH15; formerly NĐ 13/2023/NĐ-CP Điều 9): the record holds the reason and a pseudonym,
    never the identifier. Raises InvalidFact when the period ends before it begins.
    """
    if until and until <= since:
        raise InvalidFact(code="period", fields={"until": [_("The end lies before the beginning.")]})
    found = subjects.calls_about(by, identifiers, since=since, until=until, service=service)
    shown = found[: subjects.MOST]
    asked = {"subject": subjects.pseudonym_for_record(identifiers), "reason": reason.strip(), "since": since.isoformat()}
    asked |= {"until": until.isoformat()} if until else {}
    note_reading("calls", by=by, asked=asked | ({"service": service} if service else {}), rows=len(shown))
    return shown, len(found) > len(shown)


@transaction.atomic
def revoke_tokens(credential: Credential, *, by) -> int:
    """Make every token of an account worthless for the very next call; the account itself stays. Returns how many."""
    count = AccessToken.objects.filter(credential=credential, revoked_at__isnull=True).update(revoked_at=timezone.now())
    raise_epoch("accesstoken", credential.uuid)
    audit.record("token.revoked", credential, by=by, organizations=[credential.system.organization], count=count)
    return count


def make_partitions() -> int:
    """Make the months ahead; safe to run at any time, any number of times. Returns how many tables were made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT gateway_make_partitions(%s)", [MONTHS_AHEAD])
        return cursor.fetchone()[0]


def sweep() -> int:
    """Close intents whose process died; the gateways do the same on their own. Returns how many were closed."""
    with connection.cursor() as cursor:
        cursor.execute(sweeper.SWEEP)
        return cursor.fetchone()[0]


@transaction.atomic
def forget_expired() -> dict[str, int]:
    """Drop tokens that expired, old idempotency keys and counts, rows of dead processes. None of them is a record of a call."""
    now = timezone.now()
    tokens, _each = AccessToken.objects.filter(expires_at__lt=now - datetime.timedelta(days=1)).delete()
    keys, _each = IdempotencyKey.objects.filter(made_at__lt=now - datetime.timedelta(days=KEY_DAYS)).delete()
    counts, _each = AnonymousRefusalCount.objects.filter(minute__lt=now - datetime.timedelta(days=COUNT_DAYS)).delete()
    processes, _each = GatewayProcess.objects.silent_since(now - datetime.timedelta(days=1)).delete()
    return {"tokens": tokens, "keys": keys, "counts": counts, "processes": processes}
