"""Approving a request: the verb that crosses floors, because the last approval makes the agreement."""

from __future__ import annotations

import datetime

from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements.announcements import tell_parties
from apps.agreements.choices import AgreementStatus, Side, SignatureBasis, VersionState
from apps.agreements.content import content_of, last_day, term_of
from apps.agreements.grants import follow_version, issue_credential, open_grants, operation_of
from apps.agreements.locks import hold, lock_agreement
from apps.agreements.models import Agreement, AgreementVersion, Consent, Party, RequestBasis, Signature
from apps.audit import actions as audit
from apps.connections import clock
from apps.connections.actions import open_parts, refuse_second_decision
from apps.connections.actions.request import networks
from apps.connections.announcements import tell_consumer
from apps.connections.choices import Channel, DecisionStatus, RequestKind
from apps.connections.completeness import missing, services_of
from apps.connections.content import request_hash
from apps.connections.models import ConnectionRequest
from apps.connections.workflow import DECISION, REQUEST
from apps.core.canonical import content_hash
from apps.core.epoch import raise_epoch
from apps.core.errors import FactMissing, NotPermitted
from apps.core.numbers import next_number
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem
from apps.organizations.roles import organization_ids
from apps.registry.choices import Environment, SharingForm


@transaction.atomic
def approve_request(request: ConnectionRequest, *, by, comment: str = "", version: int | None = None) -> Agreement | None:
    """Approve the part of `request` that is `by`'s to decide; the last provider's approval makes the agreement.

    Returns the agreement when it was made, None while another provider has still to decide. Default sharing:
    in force at once, with test grants and test accounts to collect; special: negotiating. Raises NotPermitted
    (also for anybody of the requesting side), FactMissing when the request is no longer complete.
    """
    # The lock makes two providers' officers take turns: the second one is then the last, and makes the agreement.
    request = _locked(request)
    _hold_what_it_speaks_of(request)
    refuse_second_decision(request, "approve", by)
    REQUEST.check(request, "approve", by=by, version=version)
    parts = open_parts(request, by)
    # Once: nobody writes in what is held and submitted.
    signed = request_hash(request)
    gaps = missing(request, present=signed)
    if gaps:
        fields = {field: [text] for field, text in gaps}
        raise FactMissing(" ".join(text for _field, text in gaps), code="request_incomplete", fields=fields)
    now = timezone.now()
    others = request.decisions.exclude(status=DecisionStatus.APPROVED).exclude(pk__in=[part.pk for part in parts])
    is_last = not others.exists()
    if is_last:
        REQUEST.move(request, "approve", by=by, decided_at=now, **clock.stop())
    for part in parts:
        DECISION.move(part, "approve", by=by, decided_by=by, decided_at=now, comment=comment)
        audit.record("request.part_approved", request, by=by, organizations=[part.provider], provider=part.provider.code)
    if not is_last:
        return None
    audit.record("request.approved", request, by=by, organizations=request.party_uuids(), content_hash=signed)
    tell_consumer("approved", request, N_("Request %(number)s was approved."))
    if request.kind == RequestKind.NEW:
        return make_agreement(request, signed, by=by)
    return amend_agreement(request, signed, by=by)


def _locked(request: ConnectionRequest) -> ConnectionRequest:
    """The row as committed now, locked. The caller's object follows, so that a page shows what happened."""
    ConnectionRequest.objects.select_for_update(no_key=True).only("pk").get(pk=request.pk)
    request.refresh_from_db()
    return request


def _hold_what_it_speaks_of(request: ConnectionRequest) -> None:
    """The agreement that is amended, the services and the systems, before it is looked whether they still are what was asked for.

    What an amendment does not touch is held too: it follows the new version.
    """
    services = set(services_of(request).values_list("code", flat=True))
    systems = set(request.request_systems.values_list("system__code", flat=True))
    if request.kind != RequestKind.NEW:
        lock_agreement(request.basis.agreement)
        running = request.basis.agreement.versions.filter(state=VersionState.CURRENT).first()
        services |= running.service_codes() if running else set()
        systems |= running.system_codes() if running else set()
    hold(services, systems)


