"""NGSP: bare arrays, `dd/MM/yyyy` strings, no paging and no delta; business registration in windows of at most five days.

Paths are settings (`{"paths": {"category": …, "insert": …, "dossiers": …}}`), because provinces re-export the same
interfaces without the version segment. Success of an insert is told by `Count` and `MSG`, not by the status.
"""

from __future__ import annotations

import datetime
from urllib.parse import quote

from django.utils.translation import gettext_lazy as _

from apps.core.outbound import PassingError, PermanentError
from apps.sync.clients.base import Client, Progress, records

PATHS = {"category": "/dmdc/1.0/Category/{category}", "dossiers": "/apiCSDLDKDN/1.0/danhSachHoSo"}


class NgspClient(Client):
    def _path(self, name: str, **parts: str) -> str:
        path = {**PATHS, **(self.settings.get("paths") or {})}[name]
        return path.format(**{key: quote(value, safe="") for key, value in parts.items()})

    def rows(self, category: str, progress: Progress) -> list[dict]:
        params = self.settings.get("params") or None
        found = records(self.read(self._path("category", category=category), params))
        self.count_rows(len(found))
        progress(len(found))
        return found

    def insert(self, category: str, rows: list[dict]) -> int:
        answer = self.write(self._path("category", category=category), rows)
        if not isinstance(answer, dict):
            raise PermanentError(_("The answer does not have the expected shape."), code="wrong_shape")
        if answer.get("MSG") != "Done" or answer.get("Count") != len(rows):
            raise PermanentError(
                _("The platform did not store the rows: %(message)s") % {"message": str(answer.get("MSG"))[:200]},
                code="not_stored",
            )
        return len(rows)

    def dossiers(self, first: datetime.date, last: datetime.date, size: int, progress: Progress) -> list[dict]:
        """Pages by offset and limit. The announced count must hold still and be reached, or the window is read again."""
        found: list[dict] = []
        numbers: set[str] = set()
        total = None
        while True:
            params = {"from_date": f"{first:%d/%m/%Y}", "to_date": f"{last:%d/%m/%Y}", "offset": len(found), "limit": size}
            page, announced = self._page(self.read(self._path("dossiers"), params))
            total = announced if total is None else total
            self.count_rows(len(page), announced=total)
            given = [str(row["IN_JOURNAL_NO"]) for row in page if row.get("IN_JOURNAL_NO") is not None]
            fresh = set(given)
            if announced != total or len(fresh) != len(given) or fresh & numbers:
                raise PassingError(_("The list changed while it was read."), code="inconsistent_pages")
            numbers |= fresh
            found += page
            progress(len(found))
            if len(found) >= total or not page:
                break
        if len(found) != total:
            raise PassingError(_("The list changed while it was read."), code="inconsistent_pages")
        return found

    @staticmethod
    def _page(content: object) -> tuple[list[dict], int]:
        if not isinstance(content, dict) or "Status" not in content:
            raise PermanentError(_("The answer does not have the expected shape."), code="wrong_shape")
        if str(content["Status"]) != "1":
            raise PermanentError(
                _("The platform refused the question: %(message)s") % {"message": str(content.get("Message"))[:200]},
                code="refused",
            )
        return records(content.get("Data") or []), int(content.get("DataCount") or 0)
