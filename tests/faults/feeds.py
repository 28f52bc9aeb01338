"""The golden corpus of bad feeds (SY-02): each payload with what must become of it.

A payload is a function of the good rows that gives the body (or a whole HTTP answer, when it begins with `HTTP/`). What must
become of it: `passing(code)`: the run goes back to the queue; `permanent(code)`: it fails at once; `held(reasons, problems)`:
it waits for a person, with the reasons of the brake and the problems beside the rows; `same`: nothing to do; `harmless`: published.
"""

from __future__ import annotations

import copy
import gzip
import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from tests.servers import reply

COLUMNS = {"code": "Ma", "name": "Ten", "parent": "MaCha"}
LEVELS = [{"code": "unit", "name": "Đơn vị", "pattern": r"[0-9A-ZÀ-Ỹ]{2,4}", "parents": ["unit"]}]
SETTINGS = {"parts": [{"category": "donvi", "level": "unit", "columns": COLUMNS,
                       "attributes": {"issued_on": {"column": "NgayBanHanh", "type": "date"}, "note": "GhiChu"}}]}  # fmt: skip
_WORDS = (
    "An",
    "Bình",
    "Cường",
    "Dũng",
    "Đức",
    "Giang",
    "Hòa",
    "Khánh",
    "Long",
    "Minh",
    "Nghĩa",
    "Phú",
    "Quang",
    "Sơn",
    "Thành",
)


def good_rows() -> list[dict]:
    """Three roots with twenty units each below them; every name has two words of its own."""
    rows = [_row(f"{root:02d}", f"{_WORDS[root]} Lộc {_WORDS[root + 5]}", None) for root in (1, 2, 3)]
    for root in (1, 2, 3):
        rows += [
            _row(f"{root:02d}{n:02d}", f"{_WORDS[n % 15]} {_WORDS[(n * root + 4) % 15]} {n}", f"{root:02d}") for n in range(20)
        ]
    return rows


def _row(code: str, name: str, parent: str | None) -> dict:
    return {"Ma": code, "Ten": name, "MaCha": parent, "NgayBanHanh": "01/02/2020", "GhiChu": None}


@dataclass(frozen=True)
class Fate:
    status: str
    code: str = ""
    reasons: frozenset[str] = frozenset()
    problems: frozenset[str] = frozenset()


def passing(code: str) -> Fate:
    return Fate("queued", code)


def permanent(code: str) -> Fate:
    return Fate("failed", code)


def held(*reasons: str, problems: tuple[str, ...] = ()) -> Fate:
    return Fate("held", reasons=frozenset(reasons), problems=frozenset(problems))


SAME, HARMLESS = Fate("unchanged"), Fate("published")
CORPUS: dict[str, tuple[Callable[[list[dict]], bytes], Fate]] = {}


def payload(name: str, fate: Fate):
    def keep(make: Callable[[list[dict]], bytes]):
        CORPUS[name] = (make, fate)
        return make

    return keep


def _json(rows: object) -> bytes:
    return json.dumps(rows, ensure_ascii=False).encode()


def _changed(name: str, fate: Fate, number: int = 5, **values: object) -> None:
    """A payload in which one row has other values."""

    def make(rows: list[dict]) -> bytes:
        rows[number].update(values)
        return _json(rows)

    payload(name, fate)(make)


def _fixed(name: str, fate: Fate, body: bytes) -> None:
    payload(name, fate)(lambda rows: body)


# --- not a list at all: what the wire brings -------------------------------------------------------

HTML = "<!DOCTYPE html><html><body>Vui lòng đăng nhập để truy cập Internet</body></html>".encode()
XML_FAULT = b'<ams:fault xmlns:ams="http://wso2.org/apimanager/security"><ams:code>303001</ams:code><ams:message>x</ams:message></ams:fault>'
BOMB = b'<?xml version="1.0"?><!DOCTYPE fault [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><fault><code>&b;</code></fault>'

