"""One call, from the first header to the last byte: authenticate, decide, ADMIT, forward, cut, RECORD, answer."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import re
import time

import asyncpg
import msgspec
from msgspec import Raw

from apps.gateway import call_ids, outgoing, problems, replies
from apps.gateway.admission import Waiting
from apps.gateway.asked import Asked, Reply
from apps.gateway.breaker import COUNTED_STATUSES
from apps.gateway.cutting import NotWellFormed
from apps.gateway.decision import SAFE_METHODS, Admission, Call, Caller, Token, decide, identify
from apps.gateway.digests import keyed_digest
from apps.gateway.endpoints import Endpoint
from apps.gateway.exchange import Exchange, read_body
from apps.gateway.group_commit import BROKEN, LedgerDown, Overloaded
from apps.gateway.kill_points import reached
from apps.gateway.outcomes import Outcome, RefusedCall
from apps.gateway.paths import Ambiguous, query_pairs, segments
from apps.gateway.plans import Plans
from apps.gateway.provider_connections import ProviderFailed
from apps.gateway.refusals import Refused
from apps.gateway.runtime import Runtime
from apps.gateway.xml_cutting import Fault
from apps.registry.choices import Environment

log = logging.getLogger("lgsp.gateway")

BODY_BYTES = 1_048_576
DECISIONS = 6
"""So often a call is decided anew when the policy moves under it; then it is told to come back."""
_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_ANY = msgspec.json.Decoder(Raw).decode
LEDGER = (LedgerDown, *BROKEN, asyncpg.PostgresError)


class Calls:
    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.plans = Plans(runtime)

    async def serve(self, exchange: Exchange, service: str, major: int, raw_path: bytes, wrong: str = "") -> None:
        """Answer one call. Whatever happens, at most one answer is sent, and none without its record.

        `wrong` is the code of a refusal that stands already; the caller is made out all the same.
        """
        runtime = self.runtime
        made = int(runtime.clock.now() * 1000)
        asked = Asked(call_ids.make_text(made), time.perf_counter(), exchange.method, service, None, made=made / 1000)
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
                await self._fail(exchange, asked)
        finally:
            runtime.running -= 1
            exchange.done()

    async def _serve(self, exchange: Exchange, asked: Asked, major: int, raw_path: bytes, wrong: str) -> None:
        trusted = self.runtime.trusted_proxies
        exchange.read_headers()
        asked.source = exchange.source(trusted)
        certificate_hash = exchange.certificate_hash(trusted)
        asked.token = self._remembered_token(exchange, asked) or await self._find_token(exchange)
        asked.purpose = exchange.purpose()
        try:
            if wrong:
                raise Ambiguous(wrong)
            call = Call(asked.method, asked.service, major, segments(raw_path), query_pairs(exchange.query), asked.purpose,
                        asked.source or "", certificate_hash)  # fmt: skip
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
            if asked.tries:  # nobody told what became of the try: another call may try
                endpoint.breaker.gave_up()
        await self._answer(exchange, asked, reply)

    # --- who
    def _remembered_token(self, exchange: Exchange, asked: Asked) -> Token | None:
        tokens = self.runtime.tokens
        asked.tokens_seen = tokens.generation
        return tokens.remembered(exchange.token_digest())

    async def _find_token(self, exchange: Exchange) -> Token:
        """Raises Refused when nobody was given such a token."""
        try:
            token = await self.runtime.tokens.find(exchange.token_digest(), self.runtime.clock.now())
        except LEDGER:
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
        try:
            asked.caller = identify(policy, asked.token, certificate_hash, self.runtime.clock.now())
        except LookupError:
            raise Refused("not_ready") from None

    async def caller_of(self, exchange: Exchange) -> tuple[Token, Caller]:
        """The token and caller of a request that is no call. Raises Refused."""
        exchange.read_headers()
        await self._refreshed()
        asked = Asked("", 0.0, "GET", "", None)
        asked.token = self._remembered_token(exchange, asked) or await self._find_token(exchange)
        await self._identify(asked, exchange.certificate_hash(self.runtime.trusted_proxies))
        return asked.token, asked.caller

    async def make_out(self, exchange: Exchange) -> None:
        """Raises Refused where the token is nobody's who may call. Asks the database only where the policy at hand says no."""
        exchange.read_headers()
        asked = Asked("", 0.0, exchange.method, "", None)
        asked.token = self._remembered_token(exchange, asked) or await self._find_token(exchange)
        try:
            await self._identify(asked, exchange.certificate_hash(self.runtime.trusted_proxies))
        except Refused:
            await self.caller_of(exchange)

    async def _refreshed(self, at_least: int = 0):
        try:
            return await self.runtime.refresh(at_least, of_now=not at_least)
        except LEDGER:
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
                asked.token = self._remembered_token(exchange, asked) or await self._find_token(exchange)
            if asked.token.credential_id not in policy.rows["credential"]:
                policy = await self._refreshed()
            now = runtime.clock.now()
            try:
                asked.admission = admission = decide(policy, asked.token, call, now)
            except LookupError as error:
                # A row the decision rests on could not be read (`policy.unreadable` and /readyz name it).
                log.error("call %s rests on a row that is not there: %s", asked.call_id, error)
                raise Refused("not_ready") from None
            except Refused:
                # A refusal too is judged by the policy of this instant: what was granted a moment ago must not be refused.
                if await self._refreshed() is not policy:
                    continue
                await self._identify(asked, call.certificate_hash)
                raise
            asked.caller = admission.caller
            if not asked.digest:
                if exchange.declares_body:
                    await self._read_body(exchange, asked)
                self._sum_up(exchange, asked)
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
                verdict = await self._submit(exchange, asked, policy.epoch)
                admitted = not verdict.code
            except LEDGER:
                raise Refused("not_ready") from None
            finally:
                if not admitted:
                    endpoint.running -= 1
                    if asked.tries:
                        endpoint.breaker.gave_up()
            runtime.clock.hear(verdict.now)
            if admitted:
                asked.is_admitted = True
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

    async def _read_body(self, exchange: Exchange, asked: Asked) -> None:
        if asked.method in SAFE_METHODS or exchange.header(b"content-encoding") or asked.admission.operation.soap:
            raise Refused("body_invalid")
        asked.body = await read_body(exchange, BODY_BYTES)
        kind = exchange.header(b"content-type").partition(";")[0].strip().lower()
        if kind != "application/json" or not _is_json(asked.body):
            raise Refused("body_invalid")

    @staticmethod
    def _sum_up(exchange: Exchange, asked: Asked) -> None:
        """The keyed digest of the whole request, and its trace; once a call."""
        admission = asked.admission
        if asked.method not in SAFE_METHODS and not exchange.header(b"idempotency-key"):
            raise Refused("idempotency_key_missing")
        line = f"{asked.method} {admission.service.code} {admission.route.version.major} {admission.path}?{admission.query} {asked.purpose}\n"
        asked.digest = keyed_digest(line.encode() + asked.body)
        given = exchange.header(b"traceparent")
        if given and _TRACE.fullmatch(given):
            asked.trace = given

    def _submit(self, exchange: Exchange, asked: Asked, epoch: int) -> asyncio.Future:
        """Ask to be admitted: the future of the ledger's Verdict. Raises Refused."""
        trace = asked.trace[3:35] if asked.trace else None
        waiting = Waiting(asked.call_id, epoch, asked.admission, asked.digest, asked.source, trace, made=asked.made)
        commits = self.runtime.ledger
        if asked.method not in SAFE_METHODS:
            key = exchange.header(b"idempotency-key")
            if not _KEY.fullmatch(key):
                raise Refused("header_invalid")
            waiting.key_hash = _key_hash(key, asked.caller.credential.environment)
            commits = self.runtime.keyed
        try:
            return commits.submit(waiting)
        except Overloaded:
            raise Refused("overloaded") from None

    # --- the provider, the cut
    async def _forward(self, exchange: Exchange, asked: Asked, endpoint: Endpoint) -> Reply:
        """Call the provider and make the reply. Never raises: the call was admitted, so it must get an outcome."""
        runtime, sent = self.runtime, time.perf_counter()
        answer = None
        try:
            plan = self.plans.of(asked.admission)
            answer = await outgoing.forward(runtime.upstreams, exchange, asked, endpoint, plan)
            provider_us = replies.microseconds(sent)
            status = answer.status
            self._heard(endpoint, asked, "" if status not in COUNTED_STATUSES else f"http_{status}", answered=True)
            reached("answered")
            if 200 <= status < 300:
                return await replies.delivered(runtime.field_sets, exchange, asked, plan, answer, provider_us)
            if status == 500 and plan.operation.soap:
                plan.knife.cut(answer.body)  # a fault raises; anything else is an error as it stands
            return replies.provider_error(runtime.policy, exchange, asked, answer, provider_us)
        except ProviderFailed as failed:
            code = failed.code
            if answer is None:
                self._heard(
                    endpoint, asked, code if failed.silent else "", answered=failed.contacted and code != "gateway_exhausted"
                )
        except NotWellFormed:
            code = "provider_not_json" if answer is None or 200 <= answer.status < 300 else "provider_failed"
        except Fault as fault:
            code = "provider_refused" if fault.is_callers else "provider_failed"
            return replies.fault(runtime.policy, exchange, asked, code, answer, replies.microseconds(sent))
        except MemoryError:
            log.error("call %s: no memory", asked.call_id)
            code = "gateway_exhausted"
        except Exception:
            log.exception("call %s", asked.call_id)
            code = "internal"
        return replies.failure(runtime.policy, exchange, asked, code, answer, replies.microseconds(sent))

    def _heard(self, endpoint: Endpoint, asked: Asked, failure: str, *, answered: bool) -> None:
        """Tell the breaker whether anybody answered: `failure` says why nobody did."""
        breaker, turned = endpoint.breaker, False
        if failure:
            turned = breaker.failed(failure, time.monotonic(), tried=asked.tries)
            asked.tries = False
        elif answered and breaker.failures:
            turned = breaker.answered()
            asked.tries = False
        if turned:
            log.warning("provider of %s: %s", asked.service, f"paused ({breaker.code})" if breaker.is_open else "answers again")
            self.runtime.counts["breaker", asked.service, "opened" if breaker.is_open else "closed"] += 1
            self.runtime.beat_soon()

    # --- the record, the answer
    async def _answer(self, exchange: Exchange, asked: Asked, reply: Reply) -> None:
        """Record, then answer. Without the record the consumer gets nothing of the provider's answer."""
        outcome = reply.outcome
        try:
            recorded = await self.runtime.ledger.submit(outcome, always=True)
        except (*LEDGER, Overloaded):
            recorded = await self._record_again(outcome)
        if not recorded:
            await self._send_problem(exchange, asked, Refused("record_failed"))
            return
        reached("recorded")
        self.runtime.tally.note(asked.service, outcome.outcome, outcome.total_us, outcome.provider_us)
        await exchange.answer(reply.status, reply.headers, reply.body)

    async def _record_again(self, outcome: Outcome) -> bool:
        """The commit was not confirmed: try for a few seconds. What was stored already is recognized as our own."""
        for pause in (0.2, 0.4, 0.8, 1.6, 2.0):
            await asyncio.sleep(pause)
            try:
                return await self.runtime.ledger.submit(outcome, always=True)
            except (*LEDGER, Overloaded):
                continue
        return False

    async def _fail(self, exchange: Exchange, asked: Asked) -> None:
        """Something broke that nobody foresaw. Before the admission that is a refusal like any other, and written down."""
        if asked.is_admitted:
            await self._send_problem(exchange, asked, Refused("internal"))
            return
        try:
            await self._refuse(exchange, asked, Refused("internal"))
        except Exception:
            log.exception("refusal of call %s", asked.call_id)
            await self._send_problem(exchange, asked, Refused("not_ready"))

    # --- refusals
    async def _refuse(self, exchange: Exchange, asked: Asked, refused: Refused) -> None:
        """Write the refusal down, then tell it. Strangers are counted instead, and what cannot be written at the moment."""
        runtime, row = self.runtime, refused.row
        if asked.token is None or not row.durable:
            await self.refuse_stranger(exchange, refused, asked)
            return
        if row.code not in ("not_ready", "overloaded"):
            try:
                await runtime.ledger.submit(self._refused_call(asked, refused))
            except (*LEDGER, Overloaded):
                refused = Refused("not_ready")
        if refused.code in ("not_ready", "overloaded"):
            runtime.count_stranger(refused.code, asked.source)
        else:
            runtime.counts["refused", refused.code] += 1
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
            asked = Asked(call_id, time.perf_counter(), exchange.method, "", None)
        self.runtime.count_stranger(refused.code, asked.source or exchange.peer or None)
        await self._send_problem(exchange, asked, refused)

    async def _send_problem(self, exchange: Exchange, asked: Asked, refused: Refused) -> None:
        status = refused.row.status
        await exchange.answer(status, *problems.answer(self.runtime.policy, asked, refused, status, exchange.language))


def _key_hash(key: str, environment: str) -> bytes:
    """Keys of the two environments never meet: a call that was tried out is not the call that counts. No key holds a space."""
    return hashlib.sha256((key if environment == Environment.PRODUCTION else f"{environment} {key}").encode()).digest()


def _is_json(body: bytes) -> bool:
    try:
        _ANY(body)
        body.decode("utf-8")
    except (ValueError, RecursionError):
        return False
    return True
