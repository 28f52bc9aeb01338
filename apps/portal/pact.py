"""The pieces of an agreement's page: its content in words, who may read what, accounts, test records, what may be done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.utils.dateparse import parse_date
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.agreements.choices import AgreementStatus, GrantStatus, Side
from apps.agreements.models import AcceptanceRecord, Agreement, AgreementVersion, Credential
from apps.agreements.workflow import ACCEPTANCE, AGREEMENT, CREDENTIAL, GRANT
from apps.connections.choices import SharingMethod
from apps.organizations.choices import Network, Role
from apps.organizations.models import InformationSystem
from apps.organizations.roles import organization_ids
from apps.portal.forms import (
    AcceptanceForm,
    CommentForm,
    NoteForm,
    PasswordForm,
    PlannedForm,
    ProposalForm,
    ReasonForm,
    SuspendForm,
    TerminateForm,
)
from apps.portal.panel import Button, buttons
from apps.registry.choices import Environment, PersonalDataClass, Protocol

MOST_GRANTS = 200

AGREEMENT_FORMS = {
    "sign": PasswordForm,
    "reopen": ReasonForm,
    "decline": ReasonForm,
    "suspend": SuspendForm,
    "terminate": TerminateForm,
    "resume": CommentForm,
}
AGREEMENT_HELP = {
    "agree": gettext_lazy("You agree, for your agency, to exactly the content shown on this page."),
    "sign": gettext_lazy("You sign exactly the content shown on this page. The last signature puts the agreement in force."),
    "suspend": gettext_lazy("Takes effect at once: the very next call is refused. The parties are told."),
    "resume": gettext_lazy("Access opens again at once."),
    "terminate": gettext_lazy("Closes every access at once and opens the checklist of duties."),
    "decline": gettext_lazy("Ends the negotiation for good."),
}
GRANT_FORMS = {"suspend": ReasonForm, "end": ReasonForm}
ACCEPTANCE_FORMS = {"confirm": CommentForm, "reject": CommentForm}
CREDENTIAL_FORMS = {"revoke": ReasonForm}


def pieces(agreement: Agreement, user) -> dict:
    """Everything the page shows, read with a number of queries that does not grow with the agreement."""
    parties = list(agreement.parties.select_related("organization"))
    versions = list(agreement.versions.select_related("drafted_by").order_by("-number"))
    shown = next((row for row in versions if row.state == "current"), versions[0] if versions else None)
    return {
        "parties": parties,
        "versions": versions,
        "shown": shown,
        "items": items(shown.content) if shown else [],
        "scope": scope(shown.content) if shown else [],
        "signatures": list(shown.signatures.select_related("signer", "party__organization")) if shown else [],
        "consents": list(shown.consents.select_related("officer", "party__organization")) if shown else [],
        "grants": grants(agreement, user),
        "credentials": credentials(agreement, user),
        "acceptances": acceptances(agreement, user),
        "acceptance_form": acceptance_form(agreement, user),
        "duties": duties(agreement, user),
        "bases": list(agreement.bases.select_related("request")),
        "buttons": agreement_buttons(agreement, shown, user),
        **beginnings(agreement, shown, user),
    }


def agreement_buttons(agreement: Agreement, shown: AgreementVersion | None, user) -> list[Button]:
    """The table's steps, less those this very person has taken already: whoever signed or agreed is not asked again."""
    hide = []
    if shown and agreement.status == AgreementStatus.AWAITING_SIGNATURES:
        signed = shown.signatures.filter(signer=user).exists()
        hide += ["sign"] if signed or shown.drafted_by_id == user.pk else []
    if shown and agreement.status == AgreementStatus.NEGOTIATING:
        hide += ["agree"] if shown.consents.filter(officer=user).exists() else []
    return buttons(AGREEMENT, agreement, user, AGREEMENT_FORMS, AGREEMENT_HELP, hide=tuple(hide))


def grants(agreement: Agreement, user) -> list:
    rows = agreement.grants.select_related("system__organization", "operation__version__service__provider", "purpose")
    found = list(rows.order_by("system__sort_key", "operation_id", "environment", "-id")[:MOST_GRANTS])
    for row in found:
        row.buttons = buttons(GRANT, row, user, GRANT_FORMS, {})
    return found


def credentials(agreement: Agreement, user) -> list:
    """Accounts of the systems that have access under this agreement, as far as the person may see them."""
    systems = agreement.grants.values("system_id")
    rows = (
        Credential.objects.visible_to(user).filter(system_id__in=systems).select_related("system__organization", "claimed_by")
    )
    return list(rows.order_by("system__sort_key", "environment", "-id")[:MOST_GRANTS])


def credential_buttons(credential: Credential, user) -> list[Button]:
    told = {
        "claim": gettext_lazy("The secret is made at this moment and shown once. Have a safe place ready to keep it."),
        "rotate": gettext_lazy("Issues a successor to collect; the present account goes on for the overlap after that."),
        "revoke": gettext_lazy("Ends the account at once: no token of it opens a call any more."),
    }
    return buttons(CREDENTIAL, credential, user, CREDENTIAL_FORMS, told)


def acceptances(agreement: Agreement, user) -> list:
    found = list(agreement.acceptances.select_related("system", "recorded_by", "decided_by", "agreement").order_by("-id"))
    for row in found:
        row.buttons = buttons(ACCEPTANCE, row, user, ACCEPTANCE_FORMS, {}) if row.recorded_by_id != user.pk else []
    return found


