"""What an officer of a party may ask of the other side of an agreement: which buttons its page shows."""

from __future__ import annotations

from apps.agreements.choices import AgreementStatus, Side
from apps.agreements.models import Agreement
from apps.organizations.choices import Role
from apps.organizations.roles import organization_ids

NOT_YET = (AgreementStatus.DECLINED, AgreementStatus.NEGOTIATING, AgreementStatus.AWAITING_SIGNATURES)
"""Before there is an agreement nothing can be asked under it."""


def asking(agreement: Agreement, user) -> dict[str, bool]:
    """`reports`: wrong data, by the consumers; `asks`: an explanation, by the providers."""
    if agreement.status in NOT_YET:
        return {"reports": False, "asks": False}
    consumes = organization_ids(user, Role.CONSUMER_OFFICER) & agreement.organization_ids(Side.CONSUMER)
    provides = organization_ids(user, Role.PROVIDER_OFFICER) & agreement.organization_ids(Side.PROVIDER)
    return {"reports": bool(consumes), "asks": bool(provides)}
