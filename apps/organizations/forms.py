"""What people type into the verbs of agencies, systems, roles and accounts."""

from __future__ import annotations

import base64
import binascii

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.core.registers import ChangeForm, VerbForm
from apps.organizations import imports
from apps.organizations.choices import AGENCY_ROLES, NOBODY, Network, OrganizationKind, OrganizationStatus, Role, SystemKind
from apps.organizations.models import Organization
from apps.organizations.roles import is_operator, organization_ids

DAY = forms.DateInput(attrs={"type": "text", "placeholder": _("dd/mm/yyyy"), "inputmode": "numeric"})


class IdentifierField(forms.CharField):
    """An agency by its identifier, in either form; offers what the person may choose from."""

    def __init__(self, **kwargs) -> None:
        kwargs.setdefault("max_length", 35)
        kwargs.setdefault("help_text", _("Identifier, in either form: H03.12 or 000.00.12.H03."))
        super().__init__(**kwargs)

    def clean(self, value):
        code = super().clean(value)
        if not code:
            return None
        found = Organization.objects.by_code(code)
        if found is None:
            raise forms.ValidationError(_("There is no agency with this identifier."))
        return found

    def prepare_value(self, value):
        return value.code if isinstance(value, Organization) else value


class OrganizationForm(VerbForm):
    code = forms.CharField(label=_("identifier"), max_length=35, help_text=_("QĐ 20/2020/QĐ-TTg, as H03.12."))
    old_code = forms.CharField(label=_("older identifier"), max_length=20, required=False, help_text=_("As 000.00.12.H03."))
    name = forms.CharField(label=_("name"), max_length=300)
    short_name = forms.CharField(label=_("short name"), max_length=100, required=False)
    kind = forms.ChoiceField(label=_("kind"), choices=OrganizationKind.choices, initial=OrganizationKind.DEPARTMENT)
    parent = IdentifierField(label=_("parent organization"), required=False)
    email = forms.EmailField(label=_("e-mail"), required=False)
    phone = forms.CharField(label=_("phone"), max_length=30, required=False)
    address = forms.CharField(label=_("address"), max_length=300, required=False)


class OrganizationChangeForm(ChangeForm, OrganizationForm):
    pass


class FocalPointForm(VerbForm):
    seen = forms.CharField(widget=forms.HiddenInput, required=False, max_length=40)
    name = forms.CharField(label=_("full name"), max_length=200)
    position = forms.CharField(label=_("position"), max_length=200)
    function = forms.CharField(label=_("function"), max_length=300, required=False)
    phone = forms.CharField(label=_("phone"), max_length=30)
    email = forms.EmailField(label=_("e-mail"))

    def __init__(self, *args, obj, **kwargs) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        current = self._current()
        self.initial["seen"] = str(current.uuid) if current else NOBODY

    def _current(self):
        return self.obj.focal_points.filter(ended_at__isnull=True).first()

    def standing(self) -> dict:
        return {name: getattr(self._current(), name, "") for name in self.fields if name != "seen"}


class SystemFacts(forms.Form):
    name = forms.CharField(label=_("name"), max_length=300)
    kind = forms.ChoiceField(label=_("kind"), choices=SystemKind.choices, initial=SystemKind.OTHER)
    network = forms.ChoiceField(label=_("network"), choices=Network.choices, initial=Network.TSLCD)
    security_level = forms.TypedChoiceField(
        label=_("security level"), choices=[("", "–"), *((n, str(n)) for n in range(1, 6))], coerce=int, empty_value=None,
        required=False,
    )  # fmt: skip
    security_decision = forms.CharField(label=_("decision on the security level"), max_length=100, required=False)
    security_expires_on = forms.DateField(label=_("security decision expires on"), required=False, widget=DAY)


class SystemForm(VerbForm, SystemFacts):
    """A new system of one of the agencies where the person works (any agency for the operator)."""

    code = forms.CharField(label=_("code"), max_length=60, help_text=_("Small letters, digits and hyphens."))
    organization = IdentifierField(label=_("owner"))
    field_order = ["organization", "code", "name"]

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        mine = Organization.objects.filter(pk__in=organization_ids(self.user, *AGENCY_ROLES), status=OrganizationStatus.ACTIVE)
        if not is_operator(self.user):
            choices = [(row.code, row.name) for row in mine.order_by("sort_key")]
            self.fields["organization"].widget = forms.Select(choices=choices)
            self.fields["organization"].help_text = ""


