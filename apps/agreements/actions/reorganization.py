"""Merging an agency into another: systems, services and agreements are carried over, history stays, nobody's access widens.

What stands on the floor above goes with it by `disputes.reorganization`, which has the doors and calls this verb.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements.actions.fallen import drafts_of, drop_orphans_of
from apps.agreements.actions.in_place import carry_tests
from apps.agreements.actions.life import require_texts
from apps.agreements.actions.suspension import active_grants_of, hold_grants
from apps.agreements.announcements import OFFICER_OF, tell_parties
from apps.agreements.assessments import handed_over
from apps.agreements.choices import AgreementStatus, GrantStatus, SignatureBasis, VersionState
from apps.agreements.content import FORMAT
from apps.agreements.locks import held_grants
from apps.agreements.models import Agreement, AgreementVersion, ConsumerSuspension, Duty, Party, Signature
from apps.agreements.representatives import representatives
from apps.agreements.suspensions import hand_over
from apps.audit import actions as audit
from apps.connections.models import ConnectionRequest
from apps.core.canonical import content_hash
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, InvalidFact
from apps.core.workflow import require
from apps.organizations.actions import close_organization
from apps.organizations.choices import OrganizationStatus, Role
from apps.organizations.models import Membership, Organization
from apps.registry.actions.keeping import hand_over_issued, issued_by

LIVE = (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED)
UNFINISHED = (AgreementStatus.NEGOTIATING, AgreementStatus.AWAITING_SIGNATURES, AgreementStatus.ENDING)


@transaction.atomic
def merge_organizations(source: Organization, into: Organization, *, by, instrument: str) -> list[Agreement]:
    """Carry everything of `source` over to `into` by force of the legal `instrument`, then close `source`.

    Each agreement that lives gets a new version that names the successor; grants stay the rows they are, for the same
    systems, operations and fields. What `source` issued stays as it was signed, and `into` keeps it. Roles are not carried
    over: people get theirs anew, and what they had only drafted is withdrawn. Raises Conflict naming what must be finished first: open requests, unfinished agreements,
    agreements between the two.
    """
    require(by, "agreements.merge_organizations", source)
    require_texts({"instrument": instrument})
    # All that is carried, in the order of `locks`, before the first row that raises the epoch.
    hold_agencies(source, into)
    agreements = _hold_what_is_carried(source)
    require_finished(unfinished(source, into))
    hand_over_issued(source, into, by=by)
    _carry_systems_and_services(source, into, by=by)
    for agreement in agreements:
        _carry_over(agreement, source, into, by=by, instrument=instrument.strip())
    source.refresh_from_db()
    close_organization(source, by=by, reason=instrument.strip())
    drop_orphans_of(source, by=by)
    audit.record(
        "organization.merged", source, by=by, organizations=[source, into], into=into.code, instrument=instrument.strip(),
        agreements=[agreement.number for agreement in agreements],
    )  # fmt: skip
    return agreements


def hold_agencies(source: Organization, into: Organization) -> None:
    """Take turns on both agencies. Raises InvalidFact (`not_mergeable`)."""
    _mergeable(*_locked(Organization.objects.filter(pk__in=[source.pk, into.pk])))


def _mergeable(*two: Organization) -> None:
    if len({row.pk for row in two}) != 2 or any(row.status != OrganizationStatus.ACTIVE for row in two):
        raise InvalidFact(_("Two different, active organizations are merged."), code="not_mergeable")


def _hold_what_is_carried(source: Organization) -> list[Agreement]:
    """The agreements of `source` with what runs under them, its services and systems, its drafts and the requests that name its services."""
    asked = ConnectionRequest.objects.open().filter(requested_operations__operation__version__service__provider=source)
    # By their keys: a row that comes up twice in a join is not to be locked.
    _locked(
        ConnectionRequest.objects.filter(
            pk__in={*asked.values_list("pk", flat=True), *drafts_of(source).values_list("pk", flat=True)}
        )
    )
    agreements = _locked(
        Agreement.objects.filter(
            status__in=LIVE, pk__in=source.agreement_parties.filter(left_at__isnull=True, is_joining=False).values("agreement")
        )
    )
    for rows in (source.services.all(), source.systems.all()):
        _locked(rows)
    held_grants(agreement__in=agreements)
    return agreements


def _locked(rows) -> list:
    return list(rows.order_by("pk").select_for_update(of=("self",), no_key=True))


@dataclass(frozen=True)
class MergePlan:
    """What a merge would carry over, and what must be finished first (then nothing is carried)."""

    systems: list
    services: list
    agreements: list[Agreement]
    regulations: list
    default_lists: list
    unfinished: list[str]
    children: list[Organization]
    """Open agencies under the one that ends: they are closed, merged or moved first."""
    missing_roles: list[Role]
    """Roles that nobody would hold in the successor: then nobody there is told or reminded of what goes over."""

    @property
    def is_hindered(self) -> bool:
        return bool(self.unfinished or self.children)


def plan_merge(source: Organization, into: Organization, *, by) -> MergePlan:
    """Read only: what `merge_organizations` would do now. Raises NotPermitted, InvalidFact (`not_mergeable`)."""
    require(by, "agreements.merge_organizations", source)
    _mergeable(source, into)
    bound = {"parties__organization": source, "parties__left_at__isnull": True, "parties__is_joining": False}
    agreements = Agreement.objects.filter(status__in=LIVE, **bound)
    regulations, lists = issued_by(source)
    return MergePlan(
        list(source.systems.all()),
        list(source.services.all()),
        list(agreements.distinct()),
        regulations,
        lists,
        unfinished(source, into),
        list(source.children.exclude(status=OrganizationStatus.CLOSED)),
        missing_roles(sides_of(source, agreements), into),
    )


def sides_of(organization: Organization, agreements) -> set[str]:
    return set(Party.objects.filter(agreement__in=agreements, organization=organization).values_list("side", flat=True))


def missing_roles(sides: set[str], into: Organization) -> list[Role]:
    """The officers' roles that act on these `sides`, and that no active person holds in `into`."""
    return [
        role for side, role in OFFICER_OF.items() if side in sides and not _officers(role).filter(organization=into).exists()
    ]


