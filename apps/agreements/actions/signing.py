"""Special sharing: proposals and counter-proposals until all parties agree to one hash, then signatures over it."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements import documents, signed_pdf, steps
from apps.agreements.actions.in_place import make_current, open_test, put_in_place, tell_in_place
from apps.agreements.announcements import tell_parties, tell_waiting
from apps.agreements.choices import AgreementStatus, Side, SignatureBasis, StepKind, VersionState
from apps.agreements.content import term_of
from apps.agreements.grants import begin_plan, drop_plan, operation_of
from apps.agreements.locks import hold, lock_agreement
from apps.agreements.models import Agreement, AgreementDocument, AgreementVersion, Consent, Party, Signature
from apps.agreements.moved_fields import require_as_written
from apps.agreements.proposals import checked
from apps.agreements.workflow import AGREEMENT
from apps.audit import actions as audit
from apps.connections import files
from apps.connections.announcements import people
from apps.connections.models import ConnectionRequest
from apps.core.canonical import content_hash
from apps.core.epoch import raise_epoch
from apps.core.errors import FactMissing, NotPermitted, StaleVersion
from apps.core.workflow import came_second, require
from apps.organizations.choices import Role
from apps.organizations.roles import organization_ids

JOINER_HAS_NO_DOCUMENT = N_(
    "The document names the other consumers: who joins reads it when the joining is in force, and signs in the portal before."
)
AGREED = {
    Side.PROVIDER: N_("A provider has agreed to the content of agreement %(number)s; your agency's word is missing."),
    Side.CONSUMER: N_("A consumer has agreed to the content of agreement %(number)s; your agency's word is missing."),
}
SIGNED = {
    Side.PROVIDER: N_("A provider has signed agreement %(number)s; your agency's signature is missing."),
    Side.CONSUMER: N_("A consumer has signed agreement %(number)s; your agency's signature is missing."),
}
"""By side and without a name: who is only joining does not learn by whom else data is taken."""


@transaction.atomic
def propose_content(agreement: Agreement, *, by, changes: dict, note: str, version: int | None = None) -> AgreementVersion:
    """A counter-proposal: a new version with `changes` to negotiable items. The proposer's side has agreed to it.

    Raises InvalidFact for an item that is not negotiable or a scope wider than the request's (a wider scope is a
    new request, with its own checks), StaleVersion when another proposal came first.
    """
    agreement = lock_agreement(agreement, version)
    require(by, "agreements.negotiate", agreement)
    if agreement.status != AgreementStatus.NEGOTIATING:
        raise came_second(agreement, state=agreement.status)
    if not note.strip():
        raise FactMissing(fields={"note": [_("Say what changes and why.")]})
    first, last = (agreement.versions.order_by(order).first() for order in ("number", "-number"))
    items = checked(changes, first.content, last.content)
    if all(last.content[name] == value for name, value in items.items()):
        raise FactMissing(_("The proposal changes nothing."), code="nothing_changes")
    for row in items.get("scope", []):
        operation_of(row)
    draft = next_version(agreement, {**last.content, **items}, by=by, note=note, supersedes=last.content_hash)
    _consent(draft, by)
    touch(agreement)
    audit.record(
        "agreement.proposed", agreement, by=by, organizations=agreement.party_uuids(), version=draft.number,
        content_hash=draft.content_hash, items=sorted(changes),
    )  # fmt: skip
    tell_parties("proposed", agreement, N_("There is a new proposal for agreement %(number)s."))
    return draft


def next_version(agreement: Agreement, content: dict, *, by, note: str, supersedes: str) -> AgreementVersion:
    number = (agreement.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    content = {**content, "version": number, "supersedes": supersedes, "change_note": note}
    return AgreementVersion.objects.create(
        agreement=agreement, number=number, content=content, content_hash=content_hash(content), drafted_by=by, change_note=note
    )


@transaction.atomic
def agree_content(agreement: Agreement, *, by, content_hash: str, version: int | None = None) -> Agreement:
    """`by`'s side agrees to exactly the content with this hash; the last side's word ends the negotiation.

    Raises StaleVersion when a newer proposal lies on the table, Conflict (`fields_changed`) when the service changed since.
    """
    agreement = lock_agreement(agreement, version)
    AGREEMENT.check(agreement, "agree", by=by)
    draft = agreement.versions.order_by("-number").first()
    if draft.content_hash != content_hash:
        raise StaleVersion(content_hash=draft.content_hash)
    require_as_written(draft)
    side = _consent(draft, by)
    audit.record(
        "agreement.content_agreed", agreement, by=by, organizations=agreement.party_uuids(), content_hash=draft.content_hash
    )
    waiting = agreement.present_parties().exclude(pk__in=draft.consents.values("party_id"))
    if waiting.exists():
        tell_waiting("party_agreed", draft, waiting, AGREED[side], by=by)
    else:
        AGREEMENT.move(agreement, "agree", by=by)
        steps.begin(agreement, StepKind.SIGN)
        tell_parties("agreed", agreement, N_("The content of agreement %(number)s is agreed on; it awaits signatures."),
                     roles=(Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER, Role.SIGNER))  # fmt: skip
    return agreement


def _consent(version: AgreementVersion, by) -> str:
    """Record the consent of every party whose officer `by` is, on one side only: nobody agrees with themselves. Returns the side."""
    parties = [party for party in version.agreement.present_parties() if _is_officer_of(party, by)]
    if not parties:
        raise NotPermitted(code="not_a_party")
    if len({party.side for party in parties}) > 1:
        raise NotPermitted(_("The same person cannot agree for both sides."), code="four_eyes")
    others = version.consents.filter(officer=by).exclude(party__side=parties[0].side)
    if others.exists():
        raise NotPermitted(_("The same person cannot agree for both sides."), code="four_eyes")
    for party in parties:
        Consent.objects.get_or_create(version=version, party=party, defaults={"officer": by})
    return parties[0].side


def _is_officer_of(party: Party, user) -> bool:
    role = Role.PROVIDER_OFFICER if party.side == Side.PROVIDER else Role.CONSUMER_OFFICER
    return party.organization_id in organization_ids(user, role)


@transaction.atomic
def reopen_agreement(agreement: Agreement, *, by, reason: str, version: int | None = None) -> Agreement:
    """Back to negotiation before the last signature; the content gets a new version, so former signatures sign nothing.

    It says what it said, so its drafter is whose it was: to reopen it is no way to sign what one has drafted.
    """
    if not reason.strip():
        raise FactMissing(fields={"reason": [_("This field is required.")]})
    AGREEMENT.move(agreement, "reopen", by=by, version=version)
    last = agreement.versions.order_by("-number").first()
    next_version(agreement, last.content, by=last.drafted_by, note=reason.strip(), supersedes=last.content_hash)
    steps.begin(agreement, StepKind.NEGOTIATE)
    audit.record("agreement.reopened", agreement, by=by, organizations=agreement.party_uuids(), reason=reason.strip())
    tell_parties("reopened", agreement, N_("Agreement %(number)s is negotiated again: %(reason)s."), reason=reason.strip())
    return agreement


@transaction.atomic
def decline_agreement(agreement: Agreement, *, by, reason: str, version: int | None = None) -> Agreement:
    """Either side gives the agreement up before it is signed."""
    if not reason.strip():
        raise FactMissing(fields={"reason": [_("This field is required.")]})
    AGREEMENT.move(agreement, "decline", by=by, version=version, status_reason=reason.strip(), ended_at=timezone.now())
    audit.record("agreement.declined", agreement, by=by, organizations=agreement.party_uuids(), reason=reason.strip())
    tell_parties("declined", agreement, N_("Agreement %(number)s was declined: %(reason)s."), reason=reason.strip())
    return agreement


@transaction.atomic
def decline_change(agreement: Agreement, *, by, reason: str, version: int | None = None) -> Agreement:
    """Either side gives up a change, renewal or joining that awaits signatures or its first day; the version in force stays,
    another may begin.

    Whoever would have joined by it is no party any more. Raises FactMissing (`no_change_pending`) when none waits.
    """
    agreement = lock_agreement(agreement, version)
    require(by, "agreements.negotiate", agreement)
    if not reason.strip():
        raise FactMissing(fields={"reason": [_("This field is required.")]})
    current = agreement.versions.filter(state=VersionState.CURRENT).first()
    drafts = agreement.versions.filter(
        Q(state=VersionState.DRAFT) | Q(state=VersionState.SCHEDULED, begins_at__gt=timezone.now())
    )
    draft = drafts.order_by("-number").first()
    if current is None or draft is None or agreement.status not in (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED):
        raise FactMissing(_("No change of this agreement awaits signatures or its first day."), code="no_change_pending")
    audit.record(
        "agreement.change_declined", agreement, by=by, organizations=agreement.party_uuids(), version=draft.number,
        reason=reason.strip(),
    )  # fmt: skip
    tell_parties("change_declined", agreement, N_("A change of agreement %(number)s was declined: %(reason)s."),
                 key=f"v{draft.number}", joiners=True, reason=reason.strip())  # fmt: skip
    if draft.state == VersionState.SCHEDULED:
        drop_plan(agreement, current, by=by, reason=reason.strip())
    drafts.update(state=VersionState.SUPERSEDED)
    _dismiss_joiners(agreement, current, draft)
    touch(agreement)
    return agreement


def _dismiss_joiners(agreement: Agreement, current: AgreementVersion, draft: AgreementVersion) -> None:
    """Parties that only the declined content names; one that has signed it stays in the history."""
    known, named = ({row["code"] for row in version.content["consumers"]} for version in (current, draft))
    joiners = agreement.present_parties().filter(side=Side.CONSUMER, organization__code__in=named - known)
    signed = joiners.filter(pk__in=draft.signatures.values("party_id"))
    signed.update(left_at=timezone.now())
    joiners.filter(left_at__isnull=True).delete()


@transaction.atomic
def sign_agreement(agreement: Agreement, *, by, content_hash: str, version: int | None = None) -> Signature:
    """Sign the agreed content in the portal for the party whose signer `by` is; the last signature puts it in force.

    `content_hash` is what the signer read; another one is StaleVersion. Four eyes: NotPermitted for whoever
    drafted the content or signed for another party. Conflict (`fields_changed`) where the service is no longer what the
    content says. The door proves first who the person is (re-authentication).
    """
    agreement = lock_agreement(agreement, version)
    draft = agreement.versions.order_by("-number").first()
    _check_may_sign(agreement, draft, by)
    if draft.content_hash != content_hash:
        raise StaleVersion(content_hash=draft.content_hash)
    party = party_to_sign(draft, by)
    _hold_as_written(draft)
    signature = add_signature(draft, party, by=by, basis=SignatureBasis.PORTAL)
    _tell_of_signature(signature)
    complete_if_signed(agreement, draft, by=by)
    return signature


@transaction.atomic
def sign_with_pdf(agreement: Agreement, *, by, data: bytes, version: int | None = None) -> Signature:
    """Sign by an uploaded PDF: the document given out, signed with `by`'s own token (`signed_pdf.verify`).

    The same facts as `sign_agreement`; the certificate stands for the password. Raises InvalidFact (`pdf_*`).
    """
    agreement = lock_agreement(agreement, version)
    draft = agreement.versions.order_by("-number").first()
    _check_may_sign(agreement, draft, by)
    party = party_to_sign(draft, by)
    if party.is_joining:
        raise NotPermitted(_(JOINER_HAS_NO_DOCUMENT), code="joiner_signs_in_portal")
    _document, given_out = documents.newest(draft)
    signed = signed_pdf.verify(data, given_out=given_out)
    signed_pdf.require_person(signed, by)
    _hold_as_written(draft)
    signature = add_signature(draft, party, by=by, basis=SignatureBasis.PDF)
    kept = AgreementDocument.objects.create(
        version=draft, signature=signature, sha256=files.digest(data), size=len(data), certificate=signed.subject
    )
    files.keep(kept, data)
    _tell_of_signature(signature)
    complete_if_signed(agreement, draft, by=by)
    return signature


def _check_may_sign(agreement: Agreement, draft: AgreementVersion, by) -> None:
    if agreement.status == AgreementStatus.IN_FORCE and draft.state == VersionState.DRAFT:
        require(by, "agreements.sign", agreement)  # an amendment: the old version stays in force meanwhile
    else:
        AGREEMENT.check(agreement, "sign", by=by)


def _hold_as_written(draft: AgreementVersion) -> None:
    """No version of its services is published from now until the signature stands, and with the last one its access."""
    hold(draft.service_codes(), draft.system_codes())
    require_as_written(draft)


def writers_of(draft: AgreementVersion):
    """Who wrote in the request whose words the content is, or was negotiated from: not only its approver has drafted it."""
    basis = draft.agreement.bases.filter(version__number__lte=draft.number).order_by("-version__number").first()
    if basis is None:
        return get_user_model().objects.none()
    people = ConnectionRequest.objects.filter(pk=basis.request_id)
    wrote = Q(pk__in=people.values("created_by")) | Q(pk__in=people.values("preparers"))
    return get_user_model().objects.filter(wrote)


def party_to_sign(draft: AgreementVersion, by) -> Party:
    """The party that `by` signs for. Raises NotPermitted: drafter, nobody's signer, or signed already."""
    if draft.drafted_by_id == by.pk or by in writers_of(draft):
        raise NotPermitted(_("Who drafted the content does not sign it."), code="four_eyes")
    if draft.signatures.filter(signer=by).exists():
        raise NotPermitted(_("You have signed this content already."), code="already_signed")
    signed = draft.signatures.values("party_id")
    waiting = (
        draft.agreement.present_parties().filter(organization_id__in=organization_ids(by, Role.SIGNER)).exclude(pk__in=signed)
    )
    party = waiting.first()
    if party is None:
        raise NotPermitted(_("No signature of yours is missing."), code="no_signature_missing")
    return party


