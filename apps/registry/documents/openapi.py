"""OpenAPI 3.0 and 3.1 to contract data: reading operations, declared parameters, the tree of the first good answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from apps.core.canonical import canonical_json
from apps.core.text import clean
from apps.registry import patterns
from apps.registry.contract import MAX_FIELDS, MAX_SAMPLE
from apps.registry.documents.limits import MAX_NODES, MAX_TREE, DocumentRefused
from apps.registry.models import NAME, PATH_TEMPLATE

_VERSION = re.compile(r"^3\.[01](\.\d+)?(-.*)?$")
_READING = ("get", "post")
_WRITING = ("put", "patch", "delete")
_DATES = {"date", "date-time"}
_SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}
_BAD_NAME = re.compile(r"[^A-Za-z0-9_]+")
_BAD_SEGMENT = re.compile(r"[.\[\]\"\\\x00-\x1f\x7f]")


@dataclass
class _Document:
    """The document with a budget: every step through it costs one, so that references cannot run for ever."""

    root: dict
    notes: list[str]
    steps: int = 0
    seen_notes: set[str] = field(default_factory=set)

    def note(self, text: str) -> None:
        if text not in self.seen_notes and len(self.notes) < 100:
            self.seen_notes.add(text)
            self.notes.append(text)

    def follow(self, value: object, hops: int = 0) -> dict:
        """The object itself, its `$ref` followed inside the document. Raises DocumentRefused for any other reference."""
        self.steps += 1
        if self.steps > MAX_NODES or hops > 30:
            raise DocumentRefused("too_many")
        if not isinstance(value, dict):
            return {}
        reference = value.get("$ref")
        if not isinstance(reference, str):
            return value
        if not reference.startswith("#/"):
            raise DocumentRefused("remote_reference", reference)
        target: object = self.root
        for part in reference[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, dict) or key not in target:
                raise DocumentRefused("broken_reference", reference)
            target = target[key]
        return self.follow(target, hops + 1)


def read_openapi(root: dict, notes: list[str]) -> dict:
    """Contract data of the document. Raises DocumentRefused."""
    version = root.get("openapi")
    if not isinstance(version, str) or not _VERSION.match(version):
        raise DocumentRefused(
            "version" if "openapi" in root or "swagger" in root else "unknown", version or root.get("swagger", "")
        )
    document = _Document(root, notes)
    data: dict = {"operations": [], "samples": [], "errors": [], "documents": []}
    codes: set[str] = set()
    for path, item in _items(root.get("paths")):
        shared = document.follow(item)
        for method in (*_READING, *_WRITING):
            if isinstance(shared.get(method), dict):
                _operation(document, data, codes, path, method, shared)
    if not data["operations"]:
        raise DocumentRefused("no_operations", " ".join(notes))
    return data


def _operation(document: _Document, data: dict, codes: set[str], path: str, method: str, shared: dict) -> None:
    call = f"{method.upper()} {path}"
    if method in _WRITING:
        document.note(_("%(call)s was left out: update connections are not built yet.") % {"call": call})
        return
    if not PATH_TEMPLATE.regex.match(path) or len(path) > 300:
        document.note(_("%(call)s was left out: its path has a form that is not served.") % {"call": call})
        return
    operation = shared[method]
    if method == "post" and "requestBody" in operation:
        document.note(_("%(call)s takes a body; what is in it is not described here.") % {"call": call})
    code = _code(str(operation.get("operationId") or f"{method}{path}"), codes)
    answer, status = _good_answer(document, operation)
    schema, example = _content(document, answer)
    fields: list[dict] = []
    _walk(document, schema, "", fields, depth=0, trail=(), required_name=call)
    if not fields:
        document.note(_("%(call)s describes no fields of its answer.") % {"call": call})
    data["operations"].append(
        {
            "code": code, "name": _line(operation.get("summary"), 300) or code,
            "description": str(operation.get("description") or "")[:5_000], "method": method.upper(), "path": path,
            "parameters": _parameters(document, shared, operation, call), "fields": fields[:MAX_FIELDS],
        }
    )  # fmt: skip
    if example is not None and _is_kept(example):
        data["samples"].append({"operation": code, "request": "", "response": example})
    _errors(document, data, operation, status)


def _is_kept(example: object) -> bool:
    """Whether the example is small enough for a sample, and its whole numbers too."""
    try:
        return len(canonical_json(example)) <= MAX_SAMPLE
    except TypeError:
        return False  # a whole number of more than 64 bits


def _code(wanted: str, taken: set[str]) -> str:
    base = _BAD_NAME.sub("_", wanted).strip("_")[:70] or "operation"
    base = base if NAME.regex.match(base) else f"op_{base}"[:70]
    code, number = base, 2
    while code in taken:
        code, number = f"{base}_{number}", number + 1
    taken.add(code)
    return code


def _parameters(document: _Document, shared: dict, operation: dict, call: str) -> list[dict]:
    found: dict[tuple[str, str], dict] = {}
    for row in [*_list(shared.get("parameters")), *_list(operation.get("parameters"))]:
        given = document.follow(row)
        name, place = str(given.get("name", "")), str(given.get("in", ""))
        if place not in ("path", "query"):
            document.note(_("%(call)s: the %(place)s parameter %(name)s was left out.") % {
                "call": call, "place": place[:20], "name": name[:60]})  # fmt: skip
            continue
        if not NAME.regex.match(name) or len(name) > 80:
            document.note(_("%(call)s: the parameter %(name)s has a name that is not served.") % {
                "call": call, "name": name[:60]})  # fmt: skip
            continue
        found[name, place] = _parameter(document, given, name, place, call)
    return list(found.values())


def _parameter(document: _Document, given: dict, name: str, place: str, call: str) -> dict:
    schema = document.follow(given.get("schema"))
    longest = schema.get("maxLength")
    longest = longest if isinstance(longest, int) and not isinstance(longest, bool) and 1 <= longest <= 2_000 else 200
    pattern = str(schema.get("pattern") or "")
    if pattern and (why := patterns.fault(pattern, longest)):
        document.note(f"{call}, {name}: {why}")
        pattern = ""
    if schema.get("type") == "array":
        document.note(_("%(call)s: %(name)s is a list; a repeated parameter is refused.") % {"call": call, "name": name})
    example = given.get("example", schema.get("example", ""))
    return {
        "name": name, "label": _line(given.get("description") or schema.get("description"), 200), "location": place,
        "required": place == "path" or given.get("required") is True, "pattern": pattern, "max_length": longest,
        "is_subject": False, "example": _line(example if isinstance(example, str | int | float) else "", 200),
    }  # fmt: skip


def _good_answer(document: _Document, operation: dict) -> tuple[dict, str]:
    answers = operation.get("responses") if isinstance(operation.get("responses"), dict) else {}
    for status in ("200", "201", "203", "2XX", "default"):
        if status in answers:
            return document.follow(answers[status]), status
    return {}, ""


def _content(document: _Document, answer: dict) -> tuple[dict, object]:
    """Schema and example of the JSON (or, failing that, XML) body."""
    content = answer.get("content") if isinstance(answer.get("content"), dict) else {}
    ranked = sorted(content, key=lambda kind: (not kind.endswith("json"), not kind.endswith("xml"), kind))
    body = document.follow(content[ranked[0]]) if ranked else {}
    example = body.get("example")
    if example is None and isinstance(body.get("examples"), dict) and body["examples"]:
        example = document.follow(next(iter(body["examples"].values()))).get("value")
    return document.follow(body.get("schema")), example


def _walk(
    document: _Document, schema: object, path: str, fields: list[dict], *, depth: int, trail: tuple, required_name: str
) -> None:
    """Append the fields under `path`. `trail` holds the objects being described, so that a type inside itself ends."""
    shape = _merged(document, schema)
    if id(shape.get("_source")) in trail:
        document.note(_("%(path)s contains itself; it was cut there.") % {"path": path or required_name})
        return
    if depth > MAX_TREE or len(fields) >= MAX_FIELDS:
        document.note(
            _("%(path)s lies too deep or there are too many fields; the rest was cut.") % {"path": path or required_name}
        )
        return
    trail = (*trail, id(shape.get("_source")))
    kind = _type(shape)
    if kind == "array" and path.endswith("[]"):
        document.note(_("%(path)s is a list of lists, which cannot be granted: it was left out.") % {"path": path})
    elif kind == "array":
        _walk(document, shape.get("items"), f"{path}[]", fields, depth=depth + 1, trail=trail, required_name=required_name)
    elif kind == "object":
        _walk_object(document, shape, path, fields, depth, trail, required_name)
    elif path:
        fields.append({"path": path, "label": _line(shape.get("title") or shape.get("description"), 200),
                       "type": "date" if str(shape.get("format")) in _DATES else _SCALARS.get(kind, "string")})  # fmt: skip


def _walk_object(document, shape: dict, path: str, fields: list, depth: int, trail: tuple, required_name: str) -> None:
    if path:
        fields.append({"path": path, "label": _line(shape.get("title") or shape.get("description"), 200),
                       "type": "array" if path.endswith("[]") else "object"})  # fmt: skip
    if shape.get("additionalProperties") not in (None, False) or "patternProperties" in shape:
        document.note(
            _("%(path)s may hold further names; only the named ones can be granted.") % {"path": path or required_name}
        )
    for name, item in _items(shape.get("properties")):
        if not name or _BAD_SEGMENT.search(name) or len(name) > 120 or name[0].isspace():
            document.note(_("%(path)s: the field %(name)s has a name that cannot be granted.") % {
                "path": path or required_name, "name": name[:60]})  # fmt: skip
            continue
        below = f"{path}.{name}" if path else name
        if len(below) > 290:
            document.note(_("%(path)s lies too deep or there are too many fields; the rest was cut.") % {"path": path})
            continue
        _walk(document, item, below, fields, depth=depth + 1, trail=trail, required_name=required_name)


def _merged(document: _Document, schema: object, depth: int = 0) -> dict:
    """One shape of a schema: references followed, allOf joined, of oneOf and anyOf every possible property."""
    if depth > 40:
        raise DocumentRefused("too_many")
    shape = dict(document.follow(schema))
    source = document.follow(schema)
    properties = dict(shape.get("properties") or {}) if isinstance(shape.get("properties"), dict) else {}
    for word in ("allOf", "oneOf", "anyOf"):
        for part in _list(shape.get(word)):
            if document.follow(part) is source:
                continue
            inner = _merged(document, part, depth + 1)
            for name, item in _items(inner.get("properties")):
                properties.setdefault(name, item)
            for name in ("type", "items", "format", "title", "description", "additionalProperties"):
                if name in inner and inner[name] not in (None, "null"):
                    shape.setdefault(name, inner[name])
    if properties:
        shape["properties"] = properties
    shape["_source"] = source
    return shape


def _type(shape: dict) -> str:
    kind = shape.get("type")
    if isinstance(kind, list):
        kind = next((word for word in kind if word != "null"), None)
    if kind in ("object", "array", *_SCALARS):
        return kind
    return "object" if shape.get("properties") else "array" if "items" in shape else "string"


def _errors(document: _Document, data: dict, operation: dict, good: str) -> None:
    known = {row["code"] for row in data["errors"]}
    for status, answer in _items(operation.get("responses")):
        if status != good and status not in known and len(data["errors"]) < 200:
            meaning = _line(document.follow(answer).get("description"), 500)
            if meaning:
                data["errors"].append({"code": status[:500], "meaning": meaning})
                known.add(status)


def _items(value: object) -> list[tuple[str, object]]:
    return [(str(key), item) for key, item in value.items()] if isinstance(value, dict) else []


def _list(value: object) -> list:
    return value if isinstance(value, list) else []


def _line(value: object, longest: int) -> str:
    return clean(str(value or ""))[:longest]
