"""The policy: what increments make is what a full load makes; a policy that differs from the rows decides nothing."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import psycopg
import pytest
from django.utils import timezone

from apps.agreements.models import Grant
from apps.gateway import policy_rows, policy_source
from apps.gateway.decision import Call, Token, decide
from apps.gateway.group_commit import LedgerDown, connect
from apps.gateway.policy import Policy
from apps.gateway.policy_kinds import FOREVER, Unreadable
from apps.gateway.refusals import TABLE, Refused
from apps.gateway.runtime import Runtime
from tests.factories.organizations import InformationSystemFactory, OrganizationFactory
from tests.gateway.processes import database_url
from tests.gateway.world import make_credential, make_grant, make_world

pytestmark = pytest.mark.django_db(transaction=True)
NOW = 1_800_000_000.0


def run(work):
    """Run `work(connection)` on a connection of its own."""

    async def inside():
        connection = await connect(database_url())
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(inside())


@pytest.fixture
def world(transactional_db):
    return make_world("http://127.0.0.1:9/api")


CHANGES = [
    ("grant", "grant", {"status": "suspended"}),
    ("grant", "grant", {"fields": ["Data.Main.NAME"], "quota_per_day": 7}),
    ("agreement", "agreement", {"status": "suspended"}),
    ("credential", "credential", {"status": "revoked"}),
    ("system", "informationsystem", {"status": "retired"}),
    ("consumer", "organization", {"status": "suspended"}),
    ("service", "dataservice", {"status": "suspended"}),
    ("version", "serviceversion", {"status": "retired"}),
]


def test_increments_equal_a_full_load(world):
    policy = run(policy_source.load)
    for name, kind, facts in CHANGES:
        world.change(getattr(world, name), kind, **facts)
        policy, kinds = run(lambda c, p=policy: policy_source.advance(c, p))
        fresh = run(policy_source.load)
        assert kinds == {kind}
        assert (policy.epoch, policy.digest, policy.rows) == (fresh.epoch, fresh.digest, fresh.rows)
        assert policy.by_system == fresh.by_system
        assert policy.by_client == fresh.by_client
    upstream = world.version.upstreams.get()
    world.change(upstream, "upstream", base_url="http://127.0.0.1:10/x")
    policy, _kinds = run(lambda c: policy_source.advance(c, policy))
    assert policy.digest == run(policy_source.load).digest


def test_a_new_grant_brings_what_it_refers_to(world):
    policy = run(policy_source.load)
    system = InformationSystemFactory(organization=OrganizationFactory())
    _agreement, grant = make_grant(world.operation, system, world.purpose)
    credential, _secret = make_credential(system)
    world.change(grant, "grant", status="active")
    world.change(credential, "credential", status="active")
    policy, kinds = run(lambda c: policy_source.advance(c, policy))
    assert kinds == {"grant", "credential"}
    call = Call("GET", world.service.code, 1, ("companies", "0999999999"), [], world.purpose.code, "10.0.0.1")
    admission = decide(policy, Token(credential.pk, FOREVER, ""), call, NOW)
    assert admission.grant.id == grant.pk


@pytest.mark.parametrize(
    ("maker", "kind"),
    [("_grant", "grant"), ("_agreement", "agreement"), ("_credential", "credential"), ("_service", "dataservice")],
)
def test_gw_16_a_row_that_cannot_be_read_any_more_is_no_part_of_the_policy(world, monkeypatch, maker, kind):
    """Read again for whatever reason, it does not stay as it was; a full load says the same, and it comes back when it can be read."""
    name = {"dataservice": "service"}.get(kind, kind)
    other = make_world("http://127.0.0.1:9/other")
    policy, row = run(policy_source.load), getattr(world, name)
    whole = getattr(policy_rows, maker)

    def broken(record, *args, **kwargs):
        if record["id"] == row.pk:
            raise ValueError("no such value")
        return whole(record, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(policy_rows, maker, broken)
        # The change is one of the agreement where a grant is meant: the grant is read anew without being named.
        world.change(
            world.agreement if kind == "grant" else row,
            "agreement" if kind == "grant" else kind,
            status=row.status if kind != "grant" else world.agreement.status,
        )
        advanced, _kinds = run(lambda c: policy_source.advance(c, policy))
        fresh = run(policy_source.load)
        for found in (advanced, fresh):
            assert row.pk not in found.rows[kind]
            assert getattr(other, name).pk in found.rows[kind]
            assert [(r.kind, r.id) for r in found.unreadable] == [(kind, row.pk)]
            assert (told(found, world), told(found, other)) == ("not_ready", "")
        assert advanced.digest == fresh.digest
        assert run(lambda c: policy_source.verify(c, advanced)) is True
    world.change(row, kind, status=row.status)
    mended, _kinds = run(lambda c: policy_source.advance(c, advanced))
    assert (mended.digest, mended.unreadable) == (run(policy_source.load).digest, ())
    assert row.pk in mended.rows[kind]
    assert (told(policy, world), told(mended, world)) == ("", "")


def told(policy: Policy, world, purpose: str = "") -> str:
    """The code of what a call in `world` is told by `policy`; empty when it may pass."""
    call = Call("GET", world.service.code, 1, ("companies", "0999999999"), [], purpose or world.purpose.code, "10.0.0.1")
    try:
        decide(policy, Token(world.credential.pk, FOREVER, ""), call, NOW)
    except Refused as refused:
        return refused.code
    except LookupError:
        return "not_ready"  # so `Calls` says it
    return ""


@pytest.mark.parametrize(
    ("facts", "purpose", "code"),
    [
        ({}, "other", "purpose_not_granted"), ({"status": "suspended"}, "", "grant_suspended"), ({"status": "ended"}, "", "grant_ended"),
        ({"environment": "test"}, "", "environment_mismatch"), ({"networks": ["192.0.2.0/24"]}, "", "network_not_allowed"),
        ({"system": None}, "", "grant_missing"), ({}, "", ""),
    ],
)  # fmt: skip
def test_gw_16_nobody_is_denied_a_right_while_another_of_his_cannot_be_read(world, facts, purpose, code):
    """Only the row's own system and operation are told so; a right that can be read lets pass all the same."""
    if "system" in facts:
        facts = {"system": InformationSystemFactory()}
    world.change(world.grant, "grant", **facts)
    policy = run(policy_source.load)
    assert told(policy, world, purpose) == code
    for system, operation, doubt in ((world.system.pk, world.operation.pk, "not_ready"),
                                     (world.system.pk, world.operation.pk + 1, code), (world.system.pk + 1, world.operation.pk, code)):  # fmt: skip
        lost = Unreadable("grant", 1, "u", "ValueError", (system, operation))
        in_doubt = Policy(policy.epoch, policy.rows, unreadable=[lost])
        assert told(in_doubt, world, purpose) == (doubt if code else "")


