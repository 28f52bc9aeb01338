"""The sandbox explains itself, to people in HTML and to programs in JSON."""

from __future__ import annotations

from html import escape

from apps.sandbox import catalogs, faults

SPEAKS = [
    ("POST", "/token", "Lấy mã truy cập (WSO2, client_credentials). Authorization: Basic base64(consumerKey:consumerSecret)"),
    ("GET", "/dmdc/1.0/AllCategory", "Danh sách danh mục dùng chung"),
    ("GET", "/dmdc/1.0/Metadata/{mã danh mục}", "Các cột của một danh mục"),
    ("GET", "/dmdc/1.0/Category/{mã danh mục}", "Toàn bộ bản ghi của một danh mục (mảng JSON, không phân trang)"),
    ("POST", "/dmdc/1.0/Category/{mã danh mục}", "Thêm bản ghi; trả về MSG và Count"),
    ("GET", "/apiCSDLDKDN/1.0/chiTietDoanhNghiep?msdn=0990000001", "Chi tiết một doanh nghiệp (bịa hoàn toàn)"),
    ("GET", "/apiCSDLDKDN/1.0/danhSachHoSoTrongNgay?from_ts=&to_ts=&offset=&limit=", "Hồ sơ xử lý trong ngày (HH:mm)"),
    ("GET", "/apiCSDLDKDN/1.0/danhSachHoSo?from_date=&to_date=&offset=&limit=", "Hồ sơ theo ngày (dd/MM/yyyy), tối đa 5 ngày"),
    ("GET", "/apiCSDLDKDN/1.0/tinhTrangHoSo?in_journal_no=", "Tình trạng một hồ sơ"),
    (
        "POST",
        "/dancu/1.0",
        "CSDLQG về dân cư, SOAP 1.1: TraCuuThongTinCongDan (037), XacThucThongTinCongDan (033); người không có thật",
    ),
    ("POST", "/dancu", "Như trên, tuyến trực tiếp: Timestamp và Authorization: Basic base64(tên:SHA-256)"),
    ("GET", "/tn/ngsp/DanhMuc/{mã danh mục}?page=&size=", "Cùng danh mục, kiểu phong bì {code,status,correlationId,response}"),
]
ADMIN = [
    (
        "GET",
        "/sandbox/received?call_id=&path=&after=",
        "Sandbox đã nhận những lời gọi nào (không lưu nội dung, không lưu bí mật)",
    ),
    ("DELETE", "/sandbox/received", "Xóa sổ đã nhận"),
    ("GET, PUT", "/sandbox/switches", "as_of (ngày của danh mục), token_seconds, fault_format (json|xml), today"),
    ("POST", "/sandbox/faults", 'Bày lỗi: {"mode", "path", "times", "after", "seconds", "bytes"}'),
    ("POST", "/sandbox/revoke-tokens", "Thu hồi mọi mã truy cập"),
    ("POST", "/sandbox/reset", "Trở về trạng thái ban đầu"),
]
NOTES = [
    "Mọi đường dẫn có hai bản: như trên (môi trường thật giả lập) và với tiền tố /test (môi trường thử); mã truy cập của bên này không dùng cho bên kia.",
    "Đoạn phiên bản /1.0 có thể bỏ, như cách nhiều tỉnh công bố lại.",
    "Dữ liệu danh mục theo một ngày: 2025-06-30 (trước sắp xếp), 2025-07-01 (sau), 2026-04-30 (Đồng Nai thành thành phố). Chọn bằng ?as_of= hoặc /sandbox/switches.",
    "Doanh nghiệp và người đều do máy bịa ra; mã doanh nghiệp bắt đầu bằng 099.",
]


def as_json() -> dict:
    def table(rows):
        return [{"method": method, "path": path, "does": text} for method, path, text in rows]

    return {"name": "LGSP sandbox", "speaks": table(SPEAKS), "admin": table(ADMIN), "notes": NOTES,
            "categories": catalogs.all_categories(), "fault_modes": list(faults.MODES)}  # fmt: skip


def as_html() -> bytes:
    def table(rows):
        cells = "".join(
            f"<tr><td>{escape(m)}</td><td><code>{escape(p)}</code></td><td>{escape(t)}</td></tr>" for m, p, t in rows
        )
        return f"<table><thead><tr><th>Phương thức</th><th>Đường dẫn</th><th>Nội dung</th></tr></thead><tbody>{cells}</tbody></table>"

    categories = [("GET", f"/dmdc/1.0/Category/{c['CategoryCode']}", c["CategoryName"]) for c in catalogs.all_categories()]
    notes = "".join(f"<li>{escape(note)}</li>" for note in NOTES)
    return (
        '<!DOCTYPE html><html lang="vi"><head><meta charset="utf-8"><title>Sandbox LGSP</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse;width:100%;display:block;overflow-x:auto}td,th{border:1px solid #bbb;padding:.3rem .6rem;"
        "text-align:left}code{font-size:.95em}</style></head><body><main>"
        "<h1>Sandbox của LGSP</h1><p>Máy chủ giả lập các nền tảng quốc gia (NGSP) để phát triển và kiểm thử. "
        f"Không có dữ liệu thật của ai.</p><ul>{notes}</ul><h2>Dịch vụ</h2>{table(SPEAKS)}<h2>Danh mục</h2>{table(categories)}"
        f"<h2>Điều khiển (chỉ từ chính máy này)</h2>{table(ADMIN)}"
        f"<h2>Các kiểu lỗi</h2><p>{escape(', '.join(faults.MODES))}</p></main></body></html>"
    ).encode()
