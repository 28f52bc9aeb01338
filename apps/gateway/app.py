"""The doors of the data plane, as an ASGI application.

`/gw/{service}/v{major}/{path}` calls · `/gw/me` what a credential may call · `POST /oauth/token` · `/healthz` · `/readyz` ·
`/metrics`. Any other path is offered to the `others` given by `lgsp/gateway.py` (prefix → ASGI application).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping

import orjson

from apps.gateway import facade, fitness, wsdl
from apps.gateway.calls import LEDGER, Calls
from apps.gateway.exchange import Exchange, read_body
from apps.gateway.group_commit import LedgerDown
from apps.gateway.me import describe
from apps.gateway.metrics import render
from apps.gateway.paths import Ambiguous, segments
from apps.gateway.refusals import Refused
from apps.gateway.runtime import Runtime
from apps.gateway.server import MARK
from apps.gateway.tokens import issue

log = logging.getLogger("lgsp.gateway")
_CALL = re.compile(rb"/gw/([a-z0-9][a-z0-9-]{1,59})/v([1-9][0-9]{0,3})(/.*)", re.DOTALL)
TOKEN_BODY = 16_384

ASGIApp = Callable[[dict, Callable, Callable], Awaitable[None]]


class Gateway:
    """One process of the data plane. State: the policy it read, its connections, its counters; nothing that must survive."""

    def __init__(self, runtime: Runtime, others: Mapping[str, ASGIApp] | None = None) -> None:
        self.runtime = runtime
        self.calls = Calls(runtime)
        self._others = dict(others or {})
        self._doors = {
            b"/gw/me": self._me, b"/oauth/token": self._token, b"/healthz": self._healthz, b"/readyz": self._readyz,
            b"/metrics": self._metrics,
        }  # fmt: skip

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        raw = scope["raw_path"]
        if MARK not in scope.get("extensions", ()):
            await self.calls.refuse_stranger(Exchange(scope, receive, send), Refused("not_ready"))
            return
        match = _CALL.fullmatch(raw)
        if match is not None and match[3] == facade.PATH and await self._facade(scope, receive, send, match):
            return
        if match is not None:
            await self.calls.serve(Exchange(scope, receive, send), match[1].decode(), int(match[2]), match[3])
            return
        door = self._doors.get(raw)
        if door is not None:
            await door(Exchange(scope, receive, send))
            return
        for prefix, app in self._others.items():
            if raw.startswith(prefix.encode()):
                await app(scope, receive, send)
                return
        await self._nothing_here(Exchange(scope, receive, send))

    async def _facade(self, scope: dict, receive: Callable, send: Callable, match: re.Match[bytes]) -> bool:
        """Serve what is meant for the SOAP facade; False when it is a call like any other."""
        service, major = match[1].decode(), int(match[2])
        if wsdl.is_meant(scope, match[3]):
            await wsdl.serve(self.calls, Exchange(scope, receive, send), service, major)
            return True
        version = facade.version_of(scope, match[3])
        if version is not None:
            await facade.serve(self.calls, Exchange(scope, receive, send), service, major, version)
        return version is not None

    async def _lifespan(self, receive: Callable, send: Callable) -> None:
        await receive()
        await self.runtime.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.runtime.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _nothing_here(self, exchange: Exchange) -> None:
        """Paths that are no call. Those that only look like one are told apart: ambiguous or unknown.

        The bare address, which people open to see what is there, is led to the list of services.
        """
        raw = exchange.scope["raw_path"]
        try:
            segments(raw if raw != b"/" else b"/gw")
            code = "service_unknown"
        except Ambiguous:
            code = "path_ambiguous"
        await self.calls.refuse_stranger(exchange, Refused(code))

    async def _me(self, exchange: Exchange) -> None:
        if not await self._is_read(exchange):
            return
        try:
            token, caller = await self.calls.caller_of(exchange)
        except Refused as refused:
            await self.calls.refuse_stranger(exchange, refused)
            return
        try:
            body = await describe(self.runtime, caller, token)
        except LEDGER:
            await self.calls.refuse_stranger(exchange, Refused("not_ready"))
            return
        await exchange.answer(
            200, [(b"content-type", b"application/json"), (b"cache-control", b"no-store")], orjson.dumps(body)
        )

    async def _token(self, exchange: Exchange) -> None:
        """RFC 6749: its own error bodies, never cached."""
        headers = [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]
        if exchange.scope["method"] != "POST":
            await exchange.answer(405, [*headers, (b"allow", b"POST")], b"")
            return
        try:
            exchange.read_headers()
            body = (await read_body(exchange, TOKEN_BODY)).decode("utf-8")
        except (Refused, UnicodeDecodeError):
            await exchange.answer(400, [*headers, (b"content-type", b"application/json")], b'{"error": "invalid_request"}')
            return
        try:
            # An account collected a moment ago must work, and one revoked a moment ago must not: read the present policy.
            policy = await self.runtime.refresh(of_now=True)
        except LedgerDown:
            await self.calls.refuse_stranger(exchange, Refused("not_ready"))
            return
        try:
            status, given, text, _client = await issue(
                self.runtime.pool, policy, body=body, authorization=exchange.header(b"authorization"),
                certificate_hash=exchange.certificate_hash(self.runtime.trusted_proxies),
            )  # fmt: skip
        except Exception as error:
            log.error("token endpoint: %s", type(error).__name__)
            await self.calls.refuse_stranger(exchange, Refused("not_ready"))
            return
        if status != 200:
            self.runtime.count_stranger("invalid_client", exchange.source(self.runtime.trusted_proxies))
        kept = [(name.lower().encode(), value.encode()) for name, value in given.items() if name.lower() == "www-authenticate"]
        await exchange.answer(status, [*headers, *kept, (b"content-type", b"application/json")], text.encode())

    async def _healthz(self, exchange: Exchange) -> None:
        if not await self._is_read(exchange):
            return
        await exchange.answer(200, [(b"content-type", b"text/plain")], b"alive\n")

    async def _readyz(self, exchange: Exchange) -> None:
        if not await self._is_read(exchange):
            return
        faults = fitness.faults(self.runtime)
        told = {"ready": not faults, "faults": faults, "warnings": fitness.warnings(self.runtime)}
        body = orjson.dumps(told | {"unreadable": fitness.unreadable(self.runtime)[:20]})
        await exchange.answer(503 if faults else 200, [(b"content-type", b"application/json")], body)

    async def _is_read(self, exchange: Exchange) -> bool:
        """Whether GET or HEAD is asked; anything else is answered 405 with what may be."""
        if exchange.method in ("GET", "HEAD"):
            return True
        await exchange.answer(405, [(b"allow", b"GET, HEAD")], b"")
        return False

    async def _metrics(self, exchange: Exchange) -> None:
        if not await self._is_read(exchange):
            return
        text = render(self.runtime)
        await exchange.answer(200, [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")], text.encode())
