"""Small pieces of the pages: icons that are not read aloud, chips of states and deadlines, bars with numbers."""

from __future__ import annotations

import datetime
import json

from django import template
from django.template.defaultfilters import floatformat
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.agreements import content
from apps.catalogs import words
from apps.legal.calendar import WorkCalendar
from apps.registry.choices import CLASS_CHOICES

register = template.Library()

COLORS = {
    "draft": "", "checking": "blue", "returned": "amber", "awaiting_provider": "blue", "approved": "green", "refused": "red",
    "withdrawn": "", "negotiating": "blue", "awaiting_signatures": "amber", "in_force": "green", "suspended": "red",
    "ending": "amber", "terminated": "", "declined": "", "expired": "", "active": "green", "ended": "", "unclaimed": "amber",
    "revoked": "", "recorded": "amber", "confirmed": "green", "rejected": "red", "pending": "blue", "published": "green",
    "deprecated": "amber", "retired": "", "current": "green", "scheduled": "blue", "superseded": "", "closed": "", "succeeded": "green", "failed": "red",
    "running": "blue", "held": "amber", "none": "", "basic": "amber", "sensitive": "red", "default": "blue", "special": "amber",
    "test": "amber", "production": "green", "staged": "blue", "ready": "blue", "undone": "amber", "replaced": "", "unchanged": "",
    "level_1": "blue", "level_2": "amber", "level_3": "red", "resolved": "green", "open": "blue", "answered": "amber",
    "added": "green", "renamed": "blue", "reparented": "blue", "changed": "blue", "reused": "red",
}  # fmt: skip


@register.simple_tag
def icon(name: str):
    """A decorative icon: hidden from screen readers, so the text beside it must say it all."""
    return format_html('<span class="lg-icon" aria-hidden="true">{}</span>', name)


@register.simple_tag
def chip(value: str, label: object = ""):
    """A coloured word for a state; the colour repeats the word, it never stands alone."""
    color = COLORS.get(str(value), "")
    return format_html('<span class="chip{}">{}</span>', f" chip--{color}" if color else "", label or value)


@register.simple_tag
def class_mark(value: str, label: object):
    """The personal-data class in a table: a chip where there is something to notice, a quiet word where not."""
    return chip(value, label) if value != "none" else format_html('<span class="muted">{}</span>', _("none"))


@register.simple_tag
def class_chip(value: str):
    """The personal-data class by its name."""
    return chip(value, dict(CLASS_CHOICES).get(value, value))


@register.filter
def status_chip(obj):
    return chip(obj.status, obj.get_status_display())


@register.simple_tag(takes_context=True)
def due_chip(context, due_at: datetime.datetime | None, paused_at: datetime.datetime | None = None):
    """How much time is left, in words: late by two working days, due today, three working days left, paused."""
    if paused_at:
        return format_html('<span class="chip nowrap chip--amber">{}</span>', _("clock paused"))
    if due_at is None:
        return ""
    today, due_day = timezone.localdate(), timezone.localdate(due_at)
    if due_at < timezone.now():
        late = _calendar(context, today).between(due_day, today)
        text = ngettext("late by %(n)d working day", "late by %(n)d working days", late) % {"n": late} if late else _("late")
        return format_html('<span class="chip nowrap chip--red">{}</span>', text)
    if due_day == today:
        return format_html('<span class="chip nowrap chip--amber">{}</span>', _("due today"))
    left = _calendar(context, today).between(today, due_day)
    text = ngettext("%(n)d working day left", "%(n)d working days left", left) % {"n": left}
    return format_html('<span class="chip nowrap{}">{}</span>', " chip--amber" if left <= 1 else " chip--blue", text)


def _calendar(context, today: datetime.date) -> WorkCalendar:
    """One calendar a page: its exceptions are read once, however long the list."""
    kept = context.render_context.dicts[0]
    if "working_calendar" not in kept:
        kept["working_calendar"] = WorkCalendar(today)
    return kept["working_calendar"]


@register.inclusion_tag("portal/_bar.html")
def bar(value: int, largest: int):
    """A bar without inline styles; the number stands beside it in the page's own text."""
    return {"width": round(100 * value / largest) if largest else 0}


@register.inclusion_tag("portal/_field.html")
def field(bound, help_text: str = "", required: bool | None = None):
    """Label, control, help and error of a form field, tied together for screen readers."""
    needed = bound.field.required if required is None else required
    return {"f": bound, "help_text": help_text or bound.help_text, "required": needed}


@register.inclusion_tag("portal/_field.html")
def field_for(bound, obj, verb: str):
    """As `field`, for a form that stands on the page several times: the ids carry the row and the step."""
    unique = f"{verb}-{obj.uuid}-{bound.name}"
    bound.field.widget.attrs["id"] = unique
    return {"f": bound, "help_text": bound.help_text, "required": bound.field.required, "unique": unique}


@register.filter
def base_of(step_url: str) -> str:
    """The address of a row's steps without the step: `/portal/grants/…/do/x/` → `/portal/grants/…/`."""
    return step_url.rsplit("do/", 1)[0]


@register.simple_tag
def milliseconds(microseconds: int) -> str:
    """12345 → 12,3 (in the reader's notation)."""
    return floatformat(microseconds / 1000, "1g")


@register.filter
def attribute_name(name: str) -> str:
    """What people call an attribute of an entry."""
    return words.attribute_name(name)


@register.filter
def source_words(source: str) -> str:
    """Where a release of a catalog came from."""
    return words.source_words(source)


@register.filter
def said(value) -> str:
    """A value of JSON as people say it: yes and no, and the members of a list."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(str(member) for member in value)
    return str(value)


@register.filter
def last_day(ends: datetime.datetime) -> datetime.date:
    """The last day on which an agreement or a grant holds: its end is the midnight after."""
    return content.last_day(ends)


@register.filter
def of(mapping: dict, key):
    """The value of a key that a template holds in a variable; the key itself when there is none."""
    return mapping.get(key, key)


@register.filter
def pretty_json(value) -> str:
    """A value as JSON for reading."""
    return json.dumps(value, ensure_ascii=False, indent=2)
