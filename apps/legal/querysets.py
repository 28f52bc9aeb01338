from __future__ import annotations

import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.core.errors import InvalidFact


class BetweenDatesQuerySet(models.QuerySet):
    def in_force(self, day: datetime.date):
        return self.filter(effective_from__lte=day).filter(Q(effective_to__isnull=True) | Q(effective_to__gt=day))


class RefusalGroundQuerySet(BetweenDatesQuerySet):
    pass


class LegalBasisQuerySet(BetweenDatesQuerySet):
    def citations(self, day: datetime.date) -> dict[str, str]:
        """Code → the provision cited on `day`."""
        return dict(self.in_force(day).values_list("code", "citation"))


class LegalRuleQuerySet(BetweenDatesQuerySet):
    def rule(self, code: str, day: datetime.date):
        """The rule `code` as it stands on `day`. Raises InvalidFact when the law has none for that day."""
        found = self.in_force(day).filter(code=code).order_by("-effective_from").first()
        if found is None:
            raise InvalidFact(
                _("No legal rule %(code)s is in force on %(day)s.") % {"code": code, "day": f"{day:%d/%m/%Y}"},
                code="no_legal_rule",
            )
        return found

    def days(self, codes: tuple[str, ...], day: datetime.date) -> dict[str, int]:
        """Code → value, of those of `codes` (rules of whole days) that are in force on `day`."""
        return {code: int(value) for code, value in self.in_force(day).filter(code__in=codes).values_list("code", "value")}


class CalendarExceptionQuerySet(models.QuerySet):
    def between(self, first: datetime.date, last: datetime.date) -> dict[datetime.date, bool]:
        """Day → is it a working day, for the exceptions in [first, last]."""
        return dict(self.filter(day__range=(first, last)).values_list("day", "is_working"))
