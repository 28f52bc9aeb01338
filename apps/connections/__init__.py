"""Connections: an agency asks that its systems may read a provider's data.

A request names systems, operations, exact fields, purpose, legal basis and frequency (NĐ 47/2020 Điều 35(2)),
is signed by the consumer's signer, checked by the operator, and decided by each provider concerned. The
content that was signed is the content that is decided: a change after signing voids the signature.
Approving lives one floor up (`agreements.actions.approve_request`), because it makes the agreement.
"""
