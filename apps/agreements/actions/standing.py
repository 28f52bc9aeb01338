"""Default sharing: the signatures that stand beforehand sign the version."""

from __future__ import annotations

from django.utils.translation import gettext as _

from apps.agreements.choices import Side, SignatureBasis
from apps.agreements.models import AgreementVersion, Party, Signature
from apps.connections.choices import Channel
from apps.connections.completeness import services_of
from apps.connections.models import ConnectionRequest
from apps.core.errors import NotPermitted


def sign_by_standing(version: AgreementVersion, request: ConnectionRequest) -> None:
    """Default sharing: the terms each provider signed once, and the request each consumer signed, sign the version.

    Raises NotPermitted when one person stands behind both sides, or drafted what they stand for: then nobody else has looked.
    """
    asking = request.consumer_ids()
    signed = next(row["content_hash"] for row in version.content["requests"] if row["number"] == request.number)
    hands = {
        party: _hand(party, request, asking, signed)
        for party in version.agreement.present_parties().select_related("organization")
    }
    signers = {side: {hand[0] for party, hand in hands.items() if party.side == side} - {None} for side in Side.values}
    if signers[Side.PROVIDER] & signers[Side.CONSUMER]:
        raise NotPermitted(_("The same person signed for both sides."), code="four_eyes")
    if version.drafted_by_id in signers[Side.PROVIDER] | signers[Side.CONSUMER]:
        raise NotPermitted(_("Who drafted the request stands behind a signature on the agreement."), code="four_eyes")
    Signature.objects.bulk_create(
        Signature(
            version=version, party=party, signer_id=signer, drafted_by=version.drafted_by, basis=basis,
            signed_hash=signed_hash, signed_at=signed_at,
            signer_name=on_paper,
        )
        for party, (signer, signed_hash, signed_at, basis, on_paper) in hands.items()
    )  # fmt: skip


def _hand(party: Party, request: ConnectionRequest, asking: frozenset[int], signed: str) -> tuple:
    """(signer id, hash, moment, basis, name on paper) of the standing signature of `party`."""
    if party.side == Side.CONSUMER and party.organization_id not in asking:
        # Already a party: it agreed beforehand that others may join (item 19), and nothing changes for it (`keep_the_others`).
        past = party.signatures.order_by("-pk").first()
        basis = SignatureBasis.OPEN_CLAUSE if past.signer_id else SignatureBasis.PAPER
        return past.signer_id, past.signed_hash, past.signed_at, basis, past.signer_name
    if party.side == Side.CONSUMER and request.channel == Channel.PAPER:
        return None, signed, request.received_at, SignatureBasis.PAPER, request.paper_signer
    if party.side == Side.CONSUMER:
        # There is one (`completeness`); that of a signer who has written in the request since does not count.
        rows = request.signatures.filter(organization=party.organization, content_hash=signed)
        row = rows.exclude(signer__in=request.preparers.all()).order_by("pk").first()
        return row.signer_id, row.content_hash, row.signed_at, SignatureBasis.REQUEST, ""
    # A provider signs by its terms for each of its services; one of them stands for the party.
    service = services_of(request).filter(provider=party.organization).select_related("usage_regulation").first()
    terms = service.usage_regulation
    return terms.terms_signed_by_id, terms.terms_hash, terms.terms_signed_at, SignatureBasis.STANDING_TERMS, ""
