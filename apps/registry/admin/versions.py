from __future__ import annotations

from urllib.parse import quote

from django.contrib import admin, messages
from django.http import HttpResponseRedirect
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.core.registers import NoFacts, VerbPage, facts_of
from apps.legal.stated import stated_lazy
from apps.organizations.registers import AuditedRegister
from apps.registry import actions, contract_forms, forms, health
from apps.registry.admin.offers import COLORS
from apps.registry.choices import VersionStatus
from apps.registry.clock import PUBLISH, publishing
from apps.registry.completeness import completeness
from apps.registry.models import Field, ServiceVersion, Upstream


def set_upstream(request, version, form):
    return actions.set_upstream(version, form.cleaned_data["environment"], by=request.user, **form.facts()).version


def import_document(request, version, form):
    reading = actions.import_document(
        version, form.content(), by=request.user, source=form.source(), expected=form.cleaned_data["expected"]
    )
    for note in reading.notes[:20]:
        messages.warning(request, note)


def complete(request, version, form):
    actions.complete_operation(version, by=request.user, **form.facts())
    return HttpResponseRedirect(f"{request.path}?operation={quote(form.shown.code)}")


def _is(*statuses: str):
    return lambda row: row.status in statuses


@admin.register(ServiceVersion)
class ServiceVersionAdmin(AuditedRegister):
    """A version on one page: what is missing, operations with their fields, addresses (never a secret).

    Publishing, announcing an end and ending look at agreements: their doors are in the portal (`portal:version`).
    """

    list_display = ["service", "shown_number", "shown_status", "published_at", "deprecated_on"]
    list_filter = ["status"]
    list_select_related = ["service"]
    search_fields = ["service__folded"]
    ordering = ["service__sort_key", "-major", "-minor"]
    fields = ["service", "shown_number", "status", "ready_at", "published_at", "published_by", "deprecated_on",
              "change_note"]  # fmt: skip
    readonly_fields = ["shown_number"]
    change_form_outer_before_template = "registry/version.html"
    verb_pages = (
        VerbPage("document", _("Upload OpenAPI or WSDL"), import_document, "registry.change_version", contract_forms.DocumentForm,
                 "primary", when=_is(VersionStatus.DRAFT),
                 help=_("Operations, parameters and fields are taken from the document; names, personal-data classes and "
                        "catalogs that were completed before are kept.")),
        VerbPage("fields", _("Complete the fields"), complete, "registry.change_version", contract_forms.OperationForm,
                 when=lambda row: row.status == VersionStatus.DRAFT and row.operations.exists(),
                 template="registry/fields.html"),
        VerbPage("address", _("Set an address"), set_upstream, "registry.set_upstream", forms.UpstreamForm,
                 help=_("Only addresses on the platform's list of allowed outbound addresses can be saved."),
                 when=lambda row: row.status != VersionStatus.RETIRED),
        VerbPage("ready", _("It works: start the clock"), facts_of(actions.mark_ready), "registry.change_version", NoFacts,
                 help=stated_lazy(_("From here a service is published within %(term)s (%(citation)s)."), PUBLISH),
                 when=lambda row: row.status == VersionStatus.DRAFT and row.ready_at is None),
        VerbPage("discard", _("Discard"), facts_of(actions.discard_version), "registry.change_version", forms.ExpectedForm,
                 "danger", when=_is(VersionStatus.DRAFT)),
    )  # fmt: skip

    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        row = self.get_object(request, object_id) if object_id else None
        more = self._page_facts(request, row) if row is not None else {}
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def _page_facts(self, request, row: ServiceVersion) -> dict:
        operations = row.operations.prefetch_related("parameters").order_by("id")
        fields: dict[int, list] = {}
        for field in Field.objects.filter(operation__version=row).order_by("position", "id"):
            field.indent = min(field.path.count("."), 8)
            fields.setdefault(field.operation_id, []).append(field)
        return {
            "completeness": completeness(row) if request.user.has_perm("registry.read_completeness", row) else None,
            "operations": [(operation, fields.get(operation.pk, [])) for operation in operations],
            "upstreams": Upstream.objects.visible_to(request.user).filter(version=row),
            "health": [(address, health.summary(address)) for address in row.upstreams.all()],
            "publishing": publishing(row) if row.status == VersionStatus.DRAFT else None,
        }

    @display(description=_("version"), ordering="major")
    def shown_number(self, row):
        return row.number

    @display(description=_("status"), label=COLORS, ordering="status")
    def shown_status(self, row):
        return row.status, row.get_status_display()
