"""The small world of the access matrix: two parties, a stranger, the platform's own people, one object of each kind.

Everything that belongs to the two parties carries `CANARY`, so that a leak to the stranger can be seen in bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from apps.organizations.choices import Role
from tests.factories.accounts import UserFactory
from tests.factories.organizations import MembershipFactory, OrganizationFactory, ReadyOrganizationFactory

CANARY = "CANARY-7f3a"
_KWARG = re.compile(r"([^/]+)/\{([a-zA-Z_]+)\}")


@dataclass
class World:
    """`people` by actor name; `objects` maps the path segment before an identifier to the identifier used in the row."""

    people: dict
    objects: dict[str, str] = field(default_factory=dict)

    def address(self, route: str) -> str:
        """The route with its identifiers filled in. Raises KeyError for a segment this world has no object for."""
        return _KWARG.sub(lambda match: f"{match[1]}/{self.objects[match[1]]}", route)


def build() -> World:
    consumer, provider = ReadyOrganizationFactory(name="Sở Khai thác"), ReadyOrganizationFactory(name="Bộ Cung cấp")
    third, platform = ReadyOrganizationFactory(name="Sở Thứ ba"), OrganizationFactory(name="Trung tâm Vận hành")
    people = {
        "nobody": UserFactory(username="vo"),
        "consumer": _person("ha", consumer, Role.CONSUMER_OFFICER),
        "signer": _person("lan", consumer, Role.SIGNER),
        "provider": _person("binh", provider, Role.PROVIDER_OFFICER),
        "stranger": _person("cuc", third, Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER, Role.SIGNER),
        "operator": _person("dung", platform, Role.OPERATOR),
        "legal": _person("mai", platform, Role.LEGAL_OFFICER),
        "auditor": _person("tam", platform, Role.AUDITOR),
    }
    world = World(people)
    world.objects["legal-rules"] = "connection.decide"
    return world


def _person(username: str, organization, *roles: Role):
    user = UserFactory(username=username)
    for role in roles:
        MembershipFactory(user=user, organization=organization, role=role)
    return user
