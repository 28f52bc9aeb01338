"""The circuit breaker of one provider's address: a provider that fails again and again gets a pause, its callers an answer at once.

Pure: instants come in as arguments (monotonic seconds). Closed until `FAILURES` calls in a row found nobody who answers;
then open for a pause in which no call is admitted; then one call tries. If that one is answered, all may pass again, else
the pause doubles. What counts is that nobody answered: an error that the provider words itself (400, 500) is an answer.
Each gateway process learns for itself; the processes' rows (`heartbeat`) show people what they learned.
"""

from __future__ import annotations

FAILURES = 5
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 60.0
COUNTED_CODES = frozenset({"provider_timeout", "provider_unreachable", "provider_tls_failed"})
"""So do connections that end before the first byte of an answer (`ProviderFailed.silent`)."""
COUNTED_STATUSES = frozenset({502, 503, 504})
"""What a proxy or a container platform says when the system behind it is gone."""


class Breaker:
    __slots__ = ("code", "failures", "pause", "since", "trying", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.code = ""
        self.pause = self.until = self.since = 0.0
        self.trying = False

    @property
    def is_open(self) -> bool:
        return self.failures >= FAILURES

    def wait(self, now: float) -> float:
        """Seconds until a call may be tried; 0.0 when one may now."""
        if self.failures < FAILURES:
            return 0.0
        if now < self.until:
            return self.until - now
        return 1.0 if self.trying else 0.0

    def begin(self) -> bool:
        """A call that `wait` let pass begins. True when it is the one that tries; it must end in one of the three below."""
        if self.failures < FAILURES:
            return False
        self.trying = True
        return True

    def answered(self) -> bool:
        """The provider answered. True when this closed the breaker."""
        if not self.failures:
            return False
        was_open, self.failures, self.trying, self.pause, self.code = self.is_open, 0, False, 0.0, ""
        return was_open

    def failed(self, code: str, now: float, *, tried: bool) -> bool:
        """Nobody answered. True when this opened the breaker, or kept it open after the one that tried.

        Calls that were on their way when it opened say nothing new.
        """
        if self.is_open and not tried:
            return False
        if not self.is_open:
            self.failures += 1
        self.code = code
        if not self.is_open:
            return False
        self.trying = False
        self.since = self.since if self.pause else now
        self.pause = min(self.pause * 2 or FIRST_PAUSE, LONGEST_PAUSE)
        self.until = now + self.pause
        return True

    def gave_up(self) -> None:
        """The one that was to try ended without a word about the provider: another may try."""
        self.trying = False
