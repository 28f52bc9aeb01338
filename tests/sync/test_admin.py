"""The pages of sources and runs."""

from __future__ import annotations

import datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.catalogs.models import Release
from apps.organizations.choices import Role
from apps.sync.models import Source, SyncRun
from tests.factories.organizations import officer
from tests.factories.sync import CatalogSourceFactory, ClosedRunFactory, PushSourceFactory, QueuedRunFactory, RunningRunFactory

pytestmark = pytest.mark.django_db


def session(person) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def source(settings):
    settings.EGRESS_ALLOW = ["127.0.0.1:8002"]
    return CatalogSourceFactory(code="ngsp-dan-toc", name="Dân tộc từ NGSP", secret='{"token":"hush"}', auth_kind="bearer")


def address(name: str, *args) -> str:
    return reverse(f"admin:sync_{name}", args=args)


@pytest.mark.parametrize(("enabled", "words"), [(True, "chưa chạy lần nào"), (False, "đã tắt")])
def test_the_list_says_the_state_of_a_source_in_words(source, enabled, words):
    Source.objects.filter(pk=source.pk).update(enabled=enabled)
    text = session(officer(Role.OPERATOR)).get(address("source_changelist")).content.decode()
    assert words in text


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.LEGAL_OFFICER, Role.AUDITOR])
def test_platform_people_see_sources_runs_and_progress(source, role):
    run = RunningRunFactory(source=source, counts={"fetched": 3355}, stage="fetching")
    client = session(officer(role))
    assert "Dân tộc từ NGSP" in client.get(address("source_changelist")).content.decode()
    assert client.get(address("syncrun_changelist")).status_code == 200
    page = client.get(address("source_change", "ngsp-dan-toc")).content.decode()
    assert "hush" not in page
    assert address("syncrun_change", run.uuid) in page
    progress = client.get(address("syncrun_change", run.uuid)).content.decode()
    assert f'data-url="/api/v1/sync/runs/{run.uuid}"' in progress
    assert 'data-open="yes"' in progress
    assert ">3.355</dd>" in progress


@pytest.mark.parametrize("role", [Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER, Role.SIGNER])
def test_others_may_not_open_them(source, role):
    client = session(officer(role))
    for page in (address("source_changelist"), address("source_change", "ngsp-dan-toc"), address("syncrun_changelist")):
        assert client.get(page).status_code in (302, 403, 404)
    assert client.post(address("source_run", "ngsp-dan-toc")).status_code in (302, 403, 404)
    assert not SyncRun.objects.exists()


def test_the_button_runs_the_source_by_the_verb(source):
    client = session(officer(Role.OPERATOR))
    page = client.get(address("source_change", "ngsp-dan-toc")).content.decode()
    assert address("source_run", "ngsp-dan-toc") in page
    answer = client.post(address("source_run", "ngsp-dan-toc"))
    run = SyncRun.objects.get()
    assert answer["Location"] == address("syncrun_change", run.uuid)
    assert client.post(address("source_run", "ngsp-dan-toc"), follow=True).status_code == 200
    assert SyncRun.objects.count() == 1


def test_running_by_a_link_is_not_possible(source):
    assert session(officer(Role.OPERATOR)).get(address("source_run", "ngsp-dan-toc")).status_code == 405


def test_an_auditor_sees_no_button_and_is_refused_by_the_verb(source):
    client = session(officer(Role.AUDITOR))
    assert address("source_run", "ngsp-dan-toc") not in client.get(address("source_change", "ngsp-dan-toc")).content.decode()
    client.post(address("source_run", "ngsp-dan-toc"))
    assert not SyncRun.objects.exists()


def form(**changes) -> dict:
    return {"name": "Dân tộc", "enabled": "on", "interval_minutes": "30", "next_run_at_0": "05/12/2026", "next_run_at_1": "08:00",
            "adapter": "ngsp", "base_url": "http://127.0.0.1:8002", "auth_kind": "bearer", "token_url": "",
            "settings": '{"parts":[{"category":"madantoc","level":"group","columns":{"code":"MaDanToc","name":"TenDanToc"}}]}',
            "new_secret": "", "seen_version": "1", **changes}  # fmt: skip


def test_an_operator_edits_the_schedule_in_the_portal(source):
    client = session(officer(Role.OPERATOR))
    answer = client.post(address("source_change", "ngsp-dan-toc"), form())
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    source.refresh_from_db()
    assert (source.interval_minutes, source.version) == (30, 2)
    assert (source.next_run_at.month, source.next_run_at.day) == (12, 5)
    assert source.auth.secret == {"token": "hush"}


