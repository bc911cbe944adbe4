"""Each point of the standard: a workbook that breaks it, and it alone, is told under its number."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from test_workbook import DANGEROUS, MONTHS, content

from ispeed.book_checks import POINTS, check_book
from ispeed.book_checks.command import check_books
from ispeed.book_checks.look import contrast_of
from ispeed.csv_folder import csv_cell, uncsv_cell
from ispeed.errors import UserError
from ispeed.workbook.book import write_workbook

Edit = Callable[[str], str]
WORKBOOK, STRINGS, STYLES = "xl/workbook.xml", "xl/sharedStrings.xml", "xl/styles.xml"
COVER, ONE, TWO, OPERATORS = (f"xl/worksheets/sheet{number}.xml" for number in (1, 2, 3, 5))
SIGNS, CHANGES = "xl/worksheets/sheet7.xml", "xl/worksheets/sheet10.xml"


def put(old: str, new: str, count: int = -1) -> Edit:
    """Replace a text that must be there."""

    def edit(part: str) -> str:
        assert old in part, old
        return part.replace(old, new, count)

    return edit


def change(pattern: str, new: str, count: int = 1) -> Edit:
    """The same by a pattern."""

    def edit(part: str) -> str:
        changed, n_found = re.subn(pattern, new, part, count=count, flags=re.DOTALL)
        assert n_found, pattern
        return changed

    return edit


def both(*edits: Edit) -> Edit:
    def edit(part: str) -> str:
        for one in edits:
            part = one(part)
        return part

    return edit


def renamed(old: str, new: str) -> dict[str, Edit]:
    """A sheet under another name, with all that leads to it."""
    return {WORKBOOK: put(old, new), COVER: put(f"'{old}'!", f"'{new}'!")}


def without_table(part: str) -> str:
    return change(r"<tableParts.*?</tableParts>", "")(part)


def text_cell(cell: str, text: str, like: str) -> Edit:
    """A cell as a text, in the style of another."""

    def edit(part: str) -> str:
        style = re.search(rf'<c r="{like}" s="(\d+)"', part)
        assert style
        new = f'<c r="{cell}" s="{style[1]}" t="inlineStr"><is><t>{text}</t></is></c>'
        return change(rf'<c r="{cell}" .*?</c>', new)(part)

    return edit


def swapped(part: str) -> str:
    """The first two sheets in the other order, with the names that belong to them."""
    first, second = re.findall(r"<sheet [^>]*/>", part)[:2]
    part = part.replace(first + second, second + first)
    for old, new in (("0", "new 1"), ("1", "0"), ("new 1", "1")):
        part = part.replace(f'localSheetId="{old}"', f'localSheetId="{new}"')
    return part


MACRO = {"xl/vbaProject.bin": "x"}
BROKEN: Mapping[str, tuple[int, Mapping[str, Edit], Mapping[str, str]]] = {
    "the cover is second": (1, {WORKBOOK: swapped}, {}),
    "a sheet that the cover does not lead to": (
        2, {COVER: change(r'<hyperlink ref="[A-Z]+\d+" location="\'Phương pháp\'!A1"[^>]*/>', "")}, {},
    ),
    "a link to a sheet that is not there": (2, {ONE: put("'Tổng quan'!A1", "'Không có'!A1")}, {}),
    "no sheet of notes": (3, renamed("Phương pháp", "Ghi chú"), {}),
    "a sheet without a table": (4, {CHANGES: without_table}, {}),
    "a long sheet name": (5, renamed("Thay đổi", "Thay đổi so với bản phát hành trước"), {}),
    "a blank sheet": (
        6,
        {CHANGES: both(
            without_table, change(r"<sheetData>.*</sheetData>", "<sheetData/>"),
            change(r"<mergeCells.*?</mergeCells>", ""), change(r"<hyperlinks>.*?</hyperlinks>", ""),
        )},
        {},
    ),
    "a table that starts in column B": (
        7,
        {"xl/tables/table6.xml": both(
            put('ref="A', 'ref="B'), put('count="8"', 'count="7"'), change(r'<tableColumn id="1"[^>]*/>', ""),
        )},
        {},
    ),
    "a text below a table": (
        8,
        {CHANGES: put("</sheetData>", '<row r="99"><c r="A99" t="inlineStr"><is><t>x</t></is></c></row></sheetData>')},
        {},
    ),
    "a title without its month": (9, {STRINGS: put("VÀ CÔNG NGHỆ THÁNG 10/2024", "VÀ CÔNG NGHỆ")}, {}),
    "a title without its area": (9, {STRINGS: put("Địa bàn: Khánh Hòa. Bảng gồm 3 tổ hợp", "Bảng gồm 3 tổ hợp")}, {}),
    "a table that does not say its rows": (10, {STRINGS: put("Bảng gồm 3 mã", "Bảng gồm các mã")}, {}),
    "it opens on another sheet": (11, {WORKBOOK: put("<workbookView ", '<workbookView activeTab="3" ')}, {}),
    "the cursor stands elsewhere": (
        11, {OPERATORS: change(r'<selection pane="bottomRight"[^>]*/>|<sheetView ([^>]*)/>',
                               r'<sheetView \1><selection activeCell="C9" sqref="C9"/></sheetView>')}, {},
    ),
    "frozen panes that leave no room": (11, {ONE: change(r'(<row r="7"[^>]*?) ht="[\d.]+"', r'\1 ht="400"')}, {}),
    "two tables of one name": (
        12, {"xl/tables/table2.xml": put('displayName="phu_luc_ii"', 'displayName="phu_luc_i"')}, {},
    ),
    "a column named unlike its header": (13, {"xl/tables/table1.xml": put('name="Mã xã"', 'name="Mã"')}, {}),
    "a header without its unit": (
        13,
        {name: put("Độ trễ trung vị (ms)", "Độ trễ trung vị")
         for name in (STRINGS, *(f"xl/tables/table{number}.xml" for number in range(1, 5)))},
        {},
    ),
    "merged cells in a table": (14, {ONE: put("</mergeCells>", '<mergeCell ref="B9:C9"/></mergeCells>')}, {}),
    "a blank row": (15, {ONE: change(r'(<row r="9"[^>]*>).*?</row>', r"\1</row>")}, {}),
    "an empty cell": (16, {ONE: change(r'<c r="E9" .*?</c>', "")}, {}),
    "a mark that no key explains": (16, {STRINGS: put("[tháng đầu] chưa", "chưa")}, {}),
    "raised letters": (17, {STYLES: put("<b/>", '<b/><vertAlign val="superscript"/>', 1)}, {}),
    "a number as a text": (18, {ONE: text_cell("G8", "320", like="E8")}, {}),
    "a column too narrow for its numbers": (
        19, {ONE: change(r'<col min="8" max="9" width="[\d.]+"|<col min="7" max="9" width="[\d.]+"',
                         '<col min="7" max="9" width="1.5"')}, {},
    ),
    "a row too low for its text": (
        19, {"xl/worksheets/sheet9.xml": change(r'(<row r="7"[^>]*?) ht="[\d.]+"', r'\1 ht="12"')}, {},
    ),
    "a hidden row": (20, {ONE: put('<row r="9" ', '<row r="9" hidden="1" ')}, {}),
    "a hidden sheet": (20, {WORKBOOK: put('name="Thay đổi" ', 'name="Thay đổi" state="hidden" ')}, {}),
    "a code as a number": (21, {ONE: change(r'(<c r="D8" s="\d+") t="s"><v>\d+</v>', r"\1><v>22366</v>")}, {}),
    "pale letters": (23, {STYLES: put("FF595959", "FFB0B0B0")}, {}),
    "a chart without alt text": (24, {"xl/drawings/drawing1.xml": change(r' descr="[^"]+"', "")}, {}),
    "a table without alt text": (24, {"xl/tables/table1.xml": change(r' altTextSummary="[^"]+"', "")}, {}),
    "another paper": (26, {TWO: put('paperSize="9"', 'paperSize="1"')}, {}),
    "no header row on the next page": (
        26, {WORKBOOK: change(r'<definedName name="_xlnm.Print_Titles" localSheetId="1">.*?</definedName>', "")}, {},
    ),
    "no page number": (26, {TWO: put("&amp;P", "")}, {}),
    "another language": (27, {"docProps/core.xml": put("vi-VN", "en-US")}, {}),
    "a title of another form": (27, {"docProps/core.xml": put(", tháng 10/2024", "")}, {}),
    "no next release": (28, {STRINGS: put("Kỳ phát hành tiếp theo", "Kỳ sau")}, {}),
    "a formula": (33, {ONE: change(r'(<c r="G8" s="\d+">)<v>', r"\1<f>1+1</f><v>")}, {}),
    "a link out of the file": (
        33,
        {"xl/worksheets/_rels/sheet2.xml.rels": put(
            "</Relationships>",
            '<Relationship Id="rId9" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink"'
            ' Target="http://example.invalid" TargetMode="External"/></Relationships>',
        )},
        {},
    ),
    "a macro": (33, {}, MACRO),
}  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "book.xlsx"
    write_workbook(content(), path)
    return path


def edited(good: Path, path: Path, edits: Mapping[str, Edit], added: Mapping[str, str] | None = None) -> Path:
    """The good workbook with some of its parts edited, and its zip's times kept."""
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            part = old.read(entry)
            edit = edits.get(entry.filename)
            new.writestr(entry, edit(part.decode()) if edit else part)
        for name, text in (added or {}).items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 0
            new.writestr(entry, text)
    return path


