"""The contract of a version as plain data: read with suspicion, written to rows, read back for comparison.

The shape (also what an uploaded OpenAPI or WSDL document is turned into):

    {"samples": [{"operation", "request", "response"}], "errors": [{"code", "meaning"}], "documents": [{"title", "url"}],
     "operations": [{"code", "name", "description", "method", "path", "kind", "answer", "codes_day", "soap",
                     "parameters": [{"name", "label", "location", "required", "pattern", "max_length", "is_subject", "example",
                                     "catalog_code"}],
                     "fields": [{"path", "label", "type", "personal_data", "is_envelope", "catalog_code", "is_master_data"}]}]}

A field's `path` is dotted and `[]` marks a list: `Data.BusinessActivity[].CODE`. Groups and lists on the way to a
leaf need not be named; they are added. Order of the data is the order on the page. In XML a name that begins with @ is an
attribute. A leaf whose `personal_data` is not given is not classified, which bars publishing. `catalog_code` names a shared catalog, or one level of it: `administrative-units/commune`. `soap` is in `soap.py`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from apps.registry.choices import (
    CONTAINER_TYPES,
    UNCLASSIFIED,
    AnswerFormat,
    ConnectionKind,
    FieldType,
    Method,
    ParameterLocation,
)
from apps.registry.models import Field, Operation, Parameter, ServiceVersion

MAX_OPERATIONS = 200
MAX_PARAMETERS = 60
MAX_FIELDS = 2_000
MAX_DEPTH = 16
MAX_SAMPLE = 50_000


@dataclass(frozen=True)
class ParameterSpec:
    name: str
    label: str = ""
    location: str = ParameterLocation.QUERY.value
    required: bool = False
    pattern: str = ""
    max_length: int = 200
    is_subject: bool = False
    example: str = ""
    catalog_code: str = ""


@dataclass(frozen=True)
class FieldSpec:
    path: str
    label: str = ""
    type: str = FieldType.STRING.value
    personal_data: str = UNCLASSIFIED
    is_envelope: bool = False
    catalog_code: str = ""
    is_master_data: bool = False

    @property
    def parent_path(self) -> str:
        """The path of the node this one hangs on; empty at the root. 'Data[].CODE' → 'Data[]', 'Data[]' → ''."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2].removesuffix("[]") or "[]"

    @property
    def is_leaf(self) -> bool:
        return self.type not in CONTAINER_TYPES


@dataclass(frozen=True)
class OperationSpec:
    code: str
    name: str
    method: str = Method.GET.value
    path: str = "/"
    description: str = ""
    kind: str = ConnectionKind.READ.value
    answer: str = AnswerFormat.JSON.value
    codes_day: str = ""
    soap: dict = field(default_factory=dict)
    parameters: tuple[ParameterSpec, ...] = ()
    fields: tuple[FieldSpec, ...] = ()

    def leaves(self) -> dict[str, FieldSpec]:
        return {spec.path: spec for spec in self.fields if spec.is_leaf}


@dataclass(frozen=True)
class Contract:
    """`spec` is what people read beside the operations (NĐ 47/2020 Điều 24(3)): samples, errors, documents."""

    operations: tuple[OperationSpec, ...] = ()
    spec: dict = field(default_factory=dict)

    def as_data(self) -> dict:
        """The shape of the module docstring, JSON-ready."""
        return {**self.spec, "operations": [asdict(operation) for operation in self.operations]}


def write_contract(version: ServiceVersion, contract: Contract) -> list[Operation]:
    """Replace the operations of a draft by the contract's. The caller holds the draft and the transaction.

    `version.interface_spec` is set and saved by the caller, who knows what else changes.
    """
    version.operations.all().delete()
    return [_write_operation(version, spec) for spec in contract.operations]


def _write_operation(version: ServiceVersion, spec: OperationSpec) -> Operation:
    operation = Operation.objects.create(
        version=version, code=spec.code, name=spec.name, description=spec.description, method=spec.method,
        path_template=spec.path, kind=spec.kind, answer=spec.answer, soap=spec.soap, codes_day=spec.codes_day or None,
    )  # fmt: skip
    Parameter.objects.bulk_create(Parameter(operation=operation, **asdict(p)) for p in spec.parameters)
    _write_fields(operation, spec.fields)
    return operation


def _write_fields(operation: Operation, specs: tuple[FieldSpec, ...]) -> None:
    """One INSERT a level of the tree, because a child needs its parent's key."""
    rows: dict[str, Field] = {}
    positions = {spec.path: index for index, spec in enumerate(specs)}
    for depth in range(MAX_DEPTH):
        level = [spec for spec in specs if spec.path.count(".") == depth]
        made = Field.objects.bulk_create(
            Field(operation=operation, parent=rows.get(spec.parent_path), name=spec.name, position=positions[spec.path],
                  **asdict(spec)) for spec in level
        )  # fmt: skip
        rows.update((row.path, row) for row in made)


def contract_of(version: ServiceVersion) -> Contract:
    """The stored contract, in four queries whatever its size."""
    operations = version.operations.prefetch_related("parameters", "fields").order_by("id")
    spec = {key: version.interface_spec.get(key, []) for key in ("samples", "errors", "documents")}
    return Contract(tuple(_spec_of(operation) for operation in operations), spec)


def _spec_of(operation: Operation) -> OperationSpec:
    return OperationSpec(
        code=operation.code, name=operation.name, description=operation.description, method=operation.method,
        path=operation.path_template, kind=operation.kind, answer=operation.answer, soap=operation.soap,
        codes_day=operation.codes_day.isoformat() if operation.codes_day else "",
        parameters=tuple(_copy(ParameterSpec, row) for row in operation.parameters.all()),
        fields=tuple(_copy(FieldSpec, row) for row in operation.fields.all()),
    )  # fmt: skip


def _copy(kind: type, row):
    return kind(**{name: getattr(row, name) for name in kind.__dataclass_fields__})
