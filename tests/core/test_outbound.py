"""Outbound HTTP against servers that lie, stall, drip and redirect."""

from __future__ import annotations

import gzip
import time

import pytest

from apps.core import egress, outbound, upstream_auth
from apps.core.outbound import PassingError, PermanentError
from tests.servers import RawServer, drips, reply, resets, sends

OK = reply("200 OK", b'{"a":1}', "Content-Type: application/json")


@pytest.fixture
def serve(settings):
    """Start a server with an answer; exactly its address and port are allowed."""
    servers = []

    def start(answer) -> RawServer:
        server = RawServer(answer)
        servers.append(server)
        settings.EGRESS_ALLOW = [*settings.EGRESS_ALLOW, f"127.0.0.1:{server.port}"]
        return server

    settings.EGRESS_ALLOW = []
    yield start
    for server in servers:
        server.__exit__()


def test_a_whole_answer_is_read(serve):
    answer = outbound.get(serve(sends(OK)).url + "/x?y=1")
    assert (answer.status, answer.json(), answer.headers["content-type"]) == (200, {"a": 1}, "application/json")


def test_an_address_that_is_not_named_is_never_contacted(serve, settings):
    server = serve(sends(OK))
    settings.EGRESS_ALLOW = []
    with pytest.raises(PermanentError) as refused:
        outbound.get(server.url)
    assert refused.value.code == "egress_refused"
    assert server.seen == []


def test_the_address_checked_is_the_address_connected_and_the_name_stays(serve, settings):
    """A resolver that answers well once and then badly is asked once (GW-06)."""
    server, asked = serve(sends(OK)), []
    settings.EGRESS_ALLOW = [*settings.EGRESS_ALLOW, f"good.gov.vn:{server.port}"]

    def resolver(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    assert outbound.get(f"http://good.gov.vn:{server.port}/x", resolver=resolver).status == 200
    assert asked == ["good.gov.vn"]
    assert f"host: good.gov.vn:{server.port}".encode() in server.seen[0].lower()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_redirects_are_never_followed(serve, status):
    inside = serve(sends(OK))
    server = serve(sends(reply(status, b"", f"Location: {inside.url}/secret")))
    answer = outbound.get(server.url)
    assert inside.seen == []
    with pytest.raises(PermanentError) as refused:
        answer.checked()
    assert refused.value.code == "redirected"


def test_proxies_of_the_environment_are_not_used(serve, monkeypatch):
    proxy, server = serve(sends(OK)), serve(sends(OK))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy.url)
    outbound.get(server.url)
    assert (len(server.seen), len(proxy.seen)) == (1, 0)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (drips(OK), "timed_out"),
        (drips(b"x" * 1000, head=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"), "timed_out"),
        (drips(b"5\r\nhello\r\n" * 100, head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "timed_out"),
        (lambda connection, head: time.sleep(30), "timed_out"),
        (drips(b"HTTP/1.1 100 Continue\r\n\r\n" * 50, every=0.01), "timed_out"),
        (sends(reply("200 OK", b'{"a":', length=500)), "truncated"),
        (sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), "truncated"),
        (resets(), "reset"),
        (sends(b""), "reset"),
        (sends(b"\x00\x01 not http at all\r\n\r\n"), "reset"),
    ],
)  # fmt: skip
def test_a_server_that_stalls_drips_or_cuts_ends_within_the_deadline(serve, answer, code):
    """GW-07. Without the one deadline over everything each of these servers would end in another code, later."""
    with pytest.raises(PassingError) as failed:
        outbound.get(serve(answer).url, total=1.0 if code == "timed_out" else 60.0)
    assert failed.value.code == code


def test_a_reset_in_the_body_is_never_a_short_success(serve):
    server = serve(resets(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"[1,2"))
    with pytest.raises(PassingError):
        outbound.get(server.url)


def test_a_port_nobody_listens_on_is_a_passing_failure(serve):
    server = serve(sends(OK))
    server.__exit__()
    with pytest.raises(PassingError) as failed:
        outbound.get(server.url)
    assert failed.value.code in ("connect_failed", "reset")


def test_an_answer_larger_than_allowed_is_refused_while_it_is_read(serve):
    with pytest.raises(PermanentError) as refused:
        outbound.get(serve(sends(reply("200 OK", b"x" * 300_000))).url, max_bytes=100_000)
    assert refused.value.code == "too_large"


def test_an_encoded_answer_is_refused_unread(serve):
    bomb = gzip.compress(b"0" * 5_000_000)
    server = serve(sends(reply("200 OK", bomb, "Content-Encoding: gzip")))
    with pytest.raises(PermanentError) as refused:
        outbound.get(server.url)
    assert refused.value.code == "encoded"
    assert b"accept-encoding: identity" in server.seen[0].lower()


