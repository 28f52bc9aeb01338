"""Collects the texts of code and templates and merges `locale/parts/*.po.json` into the Vietnamese catalog.

    python -m lgsp.dev.messages            write locale/vi/LC_MESSAGES/django.po and .mo
    python -m lgsp.dev.messages --check    say what is missing or out of date, write nothing, exit 1 if anything is

Needs no gettext programs. A part is a flat JSON object, `{"English msgid": "Tiếng Việt"}`; a plural is a list with one
form; a context is written before the msgid with a `|ctx|` on both sides: `{"|month|May": "Tháng Năm"}`. A part may also
name texts of Django or a library: ours win. The English text is the msgid, so there is no English catalog.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import django
import polib
from django.conf import settings
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ROOT / "locale" / "parts"
PO = ROOT / "locale" / "vi" / "LC_MESSAGES" / "django.po"
HEADER = {
    "Project-Id-Version": "LGSP",
    "Language": "vi",
    "MIME-Version": "1.0",
    "Content-Type": "text/plain; charset=UTF-8",
    "Content-Transfer-Encoding": "8bit",
    "Plural-Forms": "nplurals=1; plural=0;",
}
# Called name -> positions of (context, msgid, plural); None where the function has none.
FUNCTIONS: dict[str, tuple[int | None, int, int | None]] = {
    **dict.fromkeys(("_", "N_", "gettext", "gettext_lazy", "gettext_noop"), (None, 0, None)),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (None, 0, 1)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), (0, 1, None)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), (0, 1, 2)),
}
_TEMPLATE_CALL = re.compile(r"\b(n?p?gettext|_)\(")
_PLACE = re.compile(r"%\((\w+)\)[#\- +\d.]*[a-zA-Z]|%[sdrif]|\{(\w*)\}")


@dataclass
class Message:
    """A text of ours: where it is said, and its plural when it has one."""

    plural: str | None = None
    places: list[str] = field(default_factory=list)


Key = tuple[str | None, str]
"""Context (None: without) and msgid."""


class Plural(str):
    """A text that a part gives as a list of one: it is looked up as a plural, also where only a library has the English."""


class BadMessages(Exception):
    """A sentence for each line: what is wrong with the texts."""


def collect() -> dict[Key, Message]:
    """Every translatable text of apps/, lgsp/ and the templates. Raises BadMessages for one that is put together first."""
    found: dict[Key, Message] = {}
    problems: list[str] = []
    for path, text in _sources():
        try:
            for key, plural in texts_of_python(text):
                message = found.setdefault(key, Message())
                message.plural = message.plural or plural
                if path not in message.places:
                    message.places.append(path)
        except BadMessages as error:
            problems.append(f"{path}:{error}")
    if problems:
        raise BadMessages("\n".join(problems))
    return found


def _sources() -> Iterator[tuple[str, str]]:
    """(path, Python text): templates come as the gettext calls they stand for."""
    for top in ("apps", "lgsp"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if "/migrations/" not in path.as_posix():
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    folders = [ROOT / "templates", *sorted((ROOT / "apps").glob("*/templates"))]
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.suffix in (".html", ".txt")):
        name = path.relative_to(ROOT).as_posix()
        yield name, calls_of_template(path.read_text(encoding="utf-8"), name)


def texts_of_python(text: str) -> Iterator[tuple[Key, str | None]]:
    """The texts handed to gettext's functions. Raises BadMessages (`line …`) for an f-string and its like."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in FUNCTIONS and node.args:
                context, msgid, plural = FUNCTIONS[name]
                told = node.args[msgid] if len(node.args) > msgid else None
                if not isinstance(told, ast.Constant | None) and not _is_put_together(told):
                    continue  # a text kept elsewhere, where it is marked with gettext_noop
                key = (None if context is None else _literal(node, context), _literal(node, msgid))
                yield key, None if plural is None else _literal(node, plural)


def _is_put_together(node: ast.AST) -> bool:
    """An f-string, a sum, a `%` or a `.format()`: no catalog can have it."""
    formatted = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "format"
    return formatted or isinstance(node, ast.JoinedStr | ast.BinOp)


def _literal(call: ast.Call, position: int) -> str:
    value = call.args[position] if position < len(call.args) else None
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    raise BadMessages(f"{call.lineno} a text must not be put together before it is translated: {ast.unparse(call)[:80]}")


def calls_of_template(text: str, name: str) -> str:
    """The template's texts as gettext calls, one a line (Django's `templatize`, then only the calls are kept)."""
    shadow = templatize(text, origin=name)
    calls = []
    for match in _TEMPLATE_CALL.finditer(shadow):
        end = _closing(shadow, match.end())
        calls.append(shadow[match.start() : end].replace(",count)", ",0)").replace(", count)", ",0)"))
    return "\n".join(calls)


