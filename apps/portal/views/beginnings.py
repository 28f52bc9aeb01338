"""What begins on an agreement's page: a change, a renewal, an announced suspension, a counter-proposal."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.agreements import actions
from apps.agreements.actions.beginnings import consumer_for
from apps.agreements.actions.suspension import announce_suspension, cancel_suspension
from apps.agreements.choices import Side, VersionState
from apps.agreements.models import Agreement, Grant, Party, PlannedSuspension
from apps.core.text import words
from apps.organizations.choices import Role
from apps.organizations.roles import organization_ids
from apps.portal.doors import asked, do, door, find, page, paged, version_of
from apps.portal.forms import KeyForm
from apps.portal.pact_forms import PlannedForm
from apps.portal.proposing import changes, proposal_form
from apps.portal.views.agreement_steps import telling_what_changed
from apps.portal.views.request_steps import valid


@door
def start(request: HttpRequest, uuid, kind: str) -> HttpResponse:
    """Open a draft that starts from what runs, and go on in the four steps."""
    agreement = find(Agreement.objects, request.user, uuid=uuid)
    verbs = {"change": actions.start_change, "renewal": actions.start_renewal}
    if kind not in verbs:
        raise Http404
    # The right before the form: who may begin none is told so, whatever was posted.
    consumer_for(agreement, request.user)
    key = valid(KeyForm(request.POST)).cleaned_data["uuid"]
    draft = verbs[kind](agreement, by=request.user, uuid=key)
    messages.success(request, _("A draft was opened with everything that runs; change what shall change."))
    return redirect("portal:request-edit", draft.uuid, "who")


@page
def joinable(request: HttpRequest) -> HttpResponse:
    """Agreements in force that an agency of the reader's could join (NĐ 47/2020 Điều 36(4)): what is public of them, no more."""
    mine = organization_ids(request.user, Role.CONSUMER_OFFICER)
    if not mine:
        raise PermissionDenied
    # Who asked to join and was declined may ask again.
    parties = Party.objects.filter(organization_id__in=mine).exclude(is_joining=True, left_at__isnull=False)
    rows = Agreement.objects.open_to_join().exclude(pk__in=parties.values("agreement_id")).order_by("-id")
    for word in words(asked(request, "q"))[:8]:
        # By what the page shows: who takes data under an agreement is for its parties (AG-03), so no search tells it.
        named = Party.objects.filter(side=Side.PROVIDER, organization__folded__contains=word).values("agreement_id")
        offered = Grant.objects.filter(operation__version__service__folded__contains=word).values("agreement_id")
        rows = rows.filter(Q(number__icontains=word) | Q(pk__in=named) | Q(pk__in=offered))
    found = paged(request, rows.prefetch_related("versions"))
    for row in found:
        content = next(version.content for version in row.versions.all() if version.state == VersionState.CURRENT)
        row.services = sorted({part["service_name"] for part in content["scope"]})
        row.field_count = sum(len(part["fields"]) for part in content["scope"])
        row.provider_names = sorted(party["name"] for party in content["providers"])
    context = {
        "title": _("Agreements open to others"),
        "crumbs": [(_("Home"), reverse("home")), (_("Connection requests"), reverse("portal:requests"))],
        "page": found,
        "chosen": request.GET,
    }
    return render(request, "portal/joinable.html", context)


@door
def announce(request: HttpRequest, uuid) -> HttpResponse:
    agreement = find(Agreement.objects, request.user, uuid=uuid)
    do(request, announce_suspension, agreement, _("The suspension was announced to all parties."),
       **valid(PlannedForm(request.POST, prefix="planned")).cleaned_data)  # fmt: skip
    return redirect("portal:agreement", agreement.uuid)


@door
def cancel(request: HttpRequest, uuid) -> HttpResponse:
    seen = Agreement.objects.visible_to(request.user)
    planned = PlannedSuspension.objects.filter(uuid=uuid, agreement__in=seen).select_related("agreement").first()
    if planned is None:
        raise Http404
    do(request, cancel_suspension, planned, _("The announced suspension was called off."))
    return redirect("portal:agreement", planned.agreement.uuid)


@door
def propose(request: HttpRequest, uuid) -> HttpResponse:
    """A counter-proposal: only the items that were changed go to the verb."""
    agreement = find(Agreement.objects, request.user, uuid=uuid)
    last = agreement.versions.order_by("-number").first()
    form = valid(proposal_form(last.content, request.POST))
    with telling_what_changed(request, agreement):
        do(request, actions.propose_content, agreement, _("Your proposal was put on the table."), note=form.cleaned_data["note"],
           changes=changes(last.content, form), version=version_of(request))  # fmt: skip
    return redirect("portal:agreement", agreement.uuid)
