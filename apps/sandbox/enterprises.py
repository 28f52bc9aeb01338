"""The national business registration database (ĐKDN), with made-up companies only.

Everything is derived from a number by a hash, so that every process and every test sees the same country: company n has
the code 099nnnnnnn (no real tax code begins so), a name with the word MẪU, and a representative who is nobody.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta
from functools import lru_cache

from apps.sandbox import catalogs

COMPANIES = 500
FIRST_DAY = date(2019, 1, 2)
MAX_DAYS = 5
MAX_LIMIT = 200
_KINDS = (("DN_TNHH1", "Công ty trách nhiệm hữu hạn một thành viên", "CÔNG TY TNHH MỘT THÀNH VIÊN"),
          ("DN_TNHH2", "Công ty trách nhiệm hữu hạn hai thành viên trở lên", "CÔNG TY TNHH"),
          ("DN_CP", "Công ty cổ phần", "CÔNG TY CỔ PHẦN"), ("DN_TN", "Doanh nghiệp tư nhân", "DOANH NGHIỆP TƯ NHÂN"))  # fmt: skip
_TRADES = (("4100", "Xây dựng nhà các loại", "XÂY DỰNG"), ("0118", "Trồng rau, đậu các loại và trồng hoa", "NÔNG SẢN"),
           ("6201", "Lập trình máy vi tính", "PHẦN MỀM"), ("5510", "Dịch vụ lưu trú ngắn ngày", "DU LỊCH"),
           ("4933", "Vận tải hàng hóa bằng đường bộ", "VẬN TẢI"), ("1629", "Sản xuất sản phẩm khác từ gỗ", "LÂM SẢN"))  # fmt: skip
_PROVINCE = "19"
"""Thái Nguyên, into which Bắc Kạn went on 2025-07-01."""


def _roll(text: str, below: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") % below


def code_of(number: int) -> str:
    return f"099{number:07d}"


@lru_cache(maxsize=1)
def _wards() -> list[dict]:
    day = date(2025, 7, 1)
    return [unit for unit in catalogs.rows("donvihanhchinhcap3", day) if unit["MaCapTren"] == _PROVINCE]


@lru_cache(maxsize=COMPANIES)
def company(number: int) -> dict:
    """The `Data` block of company `number` (1-based). Keys are the wire's, with HOAdress misspelt as it is there."""
    seed = f"company {number}"
    kind_id, kind_name, prefix = _KINDS[_roll(seed + "kind", len(_KINDS))]
    trade_code, trade_name, word = _TRADES[_roll(seed + "trade", len(_TRADES))]
    founded = FIRST_DAY + timedelta(days=_roll(seed + "day", 2300))
    changes = _roll(seed + "changes", 6)
    amended = founded + timedelta(days=30 * changes)
    ward = _wards()[_roll(seed + "ward", len(_wards()))]
    capital = (1 + _roll(seed + "capital", 200)) * 100_000_000
    street = f"Số {1 + _roll(seed + 'street', 300)}, Đường Mẫu"
    person = f"NGƯỜI ĐẠI DIỆN MẪU {number:04d}"
    return {
        "MainInformation": {
            "ENTERPRISE_ID": number, "ENTERPRISE_GDT_CODE": code_of(number), "IMP_BUSINESS_CODE": None,
            "ENTERPRISE_TYPE_ID": kind_id, "ENTERPRISE_TYPE_NAME": kind_name, "NAME": f"{prefix} {word} MẪU {number:04d}",
            "SHORT_NAME": f"MAU {number:04d}", "NAME_F": f"SAMPLE COMPANY {number:04d}", "FOUNDING_DATE": f"{founded:%d/%m/%Y}",
            "LAST_AMEND_DATE": f"{amended:%d/%m/%Y}" if changes else None, "NUMBER_CHANGES": changes,
            "ENTERPRISE_STATUS": "1" if _roll(seed + "status", 12) else "2", "LEGAL_NAMES": person, "CAPITAL_AMOUNT": capital,
        },
        "HOAdress": {
            "CityID": int(_PROVINCE), "CityName": "Tỉnh Thái Nguyên", "DistrictID": None, "DistrictName": None,
            "WardID": int(ward["MaXa"]), "WardName": ward["TenXa"], "StreetNumber": street,
            "AddressFullText": f"{street}, {ward['TenXa']}, Tỉnh Thái Nguyên",
        },
        "Representatives": {"FULL_NAME": person},
        "BusinessActivity": [{"CODE": trade_code, "NAME": trade_name, "IS_MAIN": "Y"},
                             {"CODE": "4690", "NAME": "Bán buôn tổng hợp", "IS_MAIN": "N"}],
        "Member": [{"MEMBER_NAME": f"THÀNH VIÊN MẪU {number:04d}-{m}", "AMOUNT": capital / 2, "RATIO_PERCENT": 50.0, "COUNTRY": "Việt Nam"}
                   for m in (1, 2)] if kind_id in ("DN_TNHH2", "DN_CP") else [],
    }  # fmt: skip


def detail(code: str) -> dict:
    """`chiTietDoanhNghiep`: an unknown code is a success without `Data.MainInformation`."""
    known = len(code) == 10 and code.startswith("099") and code.isdigit() and 1 <= int(code[3:]) <= COMPANIES
    if not known:
        return {"Status": "1", "Message": "success", "DataCount": 0, "Data": {}}
    return {"Status": "1", "Message": "success", "DataCount": 1, "Data": company(int(code[3:]))}


