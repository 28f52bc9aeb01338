"""How long the outbox keeps a message that is done: its row holds an address, and what it told stays a notice in the portal."""

from __future__ import annotations

import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.audit.actions import record
from apps.notices.models import OutboxMessage


@transaction.atomic
def forget_old(*, by) -> int:
    """Drop messages that left, or were given up, longer ago than OUTBOX_DAYS; return how many."""
    before = timezone.now() - datetime.timedelta(days=settings.OUTBOX_DAYS)
    gone = {name: OutboxMessage.objects.filter(**{f"{name}_at__lt": before}).delete()[0] for name in ("sent", "failed")}
    if any(gone.values()):
        record("outbox.purged", by=by, days=settings.OUTBOX_DAYS, **gone)
    return sum(gone.values())
