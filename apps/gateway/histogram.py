"""Counts of calls and of their durations by bucket, for the metrics.

A call is noted in one step and counted with many others, when somebody looks or the second is over: counting each for itself costs
as much as deciding about it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import partial

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 40.0)

_EDGES = [edge * 1e6 for edge in BUCKETS]


class Histogram:
    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def observe(self, microseconds: Sequence[int]) -> None:
        for place, count in Counter(map(partial(bisect_left, _EDGES), microseconds)).items():
            self.counts[place] += count
        self.sum += sum(microseconds) / 1e6

    def lines(self, name: str) -> list[str]:
        """Prometheus text."""
        found, total = [f"# TYPE {name} histogram"], 0
        for edge, count in zip((*BUCKETS, "+Inf"), self.counts, strict=True):
            total += count
            found.append(f'{name}_bucket{{le="{edge}"}} {total}')
        return [*found, f"{name}_sum {self.sum:g}", f"{name}_count {total}"]


class Tally:
    """Calls that ended, by service and outcome, and how long they and their providers took."""

    def __init__(self) -> None:
        self._fresh: list[tuple[str, str, int, int]] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._total, self._provider = Histogram(), Histogram()

    def note(self, service: str, outcome: str, total_us: int, provider_us: int) -> None:
        self._fresh.append((service, outcome, total_us, provider_us))

    def count(self) -> None:
        """Count what was noted since the last time."""
        fresh, self._fresh = self._fresh, []
        if not fresh:
            return
        services, outcomes, totals, providers = zip(*fresh, strict=True)
        self._counts.update(zip(services, outcomes, strict=True))
        self._total.observe(totals)
        self._provider.observe(providers)

    def calls(self) -> list[tuple[tuple[str, str], int]]:
        """((service, outcome), how many), in order."""
        self.count()
        return sorted(self._counts.items())

    def times(self) -> list[str]:
        """Prometheus text."""
        self.count()
        return self._total.lines("lgsp_gateway_seconds") + self._provider.lines("lgsp_gateway_provider_seconds")
