"""Đối chiếu VNNIC: what VNNIC publishes of the province and its communes, ours beside it, and what they differ by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.content import Content, Row
from ispeed.workbook.fields import report_field
from ispeed.workbook.marks import ATLAS_NO_FIGURE, NO_DIFFERENCE, NOT_IN_ATLAS_REGISTRY, WITHHELD, figure, reason_marks
from ispeed.workbook.style import Styles
from ispeed.workbook.table_sheet import Field, Heading, lay_table_sheet
from ispeed.workbook.wording import ATLAS_LEVELS, NETWORKS, alphabetical, month_text, number

SHEET: Final = "Đối chiếu VNNIC"
TABLE: Final = "report_atlas_month"
_PROVINCE: Final = "report_province_month"
LIKELY_CAUSES: Final = {
    "within_interval": "Trong khoảng tin cậy",
    "other_measurements": "Khác tập lượt đo",
    "other_method": "Khác cách tính",
}
_SHOWN: Final = ("download_mbps", "upload_mbps", "ping_ms")


def has_atlas(content: Content) -> bool:
    """Whether the month has any figure of VNNIC's."""
    return bool(content.rows(TABLE))


def lay_atlas(sheet: Worksheet, styles: Styles, content: Content) -> None:
    """The province first, then communes by name; mobile before fixed."""
    rows = sorted(
        content.rows(TABLE),
        key=lambda row: (
            row["network"] != "mobile",
            row["level"] != "province",
            row["name"] is None,
            alphabetical(row["name"]),
            str(row["code"]),
        ),
    )
    heading = Heading(
        "doi_chieu_vnnic",
        f"ĐỐI CHIẾU VỚI SỐ LIỆU VNNIC CÔNG BỐ THÁNG {month_text(content.month)}",
        f"Bảng gồm {number(len(rows))} dòng: mỗi dòng là tỉnh hoặc một đơn vị cấp xã mà VNNIC nêu, theo loại mạng. "
        "Chênh lệch bằng số của báo cáo này trừ số của VNNIC; cả hai đều là trung vị. VNNIC ghi 0 khi chưa đủ mẫu, "
        f"không phải tốc độ bằng 0. {''.join(_besides(content))}Vì sao hai bên có thể khác: cột Trạng thái, và trang "
        "Phương pháp, nhóm Đối chiếu VNNIC.",
    )
    fields: list[Field[Row]] = [
        report_field(
            TABLE, "network", 70, "centre", lambda row: NETWORKS.get(str(row["network"]), str(row["network"]))
        ),
        report_field(TABLE, "level", 54, "centre", lambda row: ATLAS_LEVELS.get(str(row["level"]), str(row["level"]))),
        report_field(TABLE, "code", 56, "code"),
        report_field(TABLE, "name", 152, "text", lambda row: row["name"] or NOT_IN_ATLAS_REGISTRY),
        report_field(TABLE, "atlas_n_samples", 58, "count", _theirs("atlas_n_samples")),
        report_field(TABLE, "n_measurements", 58, "count"),
        report_field(TABLE, "n_samples", 58, "count"),
        *(field for metric in _SHOWN for field in _metric_fields(metric)),
        Field("Trạng thái", 150, "centre", lambda row: _status(row, content)),
    ]
    lay_table_sheet(sheet, styles, content, heading, fields, rows, frozen_columns=5)


def _metric_fields(metric: str) -> Iterator[Field[Row]]:
    yield report_field(TABLE, f"atlas_{metric}_median", 70, "speed", _theirs(f"atlas_{metric}_median"))
    yield report_field(TABLE, f"{metric}_median", 70, "speed", _ours(f"{metric}_median"))
    if metric == "download_mbps":
        yield report_field(TABLE, f"{metric}_ci_low", 70, "speed", _ours(f"{metric}_ci_low"))
        yield report_field(TABLE, f"{metric}_ci_high", 70, "speed", _ours(f"{metric}_ci_high"))
    difference = f"{metric}_difference"
    yield report_field(
        TABLE, difference, 68, "change", lambda row: NO_DIFFERENCE if row[difference] is None else row[difference]
    )


def _theirs(column: str) -> Callable[[Row], object]:
    return lambda row: ATLAS_NO_FIGURE if row[column] is None else row[column]


