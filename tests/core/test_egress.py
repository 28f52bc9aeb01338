"""GW-05, GW-06: which addresses may be called, judged as text at save and as an IP right before the connect."""

from __future__ import annotations

import asyncio

import pytest
from django.core.exceptions import ImproperlyConfigured

from apps.core import egress

ALLOW = ["api.ngsp.gov.vn:443", "mixed.gov.vn:8080", "10.20.0.0/16:443", "10.20.0.0/16:8080", "127.0.0.1:8002", "0.0.0.0/0:8443",
         "[fd12::/16]:443", "[::/0]:8443"]  # fmt: skip


@pytest.fixture(autouse=True)
def _allow_list(settings):
    settings.EGRESS_ALLOW = ALLOW


LOOPBACKS = ["127.0.0.1", "127.0.0.2", "127.1.2.3", "[::1]", "[0:0:0:0:0:0:0:1]"]
OBFUSCATED = ["127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.0.0.01",
              "127.000.000.001", "0x7f.1", "1.2.3", "10.20.0x1.1", "10.20.257", "4294967295", "00.0.0.0", "①②⑦.0.0.1", "１２７.0.0.1",
              "127。0。0。1"]  # fmt: skip
EMBEDDED = ["[::ffff:127.0.0.1]", "[::ffff:10.20.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
            "[2001:0:7f00:1::]", "[::ffff:0:127.0.0.1]", "[fe80::1%25eth0]", "[fe80::1%eth0]"]  # fmt: skip
SPECIAL = ["0.0.0.0",  # noqa: S104
           "[::]", "169.254.169.254", "169.254.0.1", "100.100.100.200", "[fd00:ec2::254]", "[fe80::1]", "224.0.0.1",
           "239.255.255.250", "255.255.255.255", "240.0.0.1", "[ff02::1]", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1",
           "192.0.0.192", "168.63.129.16", "[2001:db8::1]", "[fec0::1]"]  # fmt: skip
PRIVATE_ELSEWHERE = [
    "10.21.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.1.1",
    "100.64.0.1",
    "[fd13::1]",
    "[fc00::1]",
]
NAMES = ["localhost", "localhost.", "LOCALHOST", "a.localhost", "db.local", "x.internal", "api.ngsp.gov.vn.", "metadata", "postgres",
         "-bad.vn", "bad-.vn", "a..b.vn", "a_b c.vn", "xn--.\u0000.vn", "tỉnh.gov.vn", ".vn", "a" * 64 + ".vn"]  # fmt: skip
PORTS = [22, 23, 25, 3306, 5432, 6379, 5672, 11211, 27017, 9200, 2375, 0, 65536, 99999]
SCHEMES = ["ftp", "file", "gopher", "dict", "ldap", "ws", "javascript", "data", "HTTPX", ""]
FORMS = ["https://user@api.ngsp.gov.vn/", "https://user:pw@api.ngsp.gov.vn/", "https://api.ngsp.gov.vn@127.0.0.1:8002/",
         "https://api.ngsp.gov.vn/#x", "https://api.ngsp.gov.vn#@127.0.0.1/", "https://api.ngsp.gov.vn\\@127.0.0.1/", "https:///path",
         "https://", "//api.ngsp.gov.vn/", "api.ngsp.gov.vn", "https://api.ngsp.gov.vn:/", "https://api.ngsp.gov.vn:44x/",
         "https://api.ngsp.gov.vn:-443/", "https:api.ngsp.gov.vn", "https://api.ngsp.gov.vn /", " https://api.ngsp.gov.vn/",
         "https://api.ngsp.gov.vn/\r\nX: y", "https://api.ngsp.gov.vn/\t", "https://api%2engsp.gov.vn/", "https://api.ngsp.gov.vn%00.x/",
         "https://[::1/", "https://::1/", "https://[]/", "https://api.ngsp.gov.vn:443:443/", "", "https://a/" + "x" * 5000]  # fmt: skip

REFUSED = (
    [f"http://{host}:8443/" for host in LOOPBACKS]
    + [f"https://{host}:443/" for host in LOOPBACKS]
    + [f"http://{host}:8002/" for host in LOOPBACKS[1:]]
    + [f"https://{host}:8443/" for host in OBFUSCATED + EMBEDDED + SPECIAL + PRIVATE_ELSEWHERE + ["10.20.0.1"]]
    + [f"https://{host}/" for host in NAMES + PRIVATE_ELSEWHERE]
    + [f"http://{host}:8002/" for host in OBFUSCATED[:8]]
    + [f"https://10.20.0.1:{port}/" for port in PORTS]
    + [f"{scheme}://api.ngsp.gov.vn/" for scheme in SCHEMES]
    + FORMS
    + ["http://8.8.8.8:8443/", "https://8.8.8.8/", "https://api.ngsp.gov.vn:444/", "https://other.gov.vn:444/"]
)  # fmt: skip


