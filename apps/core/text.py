"""One way to fold and one way to sort Vietnamese text, for columns and queries alike.

The embedded server has no ICU and a C locale; production may be in another. Nothing on a screen or in a
test may rest on the database's own order, so both keys are computed here and stored.
"""

from __future__ import annotations

import math
import re
import unicodedata

_SPACES = re.compile(r"\s+")
_LONE_MARK = re.compile("[\u0300-\u036f]")
_PLAIN = re.compile(r"[0-9a-zA-Z\u00c0-\u024f\u1e00-\u1eff.,()'/&+-]+(?: [0-9a-zA-Z\u00c0-\u024f\u1e00-\u1eff.,()'/&+-]+)*")
_DISGUISE = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # marks that turn the direction of writing
_NOT_WORD = re.compile(r"[^0-9a-z]+")
_ALPHABET = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"
_LETTER = {letter: chr(0x61 + index) if index < 26 else chr(0x61 + index) for index, letter in enumerate(_ALPHABET)}
# Order of the tones in Vietnamese dictionaries: level, grave, hook, tilde, acute, dot below.
_TONE = {"\u0300": "1", "\u0309": "2", "\u0303": "3", "\u0301": "4", "\u0323": "5"}


def clean(text: str) -> str:
    """NFC, no zero-width or non-breaking spaces, single inner spaces, trimmed."""
    if _PLAIN.fullmatch(text or ""):  # composed letters, single spaces: nothing to mend, and nearly every name is so
        return text
    text = unicodedata.normalize("NFC", text or "").replace("\u00a0", " ")
    text = "".join(ch for ch in text if unicodedata.category(ch) not in ("Cf", "Cc") or ch in "\n\t")
    return _SPACES.sub(" ", text).strip()


def undisguised(value):
    """A text, or each text of a list, without the marks that make it read in another order than it is stored.

    Vietnamese needs none of them; with one, a signer would read (and the printed agreement would show) other words
    than those signed. Anything that is no text is given back as it is.
    """
    if isinstance(value, list):
        return [undisguised(member) for member in value]
    return _DISGUISE.sub("", value) if isinstance(value, str) else value


def is_storable(value: object) -> bool:
    """Whether the database can keep it as JSON and send it on: no NUL, no half of a surrogate pair (names of members too), no
    number without an end (`1e999` is read as one)."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, dict):
        return all(is_storable(name) and is_storable(item) for name, item in value.items())
    if isinstance(value, float):
        return math.isfinite(value)
    return all(map(is_storable, value)) if isinstance(value, list) else True


class _Folded(dict):
    """Code point → folded letters, found once for each letter: a release folds 100,000 names."""

    def __missing__(self, point: int) -> str:
        decomposed = unicodedata.normalize("NFD", chr(point).replace("đ", "d"))
        self[point] = "".join(ch for ch in decomposed if not unicodedata.combining(ch))
        return self[point]


_FOLDED = _Folded()


def fold(text: str) -> str:
    """Lower case, without tones and marks, đ as d, single spaces: 'Đồng  Nai' → 'dong nai'."""
    return " ".join((text or "").lower().translate(_FOLDED).split())


def words(text: str) -> list[str]:
    """The folded words of a search text, operators and punctuation dropped."""
    return [word for word in _NOT_WORD.split(fold(text)) if word]


class _Words(_Folded):
    """As `_Folded`, with everything that is neither a letter a-z nor a digit as a space."""

    def __missing__(self, point: int) -> str:
        self[point] = _NOT_WORD.sub(" ", _FOLDED[point])
        return self[point]


_WORDS = _Words()


def word_line(text: str) -> str:
    """The folded words of a text in one line that begins with a space: " xa dong nai". A word's start is found by " dong"."""
    return " " + " ".join(text.lower().translate(_WORDS).split())


def prefix_query(text: str) -> str:
    """A `to_tsquery('simple', …)` text that finds entries with words beginning so: "'dong':* & 'na':*"."""
    return " & ".join(f"'{word}':*" for word in words(text))


class _SortLetters(dict):
    """Code point of a composed letter → its place in the alphabet (first table) or its tone (second)."""

    def __init__(self, part: int) -> None:
        super().__init__()
        self.part = part

    def __missing__(self, point: int) -> str:
        self[point] = _letter_and_tone(chr(point))[self.part]
        return self[point]


_HEADS, _TONES = _SortLetters(0), _SortLetters(1)


def sort_key(text: str) -> str:
    """A key whose plain code-point order is the Vietnamese alphabet's (a ă â b c d đ e ê …), tones last."""
    lowered = clean(text).lower()
    if lowered.isascii():
        return f"{lowered.translate(_HEADS)}\u0001{'0' * len(lowered)}"
    if _LONE_MARK.search(lowered):  # letters that have no composed form: their marks follow them
        head, tones = _letter_and_tone(lowered)
    else:
        head, tones = lowered.translate(_HEADS), lowered.translate(_TONES)
    return f"{head}\u0001{tones}"


def _letter_and_tone(text: str) -> tuple[str, str]:
    letters, tones = [], []
    for ch in unicodedata.normalize("NFD", text):
        if ch in _TONE:
            if tones:
                tones[-1] = _TONE[ch]
        elif unicodedata.combining(ch):
            if letters:
                letters[-1] = _marked(letters[-1], ch)
        else:
            letters.append(ch)
            tones.append("0")
    return "".join(_LETTER.get(ch, ch) for ch in letters), "".join(tones)


def _marked(letter: str, mark: str) -> str:
    return unicodedata.normalize("NFC", letter + mark)
