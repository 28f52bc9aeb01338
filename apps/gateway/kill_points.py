"""Named steps of a call at which a test may end the process (`LGSP_KILL_AT=name:n`): the n-th call to get there dies there.

Outside the tests the variable is refused at start-up, and `reached` does nothing.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable

NAMES = ("decided", "admitted", "sent", "answered", "recorded", "answering")
_asked = os.environ.get("LGSP_KILL_AT", "")
if _asked and os.environ.get("LGSP_ENV") != "test":
    raise RuntimeError("LGSP_KILL_AT is for tests only")
NAME, _colon, _number = _asked.partition(":")
if NAME and NAME not in NAMES:
    raise RuntimeError(f"LGSP_KILL_AT names no step: {NAME}")
_COUNTS: Counter[str] = Counter()


def is_due(name: str) -> bool:
    """Count one more call at `name`; True for the one that is to die there."""
    if name != NAME:
        return False
    _COUNTS[name] += 1
    return _COUNTS[name] == int(_number or 1)


def _reached(name: str) -> None:
    if is_due(name):
        os.kill(os.getpid(), signal.SIGKILL)


reached: Callable[[str], object] = _reached if NAME else id
"""Where nobody is to die it is a builtin that makes nothing of the name: five frames a call less."""