class SystemChangeForm(ChangeForm, SystemFacts):
    pass


class WithinOwnAgency:
    """For an agency's administrator: the own agencies, and the roles that may be given there. The operator chooses from all."""

    def narrow(self) -> None:
        if self.user.has_perm("organizations.give_any_role"):
            return
        mine = Organization.objects.filter(pk__in=organization_ids(self.user, Role.AGENCY_ADMIN)).order_by("sort_key")
        self.fields["organization"].widget = forms.Select(choices=[(row.code, row.name) for row in mine])
        self.fields["organization"].help_text = ""
        self.fields["role"].choices = [(role.value, role.label) for role in AGENCY_ROLES]
        for name in ("organization", "role", "email"):
            if name in self.fields:
                self.fields[name].required = True


class AuthorityFacts(forms.Form):
    """By what document a signer signs."""

    authority = forms.CharField(
        label=_("authorizing document"), max_length=300, required=False,
        help_text=_("Decision or letter that empowers the signer (number, date, issuer); empty for who signs by office."),
    )  # fmt: skip


class RoleForm(WithinOwnAgency, VerbForm, AuthorityFacts):
    username = forms.CharField(label=_("user name"), max_length=150)
    organization = IdentifierField(label=_("organization"))
    role = forms.ChoiceField(label=_("role"), choices=Role.choices)
    field_order = ["username", "organization", "role"]

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.narrow()

    def clean_username(self):
        name = self.cleaned_data["username"].strip().lower()
        people = User.objects.filter(is_machine=False)
        if not self.user.has_perm("organizations.give_any_role"):
            # Others' people are not there for an agency's administrator: the answer is the same as for nobody.
            people = people.filter(memberships__organization__in=organization_ids(self.user, Role.AGENCY_ADMIN))
        found = people.filter(username=name).first()
        if found is None:
            raise forms.ValidationError(_("There is no active account with this user name."))
        return found


class AuthorityForm(ChangeForm, AuthorityFacts):
    def facts(self) -> dict:
        """The one fact there is, also when it was left as it stood."""
        return dict(self.cleaned_data)


class OptionalReasonForm(VerbForm):
    reason = forms.CharField(label=_("reason"), max_length=1000, required=False, widget=forms.Textarea(attrs={"rows": 3}))


class PersonFacts(forms.Form):
    full_name = forms.CharField(label=_("full name"), max_length=200)
    email = forms.EmailField(label=_("e-mail"), required=False, help_text=_("The link to set a password is sent there."))
    position = forms.CharField(label=_("position"), max_length=200, required=False)
    phone = forms.CharField(label=_("phone"), max_length=30, required=False)


class AccountForm(WithinOwnAgency, VerbForm, PersonFacts, AuthorityFacts):
    username = forms.CharField(label=_("user name"), max_length=150, help_text=_("Small letters, digits and the signs . _ - @"))
    organization = IdentifierField(label=_("organization"), required=False)
    role = forms.ChoiceField(label=_("role"), choices=[("", "–"), *Role.choices], required=False)
    field_order = ["username", *PersonFacts.base_fields, "organization", "role"]

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.narrow()


class PersonChangeForm(ChangeForm, PersonFacts):
    pass


class ImportForm(VerbForm):
    """First the file alone: its preview is shown. Then the same content under the preview's digest: it is applied."""

    kind = forms.ChoiceField(
        label=_("what the file holds"),
        choices=[("organizations", _("agencies")), ("people", _("people, with their roles")), ("roles", _("roles of people"))],
    )
    file = forms.FileField(label=_("file"), required=False, help_text=_("CSV in UTF-8, at most 1 MiB and 5,000 rows."))
    content = forms.CharField(widget=forms.HiddenInput, required=False)
    digest = forms.CharField(widget=forms.HiddenInput, required=False, max_length=64)

    def clean(self) -> dict:
        given = super().clean()
        file = given.get("file")
        if file is not None:
            # A newly chosen file is looked at first, whatever was previewed before.
            given["bytes"], given["digest"] = file.read(imports.MAX_BYTES + 1), ""
        elif given.get("content"):
            try:
                given["bytes"] = base64.b64decode(given["content"], validate=True)
            except (ValueError, binascii.Error):
                raise forms.ValidationError(_("Choose the file again.")) from None
        else:
            self.add_error("file", _("Choose a file."))
        return given
