"""What a proposal may say: every negotiable item has a shape, and its values are checked before they become content.

Scope and systems are named by their codes and rebuilt from the first version, so that a proposal narrows what was asked for
and cannot relabel it. Everything else is text, a limit, a day, an hour or a network.
"""

from __future__ import annotations

import datetime
import ipaddress
import re

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.agreements.content import NEGOTIABLE
from apps.connections.choices import SharingMethod
from apps.connections.content import is_too_far
from apps.core.errors import InvalidFact
from apps.registry.models import DataService

MOST_TEXT = 20_000
_HOUR = re.compile(r"^([01]\d|2[0-3]):[0-5]\d$")


def checked(changes: dict, first: dict, last: dict) -> dict:
    """`changes`, whole items ready to replace those of `last`; `first` is the content the request asked for.

    Where no number of calls a day is left, the services' default is it: what is signed says what the gateway counts by.
    Raises InvalidFact: `not_negotiable`, `scope_malformed`, `scope_widened`, `item_malformed` (naming the item).
    """
    strange = sorted(str(name) for name in set(changes) - set(NEGOTIABLE))
    if strange:
        raise InvalidFact(_("Not open to negotiation: %(items)s.") % {"items": ", ".join(strange)}, code="not_negotiable")
    items = {name: _item(name, value, first, last) for name, value in changes.items()}
    items |= _what_follows({**last, **items}, items, first)
    return {**items, **_default_quota({**last, **items})}


def _what_follows(content: dict, items: dict, first: dict) -> dict:
    """Items that say nothing of their own and follow a narrower scope or fewer systems."""
    found = {}
    if "scope" in items:
        sensitive = {
            field["path"] for row in content["scope"] for field in row["fields"] if field["personal_data"] == "sensitive"
        }
        found["personal_data"] = {**content["personal_data"], "sensitive_fields": sorted(sensitive)}
        found |= _of_services(content, first)
    if "systems" in items:
        if {row["organization"] for row in content["systems"]} != {row["organization"] for row in first["systems"]}:
            raise _malformed(
                "systems",
                _("Every agency that asked keeps at least one system; where one is to have none, file a new request."),
            )
        codes = {row["code"] for row in content["systems"]}
        levels = [row for row in first["security"]["levels"] if row["system"] in codes]
        found["security"] = {**content["security"], "levels": levels}
        found["place"] = {**content["place"], "usage_location": sorted(row["name"] for row in content["systems"])}
    return found


def _of_services(content: dict, first: dict) -> dict:
    """What is said of the services in the scope: nothing of those given up, and of one that comes back what `first` said.

    Raises InvalidFact (`scope_malformed`) where a provider would share nothing any more: it would have to sign what does not concern it.
    """
    named = {row["service"] for row in content["scope"]}
    if {row["provider"] for row in content["scope"]} != {row["provider"] for row in first["scope"]}:
        text = _(
            "Every provider of the agreement shares at least one service; where one is to share nothing, file a new request."
        )
        raise InvalidFact(text, code="scope_malformed")
    levels = {row["service"]: row for row in [*first["service_level"], *content["service_level"]]}
    protocols = DataService.objects.filter(code__in=named).values_list("protocol", flat=True)
    return {
        "service_level": [levels[row["service"]] for row in first["service_level"] if row["service"] in named],
        "method": {**content["method"], "protocols": sorted(set(protocols))},
        **_regulations(first, named),
    }


def _regulations(first: dict, named: set[str]) -> dict:
    """Those of the services `named`; nothing where an older content does not say which is whose."""
    rows = first["usage_regulations"]
    if not all("services" in row for row in rows):
        return {}
    kept = [{**row, "services": [code for code in row["services"] if code in named]} for row in rows]
    kept = [row for row in kept if row["services"]]
    return {"usage_regulations": kept, "log_retention_months": max((row["log_retention_months"] for row in kept), default=None)}


def _default_quota(content: dict) -> dict:
    """The method with the smallest default of the services in the scope, where it says no number of calls a day."""
    method = content["method"]
    if method["calls_per_day"] is not None:
        return {}
    quota = DataService.objects.filter(code__in={row["service"] for row in content["scope"]}).smallest_quota()
    if quota is None:
        raise _malformed("method", _("State the number of calls per day: these services have no default."))
    return {"method": {**method, "calls_per_day": quota}}


def _item(name: str, value, first: dict, last: dict):
    if name == "scope":
        return _scope(value, first)
    if name == "systems":
        return _systems(value, first)
    was = last[name]
    if not isinstance(was, dict):
        return _same_kind(name, value, was)
    # Keys that are not given stay as they are; keys that are not there cannot be invented.
    if not isinstance(value, dict) or not set(value) <= set(was):
        raise _malformed(name)
    merged = {**was, **value}
    merged |= {fixed: was[fixed] for fixed in _FIXED.get(name, ()) if fixed in was}
    for day in _DAYS & {*merged}:
        merged[day] = _day(name, merged[day])
    if any(isinstance(merged[key], kind) != isinstance(was[key], kind) for key in {*was} - _DAYS for kind in (str, list)):
        raise _malformed(name)  # one text stays one text, a list of texts a list
    _CHECKS.get(name, _texts)(name, merged)
    return merged