def unattended(side: str):
    """Active agencies that are a party on `side` of an agreement that lives and have nobody who acts on that side."""
    parties = Party.objects.filter(organization=OuterRef("pk"), side=side, left_at__isnull=True, agreement__status__in=LIVE)
    officers = _officers(OFFICER_OF[side]).filter(organization=OuterRef("pk"))
    # One agreement of each agency is looked for: by EXISTS the database would put all there are beside all agencies.
    rows = Organization.objects.filter(~Exists(officers), status=OrganizationStatus.ACTIVE)
    return rows.annotate(binding=Subquery(parties.order_by("-agreement_id").values("pk")[:1])).filter(binding__isnull=False)


def _officers(role: str):
    return Membership.objects.filter(role=role, ended_at__isnull=True, user__is_active=True)


def require_finished(numbers: list[str]) -> None:
    """Raise Conflict (`unfinished`) that names these, unless there are none."""
    if numbers:
        raise Conflict(
            _("Finish these first: %(numbers)s.") % {"numbers": ", ".join(numbers)}, code="unfinished", numbers=numbers
        )


def unfinished(source: Organization, into: Organization) -> list[str]:
    """Numbers of what `source` has to finish (`unfinished_alone`), of agreements with a joining of either that waits, and of those between the two."""
    joining = Agreement.objects.filter(
        status__in=LIVE, parties__organization__in=(source, into), parties__is_joining=True, parties__left_at__isnull=True
    )
    return sorted({*unfinished_alone(source), *(row.number for row in (*joining, *_between(source, into)))})


def _between(source: Organization, into: Organization):
    """Agreements of `source` on whose other side `into` is, or once was or wanted to be: a party's row keeps its side, with what it signed.

    Of an agreement that `source` itself has left nothing is carried over.
    """
    theirs = Party.objects.filter(agreement=OuterRef("agreement"), organization=into).exclude(side=OuterRef("side"))
    mine = Party.objects.bound().filter(Exists(theirs), organization=source, left_at__isnull=True)
    return Agreement.objects.filter(status__in=LIVE, pk__in=mine.values("agreement"))