def test_gw_16_an_older_version_does_not_take_the_place_of_one_that_cannot_be_read(world):
    policy = run(policy_source.load)
    version = policy.rows["serviceversion"][world.version.pk]
    assert (version.service_id, version.major) in policy.routes
    newer = Unreadable("serviceversion", version.id + 1, "u", "ValueError", (version.service_id, version.major))
    assert Policy(policy.epoch, policy.rows, unreadable=[newer]).routes == {}
    after = policy.with_changes(policy.epoch, {"serviceversion": {newer.id: None}}, [newer])
    assert after.routes == {}


def test_a_policy_that_differs_from_the_rows_is_not_verified(world):
    policy = run(policy_source.load)
    assert run(lambda c: policy_source.verify(c, policy)) is True
    type(world.grant).objects.filter(pk=world.grant.pk).update(status="ended")  # behind everybody's back: no epoch
    with pytest.raises(policy_source.PolicyNotVerified):
        run(lambda c: policy_source.verify(c, policy))


def test_a_row_written_behind_everybodys_back_is_found_at_the_next_look_and_nothing_is_read_for_nothing(world, monkeypatch):
    """Between two looks nothing was written: no rows are read. A right opened by hand, without an epoch: the next look finds it."""

    async def work():
        runtime = Runtime(database_url())
        monkeypatch.setattr(runtime, "tokens", SimpleNamespace(forget=lambda: None), raising=False)
        monkeypatch.setattr(runtime, "field_sets", SimpleNamespace(forget=lambda: None), raising=False)
        await runtime.refresh()
        for _look in range(3):
            await runtime._verify()
        assert runtime.counts["policy_verified",] == 1
        assert runtime.policy.rows["grant"][world.grant.pk].per_day is None
        async with await psycopg.AsyncConnection.connect(database_url()) as connection:
            await connection.execute("UPDATE agreements_grant SET quota_per_day = 1000000 WHERE id = %s", [world.grant.pk])
        reader = await connect(database_url())
        while await policy_source.writes(reader) == runtime._verified[1]:
            await asyncio.sleep(0.05)  # the database counts a moment after the commit
        await reader.close()
        await runtime._verify()
        assert runtime.counts["policy_not_verified",] == 1
        assert runtime.policy.rows["grant"][world.grant.pk].per_day == 1_000_000
        runtime._reader.terminate()

    asyncio.run(work())


