"""Files that people bring, and files that people take away."""

import csv
import datetime as dt
import io
import random
import zipfile

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from apps.catalogs import export
from apps.catalogs.tables import UnreadableFile, read_crosswalk, read_table


def item(**facts) -> dict:
    return {
        "code": "01", "level": "item", "name": "Tên", "full_name": "Tên", "parent": None, "valid_from": dt.date(2025, 1, 1),
        "valid_to": None, "scheme": None, "attributes": {}, "release": 1, **facts,
    }  # fmt: skip


def as_csv(*items: dict) -> bytes:
    return b"".join(export.as_csv(items))


def workbook(*lines: list) -> bytes:
    book = Workbook()
    for line in lines:
        book.active.append(line)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_vietnamese_and_our_own_column_names_are_understood():
    text = "Mã;Tên;Mã cha;Hiệu lực từ;Ghi chú\n00004;Ba Đình;01;01/07/2025;phường\n"
    (row,) = read_table("x.csv", text.encode())
    assert row == {
        "code": "00004", "name": "Ba Đình", "parent_code": "01", "valid_from": "01/07/2025", "attributes": {"Ghi chú": "phường"},
        "problems": [], "row_no": 2,
    }  # fmt: skip


UNTIL = ["Hiệu lực đến", "Đến ngày", "ĐẾN NGÀY", "Ngày kết thúc"]


@pytest.mark.parametrize("heading", UNTIL)
@pytest.mark.parametrize("day", ["29/04/2026", "2026-04-29"])
def test_under_a_vietnamese_heading_a_day_is_the_last_one_on_which_the_code_holds(heading, day):
    (row,) = read_table("x.csv", f"Mã,Tên,{heading}\n00001,Phúc Xá,{day}\n".encode())
    assert row["valid_to"] == "2026-04-30"
    (line,) = read_crosswalk("x.csv", f"Mã,Mã đối chiếu,Quan hệ,{heading}\n1,B1,giống,{day}\n".encode(), other="b")
    assert (line["valid_to"], "last_day" in line) == ("2026-04-30", False)


def test_a_last_day_in_a_workbook_is_read_alike():
    (row,) = read_table("x.xlsx", workbook(["Mã", "Tên", "Đến ngày"], ["01", "Tên", dt.date(2026, 4, 29)]))
    assert row["valid_to"] == "2026-04-30"


@pytest.mark.parametrize(
    ("cell", "read"), [("", ""), ("31/02/2026", "31/02/2026"), ("hết hạn", "hết hạn"), ("31/12/9999", "31/12/9999")]
)
def test_a_last_day_that_is_none_is_left_to_be_refused(cell, read):
    (row,) = read_table("x.csv", f"Mã,Tên,Đến ngày\n01,Tên,{cell}\n".encode())
    assert row["valid_to"] == read


def test_our_own_heading_stays_the_first_day_without_and_exports_come_back_as_they_went():
    (row,) = read_table("x.csv", "code,name,valid_to\n01,Tên,2026-04-29\n".encode())
    assert row["valid_to"] == "2026-04-29"
    ends = item(valid_to=dt.date(2026, 4, 30))
    for name, content in (("x.csv", as_csv(ends)), ("x.xlsx", export.as_xlsx([ends], []))):
        (row,) = read_table(name, content)
        assert (row["valid_from"], row["valid_to"]) == ("2025-01-01", "2026-04-30")


def test_an_end_told_both_ways_is_refused():
    with pytest.raises(UnreadableFile, match="valid_to"):
        list(read_table("x.csv", "code,name,valid_to,Đến ngày\n01,Tên,2026-04-29,2026-04-29\n".encode()))


@pytest.mark.parametrize(
    ("cell", "closes", "problems"),
    [
        ("x", True, []),
        ("Có", True, []),
        ("đúng", True, []),
        ("", False, []),
        ("Không", False, []),
        ("sai", False, []),
        ("0", False, []),
        ("29/04/2026", False, ["wrong_shape"]),
        ("y", False, ["wrong_shape"]),
        ("kt", False, ["wrong_shape"]),
    ],
)
@pytest.mark.parametrize("heading", ["Kết thúc", "closes"])
def test_whether_a_code_ends_is_yes_or_no_and_never_guessed(heading, cell, closes, problems):
    (row,) = read_table("x.csv", f"code,name,{heading}\n01,Tên,{cell}\n".encode())
    assert (row["closes"], row["problems"]) == (closes, problems)


