"""Who may take which step on an agreement, a grant, an acceptance record and a credential."""

from __future__ import annotations

import rules

from apps.agreements.choices import GrantStatus, Side
from apps.organizations.choices import Role
from apps.organizations.roles import has_role, is_operator, is_platform_reader, organization_ids


@rules.predicate
def operates(user, obj) -> bool:
    return is_operator(user)


@rules.predicate
def provides(user, agreement) -> bool:
    """Provider officer of a party on the providing side."""
    return bool(organization_ids(user, Role.PROVIDER_OFFICER) & agreement.organization_ids(Side.PROVIDER))


@rules.predicate
def consumes(user, agreement) -> bool:
    """Consumer officer of a party on the consuming side; one who is still to sign its joining is none yet."""
    return bool(organization_ids(user, Role.CONSUMER_OFFICER) & agreement.organization_ids(Side.CONSUMER))


@rules.predicate
def leaves_others(user, agreement) -> bool:
    """Acts for a consumer, and neither for a provider nor for the operator; other bound consumers are not the user's."""
    if is_operator(user) or provides(user, agreement):
        return False
    return bool(agreement.organization_ids(Side.CONSUMER) - organization_ids(user, Role.CONSUMER_OFFICER))


@rules.predicate
def is_one_of_several(user, agreement) -> bool:
    """Acts for one bound consumer beside others, its own or not."""
    bound = agreement.organization_ids(Side.CONSUMER)
    return len(bound) > 1 and bool(bound & organization_ids(user, Role.CONSUMER_OFFICER))


@rules.predicate
def signs_for_a_party(user, agreement) -> bool:
    """Of a party, or of one who joins by the version that awaits signatures."""
    return agreement.present_parties().filter(organization_id__in=organization_ids(user, Role.SIGNER)).exists()


@rules.predicate
def is_on_consuming_side(user, record) -> bool:
    return bool(organization_ids(user) & record.agreement.organization_ids(Side.CONSUMER))


@rules.predicate
def provides_for_record(user, record) -> bool:
    """Who acts for all that is opened: one provider of several does not open the operations of the others, the operator does."""
    providers = set(record.agreement.present_parties().filter(side=Side.PROVIDER).values_list("organization_id", flat=True))
    return bool(providers) and providers <= organization_ids(user, Role.PROVIDER_OFFICER)


@rules.predicate
def provides_operation(user, grant) -> bool:
    return grant.operation.version.service.provider_id in organization_ids(user, Role.PROVIDER_OFFICER)


@rules.predicate
def suspended_it(user, obj) -> bool:
    """Officer of a provider whose suspension of the agreement (the access) stands. What is not suspended its state refuses."""
    mine = organization_ids(user, Role.PROVIDER_OFFICER)
    return obj.status != GrantStatus.SUSPENDED or any(row.provider_id in mine for row in obj.what_suspends())


@rules.predicate
def runs_granted_system(user, grant) -> bool:
    return grant.system.organization_id in organization_ids(user, Role.CONSUMER_OFFICER)


@rules.predicate
def runs_system(user, credential) -> bool:
    return credential.system.organization_id in organization_ids(user, Role.CONSUMER_OFFICER)


@rules.predicate
def issues_account(user, credential) -> bool:
    """NĐ 47/2020 Điều 40(2), WF-02: the provider issues accounts, or the operator where that was delegated."""
    grants = credential.system.grants.filter(environment=credential.environment).exclude(status=GrantStatus.ENDED)
    services = grants.values_list(
        "operation__version__service__provider_id", "operation__version__service__account_issuing_delegated"
    )
    mine = organization_ids(user, Role.PROVIDER_OFFICER)
    return any(is_operator(user) if delegated else provider in mine for provider, delegated in services)


@rules.predicate
def reads_platform(user, obj) -> bool:
    return is_platform_reader(user)


@rules.predicate
def legal_officer(user) -> bool:
    return has_role(user, Role.LEGAL_OFFICER)


@rules.predicate
def decides_request(user, request) -> bool:
    return rules.has_perm("connections.approve_request", user, request)


# The preview tells of the provider's other consumers in sums: it is for whoever decides.
rules.add_perm("agreements.preview_request", decides_request | reads_platform)
rules.add_perm("agreements.negotiate", provides | consumes)
rules.add_perm("agreements.sign", signs_for_a_party)
rules.add_perm("agreements.suspend", provides | operates)
rules.add_perm("agreements.resume", (provides & suspended_it) | operates)
rules.add_perm("agreements.leave", is_one_of_several)
rules.add_perm("agreements.terminate", provides | consumes | operates)
rules.add_perm("agreements.finish", provides | operates)
rules.add_perm("agreements.record_acceptance", consumes)
rules.add_perm("agreements.extend_test", consumes)
rules.add_perm("agreements.decide_acceptance", (provides_for_record | operates) & ~is_on_consuming_side)
rules.add_perm("agreements.suspend_grant", provides_operation | operates)
rules.add_perm("agreements.resume_grant", (provides_operation & suspended_it) | operates)
rules.add_perm("agreements.end_grant", provides_operation | runs_granted_system | operates)
rules.add_perm("agreements.claim_credential", runs_system)
rules.add_perm("agreements.rotate_credential", runs_system | issues_account)
rules.add_perm("agreements.revoke_credential", runs_system | issues_account | operates)
rules.add_perm("agreements.reissue_credential", issues_account)
rules.add_perm("agreements.merge_organizations", operates)
rules.add_perm("agreements.change_clause", legal_officer)
