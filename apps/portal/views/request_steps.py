"""The door of a request's verbs: one address a step, POST only."""

from __future__ import annotations

import uuid as uuids

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.agreements.actions import approve_request, follow_agreement
from apps.agreements.models import Agreement
from apps.connections import actions
from apps.connections.models import ConnectionRequest
from apps.core.errors import FactMissing
from apps.portal import panel
from apps.portal.case import part_label
from apps.portal.doors import do, door, find, version_of
from apps.portal.forms import CommentForm, PasswordForm, RefuseForm
from apps.portal.proof import prove


@door
def take_step(request: HttpRequest, uuid, verb: str) -> HttpResponse:
    """Take `verb` on the request; a verb without a door is not found."""
    if verb not in _DOORS:
        raise Http404
    return _DOORS[verb](request, find(ConnectionRequest.objects.select_related("consumer"), request.user, uuid=uuid))


@door
def assign(request: HttpRequest, uuid) -> HttpResponse:
    """Give the case to a colleague."""
    case = find(ConnectionRequest.objects, request.user, uuid=uuid)
    given = request.POST.get("handler", "")
    try:
        handler = get_user_model().objects.filter(uuid=uuids.UUID(given), is_active=True, is_machine=False).first()
    except ValueError:
        handler = None
    do(request, actions.assign_request, case, _("The case was given; the person has been told."), handler=handler)
    return _stay(case)


def _stay(case: ConnectionRequest) -> HttpResponse:
    return redirect("portal:request", case.uuid)


def _submit(request: HttpRequest, case: ConnectionRequest) -> HttpResponse:
    do(request, actions.submit_request, case, _("The request was submitted. The operator checks it for completeness."),
       version=version_of(request))  # fmt: skip
    return _stay(case)


def _sign(request: HttpRequest, case: ConnectionRequest) -> HttpResponse:
    prove(request, PasswordForm(request.POST))
    do(
        request,
        actions.sign_request,
        case,
        _("You have signed the request."),
        content_hash=request.POST.get("content_hash", ""),
    )
    return _stay(case)


def _forward(request: HttpRequest, case: ConnectionRequest) -> HttpResponse:
    do(request, actions.forward_request, case, _("The request was forwarded to the provider."), version=version_of(request))
    return _stay(case)


def _return(request: HttpRequest, case: ConnectionRequest) -> HttpResponse:
    form = valid(panel.return_form(request.POST))
    do(request, actions.return_request, case, _("The request was returned; the clock is paused."), remarks=form.remarks(),
       version=version_of(request))  # fmt: skip
    return _stay(case)


def _refuse(request: HttpRequest, case: ConnectionRequest) -> HttpResponse:
    form = valid(RefuseForm(request.POST, prefix="refuse"))
    do(request, actions.refuse_request, case, _("The request was refused; the agency has been told why."),
       version=version_of(request), **form.cleaned_data)  # fmt: skip
    return _stay(case)


def _withdraw(request: HttpRequest, case: ConnectionRequest) -> HttpResponse:
    do(request, actions.withdraw_request, case, _("The request was withdrawn."), version=version_of(request))
    return _stay(case)


def _follow(request: HttpRequest, case: ConnectionRequest) -> HttpResponse:
    done = do(request, follow_agreement, case, _("The request now starts from what stands; read below what it changes of it."),
              version=version_of(request))  # fmt: skip
    if done.kept:
        kept = ", ".join(part_label(name) for name in done.kept)
        messages.info(request, _("Both you and the agreement changed: %(parts)s. Yours was kept.") % {"parts": kept})
    return _stay(case)


def _approve(request: HttpRequest, case: ConnectionRequest) -> HttpResponse:
    form = valid(CommentForm(request.POST, prefix="approve"))
    made = do(request, approve_request, case, _("Approved."), version=version_of(request), **form.cleaned_data)
    if made is None:
        messages.info(request, _("Another provider has still to decide."))
        return _stay(case)
    seen = Agreement.objects.visible_to(request.user).filter(pk=made.pk).exists()
    return redirect("portal:agreement", made.uuid) if seen else _stay(case)


def valid(form):
    """The form, or FactMissing that says field by field what is wrong with it."""
    if not form.is_valid():
        labels = {name: form[name].label for name in form.errors if name in form.fields}
        raise FactMissing(
            fields={name: [f"{labels.get(name, '')}: {text}" for text in texts] for name, texts in form.errors.items()}
        )
    return form


_DOORS = {
    "submit": _submit,
    "sign": _sign,
    "forward": _forward,
    "return": _return,
    "refuse": _refuse,
    "withdraw": _withdraw,
    "approve": _approve,
    "follow": _follow,
}
