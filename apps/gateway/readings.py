"""Readings: what the platform itself keeps for systems (the feed of changed enterprises) is given out as a call is.

Answered by the portal's process with the gateway's own judgement and statements: `decision` on the rows of this system, one durable
row that takes the grant's quotas and holds only under the epoch that was judged by, the outcome on record before the answer, a
refusal on record before it is told. A process killed in between leaves an intent that the sweeper closes. No provider is asked,
so the outcome names no status of a provider.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from django.db import connection
from msgspec.structs import replace
from psycopg import RawCursor
from psycopg.rows import dict_row

from apps.agreements.choices import SuspensionKind
from apps.agreements.models import Grant, PlannedSuspension
from apps.core.epoch import current_epoch
from apps.core.killpoints import reach
from apps.gateway import admission, call_ids, outcomes, proposal
from apps.gateway import policy_kinds as p
from apps.gateway.choices import Outcome
from apps.gateway.decision import Admission, Caller, Right, right_of
from apps.gateway.digests import keyed_digest
from apps.gateway.models import AccessToken, FieldSet
from apps.gateway.policy import Policy
from apps.gateway.refusals import Refused
from apps.registry.choices import Environment
from apps.registry.models import Operation

TRIES = 3
"""How often a reading is judged anew because a right changed while it was judged."""


@dataclass
class Reading:
    """Who asks what from where. A grant to any of `operations` opens it; `request` is what the digest of the log stands for."""

    token: AccessToken
    operations: Sequence[Operation]
    request: str
    purpose: str = ""
    source: str = ""
    at: float = field(default_factory=lambda: _database_time())
    """The instant by the database's clock, which judges: this machine's own may be minutes off (FI-38)."""
    call_id: str = field(init=False)
    began: float = field(default_factory=time.perf_counter)
    grant: p.Grant | None = None
    operation: p.Operation | None = None

    def __post_init__(self) -> None:
        self.call_id = call_ids.make_text(int(self.at * 1000))

    @property
    def system(self):
        return self.token.credential.system


def admit(reading: Reading, allows: Callable[[Sequence[str]], bool]) -> p.Grant:
    """Let the reading pass under a grant whose fields `allows`; the grant, its quota taken by one.

    Raises Refused, which is on record then.
    """
    epoch = 0
    try:
        for _try in range(TRIES):
            epoch = current_epoch()
            right = _judge(reading)
            if not allows(right.grant.fields):
                raise Refused("feed_not_granted")
            verdict = _ask(reading, right, epoch)
            if not verdict.code:
                reach("gateway.reading_admitted")
                return right.grant
            if verdict.code not in ("moved", "time"):
                raise Refused(verdict.code)
        raise Refused("not_ready")
    except Refused as refused:
        _write_refusal(reading, refused, epoch)
        raise


def record(reading: Reading, body: bytes, delivered: Iterable[str], withheld: Iterable[str]) -> bool:
    """Put on record that `body` goes out. False when somebody else closed the call (the sweeper): then nothing may go out."""
    row = outcomes.Outcome(
        reading.call_id, _field_set(delivered), _field_set(withheld), 0, 0, len(body), 0,
        min(2_000_000_000, int((time.perf_counter() - reading.began) * 1e6)), 200, None, str(Outcome.DELIVERED), "",
        hashlib.sha256(body).digest(), None,
    )  # fmt: skip
    return _fetch(outcomes.STORE_NEW, outcomes.columns_of([row]))[0]["count"] == 1


# --- the judgement -------------------------------------------------------------------------------


def _judge(reading: Reading) -> Right:
    """What the rows of this instant give; the first refusal when none of the operations is open."""
    if reading.token.credential.environment != Environment.PRODUCTION:
        raise Refused("environment_mismatch")  # what the platform keeps is production data
    if not reading.operations:
        raise Refused("service_unknown")
    grants = _grants(reading)
    refusals: list[Refused] = []
    for operation in reading.operations:
        of_it = [grant for grant in grants if grant.operation_id == operation.pk]
        if not of_it:
            continue
        try:
            return _right(reading, of_it)
        except Refused as refused:
            refusals.append(refused)
    raise refusals[0] if refusals else Refused("grant_missing")


def _grants(reading: Reading) -> list[Grant]:
    rows = Grant.objects.filter(system=reading.system, operation__in=reading.operations, environment=Environment.PRODUCTION)
    return list(rows.select_related("agreement", "purpose", "system__organization", "operation"))


def _right(reading: Reading, grants: list[Grant]) -> Right:
    nothing = proposal.Proposal(systems=[reading.system], scopes=[], purpose="")
    policy, tokens = proposal.policy_of(nothing, grants)
    policy = Policy(0, {**policy.rows, **_with_terms(policy, grants)})
    operation = grants[0].operation
    reading.operation = policy.by_operation[operation.pk].operations[operation.pk]
    active = {grant.purpose.code for grant in grants if grant.status == "active"}
    if not reading.purpose and len(active) == 1:
        reading.purpose = active.pop()  # where there is one only, it need not be named
    token = tokens[reading.system.pk, Environment.PRODUCTION]
    right = right_of(policy, token, operation.pk, reading.purpose, reading.source, reading.at)
    reading.grant = right.grant
    return right


def _with_terms(policy: Policy, grants: list[Grant]) -> dict[str, dict]:
    """Grants and agreements with the times a preview leaves out; versions with the address that a reading does not need."""
    agreements = {grant.agreement_id: grant.agreement for grant in grants}
    planned = PlannedSuspension.objects.filter(agreement__in=agreements, ended_at__isnull=True, cancelled_at__isnull=True)
    pauses = {row.agreement_id: (row.starts_at.timestamp(), row.ends_at.timestamp()) for row in planned}
    rows = policy.rows
    return {
        "grant": {grant.pk: replace(rows["grant"][grant.pk], valid_from=grant.valid_from.timestamp()) for grant in grants},
        "agreement": {
            key: replace(
                rows["agreement"][key], valid_from=row.valid_from.timestamp() if row.valid_from else 0.0, pause=pauses.get(key),
                is_pause=key in pauses and row.suspension_kind == SuspensionKind.PLANNED,
            )
            for key, row in agreements.items()
        },
        "serviceversion": {key: replace(row, upstreams=(_NOBODY,)) for key, row in rows["serviceversion"].items()},
    }  # fmt: skip


_NOBODY = p.Upstream(
    id=0, environment=Environment.PRODUCTION, base_url="", auth_kind="none", auth_settings="", secret="", timeout_ms=0,
    max_response_bytes=0, max_concurrency=0,
)  # fmt: skip


# --- the rows ------------------------------------------------------------------------------------


def _ask(reading: Reading, right: Right, epoch: int) -> admission.Verdict:
    """The one write: intent and quota, or neither."""
    caller = Caller(
        replace(right.caller.credential, id=reading.token.credential_id), right.caller.system, right.caller.organization
    )
    right_to_call = Admission(
        caller, right.service, None, reading.operation, right.grant, right.agreement, right.upstream, "", "", "", right.not_before,
        min(right.not_after, reading.token.expires_at.timestamp()),
    )  # fmt: skip
    digest = keyed_digest(reading.request.encode())
    waiting = admission.Waiting(reading.call_id, epoch, right_to_call, digest, reading.source or None, None)
    return admission.admit_one(waiting, _fetch)


def _write_refusal(reading: Reading, refused: Refused, epoch: int) -> None:
    operation, grant = refused.operation or reading.operation, refused.grant or reading.grant
    asked = reading.operations[0] if reading.operations else None
    row = outcomes.RefusedCall(
        reading.call_id, reading.token.credential_id, reading.system.pk, asked.version.service_id if asked else None,
        operation.id if operation else asked.pk if asked else None, grant.id if grant else None, epoch, refused.row.status,
        refused.code, "GET", asked.version.service.code[:60] if asked else "", reading.purpose[:40], reading.source or None,
    )  # fmt: skip
    _run(outcomes.REFUSE, outcomes.refusal_columns([row]))


def _field_set(names: Iterable[str]) -> int | None:
    """The id under which this set of names is stored; None for none."""
    names = sorted(names)
    if not names:
        return None
    digest = hashlib.sha256("\n".join(names).encode()).digest()
    return FieldSet.objects.get_or_create(digest=digest, defaults={"names": names})[0].pk


class _Row(dict):
    """A row by name, and by a slice of its columns, as asyncpg gives it."""

    def __getitem__(self, key):
        return list(self.values())[key] if isinstance(key, slice) else super().__getitem__(key)


def _database_time() -> float:
    return _fetch("SELECT extract(epoch FROM clock_timestamp())::float8 AS now", [])[0]["now"]


def _fetch(statement: str, given: Sequence[object]) -> list[_Row]:
    """Run a statement of the gateway, whose places are numbered, on Django's connection."""
    with _cursor() as cursor, connection.wrap_database_errors:
        return [_Row(row) for row in cursor.execute(statement, given)]


def _run(statement: str, given: Sequence[object]) -> None:
    with _cursor() as cursor, connection.wrap_database_errors:
        cursor.execute(statement, given)


def _cursor() -> RawCursor:
    connection.ensure_connection()
    return RawCursor(connection.connection, row_factory=dict_row)
