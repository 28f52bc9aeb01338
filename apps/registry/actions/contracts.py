"""Verbs on the contract of a draft: set as a whole, read from a document, completed by hand."""

from __future__ import annotations

import hashlib

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit import actions as audit
from apps.catalogs.models import Catalog
from apps.core.errors import InvalidFact
from apps.core.permissions import require
from apps.core.text import clean
from apps.registry.actions.versions import lock_draft
from apps.registry.choices import UNCLASSIFIED, PersonalDataClass, Protocol
from apps.registry.contract import Contract, contract_of, write_contract
from apps.registry.contract_reading import read_contract
from apps.registry.documents import Reading, keep_completed, read_document
from apps.registry.models import ServiceVersion

FIELD_FACTS = {"label", "personal_data", "is_envelope", "catalog_code", "is_master_data"}
PROTOCOL_OF = {"openapi": Protocol.REST, "wsdl": Protocol.SOAP}
"""Kind of a document → the protocol of the services it describes."""
PARAMETER_FACTS = {"label", "is_subject", "example", "catalog_code"}


@transaction.atomic
def define_contract(version: ServiceVersion, contract: dict, *, by, expected: int | None = None) -> ServiceVersion:
    """Set the whole contract of a draft: operations, parameters, fields, samples, errors, documents (`registry.contract`).

    `expected` is the row version the caller saw. Raises InvalidFact (`contract_invalid`, with places), StaleVersion,
    TransitionNotAllowed for what is no longer a draft.
    """
    require(by, "registry.change_version", version)
    lock_draft(version, expected)
    before, read = contract_of(version), read_contract(contract)
    _check_catalogs(before, read)
    _check_envelope(before, read)
    write_contract(version, read)
    version.interface_spec = read.spec
    version.version += 1
    version.save(update_fields=["interface_spec", "version", "updated_at"])
    audit.record("service_version.contract_defined", version, by=by, organizations=[version.service.provider],
                 operations=[operation.code for operation in read.operations])  # fmt: skip
    return version


@transaction.atomic
def import_document(version: ServiceVersion, content: bytes, *, by, source: str = "", expected: int | None = None) -> Reading:
    """Set a draft's contract from an OpenAPI or WSDL document; what people completed before is kept.

    `source` says where it came from: a file's name, or the address it was fetched from. Returns the reading, whose `notes` say what could not be taken over. Raises as `define_contract` does, and DocumentRefused.
    """
    require(by, "registry.change_version", version)
    lock_draft(version, expected)
    reading = read_document(content)
    if PROTOCOL_OF[reading.kind] != version.service.protocol:
        told = _(
            "The document does not fit the protocol of the service (%(protocol)s), so it cannot be published: correct one of them."
        )
        reading.notes.insert(0, told % {"protocol": version.service.get_protocol_display()})
    define_contract(version, keep_completed(reading.data, contract_of(version), reading.notes), by=by)
    audit.record("service_version.document_read", version, by=by, organizations=[version.service.provider], kind=reading.kind,
                 source=clean(source)[:300], sha256=hashlib.sha256(content).hexdigest())  # fmt: skip
    return reading


@transaction.atomic
def complete_fields(
    version: ServiceVersion, facts: dict[str, dict[str, dict]], *, by, expected: int | None = None
) -> ServiceVersion:
    """Complete a draft by hand: operation code → field path → any of label, personal_data, is_envelope, catalog_code, is_master_data.

    What is not named stays. Raises InvalidFact for a place or a catalog that does not exist, otherwise as `define_contract`.
    """
    require(by, "registry.change_version", version)
    lock_draft(version, expected)
    data = contract_of(version).as_data()
    for code, fields in facts.items():
        _update(_operation(data, code)["fields"], "path", fields, FIELD_FACTS, code)
    return define_contract(version, data, by=by)


@transaction.atomic
def complete_operation(
    version: ServiceVersion, code: str, *, by, expected: int | None = None, facts: dict | None = None,
    parameters: dict[str, dict] | None = None, fields: dict[str, dict] | None = None,
) -> ServiceVersion:  # fmt: skip
    """Complete one operation of a draft by hand: its name and description (`facts`), parameter name → any of label,
    is_subject, example, catalog_code, and field path → as `complete_fields`. Raises as `complete_fields`.
    """
    require(by, "registry.change_version", version)
    lock_draft(version, expected)
    data = contract_of(version).as_data()
    operation = _operation(data, code)
    _update([operation], "code", {code: facts or {}}, {"name", "description"}, code)
    _update(operation["parameters"], "name", parameters or {}, PARAMETER_FACTS, code)
    _update(operation["fields"], "path", fields or {}, FIELD_FACTS, code)
    return define_contract(version, data, by=by)


