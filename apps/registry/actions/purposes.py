"""Verbs on the coded purposes of use (AG-16)."""

from __future__ import annotations

from django.db import transaction

from apps.audit import actions as audit
from apps.core.changes import change, save_valid
from apps.core.permissions import require
from apps.core.text import clean
from apps.registry.models import Purpose


@transaction.atomic
def name_purpose(code: str, name: str, *, by) -> Purpose:
    require(by, "registry.change_purposes")
    purpose = save_valid(Purpose(code=code.strip().lower(), name=clean(name)))
    audit.record("purpose.named", purpose, by=by, code=purpose.code)
    return purpose


@transaction.atomic
def change_purpose(purpose: Purpose, *, by, version: int | None = None, **facts) -> dict:
    """Rename a purpose or take it off the list of choices; what was agreed for it stays. Raises StaleVersion for an old form."""
    require(by, "registry.change_purposes", purpose)
    changed = change(purpose, facts=facts, allowed=("name", "is_active"), version=version)
    if changed:
        audit.record("purpose.changed", purpose, by=by, changes=changed)
    return changed
