"""The header by which a caller makes a POST repeatable (CC-05, `core.once`)."""

from __future__ import annotations

import uuid as uuids

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from apps.core.errors import InvalidFact

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", OpenApiTypes.UUID, OpenApiParameter.HEADER, description="Sent twice, it makes one object."
)


def idempotency_key(request) -> uuids.UUID | None:
    """The caller's key, which becomes the new object's uuid. Raises InvalidFact when it is no UUID."""
    given = request.headers.get("Idempotency-Key", "")
    try:
        return uuids.UUID(given) if given else None
    except ValueError as error:
        raise InvalidFact(_("Idempotency-Key must be a UUID."), code="idempotency_key") from error