def _malformed(name: str, why: object = "") -> InvalidFact:
    text = why or _("This item is not in the form the agreement needs.")
    return InvalidFact(code="item_malformed", fields={name: [text]}, item=name)


def _day(name: str, text) -> str | None:
    """A day as contents write it; None where it is left empty."""
    try:
        return datetime.date.fromisoformat(text).isoformat() if text not in (None, "") else None
    except (TypeError, ValueError) as error:
        raise _malformed(name) from error


def _same_kind(name: str, value, was):
    if isinstance(was, bool) and isinstance(value, bool):
        return value
    if isinstance(was, str) and isinstance(value, str) and len(value) <= MOST_TEXT:
        return value
    if name == "service_level" and isinstance(value, list):
        services = {row["service"] for row in was}
        if all(isinstance(row, dict) and set(row) == {"service", "text"} and row["service"] in services for row in value):
            _texts(name, {str(number): row["text"] for number, row in enumerate(value)})
            return value
    raise _malformed(name)


def _scope(rows, first: dict) -> list[dict]:
    wide = {(row["service"], row["version"], row["operation"]): row for row in first["scope"]}
    found = []
    try:
        for row in rows:
            paths = {field["path"] for field in row["fields"]}
            asked = wide.get((row["service"], row["version"], row["operation"]))
            if asked is None or not paths <= {field["path"] for field in asked["fields"]}:
                raise InvalidFact(_("The proposal asks for more than the request; file a new request."), code="scope_widened")
            found.append({**asked, "fields": [field for field in asked["fields"] if field["path"] in paths]})
    except (TypeError, KeyError) as error:
        raise InvalidFact(code="scope_malformed") from error
    if not found or any(not row["fields"] for row in found) or len(found) != len({_key(row) for row in found}):
        raise InvalidFact(_("Every operation of the agreement has at least one field."), code="scope_malformed")
    return found


def _key(row: dict) -> tuple[str, str, str]:
    return row["service"], row["version"], row["operation"]


def _systems(rows, first: dict) -> list[dict]:
    try:
        codes = {row["code"] for row in rows}
    except (TypeError, KeyError) as error:
        raise InvalidFact(code="scope_malformed") from error
    found = [row for row in first["systems"] if row["code"] in codes]
    if len(found) != len(codes):
        raise InvalidFact(_("The proposal asks for more than the request; file a new request."), code="scope_widened")
    if not found:
        raise _malformed("systems")
    return found


def _texts(name: str, item: dict) -> None:
    """Texts and lists of texts."""
    for value in item.values():
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, str) and len(part) <= MOST_TEXT for part in parts):
            raise _malformed(name)


def _security(name: str, item: dict) -> None:
    _texts(name, {"text": item["text"]})


def _term(name: str, item: dict) -> None:
    first, last = (datetime.date.fromisoformat(item[key]) if item[key] else None for key in ("valid_from", "valid_to"))
    if last and (last < timezone.localdate() or (first and last <= first)):
        raise _malformed(name, _("The period ends before it begins."))
    if is_too_far(first) or is_too_far(last):
        raise _malformed(name, _("Too far ahead: leave the last day empty where there is no end."))
    _texts(name, {"usage_duration": item["usage_duration"]})


def _method(name: str, item: dict) -> None:
    limits = [item["calls_per_day"], item["calls_per_second"]]
    if not all(limit is None or (type(limit) is int and 0 < limit < 2**31) for limit in limits):
        raise _malformed(name)
    if item["method"] != SharingMethod.QUERY:
        text = _("Only online query is possible on this platform for now; synchronization and packages are not yet.")
        raise _malformed(name, text)
    _texts(name, {"protocols": item["protocols"]})


def _restrictions(name: str, item: dict) -> None:
    _texts(name, {"text": item["text"]})
    hours = item["hours"]
    if hours is not None:
        if not isinstance(hours, dict) or set(hours) != {"from", "to"}:
            raise _malformed(name)
        if not all(isinstance(hour, str) and _HOUR.match(hour) for hour in hours.values()) or hours["from"] == hours["to"]:
            raise _malformed(name, _("Hours are given as 07:00 and 19:00."))
    networks = item["source_networks"]
    if not isinstance(networks, list) or len(networks) > 100:
        raise _malformed(name)
    try:
        item["source_networks"] = sorted({str(ipaddress.ip_network(network)) for network in networks})
    except (TypeError, ValueError) as error:
        raise _malformed(name, _("A network is written like 10.1.2.0/24.")) from error


_DAYS = {"valid_from", "valid_to", "codes_day"}
"""Keys whose value is a day, or None."""
_FIXED = {"security": ("levels",), "method": ("protocols", "counted_by")}
"""What follows from systems and services, whatever a proposal says."""
_CHECKS = {"term": _term, "method": _method, "restrictions": _restrictions, "security": _security}
