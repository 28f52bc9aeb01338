"""The rows of a policy: what of each table a decision needs, as values that no one changes.

Times are seconds since 1970; an open end is infinity.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from msgspec import Struct

from apps.gateway.code_tables import Entries, unpack

FOREVER = float("inf")
LIVE_VERSIONS = ("published", "deprecated")


class Organization(Struct, frozen=True, gc=False):
    id: int
    uuid: str
    code: str
    status: str


class System(Struct, frozen=True, gc=False):
    id: int
    uuid: str
    code: str
    organization_id: int
    status: str


class Credential(Struct, frozen=True, gc=False):
    id: int
    uuid: str
    client_id: str
    system_id: int
    environment: str
    secret_hash: str
    certificate_hash: str
    status: str
    expires_at: float


class Agreement(Struct, frozen=True, gc=False):
    id: int
    uuid: str
    number: str
    status: str
    valid_from: float
    valid_to: float
    pause: tuple[float, float] | None = None
    """The announced suspension that is not over: from, to."""
    is_pause: bool = False
    """Whether it is suspended because of that announcement and nothing else."""


class Service(Struct, frozen=True, gc=False):
    id: int
    uuid: str
    code: str
    provider_id: int
    status: str
    protocol: str
    pause: tuple[float, float] | None = None
    """The announced maintenance that is not over: from, to."""


class Parameter(Struct, frozen=True, gc=False):
    name: str
    location: str
    required: bool
    pattern: str
    max_length: int
    is_subject: bool
    catalog_code: str = ""


class Operation(Struct, frozen=True, gc=False):
    """`fields` are the declared leaf paths, `envelope` those of them that go with every grant.

    `coded` names the catalog of the leaves that hold its codes, `codes_day` the day whose codes the provider uses (empty:
    today). `soap` describes the provider's message as JSON text.
    """

    id: int
    code: str
    method: str
    path_template: str
    kind: str
    parameters: tuple[Parameter, ...]
    fields: tuple[str, ...]
    envelope: tuple[str, ...]
    coded: tuple[tuple[str, str], ...] = ()
    codes_day: str = ""
    answer: str = "json"
    soap: str = ""


class Upstream(Struct, frozen=True, gc=False):
    """`secret` is still encrypted; it is opened by the part that calls (`upstreams`)."""

    id: int
    environment: str
    base_url: str
    auth_kind: str
    auth_settings: str
    secret: str
    timeout_ms: int
    max_response_bytes: int
    max_concurrency: int

    def __repr__(self) -> str:
        return f"Upstream({self.environment!r}, {self.base_url!r})"


class Version(Struct, frozen=True, gc=False):
    id: int
    uuid: str
    service_id: int
    major: int
    minor: int
    status: str
    operations: tuple[Operation, ...]
    upstreams: tuple[Upstream, ...]


class Grant(Struct, frozen=True, gc=False):
    """`networks` are CIDR texts, `hours` seconds of the Vietnamese day or None."""

    id: int
    uuid: str
    agreement_id: int
    system_id: int
    operation_id: int
    environment: str
    purpose: str
    status: str
    valid_from: float
    valid_to: float
    fields: tuple[str, ...]
    per_second: int | None
    per_day: int | None
    per_month: int | None
    hours: tuple[int, int] | None
    networks: tuple[str, ...]
    codes_day: str = ""
    """The day whose codes the consumer uses; empty: nothing is translated."""

    @property
    def has_quota(self) -> bool:
        return self.per_second is not None or self.per_day is not None or self.per_month is not None


class CodeTable(Struct, frozen=True, gc=False):
    """What became of the codes of a catalog (or one level: `catalog/level`) between two days; an empty day is today."""

    id: int
    uuid: str
    catalog: str
    day_from: str
    day_to: str
    release: int
    content: bytes

    @property
    def entries(self) -> Entries:
        return unpack(self.content)


class Basis(Struct, frozen=True, gc=False):
    """A provision that refusals cite between two days (ISO texts; an empty last day is open)."""

    id: int
    uuid: str
    code: str
    citation: str
    day_from: str
    day_to: str


class Unreadable(Struct, frozen=True, gc=False):
    """A row that could not be read: it is no part of the policy, so nothing that rests on it is let through.

    `about` is what a decision looks for it by: (service, major) of a version, of which nothing is called then, lest an older
    version take its place; (system, operation) of a grant; (code,) of a service; (id,) of all others.
    """

    kind: str
    id: int
    uuid: str
    why: str
    about: tuple


@lru_cache(maxsize=4096)
def pattern_of(text: str) -> re.Pattern[str] | None:
    """A parameter's pattern, compiled; None when it cannot be (the operation is then not callable)."""
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return None


@lru_cache(maxsize=4096)
def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
