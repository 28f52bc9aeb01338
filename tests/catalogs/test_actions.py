import datetime as dt

import pytest
from django.core.management import CommandError, call_command

from apps.audit.models import AuditEvent
from apps.catalogs import actions
from apps.catalogs.choices import HoldReason, ReleaseStatus
from apps.catalogs.models import Entry, Release, Snapshot, StagedEntry, Succession
from apps.catalogs.workflow import RELEASE
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted, StaleVersion, TransitionNotAllowed
from tests.factories.catalogs import (
    DAY,
    CatalogFactory,
    SelfPublishingCatalogFactory,
    TreeCatalogFactory,
    judged,
    published,
    rows,
    staged,
)

pytestmark = pytest.mark.django_db
JUN, SEP = dt.date(2025, 6, 1), dt.date(2025, 9, 1)


@pytest.fixture
def catalog(operator):
    catalog = CatalogFactory()
    published(catalog, rows(100), by=operator)
    catalog.refresh_from_db()
    return catalog


def live(catalog, day=SEP, number=None) -> dict:
    return dict(Entry.objects.filter(catalog=catalog).valid_on(day, number).values_list("code", "name"))


def with_change(given: list[dict], position: int = 0, **facts) -> list[dict]:
    return [{**row, **facts} if at == position else row for at, row in enumerate(given)]


# --- stage ---------------------------------------------------------------------------------------


def test_staged_rows_wait_apart_from_what_is_live(catalog, machine):
    release = staged(catalog, rows(120), by=machine, effective_on=JUN)
    assert (release.status, release.rows) == (ReleaseStatus.STAGED, 120)
    assert StagedEntry.objects.filter(release=release).count() == 120
    assert len(live(catalog)) == 100
    assert AuditEvent.objects.about(release).get(event="release.staged").actor == machine


def test_somebody_without_the_role_cannot_stage(catalog, provider_officer):
    with pytest.raises(NotPermitted):
        staged(catalog, rows(1), by=provider_officer)


def test_the_very_content_that_is_live_ends_as_unchanged_and_writes_nothing(catalog, machine):
    before = Entry.objects.count()
    release = staged(catalog, rows(100)[::-1], by=machine, effective_on=JUN, source="test")
    assert release.status == ReleaseStatus.UNCHANGED
    assert not StagedEntry.objects.filter(release=release).exists()
    assert (Entry.objects.count(), Release.objects.live().count()) == (before, 1)


def test_the_same_list_is_compared_again_once_a_day_that_was_announced_has_come(operator, machine):
    """What is live changes by time alone: A001 ends in September by a release of before, and the source goes on listing it."""
    catalog, listed = CatalogFactory(), rows(100)
    published(catalog, with_change(listed, 0, valid_to=SEP), by=operator)
    feed = {"by": machine, "source": "feed"}
    assert judged(catalog, listed, effective_on=JUN, **feed).status == ReleaseStatus.UNCHANGED
    early = staged(catalog, listed, effective_on=SEP - dt.timedelta(days=1), **feed)
    assert (early.status, early.counts) == (ReleaseStatus.UNCHANGED, {}), "nothing began or ended: no comparison"
    late = judged(catalog, listed, effective_on=SEP, **feed)
    assert (late.status, late.counts["added"]) == (ReleaseStatus.READY, 1)
    actions.reject_release(late, by=operator, note="Nguồn nhầm")
    back = staged(catalog, listed, effective_on=JUN + dt.timedelta(days=1), **feed)
    assert back.status == ReleaseStatus.UNCHANGED, "it was compared for these days"


