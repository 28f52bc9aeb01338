"""A consumer that has only SOAP: the same decision, the same fields, the same log."""

from __future__ import annotations

import hashlib
import http.client
import socket
from types import SimpleNamespace

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.core.epoch import current_epoch
from apps.gateway.cutting import NotWellFormed
from apps.gateway.exchange import BODY_SECONDS
from apps.gateway.facade import ENVELOPE_12, SOAP_12, Message, _envelope, _fault
from apps.gateway.models import CallIntent, CallOutcome, CallRefusal
from tests.gateway.conftest import ask_token, send, wait_for_epoch
from tests.gateway.processes import GatewayProcess, database_url
from tests.gateway.world import make_credential, make_grant
from tests.patience import until

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
MESSAGE = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header>{head}</s:Header><s:Body>{body}</s:Body></s:Envelope>'
LOOK_UP = '<x:company xmlns:x="urn:any"><x:code>0999999999</x:code><from_date>{day}</from_date></x:company>'


@pytest.fixture
def post(gateway, world, token):
    def _post(body: str, head: str = "", **headers):
        given = {
            "Content-Type": "text/xml; charset=utf-8",
            "Authorization": f"Bearer {token}",
            "X-Purpose-Code": world.purpose.code,
        }
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        message = body if body.startswith("<!") or not body.startswith("<") else MESSAGE.format(head=head, body=body)
        kept = {name: value for name, value in given.items() if value is not None}
        return send(gateway.url, "POST", f"/gw/{world.service.code}/v1/soap", kept, message.encode())

    return _post


def fault_of(answer) -> dict[str, str]:
    root = fromstring(answer.body)
    fault = root.find(f"{SOAP}Body/{SOAP}Fault")
    return {element.tag.rpartition("}")[2]: element.text for element in fault.iter()}


@pytest.mark.django_db(transaction=True)
def test_a_soap_consumer_gets_the_granted_fields_and_no_others(post, world, provider):
    answer = post(LOOK_UP.format(day="2026"))
    assert answer.status == 200, answer.body
    assert provider.seen[0].target == "/api/companies/0999999999?from_date=2026"
    response = fromstring(answer.body)[0][0]
    name = f"{{urn:lgsp:{world.service.code}:v1}}"
    assert response.tag == f"{name}companyResponse"
    assert [(child.tag.replace(name, ""), child.text) for child in response.iter()][1:] == [
        ("Data", None), ("Items", None), ("CODE", "6201"), ("Items", None), ("CODE", "6202"), ("Main", None), ("NAME", "CÔNG TY MẪU"),
        ("Status", "1"),
    ]  # fmt: skip
    assert b"canary" not in answer.body
    outcome = CallOutcome.objects.get()
    assert bytes(outcome.answer_digest) == hashlib.sha256(answer.body).digest()
    assert (answer.headers["content-type"], outcome.answer_bytes) == ("text/xml; charset=utf-8", len(answer.body))
    assert set(outcome.delivered.names) == {"Status", "Data.Main.NAME", "Data.Items[].CODE"}


