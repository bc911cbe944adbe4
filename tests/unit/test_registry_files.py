"""Registry files as departments keep them: what is read from csv and xlsx, and what is refused with its place."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from ispeed.errors import UserError
from ispeed.registry_files import Entry, read_registry_files
from ispeed.settings import INCLUDE, Settings
from pipeline import settings_in

HEADER = ["referral_code", "holder_kind", "holder_code", "valid_from", "valid_to"]


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """Settings with a registry folder of one's own, as the seed is but for its referral codes."""
    shutil.copytree(INCLUDE / "registry", tmp_path / "registry")
    (tmp_path / "registry" / "referral_codes.csv").unlink()
    return settings_in(tmp_path, registry=tmp_path / "registry")


def codes(settings: Settings) -> list[tuple[str, tuple[str | None, ...]]]:
    entries = read_registry_files(settings).entries["referral_codes"]
    return [(entry.place, tuple(entry.values[name] for name in HEADER)) for entry in entries]


def sheet_of(settings: Settings, *rows: list[Any], change: Callable[[Any], None] = lambda sheet: None) -> Path:
    workbook = Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    change(sheet)
    path = settings.registry / "referral_codes.xlsx"
    workbook.save(path)
    return path


def csv_of(settings: Settings, text: str) -> None:
    (settings.registry / "referral_codes.csv").write_text(text, encoding="utf-8")


def test_a_sheet_has_titles_empty_rows_dates_and_codes_that_show_their_zeros(own: Settings) -> None:
    def show_zeros(sheet: Any) -> None:
        sheet["C4"].number_format = "00000"
        sheet["H9"] = "a note beside the table"
        sheet.merge_cells("A1:E1")

    sheet_of(
        own,
        ["DANH SÁCH MÃ GIỚI THIỆU"],
        [],
        [" Referral_Code ", *HEADER[1:], "ghi chú"],
        ["00123", "commune", 123, datetime(2024, 1, 1), None, "x"],
        [],
        ["  Sở  1 ", "organisation", "SO-NV", "2024-01-01", date(2024, 9, 30)],
        change=show_zeros,
    )
    assert codes(own) == [
        ("file referral_codes.xlsx, row 4", ("00123", "commune", "00123", "2024-01-01", None)),
        ("file referral_codes.xlsx, row 6", ("Sở 1", "organisation", "SO-NV", "2024-01-01", "2024-09-30")),
    ]


def test_a_formula_counts_by_its_result(own: Settings) -> None:
    path = sheet_of(own, HEADER, ["X", "commune", "22366", date(2024, 1, 1), None])
    cell = re.compile(rb'(<c r="C2"[^>]*?) t="(?:s|inlineStr)"[^>]*>.*?</c>')
    rewrite(path, lambda part: cell.sub(rb"\1><f>22300+66</f><v>22366</v></c>", part))
    assert [values[2] for _, values in codes(own)] == ["22366"]
    rewrite(path, lambda part: part.replace(b"<v>22366</v>", b""))
    with pytest.raises(UserError, match="a formula without its result") as error:
        codes(own)
    assert error.value.where.startswith("file referral_codes.xlsx, sheet ") and error.value.where.endswith("cell C2")


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet1.xml"] = change(parts["xl/worksheets/sheet1.xml"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def merge_holders(sheet: Any) -> None:
    sheet.merge_cells("C2:C3")


def add_sheet(sheet: Any) -> None:
    sheet.parent.create_sheet("Bản cũ").append(HEADER)


@pytest.mark.parametrize(
    ("rows", "change", "told"),
    [
        ([["X", "commune", "22366", datetime(2024, 1, 1, 8), None]], None, "cell D2\n  found: 2024-01-01 08:00:00"),
        ([["X", "commune", "#N/A", None, None]], None, "row 2, column holder_code\n  found: #N/A"),
        ([["X", "commune", "22366", None, None]] * 2, merge_holders, "cells C2:C3\n  found: merged cells"),
        ([], add_sheet, "these columns on the sheets 'Sheet', 'Bản cũ'"),
    ],
)
def test_what_a_sheet_leaves_open_is_refused(
    own: Settings, rows: list[list[Any]], change: Callable[[Any], None] | None, told: str
) -> None:
    sheet_of(own, HEADER, *rows, change=change or (lambda sheet: None))
    with pytest.raises(UserError) as error:
        codes(own)
    assert told in str(error.value)


def test_a_hidden_sheet_does_not_count(own: Settings) -> None:
    def hide(sheet: Any) -> None:
        add_sheet(sheet)
        sheet.parent["Bản cũ"].sheet_state = "hidden"

    sheet_of(own, HEADER, ["X", "commune", "22366", None, None], change=hide)
    assert len(codes(own)) == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_file_may_have_titles_and_any_usual_delimiter(own: Settings, delimiter: str) -> None:
    csv_of(
        own,
        "\ufeffDanh sách mã, quý 1\n\n"
        + delimiter.join(HEADER)
        + "\n\n"
        + delimiter.join(("X", "organisation", f'"SO{delimiter}NV"', "2024-01-01", ""))
        + "\n",
    )
    assert codes(own) == [
        (
            "file referral_codes.csv, row 5",
            ("X", "organisation", f"SO{delimiter}NV".replace("\t", " "), "2024-01-01", None),
        )
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("X,commune,22366,2024-01-01,,more\n", "row 2\n  found: 6 fields: X, commune, 22366, 2024-01-01, , more"),
        ('X,"commune,22366,2024-01-01,\n', "unexpected end of data"),
        ("X,commune,22366\x00,2024-01-01,\n", "row 2, column holder_code\n  found: '22366\\x00'"),
        (f"X,commune,{'2' * 200},2024-01-01,\n", "row 2, column holder_code\n  found: 200 bytes"),
        ("X,commune,22366,,\n" * 30, "at most the setting ISPEED_ROWS_MAX"),
    ],
)
def test_a_csv_file_that_would_lose_something_is_refused(own: Settings, text: str, told: str) -> None:
    csv_of(own, ",".join(HEADER) + "\n" + text)
    bounded = replace(own, field_bytes_max=100, rows_max=20)
    for name in ("communes", "commune_succession", "operators", "organisations"):
        path = own.registry / f"{name}.csv"
        path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    with pytest.raises(UserError) as error:
        codes(bounded)
    assert told in str(error.value)


def test_a_text_of_another_encoding_is_refused(own: Settings) -> None:
    (own.registry / "referral_codes.csv").write_bytes(",".join(HEADER).encode() + b"\nS\xf2,")
    with pytest.raises(UserError, match="CSV UTF-8"):
        codes(own)


def test_an_empty_file_names_what_it_lacks(own: Settings) -> None:
    csv_of(own, "")
    with pytest.raises(UserError, match="0 columns referral_code"):
        codes(own)


def test_operators_may_have_days_or_none(own: Settings) -> None:
    csv_of(own, ",".join(HEADER) + "\n")
    assert {entry.values["valid_from"] for entry in read_registry_files(own).entries["operators"]} == {None}
    (own.registry / "operators.csv").write_text(
        "brand,vnnic_mobile_label,host_network,seen_spellings,valid_to\nReddi,,VinaPhone,,2024-10-10\n",
        encoding="utf-8",
    )
    (reddi,) = read_registry_files(own).entries["operators"]
    assert (reddi.values["valid_from"], reddi.values["valid_to"]) == (None, "2024-10-10")


@pytest.mark.parametrize("text", ["5.3033E+11", "5,3E11", "1e+05"])
def test_a_code_that_excel_rounded_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="a number that was rounded"):
        Entry("file a.csv, row 2", {"code": text}).code("code")
