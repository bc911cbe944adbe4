"""A sheet that holds one Excel table: title block, a line on what it holds, the key of its marks, then the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from html import escape
from typing import Final, Generic, Literal, TypeVar

from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.content import Content
from ispeed.workbook.marks import EMPTIED, NONE_FOUND, NOT_APPLICABLE, Mark, key_of
from ispeed.workbook.style import (
    ALARM,
    ANY_DECIMALS,
    CHANGE,
    COUNT,
    GREY,
    HEADER_FILL,
    LINK,
    NAVY,
    PALE,
    SHARE,
    SPEED,
    Styles,
    lay_paper,
    lines_of,
)
from ispeed.workbook.wording import SAMPLE_MARK, number, percent

RowT = TypeVar("RowT")
Kind = Literal["code", "text", "small", "centre", "count", "speed", "share", "change", "any", "sheet"]

FIRST_SHEET: Final = "Tổng quan"
_LONGEST_TEXT: Final = 32_767
_HIGHEST_ROW: Final = 409
_INDENT_PX: Final = 9
_CHART_COLUMN_PX: Final = 48
_TEXTS: Final = ("text", "small")
_SMALL: Final = 10
_GROUP_LINE: Final = {"top": 2, "top_color": NAVY}
GROUP_BEGINS: Final = {**_GROUP_LINE, "bold": True, "bg_color": PALE}
_NUMBER_FORMATS: Final = {"count": COUNT, "speed": SPEED, "share": SHARE, "change": CHANGE}


@dataclass(frozen=True)
class Link:
    """A text that leads to a cell of this workbook: `cell` is like A12, `sheet` the name of its sheet."""

    text: str
    sheet: str
    cell: str


@dataclass(frozen=True)
class Field(Generic[RowT]):
    """One column: heading, width in pixels, how its cells look, and the value (or `Mark`) that a row has there."""

    heading: str
    width: int
    kind: Kind
    value: Callable[[RowT], object]


@dataclass(frozen=True)
class Heading:
    """What stands above a table. `label` is the appendix's number, `about` says what the sheet holds."""

    table: str
    title: str
    about: str
    label: str = ""
    subtitle: str = ""


@dataclass(frozen=True)
class Groups(Generic[RowT]):
    """Rows that stand together: where `of` changes a thick line begins, and the columns under `headings` are shaded;
    in the rows after they are grey. `told` says so in the key. The cells stay whole, for filters.
    """

    of: Callable[[RowT], object]
    headings: tuple[str, ...]
    told: str


@dataclass(frozen=True)
class Placed:
    """Where a table came to lie: rows counted from 0, width in pixels, first column to its right."""

    header_row: int
    first_row: int
    last_row: int
    width: int
    next_column: int


