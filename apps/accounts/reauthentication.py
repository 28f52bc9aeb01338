"""Proving again who one is before signing: the password now, the second factor when logins have one."""

from __future__ import annotations

from django.core.cache import cache
from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.core.errors import NotProven

TRIES = 5
WINDOW_SECONDS = 300


def prove(user, password: str) -> None:
    """Raise NotProven (`not_proven`) unless `password` is the user's; after five failures in five minutes, whatever it is."""
    with transaction.atomic():
        # One attempt of a person at a time: the database's cache has no atomic `incr`, and guesses at one instant count each.
        User.objects.select_for_update(no_key=True).only("pk").get(pk=user.pk)
        is_right = _is_right(user, password)
    if not is_right:  # said after the commit, which keeps the count
        raise NotProven(_("The password is not right."), code="not_proven")


def _is_right(user, password: str) -> bool:
    key = f"reauthentication:{user.uuid}"
    failed = cache.get(key, 0)
    if failed >= TRIES:
        raise NotProven(_("Too many attempts. Wait five minutes."), code="too_many_attempts")
    if user.check_password(password):
        cache.delete(key)
        return True
    cache.set(key, failed + 1, WINDOW_SECONDS)
    return False
