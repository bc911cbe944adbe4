"""A workbook as its checks see it: its cells as openpyxl reads them, its parts as they lie in the file."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast
from xml.etree import ElementTree

from openpyxl import Workbook, load_workbook
from openpyxl.cell import Cell
from openpyxl.worksheet.table import Table
from openpyxl.worksheet.worksheet import Worksheet

from ispeed.errors import UserError
from ispeed.workbook.table_sheet import FIRST_SHEET

MARK: Final = re.compile(r"\[[^\[\]]+\]")
# How wide a digit of the workbooks' own font is: what columns are measured in.
DIGIT_PX: Final = 8
_SHOWN: Final = 120


@dataclass(frozen=True)
class Found:
    """Something that is not as the standard has it; `cell` is empty where it is not one cell's."""

    sheet: str
    cell: str
    found: str
    expected: str


@dataclass(frozen=True)
class Fault:
    """A `Found` with its file and the point of the standard; as text it is one line."""

    file: Path
    sheet: str
    cell: str
    point: int
    found: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.sheet}!{self.cell}" if self.cell else self.sheet
        parts = (f"{self.file.name}", where, f"point {self.point}", f"found {self.found}", f"expected {self.expected}")
        line = "; ".join(part for part in parts if part)
        return "".join(char if char.isprintable() else " " for char in line)


@dataclass(frozen=True)
class Area:
    """A sheet's table with its cells: the header row, then the rows below it."""

    sheet: Worksheet
    table: Table
    header: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def headings(self) -> list[str]:
        return [str(cell.value or "") for cell in self.header]

    @property
    def is_empty(self) -> bool:
        """Whether its one row only says that there is none: then even the row's number is a mark."""
        first = self.rows[0][0].value if self.rows else None
        return not self.rows or (len(self.rows) == 1 and isinstance(first, str) and bool(MARK.fullmatch(first)))


@dataclass(frozen=True)
class OpenedBook:
    """One workbook: `parts` by name in the zip, `areas` every table of every sheet."""

    path: Path
    book: Workbook
    entries: tuple[zipfile.ZipInfo, ...]
    parts: dict[str, bytes]
    areas: tuple[Area, ...]

    @property
    def sheets(self) -> list[Worksheet]:
        return list(self.book.worksheets)

    @property
    def cover(self) -> Worksheet:
        """The sheet that should be the first."""
        return next((sheet for sheet in self.sheets if sheet.title == FIRST_SHEET), self.sheets[0])

    def area_of(self, sheet: Worksheet) -> Area | None:
        return next((area for area in self.areas if area.sheet is sheet), None)

    def xml(self, name: str) -> ElementTree.Element:
        return ElementTree.fromstring(self.parts[name])


def open_book(path: Path) -> OpenedBook:
    """Read a workbook. Raises `UserError` where it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = tuple(archive.infolist())
            parts = {entry.filename: archive.read(entry) for entry in entries}
        with warnings.catch_warnings():
            # openpyxl says what it would lose on writing; nothing is written here.
            warnings.simplefilter("ignore")
            book = load_workbook(path)
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise UserError(f"workbook {path}", str(error), "an .xlsx file", "publish the revision again") from None
    areas = tuple(_area(sheet, table) for sheet in book.worksheets for table in sheet.tables.values())
    return OpenedBook(path, book, entries, parts, areas)


def texts_above(area: Area) -> list[str]:
    """What stands over a table."""
    first = area.header[0].row
    cells = area.sheet.iter_rows(max_row=max(first - 1, 1)) if first > 1 else ()
    return [str(cell.value) for row in cells for cell in row if cell.value is not None]


def filled(sheet: Worksheet) -> Iterator[Cell]:
    """Every cell of a sheet that holds anything."""
    for row in sheet.iter_rows():
        for cell in row:
            if cell.value not in (None, ""):
                yield cell


def column_px(sheet: Worksheet) -> dict[int, float]:
    """The widths of a sheet's columns in pixels; one width in the file may hold for a range of columns."""
    widths = {}
    for line in sheet.column_dimensions.values():
        for column in range(int(line.min or 0), int(line.max or 0) + 1):
            widths[column] = float(line.width) * DIGIT_PX
    return widths


def quoted(value: object) -> str:
    """A value as a fault's line shows it."""
    text = str(value)
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _area(sheet: Worksheet, table: Table) -> Area:
    header, *rows = cast(tuple[tuple[Cell, ...], ...], sheet[table.ref])
    return Area(sheet, table, header, tuple(rows))
