"""Uploaded interface descriptions: what is taken, what is noted, what is refused."""

from __future__ import annotations

import json
import re
import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.test import APIClient

from apps.core.errors import FactMissing, StaleVersion, TransitionNotAllowed
from apps.organizations.choices import Role
from apps.registry import actions
from apps.registry.choices import CONTAINER_TYPES
from apps.registry.completeness import completeness
from apps.registry.contract import contract_of
from apps.registry.contract_reading import read_contract
from apps.registry.documents import MAX_BYTES, DocumentRefused, keep_completed, read_document
from apps.registry.models import Field
from tests.factories.catalogs import CatalogFactory
from tests.factories.organizations import officer
from tests.factories.registry import BUSINESS_REGISTRATION, DraftVersionFactory, PublishedVersionFactory
from tests.forms import posted

LAND = {
    "openapi": "3.0.3",
    "info": {"title": "Đất đai", "version": "1"},
    "paths": {
        "/parcels/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9]{1,12}$"}}],
            "get": {
                "operationId": "getParcel",
                "summary": "Thửa đất",
                "parameters": [
                    {"$ref": "#/components/parameters/Lang"},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                    {"name": "evil", "in": "query", "schema": {"type": "string", "pattern": "(a+)+$"}},
                ],
                "responses": {
                    "200": {"description": "ok", "content": {"application/json": {
                        "schema": {"$ref": "#/components/schemas/Parcel"}, "example": {"id": "1", "area": 2.5}}}},
                    "404": {"description": "Không có thửa này"},
                },
            },
            "delete": {"responses": {"200": {"description": "gone"}}},
        },
        "/parcels": {
            "get": {"responses": {"200": {"description": "ok", "content": {"application/json": {
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Parcel"}}}}}}},
        },
    },
    "components": {
        "parameters": {"Lang": {"name": "lang", "in": "query", "schema": {"type": "string", "maxLength": 2}}},
        "schemas": {
            "Base": {"type": "object", "properties": {"id": {"type": "string", "title": "Mã thửa"}}},
            "Parcel": {
                "allOf": [{"$ref": "#/components/schemas/Base"}],
                "properties": {
                    "area": {"type": "number"},
                    "issued": {"type": "string", "format": "date"},
                    "owners": {"type": "array", "items": {"type": "object", "properties": {
                        "name": {"type": ["string", "null"], "description": "Họ và tên"}, "tags": {"type": "array", "items": {"type": "string"}}}}},
                    "parent": {"$ref": "#/components/schemas/Parcel"},
                    "bad.name": {"type": "string"},
                },
            },
        },
    },
}  # fmt: skip

WSDL = """<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
  xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t">
 <wsdl:types><xs:schema targetNamespace="urn:t">
  <xs:element name="Hoi"><xs:complexType><xs:sequence><xs:element name="SoDinhDanh" type="xs:string"/>
    <xs:element name="Nam" type="xs:int" minOccurs="0"/></xs:sequence></xs:complexType></xs:element>
  <xs:element name="KetQua"><xs:complexType><xs:sequence>
    <xs:element name="CongDan" type="t:CongDan" maxOccurs="unbounded"/></xs:sequence>
    <xs:attribute name="GhiChu" type="xs:string"/></xs:complexType></xs:element>
  <xs:complexType name="CongDan"><xs:complexContent><xs:extension base="t:Nguoi"><xs:sequence>
    <xs:element name="NgaySinh" type="t:Ngay"/><xs:element name="Cha" type="t:CongDan" minOccurs="0"/>
    </xs:sequence></xs:extension></xs:complexContent></xs:complexType>
  <xs:complexType name="Nguoi"><xs:sequence><xs:element name="HoTen"><xs:annotation><xs:documentation>Họ và tên</xs:documentation>
    </xs:annotation><xs:simpleType><xs:restriction base="xs:string"/></xs:simpleType></xs:element></xs:sequence></xs:complexType>
  <xs:simpleType name="Ngay"><xs:restriction base="xs:date"/></xs:simpleType>
 </xs:schema></wsdl:types>
 <wsdl:message name="In"><wsdl:part name="p" element="t:Hoi"/></wsdl:message>
 <wsdl:message name="Out"><wsdl:part name="p" element="t:KetQua"/></wsdl:message>
 <wsdl:portType name="P"><wsdl:operation name="TraCuu"><wsdl:documentation>Tra cứu công dân</wsdl:documentation>
  <wsdl:input message="t:In"/><wsdl:output message="t:Out"/></wsdl:operation></wsdl:portType>
 <wsdl:binding name="B" type="t:P"><wsdl:operation name="TraCuu"><soap:operation soapAction="urn:tracuu"/></wsdl:operation></wsdl:binding>
</wsdl:definitions>"""


def read(document) -> tuple[dict, list[str]]:
    content = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    reading = read_document(content)
    return reading.data, reading.notes


def test_openapi_gives_operations_parameters_and_the_tree():
    data, notes = read(LAND)
    one, many = sorted(data["operations"], key=lambda op: op["path"], reverse=True)
    assert (one["code"], one["name"], one["method"], one["path"]) == ("getParcel", "Thửa đất", "GET", "/parcels/{id}")
    assert [(p["name"], p["location"], p["required"], p["pattern"], p["max_length"]) for p in one["parameters"]] == [
        ("id", "path", True, "^[0-9]{1,12}$", 200), ("lang", "query", False, "", 2), ("evil", "query", False, "", 200),
    ]  # fmt: skip
    fields = {field["path"]: field for field in one["fields"]}
    assert {path: field["type"] for path, field in fields.items()} == {
        "area": "number", "issued": "date", "owners[]": "array", "owners[].name": "string", "owners[].tags[]": "string", "id": "string",
    }  # fmt: skip
    assert (fields["id"]["label"], fields["owners[].name"]["label"]) == ("Mã thửa", "Họ và tên")
    assert "[].owners[].name" in {field["path"] for field in many["fields"]}
    assert data["samples"] == [{"operation": "getParcel", "request": "", "response": {"id": "1", "area": 2.5}}]
    assert data["errors"] == [{"code": "404", "meaning": "Không có thửa này"}]
    told = " ".join(notes)
    for word in ("DELETE", "X-Trace", "bad.name", "evil", "parent"):
        assert word in told, word
    read_contract(data)


def test_yaml_says_the_same_as_json():
    import yaml

    dumper = yaml.SafeDumper
    dumper.ignore_aliases = lambda *args: True
    text = yaml.dump(LAND, Dumper=dumper, allow_unicode=True, sort_keys=False)
    assert read_document(text.encode()).data == read_document(json.dumps(LAND).encode()).data


def test_wsdl_gives_operations_and_the_tree():
    data, notes = read(WSDL)
    (operation,) = data["operations"]
    assert (operation["code"], operation["name"], operation["method"]) == ("TraCuu", "Tra cứu công dân", "POST")
    assert "urn:tracuu" in operation["description"]
    assert [(p["name"], p["required"]) for p in operation["parameters"]] == [("SoDinhDanh", True), ("Nam", False)]
    assert {field["path"]: field["type"] for field in operation["fields"]} == {
        "KetQua": "object", "KetQua.CongDan[]": "array", "KetQua.CongDan[].HoTen": "string", "KetQua.CongDan[].NgaySinh": "date",
        "KetQua.@GhiChu": "string",
    }  # fmt: skip
    assert "Cha" in " ".join(notes)
    read_contract(data)


def nested(depth: int) -> dict:
    schema: dict = {"type": "string"}
    for _i in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


PLAIN = {"type": "object", "properties": {"a": {"type": "string"}}}


def openapi(schema, **body) -> dict:
    answer = {"200": {"description": "ok", "content": {"application/json": {"schema": schema, **body}}}}
    return {"openapi": "3.0.0", "paths": {"/x": {"get": {"responses": answer}}}}


def ref(target: str) -> dict:
    return openapi({"$ref": target})


LAUGHS = '<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;">]>'
WIDE = {"components": {"schemas": {f"S{n}": {"type": "object", "properties": {
    f"p{i}": {"$ref": f"#/components/schemas/S{n + 1}"} for i in range(10)}} for n in range(12)}}}  # fmt: skip
WIDE["components"]["schemas"]["S12"] = {"type": "string"}

HOSTILE = {
    "xml with a document type": (WSDL.replace("<wsdl:definitions", LAUGHS + "<wsdl:definitions", 1), "entities"),
    "xml with an external entity": (
        WSDL.replace("<wsdl:def", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><wsdl:def', 1), "entities"),
    "xml with a parameter entity": (
        WSDL.replace("<wsdl:def", '<!DOCTYPE x [<!ENTITY % e SYSTEM "http://127.0.0.1:9/x">%e;]><wsdl:def', 1), "entities"),
    "wsdl import": (WSDL.replace("<wsdl:types>", '<wsdl:import namespace="x" location="http://127.0.0.1:9/x.wsdl"/><wsdl:types>'),
                    "remote_reference"),
    "schema import": (WSDL.replace('<xs:element name="Hoi">',
                                   '<xs:include schemaLocation="file:///etc/passwd"/><xs:element name="Hoi">'), "remote_reference"),
    "deep xml": ("<a>" * 5000 + "</a>" * 5000, "too_deep"),
    "many elements": ("<a>" + "<b/>" * 70_000 + "</a>", "too_many"),
    "broken xml": ("<wsdl:definitions", "malformed"),
    "another xml": ("<html/>", "unknown"),
    "remote reference": (ref("http://127.0.0.1:9/evil.json#/x"), "remote_reference"),
    "file reference": (ref("file:///etc/passwd"), "remote_reference"),
    "relative reference": (ref("other.yaml#/components/schemas/X"), "remote_reference"),
    "broken reference": (ref("#/components/schemas/Missing"), "broken_reference"),
    "reference to itself": ({**ref("#/components/schemas/A"), "components": {"schemas": {
        "A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}}}, "too_many"),
    "exponential allOf": ({**ref("#/components/schemas/L0"), "components": {"schemas": {
        f"L{n}": {"allOf": [{"$ref": f"#/components/schemas/L{n + 1}"}] * 4} for n in range(45)}}}, "too_many|broken_reference"),
    "deep json": ("[" * 100_000, "too_deep"),
    "deep object": (json.dumps({"openapi": "3.0.0", "paths": nested(80)}), "too_deep"),
    "many values": (json.dumps({"openapi": "3.0.0", "paths": {}, "x": list(range(70_000))}), "too_many"),
    "yaml laughs": ("openapi: 3.0.0\na: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "aliases"),
    "yaml object": ("openapi: !!python/object/apply:os.getcwd []\n", "malformed"),
    "deep yaml": ("openapi: 3.0.0\nx: " + "[" * 5000, "too_deep|malformed"),
    "swagger 2": (json.dumps({"swagger": "2.0", "paths": {}}), "version"),
    "openapi 4": (json.dumps({"openapi": "4.0.0", "paths": {}}), "version"),
    "no operations": (json.dumps({"openapi": "3.1.0", "paths": {}}), "no_operations"),
    "a list": ("[1]", "unknown"),
    "NaN": ('{"openapi": NaN}', "malformed"),
    "NUL in an example": (json.dumps(openapi(PLAIN, example={"a": "x\0y"})), "unstorable"),
    "half a character": (json.dumps(openapi(PLAIN, example={"a": "\ud800"})), "unstorable"),
    "half a character in a name": (json.dumps({"openapi": "3.0.0", "paths": {}, "x\udfff": 1}), "unstorable"),
    "a number without an end": (json.dumps({"openapi": "3.0.0", "paths": {}, "x": 1}).replace("1}", "1e999}"), "unstorable"),
    "a yaml number that is none": ("openapi: 3.0.0\npaths: {}\nx: .nan\n", "unstorable"),
    "plain text": ("xin chào", "unknown"),
    "empty": ("", "unknown"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_are_refused_quickly_with_a_stable_reason(name):
    document, reasons = HOSTILE[name]
    begun = time.thread_time()  # what it costs, not how long it waits for a busy machine
    with pytest.raises(DocumentRefused) as caught:
        read(document)
    assert caught.value.reason in reasons.split("|")
    assert caught.value.code == "document_refused"
    assert time.thread_time() - begun < 10


@pytest.mark.parametrize(("document", "place"), [
    (json.dumps(ref("other.yaml#/X")), "other.yaml#/X"), ("openapi: 3.0.0\npaths:\n  - a\n  b: c\n", "line 4"),
    ('{"openapi": "3.0.0",}', "line 1"),
    (json.dumps({"openapi": "3.0.0", "paths": {"/doanh-nghiep/{so-thue}": {"get": {"responses": {}}}}}), "/doanh-nghiep/{so-thue}"),
])  # fmt: skip
def test_a_refusal_says_where(document, place):
    with pytest.raises(DocumentRefused) as caught:
        read(document)
    (told,) = caught.value.extra["fields"]["file"]
    assert place in told


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b" " * (MAX_BYTES + 1), "too_large"),
        ("<a/>".encode("utf-16"), "encoding"),
        ("đ".encode("cp1258", "replace") + b"\xff", "encoding"),
        (b"PK\x03\x04", "unknown"),
        (b"%PDF-1.7", "unknown"),
        (b"{\x00}", "encoding"),
    ],
)
def test_what_is_no_text_document_is_refused(content, reason):
    with pytest.raises(DocumentRefused) as caught:
        read_document(content)
    assert caught.value.reason == reason


def test_what_is_odd_but_harmless_is_read_and_what_cannot_be_granted_is_told():
    """A document of an hour's work is not lost to one list of lists (GeoJSON), one great number, one format that is no text."""
    shape = {"type": "object", "properties": {
        "place": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, "name": {"type": "string", "format": ["x"]},
    }}  # fmt: skip
    data, notes = read(openapi(shape, example={"name": 10**30}))
    read_contract(data)
    assert [field["path"] for field in data["operations"][0]["fields"]] == ["name"]
    assert data["samples"] == []
    assert any("place[]" in note for note in notes)


def test_an_element_with_a_dot_in_its_name_is_left_out_and_told():
    """A path parts its names by dots: the field would be asked for and never found."""
    data, notes = read(WSDL.replace('name="HoTen"', 'name="Ho.Ten"'))
    assert not [field for field in data["operations"][0]["fields"] if "ten" in field["path"].lower()]
    assert any("Ho.Ten" in note for note in notes)


def test_ten_to_the_twelfth_fields_are_cut_and_said():
    data, notes = read({**ref("#/components/schemas/S0"), **WIDE})
    assert len(data["operations"][0]["fields"]) == 2_000
    assert notes


def test_a_tree_deeper_than_is_granted_is_cut_and_said():
    data, notes = read(openapi(nested(25)))
    assert max(field["path"].count(".") for field in data["operations"][0]["fields"]) <= 16
    assert notes


# --- the verb --------------------------------------------------------------------------------------


@pytest.mark.django_db
class TestImporting:
    @pytest.fixture
    def draft(self):
        return DraftVersionFactory()

    @pytest.fixture
    def owner(self, draft):
        return officer(Role.PROVIDER_OFFICER, draft.service.provider)

    def test_what_people_completed_is_kept_when_the_document_comes_again(self, draft, owner):
        CatalogFactory(code="parcels")
        actions.import_document(draft, json.dumps(LAND).encode(), by=owner)
        completed = {"getParcel": {"owners[].name": {"label": "Chủ sử dụng", "personal_data": "basic"},
                                   "area": {"label": "Diện tích"}, "id": {"catalog_code": "parcels"}}}  # fmt: skip
        actions.complete_fields(draft, completed, by=owner)
        actions.import_document(draft, json.dumps(LAND).encode(), by=owner)
        fields = {spec.path: spec for spec in contract_of(draft).operations[0].fields}
        assert fields["owners[].name"].personal_data == "basic"
        assert fields["area"].label == "Diện tích"
        assert fields["id"].catalog_code == "parcels"
        assert fields["owners[].name"].label == "Họ và tên"  # what the document says wins over what was typed

    def test_ag_20_no_field_of_a_document_has_a_class_before_a_person_says_it(self, draft, owner):
        actions.import_document(draft, json.dumps(LAND).encode(), by=owner)
        fields = Field.objects.filter(operation__version=draft)
        leaves, groups = fields.exclude(type__in=CONTAINER_TYPES), fields.filter(type__in=CONTAINER_TYPES)
        assert set(leaves.values_list("personal_data", flat=True)) == {""}
        assert set(groups.values_list("personal_data", flat=True)) == {"none"}
        missing = {item.code: item.hint for item in completeness(draft).missing}
        assert "owners[].name" in missing["classes"]
        client = Client()
        client.force_login(owner)
        told = client.get(f"/api/v1/service-versions/{draft.uuid}").json()["operations"][0]["fields"]
        assert {row["personal_data"] for row in told if row["is_leaf"]} == {""}
        page = client.get(f"/portal/service-versions/{draft.uuid}/").content.decode()
        assert page.count("chưa phân loại") >= leaves.count()

    def test_ag_20_the_document_that_comes_again_leaves_open_what_it_changes(self, draft, owner):
        actions.import_document(draft, json.dumps(LAND).encode(), by=owner)
        said = {}
        for operation in contract_of(draft).operations:
            said[operation.code] = {path: {"personal_data": "none"} for path in operation.leaves()}
        actions.complete_fields(draft, said, by=owner)
        again = json.loads(json.dumps(LAND))
        again["components"]["schemas"]["Parcel"]["properties"] |= {"area": {"type": "string"}, "price": {"type": "number"}}
        actions.import_document(draft, json.dumps(again).encode(), by=owner)
        leaves = contract_of(draft).operations[0].leaves()
        assert {path for path, spec in leaves.items() if spec.personal_data == ""} == {"area", "price"}

    def test_samples_and_errors_written_by_hand_survive(self):
        present = read_contract(BUSINESS_REGISTRATION)
        data = {"operations": [{"code": "chiTietDoanhNghiep", "fields": [], "parameters": []}], "samples": [], "errors": []}
        kept = keep_completed(data, present)
        assert [row["operation"] for row in kept["samples"]] == ["chiTietDoanhNghiep"]
        assert len(kept["errors"]) == 2

    def test_master_data_is_said_of_a_field_by_hand_and_kept_when_the_document_comes_again(self, draft, owner):
        document = json.dumps(LAND).encode()
        actions.import_document(draft, document, by=owner)
        assert not draft.operations.get(code="getParcel").fields.filter(is_master_data=True).exists()
        actions.complete_fields(draft, {"getParcel": {"area": {"is_master_data": True}}}, by=owner)
        actions.import_document(draft, document, by=owner)
        marked = draft.operations.get(code="getParcel").fields.filter(is_master_data=True)
        assert [field.path for field in marked] == ["area"]
        client = Client()
        client.force_login(owner)
        fields = client.get(f"/api/v1/service-versions/{draft.uuid}").json()["operations"][0]["fields"]
        assert [row["path"] for row in fields if row["is_master_data"]] == ["area"]
        page = f"/portal/service-versions/{draft.uuid}/"
        assert client.get(page).content.decode().count("(dữ liệu chủ)") == 1
        boxes = client.get(f"{page}do/operation/?operation=getParcel").content.decode()
        assert re.search(r'name="f\d+-is_master_data"[^>]* checked', boxes)
        given = {name: value for name, value in posted(boxes).items() if not name.endswith("is_master_data")}
        answer = client.post(f"{page}do/operation/?operation=getParcel", given)
        assert answer.status_code == 302, answer.content.decode()[-2000:]
        assert not draft.operations.get(code="getParcel").fields.filter(is_master_data=True).exists()

    MESSAGE = {
        "action": "urn:tracuu", "namespace": "urn:t", "request": "Hoi", "response": "KetQua", "response_namespace": "urn:t",
        "elements": [{"path": "MaYeuCau", "source": "call_id"}, {"path": "Dau.SoDinhDanh", "parameter": "SoDinhDanh"},
                     {"path": "Dau.Nam", "parameter": "Nam"}],
    }  # fmt: skip

    def test_how_a_soap_message_is_made_is_kept_when_the_wsdl_comes_again(self, draft, owner):
        actions.import_document(draft, WSDL.encode(), by=owner)
        data = contract_of(draft).as_data()
        by_hand = {
            "soap": self.MESSAGE,
            "path": "/TraCuuService.svc",
            "description": "Tra theo số định danh",
            "codes_day": "2025-06-30",
        }
        data["operations"][0].update(by_hand)
        data["operations"][0]["parameters"][0]["example"] = "001"
        actions.define_contract(draft, json.loads(json.dumps(data)), by=owner)
        before = contract_of(draft)
        reading = actions.import_document(draft, WSDL.encode(), by=owner)
        assert contract_of(draft) == before
        assert not any("TraCuu" in note and "SOAP" in note for note in reading.notes)

    def test_a_parameter_that_is_gone_and_one_that_is_new_do_not_break_the_message(self, draft, owner):
        actions.import_document(draft, WSDL.encode(), by=owner)
        data = contract_of(draft).as_data()
        data["operations"][0]["soap"] = self.MESSAGE
        actions.define_contract(draft, json.loads(json.dumps(data)), by=owner)
        reading = actions.import_document(draft, WSDL.replace('name="Nam"', 'name="Thang"').encode(), by=owner)
        elements = contract_of(draft).operations[0].soap["elements"]
        assert elements == [*self.MESSAGE["elements"][:2], {"path": "Thang", "parameter": "Thang"}]
        assert any("TraCuu" in note and "Thang" in note for note in reading.notes)

    def test_a_field_that_does_not_exist_cannot_be_completed(self, draft, owner):
        from apps.core.errors import InvalidFact

        for facts in ({"chiTietDoanhNghiep": {"khong.co": {"label": "x"}}}, {"khong": {"a": {}}},
                      {"chiTietDoanhNghiep": {"Status": {"path": "khac"}}}):  # fmt: skip
            with pytest.raises(InvalidFact):
                actions.complete_fields(draft, facts, by=owner)

    def test_a_published_version_and_a_stale_page_are_refused(self, draft, owner):
        seen = draft.version
        actions.import_document(draft, json.dumps(LAND).encode(), by=owner, expected=seen)
        with pytest.raises(StaleVersion):
            actions.import_document(draft, json.dumps(LAND).encode(), by=owner, expected=seen)
        live = PublishedVersionFactory(service=draft.service, major=3)
        with pytest.raises(TransitionNotAllowed):
            actions.import_document(live, json.dumps(LAND).encode(), by=owner)

    def test_a_refused_document_changes_nothing(self, draft, owner):
        before = contract_of(draft)
        with pytest.raises(DocumentRefused):
            actions.import_document(draft, b"<a/>", by=owner)
        assert contract_of(draft) == before

    def test_by_api_with_its_notes(self, draft, owner):
        client = APIClient()
        client.force_login(owner)
        path = f"/api/v1/service-versions/{draft.uuid}/document"
        answer = client.post(path, {"file": SimpleUploadedFile("a.json", json.dumps(LAND).encode())}, format="multipart")
        assert answer.status_code == 200
        assert set(answer.json()["operations"]) == {"getParcel", "get_parcels"}
        assert answer.json()["notes"]
        bad = client.post(path, {"file": SimpleUploadedFile("a.xml", b"<!DOCTYPE a []><a/>")}, format="multipart")
        assert (bad.status_code, bad.json()["code"], bad.json()["reason"]) == (400, "document_refused", "entities")

    def test_cc_03_by_api_an_upload_on_a_former_version_leaves_what_a_colleague_wrote_since(self, draft, owner):
        client, seen = APIClient(), draft.version
        client.force_login(owner)
        colleague = officer(Role.PROVIDER_OFFICER, draft.service.provider)
        actions.write_operation(draft, {"code": "tuTay", "name": "Viết tay", "path": "/tu-tay"}, by=colleague)

        def upload(asked: str):
            file = SimpleUploadedFile("a.json", json.dumps(LAND).encode())
            answer = client.post(f"/api/v1/service-versions/{draft.uuid}/document{asked}", {"file": file}, format="multipart")
            draft.refresh_from_db()
            return answer, {operation.code for operation in contract_of(draft).operations}

        late, codes = upload(f"?version={seen}")
        assert (late.status_code, late.json()["code"], late.json()["version"]) == (409, "stale_version", draft.version)
        assert "tuTay" in codes
        assert upload("?version=x")[0].status_code == 400
        done, codes = upload(f"?version={draft.version}")
        assert (done.status_code, "tuTay" in codes) == (200, False)
        assert upload("")[0].status_code == 200, "who names none decides on what is there"

    def test_by_hand_with_the_table_to_complete(self, draft, owner, client):
        client.force_login(owner)
        base = f"/admin/registry/serviceversion/{draft.uuid}/do"
        file = SimpleUploadedFile("a.json", json.dumps(LAND).encode())
        assert client.post(f"{base}/document/", {"file": file, "expected": draft.version}).status_code == 302
        draft.refresh_from_db()
        page = client.get(f"{base}/fields/?operation=getParcel")
        form = page.context["form"]
        box = next(row["boxes"] for row in form.table() if row["field"].path == "owners[].name")
        given = {name: field.value() or "" for name, field in ((b.html_name, b) for b in form)}
        given = {name: value for name, value in given.items() if value not in (False, None)}
        given[box["personal_data"].html_name] = "sensitive"
        answer = client.post(f"{base}/fields/", given)
        assert answer.status_code == 302, answer.content.decode()
        stored = {spec.path: spec for spec in contract_of(draft).operations[0].fields}
        assert stored["owners[].name"].personal_data == "sensitive"
        both = client.post(f"{base}/document/", {"url": "http://169.254.169.254/x", "expected": ""})
        assert both.status_code in (400, 502)


def test_a_document_that_does_not_fit_the_protocol_of_the_service_is_told(db):
    draft = DraftVersionFactory()
    by = officer(Role.PROVIDER_OFFICER, draft.service.provider)
    content = json.dumps(LAND).encode()
    before = actions.import_document(draft, content, by=by).notes
    draft.service.protocol = "soap"
    draft.service.save()
    draft.refresh_from_db()
    told = actions.import_document(draft, content, by=by).notes
    assert told[1:] == before
    assert "SOAP/XML" in told[0]


@pytest.mark.parametrize(("document", "protocol", "fits"), [
    ("openapi", "rest", True), ("openapi", "soap", False), ("wsdl", "soap", True), ("wsdl", "rest", False),
])  # fmt: skip
def test_what_was_read_can_be_published_only_under_its_own_protocol(db, document, protocol, fits):
    draft = DraftVersionFactory(service__protocol=protocol)
    by = officer(Role.PROVIDER_OFFICER, draft.service.provider)
    actions.import_document(draft, json.dumps(LAND).encode() if document == "openapi" else WSDL.encode(), by=by)
    missing = {item.code: item.hint for item in completeness(draft).missing}
    assert ("protocol" not in missing) == fits
    if not fits:
        assert draft.service.get_protocol_display() in missing["protocol"]
        with pytest.raises(FactMissing) as refusal:
            actions.publish_version(draft, by=by)
        assert "protocol" in refusal.value.extra["fields"]
