"""Search in long lists: one line of folded words a row, kept by the database, under one index.

A model has `search_line = SearchLineField()` (written by triggers with `core_word_line`, never by Python) and
`search_index(...)` among its indexes; its QuerySet inherits `SearchLine`. Tones and case aside, every word of the text is
a word of the line, the last one the beginning of one.
"""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchQuery, SearchVectorField
from django.db import models
from django.db.models import BooleanField, Count, ExpressionWrapper, Q, Value
from django.db.models.functions import Coalesce

from apps.core.text import words

MOST_WORDS = 8
RARE = 500
"""Up to so many rows of all are found by their keys."""
NEWEST, COMMON = 1000, 50
"""Words that so many of the newest rows have are not rare, and the index, which would read all of theirs, is not asked."""


class SearchLineField(SearchVectorField):
    """The words as PostgreSQL's full text keeps them; whatever is written, a trigger makes it anew."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **{**kwargs, "editable": False, "default": "", "db_default": ""})


def search_index(name: str) -> GinIndex:
    """The index of `search_line`. Without a list of pending entries: a search would read that to its end."""
    return GinIndex(fields=["search_line"], name=name, fastupdate=False)


class SearchLine(models.QuerySet):
    """Rows with a `search_line`."""

    def search(self, text: str):
        """Rows whose line has the first `MOST_WORDS` words of `text`, of the last one the beginning; all rows for no word.

        Only one beginning: of a word like "so" the index would read all it has, whatever the other words leave.
        Reads at once whether the words are rare. The planner cannot know: it takes a number nobody else has for one row in
        two hundred, and walks a million rows from the newest on.
        """
        wanted = words(text)[:MOST_WORDS]
        if not wanted:
            return self
        query = SearchQuery(" & ".join(f"'{word}'" for word in wanted) + ":*", config="simple", search_type="raw")
        has = ExpressionWrapper(Q(search_line=query), BooleanField())
        if self._among_newest(has) >= COMMON:
            # No index knows a Coalesce: rows are walked, the newest or the reader's own, until there are enough.
            return self.filter(Coalesce(has, Value(False)))
        rare = self.model._base_manager.filter(search_line=query).order_by().values_list("pk", flat=True)[: RARE + 1]
        keys = list(rare)
        return self.filter(pk__in=keys) if len(keys) <= RARE else self.filter(search_line=query)

    def _among_newest(self, has: ExpressionWrapper) -> int:
        """How many of the newest rows, of whoever's, have the words."""
        rows = self.model._base_manager.order_by("-pk").annotate(has=has)
        return rows[:NEWEST].aggregate(found=Count("pk", filter=Q(has=True)))["found"]