def test_a_policy_that_was_found_false_is_not_put_back_by_a_read_that_began_before(world, monkeypatch):
    """A read that had it in hand when it was taken away, and found no newer epoch, would have published it once more."""
    began, go_on, whole = asyncio.Event(), asyncio.Event(), policy_source.advance

    async def slow_advance(reader, old):
        began.set()
        await go_on.wait()
        return await whole(reader, old)

    async def work():
        runtime = Runtime(database_url())
        monkeypatch.setattr(runtime, "tokens", SimpleNamespace(forget=lambda: None), raising=False)
        monkeypatch.setattr(runtime, "field_sets", SimpleNamespace(forget=lambda: None), raising=False)
        false = await runtime.refresh()
        async with await psycopg.AsyncConnection.connect(database_url()) as connection:
            await connection.execute("UPDATE agreements_grant SET quota_per_day = 1000000 WHERE id = %s", [world.grant.pk])
        monkeypatch.setattr(policy_source, "advance", slow_advance)
        reading = asyncio.ensure_future(runtime.refresh())
        await began.wait()
        runtime.policy = None  # as `_verify` does
        go_on.set()
        assert await reading is not false
        assert runtime.policy is not false
        assert runtime.policy.rows["grant"][world.grant.pk].per_day == 1_000_000
        runtime._reader.terminate()

    asyncio.run(work())


def test_a_database_that_is_away_is_no_row_that_cannot_be_read():
    """The operator is sent to the database, not to broken rows."""

    async def work():
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # bound and not listening: nobody else takes the port
            runtime = Runtime(f"postgresql://nobody@127.0.0.1:{nobody.getsockname()[1]}/none")
            with pytest.raises(LedgerDown):
                await runtime.refresh()
        assert (runtime.unreadable, runtime.counts["policy_unreadable",]) == ("", 0)

    asyncio.run(work())


def test_the_tables_whose_writes_are_counted_are_all_that_a_policy_is_read_from():
    source = inspect.getsource(policy_rows) + inspect.getsource(policy_source)
    read = set(re.findall(r"(?:FROM|JOIN) ((?:organizations|agreements|registry|disputes|gateway|legal)_[a-z]+)", source))
    assert read == set(policy_rows.TABLES)


def test_a_right_that_ended_long_ago_leaves_without_an_alarm(world):
    """After 90 days it is not read any more. A process that has run for so long still has it, and its policy is as good as before."""
    ended = timezone.now() - timedelta(days=89)
    world.change(world.grant, "grant", status="ended", updated_at=ended)
    policy = run(policy_source.load)
    assert world.grant.pk in policy.rows["grant"]
    type(world.grant).objects.filter(pk=world.grant.pk).update(updated_at=ended - timedelta(days=2))  # two days later
    assert world.grant.pk not in run(policy_source.load).rows["grant"]
    assert run(lambda c: policy_source.verify(c, policy)) is True


def test_a_right_that_was_opened_behind_everybodys_back_is_not_verified(world):
    world.change(world.grant, "grant", status="ended")
    policy = run(policy_source.load)
    type(world.grant).objects.filter(pk=world.grant.pk).update(status="active")
    with pytest.raises(policy_source.PolicyNotVerified):
        run(lambda c: policy_source.verify(c, policy))


def test_of_two_rights_the_one_that_holds_at_this_instant_is_used(world):
    """Two agreements for one operation and purpose: the older one's end is not the end of the right, whenever its state follows."""
    _agreement, second = make_grant(world.operation, world.system, world.purpose)

    def at(seconds):
        return datetime.fromtimestamp(NOW + seconds, UTC)

    call = Call("GET", world.service.code, 1, ("companies", "0999999999"), [], world.purpose.code, "10.0.0.1")

    def chosen(now: float) -> int:
        return decide(run(policy_source.load), Token(world.credential.pk, FOREVER, ""), call, now).grant.id

    world.change(second, "grant", valid_to=None)
    assert chosen(NOW) == world.grant.pk
    world.change(world.grant, "grant", valid_to=at(10))
    assert (chosen(NOW + 9.9), chosen(NOW + 10)) == (world.grant.pk, second.pk)
    world.change(world.grant, "grant", valid_to=None)
    world.change(world.agreement, "agreement", valid_to=at(10))
    assert (chosen(NOW + 9.9), chosen(NOW + 10)) == (world.grant.pk, second.pk)
    world.change(world.agreement, "agreement", valid_to=None)
    world.change(world.grant, "grant", valid_from=at(20))
    assert (chosen(NOW + 19.9), chosen(NOW + 20)) == (second.pk, world.grant.pk)


