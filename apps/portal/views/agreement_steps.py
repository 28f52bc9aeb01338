"""The doors of the verbs of agreements, grants, test records, accounts and duties: one address a step, POST only."""

from __future__ import annotations

from contextlib import contextmanager

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.agreements import actions, signed_pdf
from apps.agreements.choices import AgreementStatus, GrantStatus, Side, StepKind
from apps.agreements.models import (
    AcceptanceRecord,
    Agreement,
    ConsumerSuspension,
    Credential,
    Duty,
    DutyCertificate,
    Grant,
    StepClock,
)
from apps.connections.api.views import download, read_upload
from apps.core.errors import Conflict, FactMissing, InvalidFact
from apps.portal import pact, pact_access
from apps.portal.doors import do, door, find, page, version_of
from apps.portal.forms import CommentForm, PasswordForm, ReasonForm
from apps.portal.pact_forms import ConsumerSuspendForm, DutyForm, SuspendForm, TerminateForm
from apps.portal.proof import prove
from apps.portal.views.request_steps import valid


def _agreement(row: Agreement) -> HttpResponse:
    return redirect("portal:agreement", row.uuid)


@door
def take_step(request: HttpRequest, uuid, verb: str) -> HttpResponse:
    """Take `verb` on the agreement; what the verb needs beside it is read from the step's own form."""
    if verb not in _AGREEMENT:
        raise Http404
    agreement = find(Agreement.objects, request.user, uuid=uuid)
    step, form_class, said = _AGREEMENT[verb]
    form = (
        pact.leave_form(agreement, request.user, request.POST) if verb == "leave" else form_class and form_class(request.POST)
    )
    facts = valid(form).cleaned_data if form else {}
    if verb == "agree":
        facts = {"content_hash": request.POST.get("content_hash", "")}
    with telling_what_changed(request, agreement):
        do(request, step, agreement, said, version=version_of(request), **facts)
    return _agreement(agreement)


@contextmanager
def telling_what_changed(request: HttpRequest, agreement: Agreement):
    """Somebody was first: the page that says so shows what the content says now instead of what the person read."""
    try:
        yield
    except Conflict as error:
        error.differences = pact.changed_since(agreement, request.POST.get("content_hash", ""), request.user)
        raise


def _resumed(agreement: Agreement) -> str:
    if agreement.status == AgreementStatus.IN_FORCE:
        return _("The agreement is in force again.")
    return _("The suspension is lifted; the agreement stays suspended for the reason shown on this page.")


_AGREEMENT = {
    "agree": (actions.agree_content, None, gettext_lazy("Your agency has agreed to the content.")),
    "reopen": (actions.reopen_agreement, ReasonForm, gettext_lazy("The content is negotiated again.")),
    "decline": (actions.decline_agreement, ReasonForm, gettext_lazy("The agreement was declined.")),
    "decline_change": (
        actions.decline_change,
        ReasonForm,
        gettext_lazy("The change was declined; the version in force stays."),
    ),
    "suspend": (actions.suspend_agreement, SuspendForm, gettext_lazy("The agreement is suspended; the next call is refused.")),
    "resume": (actions.resume_agreement, CommentForm, _resumed),
    "terminate": (
        actions.terminate_agreement,
        TerminateForm,
        gettext_lazy("Access is closed; the duties before the end are listed below."),
    ),
    "leave": (
        actions.leave_agreement,
        None,
        gettext_lazy("Your agency has left the agreement; its duties are listed below."),
    ),
    "finish": (actions.finish_termination, None, gettext_lazy("The agreement is terminated.")),
}


@door
def sign(request: HttpRequest, uuid) -> HttpResponse:
    """Sign the content that was shown, after proving again who one is."""
    agreement = find(Agreement.objects, request.user, uuid=uuid)
    prove(request, PasswordForm(request.POST))
    with telling_what_changed(request, agreement):
        do(request, actions.sign_agreement, agreement, _("You have signed the agreement."), version=version_of(request),
           content_hash=request.POST.get("content_hash", ""))  # fmt: skip
    return _agreement(agreement)


