"""One operation written by hand: its address, its parameters and the fields of its answer, where no document says them.

A row left empty is no row. What the contract refuses is said beside the box it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.core.errors import DomainError
from apps.core.registers import Overtaken
from apps.organizations.forms import DAY
from apps.registry.choices import (
    CLASS_CHOICES,
    CONTAINER_TYPES,
    UNCLASSIFIED,
    AnswerFormat,
    FieldType,
    Method,
    ParameterLocation,
)
from apps.registry.contract import MAX_FIELDS, MAX_PARAMETERS, contract_of
from apps.registry.contract_forms import catalog_choices, with_own
from apps.registry.forms import ExpectedForm

EMPTY_PARAMETERS, EMPTY_FIELDS = 2, 5
"""Empty rows at the end of each table; saving gives as many again."""
_PLACE = re.compile(r"^operations\[(\d+)\](?:\.(parameters|fields)\[(\d+)\])?(?:\.(\w+))?$")


class ParameterRow(forms.Form):
    name = forms.CharField(label=_("name"), max_length=80)
    location = forms.ChoiceField(label=_("where"), choices=ParameterLocation.choices, initial=ParameterLocation.QUERY)
    required = forms.BooleanField(label=_("required"), required=False)
    label = forms.CharField(label=_("name in Vietnamese"), max_length=200, required=False)
    pattern = forms.CharField(
        label=_("pattern"), max_length=200, required=False, help_text=_("A regular expression, for example [0-9]{10}.")
    )
    max_length = forms.IntegerField(label=_("longest value"), min_value=1, max_value=2_000, initial=200)
    catalog_code = forms.ChoiceField(label=_("shared catalog"), required=False)
    example = forms.CharField(label=_("example"), max_length=200, required=False)
    is_subject = forms.BooleanField(label=_("names the data subject"), required=False)


class FieldRow(forms.Form):
    path = forms.CharField(label=_("path"), max_length=300, strip=False)
    label = forms.CharField(label=_("name in Vietnamese"), max_length=200, required=False)
    type = forms.ChoiceField(label=_("type"), choices=FieldType.choices, initial=FieldType.STRING)
    personal_data = forms.ChoiceField(
        label=_("personal-data class"), choices=CLASS_CHOICES, required=False, initial=UNCLASSIFIED
    )
    catalog_code = forms.ChoiceField(label=_("shared catalog"), required=False)
    is_master_data = forms.BooleanField(label=_("master data"), required=False)
    is_envelope = forms.BooleanField(label=_("part of the envelope"), required=False)


class _Rows(forms.BaseFormSet):
    """Rows with a box to remove each; the catalogs to choose from are read once for all of them."""

    def __init__(self, *args, catalogs: list, **kwargs) -> None:
        self.catalogs = catalogs
        super().__init__(*args, **kwargs)

    def add_fields(self, form, index) -> None:
        super().add_fields(form, index)
        if form.initial.get("type") in CONTAINER_TYPES:
            # What lies in a group is named by its path: a group is removed and written again, not renamed. It has no class.
            form.fields["path"].disabled = True
            for name in ("personal_data", "catalog_code", "is_master_data", "is_envelope"):
                form.fields[name].widget = forms.HiddenInput()
        form.fields["catalog_code"].choices = with_own(self.catalogs, form.initial.get("catalog_code", ""))
        form.fields["DELETE"].label = _("remove")

    def given(self) -> list[forms.Form]:
        """The rows that stay, in the order of the page."""
        filled = [form for form in self.forms if form.has_changed() or form.initial]
        return [form for form in filled if not form.cleaned_data.get("DELETE")]


def _set(row: type[forms.Form], empty: int, most: int) -> type[forms.BaseFormSet]:
    return forms.formset_factory(
        row, formset=_Rows, extra=empty, can_delete=True, max_num=most, absolute_max=most + 100, validate_max=True
    )


PARAMETERS = _set(ParameterRow, EMPTY_PARAMETERS, MAX_PARAMETERS)
FIELDS = _set(FieldRow, EMPTY_FIELDS, MAX_FIELDS)


class WrittenOperationForm(ExpectedForm):
    """A new operation of a draft, or one that is there (`initial["operation"]`, its code) with everything it has."""

    operation = forms.CharField(widget=forms.HiddenInput, required=False, max_length=80)
    name = forms.CharField(label=_("name"), max_length=300, help_text=_("What it answers, in Vietnamese."))
    code = forms.CharField(label=_("code"), max_length=80, help_text=_("As developers call it, for example getParcel."))
    method = forms.ChoiceField(label=_("method"), choices=Method.choices, initial=Method.GET)
    path = forms.CharField(
        label=_("path"), max_length=300, help_text=_("With its parameters in braces: /parcels/{id}. It follows your system's address."),
    )  # fmt: skip
    answer = forms.ChoiceField(label=_("format of the answer"), choices=AnswerFormat.choices, initial=AnswerFormat.JSON)
    codes_day = forms.DateField(
        label=_("codes of the day"), required=False, widget=DAY,
        help_text=_("The provider uses the shared catalogs as they were on this day; empty: as they are today."),
    )  # fmt: skip
    description = forms.CharField(
        label=_("description"), max_length=5_000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, *args, obj=None, **kwargs) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        rows = contract_of(obj).as_data()["operations"]
        wanted = self.data.get("operation") if self.is_bound else self.initial.get("operation")
        self.place, self.shown = next(
            ((place, row) for place, row in enumerate(rows) if row["code"] == wanted), (len(rows), None)
        )
        stored = self.shown or {"parameters": (), "fields": ()}
        self.initial.update({name: stored[name] for name in self.fields if name in stored})
        self.initial["operation"] = stored.get("code", "")
        data, catalogs = (self.data if self.is_bound else None), catalog_choices()
        self.parameters = PARAMETERS(data, prefix="p", initial=list(stored["parameters"]), catalogs=catalogs)
        self.answers = FIELDS(data, prefix="f", initial=list(stored["fields"]), catalogs=catalogs)
        self.sent: dict[str, list[forms.Form]] = {}

    def is_valid(self) -> bool:
        return all([super().is_valid(), self.parameters.is_valid(), self.answers.is_valid()])

    def facts(self) -> dict:
        """The arguments of `write_operation`."""
        given = dict(self.cleaned_data)
        code, expected = given.pop("operation") or None, given.pop("expected")
        self.sent = {"parameters": self.parameters.given(), "fields": self._fields()}
        rows = {name: [_values(form) for form in forms_] for name, forms_ in self.sent.items()}
        given["codes_day"] = given["codes_day"].isoformat() if given["codes_day"] else ""
        return {"operation": {**given, **rows}, "code": code, "expected": expected}

    def _fields(self) -> list[forms.Form]:
        """The fields in the order of the tree. With a group goes what lies in it."""
        gone = [form.initial["path"] for form in self.answers.deleted_forms if form.initial]
        rows = [form for form in self.answers.given() if not _lies_in(form.cleaned_data["path"], gone)]
        places = places_in_tree(form.cleaned_data["path"] for form in rows)
        return sorted(rows, key=lambda form: places[form.cleaned_data["path"]])

    def refuse(self, error: DomainError) -> None:
        """Put what the contract refused beside the box it names; what is not of this operation, on top."""
        named = error.extra.get("fields")
        for place, reasons in (named if isinstance(named, dict) else {}).items():
            form, box = self._box(place)
            for reason in reasons if isinstance(reasons, list | tuple) else [reasons]:
                form.add_error(box, str(reason) if form is not self or box else f"{place}: {reason}")
        self.add_error(None, str(error.detail or error.title))
        self.show_overtaken(error)

    def beside(self) -> Iterator[Overtaken]:
        yield from super().beside()
        sets = ((_("Parameters"), "parameters", self.parameters), (_("Fields of the answer"), "fields", self.answers))
        for label, part, rows in sets:
            stored = (self.shown or {}).get(part, ())
            yield Overtaken(str(label), _lines(stored), _lines(_values(form) for form in rows.given()))

    def _box(self, place: str) -> tuple[forms.Form, str | None]:
        found = _PLACE.match(place)
        if found is None or int(found[1]) != self.place:
            return self, place if place in self.fields else None
        _operation, part, number, box = found.groups()
        rows = self.sent.get(part or "", [])
        form = rows[int(number)] if number and int(number) < len(rows) else self
        return form, box if box in form.fields else None


class RemoveOperationForm(ExpectedForm):
    code = forms.ChoiceField(label=_("operation"))

    def __init__(self, *args, obj=None, **kwargs) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        self.fields["code"].choices = [(row.code, row.name) for row in obj.operations.order_by("id")]
        self.initial["code"] = self.initial.get("operation")


def _lines(rows: Iterable[dict]) -> str:
    """Rows of a table as text, one a line."""
    return "\n".join(" | ".join(str(value) for value in row.values() if value not in ("", None, False)) for row in rows)


def _values(form: forms.Form) -> dict:
    return {name: value for name, value in form.cleaned_data.items() if name != "DELETE"}


def _lies_in(path: str, groups: list[str]) -> bool:
    return any(path.startswith(f"{group}.") for group in groups)


def places_in_tree(paths: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Where each path stands when a tree is read: what lies in a group follows it, otherwise as they are given."""
    places: dict[str, tuple[int, ...]] = {"": ()}
    for number, path in enumerate(paths):
        above = ""
        for part in path.split("."):
            path_here = f"{above}.{part}" if above else part
            places.setdefault(path_here, (*places[above], number))
            above = path_here
    return places
