"""The verbs of agreements, by noun: approval, negotiation and signing, life, access, credentials."""

from apps.agreements.actions.access import (
    confirm_acceptance,
    end_grant,
    record_acceptance,
    reject_acceptance,
    resume_grant,
    suspend_grant,
)
from apps.agreements.actions.approval import approve_request
from apps.agreements.actions.beginnings import is_renewable, start_change, start_join, start_renewal
from apps.agreements.actions.clauses import change_clause
from apps.agreements.actions.credentials import claim_credential, reissue_credential, revoke_credential, rotate_credential
from apps.agreements.actions.extension import extend_test
from apps.agreements.actions.fallen import drop_amendment
from apps.agreements.actions.following import follow_agreement
from apps.agreements.actions.leaving import leave_agreement, plan_leaving
from apps.agreements.actions.life import (
    complete_duty,
    expire_agreements,
    finish_termination,
    resume_agreement,
    suspend_agreement,
    terminate_agreement,
)
from apps.agreements.actions.offers import change_service, resume_service, suspend_service
from apps.agreements.actions.publishing import (
    announce_end_of_version,
    postpone_end_of_version,
    publish_service_version,
    retire_service_version,
)
from apps.agreements.actions.reorganization import merge_organizations, plan_merge
from apps.agreements.actions.signing import (
    agree_content,
    decline_agreement,
    decline_change,
    propose_content,
    reopen_agreement,
    sign_agreement,
    sign_with_pdf,
)
from apps.agreements.actions.suspension import (
    announce_suspension,
    cancel_suspension,
    lift_consumer_suspension,
    suspend_consumer,
)

__all__ = [
    "announce_end_of_version",
    "postpone_end_of_version",
    "change_service",
    "resume_service",
    "suspend_service",
    "publish_service_version",
    "retire_service_version",
    "announce_suspension",
    "cancel_suspension",
    "lift_consumer_suspension",
    "suspend_consumer",
    "is_renewable",
    "start_change",
    "start_join",
    "start_renewal",
    "agree_content",
    "approve_request",
    "change_clause",
    "claim_credential",
    "complete_duty",
    "confirm_acceptance",
    "decline_agreement",
    "decline_change",
    "drop_amendment",
    "end_grant",
    "expire_agreements",
    "extend_test",
    "follow_agreement",
    "leave_agreement",
    "plan_leaving",
    "finish_termination",
    "merge_organizations",
    "plan_merge",
    "propose_content",
    "record_acceptance",
    "reissue_credential",
    "reject_acceptance",
    "reopen_agreement",
    "resume_agreement",
    "resume_grant",
    "revoke_credential",
    "rotate_credential",
    "sign_agreement",
    "sign_with_pdf",
    "suspend_agreement",
    "suspend_grant",
    "terminate_agreement",
]
