"""What a reader asks: the catalog, the day, the release as of which, the filters. Bad questions are 400 with the field named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import NotAuthenticated

from apps.catalogs.calendar import today
from apps.catalogs.models import Catalog, Entry
from apps.catalogs.render import PAGE_SIZE
from apps.core.errors import InvalidFact, NotFound

MAX_PAGE_SIZE = 1000
FILTERS = ("as_of", "known_at", "level", "parent", "q", "changed_since", "order", "page", "page_size")

FEWER_PAGES = _("There are fewer pages.")
UNKNOWN_TABLE = _("Unknown table: %(code)s.")


class UnknownCode(NotFound):
    """No such code on that day, as known then."""

    code = "unknown_code"
    title = _("The catalog has no such code on that day.")


class AmbiguousCode(InvalidFact):
    """The code stands at several levels: `levels` names them."""

    code = "ambiguous_code"
    status = 409
    title = _("The code exists at several levels. Name the level.")


def invalid(name: str, text: object) -> InvalidFact:
    return InvalidFact(text, fields={name: [str(text)]})


def catalog_for(user, code: str) -> Catalog:
    """The catalog, with its current release. 404 where there is none; 401 where an account is needed."""
    catalog = Catalog.objects.select_related("current").filter(code=code).first()
    if catalog is None:
        raise NotFound()
    if not catalog.is_public and not (user.is_authenticated and user.is_active):
        raise NotAuthenticated()
    return catalog


@dataclass(frozen=True)
class Question:
    """A parsed question. Everything read for it is read as known in release `number`: all of it or nothing of it is new."""

    catalog: Catalog
    number: int
    day: dt.date
    given: dict[str, str]
    page: int = 1
    page_size: int = PAGE_SIZE

    @property
    def is_default(self) -> bool:
        """True for what everybody asks: today, as known now, at most by level and page."""
        return not set(self.given) - {"level", "page"}

    @property
    def query(self) -> str:
        """The reader's parameters without the page, for the links to other pages."""
        return urlencode(sorted((name, value) for name, value in self.given.items() if name != "page"))

    def valid(self) -> QuerySet[Entry]:
        return Entry.objects.filter(catalog=self.catalog).valid_on(self.day, self.number)

    def entries(self) -> QuerySet[Entry]:
        rows = self.valid()
        if level := self.given.get("level"):
            rows = rows.filter(level=level)
        if parent := self.given.get("parent"):
            rows = rows.filter(**self._parent(parent))
        if text := self.given.get("q"):
            rows = rows.search(text)
        if since := self.given.get("changed_since"):
            number = _release_number(self.catalog, since, "changed_since")
            rows = rows.filter(Q(recorded_in__gt=number) | Q(closed_in__gt=number, closed_in__lte=self.number))
        if self.given.get("order") == "name":
            return rows.order_by("sort_key", "level", "code")
        return rows.order_by(*self.code_order)

    def _parent(self, given: str) -> dict[str, str]:
        """A parent that nobody knows on that day is told apart from one that has no children."""
        level, _colon, code = given.rpartition(":")
        named = {"code": code, **({"level": level} if level else {})}
        if not self.valid().filter(**named).exists():
            raise invalid("parent", _("The catalog has no such code on that day."))
        return {f"parent_{name}": value for name, value in named.items()}

    @property
    def code_order(self) -> tuple:
        """By level as the catalog lists them, then by code."""
        return (level_order(self.catalog), "code")


def level_order(catalog: Catalog):
    """An expression that sorts by the position of the level in the catalog."""
    from_levels = {code: position for position, code in enumerate(catalog.level_codes)}
    return Case(
        *(When(level=code, then=Value(position)) for code, position in from_levels.items()),
        default=Value(len(from_levels)),
        output_field=IntegerField(),
    )


def only(parameters, allowed: Iterable[str]) -> dict[str, str]:
    """The parameters that say something. One that is not known, or is given twice, is refused: a silent choice would lie."""
    for name, values in parameters.lists():
        if name not in allowed:
            raise invalid(name, _("Unknown parameter."))
        if len(values) > 1:
            raise invalid(name, _("This parameter is given twice."))
        if "\x00" in values[0]:
            raise invalid(name, _("Not a text."))
    return {name: value for name, value in parameters.items() if value != ""}


def question(request, code: str, *, allowed: tuple[str, ...] = FILTERS) -> Question:
    """Read a question from a request. Unknown parameters are refused: a filter that is not applied would lie."""
    catalog = catalog_for(request.user, code)
    given = only(request.query_params, allowed)
    if "level" in given and given["level"] not in catalog.level_codes:
        raise invalid("level", _("Unknown level: %(levels)s.") % {"levels": given["level"][:60]})
    if given.get("order", "code") not in ("code", "name"):
        raise invalid("order", _("One of code, name."))
    number = known_number(catalog, given.get("known_at"))
    page = whole_number(given, "page", 1, 1_000_000)
    size = whole_number(given, "page_size", PAGE_SIZE, MAX_PAGE_SIZE)
    return Question(catalog, number, _day(given, "as_of") or today(), given, page, size)


def known_number(catalog: Catalog, known_at: str | None) -> int:
    """`known_at` → release number: now when absent; a number, a moment, or a day (its end) otherwise.

    A release or a time to come is refused, today too: the same question would have another answer later.
    """
    current = catalog.current.number if catalog.current else 0
    if not known_at:
        return current
    return published_number(catalog, _release_number(catalog, known_at, "known_at"), "known_at")


def published_number(catalog: Catalog, number: int, name: str) -> int:
    """`number` when the catalog has come so far. What is known under a release to come would not stay as it is answered now."""
    if number > (catalog.current.number if catalog.current else 0):
        raise invalid(name, _("There is no such release yet."))
    return number


def _release_number(catalog: Catalog, text: str, name: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    try:
        moment = _moment(text, dt.time.max if name == "known_at" else dt.time.min)
    except (ValueError, OverflowError) as error:
        raise invalid(
            name, _("A release number, a date or a moment is expected (2026-11-23, 2026-11-23T08:00:00+07:00).")
        ) from error
    if name == "known_at" and moment > timezone.now():
        raise invalid(
            name, _("That time is not over: what is known then can still change. Without it, what is known now is told.")
        )
    return catalog.releases.number_at(moment)


def _moment(text: str, of_day: dt.time) -> dt.datetime:
    """A moment, or a day at the time `of_day` in Vietnam. Raises ValueError or OverflowError for another text.

    The day comes first: a parser of moments takes it for its midnight.
    """
    moment = parse_datetime(text.replace(" ", "+")) if len(text) > 10 else dt.datetime.combine(_iso_day(text), of_day)
    if moment is None:
        raise ValueError(text)
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


def _day(given: dict[str, str], name: str) -> dt.date | None:
    if name not in given:
        return None
    try:
        return _iso_day(given[name])
    except ValueError as error:
        raise invalid(name, _("A date is expected: 2025-06-30.")) from error


def _iso_day(text: str) -> dt.date:
    """2025-06-30 and no other spelling of it: 20250630 could be a release number. Raises ValueError."""
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        raise ValueError(text)
    return dt.date.fromisoformat(text)


def whole_number(given: dict[str, str], name: str, default: int, highest: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:12]) <= highest:
        raise invalid(name, _("A whole number from 1 to %(highest)s is expected.") % {"highest": highest})
    return int(text)