@pytest.mark.parametrize(
    "change", [{"base_url": "http://169.254.169.254/"}, {"settings": "{}"}, {"new_secret": "x"}, {"interval_minutes": "1"}]
)
def test_a_form_that_could_never_work_says_why_and_writes_nothing(source, change):
    answer = session(officer(Role.OPERATOR)).post(address("source_change", "ngsp-dan-toc"), form(**change))
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors
    source.refresh_from_db()
    assert source.version == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"interval_minutes": "0"}, "Giá trị phải lớn hơn hoặc bằng 5."),
        ({"new_secret": "{"}, "Thông tin xác thực phải là một đối tượng JSON."),
        ({"new_secret": "{}"}, "token: còn thiếu"),
        ({"settings": "[]"}, "cần một đối tượng JSON"),
        ({"settings": "{}", "name": ""}, "Không được để trống."),
    ],
)
def test_what_is_wrong_with_a_source_is_said_in_words_and_in_vietnamese(source, change, said):
    page = session(officer(Role.OPERATOR)).get(address("source_change", source.code))
    initial = page.context["adminform"].form.initial
    given = {
        **{name: value for name, value in initial.items() if value is not None}, "settings": "{}", "next_run_at_0": "28/11/2026",
        "next_run_at_1": "08:00", "seen_version": source.version, **change,
    }  # fmt: skip
    text = session(officer(Role.OPERATOR)).post(address("source_change", source.code), given).content.decode()
    assert said in text
    assert "Hãy sửa" in text
    assert "Please" not in text
    assert "{&quot;" not in text.split("<textarea")[0], "no JSON among the words"


def test_an_outgoing_difference_is_shown_and_approved_on_its_page():
    report = {"digest": "d", "counts": {"add": 1, "differ": 1, "only_there": 0}, "add": [{"MaDinhDanhCap2": "H03.77"}],
              "differ": [{"key": "H03.1", "column": "TenDonVi", "ours": "Sở A", "theirs": "Sở B"}]}  # fmt: skip
    held = ClosedRunFactory(source=PushSourceFactory(), status="held", report=report)
    client = session(officer(Role.OPERATOR))
    page = client.get(address("syncrun_change", held.uuid)).content.decode()
    assert "H03.77" in page
    assert "Sở B" in page
    assert address("syncrun_approve", held.uuid) in page
    client.post(address("syncrun_approve", held.uuid))
    assert SyncRun.objects.get(approves=held).status == "queued"


def test_a_failed_source_says_what_since_when_why_and_what_to_do(source):
    source.last_success_at = timezone.now() - datetime.timedelta(hours=9)
    source.save()
    run = ClosedRunFactory(source=source, status="failed", error_code="wso2_900908", error_text="Cổng trả lời lỗi 900908.")
    client = session(officer(Role.OPERATOR))
    for page in (address("source_change", source.code), address("syncrun_change", run.uuid)):
        text = client.get(page).content.decode()
        assert "Cổng trả lời lỗi 900908." in text
        assert "Thông tin xác thực đúng nhưng không có quyền dùng giao diện này." in text
        assert "Đề nghị nền tảng cung cấp giao diện mở quyền" in text
        assert "Dữ liệu đang dùng không bị ảnh hưởng" in text
    assert "cách đây 9" in client.get(address("source_change", source.code)).content.decode()
    assert "cần người xử lý" in client.get(address("source_changelist")).content.decode()


def test_a_run_that_is_tried_again_shows_when_and_how_often(source, settings):
    run = QueuedRunFactory(source=source, attempt=3, error_code="http_503", error_text="503")
    text = session(officer(Role.OPERATOR)).get(address("syncrun_change", run.uuid)).content.decode()
    assert f"đã thử 3 trên tối đa {settings.SYNC_ATTEMPTS} lần" in text
    assert 'data-field="trouble_box">' in text


def test_a_held_release_is_one_click_away_with_its_reasons(source):
    release = Release.objects.create(
        catalog=source.catalog, status="held", source=f"sync:{source.code}", effective_on=timezone.localdate(),
        hold_reasons=["empty_list"], staged_by=officer(Role.OPERATOR),
    )  # fmt: skip
    run = ClosedRunFactory(source=source, status="held", release=release)
    client = session(officer(Role.OPERATOR))
    link = reverse("portal:catalog-release", args=[release.uuid])
    for page in (address("source_change", source.code), address("syncrun_change", run.uuid)):
        assert f'href="{link}"' in client.get(page).content.decode()
    assert "Bản này đang bị tạm giữ vì" in client.get(address("syncrun_change", run.uuid)).content.decode()


def test_the_list_of_sources_costs_a_fixed_number_of_queries(source, django_assert_num_queries):
    client = session(officer(Role.OPERATOR))
    client.get(address("source_changelist"))
    with CaptureQueriesContext(connection) as one:
        client.get(address("source_changelist"))
    for _ in range(4):
        ClosedRunFactory()
    with django_assert_num_queries(len(one)):
        client.get(address("source_changelist"))
