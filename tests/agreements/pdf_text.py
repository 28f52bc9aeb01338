"""The text of a PDF of ours, by the reader that is there for signatures: no program of the machine is asked for it."""

from __future__ import annotations

import io
import re

from pyhanko.pdf_utils.reader import PdfFileReader

_SHOWN = re.compile(rb"/(\w+) [\d.]+ Tf|\[(.*?)\]\s*TJ|(<[0-9a-fA-F]+>)\s*Tj", re.DOTALL)
"""A font is taken, or a line of glyphs is shown in it, with and without spaces between them set by hand."""


def text_of(data: bytes) -> str:
    """What the pages say, as their fonts tell what each glyph stands for; nothing between two pieces."""
    return "".join(_said(page) for page in _pages(PdfFileReader(io.BytesIO(data)).root["/Pages"]))


def _pages(node):
    for number in range(len(kids := node["/Kids"])):
        yield from _pages(kids[number]) if "/Kids" in kids[number] else [kids[number]]


def _said(page) -> str:
    letters = {name[1:].encode(): _letters(font["/ToUnicode"].data) for name, font in _fonts(page).items()}
    said, present = [], {}
    for font, pieces, piece in _SHOWN.findall(page["/Contents"].data):
        present = letters[font] if font else present
        glyphs = b"".join(re.findall(rb"<([0-9a-fA-F]+)>", pieces or piece)).lower()
        said += [present[glyphs[at : at + 4]] for at in range(0, len(glyphs), 4)]
    return "".join(said)


def _fonts(page) -> dict:
    fonts = page["/Resources"]["/Font"]
    return {name: fonts[name] for name in fonts}


def _letters(table: bytes) -> dict[bytes, str]:
    """Glyph → letters, from a font's own table."""
    rows = re.findall(rb"^<([0-9a-fA-F]{4})> <([0-9a-fA-F]+)>$", table, re.MULTILINE)
    return {glyph.lower(): bytes.fromhex(letters.decode()).decode("utf-16-be") for glyph, letters in rows if glyph != b"0000"}
