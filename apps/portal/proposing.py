"""The form of a counter-proposal and the content it starts from: what the reader typed becomes whole items."""

from __future__ import annotations

import datetime
import re

from django import forms
from django.utils.dateparse import parse_date, parse_time

from apps.portal.pact_forms import ProposalForm

_INSIDE = {"restrictions": ("restrictions", "text"), "security": ("security", "text"), "disposal": ("disposal", "method"),
           "disposal_deadline": ("disposal", "deadline"), "storage": ("storage", "ground"),
           "derived_data": ("storage", "derived_data"), "calls_per_day": ("method", "calls_per_day"),
           "calls_per_second": ("method", "calls_per_second"), "valid_from": ("term", "valid_from"),
           "valid_to": ("term", "valid_to"), "usage_duration": ("term", "usage_duration"),
           "exchange_point": ("place", "exchange_point"), "source_networks": ("restrictions", "source_networks")}  # fmt: skip
"""Form field → (item of the content, key inside it); the others are items themselves."""
_PLAIN = ("post_processing", "commitments", "other_terms", "open_to_join")
_DAYS = ("valid_from", "valid_to")


def proposal_form(content: dict, data=None) -> ProposalForm:
    """The form with the words on the table; every field and system that is agreed so far is ticked."""
    return ProposalForm(
        data, prefix="propose", initial=_initial(content), fields=field_choices(content), systems=system_choices(content),
        levels=level_fields(content),
    )  # fmt: skip


def field_choices(content: dict) -> list[tuple[str, str]]:
    return [
        (f"{row['service']}|{row['version']}|{row['operation']}|{field['path']}", f"{row['operation_name']}: {field['label'] or field['path']}")
        for row in content["scope"]
        for field in row["fields"]
    ]  # fmt: skip


def system_choices(content: dict) -> list[tuple[str, str]]:
    return [(row["code"], row["name"]) for row in content["systems"]]


def level_fields(content: dict) -> list[tuple[str, str]]:
    """A field for each service level, and the service it is of: by its code where a narrower scope names it no more."""
    names = {row["service"]: row["service_name"] for row in content["scope"]}
    services = [row["service"] for row in content.get("service_level", [])]
    return [(f"service_level_{number}", names.get(service, service)) for number, service in enumerate(services)]


def _initial(content: dict) -> dict:
    first = {name: content.get(item, {}).get(key) for name, (item, key) in _INSIDE.items()}
    hours = content["restrictions"].get("hours") or {}
    levels = zip(level_fields(content), content.get("service_level", []), strict=True)
    return {
        **{name: content.get(name, "") for name in _PLAIN},
        **first,
        **{name: parse_date(first[name] or "") for name in _DAYS},
        **{name: row["text"] for (name, _service), row in levels},
        "hours_from": parse_time(hours.get("from") or ""),
        "hours_to": parse_time(hours.get("to") or ""),
        "kept_fields": [value for value, _label in field_choices(content)],
        "kept_systems": [value for value, _label in system_choices(content)],
    }


def changes(content: dict, form: ProposalForm) -> dict:
    """The items in which a valid form differs from `content`, as `propose_content` wants them."""
    given, typed = form.cleaned_data, _typed(content, form)
    found = {name: typed[name] for name in _PLAIN if name in typed}
    for name, (item, key) in _INSIDE.items():
        if name in typed and key in content.get(item, {}):
            found.setdefault(item, {})[key] = typed[name]
    levels = [name for name, _service in level_fields(content)]
    if typed.keys() & set(levels):
        rows = zip(levels, content["service_level"], strict=True)
        found["service_level"] = [{**row, "text": typed.get(name, row["text"])} for name, row in rows]
    hours = _hours(given)
    if hours != content["restrictions"].get("hours"):
        found.setdefault("restrictions", {})["hours"] = hours
    return {**found, **_narrowed(content, given)}


def _typed(content: dict, form: ProposalForm) -> dict:
    """What was typed anew, by the fields of the form: what comes back as a browser sends an untouched field was not."""
    before, found = _initial(content), {}
    for name in (*_PLAIN, *_INSIDE, *(name for name, _service in level_fields(content))):
        value = _plain(form.cleaned_data[name])
        if value != _untouched(form.fields[name], before[name]):
            found[name] = value
    return found


def _untouched(field: forms.Field, value):
    """`value` after a form was sent with it: white space at its ends and the notation of its lines do not survive that."""
    return _plain(field.to_python(field.prepare_value(value)))


def _plain(value):
    """As contents write it."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    return re.sub(r"\r\n?", "\n", value) if isinstance(value, str) else value


def _hours(given: dict) -> dict | None:
    first, last = given["hours_from"], given["hours_to"]
    return {"from": f"{first:%H:%M}", "to": f"{last:%H:%M}"} if first and last else None


def _narrowed(content: dict, given: dict) -> dict:
    """The scope without the fields and systems that were unticked."""
    kept, found = set(given["kept_fields"]), {}
    if kept != {value for value, _label in field_choices(content)}:
        rows = [
            {**row, "fields": [f for f in row["fields"] if f"{row['service']}|{row['version']}|{row['operation']}|{f['path']}" in kept]}
            for row in content["scope"]
        ]  # fmt: skip
        found["scope"] = [row for row in rows if row["fields"]]
    if set(given["kept_systems"]) != {row["code"] for row in content["systems"]}:
        found["systems"] = [row for row in content["systems"] if row["code"] in given["kept_systems"]]
    return found
