"""Who is told what about an agreement, a grant or a credential."""

from __future__ import annotations

from apps.agreements.choices import Side
from apps.agreements.models import Agreement, AgreementVersion
from apps.connections.announcements import people
from apps.notices.actions import notify
from apps.organizations.choices import Role

OFFICERS = (Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER)
OFFICER_OF = {Side.CONSUMER: Role.CONSUMER_OFFICER, Side.PROVIDER: Role.PROVIDER_OFFICER}
"""Side of an agreement → who acts on it, and is told and reminded."""


def agreement_url(agreement: Agreement) -> str:
    return f"/portal/agreements/{agreement.uuid}/"


def tell_parties(
    event: str,
    agreement: Agreement,
    message: str,
    *,
    roles=OFFICERS,
    key: str = "",
    also=(),
    operators: bool = False,
    besides=None,
    joiners: bool = False,
    **params,
) -> None:
    """Tell the officers of every party (and of the organizations `also`) once that `event` happened to the agreement as it stands.

    `joiners`: and of who is joining; `operators`: and the platform's operators, but for `besides`, who did it.
    """
    parties = {*agreement.organization_ids(), *also}
    if joiners:
        parties |= {*agreement.present_parties().values_list("organization_id", flat=True)}
    recipients = [person for role in roles for person in people(role, parties)]
    if operators:
        recipients += [person for person in people(Role.OPERATOR) if person != besides]
    notify(
        recipients, f"agreement.{event}", key=f"agreement.{event}:{agreement.uuid}:{key or agreement.version}",
        message=message, url=agreement_url(agreement), number=agreement.number, **params,
    )  # fmt: skip


def officers_of(parties) -> list:
    """The officers that these parties have on their sides."""
    found = []
    for side, role in OFFICER_OF.items():
        found += people(role, parties.filter(side=side).values_list("organization_id", flat=True))
    return found


def tell_waiting(event: str, version: AgreementVersion, parties, message: str, *, by, also=()) -> None:
    """Tell the officers of `parties`, for whom this content now waits, and the people `also`, but for `by`, who acted: once a version."""
    agreement = version.agreement
    notify(
        [person for person in (*officers_of(parties), *also) if person.pk != by.pk], f"agreement.{event}", key=f"agreement.{event}:{agreement.uuid}:v{version.number}",
        message=message, url=agreement_url(agreement), number=agreement.number,
    )  # fmt: skip


def tell_owners(event: str, agreement: Agreement, obj, organizations, message: str, *, role=Role.CONSUMER_OFFICER, **params):
    """Tell `role` of `organizations` about `obj` (a grant, a credential, an acceptance record) under the agreement."""
    notify(
        people(role, organizations), f"{obj._meta.model_name}.{event}", key=f"{obj._meta.model_name}.{event}:{obj.uuid}:{obj.version}",
        message=message, url=agreement_url(agreement), number=agreement.number, system=obj.system.name, **params,
    )  # fmt: skip
