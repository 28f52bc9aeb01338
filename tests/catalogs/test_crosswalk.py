"""The crosswalk: lines are staged, judged, published and undone with releases; asked, nothing is ever chosen silently."""

import datetime as dt

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.audit.models import AuditEvent
from apps.catalogs import actions, crosswalk_review
from apps.catalogs.api.throttling import CatalogThrottle
from apps.catalogs.choices import HoldReason, ReleaseStatus, RowProblem
from apps.catalogs.crosswalk import Crosswalk, tables_of
from apps.catalogs.models import Correspondence, Release, StagedCorrespondence
from apps.catalogs.tables import UnreadableFile, read_crosswalk
from apps.core.errors import InvalidFact, NotPermitted
from tests.factories.catalogs import CatalogFactory, ClosedCatalogFactory, TreeCatalogFactory, published, rows

pytestmark = pytest.mark.django_db
JUN, SEP = dt.date(2025, 6, 1), dt.date(2025, 9, 1)
ROOT = "/api/v1/catalogs"


@pytest.fixture(autouse=True)
def no_throttle(monkeypatch):
    monkeypatch.setattr(CatalogThrottle, "allow_request", lambda *args: True)


@pytest.fixture
def tables(operator):
    """Two tables of five codes each, A001 to A005 and B1 to B5."""
    mine, other = CatalogFactory(code="cua-minh"), CatalogFactory(code="bang-kia")
    published(mine, rows(5), by=operator)
    published(other, [{"code": f"B{n}", "name": f"Tên kia {n}"} for n in range(1, 6)], by=operator)
    for table in (mine, other):
        table.refresh_from_db()
    return mine, other


def line(code: str, other_code: str = "", relation: str = "exact", **facts) -> dict:
    return {"code": code, "other": "bang-kia", "other_code": other_code, "relation": relation, **facts}


def staged(catalog, lines, *, by, day=JUN, **facts) -> Release:
    given = {"source": "crosswalk:test", "effective_on": day, **facts}
    release = actions.stage_release(catalog, (), by=by, correspondences=lines, **given)
    return actions.judge_release(release, by=by) if release.status == ReleaseStatus.STAGED else release


def recorded(catalog, lines, *, by, **facts) -> Release:
    release = staged(catalog, lines, by=by, **facts)
    if release.status == ReleaseStatus.UNCHANGED:
        return release
    release = actions.publish_release(release, by=by, accept=release.hold_reasons)
    catalog.refresh_from_db()
    return release


def ask(mine, other, code: str, day=SEP) -> tuple[str, list[tuple[str, str]]]:
    mine.refresh_from_db()
    other.refresh_from_db()
    (answer,) = Crosswalk.now(mine, other, day).ask([("item", code)])
    return answer["result"], [(found["code"], found["relation"]) for found in answer["counterparts"]]


def test_each_kind_of_answer_and_none_is_a_silent_pick(tables, operator):
    mine, other = tables
    lines = [
        line("A001", "B1"),
        line("A002", "B2", "broader"),
        line("A003", "B2", "exact"),
        line("A003", "B3", "related"),
        line("A004", relation="none", legal_basis="QĐ 7"),
    ]
    recorded(mine, lines, by=operator)
    assert ask(mine, other, "A001") == ("exact", [("B1", "exact")])
    assert ask(mine, other, "A002") == ("many", [("B2", "broader")])
    assert ask(mine, other, "A003") == ("many", [("B2", "exact"), ("B3", "related")])
    assert ask(mine, other, "A004") == ("none", [])
    assert ask(mine, other, "A005") == ask(mine, other, "Z9") == ("unknown", [])
    assert ask(mine, other, "A001", dt.date(2025, 5, 31)) == ("unknown", []), "before the day from which the line holds"


def test_it_is_read_from_the_other_end_with_the_relation_turned(tables, operator):
    mine, other = tables
    recorded(mine, [line("A001", "B1", "broader"), line("A002", "B1", "exact"), line("A003", "B3")], by=operator)
    assert ask(other, mine, "B1") == ("many", [("A001", "narrower"), ("A002", "exact")])
    assert ask(other, mine, "B3") == ("exact", [("A003", "exact")])


