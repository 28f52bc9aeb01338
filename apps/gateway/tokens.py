"""Access tokens: POST /oauth/token (RFC 6749 client credentials by oauthlib), and the look-up of a token a call carries.

Tokens are opaque, 32 random bytes, kept only as SHA-256. A token issued over a connection with a client certificate, or
to an account that has one, is bound to that certificate (RFC 8705).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
from collections import OrderedDict
from datetime import datetime, timedelta, timezone
from urllib.parse import unquote_plus

import orjson
from oauthlib.oauth2 import BackendApplicationServer, RequestValidator

from apps.agreements.secrets import hash_secret
from apps.gateway.decision import Token
from apps.gateway.policy import Policy
from apps.gateway.policy_kinds import Credential

logging.getLogger("oauthlib").setLevel(logging.ERROR)
# It logs whole requests at debug level; nothing of a token request belongs in a log.
logging.getLogger("oauthlib").propagate = False

LIFE_SECONDS = 3600
REMEMBERED = 50_000
UNKNOWN_SECONDS = 30.0
_NO_HASH = hash_secret(secrets.token_urlsafe(32))

ISSUE = """
INSERT INTO gateway_accesstoken (token_hash, credential_id, certificate_hash, issued_at, expires_at)
SELECT $1, $2, $3, now(), least(now() + $4::interval, coalesce(c.expires_at, 'infinity'))
FROM agreements_credential c
WHERE c.id = $2 AND c.status = 'active' AND c.secret_hash = $5 AND (c.expires_at IS NULL OR c.expires_at > now())
RETURNING ceil(extract(epoch FROM expires_at - now()))::int
"""
HAS_EXPIRED = "SELECT expires_at <= now() FROM agreements_credential WHERE id = $1 AND status = 'active'"
FIND = "SELECT credential_id, certificate_hash, expires_at, revoked_at IS NOT NULL AS revoked FROM gateway_accesstoken WHERE token_hash = $1"


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class _Validator(RequestValidator):
    """Answers oauthlib's questions from the policy; nothing here waits for anything."""

    def __init__(self, policy: Policy, certificate_hash: str) -> None:
        self._policy, self._certificate_hash = policy, certificate_hash
        self.credential: Credential | None = None

    def authenticate_client(self, request, *args, **kwargs) -> bool:
        given = _client_of(request)
        if given is None:
            return False
        client_id, secret = given
        credential = self._policy.by_client.get(client_id)
        # The comparison is made for unknown clients too: whether an account exists must not be timed.
        stored = credential.secret_hash if credential is not None and credential.secret_hash else _NO_HASH
        right = hmac.compare_digest(hash_secret(secret), stored)
        if credential is None or not right or credential.status != "active" or not self._may_call(credential):
            return False
        if credential.certificate_hash and credential.certificate_hash != self._certificate_hash:
            return False
        self.credential = credential
        request.client = _Client(credential.client_id)
        return True

    def _may_call(self, credential: Credential) -> bool:
        system = self._policy.rows["informationsystem"][credential.system_id]
        return system.status == "active" and self._policy.rows["organization"][system.organization_id].status == "active"

    def validate_grant_type(self, client_id, grant_type, client, request, *args, **kwargs) -> bool:
        return grant_type == "client_credentials"

    def get_default_scopes(self, client_id, request, *args, **kwargs) -> list[str]:
        return []

    def validate_scopes(self, client_id, scopes, client, request, *args, **kwargs) -> bool:
        return not scopes

    def save_bearer_token(self, token, request, *args, **kwargs) -> None:
        """The door stores the hash itself, in one statement with the check that the account still stands."""


class _Client:
    def __init__(self, client_id: str) -> None:
        self.client_id = client_id


def _client_of(request) -> tuple[str, str] | None:
    """The client's id and secret, by header or by form (RFC 6749 §2.3.1); None when neither or both are given."""
    header = request.headers.get("Authorization", "")
    form = (request.client_id, request.client_secret)
    if not header:
        return (form[0], form[1]) if form[0] and form[1] and "client_id" not in request.duplicate_params else None
    scheme, _space, encoded = header.partition(" ")
    if scheme.lower() != "basic" or form[1]:
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    client_id, separator, secret = text.partition(":")
    return (unquote_plus(client_id), unquote_plus(secret)) if separator else None


async def issue(
    pool, policy: Policy, *, body: str, authorization: str, certificate_hash: str
) -> tuple[int, dict[str, str], str, str]:
    """Answer a token request: (status, headers, body, client id when known). Errors are bodies of RFC 6749 §5.2."""
    validator = _Validator(policy, certificate_hash)
    server = BackendApplicationServer(
        validator, token_generator=lambda _request: secrets.token_urlsafe(32), token_expires_in=LIFE_SECONDS
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if authorization:
        headers["Authorization"] = authorization
    # oauthlib refuses plain http; TLS ends at the proxy in front, or the listener is loopback.
    answer_headers, text, status = server.create_token_response("https://gateway/oauth/token", "POST", body, headers)
    credential = validator.credential
    if status == 401:
        answer_headers = {**answer_headers, "WWW-Authenticate": 'Basic realm="lgsp", charset="UTF-8"'}
    if status != 200 or credential is None:
        return status, answer_headers, text, ""
    token = orjson.loads(text)["access_token"]
    bound = certificate_hash if credential.certificate_hash else ""
    async with pool.acquire(timeout=3) as connection:
        seconds = await connection.fetchval(
            ISSUE, hash_token(token), credential.id, bound, timedelta(seconds=LIFE_SECONDS), credential.secret_hash
        )
        has_expired = seconds is None and await connection.fetchval(HAS_EXPIRED, credential.id)
    if seconds is None:
        # Whoever knows the secret is told that it is its time that is over.
        why = {"error_description": "The account has expired. Ask the operator for a new one."} if has_expired else {}
        return 401, answer_headers, orjson.dumps({"error": "invalid_client", **why}).decode(), ""
    return 200, answer_headers, orjson.dumps({**orjson.loads(text), "expires_in": seconds}).decode(), credential.client_id


class Tokens:
    """Tokens this process has seen. What a token is worth is decided anew for every call; only its row is remembered."""

    def __init__(self, pool) -> None:
        self._pool = pool
        self._known: OrderedDict[bytes, Token] = OrderedDict()
        self._unknown: OrderedDict[bytes, float] = OrderedDict()
        self.generation = 0
        """Rises when tokens were revoked: what was looked up before must be looked up again."""

    def remembered(self, digest: bytes) -> Token | None:
        return self._known.get(digest)

    async def find(self, digest: bytes, now: float) -> Token | None:
        """The token with this hash, or None. Unknown hashes are remembered for a while, so that guesses cost little."""
        if self._unknown.get(digest, 0.0) > now:
            return None
        generation = self.generation
        async with self._pool.acquire(timeout=3) as connection:
            row = await connection.fetchrow(FIND, digest)
        if row is None:
            self._unknown[digest] = now + UNKNOWN_SECONDS
            _shrink(self._unknown)
            return None
        token = Token(row["credential_id"], _moment(row["expires_at"]), row["certificate_hash"], row["revoked"])
        if generation == self.generation:
            self._known[digest] = token
            _shrink(self._known)
        return token

    def forget(self) -> None:
        """After tokens were revoked one by one (a policy change of the kind "accesstoken")."""
        self._known.clear()
        self.generation += 1


def _moment(value: datetime) -> float:
    return value.replace(tzinfo=value.tzinfo or timezone.utc).timestamp()


def _shrink(table: OrderedDict) -> None:
    while len(table) > REMEMBERED:
        table.popitem(last=False)
