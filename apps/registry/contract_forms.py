"""What people type to complete a draft: the document it comes from, one operation's names and classes, examples and errors.

Boxes are named by position; paths and codes of the contract are never sent back.
"""

from __future__ import annotations

import json

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.catalogs.models import Catalog
from apps.core.text import clean
from apps.registry.choices import CLASS_CHOICES, UNCLASSIFIED, PersonalDataClass
from apps.registry.contract import MAX_SAMPLE, contract_of
from apps.registry.documents import MAX_BYTES
from apps.registry.documents.fetching import fetch_document
from apps.registry.forms import ExpectedForm
from apps.registry.skeleton import skeleton

FIELD_BOXES = ("label", "personal_data", "catalog_code", "is_master_data", "is_envelope")
PARAMETER_BOXES = ("label", "catalog_code", "example", "is_subject")


class DocumentForm(ExpectedForm):
    """An OpenAPI or WSDL document: a file, or an address the platform may call."""

    file = forms.FileField(label=_("file"), required=False, help_text=_("OpenAPI 3 (JSON or YAML) or WSDL, at most 2 MiB."))
    url = forms.CharField(label=_("or its address"), max_length=300, required=False)

    def clean(self) -> dict:
        given = super().clean()
        if bool(given.get("file")) == bool(given.get("url")):
            self.add_error("file", _("Choose a file or give an address."))
        return given

    def content(self) -> bytes:
        """The document. Raises OutboundError when the address does not answer."""
        file = self.cleaned_data["file"]
        if file is not None:
            return file.read(MAX_BYTES + 1)
        return fetch_document(self.cleaned_data["url"])

    def source(self) -> str:
        """Where it came from, for the record."""
        file = self.cleaned_data["file"]
        return file.name if file is not None else self.cleaned_data["url"]


def catalog_choices() -> list[tuple[str, str]]:
    """The shared catalogs, and the levels of those that have several. Beside one that is not the preferred table stands which is."""
    found = [("", "–")]
    for row in Catalog.objects.select_related("preferred").order_by("name"):
        instead = _("%(name)s (preferred: %(table)s)")
        found.append((row.code, instead % {"name": row.name, "table": row.preferred.name} if row.preferred else row.name))
        if len(row.levels) > 1:
            found += [(f"{row.code}/{level['code']}", f"{row.name}: {level['name']}") for level in row.levels]
    return found


def with_own(catalogs: list[tuple[str, str]], bound: str) -> list[tuple[str, str]]:
    """The catalogs to choose from, with the one that is bound already although it is not among them (any more)."""
    return catalogs if any(code == bound for code, _name in catalogs) else [*catalogs, (bound, bound)]


