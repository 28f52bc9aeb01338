"""The catalogs of `data/` with their instruments, and the releases that load them. See data/README.md for the traps.

The reform of 2025 comes as a release of its own: it ends all 10,794 units of before, re-uses 3,316 codes, and is therefore
held by the brake like any other list that did so, until the officer named to the command accepts the reasons.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.utils.translation import gettext as _

from apps.catalogs import actions
from apps.catalogs.choices import HoldReason, ReleaseStatus, Scope
from apps.catalogs.models import Catalog, Release

DATA = Path(__file__).resolve().parent / "data"
REFORM = dt.date(2025, 7, 1)
BRAKE_CITATION = "Quy tắc vận hành của nền tảng: danh sách làm kết thúc hơn 2 % số mã phải có người xem xét"
SAMPLE_DAY = dt.date(2025, 1, 1)


def _level(code: str, name: str, pattern: str, *parents: str) -> dict:
    return {"code": code, "name": name, "pattern": pattern, "parents": list(parents)}


ADMINISTRATIVE_UNITS = {
    "code": "administrative-units",
    "name": "Đơn vị hành chính",
    "description": "Mã số đơn vị hành chính cấp tỉnh và cấp xã; cấp huyện đến hết ngày 30/06/2025.",
    "issuing_body": "Thủ tướng Chính phủ",
    "instrument": "Quyết định 19/2025/QĐ-TTg ban hành Bảng danh mục và mã số các đơn vị hành chính Việt Nam",
    "instrument_number": "19/2025/QĐ-TTg",
    "effective_from": REFORM,
    "levels": [
        _level("province", "Cấp tỉnh", r"\d{2}"),
        _level("district", "Cấp huyện", r"\d{3}", "province"),
        _level("commune", "Cấp xã", r"\d{5}", "district", "province"),
    ],
}
CATALOGS: tuple[dict, ...] = (
    ADMINISTRATIVE_UNITS,
    {
        "code": "ethnic-groups",
        "name": "Dân tộc",
        "issuing_body": "Tổng cục Thống kê",
        "instrument": "Quyết định 121-TCTK/PPCĐ về Bảng danh mục các thành phần dân tộc Việt Nam",
        "instrument_number": "121-TCTK/PPCĐ",
        "instrument_date": dt.date(1979, 3, 2),
        "effective_from": dt.date(1979, 3, 2),
        "scheme": "QĐ 121-TCTK/PPCĐ (02/3/1979)",
        "levels": [_level("group", "Dân tộc", r"\d{2}")],
    },
    {
        "code": "countries",
        "name": "Quốc gia và vùng lãnh thổ",
        "description": "Mã ISO 3166-1; tên tiếng Việt theo CLDR, không phải theo TCVN 7217.",
        "issuing_body": "Bộ Thông tin và Truyền thông",
        "instrument": "QCVN 109:2017/BTTTT, phụ lục H",
        "instrument_number": "QCVN 109:2017/BTTTT",
        "scheme": "ISO 3166-1 alpha-2",
        "levels": [_level("country", "Quốc gia", r"[A-Z]{2}")],
    },
    {
        "code": "economic-sectors",
        "name": "Ngành kinh tế Việt Nam (VSIC)",
        "issuing_body": "Thủ tướng Chính phủ",
        "instrument": "Quyết định 36/2025/QĐ-TTg ban hành Hệ thống ngành kinh tế Việt Nam",
        "instrument_number": "36/2025/QĐ-TTg",
        "instrument_date": dt.date(2025, 9, 29),
        "effective_from": dt.date(2025, 11, 15),
        "scheme": "VSIC 2025",
        "levels": [
            _level("1", "Cấp 1", r"[A-Z]"),
            _level("2", "Cấp 2", r"\d{2}", "1"),
            _level("3", "Cấp 3", r"\d{3}", "2"),
        ],
    },
    {
        "code": "religions",
        "name": "Tôn giáo",
        "description": "Các tôn giáo được thống kê trong tổng điều tra 2019; mã nội bộ, chưa có mã chính thức.",
        "issuing_body": "Tổng cục Thống kê",
        "instrument": "Tổng điều tra dân số và nhà ở 2019, Biểu 3",
        "scheme": "mã nội bộ R01-R16",
        "levels": [_level("religion", "Tôn giáo", r"R\d{2}")],
    },
    {
        "code": "agency-identifiers",
        "name": "Mã định danh cơ quan",
        "description": "Chưa đầy đủ: 28 mã cấp bộ và 4 mã cấp tỉnh, mỗi mã kèm mức tin cậy của nguồn. Tên của năm 2020.",
        "issuing_body": "Thủ tướng Chính phủ",
        "instrument": "Quyết định 20/2020/QĐ-TTg về mã định danh điện tử của các cơ quan, tổ chức",
        "instrument_number": "20/2020/QĐ-TTg",
        "instrument_date": dt.date(2020, 7, 22),
        "effective_from": dt.date(2020, 9, 15),
        "levels": [_level("agency", "Cơ quan", r"(?=.{3,35}\Z)[A-Z][0-9]{2}(\.[A-Z0-9]+)*", "agency")],
    },
    {
        "code": "positions",
        "name": "Chức danh, chức vụ (mẫu)",
        "description": "Dữ liệu mẫu để minh họa, không phải danh mục chính thức.",
        "is_sample": True,
        "publishes_itself": True,
        "levels": [_level("position", "Chức vụ", r"CV\d{2}")],
    },
    {
        "code": "document-kinds",
        "name": "Loại văn bản hành chính (mẫu)",
        "description": "Dữ liệu mẫu theo các loại văn bản tại Nghị định 30/2020/NĐ-CP Điều 7; mã là mã mẫu.",
        "is_sample": True,
        "publishes_itself": True,
        "levels": [_level("kind", "Loại văn bản", r"VB\d{2}")],
    },
)
POSITIONS = (
    "Chủ tịch Ủy ban nhân dân", "Phó Chủ tịch Ủy ban nhân dân", "Giám đốc", "Phó Giám đốc", "Chánh Văn phòng",
    "Phó Chánh Văn phòng", "Trưởng phòng", "Phó Trưởng phòng", "Chuyên viên", "Văn thư",
)  # fmt: skip
DOCUMENT_KINDS = (
    "Nghị quyết", "Quyết định", "Chỉ thị", "Quy chế", "Quy định", "Thông cáo", "Thông báo", "Hướng dẫn", "Chương trình", "Kế hoạch",
    "Phương án", "Đề án", "Dự án", "Báo cáo", "Biên bản", "Tờ trình", "Hợp đồng", "Công văn", "Công điện", "Bản ghi nhớ",
    "Bản thỏa thuận", "Giấy ủy quyền", "Giấy mời", "Giấy giới thiệu", "Giấy nghỉ phép", "Phiếu gửi", "Phiếu chuyển", "Phiếu báo",
    "Thư công",
)  # fmt: skip


@dataclass(frozen=True)
class FirstRelease:
    """One release to load: the rows are read only when it is not there yet."""

    catalog: str
    source: str
    effective_on: dt.date
    rows: object
    instrument: str = ""
    instrument_date: dt.date | None = None
    scope: str = Scope.FULL
    successions: object = None
    accept: tuple[str, ...] = ()
    note: str = ""
    facts: dict = field(default_factory=dict)


def _read(name: str) -> Iterator[dict]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _attributes(row: dict, *names: str) -> dict:
    """Only what is known: an empty cell is an unknown value, and an unknown value is absent."""
    return {name: row[name] for name in names if row.get(name)}


def legacy_units() -> Iterator[dict]:
    """The state of 2025-03-01 to 2025-06-30. The end is not written here: it is the reform's to tell."""
    for row in _read("administrative-units-legacy.csv"):
        yield {**_unit(row), "attributes": _attributes(row, "type", "alt_full_name")}


