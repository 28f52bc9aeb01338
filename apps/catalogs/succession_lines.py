"""Lines of lineage as they arrive → lines for the staging table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apps.catalogs.choices import Share, SuccessionKind
from apps.catalogs.models import Catalog
from apps.catalogs.staging import CODE_LENGTH, NULL, P, escape, parse_date
from apps.core.text import clean


def read_successions(catalog: Catalog, successions: Iterable[Mapping]) -> list[str]:
    """Lines of lineage. A row is a mapping of the columns of `Succession`; `new_code` empty with kind `ended`."""
    known = {level["code"] for level in catalog.levels}
    only = next(iter(known)) if len(known) == 1 else ""
    return [_succession_line(row, known, only) for row in successions]


def _succession_line(row: Mapping, known: set[str], only: str) -> str:
    problems = []
    kind = row.get("kind") or ""
    new_code = row.get("new_code") or ""
    old_level = row.get("old_level") or only
    new_level = (row.get("new_level") or only) if new_code else ""
    shares = [row.get(key) or Share.ALL for key in ("area_share", "population_share")]
    if (
        kind not in SuccessionKind.values
        or (kind == SuccessionKind.ENDED) == bool(new_code)
        or old_level not in known
        or (new_code and new_level not in known)
        or any(share not in Share.values for share in shares)
    ):
        problems.append(P.WRONG_SHAPE)
        kind = kind if kind in SuccessionKind.values else SuccessionKind.KEPT
        shares = [share if share in Share.values else Share.NONE for share in shares]
    try:
        day = parse_date(row.get("effective_on"))
    except ValueError:
        day = None
        problems.append(P.IMPOSSIBLE_DATE)
    texts = [
        escape(clean(str(row.get(key) or "").replace("\x00", "\ufffd")))[:limit]
        for key, limit in (("old_code", CODE_LENGTH), ("legal_basis", 300), ("note", 5000))
    ]
    code = escape(clean(str(new_code)))[:CODE_LENGTH]
    return "\t".join(
        (old_level[:30], texts[0], new_level[:30], code, kind, day.isoformat() if day else NULL, texts[1], *shares, texts[2],
         f"{{{','.join(problems)}}}")
    )  # fmt: skip
