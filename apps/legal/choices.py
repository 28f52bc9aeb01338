from django.db import models
from django.utils.translation import gettext_lazy as _


class Unit(models.TextChoices):
    WORKING_DAYS = "working_days", _("working days")
    DAYS = "days", _("days")
    HOURS = "hours", _("hours")
    MONTHS = "months", _("months")
    PERCENT = "percent", _("percent")
    NUMBER = "number", _("number")


ONE = {
    Unit.WORKING_DAYS: _("1 working day"), Unit.DAYS: _("1 day"), Unit.HOURS: _("1 hour"), Unit.MONTHS: _("1 month"),
}  # fmt: skip
"""A value of one with its unit: the units are named in the plural."""


class Evidence(models.TextChoices):
    """How well the source is known (reference/regulations.md)."""

    TEXT = "T", _("full text of the article")
    MIRROR = "T1", _("full text on one unofficial mirror")
    EXCERPT = "E", _("excerpt or press")
    DESIGN = "D", _("design decision")
    VERIFY = "V", _("to be verified")
