"""A province's own envelope `{code, status, correlationId, response}` with pages inside: another shape, the same rows.

Failures come with HTTP status 200 and another `code`. `response` holds `total`, `page` and `items`; a total that moves, a page
that comes twice or a sum that is not reached means the list changed while it was read: the whole list is read again.
"""

from __future__ import annotations

from urllib.parse import quote

from django.utils.translation import gettext_lazy as _

from apps.core.canonical import content_hash
from apps.core.outbound import PassingError, PermanentError
from apps.sync.clients.base import Client, Progress, records

MAX_PAGES = 10_000


class EnvelopeClient(Client):
    def rows(self, category: str, progress: Progress) -> list[dict]:
        path = self.settings.get("path", "/ngsp/DanhMuc/{category}").format(category=quote(category, safe=""))
        size = int(self.settings.get("page_size", 500))
        found: list[dict] = []
        seen: set[str] = set()
        total = None
        for page in range(1, MAX_PAGES):
            items, announced = self._page(self.read(path, {**(self.settings.get("params") or {}), "page": page, "size": size}))
            total = announced if total is None else total
            self.count_rows(len(items), announced=total)
            mark = content_hash(items)
            if announced != total or (items and mark in seen):
                raise PassingError(_("The list changed while it was read."), code="inconsistent_pages")
            seen.add(mark)
            found += items
            progress(len(found))
            if not items or len(found) >= total:
                break
        if len(found) != total:
            raise PassingError(_("The list changed while it was read."), code="inconsistent_pages")
        return found

    def _page(self, content: object) -> tuple[list[dict], int]:
        if not isinstance(content, dict) or "code" not in content:
            raise PermanentError(_("The answer does not have the expected shape."), code="wrong_shape")
        if str(content["code"]) != str(self.settings.get("ok_code", "200")):
            raise PermanentError(
                _("The platform refused the question: %(message)s") % {"message": str(content.get("status"))[:200]},
                code="refused",
            )
        response = content.get("response")
        if not isinstance(response, dict) or not isinstance(response.get("total"), int):
            raise PermanentError(_("The answer does not have the expected shape."), code="wrong_shape")
        return records(response.get("items")), response["total"]
