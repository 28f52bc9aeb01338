from django.db import models
from django.utils.translation import gettext_lazy as _


class DisputeCategory(models.TextChoices):
    """NĐ 47/2020 Điều 47."""

    RIGHTS = "rights", _("rights and duties")
    INFRASTRUCTURE = "infrastructure", _("infrastructure")
    STANDARDS = "standards", _("standards")
    DATA = "data", _("quality or use of data")
    PLAN = "plan", _("plan of connection")
    OTHER = "other", _("other")


class DisputeStatus(models.TextChoices):
    LEVEL_1 = "level_1", _("with the other party (level 1)")
    LEVEL_2 = "level_2", _("with the digital unit (level 2)")
    LEVEL_3 = "level_3", _("with the body in charge (level 3)")
    RESOLVED = "resolved", _("resolved")
    CLOSED = "closed", _("closed")


class TicketKind(models.TextChoices):
    EXPLANATION = "explanation", _("explanation of the use of data")
    WRONG_DATA = "wrong_data", _("wrong data")


class TicketStatus(models.TextChoices):
    OPEN = "open", _("open")
    ANSWERED = "answered", _("answered")
    CLOSED = "closed", _("closed")
