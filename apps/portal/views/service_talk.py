"""What happens on a service's page: questions and answers, and trying an operation."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from apps.core.errors import DomainError
from apps.gateway.trial import Trial, accounts, try_operation
from apps.portal.doors import asked, do, door, find, form_page, said, version_of
from apps.portal.service_forms import AnswerForm, QuestionForm, TrialForm
from apps.portal.views.request_steps import valid
from apps.registry.actions import answer_feedback, give_feedback
from apps.registry.models import DataService, Feedback, Operation


def _talk(service: DataService) -> HttpResponse:
    return redirect(reverse("portal:service", args=[service.code]) + "#questions")


@door
def ask(request: HttpRequest, code: str) -> HttpResponse:
    service = find(DataService.objects.select_related("provider"), request.user, code=code)
    form = valid(QuestionForm(request.POST))
    do(request, give_feedback, service, _("Your question was sent to the provider."), **form.cleaned_data)
    return _talk(service)


@door
def answer(request: HttpRequest, uuid) -> HttpResponse:
    row = find(Feedback.objects.select_related("service__provider", "organization", "author"), request.user, uuid=uuid)
    form = valid(AnswerForm(request.POST))
    do(
        request,
        answer_feedback,
        row,
        _("Your answer was added."),
        answer=form.cleaned_data["answer"],
        version=version_of(request),
    )
    return _talk(row.service)


@sensitive_post_parameters("secret")
@form_page
def try_service(request: HttpRequest, code: str) -> HttpResponse:
    """Choose an operation, fill in, call. The page is never kept by a cache, and the secret's box is empty in every answer."""
    service = find(DataService.objects.select_related("provider"), request.user, code=code)
    operations = list(
        Operation.objects.visible_to(request.user).live().filter(version__service=service)
        .select_related("version__service").prefetch_related("parameters").order_by("-version__major", "id")
    )  # fmt: skip
    wanted = request.POST.get("operation", "") or asked(request, "operation")
    shown = next((row for row in operations if str(row.uuid) == wanted), operations[0] if operations else None)
    own = accounts(request.user, service)
    context = {
        "title": _("Try it"),
        "crumbs": [(_("Home"), reverse("home")), (_("Data services"), reverse("portal:services")),
                   (service.name, reverse("portal:service", args=[service.code]))],
        "service": service,
        "operations": operations,
        "shown": shown,
        "has_account": own.exists(),
        "gateway_url": settings.GATEWAY_URL,
    }  # fmt: skip
    status = 200
    if shown is not None and context["has_account"]:
        form = TrialForm(request.POST or None, accounts=own, operation=shown)
        if request.method == "POST":
            trial, refusal, status = _try(request, form, shown)
            context |= {"trial": trial, "refusal": refusal}
        context["form"] = form
    return render(request, "portal/try.html", context, status=status)


@sensitive_variables("secret")
def _try(request: HttpRequest, form: TrialForm, operation: Operation) -> tuple[Trial | None, str, int]:
    """(what came back, why nothing did, the page's status)"""
    if not form.is_valid():
        return None, "", 400
    secret = form.cleaned_data["secret"]
    try:
        trial = try_operation(operation, form.values(), by=request.user, credential=form.cleaned_data["account"], secret=secret)
    except DomainError as error:
        return None, said(error), error.status
    return trial, "", 200
