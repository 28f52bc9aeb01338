"""Small pieces of the pages: icons that are not read aloud, chips of states and deadlines, bars with numbers."""

from __future__ import annotations

import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

register = template.Library()

COLORS = {
    "draft": "", "checking": "blue", "returned": "amber", "awaiting_provider": "blue", "approved": "green", "refused": "red",
    "withdrawn": "", "negotiating": "blue", "awaiting_signatures": "amber", "in_force": "green", "suspended": "red",
    "ending": "amber", "terminated": "", "declined": "", "expired": "", "active": "green", "ended": "", "unclaimed": "amber",
    "revoked": "", "recorded": "amber", "confirmed": "green", "rejected": "red", "pending": "blue", "published": "green",
    "deprecated": "amber", "retired": "", "current": "green", "superseded": "", "closed": "", "succeeded": "green", "failed": "red",
    "running": "blue", "held": "amber", "none": "", "basic": "amber", "sensitive": "red", "default": "blue", "special": "amber",
    "test": "amber", "production": "green",
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


@register.filter
def status_chip(obj):
    return chip(obj.status, obj.get_status_display())


@register.simple_tag
def due_chip(due_at: datetime.datetime | None, paused_at: datetime.datetime | None = None):
    """How much time is left, in words: late by two days, due today, three days left, paused."""
    if paused_at:
        return format_html('<span class="chip chip--amber">{}</span>', _("clock paused"))
    if due_at is None:
        return ""
    left = due_at - timezone.now()
    days = (timezone.localdate(due_at) - timezone.localdate()).days
    if left.total_seconds() < 0:
        late = -days
        text = ngettext("late by %(n)d day", "late by %(n)d days", late) % {"n": late} if late else _("late since today")
        return format_html('<span class="chip chip--red">{}</span>', text)
    if days == 0:
        return format_html('<span class="chip chip--amber">{}</span>', _("due today"))
    text = ngettext("%(n)d day left", "%(n)d days left", days) % {"n": days}
    return format_html('<span class="chip{}">{}</span>', " chip--amber" if days == 1 else " chip--blue", text)


@register.inclusion_tag("portal/_bar.html")
def bar(value: int, largest: int):
    """A bar without inline styles; the number stands beside it in the page's own text."""
    return {"width": round(100 * value / largest) if largest else 0}


@register.inclusion_tag("portal/_field.html")
def field(bound, help_text: str = "", required: bool | None = None):
    """Label, control, help and error of a form field, tied together for screen readers."""
    needed = bound.field.required if required is None else required
    return {"f": bound, "help_text": help_text or bound.help_text, "required": needed}
