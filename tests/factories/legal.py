"""What a legal officer sets in a test."""

from __future__ import annotations

from decimal import Decimal

from django.utils import timezone

from apps.legal.actions import change_rule
from apps.legal.models import LegalRule
from apps.organizations.choices import Role
from tests.factories.organizations import officer

CITATION = "NĐ 9/2027/NĐ-CP Điều 3"


def set_rule(code: str, value: int) -> LegalRule:
    """The rule `code` is `value` from today on, by another decree."""
    return change_rule(
        code, by=officer(Role.LEGAL_OFFICER), value=Decimal(value), citation=CITATION, effective_from=timezone.localdate(),
        evidence="T",
    )  # fmt: skip
