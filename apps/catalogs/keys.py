"""Search line and sort key of a row, put together from those of its words: 100,000 names have few different words."""

from __future__ import annotations

from apps.core.text import clean, sort_key, word_line

MOST_WORDS = 20_000
"""Words remembered at a time: a few megabytes."""


class _Words(dict):
    """Word → (what the search sees of it, its letters, its tones); None for a word that cannot be looked at alone."""

    def __missing__(self, word: str) -> tuple[str, str, str] | None:
        if word.isascii() and word.isdigit():  # numbers seldom come again
            return word, word, "0" * len(word)
        if len(self) >= MOST_WORDS:
            self.clear()
        found = self[word] = _parts(word)
        return found


def _parts(word: str) -> tuple[str, str, str] | None:
    if not word or clean(word) != word or not word[0].isalnum():
        return None
    letters, _, tones = sort_key(word).partition("\u0001")
    seen = word_line(word)[1:]
    return (seen, letters, tones) if seen else None


class _Kinds(dict):
    """The words before a name (Xã, Phường, Thị trấn) → what the search sees of them; None where a word cannot be looked at alone."""

    def __missing__(self, kind: str) -> str | None:
        if len(self) >= MOST_WORDS:
            self.clear()
        found = self[kind] = _seen(kind)
        return found


def _seen(text: str) -> str | None:
    parts = [_WORDS[word] for word in text.split(" ")]
    return None if None in parts else " ".join([part[0] for part in parts])


_WORDS, _KINDS = _Words(), _Kinds()
_part_of = _WORDS.__getitem__


def search_line(code: str, name: str, full_name: str) -> str:
    """What the search looks at: " 00004 phuong ba dinh"."""
    return word_line(f"{code} {full_name}" if name in full_name else f"{code} {full_name} {name}")


def both(code: str, name: str, full_name: str) -> tuple[str, str]:
    """(search line, sort key), the same as `search_line` and `sort_key` give for the whole texts."""
    try:
        seen, letters, tones = zip(*map(_part_of, name.split(" ")), strict=True)
    except TypeError:  # a word that cannot be looked at alone
        return search_line(code, name, full_name), sort_key(name)
    line = " ".join(seen)
    if full_name != name:
        kind = full_name.removesuffix(name)
        if kind[-1:] == " " and len(kind) < len(full_name):  # as nearly all do: Xã Phú Đồng
            before = _KINDS[kind[:-1]]
        else:
            before, line = _seen(full_name), "" if name in full_name else line
        if before is None:
            return search_line(code, name, full_name), sort_key(name)
        line = f"{before} {line}" if line else before
    if not (code.isascii() and code.isalnum()):
        return search_line(code, name, full_name), sort_key(name)
    return f" {code.lower()} {line}", f"{' '.join(letters)}\u0001{'0'.join(tones)}"