def test_a_source_that_goes_on_listing_what_ended_with_its_end_says_nothing_new(operator, machine):
    catalog, listed = CatalogFactory(), with_change(rows(100), 0, valid_to="2025-09-01")
    published(catalog, listed, by=operator)
    late = judged(catalog, listed, effective_on=SEP, by=machine)
    assert (late.status, late.counts["refused"], late.counts["closed"]) == (ReleaseStatus.UNCHANGED, 0, 0)
    other = judged(catalog, with_change(listed, 0, valid_to="2025-08-01"), effective_on=SEP, by=machine)
    assert other.hold_reasons == [HoldReason.REFUSED_ROWS], "another end than the one on record"


def test_the_live_list_itself_is_compared_again_once_a_code_of_another_release_has_begun(operator, machine):
    catalog = CatalogFactory()
    published(catalog, [{"code": "B1", "name": "Mã sau này", "valid_from": SEP}], by=operator, source="other", scope="changes")
    published(catalog, rows(100), by=operator)
    again = {"by": machine, "source": "test"}
    assert staged(catalog, rows(100), effective_on=JUN, **again).status == ReleaseStatus.UNCHANGED
    late = judged(catalog, rows(100), effective_on=SEP, **again)
    assert (late.status, late.counts["closed"]) == (ReleaseStatus.READY, 1)


def test_a_list_that_differs_in_form_only_ends_as_unchanged_after_comparison(catalog, machine):
    given = [{**row, "full_name": row["name"], "valid_from": "01/01/2025"} for row in rows(100)]
    release = judged(catalog, given, by=machine, effective_on=JUN)
    assert release.status == ReleaseStatus.UNCHANGED
    assert not StagedEntry.objects.filter(release=release).exists()


def test_the_same_list_again_is_the_release_that_waits_already(catalog, machine):
    first = judged(catalog, rows(10), by=machine, effective_on=JUN)
    assert first.status == ReleaseStatus.HELD
    again = staged(catalog, rows(10), by=machine, effective_on=JUN)
    assert again.pk == first.pk


def test_a_newer_list_of_the_same_source_replaces_the_one_that_waits(catalog, machine):
    first = judged(catalog, rows(10), by=machine, effective_on=JUN)
    second = staged(catalog, rows(11), by=machine, effective_on=JUN)
    first.refresh_from_db()
    assert (first.status, second.status) == (ReleaseStatus.REPLACED, ReleaseStatus.STAGED)
    assert not StagedEntry.objects.filter(release=first).exists()


def test_lists_of_two_sources_wait_side_by_side(catalog, machine):
    judged(catalog, rows(10), by=machine, effective_on=JUN, source="one")
    judged(catalog, rows(10), by=machine, effective_on=JUN, source="two")
    assert Release.objects.open().filter(catalog=catalog).count() == 2


def test_an_unknown_level_is_refused_at_once(catalog, machine):
    with pytest.raises(InvalidFact):
        staged(catalog, rows(1), by=machine, levels=["nowhere"])


# --- judge and publish ---------------------------------------------------------------------------


def test_a_harmless_list_is_ready_and_publishing_makes_it_live_as_the_next_number(catalog, machine, operator):
    release = judged(catalog, with_change(rows(101), 4, name="Tên gọi số 5 mới"), by=machine, effective_on=JUN)
    assert (release.status, release.hold_reasons) == (ReleaseStatus.READY, [])
    assert (release.counts["added"], release.counts["renamed"], release.counts["closed"]) == (1, 1, 0)
    actions.publish_release(release, by=operator)
    assert (release.status, release.number) == (ReleaseStatus.PUBLISHED, 2)
    assert live(catalog)["A005"] == "Tên gọi số 5 mới"
    assert live(catalog, dt.date(2025, 5, 31))["A005"] == "Tên gọi số 5"
    assert "A101" not in live(catalog, number=1)
    assert not StagedEntry.objects.filter(release=release).exists()
    event = AuditEvent.objects.about(release).get(event="release.published")
    assert (event.actor, event.facts["number"]) == (operator, 2)