def test_the_table_of_refused_addresses_is_long_enough():
    assert len(set(REFUSED)) >= 120


@pytest.mark.parametrize("url", REFUSED)
def test_address_is_refused_at_save_and_at_call(url):
    with pytest.raises(egress.EgressRefused) as at_save:
        egress.check_url(url)
    assert at_save.value.reason
    with pytest.raises(egress.EgressRefused):
        egress.resolve(url, resolver=lambda host, port: ["8.8.8.8"])


@pytest.mark.parametrize(
    ("url", "ip"),
    [
        ("https://api.ngsp.gov.vn/dmdc/1.0/AllCategory", "8.8.8.8"),
        ("https://API.NGSP.gov.vn:443/x?y=1", "8.8.8.8"),
        ("https://10.20.3.4/x", "10.20.3.4"),
        ("http://10.20.3.4:8080/x", "10.20.3.4"),
        ("http://127.0.0.1:8002/token", "127.0.0.1"),
        ("https://anything.gov.vn:8443/", "8.8.8.8"),
        ("https://[fd12::5]/", "fd12::5"),
        ("https://[2606:4700::1111]:8443/", "2606:4700::1111"),
    ],
)
def test_named_address_may_be_called(url, ip):
    checked = egress.resolve(url, resolver=lambda host, port: ["8.8.8.8"])
    assert checked.ip == ip


@pytest.mark.parametrize(
    "answer", ["127.0.0.1", "169.254.169.254", "10.20.9.9", "10.21.0.1", "::1", "::ffff:8.8.8.8", "fe80::1%eth0", "x"]
)
def test_named_host_that_resolves_inside_is_refused(answer):
    """10.20.9.9 is an allowed network on port 443; on 8443 only the whole Internet is, which never opens private space."""
    with pytest.raises(egress.EgressRefused):
        egress.resolve("https://anything.gov.vn:8443/", resolver=lambda host, port: [answer])


def test_a_mixed_answer_gives_only_the_address_that_is_allowed():
    checked = egress.resolve("https://api.ngsp.gov.vn/", resolver=lambda h, p: ["127.0.0.1", "8.8.4.4"])
    assert checked.ip == "8.8.4.4"


@pytest.mark.parametrize(
    ("url", "reason"), [("http://api.ngsp.gov.vn:443/", "plain_http"), ("https://other.gov.vn/", "not_allowed")]
)
def test_a_name_that_could_have_been_private_is_judged_again_when_it_is_resolved(url, reason):
    assert egress.check_url(url)  # 10.20.0.0/16:443 is allowed, and the name may lead there
    with pytest.raises(egress.EgressRefused) as refused:
        egress.resolve(url, resolver=lambda h, p: ["8.8.8.8"])
    assert refused.value.reason == reason


def test_plain_http_is_for_private_networks_only():
    assert egress.resolve("http://mixed.gov.vn:8080/", resolver=lambda h, p: ["10.20.0.9"]).ip == "10.20.0.9"
    with pytest.raises(egress.EgressRefused) as refused:
        egress.resolve("http://mixed.gov.vn:8080/", resolver=lambda h, p: ["8.8.8.8"])
    assert refused.value.reason == "plain_http"


def test_the_empty_allow_list_allows_nothing(settings):
    settings.EGRESS_ALLOW = []
    for url in ("https://api.ngsp.gov.vn/", "https://8.8.8.8/", "http://127.0.0.1:8002/"):
        with pytest.raises(egress.EgressRefused):
            egress.resolve(url, resolver=lambda h, p: ["8.8.8.8"])


def test_the_event_loop_gets_the_same_verdicts():
    async def ask(url, answer):
        return await egress.resolve_async(url, resolver=lambda h, p: [answer])

    assert asyncio.run(ask("https://api.ngsp.gov.vn/", "8.8.8.8")).ip == "8.8.8.8"
    assert asyncio.run(ask("http://127.0.0.1:8002/", "9.9.9.9")).ip == "127.0.0.1"
    for answer in ("127.0.0.1", "10.21.0.1"):
        with pytest.raises(egress.EgressRefused):
            asyncio.run(ask("https://api.ngsp.gov.vn/", answer))


@pytest.mark.parametrize(
    "entry", ["nonsense", "10.0.0.0/8", "host:", ":443", "host:99999", "10.0.0.0/99:443", "a b:443", "host:x"]
)
def test_an_unreadable_allow_list_stops_the_process_instead_of_opening_it(entry):
    with pytest.raises(ImproperlyConfigured, match="LGSP_EGRESS_ALLOW"):
        egress.compile_policy((entry,))


def test_the_host_header_keeps_the_name_and_an_unusual_port():
    assert egress.parse("https://API.ngsp.gov.vn:443/a?b=c").netloc == "api.ngsp.gov.vn"
    assert egress.parse("http://10.20.3.4:8080/").netloc == "10.20.3.4:8080"
    assert egress.parse("https://[FD12::5]:8443/").netloc == "[fd12::5]:8443"