def test_what_both_tables_say_counts_once_and_what_they_say_differently_is_many(tables, operator):
    mine, other = tables
    recorded(mine, [line("A001", "B1"), line("A002", "B2")], by=operator)
    back = {"other": "cua-minh", "relation": "exact"}
    recorded(other, [{"code": "B1", "other_code": "A001", **back}, {"code": "B3", "other_code": "A002", **back}], by=operator)
    assert ask(mine, other, "A001") == ("exact", [("B1", "exact")])
    assert ask(mine, other, "A002") == ("many", [("B2", "exact"), ("B3", "exact")])
    assert list(tables_of(mine).values()) == [4]


def test_a_counterpart_that_no_longer_holds_is_shown_so_and_is_never_exact(tables, operator):
    mine, other = tables
    recorded(mine, [line("A001", "B1")], by=operator)
    published(other, [{"code": "B1", "name": "", "closes": True}], by=operator, scope="changes", effective_on=SEP, source="end")
    assert ask(mine, other, "A001", dt.date(2025, 8, 31)) == ("exact", [("B1", "exact")])
    assert ask(mine, other, "A001", SEP) == ("many", [("B1", "exact")])
    other.refresh_from_db()
    (answer,) = Crosswalk.now(mine, other, SEP).ask([("item", "A001")])
    assert answer["counterparts"][0]["holds"] is False


def test_a_code_that_no_longer_holds_has_no_counterpart_anybody_could_know(tables, operator):
    mine, other = tables
    recorded(mine, [line("A001", "B1")], by=operator)
    published(
        mine, [{"code": "A001", "name": "", "closes": True}], by=operator, scope="changes", effective_on=SEP, source="end"
    )
    assert ask(mine, other, "A001", dt.date(2025, 8, 31)) == ("exact", [("B1", "exact")])
    assert ask(mine, other, "A001", SEP) == ("unknown", [])


def test_naming_a_code_again_replaces_from_that_day_what_was_known_of_it(tables, operator):
    mine, other = tables
    recorded(mine, [line("A001", "B1"), line("A002", "B2")], by=operator)
    release = recorded(mine, [line("A001", "B4")], by=operator, day=SEP)
    assert (release.counts["crosswalk_opened"], release.counts["crosswalk_closed"]) == (1, 1)
    assert ask(mine, other, "A001", dt.date(2025, 8, 31)) == ("exact", [("B1", "exact")])
    assert ask(mine, other, "A001", SEP) == ("exact", [("B4", "exact")])
    assert ask(mine, other, "A002", SEP) == ("exact", [("B2", "exact")]), "a code that is not named stays"


def test_the_same_lines_again_change_nothing_and_publish_nothing(tables, operator):
    mine, _other = tables
    recorded(mine, [line("A001", "B1"), line("A002", "B2")], by=operator, instrument="QĐ 1")
    again = recorded(mine, [line("A002", "B2"), line("A001", "B1")], by=operator, day=SEP)
    assert again.status == ReleaseStatus.UNCHANGED
    assert Correspondence.objects.count() == 2


