"""The one writer of a gateway process: admissions, outcomes and refusals that wait share a statement and a commit.

A batch holds calls that ask to be admitted and outcomes of calls that are done; PostgreSQL stores both at once. Under load
that halves the commits, which are what costs (`design/gateway.md`: group commit without timers).
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from apps.gateway.admission import Waiting, admit_and_record
from apps.gateway.outcomes import Outcome, record, refuse


async def write(connection: asyncpg.Connection, items: Sequence) -> list:
    """Store a mixed batch; one result an item: a Verdict, or whether the row was stored."""
    waiting = [item for item in items if type(item) is Waiting]
    outcomes = [item for item in items if type(item) is Outcome]
    verdicts: list = []
    stored: list = []
    if waiting:
        verdicts, stored = await admit_and_record(connection, waiting, outcomes)
    elif outcomes:
        stored = await record(connection, outcomes)
    rest = [item for item in items if type(item) is not Waiting and type(item) is not Outcome]
    refused = await refuse(connection, rest) if rest else []
    results = {Waiting: iter(verdicts), Outcome: iter(stored)}
    others = iter(refused)
    return [next(results.get(type(item), others)) for item in items]
