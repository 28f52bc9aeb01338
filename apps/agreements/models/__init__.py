"""Agreements by noun: the agreement, its life, access under it, the time its steps may take."""

from apps.agreements.models.access import AcceptanceRecord, Credential, Grant
from apps.agreements.models.agreement import (
    Agreement,
    AgreementDocument,
    AgreementVersion,
    Consent,
    Party,
    RequestBasis,
    Signature,
    StandardClause,
)
from apps.agreements.models.life import ConsumerSuspension, Duty, DutyCertificate, PlannedSuspension, Suspension
from apps.agreements.models.steps import StepClock

__all__ = [
    "AcceptanceRecord",
    "Agreement",
    "AgreementDocument",
    "AgreementVersion",
    "Consent",
    "ConsumerSuspension",
    "Credential",
    "Duty",
    "DutyCertificate",
    "Grant",
    "Party",
    "PlannedSuspension",
    "RequestBasis",
    "Signature",
    "StandardClause",
    "StepClock",
    "Suspension",
]
