"""Tổng quan: one page that answers the first questions, then the figures behind its charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from ispeed.workbook import sentences
from ispeed.workbook.changes import summary
from ispeed.workbook.charts import (
    Block,
    insert_chart,
    operator_bars,
    progress_chart,
    waterfall_chart,
)
from ispeed.workbook.content import Content, Row
from ispeed.workbook.letterhead import lay_letterhead
from ispeed.workbook.marks import NO_EARLIER_MONTH, NOT_APPLICABLE, NOT_MEASURED, figure, key_of, reason_marks
from ispeed.workbook.operators import CHART_ALT as OPERATORS_ALT
from ispeed.workbook.operators import operator_name
from ispeed.workbook.page import COLUMN_PX as _COLUMN_PX
from ispeed.workbook.page import COLUMNS as _COLUMNS
from ispeed.workbook.page import LAST as _LAST
from ispeed.workbook.page import WIDTH as _WIDTH
from ispeed.workbook.page import Card, lay_cards, lay_links
from ispeed.workbook.page import Page as _Page
from ispeed.workbook.page import lay_block as _block
from ispeed.workbook.progress import CHART_ALT as PROGRESS_ALT
from ispeed.workbook.quality import WATERFALL_ALT, WATERFALL_TITLE, reconcile, waterfall_steps
from ispeed.workbook.style import (
    COUNT,
    GREY,
    LINE,
    NAVY,
    POINTS,
    SHARE,
    SPEED,
    Styles,
    lay_paper,
)
from ispeed.workbook.table_sheet import Kind
from ispeed.workbook.wording import alphabetical, day_text, month_text, number

_COUNTS: Final[tuple[Kind, ...]] = ("count",) * 6
_SPEEDS: Final[tuple[Kind, ...]] = ("speed",) * 6


@dataclass(frozen=True)
class Blocks:
    """Where the figures of the charts stand on Tổng quan; None where there is nothing to draw."""

    progress: Block | None
    missing: Block | None
    operators: Block | None
    waterfall: Block | None
    flags: Block | None


def lay_overview(
    book: Workbook, sheet: Worksheet, styles: Styles, content: Content, details: Sequence[tuple[str, str]]
) -> Blocks:
    """Write the sheet; `details` are the other sheets with what they hold."""
    sheet.set_column_pixels(0, _LAST, _COLUMN_PX)
    page = _Page(sheet, styles)
    month = month_text(content.month)
    titles = (
        "BÁO CÁO KẾT QUẢ ĐO CHẤT LƯỢNG BĂNG RỘNG DI ĐỘNG BẰNG i-SPEED",
        f"THÁNG {month} TẠI {content.policy.province_name.upper()}",
    )
    lay_letterhead(page, content, titles)
    _key_figures(page, content)
    _findings(page, content)
    charts_row = page.row
    page.gap(170)
    page.gap(206 if _operator_rows(content) or reconcile(content)[0].raw else 4)
    lay_links(page, "Các trang của báo cáo", details)
    _revision(page, content)
    second_page = page.row
    blocks = _blocks(page, content)
    _charts(book, sheet, charts_row, blocks, content)

    lay_paper(sheet, content, landscape=False)
    sheet.print_area(0, 0, page.row - 1, _LAST)
    sheet.set_print_scale(91)
    sheet.set_h_pagebreaks([second_page])
    return blocks


def _key_figures(page: _Page, content: Content) -> None:
    """Five cards: what it is, the figure, its change, what it is measured against."""
    policy = content.policy
    now = sentences.province(content)
    before = next((row for row in content.previous_province if row["network"] == "mobile"), None)
    total = sentences.whole(now, "n_communes")
    targets = ", ".join(f"{name} ≥ {number(speed)}" for name, speed in policy.targets.items())
    cards = (
        (f"Xã đủ {policy.publish_minimum} lượt đo", "n_communes_publishable", f'{COUNT}"/{total}"', COUNT,
         "mức đủ để công bố"),
        (f"Xã đủ {policy.assess_minimum} lượt đo", "n_communes_assessable", f'{COUNT}"/{total}"', COUNT,
         "mức đủ để đánh giá"),
        ("Tải xuống trung vị", "download_mbps_median", SPEED, SPEED, _interval_note(now, "download_mbps")),
        ("Tải lên trung vị", "upload_mbps_median", SPEED, SPEED, _interval_note(now, "upload_mbps")),
        ("Mẫu đạt mục tiêu", "share_at_target", SHARE, POINTS, f"{targets} Mbps"),
    )  # fmt: skip
    lay_cards(
        page,
        [
            Card(label, _shown(now, column, content), form, _change(column, now, before), change, note)
            for label, column, form, change, note in cards
        ],
    )
    since = f"▲ tăng, ▼ giảm so với số liệu tháng {month_text(content.month.previous)} như đã phát hành"
    page.line(since if before else "", size=9, italic=True, align="right", font_color=GREY)


def _interval_note(row: Row, metric: str) -> str:
    return f"Mbps; {sentences.interval(row, metric)}"


def _change(column: str, now: Row, before: Row | None) -> object:
    """This month's figure minus the one published for the month before; of a share, in percentage points."""
    value, earlier = now[column], before[column] if before else None
    if column == "download_mbps_median" and now["download_mbps_median_change"] is not None:
        return now["download_mbps_median_change"]
    if isinstance(value, (int, float)) and isinstance(earlier, (int, float)):
        return round((value - earlier) * (100 if column == "share_at_target" else 1), 6)
    return NO_EARLIER_MONTH


