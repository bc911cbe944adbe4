"""Point 31: every cell of a report sheet equals the csv beside the workbook."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from openpyxl.cell import Cell

from ispeed.book_checks.opened import MARK, Area, Found, OpenedBook, quoted
from ispeed.csv_folder import uncsv_cell
from ispeed.tables import REPORT_TABLES, RESTATED_TABLES
from ispeed.workbook.integrity import SIGNS
from ispeed.workbook.marks import CHANGE_SIGNS
from ispeed.workbook.wording import (
    ATLAS_LEVELS,
    ATTRIBUTIONS,
    HOLDER_KINDS,
    NETWORKS,
    ORGANISATION_KINDS,
    RETURN_STATES,
)


@dataclass(frozen=True)
class _Shown:
    """Which rows of which report table a workbook's table shows, and the columns that tell them apart."""

    report: str
    key: tuple[str, ...]
    network: str | None = "mobile"
    all_rows: bool = True
    # A report of the same key, whose columns stand among its own.
    beside: str = ""


_TABLES: Final[Mapping[str, _Shown]] = {
    "phu_luc_i": _Shown("report_commune_month", ("commune_code",)),
    "tien_do_mau": _Shown("report_commune_month", ("commune_code",)),
    "phu_luc_ii": _Shown("report_referral_code_month", ("referral_code",)),
    "co_quan_don_vi": _Shown("report_organisation_month", ("organisation_code",), beside="report_return_month"),
    "theo_co_quan": _Shown("report_return_month", ("organisation_code",), None),
    "nha_mang": _Shown("report_operator_month", ("network", "operator", "technology"), None),
    "doi_chieu_vnnic": _Shown("report_atlas_month", ("network", "level", "code"), None),
    "dau_hieu_bat_thuong": _Shown("report_integrity_month", ("referral_code", "indicator"), None, False),
    "theo_dia_gioi": _Shown("report_commune_restated", ("commune_code",)),
    "nguon_goc_so_lieu": _Shown(
        "report_restated_origin", ("network", "origin_code", "origin_name", "attribution", "commune_code"), None
    ),
    # A recipient's own part.
    "cac_xa": _Shown("report_commune_month", ("commune_code",), all_rows=False),
    "ma_gioi_thieu": _Shown("report_referral_code_month", ("referral_code",), all_rows=False),
}
_HEADINGS: Final = {
    table.name: {column.heading: column.name for column in table.columns}
    for table in (*REPORT_TABLES, *RESTATED_TABLES)
}
# What readers see in place of a code, by column.
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "network": NETWORKS,
    "level": ATLAS_LEVELS,
    "holder_kind": HOLDER_KINDS,
    "organisation_kind": ORGANISATION_KINDS,
    "attribution": ATTRIBUTIONS,
    "state": RETURN_STATES,
    "operator": {"unknown": "Không xác định", "": "Không xác định"},
    "indicator": {name: sign.name for name, sign in SIGNS.items()},
    "change_sign": {name: mark.text for name, mark in CHANGE_SIGNS.items()},
    "commune_code": {"not_attributable": "[không phân bổ được]"},
}


def equals_csv(book: OpenedBook) -> Iterator[Found]:
    """Nothing where the workbook has no csv folder beside it or above it."""
    folder = next((place for up in book.path.absolute().parents[:2] if (place := up / "csv").is_dir()), None)
    if folder is None:
        return
    for area in book.areas:
        shown = _TABLES.get(area.table.displayName)
        if shown and (folder / f"{shown.report}.csv").exists():
            yield from _compare(area, shown, folder)


def _compare(area: Area, shown: _Shown, folder: Path) -> Iterator[Found]:
    rows = [row for row in _read(folder / f"{shown.report}.csv") if shown.network in (None, row.get("network"))]
    columns = [_HEADINGS[shown.report].get(heading) for heading in area.headings]
    if shown.beside and (folder / f"{shown.beside}.csv").exists():
        columns = _add_beside(area, shown, folder, rows, columns)
    expected = {tuple(_worded(row, column) for column in shown.key): row for row in rows}
    name = area.sheet.title
    if not set(shown.key) <= set(columns):
        yield Found(name, area.table.ref, "columns without their key", f"columns for {', '.join(shown.key)}")
        return
    lacking = sorted({column for column in columns if column and rows and column not in rows[0]})
    if lacking:
        yield Found(name, area.table.ref, f"columns for {', '.join(lacking)}", f"columns of {shown.report}.csv")
        return
    met = 0
    for cells in () if area.is_empty else area.rows:
        key = tuple(str(cells[columns.index(column)].value) for column in shown.key)
        row = expected.get(key)
        if row is None:
            yield Found(name, cells[0].coordinate, f"a row {quoted(', '.join(key))}", f"a row of {shown.report}.csv")
            continue
        met += 1
        for cell, column in zip(cells, columns, strict=True):
            if column and not _equal(cell, row, column):
                yield Found(
                    name, cell.coordinate, quoted(cell.value), f"{quoted(row[column])} as in {shown.report}.csv"
                )
    if shown.all_rows and met != len(rows):
        yield Found(name, area.table.ref, f"{met} rows of the csv", f"all {len(rows)}")


def _add_beside(
    area: Area, shown: _Shown, folder: Path, rows: list[dict[str, str]], columns: list[str | None]
) -> list[str | None]:
    """Add the other report's columns to the rows; the columns of the workbook's table, those among them too."""
    names = {heading: f"{shown.beside}.{name}" for heading, name in _HEADINGS[shown.beside].items()}
    others = {tuple(row[name] for name in shown.key): row for row in _read(folder / f"{shown.beside}.csv")}
    for row in rows:
        other = others.get(tuple(row[name] for name in shown.key), {})
        row |= {name: other.get(name.rpartition(".")[2], "") for name in names.values()}
    return [column or names.get(heading) for column, heading in zip(columns, area.headings, strict=True)]


def _equal(cell: Cell, row: Mapping[str, str], column: str) -> bool:
    value, told = cell.value, row[column]
    if isinstance(value, (datetime, date)):
        return str(value)[:10] == told
    if isinstance(value, (int, float)):
        # Excel's files keep 15 to 17 digits.
        return bool(told) and math.isclose(value, float(told), rel_tol=1e-14, abs_tol=1e-12)
    text = str(value)
    if text == _worded(row, column):
        return True
    if column == "holder_name" and (row.get("holder_since") or row.get("holder_until")):
        # A code that was handed on says from when, and from whom; one that ended, when.
        return text.startswith(f"{told} (")
    return not told.strip() and bool(MARK.fullmatch(text))


def _worded(row: Mapping[str, str], column: str) -> str:
    return _WORDS.get(column.rpartition(".")[2], {}).get(row[column], row[column])


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{name: uncsv_cell(text) for name, text in row.items()} for row in csv.DictReader(file)]