_fixed("HTML with status 200", passing("not_json"), reply("200 OK", HTML, "Content-Type: text/html"))
_fixed("HTML that says it is JSON", passing("not_json"), HTML)
_fixed("no body", passing("not_json"), b"")
_fixed("only spaces", passing("not_json"), b"  \n ")
_fixed("XML fault with status 200", passing("wso2_303001"), reply("200 OK", XML_FAULT, "Content-Type: application/xml"))
_fixed("XML fault with status 500", passing("wso2_303001"), reply("500 Error", XML_FAULT, "Content-Type: application/xml"))
_fixed("XML with an entity bomb", passing("not_json"), reply("200 OK", BOMB, "Content-Type: application/xml"))
_fixed("JSON fault with status 200", passing("wso2_101504"), b'{"fault":{"code":"101504","message":"Send timeout"}}')
_fixed("JSON fault that needs a person", permanent("wso2_900908"), b'{"fault":{"code":900908,"message":"Resource forbidden"}}')
_fixed("not found", permanent("http_404"), reply("404 Not Found", HTML))
_fixed("a redirect to another host", permanent("redirected"), reply("302 Found", b"", "Location: http://169.254.169.254/"))
payload("half of the JSON", passing("not_json"))(lambda rows: _json(rows)[: len(_json(rows)) // 2])
payload("cut inside a letter", passing("not_json"))(lambda rows: _json(rows)[: _json(rows).index("Lộc".encode()) + 3])
payload("a length that is not reached", passing("truncated"))(lambda rows: reply("200 OK", _json(rows), length=999_999))
payload("a chunk that is not reached", passing("truncated"))(
    lambda rows: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5000\r\n" + _json(rows)[:100]
)
payload("gzip that nobody asked for", permanent("encoded"))(
    lambda rows: reply("200 OK", gzip.compress(_json(rows)), "Content-Encoding: gzip")
)
payload("gzip that does not say so", passing("not_json"))(lambda rows: gzip.compress(_json(rows)))
payload("gzip cut in the middle", passing("not_json"))(lambda rows: gzip.compress(_json(rows))[:50])
payload("a byte order mark", passing("not_json"))(lambda rows: b"\xef\xbb\xbf" + _json(rows))
payload("UTF-16", passing("not_json"))(lambda rows: _json(rows).decode().encode("utf-16"))
payload("Windows-1258", passing("not_json"))(lambda rows: _json(rows).replace("Lộc".encode(), b"L\xf4\xf2c"))
payload("an overlong sequence", passing("not_json"))(lambda rows: _json(rows).replace("ộ".encode(), b"\xc0\xaf", 1))
payload("a lone surrogate", passing("not_json"))(lambda rows: _json(rows).replace("Lộc".encode(), b"\\ud800", 1))
payload("two documents", passing("not_json"))(lambda rows: _json(rows) + _json(rows))
payload("a comma too many", passing("not_json"))(lambda rows: _json(rows)[:-1] + b",]")
payload("not a number", passing("not_json"))(lambda rows: _json(rows).replace(b"null", b"NaN"))
_fixed("nested without end", passing("not_json"), b"[" * 200_000)
payload("the rows in an object", permanent("wrong_shape"))(lambda rows: _json({"data": rows}))
_fixed("null", permanent("wrong_shape"), b"null")
_fixed("a text", permanent("wrong_shape"), b'"OK"')
payload("rows without names of columns", permanent("wrong_shape"))(lambda rows: _json([list(row.values()) for row in rows]))
payload("a null among the rows", permanent("wrong_shape"))(lambda rows: _json([*rows, None]))
payload("other names of columns", permanent("columns_missing"))(
    lambda rows: _json([{name.lower(): value for name, value in row.items()} for row in rows])
)

# --- a list, and a harmful one -----------------------------------------------------------------------

payload("an empty list", held("empty_list", "closed_share"))(lambda rows: b"[]")
payload("90 % smaller", held("truncated_list", "closed_share", "broken_tree", problems=("unknown_parent",)))(
    lambda rows: _json(rows[-6:])
)
payload("the last rows are missing", held("closed_share"))(lambda rows: _json(rows[:-6]))
payload("one root is missing with its branch", held("truncated_list", "closed_share"))(
    lambda rows: _json([row for row in rows if not row["Ma"].startswith("03")])
)
payload("a root is missing, its branch is not", held("broken_tree", problems=("unknown_parent",)))(
    lambda rows: _json([row for row in rows if row["Ma"] != "03"])
)


@payload("10 times as large", held("grown_list"))
def grown(rows: list[dict]) -> bytes:
    extra = [
        _row(f"{root:02d}{chr(65 + n // 26)}{chr(65 + n % 26)}", f"Mới {root} {n}", f"{root:02d}")
        for root in (1, 2, 3)
        for n in range(210)
    ]
    return _json(rows + extra)


@payload("two codes, each with two roots' names exchanged", held("reused_code"))
def exchanged(rows: list[dict]) -> bytes:
    rows[3]["Ten"], rows[5]["Ten"] = "Kim Ngân", "Bạch Hổ"
    return _json(rows)


payload("the same rows twice", held("refused_rows", problems=("duplicate_code",)))(lambda rows: _json(rows + rows))
payload("one row twice", held("refused_rows", problems=("duplicate_code",)))(lambda rows: _json([*rows, rows[10]]))


@payload("one code twice with two names", held("refused_rows", problems=("duplicate_code",)))
def two_names(rows: list[dict]) -> bytes:
    return _json([*rows, {**rows[10], "Ten": "Một tên khác"}])


@payload("NFC and NFD twins of a new code", held("refused_rows", problems=("duplicate_code", "not_nfc")))
def twins(rows: list[dict]) -> bytes:
    twin = _row("ÀB", "Sinh đôi", "01")
    return _json([*rows, twin, {**twin, "Ma": unicodedata.normalize("NFD", "ÀB")}])


payload("every name decomposed", held("refused_rows", problems=("not_nfc",)))(
    lambda rows: unicodedata.normalize("NFD", _json(rows).decode()).encode()
)


@payload("a circle of two", held("broken_tree", problems=("cyclic_parent",)))
def circle(rows: list[dict]) -> bytes:
    rows[5]["MaCha"], rows[6]["MaCha"] = rows[6]["Ma"], rows[5]["Ma"]
    return _json(rows)


@payload("a circle of three through a root", held("broken_tree", problems=("cyclic_parent",)))
def long_circle(rows: list[dict]) -> bytes:
    rows[0]["MaCha"], rows[4]["MaCha"] = rows[5]["Ma"], rows[0]["Ma"]
    rows[5]["MaCha"] = rows[4]["Ma"]
    return _json(rows)


_changed("its own parent", held("broken_tree", problems=("self_parent",)), Ma="0102", MaCha="0102")
_changed("an orphan", held("broken_tree", problems=("unknown_parent",)), MaCha="99")
_changed("a name where the parent's code belongs", held("broken_tree", problems=("unknown_parent",)), MaCha="An Lộc")
_changed("30 February", held("refused_rows", problems=("impossible_date",)), NgayBanHanh="30/02/2026")
_changed("31 April", held("refused_rows", problems=("impossible_date",)), NgayBanHanh="31/04/2026")
_changed("the American order of dates", held("refused_rows", problems=("impossible_date",)), NgayBanHanh="12/31/2025")
_changed("a date of Excel", held("refused_rows", problems=("impossible_date",)), NgayBanHanh=45992)
_changed("a date in an object", held("refused_rows", problems=("impossible_date",)), NgayBanHanh={"$date": 0})
_changed("no code", held("refused_rows", problems=("no_code",)), Ma=None)
_changed("a code that lost its zero", held("refused_rows", problems=("wrong_shape",)), Ma=102)
_changed("a code in a list", held("refused_rows", problems=("wrong_shape", "code_pattern")), Ma=["0102"])
_changed("a code with an invisible letter", held("refused_rows", problems=("wrong_encoding", "code_pattern")), Ma="0102\u200b")
_changed("a code in full-width digits", held("refused_rows", problems=("code_pattern",)), Ma="０１０２")
_changed("no name", held("refused_rows", problems=("no_name",)), Ten=None)
_changed(
    "a name read in another encoding", held("refused_rows", problems=("wrong_encoding",)), Ten="Lộc".encode().decode("latin-1")
)
_changed("a name with NUL", held("refused_rows", problems=("wrong_encoding",)), Ten="Cường\x00")
_changed("a name that turns the direction", held("refused_rows", problems=("wrong_encoding",)), Ten="Cường \u202egnauQ")
_changed("a name without end", held("refused_rows", problems=("too_long",)), Ten="Cường " * 2000)
_changed("a formula for a name", held("refused_rows", problems=("formula",)), Ten='=HYPERLINK("http://x")')
_changed("an attribute with NUL", held("refused_rows", problems=("wrong_encoding",)), GhiChu="a\x00b")

# --- a list that only looks odd -----------------------------------------------------------------------

payload("the rows in another order", SAME)(lambda rows: _json(rows[::-1]))
payload("a column we do not know", SAME)(lambda rows: _json([{**row, "Moi": 1} for row in rows]))
payload("spaces around the names", SAME)(lambda rows: _json([{**row, "Ten": f" {row['Ten']}  "} for row in rows]))
payload("letters as escapes", SAME)(lambda rows: json.dumps(rows).encode())
_changed("one name a little longer", HARMLESS, Ten="Cường Hòa 2 (sửa)")
_changed("another name of which a syllable is the same", held("reused_code"), Ten="Cường Long 2")


def body_of(name: str) -> bytes:
    """The whole HTTP answer of a payload."""
    made = CORPUS[name][0](copy.deepcopy(good_rows()))
    return made if made.startswith(b"HTTP/") else reply("200 OK", made, "Content-Type: application/json")
