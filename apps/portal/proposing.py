"""The form of a counter-proposal and the content it starts from: what the reader typed becomes whole items."""

from __future__ import annotations

from django.utils.dateparse import parse_date, parse_time

from apps.portal.pact_forms import ProposalForm

_INSIDE = {"restrictions": ("restrictions", "text"), "security": ("security", "text"), "disposal": ("disposal", "method"),
           "disposal_deadline": ("disposal", "deadline"), "storage": ("storage", "ground"),
           "derived_data": ("storage", "derived_data"), "calls_per_day": ("method", "calls_per_day"),
           "calls_per_second": ("method", "calls_per_second"), "valid_to": ("term", "valid_to"),
           "source_networks": ("restrictions", "source_networks")}  # fmt: skip
"""Form field → (item of the content, key inside it); the others are items themselves."""
_PLAIN = ("post_processing", "commitments", "other_terms", "open_to_join")


def proposal_form(content: dict, data=None) -> ProposalForm:
    """The form with the words on the table; every field and system that is agreed so far is ticked."""
    return ProposalForm(
        data, prefix="propose", initial=_initial(content), fields=field_choices(content), systems=system_choices(content)
    )


def field_choices(content: dict) -> list[tuple[str, str]]:
    return [
        (f"{row['service']}|{row['version']}|{row['operation']}|{field['path']}", f"{row['operation_name']}: {field['label'] or field['path']}")
        for row in content["scope"]
        for field in row["fields"]
    ]  # fmt: skip


def system_choices(content: dict) -> list[tuple[str, str]]:
    return [(row["code"], row["name"]) for row in content["systems"]]


def _initial(content: dict) -> dict:
    first = {name: content.get(item, {}).get(key) for name, (item, key) in _INSIDE.items()}
    first["valid_to"] = parse_date(first["valid_to"] or "")
    hours = content["restrictions"].get("hours") or {}
    return {
        **{name: content.get(name, "") for name in _PLAIN},
        **first,
        "hours_from": parse_time(hours.get("from") or ""),
        "hours_to": parse_time(hours.get("to") or ""),
        "kept_fields": [value for value, _label in field_choices(content)],
        "kept_systems": [value for value, _label in system_choices(content)],
    }


def changes(content: dict, given: dict) -> dict:
    """The items that differ from `content`, as `propose_content` wants them."""
    found = {name: value for name in _PLAIN if (value := _typed(given[name])) != content.get(name, "")}
    for name, (item, key) in _INSIDE.items():
        value = given[name].isoformat() if name == "valid_to" and given[name] else _typed(given[name])
        old = content.get(item, {}).get(key)
        if value != old and (value or old) and key in content.get(item, {}):
            found.setdefault(item, {})[key] = value
    hours = _hours(given)
    if hours != content["restrictions"].get("hours"):
        found.setdefault("restrictions", {})["hours"] = hours
    return {**found, **_narrowed(content, given)}


def _typed(value):
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


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
