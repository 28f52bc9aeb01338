"""The bodies of refusals and failures: problem+json (RFC 9457) in Vietnamese or English."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlencode

import orjson
from django.conf import settings
from django.utils import translation

from apps.gateway.refusals import TABLE, Refusal

CONTENT_TYPE = b"application/problem+json"


def language_of(accept_language: str) -> str:
    """Vietnamese unless the program asks for English first."""
    return "en" if accept_language.strip().lower().startswith("en") else "vi"


@lru_cache(maxsize=512)
def _texts(code: str, language: str) -> tuple[str, str]:
    row = TABLE[code]
    with translation.override(language):
        return str(row.title), str(row.next_step)


def build(row: Refusal, language: str, call_id: str, facts: dict, about: dict[str, str]) -> bytes:
    """The body. `facts` concern the caller alone; `about` names service, operation, system, agreement for the link."""
    title, next_step = _texts(row.code, language)
    body = {
        "type": f"{settings.SITE_URL}/go/refusal/?code={row.code}",
        "title": title,
        "status": row.status,
        "code": row.code,
        "clause": row.clause or None,
        "call_id": call_id,
        "next_step": next_step,
        "request_url": link(row.fix, about),
        **facts,
    }
    return orjson.dumps({key: value for key, value in body.items() if value is not None})


def link(fix: str, about: dict[str, str]) -> str | None:
    """Where a person mends what the refusal says: `/go/{fix}/` of the portal with the names it needs."""
    if not fix:
        return None
    needed = {"request": ("service", "operation", "system"), "service": ("service",), "agreement": ("agreement", "system"),
              "system": ("system",)}.get(fix, ())  # fmt: skip
    query = urlencode({name: about[name] for name in needed if about.get(name)})
    return f"{settings.SITE_URL}/go/{fix}/" + (f"?{query}" if query else "")
