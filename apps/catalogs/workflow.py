"""The lifecycles of a release and of a webhook.

`staged` is the list as it came; the judgement makes of it `unchanged`, `ready` or `held`. Only published releases
have a number: the numbers are the catalog's record time.
"""

from django.utils.translation import gettext_lazy as _

from apps.catalogs.choices import OPEN_STATUSES, ReleaseStatus, WebhookStatus
from apps.core.workflow import Step, Workflow

S = ReleaseStatus

RELEASE = Workflow(
    "release",
    (
        Step(
            "find_unchanged", (S.STAGED, S.READY, S.HELD), S.UNCHANGED, None, _("Unchanged"), note="the judgement found nothing"
        ),
        Step("find_harmless", (S.STAGED, S.READY, S.HELD), S.READY, None, _("Harmless")),
        Step(
            "hold", (S.STAGED, S.READY, S.HELD), S.HELD, None, _("Hold"), note="judged again when the live list moved meanwhile"
        ),
        Step("replace", OPEN_STATUSES, S.REPLACED, None, _("Replace"), note="the same source sent a newer list"),
        Step("publish", (S.READY, S.HELD), S.PUBLISHED, "catalogs.publish_release", _("Publish"), "primary"),
        Step("reject", OPEN_STATUSES, S.REJECTED, "catalogs.reject_release", _("Reject"), "danger"),
        Step(
            "undo", (S.PUBLISHED,), S.UNDONE, "catalogs.undo_release", _("Undo"), "danger", "its inverse becomes a new release"
        ),
    ),
)

W = WebhookStatus

WEBHOOK = Workflow(
    "webhook",
    (
        Step("pause", (W.ACTIVE,), W.PAUSED, "catalogs.pause_webhook", _("Pause")),
        Step(
            "give_up", (W.ACTIVE,), W.PAUSED, None, _("Give up"), note="the receiver said it is gone, or every attempt failed"
        ),
        Step("resume", (W.PAUSED,), W.ACTIVE, "catalogs.change_webhook", _("Resume"), "primary", "the newest release is told"),
        Step("renew_secret", (W.ACTIVE,), W.ACTIVE, "catalogs.change_webhook", _("Renew the secret")),
        Step("end", (W.ACTIVE, W.PAUSED), W.ENDED, "catalogs.pause_webhook", _("End"), "danger"),
    ),
)
