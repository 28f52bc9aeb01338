"""`make bench`: runs every benchmark of this package and prints `name value` lines. ARGS="gateway --quick" picks one."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks


def main() -> int:
    asked = [word for word in sys.argv[1:] if not word.startswith("-")]
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    found = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.ispkg and (not asked or m.name in asked)]
    failed = 0
    for name in found:
        failed |= importlib.import_module(f"benchmarks.{name}.run").main(options) or 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
