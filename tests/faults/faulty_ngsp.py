"""A national platform that lies: NGSP's wire on loopback, whose next answers a test writes byte by byte.

It keeps what was pushed to it and every request it got, so that it is the oracle of what really travelled.
"""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable

from tests.servers import RawServer, reply

JSON = "Content-Type: application/json"
Answer = Callable[[socket.socket, bytes], None]


class FaultyNgsp(RawServer):
    """`category` is what the list holds; `plan` the faults to come, one a call of that address; `always` when `plan` is empty.

    A fault is the whole HTTP answer in bytes, a callable `(connection, head)`, or None for a good answer.
    """

    key, secret = "faulty-key", "faulty-secret"

    def __init__(self, category: object = ()) -> None:
        super().__init__(self._answer)
        self.category = list(category)
        self.plan: deque[bytes | Answer | None] = deque()
        self.always: bytes | Answer | None = None
        self.tokens: set[str] = set()
        self.given = 0
        self.calls: list[tuple[str, str]] = []
        self._guard = threading.Lock()

    def access(self) -> dict:
        """The fields of a source that reach this server."""
        secret = json.dumps({"consumer_key": self.key, "consumer_secret": self.secret})
        return {"base_url": self.url, "auth_kind": "ngsp", "token_url": f"{self.url}/token", "secret": secret}

    def asked(self, path: str, method: str = "GET") -> int:
        """How many requests of `path` (a prefix) came."""
        return sum(1 for verb, address in self.calls if verb == method and address.startswith(path))

    def _answer(self, connection: socket.socket, head: bytes) -> None:
        verb, address, _version = head.split(b"\r\n", 1)[0].decode().split(" ")
        body = _rest(connection, head)
        with self._guard:
            self.calls.append((verb, address))
            if address == "/token":
                return connection.sendall(self._token())
            if not any(token.encode() in head for token in self.tokens):
                return connection.sendall(reply("401 Unauthorized", _fault(900901, "Invalid Credentials"), JSON))
            stored = self._store(body) if verb == "POST" else None
            fault = self.plan.popleft() if self.plan else self.always
        good = reply("200 OK", json.dumps(self.category if stored is None else stored, ensure_ascii=False).encode(), JSON)
        if callable(fault):
            return fault(connection, good)
        return connection.sendall(good if fault is None else fault)

    def _token(self) -> bytes:
        self.given += 1
        token = f"0000-{self.given:04d}"
        self.tokens.add(token)
        return reply("200 OK", json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600}).encode(), JSON)

    def _store(self, body: bytes) -> dict:
        rows = json.loads(body)
        key = next(iter(rows[0]))
        present = {row[key] for row in self.category}
        for number, row in enumerate(rows, start=1):
            if row[key] in present:
                return {"MSG": f'Data not insert: Record {number}: {key} "{row[key]}" is duplicate', "Count": 0}
        self.category.extend(rows)
        return {"MSG": "Done", "Count": len(rows)}


def _rest(connection: socket.socket, head: bytes) -> bytes:
    """The body of the request: what came with the head, and what follows."""
    front, _blank, body = head.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in front.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return body


def _fault(code: int, message: str) -> bytes:
    return json.dumps({"fault": {"code": code, "message": message, "description": ""}}).encode()


def drops(connection: socket.socket, good: bytes) -> None:
    """The work was done, the answer never leaves: RST instead of an acknowledgement."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


def throttled(seconds: int) -> bytes:
    return reply("429 Too Many Requests", _fault(900802, "Message throttled out"), JSON, f"Retry-After: {seconds}")


SUSPENDED = reply("503 Service Unavailable", _fault(303001, "Endpoint suspended"), JSON)
