"""A table of codes between two days, packed: most codes are their own heir. Written by `actions`, read with the policy."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import lru_cache

import orjson

Entries = dict[str, str | tuple[str, ...]]
"""Code → its one heir, or the candidates (none: ended). A code that is not there is unknown."""


def pack(answers: Iterable[tuple[str, str, list[str]]]) -> bytes:
    """(code, result, heirs) of every code of the first day, as bytes that are equal for equal tables."""
    table: dict[str, dict] = {"same": {}, "exact": {}, "many": {}}
    for code, result, heirs in sorted(answers):
        if result == "exact":
            table["same" if heirs == [code] else "exact"][code] = heirs[0]
        elif result in ("many", "ended"):
            table["many"][code] = heirs
    small = {**table, "same": list(table["same"])}
    return zlib.compress(orjson.dumps(small), 9)


@lru_cache(maxsize=64)
def unpack(content: bytes) -> Entries:
    table = orjson.loads(zlib.decompress(content))
    return (
        {code: code for code in table["same"]} | table["exact"] | {code: tuple(heirs) for code, heirs in table["many"].items()}
    )
