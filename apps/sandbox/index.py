"""The sandbox explains itself, to people in HTML and to programs in JSON."""

from __future__ import annotations

import re
from html import escape

from apps.sandbox import catalogs
from apps.sandbox.fault_words import WORDS

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
    ("DELETE", "/sandbox/faults", "Bỏ các lỗi đã bày"),
    ("POST", "/sandbox/revoke-tokens", "Thu hồi mọi mã truy cập"),
    ("POST", "/sandbox/reset", "Trở về trạng thái ban đầu"),
]
DAYS = [
    ("2025-06-30", "trước sắp xếp: 63 tỉnh, 696 huyện, 10.035 xã"),
    ("2025-07-01", "sau sắp xếp: 34 tỉnh, 3.321 xã"),
    ("2026-04-30", "Đồng Nai thành thành phố"),
]
NOTES = [
    "Mọi đường dẫn có hai bản: như trên (môi trường thật giả lập) và với tiền tố /test (môi trường thử); mã truy cập của bên này không dùng cho bên kia.",
    "Đoạn phiên bản /1.0 có thể bỏ, như cách nhiều tỉnh công bố lại.",
    "Danh mục là của một ngày; chọn bằng ?as_of=, /sandbox/switches hoặc biến LGSP_SANDBOX_AS_OF khi khởi động.",
    "Doanh nghiệp và người đều do máy bịa ra; mã doanh nghiệp bắt đầu bằng 099.",
    "Khóa và mật khẩu: LGSP_SANDBOX_KEY và LGSP_SANDBOX_SECRET (make run tạo sẵn trong var/secrets.env).",
]
_HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,100}")


def as_json() -> dict:
    def table(rows):
        return [{"method": method, "path": path, "does": text} for method, path, text in rows]

    modes = [{"mode": mode, "group": group, "does": does, "good_client": good} for mode, (group, does, good) in WORDS.items()]
    return {"name": "LGSP sandbox", "speaks": table(SPEAKS), "admin": table(ADMIN), "notes": NOTES,
            "days": [{"as_of": day, "is": text} for day, text in DAYS], "categories": catalogs.all_categories(),
            "fault_modes": list(WORDS), "faults": modes}  # fmt: skip


def as_html(host: str) -> bytes:
    """The page for people; `host` is what the caller named, and stands in the examples."""
    base = f"http://{host if _HOST.fullmatch(host) else '127.0.0.1:8002'}"
    categories = [("GET", f"/dmdc/1.0/Category/{c['CategoryCode']}", c["CategoryName"]) for c in catalogs.all_categories()]
    notes = "".join(f"<li>{escape(note)}</li>" for note in NOTES)
    calls = ("Phương thức", "Đường dẫn", "Nội dung")
    return (
        f'<!DOCTYPE html><html lang="vi"><head><meta charset="utf-8"><title>Sandbox LGSP</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body><main>'
        "<h1>Sandbox của LGSP</h1><p>Máy chủ giả lập các nền tảng quốc gia (NGSP) để phát triển và kiểm thử, nói đúng giao thức "
        "của chúng, kể cả những chỗ lạ. Không có dữ liệu thật của ai. Chương trình đọc trang này dưới dạng JSON.</p>"
        f"<ul>{notes}</ul><h2>Bắt đầu nhanh</h2><pre>{escape(_quick_start(base))}</pre>"
        f"<h2>Dịch vụ</h2>{_table(calls, SPEAKS)}<h2>Ba ngày của danh mục</h2>{_table(('as_of', 'Tình trạng'), DAYS)}"
        f"<h2>Danh mục</h2>{_table(calls, categories)}"
        f"<h2>Bày lỗi</h2><p>Một lời gọi: thêm tiêu đề <code>X-Sandbox-Fault: tên lỗi</code>. Những lời gọi sắp tới: "
        "<code>POST /sandbox/faults</code>, ví dụ hai lần 503 sau một câu trả lời tốt, cho mọi danh mục:</p>"
        f"<pre>{escape(_fault_example(base))}</pre>{_faults()}"
        f"<h2>Điều khiển (chỉ từ chính máy này)</h2>{_table(calls, ADMIN)}</main></body></html>"
    ).encode()


def _quick_start(base: str) -> str:
    return (
        f'TOKEN=$(curl -s -u KHÓA:MẬT_KHẨU -d grant_type=client_credentials {base}/token | sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\')\n'
        f'curl -s -H "Authorization: Bearer $TOKEN" {base}/dmdc/1.0/Category/madantoc\n'
        f'curl -s -H "Authorization: Bearer $TOKEN" "{base}/dmdc/1.0/Category/donvihanhchinhcap1?as_of=2025-06-30"\n'
        f'curl -s -H "Authorization: Bearer $TOKEN" -H "X-Sandbox-Fault: html_200" {base}/dmdc/1.0/Category/madantoc'
    )


def _fault_example(base: str) -> str:
    return f'curl -X POST {base}/sandbox/faults -d \'{{"mode": "503", "path": "/dmdc/*", "times": 2, "after": 1}}\''


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in heads)
    cells = "".join("<tr>" + "".join(_cell(at, len(heads), text) for at, text in enumerate(row)) + "</tr>" for row in rows)
    return f"<div><table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table></div>"


def _cell(at: int, columns: int, text: str) -> str:
    return f"<td><code>{escape(text)}</code></td>" if at < columns - 1 else f"<td>{escape(text)}</td>"


def _faults() -> str:
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for mode, (group, does, good) in WORDS.items():
        groups.setdefault(group, []).append((mode, does, good))
    parts = []
    for group, rows in groups.items():
        lines = "".join(
            f"<tr><td><code>{escape(m)}</code></td><td>{escape(d)}</td><td>{escape(g)}</td></tr>" for m, d, g in rows
        )
        parts.append(f'<h3>{escape(group)}</h3><div><table><thead><tr><th scope="col">Tên lỗi</th><th scope="col">Sandbox làm gì</th>'
                     f'<th scope="col">Chương trình tốt sẽ</th></tr></thead><tbody>{lines}</tbody></table></div>')  # fmt: skip
    return "".join(parts)


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;color:#1b2430;max-width:72rem;margin:2rem auto;padding:0 1rem}h2{margin-top:2rem}"
    "div{overflow-x:auto}table{border-collapse:collapse;width:100%}td,th{border:1px solid #c5ced8;padding:.3rem .6rem;text-align:left;"
    "vertical-align:top}th{background:#f0f6fc}code{font-size:.95em;white-space:nowrap}p code{white-space:normal;overflow-wrap:anywhere}"
    "pre{background:#f0f6fc;padding:.75rem 1rem;overflow-x:auto;border-radius:.5rem}"
)
