"""Points 1 to 11: the sheets of a workbook, and what stands where on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from openpyxl.utils.units import points_to_pixels
from openpyxl.worksheet.worksheet import Worksheet

from ispeed.book_checks.opened import Area, Found, OpenedBook, column_px, filled, quoted, texts_above
from ispeed.workbook.style import DEFAULT_COLUMN_PX
from ispeed.workbook.table_sheet import FIRST_SHEET
from ispeed.workbook.wording import number

NOTES_SHEET: Final = "Phương pháp"
# More than this above or left of the frozen panes, and a small screen has no room left to scroll in.
_HIGHEST_FROZEN_PX: Final = 420
_WIDEST_FROZEN_PX: Final = 640
_TITLE: Final = re.compile(r", ([^,]+), tháng (\d{2}/\d{4})")


def cover_first(book: OpenedBook) -> Iterator[Found]:
    first = book.sheets[0].title
    if first != FIRST_SHEET:
        yield Found(first, "", quoted(first), f"{FIRST_SHEET} as the first sheet")


def linked_list(book: OpenedBook) -> Iterator[Found]:
    first = book.cover
    names = {sheet.title for sheet in book.sheets}
    led_to = set(_targets(first))
    targets = {target for sheet in book.sheets for target in _targets(sheet)}
    for sheet in book.sheets:
        if sheet is not first and sheet.title not in led_to:
            yield Found(first.title, "", f"no link to {sheet.title}", "a link to every other sheet")
    for target in sorted(targets - names):
        yield Found("", "", f"a link to {quoted(target)}", "links to sheets of this workbook")


def notes_in_one_place(book: OpenedBook) -> Iterator[Found]:
    if NOTES_SHEET not in book.book.sheetnames:
        yield Found("", "", "no such sheet", f"a sheet {NOTES_SHEET}")


def one_table(book: OpenedBook) -> Iterator[Found]:
    for sheet in book.sheets:
        count = len(sheet.tables)
        if count > 1 or (count == 0 and sheet is not book.cover and next(filled(sheet), None) is not None):
            yield Found(sheet.title, "", f"{count} tables", "one")


def sheet_names(book: OpenedBook) -> Iterator[Found]:
    seen: set[str] = set()
    for name in book.book.sheetnames:
        if name.casefold() in seen:
            yield Found(name, "", f"a second sheet {quoted(name)}", "unique names")
        if len(name) > 31:
            yield Found(name, "", f"{len(name)} characters", "at most 31")
        seen.add(name.casefold())


def no_blank_sheets(book: OpenedBook) -> Iterator[Found]:
    for sheet in book.sheets:
        if next(filled(sheet), None) is None:
            yield Found(sheet.title, "", "nothing", "some content")


def starts_in_column_a(book: OpenedBook) -> Iterator[Found]:
    for area in book.areas:
        if area.header[0].column != 1:
            yield Found(area.sheet.title, area.header[0].coordinate, area.table.ref, "a table that starts in column A")


def nothing_below(book: OpenedBook) -> Iterator[Found]:
    for area in book.areas:
        last = (area.rows[-1] if area.rows else area.header)[0].row
        below = next((cell for cell in filled(area.sheet) if cell.row > last), None)
        if below is not None:
            yield Found(area.sheet.title, below.coordinate, quoted(below.value), "nothing below the table")


def title(book: OpenedBook) -> Iterator[Found]:
    """Month and area as the document's title has them, above each table."""
    told = _TITLE.search(str(book.book.properties.title or ""))
    if told is None:
        return
    area_name, month = told[1], told[2]
    for area in book.areas:
        above = " ".join(texts_above(area))
        for what in (month, area_name):
            if what.casefold() not in above.casefold():
                yield Found(area.sheet.title, "A1", f"no {quoted(what)} above the table", "topic, area and month")


def n_rows_told(book: OpenedBook) -> Iterator[Found]:
    for area in book.areas:
        if area.is_empty:
            continue
        count = re.escape(number(len(area.rows)))
        if not any(re.search(rf"(?<![\d.,]){count}(?![.,]?\d)", text) for text in texts_above(area)):
            yield Found(
                area.sheet.title, "A1", f"nothing that says {number(len(area.rows))}", "how many rows the table has"
            )


def view(book: OpenedBook) -> Iterator[Found]:
    if book.book.active is not book.sheets[0]:
        opened = book.book.active.title if book.book.active else "nothing"
        yield Found(opened, "", "it opens on this sheet", f"it opens on {book.sheets[0].title}")
    for sheet in book.sheets:
        # Each pane keeps a selection of its own; the active pane's is the cursor.
        pane = sheet.sheet_view.pane
        active = pane.activePane if pane is not None else None
        for place in (
            *(one.activeCell for one in sheet.sheet_view.selection if active is None or one.pane == active),
            sheet.sheet_view.topLeftCell,
        ):
            if place not in (None, "A1"):
                yield Found(sheet.title, "", f"cursor at {place}", "cursor at A1")
        yield from _frozen(sheet, book.area_of(sheet))


def _frozen(sheet: Worksheet, area: Area | None) -> Iterator[Found]:
    pane = sheet.sheet_view.pane
    if pane is None:
        return
    rows, columns = int(pane.ySplit or 0), int(pane.xSplit or 0)
    if area is not None and rows != area.header[0].row:
        yield Found(sheet.title, "", f"{rows} frozen rows", f"down to the header, row {area.header[0].row}")
    high = sum(points_to_pixels(sheet.row_dimensions[row].height or 16) for row in range(1, rows + 1))
    widths = column_px(sheet)
    wide = sum(widths.get(column, DEFAULT_COLUMN_PX) for column in range(1, columns + 1))
    if high > _HIGHEST_FROZEN_PX or wide > _WIDEST_FROZEN_PX:
        yield Found(
            sheet.title,
            "",
            f"frozen panes of {wide:.0f} x {high} pixels",
            f"at most {_WIDEST_FROZEN_PX} x {_HIGHEST_FROZEN_PX}",
        )


def _targets(sheet: Worksheet) -> Iterator[str]:
    """The sheets that a sheet's links lead to."""
    for row in sheet.iter_rows():
        for cell in row:
            if cell.hyperlink is not None and cell.hyperlink.location:
                yield str(cell.hyperlink.location).rsplit("!", 1)[0].strip("'").replace("''", "'")
