"""A signed POST to a receiver, in the scheme of Standard Webhooks (standardwebhooks.com, version 1, HMAC-SHA256).

A receiver checks `webhook-signature` over `{webhook-id}.{webhook-timestamp}.{body}`, refuses old timestamps, and drops an
identifier it has seen: a message may come twice (a worker killed between sending and closing), its identifier stays.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable

import orjson

from apps.core import outbound
from apps.notices.models import OutboxMessage

PREFIX = "whsec_"
SECRET_BYTES = 32
TOTAL_SECONDS = 15.0
ANSWER_BYTES = 64 * 1024


def new_secret() -> str:
    """A fresh 256-bit secret in the form receivers' libraries take."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature, `v1,` and base64."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.new(key, b"%s.%d.%s" % (message_id.encode(), timestamp, body), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def post(url: str, event: dict, *, message: OutboxMessage, secrets: Iterable[str]) -> None:
    """Send `event` as the body of `message`, signed with each of `secrets`. Returns on a 2xx answer.

    The address is judged again and the judged IP is the one connected to; no redirect is followed. Raises OutboundError.
    """
    body = orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
    message_id, timestamp = f"msg_{message.uuid.hex}", int(time.time())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }
    outbound.post(url, body, headers=headers, total=TOTAL_SECONDS, max_bytes=ANSWER_BYTES).checked()
