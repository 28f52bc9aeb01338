"""Runs one command that must not outlive whoever started it: `python lgsp/dev/child.py PARENT_PID COMMAND…`.

On Linux the kernel sends SIGTERM to the command when its parent dies, however it dies; elsewhere this is a plain exec.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the line above
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606  # our own command line, no shell


if __name__ == "__main__":
    main()