def make_agreement(request: ConnectionRequest, signed: str, *, by) -> Agreement:
    """The agreement that an approved new request, whose hash is `signed`, makes, with parties and its first content."""
    form = request.sharing_form
    special = form == SharingForm.SPECIAL
    now = timezone.now()
    agreement = Agreement(number=next_number("TT"), title=request.title or _title(request), sharing_form=form)
    content = content_of(request, agreement, 1, signed=signed)
    starts, ends = term_of(content, now)
    agreement.status = AgreementStatus.NEGOTIATING if special else AgreementStatus.IN_FORCE
    agreement.in_force_at = None if special else now
    agreement.valid_from, agreement.valid_to = (None, ends) if special else (starts, ends)
    agreement.save()
    _add_parties(agreement, request)
    version = AgreementVersion.objects.create(
        agreement=agreement, number=1, content=content, content_hash=content_hash(content),
        state=VersionState.DRAFT if special else VersionState.CURRENT, drafted_by=by if special else request.created_by,
    )  # fmt: skip
    RequestBasis.objects.create(agreement=agreement, request=request, version=version)
    audit.record(
        "agreement.drafted" if special else "agreement.in_force", agreement, by=by, organizations=agreement.party_uuids(),
        request=request.number, content_hash=version.content_hash,
    )  # fmt: skip
    if special:
        _first_consent(version, by)
        tell_parties("negotiating", agreement, N_("The content of agreement %(number)s is to be agreed on."))
        return agreement
    sign_by_standing(version, request)
    open_test(version, by=by)
    raise_epoch("agreement", agreement.uuid)
    tell_parties("in_force", agreement, N_("Agreement %(number)s is in force. The test account can be collected."))
    return agreement


def _title(request: ConnectionRequest) -> str:
    """The title of the document, which is Vietnamese whatever the approver reads the portal in."""
    names = ", ".join(service.name for service in services_of(request))
    with translation.override("vi"):
        return (_("Sharing of data: %(services)s") % {"services": names})[:300]


def _add_parties(agreement: Agreement, request: ConnectionRequest) -> None:
    sides = [(Side.PROVIDER, request.provider_ids()), (Side.CONSUMER, request.consumer_ids())]
    Party.objects.bulk_create(
        Party(agreement=agreement, organization_id=pk, side=side) for side, ids in sides for pk in sorted(ids)
    )


def _first_consent(version: AgreementVersion, by) -> None:
    """Who approves a special request proposes its content, so that side has agreed to it."""
    mine = organization_ids(by, Role.PROVIDER_OFFICER)
    for party in version.agreement.parties.filter(side=Side.PROVIDER, organization_id__in=mine):
        Consent.objects.create(version=version, party=party, officer=by)


def sign_by_standing(version: AgreementVersion, request: ConnectionRequest) -> None:
    """Default sharing: the terms each provider signed once, and the request each consumer signed, sign the version.

    Raises NotPermitted when one person stands behind both sides, or drafted what they stand for: then nobody else has looked.
    """
    asking = request.consumer_ids()
    signed = next(row["content_hash"] for row in version.content["requests"] if row["number"] == request.number)
    hands = {
        party: _hand(party, request, asking, signed)
        for party in version.agreement.present_parties().select_related("organization")
    }
    signers = {side: {hand[0] for party, hand in hands.items() if party.side == side} - {None} for side in Side.values}
    if signers[Side.PROVIDER] & signers[Side.CONSUMER]:
        raise NotPermitted(_("The same person signed for both sides."), code="four_eyes")
    if version.drafted_by_id in signers[Side.PROVIDER] | signers[Side.CONSUMER]:
        raise NotPermitted(_("Who drafted the request stands behind a signature on the agreement."), code="four_eyes")
    Signature.objects.bulk_create(
        Signature(
            version=version, party=party, signer_id=signer, drafted_by=version.drafted_by, basis=basis,
            signed_hash=signed_hash, signed_at=signed_at,
            signer_name=on_paper,
        )
        for party, (signer, signed_hash, signed_at, basis, on_paper) in hands.items()
    )  # fmt: skip


