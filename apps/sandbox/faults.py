"""The ways a national platform misbehaves, to be asked for by name.

By header `X-Sandbox-Fault: <mode>` for one call, or for the calls to come by `POST /sandbox/faults`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape

import orjson

from apps.sandbox.state import Fault


@dataclass(frozen=True)
class Reply:
    """An answer before it goes out."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


HTML = (
    "<!DOCTYPE html><html><head><title>Đăng nhập</title></head><body><form>Vui lòng đăng nhập để truy cập Internet</form></body></html>"
).encode()
_XML = (
    '<ams:fault xmlns:ams="http://wso2.org/apimanager/security"><ams:code>{code}</ams:code>'
    "<ams:message>{message}</ams:message><ams:description>{description}</ams:description></ams:fault>"
)


def wso2(status: int, code: int, message: str, description: str, style: str) -> Reply:
    """A fault of the API gateway: JSON (WSO2 4.x) or XML (3.x)."""
    if style == "xml":
        body = _XML.format(code=code, message=escape(message), description=escape(description)).encode()
        return Reply(status, body, "application/xml; charset=UTF-8")
    content = {"fault": {"code": code, "message": message, "description": description}}
    return Reply(status, orjson.dumps(content))


# --- what changes the content -------------------------------------------------------------------


def _keys(row: dict) -> tuple[str, str]:
    """The key column and the name column of a row."""
    names = list(row)
    return names[0], next((name for name in names if name.startswith("Ten")), names[-1])


def _parent(row: dict) -> str:
    return next(name for name in reversed(list(row)) if name.startswith("Ma"))


def _duplicated(rows: list) -> list:
    return rows + rows[:3]


def _other_name_twice(rows: list) -> list:
    key, name = _keys(rows[0])
    return [*rows, {**rows[0], name: rows[0][name] + " (khác)"}]


def _nfd_twins(rows: list) -> list:
    """A second row whose code differs from a first only by a Unicode form or an invisible character."""
    key, name = _keys(rows[0])
    return [*rows, {**rows[0], key: rows[0][key] + "\u200b", name: unicodedata.normalize("NFD", rows[0][name])}]


