"""Who signs for a party (item 1 of regulations section 8), and by what document: by office, or by an assignment or an authorization.

A content holds it with each party, since format 2; the document (`authority`, empty for who signs by office) since format 4:

    [{"name": "Lý Văn Sơn", "position": "Phó Giám đốc Sở", "authority": "12/QĐ-STC ngày 05/01/2026 của Giám đốc Sở"}]

They are the signers of the day the content was made. A row without `authority` comes from an older content and says nothing of it;
what carries a party over as it stands carries it like that. Who represents a party is not among the differences of two contents:
whoever changes a term has not changed the people, and who signs stands under what they signed.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from apps.organizations.choices import Role
from apps.organizations.models import Organization


def representatives(organization: Organization) -> list[dict]:
    """The people who may sign for `organization` today."""
    rows = organization.memberships.filter(role=Role.SIGNER, ended_at__isnull=True, user__is_active=True)
    people = rows.select_related("user").order_by("user__full_name", "pk")
    return [{"name": row.user.full_name, "position": row.user.position, "authority": row.authority} for row in people]


def words(row: dict) -> str:
    """One of them in the reader's language: name, position, and the document where one is named."""
    return ", ".join(part for part in (row["name"], row["position"], _document(row.get("authority", ""))) if part)


def _document(authority: str) -> str:
    """What begins with its number is said to be a number; a document that is named in words stands as it was written."""
    if not authority:
        return ""
    text = _("by authorization or assignment No. %(document)s") if authority[0].isdigit() else _("by %(document)s")
    return text % {"document": authority}
