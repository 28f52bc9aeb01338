"""What a change, renewal or joining changes of what runs, in words, as one person reads it.

Of what was approved: the version it made beside the one it was begun on, whatever became of either since. Before: the content
that it would make. Who is not bound by the agreement, or has left it, reads of that its own part (`reading`), so that it tells
nobody who else takes data, who came and who left.
"""

from __future__ import annotations

from apps.agreements.actions.amendment import amended_content
from apps.agreements.differences import Difference, differences
from apps.agreements.models import RequestBasis
from apps.agreements.reading import changes, own_part, reads_in_full


def asked_changes(basis: RequestBasis, user) -> list[Difference]:
    """Nothing for a new connection, which is begun on no version, nor before its draft names a purpose."""
    former, request = basis.starts_from, basis.request
    if former is None or request.purpose is None:
        return []
    if basis.version is not None:
        return changes(former, basis.version, user)
    contents = former.content, amended_content(request, basis.agreement, former, former.number + 1)
    if not reads_in_full(basis.agreement, user):
        contents = tuple(own_part(content, user) for content in contents)
    return differences(*contents)
