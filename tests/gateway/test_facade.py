"""A consumer that has only SOAP: the same decision, the same fields, the same log."""

from __future__ import annotations

import hashlib

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from apps.gateway.facade import Message, _envelope, _fault
from apps.gateway.models import CallIntent, CallOutcome, CallRefusal
from tests.gateway.conftest import send

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