def _findings(page: _Page, content: Content) -> None:
    page.section("Nhận xét")
    for text in sentences.findings(content):
        page.line(text, align="justify")
    page.line(sentences.fixed_note(content), size=10, italic=True, font_color=GREY)
    page.gap(6)


def _revision(page: _Page, content: Content) -> None:
    policy = content.policy
    page.line(
        f"{summary(content, most=2)} Kỳ tiếp theo: {day_text(policy.next_release)}. Liên hệ: {policy.contact}. "
        f"{policy.licence.rstrip('.')}.",
        size=10,
        top=1,
        top_color=LINE,
        valign="top",
    )


def _blocks(page: _Page, content: Content) -> Blocks:
    """The second page: what the charts draw, in figures."""
    page.line("SỐ LIỆU CỦA CÁC BIỂU ĐỒ", size=14, bold=True, align="center", font_color=NAVY)
    key_row = page.row
    page.row += 1
    progress, missing = _progress_block(page, content)
    operators = _operators_block(page, content)
    waterfall, flags = _quality_blocks(page, content)
    after, page.row = page.row, key_row
    page.line(key_of(page.marks), size=10, italic=True, font_color=GREY)
    page.row = after
    return Blocks(progress, missing, operators, waterfall, flags)


def _progress_block(page: _Page, content: Content) -> tuple[Block | None, Block | None]:
    """Communes by district (by kind where there are no districts) and by how many measurements they have."""
    policy = content.policy
    rows = content.rows("report_commune_month", "mobile")
    if not rows:
        return None, None
    by_district = any(row["district_name"] for row in rows)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        code, name = ("district_code", "district_name") if by_district else ("kind", "kind")
        groups.setdefault((str(row[code] or ""), str(row[name] or "Không rõ")), []).append(row)
    lines: list[list[object]] = []
    for (_, name), members in sorted(groups.items()):
        counts = [sentences.whole(row, "n_measurements") for row in members]
        lines.append([
            name if by_district else name.capitalize(),
            sum(count >= policy.assess_minimum for count in counts),
            sum(policy.publish_minimum <= count < policy.assess_minimum for count in counts),
            sum(0 < count < policy.publish_minimum for count in counts),
            counts.count(0),
            len(members),
            sum(sentences.whole(row, "n_missing_to_assess") for row in members),
        ])  # fmt: skip
    headings = (
        "Địa bàn" if by_district else "Loại",
        f"Từ {policy.assess_minimum} lượt đo",
        f"{policy.publish_minimum}–{policy.assess_minimum - 1} lượt đo",
        f"1–{policy.publish_minimum - 1} lượt đo",
        "Chưa có lượt đo",
        "Số đơn vị cấp xã",
        "Lượt đo còn thiếu",
    )
    title = "Số đơn vị cấp xã theo mức lượt đo di động"
    first, starts = _block(page, title, headings, lines, ("text", *_COUNTS), 7, 3)
    last = first + len(lines) - 1
    return (
        Block(first, last, 0, tuple(starts[1:5]), headings[1:5]),
        Block(first, last, 0, (starts[6],), (headings[6],)),
    )


def _operator_rows(content: Content) -> list[Row]:
    return [row for row in content.rows("report_operator_month", "mobile") if row["technology"] in ("4G", "5G")]


