"""The form that a body fills in: three numbers, in Vietnamese, on one sheet of A4, the same bytes each time.

Whatever the file is called later, the line `Mã phiếu` says whose form it is, of which month, in which version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, Final
from urllib.parse import quote, unquote

from xlsxwriter.utility import xl_rowcol_to_cell

from ispeed.months import Month
from ispeed.returns.bodies import Body
from ispeed.workbook.book import finished, new_workbook
from ispeed.workbook.content import Content, WorkbookPolicy
from ispeed.workbook.letterhead import lay_letterhead
from ispeed.workbook.page import COLUMN_PX, LAST, Page
from ispeed.workbook.style import (
    COUNT,
    FONT,
    GREY,
    HEADER_FILL,
    LINE,
    SHARE,
    Styles,
)
from ispeed.workbook.wording import day_text, month_text

VERSION: Final = 1
SHEET: Final = "Phiếu báo cáo"
# The three numbers, in the order of the form, and what it calls them.
FIGURES: Final = {
    "headcount": "Tổng số cán bộ, công chức, viên chức, người lao động",
    "n_installed": "Số người đã cài đặt ứng dụng i-Speed",
    "n_measured": "Số người đã đo băng rộng di động bằng i-Speed ít nhất một lần trong tháng",
}
NUMBER_HEADING: Final = "Số lượng (người)"
SHARE_HEADING: Final = "Tỷ lệ (%)"
_CODE: Final = re.compile(r"ISPEED-PHIEU/(\d+)/(20\d\d-(?:0[1-9]|1[0-2]))/(\S+)")
_FILL_IN: Final = "#FFF9DB"
# Columns of the grid: place, wording, number, share.
_PLACE, _WORDS, _NUMBER, _SHARE = (0, 1), (2, 15), (16, 19), (20, LAST)


@dataclass(frozen=True)
class FormCode:
    """What the line `Mã phiếu` says."""

    version: int
    month: Month
    body_code: str

    def __str__(self) -> str:
        return f"ISPEED-PHIEU/{self.version}/{self.month}/{quote(self.body_code, safe='')}"


def find_code(text: str) -> FormCode | None:
    """The form's code in a text, None where there is none."""
    match = _CODE.search(text)
    return FormCode(int(match[1]), Month.parse(match[2]), unquote(match[3])) if match else None


def form_workbook(policy: WorkbookPolicy, month: Month, body: Body) -> bytes:
    """The empty form of one body for one month, as xlsx."""
    content = _no_figures(policy, month)
    memory = BytesIO()
    book = new_workbook(memory)
    first_day = month.first_day
    book.set_properties(
        {
            "title": f"Phiếu báo cáo i-Speed, {body.name}, tháng {month_text(month)}",
            "author": policy.issuer,
            "company": policy.issuer,
            "created": datetime(first_day.year, first_day.month, first_day.day),
        }
    )
    sheet = book.add_worksheet(SHEET)
    sheet.set_column_pixels(0, LAST, COLUMN_PX)
    page = Page(sheet, Styles(book))
    titles = ("PHIẾU BÁO CÁO CÀI ĐẶT VÀ SỬ DỤNG ỨNG DỤNG i-SPEED", f"THÁNG {month_text(month)}")
    lay_letterhead(page, content, titles)
    if policy.reference:
        page.line(f"(Thực hiện {policy.reference})", size=12, italic=True, align="center")
    page.line(f"Cơ quan, đơn vị: {body.name}", size=13, bold=True)
    page.line(f"Mã phiếu (không sửa dòng này): {FormCode(VERSION, month, body.code)}", size=10, font_color=GREY)
    page.gap(6)
    _lay_table(page, month)
    page.gap(8)
    for text in ("Người lập phiếu, điện thoại", "Ghi chú"):
        page.sheet.set_row(page.row, 24)
        page.put(0, 7, text, font_size=12)
        page.put(8, LAST, "", font_size=12, border=1, border_color=LINE, bg_color=_FILL_IN, locked=False)
        page.row += 1
    page.gap(8)
    page.line(
        "Cách ghi: chỉ điền các ô nền vàng; ba ô số ghi số nguyên (người), tỷ lệ tự tính. Mỗi người chỉ tính một lần, "
        "dù đo nhiều lần hay bằng nhiều thiết bị.",
        size=11,
        valign="top",
    )
    page.line(
        f"Gửi tệp này (không gửi ảnh chụp hay bản PDF) về {policy.issuer} trước ngày {day_text(body.deadline.date())}. "
        f"Liên hệ: {policy.contact}.",
        size=11,
        bold=True,
        valign="top",
    )
    page.gap(10)
    page.put(0, 11, "NGƯỜI LẬP PHIẾU", font_size=12, bold=True, align="center")
    page.put(12, LAST, "THỦ TRƯỞNG CƠ QUAN, ĐƠN VỊ", font_size=12, bold=True, align="center")
    page.row += 1
    _lay_sheet(page)
    book.close()
    return finished(memory.getvalue(), content)


