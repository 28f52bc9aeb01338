"""Well-formed bodies, so that a row says who may take the step and not who forgot a field.

By the end of the API's address; "$name" stands for the identifier the world uses after the segment `name`. A step that
needs nothing gets `{}`.
"""

from __future__ import annotations

from tests.factories.accounts import PASSWORD

HASH = "0" * 64
REASON = {"reason": "Lý do"}
FORM = {
    "version": "1", "answer": "Đáp",
    "reason": "Lý do", "comment": "Ý kiến", "note": "Ghi chú", "text": "Ý kiến", "kind": "violation", "violation": "x",
    "handling_plan": "x", "plan": "x", "restore_conditions": "x",
}  # fmt: skip
"""What the portal's small forms ask for, all of it at once."""
BODIES: dict[str, dict] = {
    "legal-rules/{code}/change": {"value": "3", "citation": "x", "effective_from": "2030-01-01", "evidence": "D"},
    "refusal-grounds": {"code": "R7", "name": "x", "citation": "x", "effective_from": "2030-01-01"},
    "refusal-grounds/{code}/change": {"name": "x", "citation": "x", "effective_from": "2030-01-01"},
    "refusal-grounds/{code}/end": {"effective_to": "2030-01-01"},
    "legal-bases/{code}/change": {"citation": "x", "effective_from": "2030-01-01"},
    "calendar-days": {"day": "2030-01-02", "is_working": True, "reason": "x", "citation": "x"},
    "requests/{uuid}/refuse": {"ground": "R1", "reason": "Lý do", "citation": "NĐ 47/2020/NĐ-CP Điều 51"},
    "requests/{uuid}/return": {"remarks": [{"field": "purpose_text", "text": "Nêu rõ."}]},
    "requests/{uuid}/sign": {"content_hash": HASH, "password": PASSWORD},
    "agreements/{uuid}/acceptances": {"system": "$systems", "tested_on": "2026-01-05", "summary": "x"},
    "agreements/{uuid}/extend-test": {"system": "$systems", **REASON},
    "agreements/{uuid}/agree": {"content_hash": HASH},
    "agreements/{uuid}/decline": REASON,
    "agreements/{uuid}/decline-change": REASON,
    "agreements/{uuid}/reopen": REASON,
    "agreements/{uuid}/propose": {"changes": {"other_terms": "x"}, "note": "x"},
    "agreements/{uuid}/planned-suspensions": {
        "starts_at": "2030-01-01T08:00:00+07:00", "ends_at": "2030-01-02T08:00:00+07:00", "reason": "Bảo trì",
    },
    "agreements/{uuid}/consumer-suspensions": {
        "consumer": "$organizations", "violation": "x", "plan": "x", "restore_conditions": "x",
    },
    "agreements/{uuid}/sign": {"content_hash": HASH, "password": PASSWORD},
    "agreements/{uuid}/suspend": {
        "kind": "violation", "violation": "x", "plan": "x", "handling_plan": "x", "restore_conditions": "x",
    },
    "agreements/{uuid}/leave": REASON,
    "agreements/{uuid}/terminate": {"ground": "authority", **REASON},
    "acceptances/{uuid}/reject": {"comment": "Lý do"},
    "grants/{uuid}/suspend": REASON,
    "grants/{uuid}/end": REASON,
    "credentials/{uuid}/revoke": REASON,
    "credentials": {"system": "$systems", "environment": "test"},
    "requests": {"consumer": "$organizations"},
    "requests/paper": {"consumer": "$organizations", "received_on": "2026-01-05", "paper_signer": "Giám đốc"},
    "requests/{uuid}/comments": {"text": "Ý kiến"},
    "requests/{uuid}/assign": {"handler": "$handlers"},
    "agreements/{uuid}/change": {},
    "disputes/{uuid}/answer": {"text": "Trả lời"},
    "disputes/{uuid}/escalate": REASON,
    "disputes/{uuid}/resolve": {"outcome": "Đã xong"},
    "disputes/{uuid}/document-sent": {"sent_to": "Bộ", "number": "1", "day": "2026-01-05"},
    "tickets/{uuid}/answer": {"answer": "Trả lời"},
    "tickets/{uuid}/ask-again": {"text": "Hỏi lại"},
    "joining/{number}": {"consumer": "$organizations"},
    "services": {"provider": "$providers", "code": "dich-vu-moi", "name": "Dịch vụ mới"},
    "usage-regulations/{uuid}/sign": {"password": PASSWORD},
    "usage-regulations": {
        "organization": "$providers", "number": "9/QĐ", "title": "Quy chế", "issued_on": "2026-01-05",
        "effective_from": "2026-02-01", "terms": "Điều khoản",
    },
    "systems": {"organization": "$organizations", "code": "he-thong-moi", "name": "Hệ thống mới"},
    "services/{code}/suspend": REASON,
    "services/{code}/resume": REASON,
    "services/{code}/retire": REASON,
    "service-versions/{uuid}/retire": REASON,
    "service-versions/{uuid}/deprecate": {"until": "2030-01-01"},
    "service-versions/{uuid}/postpone": {"until": "2030-01-01"},
    "organizations": {"code": "H03.99", "name": "Cơ quan mới"},
    "organizations/{code}/suspend": REASON,
    "organizations/{code}/close": REASON,
    "organizations/{code}/focal-points": {"name": "A", "position": "B", "phone": "0209 1", "email": "a@example.vn"},
    "systems/{code}/suspend": REASON,
    "systems/{code}/retire": REASON,
    "people": {"username": "nguoi-moi", "full_name": "Người mới"},
    "people/{uuid}/disable": REASON,
    "people/{uuid}/enable": REASON,
    "memberships/{uuid}": {"authority": "12/QĐ"},
    "memberships/{uuid}/end": REASON,
    "catalogs/{catalog}/releases": {"rows": [{"code": "1", "name": "Một"}]},
    "catalogs/{catalog}/translate": {"codes": ["1"], "from": "2025-01-01", "to": "2026-01-01"},
    "catalogs/{catalog}/crosswalk": {"codes": ["1"], "to": "$crosswalk"},
    "catalogs/{catalog}/prefer": {"over": "$crosswalk", "basis": "x"},
    "catalogs/{catalog}/part": REASON,
    "catalogs/{catalog}/levels/{level}/items/{code}/correct": {
        "valid_on": "2026-01-01", "note": "x", "facts": {"name": "Tên đúng"},
    },
    "maintenance": {
        "service": "$services", "starts_at": "2030-01-01T08:00:00+07:00", "ends_at": "2030-01-01T12:00:00+07:00", "reason": "Nâng cấp",
    },
    "calls/about-a-person": {"identifiers": ["0999999999"], "reason": "Phiếu 1/2026", "since": "2026-01-01T00:00:00+07:00"},
    "catalog-webhooks": {"catalog": "$catalogs", "system": "$systems", "url": "http://127.0.0.1:8099/"},
    "catalog-releases/{uuid}/reject": {"note": "x"},
    "catalog-releases/{uuid}/undo": {"note": "x"},
    "feedback": {"service": "$services", "text": "Hỏi"},
    "feedback/{uuid}/answer": {"answer": "Đáp"},
    "purposes": {"code": "muc-dich-moi", "name": "Mục đích mới"},
}  # fmt: skip


def body_of(route: str, objects: dict[str, str]) -> dict:
    """The body for this route with the world's identifiers filled in."""
    given = BODIES.get(route.removeprefix("/api/v1/"), {})
    return {
        name: objects[value[1:]] if isinstance(value, str) and value.startswith("$") else value for name, value in given.items()
    }
