"""Bracketed marks: what stands in a cell that has no figure, and what it means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ispeed.workbook.content import Row, WorkbookPolicy


@dataclass(frozen=True)
class Mark:
    """A bracketed text that explains a cell without a figure."""

    text: str
    meaning: str


WITHHELD: Final = Mark("[–]", "không có số liệu, lý do ghi ở cột Trạng thái")
NOT_APPLICABLE: Final = Mark("[–]", "không áp dụng cho dòng này")
NOT_MEASURED: Final = Mark("[không đo]", "các lượt đo không có giá trị này, hoặc chưa đủ thiết bị có giá trị này")
TOO_FEW_FOR_INTERVAL: Final = Mark("[ít mẫu]", "quá ít mẫu đại diện để tính khoảng tin cậy")
NO_TARGET: Final = Mark("[không xét]", "không có mẫu 4G, 5G nào để so với mục tiêu")
NO_PACE: Final = Mark("[chưa đo]", "không có lượt đo nào nên chưa có nhịp đo")
NO_HEADCOUNT: Final = Mark("[chưa khai]", "chưa có số người trong danh mục cơ quan")
NOT_RETURNED: Final = Mark("[chưa gửi]", "cơ quan, đơn vị chưa gửi phiếu báo cáo được tính")
NOT_ASKED: Final = Mark("[không yêu cầu]", "cơ quan, đơn vị không thuộc diện được yêu cầu báo cáo")
NOT_IN_REGISTRY: Final = Mark("[ngoài danh mục]", "mã không có trong danh mục mã giới thiệu")
NO_TEXT: Final = Mark("[không có]", "nguồn không có thông tin này")
NO_EARLIER_MONTH: Final = Mark("[chưa có tháng trước]", "chưa phát hành số liệu tháng trước để so sánh")
EMPTIED: Final = Mark("[trống]", "ô không có giá trị")
NONE_FOUND: Final = Mark("[không có dòng nào]", "tháng này không có trường hợp nào")
FIRST_ISSUE: Final = Mark("[phát hành lần đầu]", "chưa có bản trước để so sánh")
ATLAS_NO_FIGURE: Final = Mark("[VNNIC 0]", "VNNIC ghi 0 hoặc không nêu: chưa đủ mẫu để công bố")
NOT_IN_ATLAS_REGISTRY: Final = Mark("[mã lạ]", "mã trong số liệu VNNIC không có trong danh mục hành chính của tháng")
NO_DIFFERENCE: Final = Mark("[không so]", "thiếu một trong hai số nên không có chênh lệch")

CHANGE_SIGNS: Final = {
    "up": Mark("▲", "tăng, khoảng tin cậy của hai tháng không chồng lên nhau"),
    "down": Mark("▼", "giảm, khoảng tin cậy của hai tháng không chồng lên nhau"),
    "unclear": Mark("≈", "khoảng tin cậy của hai tháng chồng lên nhau, chưa rõ tăng hay giảm"),
}
NOT_ATTRIBUTABLE: Final = Mark(
    "[không phân bổ được]",
    "lượt đo không thuộc chắc chắn một đơn vị nào trên địa giới của ngày quy đổi, chỉ nêu số đếm",
)

CHANGE_MARKS: Final = {
    "no_previous_month": Mark("[tháng đầu]", "chưa phát hành số liệu tháng trước để so sánh"),
    "new_unit": Mark("[mới]", "tháng trước chưa có đơn vị, mã hoặc tổ hợp này, hoặc mã do đơn vị khác giữ"),
    "blank_now": Mark("[–]", WITHHELD.meaning),
    "blank_before": Mark("[trước: trống]", "tháng trước không có số liệu để so sánh"),
}


def reason_marks(policy: WorkbookPolicy) -> dict[str, Mark]:
    """The marks of `reason`, with the thresholds of the month's policy."""
    return {
        "no_samples": Mark("[không có mẫu]", "không có lượt đo nào trong tháng"),
        "below_publish_minimum": Mark(
            f"[dưới {policy.publish_minimum} lượt đo]",
            f"có lượt đo nhưng dưới {policy.publish_minimum}, chưa đủ để công bố tốc độ",
        ),
        "too_few_devices": Mark(
            f"[dưới {policy.device_minimum} thiết bị]",
            f"dưới {policy.device_minimum} thiết bị, không công bố tốc độ để bảo vệ người đo",
        ),
        "not_attributable": NOT_ATTRIBUTABLE,
    }


def figure(row: Row, column: str) -> object:
    """The published figure of a report row, or the mark that tells why there is none."""
    value = row[column]
    if value is not None:
        return CHANGE_SIGNS.get(str(value), value) if column == "change_sign" else value
    if column == "change_sign":
        return WITHHELD
    if column == "download_mbps_median_change":
        return CHANGE_MARKS.get(str(row["change_reason"]), WITHHELD)
    if row["reason"]:
        return WITHHELD
    if column == "share_at_target":
        return NO_TARGET
    median = row[column.rsplit("_ci_", 1)[0] + "_median"] if "_ci_" in column else None
    return NOT_MEASURED if median is None else TOO_FEW_FOR_INTERVAL


def text_or(value: object, mark: Mark = NO_TEXT) -> object:
    """A text, or the mark where it is missing or blank."""
    return value if value is not None and str(value).strip() else mark


def status(row: Row, policy: WorkbookPolicy) -> object:
    """How far a row's measurements reach, in words: to assess, to publish, or the mark of why nothing is shown."""
    if row["reason"]:
        return reason_marks(policy).get(str(row["reason"]), WITHHELD)
    enough = _measurements(row) >= policy.assess_minimum
    return "Đủ đánh giá" if enough else "Đủ công bố"


def _measurements(row: Row) -> int:
    count = row["n_measurements"]
    return count if isinstance(count, int) else 0


def key_of(marks: Iterable[Mark]) -> str:
    """The key of a sheet: each mark that stands on it, with its meaning."""
    meanings = {mark.text: mark.meaning for mark in marks}
    if not meanings:
        return "Không có ô nào để trống."
    return "Chú giải: " + "; ".join(f"{text} {meaning}" for text, meaning in sorted(meanings.items())) + "."