def lay_table_sheet(
    sheet: Worksheet,
    styles: Styles,
    content: Content,
    heading: Heading,
    fields: Sequence[Field[RowT]],
    rows: Sequence[RowT],
    *,
    landscape: bool = True,
    frozen_columns: int = 0,
    room_above_px: int = 0,
    beside: int = 0,
    none: Mark = NONE_FOUND,
    is_bold: Callable[[RowT], bool] | None = None,
    groups: Groups[RowT] | None = None,
    bars: Mapping[str, float] | None = None,
) -> Placed:
    """Write the whole sheet but its charts: `room_above_px` is left for one above the table, `beside` pixels for some
    at its right, on the screen (they would take a third of each printed page; their figures are printed on Tổng quan).
    `bars` are the headings of the columns whose cells carry a bar, with the figure that fills a cell.

    The first column numbers the rows. A table without rows says so (`none`) in one row of marks, since Excel knows no
    empty table and its name is an interface.
    """
    columns = [Field[RowT]("STT", 36, "centre", lambda _: None), *fields]
    cells = [[place, *(field.value(row) for field in fields)] for place, row in enumerate(rows, start=1)]
    if not rows:
        text = next((index for index, field in enumerate(columns) if field.kind in _TEXTS), 1)
        cells = [[none if index == text else NOT_APPLICABLE for index in range(len(columns))]]
    last_column = len(columns) - 1
    width = sum(column.width for column in columns)

    for index, column in enumerate(columns):
        sheet.set_column_pixels(index, index, column.width)
    if beside:
        sheet.set_column_pixels(last_column + 1, last_column + -(-beside // _CHART_COLUMN_PX), _CHART_COLUMN_PX)
    marks = [cell for row in cells for cell in row if isinstance(cell, Mark)]
    filled = dict(bars or {}) if rows else {}
    told = [key_of(marks), *_bar_keys(filled, columns), *([groups.told] if groups and rows else [])]
    row = _lay_title_block(sheet, styles, content, heading, " ".join(told), width, last_column)
    if room_above_px:
        sheet.set_row_pixels(row, room_above_px)
        row += 1
    placed = Placed(row, row + 1, row + len(cells), width, last_column + 1)

    header = styles.cell(bold=True, font_size=10, align="center", text_wrap=True, bg_color=HEADER_FILL)
    sheet.add_table(
        placed.header_row,
        0,
        placed.last_row,
        last_column,
        {
            "name": heading.table,
            "title": heading.title,
            "description": heading.about,
            "style": None,
            "columns": [{"header": column.heading, "header_format": header} for column in columns],
        },
    )
    # Room for the filter buttons, which Excel lays over the lower edge of the header.
    lines = max(lines_of(column.heading, column.width, 10, bold=True) for column in columns)
    sheet.set_row(placed.header_row, 12.5 * lines + 14)
    looks = _group_looks(groups, rows, columns) if groups else []
    for offset, values in enumerate(cells):
        bold = {"bold": True} if is_bold and rows and is_bold(rows[offset]) else {}
        look = [one | bold for one in (looks[offset] if looks else [{}] * len(columns))]
        sheet.set_row(placed.first_row + offset, _height_of(values, columns, look))
        for index, value in enumerate(values):
            write_cell(sheet, styles, placed.first_row + offset, index, value, columns[index].kind, **look[index])
    for index, column in enumerate(columns):
        if column.heading in filled:
            _lay_bars(sheet, placed, index, filled[column.heading])

    lay_paper(sheet, content, landscape=landscape)
    sheet.print_area(1, 0, placed.last_row, last_column)
    sheet.repeat_rows(placed.header_row)
    sheet.fit_to_pages(1, 0)
    if not room_above_px:
        sheet.freeze_panes(placed.first_row, frozen_columns)
    return placed


def write_cell(
    sheet: Worksheet, styles: Styles, row: int, column: int, value: object, kind: Kind, **look: object
) -> None:
    """Write one bordered cell: numbers as numbers, texts as texts whatever they begin with, marks in grey italics.

    A value of the kind `sheet` is the name of a sheet, and leads there.
    """
    if value is None:
        value = EMPTIED
    if isinstance(value, Mark):
        grey = {"font_size": 10, "italic": True, "font_color": GREY, "align": "center", "shrink": True, **look}
        sheet.write_string(row, column, value.text, styles.cell(**grey))
    elif isinstance(value, Link):
        place = {"font_color": LINK, "text_wrap": True, "align": "left", "indent": 1, **look}
        url = f"internal:'{value.sheet}'!{value.cell}"
        sheet.write_url(row, column, url, styles.cell(**place), plain_text(value.text))
    elif kind == "sheet":
        link = styles.cell(font_color=LINK, underline=1, **look)
        sheet.write_url(row, column, f"internal:'{value}'!A1", link, str(value))
    elif isinstance(value, date):
        day = datetime.combine(value, time())
        sheet.write_datetime(row, column, day, styles.cell(num_format="dd/mm/yyyy", align="center", **look))
    elif isinstance(value, (int, float)) and kind not in ("code", "text"):
        sheet.write_number(row, column, value, styles.cell(**_number_look(value, kind), **look))
    else:
        place = {"align": "center"} if kind in ("code", "centre") else {"align": "left", "indent": 1}
        if kind == "small":
            place["font_size"] = _SMALL
        sheet.write_string(row, column, plain_text(str(value)), styles.cell(**{"text_wrap": True, **place, **look}))


def plain_text(text: str) -> str:
    """The text as XlsxWriter must be given it so that a reader gets it back unchanged.

    XlsxWriter leaves out texts longer than Excel's limit without a word, copies what looks like its own rich-text
    markup into the file as it is, and writes a carriage return in a way that only Excel reads back.
    """
    if len(text) > _LONGEST_TEXT:
        text = text[: _LONGEST_TEXT - 1] + "…"
    if "\r" in text or (text.startswith("<r>") and text.endswith("</r>")):
        markup = escape(text, quote=False).replace("\r", "&#13;")
        return f'<r><t xml:space="preserve">{markup}</t></r>'
    return text


def _height_of(
    values: Sequence[object], columns: Sequence[Field[RowT]], looks: Sequence[Mapping[str, object]]
) -> float:
    """A row's height in points. It is written, since LibreOffice does not fit rows to wrapped texts when it opens."""
    lines = max(
        _lines_in(value, column, bold=bool(look.get("bold")))
        for value, column, look in zip(values, columns, looks, strict=True)
    )
    return min(_HIGHEST_ROW, 14 * lines + 3)


def _lines_in(value: object, column: Field[RowT], *, bold: bool) -> int:
    text = value.text if isinstance(value, Link) else value
    if not isinstance(text, str):
        return 1
    indent = _INDENT_PX * (column.kind in (*_TEXTS, "any"))
    return lines_of(text, column.width - indent, _SMALL if column.kind == "small" else 11, bold)


def _group_looks(
    groups: Groups[RowT], rows: Sequence[RowT], columns: Sequence[Field[RowT]]
) -> list[list[dict[str, object]]]:
    """How each cell looks besides: the first row of a group under a thick line, its group cells shaded."""
    looks = []
    before: object = None
    for place, row in enumerate(rows):
        begins = place == 0 or groups.of(row) != before
        before = groups.of(row)
        line: Mapping[str, object] = _GROUP_LINE if begins else {}
        cell: Mapping[str, object] = GROUP_BEGINS if begins else {"font_color": GREY}
        looks.append([{**line, **(cell if column.heading in groups.headings else {})} for column in columns])
    return looks


def _bar_keys(bars: Mapping[str, float], columns: Sequence[Field[RowT]]) -> list[str]:
    """What the bars mean, beside the figure that stands in the same cell."""
    kinds = {column.heading: column.kind for column in columns}
    return [
        f"Thanh ngang ở cột {heading}: đầy ô khi đủ {percent(most) if kinds[heading] == 'share' else number(most)}."
        for heading, most in bars.items()
    ]


def _lay_bars(sheet: Worksheet, placed: Placed, column: int, most: float) -> None:
    sheet.conditional_format(
        placed.first_row,
        column,
        placed.last_row,
        column,
        {
            "type": "data_bar",
            "data_bar_2010": True,
            "bar_solid": True,
            "bar_color": PALE,
            "bar_border_color": NAVY,
            "min_type": "num",
            "min_value": 0,
            "max_type": "num",
            "max_value": most,
        },
    )


def _number_look(value: float, kind: Kind) -> dict[str, object]:
    if kind == "any":
        return {"num_format": COUNT if isinstance(value, int) else ANY_DECIMALS, "align": "right"}
    if kind == "centre":
        return {"num_format": COUNT, "align": "center"}
    return {"num_format": _NUMBER_FORMATS[kind], "align": "right"}


def _lay_title_block(
    sheet: Worksheet, styles: Styles, content: Content, heading: Heading, key: str, width: int, last_column: int
) -> int:
    """Write what stands above the table; the row after it."""
    if sheet.get_name() != FIRST_SHEET:
        look = styles(font_size=10, font_color=LINK, underline=1)
        sheet.write_url(0, 0, f"internal:'{FIRST_SHEET}'!A1", look, f"← {FIRST_SHEET}")
    if content.is_sample:
        middle = last_column // 2
        sample = styles(font_size=11, bold=True, font_color=ALARM, align="right")
        sheet.merge_range(0, middle, 0, last_column, SAMPLE_MARK, sample)
    row, area = 1, content.policy.province_name
    told = f"{heading.title} {heading.about}".casefold()
    about = heading.about if area.casefold() in told else f"Địa bàn: {area}. {heading.about}"
    for text, size, look in (
        (heading.label, 14, {"bold": True, "align": "center"}),
        (heading.title, 14, {"bold": True, "align": "center"}),
        (heading.subtitle, 12, {"italic": True, "align": "center"}),
        # A month on another day's map says so on every sheet.
        (f"({content.edition})" if content.boundaries_day else "", 12, {"italic": True, "align": "center"}),
        (about, 11, {"align": "left"}),
        (key, 10, {"align": "left", "italic": True, "font_color": GREY}),
    ):
        if text:
            lines = lines_of(text, width, size, bold=bool(look.get("bold")))
            sheet.set_row(row, lines * size * 1.22 + 4)
            form = styles(font_size=size, text_wrap=True, **look)
            sheet.merge_range(row, 0, row, last_column, plain_text(text), form)
            row += 1
    return row
