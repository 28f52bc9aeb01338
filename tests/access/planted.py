"""The world of the sweeps: everything that is agency B's own carries `MARK`, and a third agency has a case of its own beside it.

`build()` makes `tests.access.world` by verbs, adds a row of every private kind (words, files, disputes, tickets, calls, notices …)
and writes the mark into every free text of B's rows, including those no verb fills. What the stranger may see — the directory of
agencies, published services, its own case with the same provider — carries none.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace

from django.db import DatabaseError, models, transaction
from django.db.models import Value
from django.db.models.functions import Concat, Left
from django.utils import timezone

from apps.accounts.models import User
from apps.agreements.actions import confirm_acceptance
from apps.agreements.models import (
    AcceptanceRecord,
    Agreement,
    AgreementVersion,
    Credential,
    Duty,
    DutyCertificate,
    Grant,
    PlannedSuspension,
    Signature,
)
from apps.catalogs.models import Catalog
from apps.connections import files
from apps.connections.actions import attach_file, comment_request
from apps.connections.models import Attachment, Comment, ConnectionRequest, ProviderDecision, Remark
from apps.core.fields import EncryptedTextField
from apps.disputes.actions import answer_dispute, open_ticket, raise_dispute
from apps.disputes.choices import DisputeCategory, TicketKind
from apps.disputes.models import Answer, Dispute, Ticket
from apps.gateway import call_ids
from apps.gateway.models import CallIntent, CallOutcome, CallRefusal, FieldSet
from apps.legal.models import CalendarException, LegalBasis, LegalRule, RefusalGround
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.organizations.models import FocalPoint, InformationSystem, Membership, Organization
from apps.registry.models import (
    DataService,
    Feedback,
    Field,
    Operation,
    Parameter,
    Purpose,
    ServiceVersion,
    Upstream,
    UsageRegulation,
)
from apps.sync.models import Source, SyncRun
from tests.access.world import World
from tests.access.world import build as build_world
from tests.factories import connections
from tests.factories.agreements import agreement_in_force, recorded
from tests.factories.organizations import InformationSystemFactory, officer
from tests.fixtures.worlds import remembered

KNOWN, SECRET = "kimtuyen7f3a", "bimat9c1eZ"
MARK = KNOWN + SECRET
"""Whoever searches for the first half may get it echoed; the second half comes from B's rows only."""
ADDRESS = "203.0.113.77"
"""From where B's system calls: as private as the mark."""
_NOT_FREE = {
    "code",
    "number",
    "status",
    "kind",
    "password",
    "folded",
    "search_line",
    "sort_key",
    "key",
    "media_type",
    "method",
    "event",
    "side",
}
_NOT_FREE_ENDS = ("_hash", "sha256", "_kind", "_ground")


PUBLIC = (Organization, FocalPoint, DataService, ServiceVersion, Operation, Parameter, Field, Purpose, UsageRegulation, Catalog, Source,
          LegalRule, LegalBasis, RefusalGround, CalendarException, SyncRun)  # fmt: skip
"""Everybody may read these texts; they are somebody's input all the same."""


@dataclass
class Planted:
    world: World
    own: World
    """The same addresses with the stranger's own objects where it has some."""
    planted: set[str]


@remembered
def build() -> Planted:
    world = build_world()
    parties = parties_of(world)
    _add_private_rows(world, parties)
    planted = set()
    for rows in private_rows(parties):
        planted |= plant(rows)
    return Planted(world, _of_the_stranger(world, parties), planted)


def parties_of(world: World) -> connections.World:
    request = ConnectionRequest.objects.get(uuid=world.objects["requests"])
    system, operation = request.request_systems.get().system, request.operations.get()
    people = world.people
    return connections.World(
        consumer=request.consumer, provider=operation.version.service.provider, system=system, service=operation.version.service,
        operation=operation, purpose=request.purpose, consumer_officer=people["consumer"], consumer_signer=people["signer"],
        provider_officer=people["provider"], provider_signer=people["provider"], operator=people["operator"],
        stranger=people["stranger"],
    )  # fmt: skip