def _ours(column: str) -> Callable[[Row], object]:
    """Our figure; where the whole row of ours is blank, the last column says why."""

    def value(row: Row) -> object:
        if row["download_mbps_median"] is None:
            return WITHHELD
        return figure({**row, "reason": None}, column)

    return value


def _status(row: Row, content: Content) -> object:
    """What the two can differ by; else why ours is blank; and only then that VNNIC's is, which its own cells say."""
    if row["reason"] is None:
        return LIKELY_CAUSES.get(str(row["likely_cause"]), str(row["likely_cause"]))
    if row["reason"] == "not_in_registry":
        return NOT_IN_ATLAS_REGISTRY
    table, key = ("report_commune_month", "commune_code") if row["level"] == "commune" else (_PROVINCE, "province_code")
    ours = next((ours for ours in content.rows(table, str(row["network"])) if ours[key] == row["code"]), row)
    return reason_marks(content.policy).get(str(ours["reason"]), ATLAS_NO_FIGURE)


def _besides(content: Content) -> Iterator[str]:
    """How many of our communes VNNIC says nothing of, by network, where it tells of communes at all; what was noted."""
    for sentence in content.told.get("atlas", ()):
        yield f"{sentence}. "
    for network, name in NETWORKS.items():
        told = {row["code"] for row in content.rows(TABLE, network) if row["level"] == "commune"}
        ours = {row["commune_code"] for row in content.rows("report_commune_month", network)}
        if told and ours - told:
            yield f"Mạng {name.lower()}: VNNIC không nêu {number(len(ours - told))}/{number(len(ours))} đơn vị cấp xã. "


def notes(content: Content) -> Iterator[tuple[str, str]]:
    """What Phương pháp says of the comparison: whose figures these are, and what each cause means."""
    policy = content.policy
    yield (
        "Số liệu VNNIC",
        "Số liệu thống kê do Trung tâm Internet Việt Nam (VNNIC) công bố tại internetatlas.vnnic.vn/i-speed cho tháng "
        "này, lấy nguyên như đã công bố: trung vị theo tỉnh và theo xã, mạng di động (mobile) và mạng cố định (ftth). "
        "VNNIC ghi 0 khi chưa đủ mẫu. VNNIC không nêu rõ số mẫu đếm lượt đo hay mẫu đại diện.",
    )
    yield (
        "Cách đối chiếu",
        "Chênh lệch bằng số của báo cáo này trừ số của VNNIC. Chỉ để xem xét: số của VNNIC không thay số của báo cáo; "
        "ô để trống theo quy tắc của báo cáo vẫn để trống.",
    )
    yield (
        "Vì sao có thể khác",
        f"Khoảng thời gian của mẫu đại diện: báo cáo lấy {policy.window}, VNNIC không công bố. Mức tối thiểu: VNNIC "
        f"công bố từ 30 mẫu một tháng, báo cáo từ {policy.publish_minimum} lượt đo và {policy.device_minimum} thiết "
        "bị. Cách chuẩn hóa: VNNIC lọc kết quả giả, lỗi, vượt mức tối đa theo mức không công bố. Ai được tính: VNNIC "
        "có thể tính cả lượt đo không có trong tệp xuất; mạng cố định của báo cáo gồm cả WiFi. Số mẫu: càng ít mẫu thì "
        "trung vị càng dao động. Nơi đo: VNNIC không công bố cách xác định xã.",
    )
    yield (
        LIKELY_CAUSES["within_interval"],
        "Trung vị của VNNIC nằm trong khoảng tin cậy 95% của báo cáo: chênh lệch có thể chỉ do ngẫu nhiên.",
    )
    yield (
        LIKELY_CAUSES["other_measurements"],
        "VNNIC có nhiều mẫu hơn số lượt đo, hoặc ít mẫu hơn số thiết bị của báo cáo: hai bên không cùng một tập lượt "
        "đo.",
    )
    yield (
        LIKELY_CAUSES["other_method"],
        "Số mẫu của VNNIC nằm giữa số thiết bị và số lượt đo của báo cáo, nhưng trung vị nằm ngoài khoảng tin cậy: có "
        "thể do khoảng thời gian, cách lọc hoặc cách chuẩn hóa khác.",
    )
