"""Sandbox: stand-ins of the national platforms, speaking their wire with its quirks, as a process of its own.

An island: imports no other app and is imported by none; standard library and orjson only; reads its catalogs as
files. Useful to a province's own developers: `/` says what it speaks. Everything it knows of companies and people
is made up by a generator; nothing is anybody's record.

Run it as `uvicorn apps.sandbox.app:app` with LGSP_SANDBOX_KEY and LGSP_SANDBOX_SECRET in the environment.
It keeps its own record of what it received (`/sandbox/received`), the independent witness of the tests.
"""
