"""Sync: what comes from and goes to the national platforms, without harm.

This room promises:
- A `SyncRun` row is the job. It is claimed by one conditional UPDATE with a lease and a fencing token; one open run a
  source at most; a worker killed anywhere leaves a row that the next tick takes over. Messages only wake.
- Nothing foreign is read inside a transaction, and nothing of ours is written by a worker that lost its lease: publishing
  and closing the run are one transaction that ends with the fence.
- A bad feed never reaches what is live: rows go through `catalogs.stage_release`, whose brake decides. Failures that may
  pass are retried with jittered backoff and a budget; the others stop and tell a person. A source that has not succeeded
  for twice its interval raises an alarm, even without errors.
- Adapters (`clients/`) are named and chosen by configuration; paths and column names are settings of the source.
"""
