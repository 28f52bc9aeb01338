"""What every API view shares: rows through `visible_to`, public identifiers in the address."""

from __future__ import annotations

from rest_framework.permissions import IsAuthenticated


class VisibleRows:
    """A view over `queryset` that shows a person only the rows `visible_to` them; others' rows are 404."""

    permission_classes = [IsAuthenticated]
    lookup_field = "uuid"

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        return self.queryset.visible_to(self.request.user)
