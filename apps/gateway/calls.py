"""One call, from the first header to the last byte: authenticate, decide, ADMIT, forward, cut, RECORD, answer."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import re
import time
from functools import lru_cache

import asyncpg
import msgspec
from msgspec import Raw, Struct

from apps.gateway import call_ids, problems, soap
from apps.gateway.admission import Verdict, Waiting
from apps.gateway.breaker import COUNTED_STATUSES
from apps.gateway.choices import Outcome as Ending
from apps.gateway.codes import Translator, translator
from apps.gateway.cutting import Cutter, NotWellFormed, cutter
from apps.gateway.decision import SAFE_METHODS, Admission, Call, Caller, Token, decide, identify
from apps.gateway.digests import keyed_digest, subject_pseudonym
from apps.gateway.exchange import Exchange, has_body, read_body
from apps.gateway.group_commit import BROKEN, LedgerDown, Overloaded
from apps.gateway.kill_points import reached
from apps.gateway.outcomes import Outcome, RefusedCall
from apps.gateway.paths import Ambiguous, encode, query_pairs, segments
from apps.gateway.policy import Grant, Operation
from apps.gateway.refusals import Refused
from apps.gateway.runtime import Runtime
from apps.gateway.tokens import hash_token
from apps.gateway.upstreams import Answer, Endpoint, ProviderFailed
from apps.gateway.xml_cutting import Fault, XmlCutter, soap_cutter, xml_cutter

log = logging.getLogger("lgsp.gateway")

BODY_BYTES = 1_048_576
DECISIONS = 6
"""So often a call is decided anew when the policy moves under it; then it is told to come back."""
_BEARER = re.compile(r"[Bb]earer ([A-Za-z0-9._~+/=-]{20,200})")
_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_PURPOSE = re.compile(r"[A-Za-z0-9._-]{1,40}")
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_STATE = re.compile(r"[\x20-\x7e]{1,512}")
_VALUE = re.compile(r"[\x20-\x7e]{0,512}")
_PASSED = ("cache-control", "expires", "last-modified", "content-language")
"""Headers of a provider that reach the consumer. Not ETag: it names the uncut answer."""
_DELIVERED = Ending.DELIVERED.value
_ANY = msgspec.json.Decoder(Raw).decode
_LEDGER = (LedgerDown, *BROKEN, asyncpg.PostgresError)


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
    digest: bytes = b""
    body: bytes = b""
    tries: bool = False
    """Whether this is the one call that tries a provider whose breaker is open."""


class Reply(Struct, gc=False):
    """What the consumer will get, and the outcome that is recorded first."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    outcome: Outcome


class Plan(Struct, gc=False):
    """What a grant lets out of an operation's answers. `ids` maps masks of delivered leaves to stored sets of names."""

    grant: Grant
    operation: Operation
    knife: Cutter | XmlCutter
    withheld: tuple[str, ...]
    header: bytes
    codes: Translator | None = None
    ids: dict[int, tuple[int | None, int | None, int]] = {}