class OperationForm(ExpectedForm):
    """One operation completed by hand: its name, its parameters, and every field of its answer."""

    operation = forms.ChoiceField(label=_("operation"))
    name = forms.CharField(label=_("name"), max_length=300)
    description = forms.CharField(
        label=_("description"), max_length=5_000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    rest = forms.ChoiceField(
        label=_("class of all fields that are not classified yet"), choices=[("", "–"), *PersonalDataClass.choices], required=False,
        help_text=_("Look at each first: a class chosen in the table comes before this one."),
    )  # fmt: skip

    def __init__(self, *args, obj=None, **kwargs) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        operations = list(obj.operations.order_by("id"))
        self.fields["operation"].choices = [(row.code, row.name) for row in operations]
        wanted = self.data.get("operation") or self.initial.get("operation")
        self.shown = next((row for row in operations if row.code == wanted), operations[0] if operations else None)
        self.rows, self.parameters, self.unclassified = [], [], []
        if self.shown is None:
            return
        self.fields["operation"].initial = self.initial["operation"] = self.shown.code
        self.fields["operation"].widget = forms.HiddenInput()
        self.fields["name"].initial, self.fields["description"].initial = self.shown.name, self.shown.description
        self.rows = list(self.shown.fields.order_by("position", "id"))
        self.parameters = list(self.shown.parameters.order_by("id"))
        catalogs = catalog_choices()
        for row in self.rows:
            self._field_boxes(row, catalogs)
        self.unclassified = [row for row in self.rows if row.is_leaf and row.personal_data == UNCLASSIFIED]
        if not self.unclassified:
            del self.fields["rest"]
        for number, row in enumerate(self.parameters):
            self._parameter_boxes(number, row, catalogs)

    def _field_boxes(self, row, catalogs: list) -> None:
        name = f"f{row.position}"
        self.fields[f"{name}-label"] = forms.CharField(
            label=_("name in Vietnamese"), max_length=200, required=False, initial=row.label
        )
        if not row.is_leaf:
            return
        # What was said once can be corrected, not unsaid.
        choices = PersonalDataClass.choices if row.personal_data else CLASS_CHOICES
        self.fields[f"{name}-personal_data"] = forms.ChoiceField(
            label=_("personal-data class"), choices=choices, required=bool(row.personal_data), initial=row.personal_data
        )
        self.fields[f"{name}-catalog_code"] = forms.ChoiceField(
            label=_("shared catalog"), choices=with_own(catalogs, row.catalog_code), required=False, initial=row.catalog_code
        )
        self.fields[f"{name}-is_master_data"] = forms.BooleanField(
            label=_("master data"), required=False, initial=row.is_master_data
        )
        self.fields[f"{name}-is_envelope"] = forms.BooleanField(
            label=_("part of the envelope"), required=False, initial=row.is_envelope
        )

    def _parameter_boxes(self, number: int, row, catalogs: list) -> None:
        name = f"p{number}"
        self.fields[f"{name}-label"] = forms.CharField(
            label=_("name in Vietnamese"), max_length=200, required=False, initial=row.label
        )
        self.fields[f"{name}-catalog_code"] = forms.ChoiceField(
            label=_("shared catalog"), choices=with_own(catalogs, row.catalog_code), required=False, initial=row.catalog_code
        )
        self.fields[f"{name}-example"] = forms.CharField(
            label=_("example"), max_length=200, required=False, initial=row.example
        )
        self.fields[f"{name}-is_subject"] = forms.BooleanField(
            label=_("names the data subject"), required=False, initial=row.is_subject
        )

    def part_label(self, name: str) -> str:
        """A box by its field's path or its parameter's name: every one is called the same."""
        row, _dash, _box = name.partition("-")
        paths = {f"f{field.position}": field.path for field in self.rows}
        paths |= {f"p{number}": parameter.name for number, parameter in enumerate(self.parameters)}
        return f"{paths[row]}: {self.fields[name].label}" if row in paths else super().part_label(name)

    def table(self) -> list[dict]:
        """For the page: each field with its boxes."""
        return [
            {"field": row, "indent": min(row.path.count("."), 8), "boxes": self._boxes(f"f{row.position}", FIELD_BOXES)}
            for row in self.rows
        ]

    def parameter_table(self) -> list[dict]:
        return [{"parameter": row, "boxes": self._boxes(f"p{n}", PARAMETER_BOXES)} for n, row in enumerate(self.parameters)]

    def _boxes(self, prefix: str, names: tuple[str, ...]) -> dict:
        return {name: self[f"{prefix}-{name}"] for name in names if f"{prefix}-{name}" in self.fields}

    def facts(self) -> dict:
        """The arguments of `complete_operation`: only what was changed."""
        given = {name: self.cleaned_data[name] for name in ("name", "description") if name in self.changed_data}
        fields = {row.path: self._changed(f"f{row.position}", FIELD_BOXES) for row in self.rows}
        if rest := self.cleaned_data.get("rest"):
            for row in self.unclassified:
                fields[row.path].setdefault("personal_data", rest)
        parameters = {row.name: self._changed(f"p{n}", PARAMETER_BOXES) for n, row in enumerate(self.parameters)}
        return {
            "code": self.shown.code, "expected": self.cleaned_data["expected"], "facts": given,
            "fields": {path: found for path, found in fields.items() if found},
            "parameters": {name: found for name, found in parameters.items() if found},
        }  # fmt: skip

    def _changed(self, prefix: str, names: tuple[str, ...]) -> dict:
        return {name: self.cleaned_data[f"{prefix}-{name}"] for name in names if f"{prefix}-{name}" in self.changed_data}


class PairsField(forms.CharField):
    """Two texts a line, with a bar between them: `404 | Không tìm thấy`."""

    widget = forms.Textarea(attrs={"rows": 5})

    def __init__(self, *, names: tuple[str, str], **kwargs) -> None:
        super().__init__(required=False, max_length=100_000, **kwargs)
        self.names = names

    def prepare_value(self, value):
        if not isinstance(value, list):
            return value
        return "\n".join(" | ".join(str(row.get(name, "")) for name in self.names) for row in value)

    def clean(self, value) -> list[dict]:
        lines = [line for line in super().clean(value).splitlines() if line.strip()]
        found = [tuple(clean(part) for part in line.split("|", 1)) for line in lines]
        wrong = next((line for line, parts in zip(lines, found, strict=True) if len(parts) != 2 or not all(parts)), None)
        if wrong is not None:
            raise forms.ValidationError(
                _("Write two texts with a bar (|) between them: “%(line)s”."), params={"line": wrong[:80]}
            )
        return [dict(zip(self.names, parts, strict=True)) for parts in found]


class SampleField(forms.CharField):
    """A sample answer as JSON; empty: none."""

    widget = forms.Textarea(attrs={"rows": 10, "class": "code", "spellcheck": "false"})

    def clean(self, value):
        text = super().clean(value)
        if not text.strip():
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(_("This is not JSON: %(error)s"), params={"error": str(error)[:200]}) from None


class ExamplesForm(ExpectedForm):
    """A sample for every operation, the error codes, and the documents to read (NĐ 47/2020 Điều 24(3))."""

    errors_told = PairsField(
        names=("code", "meaning"),
        label=_("Error codes"),
        help_text=_("One a line, a bar between code and meaning: 404 | Not found"),
    )
    documents = PairsField(
        names=("title", "url"), label=_("Documents"), help_text=_("One a line, a bar between title and address (https://…).")
    )

    def __init__(self, *args, obj=None, **kwargs) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        contract = contract_of(obj)
        self.shown = contract.operations
        stored = {row["operation"]: row for row in contract.spec["samples"]}
        self.fields["errors_told"].initial, self.fields["documents"].initial = (
            contract.spec["errors"],
            contract.spec["documents"],
        )
        for number, operation in enumerate(self.shown):
            sample = stored.get(operation.code)
            response = sample["response"] if sample else skeleton(operation)
            self.fields[f"s{number}-request"] = forms.CharField(
                label=_("Sample call"), max_length=2_000, required=False, initial=sample["request"] if sample else "",
            )  # fmt: skip
            self.fields[f"s{number}-response"] = SampleField(
                label=_("Sample answer (JSON)"), max_length=2 * MAX_SAMPLE, required=False,
                initial=json.dumps(response, ensure_ascii=False, indent=2),
            )  # fmt: skip

    def part_label(self, name: str) -> str:
        number = name.partition("-")[0].removeprefix("s")
        operation = f"{self.shown[int(number)].name}: " if number.isdecimal() else ""
        return f"{operation}{self.fields[name].label}"

    def samples_table(self) -> list[dict]:
        return [
            {"operation": operation, "request": self[f"s{n}-request"], "response": self[f"s{n}-response"]}
            for n, operation in enumerate(self.shown)
        ]

    def facts(self) -> dict:
        given = self.cleaned_data
        samples = [
            {"operation": operation.code, "request": given[f"s{n}-request"], "response": given[f"s{n}-response"]}
            for n, operation in enumerate(self.shown) if given[f"s{n}-response"] is not None
        ]  # fmt: skip
        return {
            "expected": given["expected"],
            "samples": samples,
            "errors": given["errors_told"],
            "documents": given["documents"],
        }
