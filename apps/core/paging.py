"""Pages of long lists: a list of a million rows is not counted to its end to show twenty-five of them."""

from __future__ import annotations

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

MOST_COUNTED = 1_000
LAST_PAGE = 2**31
"""No list is so long; a larger number would be none the database can skip rows by."""


class OpenEndedPage(Page):
    """A page that knows whether there is a next one because one row more was read, not because all were counted."""

    def __init__(self, object_list, number, paginator, *, more: bool) -> None:
        super().__init__(object_list, number, paginator)
        self.more = more

    def has_next(self) -> bool:
        return self.more


class OpenEndedPaginator(Paginator):
    """Counts to `MOST_COUNTED` and says so (`is_counted_out`); pages go on beyond."""

    @cached_property
    def _counted(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return (rows if rows.query.is_sliced else _bare(rows)[: MOST_COUNTED + 1]).count()

    @property
    def count(self) -> int:
        return min(self._counted, MOST_COUNTED)

    @property
    def is_counted_out(self) -> bool:
        """Whether `count` is all there is."""
        return self._counted <= MOST_COUNTED

    def validate_number(self, number):
        return super().validate_number(number) if self.is_counted_out else self._any(number)

    def _any(self, number) -> int:
        """Beyond what was counted every page may exist; an empty one says itself that it is the end."""
        try:
            return min(max(int(number), 1), LAST_PAGE)
        except (TypeError, ValueError):
            return super().validate_number(number)

    def page(self, number) -> OpenEndedPage:
        number = self.validate_number(number)
        bottom = (number - 1) * self.per_page
        rows = list(self.object_list[bottom : bottom + self.per_page + 1])
        return OpenEndedPage(rows[: self.per_page], number, self, more=len(rows) > self.per_page)


def _bare(rows: QuerySet) -> QuerySet:
    """The same rows without their order and what is told of each: a thousand times asked for, it is the most of a count."""
    rows = rows.order_by()
    plain = rows._fields is None and not rows.query.distinct and not rows.query.combinator
    return rows.values("pk") if plain else rows
