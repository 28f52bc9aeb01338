"""The lifecycle of a sync run. Every step is the machine's: a person asks for a run, the rows do the rest."""

from django.utils.translation import gettext_lazy as _

from apps.core.workflow import Step, Workflow
from apps.sync.choices import RunStatus

S = RunStatus

RUN = Workflow(
    "sync run",
    (
        Step(
            "claim",
            (S.QUEUED, S.RUNNING),
            S.RUNNING,
            None,
            _("Claim"),
            note="running: its lease ended, another worker takes over",
        ),
        Step("postpone", (S.RUNNING,), S.QUEUED, None, _("Try again later"), note="a failure that may pass by itself"),
        Step("publish", (S.RUNNING,), S.PUBLISHED, None, _("Publish")),
        Step("find_unchanged", (S.RUNNING,), S.UNCHANGED, None, _("Unchanged")),
        Step("hold", (S.RUNNING,), S.HELD, None, _("Hold")),
        Step("fail", (S.QUEUED, S.RUNNING), S.FAILED, None, _("Fail"), note="queued: the budget of attempts is spent"),
    ),
)
END = {S.PUBLISHED: "publish", S.UNCHANGED: "find_unchanged", S.HELD: "hold", S.FAILED: "fail"}
