"""The national population database (CSDLQG về dân cư), SOAP 1.1, with people who do not exist.

Everything about person n follows from the number: identity number 099000 followed by six digits (no province has the code
099), a name with the word MẪU. Who asks must know name and birth date too, as there; otherwise the answer holds nobody.
"""

from __future__ import annotations

import hashlib
import re
from xml.etree.ElementTree import ParseError  # noqa: S405  (only the error; parsing is defusedxml's)
from xml.sax.saxutils import escape  # noqa: S406  (writes only)

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from apps.sandbox.faults import Reply

PEOPLE = 300
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
ASKS = "http://dancuquocgia.bca"
ANSWERS = "http://www.mic.gov.vn/dancu/1.0"
HEAD = ("MaYeuCau", "MaDVC", "MaTichHop", "MaCanBo")
"""They come first, in this order, as the clients of the real system know."""
INTEGRATION = {"TraCuuThongTinCongDan": "037", "XacThucThongTinCongDan": "033"}
_FAMILY = ("NGUYỄN", "TRẦN", "HOÀNG", "NÔNG", "LÝ", "MA", "ĐẶNG")
_GIVEN = ("AN", "BÌNH", "CHI", "DŨNG", "HẠNH", "KHOA", "LAN", "MINH", "NGA", "PHÚC")


AUTH_URL = "sandbox-dancu"
"""What clients put first into their digest ("service URL" in the guides; not the address they call)."""
FRESH_SECONDS = 600


def digest(username: str, stamp: str, secret: str) -> str:
    return hashlib.sha256(f"{AUTH_URL}{username}{stamp}{secret}".encode()).hexdigest()


def is_fresh(stamp: str, now: float) -> bool:
    """Clients send seconds or milliseconds; both are known from the real system."""
    if not stamp.isdigit() or len(stamp) > 14:
        return False
    return min(abs(int(stamp) - now), abs(int(stamp) / 1000 - now)) <= FRESH_SECONDS


def _roll(number: int, what: str, below: int) -> int:
    return int.from_bytes(hashlib.sha256(f"person {number} {what}".encode()).digest()[:6], "big") % below


def identity(number: int) -> str:
    return f"099000{number:06d}"


def person(number: int) -> dict:
    family, given = _FAMILY[_roll(number, "family", 7)], _GIVEN[_roll(number, "given", 10)]
    year, month, day = 1950 + _roll(number, "year", 60), 1 + _roll(number, "month", 12), 1 + _roll(number, "day", 28)
    return {
        "SoDinhDanh": identity(number), "SoCMND": f"09{number:07d}", "Ho": family, "ChuDem": "VĂN MẪU" if number % 2 else "THỊ MẪU",
        "Ten": given, "GioiTinh": "1" if number % 2 else "2", "Ngay": f"{year}{month:02d}{day:02d}",
        "commune": f"{1000 + _roll(number, 'commune', 400):05d}",
    }  # fmt: skip


def full_name(who: dict) -> str:
    return f"{who['Ho']} {who['ChuDem']} {who['Ten']}"


def answer(body: bytes) -> Reply:
    """One SOAP message in, one out. What is no proper request gets a fault of the client, with status 500 as SOAP 1.1 says."""
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        return _fault("Client", "The message is not well-formed")
    message = root.find(f"{{{SOAP}}}Body/*")
    if root.tag != f"{{{SOAP}}}Envelope" or message is None:
        return _fault("Client", "No SOAP body")
    namespace, _brace, name = message.tag[1:].partition("}") if message.tag.startswith("{") else ("", "", message.tag)
    if namespace != ASKS or name not in INTEGRATION:
        return _fault("Client", "Unknown operation")
    given = [(child.tag.rpartition("}")[2], child) for child in message]
    named = dict(given)
    if name == "TraCuuThongTinCongDan" and tuple(key for key, _child in given[:4]) != HEAD:
        return _fault("Client", "The head of the request is not complete, or not in its order")
    if name == "TraCuuThongTinCongDan" and named["MaTichHop"].text != INTEGRATION[name]:
        return _fault("Client", "Unknown integration service")
    who = _find(named)
    return _soap(_collection(who) if name == "TraCuuThongTinCongDan" else _verdict(who))


def _find(named: dict) -> dict | None:
    """The person whose number, name and birth date all fit."""
    match = re.fullmatch(r"099000(\d{6})", _text(named, "SoDinhDanh"))
    if match is None or not 1 <= int(match[1]) <= PEOPLE:
        return None
    who = person(int(match[1]))
    if _text(named, "HoVaTen") != full_name(who):
        return None
    birth = named.get("NgayThangNamSinh")
    days = {child.text for child in birth} if birth is not None else set()
    day = who["Ngay"]
    return who if birth is None or days & {day, day[:4], f"{day[:4]}-{day[4:6]}-{day[6:]}"} else None


def _text(named: dict, name: str) -> str:
    return (named[name].text or "").strip() if name in named else ""


def _collection(who: dict | None) -> str:
    inner = "" if who is None else (
        "<CongDan>"
        f"<SoDinhDanh>{who['SoDinhDanh']}</SoDinhDanh><SoCMND>{who['SoCMND']}</SoCMND>"
        f"<HoVaTen><Ho>{who['Ho']}</Ho><ChuDem>{escape(who['ChuDem'])}</ChuDem><Ten>{who['Ten']}</Ten></HoVaTen>"
        f"<GioiTinh>{who['GioiTinh']}</GioiTinh><DanToc>01</DanToc><TonGiao>00</TonGiao><NhomMau>00</NhomMau>"
        f"<TinhTrangHonNhan>1</TinhTrangHonNhan><QuocTich>VN</QuocTich>"
        f"<NgayThangNamSinh><NgayThangNam>{who['Ngay']}</NgayThangNam></NgayThangNamSinh>"
        f"<ThuongTru><MaTinhThanh>19</MaTinhThanh><MaPhuongXa>{who['commune']}</MaPhuongXa>"
        f"<ChiTiet>Thôn Mẫu</ChiTiet><QuocGia>VN</QuocGia></ThuongTru>"
        f"<Cha><HoVaTen><Ho>{who['Ho']}</Ho><ChuDem>VĂN</ChuDem><Ten>MẪU</Ten></HoVaTen><SoDinhDanh>099999000000</SoDinhDanh></Cha>"
        "</CongDan>"
    )  # fmt: skip
    return f'<CongdanCollection xmlns="{ANSWERS}" SoCongDan="{int(who is not None)}" id="x">{inner}</CongdanCollection>'


def _verdict(who: dict | None) -> str:
    return f'<KetQuaXacThuc xmlns="{ANSWERS}"><TonTai>{"true" if who else "false"}</TonTai></KetQuaXacThuc>'


def _soap(inner: str, status: int = 200) -> Reply:
    text = f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body>{inner}</s:Body></s:Envelope>'
    return Reply(status, text.encode(), "text/xml; charset=utf-8")


def _fault(code: str, text: str) -> Reply:
    inner = f"<s:Fault><faultcode>s:{code}</faultcode><faultstring>{escape(text)}</faultstring></s:Fault>"
    return _soap(inner, 500)
