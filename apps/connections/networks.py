"""From where the calls of a request may come (WF-26), as people read it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def is_everywhere(networks: Iterable[str]) -> bool:
    """Whether these networks, taken together, shut nothing out: none was named, or they hold every address of IPv4 or of IPv6."""
    named = [ipaddress.ip_network(network, strict=False) for network in networks]
    for version in (4, 6):
        if any(row.prefixlen == 0 for row in ipaddress.collapse_addresses(row for row in named if row.version == version)):
            return True
    return not named