def add_signature(draft: AgreementVersion, party: Party, *, by, basis: str) -> Signature:
    signature = Signature.objects.create(
        version=draft, party=party, signer=by, drafted_by=draft.drafted_by, basis=basis, signed_hash=draft.content_hash,
        signed_at=timezone.now(),
    )  # fmt: skip
    audit.record(
        "agreement.signed", draft.agreement, by=by,
        organizations={*draft.agreement.party_uuids(), party.organization.uuid}, party=party.organization.code,
        basis=basis, content_hash=draft.content_hash,
    )  # fmt: skip
    return signature


def signers_to_come(draft: AgreementVersion):
    """The signers of the parties whose signature is missing, less whoever wrote it (`party_to_sign`)."""
    rows = draft.agreement.present_parties().exclude(pk__in=draft.signatures.values("party_id"))
    wrote = [draft.drafted_by_id, *writers_of(draft).values_list("pk", flat=True)]
    return people(Role.SIGNER, rows.values_list("organization_id", flat=True)).exclude(pk__in=wrote)


def _tell_of_signature(signature: Signature) -> None:
    """The parties that have still to sign hear that it is their turn: their officers, and who can sign."""
    draft = signature.version
    waiting = draft.agreement.present_parties().exclude(pk__in=draft.signatures.values("party_id"))
    tell_waiting("party_signed", draft, waiting, SIGNED[signature.party.side], by=signature.signer, also=signers_to_come(draft))


