"""The official document of a version: layout of NĐ 30/2020/NĐ-CP, the content's hash as text and QR code.

The PDF of a version is made once and kept, so that everybody signs the same bytes; who signed in the portal stands on a
copy made when it is asked for. Where the machine lacks the
PDF library's system parts, `PdfUnavailable` is raised and doors show `document_html` for printing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import zip_longest
from pathlib import Path

import segno
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from apps.agreements.choices import Side, VersionState
from apps.agreements.models import AgreementDocument, AgreementVersion, Signature, StandardClause
from apps.agreements.templatetags.agreements_documents import basis_words
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


MOST_ISSUERS = 4
"""Names at the head of the document; with more parties the first of each side stands for all, which Điều 1 names."""


def document_html(version: AgreementVersion, *, signed: bool = True, in_browser: bool = False, no_pdf: bool = False) -> str:
    """The document as a page for printing: self-contained, no script, nothing from another host.

    `signed` puts the hands that signed so far under it; without them it is the sheet that is given out to be signed.
    `in_browser` takes the fonts of the reader's machine; `no_pdf` says that the page stands in for a PDF.
    """
    made = timezone.localdate(version.created_at)
    with translation.override("vi"):
        return render_to_string(
            "documents/agreement.html",
            {"c": version.content, **_joining(version.content), "version": version, "made": made, "issuers": _issuers(version.content),
             "place": settings.DOCUMENT_PLACE, "blocks": _blocks(version, signed), "qr": qr_code(version.content_hash),
             "short_hash": version.content_hash[:16], "in_browser": in_browser, "no_pdf": no_pdf},
        )  # fmt: skip


def _joining(content: dict) -> dict:
    """The provision by which others join, and the one by which those of an addendum did, each of the day its words were made."""
    joining = content.get("joining") or StandardClause.objects.first_text("joining")
    return {"joining": joining, "joined_by": content.get("addendum", {}).get("joining") or joining}


def _issuers(content: dict) -> list[str]:
    rows = [*content["providers"], *content["consumers"]]
    if len(rows) > MOST_ISSUERS:
        rows = [content["providers"][0], content["consumers"][0]]
    return [row["name"] for row in rows]


@dataclass(frozen=True)
class Block:
    """The place where one party signs; empty until it did."""

    side: str
    agency: str
    signature: Signature | None

    @property
    def name(self) -> str:
        return self.signature.signer.full_name if self.signature.signer else self.signature.signer_name

    @property
    def position(self) -> str:
        return self.signature.signer.position if self.signature.signer else ""

    @property
    def in_place_of(self) -> str:
        """The head for whom a deputy signs, "" for anybody else (NĐ 30/2020, Phụ lục I, mục II.7: “KT.” before the head's office)."""
        deputy, _blank, head = self.position.partition(" ")
        return head if deputy.casefold() == "phó" else ""

    @property
    def how(self) -> str:
        return basis_words(self.signature)


def _blocks(version: AgreementVersion, signed: bool) -> list[tuple[Block | None, Block | None]]:
    """Pairs of (consumer, provider), as the sheet shows them beside each other, in the order of Điều 1."""
    hands = {row.party.organization.code: row for row in version.signatures.select_related("party__organization", "signer")}
    sides = [
        [Block(side, row["name"], hands.get(row["code"]) if signed else None) for row in version.content[rows]]
        for side, rows in ((Side.CONSUMER, "consumers"), (Side.PROVIDER, "providers"))
    ]
    return list(zip_longest(*sides))


def qr_code(content_hash: str) -> str:
    """A data address of the QR code that reads `sha256:<hash>`."""
    return segno.make(f"sha256:{content_hash}", error="m").svg_data_uri(scale=2, border=1)


def render_pdf(version: AgreementVersion, *, signed: bool = True) -> bytes:
    """The document as PDF (`document_html`). Raises PdfUnavailable without the system's Pango."""
    return pdf_of(document_html(version, signed=signed), finisher=_with_room_for_signatures)


def _with_room_for_signatures(_document, pdf) -> None:
    """An empty form, where signers put their fields: what a signature adds is then told from any other change (`signed_pdf`)."""
    import pydyf

    form = pydyf.Dictionary({"Fields": pydyf.Array([])})
    pdf.add_object(form)
    pdf.catalog["AcroForm"] = form.reference


def pdf_of(html: str, *, finisher=None) -> bytes:
    """A self-contained page of ours as PDF; `finisher` (document, pdf) has the last hand. Raises PdfUnavailable without the system's Pango."""
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
                return URLFetcherResponse(url, _unpacked(path), {"Content-Type": "font/ttf"})
            return super().fetch(url, headers)  # knows only data: and refuses the rest

    return HTML(string=html, url_fetcher=OurFontsOnly(allowed_protocols=("data",))).write_pdf(finisher=finisher)


@cache
def _unpacked(path: Path) -> bytes:
    """A font of ours as the PDF library wants it: unpacking it anew was most of what a document cost."""
    from fontTools.ttLib import woff2

    plain = BytesIO()
    woff2.decompress(BytesIO(path.read_bytes()), plain)
    return plain.getvalue()


def original(version: AgreementVersion) -> tuple[AgreementDocument, bytes]:
    """The one PDF of `version` that is signed, made and kept at first asking."""
    found = version.documents.filter(signature__isnull=True).first()
    if found is not None:
        return found, files.read(found)
    data = render_pdf(version, signed=version.state != VersionState.DRAFT)
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


def copy(version: AgreementVersion) -> bytes:
    """The document with every hand that signed so far, however it did: what is read and filed, not what is signed."""
    return render_pdf(version)
