"""Secrets of credentials: made once, shown once, kept as a hash.

A secret is 32 random bytes (43 url-safe characters), so a plain SHA-256 is enough: there is nothing to guess,
and a slow password hash would only slow the token endpoint down.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets


def new_secret() -> str:
    """A fresh secret of 43 url-safe characters."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Lower-case hex SHA-256 of the secret: what `Credential.secret_hash` holds."""
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_matches(secret: str, secret_hash: str) -> bool:
    """Compare in constant time. An empty stored hash matches nothing (the credential was not collected yet)."""
    return bool(secret_hash) and hmac.compare_digest(hash_secret(secret), secret_hash)
