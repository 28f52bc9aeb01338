"""Columns that rest encrypted, and the keyed hash to find them by."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured("LGSP_FIELD_KEYS must be Fernet keys (32 bytes, url-safe base64).") from error


def encrypt(text: str) -> str:
    """Encrypt under the newest key."""
    return _box(tuple(settings.FIELD_KEYS)).encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """Decrypt under any key of the list. Raises ValueError when none fits."""
    try:
        return _box(tuple(settings.FIELD_KEYS)).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise ValueError("an encrypted column cannot be read with the present LGSP_FIELD_KEYS") from error


def keyed_hash(text: str) -> str:
    """HMAC-SHA256 under PSEUDONYM_KEY, url-safe base64 without padding: for look-ups and pseudonyms."""
    digest = hmac.new(settings.PSEUDONYM_KEY.encode(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class EncryptedTextField(models.TextField):
    """Text that is ciphertext in the database and plain in Python. Never filter on it."""

    def from_db_value(self, value, expression, connection):
        return decrypt(value) if value else value

    def get_prep_value(self, value):
        value = super().get_prep_value(value)
        return encrypt(value) if value else value

    def get_lookup(self, lookup_name):
        if lookup_name not in ("isnull",):
            return None
        return super().get_lookup(lookup_name)
