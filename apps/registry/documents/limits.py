"""What is taken of a document, and the one way to refuse it."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.core.errors import InvalidFact

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 60
"""Nesting of the document itself."""
MAX_TREE = 16
"""Nesting of an answer's fields (`registry.contract.MAX_DEPTH`)."""
MAX_NODES = 60_000
"""Values in a document, and steps taken while following its references."""

_REASONS = {
    "too_large": _("The document is larger than 2 MiB."),
    "unknown": _("This is neither OpenAPI 3 (JSON or YAML) nor WSDL."),
    "encoding": _("The document is not UTF-8 text."),
    "unstorable": _(
        "The document holds a character or a number that cannot be kept (NUL, half a character, a number without an end)."
    ),
    "malformed": _("The document cannot be read."),
    "too_deep": _("The document is nested too deeply."),
    "too_many": _("The document holds too much, or refers to itself without end."),
    "remote_reference": _("The document refers to another one. Put everything into one document and upload that."),
    "broken_reference": _("A reference in the document leads nowhere."),
    "entities": _("The document declares a document type or entities: refused for safety."),
    "aliases": _("The document uses YAML anchors: write them out and upload again."),
    "version": _("Only OpenAPI 3.0 and 3.1 and WSDL 1.1 are read."),
    "no_operations": _("No reading operation was found in the document."),
}


class DocumentRefused(InvalidFact):
    """An uploaded document cannot be taken. `extra["reason"]` is a stable word; `extra["where"]` a place in it."""

    code = "document_refused"
    title = _("The document cannot be taken.")

    def __init__(self, reason: str, where: object = "") -> None:
        place = str(where)[:200]
        told = f"{_REASONS[reason]} ({place})" if place else str(_REASONS[reason])
        super().__init__(_REASONS[reason], reason=reason, where=place, fields={"file": [told]})
        self.reason = reason
