"""Importing agencies, people and roles from a CSV file: looked at first, applied whole or not at all, twice does nothing.

`preview` reads a file with suspicion and says for every row what would happen and why not; its digest names the file
and that plan. `apply` makes the plan again: only when the digest is still the same (nobody changed anything between)
it is carried out, in one transaction, by the same verbs as everything else. A file whose rows all stand already
is applied without a trace.

Refused as a whole: too big, not UTF-8 (Excel's UTF-16 and Windows code pages are named), a workbook instead of text,
broken quotes, unknown or doubled columns. Refused row by row: formulas, missing or wrong values, doubles, unknown parents.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.audit import actions as audit
from apps.core.canonical import canonical_json
from apps.core.errors import Conflict, DomainError, InvalidFact
from apps.core.permissions import require
from apps.core.text import clean, fold
from apps.organizations import actions
from apps.organizations.choices import OrganizationKind, OrganizationStatus, Role
from apps.organizations.models import Membership, Organization

MAX_BYTES = 1024 * 1024
MAX_ROWS = 5_000
MAX_CELL = 500

COLUMNS = {
    "organizations": {
        "code": ("ma dinh danh", "ma"), "name": ("ten co quan", "ten"), "old_code": ("ma dinh danh cu", "ma cu"),
        "short_name": ("ten viet tat", "viet tat"), "kind": ("loai",), "parent": ("co quan cap tren", "ma cap tren"),
        "email": ("thu dien tu",), "phone": ("dien thoai",), "address": ("dia chi",),
    },
    "people": {
        "username": ("ten dang nhap", "tai khoan"), "full_name": ("ho va ten", "ho ten"), "email": ("thu dien tu",),
        "position": ("chuc vu",), "phone": ("dien thoai",), "organization": ("co quan", "ma co quan"), "role": ("vai tro",),
    },
    "roles": {
        "username": ("ten dang nhap", "tai khoan"), "organization": ("co quan", "ma co quan"), "role": ("vai tro",),
    },
}  # fmt: skip
"""Kind → column → other headings it is known by (folded: Vietnamese headings are found with or without tones)."""
REQUIRED = {
    "organizations": ("code", "name"),
    "people": ("username", "full_name"),
    "roles": ("username", "organization", "role"),
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


@dataclass
class Row:
    """One line of the file and what would become of it. `changes`: name → [before, after]."""

    line: int
    facts: dict[str, str]
    action: str = ""
    changes: dict[str, list[str]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def refuse(self, why: object) -> None:
        self.action = "refused"
        if str(why) not in self.reasons:
            self.reasons.append(str(why))

    @property
    def key(self) -> str:
        return self.facts.get("code") or self.facts.get("username") or ""


@dataclass(frozen=True)
class Plan:
    kind: str
    rows: list[Row]
    digest: str

    @property
    def counts(self) -> dict[str, int]:
        return {action: sum(row.action == action for row in self.rows) for action in ("create", "change", "same", "refused")}

    @property
    def can_apply(self) -> bool:
        return bool(self.rows) and not self.counts["refused"]

    @property
    def is_done(self) -> bool:
        return self.counts["same"] == len(self.rows)


def preview(kind: str, content: bytes, *, by) -> Plan:
    """What the file would do, row by row; nothing is written. Raises NotPermitted, InvalidFact (`file_refused`)."""
    require(by, "organizations.import_file")
    rows = read(kind, content)
    _PLANNERS[kind](rows)
    for row in rows:
        if row.facts.get("role") and row.facts.get("username") == by.username:
            row.refuse(_("Nobody gives a role to themselves."))
    # Reasons are left out: they depend on the reader's language.
    plan = [[row.line, row.facts, row.action, row.changes] for row in rows]
    digest = hashlib.sha256(canonical_json([kind, hashlib.sha256(content).hexdigest(), plan])).hexdigest()
    return Plan(kind, rows, digest)


@transaction.atomic
def apply(kind: str, content: bytes, *, by, digest: str) -> Plan:
    """Carry out the plan that `preview` showed under `digest`. All rows or none.

    Raises NotPermitted, InvalidFact (`rows_refused`), Conflict (`preview_stale`: look again).
    """
    plan = preview(kind, content, by=by)
    if plan.is_done:
        return plan
    if plan.counts["refused"]:
        raise InvalidFact(_("Some rows are refused; nothing was imported."), code="rows_refused",
                          rows={str(row.line): row.reasons for row in plan.rows if row.reasons})  # fmt: skip
    if plan.digest != digest:
        raise Conflict(_("The file or the register changed since the preview: look at it again."), code="preview_stale")
    for row in plan.rows:
        if row.action != "same":
            _carry_out(kind, row, by)
    audit.record("import.applied", by=by, kind=kind, digest=digest, counts=plan.counts)
    return plan


def _carry_out(kind: str, row: Row, by) -> None:
    try:
        _APPLIERS[kind](row.facts, row.changes, by)
    except DomainError as error:
        # Whatever the preview could not see (somebody was faster) undoes the whole import and names the line.
        error.extra["line"] = row.line
        raise


# --- reading ------------------------------------------------------------------------------------


def read(kind: str, content: bytes) -> list[Row]:
    """The rows of a file, cells cleaned and judged one by one. Raises InvalidFact (`file_refused`)."""
    if kind not in COLUMNS:
        raise _refused(_("There is no such import."))
    text = _decode(content)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise _refused(_("The file is not well-formed CSV: %(error)s") % {"error": error}) from None
    header = _header(kind, lines[0] if lines else [])
    body = [(number, cells) for number, cells in enumerate(lines[1:], 2) if any(cell.strip() for cell in cells)]
    if not body:
        raise _refused(_("The file has no rows."))
    if len(body) > MAX_ROWS:
        raise _refused(_("The file has %(count)d rows; at most %(most)d are taken.") % {"count": len(body), "most": MAX_ROWS})
    return [_row(kind, number, header, cells) for number, cells in body]


def _decode(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _refused(_("The file is larger than 1 MiB."))
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise _refused(_("This is a workbook. Save it as “CSV UTF-8 (comma delimited)” and choose that file."))
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content[:4096]:
        raise _refused(_("The file is in UTF-16. Save it as “CSV UTF-8 (comma delimited)”."))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _refused(
            _("The file is not UTF-8 (line %(line)d): it was probably saved in a Windows code page such as CP1258. "
              "Save it as “CSV UTF-8 (comma delimited)”.") % {"line": line}
        ) from None  # fmt: skip
    if "\x00" in text:
        raise _refused(_("The file holds characters that are no text."))
    return text


def _header(kind: str, cells: list[str]) -> list[str]:
    known = {}
    for name, others in COLUMNS[kind].items():
        known.update({name: name, **dict.fromkeys(others, name)})
    header = [known.get(fold(clean(cell)).replace(" ", "_"), known.get(fold(clean(cell)), "")) for cell in cells]
    unknown = [cell for cell, name in zip(cells, header, strict=True) if not name]
    if unknown:
        raise _refused(_("Unknown columns: %(names)s. Known are: %(known)s.") % {
            "names": ", ".join(cell[:40] for cell in unknown[:5]), "known": ", ".join(COLUMNS[kind])})  # fmt: skip
    if len(set(header)) != len(header):
        raise _refused(_("A column appears twice."))
    missing = [name for name in REQUIRED[kind] if name not in header]
    if missing:
        raise _refused(_("Columns are missing: %(names)s.") % {"names": ", ".join(missing)})
    return header


def _row(kind: str, number: int, header: list[str], cells: list[str]) -> Row:
    row = Row(number, {name: clean(cell) for name, cell in zip(header, cells, strict=False)})
    if len(cells) != len(header):
        row.refuse(_("The row has %(count)d cells, the heading %(expected)d.") % {
            "count": len(cells), "expected": len(header)})  # fmt: skip
    for name, cell in zip(header, cells, strict=False):
        if len(cell) > MAX_CELL:
            row.refuse(_("%(column)s is too long.") % {"column": name})
        if cell.startswith(_FORMULA) and not _is_phone(name, cell):
            row.refuse(_("%(column)s looks like a formula.") % {"column": name})
    for name in REQUIRED[kind]:
        if not row.facts.get(name):
            row.refuse(_("%(column)s is empty.") % {"column": name})
    for name in ("code", "old_code", "parent", "organization"):
        if name in row.facts:
            row.facts[name] = row.facts[name].upper()
    for name in ("username", "email", "kind", "role"):
        if name in row.facts:
            row.facts[name] = row.facts[name].lower()
    return row


def _is_phone(name: str, cell: str) -> bool:
    return name == "phone" and cell.startswith("+") and cell[1:].replace(" ", "").isdecimal()


def _refused(why: str) -> InvalidFact:
    return InvalidFact(why, code="file_refused", fields={"file": [why]})


# --- agencies -----------------------------------------------------------------------------------


def _plan_organizations(rows: list[Row]) -> None:
    stored = {org.code: org for org in Organization.objects.select_related("parent")}
    old_codes = {org.old_code: org.code for org in stored.values() if org.old_code}
    in_file = _by_unique(rows, "code")
    _by_unique(rows, "old_code")
    for row in rows:
        row.facts["parent"] = old_codes.get(row.facts.get("parent", ""), row.facts.get("parent", ""))
        kind = row.facts.get("kind", "")
        row.facts["kind"] = kind if kind in OrganizationKind.values else _kind_of(kind) or row.facts["kind"] if kind else ""
        owner = old_codes.get(row.facts.get("old_code", ""))
        if owner is not None and owner != row.facts["code"]:
            row.refuse(_("The older identifier belongs to %(code)s.") % {"code": owner})
        _plan_parent(row, stored, in_file)
        _decide(row, stored.get(row.facts["code"]), _organization_facts)
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


def _apply_organization(facts: dict, changes: dict, by) -> None:
    given = {name: value for name, value in facts.items() if value}
    if "parent" in given:
        given["parent"] = Organization.objects.get(code=given["parent"])
    stored = Organization.objects.filter(code=facts["code"]).first()
    if stored is None:
        actions.register_organization(given.pop("code"), given.pop("name"), by=by, unique=False, **given)
    else:
        actions.change_organization(stored, by=by, **{name: given[name] for name in changes})


# --- people and roles ---------------------------------------------------------------------------


def _plan_people(rows: list[Row]) -> None:
    names = [row.facts.get("username", "") for row in rows]
    stored = {user.username: user for user in User.objects.filter(username__in=names)}
    mails = [row.facts["email"] for row in rows if row.facts.get("email")]
    owners = dict(User.objects.filter(email__in=mails).values_list("email", "username"))
    organizations, held = _organizations(rows), _held(names)
    _by_unique([row for row in rows if not row.facts.get("role")], "username")
    told: dict[str, dict] = {}
    for row in rows:
        username, email = row.facts.get("username", ""), row.facts.get("email", "")
        if owners.setdefault(email, username) != username and email:
            row.refuse(_("This e-mail address belongs to another account."))
        person = {name: row.facts.get(name, "") for name in ("full_name", "email", "position", "phone")}
        if told.setdefault(username, person) != person:
            row.refuse(_("Another row tells something else about the same person."))
        _plan_role(row, organizations, optional=True)
        _decide(row, stored.get(username), _person_facts(organizations, held))
    _refuse_doubled_roles(rows)


def _person_facts(organizations: dict, held: set) -> Callable[[Row, User | None], dict]:
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
        return {**changes, **_role_difference(row, organizations, held)}

    return differences


def _plan_roles(rows: list[Row]) -> None:
    names = [row.facts.get("username", "") for row in rows]
    stored = {user.username: user for user in User.objects.filter(username__in=names, is_active=True, is_machine=False)}
    organizations, held = _organizations(rows), _held(names)
    for row in rows:
        if row.facts.get("username") not in stored:
            row.refuse(_("There is no active account with this user name."))
        _plan_role(row, organizations, optional=False)
        _decide(row, stored.get(row.facts.get("username")), lambda r, _user: _role_difference(r, organizations, held))
        if row.action == "change":
            row.action = "create"
    _refuse_doubled_roles(rows)


def _plan_role(row: Row, organizations: dict, *, optional: bool) -> None:
    role, code = row.facts.get("role", ""), row.facts.get("organization", "")
    if optional and not role and not code:
        return
    role = role if role in Role.values else next((v for v, label in Role.choices if fold(str(label)) == fold(role)), "")
    if not role:
        row.refuse(_("The role is not one of: %(all)s.") % {"all": ", ".join(Role.values)})
    row.facts["role"] = role or row.facts.get("role", "")
    organization = organizations.get(code)
    if organization is None:
        row.refuse(_("There is no agency with the identifier %(code)s.") % {"code": code})
    elif organization.status != OrganizationStatus.ACTIVE:
        row.refuse(_("The agency is not active."))
    else:
        row.facts["organization"] = organization.code


def _role_difference(row: Row, organizations: dict, held: set) -> dict[str, list[str]]:
    role, code = row.facts.get("role"), row.facts.get("organization")
    if not role or (row.facts["username"], code, role) in held:
        return {}
    return {"role": ["", f"{role} @ {code}"]}


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


def _held(usernames: Iterable[str]) -> set[tuple[str, str, str]]:
    rows = Membership.objects.current().filter(user__username__in=list(usernames))
    return set(rows.values_list("user__username", "organization__code", "role"))


def _apply_person(facts: dict, changes: dict, by) -> None:
    user = User.objects.filter(username=facts["username"]).first()
    person = {name: facts[name] for name in ("full_name", "email", "position", "phone") if facts.get(name)}
    if user is None:
        user = actions.open_account(facts["username"], by=by, unique=False, **person)
    elif wanted := {name: person[name] for name in changes if name in person}:
        actions.change_person(user, by=by, **wanted)
    if "role" in changes:
        _give(user, facts, by)


def _apply_role(facts: dict, changes: dict, by) -> None:
    _give(User.objects.get(username=facts["username"]), facts, by)


def _give(user: User, facts: dict, by) -> None:
    actions.give_role(user, Organization.objects.get(code=facts["organization"]), facts["role"], by=by)


# --- both ---------------------------------------------------------------------------------------


def _decide(row: Row, stored, differences: Callable) -> None:
    """Fill in what the row would do, unless it is refused (then the reasons are completed)."""
    row.changes = differences(row, stored)
    if row.action == "refused":
        return
    row.action = "create" if stored is None else "change" if row.changes else "same"


def _by_unique(rows: list[Row], name: str) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for row in rows:
        value = row.facts.get(name, "")
        if value and value in found:
            row.refuse(_("%(value)s appears twice in the file.") % {"value": value[:60]})
            found[value].refuse(_("%(value)s appears twice in the file.") % {"value": value[:60]})
        elif value:
            found[value] = row
    return found


_PLANNERS = {"organizations": _plan_organizations, "people": _plan_people, "roles": _plan_roles}
_APPLIERS = {"organizations": _apply_organization, "people": _apply_person, "roles": _apply_role}
KINDS = tuple(COLUMNS)
