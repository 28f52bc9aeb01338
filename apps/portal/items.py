"""The content of an agreement as a reader's list: the twenty items in the decree's order, and the fields with their class."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.utils.dateparse import parse_date
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from apps.agreements import representatives
from apps.agreements.assessments import stated, words
from apps.connections.choices import SharingMethod
from apps.connections.networks import is_everywhere
from apps.organizations.choices import Network
from apps.registry.choices import PersonalDataClass, Protocol


@dataclass(frozen=True)
class Item:
    """One of the twenty items: its number and name in the decree's order, and its content as lines."""

    number: int
    name: object
    lines: list[str]


def items(content: dict) -> list[Item]:
    """The content of a version as a reader's list (NĐ 47/2020 Điều 38 and regulations section 8). Empty items are shown as such."""
    named = [
        (_("Providing and consuming agencies"), _parties(content)),
        (_("Data shared"), [_scope_line(row) for row in content.get("scope", [])]),
        (_("Place of sharing and of use"), _place(content.get("place", {}))),
        (_("Term"), _term(content.get("term", {}))),
        (_("Method of sharing"), _method(content.get("method", {}))),
        (_("Processing after receipt"), [content.get("post_processing", "")]),
        (_("Conditions and limits"), _restrictions(content)),
        (_("Commitments on protecting the data"), [content.get("commitments", "")]),
        (_("Security and authentication"), _security(content.get("security", {}))),
        (_("Storage; derived data"), list(content.get("storage", {}).values())),
        (_("Deletion and destruction"), list(content.get("disposal", {}).values())),
        (_("Other terms"), [content.get("other_terms", "")]),
        (
            _("Usage regulation"),
            [f"{row['number']} – {row['title']} ({row['organization']})" for row in content.get("usage_regulations", [])],
        ),
        (_("Access log kept for"), _months(content.get("log_retention_months"))),
        (_("Legal bases"), content.get("legal_bases", [])),
        (_("Service level"), [row["text"] for row in content.get("service_level", [])]),
        (_("Technical contacts"), [_contact(row, content) for row in content.get("contacts", [])]),
        (_("Personal data"), _personal(content)),
        (_("Joining by others"), _openness(content)),
        (_("Version and history"), _history(content)),
    ]
    return [Item(number, name, [str(line) for line in lines if line]) for number, (name, lines) in enumerate(named, 1)]


def _openness(content: dict) -> list[str]:
    if not content.get("open_to_join"):
        return [_("not open to be joined")]
    return [_("open to be joined"), content.get("joining", "")]


def _parties(content: dict) -> list[str]:
    return [_("Provider: %(name)s") % {"name": _represented(row)} for row in content.get("providers", [])] + [
        _("Consumer: %(name)s") % {"name": _represented(row)} for row in content.get("consumers", [])
    ]


def _represented(row: dict) -> str:
    people = "; ".join(representatives.words(one) for one in row.get("representatives", []))
    return f"{row['name']} ({people})" if people else row["name"]


def _scope_line(row: dict) -> str:
    return _("%(service)s, %(operation)s: %(n)s fields") % {
        "service": row["service_name"],
        "operation": row["operation_name"],
        "n": len(row["fields"]),
    }


def _place(place: dict) -> list[str]:
    names = dict(Network.choices)
    used = ", ".join(place.get("usage_location", []))
    networks = ", ".join(str(names.get(value, value)) for value in place.get("networks", []))
    return [place.get("exchange_point", ""), used, networks]


def _term(term: dict) -> list[str]:
    first, last = (parse_date(term.get(key) or "") for key in ("valid_from", "valid_to"))
    period = _("from %(first)s until %(last)s") % {
        "first": f"{first:%d/%m/%Y}" if first else _("coming into force"),
        "last": f"{last:%d/%m/%Y}" if last else _("no end"),
    }
    return [period, *(_("Use of received data: %(text)s") % {"text": text} for text in term.get("usage_duration", []))]


