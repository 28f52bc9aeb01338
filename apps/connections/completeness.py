"""What a request must hold before it may be submitted, and still at the decision (WF-20 to WF-26, section 7's guards).

Each rule is a small function yielding (field, what is missing); `missing` is all of them. The same list is
the wizard's last step, the guard of `submit_request`, and the guard of the approval: between the two a
service may have been retired or a system suspended.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.connections.alternatives import not_considered
from apps.connections.choices import AttachmentKind, Channel, SharingMethod
from apps.connections.content import request_hash
from apps.connections.models import ConnectionRequest
from apps.organizations.choices import OrganizationStatus, SystemStatus
from apps.organizations.models import FocalPoint, Organization
from apps.registry.choices import ConnectionKind, PersonalDataClass, SharingForm, is_higher_class
from apps.registry.models import DataService, Field, Operation
from apps.registry.succession import served_as

Missing = tuple[str, str]


def missing(request: ConnectionRequest, *, signatures: bool = True, present: str = "") -> list[Missing]:
    """Everything that keeps the request from being complete, as (field, sentence). Empty when complete.

    `present` is its hash where the caller, who holds the row, has it already.
    """
    found = [gap for rule in RULES for gap in rule(request)]
    return found + (list(_signatures(request, present)) if signatures else [])


def _words(request: ConnectionRequest) -> Iterator[Missing]:
    if request.purpose is None or not request.purpose.is_active:
        yield "purpose", _("Choose a purpose.")
    for name in ("purpose_text", "solution", "legal_basis", "technician"):
        if not getattr(request, name).strip():
            yield name, _("Fill in “%(field)s”.") % {"field": request._meta.get_field(name).verbose_name}
    if not request.calls_per_day:
        yield "calls_per_day", _("State the number of calls per day.")


def _method(request: ConnectionRequest) -> Iterator[Missing]:
    """NĐ 47/2020 Điều 23 names three methods; one is built."""
    if request.method != SharingMethod.QUERY:
        yield "method", _("Only online query is possible on this platform for now; synchronization and packages are not yet.")


def _period(request: ConnectionRequest) -> Iterator[Missing]:
    if request.wanted_to and request.wanted_to < timezone.localdate():
        yield "wanted_to", _("The wanted period is over already.")


def _organizations(request: ConnectionRequest) -> Iterator[Missing]:
    """NĐ 47/2020 Điều 7: nobody files without a named focal point."""
    consumers, providers = request.consumer_ids(), request.provider_ids()
    named = Exists(FocalPoint.objects.current().filter(organization=OuterRef("pk")))
    for organization in Organization.objects.filter(pk__in=consumers | providers).annotate(is_named=named):
        if organization.status != OrganizationStatus.ACTIVE:
            yield "consumer", _("%(organization)s is not active.") % {"organization": organization}
        if organization.pk in consumers and not organization.is_named:
            yield "consumer", _("%(organization)s has not named its focal point.") % {"organization": organization}
    if consumers & providers:
        yield "systems", _("An organization needs no request for its own data.")


def _systems(request: ConnectionRequest) -> Iterator[Missing]:
    """TT 06/2026/TT-BKHCN Điều 8(2), WF-61: a connected system has an approved security level."""
    rows = [row.system for row in request.request_systems.select_related("system")]
    if not rows:
        yield "systems", _("Choose at least one system.")
    for system in rows:
        if system.status != SystemStatus.ACTIVE:
            yield "systems", _("The system %(system)s is not active.") % {"system": system}
        if not system.security_level or not system.security_decision:
            yield "systems", _("The security level of %(system)s and its decision are not recorded.") % {"system": system}
        elif system.security_expires_on and system.security_expires_on < timezone.localdate():
            yield "systems", _("The decision on the security level of %(system)s has expired.") % {"system": system}


def _scope(request: ConnectionRequest) -> Iterator[Missing]:
    rows = list(request.requested_operations.select_related("operation__version__service").prefetch_related("fields"))
    if not rows:
        yield "scope", _("Choose at least one operation.")
    served = served_as(row.operation for row in rows)
    for row in rows:
        if row.operation_id not in served:
            yield "scope", _("The service of “%(operation)s” cannot be asked for today.") % {"operation": row.operation}
        if row.operation.kind != ConnectionKind.READ:
            yield (
                "scope",
                _("“%(operation)s” updates data; update connections are not possible yet.") % {"operation": row.operation},
            )
        fields = list(row.fields.all())
        if not fields:
            yield "scope", _("Choose the fields of “%(operation)s”.") % {"operation": row.operation}
        if gone := _gone(served.get(row.operation_id), row, fields):
            yield (
                "scope",
                _("“%(operation)s” no longer gives: %(fields)s.") % {"operation": row.operation, "fields": ", ".join(gone)},
            )
        if raised := _raised(served.get(row.operation_id), row, fields):
            yield (
                "scope",
                _("“%(operation)s” now holds data of a higher personal-data class; choose its fields anew: %(fields)s.")
                % {"operation": row.operation, "fields": ", ".join(raised)},
            )
        if any(field.operation_id != row.operation_id for field in fields):
            yield "scope", _("“%(operation)s” has fields of another operation.") % {"operation": row.operation}


def _gone(served: Operation | None, row, fields: list[Field]) -> list[str]:
    """Fields asked for under a version that was replaced, which the one that answers now does not have."""
    if served is None or served.pk == row.operation_id:
        return []
    present = set(served.fields.values_list("path", flat=True))
    return sorted(field.path for field in fields if field.path not in present)


def _raised(served: Operation | None, row, fields: list[Field]) -> list[str]:
    """Fields whose class was raised in the version that answers now: what was assessed and will be written is the lower one."""
    if served is None or served.pk == row.operation_id:
        return []
    present = dict(served.fields.values_list("path", "personal_data"))
    return sorted(
        field.path for field in fields if is_higher_class(present.get(field.path, field.personal_data), field.personal_data)
    )


def _regulations(request: ConnectionRequest) -> Iterator[Missing]:
    """NĐ 47/2020 Điều 22: shared under a published regulation; default sharing under terms signed once."""
    today = timezone.localdate()
    for service in services_of(request).select_related("usage_regulation"):
        regulation = service.usage_regulation
        if regulation is None or not _in_effect(regulation, today):
            yield "scope", _("%(service)s has no usage regulation in effect.") % {"service": service}
        elif service.sharing_form == SharingForm.DEFAULT and not regulation.is_signed:
            yield "scope", _("The provider has not signed the standard terms of %(service)s.") % {"service": service}


def _in_effect(regulation, day) -> bool:
    return regulation.effective_from <= day and (regulation.effective_to is None or regulation.effective_to > day)


def _sensitive(request: ConnectionRequest) -> Iterator[Missing]:
    """AG-20: sensitive personal data needs an impact assessment (as a file) or the reason for exemption."""
    asked = sensitive_fields(request)
    assessed = request.attachments.present().filter(kind=AttachmentKind.ASSESSMENT)
    if asked and not request.exemption_reason.strip() and not assessed.exists():
        yield (
            "exemption_reason",
            _("Sensitive personal data is asked for (%(fields)s): give the impact assessment or the reason for exemption.")
            % {"fields": ", ".join(field.label or field.path for field in asked)},
        )


def _special(request: ConnectionRequest) -> Iterator[Missing]:
    """NĐ 47/2020 Điều 36(1): special sharing only where default sharing does not suffice."""
    if request.sharing_form != SharingForm.SPECIAL:
        return
    if not request.special_reason.strip():
        yield "special_reason", _("Say why the default services do not suffice.")
    open_ones = [str(row.service) for row in not_considered(request)]
    if open_ones:
        yield (
            "alternatives",
            _("Look first at the default services that come near: %(services)s.") % {"services": "; ".join(open_ones)},
        )


def _signatures(request: ConnectionRequest, present: str) -> Iterator[Missing]:
    """Default sharing rests on the request alone, so every requesting organization signs it first.

    A request on paper was signed on paper: its scan stands for the signatures (NĐ 47/2020 Điều 35(1), WF-17).
    """
    if request.channel == Channel.PAPER:
        if not request.attachments.present().filter(kind=AttachmentKind.PAPER).exists():
            yield "attachments", _("Attach the scan of the signed paper request.")
        return
    for organization in Organization.objects.filter(pk__in=unsigned_by(request, present)):
        yield "signatures", _("The signer of %(organization)s has not signed this content.") % {"organization": organization}


def unsigned_by(request: ConnectionRequest, present: str = "") -> frozenset[int]:
    """The requesting organizations whose signature over the present content is missing, where the request itself is signed."""
    if not is_signed_first(request):
        return frozenset()
    # A signer who wrote in the request afterwards is no second pair of eyes any more.
    valid = request.signatures.filter(content_hash=present or request_hash(request)).exclude(signer__in=request.preparers.all())
    return request.consumer_ids() - set(valid.values_list("organization_id", flat=True))


def have_only_to_sign(request: ConnectionRequest) -> frozenset[int]:
    """The organizations whose signature is all that is missing; none while anything else is."""
    if not is_signed_first(request) or any(True for rule in RULES for _gap in rule(request)):
        return frozenset()
    return unsigned_by(request)


def is_signed_first(request: ConnectionRequest) -> bool:
    """Whether the request itself is signed on the platform before it is submitted: not on paper, not for special sharing."""
    return request.channel != Channel.PAPER and request.sharing_form != SharingForm.SPECIAL


RULES = [_words, _method, _period, _organizations, _systems, _scope, _regulations, _sensitive, _special]
"""The floor above adds what it knows of the agreement that a request starts from (`agreements.continuation`)."""


def services_of(request: ConnectionRequest):
    """The services asked for."""
    wanted = request.requested_operations.values("operation__version__service_id")
    return DataService.objects.filter(pk__in=wanted).order_by("code")


def sensitive_fields(request: ConnectionRequest) -> list[Field]:
    asked = request.requested_operations.values("fields")
    return list(Field.objects.filter(pk__in=asked, personal_data=PersonalDataClass.SENSITIVE))
