"""What a clock does to many rows: each in a transaction of its own, and one that somebody holds stops none of the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from django.db import models, transaction
from django.db.utils import OperationalError

from apps.core.errors import is_busy

log = logging.getLogger(__name__)
Row = TypeVar("Row", bound=models.Model)


def each(rows: Iterable[Row], step: Callable[[Row], int]) -> int:
    """Take `step` on each of `rows`; return the sum of what it answered: how many were done, where it answers 1 or 0."""
    return sum(take(row, step) for row in rows)


def take(row: Row, step: Callable[[Row], int]) -> int:
    """Take `step` on `row`; 0 when somebody held for too long what it needed (`core.errors.is_busy`).

    Of such a step nothing was written, so the row is due again at the next tick: rows decide what is due.
    """
    try:
        with transaction.atomic():
            return step(row)
    except OperationalError as error:
        if not is_busy(error):
            raise
        log.warning("%s %s is held by somebody: left for the next tick", row._meta.label, row.pk)
        return 0
