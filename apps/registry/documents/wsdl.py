"""WSDL 1.1 (document/literal) to contract data. XML is parsed without DTD, entities or any look outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError  # noqa: S405 - only types; parsing is defusedxml's

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from django.utils.translation import gettext as _

from apps.core.text import clean
from apps.registry.contract import MAX_FIELDS
from apps.registry.documents.limits import MAX_DEPTH, MAX_NODES, MAX_TREE, DocumentRefused
from apps.registry.models import NAME

WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SOAP_ACTION = "SOAPAction: "
"""How the description begins that is made where the document has none."""
SOAP = ("{http://schemas.xmlsoap.org/wsdl/soap/}", "{http://schemas.xmlsoap.org/wsdl/soap12/}")
XSD = "{http://www.w3.org/2001/XMLSchema}"
_TYPES = {
    **dict.fromkeys(("int", "integer", "long", "short", "decimal", "float", "double", "byte", "unsignedInt",
                     "nonNegativeInteger", "positiveInteger", "unsignedLong"), "number"),
    "boolean": "boolean", "date": "date", "dateTime": "date",
}  # fmt: skip


@dataclass
class _Schemas:
    """Named parts of the types section, by local name. Two namespaces with one name: the first is taken, with a note."""

    notes: list[str]
    elements: dict[str, Element] = field(default_factory=dict)
    types: dict[str, Element] = field(default_factory=dict)
    groups: dict[str, Element] = field(default_factory=dict)
    steps: int = 0

    def note(self, text: str) -> None:
        if text not in self.notes and len(self.notes) < 100:
            self.notes.append(text)


def read_wsdl(content: bytes, notes: list[str]) -> dict:
    """Contract data of the document. Raises DocumentRefused."""
    root = _parse(content)
    if root.tag != f"{WSDL}definitions":
        raise DocumentRefused("version" if root.tag.endswith("description") else "unknown", root.tag)
    schemas = _collect(root, notes)
    messages = {row.get("name", ""): _message_element(row) for row in root.iter(f"{WSDL}message")}
    actions = _soap_actions(root)
    operations: list[dict] = []
    for port in root.iter(f"{WSDL}portType"):
        for row in port.iter(f"{WSDL}operation"):
            _operation(schemas, row, messages, actions, operations)
    if not operations:
        raise DocumentRefused("no_operations", " ".join(notes))
    return {"operations": operations, "samples": [], "errors": [], "documents": []}


def _parse(content: bytes) -> Element:
    """Raises DocumentRefused: DTD and entities, malformed XML, too deep, too many elements."""
    try:
        root = fromstring(content, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException:
        raise DocumentRefused("entities") from None
    except (ParseError, ValueError, LookupError) as error:
        raise DocumentRefused("malformed", error) from None
    stack, count = [(root, 1)], 0
    while stack:
        element, depth = stack.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise DocumentRefused("too_deep")
        if count > MAX_NODES:
            raise DocumentRefused("too_many")
        stack.extend((child, depth + 1) for child in element)
    return root


def _collect(root: Element, notes: list[str]) -> _Schemas:
    schemas = _Schemas(notes)
    for row in root.iter(f"{WSDL}import"):
        raise DocumentRefused("remote_reference", row.get("location", ""))
    for schema in root.iter(f"{XSD}schema"):
        for row in schema:
            place = row.get("schemaLocation", "")
            if row.tag in (f"{XSD}import", f"{XSD}include", f"{XSD}redefine") and place:
                raise DocumentRefused("remote_reference", place)
            name = row.get("name", "")
            home = {f"{XSD}element": schemas.elements, f"{XSD}complexType": schemas.types, f"{XSD}simpleType": schemas.types,
                    f"{XSD}group": schemas.groups}.get(row.tag)  # fmt: skip
            if home is not None and name:
                if name in home:
                    schemas.note(_("%(path)s is defined twice; the first is taken.") % {"path": name})
                home.setdefault(name, row)
    return schemas


def _message_element(row: Element) -> str:
    part = row.find(f"{WSDL}part")
    return _local(part.get("element") or part.get("type") or "") if part is not None else ""


def _soap_actions(root: Element) -> dict[str, str]:
    found = {}
    for row in root.iter(f"{WSDL}operation"):
        for prefix in SOAP:
            soap = row.find(f"{prefix}operation")
            if soap is not None and soap.get("soapAction"):
                found.setdefault(row.get("name", ""), soap.get("soapAction", ""))
    return found


def _operation(schemas: _Schemas, row: Element, messages: dict, actions: dict, operations: list[dict]) -> None:
    name = row.get("name", "")
    if not NAME.regex.match(name) or len(name) > 80 or any(given["code"] == name for given in operations):
        schemas.note(_("The operation %(name)s was left out: its name is not served or appears twice.") % {"name": name[:60]})
        return
    documentation = row.findtext(f"{WSDL}documentation") or ""
    action = actions.get(name, "")
    fields: list[dict] = []
    _walk_named(schemas, _side(row, "output", messages), fields)
    if not fields:
        schemas.note(_("%(call)s describes no fields of its answer.") % {"call": name})
    operations.append(
        {
            "code": name, "name": clean(documentation)[:300] or name,
            "description": f"{SOAP_ACTION}{clean(action)[:300]}" if action else "", "method": "POST", "path": f"/{name}", "answer": "xml",
            "parameters": _parameters(schemas, _side(row, "input", messages)), "fields": fields[:MAX_FIELDS],
        }
    )  # fmt: skip


def _side(row: Element, side: str, messages: dict) -> str:
    found = row.find(f"{WSDL}{side}")
    return messages.get(_local(found.get("message", "")), "") if found is not None else ""


def _parameters(schemas: _Schemas, element: str) -> list[dict]:
    """The plain values of the request, of whatever depth, as parameters by their last name."""
    fields: list[dict] = []
    _walk_named(schemas, element, fields)
    found: dict[str, dict] = {}
    for given in fields:
        name = given["path"].rpartition(".")[2].removesuffix("[]")
        if given["type"] in ("object", "array") or not NAME.regex.match(name):
            continue
        if name in found:
            schemas.note(_("The parameter %(value)s appears twice.") % {"value": name})
            continue
        found[name] = {"name": name[:80], "label": given["label"], "location": "query", "required": given["required"]}
    return list(found.values())[:60]


def _walk_named(schemas: _Schemas, name: str, fields: list[dict]) -> None:
    element = schemas.elements.get(name)
    if element is not None:
        _walk(schemas, element, "", fields, ())
    elif name in schemas.types:
        _walk_type(schemas, schemas.types[name], name, fields, ())
    elif name:
        schemas.note(_("%(path)s is not defined in the document.") % {"path": name})


def _walk(schemas: _Schemas, element: Element, above: str, fields: list[dict], trail: tuple) -> None:
    schemas.steps += 1
    if schemas.steps > MAX_NODES:
        raise DocumentRefused("too_many")
    if element.get("ref"):
        target = schemas.elements.get(_local(element.get("ref", "")))
        if target is None:
            schemas.note(_("%(path)s is not defined in the document.") % {"path": element.get("ref", "")})
            return
        many = _is_many(element)
        _field(schemas, target, above, fields, trail, many, element)
        return
    _field(schemas, element, above, fields, trail, _is_many(element), element)


def _field(schemas, element: Element, above: str, fields: list, trail: tuple, many: bool, use: Element) -> None:
    name = element.get("name", "")
    if not name or len(name) > 120 or "." in name:  # a dot parts the names of a path
        schemas.note(_("%(path)s: the field %(name)s has a name that cannot be granted.") % {"path": above, "name": name[:60]})
        return
    path = (f"{above}.{name}" if above else name) + ("[]" if many else "")
    kind = _type_of(schemas, element)
    label = clean(element.findtext(f"{XSD}annotation/{XSD}documentation") or "")[:200]
    if kind is None:
        simple = _TYPES.get(_local(_base(schemas, element)), "string")
        fields.append({"path": path, "label": label, "type": simple, "required": use.get("minOccurs", "1") != "0"})
        return
    if id(kind) in trail:
        schemas.note(_("%(path)s contains itself; it was cut there.") % {"path": path})
        return
    if path.count(".") >= MAX_TREE - 1 or len(fields) >= MAX_FIELDS or len(path) > 290:
        schemas.note(_("%(path)s lies too deep or there are too many fields; the rest was cut.") % {"path": path[:200]})
        return
    fields.append({"path": path, "label": label, "type": "array" if many else "object", "required": False})
    _walk_type(schemas, kind, path, fields, (*trail, id(kind)))


def _walk_type(schemas: _Schemas, kind: Element, path: str, fields: list[dict], trail: tuple) -> None:
    """Elements and attributes of a complex type: sequence, all, choice, groups, and what it extends."""
    schemas.steps += 1
    if schemas.steps > MAX_NODES:
        raise DocumentRefused("too_many")
    for row in kind:
        if row.tag == f"{XSD}element":
            _walk(schemas, row, path, fields, trail)
        elif row.tag == f"{XSD}attribute" and row.get("name"):
            fields.append({"path": f"{path}.@{row.get('name')}"[:290], "label": "", "required": False,
                           "type": _TYPES.get(_local(row.get("type", "")), "string")})  # fmt: skip
        elif row.tag in (f"{XSD}extension", f"{XSD}restriction"):
            base = schemas.types.get(_local(row.get("base", "")))
            if base is not None and id(base) not in trail:
                _walk_type(schemas, base, path, fields, (*trail, id(base)))
            _walk_type(schemas, row, path, fields, trail)
        elif row.tag == f"{XSD}group" and row.get("ref"):
            group = schemas.groups.get(_local(row.get("ref", "")))
            if group is not None and id(group) not in trail:
                _walk_type(schemas, group, path, fields, (*trail, id(group)))
        elif row.tag in tuple(f"{XSD}{word}" for word in ("sequence", "all", "choice", "complexContent", "simpleContent")):
            _walk_type(schemas, row, path, fields, trail)
        elif row.tag == f"{XSD}any":
            schemas.note(_("%(path)s may hold further names; only the named ones can be granted.") % {"path": path})


def _type_of(schemas: _Schemas, element: Element) -> Element | None:
    """The complex type of an element; None when it is a plain value."""
    inner = element.find(f"{XSD}complexType")
    if inner is not None:
        return inner
    named = schemas.types.get(_local(element.get("type", "")))
    return named if named is not None and named.tag == f"{XSD}complexType" else None


def _base(schemas: _Schemas, element: Element) -> str:
    """The built-in type a plain value rests on."""
    name, hops = element.get("type", ""), 0
    simple = element.find(f"{XSD}simpleType") if not name else schemas.types.get(_local(name))
    while simple is not None and hops < 20:
        restriction = simple.find(f"{XSD}restriction")
        if restriction is None:
            break
        name, hops = restriction.get("base", ""), hops + 1
        simple = schemas.types.get(_local(name))
    return name


def _is_many(element: Element) -> bool:
    return element.get("maxOccurs", "1") not in ("0", "1")


def _local(name: str) -> str:
    return name.rpartition(":")[2]
