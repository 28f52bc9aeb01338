"""Thread, handler, files, paper, and the clock that nobody has to wind."""

import datetime
import io
import zipfile

import pytest
import time_machine
from django.utils import timezone

from apps.agreements.actions import agree_content, sign_agreement, start_change
from apps.connections import files
from apps.connections.actions import (
    assign_request,
    attach_file,
    comment_request,
    enter_paper_request,
    forward_request,
    remove_file,
    return_request,
    save_draft,
    sign_request,
    submit_request,
)
from apps.connections.announcements import people
from apps.connections.choices import AttachmentKind, Channel, RequestStatus
from apps.connections.completeness import missing
from apps.connections.models import Comment
from apps.connections.reminders import run_clock
from apps.core.errors import FactMissing, InvalidFact, NotPermitted, TransitionNotAllowed
from apps.notices.models import Notice
from apps.organizations.choices import Role
from tests.factories.agreements import approve_request, negotiating, signed_special, special_world
from tests.factories.connections import complete_draft, forwarded, returned, signed_draft, submitted
from tests.factories.organizations import officer

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"


def torn(name: str, compression: int) -> bytes:
    """An archive whose one part does not unpack."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(name, "<x/>" * 50)
    data = bytearray(buffer.getvalue())
    begins = 30 + len(name) + 9
    data[begins : begins + 20] = bytes(20)
    return bytes(data)


def office(*names: str, text: str = "<x/>") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, text)
    return buffer.getvalue()


# --- thread -------------------------------------------------------------------------------------


def test_a_shared_word_is_read_by_both_sides_and_told_to_the_others(w):
    request = forwarded(w)
    comment = comment_request(request, by=w.provider_officer, text="Đề nghị nêu rõ thủ tục.")
    for person in (w.consumer_officer, w.consumer_signer, w.provider_officer, w.operator):
        assert comment in Comment.objects.visible_to(person)
    assert comment not in Comment.objects.visible_to(w.stranger)
    told = set(Notice.objects.filter(kind__startswith="request.commented").values_list("recipient", flat=True))
    assert told == {w.consumer_officer.pk, w.operator.pk}


def test_an_internal_word_stays_in_its_organization(w):
    request = forwarded(w)
    comment = comment_request(request, by=w.provider_officer, text="Cần hỏi phòng pháp chế.", is_internal=True)
    assert comment in Comment.objects.visible_to(w.provider_signer)
    for person in (w.consumer_officer, w.operator, w.stranger):
        assert comment not in Comment.objects.visible_to(person)


def heard(request, by, **how) -> set:
    """Who is told of a word that `by` says now."""
    comment = comment_request(request, by=by, text="Đề nghị làm rõ.", **how)
    told = Notice.objects.filter(kind="request.commented", key__contains=str(comment.uuid))
    return {notice.recipient for notice in told.select_related("recipient")}


def test_signers_hear_of_a_word_while_the_request_lacks_only_their_signature(w):
    asked = complete_draft(w)
    assert heard(asked, w.consumer_officer) == {w.consumer_signer, w.operator}
    assert heard(asked, w.consumer_officer, is_internal=True) == {w.consumer_signer}
    sign_request(asked, by=w.consumer_signer)
    assert w.consumer_signer not in heard(asked, w.consumer_officer)
    assert w.consumer_signer not in heard(complete_draft(w, technician=""), w.consumer_officer), "nobody asked them yet"


@pytest.mark.django_db
def test_signers_of_both_sides_hear_of_a_word_while_the_agreement_awaits_their_signatures():
    w = special_world()
    agreement = negotiating(w)
    request = agreement.bases.get().request
    signers = {w.consumer_signer, w.provider_signer}
    assert not heard(request, w.provider_officer) & signers
    agree_content(agreement, by=w.consumer_officer, content_hash=agreement.current_version.content_hash)
    assert {w.consumer_officer, w.operator, *signers} <= heard(request, w.provider_officer)
    assert heard(request, w.provider_officer, is_internal=True) & {w.consumer_officer, w.operator, *signers} == {
        w.provider_signer
    }
    assert heard(request, w.consumer_signer, is_internal=True) == {w.consumer_officer}
    for signer in (w.consumer_signer, w.provider_signer):
        sign_agreement(agreement, by=signer, content_hash=agreement.current_version.content_hash)
    assert not heard(request, w.provider_officer) & signers, "signed: no longer on their desk"


@pytest.mark.django_db
def test_signers_hear_of_a_word_on_a_change_that_awaits_their_signatures():
    w = special_world()
    change = start_change(signed_special(w), by=w.consumer_officer)
    save_draft(change, by=w.consumer_officer, calls_per_day=700)
    submit_request(change, by=w.consumer_officer)
    forward_request(change, by=w.operator)
    approve_request(change, by=w.provider_officer)
    assert {w.consumer_signer, w.provider_signer} <= heard(change, w.consumer_officer)


def test_a_stranger_and_an_early_provider_do_not_speak(w):
    for person in (w.stranger, w.provider_officer):
        with pytest.raises(NotPermitted):
            comment_request(submitted(w), by=person, text="x")
    with pytest.raises(FactMissing):
        comment_request(submitted(w), by=w.operator, text=" ")


# --- handler ------------------------------------------------------------------------------------


def test_each_side_names_its_own_handler(w):
    request = forwarded(w)
    colleague = officer(Role.PROVIDER_OFFICER, w.provider)
    assign_request(request, by=w.provider_officer, handler=colleague)
    assign_request(request, by=w.operator, handler=w.operator)
    assert (request.handler, request.decisions.get().handler) == (w.operator, colleague)
    assert Notice.objects.filter(recipient=colleague, kind__startswith="request.assigned").exists()


def test_who_is_given_the_case_again_is_told_again_and_who_has_it_is_not(w):
    request = forwarded(w)
    first, second = officer(Role.PROVIDER_OFFICER, w.provider), officer(Role.PROVIDER_OFFICER, w.provider)
    for handler in (first, first, second, first):
        assign_request(request, by=w.provider_officer, handler=handler)
    for _n in range(2):
        assign_request(request, by=w.operator, handler=w.operator)
    told = list(Notice.objects.filter(kind="request.assigned").order_by("id").values_list("recipient", flat=True))
    assert told == [first.pk, second.pk, first.pk, w.operator.pk]


def test_a_handler_holds_the_role_there(w):
    request = forwarded(w)
    with pytest.raises(InvalidFact):
        assign_request(request, by=w.provider_officer, handler=w.stranger)
    with pytest.raises(InvalidFact):
        assign_request(request, by=w.operator, handler=w.consumer_officer)
    for person in (w.consumer_officer, w.stranger):
        with pytest.raises(NotPermitted):
            assign_request(request, by=person, handler=person)


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        ("Công văn 12.pdf", PDF, "application/pdf"), ("TT 13.2026 v1.2.pdf", PDF, "application/pdf"), ("anh.PNG", b"\x89PNG\r\n\x1a\n123", "image/png"),
        ("anh.jpeg", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("to-trinh.docx", office("[Content_Types].xml", "word/document.xml"), files.OFFICE["word/document.xml"][1]),
        ("bang.xlsx", office("[Content_Types].xml", "xl/workbook.xml"), files.OFFICE["xl/workbook.xml"][1]),
    ],
)  # fmt: skip
def test_a_file_is_known_by_its_bytes(name, data, media_type):
    assert files.judge(name, data)[1] == media_type


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("trang.html", b"<html><script>1</script>", "file_type"), ("trang.pdf", b"<html>", "file_type"), ("a.pdf", b"", "file_empty"),
        ("anh.png", PDF, "file_not_what_it_says"), ("khong-duoi", PDF, "file_not_what_it_says"), ("a.exe", b"MZ\x90", "file_type"),
        ("a.docx", office("[Content_Types].xml", "word/document.xml", text=f"<!--{'x' * 2**20}--> vbaProject"), "file_damaged"),
        ("a.docx", torn("[Content_Types].xml", zipfile.ZIP_BZIP2), "file_damaged"),
        ("a.docx", torn("[Content_Types].xml", zipfile.ZIP_LZMA), "file_damaged"),
        ("a.docm", office("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"), "file_macros"),
        ("a.docx", office("[Content_Types].xml", "word/document.xml", text='<Override ContentType="application/vnd.ms-office.vbaProject"/>'), "file_macros"),
        ("a.xlsx", office("[Content_Types].xml", "xl/workbook.xml", text='ContentType="application/vnd.ms-excel.sheet.macroEnabled.main+xml"'), "file_macros"),
        ("a.zip", office("x.txt"), "file_type"), ("a.docx", b"PK\x03\x04broken", "file_damaged"),
        ("a.docx", office("x.txt").replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xb3"), "file_damaged"),
        ("a.exe.pdf", PDF, "file_double_extension"), ("Biên bản.HTML .pdf", PDF, "file_double_extension"),
        ("a\u202e.e\u200bxe.pdf", PDF, "file_double_extension"), ("../x/a.js.png", b"\x89PNG\r\n\x1a\n1", "file_double_extension"),
        ("to.pdf", b"%PDF-" + b"0" * files.MAX_BYTES, "file_too_large"), ("a.svg", b"<svg onload=x>", "file_type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_not_acceptable_is_refused_with_its_reason(name, data, code):
    with pytest.raises(InvalidFact) as refusal:
        files.judge(name, data)
    assert refusal.value.code == code


def test_an_archive_that_unpacks_to_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(files, "MAX_UNPACKED", 5)
    with pytest.raises(InvalidFact) as refusal:
        files.judge("a.docx", office("[Content_Types].xml", "word/document.xml"))
    assert refusal.value.code == "file_bomb"


@pytest.mark.parametrize("name", ["../../etc/passwd.pdf", "C:\\Windows\\a.pdf", "/tmp/a.pdf"])  # noqa: S108
def test_a_path_in_the_name_is_not_kept(name):
    assert "/" not in files.judge(name, PDF)[0]
    assert "\\" not in files.judge(name, PDF)[0]


def test_a_file_is_part_of_what_is_signed(w):
    request = signed_draft(w)
    attachment = attach_file(request, by=w.consumer_officer, name="cv.pdf", data=PDF)
    assert files.read(attachment) == PDF
    assert "signatures" in {field for field, _text in missing(request)}
    remove_file(attachment, by=w.consumer_officer)
    assert missing(request) == []


def test_a_stored_file_that_was_changed_on_the_disk_is_not_served(w):
    attachment = attach_file(complete_draft(w), by=w.consumer_officer, name="cv.pdf", data=PDF)
    from django.core.files.storage import default_storage

    with default_storage.open(files.path_of(attachment), "wb") as file:
        file.write(b"%PDF-other")
    with pytest.raises(InvalidFact) as refusal:
        files.read(attachment)
    assert refusal.value.code == "file_altered"


def test_files_come_before_submission_and_from_the_consumer(w):
    with pytest.raises(TransitionNotAllowed):
        attach_file(submitted(w), by=w.consumer_officer, name="cv.pdf", data=PDF)
    for person in (w.stranger, w.provider_officer, w.operator):
        with pytest.raises(NotPermitted):
            attach_file(complete_draft(w), by=person, name="cv.pdf", data=PDF)


# --- paper --------------------------------------------------------------------------------------


def paper(w, **changes):
    facts = {"received_on": datetime.date(2026, 6, 1), "paper_signer": "Trần Thị Ký, Giám đốc", **w.content(), **changes}
    return enter_paper_request(w.consumer, by=w.operator, **facts)


def test_wf_17_a_paper_request_runs_from_its_own_day_and_needs_its_scan(w):
    with time_machine.travel("2026-06-03T08:00:00+07:00", tick=False):
        request = paper(w)
        assert request.channel == Channel.PAPER
        with pytest.raises(FactMissing) as refusal:
            submit_request(request, by=w.operator)
        assert list(refusal.value.extra["fields"]) == ["attachments"]
        attach_file(request, by=w.operator, name="cv.pdf", data=PDF, kind=AttachmentKind.PAPER)
        submit_request(request, by=w.operator)
    assert timezone.localdate(request.received_at) == datetime.date(2026, 6, 1)
    assert timezone.localdate(request.due_at) == datetime.date(2026, 6, 3)


def test_wf_17_the_agreement_names_who_signed_on_paper(w):
    with time_machine.travel("2026-06-03T08:00:00+07:00", tick=False):
        request = paper(w)
        attach_file(request, by=w.operator, name="cv.pdf", data=PDF, kind=AttachmentKind.PAPER)
        submit_request(request, by=w.operator)
        agreement = approve_request(forward_request(request, by=w.operator), by=w.provider_officer)
    signature = agreement.current_version.signatures.get(party__side="consumer")
    assert (signature.signer, signature.signer_name, signature.basis) == (None, "Trần Thị Ký, Giám đốc", "paper")


def test_only_the_operator_enters_paper_and_not_from_the_future(w):
    with pytest.raises(NotPermitted):
        enter_paper_request(w.consumer, by=w.consumer_officer, received_on=timezone.localdate(), paper_signer="x")
    with pytest.raises(InvalidFact):
        paper(w, received_on=timezone.localdate() + datetime.timedelta(days=1))
    with pytest.raises(FactMissing):
        paper(w, paper_signer=" ")


# --- the clock ----------------------------------------------------------------------------------


def test_half_time_reminds_and_the_end_escalates_each_once(w):
    with time_machine.travel("2026-06-01T09:00:00+07:00", tick=False):
        request = forwarded(w)  # Monday: half at the end of Tuesday, due at the end of Wednesday
        assert run_clock() == {"lapsed": 0, "recalled": 0, "reminded": 0, "escalated": 0}
    with time_machine.travel("2026-06-03T08:00:00+07:00", tick=False):
        assert run_clock()["reminded"] == 1
        assert run_clock()["reminded"] == 0
    assert Notice.objects.get(kind="request.half").recipient == w.provider_officer
    with time_machine.travel("2026-06-04T08:00:00+07:00", tick=False):
        assert run_clock()["escalated"] == 1
        assert run_clock()["escalated"] == 0
    told = set(Notice.objects.filter(kind="request.late").values_list("recipient", flat=True))
    assert told == {w.provider_officer.pk, w.operator.pk}
    request.refresh_from_db()
    assert request.status == RequestStatus.AWAITING_PROVIDER


def test_the_named_handler_is_reminded_instead_of_everybody(w):
    colleague = officer(Role.PROVIDER_OFFICER, w.provider)
    with time_machine.travel("2026-06-01T09:00:00+07:00", tick=False):
        assign_request(forwarded(w), by=w.provider_officer, handler=colleague)
    with time_machine.travel("2026-06-03T08:00:00+07:00", tick=False):
        run_clock()
    assert Notice.objects.get(kind="request.half").recipient == colleague


def test_who_has_left_is_not_reminded_and_the_case_is_not_forgotten(w):
    """A handler who went to another agency: the case lies with the colleagues, and is told to nobody outside."""
    gone = officer(Role.PROVIDER_OFFICER, w.provider)
    with time_machine.travel("2026-06-01T09:00:00+07:00", tick=False):
        request = forwarded(w)
        assign_request(request, by=w.provider_officer, handler=gone)
        gone.memberships.update(ended_at=timezone.now())
        gone.memberships.create(role=Role.PROVIDER_OFFICER, organization=w.stranger.memberships.first().organization)
    told = Notice.objects.filter(recipient=gone).count()
    with time_machine.travel("2026-06-03T08:00:00+07:00", tick=False):
        run_clock()
        comment_request(request, by=w.operator, text="Còn thiếu gì không?")
        return_request(request, by=w.operator, remarks=[("note", "Thiếu số công văn.")])
    assert Notice.objects.get(kind="request.half").recipient == w.provider_officer
    assert Notice.objects.filter(recipient=gone).count() == told
    assert gone not in people(Role.PROVIDER_OFFICER, [w.provider.pk])


def test_a_paused_case_is_neither_reminded_nor_late_but_lapses(w):
    with time_machine.travel("2026-06-01T09:00:00+07:00", tick=False):
        request = returned(w)
    with time_machine.travel("2026-06-05T08:00:00+07:00", tick=False):
        assert run_clock() == {"lapsed": 0, "recalled": 1, "reminded": 0, "escalated": 0}
    with time_machine.travel("2026-06-09T08:00:00+07:00", tick=False):
        assert run_clock() == {"lapsed": 1, "recalled": 0, "reminded": 0, "escalated": 0}
    request.refresh_from_db()
    assert request.status == RequestStatus.WITHDRAWN


def test_a_rule_changed_tomorrow_changes_no_running_case(w):
    from decimal import Decimal

    from apps.legal.actions import change_rule

    with time_machine.travel("2026-06-01T09:00:00+07:00", tick=False):
        request = submitted(w)
        due = request.due_at
        change_rule(
            "connection.decide", by=officer(Role.LEGAL_OFFICER), value=Decimal(1), citation="NĐ mới",
            effective_from=datetime.date(2026, 6, 2), evidence="T",
        )  # fmt: skip
    with time_machine.travel("2026-06-02T09:00:00+07:00", tick=False):
        forward_request(request, by=w.operator)
        later = submitted(w)
    request.refresh_from_db()
    assert request.due_at == due
    assert later.deadline_rule.value == 1
