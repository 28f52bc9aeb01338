"""The last thirty days of recorded calls, replayed by `decision` under a policy that is not in force yet.

Answers, before somebody approves or signs: which calls would pass, which would be refused and why, which would lose
fields they get today, and which refused ones would pass. The log keeps neither paths nor parameters (only digests), so
what is replayed is the right to call: account, operation, purpose, network, hours, quota and rate, and the fields
delivered. Each call is taken at its own time of day on the present day, so that terms of validity do not stand in the way.

Calls alike in everything that is judged are counted together by the database, by the minute; a log too large for a page is
replayed over fewer days, and the answer says how many.
"""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from django.db import OperationalError, connection, transaction
from django.db.models import Count
from django.db.models.functions import TruncMinute, TruncSecond
from django.utils import timezone

from apps.agreements.models import AgreementVersion, Grant
from apps.connections.models import ConnectionRequest
from apps.gateway import proposal as proposals
from apps.gateway.decision import DAY, VIETNAM, Right, right_of
from apps.gateway.models import CallIntent, CallRefusal, FieldSet
from apps.gateway.policy import Policy
from apps.gateway.proposal import Proposal
from apps.gateway.refusals import Refused

PERIODS = (30, 7, 1)
BUDGET_MS = 6_000
JUDGED = frozenset(
    {"grant_missing", "environment_mismatch", "grant_suspended", "grant_ended", "grant_not_yet_valid", "grant_expired",
     "agreement_suspended", "agreement_not_in_force", "agreement_expired", "purpose_missing", "purpose_not_granted", "outside_hours",
     "network_not_allowed", "rate_exceeded", "quota_day_exceeded", "quota_month_exceeded"}
)  # fmt: skip
"""Refusals that another policy could turn into a passing call; the others (a wrong parameter …) stay what they are."""


@dataclass
class Line:
    """One system, operation and environment. `opened` are recorded refusals that would pass."""

    system: str
    service: str
    operation: str
    environment: str
    calls: int = 0
    passing: int = 0
    refused: int = 0
    losing: int = 0
    opened: int = 0


@dataclass
class Replay:
    """What became of the recorded calls of `days` days. `days` is 0 when they were too many to be looked at here."""

    days: int
    lines: list[Line] = field(default_factory=list)
    reasons: Counter = field(default_factory=Counter)
    lost: Counter = field(default_factory=Counter)
    opened: Counter = field(default_factory=Counter)

    def total(self, name: str) -> int:
        return sum(getattr(line, name) for line in self.lines)

    @property
    def calls(self) -> int:
        return self.total("calls")


@dataclass(frozen=True)
class _Group:
    """Calls of one minute that are judged alike."""

    system: int
    operation: int
    environment: str
    purpose: str
    source: str
    delivered: int | None
    minute: datetime.datetime
    count: int
    code: str = ""

    @property
    def key(self) -> tuple[int, int, str]:
        return self.system, self.operation, self.environment


def replay_request(request: ConnectionRequest, user, *, budget_ms: int = BUDGET_MS) -> Replay:
    """As if `request` were approved and tested. Only calls that `user` may see."""
    return replay(proposals.of_request(request), user, budget_ms=budget_ms)


def replay_version(version: AgreementVersion, user, *, budget_ms: int = BUDGET_MS) -> Replay:
    """As if `version` were in force and tested. Raises FactMissing when an operation of it is gone."""
    return replay(proposals.of_version(version), user, budget_ms=budget_ms)


def replay(proposal: Proposal, user, *, budget_ms: int = BUDGET_MS) -> Replay:
    present = proposals.present_grants(proposal)
    for days in PERIODS:
        try:
            with _limited(budget_ms):
                recorded, seconds = _recorded(proposal, present, user, days)
        except OperationalError:
            continue
        return _Judge(proposal, present).run(days, recorded, seconds)
    return Replay(0)


class _limited(transaction.Atomic):  # noqa: N801  (used like a function)
    """A savepoint whose statements may take no longer than `milliseconds`; OperationalError when one does."""

    def __init__(self, milliseconds: int) -> None:
        super().__init__(using=None, savepoint=True, durable=False)
        self.milliseconds = milliseconds

    def __enter__(self):
        super().__enter__()
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            (self.before,) = cursor.fetchone()
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(self.milliseconds)])

    def __exit__(self, kind, value, trace):
        if kind is None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [self.before])
        return super().__exit__(kind, value, trace)


# --- what was recorded ---------------------------------------------------------------------------


def _recorded(proposal: Proposal, present: list[Grant], user, days: int) -> tuple[list[_Group], list[dict]]:
    """Groups of calls and refusals in the order of time, and the calls a second where a rate could matter."""
    since = timezone.now() - datetime.timedelta(days=days)
    operations = [scope.operation.pk for scope in proposal.scopes]
    grants = set(Grant.objects.filter(system__in=proposal.systems, operation__in=operations).values_list("pk", flat=True))
    grants |= {grant.pk for grant in present}
    calls = CallIntent.objects.visible_to(user).between(since, None).filter(grant_id__in=grants).order_by()
    refused = CallRefusal.objects.visible_to(user).between(since, None).order_by()
    refused = refused.filter(system__in=proposal.systems, operation__in=operations, credential__isnull=False)
    found = sorted([*_calls(calls), *_refusals(refused)], key=lambda group: group.minute)
    if proposal.per_second is None:
        return found, []
    seconds = calls.values("grant__system_id", "grant__operation_id", "grant__environment", second=TruncSecond("admitted_at"))
    return found, list(seconds.annotate(n=Count("pk")).filter(n__gt=proposal.per_second))


