"""The descriptors of this process: a connection, to a consumer or to a provider, is one each.

Linux closes the door at the soft limit, which systemd and most shells set to 1,024 and which a process may raise itself.
"""

from __future__ import annotations

import errno
import os
import resource
from contextlib import suppress

MOST = 65_536
"""A process is not given more than this, though the hard limit of a container may be a thousand million."""
OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What `connect` fails with when this machine has no more to give, whoever is at the other end."""


def raise_limit() -> None:
    """The soft limit up to the hard one, or to `MOST`; never down."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def used() -> tuple[int, int]:
    """(open, allowed); (0, 0) where it cannot be told. To count them takes one: when none is left, all are open."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        return len(os.listdir("/proc/self/fd")), allowed
    except OSError as error:
        return (allowed, allowed) if error.errno in OURS else (0, 0)


def is_ours(error: OSError) -> bool:
    """Whether a connection could not be made because this process has nothing left to make it with."""
    return error.errno in OURS or none_left()


def none_left() -> bool:
    """Asked after a failure whose reason says nothing: a name that is not found, because there was no socket to ask by."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in OURS
    return False
