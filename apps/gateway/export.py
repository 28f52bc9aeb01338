"""The log as CSV, line by line: for the API and the portal alike."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from django.http import StreamingHttpResponse

EXPORTED = 100_000
"""Rows of one export; whoever needs more narrows the period."""


def csv_response(rows, serializer_class, name: str) -> StreamingHttpResponse:
    """`rows` in UTF-8 with a mark for spreadsheets, as a file to be kept by nobody on the way."""
    response = StreamingHttpResponse(_lines(rows, serializer_class), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response["Cache-Control"] = "no-store"
    return response


def _lines(rows, serializer_class) -> Iterator[str]:
    names = serializer_class.Meta.fields
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(names)
    for row in rows.iterator(chunk_size=1000):
        data = serializer_class(row).data
        yield writer.writerow([_cell(data[name]) for name in names])


class _Echo:
    """A file for csv.writer that hands each line back."""

    def write(self, line: str) -> str:
        return line


def _cell(value: object) -> str:
    """Text of a cell; one a spreadsheet would take for a formula is made text."""
    text = ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
