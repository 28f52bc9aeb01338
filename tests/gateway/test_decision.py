"""The decision against the promise, on generated policies: what passes is granted, for as long as it says, whatever was asked before.

`holds` says in plain words when one grant lets one call pass. It shares no code with `decision`.
"""

from __future__ import annotations

import ipaddress
import random
from datetime import datetime, timedelta, timezone

from msgspec.structs import replace

from apps.gateway import policy_kinds as p
from apps.gateway.decision import Admission, Call, Token, decide
from apps.gateway.policy import Policy
from apps.gateway.refusals import Refused
from lgsp.dev.testing import share

NOW = 1_800_000_000.0
VIETNAM = timezone(timedelta(hours=7))
PURPOSES, ENVIRONMENTS = ("p1", "p2"), ("production", "test")
SOURCES = ("10.0.0.7", "10.0.1.7", "::ffff:10.0.0.9", "2001:db8::1", "nonsense")


def world(rng: random.Random) -> dict[str, dict[int, object]]:
    """A few rows of each kind, most of them as they must be for a call to pass."""

    def mostly(good, *bad):
        return good if rng.random() < 0.93 else rng.choice(bad)

    def span() -> tuple[float, float]:
        return mostly(0.0, NOW - 5, NOW + 5, NOW), mostly(p.FOREVER, NOW + 7, NOW - 7, NOW)

    def pause() -> tuple[float, float] | None:
        return mostly(None, (NOW - 9, NOW + 9), (NOW + 3, NOW + 9), (NOW - 9, NOW - 3), (NOW, NOW + 1), (NOW - 1, NOW))

    def hours() -> tuple[int, int] | None:
        return mostly(None, (0, 43_200), (43_200, 80_000), (80_000, 20_000), (20_000, 19_999), (60_000, 57_600))

    organizations = [p.Organization(n, f"o{n}", f"O{n}", mostly("active", "suspended", "merged")) for n in (1, 2, 3)]
    systems = [p.System(n, f"s{n}", f"S{n}", rng.choice((1, 2)), mostly("active", "suspended", "retired")) for n in (1, 2)]
    credentials = [
        p.Credential(n, f"c{n}", f"C{n}", rng.choice((1, 2)), rng.choice(ENVIRONMENTS), "", mostly("", "ab"), mostly("active", "revoked"),
                     mostly(p.FOREVER, NOW + 4, NOW - 4, NOW))
        for n in (1, 2, 3)
    ]  # fmt: skip
    agreements = []
    for n in (1, 2, 3):
        first, last = span()
        status = mostly("in_force", "suspended", "expired", "terminated", "negotiating")
        agreements.append(
            p.Agreement(n, f"a{n}", f"TT-{n}", status, first, last, pause(), status == "suspended" and rng.random() < 0.5)
        )
    service = p.Service(1, "d1", "svc", 3, mostly("active", "suspended", "retired"), "rest", pause())
    operations = tuple(
        p.Operation(n, f"op{n}", "GET", f"/things{n}/{{x}}", mostly("read", "update"), (), ("A",), ()) for n in (1, 2)
    )
    upstreams = tuple(
        p.Upstream(n, e, "http://x", "none", "", "", 1, 1, 1) for n, e in enumerate(ENVIRONMENTS) if rng.random() < 0.95
    )
    version = p.Version(1, "v1", 1, 1, 0, mostly("published", "deprecated", "retired", "draft"), operations, upstreams)
    grants = []
    for n in range(1, rng.randint(2, 9)):
        first, last = span()
        grants.append(
            p.Grant(n, f"g{n}", rng.choice((1, 2, 3)), rng.choice((1, 2)), rng.choice((1, 2)), rng.choice(ENVIRONMENTS), rng.choice(PURPOSES),
                    mostly("active", "suspended", "ended"), first, last, ("A",), None, None, None, hours(),
                    mostly((), ("10.0.0.0/24",), ("2001:db8::/32", "10.0.1.0/24")))
        )  # fmt: skip
    kinds = {"organization": organizations, "informationsystem": systems, "credential": credentials, "agreement": agreements,
             "dataservice": [service], "serviceversion": [version], "grant": grants}  # fmt: skip
    return {kind: {row.id: row for row in rows} for kind, rows in kinds.items()}


