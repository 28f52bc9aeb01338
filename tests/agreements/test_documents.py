"""The official document, and PDFs that come back signed."""

from __future__ import annotations

import datetime
import html
import io
import re
from pathlib import Path

import pytest
import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer
from pyhanko.sign import fields, signers
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from apps.agreements import documents, signed_pdf
from apps.agreements.actions import sign_agreement, sign_with_pdf
from apps.agreements.choices import AgreementStatus, Side, SignatureBasis
from apps.agreements.models import AgreementDocument, Signature
from apps.core.errors import InvalidFact, NotPermitted
from tests.factories.agreements import agreement_in_force, awaiting_signatures


class Authority:
    """A small certification authority of the test's own."""

    def __init__(self, name="Gốc thử nghiệm"):
        self.key = rsa.generate_private_key(65537, 2048)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._issue(self.name, self.key.public_key(), ca=True)

    def _issue(self, subject, public_key, *, ca=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        usage = x509.KeyUsage(not ca, not ca, False, False, False, ca, ca, False, False)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public_key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=365)).add_extension(x509.BasicConstraints(ca, None), True)
            .add_extension(usage, True).sign(self.key, hashes.SHA256())
        )  # fmt: skip

    def token_of(self, person) -> signers.SimpleSigner:
        """What the person's token does: sign with a certificate of this authority that names them."""
        key = rsa.generate_private_key(65537, 2048)
        names = [x509.NameAttribute(NameOID.COMMON_NAME, person.full_name)]
        certificate = self._issue(x509.Name(names), key.public_key())
        blob = serialization.pkcs12.serialize_key_and_certificates(
            b"token", key, certificate, [self.certificate], serialization.BestAvailableEncryption(b"x")
        )
        return signers.SimpleSigner.load_pkcs12_data(blob, [], b"x")


def signed(data: bytes, signer: signers.SimpleSigner, field: str, box=None) -> bytes:
    """`data` signed in a field of its own; `box` is where on the first page it shows, as tokens of the government do it."""
    writer = IncrementalPdfFileWriter(io.BytesIO(data))
    if box:
        fields.append_signature_field(writer, fields.SigFieldSpec(field, box=box))
    meta = signers.PdfSignatureMetadata(field_name=field)
    return signers.sign_pdf(writer, meta, signer=signer).getvalue()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def roots(authority, settings, tmp_path, pango):
    (tmp_path / "root.pem").write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    settings.SIGNATURE_ROOTS = str(tmp_path)


# --- the document -------------------------------------------------------------------------------


def test_the_page_has_what_nd_30_asks_for_and_the_hash(w):
    version = agreement_in_force(w).current_version
    page = documents.document_html(version)
    for text in (
        "Cộng hòa xã hội chủ nghĩa Việt Nam", "Độc lập - Tự do - Hạnh phúc", version.content["agreement"], "THỎA THUẬN",
        w.provider.name, w.consumer.name, version.content_hash, "Điều 1.", w.system.name, "500 lượt/ngày", "cho mỗi thao tác của mỗi hệ thống", "Nơi nhận:",
        w.provider_signer.full_name, w.consumer_signer.full_name, "trong 30 ngày kể từ",
    ):  # fmt: skip
        assert text in page
    assert all(f">{path}<" in page for path in w.fields())


def test_the_limit_of_a_content_made_before_reads_as_it_was_signed(w):
    """Its copy says what its original says, which was given out."""
    version = agreement_in_force(w).current_version
    version.content["method"].pop("counted_by")
    page = documents.document_html(version)
    assert "500 lượt/ngày" in page
    assert "cho mỗi hệ thống" in page


def qr_of(page: str) -> str:
    """The address of the one QR code of the page, as a browser reads it."""
    (address,) = re.findall(r'<img class="qr" src="([^"]+)"', page)
    return html.unescape(address)


def code_of(text: str) -> str:
    return segno.make(text, error="m").svg_data_uri(scale=2, border=1)


