"""Points 12 to 21: the tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from openpyxl.cell import Cell
from openpyxl.utils import range_boundaries

from ispeed.book_checks.opened import MARK, Area, Found, OpenedBook, filled, quoted

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{1,254}")
_CELL_LIKE: Final = re.compile(r"[a-z]{1,3}\d+|r\d*c\d*", re.IGNORECASE)
_NUMBER_LIKE: Final = re.compile(r"[+\-−]?\d{1,3}(?:\.?\d{3})*(?:,\d+)?\s*%?")
_CODE: Final = "Mã "
_NEEDS_UNIT: Final = re.compile(r"^(?:Tải xuống|Tải lên|Độ trễ|Biến động trễ|Thay đổi trung vị)")
_UNIT: Final = re.compile(r"\((?:Mbps|ms)\)")
_SUPERSCRIPT: Final = re.compile(r"[¹²³⁰⁴-⁹*†‡]")
# Old and new values of any column stand in two columns.
_MIXED: Final = "thay_doi"
# Where the marks themselves are explained.
_NOTES: Final = "phuong_phap"


def table_names(book: OpenedBook) -> Iterator[Found]:
    taken = {name.casefold() for name in book.book.defined_names}
    for area in book.areas:
        name = area.table.displayName
        if not _NAME.fullmatch(name) or _CELL_LIKE.fullmatch(name):
            yield Found(area.sheet.title, area.table.ref, quoted(name), "a table name of a-z, 0-9 and _")
        if name.casefold() in taken:
            yield Found(area.sheet.title, area.table.ref, f"a second {quoted(name)}", "unique table names")
        taken.add(name.casefold())


def headers(book: OpenedBook) -> Iterator[Found]:
    for area in book.areas:
        where = area.sheet.title
        if area.table.headerRowCount not in (None, 1):
            yield Found(where, area.table.ref, f"{area.table.headerRowCount} header rows", "one")
        seen: set[str] = set()
        for cell, column in zip(area.header, area.table.tableColumns, strict=False):
            text = cell.value
            if not isinstance(text, str) or not text.strip():
                yield Found(where, cell.coordinate, quoted(text), "a heading")
                continue
            if text.casefold() in seen:
                yield Found(where, cell.coordinate, f"a second {quoted(text)}", "unique headings")
            elif text != column.name:
                yield Found(where, cell.coordinate, quoted(text), f"the table's column name {quoted(column.name)}")
            if _NEEDS_UNIT.search(text) and not _UNIT.search(text):
                yield Found(where, cell.coordinate, quoted(text), "a unit in the heading")
            seen.add(text.casefold())
        if len(area.header) != len(area.table.tableColumns):
            found = f"{len(area.table.tableColumns)} table columns"
            yield Found(where, area.table.ref, found, f"{len(area.header)}, as wide as the table")


def no_merges(book: OpenedBook) -> Iterator[Found]:
    for area in book.areas:
        left, top, right, bottom = range_boundaries(area.table.ref)
        for merged in area.sheet.merged_cells.ranges:
            if (
                merged.min_row <= bottom
                and merged.max_row >= top
                and merged.min_col <= right
                and merged.max_col >= left
            ):
                yield Found(area.sheet.title, merged.coord, "merged cells", f"none in the table {area.table.ref}")


def no_blank_rows(book: OpenedBook) -> Iterator[Found]:
    for area in book.areas:
        for row in area.rows:
            if _blank(row):
                yield Found(area.sheet.title, row[0].coordinate, "a blank row", "a row with something in it")
        for column in zip(*area.rows, strict=True):
            if _blank(column):
                yield Found(area.sheet.title, column[0].coordinate, "a blank column", "a column with something in it")


def no_empty_cells(book: OpenedBook) -> Iterator[Found]:
    """A blank row or column is told once, by point 15, and merged cells by point 14."""
    for area in book.areas:
        blank_columns = {column[0].column for column in zip(*area.rows, strict=True) if _blank(column)}
        for row in area.rows:
            for cell in row if not _blank(row) else ():
                told = cell.column in blank_columns or cell.coordinate in area.sheet.merged_cells
                if cell.value in (None, "") and not told:
                    yield Found(area.sheet.title, cell.coordinate, "nothing", "a value or a bracketed mark")
    for sheet in book.sheets:
        if any(table.displayName == _NOTES for table in sheet.tables.values()):
            continue
        texts = {cell.coordinate: str(cell.value) for cell in filled(sheet)}
        key = " ".join(text for text in texts.values() if text.startswith("Chú giải: "))
        unexplained = {text: cell for cell, text in reversed(texts.items()) if MARK.fullmatch(text)}
        for text, place in sorted(unexplained.items()):
            if f"{text} " not in key:
                yield Found(sheet.title, place, text, "its meaning in the key (Chú giải) of the sheet")


def no_superscript(book: OpenedBook) -> Iterator[Found]:
    for sheet in book.sheets:
        for cell in filled(sheet):
            if cell.font.vertAlign:
                yield Found(sheet.title, cell.coordinate, "raised letters", "notes by column, in words")
    if b"<vertAlign" in book.parts.get("xl/sharedStrings.xml", b""):
        yield Found("", "", "raised letters within a text", "notes by column, in words")
    for area in book.areas:
        for cell in area.header:
            if _SUPERSCRIPT.search(str(cell.value)):
                yield Found(area.sheet.title, cell.coordinate, quoted(cell.value), "no note sign in a heading")


def numbers(book: OpenedBook) -> Iterator[Found]:
    for area in book.areas:
        if area.table.displayName == _MIXED:
            continue
        for heading, column in zip(area.headings, zip(*area.rows, strict=True), strict=True):
            if heading.startswith(_CODE) or not any(isinstance(cell.value, (int, float)) for cell in column):
                continue
            for cell in column:
                if isinstance(cell.value, str) and _NUMBER_LIKE.fullmatch(cell.value.strip()):
                    yield Found(area.sheet.title, cell.coordinate, f"the text {quoted(cell.value)}", "a number")


def nothing_hidden(book: OpenedBook) -> Iterator[Found]:
    for sheet in book.sheets:
        if sheet.sheet_state != "visible":
            yield Found(sheet.title, "", f"a {sheet.sheet_state} sheet", "visible sheets")
        for number, row in sheet.row_dimensions.items():
            if row.hidden or row.height == 0:
                yield Found(sheet.title, str(number), "a hidden row", "nothing hidden")
        for letter, column in sheet.column_dimensions.items():
            if column.hidden or column.width == 0:
                yield Found(sheet.title, letter, "a hidden column", "nothing hidden")


def codes_are_text(book: OpenedBook) -> Iterator[Found]:
    for area in book.areas:
        for column in _columns(area, _CODE):
            for cell in column:
                if cell.value is not None and not isinstance(cell.value, str):
                    yield Found(area.sheet.title, cell.coordinate, f"the number {cell.value}", "a code as text")


def _columns(area: Area, heading: str) -> Iterator[tuple[Cell, ...]]:
    for index, text in enumerate(area.headings):
        if text.startswith(heading):
            yield tuple(row[index] for row in area.rows)


def _blank(cells: tuple[Cell, ...]) -> bool:
    return all(cell.value in (None, "") for cell in cells)
