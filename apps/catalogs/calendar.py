"""Which day a list without dates is proposed to take effect on."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from apps.catalogs.choices import EffectiveRule
from apps.catalogs.models import Catalog


def today() -> dt.date:
    """The day in Vietnam."""
    return timezone.localdate()


def proposed_day(catalog: Catalog) -> dt.date:
    """The catalog's rule applied to today. A proposal: the officer who publishes confirms or changes it."""
    day = today()
    if catalog.effective_rule == EffectiveRule.TOMORROW:
        return day + dt.timedelta(days=1)
    if catalog.effective_rule == EffectiveRule.NEXT_MONTH:
        return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    return day
