"""Shared catalogs (danh mục dùng chung, DMDC) as NGSP serves them: bare arrays, no paging, no dates of validity, no delta.

The feed is that of one day. Real catalogs come from `apps/catalogs/data` as files; short lists that no public source
gives completely are samples and say so in `CategoryName`. Column names of administrative units are inferred (no
published metadata is known), therefore a setting of every client.
"""

from __future__ import annotations

import csv
from datetime import date
from functools import lru_cache
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "catalogs" / "data"
REFORM = date(2025, 7, 1)

ADMINISTRATIVE = {"donvihanhchinhcap1": "province", "donvihanhchinhcap2": "district", "donvihanhchinhcap3": "commune"}

COLUMNS: dict[str, list[tuple[str, str, str]]] = {
    "donvihanhchinhcap1": [("MaTinh", "Mã tỉnh", "String"), ("TenTinh", "Tên tỉnh", "String"), ("LoaiHinh", "Loại", "String")],
    "donvihanhchinhcap2": [("MaHuyen", "Mã huyện", "String"), ("TenHuyen", "Tên huyện", "String"),
                           ("LoaiHinh", "Loại", "String"), ("MaTinh", "Mã tỉnh", "String")],
    "donvihanhchinhcap3": [("MaXa", "Mã xã", "String"), ("TenXa", "Tên xã", "String"), ("LoaiHinh", "Loại", "String"),
                           ("MaCapTren", "Mã đơn vị cấp trên", "String")],
    "madantoc": [("MaDanToc", "Mã dân tộc", "String"), ("TenDanToc", "Tên dân tộc", "String"), ("TenGoiKhac", "Tên gọi khác", "String")],
    "maquocgia": [("MaQuocGia", "Mã quốc gia", "String"), ("MaAlpha3", "Mã 3 chữ", "String"), ("MaSo", "Mã số", "String"),
                  ("TenQuocGia", "Tên quốc gia", "String")],
    "matongiao": [("MaTonGiao", "Mã tôn giáo", "String"), ("TenTonGiao", "Tên tôn giáo", "String")],
    "magioitinh": [("MaGioiTinh", "Mã giới tính", "String"), ("TenGioiTinh", "Tên giới tính", "String")],
    "machucdanh": [("MaChucDanh", "Mã chức danh", "String"), ("TenChucDanh", "Tên chức danh", "String")],
    "matenvanbanhanhchinh": [("MaLoaiVanBan", "Mã loại văn bản", "String"), ("TenLoaiVanBan", "Tên loại văn bản", "String")],
    "dokhanvanban": [("MaDoKhan", "Mã độ khẩn", "String"), ("TenDoKhan", "Tên độ khẩn", "String")],
    "qlvanbandieuhanhcap1": [(name, name, "DateTime" if name.startswith("Ngay") else "String") for name in (
        "MaDinhDanhCap1", "TenDonVi", "DiaChi", "Email", "SoDienThoai", "Fax", "Website", "QdBanHanhQdSuaDoi", "NgayBanHanhQd",
        "CoQuanBanHanhQd")],
    "qlvanbandieuhanhcap2": [(name, name, "DateTime" if name.startswith("Ngay") else "String") for name in (
        "MaDinhDanhCap2", "MaDinhDanhCap1", "TenDonVi", "DiaChi", "Email", "SoDienThoai", "Fax", "Website", "QdBanHanhQdSuaDoi",
        "NgayBanHanhQd", "CoQuanBanHanhQd")],
}  # fmt: skip
"""PropertyCode, PropertyName, PropertyType by category; the first column is the key."""

TITLES = {
    "donvihanhchinhcap1": "Đơn vị hành chính cấp tỉnh",
    "donvihanhchinhcap2": "Đơn vị hành chính cấp huyện",
    "donvihanhchinhcap3": "Đơn vị hành chính cấp xã",
    "madantoc": "Mã dân tộc",
    "maquocgia": "Mã quốc gia",
    "matongiao": "Mã tôn giáo",
    "magioitinh": "Mã giới tính (mẫu)",
    "machucdanh": "Mã chức danh (mẫu)",
    "matenvanbanhanhchinh": "Tên loại văn bản hành chính (mẫu)",
    "dokhanvanban": "Độ khẩn văn bản (mẫu)",
    "qlvanbandieuhanhcap1": "Mã định danh cơ quan cấp 1 (chưa đầy đủ)",
    "qlvanbandieuhanhcap2": "Mã định danh cơ quan cấp 2 (trống, nhận cập nhật)",
}