def test_a_machine_publishes_what_is_harmless_where_the_catalog_says_so(operator, machine):
    catalog = SelfPublishingCatalogFactory()
    published(catalog, rows(100), by=operator)
    release = judged(catalog, rows(101), by=machine, effective_on=JUN)
    assert actions.publish_release(release, by=machine).status == ReleaseStatus.PUBLISHED


def test_a_machine_cannot_publish_where_the_catalog_does_not_say_so(catalog, machine):
    release = judged(catalog, rows(101), by=machine, effective_on=JUN)
    with pytest.raises(NotPermitted):
        actions.publish_release(release, by=machine)


def test_a_machine_cannot_publish_what_is_held_whatever_it_accepts(operator, machine):
    catalog = SelfPublishingCatalogFactory()
    published(catalog, rows(100), by=operator)
    release = judged(catalog, rows(90), by=machine, effective_on=JUN)
    assert release.status == ReleaseStatus.HELD
    with pytest.raises(NotPermitted):
        actions.publish_release(release, by=machine, accept=release.hold_reasons)
    assert len(live(catalog)) == 100


@pytest.mark.parametrize("role", ["provider_officer", "legal_officer"])
def test_a_legal_officer_may_publish_and_a_provider_officer_may_not(catalog, machine, request, role):
    person = request.getfixturevalue(role)
    release = judged(catalog, rows(101), by=machine, effective_on=JUN)
    if role == "legal_officer":
        assert actions.publish_release(release, by=person).status == ReleaseStatus.PUBLISHED
    else:
        with pytest.raises(NotPermitted):
            actions.publish_release(release, by=person)


def test_two_percent_of_the_codes_may_end_unseen_and_one_more_is_held(catalog, machine):
    assert judged(catalog, rows(98), by=machine, effective_on=JUN).status == ReleaseStatus.READY
    release = judged(catalog, rows(97), by=machine, effective_on=JUN)
    assert (release.status, release.hold_reasons) == (ReleaseStatus.HELD, [HoldReason.CLOSED_SHARE])


def test_an_empty_list_is_held_and_can_only_be_rejected(catalog, machine, operator):
    release = judged(catalog, [], by=machine, effective_on=JUN)
    assert HoldReason.EMPTY_LIST in release.hold_reasons
    with pytest.raises(actions.ReasonsNotAccepted):
        actions.publish_release(release, by=operator, accept=release.hold_reasons)
    actions.reject_release(release, by=operator, note="Nguồn lỗi")
    assert len(live(catalog)) == 100


def test_a_list_shorter_than_announced_is_held(catalog, machine):
    release = judged(catalog, rows(101), by=machine, effective_on=JUN, expected_rows=150)
    assert release.hold_reasons == [HoldReason.TRUNCATED_LIST]


def test_a_list_several_times_as_long_is_held_and_one_that_grew_by_half_is_not(catalog, machine):
    assert judged(catalog, rows(301), by=machine, effective_on=JUN).hold_reasons == [HoldReason.GROWN_LIST]
    assert judged(catalog, rows(150), by=machine, effective_on=JUN).hold_reasons == []


def test_a_refused_value_is_never_taken_for_the_live_list(catalog, machine):
    """The row without its refused value says what is live; the list is still not the live one."""
    listed = rows(100)
    listed[3] = {**listed[3], "problems": ["impossible_date"]}
    release = judged(catalog, listed, by=machine, effective_on=JUN)
    assert (release.status, release.hold_reasons) == ("held", [HoldReason.REFUSED_ROWS])
    assert judged(catalog, listed[::-1], by=machine, effective_on=JUN).pk == release.pk


def test_a_list_ninety_percent_smaller_is_held_and_the_live_list_stays(catalog, machine):
    release = judged(catalog, rows(10), by=machine, effective_on=JUN)
    assert set(release.hold_reasons) == {HoldReason.CLOSED_SHARE, HoldReason.TRUNCATED_LIST}
    assert len(live(catalog)) == 100


