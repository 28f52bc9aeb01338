"""Is a version fit to be published? Each question with the article it comes from; publishing needs every answer to be yes.

WF-11 and WF-13 (NĐ 47/2020 Điều 24(3), 25(3), 23(4)), AG-04 (Điều 22), WF-01 (Điều 7), AG-20 (what a field of personal data is, a person has said).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.registry.choices import (
    CONTAINER_TYPES,
    UNCLASSIFIED,
    AnswerFormat,
    Environment,
    PersonalDataClass,
    Protocol,
    SharingForm,
)
from apps.registry.models import DataService, Field, ServiceVersion

MOST_NAMED = 20
"""Fields without a class that are named at once: each of them is a decision, so more than three are said."""
PRIVACY = "Luật 91/2025/QH15 Điều 2"


@dataclass(frozen=True)
class Item:
    """One question. `hint` says what is missing, empty when `done`."""

    code: str
    label: str
    citation: str
    done: bool
    hint: str = ""


@dataclass(frozen=True)
class Completeness:
    items: tuple[Item, ...]

    @property
    def score(self) -> int:
        """Per cent of the questions answered, rounded down: 100 only when all are."""
        return 100 * sum(item.done for item in self.items) // len(self.items)

    @property
    def is_complete(self) -> bool:
        return all(item.done for item in self.items)

    @property
    def missing(self) -> list[Item]:
        return [item for item in self.items if not item.done]


def completeness(version: ServiceVersion) -> Completeness:
    """Judge a version as it stands; a handful of queries whatever its size."""
    service = version.service
    return Completeness((*_of_service(service), *_of_terms(service), *_of_contract(version), *_of_addresses(version)))


_FACTS = {
    "description": ("description",), "contact": ("contact",), "sla": ("sla",), "capacity": ("capacity_rps", "daily_quota"),
    "usage_regulation": ("usage_regulation",), "terms_signed": ("usage_regulation", "sharing_form"),
}  # fmt: skip
"""Question → the facts of the service that answer it."""
_TERMS = ("usage_regulation", "terms_signed")
"""Questions that another value may leave without an answer, not only an empty one."""


def lost(service: DataService, changed: Collection[str]) -> dict[str, list[str]]:
    """What a published service would lack by the facts that `changed`: fact → hints (Điều 25(3): complete, not only on its first day)."""
    missing = [item for item in (*_of_service(service), *_of_terms(service)) if not item.done]
    found: dict[str, list[str]] = {}
    for item in missing:
        for name in _FACTS.get(item.code, ()):
            if name in changed and (item.code in _TERMS or not str(getattr(service, name) or "").strip()):
                found.setdefault(name, []).append(item.hint)
    return found


def _of_service(service: DataService) -> list[Item]:
    focal = service.provider.focal_points.filter(ended_at__isnull=True).exists()
    return [
        _item("description", _("What the service gives"), "Điều 24(3)", bool(service.description.strip()), _("Describe it.")),
        _item("contact", _("Whom to ask"), "Điều 24(3)", bool(service.contact.strip()), _("Name a contact.")),
        _item("sla", _("Service level"), "Điều 24(3)", bool(service.sla.strip()), _("State the service level.")),
        _item("capacity", _("Capacity and quota"), "Điều 25(3), 23(4)", bool(service.capacity_rps and service.daily_quota),
              _("State calls per second and calls per day.")),
        _item("focal_point", _("The provider's focal point"), "Điều 7", focal, _("The provider must name its focal point.")),
    ]  # fmt: skip


def _of_terms(service: DataService) -> list[Item]:
    regulation = service.usage_regulation
    in_force = regulation is not None and regulation.is_effective_on(timezone.localdate())
    items = [_item("usage_regulation", _("Usage regulation in force"), "Điều 22", in_force,
                   _("Attach a regulation on use that is in force today."))]  # fmt: skip
    if service.sharing_form == SharingForm.DEFAULT:
        signed = regulation is not None and regulation.is_signed
        items.append(
            _item("terms_signed", _("Standard terms signed"), "Điều 22, 33", signed,
                  _("The provider's signer must sign the standard terms of default sharing."))
        )  # fmt: skip
    return items


def _of_contract(version: ServiceVersion) -> list[Item]:
    operations = list(version.operations.values_list("pk", "code"))
    leaves = Field.objects.filter(operation__version=version).exclude(type__in=CONTAINER_TYPES)
    with_fields = set(leaves.values_list("operation_id", flat=True))
    bare = [code for pk, code in operations if pk not in with_fields]
    unnamed = list(leaves.filter(label="").values_list("path", flat=True)[:3])
    sampled = {sample.get("operation") for sample in version.interface_spec.get("samples", [])}
    unsampled = [code for _pk, code in operations if code not in sampled]
    misfits = _misfits(version)
    open_ones = leaves.filter(personal_data=UNCLASSIFIED)
    unclassified = list(open_ones.order_by("operation_id", "position").values_list("path", flat=True)[:MOST_NAMED])
    personal = (PersonalDataClass.BASIC, PersonalDataClass.SENSITIVE)
    given = list(leaves.filter(is_envelope=True, personal_data__in=personal).values_list("path", flat=True)[:3])
    return [
        _item("operations", _("Operations"), "Điều 24(3)", bool(operations), _("Define at least one operation.")),
        _item("protocol", _("Operations speak the protocol of the service"), "Điều 24(3)", not misfits,
              _("Not %(protocol)s: %(names)s") % {
                  "protocol": version.service.get_protocol_display(), "names": ", ".join(misfits[:3])}),
        _item("fields", _("Fields of every answer"), "Điều 24(3)", bool(operations) and not bare,
              _("No fields: %(names)s") % {"names": ", ".join(bare[:3])}),
        _item("labels", _("Every field has a name in Vietnamese"), "Điều 24(3)", bool(operations) and not unnamed,
              _("Without a name: %(names)s") % {"names": ", ".join(unnamed)}),
        _item("classes", _("The personal-data class of every field is said"), PRIVACY, bool(operations) and not unclassified,
              _("Not classified yet (%(count)d): %(names)s") % {
                  "count": open_ones.count() if unclassified else 0, "names": ", ".join(unclassified)}),
        _item("envelope", _("Nothing personal comes with every access"), PRIVACY, not given,
              _("Take out of the envelope: %(names)s") % {"names": ", ".join(given)}),
        _item("samples", _("A sample message for every operation"), "Điều 24(3)", bool(operations) and not unsampled,
              _("No sample: %(names)s") % {"names": ", ".join(unsampled[:3])}),
        _item("errors", _("Error codes"), "Điều 24(3)", bool(version.interface_spec.get("errors")), _("List the error codes.")),
    ]  # fmt: skip


def _misfits(version: ServiceVersion) -> list[str]:
    """Codes of the operations whose messages are not what the service says of itself: consumers choose by that word.

    An operation is SOAP/XML when it is described as a SOAP message or answers in XML, and REST/JSON otherwise.
    """
    is_xml = version.service.protocol == Protocol.SOAP
    rows = version.operations.values_list("code", "answer", "soap")
    return [code for code, answer, soap in rows if (bool(soap) or answer == AnswerFormat.XML) != is_xml]


def _of_addresses(version: ServiceVersion) -> list[Item]:
    known = set(version.upstreams.values_list("environment", flat=True))
    return [
        _item(f"upstream_{environment.value}", _("Address: %(environment)s") % {"environment": environment.label},
              "Điều 24(3)", environment.value in known, _("Give the address of this environment."))
        for environment in Environment
    ]  # fmt: skip


def _item(code: str, label: str, article: str, done: bool, hint: str) -> Item:
    """`article` is one of the decree on sharing (NĐ 47/2020), unless it names its own act."""
    citation = f"NĐ 47/2020/NĐ-CP {article}" if article.startswith("Điều") else article
    return Item(code, label, citation, done, "" if done else hint)
