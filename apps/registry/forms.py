"""What people type into the verbs of services, versions, addresses and terms."""

from __future__ import annotations

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.core.registers import ChangeForm, VerbForm
from apps.core.upstream_auth import AuthKind
from apps.organizations.choices import OrganizationStatus, Role
from apps.organizations.forms import DAY
from apps.organizations.models import Organization
from apps.organizations.roles import organization_ids
from apps.registry.choices import Classification, Environment, Protocol, SharingForm, UpstreamAuth
from apps.registry.models import DataService, UsageRegulation
from apps.registry.terms import usual_months

LONG = forms.Textarea(attrs={"rows": 4})


class OwnAgencyField(forms.ModelChoiceField):
    """One of the agencies where the person is a provider officer; nothing else can be sent."""

    def __init__(self, **kwargs) -> None:
        super().__init__(Organization.objects.none(), to_field_name="code", **kwargs)

    def offer(self, user) -> None:
        mine = organization_ids(user, Role.PROVIDER_OFFICER)
        self.queryset = Organization.objects.filter(pk__in=mine, status=OrganizationStatus.ACTIVE).order_by("sort_key")
        if len(mine) == 1:
            self.initial = self.queryset.first()


class ServiceFacts(forms.Form):
    name = forms.CharField(label=_("name"), max_length=300)
    description = forms.CharField(label=_("description"), max_length=10_000, widget=LONG, required=False)
    sharing_form = forms.ChoiceField(label=_("sharing form"), choices=SharingForm.choices)
    classification = forms.ChoiceField(
        label=_("classification"), choices=Classification.choices, initial=Classification.SHARED,
        help_text=_("Data that is a state secret never passes this platform (NĐ 47/2020/NĐ-CP Điều 1(2))."),
    )  # fmt: skip
    protocol = forms.ChoiceField(label=_("protocol"), choices=Protocol.choices)
    usage_regulation = forms.ModelChoiceField(
        UsageRegulation.objects.none(), label=_("usage regulation"), required=False, to_field_name="uuid"
    )
    capacity_rps = forms.IntegerField(label=_("capacity (calls per second)"), min_value=1, required=False)
    daily_quota = forms.IntegerField(label=_("default quota (calls per day)"), min_value=1, required=False)
    contact = forms.CharField(label=_("contact"), max_length=300, required=False)
    sla = forms.CharField(label=_("service level"), max_length=5_000, widget=LONG, required=False)
    is_master_data = forms.BooleanField(label=_("master data"), required=False)
    account_issuing_delegated = forms.BooleanField(
        label=_("the operator issues accounts"), required=False, initial=True,
        help_text=_("NĐ 47/2020 Điều 40(2): the provider may delegate issuing accounts to the operator."),
    )  # fmt: skip

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        mine = organization_ids(self.user, Role.PROVIDER_OFFICER)
        provider = {self.obj.provider_id} & mine if self.obj is not None else mine
        self.fields["usage_regulation"].queryset = UsageRegulation.objects.kept_by_any(provider)


class ServiceForm(ServiceFacts, VerbForm):
    provider = OwnAgencyField(label=_("provider"))
    code = forms.CharField(
        label=_("code"), max_length=60, help_text=_("Small letters, digits and hyphens; it is in the address.")
    )
    field_order = ["provider", "code", "name"]

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["provider"].offer(self.user)


class ServiceChangeForm(ServiceFacts, ChangeForm):
    pass


class NewVersionForm(VerbForm):
    bump = forms.ChoiceField(
        label=_("what kind of version"), choices=[("minor", _("minor: nothing breaks")), ("major", _("major: a new address"))]
    )
    change_note = forms.CharField(label=_("what changed"), max_length=5_000, widget=LONG, required=False)


class ExpectedForm(VerbForm):
    """Carries the row version that was seen, so that a decision on an old page is refused."""

    expected = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args, obj=None, **kwargs) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        self.fields["expected"].initial = getattr(obj, "version", None)

    def standing(self) -> dict:
        return {
            name: self.get_initial_for_field(field, name) for name, field in self.fields.items() if not self[name].is_hidden
        }


class DeprecationForm(ExpectedForm):
    until = forms.DateField(label=_("to be retired on"), widget=DAY)


class RetirementForm(ExpectedForm):
    reason = forms.CharField(label=_("reason"), max_length=1000, widget=LONG)


