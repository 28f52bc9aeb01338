"""The one writer of a gateway process: admissions, outcomes and refusals that wait share a statement and a commit.

A batch holds calls that ask to be admitted and outcomes of calls that are done; PostgreSQL stores both at once. Under load
that halves the commits, which are what costs (`design/gateway.md`: group commit without timers).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import compress
from operator import is_

import asyncpg

from apps.gateway.admission import Waiting, admit_and_record
from apps.gateway.outcomes import Outcome, RefusedCall, record, refuse

KINDS = (Waiting, Outcome, RefusedCall)


async def write(connection: asyncpg.Connection, items: Sequence) -> list:
    """Store a mixed batch; one result an item: a Verdict, or whether the row was stored."""
    kinds = list(map(type, items))
    waiting, outcomes, refused = [list(compress(items, map(partial(is_, kind), kinds))) for kind in KINDS]
    verdicts: Sequence = ()
    stored: Sequence = ()
    if waiting:
        verdicts, stored = await admit_and_record(connection, waiting, outcomes)
    elif outcomes:
        stored = await record(connection, outcomes)
    told = await refuse(connection, refused) if refused else ()
    results = dict(zip(KINDS, (iter(verdicts), iter(stored), iter(told)), strict=True))
    return [next(results[kind]) for kind in kinds]  # not map(next, …): it would take one too few for the end
