"""Named steps at which a test may have a real process die (`kill -9`) or hang for ever, to see what is left behind.

`LGSP_KILL_AT=<name>:<n>` kills this process when it reaches `<name>` for the n-th time; `LGSP_HANG_AT=<name>` keeps it there,
deaf to every exception, as a loop without end would. Settings refuse both unless LGSP_ENV=test; without them `reach` does
nothing.
"""

from __future__ import annotations

import os
import signal
import time

from django.conf import settings

_reached: dict[str, int] = {}


def reach(name: str) -> None:
    """Die or hang here when the test asked for it."""
    if name == settings.HANG_AT:
        _hang()
    if not settings.KILL_AT:
        return
    wanted, _colon, times = settings.KILL_AT.partition(":")
    if name != wanted:
        return
    _reached[name] = _reached.get(name, 0) + 1
    if _reached[name] == int(times or 1):
        os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> None:
    while True:
        try:
            time.sleep(60)
        except Exception:  # noqa: S112  # a hung task hears no soft time limit; only the hard one ends it
            continue