@door
def sign_with_file(request: HttpRequest, uuid) -> HttpResponse:
    """Sign by the document that was given out, signed with one's own token; whatever is wrong with it is said."""
    agreement = find(Agreement.objects, request.user, uuid=uuid)
    file = request.FILES.get("file")
    if file is None:
        raise FactMissing(fields={"file": [_("Choose a file.")]})
    if file.size > signed_pdf.MAX_BYTES:
        size = {"size": signed_pdf.MAX_BYTES // 2**20}
        raise InvalidFact(_("A file may have at most %(size)s MB.") % size, code="file_too_large")
    do(request, actions.sign_with_pdf, agreement, _("The signed document was verified; you have signed the agreement."),
       data=file.read(), version=version_of(request))  # fmt: skip
    return _agreement(agreement)


@door
def suspend_consumer(request: HttpRequest, uuid) -> HttpResponse:
    agreement = find(Agreement.objects, request.user, uuid=uuid)
    parties = list(agreement.present_parties().bound().filter(side=Side.CONSUMER).select_related("organization"))
    given = valid(ConsumerSuspendForm(request.POST, prefix="one", parties=parties)).cleaned_data
    chosen = given.pop("party")
    party = next(party for party in parties if str(party.organization.uuid) == chosen)
    do(request, actions.suspend_consumer, party, _("Access of this consumer is suspended; it has been told why."), **given)
    return _agreement(agreement)


@door
def lift_suspension(request: HttpRequest, uuid) -> HttpResponse:
    row = find(ConsumerSuspension.objects.select_related("agreement", "party__organization"), request.user, uuid=uuid)
    comment = valid(CommentForm(request.POST, prefix=f"lift-{row.pk}")).cleaned_data["comment"]
    do(request, actions.lift_consumer_suspension, row, _lifted, comment=comment)
    return _agreement(row.agreement)


def _lifted(suspension: ConsumerSuspension) -> str:
    if suspension.leaves_nothing_closed():
        return _("Access of this consumer is open again.")
    return _("The suspension is lifted; what is suspended for another reason stays closed.")


@door
def record_acceptance(request: HttpRequest, uuid) -> HttpResponse:
    agreement = find(Agreement.objects, request.user, uuid=uuid)
    form = pact_access.acceptance_form(agreement, request.user, request.POST)
    if form is None:
        raise Http404
    given = valid(form).cleaned_data
    do(request, lambda obj, by, **facts: actions.record_acceptance(obj, given["system"], by=by, **facts), agreement,
       _("The test record was entered. The provider or the operator confirms it."), tested_on=given["tested_on"],
       summary=given["summary"])  # fmt: skip
    return _agreement(agreement)


@door
def decide_acceptance(request: HttpRequest, uuid, verb: str) -> HttpResponse:
    record = find(AcceptanceRecord.objects.select_related("agreement", "system"), request.user, uuid=uuid)
    steps = {
        "confirm": (actions.confirm_acceptance, _("Confirmed: access in production is open, its account can be collected.")),
        "reject": (actions.reject_acceptance, _("The test record was not accepted; the agency has been told why.")),
    }
    step, said = steps.get(verb) or _nowhere()
    comment = valid(CommentForm(request.POST)).cleaned_data["comment"]
    do(request, step, record, said, version=version_of(request), comment=comment)
    return _agreement(record.agreement)


@door
def extend_test(request: HttpRequest, uuid) -> HttpResponse:
    """Extend the time of the clock that the page shows; the version is that of the agreement, so that no later clock is meant."""
    rows = StepClock.objects.filter(step=StepKind.TEST).select_related("agreement", "system")
    clock = find(rows, request.user, uuid=uuid)
    reason = valid(ReasonForm(request.POST)).cleaned_data["reason"]
    do(request, lambda row, by, **facts: actions.extend_test(row.agreement, row.system, by=by, **facts), clock,
       _("The time to test was extended; the provider has been told."), version=version_of(request), reason=reason)  # fmt: skip
    return _agreement(clock.agreement)


@door
def change_grant(request: HttpRequest, uuid, verb: str) -> HttpResponse:
    rows = Grant.objects.select_related("agreement", "system__organization", "operation__version__service__provider")
    grant = find(rows, request.user, uuid=uuid)
    steps = {
        "suspend": (actions.suspend_grant, ReasonForm, _("Access is suspended; the next call is refused.")),
        "resume": (actions.resume_grant, None, _opened),
        "end": (actions.end_grant, ReasonForm, _("Access has ended.")),
    }
    step, form_class, said = steps.get(verb) or _nowhere()
    facts = valid(form_class(request.POST)).cleaned_data if form_class else {}
    do(request, step, grant, said, version=version_of(request), **facts)
    return _agreement(grant.agreement)


def _opened(grant: Grant) -> str:
    if grant.status != GrantStatus.ACTIVE:
        return _("The suspension is lifted; access stays suspended for the reason shown on this page.")
    if grant.agreement.status != AgreementStatus.IN_FORCE:
        return _("The suspension of this access is lifted; it opens when the agreement is in force again.")
    return _("Access is open again.")


@door
def complete_duty(request: HttpRequest, uuid) -> HttpResponse:
    """A duty has no rows of its own to see: whoever sees the agreement finds it."""
    seen = Agreement.objects.visible_to(request.user)
    duty = Duty.objects.filter(uuid=uuid, agreement__in=seen).select_related("agreement", "party").first()
    if duty is None:
        raise Http404
    given = valid(DutyForm(request.POST, request.FILES)).cleaned_data
    do(request, actions.complete_duty, duty, _("The duty is done."), note=given["note"], file=read_upload(given["certificate"]))
    return _agreement(duty.agreement)


@page
def certificate(request: HttpRequest, uuid) -> HttpResponse:
    """The paper of a duty, as an attachment that runs nothing in our name."""
    return download(find(DutyCertificate.objects, request.user, duty__uuid=uuid))


def _nowhere():
    raise Http404


def find_credential(request: HttpRequest, uuid) -> Credential:
    return find(Credential.objects.select_related("system__organization", "issued_by", "claimed_by"), request.user, uuid=uuid)
