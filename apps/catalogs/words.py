"""Words for what the tables hold as codes: names of attributes, and where a release came from."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

ATTRIBUTES = {
    "type": gettext_lazy("kind of unit"),
    "kind": gettext_lazy("kind"),
    "legal_basis": gettext_lazy("legal basis"),
    "alt_full_name": gettext_lazy("another full name"),
    "alt_code": gettext_lazy("another code"),
    "other_names": gettext_lazy("other names"),
    "scheme": gettext_lazy("code system"),
    "alpha3": gettext_lazy("three-letter code"),
    "numeric": gettext_lazy("numeric code"),
    "name_en": gettext_lazy("English name"),
    "section": gettext_lazy("section"),
    "followers_2019": gettext_lazy("followers in 2019"),
    "code_status": gettext_lazy("standing of the code"),
    "evidence_level": gettext_lazy("evidence"),
    "evidence": gettext_lazy("document of evidence"),
    "sample": gettext_lazy("sample"),
}


def attribute_name(name: str) -> str:
    """What people call an attribute; its own name when a catalog brings one we do not know."""
    return str(ATTRIBUTES.get(name, name))


def source_words(source: str) -> str:
    """Where a release came from: `sync:ngsp-positions` → synchronization (ngsp-positions). Whose list it is stands elsewhere."""
    kind, _colon, name = source.partition(":")
    if kind in ("portal", "crosswalk"):
        name = name.partition(":")[2]
    known = {
        "sync": _("synchronization"),
        "data": _("file that comes with the platform"),
        "undo": _("undoing of a release"),
        "correction": _("correction of an entry"),
        "portal": _("list of an officer"),
        "crosswalk": _("crosswalk of an officer"),
    }
    if kind not in known:
        return source
    return f"{known[kind]} ({name})" if name else known[kind]
