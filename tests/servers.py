"""Servers on loopback that misbehave on purpose, byte by byte. No test patches the client instead."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable


def reply(status: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """A whole HTTP/1.1 answer; `length` lies about its size."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class RawServer:
    """`answer(connection, head)` is called in a thread for each connection, with the request's bytes up to the blank line.

    `seen` keeps every head; `port` is chosen by the system. Use as a context manager.
    """

    def __init__(self, answer: Callable[[socket.socket, bytes], None]) -> None:
        self.answer, self.seen = answer, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = True
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> RawServer:
        return self

    def __exit__(self, *exc_info) -> None:
        self._open = False
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accept() of the other thread
        self._listener.close()

    def _accept(self) -> None:
        while self._open:
            try:
                connection, _peer = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        head = b""
        with connection, contextlib.suppress(OSError):
            while b"\r\n\r\n" not in head:
                part = connection.recv(65536)
                if not part:
                    return
                head += part
            self.seen.append(head)
            self.answer(connection, head)


def sends(data: bytes) -> Callable[[socket.socket, bytes], None]:
    """An answer of fixed bytes."""
    return lambda connection, head: connection.sendall(data)


def drips(data: bytes, every: float = 0.1, head: bytes = b"") -> Callable[[socket.socket, bytes], None]:
    """`head` at once, then `data` one byte at a time."""

    def answer(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(head)
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(every)

    return answer


def resets(after: bytes = b"") -> Callable[[socket.socket, bytes], None]:
    """Send `after`, then cut the connection with RST."""

    def answer(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(after)
        time.sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.close()

    return answer
