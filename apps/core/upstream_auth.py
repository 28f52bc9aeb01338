"""How the platform makes itself known to an upstream: the pure half, without any I/O.

Kinds: `none`; `basic`; `c06` (the population database: Basic with a digest over the time of each call); `bearer` (one static token); `headers` (static headers, such as `lgspaccesstoken` of some
provinces); `ngsp` (OAuth2 client credentials at a token URL: form grant, Basic consumerKey:consumerSecret).
A token is renewed when less than 300 seconds of life remain, and once when the upstream answers 401.

`apps.core.outbound` (requests) and the gateway (asyncio) both use it: they send `token_request(...)` themselves,
hand the answer to `read_token(...)`, and keep the result in a `TokenStore`. Secrets appear in no repr and no error.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.errors import DomainError, InvalidFact

RENEW_BEFORE = 300
"""Seconds of remaining life under which a token is renewed (seen in a working NGSP client)."""
_DEFAULT_LIFE = 3600
_NO_HEADERS: dict[str, str] = {}
_HEADER_NAME = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")
_HEADER_VALUE = re.compile(r"^[\x20-\x7e]{1,8000}$")
_RESERVED = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "x-call-id"}
)


class AuthKind(models.TextChoices):
    NONE = "none", _("none")
    BASIC = "basic", _("user name and password")
    BEARER = "bearer", _("fixed bearer token")
    HEADERS = "headers", _("fixed headers")
    NGSP = "ngsp", _("NGSP (OAuth2 client credentials)")
    C06 = "c06", _("population database (digest of each call)")


class UpstreamAuthRefused(DomainError):
    """The upstream's token endpoint says that our credentials are wrong: a person must act, retrying does harm."""

    code = "upstream_auth_refused"
    status = 502
    title = _("The upstream refuses our credentials.")


class UpstreamAuthUnreadable(DomainError):
    """The token endpoint answered something that is not a token answer: may pass by itself."""

    code = "upstream_auth_unreadable"
    status = 502
    title = _("The upstream's token endpoint did not answer with a token.")


_FIELDS = {
    AuthKind.NONE: (),
    AuthKind.BASIC: ("username", "password"),
    AuthKind.BEARER: ("token",),
    AuthKind.HEADERS: ("headers",),
    AuthKind.NGSP: ("consumer_key", "consumer_secret"),
    AuthKind.C06: ("username", "secret_key", "auth_url"),
}


@dataclass(frozen=True)
class UpstreamAuth:
    """A kind with its secret, read from the encrypted column. `token_url` matters to `ngsp` alone."""

    kind: str = AuthKind.NONE
    secret: dict = field(default_factory=dict, repr=False)
    token_url: str = ""

    @property
    def needs_token(self) -> bool:
        return self.kind == AuthKind.NGSP

    @property
    def cache_key(self) -> tuple[str, str]:
        """Under which a token may be shared: same endpoint, same client."""
        return self.token_url, str(self.secret.get("consumer_key", ""))

    def static_headers(self) -> dict[str, str]:
        """The headers that need no token exchange (empty for `none` and `ngsp`)."""
        if self.kind == AuthKind.BASIC:
            return {"Authorization": basic(self.secret["username"], self.secret["password"])}
        if self.kind == AuthKind.BEARER:
            return {"Authorization": f"Bearer {self.secret['token']}"}
        if self.kind == AuthKind.HEADERS:
            return dict(self.secret["headers"])
        if self.kind == AuthKind.C06:
            return dict(self.secret.get("headers") or {})
        return {}

    def call_headers(self, now: float) -> dict[str, str]:
        """The headers that differ from call to call; `now` in seconds since 1970."""
        if self.kind != AuthKind.C06:
            return _NO_HEADERS
        stamp = str(int(now * 1000) if self.secret.get("timestamp_unit", "ms") == "ms" else int(now))
        text = f"{self.secret['auth_url']}{self.secret['username']}{stamp}{self.secret['secret_key']}"
        digest = hashlib.sha256(text.encode()).hexdigest()
        return {"Timestamp": stamp, "Authorization": basic(self.secret["username"], digest)}