def test_a_code_with_a_distant_name_is_held_as_reused(catalog, machine):
    release = judged(catalog, with_change(rows(100), 0, name="Bạch Đằng"), by=machine, effective_on=JUN)
    assert release.hold_reasons == [HoldReason.REUSED_CODE]
    assert StagedEntry.objects.get(release=release, reused=True).code == "A001"


def test_a_code_that_comes_back_with_another_meaning_is_held_as_reused(catalog, machine, operator):
    published(catalog, rows(99), by=operator, effective_on=JUN)
    release = judged(catalog, [*rows(99), {"code": "A100", "name": "Bạch Đằng"}], by=machine, effective_on=SEP)
    assert release.hold_reasons == [HoldReason.REUSED_CODE]


@pytest.mark.parametrize(
    ("old", "new", "distant"),
    [
        ("Trúc Bạch", "Ba Đình", True),
        ("Yên Bái", "Lào Cai", True),
        ("Kontum", "Kon Tum", False),
        ("Hòa Bình", "Hoà Bình", False),
        ("Đăk Lăk", "Đắk Lắk", False),
        ("Sở Nội vụ", "Sở Nội vụ tỉnh", False),
        ("Thừa Thiên Huế", "Huế", False),
        ("Ủy ban nhân dân xã A", "UBND xã A", False),
        ("Sở TT&TT", "Sở Thông tin và Truyền thông", False),
        ("Krông Pắk", "Krông Pắc", False),
        ("Nghĩa Tân", "Nghĩa Đô", True),
        ("Sở Tài chính", "Sở Y tế", True),
        ("Công giáo", "Phật giáo", True),
        ("Bộ Thông tin và Truyền thông", "Bộ Khoa học và Công nghệ", True),
    ],
)
def test_names_are_compared_as_names(old, new, distant):
    from apps.catalogs.judgement import is_distant

    assert is_distant(old, new) is distant


def test_every_reason_must_be_accepted_by_name(catalog, machine, operator):
    release = judged(catalog, rows(10), by=machine, effective_on=JUN)
    with pytest.raises(actions.ReasonsNotAccepted) as refusal:
        actions.publish_release(release, by=operator, accept=[HoldReason.CLOSED_SHARE])
    assert refusal.value.extra["reasons"] == [HoldReason.TRUNCATED_LIST]
    actions.publish_release(release, by=operator, accept=release.hold_reasons)
    assert len(live(catalog)) == 10
    assert release.accepted == release.hold_reasons


def test_the_officer_may_change_the_proposed_day(catalog, machine, operator):
    release = judged(catalog, rows(101), by=machine, effective_on=JUN)
    actions.publish_release(release, by=operator, effective_on=SEP)
    assert release.effective_on == SEP
    assert "A101" not in live(catalog, dt.date(2025, 8, 31))


def test_a_release_is_judged_again_when_the_live_list_moved(catalog, machine, operator):
    slow = judged(catalog, rows(98), by=machine, effective_on=JUN, source="slow")
    published(
        catalog,
        rows(100) + [{"code": f"B{n}", "name": f"Thêm {n}"} for n in range(9)],
        by=operator,
        effective_on=JUN,
        source="quick",
    )
    assert slow.status == ReleaseStatus.READY
    with pytest.raises(actions.ReasonsNotAccepted):
        actions.publish_release(slow, by=operator)
    assert len(live(catalog)) == 109


def test_a_decision_on_an_old_page_is_refused(catalog, machine, operator):
    release = judged(catalog, rows(101), by=machine, effective_on=JUN)
    with pytest.raises(StaleVersion):
        actions.publish_release(release, by=operator, version=release.version - 1)


def test_publishing_twice_is_refused(catalog, machine, operator):
    release = judged(catalog, rows(101), by=machine, effective_on=JUN)
    actions.publish_release(Release.objects.get(pk=release.pk), by=operator)
    with pytest.raises((TransitionNotAllowed, Conflict)):
        actions.publish_release(release, by=operator)


