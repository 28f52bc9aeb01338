"""A version of a service and its contract: operations, parameters, the fields of the answer."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.audit.models import WithHistory
from apps.core.models import StatefulModel, TimedModel
from apps.registry.choices import (
    CLASS_CHOICES,
    UNCLASSIFIED,
    AnswerFormat,
    ConnectionKind,
    FieldType,
    Method,
    ParameterLocation,
    VersionStatus,
)
from apps.registry.models.service import DataService
from apps.registry.querysets import (
    OperationQuerySet,
    ServiceVersionQuerySet,
)

PATH_TEMPLATE = RegexValidator(
    r"^(/([A-Za-z0-9._~-]+|\{[A-Za-z_][A-Za-z0-9_]*\}))+$",
    _("A path begins with a slash; its parts are plain words or parameters in braces: /enterprises/{code}."),
)
NAME = RegexValidator(r"^[A-Za-z_][A-Za-z0-9_.-]*$", _("Letters, digits, underscore, dot and hyphen."))


class ServiceVersion(WithHistory, StatefulModel):
    """One contract of a service. `major` is in the gateway's address; a published version is never edited."""

    service = models.ForeignKey(DataService, verbose_name=_("service"), on_delete=models.PROTECT, related_name="versions")
    major = models.PositiveSmallIntegerField(_("major version"), default=1)
    minor = models.PositiveSmallIntegerField(_("minor version"), default=0)
    status = models.CharField(_("status"), max_length=12, choices=VersionStatus, default=VersionStatus.DRAFT)
    ready_at = models.DateTimeField(_("ready at"), null=True, blank=True)
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("published by"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    deprecated_on = models.DateField(_("to be retired on"), null=True, blank=True)
    change_note = models.TextField(_("what changed"), blank=True)
    interface_spec = models.JSONField(_("interface description"), default=dict, blank=True)

    objects = ServiceVersionQuerySet.as_manager()

    class Meta:
        verbose_name = _("service version")
        verbose_name_plural = _("service versions")
        ordering = ["service_id", "-major", "-minor"]
        constraints = [
            models.UniqueConstraint(fields=["service", "major", "minor"], name="registry_serviceversion_number"),
            # One live contract a major version: the address names no minor.
            models.UniqueConstraint(
                fields=["service", "major"],
                condition=Q(status__in=["published", "deprecated"]),
                name="registry_serviceversion_one_live",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service} v{self.number}"

    @property
    def number(self) -> str:
        return f"{self.major}.{self.minor}"


class Operation(TimedModel):
    """One call of a version: method and path template. The same path is authorized and forwarded."""

    version = models.ForeignKey(
        ServiceVersion, verbose_name=_("service version"), on_delete=models.CASCADE, related_name="operations"
    )
    code = models.CharField(_("code"), max_length=80, validators=[NAME])
    name = models.CharField(_("name"), max_length=300)
    description = models.TextField(_("description"), blank=True)
    method = models.CharField(_("method"), max_length=8, choices=Method, default=Method.GET)
    path_template = models.CharField(_("path"), max_length=300, validators=[PATH_TEMPLATE])
    kind = models.CharField(_("kind"), max_length=10, choices=ConnectionKind, default=ConnectionKind.READ)
    answer = models.CharField(_("format of the answer"), max_length=8, choices=AnswerFormat, default=AnswerFormat.JSON)
    soap = models.JSONField(
        _("SOAP message"), default=dict, blank=True,
        help_text=_("How the parameters are put into a SOAP 1.1 request; empty for an operation that is not SOAP."),
    )  # fmt: skip
    codes_day = models.DateField(
        _("codes of the day"), null=True, blank=True,
        help_text=_("The provider uses the shared catalogs as they were on this day; empty: as they are today."),
    )  # fmt: skip

    objects = OperationQuerySet.as_manager()

    class Meta:
        verbose_name = _("operation")
        verbose_name_plural = _("operations")
        ordering = ["version_id", "id"]
        constraints = [
            models.UniqueConstraint(fields=["version", "code"], name="registry_operation_code"),
            models.UniqueConstraint(fields=["version", "method", "path_template"], name="registry_operation_path"),
        ]

    def __str__(self) -> str:
        return self.name


class Parameter(models.Model):
    """A declared parameter; an undeclared or repeated one is refused by the gateway (400)."""

    operation = models.ForeignKey(Operation, verbose_name=_("operation"), on_delete=models.CASCADE, related_name="parameters")
    name = models.CharField(_("name"), max_length=80, validators=[NAME])
    label = models.CharField(_("label"), max_length=200, blank=True)
    location = models.CharField(_("location"), max_length=8, choices=ParameterLocation, default=ParameterLocation.QUERY)
    required = models.BooleanField(_("required"), default=False)
    pattern = models.CharField(_("pattern"), max_length=200, blank=True)
    max_length = models.PositiveSmallIntegerField(_("longest value"), default=200)
    is_subject = models.BooleanField(_("names the data subject"), default=False)
    catalog_code = models.CharField(_("shared catalog"), max_length=60, blank=True)
    example = models.CharField(_("example"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("parameter")
        verbose_name_plural = _("parameters")
        ordering = ["operation_id", "id"]
        constraints = [models.UniqueConstraint(fields=["operation", "name"], name="registry_parameter_name")]

    def __str__(self) -> str:
        return self.name


class Field(models.Model):
    """A node of the answer's tree. `path` is dotted, `[]` marks a list: Data.BusinessActivity[].CODE.

    An envelope field (status, message, count) carries no data of a subject and is granted with every request. Master data is
    kept in the provider's system alone; others read it there (AG-14). Its personal-data class is what a person said of it, never
    what a document left out: until then it is not classified, and its version is not published (AG-20).
    """

    operation = models.ForeignKey(Operation, verbose_name=_("operation"), on_delete=models.CASCADE, related_name="fields")
    path = models.CharField(_("path"), max_length=300)
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="children")
    name = models.CharField(_("name"), max_length=120)
    label = models.CharField(_("label"), max_length=200, blank=True)
    type = models.CharField(_("type"), max_length=10, choices=FieldType, default=FieldType.STRING)
    personal_data = models.CharField(
        _("personal-data class"), max_length=10, choices=CLASS_CHOICES, default=UNCLASSIFIED, blank=True
    )
    is_envelope = models.BooleanField(_("part of the envelope"), default=False)
    catalog_code = models.CharField(_("shared catalog"), max_length=60, blank=True)
    is_master_data = models.BooleanField(_("master data"), default=False)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("field")
        verbose_name_plural = _("fields")
        ordering = ["operation_id", "position", "id"]
        constraints = [models.UniqueConstraint(fields=["operation", "path"], name="registry_field_path")]

    def __str__(self) -> str:
        return self.path

    @property
    def is_leaf(self) -> bool:
        return self.type not in (FieldType.OBJECT, FieldType.ARRAY)