def _hand(party: Party, request: ConnectionRequest, asking: frozenset[int], signed: str) -> tuple:
    """(signer id, hash, moment, basis, name on paper) of the standing signature of `party`."""
    if party.side == Side.CONSUMER and party.organization_id not in asking:
        # Already a party: it agreed beforehand that others may join (item 19), and nothing changes for it (`keep_the_others`).
        past = party.signatures.order_by("-pk").first()
        basis = SignatureBasis.OPEN_CLAUSE if past.signer_id else SignatureBasis.PAPER
        return past.signer_id, past.signed_hash, past.signed_at, basis, past.signer_name
    if party.side == Side.CONSUMER and request.channel == Channel.PAPER:
        return None, signed, request.received_at, SignatureBasis.PAPER, request.paper_signer
    if party.side == Side.CONSUMER:
        row = request.signatures.filter(organization=party.organization, content_hash=signed).get()
        return row.signer_id, row.content_hash, row.signed_at, SignatureBasis.REQUEST, ""
    # A provider signs by its terms for each of its services; one of them stands for the party.
    service = services_of(request).filter(provider=party.organization).select_related("usage_regulation").first()
    terms = service.usage_regulation
    return terms.terms_signed_by_id, terms.terms_hash, terms.terms_signed_at, SignatureBasis.STANDING_TERMS, ""


def open_test(version: AgreementVersion, *, by) -> None:
    """Test grants and a test account for every system of the version."""
    for system in systems_of(version):
        open_grants(version, system, Environment.TEST, by=by)
        issue_credential(system, Environment.TEST, by=by, delegated=is_delegated(version, system))


def systems_of(version: AgreementVersion) -> list[InformationSystem]:
    codes = [row["code"] for row in version.content["systems"]]
    return list(InformationSystem.objects.filter(code__in=codes).select_related("organization").order_by("code"))


def is_delegated(version: AgreementVersion, system) -> bool:
    """True when every provider concerned lets the operator issue accounts (NĐ 47/2020 Điều 40(2))."""
    grants = system.grants.filter(version_of=version)
    return not grants.filter(operation__version__service__account_issuing_delegated=False).exists()


def amend_agreement(request: ConnectionRequest, signed: str, *, by) -> Agreement:
    """The next version that an approved change, renewal or join, whose hash is `signed`, makes of an agreement in force.

    Default sharing: signed by standing terms and request, current at once. Special: a draft that every party signs,
    while the old version stays in force. Raises FactMissing when the agreement moved on since the request
    was begun (`agreement_changed`: it is returned, and `follow_agreement` puts it on what stands now).
    The caller holds the agreement (`_hold_what_it_speaks_of`).
    """
    basis = request.basis
    agreement = basis.agreement
    current = agreement.versions.filter(state=VersionState.CURRENT).first()
    if agreement.status != AgreementStatus.IN_FORCE or current is None:
        raise FactMissing(_("The agreement is not in force."), code="agreement_not_in_force")
    if basis.starts_from_id != current.pk:
        raise FactMissing(
            _("The agreement has changed since this request was begun: return it, and the agency puts it on what stands now."),
            code="agreement_changed",
        )
    if agreement.versions.filter(state__in=(VersionState.DRAFT, VersionState.SCHEDULED)).exists():
        raise FactMissing(_("Another change of this agreement awaits signatures or its first day."), code="change_pending")
    if agreement.parties.bound().filter(left_at__isnull=False, organization_id__in=request.consumer_ids()).exists():
        raise FactMissing(
            _("The request names systems of an agency that has left the agreement; return it."), code="party_left"
        )
    number = agreement.versions.order_by("-number").first().number + 1
    if request.kind == RequestKind.JOIN:
        _joins_what_runs(content_of(request, agreement, number, signed=signed), current.content)
    content = amended_content(request, agreement, current, number, signed)
    special = agreement.sharing_form == SharingForm.SPECIAL
    version = AgreementVersion.objects.create(
        agreement=agreement, number=number, content=content, content_hash=content_hash(content), change_note=content["change_note"],
        drafted_by=by if special else request.created_by,
    )  # fmt: skip
    type(basis).objects.filter(pk=basis.pk).update(version=version)
    known = frozenset(agreement.present_parties().values_list("organization_id", flat=True))
    for pk in sorted(request.consumer_ids() - known):
        # Also one whose former joining was declined: it signed then, so its row is there.
        joins = {"side": Side.CONSUMER, "is_joining": True, "left_at": None}
        Party.objects.update_or_create(agreement=agreement, organization_id=pk, defaults=joins)
    audit.record(
        "agreement.amended", agreement, by=by, organizations=agreement.party_uuids(), request=request.number, version=number,
        content_hash=version.content_hash,
    )  # fmt: skip
    if special:
        tell_parties("amendment", agreement, N_("A change of agreement %(number)s awaits signatures."), key=f"v{number}", joiners=True,
                     roles=(Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER, Role.SIGNER))  # fmt: skip
        return agreement
    sign_by_standing(version, request)
    make_current(agreement, version, by=by)
    return agreement


