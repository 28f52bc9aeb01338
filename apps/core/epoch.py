"""The policy epoch: raised in the same transaction as every change of a right.

The gateway admits a call only if the epoch in the database is still the one it decided on; therefore a
right that was withdrawn is withdrawn for the very next call, on every process, without any push.
"""

from __future__ import annotations

import uuid

from django.db import connection

from apps.core.models import PolicyChange

_RAISE = """
INSERT INTO core_policyepoch AS row (singleton, epoch) VALUES (true, 1)
ON CONFLICT (singleton) DO UPDATE SET epoch = row.epoch + 1 RETURNING epoch
"""


def raise_epoch(kind: str, ref: uuid.UUID | None = None) -> int:
    """Raise the epoch for a change of `kind` on the object `ref`; return the new epoch.

    Must run inside the transaction that opens or closes the right. `kind` is the model's name in lower
    case: "grant", "credential", "organization", "informationsystem", "dataservice", "serviceversion",
    "upstream", "agreement".
    """
    if not connection.in_atomic_block:
        raise RuntimeError("raise_epoch must run inside the transaction that changes the right")
    with connection.cursor() as cursor:
        cursor.execute(_RAISE)
        (epoch,) = cursor.fetchone()
    PolicyChange.objects.create(epoch=epoch, kind=kind, ref=ref)
    return epoch


def current_epoch() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(epoch), 0) FROM core_policyepoch")
        return cursor.fetchone()[0]
