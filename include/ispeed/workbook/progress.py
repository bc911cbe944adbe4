"""Tiến độ mẫu: communes by what they still miss to be assessed, with how far the districts are."""

from __future__ import annotations

from dataclasses import replace

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.appendices import Whereabouts, commune_fields, commune_order
from ispeed.workbook.charts import Block, count_chart, insert_chart, progress_chart
from ispeed.workbook.content import Content, Row, WorkbookPolicy
from ispeed.workbook.fields import heading_of, report_field
from ispeed.workbook.marks import NO_PACE, status
from ispeed.workbook.style import Styles
from ispeed.workbook.table_sheet import Field, Heading, lay_table_sheet
from ispeed.workbook.wording import kinds_of, month_text, number

_CHART_WIDTH = 410
CHART_ALT = (
    "Biểu đồ thanh: số đơn vị cấp xã của từng địa bàn theo mức lượt đo đã đạt. "
    "Số liệu ở trang Tổng quan, mục Số đơn vị cấp xã theo mức lượt đo di động."
)
MISSING_ALT = (
    "Biểu đồ thanh: số lượt đo còn thiếu của từng địa bàn. "
    "Số liệu ở trang Tổng quan, mục Số đơn vị cấp xã theo mức lượt đo di động."
)


def lay_progress(
    book: Workbook,
    sheet: Worksheet,
    styles: Styles,
    content: Content,
    progress: Block | None,
    missing: Block | None,
    where: Whereabouts,
) -> None:
    """The table stands left, the charts at its right: it is long, and its header stays in sight.

    A commune's name leads to its row of Phụ lục I.
    """
    table, policy = "report_commune_month", content.policy
    rows = sorted(
        content.rows(table, "mobile"), key=lambda row: (-_whole(row, "n_missing_to_assess"), commune_order(row))
    )
    short = [row for row in rows if _whole(row, "n_missing_to_assess")]
    total = sum(_whole(row, "n_missing_to_assess") for row in short)
    kinds = kinds_of(row["kind"] for row in rows)
    heading = Heading(
        "tien_do_mau",
        f"TIẾN ĐỘ ĐẠT {policy.assess_minimum} LƯỢT ĐO CỦA {kinds.upper()} THÁNG {month_text(content.month)}",
        f"Bảng gồm {number(len(rows))} {kinds}, xếp từ nơi còn thiếu nhiều nhất. {number(len(short))} đơn vị còn thiếu "
        f"tổng cộng {number(total)} lượt đo để đủ mức {policy.assess_minimum} lượt đo một tháng. Mạng di động. "
        "Ngày đạt: ngày có lượt đo thứ "
        f"{policy.assess_minimum}; nơi chưa đạt là ngày sẽ đạt nếu giữ nguyên số lượt đo mỗi ngày, tính từ đầu tháng.",
    )
    fields: list[Field[Row]] = [
        *(_leading(field, where) for field in commune_fields(rows)),
        report_field(table, "n_measurements", 92, "count"),
        report_field(table, "n_missing_to_publish", 74, "count"),
        report_field(table, "n_missing_to_assess", 74, "count"),
        report_field(table, "n_measurements_per_day", 74, "speed", lambda row: _known(row, "n_measurements_per_day")),
        report_field(table, "assess_day", 84, "centre", lambda row: _known(row, "assess_day")),
        Field("Trạng thái", 104, "centre", lambda row: status(row, policy)),
    ]
    blocks = [block for block in (progress, missing) if block]
    placed = lay_table_sheet(
        sheet,
        styles,
        content,
        heading,
        fields,
        rows,
        frozen_columns=3,
        landscape=False,
        beside=_CHART_WIDTH + 16 if blocks else 0,
        bars={heading_of(table, "n_measurements"): policy.assess_minimum},
    )
    if not blocks:
        return
    # Below the header, which is repeated on every printed page with all that lies on it.
    row, top = placed.first_row, 2
    if progress:
        height = 84 + 24 * (progress.last_row - progress.first_row + 1)
        chart = progress_chart(book, progress, "Số đơn vị cấp xã theo mức lượt đo", "bottom")
        insert_chart(sheet, row, placed.next_column, chart, (_CHART_WIDTH, height), CHART_ALT, (14, top))
        top += height + 14
    if missing:
        height = 50 + 22 * (missing.last_row - missing.first_row + 1)
        chart = count_chart(book, missing, missing_title(policy))
        insert_chart(sheet, row, placed.next_column, chart, (_CHART_WIDTH, height), MISSING_ALT, (14, top))


def missing_title(policy: WorkbookPolicy) -> str:
    """What the chart of measurements that are missing is called."""
    return f"Lượt đo còn thiếu để mọi đơn vị đủ {policy.assess_minimum}"


def _leading(field: Field[Row], where: Whereabouts) -> Field[Row]:
    if field.heading != heading_of("report_commune_month", "commune_name"):
        return field
    return replace(field, value=lambda row: where.communes[str(row["commune_code"])])


def _known(row: Row, column: str) -> object:
    return NO_PACE if row[column] is None else row[column]


def _whole(row: Row, column: str) -> int:
    value = row[column]
    return value if isinstance(value, int) else 0