def acceptance_form(agreement: Agreement, user, data=None) -> AcceptanceForm | None:
    """The form to enter a test record; None when the person has no system here that waits for one."""
    if agreement.status != AgreementStatus.IN_FORCE or not user.has_perm("agreements.record_acceptance", agreement):
        return None
    tested = agreement.grants.filter(environment=Environment.TEST).exclude(status=GrantStatus.ENDED).values("system_id")
    done = AcceptanceRecord.objects.filter(agreement=agreement, status__in=("recorded", "confirmed")).values("system_id")
    mine = organization_ids(user, Role.CONSUMER_OFFICER)
    systems = InformationSystem.objects.filter(pk__in=tested, organization_id__in=mine).exclude(pk__in=done)
    return AcceptanceForm(data, systems=systems) if systems.exists() else None


def duties(agreement: Agreement, user) -> list:
    found = list(agreement.duties.select_related("party__organization", "done_by"))
    for row in found:
        role = Role.CONSUMER_OFFICER if row.party.side == Side.CONSUMER else Role.PROVIDER_OFFICER
        row.mine = row.done_at is None and row.party.organization_id in organization_ids(user, role)
        row.form = NoteForm() if row.mine else None
    return found


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
        (_("Technical contacts"), [_contact(row) for row in content.get("contacts", [])]),
        (_("Personal data"), _personal(content.get("personal_data", {}))),
        (_("Joining by others"), [_("open to be joined") if content.get("open_to_join") else _("not open to be joined")]),
        (_("Version and history"), _history(content)),
    ]
    return [Item(number, name, [str(line) for line in lines if line]) for number, (name, lines) in enumerate(named, 1)]


def _parties(content: dict) -> list[str]:
    return [_("Provider: %(name)s") % {"name": row["name"]} for row in content.get("providers", [])] + [
        _("Consumer: %(name)s") % {"name": row["name"]} for row in content.get("consumers", [])
    ]


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
    return lines


def _restrictions(content: dict) -> list[str]:
    limits, purpose = content.get("restrictions", {}), content.get("purpose", {})
    lines = [_("Purpose: %(name)s") % {"name": purpose.get("name", "")}, purpose.get("text", ""), limits.get("text", "")]
    if limits.get("source_networks"):
        lines.append(_("Only from: %(networks)s") % {"networks": ", ".join(limits["source_networks"])})
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


def _contact(row: dict) -> str:
    parts = [row.get("name"), row.get("position"), row.get("phone"), row.get("email"), row.get("technician")]
    return f"{row.get('organization', '')}: " + ", ".join(part for part in parts if part)


def _personal(personal: dict) -> list[str]:
    fields = personal.get("sensitive_fields", [])
    first = (
        _("Sensitive fields: %(fields)s") % {"fields": ", ".join(fields)}
        if fields
        else _("No sensitive personal data is shared.")
    )
    return [first, personal.get("assessment_or_exemption", "")]


def _history(content: dict) -> list[str]:
    lines = [_("Version %(n)s") % {"n": content.get("version", "")}]
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


_INSIDE = {"restrictions": ("restrictions", "text"), "security": ("security", "text"), "disposal": ("disposal", "method"),
           "calls_per_day": ("method", "calls_per_day"), "valid_to": ("term", "valid_to")}  # fmt: skip
"""Form field → (item of the content, key inside it); the others are items themselves."""
_PLAIN = ("post_processing", "commitments", "other_terms")


def proposal(content: dict) -> dict:
    """What the form of a counter-proposal starts from: the words on the table."""
    first = {name: content.get(item, {}).get(key) for name, (item, key) in _INSIDE.items()}
    first["valid_to"] = parse_date(first["valid_to"] or "")
    return {**{name: content.get(name, "") for name in _PLAIN}, **first}


def changes(content: dict, given: dict) -> dict:
    """The items that differ from `content`, whole, as `propose_content` wants them."""
    found = {name: given[name] for name in _PLAIN if given[name].replace("\r\n", "\n") != content.get(name, "")}
    for name, (item, key) in _INSIDE.items():
        value = given[name].isoformat() if name == "valid_to" and given[name] else given[name]
        if value != content.get(item, {}).get(key) and not (value in (None, "") and not content.get(item, {}).get(key)):
            found[item] = {**content.get(item, {}), **found.get(item, {}), key: value}
    return found


def beginnings(agreement: Agreement, shown: AgreementVersion | None, user) -> dict:
    """What may begin here: a change or renewal by the consumer, a planned suspension, a counter-proposal."""
    in_force = agreement.status == AgreementStatus.IN_FORCE
    consumes = bool(organization_ids(user, Role.CONSUMER_OFFICER) & agreement.organization_ids(Side.CONSUMER))
    suspends = in_force and user.has_perm("agreements.suspend", agreement)
    planned = agreement.planned_suspensions.open().first()
    negotiates = agreement.status == AgreementStatus.NEGOTIATING and user.has_perm("agreements.negotiate", agreement)
    return {
        "may_change": in_force and consumes,
        "planned": planned,
        "may_cancel": bool(planned) and planned.started_at is None and user.has_perm("agreements.suspend", agreement),
        "planned_form": PlannedForm(prefix="planned") if suspends and planned is None else None,
        "proposal_form": ProposalForm(prefix="propose", initial=proposal(shown.content)) if negotiates and shown else None,
    }