@pytest.mark.django_db(transaction=True)
def test_what_cannot_send_headers_puts_token_and_purpose_into_the_soap_header(post, world, token):
    head = f"<AccessToken>{token}</AccessToken><l:PurposeCode xmlns:l='urn:lgsp'>{world.purpose.code}</l:PurposeCode>"
    answer = post(LOOK_UP.format(day="1"), head, Authorization=None, X_Purpose_Code=None)
    assert answer.status == 200, answer.body
    other = post(LOOK_UP.format(day="1"), head, X_Purpose_Code="khac")
    assert fault_of(other)["code"] == "purpose_not_granted", "an HTTP header that is there counts"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (LOOK_UP.format(day="1"), {"X_Purpose_Code": "khac"}, "purpose_not_granted"),
        (LOOK_UP.format(day="1"), {"X_Purpose_Code": None}, "purpose_missing"),
        ("<khac/>", {}, "operation_unknown"), ("<company/>", {}, "parameter_missing"),
        ("<company><code>1</code></company>", {}, "parameter_invalid"),
        ("<company><code>0999999999</code><x>1</x></company>", {}, "parameter_undeclared"),
        ("<company><code>0999999999</code><code>0999999998</code></company>", {}, "parameter_repeated"),
        ("<company><code><b>0999999999</b></code></company>", {}, "body_invalid"), ("<company/><company/>", {}, "body_invalid"),
        ("", {}, "body_invalid"), ("text", {}, "body_invalid"),
        ('<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + MESSAGE.format(head="", body="<company><code>&b;</code></company>"), {},
         "body_invalid"),
        ("<company><code>../companies/0999999999</code></company>", {}, "path_ambiguous"),
    ],
)  # fmt: skip
def test_refusals_are_faults_that_say_the_same_and_are_logged(post, provider, body, headers, code):
    answer = post(body, **headers)
    fault = fault_of(answer)
    assert (answer.status, fault["code"], fault["faultcode"]) == (500, code, "soapenv:Client")
    assert fault["next_step"]
    assert fault["call_id"] == answer.headers["x-call-id"]
    assert CallRefusal.objects.get().code == code
    assert provider.seen == []
    assert CallIntent.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_stranger_is_told_401_and_other_content_is_no_soap(post, world):
    assert (post("<company/>", Authorization=None).status, post("<company/>", Authorization="Bearer " + "x" * 43).status) == (
        401,
        401,
    )
    assert post("<company/>", Content_Type="application/json").code == "operation_unknown"


def begin(port: int, world, *, token: str | None) -> socket.socket:
    """A message of which only the head comes."""
    opened = socket.create_connection(("127.0.0.1", port), timeout=BODY_SECONDS / 2)
    bearer = "" if token is None else f"Authorization: Bearer {token}\r\n"
    opened.sendall(
        f"POST /gw/{world.service.code}/v1/soap HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n{bearer}Content-Length: 900\r\n\r\n".encode()
    )
    return opened


def code_told(opened: socket.socket) -> str:
    """The code of the refusal, told while the rest of the message never comes."""
    answer = http.client.HTTPResponse(opened)
    answer.begin()
    return fault_of(SimpleNamespace(body=answer.read()))["code"]


@pytest.mark.django_db(transaction=True)
def test_nobodys_message_is_not_waited_for(gateway, world, token):
    """Told at once, long before a body would be too slow; a caller of the platform has time to send it."""
    with begin(gateway.port, world, token="x" * 43) as opened:
        assert code_told(opened) == "token_invalid"
    world.change(world.credential, "credential", status="revoked")
    wait_for_epoch(gateway.url, current_epoch())
    with begin(gateway.port, world, token=token) as opened:
        assert code_told(opened) == "credential_revoked"


@pytest.mark.django_db(transaction=True)
def test_messages_that_are_still_coming_count_among_the_calls(world, provider):
    process = GatewayProcess(database_url(), allow=[f"127.0.0.1:{provider.port}"], LGSP_GATEWAY_MOST_CALLS="3").start()
    try:
        wait_for_epoch(process.url, current_epoch())
        token = ask_token(process.url, world.credential.client_id, world.secret)

        def running(number: int) -> None:
            line = f"lgsp_gateway_running {number}"
            until(lambda: line in send(process.url, path="/metrics").body.decode().splitlines(), line)

        with begin(process.port, world, token=None):
            running(1)
            with begin(process.port, world, token=None) as second:
                assert code_told(second) in ("overloaded", "credential_missing")
            with begin(process.port, world, token=token), begin(process.port, world, token=token):
                running(3)
                with begin(process.port, world, token=token) as fourth:
                    assert code_told(fourth) == "overloaded"
                headers = {"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code}
                assert send(process.url, path=world.path, headers=headers).code == "overloaded"
        running(0)
        assert send(process.url, path=world.path, headers=headers).status == 200
    finally:
        process.stop()


@settings(suppress_health_check=[HealthCheck.too_slow])  # a machine with much to do is no fault of the message
@given(
    st.text(max_size=40),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)),
)
def test_whatever_a_problem_holds_its_fault_is_well_formed(title, facts):
    body = _fault({"title": title, "status": 403, "facts": facts}).replace(b"<problem ", b'<problem xmlns:xsi="x" ')
    assert fromstring(body).find(f"{SOAP}Body/{SOAP}Fault/faultcode").text == "soapenv:Client"


