"""Workbooks: what a person sees in the sheet is what is read, by the sheet's own row numbers."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from test_staging import staged

from ispeed.errors import UserError

HEADER = ["Thời gian đo", "Loại mạng", "Download (Mbps)", "Upload (Mbps)", "Mã thiết bị", "Mã xã"]
SHEET = "xl/worksheets/sheet1.xml"
EXTERNAL = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><worksheet'
TIME = "01/10/2024 00:00:00"
Row = list[Any]


def workbook(fill: Callable[[Any], None], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True, **options}) as book:
        fill(book)
    return buffer.getvalue()


def sheet_of(*rows: Row) -> bytes:
    def fill(book: Any) -> None:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            for place, value in enumerate(row):
                sheet.write(number, place, value)

    return workbook(fill)


def read(tmp_path: Path, content: bytes, **shape: Any) -> list[dict[str, Any]]:
    shapes = [{"pattern": "*.xlsx", "format": "xlsx", "timestamp_formats": ["%d/%m/%Y %H:%M:%S"], **shape}]
    return staged(tmp_path, {"a.xlsx": content}, shapes=shapes)


def changed(content: bytes, part: str, old: str, new: str) -> bytes:
    """A workbook with one part edited."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            text = source.read(info)
            if info.filename == part:
                assert re.search(old.encode(), text)
                text = re.sub(old.encode(), new.encode(), text, count=1)
            target.writestr(info.filename, text)
    return buffer.getvalue()


def test_title_rows_stand_above_the_header_and_empty_rows_count(tmp_path: Path) -> None:
    rows = read(tmp_path, sheet_of(["Kết quả đo"], [], HEADER, [TIME, "4G", 1.5, 2, "p", "22366"], [], [TIME, "5G", 2]))
    assert [(row["row_number"], row["technology"], row["download_mbps"]) for row in rows] == [
        (4, "4G", 1.5),
        (6, "5G", 2),
    ]


def test_the_declared_header_row_is_taken(tmp_path: Path) -> None:
    content = sheet_of(HEADER, HEADER, [TIME, "4G", 1])
    assert [row["row_number"] for row in read(tmp_path / "1", content, header_row=2)] == [3]
    assert [row["row_number"] for row in read(tmp_path / "2", content)] == [2, 3]


def test_numbers_stored_as_text_and_text_codes_are_read_as_declared(tmp_path: Path) -> None:
    content = sheet_of(HEADER, [TIME, "4G", "1,5", 2.25, 15, "00123"], [TIME, "4G", "1.5", "2", 15.0, 22366])
    rows = read(tmp_path, content, decimal=",")
    assert [(row["download_mbps"], row["upload_mbps"], row["commune_code"]) for row in rows] == [
        (1.5, 2.25, "00123"),
        (None, 2, "22366"),
    ]
    assert rows[0]["device_hash"] == rows[1]["device_hash"]


def test_dates_are_read_as_dates_serials_and_text(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADER)
        as_date = book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
        sheet.write_row(1, 0, [45566 + 8 / 24, "4G", 1])
        sheet.write_datetime(2, 0, datetime(2024, 10, 1, 8), as_date)
        sheet.write_row(2, 1, ["4G", 1])
        sheet.write_row(3, 0, ["01/10/2024 08:00:00", "4G", 1])
        sheet.write_datetime(4, 0, date(2024, 10, 1), book.add_format({"num_format": "d mmm"}))
        sheet.write_row(4, 1, ["4G", 1])

    times = [row["measured_at"] for row in read(tmp_path, workbook(fill))]
    assert times == [datetime(2024, 10, 1, 8)] * 3 + [datetime(2024, 10, 1)]


def test_dates_counted_from_1904_are_the_same_days(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADER)
        sheet.write_datetime(1, 0, datetime(2024, 10, 1, 8), book.add_format({"num_format": "dd/mm/yyyy"}))
        sheet.write_row(1, 1, ["4G", 1])

    assert read(tmp_path, workbook(fill, date_1904=True))[0]["measured_at"] == datetime(2024, 10, 1, 8)


def test_codes_keep_the_zeros_that_their_format_shows_and_lost_digits_are_told(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, [TIME, "4G", 1, 1, "p"])
        sheet.write_number(1, 5, 123, book.add_format({"num_format": "00000"}))
        sheet.write_row(2, 0, [TIME, "4G", 1, 1, "p", 530330123456])
        sheet.write_row(3, 0, [TIME, "4G", 1, 1, "p", 530330123456789012])

    rows = read(tmp_path, workbook(fill))
    assert [row["commune_code"] for row in rows[:2]] == ["00123", "530330123456"]
    assert rows[2]["read_error"] == "commune_code 5.303301E+17"


