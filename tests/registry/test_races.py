"""A merge or the closing of an agency, and something entered in its name at the same instant: it goes over, or it is not entered."""

import datetime

import pytest

from apps.core.errors import Conflict
from apps.disputes.closing import close_organization
from apps.disputes.reorganization import merge_organizations
from apps.organizations.actions import register_system, suspend_organization
from apps.organizations.choices import Role
from apps.registry.actions import decide_default_list, register_service, write_terms
from apps.registry.models import DataService, DefaultShareList, UsageRegulation
from tests.factories.connections import world
from tests.factories.organizations import ReadyOrganizationFactory, officer
from tests.fixtures.races import again, at_once, on, refusals, while_not_committed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("racers")]
ROUNDS = [pytest.param(3, id="quick"), pytest.param(1000, id="full", marks=pytest.mark.full)]
DAY = datetime.date(2026, 1, 5)


def entries(agency, by) -> dict:
    """What an officer enters in the name of an agency: name → the verb ready to be taken."""
    regulation = {"number": "9/QĐ", "title": "Quy chế", "issued_on": DAY, "effective_from": DAY}
    listed = {"number": "10/QĐ", "decided_on": DAY, "services": list(DataService.objects.filter(provider=agency))}
    return {
        "service": on(register_service, agency, by, code="dich-vu-moi", name="Dịch vụ mới"),
        "system": on(register_system, agency, by, code="he-thong-moi", name="Hệ thống mới"),
        "regulation": on(write_terms, agency, by, **regulation),
        "list": on(decide_default_list, agency, by, **listed),
    }


@pytest.mark.parametrize("what", ["service", "system", "regulation", "list"])
def test_cc_01_what_is_entered_waits_for_a_merge_and_is_refused_after_it(what):
    w = world()
    enter = entries(w.provider, w.provider_officer)[what]
    merge = on(
        merge_organizations, w.provider, w.operator, into=ReadyOrganizationFactory(), instrument="Nghị quyết 202/2025/QH15"
    )
    (refused,) = while_not_committed(merge, enter)
    assert isinstance(refused, Conflict), refused
    assert (refused.code, refused.extra["by"]) == ("organization_not_active", str(w.operator))


def test_cc_01_what_is_entered_waits_for_a_suspension_too():
    w = world()
    enter = entries(w.provider, w.provider_officer)["service"]
    (refused,) = while_not_committed(on(suspend_organization, w.provider, w.operator, reason="x"), enter)
    assert refusals([refused])[0].code == "organization_not_active"


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_nothing_is_entered_in_the_name_of_an_agency_that_is_merged(rounds):
    for w, into in again(rounds, lambda: (world(), ReadyOrganizationFactory())):
        merged, *entered = at_once(
            on(merge_organizations, w.provider, w.operator, into=into, instrument="Nghị quyết 202/2025/QH15"),
            *entries(w.provider, w.provider_officer).values(),
        )
        assert not isinstance(merged, Exception), merged
        assert {refused.code for refused in refusals(entered)} <= {"organization_not_active", "not_permitted"}
        kept = [rows.objects.kept_by_any([w.provider.pk]) for rows in (UsageRegulation, DefaultShareList)]
        for rows in (w.provider.services.all(), w.provider.systems.all(), *kept):
            assert not rows.exists(), "nobody answers for it any more"


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_an_agency_that_is_closed_has_nothing_that_was_entered_meanwhile(rounds):
    def make():
        agency = ReadyOrganizationFactory()
        return agency, officer(Role.PROVIDER_OFFICER, agency), officer(Role.OPERATOR)

    for agency, person, operator in again(rounds, make):
        enter = entries(agency, person)
        closed, *entered = at_once(
            on(close_organization, agency, operator, reason="Giải thể"), enter["service"], enter["system"]
        )
        assert {refused.code for refused in refusals(entered)} <= {"organization_not_active", "not_permitted"}
        assert {refused.code for refused in refusals([closed])} <= {"unfinished", "has_systems"}
        agency.refresh_from_db()
        assert (agency.status == "closed") == (not isinstance(closed, Exception))
        assert agency.status != "closed" or not (agency.services.exists() or agency.systems.exists())
