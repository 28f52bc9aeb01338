"""From the provider's answer to what the consumer gets: checked, cut, translated, with the outcome that is recorded first."""

from __future__ import annotations

import hashlib
import logging
from time import perf_counter

from apps.gateway import problems
from apps.gateway.asked import Asked, Reply
from apps.gateway.choices import Outcome as Ending
from apps.gateway.decision import Admission
from apps.gateway.digests import subject_pseudonym
from apps.gateway.exchange import Exchange
from apps.gateway.outcomes import FieldSets, Outcome
from apps.gateway.plans import Plan
from apps.gateway.policy import Policy
from apps.gateway.provider_connections import Answer, ProviderFailed
from apps.gateway.refusals import Refused

log = logging.getLogger("lgsp.gateway")
_DELIVERED, _PROVIDER_ERROR, _PROVIDER_FAILED = (
    Ending.DELIVERED.value,
    Ending.PROVIDER_ERROR.value,
    Ending.PROVIDER_FAILED.value,
)


async def delivered(
    field_sets: FieldSets, exchange: Exchange, asked: Asked, plan: Plan, answer: Answer, provider_us: int
) -> Reply:
    """A usable answer of the provider (2xx), cut. Raises NotWellFormed, ProviderFailed."""
    body, mask, status, head = b"", 0, answer.status, answer.head
    headers = [(b"x-call-id", asked.call_id.encode())]
    if status not in (204, 205):
        if wrong := head.not_xml if plan.is_xml else head.not_json:
            raise ProviderFailed(wrong)
        body, mask = plan.knife.cut(answer.body)
        if plan.codes is not None:
            body, marked = plan.codes.translate(body)
            headers.append((b"x-code-translation", f"{plan.codes.note};marked={marked}".encode()))
        body, kind = exchange.rendered(body, plan.knife.content_type, plan.operation.code)
        headers.append((b"content-type", kind))
    headers += head.passed
    if plan.withheld:
        headers.append((b"x-withheld-fields", plan.header))
    ids = plan.ids.get(mask)
    if ids is None or ids[2] != field_sets.generation:
        ids = plan.ids[mask] = await _stored(field_sets, plan, mask)
    subject = asked.admission.subject
    outcome = Outcome(
        asked.call_id, ids[0], ids[1], len(asked.body), len(answer.body), len(body), provider_us, microseconds(asked.began),
        status, status, _DELIVERED, "", hashlib.sha256(body).digest(),
        subject_pseudonym(asked.admission.service.uuid, subject) if subject else None,
    )  # fmt: skip
    return Reply(status, headers, body, outcome)


async def _stored(field_sets: FieldSets, plan: Plan, mask: int) -> tuple[int | None, int | None, int]:
    """The ids of the sets of names an answer delivers and withholds, and the generation of ids they belong to."""
    generation = field_sets.generation
    return await _id_of(field_sets, plan.knife.delivered(mask)), await _id_of(field_sets, plan.withheld), generation


async def _id_of(field_sets: FieldSets, names: tuple[str, ...]) -> int | None:
    try:
        return field_sets.known(names)
    except KeyError:
        return await field_sets.store(names)


def provider_error(policy: Policy | None, exchange: Exchange, asked: Asked, answer: Answer, provider_us: int) -> Reply:
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
    return _problem(policy, exchange, asked, refused, given, _PROVIDER_ERROR, answer, provider_us)


def fault(policy: Policy | None, exchange: Exchange, asked: Asked, code: str, answer: Answer, provider_us: int) -> Reply:
    """The provider's message says that the call failed (SOAP)."""
    refused = Refused(code, provider_status=answer.status)
    return _problem(policy, exchange, asked, refused, refused.row.status, _PROVIDER_ERROR, answer, provider_us)


def failure(
    policy: Policy | None, exchange: Exchange, asked: Asked, code: str, answer: Answer | None, provider_us: int
) -> Reply:
    """The provider was not reached, or nothing it said could be used."""
    refused = Refused(code)
    return _problem(policy, exchange, asked, refused, refused.row.status, _PROVIDER_FAILED, answer, provider_us)


def _problem(policy, exchange, asked: Asked, refused: Refused, status: int, ending: str, answer, provider_us: int) -> Reply:
    headers, body = problems.answer(policy, asked, refused, status, exchange.language)
    return Reply(status, headers, body, outcome_of(asked, ending, refused.code, status, answer, body, provider_us))


def outcome_of(
    asked: Asked, ending: str, code: str, status: int, answer: Answer | None, body: bytes, provider_us: int
) -> Outcome:
    """The outcome of a call of which nothing was delivered."""
    provider_bytes, provider_status = (len(answer.body), answer.status) if answer is not None else (0, None)
    return Outcome(
        asked.call_id, None, None, len(asked.body), provider_bytes, len(body), provider_us, microseconds(asked.began), status,
        provider_status, ending, code, None, _pseudonym(asked.admission),
    )  # fmt: skip


def _pseudonym(admission: Admission) -> bytes | None:
    """Whose data was asked for. That a call failed is put on record also without it."""
    try:
        return subject_pseudonym(admission.service.uuid, admission.subject) if admission.subject else None
    except Exception:
        log.exception("a failed call is recorded without its data subject")
        return None


def microseconds(since: float) -> int:
    """From `since` (of `time.perf_counter`) until now."""
    took = int((perf_counter() - since) * 1e6)
    return took if took < 2_000_000_000 else 2_000_000_000
