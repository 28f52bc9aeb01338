"""One canonical form of an address, computed once: the path that is authorized is the path that is forwarded.

Whatever two parsers could read differently is refused (`Ambiguous`), never repaired: encoded slashes, dots and
percent signs, double encoding, backslashes, `;` parameters, empty and dot segments, control characters, invalid UTF-8,
characters that some normalization turns into one of those.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from urllib.parse import quote_from_bytes

LONGEST_PATH = 2048
LONGEST_QUERY = 4096
_UNRESERVED = "-._~"
_PLAIN_SEGMENT = re.compile(rb"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
_PLAIN_PATH = re.compile(rb"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_PLAIN_TEXT = re.compile(r"[A-Za-z0-9._~-]+")
_PLAIN_PARTS = re.compile(r"[A-Za-z0-9._~/-]+")
_RAW_SEGMENT = re.compile(rb"(?:[A-Za-z0-9._~:@!$'()*,=+&-]|%[0-9A-Fa-f]{2})+")
_RAW_QUERY = re.compile(rb"(?:[A-Za-z0-9._~:@!$'()*,/?-]|%[0-9A-Fa-f]{2}|\+)*")
_FORBIDDEN = frozenset("/\\%?#;")
_ENCODED_UNRESERVED = re.compile(rb"%(?:2[DdEe]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9AaEe])")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


class Ambiguous(ValueError):
    """The address could be read in two ways, or is not well formed. The text is for logs, not for consumers."""


def _decode(raw: bytes) -> str:
    """Percent-decoded text of one segment or value (already matched against its alphabet). Raises Ambiguous."""
    if b"%" in raw:
        raw = _PERCENT.sub(lambda m: bytes([int(m[1], 16)]), raw)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Ambiguous("invalid UTF-8") from None
    if not text.isascii():
        _check_unicode(text)
    if any(ch < " " or ch == "\x7f" for ch in text):
        raise Ambiguous("control character")
    return text


def _check_unicode(text: str) -> None:
    if unicodedata.normalize("NFC", text) != text:
        raise Ambiguous("not in normal form C")
    for ch in text:
        if ch.isascii():
            continue
        if unicodedata.category(ch) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            raise Ambiguous("invisible or unassigned character")
        folded = unicodedata.normalize("NFKC", ch)
        if any(f in _FORBIDDEN or f == "." or f < " " for f in folded):
            raise Ambiguous("look-alike of a separator")


def encode(text: str) -> str:
    """The one spelling of a value on the wire: everything but unreserved characters percent-encoded, upper-case hex."""
    if _PLAIN_TEXT.fullmatch(text):
        return text
    return quote_from_bytes(text.encode(), safe=_UNRESERVED)


def segments(raw: bytes) -> tuple[str, ...]:
    """The decoded segments of a raw path that begins with a slash. Raises Ambiguous."""
    if not raw.startswith(b"/") or len(raw) > LONGEST_PATH:
        raise Ambiguous("no leading slash or too long")
    if _PLAIN_PATH.fullmatch(raw):
        return tuple(raw[1:].decode("ascii").split("/"))
    return tuple([_segment(part) for part in raw[1:].split(b"/")])


def _segment(part: bytes) -> str:
    if _PLAIN_SEGMENT.fullmatch(part):
        return part.decode("ascii")
    if not _RAW_SEGMENT.fullmatch(part):
        raise Ambiguous("a segment is empty or holds a character that must be encoded")
    if _ENCODED_UNRESERVED.search(part):
        raise Ambiguous("a plain character is percent-encoded")
    text = _decode(part)
    if text in (".", "..") or not _FORBIDDEN.isdisjoint(text) or text.startswith("."):
        raise Ambiguous("a dot segment, or a separator inside a segment")
    return text


def canonical_path(parts: Sequence[str]) -> str:
    text = "/".join(parts)
    if _PLAIN_PARTS.fullmatch(text) and text.count("/") == len(parts) - 1:
        return "/" + text
    return "".join(["/" + encode(part) for part in parts])


def query_pairs(raw: bytes) -> list[tuple[str, str]]:
    """Names and values of a raw query string in their order. Raises Ambiguous."""
    if not raw:
        return []
    if len(raw) > LONGEST_QUERY:
        raise Ambiguous("query too long")
    pairs = []
    for part in raw.split(b"&"):
        name, separator, value = part.partition(b"=")
        if not separator or not name or not _RAW_QUERY.fullmatch(name) or not _RAW_QUERY.fullmatch(value.replace(b"=", b"-")):
            raise Ambiguous("a query part is not name=value")
        pairs.append((_decode(name.replace(b"+", b" ")), _decode(value.replace(b"+", b" "))))
    return pairs


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join([f"{encode(name)}={encode(value)}" for name, value in pairs])
