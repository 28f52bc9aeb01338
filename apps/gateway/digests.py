"""Keyed digests of the data plane: BLAKE2b with a key derived from PSEUDONYM_KEY.

Keyed, because requests and subjects are small and guessable: a plain hash of an identity number is the number. BLAKE2b
rather than HMAC-SHA-256, because it is keyed by construction and costs a quarter.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from django.conf import settings


@lru_cache(maxsize=2)
def _keyed(person: bytes, size: int) -> hashlib.blake2b:
    """A hash that has taken in the key and nothing else: each digest goes on from a copy."""
    key = hashlib.sha512(settings.PSEUDONYM_KEY.encode()).digest()
    return hashlib.blake2b(digest_size=size, key=key, person=person)


def keyed_digest(data: bytes) -> bytes:
    """32 bytes over a whole request: equal for equal requests, useless without the key."""
    digest = _keyed(b"lgsp-request", 32).copy()
    digest.update(data)
    return digest.digest()


def subject_pseudonym(service_uuid: str, subject: str) -> bytes:
    """16 bytes that stand for a data subject within one service: answers "who read about this person" without the person."""
    digest = _keyed(b"lgsp-subject", 16).copy()
    digest.update(f"{service_uuid}\n{subject}".encode())
    return digest.digest()
