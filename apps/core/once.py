"""An act that is sent twice is done once (CC-05): the key that the caller chose is the uuid of the row the act makes."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable
from typing import TypeVar

from django.db import IntegrityError, models, transaction

from apps.core.errors import Conflict

Row = TypeVar("Row", bound=models.Model)


def made_before(model: type[Row], uuid: uuids.UUID | None, **same) -> Row | None:
    """What the same act made before under this uuid. `same` are the facts that make it the same act, its author among them.

    Raises Conflict (`idempotency_key_reused`) when another act has used the uuid.
    """
    found = model._default_manager.filter(uuid=uuid).first() if uuid else None
    if found is not None and any(getattr(found, name) != value for name, value in same.items()):
        raise Conflict(code="idempotency_key_reused")
    return found


def made_once(model: type[Row], uuid: uuids.UUID | None, make: Callable[[uuids.UUID], Row], **same) -> tuple[Row, bool]:
    """The row of this act, and whether it was made now, by `make(uuid)`. Of two clicks at once the second finds the first one's row."""
    again = made_before(model, uuid, **same)
    if again is not None:
        return again, False
    try:
        with transaction.atomic():
            return make(uuid or uuids.uuid4()), True
    except IntegrityError:
        # The other one's row is committed by now, or it was another constraint.
        again = made_before(model, uuid, **same)
        if again is None:
            raise
        return again, False
