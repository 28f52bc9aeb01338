"""The one place that imports `requests`: outbound HTTP of the portal's side and of sync.

Every call: an address that was judged by `egress` and is the one connected to (name kept for SNI, certificate and
Host); connect and read timeouts **and** one total deadline that also ends a server which drips bytes; a size cap; no
redirects; no proxies, cookies or netrc from the environment; no content encodings (a gzip bomb cannot be sent).

What fails is told apart once, here: `PassingError` may go away by itself (retry, honouring `retry_after`),
`PermanentError` needs a person.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

import orjson
import requests
import urllib3
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from apps.core import egress
from apps.core.errors import DomainError
from apps.core.upstream_auth import Token, TokenStore, UpstreamAuth, UpstreamAuthUnreadable, read_token, token_request

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
TOTAL_SECONDS = 60.0
MAX_BYTES = 64 * 1024 * 1024
RETRY_AFTER_CAP = 6 * 3600
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class OutboundError(DomainError):
    """A call to another system failed. `code` is stable; `retry_after` in seconds where the other side named it."""

    code = "upstream_failed"
    status = 502
    title = _("The other system could not be reached or did not answer properly.")
    retry_after: float | None = None
    answer: Answer | None = None
    """The whole answer, where there was one."""


class PassingError(OutboundError):
    """May pass by itself: time-out, reset, 429, 5xx, an answer cut short."""


class PermanentError(OutboundError):
    """Will not pass by itself: refused address or credential, TLS not trusted, 4xx, a redirect, too large."""


@dataclass(frozen=True)
class Answer:
    """A whole answer, of any status. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> object:
        """The body as JSON. Raises PassingError `not_json` (a captive portal or a fault page is not our data)."""
        try:
            return orjson.loads(self.body)
        except ValueError:
            kind = self.headers.get("content-type", "")[:80]
            raise PassingError(_("The answer is not JSON."), code="not_json", content_type=kind, bytes=len(self.body)) from None

    def checked(self) -> Answer:
        """This answer when its status is 2xx; otherwise the error it stands for."""
        if 200 <= self.status < 300:
            return self
        detail = _("The other system answered with status %(status)s.") % {"status": self.status}
        if 300 <= self.status < 400:
            raise PermanentError(detail, code="redirected", upstream_status=self.status)
        kind = PassingError if self.status in _PASSING_STATUSES else PermanentError
        error = kind(detail, code=f"http_{self.status}", upstream_status=self.status)
        error.retry_after = retry_after(self.headers.get("retry-after", ""))
        error.answer = self
        raise error


def retry_after(value: str, now: float | None = None) -> float | None:
    """Seconds to wait from a Retry-After header (number or HTTP date), at most six hours; None when unreadable."""
    value = value.strip()
    if value.isdigit():
        return float(min(int(value[:9]), RETRY_AFTER_CAP))
    try:
        moment = parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, IndexError):
        return None
    return min(max(moment - (time.time() if now is None else now), 0.0), RETRY_AFTER_CAP)


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    total: float = TOTAL_SECONDS,
    max_bytes: int = MAX_BYTES,
    resolver: egress.Resolver | None = None,
) -> Answer:
    """Send one request and read the whole answer, whatever its status.

    Raises PermanentError (`egress_refused`, `tls_failed`, `too_large`, `encoded`) or PassingError (`timed_out`,
    `connect_failed`, `reset`, `truncated`, `unresolved`). Ends within `total` seconds plus the time of one DNS look-up.
    """
    return _send(method, lambda: egress.resolve(egress.check_url(url), resolver=resolver), headers, body, total, max_bytes)