def test_a_list_of_lines_alone_ends_no_code_of_the_table(tables, operator):
    mine, _other = tables
    release = staged(mine, [line("A001", "B1")], by=operator, scope="full")
    assert (release.scope, release.counts["closed"], release.hold_reasons) == ("changes", 0, [])


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (line("A009", "B1"), RowProblem.UNKNOWN_OWN_CODE),
        (line("A001", "B9"), RowProblem.UNKNOWN_COUNTERPART),
        (line("A001", "B1", "nearly"), RowProblem.UNKNOWN_RELATION),
        (line("A001", "", "exact"), RowProblem.UNKNOWN_RELATION),
        (line("A001", "B1", "none"), RowProblem.UNKNOWN_RELATION),
        (line("A001", "B1", valid_from="31/02/2025"), RowProblem.IMPOSSIBLE_DATE),
        (line("A001", "B1", valid_from="02/03/2025", valid_to="01/03/2025"), RowProblem.ENDS_BEFORE_START),
        (line("A001", "B1", valid_to="01/03/2025"), RowProblem.ENDS_BEFORE_START),
        (line("A001", "B1", valid_from="2020-01-01", valid_to="2021-01-01"), RowProblem.UNKNOWN_OWN_CODE),
        (line("", "B1"), RowProblem.NO_CODE),
        (line("=A001", "B1"), RowProblem.FORMULA),
        (line("A001", "B1", note="e\u0301"), RowProblem.NOT_NFC),
        (line("A001", "B1", legal_basis="Quy\ufffd"), RowProblem.WRONG_ENCODING),
        (line("A001", "B1", legal_basis="x" * 301), RowProblem.TOO_LONG),
        ({**line("A001", "B1"), "code": 1}, RowProblem.WRONG_SHAPE),
        (line("A001", "B1", other_level="nowhere"), RowProblem.UNKNOWN_LEVEL),
    ],
)
def test_a_bad_line_is_refused_by_itself_with_the_reason(tables, operator, bad, problem):
    mine, other = tables
    release = staged(mine, [line("A002", "B2"), bad], by=operator)
    assert problem in StagedCorrespondence.objects.get(release=release, row_no=2).problems
    assert release.hold_reasons == [HoldReason.REFUSED_ROWS]
    actions.publish_release(release, by=operator, accept=release.hold_reasons)
    assert ask(mine, other, "A002") == ("exact", [("B2", "exact")])
    assert Correspondence.objects.count() == 1


def test_a_code_of_which_any_line_is_refused_keeps_what_was_known_of_it(tables, operator):
    mine, other = tables
    recorded(mine, [line("A001", "B1")], by=operator)
    release = recorded(mine, [line("A001", "B2"), line("A001", "B9"), line("A003", "B3")], by=operator, day=SEP)
    assert release.counts["crosswalk_refused"] == 2
    assert ask(mine, other, "A001") == ("exact", [("B1", "exact")])
    assert ask(mine, other, "A003") == ("exact", [("B3", "exact")])


@pytest.mark.parametrize(
    ("lines", "refused"),
    [
        ([line("A001", "B1"), line("A001", "B1", "related")], 2),
        ([line("A001", "B1"), line("A001", relation="none")], 2),
        ([line("A001", "B1", valid_to="2025-09-01"), line("A001", "B1", "related", valid_from="2025-09-01")], 0),
        ([line("A001", "B1"), line("A001", "B2")], 0),
    ],
    ids=["a pair twice", "something and nothing", "one after the other", "two counterparts"],
)
def test_lines_that_contradict_each_other_are_refused_together(tables, operator, lines, refused):
    release = staged(tables[0], lines, by=operator)
    assert release.counts["crosswalk_refused"] == refused


def test_lines_of_which_none_is_good_can_only_be_rejected(tables, operator):
    release = staged(tables[0], [line("A009", "B1")], by=operator)
    assert HoldReason.EMPTY_LIST in release.hold_reasons


def test_a_table_that_is_not_there_is_refused_at_once(tables, operator):
    for other in ("khong-co", "cua-minh", ""):
        with pytest.raises(InvalidFact):
            staged(tables[0], [{**line("A001", "B1"), "other": other}], by=operator)


def test_somebody_without_the_role_stages_no_lines(tables, provider_officer):
    with pytest.raises(NotPermitted):
        staged(tables[0], [line("A001", "B1")], by=provider_officer)


def test_undoing_the_release_believes_again_what_was_known_before(tables, operator):
    mine, other = tables
    recorded(mine, [line("A001", "B1"), line("A002", "B2")], by=operator)
    second = recorded(mine, [line("A001", "B4"), line("A003", "B3")], by=operator, day=SEP)
    inverse = actions.undo_release(second, by=operator, note="Nhầm")
    assert (inverse.counts["crosswalk_opened"], inverse.counts["crosswalk_closed"]) == (1, 2)
    assert ask(mine, other, "A001", SEP) == ("exact", [("B1", "exact")])
    assert ask(mine, other, "A003", SEP) == ("unknown", [])
    (then,) = Crosswalk(mine, other, SEP, second.number, 1).ask([("item", "A001")])
    assert then["counterparts"][0]["code"] == "B4", "what was answered under the undone release can still be asked"


