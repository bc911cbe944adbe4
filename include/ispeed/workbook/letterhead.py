"""The letterhead of the decree, at the top of every workbook's first page."""

from __future__ import annotations

from collections.abc import Sequence

from ispeed.workbook.content import Content
from ispeed.workbook.page import LAST, Page
from ispeed.workbook.style import ALARM
from ispeed.workbook.wording import SAMPLE_MARK

_MIDDLE = 11


def lay_letterhead(page: Page, content: Content, titles: Sequence[str]) -> None:
    """The two blocks at the top as the decree has them, then the titles.

    The day is left for a pen: bytes do not know the clock.
    """
    policy = content.policy
    if content.is_sample:
        page.sheet.set_row(page.row, 15)
        page.put(0, LAST, f"{SAMPLE_MARK} – KHÔNG DÙNG ĐỂ BÁO CÁO", bold=True, font_color=ALARM, align="center")
        page.row += 1
    page.sheet.set_row(page.row, 16.5)
    page.put(0, _MIDDLE - 1, policy.parent_body.upper(), font_size=12, align="center", shrink=True)
    page.put(
        _MIDDLE,
        LAST,
        "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM",
        font_size=12,
        bold=True,
        align="center",
        shrink=True,
    )
    page.row += 1
    page.sheet.set_row(page.row, 17)
    page.put(0, _MIDDLE - 1, policy.issuer.upper(), font_size=12, bold=True, align="center", shrink=True)
    page.put(_MIDDLE, LAST, "Độc lập - Tự do - Hạnh phúc", font_size=13, bold=True, align="center")
    page.row += 1
    # The rules: a third to a half of the issuer's line, and the whole of the motto's.
    page.sheet.set_row(page.row, 5)
    for first, last in ((4, 6), (14, 21)):
        page.put(first, last, "", top=1)
    page.row += 1
    page.sheet.set_row(page.row, 18)
    day = f"{policy.place}, ngày        tháng {_letter_month(content)}"
    page.put(_MIDDLE, LAST, day, font_size=13, italic=True, align="center")
    page.row += 1
    page.gap(8)
    for text in titles:
        page.sheet.set_row(page.row, 19)
        page.put(0, LAST, text, font_size=14, bold=True, align="center", shrink=True)
        page.row += 1
    page.gap(8)


def _letter_month(content: Content) -> str:
    """The month in which the report is signed: the one after; the decree pads January and February only."""
    signed = content.month.next
    return f"{signed.number:02d} năm {signed.year}" if signed.number < 3 else f"{signed.number} năm {signed.year}"