def _add_private_rows(world: World, parties: connections.World) -> None:
    request = ConnectionRequest.objects.get(uuid=world.objects["requests"])
    agreement = Agreement.objects.get(uuid=world.objects["agreements"])
    b, p = parties.consumer_officer, parties.provider_officer
    comment_request(request, by=b, text=MARK)
    comment_request(request, by=b, text=MARK, is_internal=True)
    file = attach_file(_draft(parties), by=b, name=f"{MARK}.pdf", data=b"%PDF-1.4\n%" + MARK.encode() + b"\n%%EOF\n")
    dispute = raise_dispute(agreement, by=b, category=DisputeCategory.DATA, title=MARK, description=MARK)
    answer_dispute(dispute, by=p, text=MARK)
    ticket = open_ticket(agreement, by=b, kind=TicketKind.values[-1], asked_of=parties.provider, text=MARK)
    now = timezone.now()
    planned = PlannedSuspension.objects.create(
        agreement=agreement, starts_at=now + datetime.timedelta(days=9), ends_at=now + datetime.timedelta(days=10), reason=MARK,
        announced_by=p,
    )  # fmt: skip
    party = agreement.parties.get(organization=parties.consumer)
    duty = Duty.objects.create(agreement=agreement, party=party, kind=Duty._meta.get_field("kind").choices[0][0], note=MARK)
    _certificate(duty, by=b)
    call, refusal = _calls(agreement, parties)
    notice = Notice.objects.filter(recipient=b).first() or Notice.objects.create(recipient=b, kind="x", key=MARK)
    world.objects |= {
        "attachments": str(file.uuid), "files": str(file.uuid), "disputes": str(dispute.uuid), "tickets": str(ticket.uuid),
        "planned-suspensions": str(planned.uuid), "suspensions": str(planned.uuid), "duties": str(duty.uuid),
        "calls": str(call.call_id), "callintent": str(call.call_id), "call-refusals": str(refusal.call_id),
        "callrefusal": str(refusal.call_id), "notices": str(notice.uuid),
    }  # fmt: skip


def _certificate(duty: Duty, *, by) -> None:
    """The paper that shows how the duty was done: private by its name and by what stands in it."""
    data = b"%PDF-1.4\n%" + MARK.encode() + b"\n%%EOF\n"
    kept = DutyCertificate.objects.create(
        duty=duty, name=f"{MARK}.pdf", media_type="application/pdf", size=len(data), sha256=files.digest(data), uploaded_by=by
    )
    files.keep(kept, data)


def _draft(parties: connections.World) -> ConnectionRequest:
    return connections.complete_draft(parties, title=MARK)


def _calls(
    agreement: Agreement, parties: connections.World, *, source: str = ADDRESS, word: str = MARK
) -> tuple[CallIntent, CallRefusal]:
    grant = agreement.grants.get(environment="production")
    credential = parties.system.credentials.get(environment="production")
    now = timezone.now()
    names, _made = FieldSet.objects.get_or_create(digest=word.encode(), defaults={"names": [word]})
    call = CallIntent.objects.create(
        call_id=call_ids.make(int(now.timestamp() * 1000)), admitted_at=now, grant=grant, credential=credential, epoch=1,
        request_digest=b"\x01" * 32, source=source,
    )  # fmt: skip
    CallOutcome.objects.create(call=call, recorded_at=now, outcome="delivered", status=200, total_us=1, delivered=names)
    refusal = CallRefusal.objects.create(
        call_id=call_ids.make(int(now.timestamp() * 1000) + 1), refused_at=now, code="purpose_missing", status=403,
        credential=credential, system=parties.system, service=parties.service, method="GET", asked_service=word,
        asked_purpose=word, epoch=1, source=source,
    )  # fmt: skip
    return call, refusal


def build_with_markup(payload: str) -> tuple[World, set[str]]:
    """The same world with `payload` in every free text, the public ones too; and the columns that carry it."""
    world = build_world()
    parties = parties_of(world)
    _add_private_rows(world, parties)
    everything = [*private_rows(parties), *[model.objects.all() for model in PUBLIC]]
    return world, set().union(*(plant(rows, payload) for rows in everything))


def private_rows(parties: connections.World) -> list[models.QuerySet]:
    """All of B's own rows, and the provider's address behind the service."""
    cases = ConnectionRequest.objects.filter(consumer=parties.consumer)
    agreements = Agreement.objects.filter(parties__organization=parties.consumer)
    inside = {"agreement__in": agreements.values("pk")}
    of_cases = {"request__in": cases.values("pk")}
    people = User.objects.filter(memberships__organization=parties.consumer)
    # Who said something on a service's page stands there by name, for every member to read.
    people = people.exclude(pk__in=Feedback.objects.values("author")).values("pk")
    return [
        cases, Agreement.objects.filter(pk__in=agreements.values("pk")), User.objects.filter(pk__in=people),
        *[model.objects.filter(**of_cases) for model in (Remark, Comment, Attachment, ProviderDecision)],
        *[model.objects.filter(**inside) for model in (AgreementVersion, PlannedSuspension, Duty, AcceptanceRecord, Grant, Ticket)],
        Signature.objects.filter(version__agreement__in=agreements.values("pk")),
        DutyCertificate.objects.filter(duty__agreement__in=agreements.values("pk")),
        Credential.objects.filter(system__organization=parties.consumer),
        InformationSystem.objects.filter(organization=parties.consumer),
        Membership.objects.filter(organization=parties.consumer, role=Role.SIGNER),
        Dispute.objects.filter(raised_for=parties.consumer), Answer.objects.filter(dispute__raised_for=parties.consumer),
        Notice.objects.filter(recipient__memberships__organization=parties.consumer), Upstream.objects.filter(version__service=parties.service),
        CallRefusal.objects.filter(system__organization=parties.consumer),
    ]  # fmt: skip


