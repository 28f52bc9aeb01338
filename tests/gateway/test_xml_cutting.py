"""No element or attribute leaves that was not granted: hand-made hostile documents, and generated ones against a slow reference.

AZ-06 for XML: nested, lists, case variants, duplicates, foreign namespaces, attributes; GW-08: entities and depth.
"""

from __future__ import annotations

import random

import pytest
from defusedxml import ElementTree

from apps.gateway import xml_cutting
from apps.gateway.cutting import NotWellFormed
from apps.gateway.xml_cutting import Fault, SoapCutter, XmlCutter
from lgsp.dev.testing import is_full

CANARY = "CANARY"
NS = "urn:thu"
SOAP = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header>{head}</s:Header><s:Body>{body}</s:Body></s:Envelope>'


def soap(body: str, head: str = "") -> bytes:
    return SOAP.format(body=body, head=head).encode()


def cut(paths: list[str], text: str) -> str:
    return XmlCutter(paths).cut(text.encode())[0].decode().partition("\n")[2]


@pytest.mark.parametrize(
    ("paths", "given", "expected"),
    [
        (["a"], "<r><a>1</a><b>CANARY</b></r>", "<r><a>1</a></r>"),
        (["a"], "<r x='CANARY'><a y='CANARY'>1<b>CANARY</b></a></r>", "<r></r>"),
        (["a"], "<r>CANARY<a>1</a>CANARY<!-- CANARY --><?CANARY x?></r>", "<r><a>1</a></r>"),
        (["a"], "<r><A>CANARY</A><a>x</a><a>1</a></r>", "<r><a>1</a></r>"),
        (["a[]"], "<r><a>1</a><b/><a>2</a></r>", "<r><a>1</a><a>2</a></r>"),
        (["g.a", "@id"], "<r id='7' x='CANARY'><g>CANARY<a>1</a><c>CANARY</c></g></r>", '<r id="7"><g><a>1</a></g></r>'),
        (
            ["g.@unit", "g.#text"],
            "<r><g unit='&lt;m&quot;' z='CANARY'>5 &amp; 6</g></r>",
            '<r><g unit="&lt;m&quot;">5 &amp; 6</g></r>',
        ),
        (["a"], f"<r xmlns='{NS}' xmlns:o='urn:khac'><o:a>CANARY</o:a><a>1</a></r>", f'<r xmlns="{NS}"><a>1</a></r>'),
        (["a"], f"<p:r xmlns:p='{NS}'><p:a>1</p:a></p:r>", f'<r xmlns="{NS}"><a>1</a></r>'),
        (["a"], f"<p:r xmlns:p='{NS}'><a>1</a></p:r>", f'<r xmlns="{NS}"><a xmlns="">1</a></r>'),
        (["a"], "<r><a><![CDATA[<b>&]]></a></r>", "<r><a>&lt;b&gt;&amp;</a></r>"),
        (["g.a"], "<r><g/><g><a>1</a></g></r>", "<r><g><a>1</a></g></r>"),
        ([], "<r><a>CANARY</a></r>", "<r></r>"),
        ([], "<r>CANARY</r>", "<r></r>"),
        (["a", "b"], "<r><a>CANARY</a><b>2</b><a>1</a></r>", "<r><b>2</b><a>1</a></r>"),
    ],
)
def test_only_the_granted_part_is_written(paths, given, expected):
    out = cut(paths, given)
    assert out == expected
    assert CANARY not in out


def test_rl_03_a_name_that_is_repeated_costs_its_length_and_no_more(monkeypatch):
    """Twice the answer, twice the looks at its elements: one answer of 1 MB would stop the process for minutes otherwise."""
    looks = 0

    class Watched(xml_cutting.Element):
        @property
        def name(self):
            nonlocal looks
            looks += 1
            return self.local

        @name.setter
        def name(self, value):
            self.local = value

    def looks_at(count: int) -> int:
        nonlocal looks
        looks = 0
        cut(["i[]", "t"], "<r>" + "<i/>" * count + "<t/>" * count + "</r>")
        return looks

    monkeypatch.setattr(xml_cutting, "Element", Watched)
    assert 0 < looks_at(1_000) < 2.5 * looks_at(500)


