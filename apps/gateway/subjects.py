"""Who read about one person: the calls whose parameters named a data subject, found by pseudonym.

The log keeps no identifier. What stands for a person is a keyed hash of the identifier and the service, so the given identifier is
hashed anew for each service and only the hashes are looked for. Neither the question nor its record holds the identifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db.models import TextField
from django.db.models.functions import Cast

from apps.gateway.digests import subject_pseudonym
from apps.gateway.models import CallIntent, CallOutcome
from apps.gateway.querysets import end_of_ids, first_id
from apps.registry.models import DataService

MOST = 500
"""Calls of one answer; whoever needs more narrows the period or names the service."""
AT_ONCE = 1_000
ANYWHERE = "anywhere"
"""In place of a service: the pseudonym that the record of a search holds, equal for equal persons."""


def calls_about(
    user, identifiers: Sequence[str], *, since: datetime, until: datetime | None = None, service: str = ""
) -> list[CallIntent]:
    """The newest calls about the person that `user` may see, at most `MOST` + 1.

    `identifiers` are the values of an operation's subject parameters in their declared order: mostly one.
    """
    subject = "\x1f".join(identifiers)
    services = DataService.objects.filter(code=service) if service else DataService.objects.all()
    pseudonyms = [subject_pseudonym(str(uuid), subject) for uuid in services.values_list("uuid", flat=True)]
    outcomes = CallOutcome.objects.filter(subject__in=pseudonyms, call_id__gte=first_id(since))
    if until:
        outcomes = outcomes.filter(call_id__lt=end_of_ids(until))
    visible = CallIntent.objects.visible_to(user).between(since, until).for_reading().order_by("-call_id")
    found: list[CallIntent] = []
    for some in _newest_ids(outcomes):
        found += visible.filter(pk__in=some)[: MOST + 1 - len(found)]
        if len(found) > MOST:
            break
    return found


def _newest_ids(outcomes) -> Iterator[list]:
    """The ids of `outcomes`, newest first, some at a time.

    Asked for by themselves and ordered as text: joined to the calls, or ordered by the key, PostgreSQL would walk the whole log backwards
    to find the newest few.
    """
    newest = outcomes.order_by(Cast("call_id", TextField()).desc()).values_list("call_id", flat=True)
    while some := list(newest[:AT_ONCE]):
        yield some
        if len(some) < AT_ONCE:
            return
        newest = newest.filter(call_id__lt=some[-1])


def pseudonym_for_record(identifiers: Sequence[str]) -> str:
    """What the record of a search says instead of the identifier."""
    return subject_pseudonym(ANYWHERE, "\x1f".join(identifiers)).hex()
