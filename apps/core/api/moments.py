"""Moments as the API takes them, in bodies and in filters: within years every part of the platform can count with."""

from __future__ import annotations

import datetime as dt

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField
from rest_framework import serializers

EARLIEST, LATEST = dt.datetime(1900, 1, 1, tzinfo=dt.UTC), dt.datetime(9000, 1, 1, tzinfo=dt.UTC)
"""Room on both sides for a time zone, a term and a slack; PostgreSQL and Python would go on to year 1 and 9999."""
_OUTSIDE = _("A moment between the years 1900 and 9000 is needed.")


def is_countable(moment: dt.datetime) -> bool:
    try:
        return EARLIEST <= moment < LATEST
    except OverflowError:
        return False


class Moment(serializers.DateTimeField):
    """DRF's field overflows (500) on a naive year 1, and lets through moments that overflow when they are stored."""

    default_error_messages = {"outside": _OUTSIDE}

    def to_internal_value(self, value) -> dt.datetime:
        try:
            moment = super().to_internal_value(value)
        except OverflowError:
            self.fail("outside")
        if not is_countable(moment):
            self.fail("outside")
        return moment


class _MomentFormField(IsoDateTimeField):
    def clean(self, value):
        try:
            moment = super().clean(value)
        except OverflowError:
            raise ValidationError(_OUTSIDE) from None
        if moment is not None and not is_countable(moment):
            raise ValidationError(_OUTSIDE)
        return moment


class MomentFilter(filters.IsoDateTimeFilter):
    """The same for a parameter of a list."""

    field_class: type[forms.Field] = _MomentFormField
