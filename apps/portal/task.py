"""One line of a person's home page: what is to be done, about what, until when."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from django.utils import timezone

MOST = 200
"""Lines read per source; a person with more has a list page for them."""
FAR = datetime.datetime.max.replace(tzinfo=datetime.UTC)


@dataclass(order=True)
class Task:
    """One thing to do: `due_at` None comes last; `since` orders those."""

    sort: tuple = field(init=False, repr=False)
    what: str = field(compare=False)
    name: str = field(compare=False)
    detail: str = field(compare=False)
    url: str = field(compare=False)
    due_at: datetime.datetime | None = field(default=None, compare=False)
    paused_at: datetime.datetime | None = field(default=None, compare=False)
    since: datetime.datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        self.sort = (self.due_at or FAR, self.since or FAR)

    @property
    def is_late(self) -> bool:
        return bool(self.due_at and not self.paused_at and self.due_at < timezone.now())

    @property
    def is_due_today(self) -> bool:
        return bool(self.due_at and not self.is_late and timezone.localdate(self.due_at) == timezone.localdate())