def complete_if_signed(agreement: Agreement, draft: AgreementVersion, *, by) -> None:
    """With the last party's signature the agreement comes into force, and test grants open in the same transaction.

    The caller holds the services and systems (`_hold_as_written`).
    """
    if agreement.present_parties().exclude(pk__in=draft.signatures.values("party_id")).exists():
        return
    now = timezone.now()
    starts, ends = term_of(draft.content, now)
    if ends is not None and ends <= starts:
        raise FactMissing(_("The agreed period is over already."), code="period_over")
    if agreement.status == AgreementStatus.IN_FORCE:
        make_current(agreement, draft, by=by)
        return
    AGREEMENT.move(agreement, "sign", by=by, in_force_at=now, valid_from=starts, valid_to=ends)
    agreement.versions.filter(pk=draft.pk).update(state=VersionState.CURRENT)
    agreement.versions.filter(state=VersionState.DRAFT, number__lt=draft.number).update(state=VersionState.SUPERSEDED)
    draft.refresh_from_db()
    draft.agreement = agreement
    open_test(draft, by=by)
    raise_epoch("agreement", agreement.uuid)
    audit.record("agreement.in_force", agreement, by=by, organizations=agreement.party_uuids(), content_hash=draft.content_hash)
    tell_parties("in_force", agreement, N_("Agreement %(number)s is in force. The test account can be collected."))


@transaction.atomic
def begin_version(version: AgreementVersion, *, by) -> bool:
    """The clock puts a version in force whose moment has come, also while the agreement is suspended. False: not (any more) to be."""
    agreement = lock_agreement(version.agreement)
    version.refresh_from_db()
    if version.state != VersionState.SCHEDULED or version.begins_at > timezone.now():
        return False
    hold(version.service_codes(), version.system_codes())
    version.agreement = agreement
    begin_plan(version, by=by)
    put_in_place(agreement, version)
    tell_in_place(agreement, version, by=by)
    return True


def touch(agreement: Agreement) -> None:
    """A change that moves no status still raises the version: whoever decided on the former page is told so."""
    agreement.version += 1
    agreement.save(update_fields=["version", "updated_at"])
