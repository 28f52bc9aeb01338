"""A SOAP provider behind a JSON operation: the population look-up, with the sandbox as the upstream, over the real gateway."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone

from apps.core.epoch import current_epoch
from apps.core.errors import InvalidFact
from apps.gateway.models import CallIntent, CallOutcome
from apps.gateway.soap import message_of, write_request
from apps.registry.contract import write_contract
from apps.registry.contract_reading import read_contract
from apps.registry.models import Operation, ServiceVersion, Upstream
from apps.sandbox import population
from tests.factories.organizations import InformationSystemFactory, MinistryFactory, OrganizationFactory
from tests.factories.registry import DataServiceFactory, PurposeFactory
from tests.gateway.conftest import ask_token, send, wait_for_epoch
from tests.gateway.processes import GatewayProcess, database_url
from tests.gateway.world import make_credential, make_grant
from tests.sandbox.process import KEY, SECRET, SandboxProcess

CONTRACT = {
    "operations": [
        {
            "code": "citizen", "name": "Tra cứu thông tin công dân", "method": "GET", "path": "/citizens/{so_dinh_danh}",
            "soap": {
                "action": "", "namespace": population.ASKS, "request": "TraCuuThongTinCongDan", "response": "CongdanCollection",
                "response_namespace": population.ANSWERS,
                "elements": [
                    {"path": "MaYeuCau", "source": "call_id"}, {"path": "MaDVC", "value": "1.001"}, {"path": "MaTichHop", "value": "037"},
                    {"path": "MaCanBo", "source": "system"}, {"path": "SoDinhDanh", "parameter": "so_dinh_danh"},
                    {"path": "HoVaTen", "parameter": "ho_va_ten"},
                    {"path": "NgayThangNamSinh.NgayThangNam", "parameter": "ngay_sinh"},
                    {"path": "NgayThangNamSinh.Nam", "parameter": "nam_sinh"},
                ],
            },
            "parameters": [
                {"name": "so_dinh_danh", "location": "path", "pattern": "[0-9]{12}", "is_subject": True},
                {"name": "ho_va_ten", "required": True}, {"name": "ngay_sinh"}, {"name": "nam_sinh"},
            ],
            "fields": [
                {"path": "@SoCongDan", "is_envelope": True}, {"path": "CongDan.SoDinhDanh", "personal_data": "basic"},
                {"path": "CongDan.HoVaTen.Ho", "personal_data": "basic"}, {"path": "CongDan.HoVaTen.Ten", "personal_data": "basic"},
                {"path": "CongDan.ThuongTru.MaPhuongXa", "catalog_code": "administrative-units/commune"},
                {"path": "CongDan.Cha.HoVaTen.Ten", "personal_data": "sensitive"},
            ],
        }
    ]
}  # fmt: skip
BROKEN = {
    "code": "broken", "name": "Thiếu đầu thông điệp", "path": "/broken/{so_dinh_danh}", "parameters": [{"name": "so_dinh_danh", "location": "path"}],
    "soap": {**CONTRACT["operations"][0]["soap"], "elements": [{"path": "SoDinhDanh", "parameter": "so_dinh_danh"}]},
    "fields": [{"path": "CongDan.SoDinhDanh"}],
}  # fmt: skip
"""The sandbox refuses its message: the head is missing."""
GRANTED = ["CongDan.HoVaTen.Ho", "CongDan.HoVaTen.Ten", "CongDan.ThuongTru.MaPhuongXa"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def sandbox():
    process = SandboxProcess()
    yield process
    process.stop()


@pytest.fixture
def service(transactional_db, sandbox):
    """The registered service, its consumer's token, and a function that calls it."""
    found = DataServiceFactory(provider=MinistryFactory(), protocol="soap")
    version = ServiceVersion.objects.create(service=found, major=1, status="draft")
    write_contract(version, read_contract({"operations": [*CONTRACT["operations"], BROKEN]}))
    secret = {"username": KEY, "secret_key": SECRET, "auth_url": population.AUTH_URL, "headers": {"X-Road-Client": "VN/GOV/T"}}
    Upstream.objects.create(
        version=version, environment="production", base_url=sandbox.url + "/dancu", auth_kind="c06", secret=json.dumps(secret)
    )
    ServiceVersion.objects.filter(pk=version.pk).update(status="published", published_at=timezone.now())
    return found


