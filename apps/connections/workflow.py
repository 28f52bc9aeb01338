"""The life of a request and of each provider's part in deciding it (`design/product.md`, regulations section 7)."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.connections.choices import DecisionStatus, RequestStatus
from apps.core.workflow import Step, Workflow

DRAFT, CHECKING, RETURNED = RequestStatus.DRAFT, RequestStatus.CHECKING, RequestStatus.RETURNED
AWAITING, APPROVED = RequestStatus.AWAITING_PROVIDER, RequestStatus.APPROVED

REQUEST = Workflow(
    "request",
    (
        Step("submit", (DRAFT, RETURNED), CHECKING, "connections.submit_request", _("Submit"), "primary"),
        Step("forward", (CHECKING,), AWAITING, "connections.forward_request", _("Forward to the provider"), "primary"),
        Step(
            "approve", (AWAITING,), APPROVED, "connections.approve_request", _("Approve"), "primary",
            note="made by agreements.approve_request, at the approval of the last provider concerned, with the agreement",
        ),
        Step(
            "return", (CHECKING, AWAITING), RETURNED, "connections.return_request", _("Return for completion"),
            note="the clock pauses; what is missing is said field by field",
        ),
        Step("refuse", (AWAITING,), RequestStatus.REFUSED, "connections.refuse_request", _("Refuse"), "danger"),
        Step(
            "withdraw", (DRAFT, CHECKING, RETURNED, AWAITING), RequestStatus.WITHDRAWN, "connections.withdraw_request",
            _("Withdraw"), "danger",
        ),
        Step(
            "lapse", (RETURNED,), RequestStatus.WITHDRAWN, None, _("Withdraw by itself"),
            note="the clock: nobody completed it in the time of the rule connection.return_limit",
        ),
        Step(
            "fall", (DRAFT, CHECKING, RETURNED, AWAITING), RequestStatus.WITHDRAWN, None, _("Fall with its agreement"),
            note="the clock: the agreement that it would change, renew or join is over; a draft also when its agency is merged or closed",
        ),
    ),
)  # fmt: skip

DECISION = Workflow(
    "provider decision",
    (
        Step(
            "approve", (DecisionStatus.PENDING,), DecisionStatus.APPROVED, "connections.decide_part", _("Approve"), "primary"
        ),
        Step("refuse", (DecisionStatus.PENDING,), DecisionStatus.REFUSED, "connections.decide_part", _("Refuse"), "danger"),
        Step(
            "reopen", (DecisionStatus.PENDING, DecisionStatus.APPROVED), DecisionStatus.PENDING, None, _("Ask again"),
            note="a returned request may come back with another content: whoever approved the old one is asked again",
        ),
    ),
)  # fmt: skip