def unfinished_alone(source: Organization) -> set[str]:
    """Numbers of open requests, unfinished agreements, those it has left or that have expired with duties still open, and those with a change
    that awaits signatures or its first day or a joining of its own that waits."""
    cases = ConnectionRequest.objects.open()
    requests = cases.filter(consumer=source) | cases.filter(decisions__provider=source)
    bound = {"parties__is_joining": False, "parties__left_at__isnull": True}
    agreements = Agreement.objects.filter(status__in=UNFINISHED, parties__organization=source, **bound)
    owed = Agreement.objects.filter(pk__in=Duty.objects.owed().filter(party__organization=source).values("agreement"))
    # A merge makes the next version: a change that waits would be lost by it, with the signatures it has.
    change = {"versions__state__in": (VersionState.DRAFT, VersionState.SCHEDULED)}
    later = Agreement.objects.filter(status__in=LIVE, parties__organization=source, **change, **bound)
    waiting = {"parties__is_joining": True, "parties__left_at__isnull": True}
    joining = Agreement.objects.filter(status__in=LIVE, parties__organization=source, **waiting)
    return {row.number for row in (*requests, *agreements, *owed, *later, *joining)}


def _carry_systems_and_services(source: Organization, into: Organization, *, by) -> None:
    """Each says so in its history, so that who comes second to it is told who was first."""
    for system in source.systems.all():
        system.organization = into
        system.version += 1
        system.save(update_fields=["organization", "version", "updated_at"])
        raise_epoch("informationsystem", system.uuid)
        audit.record("system.carried_over", system, by=by, organizations=[source, into], successor=into.code)
    for service in source.services.all():
        service.provider = into
        service.version += 1
        service.save(update_fields=["provider", "version", "updated_at"])
        raise_epoch("dataservice", service.uuid)
        audit.record("service.carried_over", service, by=by, organizations=[source, into], successor=into.code)


def _carry_over(agreement: Agreement, source: Organization, into: Organization, *, by, instrument: str) -> None:
    """A new version that names the successor; who had signed is bound as before (succession, no new consent)."""
    old_party = agreement.parties.get(organization=source)
    party, _created = Party.objects.get_or_create(agreement=agreement, organization=into, defaults={"side": old_party.side})
    # The successor may have left before, or asked to join once and been declined: it is bound by what it takes over.
    Party.objects.filter(pk=party.pk).update(left_at=None, is_joining=False)
    # What it did when it left was done; what is given to it from now on is deleted anew.
    Duty.objects.filter(party=party, done_at__isnull=False).update(is_past=True)
    Party.objects.filter(pk=old_party.pk).update(left_at=timezone.now())
    current = agreement.versions.get(state=VersionState.CURRENT)
    number = agreement.versions.order_by("-number").first().number + 1
    content = _renamed(current.content, source, into) | {
        "version": number, "supersedes": current.content_hash, "change_note": instrument,
    }  # fmt: skip
    agreement.versions.filter(pk=current.pk).update(state=VersionState.SUPERSEDED)
    # It says what it said, so its drafter is whose it was: the operator may be the signer of one of the parties.
    version = AgreementVersion.objects.create(
        agreement=agreement, number=number, content=content, content_hash=content_hash(content), drafted_by_id=current.drafted_by_id,
        state=VersionState.CURRENT, change_note=instrument,
    )  # fmt: skip
    carry_tests(agreement, current, version)
    _carry_signatures(current, version, old_party, party)
    _carry_suspensions(old_party, party, by=by, instrument=instrument)
    hand_over(agreement, source, into, by=by, instrument=instrument)
    _hold_what_joined(agreement, by=by, number=number)
    raise_epoch("agreement", agreement.uuid)
    agreement.version += 1
    agreement.save(update_fields=["version", "updated_at"])
    audit.record(
        "agreement.carried_over", agreement, by=by, organizations={source.uuid, *agreement.party_uuids()}, version=number,
        successor=into.code, content_hash=version.content_hash,
    )  # fmt: skip
    tell_parties("carried_over", agreement, N_("Agreement %(number)s is carried over to %(successor)s."), key=f"v{number}",
                 also=[source.pk], successor=into.name)  # fmt: skip


