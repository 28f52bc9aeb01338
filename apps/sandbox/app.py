"""The ASGI door: `uvicorn apps.sandbox.app:app`."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import time
import uuid
from datetime import date
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

import orjson

from apps.sandbox import catalogs, enterprises, faults, index, population
from apps.sandbox.faults import Reply, wso2
from apps.sandbox.state import Fault, State

MAX_BODY = 5 * 1024 * 1024
ENVELOPE_PAGE = 500


class Call:
    """One request, read whole."""

    def __init__(self, scope, body: bytes) -> None:
        self.method = scope["method"]
        self.full_path = scope["path"]
        self.query_text = scope["query_string"].decode("latin-1")
        self.query = dict(parse_qsl(self.query_text, keep_blank_values=True))
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self.peer = (scope.get("client") or ("", 0))[0]
        self.body = body
        # One sandbox plays both environments: the same paths under /test/ are the test environment.
        self.environment = "test" if self.full_path.startswith("/test/") else "production"
        self.path = self.full_path.removeprefix("/test") if self.environment == "test" else self.full_path


class Sandbox:
    """The application; `state` is made at start-up so that missing credentials stop the process with a sentence."""

    def __init__(self) -> None:
        self._state: State | None = None

    @property
    def state(self) -> State:
        if self._state is None:
            self._state = State.from_environment()
        return self._state

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        if scope["type"] != "http":
            return None
        body = await _read(receive)
        if body is None:
            return await faults.send(Reply(413, b'{"error":"too large"}'), None, send)
        call = Call(scope, body)
        if call.path in ("/", "/healthz") or call.path.startswith("/sandbox/"):
            return await faults.send(self._own(call), None, send)
        entry = self.state.note(environment=call.environment, method=call.method, path=call.path, query=call.query_text,
                                headers=call.headers, size=len(body))  # fmt: skip
        fault = self.state.fault_for(call.path, call.headers.get("x-sandbox-fault", ""))
        reply = self._national(call, fault)
        entry["status"], entry["fault"] = reply.status, fault.mode if fault else ""
        return await faults.send(reply, fault, send)

    async def _lifespan(self, receive, send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    self.state.describe()
                except Exception as error:  # the server prints the sentence and stops
                    return await send({"type": "lifespan.startup.failed", "message": str(error)})
                await send({"type": "lifespan.startup.complete"})
            else:
                return await send({"type": "lifespan.shutdown.complete"})

    # --- the platforms ------------------------------------------------------------------------

    def _national(self, call: Call, fault: Fault | None) -> Reply:
        mode = fault.mode if fault else ""
        if mode == "expire_tokens":
            self.state.tokens.clear()
        parts = [unquote(part) for part in call.path.strip("/").split("/")]
        if parts[-1] == "token" and parts[:-1] in ([], ["tn"]):
            return self._token(call, mode)
        if call.path.rstrip("/") == "/dancu" and "timestamp" in call.headers:
            return self._population(call)
        refusal = self._refused(call)
        if refusal is not None:
            return refusal
        if len(parts) > 1 and parts[1] == "1.0":
            del parts[1]
        match parts:
            case ["dmdc", "AllCategory"] if call.method == "GET":
                return _json(faults.change_content(mode, catalogs.all_categories()))
            case ["dmdc", "Metadata", code] if call.method == "GET" and code in catalogs.COLUMNS:
                return _json(catalogs.metadata(code))
            case ["dmdc", "Category", code] if code in catalogs.COLUMNS and call.method in ("GET", "POST"):
                return self._category(call, code, mode)
            case ["dancu"] if call.method == "POST":
                return population.answer(call.body)
            case ["apiCSDLDKDN", operation] if call.method == "GET":
                return self._enterprises(call, operation)
            case ["tn", "ngsp", "DanhMuc", code] if call.method == "GET" and code in catalogs.COLUMNS:
                return self._envelope(call, code, mode)
        return wso2(
            404,
            900906,
            "No matching resource found for given API Request",
            call.full_path[:200],
            self._style(call),
        )

    def _style(self, call: Call) -> str:
        return "xml" if "xml" in call.headers.get("accept", "") else self.state.switches.fault_format

    def _token(self, call: Call, mode: str) -> Reply:
        if call.method != "POST":
            return wso2(405, 900906, "Method not allowed", "", self._style(call))
        form = dict(parse_qsl(call.body.decode("latin-1")))
        key, secret = _basic(call.headers.get("authorization", ""))
        if mode == "refuse_client" or not self.state.knows(key, secret):
            return _json({"error": "invalid_client", "error_description": "A valid OAuth client could not be found"}, 401)
        if form.get("grant_type") != "client_credentials":
            return _json({"error": "unsupported_grant_type", "error_description": "Unsupported grant_type value"}, 400)
        return _json({"access_token": self.state.issue(call.environment), "scope": "am_application_scope default",
                      "token_type": "Bearer", "expires_in": self.state.switches.token_seconds})  # fmt: skip

    def _refused(self, call: Call) -> Reply | None:
        scheme, _space, value = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not value:
            return wso2(401, 900902, "Missing Credentials", "Required OAuth credentials not provided", self._style(call))
        if not self.state.accepts(value.strip(), call.environment):
            return wso2(
                401, 900901, "Invalid Credentials", "Access failure for API. Make sure the token is valid", self._style(call)
            )
        return None

    def _population(self, call: Call) -> Reply:
        """The direct route of the population database: a digest over the time of the call instead of a token."""
        username, digest = _basic(call.headers.get("authorization", ""))
        stamp = call.headers["timestamp"]
        known = population.digest(username, stamp, self.state.secret)
        right = username == self.state.key and hmac.compare_digest(digest.encode(), known.encode())
        if call.method != "POST" or not right or not population.is_fresh(stamp, time.time()):
            return Reply(401, b"", "text/plain")
        return population.answer(call.body)

    def _category(self, call: Call, code: str, mode: str) -> Reply:
        stored = self.state.pushed.setdefault((call.environment, code), [])
        day = self._day(call)
        if day is None:
            return _json({"MSG": "as_of is not a date", "Count": 0}, 400)
        if call.method == "POST":
            try:
                given = orjson.loads(call.body)
            except ValueError:
                given = None
            return _json(catalogs.insert(stored, code, day, given))
        if not stored and mode not in faults.CONTENT:
            return Reply(200, _rendered(code, day))
        return _json(faults.change_content(mode, catalogs.rows(code, day) + stored))

    def _day(self, call: Call) -> date | None:
        try:
            return date.fromisoformat(call.query.get("as_of") or self.state.switches.as_of)
        except ValueError:
            return None

    def _enterprises(self, call: Call, operation: str) -> Reply:
        today = self.state.switches.current_day()
        answers = {
            "chiTietDoanhNghiep": lambda: enterprises.detail(call.query.get("msdn", "")),
            "danhSachHoSo": lambda: enterprises.dossiers(call.query, today),
            "danhSachHoSoTrongNgay": lambda: enterprises.dossiers_today(call.query, today),
            "tinhTrangHoSo": lambda: enterprises.dossier_state(call.query, today),
        }
        if operation not in answers:
            return wso2(
                404,
                900906,
                "No matching resource found for given API Request",
                operation[:100],
                self._style(call),
            )
        return _json(answers[operation]())

    def _envelope(self, call: Call, code: str, mode: str) -> Reply:
        """The same rows in a province's own envelope, paged; other failures come as status 200 with another `code`."""
        try:
            page, size = int(call.query.get("page", "1")), int(call.query.get("size", str(ENVELOPE_PAGE)))
        except ValueError:
            page = size = 0
        day = self._day(call)
        if page < 1 or not 1 <= size <= ENVELOPE_PAGE or day is None:
            return _json({"code": "400", "status": "FAILED", "correlationId": str(uuid.uuid4()), "response": None})
        rows = catalogs.rows(code, day)
        part = faults.change_content(mode, rows[(page - 1) * size : page * size])
        response = {"total": len(rows), "page": page, "size": size, "items": part}
        return _json({"code": "200", "status": "SUCCESS", "correlationId": str(uuid.uuid4()), "response": response})

    # --- the sandbox's own addresses ------------------------------------------------------------

    def _own(self, call: Call) -> Reply:
        if call.path == "/healthz":
            return _json({"status": "ok"})
        if call.path == "/":
            html = "text/html" in call.headers.get("accept", "")
            return (
                Reply(200, index.as_html(call.headers.get("host", "")), "text/html; charset=utf-8")
                if html
                else _json(index.as_json())
            )
        if not _is_loopback(call.peer):
            return _json({"error": "only from this machine"}, 403)
        try:
            return self._admin(call)
        except (ValueError, TypeError, KeyError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 400)

    def _admin(self, call: Call) -> Reply:
        state = self.state
        match (call.method, call.path):
            case ("GET", "/sandbox/received"):
                return _json(_filtered(list(state.received), call.query))
            case ("DELETE", "/sandbox/received"):
                state.received.clear()
            case ("GET", "/sandbox/switches"):
                pass
            case ("PUT", "/sandbox/switches"):
                state.switches.set(orjson.loads(call.body))
            case ("POST", "/sandbox/faults"):
                fault = Fault(**orjson.loads(call.body))
                if fault.mode not in faults.MODES:
                    raise ValueError(f"unknown fault {fault.mode!r}")
                state.faults.append(fault)
            case ("DELETE", "/sandbox/faults"):
                state.faults.clear()
            case ("POST", "/sandbox/revoke-tokens"):
                state.tokens.clear()
            case ("POST", "/sandbox/reset"):
                state.reset()
            case _:
                return _json({"error": "no such admin call"}, 404)
        return _json(state.describe())


@lru_cache(maxsize=64)
def _rendered(code: str, day: date) -> bytes:
    return orjson.dumps(catalogs.rows(code, day))


def _filtered(entries: list[dict], query: dict[str, str]) -> list[dict]:
    after = int(query.get("after", "0"))
    return [
        entry
        for entry in entries
        if entry["number"] > after
        and (not query.get("call_id") or entry["call_id"] == query["call_id"])
        and query.get("path", "") in entry["path"]
        and query.get("environment", entry["environment"]) == entry["environment"]
    ]


def _json(content: object, status: int = 200) -> Reply:
    return Reply(status, orjson.dumps(content))


def _basic(header: str) -> tuple[str, str]:
    scheme, _space, value = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        key, _colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return key, secret


def _is_loopback(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False


async def _read(receive) -> bytes | None:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


app = Sandbox()
