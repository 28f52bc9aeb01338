from __future__ import annotations

from django.db import models


class AuditEventQuerySet(models.QuerySet):
    def about(self, obj) -> AuditEventQuerySet:
        """The history of one object, newest first."""
        return self.filter(object_type=obj._meta.label_lower, object_ref=str(obj.uuid))