SAMPLES = {
    "magioitinh": [("1", "Nam"), ("2", "Nữ"), ("3", "Khác")],
    "dokhanvanban": [("1", "Thường"), ("2", "Khẩn"), ("3", "Thượng khẩn"), ("4", "Hỏa tốc")],
    "machucdanh": [(f"CV{number:02d}", name) for number, name in enumerate((
        "Chủ tịch Ủy ban nhân dân", "Phó Chủ tịch Ủy ban nhân dân", "Giám đốc", "Phó Giám đốc", "Chánh Văn phòng",
        "Phó Chánh Văn phòng", "Trưởng phòng", "Phó Trưởng phòng", "Chuyên viên", "Văn thư"), start=1)],
    # The 29 kinds of administrative documents of NĐ 30/2020/NĐ-CP, Điều 7; the codes are ours.
    "matenvanbanhanhchinh": [(f"VB{number:02d}", name) for number, name in enumerate((
        "Nghị quyết", "Quyết định", "Chỉ thị", "Quy chế", "Quy định", "Thông cáo", "Thông báo", "Hướng dẫn", "Chương trình", "Kế hoạch",
        "Phương án", "Đề án", "Dự án", "Báo cáo", "Biên bản", "Tờ trình", "Hợp đồng", "Công văn", "Công điện", "Bản ghi nhớ",
        "Bản thỏa thuận", "Giấy ủy quyền", "Giấy mời", "Giấy giới thiệu", "Giấy nghỉ phép", "Phiếu gửi", "Phiếu chuyển", "Phiếu báo",
        "Thư công"), start=1)],
}  # fmt: skip


@lru_cache(maxsize=16)
def _file(name: str) -> tuple[dict[str, str], ...]:
    with (DATA / name).open(encoding="utf-8", newline="") as lines:
        return tuple(csv.DictReader(lines))


def all_categories() -> list[dict]:
    return [{"CategoryCode": code, "CategoryName": TITLES[code]} for code in COLUMNS]


def metadata(code: str) -> list[dict]:
    return [{"PropertyCode": c, "PropertyName": name, "PropertyType": kind} for c, name, kind in COLUMNS[code]]


def rows(code: str, day: date) -> list[dict]:
    """All rows of a category as of `day`. Raises KeyError for a category that does not exist."""
    names = [column[0] for column in COLUMNS[code]]
    return [dict(zip(names, values, strict=True)) for values in _values(code, day)]


@lru_cache(maxsize=64)
def _values(code: str, day: date) -> tuple[tuple, ...]:
    if code in ADMINISTRATIVE:
        return tuple(_units(ADMINISTRATIVE[code], day))
    if code == "madantoc":
        return tuple((r["code"], r["name"], r["other_names"] or None) for r in _file("ethnic-groups.csv"))
    if code == "maquocgia":
        return tuple((r["code"], r["alpha3"], r["numeric"], r["name"]) for r in _file("countries.csv"))
    if code == "matongiao":
        return tuple((r["code"], r["name"]) for r in _file("religions.csv"))
    if code == "qlvanbandieuhanhcap1":
        agencies = _file("agency-identifiers.csv")
        return tuple(
            (r["code"], r["name"], *[None] * 5, "20/2020/QĐ-TTg", "22/07/2020", "Thủ tướng Chính phủ") for r in agencies
        )
    if code == "qlvanbandieuhanhcap2":
        return ()
    return tuple(SAMPLES[code])


def _units(level: str, day: date):
    if day < REFORM:
        units = [unit for unit in _file("administrative-units-legacy.csv") if unit["level"] == level]
    else:
        units = [unit for unit in _file("administrative-units-2025.csv") if unit["level"] == level]
    changes = {c["code"]: c for c in _file("administrative-unit-changes-2026.csv")
               if c["level"] == level and date.fromisoformat(c["effective_date"]) <= day}  # fmt: skip
    for unit in units:
        change = changes.get(unit["code"]) if day >= REFORM else None
        name, kind = (change["new_full_name"], change["new_type"]) if change else (unit["full_name"], unit["type"])
        yield (unit["code"], name, kind) if level == "province" else (unit["code"], name, kind, unit["parent_code"])


def insert(stored: list[dict], code: str, day: date, given: object) -> dict:
    """Add pushed rows to `stored`, all or none, and answer as NGSP does: success is told by MSG and Count."""
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        return {"MSG": "Data not insert: body must be an array of records", "Count": 0}
    key = COLUMNS[code][0][0]
    allowed = {column[0] for column in COLUMNS[code]}
    present = {row[key] for row in rows(code, day)} | {row[key] for row in stored}
    for number, row in enumerate(given, start=1):
        if unknown := set(row) - allowed:
            return {"MSG": f'Data not insert: Record {number}: "{sorted(unknown)[0]}" is not a property', "Count": 0}
        if not isinstance(row.get(key), str) or not row[key]:
            return {"MSG": f"Data not insert: Record {number}: {key} is required", "Count": 0}
        if row[key] in present:
            return {"MSG": f'Data not insert: Record {number}: {key} "{row[key]}" is duplicate', "Count": 0}
        present.add(row[key])
    stored.extend({name: row.get(name) for name, _title, _kind in COLUMNS[code]} for row in given)
    return {"MSG": "Done", "Count": len(given)}
