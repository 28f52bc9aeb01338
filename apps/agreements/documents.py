"""The official document of a version: layout of NĐ 30/2020/NĐ-CP, the content's hash as text and QR code.

The PDF of a version is made once and kept, so that everybody signs the same bytes. Where the machine lacks the
PDF library's system parts, `PdfUnavailable` is raised and doors show `document_html` for printing.
"""

from __future__ import annotations

import logging
from pathlib import Path

import segno
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from apps.agreements.models import AgreementDocument, AgreementVersion
from apps.connections import files
from apps.core.errors import DomainError

log = logging.getLogger(__name__)
FONTS = Path(__file__).resolve().parent / "fonts"
"""Tinos (SIL OFL): the metrics of Times New Roman, which NĐ 30/2020/NĐ-CP asks for, with every Vietnamese letter."""


class PdfUnavailable(DomainError):
    """The PDF library cannot be loaded on this machine."""

    code = "pdf_unavailable"
    status = 503
    title = _("PDF documents cannot be made on this machine; use the print view.")


def document_html(version: AgreementVersion) -> str:
    """The document as a page for printing: self-contained, no script, nothing from another host."""
    made = timezone.localdate(version.created_at)
    signatures = list(version.signatures.select_related("party__organization", "signer"))
    with translation.override("vi"):
        return render_to_string(
            "documents/agreement.html",
            {"c": version.content, "version": version, "made": made, "signatures": signatures, "qr": qr_code(version.content_hash),
             "short_hash": version.content_hash[:16]},
        )  # fmt: skip


def qr_code(content_hash: str) -> str:
    """A data address of the QR code that reads `sha256:<hash>`."""
    return segno.make(f"sha256:{content_hash}", error="m").svg_data_uri(scale=2, border=1)


def render_pdf(version: AgreementVersion) -> bytes:
    """The document as PDF. Raises PdfUnavailable without the system's Pango."""
    try:
        from weasyprint import HTML  # heavy, needs system libraries: only when a document is made
        from weasyprint.urls import URLFetcher, URLFetcherResponse
    except (ImportError, OSError) as error:
        log.warning("PDF library not available: %s", error)
        raise PdfUnavailable from error

    class OurFontsOnly(URLFetcher):
        """Nothing leaves: fonts of the house and data inside the page; every other address is refused."""

        def fetch(self, url, headers=None):
            path = FONTS / url.removeprefix("font:")
            if url.startswith("font:") and path.parent == FONTS and path.is_file():
                return URLFetcherResponse(url, path.read_bytes(), {"Content-Type": "font/woff2"})
            return super().fetch(url, headers)  # knows only data: and refuses the rest

    return HTML(string=document_html(version), url_fetcher=OurFontsOnly(allowed_protocols=("data",))).write_pdf()


def original(version: AgreementVersion) -> tuple[AgreementDocument, bytes]:
    """The one PDF of `version` that is signed, made and kept at first asking."""
    found = version.documents.filter(signature__isnull=True).first()
    if found is not None:
        return found, files.read(found)
    data = render_pdf(version)
    document, created = AgreementDocument.objects.get_or_create(
        version=version, signature=None, defaults={"sha256": files.digest(data), "size": len(data)}
    )
    if created:
        files.keep(document, data)
        return document, data
    return document, files.read(document)


def newest(version: AgreementVersion) -> tuple[AgreementDocument, bytes]:
    """The document with the signatures it has so far: what the next signer signs."""
    signed = version.documents.filter(signature__isnull=False).order_by("-pk").first()
    return (signed, files.read(signed)) if signed else original(version)
