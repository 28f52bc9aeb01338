"""Sentences of screens that say what a rule sets: its value and its article are read with the sentence, never written into it."""

from __future__ import annotations

from django.utils import timezone
from django.utils.functional import lazy

from apps.legal.models import LegalRule


def stated(text: object, code: str) -> str:
    """`text` with the value (`%(term)s`) and the article (`%(citation)s`) of the rule `code` as it stands today.

    Raises InvalidFact (`no_legal_rule`) when no such rule is in force.
    """
    rule = LegalRule.objects.rule(code, timezone.localdate())
    return str(text) % {"term": rule.amount, "citation": rule.citation}


stated_lazy = lazy(stated, str)
"""The same for a text that stands in a module: it is made anew each time it is shown."""