def _method(method: dict) -> list[str]:
    names, protocols = dict(SharingMethod.choices), dict(Protocol.choices)
    lines = [str(names.get(method.get("method"), method.get("method", "")))]
    lines += [str(protocols.get(value, value)) for value in method.get("protocols", [])]
    if method.get("calls_per_day"):
        lines.append(_("%(n)s calls a day") % {"n": number_format(method["calls_per_day"], force_grouping=True)})
    if method.get("calls_per_second"):
        lines.append(_("at most %(n)s calls a second") % {"n": method["calls_per_second"]})
    if method.get("counted_by") == "operation" and (method.get("calls_per_day") or method.get("calls_per_second")):
        lines.append(_("counted for each operation of each system"))
    if method.get("codes_day"):
        day = date_format(parse_date(method["codes_day"]), "SHORT_DATE_FORMAT")
        lines.append(_("administrative codes translated to those of %(day)s") % {"day": day})
    return lines


def _restrictions(content: dict) -> list[str]:
    limits, purpose = content.get("restrictions", {}), content.get("purpose", {})
    lines = [_("Purpose: %(name)s") % {"name": purpose.get("name", "")}, purpose.get("text", ""), limits.get("text", "")]
    if limits.get("source_networks"):
        lines.append(_("Only from: %(networks)s") % {"networks": ", ".join(limits["source_networks"])})
    if limits and is_everywhere(limits.get("source_networks", [])):
        lines.append(_("Calls may come from every address."))
    if limits.get("hours"):
        lines.append(_("Only between %(from)s and %(to)s") % limits["hours"])
    if content.get("procedures"):
        lines.append(_("Procedures served: %(codes)s") % {"codes": ", ".join(content["procedures"])})
    return lines


def _security(security: dict) -> list[str]:
    levels = [
        _("%(system)s: security level %(level)s, decision %(decision)s") % row
        for row in security.get("levels", [])
    ]  # fmt: skip
    return [security.get("text", ""), *levels]


def _months(months: int | None) -> list[str]:
    return [_("%(n)s months") % {"n": months}] if months else []


def _contact(row: dict, content: dict) -> str:
    names = {party["code"]: party["name"] for side in ("providers", "consumers") for party in content.get(side, [])}
    parts = [row.get("name"), row.get("position"), row.get("phone"), row.get("email"), row.get("technician")]
    return f"{names.get(row.get('organization'), row.get('organization', ''))}: " + ", ".join(part for part in parts if part)


def _personal(content: dict) -> list[str]:
    fields = content.get("personal_data", {}).get("sensitive_fields", [])
    names = {party["code"]: party["name"] for party in content.get("consumers", [])}
    first = (
        _("Sensitive fields: %(fields)s") % {"fields": ", ".join(fields)}
        if fields
        else _("No sensitive personal data is shared.")
    )
    said = [(names.get(row["organization"], row["organization"]), line) for row in stated(content) for line in words(row)]
    return [first, *(f"{name}: {line}" if name else line for name, line in said)]


def _history(content: dict) -> list[str]:
    lines = [_("Version %(n)s") % {"n": content.get("version", "")}]
    if content.get("addendum"):
        lines.append(
            _("Addendum %(n)s: joined by %(codes)s")
            % {"n": content["addendum"]["number"], "codes": ", ".join(content["addendum"]["joined"])}
        )
    lines += [_("Rests on request %(number)s") % {"number": row["number"]} for row in content.get("requests", [])]
    return [*lines, content.get("change_note", "")]


def scope(content: dict) -> list[dict]:
    """The operations of a content with their fields, and how many of each class."""
    labels = dict(PersonalDataClass.choices)
    found = []
    for row in content.get("scope", []):
        counts = Counter(field["personal_data"] for field in row["fields"])
        fields = [{**field, "class": labels.get(field["personal_data"], "")} for field in row["fields"]]
        totals = [(value, label, counts[value]) for value, label in PersonalDataClass.choices if counts[value]]
        found.append({**row, "fields": fields, "totals": totals})
    return found