def test_a_message_is_read_flat():
    message = Message.read(MESSAGE.format(head="<a><AccessToken>no</AccessToken></a>", body="<op><a> 1 </a><b/></op>").encode())
    assert (message.operation, message.parameters, message.header) == ("op", [("a", " 1 "), ("b", "")], {})
    assert fromstring(_envelope("")).tag == f"{SOAP}Envelope"


# --- SOAP 1.2 --------------------------------------------------------------------------------------

ENV12 = f"{{{ENVELOPE_12}}}"
MESSAGE_12 = MESSAGE.replace("http://schemas.xmlsoap.org/soap/envelope/", ENVELOPE_12)
KIND_12 = 'application/soap+xml; charset=utf-8; action="urn:any"'


@pytest.mark.django_db(transaction=True)
def test_soap_1_2_is_answered_in_soap_1_2(post, provider):
    message = MESSAGE_12.format(head="", body=LOOK_UP.format(day="2026"))
    answer = post("<!---->" + message, Content_Type=KIND_12)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/soap+xml; charset=utf-8")
    assert [child.tag for child in fromstring(answer.body)] == [f"{ENV12}Body"]
    assert len(provider.seen) == 1
    refused = post("<!---->" + message, Content_Type=KIND_12, X_Purpose_Code="khac", Accept_Language="en")
    fault = fromstring(refused.body).find(f"{ENV12}Body/{ENV12}Fault")
    assert (refused.status, fault.find(f"{ENV12}Code/{ENV12}Value").text) == (400, "soapenv:Sender")
    text = fault.find(f"{ENV12}Reason/{ENV12}Text")
    assert (text.get("{http://www.w3.org/XML/1998/namespace}lang"), bool(text.text)) == ("en", True)
    assert fault.find(f"{ENV12}Detail")[0].find("{urn:lgsp:problem}code").text == "purpose_not_granted"
    assert post("<!---->" + message, Content_Type=KIND_12, Authorization=None).status == 401


@pytest.mark.django_db(transaction=True)
def test_an_envelope_of_the_other_version_is_none(post, provider):
    old, new = (form.format(head="", body=LOOK_UP.format(day="1")) for form in (MESSAGE, MESSAGE_12))
    assert fault_of(post("<!---->" + new))["code"] == "body_invalid"
    other = post("<!---->" + old, Content_Type=KIND_12)
    assert (other.status, b"body_invalid" in other.body) == (400, True)
    assert provider.seen == []


@pytest.mark.parametrize("form", [MESSAGE, MESSAGE_12])
def test_a_header_block_that_must_be_understood_is_understood_or_refused(form):
    version = SOAP_12 if form is MESSAGE_12 else None
    given = (version,) if version else ()
    for must in ("1", "true"):
        block = f'<Security xmlns="urn:x" s:mustUnderstand="{must}"/>'
        with pytest.raises(NotWellFormed):
            Message.read(form.format(head=block, body="<op/>").encode(), *given)
    for block in (
        '<Security xmlns="urn:x" s:mustUnderstand="0"/>',
        '<Security mustUnderstand="1"/>',
        '<AccessToken s:mustUnderstand="1">t</AccessToken>',
    ):
        assert Message.read(form.format(head=block, body="<op/>").encode(), *given).operation == "op"