LAUGHS = '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><r><a>&b;</a></r>'


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS, '<!DOCTYPE r SYSTEM "http://127.0.0.1/x.dtd"><r><a>1</a></r>', "<!DOCTYPE r><r><a>1</a></r>",
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r><a>&x;</a></r>', "<r><a>&x;</a></r>", "<r><a>1</r>", "<r>", "",
        "text", "<r/><r/>", "<r><a>1</a></r>CANARY", "<r>" * 100 + "</r>" * 100, '<?xml version="1.0" encoding="UTF-16"?><r><a>1</a></r>',
        "<r><a b='1' b='2'>1</a></r>", "<r><p:a>1</p:a></r>", "<r><a>\x01</a></r>",
    ],
)  # fmt: skip
def test_what_is_not_plain_well_formed_xml_is_not_passed_on(text):
    with pytest.raises(NotWellFormed):
        XmlCutter(["a", "g.a"]).cut(text.encode())


def test_utf_16_and_broken_utf_8_are_refused():
    for body in ("<r><a>ế</a></r>".encode("utf-16"), b"<r><a>\xff</a></r>", b"\xef\xbb\xbf<r><a>\xc0\xaf</a></r>"):
        with pytest.raises(NotWellFormed):
            XmlCutter(["a"]).cut(body)


def test_a_soap_answer_becomes_json_of_the_granted_fields():
    cutter = SoapCutter(["@So", "CongDan.Ten.Ho", "CongDan.Ma", "CongDan.Con[].Ten", "CongDan.Chet"], "Tap", NS)
    body = soap(
        f"<Tap xmlns='{NS}' So='1' id='{CANARY}' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'><CongDan><Ten><Ho>LÝ</Ho>"
        f"<Ten>{CANARY}</Ten></Ten><Ma></Ma><Con><Ten>A</Ten><Ma>{CANARY}</Ma></Con><Con><Ten>B</Ten></Con><Chet xsi:nil='true'/>"
        f"</CongDan></Tap>", head=f"<x>{CANARY}</x>",
    )  # fmt: skip
    out, mask = cutter.cut(body)
    assert out.decode() == '{"@So":"1","CongDan":{"Ten":{"Ho":"LÝ"},"Ma":"","Con":[{"Ten":"A"},{"Ten":"B"}],"Chet":null}}'
    assert set(cutter.delivered(mask)) == set(cutter.paths)
    assert SoapCutter(["CongDan.Ma"], "Tap", NS).cut(soap(f"<Tap xmlns='{NS}'/>")) == (b"{}", 0)


@pytest.mark.parametrize(
    "body",
    [
        b"<r/>", soap("<Khac xmlns='urn:thu'/>"), soap("<Tap xmlns='urn:khac'/>"), soap(""),
        soap("<Tap xmlns='urn:thu'/><Tap xmlns='urn:thu'/>"),
        soap("<Tap xmlns='urn:thu'/>").replace(b"</s:Envelope>", b"<s:Body><Tap xmlns='urn:thu'/></s:Body></s:Envelope>"),
        soap("<Tap xmlns='urn:thu'/>").replace(b"/soap/envelope/", b"/soap/khac/"),
    ],
)  # fmt: skip
def test_a_soap_answer_that_is_not_the_declared_one_is_not_passed_on(body):
    with pytest.raises(NotWellFormed):
        SoapCutter(["a"], "Tap", NS).cut(body)


@pytest.mark.parametrize(("code", "callers"), [("s:Client", True), ("Client.Auth", True), ("s:Server", False), ("", False)])
def test_a_soap_fault_says_who_is_to_blame_and_nothing_else(code, callers):
    fault = f"<s:Fault><faultcode>{code}</faultcode><faultstring>{CANARY}</faultstring><detail>{CANARY}</detail></s:Fault>"
    with pytest.raises(Fault) as caught:
        SoapCutter(["a"], "Tap", NS).cut(soap(fault))
    assert caught.value.is_callers is callers
    assert CANARY not in str(caught.value)