@pytest.mark.parametrize("signed", [True, False], ids=["signed copy", "sheet to be signed"])
def test_the_qr_code_reads_the_hash_of_this_content_and_of_no_other(w, signed):
    version = agreement_in_force(w).current_version
    shown = qr_of(documents.document_html(version, signed=signed))
    assert re.fullmatch("[0-9a-f]{64}", version.content_hash)
    assert shown == code_of(f"sha256:{version.content_hash}")
    version.content_hash = version.content_hash[::-1]
    assert qr_of(documents.document_html(version, signed=signed)) == code_of(f"sha256:{version.content_hash}") != shown


def test_the_qr_code_is_drawn_in_the_pdf(w, pango):
    """It is the one thing on the page that is drawn as squares: without it far fewer lines are drawn."""
    page = documents.document_html(agreement_in_force(w).current_version)
    without = re.sub(r'<img class="qr"[^>]*>', "", page)
    assert drawn(documents.pdf_of(page)) > drawn(documents.pdf_of(without)) + 100


def drawn(pdf: bytes) -> int:
    """How many lines the streams of the file draw."""
    reader = PdfFileReader(io.BytesIO(pdf))
    found = [reader.get_object(generic.Reference(number, 0, reader)) for number in range(1, reader.trailer["/Size"])]
    return sum(len(re.findall(rb" l\s", row.data)) for row in found if isinstance(row, generic.StreamObject))


def test_a_deputy_signs_in_place_of_the_head(w):
    version = agreement_in_force(w).current_version
    for row in version.signatures.select_related("party", "signer"):
        row.signer.position = "Phó Cục trưởng" if row.party.side == Side.PROVIDER else "Giám đốc Sở"
        row.signer.save()
    page = documents.document_html(version)
    assert '<b>KT. Cục trưởng</b></div><div class="caps"><b>Phó Cục trưởng</b>' in page
    assert page.count("KT. ") == 1, "the head signs in nobody's place"


def test_sentences_end_with_one_full_stop(w):
    version = agreement_in_force(w).current_version
    version.content = {**version.content, "supersedes": "ab" * 32, "change_note": "Nêu rõ phạm vi."}
    version.content["term"] = {**version.content["term"], "valid_from": None, "valid_to": None}
    page = documents.document_html(version)
    assert "Nêu rõ phạm vi.</p>" in page
    assert "từ ngày có đủ chữ ký, không xác định thời hạn." in page


def test_the_sheet_to_be_signed_is_the_same_for_everybody_and_the_copy_shows_every_hand(special, pango):
    agreement = awaiting_signatures(special)
    version = agreement.current_version
    _document, before = documents.newest(version)
    sign_agreement(agreement, by=special.consumer_signer, content_hash=version.content_hash)
    _document, after = documents.newest(version)
    assert before == after, "the next signer would sign other bytes"
    assert "ký trên nền tảng ngày" in documents.document_html(version)
    assert "ký trên nền tảng ngày" not in documents.document_html(version, signed=False)
    assert documents.copy(version) != before


def test_each_party_has_a_place_to_sign_and_a_joiner_gets_an_addendum(w):
    agreement = agreement_in_force(w)
    content = {**agreement.current_version.content, "addendum": {"number": 2, "joined": [w.consumer.code]}}
    second = {"code": "H03.77", "name": "Sở Thứ Hai", "kind": "department", "representatives": [{"name": "A", "position": "B"}]}
    version = agreement.current_version
    version.content = {**content, "consumers": [*content["consumers"], second]}
    page = documents.document_html(version)
    assert page.count('class="agency"') == 3
    assert "PHỤ LỤC SỐ 2" in page
    assert f"Về việc tham gia của {w.consumer.name}" in page
    assert "đại diện: A, B" in page


def test_the_page_runs_nothing_and_loads_nothing_from_elsewhere(w):
    w.consumer.name = "<script>alert(1)</script>"
    w.consumer.save()
    page = documents.document_html(agreement_in_force(w).current_version)
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_the_pdf_is_made_once_and_kept(w, pango):
    version = agreement_in_force(w).current_version
    document, data = documents.original(version)
    again, same = documents.original(version)
    assert data.startswith(b"%PDF-")
    assert (again, same) == (document, data)
    assert AgreementDocument.objects.count() == 1


