"""What `zipfile` raises on a hostile or damaged archive."""

from __future__ import annotations

import struct
import zipfile

DAMAGED = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError, struct.error)
"""Beside BadZipFile: a version of tomorrow (NotImplementedError), names that are no UTF-8, offsets before the beginning."""
