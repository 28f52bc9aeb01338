"""Proving again who one is before signing: the password now, the second factor when logins have one."""

from __future__ import annotations

from django.core.cache import cache
from django.utils.translation import gettext as _

from apps.core.errors import NotProven

TRIES = 5
WINDOW_SECONDS = 300


def prove(user, password: str) -> None:
    """Raise NotProven (`not_proven`) unless `password` is the user's; after five failures in five minutes, whatever it is."""
    key = f"reauthentication:{user.uuid}"
    failed = cache.get(key, 0)
    if failed >= TRIES:
        raise NotProven(_("Too many attempts. Wait five minutes."), code="too_many_attempts")
    if not user.check_password(password):
        cache.set(key, failed + 1, WINDOW_SECONDS)
        raise NotProven(_("The password is not right."), code="not_proven")
    cache.delete(key)
