"""A process that does one sync run, as a worker would: `python -m tests.faults.sync_worker <run uuid>`."""

import sys

import django

django.setup()

from apps.sync.walk import run_sync  # noqa: E402

if __name__ == "__main__":
    print("begins", flush=True)
    print(run_sync(sys.argv[1]))
