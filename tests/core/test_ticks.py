"""A row that somebody holds is left for the next tick; whatever else goes wrong is not kept quiet."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.utils import OperationalError

from apps.core import ticks
from apps.organizations.models import Organization
from tests.factories.organizations import OrganizationFactory
from tests.fixtures.races import held

pytestmark = pytest.mark.django_db(transaction=True)


def shut(row: Organization) -> int:
    Organization.objects.create(code=f"H03.X{row.pk}", name="Mới")
    return Organization.objects.filter(pk=row.pk, email="").update(email="a@example.vn")


def test_each_is_done_for_itself_and_what_is_held_is_left_whole(caplog):
    one, two, three = (OrganizationFactory() for _n in range(3))
    with held(two):
        assert ticks.each([one, two, three], shut) == 2
    assert set(Organization.objects.filter(code__startswith="H03.X").values_list("code", flat=True)) == {
        f"H03.X{one.pk}", f"H03.X{three.pk}",
    }, "of the step that was given up nothing was written"  # fmt: skip
    (line,) = [record.getMessage() for record in caplog.records if record.name == "apps.core.ticks"]
    assert line == f"organizations.Organization {two.pk} is held by somebody: left for the next tick"
    assert ticks.each([two], shut) == 1


def test_within_a_transaction_the_others_go_on_too():
    one, two = OrganizationFactory(), OrganizationFactory()
    with held(one), transaction.atomic():
        assert ticks.each([one, two], shut) == 1
    two.refresh_from_db()
    assert two.email


def test_an_error_of_another_kind_ends_the_tick():
    def broken(_row):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '50ms'")
            cursor.execute("SELECT pg_sleep(5)")

    with pytest.raises(OperationalError):
        ticks.each([OrganizationFactory()], broken)