def test_a_remembered_right_decides_as_the_first_time(world):
    """The quick way and the full one give the same admission and the same refusals."""
    policy = run(policy_source.load)
    token = Token(world.credential.pk, NOW + 100, "")

    def ask(pol=None, now=NOW, tok=token, **facts):
        base = {"method": "GET", "service": world.service.code, "major": 1, "segments": ("companies", "0999999999"), "pairs": [],
                "purpose": world.purpose.code, "source": "10.0.0.1"}  # fmt: skip
        try:
            return decide(pol or policy, tok, Call(**{**base, **facts}), now)
        except Refused as refused:
            return refused.code

    first = ask()
    assert policy.rights
    assert ask() == first
    assert ask(segments=("companies", "1")) == "parameter_invalid"
    assert ask(pairs=[("x", "1")]) == "parameter_undeclared"
    assert ask(purpose="other") == "purpose_not_granted"
    assert ask(now=NOW + 101) == "token_expired"
    assert ask(tok=Token(world.credential.pk, NOW + 100, "", True)) == "token_expired"
    assert ask(tok=Token(world.credential.pk, NOW + 100, "ab")) == "certificate_mismatch"
    assert ask(method="POST") == "method_not_allowed"


def test_hours_networks_and_periods(world):
    import datetime

    def refused(now=NOW, source="10.0.0.1", **facts) -> str:
        world.change(world.grant, "grant", **facts)
        policy = run(policy_source.load)
        call = Call("GET", world.service.code, 1, ("companies", "0999999999"), [], world.purpose.code, source)
        try:
            decide(policy, Token(world.credential.pk, FOREVER, ""), call, now)
        except Refused as error:
            return error.code
        return ""

    def at(hour: int) -> float:
        return datetime.datetime(2027, 1, 15, hour, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=7))).timestamp()

    day = {"hours_from": datetime.time(7), "hours_to": datetime.time(17)}
    assert refused(now=at(8), **day) == ""
    assert refused(now=at(6)) == refused(now=at(17)) == "outside_hours"
    night = {"hours_from": datetime.time(22), "hours_to": datetime.time(5)}
    assert refused(now=at(23), **night) == refused(now=at(4)) == ""
    assert refused(now=at(12)) == "outside_hours"
    assert refused(hours_from=None, hours_to=None, networks=["10.0.0.0/24", "2001:db8::/64"]) == ""
    assert refused(source="10.0.1.1") == "network_not_allowed"
    assert refused(source="::ffff:10.0.0.9") == ""
    assert refused(source="nonsense") == "network_not_allowed"
    start = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)
    assert refused(networks=[], valid_from=start + datetime.timedelta(seconds=1)) == "grant_not_yet_valid"
    assert refused(valid_from=start - datetime.timedelta(days=2), valid_to=start) == "grant_expired"


def test_of_two_versions_of_an_agreement_each_rules_its_own_time_without_a_gap(world):
    """The grant of the later version stands beside the one that runs; the same policy turns over at the moment, remembered or not."""
    import datetime

    turn = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)
    later = Grant.objects.get(pk=world.grant.pk)
    later.pk, later.uuid, later.is_planned, later.valid_from, later.fields = (
        None,
        uuid.uuid4(),
        True,
        turn,
        world.grant.fields[:1],
    )
    later.save()
    world.change(world.grant, "grant", valid_to=turn)
    policy = run(policy_source.load)
    call = Call("GET", world.service.code, 1, ("companies", "0999999999"), [], world.purpose.code, "10.0.0.1")
    token = Token(world.credential.pk, FOREVER, "")
    for _turn in range(2):
        before = decide(policy, token, call, NOW - 0.001)
        assert (before.grant.id, before.not_after) == (world.grant.pk, NOW)
        after = decide(policy, token, call, NOW)
        assert (after.grant.id, after.not_before) == (later.pk, NOW)


def test_every_cause_has_its_own_code_clause_and_next_step():
    assert len(TABLE) >= 40
    for code, row in TABLE.items():
        assert row.code == code
        assert 400 <= row.status < 600
        assert str(row.title)
        assert str(row.next_step)


