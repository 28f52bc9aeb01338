"""Forms of the crosswalk and of the preferred table."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.catalogs.calendar import proposed_day
from apps.catalogs.models import Catalog
from apps.catalogs.tables import read_crosswalk
from apps.portal.release_forms import DATES


class PreferForm(forms.Form):
    """Which table is to be used, among this one and another that tells the same things."""

    over = forms.ModelChoiceField(
        Catalog.objects.none(), label=_("Preferred over the table"), to_field_name="code",
        help_text=_("Tables that tell the same as that one come along."),
    )  # fmt: skip
    basis = forms.CharField(
        label=_("Ground of the preference"), max_length=300, help_text=_("For example: most systems of the province use it; the instrument that says so.")
    )  # fmt: skip

    def __init__(self, catalog: Catalog, *args) -> None:
        super().__init__(*args)
        self.fields["over"].queryset = Catalog.objects.exclude(pk=catalog.pk)


class PartForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=1000)


class CrosswalkForm(forms.Form):
    """Lines of a crosswalk to another table, from a file or typed in as lines of CSV."""

    other = forms.ModelChoiceField(Catalog.objects.none(), label=_("To the table"), to_field_name="code")
    file = forms.FileField(label=_("File (CSV UTF-8 or XLSX)"), required=False)
    text = forms.CharField(
        label=_("Or lines typed here"), required=False, widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text=_("First line: code,other_code,relation – and, where needed, level, other_level, valid_from, valid_to, legal_basis, note. Relations: exact, broader (the other one is broader), narrower, related, none (leave other_code empty). valid_to is the first day on which the line no longer holds; a column with the Vietnamese name for it holds the last day."),
    )  # fmt: skip
    effective_on = forms.DateField(label=_("Effective day"), input_formats=DATES)
    instrument = forms.CharField(label=_("Legal instrument"), max_length=300, required=False)
    instrument_date = forms.DateField(label=_("Date of the instrument"), input_formats=DATES, required=False)
    note = forms.CharField(label=_("Note"), required=False, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, catalog: Catalog, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["other"].queryset = Catalog.objects.exclude(pk=catalog.pk)
        self.fields["effective_on"].initial = proposed_day(catalog)

    def clean(self) -> dict:
        given = super().clean()
        if bool(given.get("file")) == bool(given.get("text", "").strip()):
            raise forms.ValidationError(_("Give either a file or lines."))
        return given

    def correspondences(self):
        """Rows for `stage_release`. Raises UnreadableFile."""
        other = self.cleaned_data["other"].code
        if upload := self.cleaned_data["file"]:
            return read_crosswalk(upload.name, upload.read(), other=other)
        return read_crosswalk("typed.csv", self.cleaned_data["text"].encode(), other=other)

    def facts(self, user) -> dict:
        """Facts for `stage_release`. An officer's crosswalk waits beside their list, and beside the ones to other tables."""
        names = ("effective_on", "instrument", "instrument_date", "note")
        source = f"crosswalk:{user.uuid}:{self.cleaned_data['other'].code}"[:100]
        return {**{name: self.cleaned_data[name] for name in names}, "source": source}