# --- generated trees -----------------------------------------------------------------------------

NAMES = ["a", "b", "A", "c", "ñame", "Dữ_liệu", "x-y", "a.b"]


def random_paths(rng: random.Random) -> list[str]:
    def grow(depth: int) -> list[str]:
        found = []
        for name in rng.sample(NAMES[:-1], rng.randint(1, 4)):
            part = name + rng.choice(["", "", "[]"])
            inner = grow(depth + 1) if depth < 3 and rng.random() < 0.4 else []
            found += [f"{part}.{path}" for path in inner] or [part]
        if rng.random() < 0.2:
            found.append("@" + rng.choice(NAMES[:-1]))
        return found

    return grow(0)


def random_xml(rng: random.Random, depth: int = 0) -> str:
    """An element without its tags: text, or children with canaries in every place that can hold one."""
    if depth > 4 or rng.random() < 0.35:
        return f"{CANARY}{rng.randint(1, 10**9)}" if rng.random() < 0.9 else ""
    parts = []
    for _number in range(rng.randint(0, 5)):
        name = rng.choice(NAMES)
        attribute = f' {rng.choice(NAMES[:-1])}="{CANARY}{rng.randint(1, 10**9)}"' if rng.random() < 0.3 else ""
        prefix = rng.choice(["", "", "", "o:"])
        noise = rng.choice(["", "", "<!-- x -->", f"{CANARY}{rng.randint(1, 10**9)}"])
        parts.append(f"{noise}<{prefix}{name}{attribute}>{random_xml(rng, depth + 1)}</{prefix}{name}>")
    return "".join(parts)


def tree_of(paths: list[str]) -> dict:
    root: dict = {}
    for path in paths:
        node = root
        for part in path.split("."):
            node = node.setdefault(part.removesuffix("[]"), {})
    return root


def lists_of(paths: list[str]) -> set[tuple[str, ...]]:
    found = set()
    for path in paths:
        parts = path.split(".")
        for end in range(1, len(parts) + 1):
            if parts[end - 1].endswith("[]"):
                found.add(tuple(part.removesuffix("[]") for part in parts[:end]))
    return found


def reference(element, tree: dict, lists: set, here: tuple = ()) -> tuple:
    """(name, attributes, text or children) kept, by ElementTree and the promise alone; None where nothing is."""
    if not tree:
        return None if len(element) else (element.tag, {}, element.text or "")
    attributes = {name: value for name, value in element.attrib.items() if f"@{name}" in tree}
    children = []
    for child in element:
        if child.tag not in tree or child.tag.startswith("@"):
            continue
        kept = reference(child, tree[child.tag], lists, (*here, child.tag))
        if kept is None:
            continue
        if (*here, child.tag) not in lists:
            children = [other for other in children if other[0] != child.tag]
        children.append(kept)
    return element.tag, attributes, children


def as_read(element, tree: dict) -> tuple:
    """What the cutter wrote, in the same shape."""
    if not tree:
        return element.tag, dict(element.attrib), element.text or ""
    return element.tag, dict(element.attrib), [as_read(child, tree[child.tag]) for child in element]


def check(seed: int) -> None:
    rng = random.Random(seed)
    paths = random_paths(rng)
    text = f'<r xmlns:o="urn:khac" {rng.choice(["", "a=" + chr(34) + CANARY + chr(34)])}>{random_xml(rng)}</r>'
    tree = tree_of(paths)
    out, mask = XmlCutter(paths).cut(text.encode())
    made = as_read(ElementTree.fromstring(out), tree)
    assert made == reference(ElementTree.fromstring(text), tree, lists_of(paths)), (seed, paths, text)
    assert mask >> len(set(paths)) == 0


def test_az_06_generated_documents_equal_the_slow_reference():
    count = 100_000 if is_full() else 3_000
    for seed in range(count):
        check(seed)
    print(f"AZ-06: {count} generated XML answers, all equal to the slow reference, 0 leaks")
