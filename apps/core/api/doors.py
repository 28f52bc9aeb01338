"""What every API view does before a verb: find the row among those visible, read the body, ask for the right."""

from __future__ import annotations

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.permissions import IsAuthenticated

from apps.core.permissions import require


def body(request, shape, *, partial: bool = False) -> dict:
    """The validated body of the request. Raises ValidationError (400) with the fields at fault."""
    given = shape(data=request.data, partial=partial)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def one(rows, user, **lookup):
    """The one row `visible_to(user)`, or 404 whether it exists or not."""
    found = rows.visible_to(user).filter(**lookup).first()
    if found is None:
        raise Http404
    return found


class Door(viewsets.GenericViewSet):
    """A viewset whose rows are always `visible_to` the caller and whose verbs do the deciding.

    `may(permission, obj)` answers 403 before the body is looked at; the verb asks again.
    """

    permission_classes = [IsAuthenticated]

    def get_queryset(self):
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return rows.none()
        return rows.visible_to(self.request.user)

    def may(self, permission: str, obj=None) -> None:
        require(self.request.user, permission, obj)


def step(request_shape, response_shape, **more):
    """`extend_schema` of a verb's action."""
    return extend_schema(request=request_shape, responses={200: response_shape}, **more)
