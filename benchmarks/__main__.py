"""`make bench`: runs every benchmark of this package, prints `name value` lines and a table, keeps both in var/bench.json.

ARGS="gateway --quick" picks one; ARGS="--help" says what there is and starts nothing.
"""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import benchmarks
from benchmarks.results import FILE, Results


def main() -> int:
    asked = [word for word in sys.argv[1:] if not word.startswith("-")]
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    known = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.ispkg]
    if {"-h", "--help"} & set(options) or set(asked) - set(known):
        print(
            f"{__doc__.strip()}\n\nBenchmarks: {', '.join(known)}. What options one has stands at the head of benchmarks/<name>/run.py."
        )
        return int(bool(set(asked) - set(known)))
    found = [name for name in known if not asked or name in asked]
    results, failed = Results(), 0
    for name in found:
        # A process each: what its own children print is heard too.
        command = [sys.executable, "-u", "-m", f"benchmarks.{name}.run", *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                print(line, end="", flush=True)
                results.take(line.rstrip("\n"))
        failed |= process.returncode != 0
    print("\n".join(results.table()))
    results.save()
    print(f"# kept in {FILE}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
