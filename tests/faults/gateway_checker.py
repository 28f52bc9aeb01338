"""An independent judge of the gateway's promises: reads what clients got, what the provider kept, and the tables by plain SQL.

It shares no code with the gateway. A violation is a sentence.
"""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psycopg


@dataclass
class Attempt:
    """One try of a client: when it began, what came back whole (status 0: nothing whole; of a body its beginning)."""

    began: float
    status: int = 0
    call_id: str = ""
    body: bytes = b""
    ended: float = 0.0


@dataclass
class Client:
    """Threads that call in turn and remember everything; `urls` may be changed while they run."""

    urls: list[str]
    path: str
    headers: dict[str, str]
    threads: int = 8
    attempts: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._running: list[threading.Thread] = []

    def once(self, url: str, timeout: float = 60.0) -> Attempt:
        attempt = Attempt(time.time())
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)
        try:
            connection.request("GET", self.path, headers=self.headers)
            answer = connection.getresponse()
            body = answer.read()
            attempt.status, attempt.body, attempt.call_id = answer.status, body[:600], answer.getheader("X-Call-Id", "")
        except (OSError, http.client.HTTPException):
            attempt.status = 0
        finally:
            attempt.ended = time.time()
            connection.close()
        self.attempts.append(attempt)
        return attempt

    def start(self, pause: float = 0.0) -> Client:
        def work(number: int) -> None:
            while not self._stop.is_set():
                attempt = self.once(self.urls[number % len(self.urls)])
                # Whoever found nobody knocks more slowly, or it takes the processor from the one that starts.
                time.sleep(pause if attempt.status else max(pause, 0.05))

        self._running = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(self.threads)]
        for thread in self._running:
            thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        for thread in self._running:
            thread.join(130)


def violations(url: str, attempts: list[Attempt], seen: list[tuple[str, float]]) -> list[str]:
    """Everything that breaks (i), (ii) or (iii) now; `seen` are the provider's (call id, time of arrival)."""
    with psycopg.connect(url) as connection:
        intents = {str(i): at.timestamp() for i, at in connection.execute("SELECT call_id, admitted_at FROM call_intent")}
        outcomes: dict[str, list[str]] = {}
        for call_id, outcome in connection.execute("SELECT call_id, outcome FROM call_outcome"):
            outcomes.setdefault(str(call_id), []).append(outcome)
        refusals = {str(row[0]) for row in connection.execute("SELECT call_id FROM call_refusal")}
    found = []
    for attempt in attempts:
        got = outcomes.get(attempt.call_id, [])
        if attempt.status == 200 and got != ["delivered"]:
            found.append(f"(i) a whole answer {attempt.call_id} has outcomes {got}")
        if attempt.status in (403, 404, 429) and not got and attempt.call_id not in refusals:
            found.append(f"(i) the refusal {attempt.call_id} is not written")
    hits: dict[str, int] = {}
    for call_id, at in seen:
        hits[call_id] = hits.get(call_id, 0) + 1
        if call_id not in intents:
            found.append(f"(ii) the provider saw {call_id} without an intent")
        elif intents[call_id] > at + 0.005:
            found.append(f"(ii) {call_id} was admitted {intents[call_id] - at:.3f} s after the provider saw it")
    for call_id in intents:
        if len(outcomes.get(call_id, [])) != 1:
            found.append(f"(iii) the intent {call_id} has outcomes {outcomes.get(call_id, [])}")
    for call_id, got in outcomes.items():
        if "delivered" in got and not hits.get(call_id):
            found.append(f"(iii) {call_id} is called delivered but the provider never saw it")
        if call_id not in intents:
            found.append(f"(iii) the outcome {call_id} has no intent")
    return found


CLOSED_WITHIN = 60.0
"""DL-01: so many seconds after its admission an intent without a record is closed, while any gateway runs."""


def longest_open(url: str, since: str = "-infinity") -> float:
    """Seconds by the database's clock from the admission of a call, or from `since`, to its being closed as unknown; the longest."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT coalesce(max(extract(epoch FROM o.recorded_at - greatest(i.admitted_at, %s::timestamptz))), 0)::float8 "
            "FROM call_intent i JOIN call_outcome o USING (call_id) WHERE o.outcome = 'unknown'", [since],
        ).fetchone()[0]  # fmt: skip


def wait_until_closed(url: str, seconds: float = 180.0) -> float:
    """Wait until every intent has an outcome; how long it took. Raises AssertionError after `seconds`."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        with psycopg.connect(url) as connection:
            open_calls = connection.execute(
                "SELECT count(*) FROM call_intent i LEFT JOIN call_outcome o USING (call_id) WHERE o.call_id IS NULL"
            ).fetchone()[0]
        if not open_calls:
            return time.monotonic() - began
        time.sleep(0.5)
    raise AssertionError(f"{open_calls} intents have no outcome after {seconds} s")
