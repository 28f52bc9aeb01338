"""One call as far as it has come: what was asked, and what will be answered."""

from __future__ import annotations

from msgspec import Struct

from apps.gateway.decision import Admission, Caller, Token
from apps.gateway.outcomes import Outcome


class Asked(Struct, gc=False):
    """What is known of a call so far; refusals are written from it."""

    call_id: str
    began: float
    method: str
    service: str
    source: str | None
    purpose: str = ""
    token: Token | None = None
    tokens_seen: int = -1
    """The generation of revocations in which the token was looked up."""
    caller: Caller | None = None
    admission: Admission | None = None
    is_admitted: bool = False
    """Whether an intent is stored: from then on the call gets an outcome, never a refusal."""
    trace: str = ""
    """The consumer's traceparent, when it is well formed."""
    digest: bytes = b""
    body: bytes = b""
    made: float = 0.0
    """When the call's id was made, by the database's clock as this process knows it."""
    tries: bool = False
    """Whether this is the one call that tries a provider whose breaker is open."""


class Reply(Struct, gc=False):
    """What the consumer will get, and the outcome that is recorded first."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    outcome: Outcome
