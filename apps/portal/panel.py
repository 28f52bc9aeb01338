"""Which buttons a case page shows: those of the lifecycle table, each with the form its verb needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.connections.actions import EDITABLE
from apps.connections.choices import RequestStatus
from apps.connections.completeness import is_signed_first, missing
from apps.connections.content import request_hash
from apps.connections.workflow import REQUEST
from apps.core.workflow import Step, Workflow
from apps.portal import wizard
from apps.portal.case import part_label
from apps.portal.forms import CommentForm, PasswordForm, RefuseForm, ReturnForm

REMARKABLE = (
    "title", "systems", "scope", "purpose", "purpose_text", "solution", "legal_basis", "procedures", "calls_per_day",
    "calls_per_second", "source_networks", "wanted_from", "wanted_to", "codes_day", "technician", "exemption_reason",
    "special_reason", "alternatives", "attachments", "signatures", "note", "change_reason",
)  # fmt: skip
"""Every part that the one who files can mend, in the order of the case."""


@dataclass(frozen=True)
class Button:
    """A step that may be taken now. `form` is what its verb asks for; without one a click suffices."""

    verb: str
    label: object
    style: str
    form: forms.Form | None = None
    help: object = ""
    open: bool = False

    @property
    def form_template(self) -> bool:
        return self.form is not None or bool(self.help)


@dataclass
class Panel:
    steps: list[Button] = field(default_factory=list)
    sign: PasswordForm | None = None
    edit: str = ""
    content_hash: str = ""
    gaps: list[str] = field(default_factory=list)
    complete: bool = False

    @property
    def any(self) -> bool:
        return bool(self.steps or self.sign or self.edit)

    @property
    def submit(self) -> bool:
        return any(step.verb == "submit" for step in self.steps)


def return_form(data=None) -> ReturnForm:
    return ReturnForm(data, prefix="return", parts=[(name, part_label(name)) for name in REMARKABLE])


REQUEST_FORMS = {
    "approve": lambda: CommentForm(prefix="approve"),
    "return": return_form,
    "refuse": lambda: RefuseForm(prefix="refuse"),
}
REQUEST_HELP = {
    "approve": _("Approving makes the agreement. Default sharing comes into force at once, with access for testing."),
    "return": _("Write beside each part what is missing. The clock pauses until the agency submits again."),
    "refuse": _(
        "A refusal needs a ground of the decree, a reason and the legal provision; the agency and the operator are told."
    ),
    "withdraw": _("A withdrawn request cannot be taken up again; a new one would have to be filed."),
}


def buttons(workflow: Workflow, obj, user, made: dict, told: dict, hide: tuple[str, ...] = ()) -> list[Button]:
    """A button for each step of the table that `user` may take on `obj` now."""
    return [_button(step, made, told) for step in workflow.available(obj, user) if step.verb not in hide]


def _button(step: Step, made: dict, told: dict) -> Button:
    form = made[step.verb]() if step.verb in made else None
    return Button(step.verb, step.label, step.style, form, told.get(step.verb, ""))


def request_panel(request, user) -> Panel:
    """What `user` can do with this request now, and what is missing for whoever has to complete or check it."""
    panel = Panel(steps=buttons(REQUEST, request, user, REQUEST_FORMS, REQUEST_HELP))
    edits = request.status in EDITABLE and user.has_perm("connections.edit_request", request)
    signs = request.status in EDITABLE and user.has_perm("connections.sign_request", request)
    checks = request.status == RequestStatus.CHECKING and user.has_perm("connections.forward_request", request)
    if not (edits or signs or checks):
        return panel
    found = missing(request)
    panel.gaps = [str(text) for _name, text in found]
    panel.complete = not found
    if edits:
        panel.edit = next((wizard.step_of(name) for name, _text in found), "check")
    if signs:
        _offer_signing(panel, request, user, found)
    if found:
        panel.steps = [step for step in panel.steps if step.verb not in ("submit", "forward")]
    return panel


def _offer_signing(panel: Panel, request, user, found: list) -> None:
    """Whoever prepared the request does not sign it, and nobody signs what is incomplete or signed already.

    Nor what no signature is asked of: on paper it is signed there, and of special sharing the agreement is signed.
    """
    if not is_signed_first(request):
        return
    content_hash = request_hash(request)
    unsigned = [name for name, _text in found if name != "signatures"]
    done = request.signatures.filter(signer=user, content_hash=content_hash).exists()
    if not unsigned and not done and not request.preparers.filter(pk=user.pk).exists():
        panel.sign, panel.content_hash = PasswordForm(), content_hash
