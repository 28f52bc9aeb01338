"""What one person reads of an agreement: all of it, what was valid until it left, or, still joining, what it is to sign.

A joiner of a special agreement signs a version before it is bound by it. Until then it reads that version's terms and its own part;
who else takes data under the agreement, with which systems, is for the parties (AG-03). After a joining that was declined it
reads its own request and nothing of the agreement. A consumer that has left was a party until then: it reads the versions made
before, in full, its own access, tests, suspensions and duties, and the history until then and what concerned it; for it the
agreement ended that day (`as_read`). Rows are chosen by `visible_to` of their QuerySets; this is their content.
"""

from __future__ import annotations

import datetime

from apps.agreements.assessments import KEY, TEXT
from apps.agreements.choices import AgreementStatus
from apps.agreements.differences import Difference, differences
from apps.agreements.models import Agreement, AgreementVersion, Party
from apps.connections.models import ConnectionRequest
from apps.organizations.models import Organization
from apps.organizations.roles import is_platform_reader, organization_ids

ENDED = {
    "version": 0, "suspension_kind": "", "suspended_at": None, "violation": "", "handling_plan": "", "restore_conditions": "",
    "termination_ground": "", "status_reason": "",
}  # fmt: skip


def reads_in_full(agreement: Agreement, user) -> bool:
    """A party that is bound by it, and whoever reads the platform: as it stands now."""
    return Agreement.objects.read_in_full_by(user).filter(pk=agreement.pk).exists()


def left_at(agreement: Agreement, user) -> datetime.datetime | None:
    """When the last of the reader's agencies left; None for whoever reads it as it stands, and for who is joining."""
    if is_platform_reader(user):
        return None
    rows = Party.objects.bound().filter(agreement=agreement, organization_id__in=organization_ids(user))
    moments = list(rows.values_list("left_at", flat=True))
    return max(moments) if moments and None not in moments else None


def was_bound(agreement: Agreement, user) -> bool:
    """Whether what the reader may see of a version is the whole of it: a party of today or a former one."""
    return Agreement.objects.known_in_full_to(user).filter(pk=agreement.pk).exists()


def as_read(agreement: Agreement) -> Agreement:
    """The row (of `with_reach`) as its reader is told of it; not to be saved. For who has left it ended that day, duties aside."""
    until = agreement.read_until
    if until is not None:
        status = AgreementStatus.ENDING if agreement.owes else AgreementStatus.TERMINATED
        for name, value in {**ENDED, "status": status, "valid_to": until, "ended_at": until}.items():
            setattr(agreement, name, value)
    return agreement


def version_for(agreement: Agreement, user) -> AgreementVersion | None:
    """The version a page of the agreement begins with.

    The one in force (the newest proposal while there is none), for one who left the one in force then, for one who joins the
    one it is to sign.
    """
    if reads_in_full(agreement, user):
        return agreement.current_version
    until = left_at(agreement, user)
    if until is not None:
        return last_in_force(agreement, until)
    return AgreementVersion.objects.visible_to(user).filter(agreement=agreement).order_by("-number").first()


def last_in_force(agreement: Agreement, until: datetime.datetime) -> AgreementVersion | None:
    """The version that the next one, made when a party left, took the place of."""
    after = agreement.versions.filter(created_at__gte=until).order_by("number").first()
    return agreement.versions.filter(content_hash=after.content["supersedes"]).first() if after else None


def former_of(version: AgreementVersion) -> AgreementVersion | None:
    """The version that `version` was written against: what its hash names, not merely the number before."""
    before = version.content.get("supersedes")
    return version.agreement.versions.filter(content_hash=before).order_by("-number").first() if before else None


def read(version: AgreementVersion, user) -> AgreementVersion:
    """`version` with the content that `user` reads in place of the whole; not to be saved. The hash stays that of the whole."""
    if not was_bound(version.agreement, user):
        version.content = own_part(version.content, user)
    return version


def changes(former: AgreementVersion | None, version: AgreementVersion | None, user) -> list[Difference]:
    """What `version` changes of `former`, in words, as far as the reader reads them."""
    if former is None or version is None:
        return []
    until = left_at(version.agreement, user)
    if until is not None and version.created_at >= until:
        return []
    if was_bound(version.agreement, user):
        return differences(former.content, version.content)
    return differences(own_part(former.content, user), own_part(version.content, user))


def own_part(content: dict, user) -> dict:
    """Of a content what an agency reads that is not bound by it: the terms, its providers, and what is said of itself."""
    own = set(Organization.objects.filter(pk__in=organization_ids(user)).values_list("code", flat=True))
    providers = {row["code"] for row in content["providers"]}
    systems = [row for row in content["systems"] if row["organization"] in own]
    codes, names = {row["code"] for row in systems}, {row["name"] for row in systems}
    numbers = [row["number"] for row in content["requests"]]
    mine = {row.number: row for row in ConnectionRequest.objects.filter(number__in=numbers, consumer__code__in=own)}
    return {
        **content,
        "requests": [row for row in content["requests"] if row["number"] in mine],
        "consumers": [row for row in content["consumers"] if row["code"] in own],
        "systems": systems,
        "contacts": [row for row in content["contacts"] if row["organization"] in own | providers],
        "place": {**content["place"], "usage_location": [name for name in content["place"]["usage_location"] if name in names], "networks": []},
        "security": {**content["security"], "levels": [row for row in content["security"]["levels"] if row["system"] in codes]},
        "personal_data": _own_words(content["personal_data"], own, mine.values()),
    }  # fmt: skip


def _own_words(personal: dict, own: set[str], mine) -> dict:
    """The item of personal data as one agency reads it: what it said itself (of an older content, in the request it rests on)."""
    if KEY in personal:
        return {**personal, KEY: [row for row in personal[KEY] if row["organization"] in own]}
    return {**personal, TEXT: next((row.exemption_reason for row in mine), "")}
