"""Forms of a catalog's releases: what each verb of the lifecycle asks of the officer, and the staging form."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.catalogs import actions
from apps.catalogs.calendar import proposed_day
from apps.catalogs.choices import NEVER_ACCEPTED, Scope
from apps.catalogs.models import Catalog, Release
from apps.catalogs.review import reasons_in_words
from apps.catalogs.workflow import RELEASE
from apps.core.errors import InvalidFact
from apps.portal.panel import Button

DATES = ["%d/%m/%Y", "%Y-%m-%d"]


class StepForm(forms.Form):
    """Base: made for a release; `facts` are what the verb gets."""

    def __init__(self, release: Release, data=None) -> None:
        super().__init__(data)
        self.release = release

    def facts(self) -> dict:
        return dict(self.cleaned_data)

    def as_error(self) -> InvalidFact:
        return InvalidFact(fields={name: [str(text) for text in texts] for name, texts in self.errors.items()})


class PublishForm(StepForm):
    """Each reason of the brake is accepted by its own box; the proposed day is confirmed or changed."""

    effective_on = forms.DateField(label=_("Effective day"), input_formats=DATES)
    note = forms.CharField(label=_("Reason of the decision"), required=False, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, release: Release, data=None) -> None:
        super().__init__(release, data)
        self.fields["effective_on"].initial = release.effective_on
        for reason, words in reasons_in_words(release):
            if reason not in NEVER_ACCEPTED:
                label = _("I have looked at it and accept: %(reason)s") % {"reason": words}
                self.fields[f"accept_{reason}"] = forms.BooleanField(label=label, required=False)

    def facts(self) -> dict:
        accept = [
            name.removeprefix("accept_") for name, value in self.cleaned_data.items() if name.startswith("accept_") and value
        ]
        return {"accept": accept, "effective_on": self.cleaned_data["effective_on"], "note": self.cleaned_data["note"]}


class NoteForm(StepForm):
    note = forms.CharField(label=_("Reason"), widget=forms.Textarea(attrs={"rows": 2}))


FORMS = {"publish": PublishForm, "reject": NoteForm, "undo": NoteForm}
VERBS = {"publish": actions.publish_release, "reject": actions.reject_release, "undo": actions.undo_release}
DONE = {
    "publish": _("The release is published."),
    "reject": _("The release is rejected; what is live was not touched."),
    "undo": _("The release is undone by a new release."),
}
HELP = {
    "publish": _("One transaction makes the whole list live. What was answered before can still be asked."),
    "reject": _("The list is put aside. What is live stays as it is."),
    "undo": _("The inverse is published as a new release; nothing is erased."),
}


def buttons(release: Release, user) -> list[Button]:
    """A button for each step of the table that `user` may take now. An empty list can only be rejected."""
    steps = RELEASE.available(release, user)
    if set(release.hold_reasons) & NEVER_ACCEPTED:
        steps = [step for step in steps if step.verb != "publish"]
    return [
        Button(step.verb, step.label, step.style, FORMS[step.verb](release), HELP[step.verb], open=step.verb == "publish")
        for step in steps
    ]


class StageForm(forms.Form):
    """A list from a file, or typed in as lines of CSV."""

    file = forms.FileField(label=_("File (CSV UTF-8 or XLSX)"), required=False)
    text = forms.CharField(
        label=_("Or lines typed here"), required=False, widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text=_("First line: names of the columns, for example: code,name,level,parent_code. valid_to is the first day on which the code no longer holds; a column with the Vietnamese name for it holds the last day. closes (does the code end?) takes yes or no; a row with anything else is refused."),
    )  # fmt: skip
    scope = forms.ChoiceField(label=_("What the list is"), choices=Scope.choices, initial=Scope.CHANGES)
    effective_on = forms.DateField(label=_("Effective day"), input_formats=DATES)
    instrument = forms.CharField(label=_("Legal instrument"), max_length=300, required=False)
    instrument_date = forms.DateField(label=_("Date of the instrument"), input_formats=DATES, required=False)
    note = forms.CharField(label=_("Note"), required=False, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, catalog: Catalog, *args) -> None:
        super().__init__(*args)
        self.catalog = catalog
        self.fields["effective_on"].initial = proposed_day(catalog)

    def clean(self) -> dict:
        given = super().clean()
        if bool(given.get("file")) == bool(given.get("text", "").strip()):
            raise forms.ValidationError(_("Give either a file or lines."))
        return given

    def rows(self, read):
        """Rows by `read(name, bytes)`; typed lines are read as the same CSV."""
        if upload := self.cleaned_data["file"]:
            return read(upload.name, upload.read())
        return read("typed.csv", self.cleaned_data["text"].encode())

    def facts(self, user) -> dict:
        """Facts for `stage_release`. Each person's own list waits beside those of others."""
        names = ("scope", "effective_on", "instrument", "instrument_date", "note")
        return {**{name: self.cleaned_data[name] for name in names}, "source": f"portal:{user.uuid}"}
