"""What one person reads of an agreement: all of it, or, as one who is still joining, what it is to sign.

A joiner of a special agreement signs a version before it is bound by it. Until then it reads that version's terms and its own part;
who else takes data under the agreement, with which systems, is for the parties (AG-03). After a joining that was declined it
reads its own request and nothing of the agreement. Rows are chosen by `visible_to` of their QuerySets; this is their content.
"""

from __future__ import annotations

from apps.agreements.differences import Difference, differences
from apps.agreements.models import Agreement, AgreementVersion
from apps.connections.models import ConnectionRequest
from apps.organizations.models import Organization
from apps.organizations.roles import organization_ids


def reads_in_full(agreement: Agreement, user) -> bool:
    """A party that is bound by it, and whoever reads the platform."""
    return Agreement.objects.read_in_full_by(user).filter(pk=agreement.pk).exists()


def version_for(agreement: Agreement, user) -> AgreementVersion | None:
    """The version a page of the agreement begins with: the one in force, for one who joins the one it is to sign."""
    if reads_in_full(agreement, user):
        return agreement.current_version
    return AgreementVersion.objects.visible_to(user).filter(agreement=agreement).order_by("-number").first()


def read(version: AgreementVersion, user) -> AgreementVersion:
    """`version` with the content that `user` reads in place of the whole; not to be saved. The hash stays that of the whole."""
    if not reads_in_full(version.agreement, user):
        version.content = _own_part(version.content, user)
    return version


def changes(former: AgreementVersion | None, version: AgreementVersion | None, user) -> list[Difference]:
    """What `version` changes of `former`, in words, as far as the reader reads them."""
    if former is None or version is None:
        return []
    if reads_in_full(version.agreement, user):
        return differences(former.content, version.content)
    return differences(_own_part(former.content, user), _own_part(version.content, user))


def _own_part(content: dict, user) -> dict:
    own = set(Organization.objects.filter(pk__in=organization_ids(user)).values_list("code", flat=True))
    providers = {row["code"] for row in content["providers"]}
    systems = [row for row in content["systems"] if row["organization"] in own]
    codes, names = {row["code"] for row in systems}, {row["name"] for row in systems}
    numbers = [row["number"] for row in content["requests"]]
    mine = {row.number: row for row in ConnectionRequest.objects.filter(number__in=numbers, consumer__code__in=own)}
    said = next((row.exemption_reason for row in mine.values()), "")
    return {
        **content,
        "requests": [row for row in content["requests"] if row["number"] in mine],
        "consumers": [row for row in content["consumers"] if row["code"] in own],
        "systems": systems,
        "contacts": [row for row in content["contacts"] if row["organization"] in own | providers],
        "place": {**content["place"], "usage_location": [name for name in content["place"]["usage_location"] if name in names], "networks": []},
        "security": {**content["security"], "levels": [row for row in content["security"]["levels"] if row["system"] in codes]},
        "personal_data": {**content["personal_data"], "assessment_or_exemption": said},
    }  # fmt: skip
