"""The pieces of an agreement's page that tell of suspensions, and what the steps about them do."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext_lazy

from apps.agreements.choices import AgreementStatus, GrantStatus, Side
from apps.agreements.models import Agreement, Grant
from apps.agreements.suspensions import is_own, suspenders, to_be_lifted
from apps.organizations.choices import Role
from apps.organizations.roles import is_operator, organization_ids
from apps.portal.forms import CommentForm
from apps.portal.pact_forms import ConsumerSuspendForm


def suspension_help(obj, standing: list, user) -> dict:
    """What the two steps do to what is suspended already: one's own reason beside the others', and what resuming leaves."""
    lifted, left = to_be_lifted(obj, user)
    resume = gettext_lazy("Access opens again at once.")
    if left:
        resume = gettext_lazy("Lifts your own suspension only: access stays closed while the other one stands.")
    elif isinstance(obj, Grant) and obj.agreement.status != AgreementStatus.IN_FORCE:
        resume = gettext_lazy("Lifts the suspension of this access alone: it opens when the agreement is in force again.")
    elif lifted and not any(is_own(row, user) for row in lifted):
        resume = gettext_lazy("Opens what another side suspended, for the reasons shown above. Access opens again at once.")
    told = {"resume": resume}
    if standing:
        told["suspend"] = gettext_lazy("Adds a reason of your own: it stays suspended until you lift yours too.")
    return told


def who_resumes(obj) -> dict:
    """For those who may not open it: the names of those who may, beside the operator."""
    return {"rows": obj.what_suspends(), "who": suspenders(obj)}


def suspensions(agreement: Agreement, user) -> list:
    """Consumers that are suspended under the agreement, with the way to lift it for whoever may."""
    found = list(agreement.consumer_suspensions.open().select_related("party__organization", "provider", "suspended_by"))
    mine = organization_ids(user, Role.PROVIDER_OFFICER)
    for row in found:
        row.may_lift = is_operator(user) or row.provider_id in mine
        row.form = CommentForm(prefix=f"lift-{row.pk}") if row.may_lift else None
    return found


def suspendable(agreement: Agreement, parties, user) -> ConsumerSuspendForm | None:
    """The form to suspend one consumer; None when the person may not, or nobody is left to be suspended."""
    if agreement.status not in (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED):
        return None
    if not user.has_perm("agreements.suspend", agreement):
        return None
    open_to = set(agreement.grants.filter(status=GrantStatus.ACTIVE).values_list("system__organization_id", flat=True))
    bound = [party for party in parties if party.side == Side.CONSUMER and not party.is_joining]
    rows = [party for party in bound if party.organization_id in open_to]
    return ConsumerSuspendForm(prefix="one", parties=rows, initial={"determined_at": timezone.localtime()}) if rows else None
