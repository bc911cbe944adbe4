"""The registry's files as the department keeps them, csv or xlsx: read into entries that know their place."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

from ispeed.child import reading_process
from ispeed.errors import UserError
from ispeed.records.headers import check_columns, check_rows
from ispeed.settings import Settings
from ispeed.text import normalise

BEGINNING: Final = date(1, 1, 1)
OPEN_END: Final = date(9999, 12, 31)
VALIDITY: Final = ("valid_from", "valid_to")
FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "communes": (
        "commune_code",
        "commune_name",
        "kind",
        "district_code",
        "district_name",
        "province_code",
        "province_name",
        *VALIDITY,
    ),
    "commune_succession": ("old_code", "new_code", "effective_date", "whole_or_part"),
    "operators": ("brand", "vnnic_mobile_label", "host_network", "seen_spellings", *VALIDITY),
    "referral_codes": ("referral_code", "holder_kind", "holder_code", *VALIDITY),
    "organisations": (
        "organisation_code",
        "organisation_name",
        "organisation_kind",
        "district_code",
        "headcount",
        *VALIDITY,
    ),
}
# Few brands ever change their host network: a file without these columns holds for all time.
_OPTIONAL: Final = {"operators": VALIDITY}
_HEADER_ROWS = 30
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_EXCEL_ERRORS = ("#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!")
# What Excel makes of a long number in a cell that is not text: 5.3033E+11.
_ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+")

Rows = list[tuple[int, list[str]]]


@dataclass(frozen=True)
class Entry:
    """One row of a registry file, with the place it came from. Empty cells are None."""

    place: str
    values: Mapping[str, str | None]

    def at(self, column: str) -> str:
        """Where a cell of it lies, for whoever mends it."""
        return f"{self.place}, column {column}"

    def text(self, column: str) -> str:
        """The cell's text. Raises `UserError` where it is empty."""
        value = self.values[column]
        if value is None:
            raise UserError(self.at(column), "nothing", "a value", "fill it in")
        return value

    def code(self, column: str) -> str:
        """The cell's text as a code. Raises `UserError` where Excel has rounded it."""
        value = self.text(column)
        if _ROUNDED.fullmatch(value):
            raise UserError(
                self.at(column),
                f"{value}, a number that was rounded",
                "every digit of the code",
                "format the column as text and enter the code again",
            )
        return value

    def one_of(self, column: str, allowed: Sequence[str]) -> str:
        value = self.text(column)
        if value not in allowed:
            raise UserError(self.at(column), repr(value), f"one of {', '.join(allowed)}", "correct it")
        return value

    def whole_number(self, column: str) -> int | None:
        value = self.values[column]
        if value is None:
            return None
        if not value.isdecimal() or len(value) > 9:
            raise UserError(self.at(column), repr(value), "a whole number", "correct it")
        return int(value)

    def day(self, column: str, default: date | None = None) -> date:
        """The cell's day; `default` where it is empty, if an empty cell has a meaning."""
        if default is not None and self.values[column] is None:
            return default
        value = self.text(column)
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise UserError(self.at(column), repr(value), "a date such as 2024-11-01", "correct it") from error


@dataclass(frozen=True)
class RegistryFiles:
    """The entries of each file, and the sha256 of each file by its name."""

    entries: Mapping[str, Sequence[Entry]]
    sha256: Mapping[str, str]


def read_registry_files(settings: Settings) -> RegistryFiles:
    """Read every file of the registry's folder.

    The header stands in the first rows, below titles if there are any; empty rows count for nothing. Raises `UserError`
    where a file is missing, there twice, damaged, beyond a bound, or lacks a column.
    """
    paths = {name: _path(settings, name) for name in FILES}
    sha256 = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values()}
    with reading_process(settings) as process:
        entries = {name: process.call(path.name, _read_entries, settings, name, path) for name, path in paths.items()}
    return RegistryFiles(entries, sha256)


def _path(settings: Settings, name: str) -> Path:
    folder = settings.registry
    paths = [folder / f"{name}{suffix}" for suffix in (".csv", ".xlsx") if (folder / f"{name}{suffix}").exists()]
    if len(paths) != 1:
        raise UserError(
            f"folder {settings.registry_uri or folder}",
            f"both {name}.csv and {name}.xlsx" if paths else f"neither {name}.csv nor {name}.xlsx",
            f"one of {name}.csv and {name}.xlsx",
            "put it there (include/registry holds a first version)" if not paths else "remove one",
        )
    return paths[0]


def _read_entries(settings: Settings, name: str, path: Path) -> list[Entry]:
    n_bytes = path.stat().st_size
    if n_bytes > settings.file_bytes_max:
        raise UserError(
            f"file {path.name}",
            f"{n_bytes:,} bytes",
            f"at most {settings.file_bytes_max:,}, the setting ISPEED_FILE_BYTES_MAX",
            "remove what is no registry, or raise the setting",
        )
    rows = _read_csv(settings, path, name) if path.suffix == ".csv" else _read_xlsx(settings, path, name)
    header_row, header = rows[0] if rows else (1, [])
    for column in FILES[name]:
        if header.count(column) > 1 or (column in _required(name) and column not in header):
            raise UserError(
                f"file {path.name}, row {header_row}",
                f"{header.count(column)} columns {column}; the headers are: " + ", ".join(header),
                "the columns " + ", ".join(_required(name)),
                "add or rename the column",
            )
    places = {column: header.index(column) if column in header else None for column in FILES[name]}
    entries = [_entry(settings, f"file {path.name}, row {number}", places, cells) for number, cells in rows[1:]]
    # A note beside the table is no row of it.
    return [entry for entry in entries if any(entry.values.values())]


