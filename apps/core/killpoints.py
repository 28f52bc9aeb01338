"""Named steps at which a test may have a real process die (`kill -9`), to see what is left behind.

`LGSP_KILL_AT=<name>:<n>` kills this process when it reaches `<name>` for the n-th time. Settings refuse the variable
unless LGSP_ENV=test; without it `reach` does nothing.
"""

from __future__ import annotations

import os
import signal

from django.conf import settings

_reached: dict[str, int] = {}


def reach(name: str) -> None:
    """Die here when the test asked for it."""
    if not settings.KILL_AT:
        return
    wanted, _colon, times = settings.KILL_AT.partition(":")
    if name != wanted:
        return
    _reached[name] = _reached.get(name, 0) + 1
    if _reached[name] == int(times or 1):
        os.kill(os.getpid(), signal.SIGKILL)