def test_a_release_on_which_a_later_one_rests_is_not_undone_under_it(tables, operator):
    mine, _other = tables
    first = recorded(mine, [line("A001", "B1")], by=operator)
    recorded(mine, [line("A001", "B4")], by=operator, day=SEP)
    with pytest.raises(actions.LaterReleaseBuildsOnIt):
        actions.undo_release(first, by=operator, note="Nhầm")


def test_published_lines_are_never_edited_nor_erased(tables, operator):
    recorded(tables[0], [line("A001", "B1")], by=operator)
    for change in ("UPDATE catalogs_correspondence SET note = 'x'", "DELETE FROM catalogs_correspondence",
                   "UPDATE catalogs_correspondence SET superseded_in = 99"):  # fmt: skip
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_the_difference_is_shown_while_it_waits_and_after_it_is_published(tables, operator):
    mine, _other = tables
    recorded(mine, [line("A001", "B1")], by=operator)
    release = staged(mine, [line("A001", "B4"), line("A002", "B9", "nearly")], by=operator, day=SEP)
    assert [found.relation_label for found in crosswalk_review.lines(release, kind="refused")] == ["–"]
    assert crosswalk_review.lines(release, text="%") == []
    shown = [(found.kind, found.code, found.other_code, found.other_name) for found in crosswalk_review.lines(release)]
    assert shown == [
        ("refused", "A002", "B9", ""),
        ("closed", "A001", "B1", "Tên kia 1"),
        ("opened", "A001", "B4", "Tên kia 4"),
    ]
    assert [found.code for found in crosswalk_review.lines(release, kind="opened")] == ["A001"]
    assert [found.other_code for found in crosswalk_review.lines(release, text="ten b1")] == ["B1"]
    actions.publish_release(release, by=operator, accept=release.hold_reasons)
    after = [(found.kind, found.other_code, found.valid_to) for found in crosswalk_review.lines(release)]
    assert after == [("closed", "B1", SEP), ("opened", "B4", None)]


# --- by API --------------------------------------------------------------------------------------


def test_the_api_answers_one_code_many_and_the_whole_table(client, tables, operator):
    mine, _other = tables
    recorded(mine, [line("A001", "B1", legal_basis="QĐ 5"), line("A002", "B1", "narrower")], by=operator)
    one = client.get(f"{ROOT}/cua-minh/crosswalk", {"to": "bang-kia", "code": "A001", "on": "2025-09-01"}).json()
    assert one == {
        "result": "exact",
        "counterparts": [
            {
                "code": "B1", "level": "item", "name": "Tên kia 1", "holds": True, "relation": "exact", "valid_from": "2025-06-01",
                "valid_to": None, "legal_basis": "QĐ 5", "note": "",
            }
        ],
    }  # fmt: skip
    with CaptureQueriesContext(connection) as queries:
        codes = ["A001", "Z9", "A002"] * 3000
        many = client.post(f"{ROOT}/cua-minh/crosswalk", {"to": "bang-kia", "codes": codes}, "application/json").json()
    assert [found["result"] for found in many["results"]] == ["exact", "unknown", "many"] * 3000
    assert len(queries) < 8
    lines = client.get(f"{ROOT}/bang-kia/crosswalk/lines", {"to": "cua-minh"}).json()
    found = [(row["code"], row["counterpart"]["code"], row["counterpart"]["relation"]) for row in lines["lines"]]
    assert (lines["count"], found) == (2, [("B1", "A001", "exact"), ("B1", "A002", "broader")])


