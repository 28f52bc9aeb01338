"""Two people at the same instant: exactly one act, the other told, no deadlock, no broken rule."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from apps.audit.models import AuditEvent
from apps.core.errors import Conflict, DomainError, InvalidFact, NotPermitted
from apps.organizations import actions
from apps.organizations.choices import Role
from apps.organizations.models import FocalPoint, Membership, Organization
from apps.registry import actions as registry
from apps.registry.models import ServiceVersion
from tests.factories.accounts import UserFactory
from tests.factories.organizations import OrganizationFactory, officer
from tests.factories.registry import DraftVersionFactory, UpstreamFactory

pytestmark = pytest.mark.django_db(transaction=True)


def together(*acts) -> list:
    """Run the acts at once in threads of their own; return each result or the error it raised."""
    barrier, results = threading.Barrier(len(acts)), [None] * len(acts)

    def run(index, act):
        try:
            barrier.wait(10)
            results[index] = act()
        except DomainError as error:
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return results


def same(model, row):
    return model.objects.get(pk=row.pk)


def test_of_two_who_suspend_one_does():
    operator, agency = officer(Role.OPERATOR), OrganizationFactory()
    rows = [same(Organization, agency), same(Organization, agency)]
    results = together(*(lambda row=row: actions.suspend_organization(row, by=operator, reason="x") for row in rows))
    assert sum(isinstance(result, Conflict) for result in results) == 1
    assert AuditEvent.objects.filter(event="organization.suspended").count() == 1


def test_two_moves_never_make_a_circle():
    operator = officer(Role.OPERATOR)
    for _round in range(5):
        one, two = OrganizationFactory(), OrganizationFactory()
        results = together(
            lambda: actions.change_organization(same(Organization, one), by=operator, parent=two),  # noqa: B023
            lambda: actions.change_organization(same(Organization, two), by=operator, parent=one),  # noqa: B023
        )
        assert sum(isinstance(result, InvalidFact) for result in results) == 1
        one.refresh_from_db()
        two.refresh_from_db()
        assert not (one.parent_id and two.parent_id)


def test_two_namings_leave_one_focal_point():
    operator, agency = officer(Role.OPERATOR), OrganizationFactory()
    facts = {"position": "Chánh Văn phòng", "phone": "1", "email": "a@example.vn"}
    together(*(
        lambda name=name: actions.name_focal_point(same(Organization, agency), by=operator, name=name, **facts) for name in "ABCD"
    ))  # fmt: skip
    assert FocalPoint.objects.current().filter(organization=agency).count() == 1
    assert FocalPoint.objects.filter(organization=agency).count() == 4


def test_a_person_never_becomes_auditor_and_signer_at_once():
    operator, agency, user = officer(Role.OPERATOR), OrganizationFactory(), UserFactory()
    results = together(
        *(lambda role=role: actions.give_role(user, agency, role, by=operator) for role in ("auditor", "signer"))
    )
    assert sum(isinstance(result, Conflict) for result in results) == 1
    assert Membership.objects.current().filter(user=user).count() == 1


def test_two_operators_never_end_each_other():
    one, two = officer(Role.OPERATOR), officer(Role.OPERATOR)
    results = together(
        lambda: actions.end_role(one.memberships.get(), by=two), lambda: actions.end_role(two.memberships.get(), by=one)
    )
    # The loser is the last one, or has already ceased to be an operator when asked.
    assert sum(isinstance(result, Conflict | NotPermitted) for result in results) == 1
    assert Membership.objects.current().filter(role=Role.OPERATOR).count() == 1


def test_the_same_identifier_entered_twice_is_one_agency():
    operator = officer(Role.OPERATOR)
    results = together(*(lambda n=n: actions.register_organization("H03.99", f"Sở {n}", by=operator) for n in range(4)))
    assert sum(isinstance(result, Organization) for result in results) == 1
    assert all(isinstance(result, Organization | Conflict | InvalidFact) for result in results)


def test_a_version_is_published_once():
    version = DraftVersionFactory()
    provider = version.service.provider
    actions.name_focal_point(
        provider, by=officer(Role.SIGNER, provider), name="A", position="B", phone="1", email="a@example.vn"
    )
    for environment in ("test", "production"):
        UpstreamFactory(version=version, environment=environment)
    owner = officer(Role.PROVIDER_OFFICER, provider)
    rows = [same(ServiceVersion, version), same(ServiceVersion, version)]
    results = together(*(lambda row=row: registry.publish_version(row, by=owner) for row in rows))
    assert sum(isinstance(result, Conflict) for result in results) == 1
    assert AuditEvent.objects.filter(event="service_version.published").count() == 1
