"""Closes intents whose process ended before the record: as `unknown`, never as success, within 60 seconds.

No call may take longer than `endpoints.LONGEST_SECONDS` and no intent may be written with an id older than
`admission.OLDEST_ID_SECONDS`; so an intent that is older than `GRACE_SECONDS` and has no outcome has nobody who works on
it. The mark remembers up to which id everything is finished; a sweep looks only at what came after it. Any number of
sweepers may run: one at a time holds the mark. A process that wakes up late finds the sweeper's verdict and keeps silent.
"""

from __future__ import annotations

GRACE_SECONDS = 50
EVERY_SECONDS = 4.0

SWEEP = f"""
WITH mark AS (
    SELECT swept_until, call_id_floor(now() - interval '{GRACE_SECONDS} seconds') AS until
    FROM gateway_sweepmark FOR UPDATE SKIP LOCKED
),
closed AS (
    INSERT INTO call_outcome (call_id, recorded_at, request_bytes, provider_bytes, answer_bytes, provider_us, total_us, status,
                              outcome, code)
    SELECT i.call_id, now(), 0, 0, 0, 0, 0, 0, 'unknown', 'unknown'
    FROM call_intent i
    WHERE i.call_id >= (SELECT swept_until FROM mark) AND i.call_id < (SELECT until FROM mark)
      AND NOT EXISTS (SELECT FROM call_outcome o WHERE o.call_id = i.call_id
                      AND o.call_id >= (SELECT swept_until FROM mark) AND o.call_id < (SELECT until FROM mark))
    ON CONFLICT (call_id) DO NOTHING RETURNING 1
),
moved AS (
    UPDATE gateway_sweepmark SET swept_until = greatest(gateway_sweepmark.swept_until, mark.until), swept_at = now()
    FROM mark RETURNING 1
)
SELECT (SELECT count(*) FROM closed) AS closed, (SELECT count(*) FROM moved) AS moved
"""  # noqa: S608
"""One statement, one commit: returns how many intents were closed, and 0 in `moved` when another sweeper was at it.

The range is named for both tables: without it PostgreSQL reads a month of outcomes to find those of four seconds.
"""

UNFINISHED = f"""
WITH span AS (
    SELECT swept_until, call_id_floor(now() - interval '{GRACE_SECONDS} seconds') AS until FROM gateway_sweepmark
)
SELECT count(*), coalesce(extract(epoch FROM now() - min(i.admitted_at)), 0)::float8
FROM call_intent i
WHERE i.call_id >= (SELECT swept_until FROM span) AND i.call_id < (SELECT until FROM span)
  AND NOT EXISTS (SELECT FROM call_outcome o WHERE o.call_id = i.call_id
                  AND o.call_id >= (SELECT swept_until FROM span) AND o.call_id < (SELECT until FROM span))
"""  # noqa: S608
"""How many intents that nobody works on any more no sweeper has closed, and the age of the oldest in seconds.

Calls that still run are not looked at: under load there are a minute's worth of them, and each process knows its own.
"""