def test_when_publishing_blows_up_late_nothing_remains(catalog, machine, operator, monkeypatch):
    release = judged(catalog, rows(101), by=machine, effective_on=JUN)

    def explode(*args):
        raise RuntimeError("late")

    monkeypatch.setattr(actions.render, "write_snapshots", explode)
    with pytest.raises(RuntimeError):
        actions.publish_release(release, by=operator)
    release.refresh_from_db()
    assert (release.status, release.number) == (ReleaseStatus.READY, None)
    assert "A101" not in live(catalog)
    assert StagedEntry.objects.filter(release=release).count() == 101
    assert not AuditEvent.objects.about(release).filter(event="release.published").exists()


ALL_STATUSES = ReleaseStatus.values
PERSONAL = [(verb, status) for verb, status in RELEASE.disallowed(ALL_STATUSES) if verb in ("publish", "reject", "undo")]


@pytest.mark.parametrize(("verb", "status"), PERSONAL)
def test_a_verb_is_refused_in_every_other_status(catalog, operator, verb, status):
    """Statuses are put on a copy in memory: the database keeps settled releases as they are."""
    release = judged(catalog, rows(101), by=operator, effective_on=JUN)
    release.status = status
    call = {
        "publish": lambda: actions.publish_release(release, by=operator, accept=HoldReason.values),
        "reject": lambda: actions.reject_release(release, by=operator, note="x"),
        "undo": lambda: actions.undo_release(release, by=operator, note="x"),
    }
    with pytest.raises(TransitionNotAllowed):
        call[verb]()


def test_a_list_on_the_very_day_of_the_live_one_corrects_it(catalog, operator):
    published(catalog, with_change(rows(100), 0, name="Tên gọi số 1 đúng"), by=operator, effective_on=DAY)
    assert live(catalog, DAY)["A001"] == "Tên gọi số 1 đúng"
    assert live(catalog, DAY, 1)["A001"] == "Tên gọi số 1"
    assert Entry.objects.filter(catalog=catalog, code="A001", superseded_in=2).count() == 1


def test_a_change_learned_late_is_put_between_what_was_and_what_came_after(catalog, operator):
    published(catalog, with_change(rows(100), 0, name="Tên gọi tháng chín"), by=operator, effective_on=SEP)
    published(
        catalog,
        [{"code": "A001", "name": "Tên gọi tháng sáu", "attributes": {"n": 1}}],
        by=operator,
        effective_on=JUN,
        scope="changes",
    )
    names = [live(catalog, day)["A001"] for day in (dt.date(2025, 5, 1), JUN, dt.date(2025, 8, 31), SEP)]
    assert names == ["Tên gọi số 1", "Tên gọi tháng sáu", "Tên gọi tháng sáu", "Tên gọi tháng chín"]
    assert live(catalog, JUN, 2)["A001"] == "Tên gọi số 1"


def test_changes_leave_the_codes_they_do_not_name_and_end_those_they_say(catalog, operator):
    given = [{"code": "A001", "closes": True}, {"code": "A002", "name": "Tên gọi số 2 mới"}]
    published(catalog, given, by=operator, effective_on=JUN, scope="changes")
    assert len(live(catalog)) == 99
    assert Entry.objects.get(catalog=catalog, code="A001").valid_to == JUN


def test_a_full_list_of_one_level_leaves_the_other_levels(operator):
    catalog = TreeCatalogFactory()
    province = {"code": "01", "name": "Tỉnh Một"}
    communes = [{"code": f"000{n:02}", "name": f"Xã {n}", "parent_code": "01"} for n in range(1, 60)]
    published(catalog, [province, *communes], by=operator)
    published(catalog, communes[:58], by=operator, effective_on=JUN, levels=["commune"])
    assert len(live(catalog)) == 59
    assert live(catalog)["01"] == "Tỉnh Một"


