"""The bodies of refusals and failures: problem+json (RFC 9457) in Vietnamese or English."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlencode

import orjson
from django.conf import settings
from django.utils import timezone, translation

from apps.gateway.asked import Asked
from apps.gateway.policy import Policy
from apps.gateway.refusals import TABLE, Refusal, Refused

CONTENT_TYPE = b"application/problem+json"
_WEIGHT = re.compile(r"q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


NEEDED = {
    "request": ("service", "operation", "system", "purpose"), "service": ("service",), "services": (), "agreement": ("agreement",),
    "change": ("agreement", "service", "operation", "system", "purpose"),
    "renewal": ("agreement", "service", "operation", "system", "purpose"), "system": ("system",),
}  # fmt: skip
"""Place → the names its link carries. Codes only, all of them known to the caller."""


@lru_cache(maxsize=512)
def language_of(accept_language: str) -> str:
    """The better liked of Vietnamese and English (RFC 9110); Vietnamese when the program says nothing of either."""
    liked = {"vi": 0.0, "en": 0.0}
    for part in accept_language.lower().split(","):
        name, _semicolon, weight = part.partition(";")
        language = name.strip().split("-")[0]
        if language in liked:
            liked[language] = max(liked[language], _weight(weight))
    return "en" if liked["en"] > liked["vi"] else "vi"


def _weight(text: str) -> float:
    match = _WEIGHT.fullmatch(text.strip())
    return float(match[1]) if match else 0.0 if text.strip() else 1.0


@lru_cache(maxsize=512)
def _texts(code: str, language: str) -> tuple[str, str]:
    row = TABLE[code]
    with translation.override(language):
        return str(row.title), str(row.next_step)


def build(row: Refusal, language: str, call_id: str, facts: dict, about: dict[str, str], clause: str = "") -> bytes:
    """The body. `facts` concern the caller alone; `about` names what the link may carry (`NEEDED`)."""
    title, next_step = _texts(row.code, language)
    body = {
        "type": f"{settings.SITE_URL}/go/refusal/?code={row.code}",
        "title": title,
        "status": row.status,
        "code": row.code,
        "clause": clause or None,
        "call_id": call_id,
        "next_step": next_step,
        "request_url": link(row.fix, about),
        **facts,
    }
    return orjson.dumps({key: value for key, value in body.items() if value is not None})


def answer(
    policy: Policy | None, asked: Asked, refused: Refused, status: int, language: str
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body that tell a consumer why its call ends here."""
    row, facts = refused.row, {**refused.facts, "status": status}
    clause = policy.clause(row.basis, timezone.localdate().isoformat()) if policy and row.basis else ""
    body = build(row, language, asked.call_id, facts, _about(policy, asked, refused), clause)
    headers = [
        (b"x-call-id", asked.call_id.encode()),
        (b"content-type", CONTENT_TYPE),
        (b"cache-control", b"no-store"),
        (b"content-language", language.encode()),
    ]
    if wait := refused.facts.get("retry_after", row.retry_after):
        headers.append((b"retry-after", str(wait).encode()))
    if row.status == 401:
        challenge = b"Bearer" if row.code == "credential_missing" else b'Bearer error="invalid_token"'
        headers.append((b"www-authenticate", challenge))
    return headers, body


def _about(policy: Policy | None, asked: Asked, refused: Refused) -> dict[str, str]:
    """The names a link may carry."""
    about = {"service": asked.service, "system": _system(policy, asked), "purpose": asked.purpose}
    if asked.admission is not None:
        about["operation"] = asked.admission.operation.code
        about["agreement"] = asked.admission.agreement.number
    elif refused.operation is not None:
        about["operation"] = refused.operation.code
        about["agreement"] = _agreement(policy, asked, refused) if policy else ""
    about["agreement"] = str(refused.facts.get("agreement", about.get("agreement", "")))
    return about


def _system(policy: Policy | None, asked: Asked) -> str:
    """The code of the system whose token was shown, also where it may not call any more."""
    if asked.caller:
        return asked.caller.system.code
    credential = policy.rows["credential"].get(asked.token.credential_id) if policy and asked.token else None
    system = policy.rows["informationsystem"].get(credential.system_id) if credential else None
    return system.code if system else ""


def _agreement(policy: Policy, asked: Asked, refused: Refused) -> str:
    """The number of the agreement in question; where no grant was chosen, of the only one the caller has for the operation."""
    rights = policy.by_system.get(asked.caller.system.id, {}).get(refused.operation.id, ()) if asked.caller else ()
    numbers = {grant.agreement_id for grant in ((refused.grant,) if refused.grant else rights)}
    found = policy.rows["agreement"].get(numbers.pop()) if len(numbers) == 1 else None
    return found.number if found else ""


def link(fix: str, about: dict[str, str]) -> str | None:
    """Where a person mends what the refusal says: `/go/{fix}/` of the portal with the names it needs."""
    if not fix:
        return None
    query = urlencode({name: about[name] for name in NEEDED[fix] if about.get(name)})
    return f"{settings.SITE_URL}/go/{fix}/" + (f"?{query}" if query else "")
