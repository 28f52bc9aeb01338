"""Long lists are counted to a limit only, and go on beyond it."""

from __future__ import annotations

import pytest
from django.core.paginator import EmptyPage
from django.db.models import Exists, OuterRef

from apps.core import paging
from apps.core.paging import OpenEndedPaginator
from apps.organizations.models import Organization
from tests.factories.organizations import OrganizationFactory


@pytest.fixture
def rows(db, monkeypatch):
    monkeypatch.setattr(paging, "MOST_COUNTED", 4)
    OrganizationFactory.create_batch(7)
    return Organization.objects.order_by("-id")


def test_a_short_list_is_counted_out(rows):
    found = OpenEndedPaginator(rows.filter(pk__in=list(rows.values_list("pk", flat=True)[:3])), 2)
    assert (found.count, found.is_counted_out, found.num_pages) == (3, True, 2)
    assert found.get_page("99").number == 2
    with pytest.raises(EmptyPage):
        found.page(3)


def test_a_long_list_is_counted_to_the_limit_and_every_row_is_still_reached(rows):
    found = OpenEndedPaginator(rows, 2)
    assert (found.count, found.is_counted_out) == (4, False)
    pages = [found.page(number) for number in (1, 2, 3, 4)]
    assert [page.has_next() for page in pages] == [True, True, True, False]
    assert [row.pk for page in pages for row in page] == list(rows.values_list("pk", flat=True))
    assert list(found.page(9)) == list(found.page("9" * 30)) == []
    assert found.get_page("nonsense").number == 1


def test_the_cost_does_not_grow_with_the_list(rows, django_assert_num_queries):
    found = OpenEndedPaginator(rows, 2)
    with django_assert_num_queries(2) as seen:
        list(found.page(1))
    assert all("LIMIT" in row["sql"] for row in seen.captured_queries)


def test_a_count_asks_for_keys_alone(rows, django_assert_num_queries):
    """What a list tells of each row is not worked out of a thousand more to count them."""
    told = rows.annotate(twin=Exists(Organization.objects.filter(name=OuterRef("name"))))
    with django_assert_num_queries(1) as seen:
        assert OpenEndedPaginator(told, 2).count == 4
    assert "twin" not in seen.captured_queries[0]["sql"]


def test_rows_that_are_no_rows_of_a_table_are_counted_as_they_are(rows):
    kinds = Organization.objects.values("kind").distinct()
    assert OpenEndedPaginator(kinds, 2).count == kinds.count() == 1
    twice = rows.filter(pk__in=[rows[0].pk]).union(rows.filter(pk__in=[rows[0].pk]), all=True).order_by("name")
    assert OpenEndedPaginator(twice, 2).count == 2
