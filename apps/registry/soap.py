"""How the parameters of an operation become a SOAP 1.1 request, and where in the answer its fields are.

    {"action": "", "namespace": "http://dancuquocgia.bca", "request": "TraCuuThongTinCongDan",
     "elements": [{"path": "MaYeuCau", "source": "call_id"}, {"path": "MaTichHop", "value": "037"},
                  {"path": "NgayThangNamSinh.NgayThangNam", "parameter": "birth_date"}],
     "response": "CongdanCollection", "response_namespace": "http://www.mic.gov.vn/dancu/1.0"}

The order of `elements` is the order on the wire. An element takes a parameter (left out when it was not given), a fixed
value, or what the gateway knows of the call. Fields of the contract begin below the response element.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

SOURCES = ("call_id", "organization", "system", "purpose")
MAX_ELEMENTS = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}(\.[A-Za-z_][A-Za-z0-9_-]{0,99}){0,7}")
_NAMESPACE = re.compile(r"[^\s<>\"'&\x00-\x20]{0,200}")
_ACTION = re.compile(r"[\x21\x23-\x7e]{0,200}")
_VALUE = re.compile(r"[^\x00-\x1f<>&]{0,200}")
_TEXTS = {"action": _ACTION, "namespace": _NAMESPACE, "request": _NAME, "response": _NAME, "response_namespace": _NAMESPACE}


def read(data: object) -> dict:
    """The description, checked. Empty in, empty out. Raises ValueError naming the place."""
    if not data:
        return {}
    if not isinstance(data, dict) or set(data) - {*_TEXTS, "elements"}:
        raise ValueError("soap")
    found: dict = {name: _text(data.get(name, ""), pattern, name) for name, pattern in _TEXTS.items()}
    rows = data.get("elements", [])
    if not isinstance(rows, list) or len(rows) > MAX_ELEMENTS:
        raise ValueError("elements")
    found["elements"] = [_element(row, f"elements[{index}]") for index, row in enumerate(rows)]
    return found


def _text(value: object, pattern: re.Pattern[str], where: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(where)
    return value


def _element(row: object, where: str) -> dict:
    if not isinstance(row, dict) or len(row) != 2 or "path" not in row:
        raise ValueError(where)
    (kind,) = set(row) - {"path"}
    allowed = {"parameter": _NAME, "value": _VALUE, "source": re.compile("|".join(SOURCES))}
    if kind not in allowed:
        raise ValueError(where)
    return {"path": _text(row["path"], _PATH, where), kind: _text(row[kind], allowed[kind], where)}


def unsent(described: dict, parameters: Iterable[str]) -> list[str]:
    """Parameters that no element sends, and elements that name no parameter: each would be a silent loss."""
    if not described:
        return []
    sent = {row["parameter"] for row in described["elements"] if "parameter" in row}
    return sorted(sent ^ set(parameters))
