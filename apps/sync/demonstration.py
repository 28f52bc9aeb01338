"""The sources of the demonstration: what a province would sync, pointed at the sandbox. Column names are settings."""

from __future__ import annotations

import datetime
import json

from django.conf import settings

from apps.catalogs.models import Catalog
from apps.core.upstream_auth import AuthKind
from apps.sync.actions import add_source
from apps.sync.choices import AdapterName, SourceKind
from apps.sync.models import Source

ADMINISTRATIVE_UNITS = {
    "parts": [
        {"category": "donvihanhchinhcap1", "level": "province", "columns": {"code": "MaTinh", "full_name": "TenTinh"},
         "attributes": {"type": "LoaiHinh"}},
        {"category": "donvihanhchinhcap2", "level": "district",
         "columns": {"code": "MaHuyen", "full_name": "TenHuyen", "parent": "MaTinh"}, "attributes": {"type": "LoaiHinh"}},
        {"category": "donvihanhchinhcap3", "level": "commune",
         "columns": {"code": "MaXa", "full_name": "TenXa", "parent": "MaCapTren"}, "attributes": {"type": "LoaiHinh"}},
    ]
}  # fmt: skip


def _list(category: str, level: str, code: str, name: str, **attributes: str) -> dict:
    return {
        "parts": [{"category": category, "level": level, "columns": {"code": code, "name": name}, "attributes": attributes}]
    }


CATALOG_SOURCES: tuple[tuple[str, str, str, AdapterName, int, dict], ...] = (
    ("ngsp-administrative-units", "Đơn vị hành chính từ NGSP", "administrative-units", AdapterName.NGSP, 1440, ADMINISTRATIVE_UNITS),
    ("ngsp-ethnic-groups", "Dân tộc từ NGSP", "ethnic-groups", AdapterName.NGSP, 1440,
     _list("madantoc", "group", "MaDanToc", "TenDanToc", other_names="TenGoiKhac")),
    ("ngsp-positions", "Chức danh từ NGSP (mẫu)", "positions", AdapterName.NGSP, 1440,
     _list("machucdanh", "position", "MaChucDanh", "TenChucDanh")),
    ("ngsp-document-kinds", "Loại văn bản từ NGSP (mẫu)", "document-kinds", AdapterName.NGSP, 1440,
     _list("matenvanbanhanhchinh", "kind", "MaLoaiVanBan", "TenLoaiVanBan")),
    ("lgsp-countries", "Quốc gia từ nền tảng tỉnh bạn (phong bì)", "countries", AdapterName.ENVELOPE, 1440,
     {**_list("maquocgia", "country", "MaQuocGia", "TenQuocGia", alpha3="MaAlpha3", numeric="MaSo"), "adapter": {"page_size": 100}}),
)  # fmt: skip
PUSH = {
    "category": "qlvanbandieuhanhcap2",
    "key": "MaDinhDanhCap2",
    "under": "H03",
    "columns": {"MaDinhDanhCap2": "code", "MaDinhDanhCap1": "parent_code", "TenDonVi": "name", "DiaChi": "address",
                "Email": "email", "SoDienThoai": "phone"},
}  # fmt: skip


def load(*, by, base_url: str = "", key: str = "", secret: str = "") -> list[Source]:
    """Make the sources that are not there yet; return those made. Catalogs that were not loaded are passed over."""
    base_url = (base_url or settings.SANDBOX_URL).rstrip("/")
    access = {
        "auth_kind": AuthKind.NGSP,
        "secret": json.dumps(
            {"consumer_key": key or settings.SANDBOX_KEY, "consumer_secret": secret or settings.SANDBOX_SECRET}
        ),
    }
    made = []
    for facts in _wanted(base_url):
        if not Source.objects.filter(code=facts["code"]).exists():
            made.append(add_source(by=by, **access, **facts))
    return made


def _wanted(base_url: str):
    catalogs = {catalog.code: catalog for catalog in Catalog.objects.all()}
    for code, name, catalog, adapter, minutes, plan in CATALOG_SOURCES:
        base = f"{base_url}/tn" if adapter == AdapterName.ENVELOPE else base_url
        if catalog in catalogs:
            yield {"code": code, "name": name, "kind": SourceKind.CATALOG, "adapter": adapter, "catalog": catalogs[catalog],
                   "base_url": base, "token_url": f"{base}/token", "interval_minutes": minutes, "settings": plan}  # fmt: skip
    start = (datetime.date.today() - datetime.timedelta(days=12)).isoformat()
    yield {"code": "business-registration", "name": "Thay đổi đăng ký doanh nghiệp", "kind": SourceKind.CHANGES,
           "base_url": base_url, "token_url": f"{base_url}/token", "interval_minutes": 60, "settings": {"start": start}}  # fmt: skip
    yield {"code": "push-agency-identifiers", "name": "Mã định danh cơ quan của tỉnh lên NGSP", "kind": SourceKind.PUSH,
           "base_url": base_url, "token_url": f"{base_url}/token", "interval_minutes": 10080, "settings": PUSH}  # fmt: skip
