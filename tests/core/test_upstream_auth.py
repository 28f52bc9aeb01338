"""The pure half of upstream authentication."""

from __future__ import annotations

import base64

import pytest

from apps.core import upstream_auth as ua
from apps.core.errors import InvalidFact

NGSP = ua.UpstreamAuth("ngsp", {"consumer_key": "key", "consumer_secret": "secret"}, "https://api.ngsp.gov.vn/token")


def test_the_token_request_is_what_wso2_wants():
    ask = ua.token_request(NGSP)
    assert ask.url == "https://api.ngsp.gov.vn/token"
    assert ask.body == b"grant_type=client_credentials"
    assert ask.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert base64.b64decode(ask.headers["Authorization"].removeprefix("Basic ")) == b"key:secret"


@pytest.mark.parametrize(
    ("life", "age", "fresh"), [(3600, 3299, True), (3600, 3300, False), (3600, 4000, False), (60, 29, True), (60, 30, False)]
)
def test_a_token_is_renewed_when_less_than_300_seconds_remain(life, age, fresh):
    token = ua.read_token(200, b'{"access_token":"t","expires_in":%d}' % life, now=1000.0)
    assert token.is_fresh(1000.0 + age) is fresh


@pytest.mark.parametrize("life", [b'"3600"', b"3600", b"null", b'"x"', b"-1", b"0", b"1e99", b"[]"])
def test_an_odd_expires_in_never_breaks_the_token(life):
    assert ua.read_token(200, b'{"access_token":"t","expires_in":%s}' % life, now=0.0).expires_at == 3600


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b'{"error":"invalid_client"}'),
        (400, b'{"error":"invalid_grant"}'),
        (200, b'{"error":"invalid_client"}'),
        (403, b""),
        (404, b"<html>"),
    ],
)
def test_a_refused_client_needs_a_person(status, body):
    with pytest.raises(ua.UpstreamAuthRefused):
        ua.read_token(status, body, 0.0)


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b""), (503, b'{"error":"x"}'), (429, b""), (302, b""), (200, b"<html>"), (200, b"[]"), (200, b"{}"), (200, b'{"access_token":7}'),
     (200, b'{"access_token":"a\\r\\nX: y"}'), (200, b'{"access_token":""}'), (200, b"\xff\xfe")],
)  # fmt: skip
def test_what_is_not_a_token_answer_may_pass(status, body):
    with pytest.raises(ua.UpstreamAuthUnreadable):
        ua.read_token(status, body, 0.0)


@pytest.mark.parametrize(
    ("kind", "secret", "headers"),
    [
        ("none", "", {}),
        ("bearer", '{"token":"t"}', {"Authorization": "Bearer t"}),
        ("basic", '{"username":"u","password":"p"}', {"Authorization": "Basic dTpw"}),
        ("headers", '{"headers":{"lgspaccesstoken":"x"}}', {"lgspaccesstoken": "x"}),
    ],
)
def test_static_kinds_give_their_headers(kind, secret, headers):
    assert ua.read_auth(kind, secret).static_headers() == headers


@pytest.mark.parametrize(
    ("kind", "secret", "token_url"),
    [("bearer", "{}", ""), ("bearer", "not json", ""), ("bearer", "[]", ""), ("ngsp", '{"consumer_key":"k"}', "https://x"),
     ("ngsp", '{"consumer_key":"k","consumer_secret":"s"}', ""), ("other", "{}", ""), ("headers", '{"headers":[1]}', ""),
     ("headers", '{"headers":{"Host":"evil"}}', ""), ("headers", '{"headers":{"X-Call-Id":"1"}}', ""),
     ("headers", '{"headers":{"A":"b\\r\\nC: d"}}', ""), ("bearer", '{"token":"a\\nb"}', "")],
)  # fmt: skip
def test_an_incomplete_or_dangerous_credential_is_refused_at_save(kind, secret, token_url):
    with pytest.raises(InvalidFact):
        ua.read_auth(kind, secret, token_url)


def test_a_store_drops_only_the_token_that_failed():
    store = ua.TokenStore(clock=lambda: 0.0)
    old, new = ua.Token("old", 3600.0), ua.Token("new", 3600.0)
    store.put(NGSP, old)
    store.put(NGSP, new)
    store.drop(NGSP, old)
    assert store.get(NGSP) is new
    store.drop(NGSP, new)
    assert store.get(NGSP) is None