def failure(message: str) -> dict:
    return {"Status": "0", "Message": message, "DataCount": 0, "Data": []}


@lru_cache(maxsize=4096)
def _dossiers(day: date) -> tuple[dict, ...]:
    """The dossiers received on `day`: none at weekends, up to eight otherwise, at fixed minutes of the working day."""
    if day.weekday() > 4 or day < FIRST_DAY:
        return ()
    return tuple(_dossier(day, n) for n in range(1, 1 + _roll(f"dossiers {day}", 9)))


def _dossier(day: date, n: int) -> dict:
    seed = f"dossier {day} {n}"
    number = 1 + _roll(seed + "company", COMPANIES)
    minute = 8 * 60 + _roll(seed + "minute", 9 * 60)
    block = company(number)["MainInformation"]
    return {
        "IN_JOURNAL_NO": f"{day:%y%m%d}{n:04d}", "DOCUMENT_TYPE": "NEW" if _roll(seed + "type", 4) == 0 else "AMEND",
        "ENTERPRISE_CODE": str(number), "ENTERPRISE_GDT_CODE": block["ENTERPRISE_GDT_CODE"], "NAME": block["NAME"],
        "SITE_ID": _PROVINCE, "RECEIPT_DATE": f"{day:%d/%m/%Y}", "PLAN_DATE": f"{day + timedelta(days=3):%d/%m/%Y}",
        "PROCESS_STATUS": "3", "ENTERPRISE_TYPE_ID": block["ENTERPRISE_TYPE_ID"], "_time": f"{minute // 60:02d}:{minute % 60:02d}",
    }  # fmt: skip


_LISTED = ("IN_JOURNAL_NO", "DOCUMENT_TYPE", "ENTERPRISE_CODE", "ENTERPRISE_GDT_CODE", "NAME", "SITE_ID", "RECEIPT_DATE", "PLAN_DATE",
           "PROCESS_STATUS")  # fmt: skip
_TODAY = ("IN_JOURNAL_NO", "DOCUMENT_TYPE", "ENTERPRISE_GDT_CODE", "NAME", "SITE_ID", "PROCESS_STATUS")


def dossiers(query: dict[str, str], today: date) -> dict:
    """`danhSachHoSo`: from_date, to_date (dd/MM/yyyy, both included, at most five days), offset, limit."""
    try:
        first, last = (datetime.strptime(query[name], "%d/%m/%Y").date() for name in ("from_date", "to_date"))
        offset, limit = _page(query)
    except (KeyError, ValueError):
        return failure("Tham số không hợp lệ")
    if not timedelta(0) <= last - first < timedelta(days=MAX_DAYS):
        return failure(f"Khoảng thời gian tối đa {MAX_DAYS} ngày")
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    found = [dossier for day in days if day <= today for dossier in _dossiers(day)]
    return _listed([{name: d[name] for name in _LISTED} for d in found], offset, limit)


def dossiers_today(query: dict[str, str], today: date) -> dict:
    """`danhSachHoSoTrongNgay`: from_ts, to_ts (HH:mm), offset, limit."""
    try:
        first, last = (datetime.strptime(query[name], "%H:%M").strftime("%H:%M") for name in ("from_ts", "to_ts"))
        offset, limit = _page(query)
    except (KeyError, ValueError):
        return failure("Tham số không hợp lệ")
    found = [{**{name: d[name] for name in _TODAY}, "PROCESSED_DATE": d["RECEIPT_DATE"]}
             for d in _dossiers(today) if first <= d["_time"] <= last]  # fmt: skip
    return _listed(found, offset, limit)


def dossier_state(query: dict[str, str], today: date) -> dict:
    """`tinhTrangHoSo`: one dossier by in_journal_no."""
    number = query.get("in_journal_no", "")
    try:
        day = datetime.strptime(number[:6], "%y%m%d").date()
    except ValueError:
        return failure("Tham số không hợp lệ")
    for dossier in _dossiers(day) if day <= today else ():
        if dossier["IN_JOURNAL_NO"] == number:
            contact = {"CONTACT_FULL_NAME": f"NGƯỜI NỘP MẪU {number}", "CONTACT_ADDRESS": "Địa chỉ mẫu", "CONTACT_ID_NO": None,
                       "CONTACT_PHONE": None, "CONTACT_EMAIL": None}  # fmt: skip
            extra = {"ENTERPRISE_TYPE_ID": dossier["ENTERPRISE_TYPE_ID"], "REGISTRATION_DATE": dossier["RECEIPT_DATE"],
                     "SUPPLEMENT_DATE": None, "SUBMISSION_TYPE": "ONLINE", **contact}  # fmt: skip
            return {"Status": "1", "Message": "success", "DataCount": 1,
                    "Data": [{**{name: dossier[name] for name in _LISTED}, **extra}]}  # fmt: skip
    return {"Status": "1", "Message": "success", "DataCount": 0, "Data": []}


def _page(query: dict[str, str]) -> tuple[int, int]:
    offset, limit = int(query.get("offset", "0")), int(query.get("limit", "100"))
    if offset < 0 or not 1 <= limit <= MAX_LIMIT:
        raise ValueError
    return offset, limit


def _listed(found: list[dict], offset: int, limit: int) -> dict:
    return {"Status": "1", "Message": "success", "DataCount": len(found), "Data": found[offset : offset + limit]}
