from django.db import models
from django.utils.translation import gettext_lazy as _


class OrganizationKind(models.TextChoices):
    MINISTRY = "ministry", _("ministry or central agency")
    PROVINCE = "province", _("provincial people's committee")
    DEPARTMENT = "department", _("provincial department")
    DISTRICT = "district", _("district (until 2025)")
    COMMUNE = "commune", _("commune")
    UNIT = "unit", _("unit of an agency")
    EXTERNAL = "external", _("non-state organization")


class OrganizationStatus(models.TextChoices):
    ACTIVE = "active", _("active")
    SUSPENDED = "suspended", _("suspended")
    CLOSED = "closed", _("closed")


class SystemStatus(models.TextChoices):
    ACTIVE = "active", _("active")
    SUSPENDED = "suspended", _("suspended")
    RETIRED = "retired", _("retired")


class SystemKind(models.TextChoices):
    ONE_STOP = "one_stop", _("one-stop shop")
    DOCUMENTS = "documents", _("document management")
    PUBLIC_SERVICE = "public_service", _("public-service portal")
    TENDER = "tender", _("tender")
    BUDGET = "budget", _("budget")
    NOTARY = "notary", _("notary")
    DATABASE = "database", _("database")
    OTHER = "other", _("other")


class Network(models.TextChoices):
    TSLCD = "tslcd", _("dedicated government network (TSLCD)")
    INTERNET = "internet", _("Internet")


class Role(models.TextChoices):
    """What a person may be in an organization. Operator, legal officer and auditor count platform-wide.

    The agency's administrator gives the roles of its people and takes no step of a case (WF-06).
    """

    CONSUMER_OFFICER = "consumer_officer", _("consumer officer")
    PROVIDER_OFFICER = "provider_officer", _("provider officer")
    SIGNER = "signer", _("signer")
    AGENCY_ADMIN = "agency_admin", _("administrator of the agency")
    OPERATOR = "operator", _("operator")
    LEGAL_OFFICER = "legal_officer", _("legal officer")
    AUDITOR = "auditor", _("auditor")


PLATFORM_ROLES = (Role.OPERATOR, Role.LEGAL_OFFICER, Role.AUDITOR)
AGENCY_ROLES = (Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER, Role.SIGNER)
"""Who works for an agency, and what its administrator may give."""


NOBODY = "nobody"
"""Said of an agency that has no focal point, by whoever names one."""
