"""Keyed digests of the data plane: BLAKE2b with a key derived from PSEUDONYM_KEY.

Keyed, because requests and subjects are small and guessable: a plain hash of an identity number is the number. BLAKE2b
rather than HMAC-SHA-256, because it is keyed by construction and costs a quarter.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from django.conf import settings


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hashlib.sha512(secret.encode()).digest()


def keyed_digest(data: bytes) -> bytes:
    """32 bytes over a whole request: equal for equal requests, useless without the key."""
    return hashlib.blake2b(data, digest_size=32, key=_key(settings.PSEUDONYM_KEY), person=b"lgsp-request").digest()


def subject_pseudonym(service_uuid: str, subject: str) -> bytes:
    """16 bytes that stand for a data subject within one service: answers "who read about this person" without the person."""
    data = f"{service_uuid}\n{subject}".encode()
    return hashlib.blake2b(data, digest_size=16, key=_key(settings.PSEUDONYM_KEY), person=b"lgsp-subject").digest()