def _carry_suspensions(old_party: Party, party: Party, *, by, instrument: str) -> None:
    """Who was suspended, and who suspended, stay so under the successor's name; two that become the same become one."""
    source, into = old_party.organization_id, party.organization_id
    opened = ConsumerSuspension.objects.open().filter(agreement=party.agreement)
    for row in opened.order_by("pk"):
        whose = party.pk if row.party_id == old_party.pk else row.party_id
        provider = into if row.provider_id == source else row.provider_id
        same = opened.filter(party_id=whose, provider_id=provider).exclude(pk=row.pk).first()
        carried = {"party_id": whose, "provider_id": provider}
        if same is not None:
            row.grants.exclude(status=GrantStatus.ENDED).update(held_by=same, status_reason=same.violation)
            carried = {"lifted_at": timezone.now(), "lifted_by": by, "comment": instrument}
        ConsumerSuspension.objects.filter(pk=row.pk).update(**carried, updated_at=timezone.now())


def _hold_what_joined(agreement: Agreement, *, by, number: int) -> None:
    """A suspension holds all that runs for its consumer with its provider, also what came to either of them by the merge."""
    for row in ConsumerSuspension.objects.open().filter(agreement=agreement).select_related("party__organization", "provider"):
        grants = active_grants_of(row.party, row.provider)
        if not grants:
            continue
        hold_grants(grants, row, by=by)
        tell_parties(
            "consumer_suspended", agreement,
            N_("Access of %(consumer)s under agreement %(number)s is suspended: %(violation)s"),
            key=f"{row.uuid}:v{number}", consumer=row.party.organization.name, violation=row.violation,
        )  # fmt: skip


def _carry_signatures(current: AgreementVersion, version: AgreementVersion, old_party: Party, party: Party) -> None:
    """The signatures under the former version, kept as what they are: over its hash, by those hands."""
    rows = {}
    for signature in current.signatures.order_by("pk"):
        bound = party if signature.party_id == old_party.pk else signature.party
        rows.setdefault(bound.pk, (bound, signature))
    Signature.objects.bulk_create(
        Signature(
            version=version, party=bound, signer=signature.signer, signer_name=signature.signer_name, drafted_by_id=version.drafted_by_id,
            basis=SignatureBasis.SUCCESSION if signature.signer_id else SignatureBasis.PAPER, signed_hash=signature.signed_hash,
            signed_at=signature.signed_at,
        )
        for bound, signature in rows.values()
    )  # fmt: skip


def _renamed(content: dict, source: Organization, into: Organization) -> dict:
    """The content with `source` replaced by `into` as party, owner of systems, provider of operations and contact."""

    successor = {"code": into.code, "name": into.name, "kind": into.kind, "representatives": representatives(into)}

    def swap(code: str) -> str:
        return into.code if code == source.code else code

    def parties(rows: list[dict]) -> list[dict]:
        new = [successor if row["code"] == source.code else row for row in rows]
        return list({row["code"]: row for row in new}.values())

    contacts = [row for row in content["contacts"] if row["organization"] != source.code]
    points = into.focal_points.filter(ended_at__isnull=True)
    contacts += [
        {"organization": into.code, "name": p.name, "position": p.position, "phone": p.phone, "email": p.email} for p in points
    ]
    return {
        **{name: value for name, value in content.items() if name != "addendum"},
        "providers": parties(content["providers"]),
        "consumers": parties(content["consumers"]),
        "systems": [{**row, "organization": swap(row["organization"])} for row in content["systems"]],
        "scope": [{**row, "provider": swap(row["provider"])} for row in content["scope"]],
        "contacts": contacts,
        "format": FORMAT,
        "personal_data": handed_over(content, source.code, into.code),
    }
