from tests.sandbox.process import sandbox, sandbox_process  # noqa: F401
