"""The figures of a run: kept as one JSON file, and printed as one table beside what they must be."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.gateway import machine

FILE = Path("var/bench.json")
GATES = {
    "gateway_1kb_c32_vs_nginx_cpu": (12, 24), "gateway_1kb_c128_vs_nginx_cpu": (16, 30), "gateway_20kb_vs_nginx_cpu": (11, 25),
    "gateway_vs_drf_cpu": (50, 100), "gateway_p99_added_ms_1000rps": (6, 3.5), "gateway_p99_beside_dead_provider_ratio": (1.2, 1.0),
    "gateway_rss_mb_100k_grants": (300, 150), "durable_32_vs_1": (12, 20), "subject_10m_calls_s": (5, 1), "catalog_item_vs_nginx_cpu": (30, 45),
    "catalog_page_vs_nginx_cpu": (30, 45), "catalog_list_vs_nginx_cpu": (50, 60), "catalog_item_vs_drf_cpu": (50, 80),
    "import_vs_bulk_create": (4, 6), "import_unchanged_vs_update": (60, 50), "translate_10k_cpu_s": (1, 0.5), "list_1m_vs_1k_p95": (None, 1.5),
}  # fmt: skip
"""Figure → what it must be and what it should be; where the second is smaller, less is better. Without a must there is an aim only."""
LESS = {"list_1m_vs_1k_p95"}
_FIGURE = re.compile(r"([a-z][a-z0-9_]*) (-?[0-9]+(?:\.[0-9]+)?)")
_SERVER = re.compile(r"# PostgreSQL (\S+): (.*)")


class Results:
    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self.said: list[str] = []
        self.facts = {"began": datetime.now(timezone.utc).isoformat(timespec="seconds"), **machine.facts()}

    def take(self, line: str) -> None:
        """A line that a benchmark printed: `name value` is a figure, `# …` what stands beside the figures."""
        if match := _FIGURE.fullmatch(line):
            self.figures[match[1]] = float(match[2])
            return
        self.said.append(line)
        if match := _SERVER.fullmatch(line):
            self.facts |= {"postgresql": match[1], "postgresql_settings": match[2]}

    def save(self, path: Path = FILE) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {**self.facts, "figures": self.figures, "said": self.said}
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")

    def table(self) -> list[str]:
        rows = [f"# {'figure':42} {'value':>9} {'must':>6} {'aim':>6}"]
        for name, value in self.figures.items():
            must, aim = GATES.get(name, (None, None))
            if aim is None:
                rows.append(f"# {name:42} {value:9g}")
                continue
            less = name in LESS if must is None else aim < must
            short = "aim missed" if must is None else "ok" if _holds(value, must, less) else "BELOW THE BAR"
            bar = " " * 6 if must is None else f"{must:6g}"
            rows.append(f"# {name:42} {value:9g} {bar} {aim:6g}  {'aim met' if _holds(value, aim, less) else short}")
        return rows


def _holds(value: float, bound: float, less: bool) -> bool:
    return value <= bound if less else value >= bound
