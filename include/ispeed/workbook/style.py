"""How a sheet looks: fonts, colours, number formats, paper as Nghị định 30/2020/NĐ-CP, Phụ lục I asks."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from math import ceil
from typing import Any, Final

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.content import Content
from ispeed.workbook.wording import SAMPLE_MARK, month_text

FONT: Final = "Times New Roman"
# Excel measures columns in digits of this font; at 12 points a digit is 8 pixels on every screen, at 11 it is not.
DEFAULT_FONT: Final = {"font_name": FONT, "font_size": 12}
DEFAULT_COLUMN_PX: Final = 72
DEFAULT_ROW_PX: Final = 21

NAVY: Final = "#1F3864"
BLUE: Final = "#6A93C8"
PALE: Final = "#C9D9EE"
HEADER_FILL: Final = "#DCE6F1"
GREY: Final = "#595959"
LINE: Final = "#8C8C8C"
LINK: Final = "#0B4F9E"
ALARM: Final = "#9C0006"

# The locale makes LibreOffice write 1.234,5 everywhere; Excel follows the reader's own regional settings.
_LOCALE: Final = "[$-42A]"
COUNT: Final = f"{_LOCALE}#,##0"
POINTS: Final = f'{_LOCALE}0.0" điểm %"'
SPEED: Final = f"{_LOCALE}#,##0.00"
SHARE: Final = f"{_LOCALE}0.0%"
CHANGE: Final = f"{_LOCALE}+#,##0.00;{_LOCALE}-#,##0.00;{_LOCALE}0.00"
ANY_DECIMALS: Final = f"{_LOCALE}#,##0.00##"
RATIO: Final = f"{_LOCALE}#,##0.00"

# How wide the letters of Times are, in thousandths of the font size; all others 500, capitals 722.
_WIDTHS: Final = {
    letter: width
    for width, letters in {
        250: ".,\u00a0",
        278: "ijlt/:;|",
        333: "frI-()[]",
        389: "sJ",
        444: "acez",
        556: "SPF",
        611: "ELTZ",
        667: "BCR",
        778: "m",
        833: "%",
        889: "M",
        944: "W",
        1000: "…",
    }.items()
    for letter in letters
}


class Styles:
    """Cell formats of one workbook, each made once."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self._made: dict[tuple[tuple[str, Any], ...], Format] = {}
        # The same by the properties in the order in which they were asked for: sorting them for each cell costs more.
        self._asked: dict[tuple[tuple[str, Any], ...], Format] = {}

    def __call__(self, **properties: Any) -> Format:
        """The format with these XlsxWriter properties on top of Times New Roman 11, centred vertically."""
        asked = tuple(properties.items())
        if (known := self._asked.get(asked)) is not None:
            return known
        wanted = {"font_name": FONT, "font_size": 11, "valign": "vcenter", **properties}
        key = tuple(sorted(wanted.items()))
        if key not in self._made:
            self._made[key] = self._book.add_format(wanted)
        self._asked[asked] = self._made[key]
        return self._made[key]

    def cell(self, **properties: Any) -> Format:
        """The format of a cell inside a table: thin border all round, since LibreOffice draws no table styles."""
        return self(border=1, border_color=LINE, **properties)


def change_format(number_format: str) -> str:
    """A change with its direction as a sign that prints in black and white: "▲ 3,04"."""
    plain = number_format.removeprefix(_LOCALE)
    up, down = (f'{_LOCALE}"{sign} "{plain}' for sign in ("▲", "▼"))
    return f'{up};{down};"Không đổi"'


def lay_paper(sheet: Worksheet, content: Content, *, landscape: bool) -> None:
    """A4 with the decree's margins, page number centred in the top margin, the month and revision at the bottom."""
    sheet.set_paper(9)
    sheet.hide_gridlines(2)
    if landscape:
        sheet.set_landscape()
    else:
        sheet.set_portrait()
    sheet.set_margins(left=1.19, right=0.6, top=0.8, bottom=0.8)
    mark = f'&R&"{FONT},Bold"&11{SAMPLE_MARK}' if content.is_sample else ""
    options = {"margin": 0.4, "scale_with_doc": False}
    sheet.set_header(f'&C&"{FONT},Regular"&13&P{mark}', options)
    foot = f"Tháng {month_text(content.month)}, {content.edition}"
    if content.is_sample:
        foot = f"{SAMPLE_MARK} – {foot}"
    sheet.set_footer(f'&R&"{FONT},Italic"&9 {foot}', options)
    # Each appendix counts its own pages.
    sheet.set_start_page(1)


# Recipients' workbooks repeat most of their texts: names of peers, headings, notes.
@lru_cache(maxsize=50_000)
def lines_of(text: str, width_px: float, size: float = 11, bold: bool = False) -> int:
    """How many lines a text takes in a cell that wraps at words; rather one more than one less."""
    room = (width_px - 7) / (size * 96 / 72 * (1.09 if bold else 1.06)) * 1000
    space = 250
    return sum(_lines_of_paragraph(paragraph, room, space) for paragraph in text.split("\n"))


def _lines_of_paragraph(text: str, room: float, space: float) -> int:
    lines, used = 1, 0.0
    for word in text.split(" "):
        need = sum(_WIDTHS.get(_base(letter), 722 if letter.isupper() else 500) for letter in word)
        if used and used + space + need > room:
            lines, used = lines + 1, 0.0
        used += need + (space if used else 0)
        if used > room:
            lines, used = lines + ceil(used / room) - 1, used % room
    return lines


def _base(letter: str) -> str:
    return unicodedata.normalize("NFD", letter)[0]
