"""The request a provider gets: canonical path, an allow-list of headers, its own authentication; nothing else of the consumer's."""

from __future__ import annotations

import re
from collections.abc import Awaitable

from apps.gateway import soap
from apps.gateway.asked import Asked
from apps.gateway.decision import SAFE_METHODS
from apps.gateway.endpoints import Endpoint
from apps.gateway.exchange import Exchange
from apps.gateway.plans import Greeting, Plan
from apps.gateway.provider_connections import Answer
from apps.gateway.upstreams import Upstreams, head_of

_STATE = re.compile(r"[\x20-\x7e]{1,512}")
_MARK = "\x02"
"""Stands for the path while an unchanging text is made."""


def forward(upstreams: Upstreams, exchange: Exchange, asked: Asked, endpoint: Endpoint, plan: Plan) -> Awaitable[Answer]:
    """Send the call to its provider: what is to be awaited. Raises ProviderFailed, now or then."""
    admission = asked.admission
    if not admission.operation.soap and asked.method in SAFE_METHODS:
        greeting = plan.greeting
        if greeting is None or greeting.caller is not asked.caller or greeting.endpoint is not endpoint:
            greeting = plan.greeting = _greeting(asked, endpoint)
        if greeting.before:
            return upstreams.send(endpoint, asked.method, _plain(exchange, asked, greeting))
    return upstreams.call(endpoint, *_whole(exchange, asked))


def _plain(exchange: Exchange, asked: Asked, greeting: Greeting) -> bytes:
    admission = asked.admission
    path = f"{admission.path}?{admission.query}" if admission.query else admission.path
    trace = "".join([f"{name}: {value}\r\n" for name, value in _trace(exchange, asked)]) if asked.trace else ""
    # Path and call id are of one alphabet each, the trace was matched: no line break is among them.
    return f"{greeting.before}{path}{greeting.after}{asked.call_id}\r\n{trace}\r\n".encode("latin-1")


def _greeting(asked: Asked, endpoint: Endpoint) -> Greeting:
    if not endpoint.is_steady:
        return Greeting(asked.caller, endpoint, "", "")
    headers = [*_about(asked), *endpoint.static, ("X-Call-Id", _MARK)]
    before, after, _end = head_of(asked.method, endpoint, _MARK, headers).decode("latin-1").split(_MARK)
    return Greeting(asked.caller, endpoint, before, after)


def _whole(exchange: Exchange, asked: Asked) -> tuple[str, str, list[tuple[str, str]], bytes]:
    """(method, path with query, headers, body) of a request of any kind."""
    admission = asked.admission
    headers = [*_about(asked), ("X-Call-Id", asked.call_id), *_trace(exchange, asked)]
    if admission.operation.soap:
        return _soap(asked, headers)
    if asked.body:
        headers.append(("Content-Type", "application/json"))
    if asked.method not in SAFE_METHODS:
        headers.append(("Idempotency-Key", exchange.header(b"idempotency-key")))
    path = admission.path + (f"?{admission.query}" if admission.query else "")
    return asked.method, path, headers, asked.body


def _soap(asked: Asked, headers: list[tuple[str, str]]) -> tuple[str, str, list[tuple[str, str]], bytes]:
    admission = asked.admission
    message = soap.message_of(admission.operation.soap)
    known = {"call_id": asked.call_id, "organization": asked.caller.organization.code, "system": asked.caller.system.code,
             "purpose": admission.grant.purpose}  # fmt: skip
    body = soap.write_request(message, soap.values_of(admission.operation, admission.path, admission.query), known)
    return "POST", "", [*[pair for pair in headers if pair[0] != "Accept"], *soap.headers(message)], body


def _about(asked: Asked) -> list[tuple[str, str]]:
    """In whose name the provider is called."""
    caller = asked.caller
    return [
        ("Accept", "application/json"),
        ("X-Consumer-Organization", caller.organization.code),
        ("X-Consumer-System", caller.system.code),
        ("X-Purpose-Code", asked.admission.grant.purpose),
    ]


def _trace(exchange: Exchange, asked: Asked) -> list[tuple[str, str]]:
    if not asked.trace:
        return []
    state = exchange.header(b"tracestate")
    found = [("traceparent", asked.trace)]
    if state and _STATE.fullmatch(state):
        found.append(("tracestate", state))
    return found