@pytest.fixture
def ask(service, sandbox):
    operation, broken = Operation.objects.filter(version__service=service).order_by("id")
    system = InformationSystemFactory(organization=OrganizationFactory())
    purpose = PurposeFactory()
    _agreement, grant = make_grant(operation, system, purpose, fields=GRANTED)
    make_grant(broken, system, purpose, fields=["CongDan.SoDinhDanh"])
    credential, secret = make_credential(system)
    process = GatewayProcess(database_url(), allow=[f"127.0.0.1:{sandbox.port}"]).start()
    wait_for_epoch(process.url, current_epoch())
    token = ask_token(process.url, credential.client_id, secret)

    def _ask(path: str = "", method: str = "GET", body: bytes | None = None, **headers):
        given = {"Authorization": f"Bearer {token}", "X-Purpose-Code": purpose.code} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        return send(process.url, method, f"/gw/{service.code}/v1{path}", given, body)

    _ask.grant = grant
    yield _ask
    process.stop()


def address(number: int, **more: str) -> str:
    from urllib.parse import quote

    who = population.person(number)
    query = "&".join(f"{name}={quote(value)}" for name, value in {"ho_va_ten": population.full_name(who), **more}.items())
    return f"/citizens/{who['SoDinhDanh']}?{query}"


def test_the_population_look_up_gives_the_granted_fields_as_json(ask, sandbox):
    who = population.person(7)
    answer = ask(address(7, ngay_sinh=who["Ngay"]))
    assert answer.status == 200, answer.body
    assert answer.json == {
        "@SoCongDan": "1",
        "CongDan": {"HoVaTen": {"Ho": who["Ho"], "Ten": who["Ten"]}, "ThuongTru": {"MaPhuongXa": who["commune"]}},
    }
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.headers["x-withheld-fields"].split(", ")) == {"CongDan.SoDinhDanh", "CongDan.Cha.HoVaTen.Ten"}
    (seen,) = [row for row in sandbox.received() if row["call_id"] == answer.call_id]
    assert (seen["method"], seen["path"]) == ("POST", "/dancu")
    assert {"soapaction", "timestamp", "x-road-client", "x-consumer-system"} <= set(seen["header_names"])
    outcome = CallOutcome.objects.get()
    assert set(outcome.delivered.names) == {"@SoCongDan", *GRANTED}
    assert len(bytes(outcome.subject)) == 16


def test_nobody_found_is_an_empty_answer_and_not_an_error(ask):
    who = population.person(7)
    assert ask(address(7, nam_sinh=who["Ngay"][:4])).json["CongDan"]["HoVaTen"]["Ho"] == who["Ho"]
    assert ask(address(7, ngay_sinh="19010101")).json == {"@SoCongDan": "0"}


def test_what_the_contract_asks_of_parameters_holds_for_soap_too(ask, sandbox):
    assert ask("/citizens/12?ho_va_ten=A").code == "parameter_invalid"
    assert ask(address(7), method="POST").code == "method_not_allowed"
    assert ask("/citizens/099000000007").code == "parameter_missing"
    assert CallIntent.objects.count() == 0


def test_a_value_cannot_leave_its_element(ask, sandbox):
    answer = ask("/citizens/099000000007?ho_va_ten=A%3C%2FHoVaTen%3E%3CMaTichHop%3E033%3C%2FMaTichHop%3E")
    assert answer.json == {"@SoCongDan": "0"}


def test_a_fault_of_the_provider_is_told_by_code_and_its_text_stays_there(ask):
    answer = ask("/broken/099000000007")
    assert (answer.status, answer.code) == (400, "provider_refused")
    assert "head of the request" not in answer.body.decode()
    outcome = CallOutcome.objects.get()
    assert (outcome.outcome, outcome.code, outcome.provider_status) == ("provider_error", "provider_refused", 500)


