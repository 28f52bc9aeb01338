"""The pieces of an agreement's page: its content in words, who may read what, accounts, test records, what may be done."""

from __future__ import annotations

import uuid as uuids

from django.conf import settings
from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext_lazy

from apps.agreements.actions import is_renewable
from apps.agreements.actions.leaving import LeavingPlan, plan_leaving
from apps.agreements.actions.signing import party_to_sign
from apps.agreements.choices import AgreementStatus, DutyKind, Side, SuspensionKind, VersionState
from apps.agreements.differences import Difference
from apps.agreements.models import Agreement, AgreementVersion, Duty, Party, PlannedSuspension, StepClock
from apps.agreements.reading import changes, former_of, last_in_force, read, reads_in_full
from apps.agreements.rules import leaves_others
from apps.agreements.suspensions import has_suspended, is_own
from apps.agreements.workflow import AGREEMENT
from apps.core.errors import DomainError, NotPermitted
from apps.disputes.models import Maintenance
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.organizations.roles import is_operator, organization_ids
from apps.portal.forms import CommentForm, PasswordForm, ReasonForm
from apps.portal.items import items, scope
from apps.portal.pact_access import acceptance_form, acceptances, credentials, grants, reissuable
from apps.portal.pact_forms import DutyForm, LeaveForm, PlannedForm, SignedFileForm, SuspendForm, TerminateForm
from apps.portal.pact_suspensions import suspendable, suspension_help, suspensions, who_resumes
from apps.portal.panel import Button, buttons
from apps.portal.proposing import proposal_form

MOST_CLOCKS = 200

AGREEMENT_FORMS = {
    "reopen": ReasonForm,
    "decline": ReasonForm,
    "suspend": SuspendForm,
    "terminate": TerminateForm,
    "resume": CommentForm,
}
AGREEMENT_HELP = {
    "agree": gettext_lazy("You agree, for your agency, to exactly the content shown on this page."),
    "suspend": gettext_lazy("Takes effect at once: the very next call is refused. The parties are told."),
    "terminate": gettext_lazy("Closes every access at once and opens the checklist of duties."),
    "decline": gettext_lazy("Ends the negotiation for good."),
    "leave": gettext_lazy(
        "Your own access ends at once and your duties are listed; the agreement goes on for the other consumers."
    ),
}


def pieces(agreement: Agreement, user, number: int | None = None) -> dict:
    """Everything the page shows, read with a number of queries that does not grow with the agreement.

    `number` is the version to be read; without it the one in force, or the newest while there is none.
    """
    full, left = reads_in_full(agreement, user), agreement.read_until
    parties = list(Party.objects.visible_to(user).filter(agreement=agreement).select_related("organization"))
    rows = AgreementVersion.objects.visible_to(user).filter(agreement=agreement)
    versions = list(rows.select_related("agreement", "drafted_by").order_by("-number"))
    begins_with = last_in_force(agreement, left) if left else None
    _mark_fallen(versions, begins_with)
    shown = _shown(versions, number if number is not None or begins_with is None else begins_with.number)
    former = former_of(shown) if shown else None
    compared = changes(former, shown, user)
    shown = read(shown, user) if shown else None
    newest = versions[0] if versions else None
    pending = newest if newest and newest.state == VersionState.DRAFT and agreement.status == AgreementStatus.IN_FORCE else None
    later = next((row for row in versions if row.state == VersionState.SCHEDULED), None)
    signing = signing_of(agreement, shown, user)
    return {
        "parties": parties,
        "versions": versions,
        "shown": shown,
        "former": former,
        "pending": pending if pending is not shown else None,
        "is_pending": pending is not None and pending is shown,
        "later": later if later is not shown else None,
        "is_later": later is not None and later is shown,
        "differences": compared,
        "reads_all": full,
        "is_joining": not full and left is None,
        "left_at": left,
        "items": items(shown.content) if shown else [],
        "scope": scope(shown.content) if shown else [],
        "signatures": list(_of_seen(shown.signatures, parties).select_related("signer", "party__organization"))
        if shown
        else [],
        "unsigned": _unsigned(shown, parties),
        "consents": list(_of_seen(shown.consents, parties).select_related("officer", "party__organization")) if shown else [],
        "grants": grants(agreement, user) if full or left else [],
        "credentials": credentials(agreement, user),
        "reissuable": reissuable(agreement, user),
        "acceptances": acceptances(agreement, user),
        "acceptance_form": acceptance_form(agreement, user),
        "duties": duties(agreement, user),
        "clocks": clocks(agreement, user),
        "extended": extended(agreement, user),
        "bases": _bases(agreement, versions, shown),
        "buttons": agreement_buttons(agreement, shown, user),
        "sign_form": PasswordForm() if signing else None,
        "file_form": SignedFileForm() if signing and full and settings.SIGNATURE_ROOTS else None,
        "standing": who_resumes(agreement) if full else None,
        "leaving": leaving(agreement, user),
        "suspensions": suspensions(agreement, user) if full else [],
        "suspendable": suspendable(agreement, parties, user),
        **beginnings(agreement, newest, user),
    }