def ask_gateway(
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    total: float = READ_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> Answer:
    """One request to the platform's own gateway (`settings.GATEWAY_URL`), as a consumer would send it. Raises as `request`."""
    url = settings.GATEWAY_URL.rstrip("/") + path
    return _send(method, lambda: egress.resolve_own(url), headers, body, total, max_bytes)


def _send(method: str, judged, headers, body, total: float, max_bytes: int) -> Answer:
    with _Deadline(total) as deadline:
        try:
            checked = judged()
        except egress.EgressRefused as refused:
            kind = PassingError if refused.reason == "unresolved" else PermanentError
            code = "unresolved" if refused.reason == "unresolved" else "egress_refused"
            raise kind(refused.detail, code=code, reason=refused.reason) from None
        try:
            return _exchange(method, checked, dict(headers or {}), body, deadline, max_bytes)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _told_apart(error, deadline) from error


def get(url: str, **options) -> Answer:
    return request("GET", url, **options)


def post(url: str, body: bytes, **options) -> Answer:
    return request("POST", url, body=body, **options)


class Upstream:
    """An upstream under one base URL with its authentication: tokens cached, renewed in time and once on a 401."""

    def __init__(self, base_url: str, auth: UpstreamAuth, *, tokens: TokenStore | None = None, **options) -> None:
        self.base_url = base_url.rstrip("/")
        self.auth = auth
        self.tokens = tokens or _TOKENS
        self.options = options

    def get(self, path: str, params: Mapping[str, object] | None = None, **options) -> Answer:
        """GET base_url + path. Returns a 2xx answer or raises (see `request`, `Answer.checked`, `UpstreamAuthRefused`)."""
        query = f"?{urlencode(params)}" if params else ""
        return self._send("GET", f"{self.base_url}{path}{query}", None, options)

    def post_json(self, path: str, content: object, **options) -> Answer:
        """POST JSON to base_url + path, under the same promises as `get`."""
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return self._send("POST", f"{self.base_url}{path}", orjson.dumps(content), {**options, "headers": headers})

    def _send(self, method: str, url: str, body: bytes | None, options: dict) -> Answer:
        options = {**self.options, **options}
        given = {"Accept": "application/json", **options.pop("headers", {})}
        token = self._token()
        answer = request(method, url, headers={**given, **self._auth_headers(token)}, body=body, **options)
        if answer.status == 401 and self.auth.needs_token:
            self.tokens.drop(self.auth, token)
            token = self._token()
            answer = request(method, url, headers={**given, **self._auth_headers(token)}, body=body, **options)
        return answer.checked()

    def _auth_headers(self, token: Token | None) -> dict[str, str]:
        return token.headers if token is not None else self.auth.static_headers() | self.auth.call_headers(time.time())

    def _token(self) -> Token | None:
        if not self.auth.needs_token:
            return None
        return self.tokens.get(self.auth) or self.tokens.put(self.auth, self._ask_for_token())

    def _ask_for_token(self) -> Token:
        ask = token_request(self.auth)
        answer = request("POST", ask.url, headers=ask.headers, body=ask.body, max_bytes=65536)
        try:
            return read_token(answer.status, answer.body, self.tokens.clock())
        except UpstreamAuthUnreadable as unreadable:
            error = PassingError(unreadable.detail or unreadable.title, code=unreadable.code, **unreadable.extra)
            error.retry_after = retry_after(answer.headers.get("retry-after", ""))
            raise error from None


_TOKENS = TokenStore()


class _Deadline:
    """Shuts the sockets of one exchange down when its time is over, whatever they are doing (TLS, headers, body)."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._ends = time.monotonic() + seconds
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *exc_info) -> None:
        self._timer.cancel()
        with self._lock:
            for sock in self._sockets:
                sock.close()
            self._sockets.clear()

    def left(self, at_most: float) -> float:
        return max(0.001, min(at_most, self._ends - time.monotonic()))

    def guard(self, sock: socket.socket) -> None:
        """Watch a duplicate of the descriptor: TLS takes the original over, the connection is the same."""
        with self._lock:
            self._sockets.append(socket.socket(fileno=os.dup(sock.fileno())))

    def _cut(self) -> None:
        with self._lock:
            self.passed = True
            for sock in self._sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue


def _exchange(method, checked: egress.Checked, headers, body, deadline: _Deadline, max_bytes: int) -> Answer:
    with requests.Session() as session:
        session.trust_env = False
        session.headers.clear()
        session.verify = settings.OUTBOUND_CA_FILE or True
        session.mount(f"{checked.target.scheme}://", _PinnedAdapter(checked.ip, deadline))
        response = session.request(
            method,
            checked.target.url,
            headers={"User-Agent": "lgsp", "Accept-Encoding": "identity", **headers},
            data=body,
            timeout=(deadline.left(CONNECT_SECONDS), deadline.left(READ_SECONDS)),
            allow_redirects=False,
            stream=True,
        )
        with response:
            lowered = {name.lower(): value for name, value in response.headers.items()}
            if lowered.get("content-encoding", "identity").lower() != "identity":
                raise PermanentError(_("The answer is encoded though we asked for plain bytes."), code="encoded")
            return Answer(response.status_code, lowered, _read(response, deadline, max_bytes))


def _read(response: requests.Response, deadline: _Deadline, max_bytes: int) -> bytes:
    """The body, part by part as it arrives, so that cap and deadline hold between any two parts."""
    parts, size = [], 0
    while part := response.raw.read1(65536):
        size += len(part)
        if size > max_bytes:
            raise PermanentError(_("The answer is larger than allowed."), code="too_large", limit=max_bytes)
        if deadline.passed:
            raise TimeoutError
        parts.append(part)
    # A server that closes early looks like the end of the body; the declared length tells.
    declared = response.headers.get("Content-Length", "")
    if deadline.passed or (declared.isdigit() and int(declared) != size and response.request.method != "HEAD"):
        raise urllib3.exceptions.IncompleteRead(size, int(declared) - size if declared.isdigit() else None)
    return b"".join(parts)


def _told_apart(error: Exception, deadline: _Deadline) -> OutboundError:
    chain, names = error, set()
    while chain is not None and len(names) < 20:
        names.add(type(chain).__name__)
        reason = getattr(chain, "reason", None)
        chain = reason if isinstance(reason, Exception) else (chain.__cause__ or chain.__context__)
    if deadline.passed or names & {"ConnectTimeoutError", "ReadTimeoutError", "ConnectTimeout", "ReadTimeout", "TimeoutError"}:
        return PassingError(_("The other system did not answer in time."), code="timed_out")
    if names & {"SSLError", "SSLCertVerificationError", "CertificateError"}:
        return PermanentError(_("The other system's certificate is not trusted."), code="tls_failed")
    if names & {"IncompleteRead", "InvalidChunkLength"}:
        return PassingError(_("The answer was cut short."), code="truncated")
    if names & {"NewConnectionError", "ConnectionRefusedError"}:
        return PassingError(_("The other system could not be reached."), code="connect_failed")
    return PassingError(_("The connection broke."), code="reset")


class _PinnedAdapter(HTTPAdapter):
    """An adapter whose connections go to the judged IP; host name, SNI and certificate check stay the URL's."""

    def __init__(self, ip: str, deadline: _Deadline) -> None:
        self._ip, self._deadline = ip, deadline
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args, **kwargs) -> None:
        super().init_poolmanager(*args, **kwargs)
        ip, deadline = self._ip, self._deadline

        class Pinned:
            def _new_conn(self) -> socket.socket:
                try:
                    sock = urllib3.util.connection.create_connection(
                        (ip, self.port), self.timeout, socket_options=self.socket_options
                    )
                except TimeoutError as error:
                    raise urllib3.exceptions.ConnectTimeoutError(self, "connect timed out") from error
                except OSError as error:
                    raise urllib3.exceptions.NewConnectionError(self, "connect failed") from error
                deadline.guard(sock)
                return sock

        plain = type("PinnedHTTP", (Pinned, HTTPConnection), {})
        tls = type("PinnedHTTPS", (Pinned, HTTPSConnection), {})
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("PinnedHTTPPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("PinnedHTTPSPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
        }