def test_a_number_that_excel_made_a_date_of_is_told(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, [TIME, "4G"])
        sheet.write_datetime(1, 2, datetime(2024, 5, 1), book.add_format({"num_format": "d-mmm"}))

    row = read(tmp_path, workbook(fill))[0]
    assert (row["download_mbps"], row["read_error"]) == (None, "download_mbps 01/05/2024 00:00:00")


def test_hidden_sheets_are_read_only_by_name(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        for name, speed in (("ẩn", 1), ("hiện", 2)):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, HEADER)
            sheet.write_row(1, 0, [TIME, "4G", speed])
            (sheet.hide if name == "ẩn" else sheet.activate)()

    content = workbook(fill)
    assert read(tmp_path / "1", content)[0]["download_mbps"] == 2
    assert read(tmp_path / "2", content, sheet="ẩn")[0]["download_mbps"] == 1
    with pytest.raises(UserError, match=r"'ẩn' \(hidden\)"):
        read(tmp_path / "3", content, sheet="khác")


def test_two_sheets_with_measurements_need_a_name(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        for name in ("di động", "cố định"):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, HEADER)
            sheet.write_row(1, 0, [TIME, "4G", 1])
        book.add_worksheet("ghi chú").write(0, 0, "Download (Mbps)")

    content = workbook(fill)
    with pytest.raises(UserError, match="'di động' and 'cố định'"):
        read(tmp_path / "1", content)
    assert len(read(tmp_path / "2", content, sheet="cố định")) == 1


def test_cells_merged_over_rows_count_for_each_and_over_columns_are_told(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        sheet = book.add_worksheet()
        sheet.merge_range("A1:F1", "Kết quả đo tháng 10")
        sheet.write_row(1, 0, HEADER)
        for row in range(2, 7):
            sheet.write_row(row, 0, [TIME, "4G", row + 1, None, "p", "22366"])
        sheet.merge_range("F3:F5", "22375")
        sheet.merge_range("C6:D6", 9)

    rows = read(tmp_path, workbook(fill))
    assert [row["commune_code"] for row in rows] == ["22375", "22375", "22375", "22366", "22366"]
    assert [row["read_error"] for row in rows] == [None, None, None, "cells merged over several columns: C6:D6", None]


def test_false_dimensions_cut_nothing_off(tmp_path: Path) -> None:
    content = sheet_of(HEADER, [TIME, "4G", 1], [TIME, "4G", 2])
    content = changed(content, SHEET, 'dimension ref="[^"]*"', 'dimension ref="A1:B1"')
    assert [row["download_mbps"] for row in read(tmp_path, content)] == [1, 2]


def test_one_cell_in_the_last_corner_is_told_and_widens_nothing(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, [TIME, "4G", 1])
        sheet.write("XFD1048576", 1)

    rows = read(tmp_path, workbook(fill))
    assert [(row["row_number"], row["read_error"]) for row in rows] == [
        (2, None),
        (1_048_576, "a value behind the last header, in column XFD"),
    ]


@pytest.mark.parametrize(
    ("part", "old", "new", "named"),
    [
        (SHEET, "<worksheet", EXTERNAL, "document type"),
        ("xl/sharedStrings.xml", "<sst", '<!DOCTYPE x [<!ENTITY a "aaaa">]><sst', "document type"),
        (SHEET, 'encoding="UTF-8"', 'encoding="ISO-8859-1"', "ISO-8859-1"),
        (SHEET, 'r="A2"', 'r="ZZZZZZ2"', "no readable xlsx workbook.*ZZZZZZ"),
        (SHEET, '<c r="C2"><v>1</v></c>', '<c r="C2"><f>1+1</f></c>', "formula without its result"),
        (SHEET, "</sheetData>", "", "no readable xlsx"),
        ("xl/workbook.xml", "<sheets>.*</sheets>", "", "visible sheet"),
    ],
)  # fmt: skip
def test_a_crafted_workbook_is_one_clear_error(tmp_path: Path, part: str, old: str, new: str, named: str) -> None:
    content = sheet_of(HEADER, [TIME, "4G", 1])
    with pytest.raises(UserError, match=named) as error:
        read(tmp_path, changed(content, part, old, new))
    assert "a.xlsx" in str(error.value)


def test_a_row_beyond_the_last_is_refused(tmp_path: Path) -> None:
    content = sheet_of(HEADER, [TIME, "4G", 1], [TIME, "4G", 2])
    content = changed(content, SHEET, '<row r="3"', '<row r="99999999999"')
    with pytest.raises(UserError, match="row 99999999999"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "a.xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "no readable xlsx"),
        (sheet_of(["Thời gian đo", "Loại mạng"]), "no header row"),
        (sheet_of([*HEADER, *(f"x{number}" for number in range(1_000))]), "ISPEED_COLUMNS_MAX"),
        (sheet_of(), "nothing"),
    ],
)
def test_what_is_no_export_is_one_clear_error(tmp_path: Path, content: bytes, named: str) -> None:
    with pytest.raises(UserError, match=named):
        read(tmp_path, content)
