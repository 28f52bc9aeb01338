"""A gateway whose parts can be made to fail while it runs: `python -m tests.gateway.broken --port N`.

The real server stack; only each part named in `PARTS` looks first into the file LGSP_TEST_BROKEN and raises when its name is there.
"""

from __future__ import annotations

import functools
import inspect
import os
from pathlib import Path

from lgsp import gateway  # sets Django up

_FILE = Path(os.environ["LGSP_TEST_BROKEN"])


class Broken(Exception):
    """Nobody expects this one."""


def is_broken(name: str) -> bool:
    return _FILE.read_text() == name


def _guard(owner: object, attribute: str, name: str, error: type[Exception] = Broken) -> None:
    """Replace `owner.attribute` by one that raises while `name` is broken."""
    whole = getattr(owner, attribute)

    @functools.wraps(whole)
    def guarded(*args, **kwargs):
        if is_broken(name):
            raise error(name)
        return whole(*args, **kwargs)

    @functools.wraps(whole)
    async def guarded_later(*args, **kwargs):
        if is_broken(name):
            raise error(name)
        return await whole(*args, **kwargs)

    setattr(owner, attribute, guarded_later if inspect.iscoroutinefunction(whole) else guarded)


def _unreadable(kind: str) -> None:
    """Decide by a policy in which the rows of `kind` cannot be found."""
    from apps.gateway import calls

    whole = calls.decide

    def decide(policy, *args):
        if is_broken(f"row {kind}"):
            policy = policy.with_changes(policy.epoch, {kind: dict.fromkeys(policy.rows[kind])})
        return whole(policy, *args)

    calls.decide = decide


def main() -> None:
    from apps.gateway import app, calls, outgoing, replies, upstreams
    from apps.gateway.cutting import Cutter
    from apps.gateway.group_commit import GroupCommit, LedgerDown
    from apps.gateway.outcomes import FieldSets
    from apps.gateway.runtime import Runtime
    from apps.gateway.tokens import Tokens

    _guard(Tokens, "remembered", "token store")
    for kind in ("agreement", "organization", "informationsystem"):
        _unreadable(kind)
    _guard(calls, "decide", "decision")
    _guard(Runtime, "refresh", "policy store", LedgerDown)
    _guard(GroupCommit, "_write_once", "ledger")
    _guard(GroupCommit, "_connected", "database", LedgerDown)
    _guard(calls, "keyed_digest", "digest")
    _guard(upstreams.Upstreams, "endpoint", "address")
    _guard(outgoing, "forward", "way out")
    _guard(Cutter, "cut", "filter")
    _guard(app, "describe", "description", LedgerDown)
    _guard(FieldSets, "known", "names of fields")
    _guard(replies, "subject_pseudonym", "pseudonym")
    gateway.main()


if __name__ == "__main__":
    main()
