"""Uploaded interface descriptions, read as hostile input and turned into the contract's plain data.

`read_document(content)` takes OpenAPI 3.x (JSON or YAML) or WSDL 1.1 and answers a `Reading`: contract data in the shape
of `registry.contract`, and notes on what could not be taken over. It promises: no network is touched, no reference
leaves the document, no entity is expanded, no alias is followed, and size, depth and number are capped. What a
person completed before (names, personal-data classes, catalogs) is kept by `keep_completed`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from apps.registry.choices import UNCLASSIFIED
from apps.registry.contract import Contract, OperationSpec
from apps.registry.documents.limits import MAX_BYTES, DocumentRefused
from apps.registry.documents.openapi import read_openapi
from apps.registry.documents.parsing import parse_json_or_yaml
from apps.registry.documents.wsdl import SOAP_ACTION, read_wsdl

COMPLETED_OF_A_FIELD = ("personal_data", "is_envelope", "catalog_code", "is_master_data")
"""What no document tells of a field: a person does."""

__all__ = ["MAX_BYTES", "DocumentRefused", "Reading", "keep_completed", "read_document"]


@dataclass(frozen=True)
class Reading:
    kind: str
    data: dict
    notes: list[str] = field(default_factory=list)


def read_document(content: bytes) -> Reading:
    """Read a document by what it is, not by what it is called. Raises DocumentRefused with a stable `reason`."""
    if len(content) > MAX_BYTES:
        raise DocumentRefused("too_large")
    if content.startswith((b"PK\x03\x04", b"\x1f\x8b", b"%PDF")):
        raise DocumentRefused("unknown")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DocumentRefused("encoding") from None
    if "\x00" in text:
        raise DocumentRefused("encoding")
    notes: list[str] = []
    if text.lstrip()[:1] == "<":
        return Reading("wsdl", read_wsdl(content, notes), notes)
    return Reading("openapi", read_openapi(parse_json_or_yaml(text), notes), notes)


def keep_completed(data: dict, present: Contract, notes: list[str] | None = None) -> dict:
    """The read data with what people completed in `present`, operation by operation and path by path.

    A name in the new document wins over an old one; a personal-data class, a catalog, the marks of the envelope and of
    master data cannot be told from a document, so what was said before of the same path and type stays; what is new is not
    classified. So do the day of the codes, a description
    where the document has none, and how a SOAP message is made (with the path it goes to), which a WSDL does not tell;
    `notes` takes what of that no longer fits.
    """
    known = {operation.code: operation for operation in present.operations}
    for operation in data["operations"]:
        before = known.get(operation["code"])
        if before is None:
            continue
        _keep_of_operation(operation, before, [] if notes is None else notes)
        fields = {spec.path: spec for spec in before.fields}
        for given in operation["fields"]:
            spec = fields.get(given["path"])
            if spec is not None:
                given["label"] = given.get("label") or spec.label
                given.update({name: getattr(spec, name) for name in COMPLETED_OF_A_FIELD})
                if given.get("type", spec.type) != spec.type:
                    # Another kind of value under an old name: what was said of that one is not said of this one.
                    given["personal_data"] = UNCLASSIFIED
        parameters = {spec.name: spec for spec in before.parameters}
        for given in operation["parameters"]:
            spec = parameters.get(given["name"])
            if spec is not None:
                given["label"] = given.get("label") or spec.label
                given["example"] = given.get("example") or spec.example
                given.update(is_subject=spec.is_subject, catalog_code=given.get("catalog_code") or spec.catalog_code)
    for name in ("samples", "errors", "documents"):
        codes = {operation["code"] for operation in data["operations"]}
        old = [row for row in present.spec.get(name, []) if name != "samples" or row["operation"] in codes]
        if name == "samples":
            told = {row["operation"] for row in data.get(name, [])}
            data[name] = [*data.get(name, []), *(row for row in old if row["operation"] not in told)]
        else:
            data[name] = data.get(name) or old
    return data


def _keep_of_operation(operation: dict, before: OperationSpec, notes: list[str]) -> None:
    operation["codes_day"] = before.codes_day
    said = operation.get("description", "")
    if before.description and (not said or said.startswith(SOAP_ACTION)):
        operation["description"] = before.description
    if before.soap:
        operation["soap"] = _message(before, [given["name"] for given in operation["parameters"]], notes)
        # A WSDL names no path below the address; what was made of the operation's name gives way.
        operation["path"] = before.path if "{" not in before.path else operation["path"]


def _message(before: OperationSpec, parameters: list[str], notes: list[str]) -> dict:
    """The described message for these parameters: the elements of those that are gone are left out, new ones come last."""
    kept = [row for row in before.soap["elements"] if row.get("parameter", "") in ("", *parameters)]
    sent = {row.get("parameter") for row in kept}
    new = [name for name in parameters if name not in sent]
    if new:
        told = _("%(call)s: say in the SOAP message where these new parameters go: %(names)s.")
        notes.append(told % {"call": before.code, "names": ", ".join(new)})
    return {**before.soap, "elements": [*kept, *({"path": name.replace(".", "_"), "parameter": name} for name in new)]}
