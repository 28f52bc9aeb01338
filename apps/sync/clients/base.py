"""What an adapter answers, and how the gateway faults of WSO2 (JSON or XML) are read."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from xml.etree.ElementTree import ParseError

import orjson
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException
from django.utils.translation import gettext_lazy as _

from apps.core.outbound import Answer, OutboundError, PassingError, PermanentError, Upstream

Progress = Callable[[int], None]
"""Called with the number of rows fetched so far."""
_PERMANENT_FAULTS = frozenset({"900901", "900902", "900903", "900906", "900907", "900908", "900909", "900910"})


MOST_ROWS = 1_000_000
MOST_BYTES = 256 * 1024 * 1024
"""What one run may fetch in all, over every list and page. Real lists have some thousand rows; a liar's have no end."""


class Client:
    """The base of adapters. `settings` are the source's own (`settings["adapter"]`): paths, page sizes, words.

    One run has one client, which counts what it fetches: beyond MOST_ROWS or MOST_BYTES, or where more is announced, it raises
    PermanentError `too_large`.
    """

    def __init__(self, upstream: Upstream, settings: dict) -> None:
        self.upstream = upstream
        self.settings = settings
        self.rows_fetched = self.bytes_fetched = 0

    def count_rows(self, number: int, *, announced: int = 0) -> None:
        """Count the rows of a page; `announced` is how many its list shall have."""
        self.rows_fetched += number
        if max(self.rows_fetched, announced) > MOST_ROWS:
            raise too_large()

    def rows(self, category: str, progress: Progress) -> list[dict]:
        """All rows of a list, as flat objects. Raises PassingError or PermanentError; never a part of a list."""
        raise NotImplementedError

    def insert(self, category: str, rows: list[dict]) -> int:
        """Add rows; return how many were stored. Raises PermanentError `not_supported` where there is no such call."""
        raise PermanentError(_("This adapter cannot send rows."), code="not_supported")

    def dossiers(self, first: datetime.date, last: datetime.date, size: int, progress: Progress) -> list[dict]:
        """The dossiers of the days from `first` to `last`, both included."""
        raise PermanentError(_("This adapter has no dossier lists."), code="not_supported")

    def read(self, path: str, params: dict | None = None, **options) -> object:
        """GET JSON; a gateway fault, with whatever status, becomes an error that names its code."""
        try:
            answer = self.upstream.get(path, params, **options)
        except OutboundError as error:
            raise with_fault(error) from error
        self.bytes_fetched += len(answer.body)
        if self.bytes_fetched > MOST_BYTES:
            raise too_large()
        return self._content(answer)

    def write(self, path: str, content: object) -> object:
        try:
            return self._content(self.upstream.post_json(path, content))
        except OutboundError as error:
            raise with_fault(error) from error

    @staticmethod
    def _content(answer: Answer) -> object:
        if fault := fault_code(answer):
            raise fault_error(fault)
        return answer.json()


def too_large() -> PermanentError:
    return PermanentError(_("The answer is larger than any catalog could be."), code="too_large")


def records(rows: object) -> list[dict]:
    """`rows` when it is a list of objects; otherwise PermanentError `wrong_shape`: the platform changed its contract."""
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return rows
    raise PermanentError(_("The answer does not have the expected shape."), code="wrong_shape")


def fault_code(answer: Answer) -> str:
    """The code of a WSO2 fault in this answer, JSON or XML; empty when it is none."""
    body = answer.body[:20_000].lstrip()
    if body.startswith(b"<") and b"fault" in body and b"html" not in body[:200].lower():
        return _xml_fault(body)
    if body.startswith(b"{") and b'"fault"' in body and len(answer.body) < 20_000:
        try:
            fault = orjson.loads(answer.body).get("fault")
        except ValueError:
            return ""
        return str(fault.get("code", "unknown"))[:20] if isinstance(fault, dict) else ""
    return ""


def _xml_fault(body: bytes) -> str:
    try:
        root = ElementTree.fromstring(body)
    except (ParseError, DefusedXmlException, ValueError):
        return ""
    if root.tag.rpartition("}")[2] != "fault":
        return ""
    code = next((child.text for child in root if child.tag.rpartition("}")[2] == "code"), None)
    return (code or "unknown").strip()[:20]


def fault_error(code: str) -> OutboundError:
    kind = PermanentError if code in _PERMANENT_FAULTS else PassingError
    return kind(_("The platform's gateway answered with fault %(code)s.") % {"code": code}, code=f"wso2_{code}")


def with_fault(error: OutboundError) -> OutboundError:
    """`error`, with the fault its answer carried. The HTTP status keeps deciding whether it may pass."""
    answer = error.answer
    code = fault_code(answer) if answer is not None else ""
    if not code:
        return error
    detail = _("The platform's gateway answered with fault %(code)s.") % {"code": code}
    named = type(error)(detail, code=f"wso2_{code}", **error.extra)
    named.retry_after, named.answer = error.retry_after, answer
    return named
