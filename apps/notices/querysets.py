import datetime

from django.db import models
from django.db.models.functions import Now

STUCK_AFTER = datetime.timedelta(minutes=5)
GIVEN_UP = models.Q(sent_at__isnull=True, failed_at__isnull=False, dropped=False)


class OutboxQuerySet(models.QuerySet):
    def visible_to(self, user):
        """What leaves the platform is its operator's business."""
        return self.all() if user.has_perm("notices.view_outboxmessage") else self.none()

    def waiting(self):
        return self.filter(sent_at__isnull=True, failed_at__isnull=True)

    def given_up(self):
        """Tried in vain to the end. What was dropped because nobody is to get it is not among them."""
        return self.filter(GIVEN_UP)

    def stuck(self):
        """Given up, or tried in vain and waiting longer than `STUCK_AFTER`, by the database's clock (FI-19)."""
        waits = models.Q(sent_at__isnull=True, failed_at__isnull=True, created_at__lt=Now() - STUCK_AFTER)
        return self.filter(waits | GIVEN_UP)

    def drop(self, why: str) -> int:
        """Close what waits: nobody is to get it any more. Returns how many."""
        return self.waiting().update(failed_at=Now(), dropped=True, last_error=why[:500])


class NoticeQuerySet(models.QuerySet):
    def visible_to(self, user):
        """A notice is its recipient's alone."""
        return self.filter(recipient_id=user.pk) if user.is_authenticated else self.none()

    def unread(self):
        return self.filter(read_at__isnull=True)
