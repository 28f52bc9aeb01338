from django.db import models


class NoticeQuerySet(models.QuerySet):
    def visible_to(self, user):
        """A notice is its recipient's alone."""
        return self.filter(recipient_id=user.pk) if user.is_authenticated else self.none()

    def unread(self):
        return self.filter(read_at__isnull=True)
