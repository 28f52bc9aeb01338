"""Agencies of an import file."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.core.text import fold
from apps.organizations import actions
from apps.organizations.choices import OrganizationKind, OrganizationStatus
from apps.organizations.imports.rows import Row, by_unique, decide
from apps.organizations.locks import hold_organizations, lock_tree
from apps.organizations.models import Organization


def take_turns(rows: list[Row]) -> None:
    """Hold all agencies of the file before the first is written: a row that changes a name raises the policy epoch, after which
    nothing is locked that was not before (`agreements.locks`), and an approval that holds the next agency waits for the epoch."""
    lock_tree()
    codes = [row.facts["code"] for row in rows if row.facts.get("code")]
    hold_organizations(Organization.objects.filter(code__in=codes).values_list("pk", flat=True))


def plan(rows: list[Row]) -> None:
    stored = {org.code: org for org in Organization.objects.select_related("parent")}
    old_codes = {org.old_code: org.code for org in stored.values() if org.old_code}
    in_file = by_unique(rows, "code")
    by_unique(rows, "old_code")
    for row in rows:
        row.facts["parent"] = old_codes.get(row.facts.get("parent", ""), row.facts.get("parent", ""))
        kind = row.facts.get("kind", "")
        row.facts["kind"] = kind if kind in OrganizationKind.values else _kind_of(kind) or row.facts["kind"] if kind else ""
        owner = old_codes.get(row.facts.get("old_code", ""))
        if owner is not None and owner != row.facts["code"]:
            row.refuse(_("The older identifier belongs to %(code)s.") % {"code": owner})
        _plan_parent(row, stored, in_file)
        decide(row, stored.get(row.facts["code"]), _organization_facts)
    _refuse_circles(rows, stored)
    rows.sort(key=lambda row: (_depth(row, in_file), row.line))


def _kind_of(text: str) -> str:
    """The kind by its label in either language."""
    return next((value for value, label in OrganizationKind.choices if fold(str(label)) == fold(text)), "")


def _organization_facts(row: Row, organization: Organization | None) -> dict[str, list[str]]:
    """Validate the row as a model would, without asking the database; return what differs from what is stored."""
    facts = {name: value for name, value in row.facts.items() if name != "parent" and value}
    probe = Organization(**facts)
    try:
        probe.clean_fields(exclude=["parent", "folded", "sort_key"])
    except ValidationError as error:
        for name, messages in error.message_dict.items():
            row.refuse(f"{name}: {messages[0]}")
    if organization is None:
        return {name: ["", value] for name, value in row.facts.items() if value}
    if organization.status == OrganizationStatus.CLOSED:
        row.refuse(_("The agency is closed."))
    present = {name: getattr(organization, name) for name in facts}
    present["parent"] = organization.parent.code if organization.parent else ""
    wanted = {**facts, **({"parent": row.facts["parent"]} if row.facts.get("parent") else {})}
    return {name: [present[name], value] for name, value in wanted.items() if present[name] != value}


def _plan_parent(row: Row, stored: dict, in_file: dict) -> None:
    parent = row.facts.get("parent")
    if parent and parent not in stored and parent not in in_file:
        row.refuse(_("The parent %(code)s is neither in the register nor in the file.") % {"code": parent})
    if parent and parent == row.facts["code"]:
        row.refuse(_("An agency cannot stand under itself."))


def _refuse_circles(rows: list[Row], stored: dict) -> None:
    parents = {code: org.parent.code if org.parent else "" for code, org in stored.items()}
    parents.update({row.facts["code"]: row.facts["parent"] for row in rows if row.facts.get("parent")})
    for row in rows:
        seen, code = set(), row.facts["code"]
        while code and code not in seen:
            seen.add(code)
            code = parents.get(code, "")
        if code:
            row.refuse(_("An agency cannot stand under itself."))


def _depth(row: Row, in_file: dict) -> int:
    """How many of the row's ancestors are in the file: parents are made before their children."""
    depth, parent = 0, row.facts.get("parent", "")
    while parent in in_file and depth < 50:
        depth, parent = depth + 1, in_file[parent].facts.get("parent", "")
    return depth


def apply(facts: dict, changes: dict, by) -> None:
    given = {name: value for name, value in facts.items() if value}
    if "parent" in given:
        given["parent"] = Organization.objects.get(code=given["parent"])
    stored = Organization.objects.filter(code=facts["code"]).first()
    if stored is None:
        actions.register_organization(given.pop("code"), given.pop("name"), by=by, unique=False, **given)
    else:
        actions.change_organization(stored, by=by, **{name: given[name] for name in changes})
