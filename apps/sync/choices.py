from django.db import models
from django.utils.translation import gettext_lazy as _


class SourceKind(models.TextChoices):
    CATALOG = "catalog", _("shared catalog (incoming)")
    CHANGES = "changes", _("changes of business registration (incoming)")
    PUSH = "push", _("agency identifiers (outgoing)")


class AdapterName(models.TextChoices):
    NGSP = "ngsp", _("NGSP (bare lists)")
    ENVELOPE = "envelope", _("province with an envelope and pages")


class RunStatus(models.TextChoices):
    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    PUBLISHED = "published", _("published")
    UNCHANGED = "unchanged", _("unchanged")
    HELD = "held", _("held for a person")
    FAILED = "failed", _("failed")


OPEN_STATUSES = (RunStatus.QUEUED, RunStatus.RUNNING)
CLOSED_STATUSES = (RunStatus.PUBLISHED, RunStatus.UNCHANGED, RunStatus.HELD, RunStatus.FAILED)
SUCCESSES = (RunStatus.PUBLISHED, RunStatus.UNCHANGED, RunStatus.HELD)
"""The other side answered and we understood it: fresh, even where a person still has to decide."""


class Stage(models.TextChoices):
    """Where a run stands; drawn as progress."""

    WAITING = "waiting", _("waiting")
    FETCHING = "fetching", _("fetching")
    COMPARING = "comparing", _("comparing")
    STAGING = "staging", _("staging and judging")
    PUBLISHING = "publishing", _("publishing")
    SENDING = "sending", _("sending")
    VERIFYING = "verifying", _("verifying")
    DONE = "done", _("done")


STEPS = {
    SourceKind.CATALOG: (Stage.WAITING, Stage.FETCHING, Stage.COMPARING, Stage.STAGING, Stage.PUBLISHING),
    SourceKind.CHANGES: (Stage.WAITING, Stage.FETCHING),
    SourceKind.PUSH: (Stage.WAITING, Stage.FETCHING, Stage.SENDING, Stage.VERIFYING),
}
"""The stages of a run of each kind, in order."""


class Trigger(models.TextChoices):
    SCHEDULE = "schedule", _("schedule")
    PERSON = "person", _("by hand")


class DossierProblem(models.TextChoices):
    """Why a dossier of a list is left out of the feed; the others of the list are recorded."""

    NO_CODE = "no_code", _("no enterprise code (yet)")
    NO_NUMBER = "no_number", _("no dossier number")
    NO_DAY = "no_day", _("no readable date of receipt")
    UNREADABLE = "unreadable", _("too long, or with signs that no text has")
    TWICE = "twice", _("its number is in the list twice")


COUNT_LABELS = {
    "parts": _("lists"),
    "fetched": _("fetched"),
    "rows": _("rows"),
    "added": _("added"),
    "closed": _("ended"),
    "renamed": _("renamed"),
    "reparented": _("moved to another parent"),
    "changed": _("changed"),
    "reused": _("codes used again"),
    "refused": _("rows refused"),
    "live": _("live before"),
    "broken": _("rows with a broken tree"),
    "left_behind": _("children left without a parent"),
    "lineage": _("lines of lineage"),
    "lineage_refused": _("lines of lineage refused"),
    "windows": _("windows"),
    "windows_done": _("windows done"),
    "recorded": _("changes recorded"),
    "ours": _("our rows"),
    "to_send": _("to send"),
    "sent": _("sent"),
}
"""What the figures of a run are called, in the order they are shown."""