def _calls(rows) -> Iterator[_Group]:
    names = ("grant__system_id", "grant__operation_id", "grant__environment", "grant__purpose__code", "source",
             "outcome__delivered_id")  # fmt: skip
    for *values, minute, count in rows.values_list(*names, TruncMinute("admitted_at")).annotate(n=Count("pk")):
        yield _Group(*values, minute, count)


def _refusals(rows) -> Iterator[_Group]:
    names = ("system_id", "operation_id", "credential__environment", "asked_purpose", "source", "code")
    for *values, code, minute, count in rows.values_list(*names, TruncMinute("refused_at")).annotate(n=Count("pk")):
        yield _Group(*values, None, minute, count, code)


# --- the judgement -------------------------------------------------------------------------------


class _Judge:
    """Puts the groups to `decision` one after the other, keeping the quota of each day."""

    def __init__(self, proposal: Proposal, present: list[Grant]) -> None:
        self.proposal = proposal
        self.policy, self.tokens = proposals.policy_of(proposal, present)
        self.names = _names(self.policy)
        self.used: Counter = Counter()
        self.lines: dict[tuple, Line] = {}

    def run(self, days: int, recorded: Iterable[_Group], seconds: list[dict]) -> Replay:
        self.answer = Replay(days)
        self.fields = _field_sets(recorded)
        for group in recorded:
            self._judge(group)
        for row in seconds:
            self._over_rate((row["grant__system_id"], row["grant__operation_id"], row["grant__environment"]), row["n"])
        self.answer.lines = sorted(
            self.lines.values(), key=lambda line: (line.system, line.service, line.operation, line.environment)
        )
        return self.answer

    def _line(self, key: tuple[int, int, str]) -> Line:
        if key not in self.lines:
            system, operation, environment = key
            service, name = self.names[operation]
            self.lines[key] = Line(self.policy.rows["informationsystem"][system].code, service, name, environment)
        return self.lines[key]

    def _judge(self, group: _Group) -> None:
        line = self._line(group.key)
        if not group.code:
            line.calls += group.count
        if group.code and group.code not in JUDGED:
            return
        try:
            right = right_of(self.policy, self.tokens[group.system, group.environment], group.operation, group.purpose,
                             group.source or "", _today_at(group.minute))  # fmt: skip
        except Refused as refused:
            if not group.code:
                self._refuse(line, refused.code, group.count)
            return
        passing = self._within_quota(right, group)
        if group.code:
            line.opened += passing
            self.answer.opened[group.code] += passing
            return
        line.passing += passing
        self._refuse(line, "quota_day_exceeded", group.count - passing)
        self._compare(line, right, group, passing)

    def _refuse(self, line: Line, code: str, count: int) -> None:
        if count:
            line.refused += count
            self.answer.reasons[code] += count

    def _within_quota(self, right: Right, group: _Group) -> int:
        cap = right.grant.per_day
        if cap is None:
            return group.count
        day = right.grant.id, timezone.localdate(group.minute)
        passing = max(0, min(group.count, cap - self.used[day]))
        self.used[day] += passing
        return passing

    def _over_rate(self, key: tuple[int, int, str], count: int) -> None:
        """Of `count` calls in one second those above the proposed rate would have been refused."""
        line = self._line(key)
        over = min(count - self.proposal.per_second, line.passing)
        line.passing -= over
        self._refuse(line, "rate_exceeded", over)

    def _compare(self, line: Line, right: Right, group: _Group, passing: int) -> None:
        if not passing or group.delivered is None:
            return
        route = self.policy.by_operation[group.operation]
        allowed, _withheld = route.cut_set(route.operations[group.operation], right.grant.fields)
        lost = self.fields[group.delivered] - set(allowed)
        if lost:
            line.losing += passing
            self.answer.lost.update(dict.fromkeys(lost, passing))


def _names(policy: Policy) -> dict[int, tuple[str, str]]:
    return {
        operation.id: (policy.rows["dataservice"][version.service_id].code, operation.code)
        for version in policy.rows["serviceversion"].values()
        for operation in version.operations
    }


def _field_sets(groups: Iterable[_Group]) -> dict[int, set[str]]:
    wanted = {group.delivered for group in groups} - {None}
    found = defaultdict(set)
    found.update({row.pk: set(row.names) for row in FieldSet.objects.filter(pk__in=wanted)})
    return found


def _today_at(minute: datetime.datetime) -> float:
    """The same time of day, today, by the Vietnamese clock."""
    midnight = (timezone.now().timestamp() + VIETNAM) // DAY * DAY - VIETNAM
    return midnight + (minute.timestamp() + VIETNAM) % DAY
