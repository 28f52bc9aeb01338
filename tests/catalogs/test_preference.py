"""Of several tables that tell the same things one is preferred (TT 13/2017 Điều 15 khoản 1 điểm b)."""

import threading

import pytest
from django.db import DatabaseError, connection, transaction

from apps.audit.models import AuditEvent
from apps.catalogs.models import Catalog
from apps.catalogs.preference import part_catalog, prefer_catalog
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.organizations.choices import Role
from tests.factories.catalogs import CatalogFactory
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db


@pytest.fixture
def a_b_c(db):
    return [CatalogFactory(code=code, name=code.upper()) for code in ("aa", "bb", "cc")]


def state() -> dict[str, str | None]:
    return dict(Catalog.objects.order_by("code").values_list("code", "preferred__code"))


def test_one_table_is_preferred_over_another_with_its_ground_on_record(a_b_c, operator):
    a, b, _c = a_b_c
    prefer_catalog(a, b, by=operator, basis="Đa số hệ thống dùng")
    assert state() == {"aa": None, "bb": "aa", "cc": None}
    assert [table.code for table in Catalog.objects.get(code="bb").same_tables] == ["aa", "bb"]
    assert Catalog.objects.get(code="cc").same_tables == []
    event = AuditEvent.objects.get(event="catalog.preferred")
    assert (event.actor, event.facts) == (operator, {"basis": "Đa số hệ thống dùng", "over": ["bb"], "instead_of": "bb"})


def test_another_one_is_preferred_later_and_all_the_others_follow(a_b_c, operator):
    a, b, c = a_b_c
    prefer_catalog(a, b, by=operator, basis="x")
    prefer_catalog(a, c, by=operator, basis="x")
    prefer_catalog(c, b, by=operator, basis="QĐ 9")
    assert state() == {"aa": "cc", "bb": "cc", "cc": None}
    assert Catalog.objects.get(code="cc").preference_basis == "QĐ 9"


def test_tables_of_two_subjects_become_one_only_through_their_preferred_ones(a_b_c, operator):
    a, b, c = a_b_c
    d = CatalogFactory(code="dd")
    prefer_catalog(a, b, by=operator, basis="x")
    prefer_catalog(c, d, by=operator, basis="x")
    with pytest.raises(Conflict):
        prefer_catalog(d, a, by=operator, basis="x")
    prefer_catalog(c, a, by=operator, basis="x")
    assert state() == {"aa": "cc", "bb": "cc", "cc": None, "dd": "cc"}


def test_a_table_is_parted_and_the_preferred_one_is_not_while_others_name_it(a_b_c, operator):
    a, b, _c = a_b_c
    prefer_catalog(a, b, by=operator, basis="x")
    with pytest.raises(Conflict):
        part_catalog(a, by=operator, reason="x")
    part_catalog(b, by=operator, reason="Khác nội dung")
    assert state() == {"aa": None, "bb": None, "cc": None}
    assert AuditEvent.objects.get(event="catalog.parted").facts == {"preferred": "aa", "reason": "Khác nội dung"}
    with pytest.raises(Conflict):
        part_catalog(b, by=operator, reason="x")


def test_what_is_missing_or_impossible_is_refused(a_b_c, operator):
    a, b, _c = a_b_c
    with pytest.raises(FactMissing):
        prefer_catalog(a, b, by=operator, basis=" ")
    with pytest.raises(InvalidFact):
        prefer_catalog(a, a, by=operator, basis="x")
    with pytest.raises(FactMissing):
        part_catalog(a, by=operator, reason="")


@pytest.mark.parametrize("role", [Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER, Role.SIGNER, Role.AUDITOR])
def test_others_than_the_keepers_mark_nothing(a_b_c, role):
    a, b, _c = a_b_c
    for verb, given in ((prefer_catalog, (a, b)), (part_catalog, (a,))):
        with pytest.raises(NotPermitted):
            verb(*given, by=officer(role), **({"basis": "x"} if verb is prefer_catalog else {"reason": "x"}))
    assert not AuditEvent.objects.filter(event__startswith="catalog.").exists()


def test_the_database_refuses_a_preferred_table_that_prefers_another(a_b_c):
    a, b, c = a_b_c
    Catalog.objects.filter(pk=b.pk).update(preferred=a)
    for row, preferred in ((c, b), (a, c), (c, c)):
        with pytest.raises(DatabaseError), transaction.atomic():
            Catalog.objects.filter(pk=row.pk).update(preferred=preferred)


@pytest.mark.django_db(transaction=True)
def test_two_officers_at_the_same_instant_leave_one_preferred_table():
    operator = officer(Role.OPERATOR)
    a, b, c = (CatalogFactory(code=code) for code in ("aa", "bb", "cc"))
    start, unforeseen = threading.Barrier(2), []

    def mark(first, second) -> None:
        try:
            start.wait(10)
            prefer_catalog(first, second, by=operator, basis="x")
        except Conflict:
            pass  # whoever came second was told so
        except Exception as error:
            unforeseen.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=mark, args=pair) for pair in ((a, b), (b, c))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert unforeseen == []
    preferred = {table.preferred_id for table in Catalog.objects.exclude(preferred=None)}
    assert not Catalog.objects.filter(pk__in=preferred).exclude(preferred=None).exists()
    assert len(preferred) == 1


def test_the_api_tells_which_table_is_preferred_at_a_fixed_number_of_queries(
    client, a_b_c, operator, django_assert_max_num_queries
):
    a, b, _c = a_b_c
    client.force_login(operator)
    answer = client.post("/api/v1/catalogs/aa/prefer", {"over": "bb", "basis": "QĐ 9"}, "application/json")
    assert (answer.status_code, answer.json()["preferred"], answer.json()["same_tables"]) == (200, "aa", ["aa", "bb"])
    for number in range(10):
        prefer_catalog(a, CatalogFactory(code=f"d{number}"), by=operator, basis="x")
    client.logout()
    with django_assert_max_num_queries(8):
        rows = {row["code"]: row for row in client.get("/api/v1/catalogs").json()["results"]}
    assert (rows["bb"]["preferred"], rows["cc"]["preferred"], len(rows["bb"]["same_tables"])) == ("aa", None, 12)
    client.force_login(operator)
    assert client.post("/api/v1/catalogs/bb/part", {"reason": "x"}, "application/json").json()["preferred"] is None
    answer = client.post("/api/v1/catalogs/aa/prefer", {"over": "khong-co", "basis": "x"}, "application/json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["over"])
