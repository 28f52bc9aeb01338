"""What begins on an agreement's page: a change, a renewal, an announced suspension, a counter-proposal."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.agreements import actions
from apps.agreements.actions.suspension import announce_suspension, cancel_suspension
from apps.agreements.models import Agreement, PlannedSuspension
from apps.portal.doors import do, door, find, version_of
from apps.portal.forms import PlannedForm
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
    draft = verbs[kind](agreement, by=request.user)
    messages.success(request, _("A draft was opened with everything that runs; change what shall change."))
    return redirect("portal:request-edit", draft.uuid, "who")


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
           changes=changes(last.content, form.cleaned_data), version=version_of(request))  # fmt: skip
    return redirect("portal:agreement", agreement.uuid)
