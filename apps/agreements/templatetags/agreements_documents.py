"""Words of official documents: always Vietnamese, whatever language the portal is read in."""

from __future__ import annotations

import datetime

from django import template
from django.utils import timezone

from apps.agreements.choices import SignatureBasis

register = template.Library()
PERSONAL = {"none": "Không", "basic": "Cơ bản", "sensitive": "Nhạy cảm"}
METHOD = {"query": "tra cứu trực tuyến", "sync": "đồng bộ dữ liệu", "package": "đóng gói dữ liệu"}
BASIS = {
    SignatureBasis.STANDING_TERMS: "điều khoản chuẩn đã công bố, ký ngày",
    SignatureBasis.REQUEST: "ký yêu cầu ngày",
    SignatureBasis.PORTAL: "ký trên nền tảng ngày",
    SignatureBasis.PDF: "ký số ngày",
    SignatureBasis.PAPER: "ký văn bản giấy, tiếp nhận ngày",
    SignatureBasis.SUCCESSION: "kế thừa chữ ký ngày",
    SignatureBasis.OPEN_CLAUSE: "theo điều khoản mở, đã ký ngày",
}


@register.filter
def personal_data_name(code: str) -> str:
    return PERSONAL.get(code, code)


@register.filter
def method_name(code: str) -> str:
    return METHOD.get(code, code)


@register.filter
def vn_day(text: str) -> str:
    """2026-12-31 → 31/12/2026."""
    return datetime.date.fromisoformat(text).strftime("%d/%m/%Y")


@register.filter
def hand(signature) -> str:
    """How a party signed, in one line."""
    who = signature.signer.full_name if signature.signer else signature.signer_name
    day = timezone.localtime(signature.signed_at).strftime("%d/%m/%Y")
    return f"{who} ({signature.party.organization.name}; {BASIS[signature.basis]} {day})"