def test_the_pdf_carries_vietnamese_fonts_of_its_own(w, pango):
    _document, data = documents.original(agreement_in_force(w).current_version)
    fonts = PdfFileReader(io.BytesIO(data)).root["/Pages"]["/Kids"][0]["/Resources"]["/Font"]
    assert all("Tinos" in str(fonts[name]["/BaseFont"]) for name in fonts)


def test_without_the_system_library_the_reader_is_told(w, monkeypatch):
    import builtins

    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(documents.PdfUnavailable):
        documents.original(agreement_in_force(w).current_version)
    assert not AgreementDocument.objects.exists()


# --- signed files -------------------------------------------------------------------------------


@pytest.mark.parametrize("boxes", [(None, None), ((60, 60, 260, 120), (300, 60, 500, 120))], ids=["unseen", "seen"])
def test_two_signers_sign_one_file_and_the_agreement_is_in_force(special, authority, roots, boxes):
    w = special
    agreement = awaiting_signatures(w)
    version = agreement.current_version
    for number, signer in enumerate((w.consumer_signer, w.provider_signer)):
        _document, data = documents.newest(version)
        sign_with_pdf(agreement, by=signer, data=signed(data, authority.token_of(signer), f"Ky{number}", boxes[number]))
    assert agreement.status == AgreementStatus.IN_FORCE
    assert {s.basis for s in Signature.objects.all()} == {SignatureBasis.PDF}
    _document, final = documents.newest(version)
    root = signed_pdf.trusted_roots()
    found = PdfFileReader(io.BytesIO(final)).embedded_regular_signatures
    assert len(found) == 2
    for signature in found:
        assert validate_pdf_signature(signature, ValidationContext(trust_roots=root, allow_fetching=False)).bottom_line


def refused(agreement, by, data) -> str:
    with pytest.raises(InvalidFact) as refusal:
        sign_with_pdf(agreement, by=by, data=data)
    assert not Signature.objects.exists()
    return refusal.value.code


def test_one_changed_byte_is_refused(special, authority, roots):
    agreement = awaiting_signatures(special)
    _document, data = documents.newest(agreement.current_version)
    good = signed(data, authority.token_of(special.consumer_signer), "Ky")
    # In the part that was appended: the beginning is compared byte by byte with what was given out.
    for place in (len(data) + 40, len(good) - 200, 100):
        bad = bytearray(good)
        bad[place] ^= 1
        assert refused(agreement, special.consumer_signer, bytes(bad)).startswith("pdf_")


def test_something_appended_after_the_signature_is_refused(special, authority, roots):
    agreement = awaiting_signatures(special)
    _document, data = documents.newest(agreement.current_version)
    good = signed(data, authority.token_of(special.consumer_signer), "Ky")
    writer = IncrementalPdfFileWriter(io.BytesIO(good))
    writer.root["/Lang"] = writer.root.get("/Lang", None) or __import__("pyhanko.pdf_utils.generic", fromlist=["x"]).pdf_string(
        "vi"
    )
    writer.update_root()
    out = io.BytesIO()
    writer.write(out)
    assert refused(agreement, special.consumer_signer, out.getvalue()) in ("pdf_coverage", "pdf_not_valid", "pdf_changed")


def _with_another_page(data: bytes) -> bytes:
    """`data` with an update appended that lets the first page show something else; our bytes stay in front of it."""
    writer = IncrementalPdfFileWriter(io.BytesIO(data))
    page = writer.root["/Pages"]["/Kids"].raw_get(0)
    other = writer.add_object(generic.StreamObject(stream_data=b"0 0 0 rg 60 60 400 600 re f"))
    page.get_object()[generic.NameObject("/Contents")] = other
    writer.mark_update(page)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _with_another_beginning(data: bytes) -> bytes:
    """The same, and the appended table leads back to none of ours: what was given out is no revision of the file any more."""
    copied = io.BytesIO()
    changed = PdfFileReader(io.BytesIO(_with_another_page(data)))
    copy_into_new_writer(changed, writer_kwargs={"stream_xrefs": False}).write(copied)
    body, table = copied.getvalue().rsplit(b"xref\n0 ", 1)
    # Behind ours every place the copy's table names lies so much further.
    moved = re.sub(rb"(\d{10})(?= \d{5} n)", lambda at: b"%010d" % (int(at[1]) + len(data)), table)
    moved = re.sub(rb"(?<=startxref\n)\d+", b"%d" % (len(data) + len(body)), moved)
    return data + body + b"xref\n0 " + moved


