"""Prints p95 of every list at a thousand and at a million rows, and their quotient."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.gateway import machine, targets
from benchmarks.gateway.targets import ROOT

ROUNDS, QUICK_ROUNDS = 20, 6
LARGE, QUICK_LARGE = 1_000_000, 50_000


def main(options: list[str]) -> int:
    quick = "--quick" in options
    rounds, large = (QUICK_ROUNDS, QUICK_LARGE) if quick else (ROUNDS, LARGE)
    with tempfile.TemporaryDirectory(prefix="lgsp-bench-") as folder, targets.database(Path(folder)) as database:
        machine.describe("lists", quick=quick)
        machine.durable(database)
        env = targets.environment(database.url, LGSP_SITE_URL="http://testserver")
        command = [sys.executable, "-m", "benchmarks.lists.pages", str(large), str(rounds)]
        done = subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True)
    return _report(json.loads(done.stdout.splitlines()[-1]), large)


def _report(found: dict, large: int) -> int:
    small, big = found["small"], found["large"]
    print(f"# lists: {large:,} requests and agreements filled in {found['filled_s']:.0f} s; milliseconds, p95 of all askings")
    for name in small:
        one, other = p95(small[name]["ms"]), p95(big[name]["ms"])
        same = small[name]["queries"] == big[name]["queries"]
        print(
            f"# {name:40} {one:8.1f} {other:8.1f} {other / one:6.2f}  queries {small[name]['queries']}{'' if same else ' → ' + str(big[name]['queries'])}"
        )
    everything = [[ms for row in rows.values() for ms in row["ms"]] for rows in (small, big)]
    print(f"list_1k_p95_ms {p95(everything[0]):.1f}")
    size = "1m" if large == LARGE else f"{large // 1000}k"
    print(f"list_{size}_p95_ms {p95(everything[1]):.1f}")
    print(f"list_{size}_vs_1k_p95 {p95(everything[1]) / p95(everything[0]):.2f}")
    return 0


def p95(values: list[float]) -> float:
    return sorted(values)[max(0, int(len(values) * 0.95 + 0.5) - 1)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
