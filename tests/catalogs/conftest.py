"""The people who decide about catalogs, and the real catalogs loaded once a module."""

from __future__ import annotations

import pytest
from django.db import transaction

from apps.catalogs import first_releases
from apps.organizations.choices import Role
from tests.factories.accounts import MachineFactory
from tests.factories.organizations import officer


@pytest.fixture
def operator(db):
    return officer(Role.OPERATOR, full_name="Nguyễn Văn Vận")


@pytest.fixture
def legal_officer(db):
    return officer(Role.LEGAL_OFFICER)


@pytest.fixture
def provider_officer(db):
    return officer(Role.PROVIDER_OFFICER)


@pytest.fixture
def machine(db):
    return MachineFactory()


@pytest.fixture(scope="module")
def loaded(django_db_setup, django_db_blocker):
    """The catalogs of apps/catalogs/data, in a transaction that every test of the module runs inside of.

    Yields (officer who published, releases made).
    """
    with django_db_blocker.unblock(), transaction.atomic():
        person = officer(Role.OPERATOR, full_name="Nguyễn Văn Vận")
        releases = first_releases.load(by=person)
        yield person, releases
        transaction.set_rollback(True)