def _shown(versions: list[AgreementVersion], number: int | None) -> AgreementVersion | None:
    if number is not None:
        found = next((row for row in versions if row.number == number), None)
        if found is None:
            raise Http404
        return found
    return next((row for row in versions if row.state == VersionState.CURRENT), versions[0] if versions else None)


def _of_seen(rows, parties):
    return rows.filter(party__in=[party.pk for party in parties])


def _bases(agreement: Agreement, versions: list[AgreementVersion], shown: AgreementVersion | None) -> list:
    """The requests the shown content rests on: its own and those of the versions it came from, not one that was declined or withdrawn."""
    line = _line(versions, shown)
    return [row for row in agreement.bases.select_related("request") if row.version_id in line]


def _line(versions: list[AgreementVersion], head: AgreementVersion | None) -> list[int]:
    """`head` and the versions it came from, one written against the other."""
    by_hash, line = {row.content_hash: row for row in versions}, []
    while head is not None and head.pk not in line:
        line.append(head.pk)
        head = by_hash.get(head.content.get("supersedes"))
    return line


def _mark_fallen(versions: list[AgreementVersion], begins_with: AgreementVersion | None) -> None:
    """A change that was declined is closed as a superseded one is; that nothing came from it tells them apart."""
    current = begins_with or next((row for row in versions if row.state == VersionState.CURRENT), None)
    line = _line(versions, current)
    for row in versions:
        row.has_fallen = current is not None and row.state == VersionState.SUPERSEDED and row.pk not in line


def _unsigned(shown: AgreementVersion | None, parties) -> list:
    """Parties whose signature a draft still waits for."""
    if shown is None or shown.state != VersionState.DRAFT:
        return []
    done = set(shown.signatures.values_list("party_id", flat=True))
    return [party for party in parties if party.left_as_read is None and party.pk not in done]


def signing_of(agreement: Agreement, shown: AgreementVersion | None, user) -> bool:
    """Whether this very person may sign the version that is shown: the agreement's first content, or a change of it."""
    open_states = (AgreementStatus.AWAITING_SIGNATURES, AgreementStatus.IN_FORCE)
    if shown is None or shown.state != VersionState.DRAFT or agreement.status not in open_states:
        return False
    if shown.number != max(agreement.versions.values_list("number", flat=True)) or not user.has_perm(
        "agreements.sign", agreement
    ):
        return False
    try:
        party_to_sign(shown, user)
    except NotPermitted:
        return False
    return True


def changed_since(agreement: Agreement, content_hash: str, user) -> list[Difference]:
    """What is on the table now instead of the content with this hash: for whoever decided on a former page."""
    rows = agreement.versions.select_related("agreement").order_by("-number")
    seen = rows.filter(content_hash=content_hash).first() if content_hash else None
    newest = rows.first()
    return changes(seen, newest, user) if seen and newest and seen.pk != newest.pk else []


def agreement_buttons(agreement: Agreement, shown: AgreementVersion | None, user) -> list[Button]:
    """The table's steps, less those this very person has taken already; signing has a place of its own on the page."""
    hide = ["sign"]
    if shown and agreement.status == AgreementStatus.NEGOTIATING:
        newest = agreement.versions.order_by("-number").first()
        hide += ["agree"] if shown.pk != newest.pk or shown.consents.filter(officer=user).exists() else []
    if agreement.status == AgreementStatus.ENDING and agreement.duties.filter(done_at__isnull=True).exists():
        hide.append("finish")
    standing = agreement.standing_suspensions()
    hide += ["suspend"] if has_suspended(agreement, user) else []
    told = AGREEMENT_HELP | suspension_help(agreement, standing, user)
    if leaves_others(user, agreement):
        told["terminate"] = gettext_lazy(
            "Ends it for every consumer, when a competent body asks for it; otherwise your agency leaves."
        )
    made = AGREEMENT_FORMS | {"leave": lambda: leave_form(agreement, user)}
    found = buttons(AGREEMENT, agreement, user, made, told, hide=tuple(hide))
    running = agreement.status in (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED)
    waits = shown is not None and shown.state in (VersionState.DRAFT, VersionState.SCHEDULED)
    if running and waits and user.has_perm("agreements.negotiate", agreement):
        told = gettext_lazy("Gives up the change that awaits signatures or its first day; the version in force stays.")
        found.append(Button("decline_change", gettext_lazy("Decline the change"), "danger", ReasonForm(), told))
    return found


