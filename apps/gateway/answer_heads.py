"""Heads of a provider's answers: what they mean, understood once, and known again when the same bytes come.

Programs answer with the same head time after time but for the moment and the body's length. Such a head is parsed once, by
llhttp and all the checks of `provider_connections`; when it comes again with the whole body behind it and not a byte more,
only these two values are read, each by a pattern that takes no character which could mean anything else. Any other answer
goes through the parser.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache

REMEMBERED = 64
"""Heads kept a provider."""
REST = 1_000
"""So many answers are not looked for after `REMEMBERED` heads that never came again: this provider's all differ."""
LONGEST = 2_048
MOST_PASSED = 8
"""More headers that could reach the consumer are no answer of a program that means well: none of them does."""
_VARIES = re.compile(rb"\r\n(?:[Dd]ate: ([A-Za-z0-9,: ]{29})|[Cc]ontent-[Ll]ength: ([0-9]{1,8}))(?=\r\n)")
"""Split by it, a head is its unchanging texts, and after each one a date or a length (the other is None)."""
_VALUE = re.compile(r"[\x20-\x7e]{0,512}")
_PASSED = {name: name.encode() for name in ("cache-control", "expires", "last-modified", "content-language")}
"""Headers of a provider that reach the consumer. Not ETag: it names the uncut answer."""
_NOT_STORED = (b"cache-control", b"no-store")


class Head:
    """Status and headers of an answer, with what is made of them. Header names are lower case; repeated ones are in order.

    Of a head that was known again the length among them is the first answer's: who needs a body's length has the body.
    """

    def __init__(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = status, headers

    @cached_property
    def not_json(self) -> str:
        """Why the body is not read as JSON in UTF-8, a code of `refusals.FAILURES`; empty when it is."""
        return _not_read_as(self.headers, xml=False)

    @cached_property
    def not_xml(self) -> str:
        """`not_json`, for XML."""
        return _not_read_as(self.headers, xml=True)

    @cached_property
    def passed(self) -> tuple[tuple[bytes, bytes], ...]:
        """What reaches the consumer. Nothing is stored by caches unless the provider says so."""
        found = [(_PASSED[name], value.encode()) for name, value in self.headers if name in _PASSED and _VALUE.fullmatch(value)]
        if len(found) > MOST_PASSED:
            found = []  # not the first ones: the one that forbids to store may be behind them
        if not any(name == b"cache-control" for name, _value in found):
            found.append(_NOT_STORED)
        return tuple(found)


def _not_read_as(headers: list[tuple[str, str]], *, xml: bool) -> str:
    kinds, encoding = [], ""
    for name, value in headers:
        if name == "content-type":
            kinds.append(value)
        elif name == "content-encoding":
            encoding = value.lower()
    if len(kinds) != 1 or not _is_utf8(kinds[0], xml):
        return "provider_not_json"
    return "" if encoding in ("", "identity") else "provider_protocol_error"


@lru_cache(maxsize=512)
def _is_utf8(content_type: str, xml: bool) -> bool:
    """Whether a content type names JSON (or XML) in UTF-8."""
    kind, _semicolon, options = content_type.lower().partition(";")
    kind, form = kind.strip(), "xml" if xml else "json"
    plain = kind == f"application/{form}" or (xml and kind == "text/xml")
    if not plain and not (kind.startswith("application/") and kind.endswith(f"+{form}")):
        return False
    charset = re.search(r'charset\s*=\s*"?([^";\s]+)', options)
    return charset is None or charset[1] in ("utf-8", "utf8", "us-ascii")


class Heads:
    """The heads of one provider's answers that were understood: 200, one length, at most one date, the connection stays open."""

    __slots__ = ("_known", "_rest")

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, ...], tuple[Head, int, int]] = {}
        """The texts between what varies → the head, how many parts it has, and which of them is the length."""
        self._rest = 0

    def find(self, data: bytes, cap: int) -> tuple[Head, bytes] | None:
        """The head and body of `data`, when that is a whole answer with a head that is known and a body of at most `cap` bytes."""
        if not self._known:
            return None
        at = data.find(b"\r\n\r\n")
        parts = _VARIES.split(data[: at + 2])
        known = self._known.get(tuple(parts[::3]))
        if known is None:
            return None
        head, count, place = known
        if (length := parts[place]) is None or (count == 7 and parts[7 - place] is not None):
            return None  # the same texts around something else, as two lengths
        body = data[at + 4 :]
        return (head, body) if int(length) == len(body) and len(body) <= cap else None

    def remember(self, data: bytes, head: Head, size: int) -> None:
        """Keep the head of `data` when that is a whole answer with a body of `size` bytes and can be known again.

        The parser took it and keeps the connection.
        """
        if self._rest:
            self._rest -= 1
            return
        at = data.find(b"\r\n\r\n")
        if head.status != 200 or not 0 < at <= LONGEST or at + 4 + size != len(data):
            return
        parts = _VARIES.split(data[: at + 2])
        places = [place for place in (2, 5) if place < len(parts) and parts[place] is not None]
        if len(parts) not in (4, 7) or len(places) != 1 or int(parts[places[0]]) != size:
            return
        if len(self._known) >= REMEMBERED:
            self._known.clear()
            self._rest = REST
            return
        self._known[tuple(parts[::3])] = head, len(parts), places[0]
