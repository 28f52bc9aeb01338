"""What is read before a request is approved or a version signed: what it would open, and the recorded calls under it.

Both doors show this, with the same things for the same person: loads of the services of one's own agency, overlaps of the
agreements one is a party to, recorded calls that are one's own or reach one's services. Each look at the recorded calls is itself
recorded (LOG-06), like any other reading of the log.
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.agreements.models import AgreementVersion
from apps.agreements.preview import Preview, preview, preview_of
from apps.connections.models import ConnectionRequest
from apps.core.errors import FactMissing
from apps.core.workflow import require
from apps.gateway.actions import note_reading
from apps.gateway.preview import Replay, replay_request, replay_version
from apps.gateway.refusals import TABLE

SUMS = ("calls", "passing", "refused", "losing", "opened")
MOST_FIELDS = 50


@dataclass(frozen=True)
class Before:
    """`about`: fields, overlaps and loads. `replay`: what would become of the recorded calls."""

    about: Preview
    replay: Replay

    @property
    def sums(self) -> dict[str, int]:
        return {name: self.replay.total(name) for name in SUMS}

    @property
    def reasons(self) -> list[tuple[str, object, int]]:
        """(code, in words, calls) of the refusals there would be."""
        return [(code, worded(code), count) for code, count in self.replay.reasons.most_common()]

    @property
    def opened(self) -> list[tuple[str, object, int]]:
        """(code, in words, calls) of recorded refusals that would pass."""
        return [(code, worded(code), count) for code, count in self.replay.opened.most_common()]

    @property
    def lost(self) -> list[tuple[str, int]]:
        """(field, calls that would lose it), most first."""
        return self.replay.lost.most_common(MOST_FIELDS)


def worded(code: str) -> object:
    """The refusal in words; an unknown code speaks for itself."""
    return TABLE[code].title if code in TABLE else code


def before_approving(request: ConnectionRequest, *, by) -> Before:
    """For who decides on the request, and the platform's readers. Raises NotPermitted."""
    require(by, "agreements.preview_request", request)
    return _noted(Before(preview(request, by), replay_request(request, by)), by, request.number)


def before_signing(version: AgreementVersion, *, by) -> Before:
    """For whoever sees the version. Where an operation of it is gone nothing is replayed (`days` is 0)."""
    try:
        replay = replay_version(version, by)
    except FactMissing:
        replay = Replay(0)
    return _noted(Before(preview_of(version, by), replay), by, version.agreement.number)


def _noted(before: Before, by, about: str) -> Before:
    note_reading("calls", by=by, asked={"page": "preview", "about": about}, rows=before.replay.calls)
    return before