def leave_form(agreement: Agreement, user, data=None) -> LeaveForm:
    mine = organization_ids(user, Role.CONSUMER_OFFICER) & agreement.organization_ids(Side.CONSUMER)
    return LeaveForm(data, consumers=list(Organization.objects.filter(pk__in=mine)))


def leaving(agreement: Agreement, user) -> LeavingPlan | None:
    """What leaving would do, for whoever may; of one who acts for several consumers the form asks which."""
    if AGREEMENT.step("leave") not in AGREEMENT.available(agreement, user):
        return None
    try:
        return plan_leaving(agreement, by=user)
    except DomainError:
        return None


def duties(agreement: Agreement, user) -> list:
    rows = Duty.objects.visible_to(user).filter(agreement=agreement)
    found = list(rows.select_related("party__organization", "done_by", "certificate"))
    for row in found:
        role = Role.CONSUMER_OFFICER if row.party.side == Side.CONSUMER else Role.PROVIDER_OFFICER
        row.mine = row.done_at is None and row.party.organization_id in organization_ids(user, role)
        row.form = DutyForm(needs_certificate=row.kind == DutyKind.DATA_DELETED) if row.mine else None
    return found


def clocks(agreement: Agreement, user) -> list[StepClock]:
    """The steps the agreement waits for, and until when, as far as the person reads them."""
    rows = StepClock.objects.visible_to(user).waiting().filter(agreement=agreement)
    found = list(rows.select_related("deadline_rule", "system").order_by("due_at", "id")[:MOST_CLOCKS])
    extendable = set(StepClock.objects.extendable_by(user).filter(agreement=agreement).values_list("pk", flat=True))
    for row in found:
        row.extension_form = ReasonForm() if row.pk in extendable else None
    return found


def extended(agreement: Agreement, user) -> list[StepClock]:
    """Clocks with a history of their own, also those that wait no more."""
    return list(StepClock.objects.visible_to(user).filter(agreement=agreement, extended_at__isnull=False)[:MOST_CLOCKS])


def beginnings(agreement: Agreement, newest: AgreementVersion | None, user) -> dict:
    """What may begin here: a change or renewal by the consumer, a planned suspension, a counter-proposal to the newest version,
    whichever is shown: against it the proposal is read.
    """
    in_force = agreement.status == AgreementStatus.IN_FORCE
    consumes = bool(organization_ids(user, Role.CONSUMER_OFFICER) & agreement.organization_ids(Side.CONSUMER))
    suspends = in_force and user.has_perm("agreements.suspend", agreement)
    planned = PlannedSuspension.objects.visible_to(user).open().filter(agreement=agreement).select_related("provider").first()
    negotiates = agreement.status == AgreementStatus.NEGOTIATING and user.has_perm("agreements.negotiate", agreement)
    return {
        "may_change": in_force and consumes,
        "may_renew": in_force and consumes and is_renewable(agreement),
        "start_keys": {kind: uuids.uuid4() for kind in ("change", "renewal")},
        "planned": planned,
        "maintenances": ()
        if agreement.read_until
        else Maintenance.objects.open()
        .filter(service__in=agreement.grants.values("operation__version__service"))
        .select_related("service"),
        "document_url": reverse("portal:agreement-document", args=[agreement.uuid]),
        "may_cancel": bool(planned)
        and (planned.started_at is None or agreement.suspension_kind != SuspensionKind.PLANNED)
        and user.has_perm("agreements.suspend", agreement)
        and (is_operator(user) or is_own(planned, user)),
        "planned_form": PlannedForm(prefix="planned") if suspends and planned is None else None,
        "proposal_form": proposal_form(newest.content) if negotiates and newest else None,
    }
