"""The lives of an agreement, a grant, an acceptance record and a credential (`design/product.md`)."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.agreements.choices import AcceptanceStatus, AgreementStatus, CredentialStatus, GrantStatus
from apps.core.workflow import Step, Workflow

NEGOTIATING, AWAITING = AgreementStatus.NEGOTIATING, AgreementStatus.AWAITING_SIGNATURES
IN_FORCE, SUSPENDED, ENDING = AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED, AgreementStatus.ENDING
ACTIVE, HALTED, ENDED = GrantStatus.ACTIVE, GrantStatus.SUSPENDED, GrantStatus.ENDED

AGREEMENT = Workflow(
    "agreement",
    (
        Step(
            "draft_default", (), IN_FORCE, "connections.approve_request", _("Make by approval (default sharing)"),
            note="born in force: the published terms and the signed request are the signatures",
        ),
        Step(
            "draft_special", (), NEGOTIATING, "connections.approve_request", _("Make by approval (special sharing)"),
            note="born with the request as the first proposal",
        ),
        Step(
            "agree", (NEGOTIATING,), AWAITING, "agreements.negotiate", _("Agree on the content"), "primary",
            note="moves when the last party has agreed to the same content hash",
        ),
        Step(
            "sign", (AWAITING,), IN_FORCE, "agreements.sign", _("Sign"), "primary",
            note="moves at the last signature; each signer is not the drafter",
        ),
        Step("reopen", (AWAITING,), NEGOTIATING, "agreements.negotiate", _("Negotiate again")),
        Step("decline", (NEGOTIATING, AWAITING), AgreementStatus.DECLINED, "agreements.negotiate", _("Decline"), "danger"),
        Step(
            "suspend", (IN_FORCE, SUSPENDED), SUSPENDED, "agreements.suspend", _("Suspend"), "danger",
            note="each provider and the operator may add a reason of its own to what is suspended already",
        ),
        Step(
            "resume", (SUSPENDED,), IN_FORCE, "agreements.resume", _("Resume"), "primary",
            note="by whoever suspended it, or the operator; it stays suspended while another's suspension stands",
        ),
        Step(
            "suspend_as_announced", (IN_FORCE,), SUSPENDED, None, _("Suspend as announced"),
            note="the clock, after the notice of the rule suspension.planned_notice",
        ),
        Step(
            "resume_as_announced", (SUSPENDED,), IN_FORCE, None, _("Resume as announced"), note="the clock, at the expected end"
        ),
        Step(
            "leave", (IN_FORCE, SUSPENDED), IN_FORCE, "agreements.leave", _("Leave the agreement"), "danger",
            note="one consumer of several: its own access ends; for the others the agreement stays in the state it is in",
        ),
        Step("terminate", (IN_FORCE, SUSPENDED), ENDING, "agreements.terminate", _("Terminate"), "danger"),
        Step(
            "finish", (ENDING,), AgreementStatus.TERMINATED, "agreements.finish", _("Complete the termination"), "primary",
            note="after every duty of the checklist",
        ),
        Step("expire", (IN_FORCE, SUSPENDED), AgreementStatus.EXPIRED, None, _("Expire"), note="the clock, at valid_to"),
    ),
)  # fmt: skip

GRANT = Workflow(
    "grant",
    (
        Step(
            "suspend", (ACTIVE, HALTED), HALTED, "agreements.suspend_grant", _("Suspend"), "danger",
            note="the provider and the operator may each add a reason of its own to what is suspended already",
        ),
        Step(
            "resume", (HALTED,), ACTIVE, "agreements.resume_grant", _("Resume"), "primary",
            note="by whoever suspended it, or the operator; it stays suspended while another's suspension stands",
        ),
        Step("end", (ACTIVE, HALTED), ENDED, "agreements.end_grant", _("End"), "danger"),
        Step(
            "hold",
            (ACTIVE,),
            HALTED,
            None,
            _("Suspend with its consumer"),
            note="the consumer is suspended under the agreement",
        ),
        Step("release", (HALTED,), ACTIVE, None, _("Resume with its consumer"), note="the consumer's suspension was lifted"),
        Step("close", (ACTIVE, HALTED), ENDED, None, _("End with the agreement"), note="grants follow their agreement"),
    ),
)  # fmt: skip

ACCEPTANCE = Workflow(
    "acceptance",
    (
        Step(
            "confirm", (AcceptanceStatus.RECORDED,), AcceptanceStatus.CONFIRMED, "agreements.decide_acceptance",
            _("Confirm"), "primary", note="opens production",
        ),
        Step(
            "reject", (AcceptanceStatus.RECORDED,), AcceptanceStatus.REJECTED, "agreements.decide_acceptance",
            _("Do not accept"), "danger",
        ),
    ),
)  # fmt: skip

CREDENTIAL = Workflow(
    "credential",
    (
        Step(
            "claim", (CredentialStatus.UNCLAIMED,), CredentialStatus.ACTIVE, "agreements.claim_credential",
            _("Collect the secret"), "primary", note="the secret is made and shown at this moment, once",
        ),
        Step(
            "rotate", (CredentialStatus.ACTIVE,), CredentialStatus.ACTIVE, "agreements.rotate_credential", _("Rotate"),
            note="issues a new one; this one goes on for the overlap after the new one is collected",
        ),
        Step(
            "revoke", (CredentialStatus.UNCLAIMED, CredentialStatus.ACTIVE), CredentialStatus.REVOKED,
            "agreements.revoke_credential", _("Revoke"), "danger",
        ),
    ),
)  # fmt: skip
