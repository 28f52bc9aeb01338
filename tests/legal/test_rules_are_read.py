"""Every rule that the legal officer can change is read by the code, so that none is an ornament."""

import ast
import csv
from pathlib import Path

import pytest

from apps.disputes.choices import DisputeStatus

ROOT = Path(__file__).resolve().parents[2]
CODES = sorted({row["code"] for row in csv.DictReader((ROOT / "apps/legal/data/rules.csv").open(encoding="utf-8"))})
MADE_OF_A_LEVEL = {"dispute.level_2", "dispute.level_3"}
"""`disputes.actions` puts the level that a dispute is taken to behind "dispute."."""
ORNAMENTS = {
    "catalog.brake_closed": "a catalog's own column, whose default says the same",
}
"""Rules that nothing reads yet. Whoever reads one takes it out of here; no new one comes in."""


@pytest.fixture(scope="module")
def texts() -> set[str]:
    """Every whole text in the code: what is only the beginning of one (`f"agreement.{event}"`) reads no rule."""
    files = [path for folder in ("apps", "lgsp") for path in (ROOT / folder).rglob("*.py") if "migrations" not in path.parts]
    parts = {part for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for part in _whole(node)}
    assert len(parts) > 5_000
    return parts


def _whole(node: ast.AST) -> list[str]:
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


@pytest.mark.parametrize("code", CODES)
def test_a_rule_of_the_register_is_read(code, texts):
    assert (code in texts) == (code not in MADE_OF_A_LEVEL | set(ORNAMENTS))


def test_the_levels_of_disputes_name_their_rules():
    assert 'f"dispute.{DISPUTE.step(verb).target}"' in (ROOT / "apps/disputes/actions.py").read_text(encoding="utf-8")
    assert {f"dispute.{level}" for level in DisputeStatus.values} >= MADE_OF_A_LEVEL


def test_the_lists_of_exceptions_name_rules_that_exist():
    assert set(CODES) >= MADE_OF_A_LEVEL | set(ORNAMENTS)