def test_an_announced_suspension_is_answered_503_until_its_end(world):
    """WF-40: closed and opened at the announced instants, whenever the state follows; told apart from a suspension for a cause."""
    import datetime

    from apps.agreements.models import PlannedSuspension
    from tests.factories.accounts import UserFactory

    def moment(seconds):
        return datetime.datetime.fromtimestamp(NOW + seconds, datetime.timezone.utc)

    planned = PlannedSuspension.objects.create(
        agreement=world.agreement, starts_at=moment(100), ends_at=moment(3700), reason="Nâng cấp", announced_by=UserFactory()
    )
    call = Call("GET", world.service.code, 1, ("companies", "0999999999"), [], world.purpose.code, "10.0.0.1")

    def ask(now: float, **facts):
        world.change(world.agreement, "agreement", **facts)
        policy = run(policy_source.load)
        try:
            return decide(policy, Token(world.credential.pk, FOREVER, ""), call, now)
        except Refused as refused:
            return refused

    assert ask(NOW).not_after == NOW + 100
    refused = ask(NOW + 100)
    assert (refused.code, refused.row.status, refused.facts["retry_after"]) == ("maintenance", 503, 3600)
    assert refused.facts["until"] == moment(3700).isoformat(timespec="seconds")
    assert ask(NOW + 3700).not_before == NOW + 3700
    begun = {"status": "suspended", "suspension_kind": "planned"}
    assert ask(NOW + 200, **begun).code == "maintenance"
    assert ask(NOW + 3701, **begun).facts["retry_after"] == 30  # its end is due, the state has not followed yet
    assert ask(NOW + 200, suspension_kind="violation").code == "agreement_suspended"
    PlannedSuspension.objects.filter(pk=planned.pk).update(cancelled_at=moment(0))
    assert ask(NOW + 200, status="in_force", suspension_kind="").not_after == FOREVER


def test_announced_maintenance_of_a_service_is_answered_503_until_its_end(world):
    """For every agreement on the service, by the rows alone: opened again at the announced end, whatever the clock's task does."""
    import datetime

    from apps.disputes.models import Maintenance
    from tests.factories.accounts import UserFactory

    def moment(seconds):
        return datetime.datetime.fromtimestamp(NOW + seconds, datetime.timezone.utc)

    row = Maintenance.objects.create(
        service=world.service, starts_at=moment(100), ends_at=moment(3700), reason="Nâng cấp", announced_by=UserFactory()
    )
    call = Call("GET", world.service.code, 1, ("companies", "0999999999"), [], world.purpose.code, "10.0.0.1")
    old = run(policy_source.load)

    def ask(policy, now: float):
        try:
            return decide(policy, Token(world.credential.pk, FOREVER, ""), call, now)
        except Refused as refused:
            return refused

    assert (ask(old, NOW).not_after, ask(old, NOW + 99.9).not_after) == (NOW + 100, NOW + 100)
    refused = ask(old, NOW + 100)
    assert (refused.code, refused.row.status, refused.facts["retry_after"]) == ("service_maintenance", 503, 3600)
    assert refused.facts["until"] == moment(3700).isoformat(timespec="seconds")
    assert ask(old, NOW + 3699.5).facts["retry_after"] == 1
    assert ask(old, NOW + 3700).not_before == NOW + 3700
    Maintenance.objects.filter(pk=row.pk).update(cancelled_at=moment(200))
    with_epoch = world.change(world.service, "dataservice", status="active")
    new = run(lambda connection: policy_source.advance(connection, old))[0]
    assert (new.epoch, ask(new, NOW + 200).not_after) == (with_epoch, FOREVER)
    assert new.digest == run(policy_source.load).digest


def test_a_hundred_thousand_rows_are_read_in_pieces_and_verified_without_being_kept(world, monkeypatch):
    """A load and a look at every row are many short steps for the event loop, and agree with the sum of all rows."""
    from apps.gateway.policy import Policy

    monkeypatch.setattr(policy_source, "CHUNK", 1)
    system = InformationSystemFactory(organization=OrganizationFactory())
    for _n in range(3):
        make_grant(world.operation, system, world.purpose)
    policy = run(policy_source.load)
    assert len(policy.rows["grant"]) == 4
    assert policy.digest == Policy(policy.epoch, policy.rows).digest
    assert run(lambda c: policy_source.verify(c, policy)) is True
