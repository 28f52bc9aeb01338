"""Requests in every state, and the one that became an agreement, a credential and a call."""

from __future__ import annotations

import datetime
from pathlib import Path

from django.utils import timezone

from apps.agreements.actions.access import confirm_acceptance, record_acceptance
from apps.agreements.actions.approval import approve_request
from apps.agreements.actions.credentials import claim_credential
from apps.agreements.actions.life import complete_duty, terminate_agreement
from apps.agreements.actions.signing import agree_content, propose_content, sign_agreement
from apps.agreements.actions.suspension import announce_suspension
from apps.agreements.choices import DutyKind, TerminationGround
from apps.agreements.models import Agreement, Credential
from apps.connections.actions import (
    draft_request,
    forward_request,
    refuse_request,
    return_request,
    sign_request,
    submit_request,
)
from apps.connections.models import ConnectionRequest
from apps.legal.models import RefusalGround
from apps.organizations.models import InformationSystem
from apps.registry.choices import Environment
from apps.registry.models import Operation, Purpose

SERVICE, SPECIAL = "business-registration", "business-members"
CERTIFICATE = Path(__file__).with_name("deletion.pdf")
"""A paper of one line, so that the page of a termination has something to open."""
DETAIL = "chiTietDoanhNghiep"
FIELDS = (
    "Data.MainInformation.ENTERPRISE_GDT_CODE", "Data.MainInformation.NAME", "Data.MainInformation.ENTERPRISE_TYPE_NAME",
    "Data.MainInformation.FOUNDING_DATE", "Data.MainInformation.ENTERPRISE_STATUS", "Data.HOAdress.AddressFullText",
    "Data.BusinessActivity[].CODE", "Data.BusinessActivity[].NAME", "Data.BusinessActivity[].IS_MAIN",
)  # fmt: skip


def play(people: dict) -> tuple[Credential, str]:
    """Play all cases; return the portal's production credential and its secret (shown here only)."""
    credential, secret = _lawful_call(people)
    _awaiting_provider(people)
    _checking(people)
    _returned(people)
    _refused(people)
    _draft(people)
    _special(people)
    _ending(people)
    return credential, secret


def _lawful_call(people: dict) -> tuple[Credential, str]:
    """Bắc Kạn, 2019: the public-service portal looks up companies in the national business registration database."""
    officer, signer = people["khaithac"], people["ky.khaithac"]
    request = _filed(
        officer, signer, "cong-dvc-bac-kan", title="Tra cứu doanh nghiệp khi giải quyết hồ sơ trực tuyến",
        purpose_text="Đối chiếu thông tin doanh nghiệp nộp hồ sơ trên Cổng dịch vụ công, không yêu cầu nộp bản sao giấy chứng nhận.",
        solution="Cổng điền sẵn tên, địa chỉ, ngành nghề theo mã số doanh nghiệp; không lưu lại sau khi giải quyết hồ sơ.",
        procedures=["1.001612", "2.001583"], calls_per_day=20_000, calls_per_second=20,
    )  # fmt: skip
    forward_request(request, by=people["vanhanh"])
    agreement = approve_request(request, by=people["cungcap"], comment="Đúng mục đích, đúng phạm vi chia sẻ mặc định.")
    made = _accepted(agreement, people)
    _planned_maintenance(agreement, people)
    return made


def _planned_maintenance(agreement: Agreement, people: dict) -> None:
    """An hour and a half at night, some weeks ahead: shown to the parties where they look."""
    night = timezone.localtime().replace(hour=22, minute=0, second=0, microsecond=0) + datetime.timedelta(days=45)
    announce_suspension(
        agreement, by=people["cungcap"], starts_at=night, ends_at=night + datetime.timedelta(minutes=90),
        reason="Bảo trì máy chủ Cơ sở dữ liệu quốc gia về đăng ký doanh nghiệp.",
    )  # fmt: skip


