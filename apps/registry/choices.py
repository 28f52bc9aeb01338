from django.db import models
from django.utils.translation import gettext_lazy as _


class SharingForm(models.TextChoices):
    """NĐ 47/2020/NĐ-CP Điều 33-37."""

    DEFAULT = "default", _("default sharing")
    SPECIAL = "special", _("special sharing")


class Classification(models.TextChoices):
    """A state secret has no value here on purpose (NĐ 47/2020 Điều 1(2)): it cannot be saved."""

    OPEN = "open", _("open data")
    SHARED = "shared", _("shared between agencies")
    RESTRICTED = "restricted", _("restricted")


class Protocol(models.TextChoices):
    REST = "rest", "REST/JSON"
    SOAP = "soap", "SOAP/XML"


class ServiceStatus(models.TextChoices):
    ACTIVE = "active", _("active")
    SUSPENDED = "suspended", _("suspended")
    RETIRED = "retired", _("retired")


class VersionStatus(models.TextChoices):
    DRAFT = "draft", _("draft")
    PUBLISHED = "published", _("published")
    DEPRECATED = "deprecated", _("deprecated")
    RETIRED = "retired", _("retired")


class FeedbackStatus(models.TextChoices):
    OPEN = "open", _("open")
    ANSWERED = "answered", _("answered")


class Method(models.TextChoices):
    GET = "GET", "GET"
    POST = "POST", "POST"
    PUT = "PUT", "PUT"
    PATCH = "PATCH", "PATCH"
    DELETE = "DELETE", "DELETE"


class AnswerFormat(models.TextChoices):
    """What the provider's answer is written in; a SOAP answer is read as XML and given to the consumer as JSON."""

    JSON = "json", "JSON"
    XML = "xml", "XML"


class ConnectionKind(models.TextChoices):
    """READ is built; UPDATE exists as a value and is refused with a clear word until it is (product.md)."""

    READ = "read", _("read connection")
    UPDATE = "update", _("update connection")


class ParameterLocation(models.TextChoices):
    PATH = "path", _("in the path")
    QUERY = "query", _("in the query")


class FieldType(models.TextChoices):
    OBJECT = "object", _("group")
    ARRAY = "array", _("list")
    STRING = "string", _("text")
    NUMBER = "number", _("number")
    BOOLEAN = "boolean", _("yes/no")
    DATE = "date", _("date")


UNCLASSIFIED = ""
"""Of a field whose personal-data class nobody has said yet: that is not “not personal”, and bars publishing (`completeness`)."""


class PersonalDataClass(models.TextChoices):
    """Luật 91/2025/QH15 Điều 2."""

    NONE = "none", _("not personal")
    BASIC = "basic", _("basic personal data")
    SENSITIVE = "sensitive", _("sensitive personal data")


CLASS_CHOICES = [(UNCLASSIFIED, _("not classified yet")), *PersonalDataClass.choices]
"""What a field of a draft may say, from the lowest on; the class of a published one is always among the three."""


def is_higher_class(one: str, other: str) -> bool:
    """Whether more must be justified and assessed for `one` than for `other` (AG-20)."""
    ranks = [value for value, _label in CLASS_CHOICES]
    return ranks.index(one) > ranks.index(other)


class Environment(models.TextChoices):
    TEST = "test", _("test")
    PRODUCTION = "production", _("production")


class UpstreamAuth(models.TextChoices):
    """How the gateway shows itself to the provider (`core.upstream_auth`)."""

    NONE = "none", _("none")
    BASIC = "basic", _("user name and password")
    BEARER = "bearer", _("fixed bearer token")
    HEADERS = "headers", _("fixed headers")
    NGSP = "ngsp", _("NGSP token (client credentials)")
    C06 = "c06", _("population database (digest of each call)")


CONTAINER_TYPES = (FieldType.OBJECT, FieldType.ARRAY)
