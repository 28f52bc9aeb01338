from django.db import models
from django.utils.translation import gettext_lazy as _


class ReleaseStatus(models.TextChoices):
    STAGED = "staged", _("staged, not judged yet")
    READY = "ready", _("harmless, waiting to be published")
    HELD = "held", _("held for a person")
    PUBLISHED = "published", _("published")
    UNDONE = "undone", _("published, undone later")
    REJECTED = "rejected", _("rejected")
    REPLACED = "replaced", _("replaced by a newer list")
    UNCHANGED = "unchanged", _("unchanged")


OPEN_STATUSES = (ReleaseStatus.STAGED, ReleaseStatus.READY, ReleaseStatus.HELD)
LIVE_STATUSES = (ReleaseStatus.PUBLISHED, ReleaseStatus.UNDONE)
"""Statuses of releases that took their place in record time (they have a number)."""


class Scope(models.TextChoices):
    FULL = "full", _("the whole list: codes not in it end")
    CHANGES = "changes", _("changes only: other codes stay")


class EffectiveRule(models.TextChoices):
    """What effective day is proposed for a list that names none."""

    TODAY = "today", _("the day it arrives")
    TOMORROW = "tomorrow", _("the day after it arrives")
    NEXT_MONTH = "next_month", _("the first day of the next month")


class SuccessionKind(models.TextChoices):
    KEPT = "kept", _("kept")
    RENAMED = "renamed", _("renamed or retyped")
    MERGED = "merged", _("merged")
    SPLIT = "split", _("split")
    ENDED = "ended", _("ended without heir")


class Share(models.TextChoices):
    """How much of the old unit went over, as the law states it. No percentages exist."""

    ALL = "all", _("all")
    PART = "part", _("part")
    NONE = "none", _("none")


class HoldReason(models.TextChoices):
    """Why the brake holds a release. The labels are what the officer reads."""

    CLOSED_SHARE = "closed_share", _("It ends more codes than the brake of this catalog lets pass unseen.")
    EMPTY_LIST = "empty_list", _("The list is empty. An empty list is never a catalog; it can only be rejected.")
    TRUNCATED_LIST = "truncated_list", _("The list is much shorter than the live one, or shorter than its source announced.")
    GROWN_LIST = "grown_list", _("The list is several times as long as the live one.")
    REUSED_CODE = "reused_code", _("A code is used again with another meaning (same code, distant name).")
    BROKEN_TREE = "broken_tree", _("Parents are missing, end, or form a circle.")
    REFUSED_ROWS = "refused_rows", _("Rows were refused; publishing leaves their codes as they are.")


NEVER_ACCEPTED = frozenset({HoldReason.EMPTY_LIST})


class RowProblem(models.TextChoices):
    """Why one row was refused."""

    NO_CODE = "no_code", _("no code")
    NO_NAME = "no_name", _("no name")
    WRONG_ENCODING = "wrong_encoding", _("wrong encoding or invisible characters")
    NOT_NFC = "not_nfc", _("decomposed letters (not Unicode NFC)")
    IMPOSSIBLE_DATE = "impossible_date", _("a date that does not exist")
    ENDS_BEFORE_START = "ends_before_start", _("it ends before it begins")
    UNKNOWN_LEVEL = "unknown_level", _("a level this catalog does not have")
    CODE_PATTERN = "code_pattern", _("the code does not follow the pattern of its level")
    DUPLICATE_CODE = "duplicate_code", _("the code appears twice")
    SELF_PARENT = "self_parent", _("it is its own parent")
    CYCLIC_PARENT = "cyclic_parent", _("its parents form a circle")
    UNKNOWN_PARENT = "unknown_parent", _("the parent is not in the list, or ends with it")
    UNKNOWN_CODE = "unknown_code", _("the code to end is not live")
    OVERLAPS_HISTORY = "overlaps_history", _("the dates overlap the code's own history")
    TOO_LONG = "too_long", _("a value is longer than allowed")
    FORMULA = "formula", _("a cell that begins like a spreadsheet formula")
    WRONG_SHAPE = "wrong_shape", _("not a row of this catalog")
    UNKNOWN_UNIT = "unknown_unit", _("the lineage names a code that is neither live nor in the list")
    UNKNOWN_OWN_CODE = "unknown_own_code", _("this table has no such code on those days")
    UNKNOWN_COUNTERPART = "unknown_counterpart", _("the other table has no such code on those days")
    UNKNOWN_RELATION = "unknown_relation", _("a relation that is none of the known ones, or that does not fit the codes")
    CONTRADICTS = "contradicts", _("the pair appears twice, or a counterpart stands beside “nothing corresponds”")
    BESIDE_REFUSED = "beside_refused", _("another line of the same code is refused")


TREE_PROBLEMS = frozenset({RowProblem.SELF_PARENT, RowProblem.CYCLIC_PARENT, RowProblem.UNKNOWN_PARENT})


class TranslateResult(models.TextChoices):
    EXACT = "exact", _("one heir of everything")
    MANY = "many", _("several heirs, or one of a part")
    ENDED = "ended", _("ended without heir")
    UNKNOWN = "unknown", _("not known")


class Relation(models.TextChoices):
    """How a code of another table relates to one of this table (as in SKOS)."""

    EXACT = "exact", _("the same")
    BROADER = "broader", _("the other one is broader")
    NARROWER = "narrower", _("the other one is narrower")
    RELATED = "related", _("related")
    NONE = "none", _("nothing corresponds")


class CrosswalkResult(models.TextChoices):
    EXACT = "exact", _("one counterpart that says the same")
    MANY = "many", _("several counterparts, or one that does not say quite the same")
    NONE = "none", _("nothing corresponds")
    UNKNOWN = "unknown", _("not known")


class WebhookStatus(models.TextChoices):
    ACTIVE = "active", _("active")
    PAUSED = "paused", _("paused")
    ENDED = "ended", _("ended")
