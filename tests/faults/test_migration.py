"""FI-46, DL-07, as far as they can be tried before there is a release to come from.

A migration that is killed goes on where it was; and a gateway that runs serves on while the schema of the next release, which has
more than it knows, is put under it. Not tried: the code of a release before this one, because there is none yet.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys

import psycopg
import pytest
from psycopg import sql

from apps.gateway.policy_rows import TABLES
from tests.faults.gateway_checker import Client, violations
from tests.faults.own_cluster import TOKEN, environment, make_facts, own_cluster
from tests.faults.test_backup import rules
from tests.gateway.processes import ROOT, GatewayProcess
from tests.gateway.upstream import Provider
from tests.gateway.world import ANSWER
from tests.patience import until

pytestmark = pytest.mark.faults
KILLS = 12 if os.environ.get("LGSP_FULL") == "1" else 3
NOT_IN_ONE_TRANSACTION = {
    "apps/agreements/migrations/0005_acceptance_has_a_version.py": "fills what is empty, and may do so again"
}
"""Migration → why a second run from its beginning does no harm."""


def migrate(url: str, *more: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "manage.py", "migrate", "-v0", *more],
        cwd=ROOT,
        env=environment(url),
        stderr=subprocess.PIPE,
        text=True,
    )


def done(url: str) -> int:
    """Migrations that are on record."""
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT to_regclass('django_migrations')").fetchone()[0] is None:
            return 0
        return connection.execute("SELECT count(*) FROM django_migrations").fetchone()[0]


def others(url: str) -> int:
    """Sessions in the database beside this one: what was killed may still be working there."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()[0]


def test_fi_46_a_migration_killed_half_way_goes_on_where_it_was(tmp_path_factory):
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    with own_cluster(tmp_path_factory.mktemp("migrated")) as cluster:
        with psycopg.connect(cluster.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE whole"))
        whole = re.sub(r"/lgsp\b", "/whole", cluster.url, count=1)
        assert migrate(whole).wait(600) == 0
        all_of_them = done(whole)
        # Not among the last: those would be done before anybody has looked.
        stops = sorted(rng.sample(range(1, all_of_them * 2 // 3), KILLS))
        for stop in stops:
            process = migrate(cluster.url)
            until(
                lambda stop=stop, process=process: done(cluster.url) >= stop or process.poll() is not None,
                "nothing is migrated",
                every=0.01,
            )
            process.kill()
            process.communicate(timeout=60)
            until(lambda: others(cluster.url) == 0, "what was killed still works")
            assert stop <= done(cluster.url) < all_of_them
        process = migrate(cluster.url)
        assert process.wait(600) == 0, process.stderr.read()
        assert migrate(cluster.url, "--check").wait(600) == 0
        assert rules(cluster.url) == rules(whole)
        assert len(rules(whole)) > 1_000
    print(f"FI-46: seed {seed}, killed after {stops} of {all_of_them} migrations, the schema is that of one that was not")


def test_fi_46_every_migration_is_one_transaction_or_is_named():
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "apps").glob("*/migrations/*.py")
        if re.search(r"atomic\s*=\s*False", path.read_text())
    }
    assert found == set(NOT_IN_ONE_TRANSACTION)


def tables_of_the_gateway(url: str) -> list[str]:
    """What it reads and writes; a partitioned table stands for its partitions."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition "
            "AND (relname = ANY(%s) OR relname ~ '^(call_|gateway_|core_policy)') ORDER BY 1", [TABLES]
        )  # fmt: skip
        return [row[0] for row in rows]


def test_dl_07_a_running_gateway_serves_on_while_the_next_schema_is_put_under_it(tmp_path_factory):
    """What a release may do to tables that the one before still uses: new columns, new indexes. No call fails, none is lost."""
    provider = Provider().start()
    provider.answer("/api/companies/0999999999", ANSWER)
    allow = [f"127.0.0.1:{provider.port}"]
    with own_cluster(tmp_path_factory.mktemp("next")) as cluster:
        facts = make_facts(cluster.url, provider.url)
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Purpose-Code": facts["purpose"]}
        processes = [GatewayProcess(cluster.url, allow=allow).start()]
        client = Client([processes[0].url], facts["path"], headers)
        tables = tables_of_the_gateway(cluster.url)
        assert {"call_intent", "call_outcome", "call_refusal", "agreements_grant", "gateway_quotause", *TABLES} <= set(tables)
        try:
            client.start(pause=0.01)
            until(lambda: len(client.attempts) >= 20, "nobody is served")
            with psycopg.connect(cluster.url, autocommit=True) as connection:
                for table in tables:
                    served = len(client.attempts)
                    name = sql.Identifier(table)
                    connection.execute(sql.SQL("ALTER TABLE {} ADD COLUMN of_the_next_release integer").format(name))
                    connection.execute(
                        sql.SQL("ALTER TABLE {} ADD COLUMN with_a_default text NOT NULL DEFAULT 'x'").format(name)
                    )
                    connection.execute(sql.SQL("CREATE INDEX ON {} (of_the_next_release)").format(name))
                    until(lambda served=served: len(client.attempts) >= served + 10, f"nobody is served after {table}")
                # The policy is read anew by statements that were prepared before.
                with connection.transaction():
                    connection.execute("UPDATE agreements_grant SET quota_per_day = 1000000 WHERE id = %s", [facts["grant"]])
                    connection.execute("UPDATE core_policyepoch SET epoch = epoch + 1")
                    connection.execute(
                        "INSERT INTO core_policychange (epoch, kind, ref, at) SELECT p.epoch, 'grant', g.uuid, now() "
                        "FROM core_policyepoch p, agreements_grant g WHERE g.id = %s", [facts["grant"]]
                    )  # fmt: skip
                counted = "SELECT count(*) FROM gateway_quotause WHERE in_day > 0"
                until(lambda: connection.execute(counted).fetchone()[0], "the policy was not read anew")
            # One by one: the same code started on the new schema, as after a roll-back of the code alone.
            processes.append(GatewayProcess(cluster.url, allow=allow).start())
            assert client.once(processes[1].url).status == 200
        finally:
            client.stop()
            for process in processes:
                process.stop()
            provider.stop()
        assert {attempt.status for attempt in client.attempts} == {200}
        assert violations(cluster.url, client.attempts, [(seen.call_id, seen.at) for seen in list(provider.seen)]) == []
    print(f"DL-07: {len(tables)} tables given columns and indexes under load, {len(client.attempts)} calls, all answered")