def _accepted(agreement: Agreement, people: dict) -> tuple[Credential, str]:
    system = InformationSystem.objects.get(code="cong-dvc-bac-kan")
    test = system.credentials.get(environment=Environment.TEST)
    claim_credential(test, by=people["khaithac"])
    summary = "Đã gọi thử 25 lượt với 10 mã số doanh nghiệp mẫu; trường dữ liệu trả về đúng phạm vi được cấp."
    record = record_acceptance(agreement, system, by=people["khaithac"], tested_on=timezone.localdate(), summary=summary)
    confirm_acceptance(record, by=people["cungcap"], comment="Xác nhận kết quả kiểm thử.")
    production = system.credentials.get(environment=Environment.PRODUCTION)
    return production, claim_credential(production, by=people["khaithac"])


def _awaiting_provider(people: dict) -> None:
    request = _filed(
        people["taichinh"], people["ky.taichinh"], "ngan-sach-bac-kan", title="Đối chiếu nhà thầu, đơn vị sử dụng ngân sách",
        purpose="quan-ly-nha-nuoc", purpose_text="Đối chiếu tư cách pháp nhân của nhà thầu khi kiểm soát chi.",
        solution="Hiển thị tại màn hình kiểm soát chi; lưu kết quả đối chiếu có/không.", calls_per_day=2_000, calls_per_second=5,
    )  # fmt: skip
    forward_request(request, by=people["vanhanh"])


def _checking(people: dict) -> None:
    _filed(
        people["tuphap"], people["ky.tuphap"], "cong-chung-bac-kan", title="Kiểm tra doanh nghiệp khi công chứng hợp đồng",
        purpose_text="Kiểm tra tình trạng pháp lý và người đại diện của doanh nghiệp khi công chứng.",
        solution="Công chứng viên tra cứu từng hợp đồng; không lưu dữ liệu.", calls_per_day=800, calls_per_second=2,
        fields=(*FIELDS, "Data.MainInformation.LEGAL_NAMES"),
    )  # fmt: skip


def _returned(people: dict) -> None:
    request = _filed(
        people["kehoach"], people["ky.kehoach"], "dau-thau-bac-kan", title="Tra cứu doanh nghiệp tham gia đấu thầu",
        purpose="phong-chong-vi-pham", purpose_text="Kiểm tra thông tin nhà thầu.", solution="Tra cứu khi mở thầu.",
        calls_per_day=500, calls_per_second=2,
    )  # fmt: skip
    remarks = [
        ("legal_basis", "Bổ sung điều, khoản cụ thể của Luật Đấu thầu."),
        ("solution", "Nêu rõ có lưu dữ liệu hay không."),
    ]
    return_request(request, by=people["vanhanh"], remarks=remarks)


def _refused(people: dict) -> None:
    request = _filed(
        people["kehoach"], people["ky.kehoach"], "dau-thau-bac-kan", title="Danh sách thành viên góp vốn của doanh nghiệp",
        purpose="thong-ke-bao-cao", purpose_text="Thống kê thành viên góp vốn.", solution="Tổng hợp báo cáo quý.",
        calls_per_day=100, calls_per_second=1, fields=(*FIELDS, "Data.Member[].MEMBER_NAME", "Data.Member[].AMOUNT"),
    )  # fmt: skip
    forward_request(request, by=people["vanhanh"])
    refuse_request(
        request, by=people["cungcap"], ground=RefusalGround.objects.in_force(timezone.localdate()).get(code="R3"),
        reason="Thống kê thành viên góp vốn của doanh nghiệp không thuộc nhiệm vụ của hệ thống theo dõi đấu thầu.",
        citation="NĐ 47/2020/NĐ-CP Điều 35(2)(c)",
    )  # fmt: skip


def _draft(people: dict) -> None:
    officer = people["noivu"]
    system = InformationSystem.objects.get(code="can-bo-bac-kan")
    draft_request(system.organization, by=officer, title="Kê khai tài sản, thu nhập: đối chiếu vốn góp", systems=[system])


