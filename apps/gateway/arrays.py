"""Columns of a batch as texts of PostgreSQL arrays: a tenth of the cost of the driver's own encoding of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

_JSON = msgspec.json.Encoder().encode
_BRACES = bytes.maketrans(b"[]", b"{}")


def array(values: Sequence) -> str:
    """The literal of an array: of numbers, of plain words, of None (NULL), or of rows of numbers (two dimensions).

    It is JSON with braces for brackets, so no word may hold a bracket, a brace, or what JSON writes with a letter after
    a backslash. Rows of numbers must hold no None: with NULLs in it PostgreSQL reaches an element only by counting.
    """
    return _JSON(values).translate(_BRACES).decode()


def packed(values: Sequence[bytes | None], size: int) -> bytes:
    """Values of `size` bytes one after the other, None as zeros. Raises ValueError when one has another size."""
    nothing = bytes(size)
    whole = b"".join([nothing if value is None else value for value in values])
    if len(whole) != size * len(values):
        raise ValueError(f"a value is not of {size} bytes")
    return whole
