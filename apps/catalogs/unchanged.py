"""Which bytes a reader has, remembered by the process: a 304 of the API costs no query.

An address is remembered with the tag of its answer and the state of the catalog it was made in. Whether that state still holds is
looked up for all catalogs at once, at most once a second (as the fast reader does); a release published by this very process is
seen at once.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import time

from apps.catalogs.calendar import today
from apps.catalogs.models import Catalog

LOOK_SECONDS = 1.0
"""How long after another process published a release a reader may still be told that nothing changed."""
MOST_ADDRESSES = 20_000
FORM = 1
"""The form of answers that are tagged by what they rest on: one more when files or differences look otherwise."""


class _Memory:
    def __init__(self) -> None:
        self.looked_at = float("-inf")
        self.states: dict[str, tuple] = {}
        self.tags: dict[str, tuple[str, str, tuple]] = {}


_memory = _Memory()


def remember(address: str, tag: str, catalog: Catalog, day: dt.date) -> None:
    """`tag` is what `address` answers as long as `catalog` (as it was read for the answer) and `day` (when it was) stay."""
    if len(_memory.tags) >= MOST_ADDRESSES:
        _memory.tags.clear()
    _memory.tags[address] = (tag, catalog.code, _state(catalog, day))


def still(address: str, tags: list[str], *, has_account: bool) -> str | None:
    """The tag among `tags` that `address` would answer with now; None when that is not known without making the answer."""
    found = _memory.tags.get(address)
    if found is None or found[0] not in tags:
        return None
    tag, code, state = found
    if time.monotonic() - _memory.looked_at > LOOK_SECONDS:
        _look()
    now = _memory.states.get(code)
    return tag if now == state and (has_account or state[1]) else None


def tag_by_state(address: str, catalog: Catalog, *more: object) -> str:
    """A weak tag of a dear answer, known without making it: `address` answers the same while the catalog, the day and `more` stay."""
    rests_on = repr((FORM, address, catalog.code, *_state(catalog, today()), *more))
    return f'W/"{hashlib.sha256(rests_on.encode()).hexdigest()[:32]}"'


def forget() -> None:
    """Look again at the next question."""
    _memory.looked_at = float("-inf")


def _look() -> None:
    began, day = time.monotonic(), today()
    rows = Catalog.objects.only("code", "current", "is_public", "updated_at")
    _memory.states = {catalog.code: _state(catalog, day) for catalog in rows}
    _memory.looked_at = began


def _state(catalog: Catalog, day: dt.date) -> tuple:
    """What an answer rests on. The second of it says whether the catalog is open to everybody."""
    return catalog.current_id, catalog.is_public, catalog.updated_at, day
