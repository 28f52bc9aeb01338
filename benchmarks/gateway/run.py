"""Runs the parts of the bench and prints the figures (`benchmarks.gateway` says what they mean).

`make bench ARGS="gateway"` runs all parts but the last, `ARGS="gateway --rounds"` (`--rate`, `--isolation`, `--durable`, `--memory`,
`--subject`) some of them; `--subject` fills a log of 10,000,000 calls and takes some minutes, so it runs only when it is named;
`--quick` makes one short round of each: to see that it runs, not for figures. Exit 1 when a target failed its checks.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.gateway import durable_row, latency, machine, memory, rounds, subject, targets

PARTS = ("rounds", "rate", "isolation", "durable", "memory")
WHEN_NAMED = ("subject",)


def main(options: list[str]) -> int:
    quick = "--quick" in options
    asked = [part for part in PARTS + WHEN_NAMED if f"--{part}" in options] or list(PARTS)
    machine.describe("gateway", quick=quick)
    if missing := machine.missing("nginx", "wrk"):
        print(f"# {' and '.join(missing)} not found: of the gateway only what needs no server is measured")
        asked = [part for part in asked if part in ("durable", "subject")]
    failed = 0
    if {"rounds", "rate", "isolation"} & set(asked):
        with world() as (folder, database, provider, pairs), ExitStack() as stack:
            wanted = {
                "nginx": stack.enter_context(targets.proxy(folder, provider)),
                "gateway": stack.enter_context(targets.gateway(database, provider)),
            }
            if "rounds" in asked:
                wanted["drf"] = stack.enter_context(targets.baseline(database, provider, pairs))
            for name, target in wanted.items():
                targets.check(target, pairs, plain=name == "nginx")
            machine.durable(database)
            if "rounds" in asked:
                failed |= rounds.run(wanted, folder, quick=quick)
            if "rate" in asked:
                failed |= latency.rate(wanted, pairs, quick=quick)
            if "isolation" in asked:
                failed |= latency.isolation(database, provider, wanted["gateway"], pairs, quick=quick)
            failed |= accounts(database)
    if "durable" in asked:
        with durable_world() as database:
            machine.durable(database)
            failed |= durable_row.run(database, quick=quick)
            failed |= accounts(database)
    if "subject" in asked:
        with durable_world() as database:
            machine.durable(database)
            failed |= subject.run(database, quick=quick)
    if "memory" in asked:
        with world(grants=100_000) as (folder, database, provider, pairs):
            failed |= memory.run(folder, database, provider, pairs)
    machine.load("after")
    return failed


@contextmanager
def world(grants: int = 0):
    """(folder, database, provider, pairs): a world of its own in a PostgreSQL of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lgsp-bench-")))
        folder.chmod(0o755)
        database = stack.enter_context(targets.database(folder))
        provider = stack.enter_context(targets.provider(folder))
        yield folder, database, provider, targets.build_world(database, provider.url + "/api", folder, grants=grants)


@contextmanager
def durable_world():
    """The same world without a provider: nobody is called."""
    with tempfile.TemporaryDirectory(prefix="lgsp-bench-") as name, targets.database(Path(name)) as database:
        targets.build_world(database, "http://127.0.0.1:9/api", Path(name))
        yield database


def accounts(database: targets.Database) -> int:
    """Every call admitted has its outcome, none was given up as unknown."""
    counts = targets.counts(database)
    print(f"# in the log: {counts['intents']} intents, {counts['outcomes']} outcomes, {counts['unknown']} unknown")
    if counts["intents"] != counts["outcomes"] or counts["unknown"]:
        print("# FAILED: intents and outcomes differ")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
