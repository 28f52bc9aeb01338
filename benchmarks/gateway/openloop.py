"""An open-loop client over HTTP/1.1: calls leave at their moments, whatever became of the earlier ones.

h2load fires all its clients at the same instant, so "1,000/s from 50 clients" is a burst of 50 every 50 ms: what it measures is how
long a burst lasts. People and systems do not act in step. Here arrivals are a Poisson process of a fixed seed, the same for every
target, and a call's time runs from the moment at which it was due (a late client or a full pool counts against the target).

    python -m benchmarks.gateway.openloop URL TOKEN RATE SECONDS    prints one line a call: status, microseconds
"""

from __future__ import annotations

import random
import select
import socket
import sys
import threading
import time
from collections import deque
from urllib.parse import urlsplit

MOST_CONNECTIONS = 512
AFTER_SECONDS = 5.0
"""For so long answers are waited for after the last call left."""
SEED = 20260701


def arrivals(per_second: float, seconds: float) -> list[float]:
    """Seconds from the start at which calls are due."""
    chance, at, found = random.Random(SEED), 0.0, []
    while (at := at + chance.expovariate(per_second)) < seconds:
        found.append(at)
    return found


class Client:
    def __init__(self, url: str, headers: list[str]) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self._request = "\r\n".join([f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", *headers, "", ""]).encode()
        self._poll = select.epoll()
        self._open: dict[int, socket.socket] = {}
        self._free: deque[socket.socket] = deque()
        self._waits: dict[int, tuple[float, bytearray]] = {}
        self._due: deque[float] = deque()
        self.found: list[tuple[int, float]] = []
        self._sent_all = threading.Event()

    def run(self, moments: list[float]) -> list[tuple[int, float]]:
        """(status, seconds) of every call answered."""
        for _ in range(32):
            self._free.append(self._connect())
        sender = threading.Thread(target=self._send_all, args=(moments,), daemon=True)
        sender.start()
        last = time.perf_counter() + moments[-1] + AFTER_SECONDS
        while len(self.found) < len(moments) and time.perf_counter() < last:
            for number, _events in self._poll.poll(0.2):
                self._read(number)
        for sock in self._open.values():
            sock.close()
        return self.found

    def _connect(self) -> socket.socket:
        sock = socket.create_connection(self._address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open[sock.fileno()] = sock
        self._poll.register(sock.fileno(), select.EPOLLIN)
        return sock

    def _send_all(self, moments: list[float]) -> None:
        start = time.perf_counter() + 0.05
        for moment in moments:
            due = start + moment
            if (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            try:
                sock = self._free.popleft()
            except IndexError:
                if len(self._open) >= MOST_CONNECTIONS:
                    self._due.append(due)
                    continue
                sock = self._connect()
            self._send(sock, due)

    def _send(self, sock: socket.socket, due: float) -> None:
        self._waits[sock.fileno()] = (due, bytearray())
        sock.sendall(self._request)

    def _read(self, number: int) -> None:
        sock = self._open[number]
        data = sock.recv(65536)
        if not data:
            raise SystemExit("the server closed a kept connection")
        due, got = self._waits[number]
        got += data
        if (status := _whole(got)) is None:
            return
        self.found.append((status, time.perf_counter() - due))
        if self._due:
            self._send(sock, self._due.popleft())
        else:
            self._free.append(sock)


def _whole(got: bytearray) -> int | None:
    """The status of an answer that is whole, else None."""
    head, gap, body = bytes(got).partition(b"\r\n\r\n")
    if not gap:
        return None
    status, lower = int(head[9:12]), head.lower()
    if b"\r\ntransfer-encoding: chunked" in lower:
        return status if body.endswith(b"0\r\n\r\n") else None
    length = lower.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return status if len(body) >= int(length) else None


def main() -> None:
    url, token, rate, seconds = sys.argv[1:5]
    client = Client(url, [f"Authorization: Bearer {token}", "X-Purpose-Code: bench"])
    for status, taken in client.run(arrivals(float(rate), float(seconds))):
        print(status, int(taken * 1e6))


if __name__ == "__main__":
    main()
