"""The workbook of a month on another day's map: what each unit of that day has, and where it comes from."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final

from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.appendices import commune_fields, commune_order
from ispeed.workbook.book import finished, open_book
from ispeed.workbook.changes import lay_changes
from ispeed.workbook.content import Content, Row
from ispeed.workbook.fields import figure_fields, report_field
from ispeed.workbook.marks import NO_TEXT, NOT_ATTRIBUTABLE, text_or
from ispeed.workbook.method import lay_method
from ispeed.workbook.style import Styles
from ispeed.workbook.table_sheet import FIRST_SHEET, Field, Heading, lay_table_sheet
from ispeed.workbook.wording import ATTRIBUTIONS, NETWORKS, alphabetical, day_text, month_text, number

REMAINDER: Final = "not_attributable"
RESTATED_SHEETS: Final = (FIRST_SHEET, "Theo địa giới", "Nguồn gốc số liệu", "Phương pháp", "Thay đổi")
_COMMUNES, _ORIGIN = "report_commune_restated", "report_restated_origin"


def write_restated_workbook(content: Content, path: Path) -> None:
    """Write the workbook of a restated month to `path`, whose folder must exist."""
    memory = BytesIO()
    book = open_book(memory, content)
    sheets = {name: book.add_worksheet(name) for name in RESTATED_SHEETS}
    styles = Styles(book)
    _lay_cover(sheets[FIRST_SHEET], styles, content)
    _lay_communes(sheets["Theo địa giới"], styles, content)
    _lay_origin(sheets["Nguồn gốc số liệu"], styles, content)
    lay_method(sheets["Phương pháp"], styles, content)
    lay_changes(sheets["Thay đổi"], styles, content)
    sheets[FIRST_SHEET].activate()
    book.close()
    path.write_bytes(finished(memory.getvalue(), content))


def _lay_cover(sheet: Worksheet, styles: Styles, content: Content) -> None:
    """How many measurements went which way, and the sheets that tell more."""
    n_units = sum(not _is_remainder(row) for row in content.rows(_COMMUNES, "mobile"))
    about = (
        f"{number(n_units)} đơn vị cấp xã và phần không phân bổ được",
        "từng đơn vị khi đo được quy đổi về đâu, bằng cách nào",
        "định nghĩa, ký hiệu",
        content.edition,
    )
    heading = Heading(
        "tong_quan",
        f"SỐ LIỆU ĐO BĂNG RỘNG THÁNG {month_text(content.month)} TỈNH {content.policy.province_name.upper()}, "
        f"QUY ĐỔI THEO ĐỊA GIỚI HÀNH CHÍNH NGÀY {_day(content)}",
        f"{summary(content)} Bảng gồm {number(len(about))} trang của sổ này.",
    )
    fields: list[Field[tuple[str, str]]] = [
        Field("Trang", 180, "sheet", lambda page: page[0]),
        Field("Nội dung", 420, "text", lambda page: page[1]),
    ]
    pages = list(zip(RESTATED_SHEETS[1:], about, strict=True))
    lay_table_sheet(sheet, styles, content, heading, fields, pages, landscape=False)


def summary(content: Content) -> str:
    """How many measurements were attributed, how, and how many were not; and how many no Phụ lục I of the month has."""
    counts = dict.fromkeys(ATTRIBUTIONS, 0)
    n_from_elsewhere = 0
    for row in content.rows(_ORIGIN):
        count = row["n_measurements"] if isinstance(row["n_measurements"], int) else 0
        counts[str(row["attribution"])] += count
        n_from_elsewhere += count * (row["origin_province_code"] != content.policy.province_code)
    found = {name: counts.pop(name) for name in ("whole", "coordinates")}
    missing = "; ".join(f"{ATTRIBUTIONS[name].lower()}: {number(n)}" for name, n in counts.items() if n)
    return (
        f"Quy đổi {number(sum(found.values()) + sum(counts.values()))} lượt đo di động và cố định: "
        f"{number(found['whole'])} của đơn vị nằm trọn trong một đơn vị, {number(found['coordinates'])} theo tọa độ, "
        f"{number(sum(counts.values()))} không phân bổ được{f' ({missing})' if missing else ''}."
        + (
            f" Trong đó {number(n_from_elsewhere)} lượt đo ở nơi khi đó thuộc tỉnh khác, không có ở Phụ lục I."
            if n_from_elsewhere
            else ""
        )
    )


def _lay_communes(sheet: Worksheet, styles: Styles, content: Content) -> None:
    """Every unit of the day by district and name, then what belongs to none."""
    rows = sorted(content.rows(_COMMUNES, "mobile"), key=lambda row: (_is_remainder(row), commune_order(row)))
    heading = Heading(
        "theo_dia_gioi",
        f"SỐ LIỆU ĐO BĂNG RỘNG DI ĐỘNG THÁNG {month_text(content.month)} THEO ĐỊA GIỚI HÀNH CHÍNH NGÀY {_day(content)}",
        f"Bảng gồm {number(len(rows))} dòng: {number(len(rows) - 1)} đơn vị cấp xã của {content.policy.province_name} "
        f"vào ngày {_day(content)}, dòng cuối là phần không phân bổ được. Mạng di động (2G đến 5G). Số liệu mạng "
        "cố định và đầy đủ các phân vị ở thư mục csv kèm theo.",
    )
    named = [_marked(field) if field.kind != "text" else field for field in commune_fields(rows, _COMMUNES)]
    fields = [*named, *figure_fields(_COMMUNES, content.policy)]
    lay_table_sheet(sheet, styles, content, heading, fields, rows, frozen_columns=3)


def _lay_origin(sheet: Worksheet, styles: Styles, content: Content) -> None:
    """From which commune of the month to which unit of the map, how, and how many measurements."""
    rows = sorted(content.rows(_ORIGIN), key=_origin_order)
    heading = Heading(
        "nguon_goc_so_lieu",
        f"NGUỒN GỐC SỐ LIỆU THÁNG {month_text(content.month)} THEO ĐỊA GIỚI HÀNH CHÍNH NGÀY {_day(content)}",
        f"Bảng gồm {number(len(rows))} dòng, mỗi dòng là số lượt đo của một đơn vị khi đo được quy đổi về một đơn vị. "
        "Cộng theo đơn vị khi đo của tỉnh thì bằng số lượt đo ở Phụ lục I của tháng.",
    )
    fields = [
        report_field(_ORIGIN, "network", 72, "centre", lambda row: NETWORKS[str(row["network"])]),
        report_field(_ORIGIN, "origin_code", 66, "code"),
        report_field(_ORIGIN, "origin_name", 150, "text"),
        report_field(
            _ORIGIN, "origin_district_name", 154, "text", lambda row: text_or(row["origin_district_name"], NO_TEXT)
        ),
        report_field(
            _ORIGIN,
            "attribution",
            190,
            "text",
            lambda row: ATTRIBUTIONS.get(str(row["attribution"]), row["attribution"]),
        ),
        _marked(report_field(_ORIGIN, "commune_code", 66, "code")),
        report_field(_ORIGIN, "commune_name", 150, "text"),
        report_field(_ORIGIN, "n_measurements", 60, "count"),
    ]
    lay_table_sheet(sheet, styles, content, heading, fields, rows, frozen_columns=3)


def _is_remainder(row: Row) -> bool:
    return row["commune_code"] == REMAINDER


def _marked(field: Field[Row]) -> Field[Row]:
    """The field with a mark where a row is no commune: its key is no commune's code."""
    return replace(field, value=lambda row: NOT_ATTRIBUTABLE if _is_remainder(row) else field.value(row))


def _origin_order(row: Row) -> tuple[object, ...]:
    return (
        row["network"] != "mobile",
        str(row["origin_province_code"]),
        str(row["origin_district_name"] or ""),
        alphabetical(row["origin_name"]),
        str(row["origin_code"]),
        list(ATTRIBUTIONS).index(str(row["attribution"])),
        str(row["commune_code"]),
    )


def _day(content: Content) -> str:
    return day_text(content.boundaries_day) if content.boundaries_day else ""
