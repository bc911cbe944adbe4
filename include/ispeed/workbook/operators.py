"""Nhà mạng: every operator and technology of the month, mobile first, with a chart of the medians."""

from __future__ import annotations

from typing import Final

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.charts import Block, insert_chart, operators_chart
from ispeed.workbook.content import Content, Row
from ispeed.workbook.fields import figure_fields, report_field
from ispeed.workbook.marks import NO_TEXT, WITHHELD, text_or
from ispeed.workbook.style import Styles
from ispeed.workbook.table_sheet import Heading, lay_table_sheet
from ispeed.workbook.wording import NETWORKS, alphabetical, month_text, number

TECHNOLOGIES: Final = ("5G", "4G", "3G", "2G", "WiFi", "Cố định")
CHART_TITLE: Final = "Tốc độ tải xuống trung vị theo nhà mạng (Mbps); vạch dọc là khoảng tin cậy 95%"
CHART_ALT: Final = (
    "Biểu đồ cột: tốc độ tải xuống trung vị của từng nhà mạng trên 4G và 5G, vạch dọc là khoảng tin cậy 95%. "
    "Số liệu ở trang Tổng quan, mục Số liệu của các biểu đồ, và ở bảng của trang Nhà mạng."
)


def operator_name(row: Row) -> str:
    """The brand as readers know it; measurements whose operator is not in the registry stand together."""
    return "Không xác định" if row["operator"] in (None, "", "unknown") else str(row["operator"])


def _rank(row: Row) -> object:
    return WITHHELD if row["download_mbps_median_rank"] is None else row["download_mbps_median_rank"]


def lay_operators(
    book: Workbook,
    sheet: Worksheet,
    styles: Styles,
    content: Content,
    block: Block | None,
) -> None:
    """The chart stands above the table, which is short."""
    table = "report_operator_month"
    rows = sorted(
        content.rows(table),
        key=lambda row: (
            row["network"] != "mobile",
            operator_name(row) == "Không xác định",
            alphabetical(operator_name(row)),
            TECHNOLOGIES.index(str(row["technology"])) if row["technology"] in TECHNOLOGIES else len(TECHNOLOGIES),
        ),
    )
    targets = ", ".join(f"{name} {number(speed)} Mbps" for name, speed in content.policy.targets.items())
    heading = Heading(
        "nha_mang",
        f"CHẤT LƯỢNG MẠNG THEO NHÀ MẠNG VÀ CÔNG NGHỆ THÁNG {month_text(content.month)}",
        f"Bảng gồm {number(len(rows))} tổ hợp nhà mạng và công nghệ. Mục tiêu tải xuống trung bình: {targets}. "
        "Hạng xét trong cùng công nghệ: khoảng tin cậy chồng lên nhau thì chưa đủ căn cứ nói hơn kém, nên cùng hạng. "
        "Mạng di động và mạng cố định không gộp với nhau.",
    )
    fields = [
        report_field(table, "operator", 148, "text", operator_name),
        report_field(table, "host_network", 124, "text", lambda row: text_or(row["host_network"], NO_TEXT)),
        report_field(
            table, "network", 70, "centre", lambda row: NETWORKS.get(str(row["network"]), str(row["network"]))
        ),
        report_field(table, "technology", 70, "centre"),
        report_field(table, "download_mbps_median_rank", 60, "count", _rank),
        *figure_fields(table, content.policy, without=("n_missing_to_assess",)),
    ]
    placed = lay_table_sheet(
        sheet, styles, content, heading, fields, rows, room_above_px=290 if block else 0, frozen_columns=2
    )
    if block:
        chart = operators_chart(book, block, CHART_TITLE)
        insert_chart(sheet, placed.header_row - 1, 0, chart, (placed.width - 2, 280), CHART_ALT)