def test_a_refused_row_leaves_its_code_as_it_is(catalog, operator):
    bad = with_change(rows(100), 0, name="Tên gọi \ufffd")
    release = judged(catalog, bad, by=operator, effective_on=JUN)
    assert release.hold_reasons == [HoldReason.REFUSED_ROWS]
    release = judged(catalog, with_change(bad, 1, name="Tên gọi số 2 mới"), by=operator, effective_on=JUN)
    actions.publish_release(release, by=operator, accept=release.hold_reasons)
    assert (live(catalog)["A001"], live(catalog)["A002"]) == ("Tên gọi số 1", "Tên gọi số 2 mới")


# --- reject, undo, correct -----------------------------------------------------------------------


def test_rejecting_needs_a_reason_and_a_role(catalog, machine, operator, provider_officer):
    release = judged(catalog, rows(10), by=machine, effective_on=JUN)
    with pytest.raises(FactMissing):
        actions.reject_release(release, by=operator, note=" ")
    with pytest.raises(NotPermitted):
        actions.reject_release(release, by=provider_officer, note="không")
    actions.reject_release(release, by=operator, note="Danh sách bị cắt")
    assert release.status == ReleaseStatus.REJECTED
    assert AuditEvent.objects.about(release).get(event="release.rejected").facts["note"] == "Danh sách bị cắt"


def test_undo_publishes_the_inverse_and_both_can_still_be_asked(catalog, operator):
    changed = with_change(rows(101), 4, name="Tên gọi số 5 mới")
    release = published(catalog, changed, by=operator, effective_on=JUN)
    inverse = actions.undo_release(release, by=operator, note="Nhầm tệp")
    release.refresh_from_db()
    assert (inverse.number, inverse.inverse_of, release.status) == (3, release, ReleaseStatus.UNDONE)
    assert live(catalog) == live(catalog, number=1) != live(catalog, number=2)
    assert live(catalog, number=2)["A005"] == "Tên gọi số 5 mới"
    assert AuditEvent.objects.about(release).filter(event="release.undone", actor=operator).exists()


def test_undo_restores_endings_corrections_and_lineage(catalog, operator):
    line = {"old_code": "A001", "new_code": "A002", "kind": "merged", "effective_on": JUN}
    first = published(
        catalog, [{"code": "A001", "closes": True}], by=operator, effective_on=JUN, scope="changes", successions=[line]
    )
    before = live(catalog)
    second_line = {"old_code": "A001", "new_code": "A003", "kind": "merged", "effective_on": JUN}
    corrected = with_change(rows(100)[1:], 0, name="Tên gọi số 2 đúng")
    second = published(catalog, corrected, by=operator, effective_on=DAY, scope="changes", successions=[second_line])
    actions.undo_release(second, by=operator, note="Nhầm")
    assert live(catalog) == before
    assert Succession.objects.filter(catalog=catalog).known_in(None).get().new_code == "A002"
    actions.undo_release(first, by=operator, note="Nhầm")
    assert live(catalog) == live(catalog, number=1)


def test_the_undoing_of_an_undoing_brings_the_release_back(catalog, operator):
    release = published(catalog, rows(99), by=operator, effective_on=JUN)
    inverse = actions.undo_release(release, by=operator, note="Nhầm")
    actions.undo_release(inverse, by=operator, note="Không nhầm")
    assert live(catalog) == live(catalog, number=2)


def test_a_release_on_which_a_later_one_rests_cannot_be_undone_first(catalog, operator):
    first = published(catalog, with_change(rows(100), 0, name="Tên gọi số 1 b"), by=operator, effective_on=JUN)
    published(catalog, with_change(rows(100), 0, name="Tên gọi số 1 c"), by=operator, effective_on=SEP)
    with pytest.raises(actions.LaterReleaseBuildsOnIt) as refusal:
        actions.undo_release(first, by=operator, note="Nhầm")
    assert refusal.value.extra["number"] == 3


