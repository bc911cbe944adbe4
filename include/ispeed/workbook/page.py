"""The first page of a workbook: a grid of narrow columns on which cards, texts, links and small tables are laid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.marks import Mark
from ispeed.workbook.style import DEFAULT_ROW_PX, GREY, HEADER_FILL, LINE, LINK, NAVY, Styles, change_format, lines_of
from ispeed.workbook.table_sheet import Kind, plain_text, write_cell

# As wide as the paper between the decree's margins; everything lies on it in merged cells.
COLUMNS: Final = 25
COLUMN_PX: Final = 27
WIDTH: Final = COLUMNS * COLUMN_PX
LAST: Final = COLUMNS - 1

_CARD_EDGES: Final = ((0, 4), (5, 9), (10, 14), (15, 19), (20, 24))


@dataclass(frozen=True)
class Card:
    """A key figure: what it is, the figure (or its `Mark`) and its number format, the change and its number format,
    and what it is measured against.
    """

    label: str
    value: object
    form: str
    change: object
    change_form: str
    note: str


class Page:
    """The next free row of the grid, and how a row of merged cells is laid on it."""

    def __init__(self, sheet: Worksheet, styles: Styles) -> None:
        self.sheet, self.styles, self.row = sheet, styles, 0
        self.marks: list[Mark] = []

    def gap(self, pixels: int) -> None:
        """A row left free, as a space or for charts."""
        self.sheet.set_row_pixels(self.row, pixels)
        self.row += 1

    def height(self, first_row: int) -> float:
        """How high the rows from one on are, in pixels."""
        sizes = self.sheet.row_sizes
        return sum(sizes[row][0] if row in sizes else DEFAULT_ROW_PX for row in range(first_row, self.row))

    def put(self, first: int, last: int, value: object, **look: Any) -> None:
        """One value over columns `first` to `last` of this row."""
        style = self.styles(**look)
        if first < last:
            self.sheet.merge_range(self.row, first, self.row, last, "", style)
        if isinstance(value, Mark):
            self.marks.append(value)
            value = value.text
        if isinstance(value, (int, float)):
            self.sheet.write_number(self.row, first, value, style)
        else:
            self.sheet.write_string(self.row, first, plain_text(str(value)), style)

    def line(self, text: str, *, size: float = 11, **look: Any) -> None:
        """A text over the whole width, wrapped, in a row as high as it needs."""
        lines = lines_of(text, WIDTH, size, bold=bool(look.get("bold")))
        self.sheet.set_row(self.row, lines * size * 1.2 + 3)
        self.put(0, LAST, text, font_size=size, text_wrap=True, **look)
        self.row += 1

    def section(self, text: str) -> None:
        """A heading of a part of the sheet."""
        self.sheet.set_row(self.row, 17)
        self.put(0, LAST, text, bold=True, font_size=12, font_color=NAVY, bottom=1, bottom_color=NAVY)
        self.row += 1


def lay_cards(page: Page, cards: Sequence[Card]) -> None:
    """Five cards beside one another."""
    for line, height in enumerate((17, 29, 15, 15)):
        page.sheet.set_row(page.row, height)
        frame: dict[str, Any] = {"top": 2 * (line == 0), "bottom": line == 3}
        for card, (first, last) in zip(cards, _CARD_EDGES, strict=True):
            look: dict[str, Any] = {
                "align": "center", "shrink": True, "left": 1, "right": 1,
                "border_color": NAVY, **frame,
            }  # fmt: skip
            if line == 0:
                page.put(first, last, card.label, font_size=11, bg_color=HEADER_FILL, **look)
            elif line == 1:
                size = 11 if isinstance(card.value, Mark) else 20
                page.put(
                    first, last, card.value, font_size=size, bold=True, font_color=NAVY, num_format=card.form, **look
                )
            elif line == 2:
                form = change_format(card.change_form)
                page.put(first, last, card.change, font_size=10, num_format=form, **look)
            else:
                page.put(first, last, card.note, font_size=9, font_color=GREY, **look)
        page.row += 1


def lay_links(page: Page, title: str, details: Sequence[tuple[str, str]]) -> None:
    """The other sheets with what they hold, in three columns read downwards."""
    page.section(title)
    height = -(-len(details) // 3)
    style = page.styles(font_size=10.5, font_color=LINK, underline=1)
    for index in range(height):
        page.sheet.set_row(page.row, 15)
        for column, (name, about) in enumerate(details[index::height]):
            first = 8 * column
            page.sheet.merge_range(page.row, first, page.row, first + 7, "", style)
            page.sheet.write_url(page.row, first, f"internal:'{name}'!A1", style, f"{name}: {about}")
        page.row += 1
    page.gap(4)


def lay_block(
    page: Page,
    title: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[object]],
    kinds: Sequence[Kind],
    label_columns: int,
    width: int,
    *,
    total: bool = False,
) -> tuple[int, list[int]]:
    """A small ruled table on the grid; its first row and the columns that its figures stand in.

    Where its last row is a `total`, that is bold under a thick line.
    """
    page.section(title)
    starts = [0, *(label_columns + width * index for index in range(len(headings) - 1))]
    ends = [label_columns - 1, *(start + width - 1 for start in starts[1:])]
    page.sheet.set_row(page.row, 13 * max(lines_of(text, width * COLUMN_PX, 10, bold=True) for text in headings) + 5)
    head = {"border": 1, "border_color": LINE, "text_wrap": True, "align": "center"}
    for start, end, text in zip(starts, ends, headings, strict=True):
        page.put(start, end, text, bold=True, font_size=10, bg_color=HEADER_FILL, **head)
    page.row += 1
    first_row = page.row
    for place, values in enumerate(rows, start=1):
        look: dict[str, Any] = {"bold": True, "top": 2, "top_color": NAVY} if total and place == len(rows) else {}
        page.sheet.set_row(page.row, 15)
        for start, end, value, kind in zip(starts, ends, values, kinds, strict=True):
            if start < end:
                page.sheet.merge_range(page.row, start, page.row, end, "", page.styles.cell(**look))
            write_cell(page.sheet, page.styles, page.row, start, value, kind, **look)
            if isinstance(value, Mark):
                page.marks.append(value)
        page.row += 1
    page.gap(10)
    return first_row, starts