class Calls:
    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._plans: dict[int, Plan] = {}

    async def serve(self, exchange: Exchange, service: str, major: int, raw_path: bytes, wrong: str = "") -> None:
        """Answer one call. Whatever happens, at most one answer is sent, and none without its record.

        `wrong` is the code of a refusal that stands already; the caller is made out all the same.
        """
        runtime = self.runtime
        now = runtime.clock.now()
        asked = Asked(call_ids.make_text(int(now * 1000)), time.perf_counter(), exchange.scope["method"], service, None)
        runtime.running += 1
        try:
            if runtime.running > runtime.most_running:
                raise Refused("overloaded")
            await self._serve(exchange, asked, major, raw_path, wrong)
        except Refused as refused:
            await self._refuse(exchange, asked, refused)
        except Exception:
            log.exception("call %s", asked.call_id)
            if not exchange.answered:
                await self._send_problem(exchange, asked, Refused("internal"))
        finally:
            runtime.running -= 1

    async def _serve(self, exchange: Exchange, asked: Asked, major: int, raw_path: bytes, wrong: str) -> None:
        exchange.read_headers()
        asked.source = exchange.source(self.runtime.trusted_proxies)
        certificate_hash = exchange.certificate_hash(self.runtime.trusted_proxies)
        await self._know_token(exchange, asked)
        asked.purpose = _purpose_of(exchange)
        try:
            if wrong:
                raise Ambiguous(wrong)
            call = Call(asked.method, asked.service, major, segments(raw_path), query_pairs(exchange.scope["query_string"]),
                        asked.purpose, asked.source or "", certificate_hash)  # fmt: skip
        except Ambiguous:
            await self._refreshed()
            await self._identify(asked, certificate_hash)
            raise Refused(wrong or "path_ambiguous") from None
        endpoint = await self._admit(exchange, asked, call)
        reached("admitted")
        try:
            reply = await self._forward(exchange, asked, endpoint)
        finally:
            endpoint.running -= 1
        await self._answer(exchange, asked, reply)

    # --- who
    async def _know_token(self, exchange: Exchange, asked: Asked) -> None:
        asked.tokens_seen = self.runtime.tokens.generation
        asked.token = await self._token_of(exchange)

    async def _token_of(self, exchange: Exchange) -> Token:
        given = exchange.header(b"authorization")
        match = _BEARER.fullmatch(given)
        if match is None:
            raise Refused("token_invalid" if given else "credential_missing")
        digest = hash_token(match[1])
        token = self.runtime.tokens.remembered(digest)
        if token is None:
            try:
                token = await self.runtime.tokens.find(digest, self.runtime.clock.now())
            except _LEDGER:
                raise Refused("not_ready") from None
        if token is None:
            raise Refused("token_invalid")
        return token

    async def _identify(self, asked: Asked, certificate_hash: str) -> None:
        policy = self.runtime.policy
        if policy is None:
            raise Refused("not_ready")
        if asked.token.credential_id not in policy.rows["credential"]:
            policy = await self._refreshed()
        asked.caller = identify(policy, asked.token, certificate_hash, self.runtime.clock.now())

    async def caller_of(self, exchange: Exchange) -> tuple[Token, Caller]:
        """The token and caller of a request that is no call. Raises Refused."""
        exchange.read_headers()
        await self._refreshed()
        token = await self._token_of(exchange)
        asked = Asked("", 0.0, "GET", "", None, token=token)
        await self._identify(asked, exchange.certificate_hash(self.runtime.trusted_proxies))
        return token, asked.caller

    async def _refreshed(self, at_least: int = 0):
        try:
            return await self.runtime.refresh(at_least)
        except _LEDGER:
            raise Refused("not_ready") from None

    # --- may it, and the durable row
    async def _admit(self, exchange: Exchange, asked: Asked, call: Call) -> Endpoint:
        """Decide and admit. Returns the endpoint with one of its places taken. Raises Refused: nothing was forwarded."""
        runtime = self.runtime
        for _attempt in range(DECISIONS):
            policy = runtime.policy
            if policy is None:
                raise Refused("not_ready")
            if asked.tokens_seen != runtime.tokens.generation:
                await self._know_token(exchange, asked)
            if asked.token.credential_id not in policy.rows["credential"]:
                policy = await self._refreshed()
            now = runtime.clock.now()
            try:
                asked.admission = admission = decide(policy, asked.token, call, now)
            except Refused:
                # A refusal too is judged by the policy of this instant: what was granted a moment ago must not be refused.
                if await self._refreshed() is not policy:
                    continue
                await self._identify(asked, call.certificate_hash)
                raise
            asked.caller = admission.caller
            await self._read_request(exchange, asked)
            try:
                endpoint = self._endpoint(admission)
            except Refused as refused:
                # An address or credential may have been mended a moment ago; that a provider is busy is no matter of policy.
                if not refused.row.retry_after and await self._refreshed() is not policy:
                    continue
                raise
            reached("decided")
            endpoint.running += 1
            asked.tries = endpoint.breaker.begin()
            admitted = False
            try:
                verdict = await self._ask_ledger(asked, policy.epoch, now, exchange)
                admitted = not verdict.code
            finally:
                if not admitted:
                    endpoint.running -= 1
                    if asked.tries:
                        endpoint.breaker.gave_up()
            runtime.clock.hear(verdict.now)
            if admitted:
                return endpoint
            if verdict.code == "moved":
                await self._refreshed(verdict.epoch)
            elif verdict.code != "time":
                raise Refused(verdict.code, **({"first_call": verdict.first_call} if verdict.first_call else {}))
        raise Refused("not_ready")

    def _endpoint(self, admission: Admission) -> Endpoint:
        try:
            endpoint = self.runtime.upstreams.endpoint(admission.upstream)
        except ProviderFailed as failed:
            raise Refused(failed.code) from None
        if endpoint.running >= endpoint.row.max_concurrency:
            raise Refused("provider_busy")
        if endpoint.breaker.failures and (wait := endpoint.breaker.wait(time.monotonic())):
            raise Refused("provider_unavailable", retry_after=math.ceil(wait))
        return endpoint

    async def _read_request(self, exchange: Exchange, asked: Asked) -> None:
        """The body, its key and the keyed digest of the whole request; once a call."""
        if asked.digest:
            return
        admission = asked.admission
        if has_body(exchange):
            if asked.method in SAFE_METHODS or exchange.header(b"content-encoding") or admission.operation.soap:
                raise Refused("body_invalid")
            asked.body = await read_body(exchange, BODY_BYTES)
            kind = exchange.header(b"content-type").partition(";")[0].strip().lower()
            if kind != "application/json" or not _is_json(asked.body):
                raise Refused("body_invalid")
        if asked.method not in SAFE_METHODS and not exchange.header(b"idempotency-key"):
            raise Refused("idempotency_key_missing")
        line = f"{asked.method} {admission.service.code} {admission.route.version.major} {admission.path}?{admission.query} {asked.purpose}\n"
        asked.digest = keyed_digest(line.encode() + asked.body)

    async def _ask_ledger(self, asked: Asked, epoch: int, now: float, exchange: Exchange) -> Verdict:
        given = exchange.header(b"traceparent")
        trace = _TRACE.fullmatch(given) if given else None
        waiting = Waiting(asked.call_id, epoch, now, asked.admission, asked.digest, asked.source, trace[1] if trace else None)
        commits = self.runtime.ledger
        if asked.method not in SAFE_METHODS:
            key = exchange.header(b"idempotency-key")
            if not _KEY.fullmatch(key):
                raise Refused("header_invalid")
            waiting.key_hash = hashlib.sha256(key.encode()).digest()
            commits = self.runtime.keyed
        try:
            return await commits.submit(waiting)
        except Overloaded:
            raise Refused("overloaded") from None
        except _LEDGER:
            raise Refused("not_ready") from None

    # --- the provider, the cut
    async def _forward(self, exchange: Exchange, asked: Asked, endpoint: Endpoint) -> Reply:
        """Call the provider and make the reply. Never raises: the call was admitted, so it must get an outcome."""
        sent = time.perf_counter()
        answer = None
        try:
            answer = await self.runtime.upstreams.call(endpoint, *self._outgoing(exchange, asked))
            provider_us = _microseconds(sent)
            self._heard(
                endpoint, asked, "" if answer.status not in COUNTED_STATUSES else f"http_{answer.status}", answered=True
            )
            reached("answered")
            return await self._reply(exchange, asked, answer, provider_us)
        except ProviderFailed as failed:
            code = failed.code
            if answer is None:
                self._heard(endpoint, asked, code if failed.silent else "", answered=failed.contacted)
        except NotWellFormed:
            code = "provider_not_json" if answer is None or 200 <= answer.status < 300 else "provider_failed"
        except Fault as fault:
            refused = Refused("provider_refused" if fault.is_callers else "provider_failed", provider_status=answer.status)
            return self._problem_reply(
                exchange, asked, refused, refused.row.status, Ending.PROVIDER_ERROR, answer, _microseconds(sent)
            )
        except Exception:
            log.exception("call %s", asked.call_id)
            code = "internal"
        return self._failure(exchange, asked, code, answer, _microseconds(sent))

    def _heard(self, endpoint: Endpoint, asked: Asked, failure: str, *, answered: bool) -> None:
        """Tell the breaker whether anybody answered: `failure` says why nobody did."""
        breaker, turned = endpoint.breaker, False
        if failure:
            turned = breaker.failed(failure, time.monotonic(), tried=asked.tries)
        elif answered and breaker.failures:
            turned = breaker.answered()
        elif asked.tries:
            breaker.gave_up()
        if turned:
            log.warning("provider of %s: %s", asked.service, f"paused ({breaker.code})" if breaker.is_open else "answers again")
            self.runtime.counts["breaker", asked.service, "opened" if breaker.is_open else "closed"] += 1
            self.runtime.beat_soon()

    def _outgoing(self, exchange: Exchange, asked: Asked) -> tuple[str, str, list[tuple[str, str]], bytes]:
        """(method, path with query, headers, body) of the call to the provider."""
        admission = asked.admission
        if not admission.operation.soap:
            path = admission.path + (f"?{admission.query}" if admission.query else "")
            return asked.method, path, self._headers(exchange, asked), asked.body
        message = soap.message_of(admission.operation.soap)
        known = {"call_id": asked.call_id, "organization": asked.caller.organization.code, "system": asked.caller.system.code,
                 "purpose": admission.grant.purpose}  # fmt: skip
        body = soap.write_request(message, soap.values_of(admission.operation, admission.path, admission.query), known)
        kept = [pair for pair in self._headers(exchange, asked) if pair[0] not in ("Accept", "Content-Type")]
        return "POST", "", [*kept, *soap.headers(message)], body

    def _headers(self, exchange: Exchange, asked: Asked) -> list[tuple[str, str]]:
        """What the provider gets besides its own authentication: an allow-list."""
        caller = asked.caller
        headers = [
            ("Accept", "application/json"),
            ("X-Call-Id", asked.call_id),
            ("X-Consumer-Organization", caller.organization.code),
            ("X-Consumer-System", caller.system.code),
            ("X-Purpose-Code", asked.admission.grant.purpose),
        ]
        trace = exchange.header(b"traceparent")
        if trace and _TRACE.fullmatch(trace):
            headers.append(("traceparent", trace))
            state = exchange.header(b"tracestate")
            if state and _STATE.fullmatch(state):
                headers.append(("tracestate", state))
        if asked.body:
            headers.append(("Content-Type", "application/json"))
        if asked.method not in SAFE_METHODS:
            headers.append(("Idempotency-Key", exchange.header(b"idempotency-key")))
        return headers

    async def _reply(self, exchange: Exchange, asked: Asked, answer: Answer, provider_us: int) -> Reply:
        """A usable answer of the provider, cut. Raises NotWellFormed, ProviderFailed."""
        if not 200 <= answer.status < 300:
            if answer.status == 500 and asked.admission.operation.soap:
                self._plan(asked.admission).knife.cut(answer.body)  # a fault raises; anything else is an error as it stands
            return self._provider_error(exchange, asked, answer, provider_us)
        admission = asked.admission
        plan = self._plan(admission)
        body, mask = b"", 0
        headers = [(b"x-call-id", asked.call_id.encode())]
        if answer.status not in (204, 205):
            _check_content(answer, xml=plan.operation.answer == "xml" or bool(plan.operation.soap))
            body, mask = plan.knife.cut(answer.body)
            if plan.codes is not None:
                body, marked = plan.codes.translate(body)
                headers.append((b"x-code-translation", f"{plan.codes.note};marked={marked}".encode()))
            body, kind = exchange.rendered(body, plan.knife.content_type, plan.operation.code)
            headers.append((b"content-type", kind))
        headers += _passed(answer)
        if plan.withheld:
            headers.append((b"x-withheld-fields", plan.header))
        outcome = self._outcome(asked, _DELIVERED, "", answer.status, answer, body, provider_us)
        outcome.answer_digest = hashlib.sha256(body).digest()
        ids = plan.ids.get(mask)
        if ids is None or ids[2] != self.runtime.field_sets.generation:
            ids = plan.ids[mask] = await self._field_sets(plan, mask)
        outcome.delivered_id, outcome.withheld_id = ids[0], ids[1]
        return Reply(answer.status, headers, body, outcome)

    def _plan(self, admission: Admission) -> Plan:
        """What cutting for a grant needs, made once a grant row and contract."""
        plan, policy = self._plans.get(admission.grant.id), self.runtime.policy
        stale = plan is not None and plan.codes is not None and plan.codes.codes is not policy.codes
        if plan is None or stale or plan.grant is not admission.grant or plan.operation is not admission.operation:
            granted, withheld = admission.route.cut_set(admission.operation, admission.grant.fields)
            knife = _knife(admission.operation, granted)
            plan = Plan(admission.grant, admission.operation, knife, withheld, _withheld_header(withheld))
            if admission.grant.codes_day:
                plan.codes = translator(policy, admission.grant, admission.operation, knife)
            if len(self._plans) > 50_000:
                self._plans.clear()
            self._plans[admission.grant.id] = plan
        return plan

    async def _field_sets(self, plan: Plan, mask: int) -> tuple[int | None, int | None, int]:
        generation = self.runtime.field_sets.generation
        return await self._field_set(plan.knife.delivered(mask)), await self._field_set(plan.withheld), generation

    async def _field_set(self, names: tuple[str, ...]) -> int | None:
        try:
            return self.runtime.field_sets.known(names)
        except KeyError:
            return await self.runtime.field_sets.store(names)

    def _provider_error(self, exchange: Exchange, asked: Asked, answer: Answer, provider_us: int) -> Reply:
        """An error of the provider: its status where that means something to the consumer, never its body."""
        status = answer.status
        if 300 <= status < 400:
            code = "provider_redirected"
        elif status in (401, 403, 407):
            code = "provider_auth_failed"
        elif status in (429, 503):
            code = "provider_busy"
        elif status >= 500:
            code = "provider_failed"
        else:
            code = "provider_refused"
        refused = Refused(code, provider_status=status)
        given = status if code == "provider_refused" else refused.row.status
        return self._problem_reply(exchange, asked, refused, given, Ending.PROVIDER_ERROR, answer, provider_us)

    def _failure(self, exchange: Exchange, asked: Asked, code: str, answer: Answer | None, provider_us: int) -> Reply:
        refused = Refused(code)
        return self._problem_reply(exchange, asked, refused, refused.row.status, Ending.PROVIDER_FAILED, answer, provider_us)

    def _problem_reply(
        self, exchange, asked: Asked, refused: Refused, status: int, ending: str, answer, provider_us: int
    ) -> Reply:
        headers, body = self._problem(exchange, asked, refused, status)
        return Reply(status, headers, body, self._outcome(asked, ending, refused.code, status, answer, body, provider_us))

    def _outcome(
        self, asked: Asked, ending: str, code: str, status: int, answer: Answer | None, body: bytes, provider_us: int
    ) -> Outcome:
        provider = (len(answer.body), answer.status) if answer is not None else (0, None)
        subject = asked.admission.subject
        pseudonym = subject_pseudonym(asked.admission.service.uuid, subject) if subject else None
        return Outcome(
            asked.call_id, None, None, len(asked.body), provider[0], len(body), provider_us, _microseconds(asked.began), status,
            provider[1], str(ending), code, None, pseudonym,
        )  # fmt: skip

    # --- the record, the answer
    async def _answer(self, exchange: Exchange, asked: Asked, reply: Reply) -> None:
        """Record, then answer. Without the record the consumer gets nothing of the provider's answer."""
        outcome, counts = reply.outcome, self.runtime.counts
        try:
            recorded = await self.runtime.ledger.submit(outcome, always=True)
        except (*_LEDGER, Overloaded):
            recorded = await self._record_again(outcome)
        if not recorded:
            await self._send_problem(exchange, asked, Refused("record_failed"))
            return
        reached("recorded")
        counts["call", asked.service, outcome.outcome] += 1
        self.runtime.total_times.observe(outcome.total_us / 1e6)
        self.runtime.provider_times.observe(outcome.provider_us / 1e6)
        await exchange.answer(reply.status, reply.headers, reply.body)

    async def _record_again(self, outcome: Outcome) -> bool:
        """The commit was not confirmed: try for a few seconds. What was stored already is recognized as our own."""
        for pause in (0.2, 0.4, 0.8, 1.6, 2.0):
            await asyncio.sleep(pause)
            try:
                return await self.runtime.ledger.submit(outcome, always=True)
            except (*_LEDGER, Overloaded):
                continue
        return False

    # --- refusals
    async def _refuse(self, exchange: Exchange, asked: Asked, refused: Refused) -> None:
        """Write the refusal down, then tell it. Strangers are counted instead of written."""
        runtime, row = self.runtime, refused.row
        if asked.token is None or not row.durable:
            await self.refuse_stranger(exchange, refused, asked)
            return
        runtime.counts["refused", row.code] += 1
        if row.code not in ("not_ready", "overloaded"):
            try:
                await runtime.ledger.submit(self._refused_call(asked, refused))
            except (*_LEDGER, Overloaded):
                refused = Refused("not_ready")
        await self._send_problem(exchange, asked, refused)

    def _refused_call(self, asked: Asked, refused: Refused) -> RefusedCall:
        policy, admission = self.runtime.policy, asked.admission
        operation = admission.operation if admission else refused.operation
        grant = admission.grant if admission else refused.grant
        credential = policy.rows["credential"].get(asked.token.credential_id) if policy else None
        service = policy.service_codes.get(asked.service) if policy else None
        return RefusedCall(
            asked.call_id, asked.token.credential_id, credential.system_id if credential else None, service.id if service else None,
            operation.id if operation else None, grant.id if grant else None, policy.epoch if policy else 0,
            refused.row.status, refused.code, asked.method[:8], asked.service[:60], asked.purpose[:40], asked.source,
        )  # fmt: skip

    async def refuse_stranger(self, exchange: Exchange, refused: Refused, asked: Asked | None = None) -> None:
        if asked is None:
            call_id = call_ids.make_text(int(self.runtime.clock.now() * 1000))
            asked = Asked(call_id, time.perf_counter(), exchange.scope["method"], "", None)
        peer = exchange.scope.get("client")
        self.runtime.count_stranger(refused.code, asked.source or (peer[0] if peer else None))
        await self._send_problem(exchange, asked, refused)

    async def _send_problem(self, exchange: Exchange, asked: Asked, refused: Refused) -> None:
        headers, body = self._problem(exchange, asked, refused, refused.row.status)
        await exchange.answer(refused.row.status, headers, body)

    def _problem(
        self, exchange: Exchange, asked: Asked, refused: Refused, status: int
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        row = refused.row
        about = {"service": asked.service, "system": asked.caller.system.code if asked.caller else "", "purpose": asked.purpose}
        if asked.admission is not None:
            about["operation"] = asked.admission.operation.code
            about["agreement"] = asked.admission.agreement.number
        elif refused.operation is not None:
            about["operation"] = refused.operation.code
            agreement = refused.grant and self.runtime.policy.rows["agreement"].get(refused.grant.agreement_id)
            about["agreement"] = agreement.number if agreement else ""
        about["agreement"] = str(refused.facts.get("agreement", about.get("agreement", "")))
        facts = {**refused.facts, "status": status}
        body = problems.build(row, exchange.language, asked.call_id, facts, about)
        headers = [
            (b"content-type", problems.CONTENT_TYPE),
            (b"x-call-id", asked.call_id.encode()),
            (b"cache-control", b"no-store"),
        ]
        headers.append((b"content-language", exchange.language.encode()))
        if wait := refused.facts.get("retry_after", row.retry_after):
            headers.append((b"retry-after", str(wait).encode()))
        if row.status == 401:
            challenge = b"Bearer" if row.code == "credential_missing" else b'Bearer error="invalid_token"'
            headers.append((b"www-authenticate", challenge))
        return headers, body


def _withheld_header(names: tuple[str, ...]) -> bytes:
    """Names for X-Withheld-Fields: percent-encoded where they are not ASCII, cut at a length every proxy passes."""
    parts = [encode(name).replace("%5B", "[").replace("%5D", "]") for name in names]
    while len(parts) > 1 and sum(map(len, parts)) > 6_000:
        parts.pop()
    return ", ".join(parts).encode()


def _purpose_of(exchange: Exchange) -> str:
    given = exchange.header(b"x-purpose-code").strip()
    if given and not _PURPOSE.fullmatch(given):
        raise Refused("header_invalid")
    return given


def _is_json(body: bytes) -> bool:
    try:
        _ANY(body)
        body.decode("utf-8")
    except (ValueError, RecursionError):
        return False
    return True


def _knife(operation: Operation, granted: tuple[str, ...]) -> Cutter | XmlCutter:
    if operation.soap:
        message = soap.message_of(operation.soap)
        return soap_cutter(granted, message.response, message.response_namespace)
    return xml_cutter(granted) if operation.answer == "xml" else cutter(granted)


def _check_content(answer: Answer, *, xml: bool) -> None:
    """Only an answer that says it is JSON (or XML, where that is declared) in UTF-8 is read as such. Raises ProviderFailed."""
    kinds, encoding = [], ""
    for name, value in answer.headers:
        if name == "content-type":
            kinds.append(value)
        elif name == "content-encoding":
            encoding = value.lower()
    if len(kinds) != 1 or not _is_utf8(kinds[0], xml):
        raise ProviderFailed("provider_not_json")
    if encoding not in ("", "identity"):
        raise ProviderFailed("provider_protocol_error")


@lru_cache(maxsize=512)
def _is_utf8(content_type: str, xml: bool) -> bool:
    """Whether a content type names JSON (or XML) in UTF-8."""
    kind, _semicolon, options = content_type.lower().partition(";")
    kind, form = kind.strip(), "xml" if xml else "json"
    plain = kind == f"application/{form}" or (xml and kind == "text/xml")
    if not plain and not (kind.startswith("application/") and kind.endswith(f"+{form}")):
        return False
    charset = re.search(r'charset\s*=\s*"?([^";\s]+)', options)
    return charset is None or charset[1] in ("utf-8", "utf8", "us-ascii")


def _passed(answer: Answer) -> list[tuple[bytes, bytes]]:
    found, kept = [], False
    for name, value in answer.headers:
        if name in _PASSED and _VALUE.fullmatch(value):
            kept = kept or name == "cache-control"
            found.append((name.encode(), value.encode()))
    if not kept:
        found.append((b"cache-control", b"no-store"))
    return found


def _microseconds(since: float) -> int:
    return min(2_000_000_000, int((time.perf_counter() - since) * 1e6))
