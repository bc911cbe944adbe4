"""Points 19, 23, 24 and 26: what is seen, heard and printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

from openpyxl.cell import Cell
from openpyxl.styles.colors import Color
from openpyxl.worksheet.header_footer import HeaderFooterItem

from ispeed.book_checks.opened import Found, OpenedBook, column_px, filled, quoted
from ispeed.workbook.style import DEFAULT_COLUMN_PX, lines_of
from ispeed.workbook.wording import number

# Excel's own bound, where a text may be longer than its row can be high.
_HIGHEST_ROW: Final = 409
_LEAST_CONTRAST: Final = 4.5
_MM: Final = 25.4
_PAPER: Final = {"top": (20, 25), "bottom": (20, 25), "left": (30, 35), "right": (15, 20)}
_DRAWN: Final = re.compile(rb"<xdr:(?:graphicFrame|pic|sp)[ >].*?</xdr:(?:graphicFrame|pic|sp)>", re.DOTALL)
_SUMMARY: Final = re.compile(rb' (?:altText|altTextSummary)="[^"]+"')


def texts_fit(book: OpenedBook) -> Iterator[Found]:
    """Texts wrap within the height of their row; numbers fit the width of their column, else #### shows."""
    for sheet in book.sheets:
        widths = column_px(sheet)
        merged = {area.start_cell.coordinate: area for area in sheet.merged_cells.ranges}
        for cell in filled(sheet):
            area = merged.get(cell.coordinate)
            columns = range(area.min_col, area.max_col + 1) if area else (cell.column,)
            width = sum(widths.get(column, DEFAULT_COLUMN_PX) for column in columns)
            height = sheet.row_dimensions[cell.row].height
            size, bold = float(cell.font.sz or 11), bool(cell.font.b)
            if cell.alignment.shrink_to_fit:
                continue
            if not isinstance(cell.value, str):
                if lines_of(shown(cell), width + 4, size, bold) > 1:
                    yield Found(sheet.title, cell.coordinate, f"####: {shown(cell)}", "a column as wide as the number")
            elif cell.alignment.wrap_text:
                room = width - 9 * int(cell.alignment.indent or 0)
                needed = lines_of(cell.value, room, size, bold) * size * 1.13
                if height is not None and height < _HIGHEST_ROW and needed > height + 1:
                    found = f"a row of {height:g} points for {quoted(cell.value)}"
                    yield Found(sheet.title, cell.coordinate, found, f"about {needed:.0f}")
            elif any(cell.coordinate in table.ref for table in sheet.tables.values()):
                yield Found(sheet.title, cell.coordinate, "a text that does not wrap", "wrapped text")


def shown(cell: Cell) -> str:
    """A number or a day about as its format shows it."""
    value, form = cell.value, cell.number_format
    if isinstance(value, (date, datetime)):
        return "00/00/0000"
    if not isinstance(value, (int, float)):
        return str(value)
    section = re.sub(r"\[[^\]]*\]", "", form).split(";")[0]
    words = "".join(re.findall(r'"([^"]*)"', section))
    plain = re.sub(r'"[^"]*"', "", section)
    if "0" not in plain:
        return f"{value:.15g}"
    decimals = len(match[1]) if (match := re.search(r"\.([0#]+)", plain)) else 0
    share = "%" in plain
    text = number(abs(value) * (100 if share else 1), decimals)
    sign = "-" if value < 0 else "+" if "+" in plain else ""
    return f"{sign}{text}{'%' if share else ''}{words}"


def contrast(book: OpenedBook) -> Iterator[Found]:
    told: set[tuple[str, str, str]] = set()
    for sheet in book.sheets:
        for cell in filled(sheet):
            letters = _rgb(cell.font.color) or "000000"
            paper = (_rgb(cell.fill.fgColor) if cell.fill.patternType == "solid" else None) or "FFFFFF"
            ratio = contrast_of(letters, paper)
            if ratio < _LEAST_CONTRAST and (sheet.title, letters, paper) not in told:
                told.add((sheet.title, letters, paper))
                found = f"{ratio:.1f} : 1, letters #{letters} on #{paper}"
                yield Found(sheet.title, cell.coordinate, found, f"at least {_LEAST_CONTRAST} : 1")


def contrast_of(one: str, other: str) -> float:
    """How two colours (RRGGBB) stand out from each other, from 1 to 21 (WCAG 2.2)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def alt_texts(book: OpenedBook) -> Iterator[Found]:
    """openpyxl does not keep alt texts: the parts say."""
    for name, part in sorted(book.parts.items()):
        if name.startswith("xl/drawings/drawing"):
            for drawn in _DRAWN.findall(part):
                words = re.search(rb'<xdr:cNvPr [^>]*?descr="([^"]+)"', drawn)
                title = re.search(rb'<xdr:cNvPr [^>]*?name="([^"]*)"', drawn)
                if words is None or not words[1].strip():
                    yield Found("", "", f"{name}, {title[1].decode() if title else ''}: no alt text", "alt text")
        if name.startswith("xl/tables/table") and len(_SUMMARY.findall(part)) < 2:
            yield Found("", "", f"{name}: no title or no description", "alt text on the table")


def paper(book: OpenedBook) -> Iterator[Found]:
    """A4 with the decree's margins, pages numbered at the top from the second on, the header row on every page."""
    for sheet in book.sheets:
        name = sheet.title
        if sheet.page_setup.paperSize != 9:
            yield Found(name, "", f"paper {sheet.page_setup.paperSize}", "A4 (9)")
        for side, (least, most) in _PAPER.items():
            margin = getattr(sheet.page_margins, side) * _MM
            if not least - 0.5 <= margin <= most + 0.5:
                yield Found(name, "", f"{side} margin of {margin:.0f} mm", f"{least} to {most} mm")
        if "&P" not in _centred(sheet.oddHeader) or "&P" in _centred(sheet.firstHeader):
            yield Found(name, "", "no page number", "one centred at the top, none on the first page")
        elif not sheet.HeaderFooter.differentFirst:
            yield Found(name, "", "a page number on the first page", "none there")
        if not sheet.print_area:
            yield Found(name, "", "no print area", "one")
        area = book.area_of(sheet)
        if area is None:
            continue
        row = area.header[0].row
        if sheet.print_title_rows != f"${row}:${row}":
            yield Found(name, "", f"print titles {sheet.print_title_rows}", f"the header row, ${row}:${row}")
        fits = sheet.sheet_properties.pageSetUpPr is not None and sheet.sheet_properties.pageSetUpPr.fitToPage
        if not fits or sheet.page_setup.fitToHeight != 0:
            yield Found(name, "", "not fitted to the width of the paper", "one page wide, as many high as needed")


def _centred(header: HeaderFooterItem | None) -> str:
    return str(header.center.text or "") if header is not None and header.center is not None else ""


def _rgb(color: Color | None) -> str | None:
    return str(color.rgb)[-6:] if color is not None and color.type == "rgb" and isinstance(color.rgb, str) else None


def _luminance(color: str) -> float:
    parts = (int(color[place : place + 2], 16) / 255 for place in (0, 2, 4))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