def test_the_api_answers_as_known_then(client, tables, operator):
    mine, _other = tables
    recorded(mine, [line("A001", "B1")], by=operator)
    recorded(mine, [line("A001", "B4", valid_from="2025-06-01")], by=operator, day=SEP)
    for known_at, code in (("", "B4"), ("3", "B4"), ("2", "B1")):
        asked = {"to": "bang-kia", "code": "A001", "on": "2025-07-01", "known_at": known_at}
        answer = client.get(f"{ROOT}/cua-minh/crosswalk", {k: v for k, v in asked.items() if v}).json()
        assert [found["code"] for found in answer["counterparts"]] == [code], known_at
    asked = {"to": "bang-kia", "code": "A001", "on": "2025-07-01", "known_at": "2020-01-01"}
    assert client.get(f"{ROOT}/cua-minh/crosswalk", asked).json()["result"] == "unknown"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"code": "A001"}, "to"),
        ({"to": "bang-kia"}, "code"),
        ({"to": "khong-co", "code": "A001"}, "to"),
        ({"to": "cua-minh", "code": "A001"}, "to"),
        ({"to": "bang-kia", "code": "A001", "on": "31/02/2025"}, "on"),
        ({"to": "bang-kia", "code": "A001", "level": "x"}, "level"),
        ({"to": "bang-kia", "code": "A001", "known_at": "hôm qua"}, "known_at"),
    ],
)
def test_a_bad_question_is_told_which_part_is_bad(client, tables, given, field):
    answer = client.get(f"{ROOT}/cua-minh/crosswalk", given)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])


def test_the_level_must_be_named_where_there_are_several_and_an_account_where_either_table_asks_for_it(client, tables):
    tree, closed = TreeCatalogFactory(), ClosedCatalogFactory()
    asked = {"to": "bang-kia", "code": "01"}
    assert list(client.get(f"{ROOT}/{tree.code}/crosswalk", asked).json()["fields"]) == ["level"]
    assert client.get(f"{ROOT}/cua-minh/crosswalk", {"to": closed.code, "code": "A001"}).status_code == 401
    assert client.get(f"{ROOT}/{closed.code}/crosswalk", asked).status_code == 401


def test_lines_are_staged_by_api_with_the_audit_event_of_a_release(client, tables, operator):
    client.force_login(operator)
    body = {"rows": [], "correspondences": [line("A001", "B1")], "source": "crosswalk:api", "effective_on": "2025-06-01"}
    made = client.post(f"{ROOT}/cua-minh/releases", body, "application/json")
    assert (made.status_code, made.json()["counts"]["crosswalk_opened"]) == (201, 1)
    release = Release.objects.get(uuid=made.json()["uuid"])
    assert AuditEvent.objects.about(release).filter(event="release.staged", actor=operator).exists()


# --- from a file ---------------------------------------------------------------------------------


def test_a_file_may_have_vietnamese_columns_and_relations():
    text = "Mã;Mã đối chiếu;Quan hệ;Hiệu lực từ;Căn cứ\nA001;B1;Rộng hơn;01/06/2025;QĐ 5\n\nA002;;Không có;;\n"
    found = list(read_crosswalk("x.csv", text.encode(), other="bang-kia"))
    assert [(row["code"], row["other_code"], row["relation"], row["row_no"]) for row in found] == [
        ("A001", "B1", "broader", 2),
        ("A002", "", "none", 4),
    ]
    assert (found[0]["other"], found[0]["legal_basis"], found[0]["valid_from"]) == ("bang-kia", "QĐ 5", "01/06/2025")


@pytest.mark.parametrize("header", ["code,other_code", "code,other_code,relation,colour", "code,code,other_code,relation"])
def test_a_file_with_other_columns_is_refused_whole(header):
    with pytest.raises(UnreadableFile):
        list(read_crosswalk("x.csv", f"{header}\n1,2,3,4\n".encode(), other="x"))


def test_a_wrongly_encoded_line_is_marked_by_itself():
    found = list(read_crosswalk("x.csv", b"code,other_code,relation,note\nA1,B1,exact,ok\nA2,B2,exact,Qu\xd5\n", other="x"))
    assert [row["problems"] for row in found] == [[], [RowProblem.WRONG_ENCODING]]
