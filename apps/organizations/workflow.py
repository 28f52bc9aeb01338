"""The lives of an agency and of a system. Each step takes effect at the gateway with the next call (the epoch rises)."""

from django.utils.translation import gettext_lazy as _

from apps.core.workflow import Step, Workflow
from apps.organizations.choices import OrganizationStatus as O
from apps.organizations.choices import SystemStatus as S

ORGANIZATION = Workflow(
    "organization",
    (
        Step("suspend", (O.ACTIVE,), O.SUSPENDED, "organizations.suspend_organization", _("Suspend"), "danger"),
        Step("resume", (O.SUSPENDED,), O.ACTIVE, "organizations.resume_organization", _("Resume"), "primary"),
        Step("close", (O.ACTIVE, O.SUSPENDED), O.CLOSED, "organizations.close_organization", _("Close"), "danger",
             "An agency that was reorganized is closed, never deleted: its history stays under its name."),
    ),
)  # fmt: skip

SYSTEM = Workflow(
    "information system",
    (
        Step("suspend", (S.ACTIVE,), S.SUSPENDED, "organizations.suspend_system", _("Suspend"), "danger"),
        Step("resume", (S.SUSPENDED,), S.ACTIVE, "organizations.resume_system", _("Resume"), "primary",
             "The operator's alone: an agency cannot undo a suspension that was meant for it."),
        Step("retire", (S.ACTIVE, S.SUSPENDED), S.RETIRED, "organizations.retire_system", _("Retire"), "danger"),
    ),
)  # fmt: skip