class UpstreamForm(VerbForm):
    """One environment's address. The secret's box is always empty: what is stored is never shown, and kept when left so."""

    environment = forms.ChoiceField(label=_("environment"), choices=Environment.choices)
    base_url = forms.CharField(label=_("address"), max_length=300)
    auth_kind = forms.ChoiceField(label=_("authentication"), choices=UpstreamAuth.choices)
    token_url = forms.CharField(
        label=_("token address"),
        max_length=300,
        required=False,
        help_text=_("For NGSP. For the population database: the “service URL” of its digest."),
    )
    name = forms.CharField(label=_("user name or consumer key"), max_length=200, required=False)
    secret = forms.CharField(
        label=_("password, token or consumer secret"), required=False, strip=False, max_length=4_000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Never shown again. Empty: what is stored stays."),
    )  # fmt: skip
    timeout_ms = forms.IntegerField(label=_("total deadline (ms)"), required=False, min_value=100, max_value=25_000)
    seen = forms.CharField(widget=forms.HiddenInput, required=False, max_length=100)

    def __init__(self, *args, obj, **kwargs) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        stored = {row.environment: row.revision for row in obj.upstreams.all()}
        self.initial["seen"] = " ".join(f"{name}:{stored.get(name, 0)}" for name in Environment.values)

    def standing(self) -> dict:
        row = self.obj.upstreams.get(environment=self.cleaned_data["environment"])
        return {
            "base_url": row.base_url, "auth_kind": row.auth_kind, "timeout_ms": row.timeout_ms,
            "token_url": row.auth_settings.get("token_url", ""),
        }  # fmt: skip

    def _revision(self) -> int | None:
        """How often the address of the chosen environment had been set when the page was opened."""
        seen = dict(part.partition(":")[::2] for part in self.cleaned_data["seen"].split())
        number = seen.get(self.cleaned_data["environment"], "")
        return int(number) if number.isdecimal() else None

    def facts(self) -> dict:
        given = self.cleaned_data
        facts = {"base_url": given["base_url"], "auth_kind": given["auth_kind"], "secret": self._secret()}
        facts["revision"] = self._revision()
        if given["token_url"] and given["auth_kind"] != AuthKind.C06:
            facts["auth_settings"] = {"token_url": given["token_url"]}
        if given["timeout_ms"]:
            facts["timeout_ms"] = given["timeout_ms"]
        return facts

    def _secret(self) -> dict | None:
        name, word = self.cleaned_data["name"], self.cleaned_data["secret"]
        if not word:
            return None
        return {
            AuthKind.BASIC: {"username": name, "password": word},
            AuthKind.BEARER: {"token": word},
            AuthKind.HEADERS: {"headers": {name: word}},
            AuthKind.NGSP: {"consumer_key": name, "consumer_secret": word},
            AuthKind.C06: {"username": name, "secret_key": word, "auth_url": self.cleaned_data["token_url"]},
        }.get(self.cleaned_data["auth_kind"])


class TermsFacts(forms.Form):
    number = forms.CharField(label=_("number"), max_length=100)
    title = forms.CharField(label=_("title"), max_length=300)
    issued_on = forms.DateField(label=_("issued on"), widget=DAY)
    effective_from = forms.DateField(label=_("effective from"), widget=DAY)
    effective_to = forms.DateField(label=_("effective to"), widget=DAY, required=False)
    log_retention_months = forms.IntegerField(
        label=_("access log kept for (months)"), min_value=1, max_value=600, initial=usual_months
    )
    usage_duration = forms.CharField(label=_("how long received data may be used"), max_length=200, required=False)
    terms = forms.CharField(
        label=_("standard terms of default sharing"),
        max_length=100_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 12}),
    )


class TermsForm(TermsFacts, VerbForm):
    organization = OwnAgencyField(label=_("issuing organization"))
    field_order = ["organization"]

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["organization"].offer(self.user)


class TermsChangeForm(TermsFacts, ChangeForm):
    pass


class TermsEndForm(ChangeForm):
    effective_to = forms.DateField(label=_("effective to"), widget=DAY)

    def __init__(self, *args, obj, **kwargs) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        self.initial["effective_to"] = obj.effective_to or timezone.localdate()

    def facts(self) -> dict:
        return dict(self.cleaned_data)


class PurposeForm(VerbForm):
    code = forms.CharField(label=_("code"), max_length=40, help_text=_("Small letters, digits and hyphens."))
    name = forms.CharField(label=_("name"), max_length=300)


class PurposeChangeForm(ChangeForm):
    name = forms.CharField(label=_("name"), max_length=300)
    is_active = forms.BooleanField(label=_("may be chosen"), required=False)


class DefaultListForm(VerbForm):
    """The decision of one of the person's agencies. Each of its default-sharing services can be ticked."""

    organization = OwnAgencyField(label=_("provider"))
    number = forms.CharField(label=_("decision number"), max_length=100)
    decided_on = forms.DateField(label=_("decided on"), widget=DAY, initial=timezone.localdate)
    services = forms.ModelMultipleChoiceField(
        DataService.objects.none(), label=_("services"), to_field_name="code", widget=forms.SelectMultiple(attrs={"size": 10})
    )
    note = forms.CharField(label=_("note"), max_length=5_000, required=False, widget=LONG)

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["organization"].offer(self.user)
        mine = DataService.objects.editable_by(self.user).filter(sharing_form=SharingForm.DEFAULT)
        self.fields["services"].queryset = mine.order_by("sort_key")
