"""What two sides negotiated and no request can say: a change or renewal of the agreement keeps it.

Everything else in the next content comes from the request, and standard texts from the clauses of that day.
"""

from __future__ import annotations

CLAUSES = {
    "exchange_point": ("place", "exchange_point"), "restrictions": ("restrictions", "text"), "security": ("security", "text"),
    "storage": ("storage", "ground"), "derived_data": ("storage", "derived_data"), "disposal": ("disposal", "method"),
    "disposal_deadline": ("disposal", "deadline"), "commitments": ("commitments",), "usage_duration": ("term", "usage_duration"),
}  # fmt: skip
"""Code of the standard clause → where its text stands in a content; `usage_duration` is the usage regulations'."""


def keep_negotiated(content: dict, first: dict, last: dict, standard: set[tuple[str, str]]) -> dict:
    """`content` with what differs in `last`, the one in force, from `first`, which was made of a request and clauses alone.

    `standard` are all (code, text) that ever were: a text among them was a clause of its day, not negotiated.
    """
    found = {**content, "open_to_join": last.get("open_to_join", content["open_to_join"])}
    hours = last["restrictions"].get("hours")
    found["restrictions"] = {**content["restrictions"], "hours": hours}
    for code, path in CLAUSES.items():
        was, now = _at(first, path), _at(last, path)
        if now is not None and now != was and not (isinstance(now, str) and (code, now) in standard):
            item, *key = path
            found[item] = {**found[item], key[0]: now} if key else now
    offered, agreed = ({row["service"]: row["text"] for row in one["service_level"]} for one in (first, last))
    kept = {service: text for service, text in agreed.items() if text != offered.get(service, text)}
    found["service_level"] = [{**row, "text": kept.get(row["service"], row["text"])} for row in content["service_level"]]
    return found


def _at(content: dict, path: tuple[str, ...]):
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return content
