"""Tests are sentences; what they may use is described in `tests/conftest.py`."""
