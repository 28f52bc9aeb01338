from django.db import models
from django.utils.translation import gettext_lazy as _


class AgreementStatus(models.TextChoices):
    NEGOTIATING = "negotiating", _("agreeing on the content")
    AWAITING_SIGNATURES = "awaiting_signatures", _("awaiting signatures")
    IN_FORCE = "in_force", _("in force")
    SUSPENDED = "suspended", _("suspended")
    ENDING = "ending", _("duties before termination")
    TERMINATED = "terminated", _("terminated")
    DECLINED = "declined", _("declined")
    EXPIRED = "expired", _("expired")


class VersionState(models.TextChoices):
    DRAFT = "draft", _("draft")
    SCHEDULED = "scheduled", _("begins later")
    CURRENT = "current", _("current")
    SUPERSEDED = "superseded", _("superseded")


class Side(models.TextChoices):
    PROVIDER = "provider", _("provider")
    CONSUMER = "consumer", _("consumer")


class SignatureBasis(models.TextChoices):
    STANDING_TERMS = "standing_terms", _("published standard terms")
    REQUEST = "request", _("signed request")
    PORTAL = "portal", _("signed in the portal")
    PDF = "pdf", _("signed document")
    PAPER = "paper", _("signed on paper")
    SUCCESSION = "succession", _("carried over from the agency it succeeds")
    CARRIED = "carried", _("carried over: a party has left, nothing else changed")
    OPEN_CLAUSE = "open_clause", _("agreed beforehand that others may join")


class SuspensionKind(models.TextChoices):
    PLANNED = "planned", _("planned")
    FORCE_MAJEURE = "force_majeure", _("force majeure")
    VIOLATION = "violation", _("violation")


class TerminationGround(models.TextChoices):
    """NĐ 47/2020 Điều 44(1)."""

    PURPOSE_GONE = "purpose_gone", _("the purpose no longer fits or the connection cannot be restored")
    AUTHORITY = "authority", _("a competent body asks for it")
    CONSUMER = "consumer", _("the consumer no longer needs it")
    EXPIRED = "expired", _("the agreement has expired")


class GrantStatus(models.TextChoices):
    ACTIVE = "active", _("active")
    SUSPENDED = "suspended", _("suspended")
    ENDED = "ended", _("ended")


class AcceptanceStatus(models.TextChoices):
    RECORDED = "recorded", _("awaiting confirmation")
    CONFIRMED = "confirmed", _("confirmed")
    REJECTED = "rejected", _("not accepted")


class CredentialStatus(models.TextChoices):
    UNCLAIMED = "unclaimed", _("not collected yet")
    ACTIVE = "active", _("active")
    REVOKED = "revoked", _("revoked")


class DutyKind(models.TextChoices):
    """NĐ 47/2020 Điều 44(2)."""

    DATA_DELETED = "data_deleted", _("received data deleted, with a certificate")
    CONFIGURATION_REMOVED = "configuration_removed", _("connection settings and secrets removed from the system")
    FINAL_STATISTICS = "final_statistics", _("final statistics of use handed over")


class StepKind(models.TextChoices):
    """What an agreement waits for, with a time of its own (regulations, section 7)."""

    NEGOTIATE = "negotiate", _("agree on the content")
    SIGN = "sign", _("sign")
    TEST = "test", _("test and enter the record")
    CONFIRM = "confirm", _("confirm the test record")
