"""What a running sandbox remembers: tokens, switches, faults to play, rows pushed to it, and what it received."""

from __future__ import annotations

import fnmatch
import hmac
import os
import time
import uuid
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime

ENVIRONMENTS = ("production", "test")
KEPT_CALLS = 20_000


class MissingCredentials(RuntimeError):
    """The process was started without the credentials its clients must show."""


@dataclass
class Fault:
    """Play `mode` for calls whose path matches `path` (shell pattern), after `after` good ones, `times` times (0: for ever)."""

    mode: str
    path: str = "*"
    times: int = 1
    after: int = 0
    seconds: float = 1.0
    bytes: int = 100

    def applies(self, path: str) -> bool:
        """Count this call; true when the fault is to be played for it."""
        if not fnmatch.fnmatchcase(path, self.path):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times < 0:
            return False
        if self.times > 0:
            self.times = self.times - 1 or -1
        return True


@dataclass
class Switches:
    """What an admin call may set. `as_of` picks the feed's day; `fault_format` the WSO2 generation (3.x xml, 4.x json)."""

    as_of: str = "2026-04-30"
    token_seconds: int = 3600
    fault_format: str = "json"
    today: str = ""

    def set(self, changes: dict) -> None:
        """Set known switches. Raises ValueError for an unknown name or a value that cannot be."""
        for name, value in changes.items():
            if name not in ("as_of", "token_seconds", "fault_format", "today"):
                raise ValueError(f"unknown switch {name!r}")
            if name == "token_seconds":
                value = int(value)
            elif name == "fault_format" and value not in ("json", "xml"):
                raise ValueError("fault_format is json or xml")
            elif name in ("as_of", "today") and value:
                date.fromisoformat(value)
            setattr(self, name, value)

    def current_day(self) -> date:
        return date.fromisoformat(self.today) if self.today else date.today()


@dataclass
class Token:
    environment: str
    expires_at: float


@dataclass
class State:
    key: str
    secret: str
    switches: Switches = field(default_factory=Switches)
    tokens: dict[str, Token] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    pushed: dict[tuple[str, str], list[dict]] = field(default_factory=dict)
    received: deque = field(default_factory=lambda: deque(maxlen=KEPT_CALLS))
    number: int = 0

    @classmethod
    def from_environment(cls) -> State:
        key, secret = os.environ.get("LGSP_SANDBOX_KEY", ""), os.environ.get("LGSP_SANDBOX_SECRET", "")
        if not key or not secret:
            raise MissingCredentials("Set LGSP_SANDBOX_KEY and LGSP_SANDBOX_SECRET (`make run` makes them in var/secrets.env).")
        switches = Switches()
        switches.set({"as_of": os.environ.get("LGSP_SANDBOX_AS_OF", switches.as_of)})
        return cls(key, secret, switches)

    # --- tokens -----------------------------------------------------------------------------

    def knows(self, key: str, secret: str) -> bool:
        return hmac.compare_digest(key.encode(), self.key.encode()) & hmac.compare_digest(secret.encode(), self.secret.encode())

    def issue(self, environment: str) -> str:
        now = time.monotonic()
        self.tokens = {value: token for value, token in self.tokens.items() if token.expires_at > now}
        value = str(uuid.uuid4())
        self.tokens[value] = Token(environment, now + self.switches.token_seconds)
        return value

    def accepts(self, value: str, environment: str) -> bool:
        token = self.tokens.get(value)
        return token is not None and token.environment == environment and token.expires_at > time.monotonic()

    # --- faults -----------------------------------------------------------------------------

    def fault_for(self, path: str, header: str) -> Fault | None:
        """The fault to play for this call: named by its own header, or the first that applies."""
        if header:
            return Fault(header)
        for fault in self.faults:
            if fault.applies(path):
                return fault
        return None

    # --- the record -------------------------------------------------------------------------

    def note(self, *, environment: str, method: str, path: str, query: str, headers: dict[str, str], size: int) -> dict:
        """Write down a call before it is answered. Header names only: values may be secrets."""
        self.number += 1
        entry = {
            "number": self.number,
            "at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "environment": environment,
            "method": method,
            "path": path,
            "query": query,
            "call_id": headers.get("x-call-id", ""),
            "consumer": {
                name: headers[name]
                for name in ("x-consumer-organization", "x-consumer-system", "x-purpose-code")
                if name in headers
            },  # fmt: skip
            "header_names": sorted(headers),
            "bytes": size,
            "status": None,
        }
        self.received.append(entry)
        return entry

    def reset(self) -> None:
        """Back to how the process started; tokens die too."""
        fresh = State.from_environment()
        self.switches, self.tokens, self.faults, self.pushed = fresh.switches, {}, [], {}
        self.received.clear()

    def describe(self) -> dict:
        return {"switches": asdict(self.switches), "faults": [asdict(fault) for fault in self.faults if fault.times >= 0],
                "tokens": len(self.tokens), "received": self.number}  # fmt: skip