def _operators_block(page: _Page, content: Content) -> Block | None:
    """Median download of each operator on 4G and 5G with its interval, operators with most measurements first.

    Operators of which nothing is published stand last, outside the chart.
    """
    found = {(operator_name(row), str(row["technology"])): row for row in _operator_rows(content)}
    if not found:
        return None

    def measurements(name: str) -> int:
        return sum(sentences.whole(row, "n_measurements") for (brand, _), row in found.items() if brand == name)

    drawn = {name for (name, _), row in found.items() if row["download_mbps_median"] is not None}
    names = sorted(
        {name for name, _ in found}, key=lambda name: (name not in drawn, -measurements(name), alphabetical(name))
    )
    technologies = ("4G", "5G")
    lines = [
        [name, *(value for technology in technologies for value in _reach(found.get((name, technology)), content))]
        for name in names
    ]
    parts = ("trung vị", "xuống đến cận dưới", "lên đến cận trên")
    headings = ("Nhà mạng", *(f"{technology}: {part}" for technology in technologies for part in parts))
    title = "Tốc độ tải xuống trung vị theo nhà mạng và khoảng cách đến hai cận 95% (Mbps)"
    first, starts = _block(page, title, headings, lines, ("text", *_SPEEDS), 7, 3)
    medians, whiskers = (starts[1], starts[4]), ((starts[2], starts[3]), (starts[5], starts[6]))
    return Block(first, first + len(drawn) - 1, 0, medians, technologies, whiskers) if drawn else None


def _reach(row: Row | None, content: Content) -> tuple[object, object, object]:
    """The median, and how far its 95 % interval reaches down and up; marks where there are none."""
    median, low, high = (_shown(row, f"download_mbps_{part}", content) for part in ("median", "ci_low", "ci_high"))
    if isinstance(median, (int, float)) and isinstance(low, (int, float)) and isinstance(high, (int, float)):
        return median, round(median - low, 6), round(high - median, 6)
    return median, low, high


def _shown(row: Row | None, column: str, content: Content) -> object:
    """The figure, or the mark of why there is none: the blocks have no column for it."""
    reasons = reason_marks(content.policy)
    if row is None:
        return reasons["no_samples"]
    return figure(row, column) if not row["reason"] else reasons.get(str(row["reason"]), NOT_MEASURED)


def _quality_blocks(page: _Page, content: Content) -> tuple[Block | None, Block | None]:
    """Rows received, taken away by reason and accepted; then the flags of accepted rows."""
    total = reconcile(content)[0]
    if not total.raw:
        return None, None
    kept, removed = waterfall_steps(total)
    labels = ["Nhận", *(content.reasons.get(reason, reason) for reason in total.quarantined), "Chấp nhận"]
    ends = (0, len(labels) - 1)
    lines: list[list[object]] = [
        [label, kept[index], NOT_APPLICABLE if index in ends else removed[index]] for index, label in enumerate(labels)
    ]
    headings = ("Bước", "Còn lại", "Cách ly")
    first, starts = _block(page, "Đối soát số dòng, mọi tệp", headings, lines, ("text", "count", "count"), 15, 5)
    waterfall = Block(first, first + len(lines) - 1, 0, (starts[1], starts[2]), headings[1:])
    if not total.flagged:
        return waterfall, None
    flags = [[content.reasons.get(reason, reason), count] for reason, count in total.flagged.items()]
    first, starts = _block(
        page, "Đánh dấu trên các dòng được chấp nhận", ("Đánh dấu", "Số dòng"), flags, ("text", "count"), 20, 5
    )
    return waterfall, Block(first, first + len(flags) - 1, 0, (starts[1],), ("Số dòng",))


def _charts(book: Workbook, sheet: Worksheet, row: int, blocks: Blocks, content: Content) -> None:
    half = _WIDTH // 2
    if blocks.progress:
        chart = progress_chart(book, blocks.progress, "Số đơn vị cấp xã theo mức lượt đo di động")
        insert_chart(sheet, row, 0, chart, (_WIDTH - 2, 166), PROGRESS_ALT)
    if blocks.operators:
        chart = operator_bars(book, blocks.operators, "Tải xuống trung vị (Mbps)")
        insert_chart(sheet, row + 1, 0, chart, (half - 2, 202), OPERATORS_ALT)
    if blocks.waterfall:
        chart = waterfall_chart(book, blocks.waterfall, *waterfall_steps(reconcile(content)[0]), WATERFALL_TITLE)
        insert_chart(sheet, row + 1, _COLUMNS // 2, chart, (half - 2, 202), WATERFALL_ALT, (14, 2))
