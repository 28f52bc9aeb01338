"""Webhooks of catalogs: which systems of my agency are told of releases, what was delivered, the secret shown once."""

from __future__ import annotations

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.catalogs import webhooks
from apps.catalogs.choices import WebhookStatus
from apps.catalogs.models import Catalog, Webhook
from apps.catalogs.workflow import WEBHOOK
from apps.core.errors import DomainError
from apps.organizations.models import InformationSystem
from apps.organizations.roles import organization_ids
from apps.portal import case, panel
from apps.portal.doors import asked, do, door, find, form_page, page, paged, said, version_of

MOST_DELIVERIES = 50
VERBS = {
    "pause": webhooks.pause_webhook,
    "resume": webhooks.resume_webhook,
    "end": webhooks.end_webhook,
}
DONE = {
    "pause": gettext_lazy("The messages are paused."),
    "resume": gettext_lazy("Messages are sent again; the newest release is told first."),
    "end": gettext_lazy("No more messages are sent."),
}
HELP = {
    "pause": gettext_lazy("Nothing is sent while it is paused. Resuming tells the newest release; what was missed is read from the changes."),
    "renew_secret": gettext_lazy("The new secret is shown once. For a day messages carry both signatures."),
    "end": gettext_lazy("For good. A new webhook would have a new secret."),
}  # fmt: skip


class WebhookForm(forms.Form):
    catalog = forms.ModelChoiceField(Catalog.objects.none(), label=gettext_lazy("Catalog"), to_field_name="code")
    system = forms.ModelChoiceField(
        InformationSystem.objects.none(), label=gettext_lazy("Information system"), to_field_name="code"
    )
    url = forms.CharField(
        label=gettext_lazy("Address of the receiver"), max_length=500, widget=forms.URLInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("https, and on the platform's list of allowed addresses; the operator keeps that list."),
    )  # fmt: skip

    def __init__(self, user, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["catalog"].queryset = Catalog.objects.visible_to(user)
        self.fields["system"].queryset = InformationSystem.objects.visible_to(user).active().filter(
            organization_id__in=organization_ids(user)
        )  # fmt: skip


def _crumbs(*more: tuple) -> list[tuple]:
    return [(_("Home"), reverse("home")), (_("Shared catalogs"), reverse("portal:catalogs")), *more]


def _rows():
    return Webhook.objects.select_related("catalog", "system__organization", "catalog__current")


@page
def webhook_list(request: HttpRequest) -> HttpResponse:
    rows = _rows().visible_to(request.user)
    if asked(request, "catalog"):
        rows = rows.filter(catalog__code=asked(request, "catalog"))
    if asked(request, "status") in WebhookStatus.values:
        rows = rows.filter(status=asked(request, "status"))
    context = {
        "title": _("Messages about releases (webhooks)"),
        "crumbs": _crumbs(),
        "page": paged(request, rows),
        "chosen": request.GET,
        "catalogs": Catalog.objects.visible_to(request.user),
        "statuses": WebhookStatus.choices,
        "may_add": request.user.has_perm("catalogs.add_webhook", None),
    }
    return render(request, "portal/catalog_webhooks.html", context)


@form_page
def new_webhook(request: HttpRequest) -> HttpResponse:
    """The form; the answer to a good one is the webhook's page with its secret, not redirected to and kept by no cache."""
    if not request.user.has_perm("catalogs.add_webhook", None):
        raise Http404
    form = WebhookForm(request.user, request.POST or None, initial={"catalog": asked(request, "catalog")})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            row, secret = webhooks.add_webhook(given["catalog"], given["system"], given["url"], by=request.user)
            return render(request, "portal/catalog_webhook.html", {**_context(request, row), "secret": secret}, status=201)
        except DomainError as error:
            form.add_error("url" if error.code == "egress_refused" else None, said(error))
    context = {
        "title": _("Tell a system of each release"),
        "crumbs": _crumbs((_("Messages about releases (webhooks)"), reverse("portal:catalog-webhooks"))),
        "form": form,
    }
    return render(request, "portal/catalog_webhook_new.html", context, status=400 if form.errors else 200)


@page
def webhook_page(request: HttpRequest, uuid) -> HttpResponse:
    return render(request, "portal/catalog_webhook.html", _context(request, find(_rows(), request.user, uuid=uuid)))


def _context(request: HttpRequest, row: Webhook) -> dict:
    buttons = panel.buttons(WEBHOOK, row, request.user, {}, HELP)
    current = row.catalog.current.number if row.catalog.current else 0
    return {
        "title": _("%(system)s is told of %(catalog)s") % {"system": row.system, "catalog": row.catalog},
        "crumbs": _crumbs((_("Messages about releases (webhooks)"), reverse("portal:catalog-webhooks"))),
        "webhook": row,
        "behind": max(0, current - (row.told_release or 0)),
        "buttons": buttons,
        "may_try": row.status == WebhookStatus.ACTIVE and request.user.has_perm("catalogs.pause_webhook", row),
        "deliveries": webhooks.deliveries(row)[:MOST_DELIVERIES],
        "timeline": case.timeline(row),
    }


@door
def webhook_step(request: HttpRequest, uuid, verb: str) -> HttpResponse:
    row = find(_rows(), request.user, uuid=uuid)
    if verb == "renew_secret":
        secret = webhooks.renew_webhook_secret(row, by=request.user, version=version_of(request))
        return render(request, "portal/catalog_webhook.html", {**_context(request, row), "secret": secret})
    if verb == "try":
        do(request, webhooks.try_webhook, row, _("A trial message is on its way; its outcome appears below."))
    elif verb in VERBS:
        do(request, VERBS[verb], row, DONE[verb], version=version_of(request))
    else:
        raise Http404
    return redirect("portal:catalog-webhook", uuid=row.uuid)
