"""Who raises, answers, pursues and closes."""

from __future__ import annotations

import rules

from apps.disputes.choices import DisputeStatus
from apps.organizations.choices import Role
from apps.organizations.roles import is_operator, organization_ids

OFFICERS = (Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER)


@rules.predicate
def pursues(user, dispute) -> bool:
    return dispute.raised_for_id in organization_ids(user, *OFFICERS)


@rules.predicate
def answers(user, dispute) -> bool:
    """Level 1 is the other party's; levels 2 and 3 are the digital unit's, which operates the platform."""
    if dispute.status == DisputeStatus.LEVEL_1:
        return dispute.respondent_id in organization_ids(user, *OFFICERS)
    return is_operator(user)


@rules.predicate
def closes(user, dispute) -> bool:
    return is_operator(user)


@rules.predicate
def pursues_ticket(user, ticket) -> bool:
    return ticket.asked_by_id in organization_ids(user, *OFFICERS)


@rules.predicate
def answers_ticket(user, ticket) -> bool:
    return ticket.asked_of_id in organization_ids(user, *OFFICERS)


rules.add_perm("disputes.pursue", pursues)
rules.add_perm("disputes.answer", answers)
rules.add_perm("disputes.send_document", closes)
rules.add_perm("disputes.close", closes)
rules.add_perm("disputes.pursue_ticket", pursues_ticket)
rules.add_perm("disputes.answer_ticket", answers_ticket)
