"""The lives of a service, of a version and of a question. A published contract is not edited; a new version replaces it."""

from django.utils.translation import gettext_lazy as _

from apps.core.workflow import Step, Workflow
from apps.registry.choices import FeedbackStatus as F
from apps.registry.choices import ServiceStatus as S
from apps.registry.choices import VersionStatus as V

SERVICE = Workflow(
    "data service",
    (
        Step("suspend", (S.ACTIVE,), S.SUSPENDED, "registry.suspend_service", _("Suspend"), "danger"),
        Step("resume", (S.SUSPENDED,), S.ACTIVE, "registry.resume_service", _("Resume"), "primary"),
        Step("retire", (S.ACTIVE, S.SUSPENDED), S.RETIRED, "registry.retire_service", _("Retire"), "danger"),
    ),
)

VERSION = Workflow(
    "service version",
    (
        Step("publish", (V.DRAFT,), V.PUBLISHED, "registry.publish_version", _("Publish"), "primary"),
        Step("deprecate", (V.PUBLISHED,), V.DEPRECATED, "registry.deprecate_version", _("Announce the end")),
        Step("postpone", (V.DEPRECATED,), V.DEPRECATED, "registry.deprecate_version", _("Announce a later end"),
             note="Never an earlier one: its users have planned with the day they were told."),
        Step("replace", (V.PUBLISHED, V.DEPRECATED), V.RETIRED, "registry.publish_version", _("Replace"),
             note="Taken only by the publishing of the next minor version, in the same transaction."),
        Step("retire", (V.PUBLISHED, V.DEPRECATED), V.RETIRED, "registry.retire_version", _("Retire"), "danger"),
        Step("discard", (V.DRAFT,), V.RETIRED, "registry.change_version", _("Discard"), "danger",
             "A draft nobody wants is closed, not deleted: its number stays taken."),
    ),
)  # fmt: skip

FEEDBACK = Workflow(
    "question about a service",
    (Step("answer", (F.OPEN,), F.ANSWERED, "registry.answer_feedback", _("Answer"), "primary"),),
)
