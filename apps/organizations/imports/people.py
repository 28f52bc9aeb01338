"""People and their roles of an import file."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.core.text import fold
from apps.organizations import actions
from apps.organizations.choices import OrganizationStatus, Role
from apps.organizations.imports.rows import Row, by_unique, decide
from apps.organizations.models import Membership, Organization


def plan(rows: list[Row]) -> None:
    names = [row.facts.get("username", "") for row in rows]
    stored = {user.username: user for user in User.objects.filter(username__in=names)}
    mails = [row.facts["email"] for row in rows if row.facts.get("email")]
    owners = dict(User.objects.filter(email__in=mails).values_list("email", "username"))
    organizations, held = _organizations(rows), _held(names)
    by_unique([row for row in rows if not row.facts.get("role")], "username")
    told: dict[str, dict] = {}
    for row in rows:
        username, email = row.facts.get("username", ""), row.facts.get("email", "")
        if owners.setdefault(email, username) != username and email:
            row.refuse(_("This e-mail address belongs to another account."))
        person = {name: row.facts.get(name, "") for name in ("full_name", "email", "position", "phone")}
        if told.setdefault(username, person) != person:
            row.refuse(_("Another row tells something else about the same person."))
        _plan_role(row, organizations, optional=True)
        decide(row, stored.get(username), _person_facts(held))
    _refuse_doubled_roles(rows)


def _person_facts(held: dict[tuple[str, str, str], str]) -> Callable[[Row, User | None], dict]:
    def differences(row: Row, user: User | None) -> dict[str, list[str]]:
        facts = {name: row.facts.get(name, "") for name in ("username", "full_name", "email", "position", "phone")}
        try:
            User(**facts, password="!").clean_fields()  # noqa: S106
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                row.refuse(f"{name}: {messages[0]}")
        if facts["username"].startswith("machine:"):
            row.refuse(_("This name is kept for machines."))
        if user is not None and (user.is_machine or not user.is_active):
            row.refuse(_("The account is disabled."))
        changes = {
            n: [getattr(user, n) if user else "", v] for n, v in facts.items() if v and (not user or getattr(user, n) != v)
        }
        return {**changes, **_role_difference(row, held)}

    return differences


def plan_roles(rows: list[Row]) -> None:
    names = [row.facts.get("username", "") for row in rows]
    stored = {user.username: user for user in User.objects.filter(username__in=names, is_active=True, is_machine=False)}
    organizations, held = _organizations(rows), _held(names)
    for row in rows:
        if row.facts.get("username") not in stored:
            row.refuse(_("There is no active account with this user name."))
        _plan_role(row, organizations, optional=False)
        decide(row, stored.get(row.facts.get("username")), lambda r, _user: _role_difference(r, held))
        if row.action == "change" and "role" in row.changes:
            row.action = "create"
    _refuse_doubled_roles(rows)


def _plan_role(row: Row, organizations: dict, *, optional: bool) -> None:
    role, code = row.facts.get("role", ""), row.facts.get("organization", "")
    if optional and not role and not code:
        _plan_authority(row)
        return
    role = role if role in Role.values else next((v for v, label in Role.choices if fold(str(label)) == fold(role)), "")
    if not role:
        row.refuse(_("The role is not one of: %(all)s.") % {"all": ", ".join(Role.values)})
    row.facts["role"] = role or row.facts.get("role", "")
    _plan_authority(row)
    organization = organizations.get(code)
    if organization is None:
        row.refuse(_("There is no agency with the identifier %(code)s.") % {"code": code})
    elif organization.status != OrganizationStatus.ACTIVE:
        row.refuse(_("The agency is not active."))
    else:
        row.facts["organization"] = organization.code


def _plan_authority(row: Row) -> None:
    authority = row.facts.get("authority", "")
    if authority and row.facts.get("role") != Role.SIGNER:
        row.refuse(_("Only a signer is empowered by a document."))
    if len(authority) > Membership._meta.get_field("authority").max_length:
        row.refuse(_("%(column)s is too long.") % {"column": "authority"})


def _role_difference(row: Row, held: dict[tuple[str, str, str], str]) -> dict[str, list[str]]:
    """An empty document leaves the one there is, as every empty cell."""
    role, code, authority = (row.facts.get(name, "") for name in ("role", "organization", "authority"))
    if not role:
        return {}
    present = held.get((row.facts["username"], code, role))
    changes = {} if present is not None else {"role": ["", f"{role} @ {code}"]}
    if authority and authority != present:
        changes["authority"] = [present or "", authority]
    return changes


def _refuse_doubled_roles(rows: list[Row]) -> None:
    seen = set()
    for row in rows:
        key = (row.facts.get("username"), row.facts.get("organization"), row.facts.get("role"))
        if row.facts.get("role") and key in seen:
            row.refuse(_("The same row appears twice."))
        seen.add(key)


def _organizations(rows: list[Row]) -> dict[str, Organization]:
    """Identifier in either form → agency."""
    codes = {row.facts.get("organization", "") for row in rows} - {""}
    found = list(Organization.objects.filter(code__in=codes)) + list(Organization.objects.filter(old_code__in=codes))
    return {code: org for org in found for code in (org.code, org.old_code) if code}


def _held(usernames: Iterable[str]) -> dict[tuple[str, str, str], str]:
    """(user name, identifier, role) → by what document."""
    rows = Membership.objects.current().filter(user__username__in=list(usernames))
    found = rows.values_list("user__username", "organization__code", "role", "authority")
    return {(username, code, role): authority for username, code, role, authority in found}


def apply(facts: dict, changes: dict, by) -> None:
    user = User.objects.filter(username=facts["username"]).first()
    person = {name: facts[name] for name in ("full_name", "email", "position", "phone") if facts.get(name)}
    if user is None:
        user = actions.open_account(facts["username"], by=by, unique=False, **person)
    elif wanted := {name: person[name] for name in changes if name in person}:
        actions.change_person(user, by=by, **wanted)
    _give(user, facts, changes, by)


def apply_role(facts: dict, changes: dict, by) -> None:
    _give(User.objects.get(username=facts["username"]), facts, changes, by)


def _give(user: User, facts: dict, changes: dict, by) -> None:
    if not {"role", "authority"} & changes.keys():
        return
    organization, role, authority = (
        Organization.objects.get(code=facts["organization"]),
        facts["role"],
        facts.get("authority", ""),
    )
    if "role" in changes:
        actions.give_role(user, organization, role, by=by, authority=authority)
    else:
        # The newest: whether it has ended meanwhile is told by the verb.
        held = user.memberships.filter(organization=organization, role=role).latest("pk")
        actions.change_authority(held, by=by, authority=authority)
