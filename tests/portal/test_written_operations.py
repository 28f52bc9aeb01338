"""A contract without a document: a provider officer writes operations, parameters and fields by hand, on pages."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.catalogs.models import Catalog
from apps.core.errors import InvalidFact, NotPermitted
from apps.organizations.choices import Role
from apps.registry.actions import add_version, complete_operation, remove_operation, write_operation
from apps.registry.contract import contract_of
from apps.registry.operation_forms import places_in_tree
from tests.factories.catalogs import CatalogFactory
from tests.factories.organizations import OrganizationFactory, officer
from tests.factories.registry import DataServiceFactory, DraftVersionFactory, PublishedVersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner():
    return officer(Role.PROVIDER_OFFICER, OrganizationFactory())


@pytest.fixture
def draft(owner):
    """A draft with nothing in it."""
    return add_version(DataServiceFactory(provider=owner.memberships.get().organization), by=owner)


@pytest.fixture
def commune():
    return CatalogFactory(code="don-vi-hanh-chinh")


def step(version, verb: str = "write") -> str:
    return reverse("portal:version-step", args=[version.uuid, verb])


def sent(form) -> dict:
    """What a browser would send of the page as it stands."""
    boxes = [*form, *form.parameters.management_form, *form.answers.management_form]
    boxes += [box for row in [*form.parameters, *form.answers] for box in row]
    given = {box.html_name: box.value() for box in boxes if not box.field.disabled}
    return {name: value for name, value in given.items() if value is not None and value is not False}


LAND = {
    "name": "Tra cứu thửa đất", "code": "getParcel", "method": "GET", "path": "/parcels/{id}", "answer": "json",
    "codes_day": "30/06/2025", "description": "Theo số thửa",
    "p-0-name": "id", "p-0-location": "path", "p-0-label": "Số thửa", "p-0-pattern": "[0-9]{1,9}", "p-0-max_length": "9",
    "p-0-example": "12", "p-0-is_subject": "on",
    "p-1-name": "xa", "p-1-location": "query", "p-1-label": "Xã", "p-1-max_length": "5",
    "f-0-path": "Data.AREA", "f-0-label": "Diện tích", "f-0-type": "number", "f-0-personal_data": "none",
    "f-1-path": "Status", "f-1-label": "Trạng thái", "f-1-type": "string", "f-1-personal_data": "none", "f-1-is_envelope": "on",
    "f-2-path": "Data.OWNERS[].NAME", "f-2-label": "Chủ sử dụng", "f-2-type": "string", "f-2-personal_data": "basic",
}  # fmt: skip


def test_an_operation_is_written_by_hand_from_nothing(draft, owner, commune, as_person):
    browser = as_person(owner)
    assert step(draft) in browser.get(reverse("portal:version", args=[draft.uuid])).content.decode()
    form = browser.get(step(draft)).context["form"]
    given = {**sent(form), **LAND, "p-1-catalog_code": commune.code, "f-2-catalog_code": commune.code}
    answer = browser.post(step(draft), given)
    assert answer.status_code == 302, answer.context["form"].errors
    operation = contract_of(draft).operations[0]
    assert (operation.code, operation.path, operation.codes_day) == ("getParcel", "/parcels/{id}", "2025-06-30")
    number, place = operation.parameters
    assert (number.name, number.required, number.is_subject, number.pattern) == ("id", True, True, "[0-9]{1,9}")
    assert (place.catalog_code, place.required) == (commune.code, False)
    # What lies in a group stands with it, whatever the order it was typed in.
    assert [field.path for field in operation.fields] == ["Data", "Data.AREA", "Data.OWNERS[]", "Data.OWNERS[].NAME", "Status"]
    owner_name = operation.leaves()["Data.OWNERS[].NAME"]
    assert (owner_name.personal_data, owner_name.catalog_code) == ("basic", commune.code)
    assert operation.leaves()["Status"].is_envelope
    shown = browser.get(reverse("portal:version", args=[draft.uuid])).content.decode()
    assert "Chủ sử dụng" in shown
    assert f"danh mục {commune.code}" in shown


def test_it_is_changed_as_a_whole_and_what_lies_in_a_removed_group_goes_with_it(draft, owner, as_person):
    browser = as_person(owner)
    browser.post(step(draft), {**sent(browser.get(step(draft)).context["form"]), **LAND})
    draft.refresh_from_db()
    page = f"{step(draft)}?operation=getParcel"
    form = browser.get(page).context["form"]
    given = sent(form)
    group = next(row for row in form.answers if row.initial.get("path") == "Data.OWNERS[]")
    more = len(form.answers.initial_forms)
    given |= {f"{group.prefix}-DELETE": "on", "code": "timThua", "p-1-DELETE": "on", f"f-{more}-path": "Data.SHEET",
              f"f-{more}-label": "Tờ bản đồ", "go": "stay"}  # fmt: skip
    answer = browser.post(page, given)
    assert answer.status_code == 302, answer.context["form"].errors
    assert answer.url.endswith("?operation=timThua")
    (operation,) = contract_of(draft).operations
    assert (operation.code, [row.name for row in operation.parameters]) == ("timThua", ["id"])
    assert [field.path for field in operation.fields] == ["Data", "Data.AREA", "Data.SHEET", "Status"]
    assert operation.leaves()["Data.AREA"].label == "Diện tích"


def test_what_is_wrong_stands_beside_its_box_and_nothing_is_lost(draft, owner, as_person):
    browser = as_person(owner)
    wrong = {
        **LAND,
        "p-1-name": "id",
        "p-0-pattern": "(",
        "f-1-path": "Data.AREA",
        "f-2-path": "Data..X",
        "path": "/parcels/{so}",
    }
    answer = browser.post(step(draft), {**sent(browser.get(step(draft)).context["form"]), **wrong})
    form = answer.context["form"]
    assert answer.status_code == 400
    assert set(form.errors) == {"__all__", "path"}
    assert "pattern" in form.parameters[0].errors
    assert "path" in form.answers[2].errors
    assert "xuất hiện hai lần" in " ".join(form.non_field_errors())
    assert "Chủ sử dụng" in answer.content.decode()
    assert not draft.operations.exists()
    absent = browser.post(step(draft), {**sent(form), "name": "", "f-0-label": "x", "f-0-path": ""})
    assert "name" in absent.context["form"].errors
    assert "path" in absent.context["form"].answers[0].errors


def test_a_stale_page_overwrites_nothing(draft, owner, as_person):
    browser = as_person(owner)
    form = sent(browser.get(step(draft)).context["form"])
    assert browser.post(step(draft), {**form, **LAND}).status_code == 302
    answer = browser.post(step(draft), {**form, **LAND, "code": "khac", "path": "/khac/{id}"})
    assert answer.status_code == 409
    assert [operation.code for operation in contract_of(draft).operations] == ["getParcel"]


def test_an_operation_is_taken_out_with_its_sample_but_not_the_last_one(owner, as_person):
    service = DataServiceFactory(provider=owner.memberships.get().organization)
    draft = DraftVersionFactory(service=service)
    first, *rest = [operation.code for operation in contract_of(draft).operations]
    for code in rest:
        remove_operation(draft, code, by=owner)
    write_operation(draft, {"code": "other", "name": "Khác", "path": "/other"}, by=owner)
    draft.interface_spec["samples"] = [{"operation": first, "request": "", "response": {}}]
    draft.save()
    browser = as_person(owner)
    page = step(draft, "remove-operation")
    answer = browser.post(page, {"code": first, "expected": draft.version})
    assert answer.status_code == 302
    draft.refresh_from_db()
    assert [operation.code for operation in contract_of(draft).operations] == ["other"]
    assert draft.interface_spec["samples"] == []
    assert browser.post(page, {"code": "other", "expected": draft.version}).status_code == 400
    assert draft.operations.count() == 1


def test_the_sample_follows_a_new_code(owner):
    draft = DraftVersionFactory(service=DataServiceFactory(provider=owner.memberships.get().organization))
    code = contract_of(draft).operations[0].code
    draft.interface_spec["samples"] = [{"operation": code, "request": "", "response": {"a": 1}}]
    draft.save()
    write_operation(draft, {"code": "moi"}, by=owner, code=code)
    draft.refresh_from_db()
    assert draft.interface_spec["samples"][0]["operation"] == "moi"
    assert contract_of(draft).operations[0].leaves(), "what was not named stays"


def test_only_a_catalog_that_exists_is_bound_and_one_bound_before_is_not_judged_again(owner, commune):
    draft = DraftVersionFactory(service=DataServiceFactory(provider=owner.memberships.get().organization))
    rows = [{"name": "xa", "catalog_code": commune.code}]
    write_operation(draft, {"code": "tim", "name": "Tìm", "path": "/tim", "parameters": rows}, by=owner)
    with pytest.raises(InvalidFact):
        write_operation(draft, {"parameters": [{"name": "xa", "catalog_code": "khong-co"}]}, by=owner, code="tim")
    with pytest.raises(InvalidFact):
        complete_operation(draft, "tim", by=owner, parameters={"xa": {"catalog_code": "khong-co"}})
    Catalog.objects.filter(pk=commune.pk).update(code="ten-moi")
    write_operation(draft, {"name": "Tìm xã", "parameters": rows}, by=owner, code="tim")
    complete_operation(draft, "tim", by=owner, parameters={"xa": {"catalog_code": "ten-moi"}})
    assert draft.operations.get(code="tim").parameters.get().catalog_code == "ten-moi"


def test_the_completion_page_binds_a_parameter_to_a_catalog(owner, commune, as_person):
    draft = DraftVersionFactory(service=DataServiceFactory(provider=owner.memberships.get().organization))
    write_operation(draft, {"code": "tim", "name": "Tìm", "path": "/tim", "parameters": [{"name": "xa"}]}, by=owner)
    browser = as_person(owner)
    page = f"{step(draft, 'operation')}?operation=tim"
    form = browser.get(page).context["form"]
    given = {box.html_name: box.value() for box in form if box.value() not in (None, False)}
    assert browser.post(page, {**given, "p0-catalog_code": commune.code}).status_code == 302
    assert draft.operations.get(code="tim").parameters.get().catalog_code == commune.code


def test_nobody_else_writes_and_nothing_published_is_written(owner, as_person):
    service = DataServiceFactory(provider=owner.memberships.get().organization)
    draft, stranger = DraftVersionFactory(service=service), officer(Role.PROVIDER_OFFICER)
    for person in (stranger, officer(Role.OPERATOR), officer(Role.SIGNER, service.provider)):
        with pytest.raises(NotPermitted):
            write_operation(draft, {"code": "x", "name": "X", "path": "/x"}, by=person)
        with pytest.raises(NotPermitted):
            remove_operation(draft, contract_of(draft).operations[0].code, by=person)
        for verb in ("write", "remove-operation"):
            assert as_person(person).get(step(draft, verb)).status_code in (403, 404)
    live = PublishedVersionFactory(service=service, major=2)
    browser = as_person(owner)
    for verb, facts in (("write", LAND), ("remove-operation", {"code": contract_of(live).operations[0].code})):
        answer = browser.post(step(live, verb), {**facts, "p-TOTAL_FORMS": 0, "p-INITIAL_FORMS": 0, "f-TOTAL_FORMS": 0,
                                                 "f-INITIAL_FORMS": 0})  # fmt: skip
        assert answer.status_code in (403, 404, 409)
    assert browser.get(f"{step(draft)}?operation=khong-co").status_code == 404


def test_a_contract_as_wide_as_is_taken_fits_through_the_page(draft, owner, as_person):
    wide = {"code": "rong", "name": "Rộng", "path": "/rong", "fields": [{"path": f"F{n:04}"} for n in range(400)]}
    write_operation(draft, wide, by=owner)
    draft.refresh_from_db()
    browser = as_person(owner)
    for verb in ("write", "operation"):
        page = f"{step(draft, verb)}?operation=rong"
        form = browser.get(page).context["form"]
        given = (
            sent(form) if verb == "write" else {box.html_name: box.value() for box in form if box.value() not in (None, False)}
        )
        assert len(given) > 1_000, "more than Django takes by itself"
        assert browser.post(page, given).status_code == 302
        draft.refresh_from_db()
    assert draft.operations.get().fields.count() == 400


def test_a_tree_is_read_group_by_group():
    places = places_in_tree(["b", "a.x", "c", "a.y", "a.z[].q"])
    assert sorted(["b", "a.x", "c", "a.y", "a.z[].q"], key=places.__getitem__) == ["b", "a.x", "a.y", "a.z[].q", "c"]
