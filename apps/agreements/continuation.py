"""What a change, a renewal or a joining keeps of the agreement that it starts from: who shares, and how."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from apps.agreements.choices import Side
from apps.agreements.models import Agreement, RequestBasis
from apps.connections.choices import RequestKind
from apps.connections.completeness import Missing
from apps.connections.models import ConnectionRequest
from apps.organizations.models import Organization
from apps.registry.choices import SharingForm
from apps.registry.querysets import DataServiceQuerySet


def nameable(request: ConnectionRequest, services: DataServiceQuerySet) -> DataServiceQuerySet:
    """Of `services` those that `request` may name without `keeps_sides` objecting to them."""
    agreement = _started_from(request)
    if agreement is None:
        return services
    services = services.filter(provider__in=agreement.organization_ids(Side.PROVIDER))
    return services.exclude(sharing_form=SharingForm.SPECIAL) if agreement.sharing_form == SharingForm.DEFAULT else services


def keeps_sides(request: ConnectionRequest) -> Iterator[Missing]:
    """The providers of the agreement stay the same, and what is shared by standing terms stays shared by them.

    Another provider would be bound by what it is no party to, and one that shares nothing any more would have to sign it (NĐ 47/2020
    Điều 38 khoản 1). Data that is shared specially needs a content both sides agree to and sign (Điều 36); under an agreement by
    standing terms nobody would be asked. Both are for a new request. A rule of `connections.completeness`.
    """
    agreement = _started_from(request)
    asked = request.provider_ids() if agreement else frozenset()
    if not asked:
        return
    bound = agreement.organization_ids(Side.PROVIDER)
    if asked != bound:
        names = Organization.objects.filter(pk__in=bound).order_by("name").values_list("name", flat=True)
        yield "scope", _(
            "The agreement shares data of: %(providers)s. Neither can another provider's service be added to it, nor all of one's be given up: file a new request for that."
        ) % {"providers": ", ".join(names)}  # fmt: skip
    if agreement.sharing_form == SharingForm.DEFAULT and request.sharing_form == SharingForm.SPECIAL:
        yield (
            "scope",
            _(
                "The agreement rests on the providers' standing terms, and one of the services is shared specially: file a new request."
            ),
        )


def _started_from(request: ConnectionRequest) -> Agreement | None:
    """None for a new request."""
    if request.kind == RequestKind.NEW:
        return None
    basis = RequestBasis.objects.filter(request=request).select_related("agreement").first()
    return basis and basis.agreement