def _joins_what_runs(asked: dict, running: dict) -> None:
    """One who joins gets what the agreement gives. Raises FactMissing (`join_differs`) when it asked for, and signed, something else.

    Otherwise it would get fields that it never asked for, and that no impact assessment of its own speaks of.
    """
    wanted, given = ({**shared_terms(content), **_term(content)} for content in (asked, running))
    differing = [name for name, value in given.items() if wanted[name] != value]
    if differing:
        raise _differs(
            differing, _("Who joins an agreement takes it as it runs; the request differs in: %(parts)s."), "join_differs"
        )


def shared_terms(content: dict) -> dict:
    """What a content gives to each consumer alike, by the names that these things have in a request."""
    method = content["method"]
    return {
        "scope": {operation_of(row).pk: {field["path"] for field in row["fields"]} for row in content["scope"]},
        "purpose": content["purpose"]["code"],
        "calls_per_day": method["calls_per_day"],
        "calls_per_second": method["calls_per_second"],
        "codes_day": method.get("codes_day"),
        "source_networks": set(networks(content["restrictions"]["source_networks"])),
    }


def _term(content: dict) -> dict:
    return {"wanted_from": content["term"]["valid_from"], "wanted_to": content["term"]["valid_to"]}


def _differs(names: list[str], text: str, code: str) -> FactMissing:
    labels = {name: str(ConnectionRequest._meta.get_field(name).verbose_name) for name in names if name != "scope"}
    told = text % {"parts": ", ".join(labels.get(name, _("services and fields")) for name in names)}
    return FactMissing(told, code=code, fields={name: [told] for name in names})


def amended_content(
    request: ConnectionRequest, agreement: Agreement, current: AgreementVersion, number: int, signed: str = ""
) -> dict:
    """The request's content as the next version; one who joins adds itself and its systems to what runs."""
    # Who joins changes no term: its further words are the note of its addendum.
    reason = request.note if request.kind == RequestKind.JOIN else request.change_reason
    note = reason or str(request.get_kind_display())
    content = content_of(request, agreement, number, supersedes=current.content_hash, note=note, signed=signed)
    if request.kind != RequestKind.JOIN:
        return keep_the_others(content, request, agreement, current.content)
    old = current.content
    joined = {
        name: [*old[name], *(row for row in content[name] if row not in old[name])]
        for name in ("consumers", "systems", "contacts")
    }
    levels = [*old["security"]["levels"], *content["security"]["levels"]]
    head = {name: content[name] for name in ("version", "supersedes", "change_note")}
    addenda = agreement.versions.filter(content__has_key="addendum").count()
    addendum = {
        "number": addenda + 1,
        "joined": sorted({row["code"] for row in content["consumers"]} - {row["code"] for row in old["consumers"]}),
    }
    return {
        **old, **head, **joined, "addendum": addendum, "requests": [*old["requests"], *content["requests"]], "security": {**old["security"], "levels": levels},
    }  # fmt: skip


def keep_the_others(content: dict, request: ConnectionRequest, agreement: Agreement, old: dict) -> dict:
    """`content` with the consumers that take no part in `request`, and their systems, as they run.

    Default sharing asks them for no signature, so nothing may change for them: raises FactMissing (`others_concerned`) when
    `content` gives something else than now, or for a shorter term. (Special sharing: each of them signs the new version.)
    """
    parties = agreement.present_parties().filter(side=Side.CONSUMER).exclude(organization_id__in=request.consumer_ids())
    others = set(parties.values_list("organization__code", flat=True))
    if not others:
        return content
    if agreement.sharing_form == SharingForm.DEFAULT:
        _refuse_a_change_for_others(content, old)
    named = {row["code"] for row in content["systems"]}
    systems = [row for row in old["systems"] if row["organization"] in others and row["code"] not in named]
    kept = {row["code"] for row in systems}
    networks_of = InformationSystem.objects.filter(code__in=kept).values_list("network", flat=True)
    place, security = content["place"], content["security"]
    return {
        **content,
        "requests": [*old["requests"], *content["requests"]],
        "consumers": [*content["consumers"], *(row for row in old["consumers"] if row["code"] in others)],
        "systems": sorted([*content["systems"], *systems], key=lambda row: row["code"]),
        "contacts": [*content["contacts"], *(row for row in old["contacts"] if row["organization"] in others)],
        "place": {
            **place,
            "usage_location": sorted({*place["usage_location"], *(row["name"] for row in systems)}),
            "networks": sorted({*place["networks"], *networks_of}),
        },
        "security": {
            **security,
            "levels": [*security["levels"], *(row for row in old["security"]["levels"] if row["system"] in kept)],
        },
    }