@pytest.mark.parametrize("name", MONTHS)
def test_a_workbook_as_it_is_written_has_no_fault(name: str, tmp_path: Path) -> None:
    write_workbook(MONTHS[name], tmp_path / "book.xlsx")
    assert [str(fault) for fault in check_book(tmp_path / "book.xlsx")] == []


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_one_point_is_told_under_that_point_and_no_other(name: str, good: Path, tmp_path: Path) -> None:
    point, edits, added = BROKEN[name]
    faults = check_book(edited(good, tmp_path / "broken.xlsx", edits, added))
    assert {fault.point for fault in faults} == {point}, [str(fault) for fault in faults]
    assert all("\n" not in str(fault) for fault in faults)


def test_a_zip_that_knows_the_clock_is_told(good: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(tmp_path / "broken.xlsx", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert {fault.point for fault in check_book(tmp_path / "broken.xlsx")} == {32}


def test_every_point_has_been_seen_to_fail() -> None:
    # 31 needs the csv files of a published month: tests/months/test_books.py.
    assert {point for point, _, _ in BROKEN.values()} | {31, 32} == set(POINTS)


def test_a_fault_says_file_sheet_cell_point_found_and_expected(good: Path, tmp_path: Path) -> None:
    edit = {ONE: change(r'(<c r="D8" s="\d+") t="s"><v>\d+</v>', r"\1><v>22366</v>")}
    (fault,) = check_book(edited(good, tmp_path / "b.xlsx", edit))
    assert str(fault) == "b.xlsx; Phụ lục I!D8; point 21; found the number 22366; expected a code as text"


def test_the_command_prints_each_fault_and_how_much_was_checked(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "don-vi").mkdir()
    edited(good, tmp_path / "don-vi" / "b.xlsx", {"docProps/core.xml": put("vi-VN", "en")})
    (tmp_path / "don-vi" / "~$b.xlsx").write_bytes(b"what Excel leaves while it has one open")
    assert check_books([good, tmp_path], tmp_path) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith("don-vi/b.xlsx; point 27; found the language 'en'; expected vi-VN")
    assert told[-1] == f"workbooks checked: 2, points each: {len(POINTS)}, faults: 1"


def test_a_file_that_is_no_workbook_and_a_folder_without_any_are_said_so(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK no zip")
    with pytest.raises(UserError, match="expected: an .xlsx file"):
        check_books([tmp_path / "a.xlsx"], tmp_path)
    for places in ([tmp_path / "no"], []):
        with pytest.raises(UserError, match="expected"):
            check_books(places, tmp_path / "empty")


def test_contrast_is_that_of_wcag() -> None:
    assert contrast_of("000000", "FFFFFF") == pytest.approx(21)
    assert contrast_of("767676", "FFFFFF") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("text", [*DANGEROUS, "'quoted", "''"])
def test_a_text_of_the_csv_is_read_back_as_it_was(text: str) -> None:
    assert uncsv_cell(str(csv_cell(text))) == text
