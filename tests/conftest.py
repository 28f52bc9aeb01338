"""What every test may use.

The machine (owner: `lgsp/dev`, `tests/fixtures/`; loaded by the root `conftest.py`)
    A run has a PostgreSQL of its own: an embedded cluster in a temporary folder, or the server at `TEST_DATABASE_URL`;
    one database a pytest-xdist worker. `LGSP_ENV=test`, `LGSP_VAR` is a private temporary folder.

    db, transactional_db, `@pytest.mark.django_db(transaction=True)`
        As in pytest-django. After a transactional test the tables are emptied and the rows that migrations insert are put
        back (same keys); the policy epoch only ever rises. The database's own guards stand, except that triggers named
        `*_no_truncate` are disabled so that the tables can be emptied: a test of such a trigger uses `truncate_guards`.
    truncate_guards
        Those triggers, enabled for one test.
    running_platform
        The real portal, gateway, sandbox and worker as processes on ephemeral ports against the test database
        (`tests/fixtures/platform.py`): `running_platform.url("gateway")`, `.kill("worker")`, `.restart(...)`, `.log(...)`.
    page, browser_context
        A page of the system's Chromium by playwright, zone Asia/Ho_Chi_Minh, locale vi-VN (`tests/fixtures/browser.py`).
    lgsp.dev.testing.share(100_000)
        The large number under `make test-full`, a hundredth (or `small=…`) under `make test`; `@pytest.mark.full` leaves a
        test to `make test-full` altogether.
    tests.fixtures.worlds.remembered
        Before a factory of a world (`world()`, `accepted(world)`, the fixtures of one module that all tests of it begin with):
        its verbs run twice a process, then their rows are put back in a few milliseconds. What it promises, and when the verbs
        run all the same, is written there; `LGSP_TEST_FRESH_WORLDS=1` makes all anew.
    Markers
        `browser`, `faults` and `flow` come by folder (tests/browser, tests/faults, tests/flows); `worker` is yours to set on
        tests that need a real worker: CI runs those on the filesystem broker, Redis and RabbitMQ.

People and their world (owner: the lead)
    below.
"""