def _closing(text: str, start: int) -> int:
    """The index after the parenthesis that closes the call whose arguments start at `start`."""
    quote = ""
    position = start
    while position < len(text):
        character = text[position]
        if quote:
            if character == "\\":
                position += 1
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character == ")":
            return position + 1
        position += 1
    return position


def translations() -> dict[Key, str]:
    """All parts together. Raises BadMessages where two parts disagree or a part is malformed."""
    merged: dict[Key, tuple[str, str]] = {}
    problems = []
    for path in sorted(PARTS.glob("*.po.json")):
        try:
            pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
        except ValueError as error:
            problems.append(f"{path.name}: {error}")
            continue
        for written, value in pairs:
            one = isinstance(value, list) and len(value) == 1 and isinstance(value[0], str)
            text = Plural(value[0]) if one else value
            if not isinstance(text, str):
                problems.append(f"{path.name}: {written!r} needs one text, or a list of one for a plural")
                continue
            key = _key(written)
            other, owner = merged.setdefault(key, (text, path.name))
            if other != text:
                problems.append(f"{path.name}: {written!r} is “{text}”, but {owner} says “{other}”")
            problems += [f"{path.name}: {written!r}: {problem}" for problem in _misfit(key[1], text)]
    if problems:
        raise BadMessages("\n".join(problems))
    return {key: text for key, (text, _) in merged.items() if text}


def _key(written: str) -> Key:
    context = re.match(r"^\|([^|]+)\|(.+)$", written, re.DOTALL)
    return (context[1], context[2]) if context else (None, written)


def _misfit(msgid: str, text: str) -> Iterator[str]:
    """A translation must keep the placeholders (a plural's may leave some out, so it may not add any)."""
    wanted, given = set(_PLACE.findall(msgid)), set(_PLACE.findall(text))
    if text and given - wanted:
        yield f"has placeholders that the English lacks: {sorted(given - wanted)}"
    if text and wanted and not given:
        yield "has lost its placeholders"
    if text and (msgid.startswith("\n"), msgid.endswith("\n")) != (text.startswith("\n"), text.endswith("\n")):
        yield "must begin and end with a line break where the English does"


def build(found: dict[Key, Message], vietnamese: dict[Key, str]) -> polib.POFile:
    """The catalog: our texts in the order of msgids, then texts of libraries that we say better."""
    po = polib.POFile(wrapwidth=0)
    po.metadata = HEADER
    for key in sorted({*found, *vietnamese}, key=lambda k: (k not in found, k[1], k[0] or "")):
        message = found.get(key, Message())
        text = vietnamese.get(key, "")
        entry = polib.POEntry(
            msgctxt=key[0],
            msgid=key[1],
            comment="" if key in found else "a library's text",
            occurrences=[(place, "") for place in message.places],
        )
        # Gettext looks a plural up by its singular, so for a library's plural the singular stands twice.
        plural = message.plural or (key[1] if key not in found and isinstance(text, Plural) else None)
        if plural is None:
            entry.msgstr = text
        else:
            entry.msgid_plural, entry.msgstr_plural = plural, {0: text}
        if "%(" in key[1] or "%s" in key[1] or "%d" in key[1]:
            entry.flags = ["python-format"]
        po.append(entry)
    return po


def missing(found: dict[Key, Message], vietnamese: dict[Key, str]) -> list[str]:
    """Our texts that have no Vietnamese, with one place each."""
    return [f"{message.places[0]}: {key[1]!r}" for key, message in sorted(found.items(), key=str) if not vietnamese.get(key)]


def main(arguments: list[str]) -> int:
    if not settings.configured:
        settings.configure(USE_I18N=False)
        django.setup()
    try:
        found, vietnamese = collect(), translations()
    except BadMessages as error:
        print(error)
        return 1
    po, lacking = build(found, vietnamese), missing(found, vietnamese)
    if "--check" in arguments:
        return _check(po, lacking)
    PO.parent.mkdir(parents=True, exist_ok=True)
    PO.write_text(str(po) + "\n", encoding="utf-8")
    PO.with_suffix(".mo").write_bytes(po.to_binary())
    print(f"{len(po)} texts, {len(lacking)} of ours without Vietnamese" + "".join(f"\n  {line}" for line in lacking))
    return 0


def _check(po: polib.POFile, lacking: list[str]) -> int:
    problems = [f"no Vietnamese: {line}" for line in lacking]
    mo = PO.with_suffix(".mo")
    if (
        not PO.exists()
        or PO.read_text(encoding="utf-8") != str(po) + "\n"
        or not mo.exists()
        or mo.read_bytes() != po.to_binary()
    ):
        problems.append("the catalog is out of date: run `make messages` and commit locale/vi")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
