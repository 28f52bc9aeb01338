"""The forms of a service in groups that a person thinks in, and the document a new one may start from."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.registry.documents import MAX_BYTES
from apps.registry.documents.fetching import fetch_document
from apps.registry.forms import ServiceChangeForm, ServiceForm

HELP = {
    "name": _("As people look for it. For example: “Look up land parcels”."),
    "description": _("Which data, about whom or what, from when, how fresh, and what it cannot tell."),
    "sla": _("Availability, answering time, hours of support."),
    "contact": _("Who answers questions: unit, telephone, e-mail."),
    "is_master_data": _("The authoritative source of this data for everybody."),
    "capacity_rps": _("What your system can bear from all consumers together."),
    "daily_quota": _("What one consumer gets unless its agreement says otherwise."),
    "usage_regulation": _(
        "Sharing needs a published regulation (NĐ 47/2020/NĐ-CP Điều 22); default sharing needs its terms signed."
    ),
}
GROUPS = (
    (_("The service"), ("provider", "code", "name", "description", "is_master_data")),
    (_("Begin with its description"), ("file", "url")),
    (_("How it is shared"), ("sharing_form", "classification", "protocol", "usage_regulation", "account_issuing_delegated")),
    (_("What it can bear"), ("capacity_rps", "daily_quota", "sla")),
    (_("Whom to ask"), ("contact",)),
)


class Grouped:
    """Fields in the groups of the page, those that the form has."""

    def groups(self) -> list[tuple[object, list]]:
        return [(title, [self[name] for name in names if name in self.fields]) for title, names in GROUPS if self._any(names)]

    def _any(self, names) -> bool:
        return any(name in self.fields for name in names)

    def explain(self) -> None:
        for name, text in HELP.items():
            if name in self.fields and not self.fields[name].help_text:
                self.fields[name].help_text = text


class OfferForm(Grouped, ServiceForm):
    file = forms.FileField(
        label=_("OpenAPI or WSDL file"), required=False,
        help_text=_("OpenAPI 3 (JSON or YAML) or WSDL, at most 2 MiB. It may also come later."),
    )  # fmt: skip
    url = forms.CharField(
        label=_("or its address"), max_length=300, required=False,
        help_text=_("Only addresses on the platform's list of allowed outbound addresses can be read."),
    )  # fmt: skip

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.explain()

    def clean(self) -> dict:
        given = super().clean()
        if given.get("file") and given.get("url"):
            self.add_error("url", _("Choose a file or give an address, not both."))
        return given

    def content(self) -> bytes | None:
        """The document, None when none was given. Raises OutboundError when the address does not answer."""
        if self.cleaned_data["file"] is not None:
            return self.cleaned_data["file"].read(MAX_BYTES + 1)
        return fetch_document(self.cleaned_data["url"]) if self.cleaned_data["url"] else None

    def source(self) -> str:
        file = self.cleaned_data["file"]
        return file.name if file is not None else self.cleaned_data["url"]

    def facts(self) -> dict:
        return {name: value for name, value in super().facts().items() if name not in ("file", "url")}


class OfferChangeForm(Grouped, ServiceChangeForm):
    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.explain()
