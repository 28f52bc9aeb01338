"""A consumer's receiver on loopback: a real HTTP server that checks signatures by its own reading of the published scheme."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    message_id: str
    body: dict
    is_genuine: bool
    signatures: int
    headers: dict


class Receiver:
    """Answers with `answers` one after the other (status, or (status, headers)), then 204 for ever. `got` keeps what came."""

    def __init__(self, *answers) -> None:
        self.secret = ""
        self.answers = list(answers)
        self.got: list[Received] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(receiver._read(dict(self.headers), body))
                answer = receiver.answers.pop(0) if receiver.answers else 204
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}/nhan-bao"

    @property
    def releases(self) -> list[int]:
        return [message.body["data"].get("release") for message in self.got]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _read(self, headers: dict, body: bytes) -> Received:
        given = {name.lower(): value for name, value in headers.items()}
        message_id, stamp = given["webhook-id"], given["webhook-timestamp"]
        signatures = given["webhook-signature"].split()
        signed = f"{message_id}.{stamp}.".encode() + body
        key = base64.b64decode(self.secret.split("_", 1)[1]) if self.secret else b""
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        is_genuine = abs(time.time() - int(stamp)) < 300 and any(hmac.compare_digest(expected, one) for one in signatures)
        return Received(message_id, json.loads(body), is_genuine, len(signatures), given)