def test_an_older_release_that_nothing_rests_on_can_be_undone(catalog, operator):
    first = published(catalog, with_change(rows(100), 0, name="Tên gọi số 1 b"), by=operator, effective_on=JUN)
    published(catalog, [{"code": "A002", "name": "Tên gọi số 2 b"}], by=operator, effective_on=SEP, scope="changes")
    actions.undo_release(first, by=operator, note="Nhầm")
    assert (live(catalog)["A001"], live(catalog)["A002"]) == ("Tên gọi số 1", "Tên gọi số 2 b")


def test_undoing_needs_the_role_and_a_reason(catalog, operator, provider_officer):
    release = Release.objects.get(catalog=catalog)
    with pytest.raises(NotPermitted):
        actions.undo_release(release, by=provider_officer, note="x")
    with pytest.raises(FactMissing):
        actions.undo_release(release, by=operator, note="")


def test_a_correction_keeps_what_was_answered_before(catalog, operator):
    entry = Entry.objects.get(catalog=catalog, code="A007")
    made = actions.correct_entry(entry, by=operator, note="Sai chính tả", name="Tên gọi số Bảy", full_name="Tên gọi số Bảy")
    assert live(catalog)["A007"] == "Tên gọi số Bảy"
    assert live(catalog, number=1)["A007"] == "Tên gọi số 7"
    assert (made.recorded_in, made.valid_from) == (2, entry.valid_from)
    assert AuditEvent.objects.filter(event="entry.corrected", actor=operator).exists()


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"name": ""}, InvalidFact),
        ({"name": "=1+1"}, InvalidFact),
        ({"code": "B"}, InvalidFact),
        ({"parent_code": "ZZ"}, InvalidFact),
        ({"valid_to": dt.date(2024, 1, 1)}, InvalidFact),
        ({}, FactMissing),
    ],
)
def test_a_correction_that_cannot_be_true_is_refused(catalog, operator, facts, error):
    entry = Entry.objects.get(catalog=catalog, code="A007")
    with pytest.raises(error):
        actions.correct_entry(entry, by=operator, note="x", **facts)
    assert Release.objects.filter(catalog=catalog).count() == 1


def test_an_entry_corrected_meanwhile_cannot_be_corrected_again(catalog, operator):
    entry = Entry.objects.get(catalog=catalog, code="A007")
    actions.correct_entry(
        Entry.objects.get(pk=entry.pk), by=operator, note="x", name="Tên gọi số 7 b", full_name="Tên gọi số 7 b"
    )
    with pytest.raises(Conflict):
        actions.correct_entry(entry, by=operator, note="x", name="Tên gọi số 7 c", full_name="Tên gọi số 7 c")


def test_dates_corrected_into_the_codes_own_history_are_refused(catalog, operator):
    published(catalog, with_change(rows(100), 0, name="Tên gọi số 1 b"), by=operator, effective_on=JUN)
    entry = Entry.objects.get(catalog=catalog, code="A001", valid_from=JUN)
    with pytest.raises(InvalidFact):
        actions.correct_entry(entry, by=operator, note="x", valid_from=dt.date(2025, 5, 1))


def test_correcting_needs_the_role(catalog, provider_officer):
    with pytest.raises(NotPermitted):
        actions.correct_entry(Entry.objects.filter(catalog=catalog).first(), by=provider_officer, note="x", name="y")


def test_a_person_without_the_role_cannot_load(provider_officer):
    with pytest.raises(CommandError, match="not_permitted"):
        call_command("load_catalogs", by=provider_officer.username, only=["religions"])


def test_snapshots_are_rendered_for_open_catalogs_only(catalog, operator):
    assert Snapshot.objects.filter(catalog=catalog, release=catalog.current).count() == 1
    closed = CatalogFactory(is_public=False)
    published(closed, rows(3), by=operator)
    assert not Snapshot.objects.filter(catalog=closed).exists()
