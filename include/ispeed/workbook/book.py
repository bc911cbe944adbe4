"""The provincial workbook of a month, written by XlsxWriter, the same bytes from the same content.

It has ten sheets, and one more where the month has figures of VNNIC's.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from xlsxwriter import Workbook

from ispeed.workbook.appendices import lay_appendix_one, lay_appendix_two, lay_organisations, lead_back
from ispeed.workbook.atlas import SHEET as ATLAS_SHEET
from ispeed.workbook.atlas import has_atlas, lay_atlas
from ispeed.workbook.changes import lay_changes
from ispeed.workbook.content import Change, CheckLine, Content, Row, SourceFile, WorkbookPolicy
from ispeed.workbook.integrity import lay_integrity
from ispeed.workbook.method import lay_method
from ispeed.workbook.operators import lay_operators
from ispeed.workbook.overview import lay_overview
from ispeed.workbook.progress import lay_progress
from ispeed.workbook.quality import lay_quality
from ispeed.workbook.style import DEFAULT_COLUMN_PX, DEFAULT_FONT, DEFAULT_ROW_PX, FONT, Styles
from ispeed.workbook.wording import SAMPLE_MARK, day_text, month_text, number

__all__ = ["Change", "CheckLine", "Content", "Row", "SourceFile", "WorkbookPolicy", "write_workbook"]

SHEETS: Final = (
    "Tổng quan",
    "Phụ lục I",
    "Phụ lục II",
    "Cơ quan đơn vị",
    "Nhà mạng",
    "Tiến độ mẫu",
    "Dấu hiệu bất thường",
    "Chất lượng dữ liệu",
    "Phương pháp",
    "Thay đổi",
)
# What a sheet comes after where the month has something for it.
_AFTER: Final = "Nhà mạng"
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)


def write_workbook(content: Content, path: Path) -> None:
    """Write the month's workbook to `path`, whose folder must exist."""
    memory = BytesIO()
    book = open_book(memory, content)
    details = _details(content)
    sheets = {name: book.add_worksheet(name) for name in (SHEETS[0], *(name for name, _ in details))}
    styles = Styles(book)
    where = lay_appendix_one(sheets["Phụ lục I"], styles, content)
    blocks = lay_overview(book, sheets["Tổng quan"], styles, content, details, where)
    lead_back(sheets["Phụ lục I"], styles, where, blocks.district_rows)
    lay_appendix_two(sheets["Phụ lục II"], styles, content)
    lay_organisations(sheets["Cơ quan đơn vị"], styles, content)
    lay_operators(book, sheets["Nhà mạng"], styles, content, blocks.operators)
    if has_atlas(content):
        lay_atlas(sheets[ATLAS_SHEET], styles, content)
    lay_progress(book, sheets["Tiến độ mẫu"], styles, content, blocks.progress, blocks.missing, where)
    lay_integrity(sheets["Dấu hiệu bất thường"], styles, content)
    lay_quality(book, sheets["Chất lượng dữ liệu"], styles, content, blocks.waterfall, blocks.flags)
    lay_method(sheets["Phương pháp"], styles, content)
    lay_changes(sheets["Thay đổi"], styles, content)
    sheets["Tổng quan"].activate()
    book.close()
    path.write_bytes(finished(memory.getvalue(), content))


def new_workbook(memory: BytesIO) -> Workbook:
    """An empty workbook in the house's font that takes every text as text."""
    return Workbook(
        memory,
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "default_format_properties": dict(DEFAULT_FONT),
            "default_column_width": DEFAULT_COLUMN_PX,
            "default_row_height": DEFAULT_ROW_PX,
        },
    )


def open_book(memory: BytesIO, content: Content, about: str = "") -> Workbook:
    """An empty workbook in the house's form that writes itself to `memory` when it is closed.

    `about` is added to the document's title, where it is not the month's report as a whole.
    """
    book = new_workbook(memory)
    # There are no formulas: without this Excel asks on closing whether to save what it calculated.
    book.calc_on_load = False
    book.set_size(24_000, 15_000)
    _set_properties(book, content, about)
    return book


def _set_properties(book: Workbook, content: Content, about: str) -> None:
    policy, month = content.policy, month_text(content.month)
    last = content.month.last_day
    book.set_properties(
        {
            "title": f"Báo cáo kết quả đo băng rộng di động bằng i-Speed, {policy.province_name}, tháng {month}"
            + (f", theo địa giới hành chính ngày {day_text(day)}" if (day := content.boundaries_day) else "")
            + (f", {about}" if about else ""),
            "subject": f"Tháng {month}, {content.edition}",
            "author": policy.issuer,
            "company": policy.issuer,
            "keywords": "i-Speed; băng rộng di động; " + (SAMPLE_MARK if content.is_sample else "số liệu tháng"),
            "comments": f"{SAMPLE_MARK} – không dùng để báo cáo." if content.is_sample else policy.licence,
            "status": SAMPLE_MARK if content.is_sample else f"{content.edition[0].upper()}{content.edition[1:]}",
            "created": datetime(last.year, last.month, last.day),
        }
    )


def _details(content: Content) -> Sequence[tuple[str, str]]:
    """The sheets after the first, with what they hold."""
    communes = len(content.rows("report_commune_month", "mobile"))
    codes = len(content.rows("report_referral_code_month", "mobile"))
    bodies = len(content.rows("report_organisation_month", "mobile"))
    about = (
        f"{number(communes)} đơn vị cấp xã",
        f"{number(codes)} mã giới thiệu",
        f"{number(bodies)} đơn vị",
        "theo công nghệ",
        f"đến {content.policy.assess_minimum} lượt đo",
        "để rà soát",
        "đối soát",
        "định nghĩa, ký hiệu",
        f"bản phát hành r{content.revision}",
    )
    details = list(zip(SHEETS[1:], about, strict=True))
    if has_atlas(content):
        rows = number(len(content.rows("report_atlas_month")))
        details.insert(SHEETS.index(_AFTER), (ATLAS_SHEET, f"{rows} dòng"))
    return details


def finished(book: bytes, content: Content) -> bytes:
    """What XlsxWriter cannot say itself: the document's language, and no page number on first pages (the decree).

    The zip is written anew with fixed times and system, so that its bytes are the same on every machine.
    """
    mark = f'&R&"{FONT},Bold"&11{SAMPLE_MARK}' if content.is_sample else ""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(book)) as parts, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as finished:
        for name in parts.namelist():
            part = parts.read(name)
            if name == "docProps/core.xml":
                part = part.replace(b"</cp:coreProperties>", b"<dc:language>vi-VN</dc:language></cp:coreProperties>")
            elif name.startswith("xl/worksheets/sheet"):
                part = _without_first_number(part.decode(), mark).encode()
            info = zipfile.ZipInfo(name, _ZIP_TIME)
            info.create_system, info.compress_type = 0, zipfile.ZIP_DEFLATED
            finished.writestr(info, part)
    return out.getvalue()


def _without_first_number(sheet: str, mark: str) -> str:
    """Headers and footers of a sheet's XML with a first page of its own: the same but for the page number."""
    foot = re.search(r"<oddFooter>(.*?)</oddFooter>", sheet)
    first = f"<firstHeader>{escape(mark)}</firstHeader>" if mark else ""
    first += f"<firstFooter>{foot[1]}</firstFooter>" if foot else ""
    return sheet.replace("<headerFooter ", '<headerFooter differentFirst="1" ', 1).replace(
        "</headerFooter>", f"{first}</headerFooter>", 1
    )
