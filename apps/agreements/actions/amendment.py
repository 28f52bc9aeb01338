"""The next version that an approved change, renewal or joining makes of an agreement in force."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements import steps
from apps.agreements.actions.in_place import make_current
from apps.agreements.actions.standing import sign_by_standing
from apps.agreements.announcements import tell_parties
from apps.agreements.assessments import personal_data
from apps.agreements.choices import AgreementStatus, Side, StepKind, VersionState
from apps.agreements.content import FORMAT, content_of
from apps.agreements.grants import operation_of
from apps.agreements.models import Agreement, AgreementVersion, Party, StandardClause
from apps.agreements.negotiated import keep_negotiated
from apps.audit import actions as audit
from apps.connections.actions.request import networks
from apps.connections.choices import RequestKind
from apps.connections.models import ConnectionRequest
from apps.core.canonical import content_hash
from apps.core.errors import FactMissing
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem
from apps.registry.choices import SharingForm


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
    if not special and request.kind != RequestKind.JOIN and _others(request, agreement):
        _refuse_a_change_for_others(content, current.content)
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
        steps.begin(agreement, StepKind.SIGN)
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
    """The request's content as the next version, with what was negotiated and no request can say; one who joins adds itself and
    its systems to what runs."""
    # Who joins changes no term: its further words are the note of its addendum.
    reason = request.note if request.kind == RequestKind.JOIN else request.change_reason
    note = reason or str(request.get_kind_display())
    content = content_of(request, agreement, number, supersedes=current.content_hash, note=note, signed=signed)
    if request.kind != RequestKind.JOIN:
        if agreement.sharing_form == SharingForm.SPECIAL:
            content = keep_negotiated(
                content, agreement.versions.get(number=1).content, _agreed(agreement, current).content, _standard_texts()
            )
        return _with_assessments(keep_the_others(content, request, agreement, current.content), request, current.content)
    old = current.content
    # Of a party and a system what runs holds: their rows as they are today may say more, or name other people.
    joined = {name: _and_new(old[name], content[name]) for name in ("consumers", "systems")}
    joined["contacts"] = [*old["contacts"], *_contacts_of_joiners(content["contacts"], old, request)]
    levels = _and_new(old["security"]["levels"], content["security"]["levels"], "system")
    place = {name: sorted({*old["place"].get(name, []), *content["place"][name]}) for name in ("usage_location", "networks")}
    head = {name: content[name] for name in ("version", "supersedes", "change_note")}
    addenda = agreement.versions.filter(content__has_key="addendum").count()
    addendum = {
        "number": addenda + 1,
        "joined": sorted({row["code"] for row in content["consumers"]} - {row["code"] for row in old["consumers"]}),
        "joining": content["joining"],
    }
    after = {
        **old, **head, **joined, "addendum": addendum, "requests": [*old["requests"], *content["requests"]],
        "security": {**old["security"], "levels": levels}, "place": {**old["place"], **place},
    }  # fmt: skip
    return _with_assessments(after, request, old)


def _contacts_of_joiners(rows: list[dict], old: dict, request: ConnectionRequest) -> list[dict]:
    """Not those that parties have named since: each change of terms brings them, and the former ones would stay beside them."""
    parties = {row["code"] for side in ("providers", "consumers") for row in old[side]} - {request.consumer.code}
    return [row for row in rows if row["organization"] not in parties and row not in old["contacts"]]


def _and_new(old: list[dict], rows: list[dict], key: str = "code") -> list[dict]:
    known = {row[key] for row in old}
    return [*old, *(row for row in rows if row[key] not in known)]


def _with_assessments(content: dict, request: ConnectionRequest, old: dict) -> dict:
    """`content`, the next one after `old`, with what each of its consumers says of sensitive data; who asks, as it says now."""
    consumers = {row["code"] for row in content["consumers"]}
    item = personal_data(old, consumers, content["personal_data"]["sensitive_fields"], request)
    return {**content, "format": FORMAT, "personal_data": item}


def _agreed(agreement: Agreement, current: AgreementVersion) -> AgreementVersion:
    """What came of the negotiation: the last content before the first one that rests on another request. Only it was negotiated;
    what a later one says otherwise, services and clauses of its day said."""
    later = agreement.bases.filter(version__number__gt=1).order_by("version__number").values_list("version__number", flat=True)
    first = later.first()
    return agreement.versions.filter(number__lt=first).order_by("-number").first() if first else current


def _standard_texts() -> set[tuple[str, str]]:
    return set(StandardClause.objects.values_list("code", "text"))


def _others(request: ConnectionRequest, agreement: Agreement) -> set[str]:
    """Codes of the consumers that take no part in `request`."""
    parties = agreement.present_parties().filter(side=Side.CONSUMER).exclude(organization_id__in=request.consumer_ids())
    return set(parties.values_list("organization__code", flat=True))


def keep_the_others(content: dict, request: ConnectionRequest, agreement: Agreement, old: dict) -> dict:
    """`content` with the consumers that take no part in `request`, and their systems, as they run."""
    others = _others(request, agreement)
    if not others:
        return content
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
    """Default sharing asks other consumers for no signature, so nothing may change for them: raises FactMissing
    (`others_concerned`) when `content` gives something else than now, or for a shorter term. (Special sharing: each of them
    signs the new version.)
    """
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