@pytest.mark.parametrize("change", [_with_another_page, _with_another_beginning])
def test_a_page_replaced_before_the_first_signature_is_refused(special, authority, roots, change):
    agreement = awaiting_signatures(special)
    _document, data = documents.newest(agreement.current_version)
    bad = signed(change(data), authority.token_of(special.consumer_signer), "Ky")
    assert bad.startswith(data)
    assert refused(agreement, special.consumer_signer, bad) == "pdf_content_changed"


def test_another_document_an_unsigned_one_and_no_pdf_are_refused(special, authority, roots):
    agreement = awaiting_signatures(special)
    _document, data = documents.newest(agreement.current_version)
    other = documents.render_pdf(agreement.current_version).replace(b"%PDF-1.7", b"%PDF-1.6") + b"\n"
    assert refused(agreement, special.consumer_signer, other) == "pdf_other_document"
    assert refused(agreement, special.consumer_signer, data) == "pdf_signature_count"
    assert refused(agreement, special.consumer_signer, b"<html>") == "pdf_unreadable"


def test_an_unknown_authority_is_refused(special, roots):
    agreement = awaiting_signatures(special)
    _document, data = documents.newest(agreement.current_version)
    stranger = Authority("Gốc lạ").token_of(special.consumer_signer)
    assert refused(agreement, special.consumer_signer, signed(data, stranger, "Ky")) == "pdf_untrusted"


def test_somebody_elses_token_is_refused(special, authority, roots):
    agreement = awaiting_signatures(special)
    _document, data = documents.newest(agreement.current_version)
    token = authority.token_of(special.consumer_officer)
    assert refused(agreement, special.consumer_signer, signed(data, token, "Ky")) == "pdf_other_person"
    with pytest.raises(InvalidFact) as refusal:
        sign_with_pdf(agreement, by=special.consumer_signer, data=signed(data, token, "Ky"))
    assert f"Chứng thư là của {special.consumer_officer.full_name}, " in str(refusal.value)


def test_without_trusted_roots_nothing_is_accepted(special, authority, settings, pango):
    settings.SIGNATURE_ROOTS = ""
    agreement = awaiting_signatures(special)
    _document, data = documents.newest(agreement.current_version)
    good = signed(data, authority.token_of(special.consumer_signer), "Ky")
    assert refused(agreement, special.consumer_signer, good) == "pdf_no_roots"


def test_a_stranger_with_a_good_token_signs_nothing(special, authority, roots):
    agreement = awaiting_signatures(special)
    _document, data = documents.newest(agreement.current_version)
    with pytest.raises(NotPermitted):
        sign_with_pdf(agreement, by=special.stranger, data=signed(data, authority.token_of(special.stranger), "Ky"))


def test_a_root_that_cannot_be_read_is_told_to_the_operator_and_stops_no_signature(roots, authority, settings, caplog):
    """A file of another kind, half a file, a folder: found at two in the morning by whoever signs."""
    folder = Path(settings.SIGNATURE_ROOTS)
    good = (folder / "root.pem").read_bytes()
    (folder / "a.cer").write_bytes(b"no certificate")
    (folder / "b.pem").write_bytes(good[:400])
    (folder / "c.der").write_bytes(authority.certificate.public_bytes(serialization.Encoding.DER)[:300])
    (folder / "d.crt").mkdir()
    (root,) = signed_pdf.trusted_roots()
    assert root.dump() == authority.certificate.public_bytes(serialization.Encoding.DER)
    assert [name for name in ("a.cer", "b.pem", "c.der", "d.crt") if name not in caplog.text] == []