def plant(rows: models.QuerySet, mark: str = MARK) -> set[str]:
    """Write the mark at the end of every free text of `rows`; names of the columns that carry it afterwards."""
    found = set()
    for field in rows.model._meta.fields:
        if not isinstance(field, models.CharField | models.TextField) or not _is_free(field):
            continue
        room = field.max_length - len(mark) if field.max_length else 10_000
        if room < 0:
            continue
        value = Concat(Left(field.name, room), Value(mark))
        try:
            with transaction.atomic():
                rows.exclude(**{f"{field.name}__contains": mark}).update(**{field.name: value})
        except DatabaseError:
            pass  # a published fact that the database does not let anybody edit: verbs wrote it, with the mark where they could
        if rows.filter(**{f"{field.name}__contains": mark}).exists():
            found.add(f"{rows.model._meta.label}.{field.name}")
    return found


def _is_free(field: models.Field) -> bool:
    return not (
        isinstance(field, EncryptedTextField) or field.choices or field.name in _NOT_FREE or field.name.endswith(_NOT_FREE_ENDS)
    )


def _of_the_stranger(world: World, parties: connections.World) -> World:
    """The third agency asks for the same service, is allowed and calls: its pages show a case, and must show no other."""
    organization = parties.stranger.memberships.first().organization
    organization.focal_points.create(name="Đầu mối C", position="x", phone="0209 3", email="c@example.vn")
    theirs = replace(
        parties, consumer=organization, system=InformationSystemFactory(organization=organization),
        consumer_officer=officer(Role.CONSUMER_OFFICER, organization), consumer_signer=parties.stranger,
    )  # fmt: skip
    agreement = agreement_in_force(theirs, title="Hồ sơ của cơ quan C")
    confirm_acceptance(recorded(theirs, agreement), by=parties.provider_officer)
    request = connections.forwarded(theirs, title="Hồ sơ thứ hai của cơ quan C")
    call, refusal = _calls(agreement, theirs, source="10.0.0.9", word="x")
    record = agreement.acceptances.get()
    objects = {
        "requests": request.uuid, "agreements": agreement.uuid, "grants": agreement.grants.get(environment="production").uuid,
        "acceptances": record.uuid, "test-records": record.uuid, "deadlines": agreement.clocks.get(step="test").uuid, "joining": agreement.number, "organizations": organization.code,
        "credentials": theirs.system.credentials.get(environment="production").uuid, "systems": theirs.system.code,
        "accounts": theirs.system.credentials.get(environment="production").uuid, "organization": organization.code,
        "people": parties.stranger.uuid, "memberships": parties.stranger.memberships.first().uuid, "calls": call.call_id,
        "call-refusals": refusal.call_id,
    }  # fmt: skip
    return World(world.people, world.objects | {name: str(value) for name, value in objects.items()})


MUST_CARRY = {
    "accounts.User.email", "accounts.User.full_name", "accounts.User.phone", "agreements.Agreement.title",
    "agreements.Credential.client_id", "agreements.Duty.note", "agreements.DutyCertificate.name", "agreements.PlannedSuspension.reason", "connections.Attachment.name",
    "connections.Comment.text", "connections.ConnectionRequest.note", "connections.ConnectionRequest.purpose_text",
    "connections.ConnectionRequest.solution", "connections.ConnectionRequest.technician", "connections.ConnectionRequest.title",
    "connections.ProviderDecision.comment", "disputes.Answer.text", "disputes.Dispute.description", "disputes.Dispute.title",
    "disputes.Ticket.text", "gateway.CallRefusal.asked_service", "notices.Notice.url", "organizations.InformationSystem.name",
    "registry.Upstream.base_url",
}  # fmt: skip
"""What the sweep must have had to find at least; a smaller world would prove less."""