def _special(people: dict) -> None:
    """Special sharing: negotiated with a counter-proposal, agreed by both sides, signed by one; the provider's signer is next."""
    officer, signer, provider = people["tuphap"], people["ky.tuphap"], people["cungcap"]
    request = _filed(
        officer, signer, "cong-chung-bac-kan", service=SPECIAL, title="Kiểm tra thành viên góp vốn khi công chứng chuyển nhượng",
        purpose_text="Xác định người có quyền chuyển nhượng phần vốn góp khi công chứng hợp đồng.",
        solution="Công chứng viên tra cứu từng hợp đồng; không lưu dữ liệu.", calls_per_day=100, calls_per_second=1,
        fields=(*FIELDS[:2], "Data.Member[].MEMBER_NAME", "Data.Member[].AMOUNT"),
        special_reason="Dịch vụ mặc định không dùng được cho việc đối chiếu từng thành viên góp vốn.", alternatives=[SERVICE],
    )  # fmt: skip
    forward_request(request, by=people["vanhanh"])
    agreement = approve_request(request, by=provider, comment="Đồng ý về nguyên tắc, đề nghị thống nhất điều khoản.")
    terms = "Chỉ tra cứu khi có hợp đồng chuyển nhượng; mỗi quý gửi thống kê số lượt tra cứu."
    propose_content(agreement, by=officer, changes={"other_terms": terms}, note="Nêu rõ phạm vi tra cứu và báo cáo quý.")
    agreed = agreement.versions.order_by("-number").first().content_hash
    agree_content(agreement, by=provider, content_hash=agreed)
    sign_agreement(agreement, by=signer, content_hash=agreed)


def _ending(people: dict) -> None:
    """A connection its consumer needs no longer: access is closed, received data deleted, the provider's statistics are open."""
    officer = people["khaithac"]
    request = _filed(
        officer, people["ky.khaithac"], "mot-cua-bac-kan", title="Tra cứu doanh nghiệp tại bộ phận một cửa",
        purpose_text="Đối chiếu thông tin doanh nghiệp nộp hồ sơ trực tiếp.",
        solution="Hiển thị tại màn hình tiếp nhận; không lưu lại.", calls_per_day=1_000, calls_per_second=2,
    )  # fmt: skip
    forward_request(request, by=people["vanhanh"])
    agreement = approve_request(request, by=people["cungcap"])
    reason = "Phần mềm một cửa điện tử đã hợp nhất vào Cổng dịch vụ công của tỉnh."
    terminate_agreement(agreement, by=officer, ground=TerminationGround.CONSUMER, reason=reason)
    duties = {duty.kind: duty for duty in agreement.duties.all()}
    certificate = ("Biên bản xóa dữ liệu.pdf", CERTIFICATE.read_bytes())
    note = "Đã xóa bản sao tạm tại máy chủ ứng dụng, có biên bản kèm theo."
    complete_duty(duties[DutyKind.DATA_DELETED], by=officer, note=note, file=certificate)
    complete_duty(duties[DutyKind.CONFIGURATION_REMOVED], by=officer, note="Đã gỡ cấu hình kết nối và thông tin xác thực.")


def _filed(
    officer, signer, system_code: str, *, fields=FIELDS, service: str = SERVICE, purpose: str = "giai-quyet-tthc", **content
) -> ConnectionRequest:
    """A complete request, signed and submitted."""
    system = InformationSystem.objects.get(code=system_code)
    operation = Operation.objects.live().get(code=DETAIL, version__service__code=service)
    content.setdefault("legal_basis", "Luật Doanh nghiệp Điều 33; NĐ 47/2020/NĐ-CP Điều 5(2), Điều 33")
    content.setdefault("technician", "Tổ kỹ thuật, 0209 000 100, kythuat@example.vn")
    request = draft_request(
        system.organization, by=officer, systems=[system], scope={operation: list(fields)},
        purpose=Purpose.objects.get(code=purpose), **content,
    )  # fmt: skip
    sign_request(request, by=signer)
    return submit_request(request, by=officer)