# --- WSDL ------------------------------------------------------------------------------------------

WSDL, XSD = "{http://schemas.xmlsoap.org/wsdl/}", "{http://www.w3.org/2001/XMLSchema}"


@pytest.fixture
def described(gateway, world, token):
    def _described(query: str = "?wsdl", **headers):
        given = {"Authorization": f"Bearer {token}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return send(
            gateway.url, "GET", f"/gw/{world.service.code}/v1/soap{query}", {k: v for k, v in given.items() if v is not None}
        )

    return _described


def check_element(element, declared) -> None:
    """That an element is what its `xsd:element` says: the part of XML Schema the description uses, nothing of the gateway's."""
    inner = declared.find(f"{XSD}complexType/{XSD}sequence")
    if inner is None:
        assert len(element) == 0, element.tag
        return
    children = list(element)
    for row in inner:
        if row.tag == f"{XSD}any":
            return
        found = 0
        while children and children[0].tag.rpartition("}")[2] == row.get("name"):
            check_element(children.pop(0), row)
            found += 1
        assert found >= int(row.get("minOccurs", "1")), row.get("name")
        assert row.get("maxOccurs") == "unbounded" or found <= 1, row.get("name")
    assert children == [], [child.tag for child in children]


@pytest.mark.django_db(transaction=True)
def test_the_wsdl_describes_what_this_consumer_may_call_and_the_answers_are_as_it_says(described, post, world):
    answer = described()
    assert (answer.status, answer.headers["content-type"], answer.headers["cache-control"]) == (
        200,
        "text/xml; charset=utf-8",
        "no-store",
    )
    root = fromstring(answer.body)
    operations = [row.get("name") for row in root.find(f"{WSDL}portType").findall(f"{WSDL}operation")]
    assert operations == ["company"], "the service's other operation is not granted"
    assert [row.get("name") for row in root.findall(f"{WSDL}binding")] == ["soap", "soap12"]
    locations = {row.get("location") for row in root.iter() if row.tag.endswith("}address")}
    assert locations == {f"http://127.0.0.1:8001/gw/{world.service.code}/v1/soap"}
    assert b"PHONE" not in answer.body, "a field that is not granted is named"
    elements = {row.get("name"): row for row in root.find(f"{WSDL}types/{XSD}schema").findall(f"{XSD}element")}
    got = fromstring(post(LOOK_UP.format(day="1")).body)[0][0]
    assert got.tag == f"{{{root.get('targetNamespace')}}}companyResponse"
    check_element(got, elements["companyResponse"])
    sent = fromstring("<company><code>0999999999</code><from_date>1</from_date></company>")
    check_element(sent, elements["company"])
    world.change(world.grant, "grant", fields=["Data.Main.PHONE"])
    assert b"PHONE" in described().body
    with pytest.raises(AssertionError):
        check_element(
            got, {row.get("name"): row for row in fromstring(described().body).iter(f"{XSD}element")}["companyResponse"]
        )


@pytest.mark.django_db(transaction=True)
def test_the_wsdl_is_for_the_caller_alone(described, gateway, world):
    assert described(Authorization=None).status == described(Authorization="Bearer " + "x" * 43).status == 401
    assert b"evil" not in described(Host="evil.example").body
    for query in ("?WSDL", "?Wsdl"):
        assert described(query).status == 200
    assert described("?wsdl=1").status == described("").status == 404, "anything else is a call"
    assert send(gateway.url, "GET", "/gw/khong-co/v1/soap?wsdl", {}).status == 401
    _credential, _secret = make_credential(world.system, "test")
    world.change(world.grant, "grant", status="suspended")
    refused = described()
    assert (refused.status, refused.code) == (403, "grant_missing")
    make_grant(world.version.operations.get(code="search"), world.system, world.purpose, environment="test", fields=[])
    world.change(world.grant, "grant", status="suspended")
    assert described().code == "grant_missing", "the other environment's rights are not this account's"