def test_a_message_is_written_in_the_order_of_the_contract_with_groups_together():
    message = message_of(json.dumps(CONTRACT["operations"][0]["soap"]))
    text = write_request(
        message, {"so_dinh_danh": "1", "nam_sinh": "1990", "ho_va_ten": "<&>"}, {"call_id": "c", "system": "s"}
    ).decode()
    assert (
        "<MaYeuCau>c</MaYeuCau><MaDVC>1.001</MaDVC><MaTichHop>037</MaTichHop><MaCanBo>s</MaCanBo><SoDinhDanh>1</SoDinhDanh>"
        in text
    )
    assert (
        "<HoVaTen>&lt;&amp;&gt;</HoVaTen><NgayThangNamSinh><Nam>1990</Nam></NgayThangNamSinh></TraCuuThongTinCongDan>" in text
    )


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"request": "a b"}, "request"), ({"elements": [{"path": "A", "value": "<x/>"}]}, "elements[0]"), ({"more": 1}, "soap"),
        ({"elements": [{"path": "A", "parameter": "x", "value": "1"}]}, "elements[0]"), ({"action": 'a"\r\nX: y'}, "action"),
        ({"elements": [{"path": "A", "source": "secret"}]}, "elements[0]"), ({"response": ""}, "response"),
    ],
)  # fmt: skip
def test_a_message_that_is_not_well_described_is_no_contract(change, place):
    data = json.loads(json.dumps(CONTRACT))
    data["operations"][0]["soap"] |= change
    with pytest.raises(InvalidFact) as caught:
        read_contract(data)
    assert place in str(caught.value.extra["fields"]["operations[0].soap"])


def test_a_parameter_that_no_element_sends_is_no_contract():
    data = json.loads(json.dumps(CONTRACT))
    data["operations"][0]["parameters"].append({"name": "mat_tich"})
    with pytest.raises(InvalidFact) as caught:
        read_contract(data)
    assert "mat_tich" in str(caught.value.extra["fields"]["operations[0].soap"])


def test_a_contract_survives_being_stored(service):
    from apps.registry.contract import contract_of

    stored = contract_of(ServiceVersion.objects.get(service=service))
    assert stored.operations[0].soap == CONTRACT["operations"][0]["soap"]
    assert read_contract(stored.as_data()) == stored


# --- an answer in XML without SOAP ---------------------------------------------------------------

XML = b'<?xml version="1.0"?><Ket xmlns="urn:ho-so" So="2" Bi="canary"><HoSo><Ma>1</Ma><Ten>canary</Ten></HoSo><HoSo><Ma>2</Ma></HoSo></Ket>'


@pytest.fixture
def ask_xml(call, world, provider):
    version = ServiceVersion.objects.create(service=world.service, major=2, status="draft")
    fields = [{"path": "@So", "is_envelope": True}, {"path": "HoSo[].Ma"}, {"path": "HoSo[].Ten"}]
    (operation,) = write_contract(version, read_contract({"operations": [
        {"code": "dossiers", "name": "Hồ sơ", "path": "/dossiers", "answer": "xml", "fields": fields}
    ]}))  # fmt: skip
    Upstream.objects.create(version=version, environment="production", base_url=provider.url + "/api")
    world.change(version, "serviceversion", status="published", published_at=timezone.now())
    _agreement, grant = make_grant(operation, world.system, world.purpose, fields=["HoSo[].Ma"])
    world.change(grant, "grant", status="active")

    def _ask(raw: bytes = XML, content_type: str = "application/xml"):
        provider.answer("/api/dossiers", raw=raw, headers={"Content-Type": content_type})
        return call(f"/gw/{world.service.code}/v2/dossiers")

    return _ask


def test_an_xml_answer_is_cut_like_any_other(ask_xml):
    answer = ask_xml()
    assert answer.status == 200, answer.body
    assert answer.body.decode().partition("\n")[2] == (
        '<Ket xmlns="urn:ho-so" So="2"><HoSo><Ma>1</Ma></HoSo><HoSo><Ma>2</Ma></HoSo></Ket>'
    )
    assert (answer.headers["content-type"], answer.headers["x-withheld-fields"]) == ("application/xml", "HoSo[].Ten")
    assert set(CallOutcome.objects.get().delivered.names) == {"@So", "HoSo[].Ma"}


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [(b"<Ket>", "application/xml"), (b'<!DOCTYPE Ket [<!ENTITY x "y">]><Ket/>', "application/xml"), (b'{"HoSo": []}', "application/json"),
     (XML, "text/html"), (XML, "application/xml; charset=utf-16")],
)  # fmt: skip
def test_what_is_not_the_declared_xml_is_not_passed_on(ask_xml, raw, content_type):
    answer = ask_xml(raw, content_type)
    assert (answer.status, answer.code) == (502, "provider_not_json")
    assert b"canary" not in answer.body
