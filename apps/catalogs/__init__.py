"""Catalogs: shared code lists in time. One code, many dates.

This room promises:
- Two times on every entry. Valid time `[valid_from, valid_to)`: when the fact holds in the world. Record time: the
  number of the release that told us (`recorded_in`), that told us its end (`closed_in`), that corrected it
  (`superseded_in`). What was answered under release 7 can be asked again for ever: the database lets record time be
  written in the newest release only, and nothing is answered "as known at" a time that is not over.
- No two current entries of one (catalog, level, code) overlap in valid time, whoever writes (a database trigger
  that serializes the writers of a catalog; see docs/adr).
- A release is staged, judged, published: rows wait in their own tables, the judgement compares them with what is
  live, the brake holds what could do harm until a person accepts each coded reason, and publishing is one
  transaction. What is published is never edited; undo is the inverse as a new release. An undoing and a correction,
  which no judgement saw, leave nobody without a parent and close no circle (`tree`).
- Of tables that tell the same things one is preferred; a crosswalk between two tables is recorded like lineage, and asking it
  (`crosswalk`) never chooses either.
- `lineage.translate` never chooses: one heir of everything, many, ended, or unknown, always with its grounds.
"""
