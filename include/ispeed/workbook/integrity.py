"""Dấu hiệu bất thường: indicators at or above their threshold, each in a sentence; evidence, never a verdict."""

from __future__ import annotations

from typing import Final

from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.content import Content, Row
from ispeed.workbook.fields import report_field
from ispeed.workbook.marks import NOT_IN_REGISTRY, text_or
from ispeed.workbook.style import Styles
from ispeed.workbook.table_sheet import Field, Heading, lay_table_sheet
from ispeed.workbook.wording import month_text, number, percent

INDICATORS: Final = {
    "measurements_per_sample": "Đo lặp trên cùng thiết bị",
    "top_device_share": "Tập trung vào một thiết bị",
    "commune_mismatch_share": "Đo ngoài địa bàn của mã",
}


def lay_integrity(sheet: Worksheet, styles: Styles, content: Content) -> None:
    """One row an indicator of a referral code that reached its threshold, largest excess first."""
    table = "report_integrity_month"
    every = content.rows(table)
    rows = sorted(
        (row for row in every if _value(row, "value") >= _value(row, "threshold")),
        key=lambda row: (
            list(INDICATORS).index(str(row["indicator"])) if row["indicator"] in INDICATORS else len(INDICATORS),
            -_value(row, "value"),
            str(row["referral_code"]),
        ),
    )
    codes = {row["referral_code"] for row in rows}
    holders = {row["referral_code"]: row["holder_name"] for row in content.rows("report_referral_code_month")}
    found = (
        f"Bảng gồm {number(len(rows))} dấu hiệu của {number(len(codes))} mã giới thiệu, trong {number(len(every))} "
        "phép xét; chỉ nêu dấu hiệu từ ngưỡng trở lên."
        if rows
        else f"Không có dấu hiệu nào từ ngưỡng trở lên trong {number(len(every))} phép xét."
    )
    heading = Heading(
        "dau_hieu_bat_thuong",
        f"DẤU HIỆU BẤT THƯỜNG CẦN RÀ SOÁT THÁNG {month_text(content.month)}",
        f"{found} Dấu hiệu chỉ để rà soát cùng đơn vị, không phải kết luận sai phạm; mọi lượt đo nêu ở đây vẫn được "
        "tính trong báo cáo.",
    )
    fields = [
        report_field(table, "referral_code", 134, "code"),
        Field("Đơn vị giữ mã", 188, "text", lambda row: text_or(holders.get(row["referral_code"]), NOT_IN_REGISTRY)),
        report_field(
            table, "indicator", 180, "text", lambda row: INDICATORS.get(str(row["indicator"]), str(row["indicator"]))
        ),
        report_field(table, "value", 66, "speed"),
        report_field(table, "threshold", 66, "speed"),
        Field("Giải thích", 400, "text", _explanation),
        report_field(table, "evidence", 220, "text", lambda row: text_or(row["evidence"])),
    ]
    lay_table_sheet(sheet, styles, content, heading, fields, rows, frozen_columns=2)


def _explanation(row: Row) -> str:
    value, threshold = _value(row, "value"), _value(row, "threshold")
    if row["indicator"] == "measurements_per_sample":
        return (
            f"Trung bình mỗi mẫu đại diện gộp {number(value, 2)} lượt đo (ngưỡng {number(threshold, 2)}): "
            "một số thiết bị đo lặp lại nhiều lần trong ngày tại cùng một nơi; đo thêm như vậy không làm số liệu "
            "chính xác hơn."
        )
    if row["indicator"] == "top_device_share":
        return (
            f"Một thiết bị thực hiện {percent(value)} số lượt đo của mã (ngưỡng {percent(threshold)}): "
            "kết quả phản ánh chủ yếu một người dùng, cần vận động thêm người đo."
        )
    if row["indicator"] == "commune_mismatch_share":
        return (
            f"{percent(value)} số lượt đo mang mã này được thực hiện ở đơn vị cấp xã khác với đơn vị giữ mã "
            f"(ngưỡng {percent(threshold)}): cần kiểm tra việc phát mã và nơi đo."
        )
    return f"Giá trị {number(value, 2)} từ ngưỡng {number(threshold, 2)} trở lên."


def _value(row: Row, column: str) -> float:
    value = row[column]
    return float(value) if isinstance(value, (int, float)) else 0.0
