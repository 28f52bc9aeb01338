"""A version while it is made and while it lives: one page, and a page for each step."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.agreements.actions import (
    announce_end_of_version,
    postpone_end_of_version,
    publish_service_version,
    retire_service_version,
)
from apps.core.registers import NoFacts, VerbPage, facts_of
from apps.legal.stated import stated_lazy
from apps.portal import case, workbench
from apps.portal.doors import asked, find, form_page, page
from apps.portal.verb_pages import links, open_page
from apps.portal.views.offers import offered_by
from apps.registry import actions, contract_forms, forms, operation_forms
from apps.registry.choices import Environment, VersionStatus
from apps.registry.clock import PUBLISH
from apps.registry.models import ServiceVersion

DRAFT, PUBLISHED, DEPRECATED = VersionStatus.DRAFT, VersionStatus.PUBLISHED, VersionStatus.DEPRECATED


def _document(request: HttpRequest, version: ServiceVersion, form) -> HttpResponse:
    reading = actions.import_document(
        version, form.content(), by=request.user, source=form.source(), expected=form.cleaned_data["expected"]
    )
    messages.success(
        request, _("%(count)d operations were read from the document.") % {"count": len(reading.data["operations"])}
    )
    workbench.tell_notes(request, reading.notes)
    return redirect("portal:version", version.uuid)


def _operation(request: HttpRequest, version: ServiceVersion, form) -> HttpResponse:
    facts = form.facts()
    code = facts.pop("code")
    actions.complete_operation(version, code, by=request.user, **facts)
    messages.success(request, _("“%(name)s” is saved.") % {"name": form.cleaned_data["name"]})
    if request.POST.get("go") == "next":
        codes = [row.code for row in version.operations.order_by("id")]
        following = codes[codes.index(code) + 1 :]
        if following:
            return redirect(f"{reverse('portal:version-step', args=[version.uuid, 'operation'])}?operation={following[0]}")
    return redirect("portal:version", version.uuid)


def _write(request: HttpRequest, version: ServiceVersion, form) -> HttpResponse:
    facts = form.facts()
    actions.write_operation(version, facts.pop("operation"), by=request.user, **facts)
    messages.success(request, _("“%(name)s” is saved.") % {"name": form.cleaned_data["name"]})
    if request.POST.get("go") == "stay":
        here = reverse("portal:version-step", args=[version.uuid, "write"])
        return redirect(f"{here}?{urlencode({'operation': form.cleaned_data['code']})}")
    return redirect("portal:version", version.uuid)


def _examples(request: HttpRequest, version: ServiceVersion, form):
    return actions.complete_examples(version, by=request.user, **form.facts())


def _address(request: HttpRequest, version: ServiceVersion, form):
    return actions.set_upstream(version, form.cleaned_data["environment"], by=request.user, **form.facts())


def _publish(request: HttpRequest, version: ServiceVersion, form) -> HttpResponse:
    publish_service_version(version, by=request.user, **form.facts())
    messages.success(request, _("Version %(number)s is published.") % {"number": version.number})
    return redirect("portal:offer", version.service.code)


def _is(*statuses: str):
    return lambda row: row.status in statuses


def _page(name: str, label, run, permission: str, form, style: str = "default", **more) -> VerbPage:
    return VerbPage(name, label, run, f"registry.{permission}", form, style, **more)


PAGES = {
    page.name: page
    for page in (
        _page("document", gettext_lazy("Read an OpenAPI or WSDL document"), _document, "change_version",
              contract_forms.DocumentForm, when=_is(DRAFT),
              help=gettext_lazy("Operations, parameters and fields are taken from the document; names, personal-data classes and "
                                "catalogs that were completed before are kept.")),
        _page("operation", gettext_lazy("Complete the operations"), _operation, "change_version", contract_forms.OperationForm,
              when=lambda row: row.status == DRAFT and row.operations.exists(), template="portal/version_operation.html"),
        _page("write", gettext_lazy("Write an operation by hand"), _write, "change_version",
              operation_forms.WrittenOperationForm, when=_is(DRAFT), template="portal/version_write.html"),
        _page("remove-operation", gettext_lazy("Remove an operation"), facts_of(actions.remove_operation), "change_version",
              operation_forms.RemoveOperationForm, "danger",
              help=gettext_lazy("With its parameters, its fields and its sample. The last one stays: rewrite it, or discard the draft."),
              when=lambda row: row.status == DRAFT and row.operations.exists()),
        _page("examples", gettext_lazy("Samples, errors, documents"), _examples, "change_version", contract_forms.ExamplesForm,
              when=lambda row: row.status == DRAFT and row.operations.exists(), template="portal/version_examples.html"),
        _page("address", gettext_lazy("Set an address"), _address, "set_upstream", forms.UpstreamForm,
              help=gettext_lazy("Only addresses on the platform's list of allowed outbound addresses can be saved."),
              when=lambda row: row.status != VersionStatus.RETIRED),
        _page("ready", gettext_lazy("It works: start the clock"), facts_of(actions.mark_ready), "change_version", NoFacts,
              help=stated_lazy(gettext_lazy("From here a service is published within %(term)s (%(citation)s)."), PUBLISH),
              when=lambda row: row.status == DRAFT and row.ready_at is None),
        _page("publish", gettext_lazy("Publish"), _publish, "publish_version", forms.ExpectedForm, "primary",
              help=gettext_lazy("A published version is never edited: a new one replaces it."), when=_is(DRAFT)),
        _page("deprecate", gettext_lazy("Announce the end"), facts_of(announce_end_of_version), "deprecate_version",
              forms.DeprecationForm, when=_is(PUBLISHED),
              help=gettext_lazy("It keeps answering until that day; the agencies that use it are told.")),
        _page("postpone", gettext_lazy("Announce a later end"), facts_of(postpone_end_of_version), "deprecate_version",
              forms.DeprecationForm, when=_is(DEPRECATED),
              help=gettext_lazy("Only a later day than the one announced; the agencies that use it are told.")),
        _page("retire", gettext_lazy("Retire"), facts_of(retire_service_version), "retire_version", forms.RetirementForm,
              "danger", when=_is(PUBLISHED, DEPRECATED),
              help=gettext_lazy("While access rests on it, only after the announced day. Its calls end with the next one.")),
        _page("discard", gettext_lazy("Discard"), facts_of(actions.discard_version), "change_version", forms.ExpectedForm,
              "danger", when=_is(DRAFT), help=gettext_lazy("The draft is closed for good; its number stays taken.")),
    )
}  # fmt: skip


def _find(request: HttpRequest, uuid) -> ServiceVersion:
    rows = ServiceVersion.objects.select_related("service__provider", "service__usage_regulation")
    row = find(rows, request.user, uuid=uuid)
    if not offered_by(request.user).filter(pk=row.service_id).exists():
        raise Http404
    return row


def _crumbs(row: ServiceVersion) -> list:
    return [
        (_("Home"), reverse("home")),
        (_("Services of my agency"), reverse("portal:offers")),
        (row.service.name, reverse("portal:offer", args=[row.service.code])),
    ]


@page
def version(request: HttpRequest, uuid) -> HttpResponse:
    row = _find(request, uuid)
    buttons = links(PAGES, row, request.user, lambda name: reverse("portal:version-step", args=[row.uuid, name]))
    context = {
        "title": _("%(service)s, version %(number)s") % {"service": row.service.name, "number": row.number},
        "crumbs": _crumbs(row),
        "version": row,
        "service": row.service,
        "buttons": [link for link in buttons if link["name"] not in ("publish", "remove-operation")],
        "may_set_address": any(link["name"] == "address" for link in buttons),
        "may_complete": any(link["name"] == "operation" for link in buttons),
        "publish_url": reverse("portal:version-step", args=[row.uuid, "publish"]),
        "timeline": case.timeline(row),
        **workbench.pieces(row, request.user),
    }
    return render(request, "portal/version.html", context)


@form_page
def step(request: HttpRequest, uuid, verb: str) -> HttpResponse:
    if verb not in PAGES:
        raise Http404
    row = _find(request, uuid)
    initial = {}
    if asked(request, "operation"):
        initial["operation"] = asked(request, "operation")
        if verb in ("write", "remove-operation") and not row.operations.filter(code=initial["operation"]).exists():
            raise Http404
    if verb == "address":
        initial = _stored_address(request, row)
    crumbs = [*_crumbs(row), (_("Version %(number)s") % {"number": row.number}, reverse("portal:version", args=[row.uuid]))]
    return open_page(request, PAGES[verb], row, back=reverse("portal:version", args=[row.uuid]), crumbs=crumbs, initial=initial)


def _stored_address(request: HttpRequest, row: ServiceVersion) -> dict:
    """What is stored for the environment asked for, so that the form begins with it; never the secret."""
    wanted = asked(request, "environment")
    environment = wanted if wanted in Environment.values else Environment.TEST
    stored = row.upstreams.filter(environment=environment).first()
    if stored is None:
        return {"environment": environment}
    return {
        "environment": environment, "base_url": stored.base_url, "auth_kind": stored.auth_kind,
        "token_url": stored.auth_settings.get("token_url", ""), "timeout_ms": stored.timeout_ms,
    }  # fmt: skip
