"""Two contents of an agreement, compared in words: by party, system, field, limit and clause.

Pure: takes two contents (`agreements.content`), returns `Difference`s a person can read before signing.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from apps.agreements.assessments import stated, words

ADDED, REMOVED, CHANGED = "added", "removed", "changed"


@dataclass(frozen=True)
class Difference:
    """`item` is what it is about, `kind` one of added, removed, changed; `before` and `after` are readable values.

    `personal_data` is the class of a field that was added or removed ("" elsewhere): the reader looks there first.
    """

    item: object
    kind: str
    before: str = ""
    after: str = ""
    personal_data: str = ""


PLAIN = (
    ("title", _("Title")), ("post_processing", _("Use after receipt")), ("commitments", _("Commitments")),
    ("other_terms", _("Other terms")), ("log_retention_months", _("Log retention (months)")), ("open_to_join", _("Open to join")),
)  # fmt: skip
NESTED = (
    (("method", "method"), _("Method")),
    (("method", "calls_per_day"), _("Calls per day")), (("method", "calls_per_second"), _("Calls per second")),
    (("purpose", "name"), _("Purpose")), (("purpose", "text"), _("Purpose in words")), (("restrictions", "text"), _("Restrictions")),
    (("restrictions", "hours"), _("Hours")), (("security", "text"), _("Security")), (("storage", "ground"), _("Storage")),
    (("storage", "derived_data"), _("Derived data")), (("disposal", "method"), _("Disposal")), (("disposal", "deadline"), _("Deletion: by when")),
    (("place", "exchange_point"), _("Place of exchange")),
)  # fmt: skip
DAYS = (
    (("term", "valid_from"), _("Valid from")), (("term", "valid_to"), _("Valid until")),
    (("method", "codes_day"), _("Administrative codes of the day")),
)  # fmt: skip
LISTS = (
    ("providers", "name", _("Provider")), ("consumers", "name", _("Consumer")), ("systems", "name", _("System")),
    ("usage_regulations", "number", _("Usage regulation")),
)  # fmt: skip


def differences(old: dict, new: dict) -> list[Difference]:
    """Everything a reader should know before agreeing to `new` instead of `old`; fields first."""
    return [*_fields(old, new), *_lists(old, new), *_values(old, new), *_assessments(old, new), *_of_what_stays(old, new)]


def _fields(old: dict, new: dict) -> Iterator[Difference]:
    before, after = _scope(old), _scope(new)
    for key in sorted({*before, *after}):
        was, now = before.get(key, {}), after.get(key, {})
        for path in sorted({*was, *now}):
            if path not in now:
                yield _field(REMOVED, key, was[path])
            elif path not in was:
                yield _field(ADDED, key, now[path])


def _scope(content: dict) -> dict[tuple[str, str], dict[str, dict]]:
    """(service, operation) → path → field."""
    return {
        (row["service_name"], row["operation_name"]): {field["path"]: field for field in row["fields"]}
        for row in content["scope"]
    }


def _field(kind: str, key: tuple[str, str], field: dict) -> Difference:
    text = f"{key[1]}: {field['label'] or field['path']}"
    side = {"before": text} if kind == REMOVED else {"after": text}
    return Difference(_("Field"), kind, personal_data=field["personal_data"], **side)


def _lists(old: dict, new: dict) -> Iterator[Difference]:
    for name, label, item in LISTS:
        was, now = ({row[label] for row in content[name]} for content in (old, new))
        yield from (Difference(item, REMOVED, before=text) for text in sorted(was - now))
        yield from (Difference(item, ADDED, after=text) for text in sorted(now - was))
    for name, item in (("legal_bases", _("Legal basis")), ("procedures", _("Procedure"))):
        was, now = set(old[name]), set(new[name])
        yield from (Difference(item, REMOVED, before=text) for text in sorted(was - now))
        yield from (Difference(item, ADDED, after=text) for text in sorted(now - was))
    was, now = (set(content["restrictions"]["source_networks"] or [_("every address")]) for content in (old, new))
    yield from (Difference(_("Network"), REMOVED, before=text) for text in sorted(was - now))
    yield from (Difference(_("Network"), ADDED, after=text) for text in sorted(now - was))


def _values(old: dict, new: dict) -> Iterator[Difference]:
    pairs = [(old[name], new[name], item) for name, item in PLAIN]
    # A content of an older format may lack a part that the newer one has.
    pairs += [(old[group].get(name), new[group].get(name), item) for (group, name), item in NESTED]
    days = [(old[group].get(name), new[group].get(name), item) for (group, name), item in DAYS]
    pairs += [(_day(was), _day(now), item) for was, now, item in days]
    for was, now, item in pairs:
        if was != now:
            yield Difference(item, CHANGED, before=_text(was), after=_text(now))


def _assessments(old: dict, new: dict) -> Iterator[Difference]:
    """What each consumer says of sensitive data. The one text of an older content is whose the next one says it is."""
    was, now = ({row["organization"]: row for row in stated(content)} for content in (old, new))
    if "" in was:
        said = was.pop("")
        was[next((code for code, row in now.items() if row["exemption"] == said["exemption"] and code not in was), "")] = said
    names = {row["code"]: row["name"] for content in (old, new) for row in content["consumers"]}
    for code in sorted({*was, *now}):
        before, after = (
            ": ".join(filter(None, [names.get(code, code), "\n".join(words(row[code]))])) if code in row else ""
            for row in (was, now)
        )
        if before != after:
            kind = CHANGED if before and after else ADDED if after else REMOVED
            yield Difference(_("Assessment or exemption"), kind, before=before, after=after)


def _of_what_stays(old: dict, new: dict) -> Iterator[Difference]:
    """What is said of services, systems and regulations that both contents name; that one came or went is told above."""
    for item, read in (
        (_("Service level"), _service_levels), (_("Security level"), _security_levels), (_("Usage regulation"), _terms),
        (_("Place of use"), _places), (_("Use of received data"), _durations), (_("Joining by others"), _joining),
    ):  # fmt: skip
        was, now = read(old), read(new)
        for key in sorted({*was} & {*now}):
            if was[key] != now[key]:
                yield Difference(item, CHANGED, before=was[key], after=now[key])


def _service_levels(content: dict) -> dict[str, str]:
    names = {row["service"]: row["service_name"] for row in content["scope"]}
    rows = content.get("service_level", [])
    return {row["service"]: f"{names.get(row['service'], row['service'])}: {row['text']}" for row in rows}


def _security_levels(content: dict) -> dict[str, str]:
    names = {row["code"]: row["name"] for row in content["systems"]}
    rows = [row for row in content["security"].get("levels", []) if row["system"] in names]
    return {row["system"]: f"{names[row['system']]}: {row['level']} {row['decision']}".strip() for row in rows}


def _terms(content: dict) -> dict[str, str]:
    return {
        f"{row.get('organization', '')} {row['number']}": f"{row['number']}: {row.get('terms', '')}"
        for row in content["usage_regulations"]
    }


def _places(content: dict) -> dict[str, str]:
    """Where data is used follows the systems: of the same ones it is another only where somebody wrote so."""
    systems = ", ".join(sorted(row["name"] for row in content["systems"]))
    return {systems: ", ".join(content["place"].get("usage_location", []))}


def _durations(content: dict) -> dict[str, str]:
    return {"": "; ".join(content["term"].get("usage_duration", []))}


def _joining(content: dict) -> dict[str, str]:
    """The provision by which others join; a content of an older format does not say it."""
    return {"": content["joining"]} if content.get("open_to_join") and "joining" in content else {}


def _day(text: str | None) -> str | None:
    """The day of a content (ISO 8601) as readers write it."""
    return date_format(datetime.date.fromisoformat(text), "SHORT_DATE_FORMAT") if text else text


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, dict):
        return f"{value['from']} – {value['to']}"  # hours are the only value with parts
    return "" if value is None else str(value)