def within(source: str, networks: tuple[str, ...]) -> bool:
    if not networks:
        return True
    try:
        address = ipaddress.ip_address(source.removeprefix("::ffff:"))
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(text) for text in networks)


def is_hour(hours: tuple[int, int] | None, now: float) -> bool:
    if hours is None:
        return True
    local = datetime.fromtimestamp(now, VIETNAM)
    second = (local - local.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    begins, ends = hours
    return begins <= second < ends if begins < ends else second >= begins or second < ends


def is_open(pause: tuple[float, float] | None, now: float) -> bool:
    return pause is None or not pause[0] <= now < pause[1]


def holds(rows: dict, token: Token, call: Call, grant: p.Grant, now: float) -> bool:
    credential = rows["credential"][token.credential_id]
    system = rows["informationsystem"][credential.system_id]
    service, version, agreement = rows["dataservice"][1], rows["serviceversion"][1], rows["agreement"][grant.agreement_id]
    operation = next((row for row in version.operations if call.segments[0] == f"things{row.id}"), None)
    return (
        not token.revoked and now < token.expires_at and credential.status == "active" and now < credential.expires_at
        and all(bound in ("", call.certificate_hash) for bound in (token.certificate_hash, credential.certificate_hash))
        and system.status == "active" and rows["organization"][system.organization_id].status == "active"
        and (call.service, call.major) == (service.code, version.major) and version.status in ("published", "deprecated")
        and service.status == "active" and is_open(service.pause, now) and rows["organization"][service.provider_id].status == "active"
        and len(call.segments) == 2 and operation is not None and call.method == operation.method and operation.kind == "read"
        and not call.pairs
        and (grant.operation_id, grant.system_id, grant.environment) == (operation.id, system.id, credential.environment)
        and grant.purpose == call.purpose and grant.status == "active" and grant.valid_from <= now < grant.valid_to
        and agreement.status == "in_force" and agreement.valid_from <= now < agreement.valid_to and is_open(agreement.pause, now)
        and within(call.source, grant.networks) and is_hour(grant.hours, now)
        and any(row.environment == credential.environment for row in version.upstreams)
    )  # fmt: skip


def asked(rng: random.Random, rows: dict) -> tuple[Token, Call]:
    """A call that mostly asks for something one of the grants gives."""
    grant = rng.choice(list(rows["grant"].values()))
    of_it = [
        row for row in rows["credential"].values() if (row.system_id, row.environment) == (grant.system_id, grant.environment)
    ]
    credential = rng.choice(of_it or list(rows["credential"].values()))

    def rare(usual, *others):
        return usual if rng.random() < 0.95 else rng.choice(others)

    token = Token(credential.id, rare(NOW + 100, NOW, NOW - 1, NOW + 2), rare("", "ab"), rare(False, True))
    operation = rare(grant.operation_id, 1, 2, 3)
    segments = rare((f"things{operation}", "7"), (f"things{operation}",), ("things", "7"), (f"things{operation}", "7", "8"))
    return token, Call(
        rare("GET", "POST", "HEAD"), rare("svc", "other"), rare(1, 2), segments, rare([], [("y", "1")]), rare(grant.purpose, "", *PURPOSES),
        rng.choice(SOURCES), rare("", "ab"),
    )  # fmt: skip


def answer(policy: Policy, token: Token, call: Call, now: float) -> Admission | str:
    try:
        return decide(policy, token, call, now)
    except Refused as refused:
        return refused.code


def told(found: Admission | str) -> object:
    """What of an answer does not name the policy it came from."""
    if isinstance(found, str):
        return found
    return (
        found.caller,
        found.grant,
        found.agreement,
        found.upstream,
        found.path,
        found.query,
        found.not_before,
        found.not_after,
    )


def test_what_passes_is_granted_and_what_is_granted_by_all_that_could_is_not_refused():
    passed = refused = 0
    for seed in range(share(60_000, small=1_500)):
        rng = random.Random(seed)
        rows = world(rng)
        policy = Policy(1, rows)
        for _number in range(6):
            token, call = asked(rng, rows)
            found = answer(policy, token, call, NOW)
            allowed = {grant.id for grant in rows["grant"].values() if holds(rows, token, call, grant, NOW)}
            if isinstance(found, str):
                refused += 1
                rivals = {
                    grant.id for grant in rows["grant"].values()
                    if (grant.system_id, grant.purpose) == (rows["credential"][token.credential_id].system_id, call.purpose)
                    and call.segments[0] == f"things{grant.operation_id}"
                }  # fmt: skip
                assert not allowed or allowed < rivals, (seed, found)
            else:
                passed += 1
                assert found.grant.id in allowed, (seed, found)
            assert told(answer(Policy(1, rows), token, call, NOW)) == told(found), (
                seed,
                "what was asked before made a difference",
            )
    assert passed > refused / 10
    assert refused > passed / 10
    print(f"decision: {passed} calls passed, {refused} refused, as the promise says")


def test_an_admission_holds_for_every_instant_of_its_interval_and_ends_when_the_right_ends():
    looked = 0
    for seed in range(share(20_000, small=800)):
        rng = random.Random(-seed - 1)
        rows = world(rng)
        token, call = asked(rng, rows)
        found = answer(Policy(1, rows), token, call, NOW)
        if isinstance(found, str):
            continue
        first, last = max(found.not_before, NOW - 90_000), min(found.not_after, NOW + 90_000)
        near = [NOW + seconds for seconds in range(-10, 11) if first <= NOW + seconds < last]
        for now in (first, rng.uniform(first, last), last - 0.001, *near):
            looked += 1
            assert holds(rows, token, call, found.grant, now), (seed, now - NOW)
        if last == found.not_after:
            assert not holds(rows, token, call, found.grant, last), (seed, "a right that goes on was ended")
    assert looked > 300


WITHDRAWN = (
    ("organization", "suspended"), ("informationsystem", "suspended"), ("credential", "revoked"), ("agreement", "suspended"),
    ("dataservice", "suspended"), ("serviceversion", "retired"), ("grant", "suspended"), ("grant", "ended"),
)  # fmt: skip


def test_whatever_of_it_is_withdrawn_the_right_is_gone_also_from_a_policy_that_remembers():
    """Increments too: the new policy shares rows with the one that let the call pass a moment ago."""
    tried = 0
    for seed in range(share(10_000, small=500)):
        rng = random.Random(10**9 + seed)
        rows = world(rng)
        token, call = asked(rng, rows)
        policy = Policy(1, rows)
        found = answer(policy, token, call, NOW)
        if isinstance(found, str):
            continue
        rests_on = {"organization": [found.caller.organization.id, found.service.provider_id], "informationsystem": [found.caller.system.id],
                    "credential": [token.credential_id], "agreement": [found.agreement.id], "dataservice": [1], "serviceversion": [1],
                    "grant": [found.grant.id]}  # fmt: skip
        for kind, status in WITHDRAWN:
            for key in rests_on[kind]:
                tried += 1
                changed = replace(rows[kind][key], status=status)
                after = answer(policy.with_changes(2, {kind: {key: changed}}), token, call, NOW)
                whole = answer(Policy(2, {**rows, kind: {**rows[kind], key: changed}}), token, call, NOW)
                assert told(after) == told(whole), (seed, kind)
                assert isinstance(after, str) or (kind in ("grant", "agreement") and after.grant.id != found.grant.id), (
                    seed,
                    kind,
                )
    assert tried > 500