@pytest.mark.parametrize(
    ("status", "kind"),
    [("429 Busy", PassingError), ("500 Error", PassingError), ("502 Bad", PassingError), ("503 Later", PassingError),
     ("504 Late", PassingError), ("400 Bad", PermanentError), ("403 No", PermanentError), ("404 None", PermanentError)],
)  # fmt: skip
def test_passing_and_permanent_answers_are_told_apart(serve, status, kind):
    answer = outbound.get(serve(sends(reply(status, b"", "Retry-After: 7"))).url)
    with pytest.raises(kind) as failed:
        answer.checked()
    assert type(failed.value) is kind
    assert failed.value.retry_after == 7
    assert failed.value.code == f"http_{answer.status}"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120), (" 5 ", 5), ("0", 0), ("99999999999", 21600), ("soon", None), ("-5", None), ("", None), ("1.5", None),
     ("Thu, 01 Jan 2026 00:01:00 GMT", 60), ("Wed, 31 Dec 2025 00:00:00 GMT", 0)],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_date_and_capped(value, seconds):
    assert outbound.retry_after(value, now=1767225600) == seconds


def test_html_with_status_200_is_not_json(serve):
    server = serve(sends(reply("200 OK", b"<html>login</html>", "Content-Type: text/html")))
    with pytest.raises(PassingError) as failed:
        outbound.get(server.url).json()
    assert failed.value.code == "not_json"


class TokenServer:
    """A token endpoint and an API that accepts only the newest token."""

    def __init__(self, lives=3600, reject=()):
        self.lives, self.reject, self.given, self.calls = lives, set(reject), 0, 0

    def __call__(self, connection, head):
        if head.startswith(b"POST /token"):
            self.given += 1
            return connection.sendall(reply("200 OK", b'{"access_token":"t%d","expires_in":%d}' % (self.given, self.lives)))
        self.calls += 1
        good = b"authorization: bearer t%d\r\n" % self.given in head.lower() and self.calls not in self.reject
        return connection.sendall(reply("200 OK", b"[]") if good else reply("401 No", b"{}"))


def ngsp(server) -> outbound.Upstream:
    auth = upstream_auth.read_auth("ngsp", '{"consumer_key":"k","consumer_secret":"s"}', server.url + "/token")
    return outbound.Upstream(server.url, auth, tokens=upstream_auth.TokenStore())


def test_a_token_is_asked_once_and_kept(serve):
    logic = TokenServer()
    upstream = ngsp(serve(logic))
    for _ in range(3):
        assert upstream.get("/dmdc/AllCategory").json() == []
    assert (logic.given, logic.calls) == (1, 3)


def test_a_401_renews_the_token_once(serve):
    logic = TokenServer(reject={2})
    upstream = ngsp(serve(logic))
    upstream.get("/a")
    assert upstream.get("/a").status == 200
    assert (logic.given, logic.calls) == (2, 3)


def test_a_second_401_stops_instead_of_storming(serve):
    logic = TokenServer(reject=range(1, 100))
    upstream = ngsp(serve(logic))
    with pytest.raises(PermanentError) as failed:
        upstream.get("/a")
    assert failed.value.code == "http_401"
    assert (logic.given, logic.calls) == (2, 2)


def test_wrong_credentials_are_permanent(serve):
    server = serve(sends(reply("401 Unauthorized", b'{"error":"invalid_client","error_description":"x"}')))
    with pytest.raises(upstream_auth.UpstreamAuthRefused) as refused:
        ngsp(server).get("/a")
    assert refused.value.extra["upstream_error"] == "invalid_client"


@pytest.mark.parametrize("answer", [sends(reply("503 Later", b"", "Retry-After: 9")), sends(reply("200 OK", b"<html>"))])
def test_a_token_endpoint_that_does_not_work_may_pass(serve, answer):
    with pytest.raises(PassingError) as failed:
        ngsp(serve(answer)).get("/a")
    assert failed.value.code == "upstream_auth_unreadable"


def test_tls_that_is_not_trusted_is_refused_without_falling_back(serve):
    """A plain server answers a TLS hello with garbage; the client neither trusts it nor tries http."""
    server = serve(sends(b"HTTP/1.1 400 Bad\r\n\r\n"))
    with pytest.raises(outbound.OutboundError):
        outbound.get(server.url.replace("http:", "https:"), total=2)
    assert not any(b"GET" in head for head in server.seen)


def test_secrets_show_in_no_repr():
    auth = upstream_auth.read_auth("ngsp", '{"consumer_key":"k","consumer_secret":"hush"}', "https://x/token")
    shown = repr((auth, upstream_auth.token_request(auth), upstream_auth.Token("hush", 1.0)))
    assert "hush" not in shown
    assert upstream_auth.basic("k", "hush") not in shown


def test_egress_has_no_other_door():
    assert egress.policy().allows(egress.parse("http://127.0.0.1:1234/"), egress.literal("127.0.0.1")) == "not_allowed"
