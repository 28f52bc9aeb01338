"""Counts of durations by bucket, for the metrics: one bisection and two additions a call."""

from __future__ import annotations

from bisect import bisect_left

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 40.0)


class Histogram:
    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def lines(self, name: str) -> list[str]:
        """Prometheus text."""
        found, total = [f"# TYPE {name} histogram"], 0
        for edge, count in zip((*BUCKETS, "+Inf"), self.counts, strict=True):
            total += count
            found.append(f'{name}_bucket{{le="{edge}"}} {total}')
        return [*found, f"{name}_sum {self.sum:g}", f"{name}_count {total}"]
