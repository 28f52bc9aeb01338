"""One consumer of several leaves an agreement: its access ends, its duties begin, and the agreement goes on for the others."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements.actions.life import DUTIES, require_texts
from apps.agreements.announcements import tell_parties
from apps.agreements.assessments import personal_data
from apps.agreements.choices import AcceptanceStatus, DutyKind, GrantStatus, Side, SignatureBasis, VersionState
from apps.agreements.content import FORMAT
from apps.agreements.grants import close_grants
from apps.agreements.locks import lock_agreement
from apps.agreements.models import Agreement, AgreementVersion, Duty, Party, Signature
from apps.agreements.suspensions import end_suspensions_of_consumers
from apps.agreements.workflow import AGREEMENT
from apps.audit import actions as audit
from apps.connections.choices import OVER
from apps.core.canonical import content_hash
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, InvalidFact, NotPermitted
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem
from apps.organizations.roles import organization_ids


@dataclass(frozen=True)
class LeavingPlan:
    """What leaving would do now. `unfinished` are numbers of open requests of the one who leaves: they come first."""

    party: Party
    remaining: list[Party]
    grants: list
    duties: list[str]
    unfinished: list[str]
    change_pending: bool

    @property
    def duty_labels(self) -> list:
        return [DutyKind(kind).label for kind in self.duties]


def plan_leaving(agreement: Agreement, *, by, consumer: str = "") -> LeavingPlan:
    """Read only: what `leave_agreement` would end, what it would leave to be done, and who goes on.

    Raises NotPermitted for whoever is no officer of a bound consumer, InvalidFact (`several_consumers`) when `by` is one of
    several and `consumer`, a code, names none, Conflict (`last_consumer`) when nobody would go on.
    """
    bound = _bound_consumers(agreement)
    party = _leaver(bound, by, consumer)
    remaining = [row for row in bound if row.pk != party.pk]
    if not remaining:
        raise Conflict(_("No other consumer would go on: the last one terminates the agreement."), code="last_consumer")
    grants = agreement.grants.exclude(status=GrantStatus.ENDED).filter(system__organization=party.organization)
    begun = agreement.bases.filter(version__isnull=True).exclude(request__status__in=OVER).select_related("request")
    return LeavingPlan(
        party, remaining, list(grants.select_related("system__organization", "operation__version__service", "purpose", "agreement")),
        list(DUTIES[Side.CONSUMER]),
        sorted(row.request.number for row in begun if party.organization_id in {row.request.consumer_id, *row.request.consumer_ids()}),
        agreement.versions.filter(state__in=(VersionState.DRAFT, VersionState.SCHEDULED)).exists(),
    )  # fmt: skip


def _bound_consumers(agreement: Agreement) -> list[Party]:
    rows = agreement.present_parties().bound().filter(side=Side.CONSUMER)
    return list(rows.select_related("organization").order_by("pk"))


def _leaver(bound: list[Party], by, consumer: str) -> Party:
    mine = organization_ids(by, Role.CONSUMER_OFFICER)
    rows = [row for row in bound if row.organization_id in mine and consumer in ("", row.organization.code)]
    if not rows:
        raise NotPermitted(_("Only a consumer of the agreement leaves it."), code="not_a_party")
    if len(rows) > 1:
        codes = ", ".join(row.organization.code for row in rows)
        told = _("You act for several consumers: say which one leaves (%(codes)s).") % {"codes": codes}
        raise InvalidFact(code="several_consumers", fields={"consumer": [told]})
    return rows[0]


@transaction.atomic
def leave_agreement(agreement: Agreement, *, by, reason: str, consumer: str = "", version: int | None = None) -> Agreement:
    """One consumer of several no longer needs the connection (NĐ 47/2020 Điều 44(1)): what it could call ends now.

    Its checklist of duties opens (Điều 44(2)) and is its own; the others, their access and their tests go on under a new
    version that no longer names it, with the signatures they gave. It reads on what was valid until then (`reading`). Raises as
    `plan_leaving`; Conflict (`change_pending`) while a change awaits signatures or its first day, and (`unfinished`) while requests of its own
    are open under the agreement.
    """
    require_texts({"reason": reason})
    plan_leaving(agreement, by=by, consumer=consumer)
    lock_agreement(agreement)
    plan = plan_leaving(agreement, by=by, consumer=consumer)
    AGREEMENT.check(agreement, "leave", by=by, version=version)
    _nothing_pending(plan)
    told = {*agreement.party_uuids()}
    party = plan.party
    close_grants(agreement, by=by, reason=reason.strip(), system__organization=party.organization)
    end_suspensions_of_consumers(agreement, by=by, reason=reason.strip(), party=party)
    left = _version_without(agreement, party, reason=reason.strip())
    # The version without it is the first it does not read.
    Party.objects.filter(pk=party.pk).update(left_at=left.created_at)
    # One that came back by a merge before it did its duties has its rows from then.
    Duty.objects.bulk_create((Duty(agreement=agreement, party=party, kind=kind) for kind in plan.duties), ignore_conflicts=True)
    agreement.version += 1
    agreement.save(update_fields=["version", "updated_at"])
    raise_epoch("agreement", agreement.uuid)
    audit.record(
        "agreement.left", agreement, by=by, organizations=told, consumer=party.organization.code, reason=reason.strip(),
        version=left.number, grants=len(plan.grants),
    )  # fmt: skip
    tell_parties(
        "left", agreement, N_("%(consumer)s has left agreement %(number)s: %(reason)s"), key=str(party.organization.uuid),
        also=[party.organization_id], operators=True, consumer=party.organization.name, reason=reason.strip(),
    )  # fmt: skip
    return agreement


def _nothing_pending(plan: LeavingPlan) -> None:
    if plan.change_pending:
        raise Conflict(
            _("A change of the agreement awaits signatures or its first day: it comes into force or is declined first."),
            code="change_pending",
        )
    if plan.unfinished:
        numbers = ", ".join(plan.unfinished)
        raise Conflict(_("Withdraw these requests first: %(numbers)s.") % {"numbers": numbers}, code="unfinished")


def _version_without(agreement: Agreement, party: Party, *, reason: str) -> AgreementVersion:
    """The next version, less the one who left; for the others it says what the former one said, and binds them as that did."""
    current = agreement.versions.get(state=VersionState.CURRENT)
    number = agreement.versions.order_by("-number").first().number + 1
    content = without(current.content, party.organization.code) | {
        "version": number, "supersedes": current.content_hash, "change_note": reason,
    }  # fmt: skip
    agreement.versions.filter(pk=current.pk).update(state=VersionState.SUPERSEDED)
    # It says what it said, so its drafter is whose it was: who only takes somebody's name out of it may be a signer.
    version = AgreementVersion.objects.create(
        agreement=agreement, number=number, content=content, content_hash=content_hash(content), drafted_by_id=current.drafted_by_id,
        state=VersionState.CURRENT, change_note=reason,
    )  # fmt: skip
    Signature.objects.bulk_create(
        Signature(
            version=version, party_id=row.party_id, signer_id=row.signer_id, signer_name=row.signer_name, drafted_by_id=version.drafted_by_id,
            basis=SignatureBasis.CARRIED if row.signer_id else SignatureBasis.PAPER, signed_hash=row.signed_hash,
            signed_at=row.signed_at,
        )
        for row in current.signatures.exclude(party=party).order_by("pk")
    )  # fmt: skip
    _follow_with_what_others_did(agreement, current, version, party)
    return version


def _follow_with_what_others_did(
    agreement: Agreement, current: AgreementVersion, version: AgreementVersion, party: Party
) -> None:
    """The others' tests and the changes they have begun hold: nothing of theirs is another in the new version."""
    tests = agreement.acceptances.filter(for_version=current).exclude(status=AcceptanceStatus.REJECTED)
    tests.exclude(system__organization=party.organization).update(for_version=version)
    begun = agreement.bases.filter(version__isnull=True, starts_from=current).exclude(request__status__in=OVER)
    begun.update(starts_from=version)


def without(content: dict, code: str) -> dict:
    """The content with the consumer `code`, its systems, its contacts and what it said of sensitive data taken out."""
    consumers = [row for row in content["consumers"] if row["code"] != code]
    systems = [row for row in content["systems"] if row["organization"] != code]
    kept = {row["code"] for row in systems}
    networks = InformationSystem.objects.filter(code__in=kept).values_list("network", flat=True)
    place, security = content["place"], content["security"]
    gone, stay = ({row["name"] for row in content["systems"] if (row["code"] in kept) is here} for here in (False, True))
    return {
        **{name: value for name, value in content.items() if name != "addendum"},
        "format": FORMAT,
        "consumers": consumers,
        "systems": systems,
        "contacts": [row for row in content["contacts"] if row["organization"] != code],
        "place": {
            **place,
            "usage_location": sorted({*place["usage_location"]} - gone | stay),
            "networks": sorted(set(networks)),
        },
        "security": {**security, "levels": [row for row in security["levels"] if row["system"] in kept]},
        "personal_data": personal_data(
            content, (row["code"] for row in consumers), content["personal_data"]["sensitive_fields"]
        ),
    }