def _nfd(rows: list) -> list:
    return [{k: unicodedata.normalize("NFD", v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]


def _cyclic(rows: list) -> list:
    key, parent = _keys(rows[0])[0], _parent(rows[0])
    first, second = rows[0], rows[1]
    return [{**first, parent: second[key]}, {**second, parent: first[key]}, *rows[2:]]


def _self_parent(rows: list) -> list:
    return [{**rows[0], _parent(rows[0]): rows[0][_keys(rows[0])[0]]}, *rows[1:]]


def _orphan(rows: list) -> list:
    return [{**rows[0], _parent(rows[0]): "ZZ"}, *rows[1:]]


def _reused(rows: list) -> list:
    key, name = _keys(rows[0])
    return [{**rows[0], name: "Một nghĩa khác hẳn"}, *rows[1:]]


def _one_name(rows: list) -> list:
    """One name a little longer: a change that does no harm."""
    name = _keys(rows[1])[1]
    return [rows[0], {**rows[1], name: f"{rows[1][name]} (Thổ)"}, *rows[2:]]


def _bad_date(rows: list) -> list:
    dates = [name for name in rows[0] if name.startswith("Ngay")]
    return [{**rows[0], **dict.fromkeys(dates, "31/02/2026")}, *rows[1:]]


def _no_key(rows: list) -> list:
    return [{**rows[0], _keys(rows[0])[0]: None}, *rows[1:]]


def _numbers(rows: list) -> list:
    """Codes as numbers: the leading zeros are gone."""
    key = _keys(rows[0])[0]
    return [{**row, key: int(row[key])} if str(row[key]).isdigit() else row for row in rows]


def _grown(rows: list) -> list:
    key = _keys(rows[0])[0]
    return [{**row, key: f"{row[key]}{n}" if n else row[key]} for n in range(10) for row in rows]


CONTENT: dict[str, Callable[[list], object]] = {
    "duplicated": _duplicated,
    "other_name_twice": _other_name_twice,
    "nfd_twins": _nfd_twins,
    "nfd": _nfd,
    "shrunk": lambda rows: rows[: max(1, len(rows) // 10)],
    "empty": lambda rows: [],
    "grown": _grown,
    "cyclic": _cyclic,
    "self_parent": _self_parent,
    "orphan": _orphan,
    "reused": _reused,
    "bad_date": _bad_date,
    "one_name": _one_name,
    "no_key": _no_key,
    "numbers": _numbers,
    "not_a_list": lambda rows: {"data": rows},
    "not_records": lambda rows: [list(row.values()) for row in rows],
    "null": lambda rows: None,
    "renamed_columns": lambda rows: [{f"{name}Moi": value for name, value in row.items()} for row in rows],
}
BYTES: dict[str, Callable[[Reply, Fault], Reply]] = {
    "html_200": lambda reply, fault: Reply(200, HTML, "text/html; charset=utf-8"),
    "bom": lambda reply, fault: replace(reply, body=b"\xef\xbb\xbf" + reply.body),
    "utf16": lambda reply, fault: replace(reply, body=reply.body.decode().encode("utf-16")),
    "invalid_utf8": lambda reply, fault: replace(reply, body=reply.body.replace("ỉ".encode(), b"\xe1\xbb", 1) + b"\xff"),
    "cut_json": lambda reply, fault: replace(reply, body=reply.body[: len(reply.body) // 2]),
    "no_body": lambda reply, fault: replace(reply, body=b""),
    "xml_fault": lambda reply, fault: wso2(500, 900900, "Unclassified Authentication Failure", "Sandbox", "xml"),
    "json_fault": lambda reply, fault: wso2(500, 101503, "Error connecting to the back end", "Sandbox", "json"),
    "fault_200": lambda reply, fault: replace(wso2(200, 303001, "Endpoint suspended", "Sandbox", "json")),
    "429": lambda reply, fault: replace(
        wso2(429, 900802, "Message throttled out", "Sandbox", "json"), headers=(("Retry-After", str(int(fault.seconds))),)
    ),
    "503": lambda reply, fault: wso2(503, 303001, "Currently, Endpoint is suspended", "Sandbox", "json"),
    "500": lambda reply, fault: Reply(500, HTML, "text/html; charset=utf-8"),
    "403": lambda reply, fault: wso2(403, 900908, "Resource forbidden", "Sandbox", "json"),
    "redirect": lambda reply, fault: Reply(302, b"", headers=(("Location", "http://169.254.169.254/latest/"),)),
}
WIRE = ("truncated", "drip", "hang", "reset", "store_then_drop")
BEFORE = ("expire_tokens", "refuse_client")
MODES = (*CONTENT, *BYTES, *WIRE, *BEFORE)


def change_content(mode: str, content: object) -> object:
    """The content as the fault would have it; unchanged where the mode does not fit (no rows)."""
    if mode not in CONTENT or not isinstance(content, list) or not content:
        return content
    return CONTENT[mode](content)


async def send(reply: Reply, fault: Fault | None, send) -> None:
    """Put the reply on the wire, in the way of the fault."""
    mode = fault.mode if fault else ""
    if mode in BYTES:
        reply = BYTES[mode](reply, fault)
    length = len(reply.body) + (1000 if mode == "truncated" else 0)
    headers = [(b"content-type", reply.content_type.encode()), (b"content-length", str(length).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in reply.headers]
    if mode in ("hang", "store_then_drop"):
        await asyncio.sleep(fault.seconds if mode == "hang" else 0)
        return _abort(send)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if mode == "drip":
        return await _drip(reply.body, fault, send)
    if mode in ("truncated", "reset"):
        await send({"type": "http.response.body", "body": reply.body[: fault.bytes], "more_body": True})
        await asyncio.sleep(0.05)
        return _abort(send, hard=mode == "reset")
    return await send({"type": "http.response.body", "body": reply.body})


async def _drip(body: bytes, fault: Fault, send) -> None:
    for byte in body[:-1]:
        await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        await asyncio.sleep(min(fault.seconds, 1.0))
    await send({"type": "http.response.body", "body": body[-1:]})


def _abort(send, *, hard: bool = False) -> None:
    """Cut the connection: with RST when `hard`. The server's own object is behind the bound `send`."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionAbortedError("the server gives no transport; it closes the connection by itself")
    sock = transport.get_extra_info("socket")
    if hard and sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
