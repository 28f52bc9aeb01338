"""The data plane: one durable row admits a call.

Promises (each has a test that looks from outside):

- no provider is contacted and no consumer is answered without a durable record (`admission`, `outcomes`);
- a right that was withdrawn is withdrawn for the very next call, on every process (the policy epoch is judged
  in the statement that admits);
- quotas are exact over any number of processes (one locked row a grant, windows by the database clock);
- no field leaves that the agreement did not grant (`cutting`); the path that was authorized is the path that is
  forwarded (`paths`);
- a process that dies leaves an intent that the `sweeper` closes as `unknown` within 60 seconds.

`decision` is pure. Everything here talks to PostgreSQL through asyncpg and to providers through `upstreams`;
Django is used for settings, texts and the models that people search the log with.
"""
