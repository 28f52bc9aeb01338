"""What `make run` and the tests need on a developer's machine; nothing here runs in production.

`bootstrap` builds the environment (standard library only), `postgres` keeps the embedded PostgreSQL, `processes`
starts and stops the platform's processes, `run` is the supervisor behind `make run`, `testing` prepares a test run.
"""
