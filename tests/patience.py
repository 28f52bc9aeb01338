"""Waiting for what must come, without a guess of how fast the machine is: only a test that fails waits long."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], why: object = "", *, seconds: float = 120.0, every: float = 0.05) -> T:
    """The first true value of `condition`. Raises AssertionError with `why` (called when it can be) after `seconds`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds} s in vain: {why() if callable(why) else why}"
        time.sleep(every)
    return value