def _lay_table(page: Page, month: Month) -> None:
    head: dict[str, Any] = {"bold": True, "font_size": 12, "align": "center", "text_wrap": True}
    ruled: dict[str, Any] = {"border": 1, "border_color": LINE, "font_size": 12}
    page.sheet.set_row(page.row, 34)
    for span, text in ((_PLACE, "TT"), (_WORDS, "Nội dung"), (_NUMBER, NUMBER_HEADING), (_SHARE, SHARE_HEADING)):
        page.put(*span, text, bg_color=HEADER_FILL, **ruled | head)
    page.row += 1
    first = page.row
    cells = [xl_rowcol_to_cell(first + place, _NUMBER[0], True, True) for place in range(len(FIGURES))]
    for place, text in enumerate(FIGURES.values()):
        page.sheet.set_row(page.row, 38)
        page.put(*_PLACE, str(place + 1), align="center", **ruled)
        if place == len(FIGURES) - 1:
            text = f"{text} {month_text(month)}"
        page.put(*_WORDS, text, text_wrap=True, indent=1, **ruled)
        page.put(*_NUMBER, "", num_format=COUNT, align="center", bg_color=_FILL_IN, locked=False, **ruled)
        page.sheet.write_blank(
            page.row,
            _NUMBER[0],
            None,
            page.styles(num_format=COUNT, align="center", bg_color=_FILL_IN, locked=False, **ruled),
        )
        page.put(*_SHARE, "", align="center", **ruled)
        share = page.styles(num_format=SHARE, align="center", **ruled)
        if place:
            are_numbers = f"AND(ISNUMBER({cells[0]}),ISNUMBER({cells[place]}),N({cells[0]})>0)"
            formula = f'=IF({are_numbers},{cells[place]}/{cells[0]},"")'
            page.sheet.write_formula(page.row, _SHARE[0], formula, share, "")
        else:
            page.sheet.write_string(page.row, _SHARE[0], "–", share)
        page.sheet.data_validation(page.row, _NUMBER[0], page.row, _NUMBER[0], _allowed(cells, place))
        page.row += 1


def _allowed(cells: list[str], place: int) -> dict[str, Any]:
    """Whole numbers, from 0 to the number above: who measured has installed, who installed is staff."""
    about = {
        "validate": "integer",
        "ignore_blank": True,
        "input_title": "Số nguyên, đơn vị: người",
        "error_title": "Số chưa hợp lệ",
    }
    if place == 0:
        told = "Ghi tổng số người của cơ quan, đơn vị: số nguyên lớn hơn 0."
        return {**about, "criteria": ">=", "value": 1, "input_message": told, "error_message": told}
    most = ("tổng số người", "số người đã cài đặt")[place - 1]
    told = f"Ghi số nguyên từ 0 và không lớn hơn {most}."
    # Until the number above is there, any may come.
    limit = f"=IF(ISNUMBER({cells[place - 1]}),{cells[place - 1]},9999999)"
    about |= {"criteria": "between", "minimum": 0, "maximum": limit}
    return {**about, "input_message": told, "error_message": told}


def _lay_sheet(page: Page) -> None:
    sheet = page.sheet
    # Against slips of the hand only: there is no password.
    sheet.protect("", {"select_locked_cells": True, "select_unlocked_cells": True, "format_columns": True})
    sheet.set_paper(9)
    sheet.set_portrait()
    sheet.hide_gridlines(2)
    sheet.set_margins(left=1.19, right=0.6, top=0.8, bottom=0.8)
    sheet.set_footer(f'&R&"{FONT},Italic"&9 {SHEET}', {"margin": 0.4})
    sheet.print_area(0, 0, page.row - 1, LAST)
    sheet.fit_to_pages(1, 1)


def _no_figures(policy: WorkbookPolicy, month: Month) -> Content:
    return Content(month, 0, {}, policy, (), {}, (), (), (), is_sample=False)
