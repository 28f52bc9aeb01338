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


_WORDS = _Words()


def search_line(code: str, name: str, full_name: str) -> str:
    """What the search looks at: " 00004 phuong ba dinh"."""
    return word_line(f"{code} {full_name}" if name in full_name else f"{code} {full_name} {name}")


def both(code: str, name: str, full_name: str) -> tuple[str, str]:
    """(search line, sort key), the same as `search_line` and `sort_key` give for the whole texts."""
    own = [_WORDS[word] for word in name.split(" ")]
    if full_name.endswith(f" {name}"):  # as nearly all do: Xã Phú Đồng
        seen = [_WORDS[word] for word in full_name[: -len(name) - 1].split(" ")] + own
    else:
        seen = [_WORDS[word] for word in full_name.split(" ")]
        if name not in full_name:
            seen += own
    if None in seen or None in own or not (code.isascii() and code.isalnum()):
        return search_line(code, name, full_name), sort_key(name)
    line = f" {code.lower()} {' '.join([part[0] for part in seen])}"
    return line, f"{' '.join([part[1] for part in own])}\u0001{'0'.join([part[2] for part in own])}"