def _required(name: str) -> list[str]:
    return [column for column in FILES[name] if column not in _OPTIONAL.get(name, ())]


def _entry(settings: Settings, place: str, places: Mapping[str, int | None], cells: Sequence[str]) -> Entry:
    values: dict[str, str | None] = {}
    for column, at in places.items():
        text = cells[at] if at is not None and at < len(cells) else ""
        if len(text.encode()) > settings.field_bytes_max:
            raise UserError(
                f"{place}, column {column}",
                f"{len(text.encode()):,} bytes",
                f"at most {settings.field_bytes_max:,}, the setting ISPEED_FIELD_BYTES_MAX",
                "shorten it, or raise the setting",
            )
        if text in _EXCEL_ERRORS:
            raise UserError(f"{place}, column {column}", f"{text}, an error of Excel's", "a value", "mend the formula")
        values[column] = value = normalise(text) or None
        if value and _CONTROL.search(value):
            raise UserError(f"{place}, column {column}", repr(value), "a text without control characters", "correct it")
    return Entry(place, values)


def _from_header(rows: Rows, name: str) -> Rows:
    """The rows from the header on: among the first rows the one that names most of our columns."""
    names = [(number, [cell.strip().lower() for cell in cells]) for number, cells in rows[:_HEADER_ROWS]]
    if not names:
        return []
    best = max(range(len(names)), key=lambda place: (_n_known(name, names[place][1]), -place))
    return [names[best], *rows[best + 1 :]]


def _n_known(name: str, header: Sequence[str]) -> int:
    return len(set(FILES[name]) & set(header))


def _read_csv(settings: Settings, path: Path, name: str) -> Rows:
    """The records of a csv file, by the delimiter that makes most columns of ours of it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        start = [line.replace('"', "").lower() for line in text.splitlines()[:_HEADER_ROWS]]
        delimiter = max(",;\t", key=lambda mark: max([_n_known(name, line.split(mark)) for line in start], default=0))
        records = enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), start=1)
        rows = _from_header([(number, cells) for number, cells in records if _is_filled(cells)], name)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"file {path.name}", str(error), "a csv file in UTF-8", "save it as CSV UTF-8") from error
    check_rows(settings, path.name, len(rows))
    width = len(rows[0][1]) if rows else 0
    check_columns(settings, path.name, width)
    for number, cells in rows:
        if _is_filled(cells[width:]):
            raise UserError(
                f"file {path.name}, row {number}",
                f"{len(cells)} fields: {f'{delimiter} '.join(cells)}",
                f"{width}, as the header row has",
                f'put a text that holds "{delimiter}" in quotes',
            )
    return rows


def _read_xlsx(settings: Settings, path: Path, name: str) -> Rows:
    """The cells of the one visible sheet with our columns, as text: dates as ISO days, codes as they show."""
    from ispeed.records.sheet import opened_workbook, part_of  # half a second to import, for Excel files only

    with opened_workbook(settings, path, path.name) as (workbook, merges):
        visible = [sheet for sheet in workbook.worksheets if sheet.sheet_state == "visible"]
        read = {sheet.title: _from_header(_sheet_rows(settings, path.name, sheet), name) for sheet in visible}
        merged = {sheet.title: merges[part_of(sheet)] for sheet in visible}
    complete = [title for title, rows in read.items() if rows and set(_required(name)) <= set(rows[0][1])]
    if len(complete) > 1:
        raise UserError(
            f"file {path.name}",
            "these columns on the sheets " + ", ".join(map(repr, complete)),
            "one sheet with them",
            "put them together, or hide the sheets that do not count",
        )
    for title in complete or list(read)[:1]:
        _refuse_merged_cells(path.name, name, read[title], merged[title])
        return read[title]
    return []


def _refuse_merged_cells(file: str, name: str, rows: Rows, ranges: Sequence[str]) -> None:
    """Only the first of merged cells holds the value: the others would be read as empty without a word."""
    from openpyxl.utils.cell import range_boundaries

    header_row, header = rows[0] if rows else (0, [])
    for text in ranges:
        left, _, right, bottom = range_boundaries(text)
        assert left is not None and right is not None and bottom is not None
        if bottom > header_row and _n_known(name, header[left - 1 : right]):
            raise UserError(
                f"file {file}, cells {text}", "merged cells", "a value in each", "unmerge them and fill each cell"
            )


def _sheet_rows(settings: Settings, file: str, sheet: Any) -> Rows:
    from ispeed.records.sheet import read_rows

    rows: Rows = []
    for number, cells in read_rows(file, sheet):
        texts: list[str] = []
        for cell in cells:
            if len(texts) < cell.column <= settings.columns_max:
                texts += [""] * (cell.column - 1 - len(texts))
                texts.append(_cell_text(file, cell))
        if _is_filled(texts):
            rows.append((number, texts))
            check_rows(settings, file, len(rows))
    return rows


def _cell_text(file: str, cell: Any) -> str:
    from ispeed.records.sheet import number_text

    value = cell.value
    if value is None:
        return ""
    if isinstance(value, datetime):
        if value.time() != time.min:
            raise UserError(
                f"file {file}, cell {cell.coordinate}",
                value.isoformat(" "),
                "a day without a time",
                "enter the day alone",
            )
        return value.date().isoformat()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_text(value, cell.number_format, ".")
    return str(value)


def _is_filled(cells: Sequence[str]) -> bool:
    return any(cell.strip() for cell in cells)