def units_2025() -> Iterator[dict]:
    for row in _read("administrative-units-2025.csv"):
        yield {**_unit(row), "attributes": _attributes(row, "type", "alt_full_name", "alt_code", "legal_basis")}


def _unit(row: dict) -> dict:
    return {key: row[key] for key in ("code", "name", "full_name", "level", "parent_code")}


def changes_2026() -> Iterator[dict]:
    """Eleven units change their type on 2026-04-30; what the file does not repeat is kept from the rows of 2025."""
    before = {(row["level"], row["code"]): row for row in units_2025()}
    for row in _read("administrative-unit-changes-2026.csv"):
        old = before[row["level"], row["code"]]
        attributes = {**old["attributes"], "type": row["new_type"], "legal_basis": row["legal_basis"]}
        attributes.pop("alt_full_name", None)  # spellings of the former full name
        yield {**old, "full_name": row["new_full_name"], "attributes": attributes}


ISLAND_DISTRICTS = "district"


def successions_2025() -> Iterator[dict]:
    for row in _read("administrative-unit-successions.csv"):
        level = row["level"]
        yield {
            "old_level": level,
            "old_code": row["old_code"],
            "new_level": "commune" if level == ISLAND_DISTRICTS else level,  # five island districts became special zones
            "new_code": row["new_code"],
            "kind": row["kind"],
            "effective_on": row["effective_date"],
            "legal_basis": row["legal_basis"],
            "area_share": row["area_share"],
            "population_share": row["population_share"],
            "note": row["note"],
        }


def ethnic_groups() -> Iterator[dict]:
    for row in _read("ethnic-groups.csv"):
        yield {"code": row["code"], "name": row["name"], "attributes": _attributes(row, "other_names", "scheme")}


