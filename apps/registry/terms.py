"""What a provider's signer signs: the content of a usage regulation, and its hash."""

from __future__ import annotations

from django.utils import timezone

from apps.core.canonical import content_hash
from apps.legal.models import LegalRule
from apps.registry.models import UsageRegulation


def terms_content(regulation: UsageRegulation) -> dict:
    """Everything a consumer relies on. Its end is left out: replacing a regulation must not void what was signed."""
    return {
        "organization": regulation.organization.code,
        "number": regulation.number,
        "title": regulation.title,
        "issued_on": regulation.issued_on.isoformat(),
        "effective_from": regulation.effective_from.isoformat(),
        "log_retention_months": regulation.log_retention_months,
        "usage_duration": regulation.usage_duration,
        "terms": regulation.terms,
    }


def terms_hash(regulation: UsageRegulation) -> str:
    """Lower-case hex SHA-256 of the canonical content."""
    return content_hash(terms_content(regulation))


def usual_months() -> int:
    """How many months the log is kept where a regulation does not say it otherwise: the rule in force today. Raises InvalidFact without one."""
    return int(LegalRule.objects.rule("log.retention_default", timezone.localdate()).value)
