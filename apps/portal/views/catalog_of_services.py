"""The catalog of data services as a consumer reads it."""

from __future__ import annotations

from django.db.models import Count, Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.agreements.choices import AgreementStatus
from apps.agreements.models import Agreement, Grant
from apps.disputes.choices import TicketKind
from apps.disputes.models import Ticket
from apps.gateway.trial import accounts
from apps.organizations.choices import Role
from apps.organizations.models import FocalPoint, Organization
from apps.organizations.roles import has_role, is_operator, organization_ids
from apps.portal import workbench
from apps.portal.doors import asked, find, page, paged
from apps.portal.pact_forms import PlannedForm
from apps.portal.planned import planned_suspensions
from apps.portal.service_forms import AnswerForm, QuestionForm
from apps.portal.views.offers import offered_by
from apps.registry.choices import Environment, PersonalDataClass, Protocol, ServiceStatus, SharingForm
from apps.registry.models import DataService, Feedback, Field, ServiceVersion
from apps.registry.querysets import LIVE


@page
def services(request: HttpRequest) -> HttpResponse:
    rows = DataService.objects.visible_to(request.user).live().select_related("provider").search(asked(request, "q"))
    context = {
        "title": _("Data services"),
        "crumbs": [(_("Home"), reverse("home"))],
        "page": paged(request, _filtered(rows, request).order_by("sort_key", "id")),
        "chosen": request.GET,
        "forms": SharingForm.choices,
        "protocols": Protocol.choices,
        # Whose services were ever published; that an agency prepares its first one is for itself to know.
        "providers": Organization.objects.filter(services__versions__published_at__isnull=False).distinct(),
        "personal": [
            ("no", _("no personal data")),
            ("basic", _("basic personal data")),
            ("sensitive", _("sensitive personal data")),
        ],
    }
    return render(request, "portal/services.html", context)


def _filtered(rows, request: HttpRequest):
    personal = Field.objects.filter(operation__version__service=OuterRef("pk"), operation__version__status__in=LIVE)
    rows = rows.annotate(
        has_basic=Exists(personal.filter(personal_data=PersonalDataClass.BASIC)),
        has_sensitive=Exists(personal.filter(personal_data=PersonalDataClass.SENSITIVE)),
    )
    if asked(request, "form") in SharingForm.values:
        rows = rows.filter(sharing_form=asked(request, "form"))
    if asked(request, "protocol") in Protocol.values:
        rows = rows.filter(protocol=asked(request, "protocol"))
    if asked(request, "provider"):
        rows = rows.filter(provider__code=asked(request, "provider"))
    if asked(request, "personal") == "no":
        rows = rows.filter(has_basic=False, has_sensitive=False)
    if asked(request, "personal") == "basic":
        rows = rows.filter(has_basic=True)
    if asked(request, "personal") == "sensitive":
        rows = rows.filter(has_sensitive=True)
    return rows


def _service(request: HttpRequest, code: str) -> tuple[DataService, list[ServiceVersion]]:
    """A service with its live versions, operations drawn; without any it is not in the catalog."""
    row = find(DataService.objects.select_related("provider", "usage_regulation"), request.user, code=code)
    versions = list(ServiceVersion.objects.visible_to(request.user).filter(service=row).live())
    if not versions:
        raise Http404
    for version in versions:
        version.drawn = workbench.operations(version)
        version.errors = version.interface_spec.get("errors", [])
        version.documents = version.interface_spec.get("documents", [])
    return row, versions


@page
def service_page(request: HttpRequest, code: str) -> HttpResponse:
    row, versions = _service(request, code)
    user = request.user
    talk = Feedback.objects.visible_to(user).filter(service=row).select_related("author", "organization", "answered_by")
    context = {
        "title": row.name,
        "crumbs": [(_("Home"), reverse("home")), (_("Data services"), reverse("portal:services"))],
        "service": row,
        "versions": versions,
        "health": workbench.health_of(versions),
        "consumers": workbench.consumers(versions, user),
        "agencies": _agencies(row),
        "focal": FocalPoint.objects.current().filter(organization=row.provider).first(),
        "may_try": accounts(user, row).exists(),
        "may_manage": offered_by(user).filter(pk=row.pk).exists(),
        "report_url": _report(request, row),
        "reported": _reported(user, row),
        "talk": paged(request, talk.order_by("-id"), 20),
        "maintenance": (planned := row.maintenances.open().first()),
        "may_maintain": (maintains := user.has_perm("registry.suspend_service", row) and row.status == ServiceStatus.ACTIVE),
        "maintenance_form": PlannedForm(prefix="maintenance") if maintains and planned is None else None,
        "question": QuestionForm() if user.has_perm("registry.give_feedback", row) else None,
        "answer": AnswerForm() if user.has_perm("registry.change_service", row) else None,
        **planned_suspensions(user, service=row),
    }
    return render(request, "portal/service.html", context)


def _agencies(service: DataService) -> int:
    """How many agencies have production access to it under agreements in force. Which ones, the parties know."""
    rows = Grant.objects.open().filter(
        agreement__status=AgreementStatus.IN_FORCE, operation__version__service=service, environment=Environment.PRODUCTION
    )
    return rows.aggregate(n=Count("system__organization", distinct=True))["n"]


def _report(request: HttpRequest, service: DataService) -> str:
    """Where a consumer reports wrong data of this service (WF-46); empty for whoever reads none of it."""
    uses = Agreement.objects.visible_to(request.user).filter(
        status=AgreementStatus.IN_FORCE, grants__operation__version__service=service
    )
    if not has_role(request.user, Role.CONSUMER_OFFICER) or not uses.exists():
        return ""
    try:
        return f"{reverse('portal:ticket-new', args=['wrong_data'])}?service={service.code}"
    except NoReverseMatch:
        return ""


def _reported(user, service: DataService) -> dict[str, int]:
    """How much wrong data was reported of it (WF-46): its provider and the operator read that."""
    if service.provider_id not in organization_ids(user) and not is_operator(user):
        return {}
    rows = Ticket.objects.visible_to(user).filter(service=service, kind=TicketKind.WRONG_DATA)
    return rows.counts(timezone.now())


@page
def document(request: HttpRequest, code: str) -> HttpResponse:
    """The technical document of a service, for paper (TT 13/2017/TT-BTTTT Điều 7, WF-16)."""
    row, versions = _service(request, code)
    context = {
        "title": _("Technical document: %(service)s") % {"service": row.name},
        "crumbs": [(_("Home"), reverse("home")), (row.name, reverse("portal:service", args=[row.code]))],
        "service": row,
        "versions": versions,
        "today": timezone.localdate(),
        "focal": FocalPoint.objects.current().filter(organization=row.provider).first(),
        "environments": workbench.environments(versions),
    }
    return render(request, "portal/service_document.html", context)
