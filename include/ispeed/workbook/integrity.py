"""Dấu hiệu bất thường: indicators at or above their threshold, each in a sentence; evidence, never a verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.content import Content, Row
from ispeed.workbook.fields import report_field
from ispeed.workbook.marks import NOT_IN_REGISTRY, text_or
from ispeed.workbook.style import Styles
from ispeed.workbook.table_sheet import Field, Heading, lay_table_sheet
from ispeed.workbook.wording import month_text, number, percent


@dataclass(frozen=True)
class Sign:
    """An indicator for readers: its name, what it counts, of which cases, and what to say where it is reached.

    `definition` has room for the numbers of policy, `sentence` for the code's `value` and `threshold`.
    """

    name: str
    definition: str
    cases: str
    sentence: str


SIGNS: Final = {
    "measurements_per_sample": Sign(
        "Đo lặp trên cùng thiết bị",
        "Số lượt đo chia cho số mẫu đại diện.",
        "lượt đo",
        "Trung bình mỗi mẫu đại diện gộp {value} lượt đo (ngưỡng {threshold}): một số thiết bị đo lặp lại nhiều lần "
        "trong ngày tại cùng một nơi; đo thêm như vậy không làm số liệu chính xác hơn.",
    ),
    "samples_per_device": Sign(
        "Nhiều mẫu, ít thiết bị",
        "Số mẫu đại diện chia cho số thiết bị.",
        "mẫu đại diện",
        "Trung bình mỗi thiết bị cho {value} mẫu đại diện (ngưỡng {threshold}): ít người đo rất thường xuyên; nên vận "
        "động thêm người đo để số liệu đại diện hơn.",
    ),
    "top_device_share": Sign(
        "Tập trung vào một thiết bị",
        "Tỷ lệ lượt đo của thiết bị đo nhiều nhất.",
        "lượt đo",
        "Một thiết bị thực hiện {value} số lượt đo của mã (ngưỡng {threshold}): kết quả phản ánh chủ yếu một người "
        "dùng; nên vận động thêm người đo.",
    ),
    "shared_device_share": Sign(
        "Thiết bị đo cho nhiều đơn vị",
        "Tỷ lệ thiết bị trong tháng còn dùng mã có hiệu lực của đơn vị khác.",
        "thiết bị",
        "{value} số thiết bị dùng mã này còn dùng mã của đơn vị khác trong tháng (ngưỡng {threshold}): nên nhắc mỗi "
        "người nhập mã của đơn vị mình và kiểm tra việc mượn máy để đo.",
    ),
    "identical_coordinates_share": Sign(
        "Đo ở đúng một tọa độ",
        "Tỷ lệ đợt đo (một thiết bị trong một giờ, tại một tọa độ) ở tọa độ gặp nhiều nhất; không xét tọa độ chỉ ghi "
        "đến ba chữ số thập phân.",
        "đợt đo có tọa độ",
        "{value} số đợt đo mang đúng một tọa độ (ngưỡng {threshold}), trong khi vị trí điện thoại tự xác định thường "
        "xê dịch vài mét: nên hỏi xem máy đo có đặt cố định hoặc dùng vị trí cài sẵn không.",
    ),
    "commune_mismatch_share": Sign(
        "Đo ngoài địa bàn của mã",
        "Tỷ lệ lượt đo ở xã khác với xã giữ mã, không kể lượt đo ngoài xã của thiết bị đo ngoài xã nhiều nhất (có thể "
        "là người cư trú ở xã khác).",
        "lượt đo xác định được xã",
        "{value} số lượt đo mang mã này được thực hiện ở đơn vị cấp xã khác với đơn vị giữ mã (ngưỡng {threshold}): "
        "nên kiểm tra việc phát mã và nơi đo.",
    ),
    "regular_interval_share": Sign(
        "Đo cách quãng đều đặn",
        "Quãng nghỉ là thời gian giữa hai lượt đo liên tiếp của một thiết bị trong ngày, từ {interval_min_s} đến "
        "{interval_max_s} giây; tỷ lệ quãng nghỉ chênh không quá {interval_tolerance_s} giây so với quãng liền trước, "
        "ở các thiết bị có từ {interval_measurements} lượt đo.",
        "cặp quãng nghỉ",
        "{value} số quãng nghỉ giữa hai lượt đo dài bằng quãng liền trước (ngưỡng {threshold}): nhịp đo đều như hẹn "
        "giờ; nên hỏi xem có dùng phần mềm đo tự động không.",
    ),
    "night_share": Sign(
        "Đo nhiều vào ban đêm",
        "Tỷ lệ lượt đo từ {night_from_hour} giờ đến trước {night_to_hour} giờ sáng.",
        "lượt đo",
        "{value} số lượt đo thực hiện vào ban đêm (ngưỡng {threshold}): mạng ban đêm ít người dùng nên tốc độ không "
        "đại diện cho giờ sử dụng thường ngày; nên đo thêm vào ban ngày.",
    ),
    "deadline_repeat_share": Sign(
        "Đo dồn trước hạn",
        "Tỷ lệ lượt đo thêm: trong {deadline_days} ngày cuối tháng, hoặc {deadline_days} ngày trước hạn báo cáo, các "
        "lượt đo sau lượt thứ {deadline_measurements} của mỗi thiết bị; lấy kỳ có nhiều hơn.",
        "lượt đo",
        "{value} số lượt đo là lượt đo thêm trên những thiết bị đã đo, dồn vào mấy ngày ngay trước hạn (ngưỡng "
        "{threshold}): nên đo rải trong tháng và vận động thêm người đo.",
    ),
    "identical_result_share": Sign(
        "Kết quả giống hệt nhau",
        "Tỷ lệ lượt đo có tốc độ tải xuống, tải lên, độ trễ và biến động trễ giống hệt một lượt đo khác của mã, cùng "
        "công nghệ.",
        "lượt đo đủ kết quả",
        "{value} số lượt đo có kết quả giống hệt một lượt đo khác của mã (ngưỡng {threshold}), điều hiếm gặp ở các lần "
        "đo khác nhau: nên đối chiếu với ứng dụng và nguồn xuất số liệu.",
    ),
    "speed_difference_share": Sign(
        "Tốc độ khác với người đo không dùng mã",
        "Tỷ lệ mẫu đại diện có tốc độ tải xuống nằm trên (hoặc dưới, lấy phía nhiều hơn) khoảng tin cậy 95% của trung "
        "vị các mẫu không dùng mã, cùng xã, nhà mạng và công nghệ.",
        "mẫu so sánh được",
        "{value} số mẫu so sánh được cùng nhanh hơn, hoặc cùng chậm hơn, mức của người đo không dùng mã ở cùng xã, nhà "
        "mạng và công nghệ (ngưỡng {threshold}): nên xem lại nơi đo và thiết bị đo.",
    ),
}


def lay_integrity(sheet: Worksheet, styles: Styles, content: Content) -> None:
    """One row an indicator of a referral code that reached its threshold, codes with most of them first."""
    table = "report_integrity_month"
    every = content.rows(table)
    rows = [row for row in every if _value(row, "value") >= _value(row, "threshold")]
    n_signs = Counter(row["referral_code"] for row in rows)
    order = list(SIGNS)
    rows.sort(
        key=lambda row: (
            -n_signs[row["referral_code"]],
            str(row["referral_code"]),
            order.index(str(row["indicator"])) if row["indicator"] in SIGNS else len(order),
        )
    )
    holders = {row["referral_code"]: row["holder_name"] for row in content.rows("report_referral_code_month")}
    found = (
        f"Bảng gồm {number(len(rows))} dấu hiệu của {number(len(n_signs))} mã giới thiệu, trong {number(len(every))} "
        "phép xét; chỉ nêu dấu hiệu từ ngưỡng trở lên."
        if rows
        else f"Không có dấu hiệu nào từ ngưỡng trở lên trong {number(len(every))} phép xét."
    )
    heading = Heading(
        "dau_hieu_bat_thuong",
        f"DẤU HIỆU BẤT THƯỜNG CẦN RÀ SOÁT THÁNG {month_text(content.month)}",
        f"{found} Dấu hiệu chỉ để rà soát cùng đơn vị, không phải kết luận sai phạm; mọi lượt đo nêu ở đây vẫn được "
        "tính trong báo cáo. Ngưỡng tính riêng cho từng mã theo số lượt đo của mã (xem Phương pháp).",
    )
    fields = [
        report_field(table, "referral_code", 134, "code"),
        Field("Đơn vị giữ mã", 188, "text", lambda row: text_or(holders.get(row["referral_code"]), NOT_IN_REGISTRY)),
        report_field(table, "indicator", 180, "text", _name),
        report_field(table, "value", 66, "speed"),
        report_field(table, "threshold", 66, "speed"),
        Field("Giải thích", 400, "text", _explanation),
        report_field(table, "evidence", 220, "text", lambda row: text_or(row["evidence"])),
    ]
    lay_table_sheet(sheet, styles, content, heading, fields, rows, frozen_columns=2)


def _name(row: Row) -> str:
    sign = SIGNS.get(str(row["indicator"]))
    return sign.name if sign else str(row["indicator"])


def _explanation(row: Row) -> str:
    sign = SIGNS.get(str(row["indicator"]))
    value, threshold = (_written(row, column) for column in ("value", "threshold"))
    if sign is None:
        return f"Giá trị {value} từ ngưỡng {threshold} trở lên."
    return sign.sentence.format(value=value, threshold=threshold)


def _written(row: Row, column: str) -> str:
    value = _value(row, column)
    return percent(value) if str(row["indicator"]).endswith("_share") else number(value, 2)


def _value(row: Row, column: str) -> float:
    value = row[column]
    return float(value) if isinstance(value, (int, float)) else 0.0