@transaction.atomic
def write_operation(
    version: ServiceVersion, operation: dict, *, by, code: str | None = None, expected: int | None = None
) -> ServiceVersion:
    """Write one operation of a draft by hand, whole (the shape is `registry.contract`'s): a new one, or what `code` becomes.

    Of the one it replaces, what `operation` does not name stays (its SOAP message), and its sample follows a new code.
    Raises InvalidFact (`contract_invalid`, with places), otherwise as `define_contract`.
    """
    require(by, "registry.change_version", version)
    lock_draft(version, expected)
    data = contract_of(version).as_data()
    before = _operation(data, code) if code else {}
    if code:
        data["operations"][data["operations"].index(before)] = {**before, **operation}
        for sample in data["samples"]:
            if sample["operation"] == code:
                sample["operation"] = operation.get("code", code)
    else:
        data["operations"].append(operation)
    return define_contract(version, data, by=by)


@transaction.atomic
def remove_operation(version: ServiceVersion, code: str, *, by, expected: int | None = None) -> ServiceVersion:
    """Take one operation out of a draft, with its sample. The last one stays: it is rewritten, or the draft discarded."""
    require(by, "registry.change_version", version)
    lock_draft(version, expected)
    data = contract_of(version).as_data()
    data["operations"].remove(_operation(data, code))
    data["samples"] = [sample for sample in data["samples"] if sample["operation"] != code]
    return define_contract(version, data, by=by)


@transaction.atomic
def complete_examples(
    version: ServiceVersion, *, by, expected: int | None = None, samples: list[dict], errors: list[dict], documents: list[dict]
) -> ServiceVersion:
    """Set what people read beside the operations (NĐ 47/2020 Điều 24(3)). The shape is `registry.contract`'s."""
    require(by, "registry.change_version", version)
    lock_draft(version, expected)
    data = {**contract_of(version).as_data(), "samples": samples, "errors": errors, "documents": documents}
    return define_contract(version, data, by=by)


def _operation(data: dict, code: str) -> dict:
    found = next((row for row in data["operations"] if row["code"] == code), None)
    if found is None:
        raise InvalidFact(fields={code[:200]: [_("There is no such operation.")]})
    return found


def _update(rows, key: str, facts: dict[str, dict], allowed: set[str], code: str) -> None:
    """Write `facts` (key → values) into the rows named by them. Raises InvalidFact for what is not there."""
    known = {row[key]: row for row in rows}
    for name, given in facts.items():
        if name not in known or set(given) - allowed:
            raise InvalidFact(fields={f"{code} {name}"[:200]: [_("There is no such field.")]})
        known[name].update(given)


def _check_catalogs(before: Contract, after: Contract) -> None:
    """A field or parameter is bound to a catalog that exists, or to one level of it (`code/level`); what was bound before is not judged again."""
    wanted = {code.partition("/")[0] for code in _bound(after) - _bound(before)}
    unknown = wanted - set(Catalog.objects.filter(code__in=wanted).values_list("code", flat=True))
    if unknown:
        names = ", ".join(sorted(unknown))[:200]
        raise InvalidFact(fields={"catalog_code": [_("There is no shared catalog %(names)s.") % {"names": names}]})


def _bound(contract: Contract) -> set[str]:
    rows = [row for operation in contract.operations for row in (*operation.parameters, *operation.fields)]
    return {row.catalog_code for row in rows if row.catalog_code}


def _check_envelope(before: Contract, after: Contract) -> None:
    """Nobody chooses the envelope and nobody justifies it: the gateway gives it with every grant (AG-15, AG-20). What was in it
    before bars publishing (`completeness`), and not the work that takes it out one operation after the other."""
    found = sorted(_personal_envelope(after) - _personal_envelope(before))
    if found:
        text = _("%(path)s is personal data: it is no part of the envelope, which comes with every access.")
        raise InvalidFact(
            code="contract_invalid", fields={f"{code} {path}"[:200]: [text % {"path": path[:120]}] for code, path in found}
        )


def _personal_envelope(contract: Contract) -> set[tuple[str, str]]:
    rows = [(operation.code, row) for operation in contract.operations for row in operation.fields]
    # One that is not classified yet is judged when it is: it bars publishing until then.
    open_to_all = (PersonalDataClass.NONE, UNCLASSIFIED)
    return {(code, row.path) for code, row in rows if row.is_envelope and row.personal_data not in open_to_all}