def test_a_line_in_another_encoding_is_marked_and_the_others_are_read():
    content = "code,name\n01,Hà Nội\n".encode() + "02,Hà Giang\n".encode("cp1258", "replace")
    first, second = read_table("x.csv", content)
    assert (first["problems"], second["problems"]) == ([], ["wrong_encoding"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", b""),
        ("x.csv", b"a,b\n1,2\n"),
        ("x.csv", b"code,code,name\n1,2,3\n"),
        ("x.csv", "code,name\n1,x\n".encode("utf-16")),
        ("x.csv", b"code,name\n1,\x00\n"),
        ("x.xlsx", b"PK\x03\x04 no archive"),
        ("x.xlsx", b"no archive"),
        ("x.csv", b"code,name\n" + b"x" * (21 * 1024 * 1024)),
    ],
    ids=["empty", "other columns", "doubled columns", "UTF-16", "binary", "torn archive", "no archive", "too large"],
)
def test_a_file_that_is_no_table_is_refused_as_a_whole(name, content):
    with pytest.raises(UnreadableFile):
        list(read_table(name, content))


def test_a_zip_bomb_is_refused_before_it_is_unpacked():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (300 * 1024 * 1024))
    assert len(out.getvalue()) < 1024 * 1024
    with pytest.raises(UnreadableFile, match="far more|lớn hơn"):
        list(read_table("x.xlsx", out.getvalue()))


def test_xml_that_multiplies_itself_is_refused():
    good = workbook(["code", "name"], ["1", "x"])
    bomb = b'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><workbook>&b;</workbook>'
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as source, zipfile.ZipFile(out, "w") as target:
        for part in source.namelist():
            target.writestr(part, bomb if part == "xl/workbook.xml" else source.read(part))
    with pytest.raises(UnreadableFile):
        list(read_table("x.xlsx", out.getvalue()))


def test_formula_cells_are_marked_and_their_stored_result_is_not_believed():
    first, second = read_table("x.xlsx", workbook(["code", "name"], ["01", "=1+1"], ["02", "Tên"]))
    assert (first["problems"], second["problems"]) == (["formula"], [])


def test_number_cells_are_read_as_shown_so_that_the_code_pattern_can_speak():
    (row,) = read_table("x.xlsx", workbook(["code", "name", "valid_from"], [4, "Tên", dt.date(2025, 7, 1)]))
    assert (row["code"], row["valid_from"]) == ("4", "2025-07-01")


RISKY = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "|cmd", "'=1", '"=1', " =1", "a\n=1", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("text", RISKY)
def test_a_text_that_a_spreadsheet_would_run_is_disarmed_in_csv_and_a_text_in_xlsx(text):
    line = list(csv.reader(io.StringIO(as_csv(item(name=text)).decode("utf-8-sig"), newline="")))[1]
    assert line[2] == f"'{text}"
    sheet = load_workbook(io.BytesIO(export.as_xlsx([item(name=text)], [])))["items"]
    assert (sheet["C2"].data_type, sheet["B2"].value) == ("s", "01")


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufffd"), max_size=30)


@settings(max_examples=300, deadline=None)
@given(name=TEXTS, value=TEXTS)
def test_no_text_leaves_a_csv_as_a_formula_and_all_come_back(name, value):
    content = as_csv(item(name=name, attributes={"x": value}))
    cells = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))[1]
    assert not any(
        cell.lstrip(" \"'")[:1] in ("=", "+", "-", "@", "\t", "\r", "＝", "|") and not cell.startswith("'") for cell in cells
    )
    (row,) = read_table("x.csv", content)
    assert row["name"] == name
    assert row["attributes"] == {"x": value}


@settings(max_examples=60, deadline=None)
@given(value=st.text(max_size=40))
def test_every_text_becomes_a_text_cell(value):
    sheet = load_workbook(io.BytesIO(export.as_xlsx([item(name=value)], [])))["items"]
    assert sheet["C2"].data_type in ("s", "inlineStr", "n")
    assert sheet["C2"].value is None or sheet["C2"].data_type != "n"


def test_an_archive_of_a_version_of_tomorrow_is_refused():
    good = bytearray(workbook(["code", "name"], ["01", "A"]))
    good[good.index(b"PK\x01\x02") + 6] = 179
    with pytest.raises(UnreadableFile):
        list(read_table("x.xlsx", bytes(good)))


def test_any_damaged_workbook_is_refused_or_read_never_a_crash():
    good = bytearray(workbook(["code", "name"], *[[f"{n:02}", f"Tên {n}"] for n in range(30)]))
    chance = random.Random(7)
    for _ in range(150):
        torn = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            torn[chance.randrange(len(torn))] = chance.randrange(256)
        try:
            for row in read_table("x.xlsx", bytes(torn[: chance.randrange(len(torn))] if chance.random() < 0.3 else torn)):
                orjson.dumps(row)
        except UnreadableFile:
            pass