def read_auth(kind: str, secret_text: str, token_url: str = "") -> UpstreamAuth:
    """Build the auth from the decrypted column (a JSON object). Raises InvalidFact naming the missing field."""
    try:
        secret = json.loads(secret_text) if secret_text else {}
    except ValueError:
        raise InvalidFact(_("The credential must be a JSON object."), fields={"secret": "not_json"}) from None
    if kind not in _FIELDS or not isinstance(secret, dict):
        raise InvalidFact(_("The credential must be a JSON object."), fields={"secret": "not_an_object"})
    missing = [name for name in _FIELDS[AuthKind(kind)] if not secret.get(name)]
    if missing:
        raise InvalidFact(_("The credential is incomplete."), fields=dict.fromkeys(missing, "required"))
    if kind == AuthKind.NGSP and not token_url:
        raise InvalidFact(_("A token address is needed."), fields={"token_url": "required"})
    auth = UpstreamAuth(kind, secret, token_url)
    _check_headers(auth)
    return auth


def _check_headers(auth: UpstreamAuth) -> None:
    if not isinstance(auth.secret.get("headers") or {}, dict):
        raise InvalidFact(_("The credential must be a JSON object."), fields={"headers": "not_an_object"})
    for name, value in auth.static_headers().items():
        if not _HEADER_NAME.match(str(name)) or str(name).lower() in _RESERVED or not _HEADER_VALUE.match(str(value)):
            raise InvalidFact(_("A header of the credential is not allowed."), fields={str(name)[:100]: "invalid"})


def basic(username: str, password: str) -> str:
    """The value of a Basic Authorization header (UTF-8)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@dataclass(frozen=True)
class TokenRequest:
    """What to POST to get a token."""

    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = b"grant_type=client_credentials"


@dataclass(frozen=True)
class Token:
    """A bearer token; `expires_at` is on the clock that `read_token` was given."""

    value: str = field(repr=False)
    expires_at: float
    lives: float = _DEFAULT_LIFE

    def is_fresh(self, now: float) -> bool:
        """True while more than RENEW_BEFORE seconds remain (half its life for a token born shorter than twice that)."""
        return self.expires_at - now > min(RENEW_BEFORE, self.lives / 2)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.value}"}


def token_request(auth: UpstreamAuth) -> TokenRequest:
    return TokenRequest(
        auth.token_url,
        {
            "Authorization": basic(auth.secret["consumer_key"], auth.secret["consumer_secret"]),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        },
    )


def read_token(status: int, body: bytes, now: float) -> Token:
    """Read the token endpoint's answer.

    Raises UpstreamAuthRefused when the client or grant is refused (`{"error": "invalid_client"}`, a 4xx other than
    429), UpstreamAuthUnreadable for everything else that is not a token (5xx, 429, HTML, missing members).
    """
    content = _json_object(body)
    if status != 200 or "error" in content:
        word = str(content.get("error", ""))[:80]
        if status == 429 or status >= 500 or 200 < status < 400:
            raise UpstreamAuthUnreadable(upstream_status=status, upstream_error=word)
        raise UpstreamAuthRefused(upstream_status=status, upstream_error=word)
    value, life = content.get("access_token"), content.get("expires_in", _DEFAULT_LIFE)
    if not isinstance(value, str) or not _HEADER_VALUE.match(value) or " " in value:
        raise UpstreamAuthUnreadable(upstream_status=status)
    try:
        seconds = float(life)
    except (TypeError, ValueError):
        seconds = _DEFAULT_LIFE
    seconds = seconds if 0 < seconds < 10**8 else _DEFAULT_LIFE
    return Token(value, now + seconds, seconds)


def _json_object(body: bytes) -> dict:
    try:
        content = orjson.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


class TokenStore:
    """Tokens of this process by (token URL, client). Thread-safe; holds nothing that must survive the process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._tokens: dict[tuple[str, str], Token] = {}
        self._lock = threading.Lock()

    def get(self, auth: UpstreamAuth) -> Token | None:
        """The stored token while it is fresh enough to be used; otherwise None."""
        with self._lock:
            token = self._tokens.get(auth.cache_key)
        return token if token is not None and token.is_fresh(self.clock()) else None

    def put(self, auth: UpstreamAuth, token: Token) -> Token:
        with self._lock:
            self._tokens[auth.cache_key] = token
        return token

    def drop(self, auth: UpstreamAuth, token: Token | None) -> None:
        """Forget `token` after a 401, unless somebody else renewed it meanwhile."""
        with self._lock:
            if token is not None and self._tokens.get(auth.cache_key) is token:
                del self._tokens[auth.cache_key]
