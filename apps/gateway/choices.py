from django.db import models
from django.utils.translation import gettext_lazy as _


class Outcome(models.TextChoices):
    """How an admitted call ended. `unknown` is written by the sweeper alone; success is never guessed."""

    DELIVERED = "delivered", _("delivered")
    PROVIDER_ERROR = "provider_error", _("the provider answered with an error")
    PROVIDER_FAILED = "provider_failed", _("the provider could not be reached or its answer not used")
    UNKNOWN = "unknown", _("unknown (the process ended before the record)")
