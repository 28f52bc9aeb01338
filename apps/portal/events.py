"""Audit events in words, for the timelines. An event without words is shown by its code, never hidden."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

LABELS = {
    "request.drafted": _("Draft opened"),
    "request.edited": _("Draft changed"),
    "request.signed": _("Signed by the requesting agency"),
    "request.submitted": _("Submitted"),
    "request.returned": _("Returned for completion"),
    "request.forwarded": _("Found complete, forwarded to the provider"),
    "request.approved": _("Approved"),
    "request.part_approved": _("Approved by one of the providers"),
    "request.refused": _("Refused"),
    "request.withdrawn": _("Withdrawn"),
    "request.lapsed": _("Withdrawn by itself: not completed in time"),
    "request.commented": _("Comment"),
    "agreement.drafted": _("Agreement drafted"),
    "agreement.made": _("Agreement made"),
    "agreement.created": _("Agreement made"),
    "agreement.proposed": _("New content proposed"),
    "agreement.agreed": _("Content agreed"),
    "agreement.signed": _("Signed"),
    "agreement.in_force": _("In force"),
    "agreement.reopened": _("Negotiation reopened"),
    "agreement.declined": _("Declined"),
    "agreement.suspended": _("Suspended"),
    "agreement.resumed": _("Resumed"),
    "agreement.terminated": _("Termination begun"),
    "agreement.finished": _("Termination complete"),
    "agreement.expired": _("Expired"),
    "agreement.changed": _("Content changed"),
    "agreement.joined": _("A further agency joined"),
    "duty.done": _("Duty before termination done"),
    "acceptance.recorded": _("Test record entered"),
    "acceptance.confirmed": _("Test record confirmed, production opened"),
    "acceptance.rejected": _("Test record not accepted"),
    "grant.opened": _("Access opened"),
    "grant.suspended": _("Access suspended"),
    "grant.resumed": _("Access resumed"),
    "grant.ended": _("Access ended"),
    "credential.issued": _("Credential issued"),
    "credential.claimed": _("Secret collected"),
    "credential.rotated": _("Credential rotated"),
    "credential.revoked": _("Credential revoked"),
    "terms.signed": _("Standard terms signed"),
}


def label(event: str) -> object:
    return LABELS.get(event, event)
