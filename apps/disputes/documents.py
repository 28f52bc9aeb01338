"""The document by which a dispute goes to the body in charge (NĐ 47/2020 Điều 48, 49(3)), in the layout of NĐ 30/2020.

A draft made from the record: the digital unit gives it a number in its own document system, has it signed and sends
it; what was sent is then noted by `actions.send_document`.
"""

from __future__ import annotations

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone, translation

from apps.agreements.documents import pdf_of
from apps.agreements.models import StandardClause
from apps.disputes.models import Dispute
from apps.organizations.choices import Role
from apps.organizations.models import Membership


def document_html(dispute: Dispute) -> str:
    """The document as a page for printing: self-contained, no script, nothing from another host.

    The provisions it rests on are the clause `dispute_document` of its day: of today until it was sent, then of that day.
    """
    today = dispute.sent_date or timezone.localdate()
    operator = Membership.objects.current().filter(role=Role.OPERATOR).select_related("organization").order_by("id").first()
    facts = {
        "d": dispute,
        "day": today,
        "provisions": StandardClause.objects.known_text("dispute_document", today),
        "place": settings.DOCUMENT_PLACE,
        "sender": operator.organization if operator else "",
        "answers": list(dispute.answers.select_related("author").order_by("id")),
    }
    with translation.override("vi"):
        return render_to_string("documents/dispute.html", facts)


def document_pdf(dispute: Dispute) -> bytes:
    """The same as PDF. Raises PdfUnavailable on a machine without the PDF library's system parts."""
    return pdf_of(document_html(dispute))
