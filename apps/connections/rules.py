"""Who may take which step on a request. Predicates read roles in organizations, never flags of a user."""

from __future__ import annotations

import rules

from apps.connections.choices import Channel, RequestStatus
from apps.organizations.choices import Role
from apps.organizations.roles import is_operator, organization_ids


@rules.predicate
def works_for_consumer(user, request) -> bool:
    """Consumer officer of the organization that files; for a request on paper, also the operator who enters it."""
    if request.channel == Channel.PAPER and is_operator(user):
        return True
    return request.consumer_id in organization_ids(user, Role.CONSUMER_OFFICER)


@rules.predicate
def may_file_for(user, organization) -> bool:
    return organization.pk in organization_ids(user, Role.CONSUMER_OFFICER)


@rules.predicate
def signs_for_consumer(user, request) -> bool:
    """Signer of one of the organizations whose systems shall read."""
    return bool(organization_ids(user, Role.SIGNER) & request.consumer_ids())


@rules.predicate
def operates(user, request) -> bool:
    return is_operator(user)


@rules.predicate
def is_on_requesting_side(user, request) -> bool:
    """Any membership in a requesting organization, or a hand in the request, makes a person part of that side."""
    return bool(organization_ids(user) & request.consumer_ids()) or user.pk in (request.created_by_id, request.submitted_by_id)


@rules.predicate
def decides_for_provider(user, request) -> bool:
    """Provider officer of a provider whose part is still open."""
    mine = organization_ids(user, Role.PROVIDER_OFFICER)
    return bool(mine) and request.decisions.filter(status="pending", provider_id__in=mine).exists()


@rules.predicate
def decides_this_part(user, decision) -> bool:
    return decision.provider_id in organization_ids(user, Role.PROVIDER_OFFICER) and not is_on_requesting_side(
        user, decision.request
    )


@rules.predicate
def may_return(user, request) -> bool:
    """The operator while checking or later; the provider officer once it lies with the provider."""
    if is_operator(user):
        return True
    return (
        request.status == RequestStatus.AWAITING_PROVIDER
        and decides_for_provider(user, request)
        and not is_on_requesting_side(user, request)
    )


@rules.predicate
def takes_part(user, request) -> bool:
    """Both sides and the operator speak in the thread; a provider once the case lies or lay with it."""
    mine = organization_ids(user, Role.CONSUMER_OFFICER, Role.SIGNER) & request.consumer_ids()
    asked = request.decisions.filter(provider_id__in=organization_ids(user, Role.PROVIDER_OFFICER, Role.SIGNER))
    return bool(mine) or is_operator(user) or asked.exists()


@rules.predicate
def assigns(user, request) -> bool:
    return is_operator(user) or decides_for_provider(user, request)


@rules.predicate
def operates_at_all(user, organization) -> bool:
    return is_operator(user)


rules.add_perm("connections.enter_paper_request", operates_at_all)
rules.add_perm("connections.comment_request", takes_part)
rules.add_perm("connections.assign_request", assigns)
rules.add_perm("connections.draft_request", may_file_for)
rules.add_perm("connections.edit_request", works_for_consumer)
rules.add_perm("connections.sign_request", signs_for_consumer)
rules.add_perm("connections.submit_request", works_for_consumer)
rules.add_perm("connections.forward_request", operates)
rules.add_perm("connections.return_request", may_return)
rules.add_perm("connections.approve_request", decides_for_provider & ~is_on_requesting_side)
rules.add_perm("connections.refuse_request", decides_for_provider & ~is_on_requesting_side)
rules.add_perm("connections.decide_part", decides_this_part)
rules.add_perm("connections.withdraw_request", works_for_consumer)
