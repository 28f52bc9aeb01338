"""Uploaded PDFs signed with a token: verified with pyHanko, everything doubtful refused with its reason.

Accepted is the very document we gave out, with one more signature appended: the file begins with our bytes, nothing but
the signature comes after them, the newest signature covers the whole file, every signature is intact and leads to a
trusted root, and the certificate names the person who uploads it.

pyHanko is loaded when the first file comes: it took a third of the start of every process, the gateway's too.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from pathlib import Path

from asn1crypto import pem, x509
from django.conf import settings
from django.utils.translation import gettext as _

from apps.core.errors import InvalidFact
from apps.core.text import fold

log = logging.getLogger("lgsp.agreements")

MAX_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True)
class SignedBy:
    """What the certificate of the newest signature says."""

    subject: str
    names: frozenset[str]


def verify(data: bytes, *, given_out: bytes, roots: list[x509.Certificate] | None = None) -> SignedBy:
    """The signer of `data`, which is `given_out` with one more signature. Raises InvalidFact (`pdf_*`) otherwise."""
    roots = trusted_roots() if roots is None else roots
    if not roots:
        raise InvalidFact(_("No trusted roots are set up; signed files cannot be verified."), code="pdf_no_roots")
    if len(data) > MAX_BYTES or not data.startswith(b"%PDF-"):
        raise InvalidFact(_("This is not a PDF file."), code="pdf_unreadable")
    if not data.startswith(given_out):
        raise InvalidFact(_("This is not the document that was given out to be signed."), code="pdf_other_document")
    signatures = _signatures(data)
    if len(signatures) != len(_signatures(given_out)) + 1:
        raise InvalidFact(_("Exactly one new signature is expected in the file."), code="pdf_signature_count")
    for signature in signatures:
        _check(signature, roots, is_last=signature is signatures[-1])
    _require_nothing_else(data, given_out)
    certificate = signatures[-1].signer_cert
    return SignedBy(_subject(certificate), _names(certificate))


def _signatures(data: bytes) -> list:
    from pyhanko.pdf_utils.misc import PdfReadError
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.general import SigningError

    try:
        return list(PdfFileReader(io.BytesIO(data), strict=False).embedded_regular_signatures)
    except (PdfReadError, SigningError, ValueError, KeyError, RecursionError) as error:
        raise InvalidFact(_("The PDF file cannot be read."), code="pdf_unreadable") from error


def _check(signature, roots, *, is_last: bool) -> None:
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko.sign.validation.status import SignatureCoverageLevel
    from pyhanko_certvalidator import ValidationContext

    # A context serves one validation; nothing is fetched from the net.
    context = ValidationContext(trust_roots=roots, allow_fetching=False)
    try:
        status = validate_pdf_signature(signature, signer_validation_context=context)
    except Exception as error:  # the library's many ways of saying that a file is broken; none of them means "valid"
        raise InvalidFact(_("The signature cannot be verified."), code="pdf_signature_broken") from error
    if not (status.intact and status.valid):
        raise InvalidFact(_("The file was changed after it was signed."), code="pdf_changed")
    if is_last and status.coverage != SignatureCoverageLevel.ENTIRE_FILE:
        raise InvalidFact(_("The signature does not cover the whole file."), code="pdf_coverage")
    if not status.trusted:
        raise InvalidFact(_("The certificate does not lead to a trusted root."), code="pdf_untrusted")
    if not status.bottom_line:
        raise InvalidFact(_("The signature is not valid."), code="pdf_not_valid")


def _require_nothing_else(data: bytes, given_out: bytes) -> None:
    """Raise InvalidFact (`pdf_content_changed`) when the file shows anything else than what was given out and a signature.

    A PDF is changed by appending to it, so its first bytes are ours also where a page was replaced before it was signed. A
    second signature guards what the first covers; the first has nobody before it.
    """
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY, FormUpdatingRule, StandardDiffPolicy, SuspiciousModification
    from pyhanko.sign.diff_analysis.constants import ACROFORM_EXEMPT_STRICT_COMPARISON

    # The first signature also says in the form that there is one, which the library does not expect.
    form = FormUpdatingRule(DEFAULT_DIFF_POLICY.form_rule.field_rules, ACROFORM_EXEMPT_STRICT_COMPARISON | {"/SigFlags"})
    policy = StandardDiffPolicy(DEFAULT_DIFF_POLICY.global_rules, form)
    try:
        ours, whole = (PdfFileReader(io.BytesIO(part), strict=False) for part in (given_out, data))
        base = ours.xrefs.total_revisions - 1
        # An appended table that does not lead back to ours would put another beginning in its place.
        known = whole.xrefs.get_startxref_for_revision(base) == ours.xrefs.get_startxref_for_revision(base)
        found = policy.review_file(whole, base) if known else None
    except Exception as error:  # as in `_check`: none of the library's ways to stumble means "unchanged"
        raise InvalidFact(_("The signature cannot be verified."), code="pdf_signature_broken") from error
    if found is None or isinstance(found, SuspiciousModification):
        raise InvalidFact(
            _("Something besides the signature was added to the document that was given out."), code="pdf_content_changed"
        )


def _subject(certificate: x509.Certificate) -> str:
    """The subject for people: its values from the person outward, without the standard's English names of the parts."""
    values = [str(value) for part in reversed(certificate.subject.native.values()) for value in _as_list(part)]
    return ", ".join(values)[:500]


def _names(certificate: x509.Certificate) -> frozenset[str]:
    """Names and e-mail addresses of the certificate's subject, folded."""
    found = [value for name in ("common_name", "email_address") for value in _as_list(certificate.subject.native.get(name))]
    if certificate.subject_alt_name_value is not None:
        found += [str(row.native) for row in certificate.subject_alt_name_value if row.name == "rfc822_name"]
    return frozenset(fold(str(value)) for value in found if value)


def _as_list(value) -> list:
    return value if isinstance(value, list) else [value]


def require_person(signed: SignedBy, user) -> None:
    """Raise InvalidFact (`pdf_other_person`) unless the certificate names `user` by full name or e-mail."""
    if not signed.names & {fold(user.full_name), fold(user.email)} - {""}:
        raise InvalidFact(
            _("The certificate is of %(subject)s, not yours.") % {"subject": signed.subject}, code="pdf_other_person"
        )


def trusted_roots() -> list[x509.Certificate]:
    """The certificates in the folder of the setting SIGNATURE_ROOTS; a file that holds none is told to the operator and left out."""
    folder = Path(settings.SIGNATURE_ROOTS) if settings.SIGNATURE_ROOTS else None
    if folder is None or not folder.is_dir():
        return []
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".pem", ".crt", ".cer", ".der"))
    return [certificate for path in paths for certificate in _certificates(path)]


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        data = path.read_bytes()
        ders = [der for _kind, _headers, der in pem.unarmor(data, multiple=True)] if pem.detect(data) else [data]
        # Strict, and parsed whole: what is wrong inside would come to light only at somebody's signature.
        found = [x509.Certificate.load(der, strict=True) for der in ders]
        for certificate in found:
            _parsed = certificate.native
    except (OSError, ValueError, TypeError) as error:
        log.error("signature root %s cannot be read: %s", path.name, error)
        return []
    return found
