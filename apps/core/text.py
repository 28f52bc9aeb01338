"""One way to fold and one way to sort Vietnamese text, for columns and queries alike.

The embedded server has no ICU and a C locale; production may be in another. Nothing on a screen or in a
test may rest on the database's own order, so both keys are computed here and stored.
"""

from __future__ import annotations

import re
import unicodedata

_SPACES = re.compile(r"\s+")
_NOT_WORD = re.compile(r"[^0-9a-z]+")
_ALPHABET = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"
_LETTER = {letter: chr(0x61 + index) if index < 26 else chr(0x61 + index) for index, letter in enumerate(_ALPHABET)}
# Order of the tones in Vietnamese dictionaries: level, grave, hook, tilde, acute, dot below.
_TONE = {"\u0300": "1", "\u0309": "2", "\u0303": "3", "\u0301": "4", "\u0323": "5"}


def clean(text: str) -> str:
    """NFC, no zero-width or non-breaking spaces, single inner spaces, trimmed."""
    text = unicodedata.normalize("NFC", text or "").replace("\u00a0", " ")
    text = "".join(ch for ch in text if unicodedata.category(ch) not in ("Cf", "Cc") or ch in "\n\t")
    return _SPACES.sub(" ", text).strip()


def fold(text: str) -> str:
    """Lower case, without tones and marks, đ as d, single spaces: 'Đồng  Nai' → 'dong nai'."""
    decomposed = unicodedata.normalize("NFD", (text or "").lower().replace("đ", "d"))
    plain = "".join(ch for ch in decomposed if not unicodedata.combining(ch))
    return _SPACES.sub(" ", plain).strip()


def words(text: str) -> list[str]:
    """The folded words of a search text, operators and punctuation dropped."""
    return [word for word in _NOT_WORD.split(fold(text)) if word]


def prefix_query(text: str) -> str:
    """A `to_tsquery('simple', …)` text that finds entries with words beginning so: "'dong':* & 'na':*"."""
    return " & ".join(f"'{word}':*" for word in words(text))


def sort_key(text: str) -> str:
    """A key whose plain code-point order is the Vietnamese alphabet's (a ă â b c d đ e ê …), tones last."""
    letters, tones = [], []
    for ch in unicodedata.normalize("NFD", clean(text).lower()):
        if ch in _TONE:
            if tones:
                tones[-1] = _TONE[ch]
        elif unicodedata.combining(ch):
            if letters:
                letters[-1] = _marked(letters[-1], ch)
        else:
            letters.append(ch)
            tones.append("0")
    head = "".join(_LETTER.get(ch, ch) for ch in letters)
    return f"{head}\u0001{''.join(tones)}"


def _marked(letter: str, mark: str) -> str:
    return unicodedata.normalize("NFC", letter + mark)