def _refuse_a_change_for_others(content: dict, old: dict) -> None:
    wanted, given = shared_terms(content), shared_terms(old)
    differing = [name for name, value in given.items() if wanted[name] != value]
    (first, last), (old_first, old_last) = ((row["term"]["valid_from"], row["term"]["valid_to"]) for row in (content, old))
    if first and first != old_first and first > timezone.localdate().isoformat():
        differing.append("wanted_from")
    if last and (old_last is None or last < old_last):
        differing.append("wanted_to")
    if differing:
        text = _(
            "Other consumers have access under this agreement and have not signed this change of: %(parts)s. File a new request."
        )
        raise _differs(differing, text, "others_concerned")


def make_current(agreement: Agreement, version: AgreementVersion, *, by) -> None:
    """`version` replaces the one in force; grants and the term follow in the same transaction.

    Where its term begins later, what runs goes on until then, and it waits (`scheduled`).
    """
    now = timezone.now()
    begins, _ends = term_of(version.content, now)
    if begins > max(now, agreement.valid_from):
        _schedule(agreement, version, begins, by=by)
        return
    put_in_place(agreement, version)
    follow_version(version, systems_of(version), by=by)
    tell_in_place(agreement, version, by=by)


def _schedule(agreement: Agreement, version: AgreementVersion, begins: datetime.datetime, *, by) -> None:
    """Grants of both are rows from now on, so the gateway turns over at that very moment; the clock moves the state after it.

    Raises FactMissing (`begins_after_end`) when nothing would run any more by then.
    """
    if agreement.valid_to is not None and begins >= agreement.valid_to:
        raise FactMissing(
            _("It would begin after the agreement has run out: it begins on %(day)s at the latest.")
            % {"day": last_day(agreement.valid_to).strftime("%d/%m/%Y")},
            code="begins_after_end",
        )
    agreement.versions.filter(pk=version.pk).update(state=VersionState.SCHEDULED, begins_at=begins)
    version.refresh_from_db()
    version.agreement = agreement
    follow_version(version, systems_of(version), by=by)
    agreement.version += 1
    agreement.save(update_fields=["version", "updated_at"])
    raise_epoch("agreement", agreement.uuid)
    audit.record(
        "agreement.version_scheduled", agreement, by=by, organizations=agreement.party_uuids(), version=version.number,
        content_hash=version.content_hash, begins_at=begins.isoformat(),
    )  # fmt: skip
    tell_parties(
        "version_scheduled", agreement, N_("A new version of agreement %(number)s begins on %(day)s; until then nothing changes."),
        key=f"v{version.number}", day=timezone.localdate(begins).strftime("%d/%m/%Y"),
    )  # fmt: skip


def put_in_place(agreement: Agreement, version: AgreementVersion) -> None:
    """`version` is the content in force from now on, with its term; the former one is history."""
    agreement.versions.filter(state=VersionState.CURRENT).update(state=VersionState.SUPERSEDED)
    agreement.versions.filter(pk=version.pk).update(state=VersionState.CURRENT)
    version.refresh_from_db()
    version.agreement = agreement
    _starts, agreement.valid_to = term_of(version.content, timezone.now())
    agreement.parties.filter(is_joining=True, left_at__isnull=True).update(is_joining=False)
    agreement.reminded_days = None
    agreement.version += 1
    agreement.save(update_fields=["valid_to", "reminded_days", "version", "updated_at"])


def tell_in_place(agreement: Agreement, version: AgreementVersion, *, by) -> None:
    """The accounts, the record and the word that go with a version that came into force."""
    for system in systems_of(version):
        issue_credential(system, Environment.TEST, by=by, delegated=is_delegated(version, system))
    raise_epoch("agreement", agreement.uuid)
    audit.record(
        "agreement.version_in_force", agreement, by=by, organizations=agreement.party_uuids(), version=version.number,
        content_hash=version.content_hash,
    )  # fmt: skip
    tell_parties(
        "version_in_force", agreement, N_("A new version of agreement %(number)s is in force."), key=f"v{version.number}"
    )
