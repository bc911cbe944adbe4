"""The published months over time, as a drawing and as the table that says the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ispeed.page.drawings import MonthPoint, month_lines
from ispeed.page.template import interval, shown, told
from ispeed.workbook.content import Row, WorkbookPolicy
from ispeed.workbook.marks import NOT_MEASURED, figure, reason_marks
from ispeed.workbook.sentences import whole


@dataclass(frozen=True)
class OverTime:
    """The drawing, and for each month: its first day, measurements, median download and its interval as shown."""

    lines: Markup
    rows: Sequence[tuple[object, str, str, str]]


def over_time(series: Sequence[Row], policy: WorkbookPolicy, marks: dict[str, str]) -> OverTime:
    """Of the rows of `ispeed.series`, oldest first; marks in the table go into `marks`."""
    lines = month_lines(
        [_point(row) for row in series],
        "Tải xuống trung vị và số lượt đo di động theo tháng",
        "Số liệu từng tháng ở bảng ngay dưới hình.",
    )
    return OverTime(lines, [_row(row, policy, marks) for row in series])


def _point(row: Row) -> MonthPoint:
    median, low, high = (
        value if isinstance(value := row[f"download_mbps_{part}"], (int, float)) else None
        for part in ("median", "ci_low", "ci_high")
    )
    return MonthPoint(row["month"], whole(row, "n_measurements"), median, low, high)  # type: ignore[arg-type]


def _row(row: Row, policy: WorkbookPolicy, marks: dict[str, str]) -> tuple[object, str, str, str]:
    median, count = row["download_mbps_median"], shown(row["n_measurements"], "count")
    if not isinstance(median, (int, float)):
        why = told(reason_marks(policy).get(str(row["reason"]), NOT_MEASURED), marks)
        return row["month"], count, why, why
    return (
        row["month"],
        count,
        shown(median, "speed"),
        interval(row) or told(figure(row, "download_mbps_ci_low"), marks),
    )
