"""Words of official documents: always Vietnamese, whatever language the portal is read in."""

from __future__ import annotations

import datetime

from django import template
from django.utils import timezone, translation

from apps.agreements import assessments, representatives
from apps.agreements.choices import SignatureBasis

register = template.Library()
PERSONAL = {"none": "Không", "basic": "Cơ bản", "sensitive": "Nhạy cảm"}
METHOD = {"query": "tra cứu trực tuyến", "sync": "đồng bộ dữ liệu", "package": "đóng gói dữ liệu"}
NETWORK = {"tslcd": "mạng truyền số liệu chuyên dùng", "internet": "Internet"}
PROTOCOL = {"rest": "REST", "soap": "SOAP"}
BASIS = {
    SignatureBasis.STANDING_TERMS: "điều khoản chuẩn đã công bố, ký ngày",
    SignatureBasis.REQUEST: "ký yêu cầu ngày",
    SignatureBasis.PORTAL: "ký trên nền tảng ngày",
    SignatureBasis.PDF: "ký số ngày",
    SignatureBasis.PAPER: "ký văn bản giấy, tiếp nhận ngày",
    SignatureBasis.SUCCESSION: "kế thừa chữ ký ngày",
    SignatureBasis.CARRIED: "giữ nguyên chữ ký ngày",
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
def sentence(text: str) -> str:
    """The words with one full stop at their end, whether they came with one or not."""
    return f"{text.rstrip().rstrip('.')}."


@register.filter
def vn_number(number: int) -> str:
    """20000 → 20.000."""
    return f"{number:,}".replace(",", ".")


def basis_words(signature) -> str:
    """How and when a party signed."""
    day = timezone.localtime(signature.signed_at).strftime("%d/%m/%Y")
    return f"({BASIS[signature.basis]} {day})"


@register.filter
def network_names(codes: list[str]) -> str:
    return ", ".join(NETWORK.get(code, code) for code in codes)


@register.filter
def protocol_names(codes: list[str]) -> str:
    return ", ".join(PROTOCOL.get(code, code.upper()) for code in codes)


@register.filter
def party_name(code: str, content: dict) -> str:
    """The name of a party by its code; the code itself for one that is no party (any more)."""
    names = {row["code"]: row["name"] for side in ("providers", "consumers") for row in content[side]}
    return names.get(code, code)


@register.filter
def party_names(codes: list[str], rows: list[dict]) -> str:
    return ", ".join(row["name"] for row in rows if row["code"] in codes)


@register.filter
def system_name(code: str, content: dict) -> str:
    return next((row["name"] for row in content["systems"] if row["code"] == code), code)


@register.filter
def service_name(code: str, content: dict) -> str:
    return next((row["service_name"] for row in content["scope"] if row["service"] == code), code)


@register.filter
def assessed(content: dict) -> list[dict]:
    """What each consumer says of sensitive data: `name` (empty in a content that does not say whose it is), `exemption`, `files`."""
    named = assessments.KEY in content["personal_data"]
    return [{**row, "name": party_name(row["organization"], content) if named else ""} for row in assessments.stated(content)]


@register.filter
def people(rows: list[dict] | None) -> str:
    """Who represents a party: “; đại diện: …, chức vụ …, theo văn bản ủy quyền/phân công số …”."""
    with translation.override("vi"):
        named = [representatives.words(row) for row in rows or []]
    return f"; đại diện: {'; '.join(named)}" if named else ""


@register.filter
def contact(row: dict) -> str:
    if row.get("technician"):
        return f"đầu mối kỹ thuật: {row['technician']}"
    return ", ".join(row[part] for part in ("name", "position", "phone", "email") if row.get(part))
