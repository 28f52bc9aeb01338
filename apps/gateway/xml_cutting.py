"""Cut an XML answer to the granted tree: the same promise as `cutting`, for elements and attributes.

What is not granted is never materialised. Names are compared exactly, by local name within the namespace of the answer's own
root (or none); an element of another namespace is another name. A path part `@name` is an attribute, `#text` the text of an
element that has attributes too; an attribute without its grant is dropped, as are text inside groups, comments, processing
instructions, and an element that hides children where text was declared. Of an element that is not declared as a list the
last one counts. `xsi:nil` is an empty value.

A document type declaration is refused before anything of it is read: no entity but the five of XML exists, nothing outside
is ever fetched. What is not well-formed XML in UTF-8 raises `NotWellFormed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from xml.parsers import expat  # noqa: S406  (no DTD, no entities, no external reference: refused below)
from xml.sax.saxutils import escape  # noqa: S406  (writes only)

import msgspec

from apps.gateway.cutting import DEEPEST, Node, NotWellFormed, tree_of

NIL = "http://www.w3.org/2001/XMLSchema-instance nil"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
TEXT = "#text"


class Fault(Exception):
    """The answer is a SOAP fault. `is_callers` when it says that the request is to blame. Nothing of its text is kept."""

    def __init__(self, *, is_callers: bool) -> None:
        super().__init__("fault")
        self.is_callers = is_callers


class Element:
    """A granted element as far as it is granted."""

    __slots__ = ("attributes", "children", "last", "name", "namespace", "nil", "node", "spoiled", "text")

    def __init__(self, node: Node, name: str, namespace: str) -> None:
        self.node, self.name, self.namespace = node, name, namespace
        self.attributes: list[tuple[str, str]] = []
        self.children: list[Element | None] = []
        self.last: dict[str, int] = {}
        """Where the last one of a name stands that is no list."""
        self.text: list[str] = []
        self.nil = self.spoiled = False

    @property
    def is_leaf(self) -> bool:
        return bool(self.node.bit)

    def add(self, child: Element) -> None:
        """In the same time however many there are: an answer may repeat one name a million times."""
        if not child.node.lists:
            if (before := self.last.get(child.name)) is not None:
                self.children[before] = None
            self.last[child.name] = len(self.children)
        self.children.append(child)

    def kept(self) -> list[Element]:
        return [child for child in self.children if child is not None]


class XmlCutter:
    """Compiled from the granted leaf paths below the root element of an answer."""

    content_type = b"application/xml"

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths: tuple[str, ...] = tuple(sorted(set(paths)))
        self.root = tree_of(self.paths)

    def cut(self, body: bytes) -> tuple[bytes, int]:
        """The granted part of `body` as XML and the mask of granted leaves that were there. Raises NotWellFormed."""
        return self.write(self.read(body))

    def read(self, body: bytes) -> Element:
        """The granted part as a tree. Raises NotWellFormed."""
        return _Reader(self.root).read(body)

    def write(self, root: Element) -> tuple[bytes, int]:
        parts = ['<?xml version="1.0" encoding="UTF-8"?>\n']
        mask = _write(root, "", parts)
        return "".join(parts).encode(), mask

    def delivered(self, mask: int) -> tuple[str, ...]:
        return tuple([path for number, path in enumerate(self.paths) if mask >> number & 1])


class SoapCutter(XmlCutter):
    """The same for a SOAP 1.1 answer, given out as JSON: the fields begin below the response element."""

    content_type = b"application/json"

    def __init__(self, paths: Iterable[str], response: str, namespace: str) -> None:
        super().__init__(paths)
        self.response, self.namespace = response, namespace

    def cut(self, body: bytes) -> tuple[bytes, int]:
        """The granted part as JSON and the mask. Raises NotWellFormed, Fault."""
        value, mask = _plain(_SoapReader(self.root, self.response, self.namespace).read(body))
        return msgspec.json.encode(value if isinstance(value, dict) else {}), mask


@lru_cache(maxsize=5_000)
def xml_cutter(paths: tuple[str, ...]) -> XmlCutter:
    return XmlCutter(paths)


@lru_cache(maxsize=5_000)
def soap_cutter(paths: tuple[str, ...], response: str, namespace: str) -> SoapCutter:
    return SoapCutter(paths, response, namespace)


# --- reading -------------------------------------------------------------------------------------


def parse(body: bytes, start: Callable, end: Callable, text: Callable) -> None:
    """Feed a document to the handlers; names come as "namespace local". Raises NotWellFormed."""
    parser = expat.ParserCreate("UTF-8", " ")
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    parser.XmlDeclHandler = _check_declaration
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        # Read as text first: expat by itself would believe a byte order mark of UTF-16, and some overlong bytes.
        parser.Parse(body.decode("utf-8-sig"), True)
    except (expat.ExpatError, ValueError, RecursionError) as error:
        raise NotWellFormed(type(error).__name__) from None


class _Reader:
    """Feeds a document through expat and keeps the granted elements only. One document each."""

    def __init__(self, tree: Node) -> None:
        self.tree = tree
        self.namespace = ""
        self.found: Element | None = None
        self.stack: list[Element | None] = []

    def read(self, body: bytes) -> Element:
        parse(body, self._start, self._end, self._text)
        if self.found is None:
            raise NotWellFormed("no answer in it")
        return self.found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.stack) >= DEEPEST:
            raise NotWellFormed("too deep")
        self.stack.append(self._enter(*split(name), attributes))

    def _enter(self, namespace: str, local: str, attributes: dict[str, str]) -> Element | None:
        if not self.stack:
            return self._begin(namespace, local, attributes)
        return self._child(self.stack[-1], namespace, local, attributes)

    def _begin(self, namespace: str, local: str, attributes: dict[str, str]) -> Element:
        self.namespace = namespace
        self.found = _element(self.tree, local, namespace, attributes)
        return self.found

    def _child(self, above: Element | None, namespace: str, local: str, attributes: dict[str, str]) -> Element | None:
        if above is None:
            return None
        if above.is_leaf:
            above.spoiled = True
            return None
        node = above.node.children.get(local)
        if node is None or namespace not in (self.namespace, ""):
            return None
        return _element(node, local, namespace, attributes)

    def _end(self, name: str) -> None:
        element = self.stack.pop()
        above = self.stack[-1] if self.stack else None
        if element is not None and above is not None and not (element.is_leaf and element.spoiled):
            above.add(element)

    def _text(self, text: str) -> None:
        element = self.stack[-1] if self.stack else None
        if element is not None and (element.is_leaf or TEXT in element.node.children):
            element.text.append(text)


class _SoapReader(_Reader):
    """Envelope, Body, and in it exactly the response element that the contract names."""

    def __init__(self, tree: Node, response: str, namespace: str) -> None:
        super().__init__(tree)
        self.expected = response, namespace
        self.in_body = self.in_fault = False
        self.code: list[str] | None = None

    def _enter(self, namespace: str, local: str, attributes: dict[str, str]) -> Element | None:
        depth = len(self.stack)
        if depth == 0 and (namespace, local) != (ENVELOPE, "Envelope"):
            raise NotWellFormed("no SOAP envelope")
        if depth == 1:
            if local == "Body" and self.in_body:
                raise NotWellFormed("two bodies")
            self.in_body = (namespace, local) == (ENVELOPE, "Body")
        if depth == 2 and self.in_body:
            return self._message(namespace, local, attributes)
        if self.in_fault:
            self.code = [] if depth == 3 and local == "faultcode" else None
            return None
        return self._child(self.stack[-1], namespace, local, attributes) if depth > 2 else None

    def _message(self, namespace: str, local: str, attributes: dict[str, str]) -> Element | None:
        if (namespace, local) == (ENVELOPE, "Fault"):
            self.in_fault = True
            return None
        response, expected = self.expected
        if self.found is not None or local != response or (expected and namespace != expected):
            raise NotWellFormed("not the declared response")
        return self._begin(namespace, local, attributes)

    def _text(self, text: str) -> None:
        if self.code is not None:
            self.code.append(text)
        super()._text(text)

    def _end(self, name: str) -> None:
        super()._end(name)
        if self.code is not None:
            code = "".join(self.code).strip().rpartition(":")[2]
            raise Fault(is_callers=code.split(".")[0] == "Client")
        if self.in_fault and len(self.stack) == 2:
            raise Fault(is_callers=False)


def _refuse(*_what: object) -> None:
    raise NotWellFormed("a document type declaration")


def _check_declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise NotWellFormed("not UTF-8")


def split(name: str) -> tuple[str, str]:
    namespace, _space, local = name.rpartition(" ")
    return namespace, local


def _element(node: Node, local: str, namespace: str, attributes: dict[str, str]) -> Element:
    element = Element(node, local, namespace)
    element.nil = attributes.get(NIL) in ("true", "1")
    element.attributes = [(name, value) for name, value in attributes.items() if f"@{name}" in node.children]
    return element


# --- writing -------------------------------------------------------------------------------------


def _write(element: Element, namespace: str, parts: list[str]) -> int:
    """XML of the kept tree; returns the mask of the leaves in it."""
    mask = element.node.bit
    space = f' xmlns="{_quoted(element.namespace)}"' if element.namespace != namespace else ""
    pairs = "".join([f' {name}="{_quoted(value)}"' for name, value in element.attributes])
    parts.append(f"<{element.name}{space}{pairs}>")
    for name, _value in element.attributes:
        mask |= element.node.children[f"@{name}"].bit
    if element.text:
        mask |= element.node.children[TEXT].bit if TEXT in element.node.children else 0
        parts.append(escape("".join(element.text)))
    for child in element.kept():
        mask |= _write(child, element.namespace, parts)
    parts.append(f"</{element.name}>")
    return mask


def _quoted(text: str) -> str:
    return escape(text, {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _plain(element: Element) -> tuple[object, int]:
    """Plain values of the kept tree, lists where the contract declares them, and the mask."""
    if element.is_leaf:
        return (None if element.nil else "".join(element.text)), element.node.bit
    found: dict[str, object] = {}
    mask = 0
    for name, value in element.attributes:
        node = element.node.children[f"@{name}"]
        found[f"@{name}"], mask = value, mask | node.bit
    if element.text and TEXT in element.node.children:
        found[TEXT], mask = "".join(element.text), mask | element.node.children[TEXT].bit
    for child in element.kept():
        value, bits = _plain(child)
        mask |= bits
        if child.node.lists:
            found.setdefault(child.name, []).append(value)
        else:
            found[child.name] = value
    return found, mask