def countries() -> Iterator[dict]:
    for row in _read("countries.csv"):
        yield {"code": row["code"], "name": row["name"], "attributes": _attributes(row, "alpha3", "numeric", "name_en")}


def economic_sectors() -> Iterator[dict]:
    for row in _read("economic-sectors-vsic-2025.csv"):
        unit = {key: row[key] for key in ("code", "name", "level", "parent_code")}
        yield {**unit, "attributes": _attributes(row, "section")}


def religions() -> Iterator[dict]:
    for row in _read("religions.csv"):
        attributes = {"followers_2019": int(row["followers_2019"]), "code_status": row["code_status"]}
        yield {"code": row["code"], "name": row["name"], "attributes": attributes}


def agency_identifiers() -> Iterator[dict]:
    for row in _read("agency-identifiers.csv"):
        yield {"code": row["code"], "name": row["name"], "attributes": _attributes(row, "kind", "evidence_level", "evidence")}


def _sample(prefix: str, names: tuple[str, ...]):
    return lambda: (
        {"code": f"{prefix}{n:02}", "name": name, "attributes": {"sample": True}} for n, name in enumerate(names, 1)
    )


RELEASES: tuple[FirstRelease, ...] = (
    FirstRelease(
        "administrative-units", "data:administrative-units-legacy", dt.date(2025, 3, 1), legacy_units,
        "Quyết định 124/2004/QĐ-TTg và các nghị quyết đến ngày 01/03/2025", dt.date(2004, 7, 8),
    ),
    FirstRelease(
        "administrative-units", "data:administrative-units-2025", REFORM, units_2025,
        "Nghị quyết 202/2025/QH15; các Nghị quyết 1654 đến 1687/NQ-UBTVQH15; Quyết định 19/2025/QĐ-TTg", dt.date(2025, 6, 12),
        successions=successions_2025, accept=(HoldReason.CLOSED_SHARE, HoldReason.TRUNCATED_LIST, HoldReason.REUSED_CODE),
        note="Sắp xếp đơn vị hành chính năm 2025: 63 còn 34 đơn vị cấp tỉnh, kết thúc cấp huyện, 10.035 còn 3.321 đơn vị cấp xã.",
    ),
    FirstRelease(
        "administrative-units", "data:administrative-unit-changes-2026", dt.date(2026, 4, 30), changes_2026,
        "Nghị quyết 30/2026/QH16; Nghị quyết 237/NQ-UBTVQH16", scope=Scope.CHANGES,
    ),
    FirstRelease("ethnic-groups", "data:ethnic-groups", dt.date(1979, 3, 2), ethnic_groups, "121-TCTK/PPCĐ", dt.date(1979, 3, 2)),
    FirstRelease("countries", "data:countries", dt.date(2026, 1, 1), countries, "QCVN 109:2017/BTTTT"),
    FirstRelease("economic-sectors", "data:vsic-2025", dt.date(2025, 11, 15), economic_sectors, "36/2025/QĐ-TTg", dt.date(2025, 9, 29)),
    FirstRelease("religions", "data:religions", dt.date(2019, 4, 1), religions),
    FirstRelease("agency-identifiers", "data:agency-identifiers", dt.date(2020, 9, 15), agency_identifiers, "20/2020/QĐ-TTg", dt.date(2020, 7, 22)),
    FirstRelease("positions", "data:positions", SAMPLE_DAY, _sample("CV", POSITIONS)),
    FirstRelease("document-kinds", "data:document-kinds", SAMPLE_DAY, _sample("VB", DOCUMENT_KINDS)),
)  # fmt: skip


def load(*, by, only: tuple[str, ...] = ()) -> list[Release]:
    """Load what is not there yet; return the releases made. `by` publishes them, and accepts what the reform is held for.

    Idempotent: a source that has a published release is left alone. Raises ReasonsNotAccepted when the brake finds more
    than what is known of the reform.
    """
    made = []
    for facts in CATALOGS:
        if not only or facts["code"] in only:
            Catalog.objects.get_or_create(code=facts["code"], defaults={"brake_citation": BRAKE_CITATION, **facts})
    for first in RELEASES:
        if only and first.catalog not in only:
            continue
        if not Release.objects.live().filter(catalog__code=first.catalog, source=first.source).exists():
            made.append(_publish(first, by=by))
    return made


def _publish(first: FirstRelease, *, by) -> Release:
    release = actions.stage_release(
        Catalog.objects.get(code=first.catalog), first.rows(), by=by, source=first.source, effective_on=first.effective_on,
        scope=first.scope, instrument=first.instrument, instrument_date=first.instrument_date,
        successions=first.successions() if first.successions else (), note=first.note,
    )  # fmt: skip
    if release.status in (ReleaseStatus.STAGED,):
        release = actions.judge_release(release, by=by)
    return actions.publish_release(
        release, by=by, accept=first.accept, note=first.note or _("Loaded from the files that come with the platform.")
    )
