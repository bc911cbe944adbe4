"""Tổng quan: one page that answers the first questions, then the figures behind its charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Final

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from ispeed.workbook import sentences
from ispeed.workbook.appendices import Whereabouts
from ispeed.workbook.changes import summary
from ispeed.workbook.chart_figures import (
    lay_operator_figures,
    lay_progress_figures,
    lay_quality_figures,
    operator_rows,
    shown,
)
from ispeed.workbook.charts import Block, count_chart, insert_chart, operator_bars, progress_chart, waterfall_chart
from ispeed.workbook.content import Content, Row
from ispeed.workbook.letterhead import lay_letterhead
from ispeed.workbook.marks import NO_EARLIER_MONTH, key_of
from ispeed.workbook.next_steps import first_communes, next_steps
from ispeed.workbook.operators import CHART_ALT as OPERATORS_ALT
from ispeed.workbook.page import COLUMN_PX, COLUMNS, LAST, WIDTH, Card, Page, lay_cards, lay_links
from ispeed.workbook.progress import CHART_ALT as PROGRESS_ALT
from ispeed.workbook.progress import MISSING_ALT, missing_title
from ispeed.workbook.quality import WATERFALL_ALT, WATERFALL_TITLE, reconcile, waterfall_steps
from ispeed.workbook.style import COUNT, GREY, LINE, LINK, NAVY, POINTS, SHARE, SPEED, Styles, lay_paper
from ispeed.workbook.symbol_map import NOTE, SymbolMap, has_map, lay_symbol_places, symbol_chart
from ispeed.workbook.table_sheet import plain_text
from ispeed.workbook.wording import day_text, month_text, number

# The height of the paper: A4 less the decree's margins, at full scale; and the scale that fills its width.
_PAPER_PX: Final = 960
_SCALE: Final = 91
_SMALLEST_SCALE: Final = 60
_MAP_SIZE: Final = (400, 440)


@dataclass(frozen=True)
class Blocks:
    """Where the figures of the charts stand on Tổng quan; None where there is nothing to draw. `district_rows` are the
    rows that sum up a district, by its code.
    """

    progress: Block | None
    missing: Block | None
    operators: Block | None
    waterfall: Block | None
    flags: Block | None
    symbols: SymbolMap | None
    district_rows: Mapping[str, int]


def lay_overview(
    book: Workbook,
    sheet: Worksheet,
    styles: Styles,
    content: Content,
    details: Sequence[tuple[str, str]],
    where: Whereabouts,
) -> Blocks:
    """Write the sheet: a page to read, a page of where the communes are, the figures of the charts.

    `details` are the other sheets with what they hold, `where` is where Phụ lục I has communes and districts.
    """
    sheet.set_column_pixels(0, LAST, COLUMN_PX)
    page = Page(sheet, styles)
    titles = (
        "BÁO CÁO KẾT QUẢ ĐO CHẤT LƯỢNG BĂNG RỘNG DI ĐỘNG BẰNG i-SPEED",
        f"THÁNG {month_text(content.month)} TẠI {content.policy.province_name.upper()}",
    )
    lay_letterhead(page, content, titles)
    _key_figures(page, content)
    _findings(page, content)
    _next_steps(page, content, where)
    charts_row = page.row
    page.gap(206 if operator_rows(content) or reconcile(content)[0].raw else 4)
    lay_links(page, "Các trang của báo cáo", details)
    _revision(page, content)
    # A month with much to tell is printed smaller rather than on two pages.
    scale = max(_SMALLEST_SCALE, min(_SCALE, floor(100 * _PAPER_PX / page.height(0))))
    room = _PAPER_PX * 100 / scale
    breaks = [page.row]

    map_row = page.row
    n_groups = len({row["district_name"] or row["kind"] for row in content.rows("report_commune_month", "mobile")})
    height = max(_MAP_SIZE[1] if has_map(content) else 90, 70 + 18 * n_groups)
    if n_groups:
        page.line("CÁC ĐỊA BÀN VÀ TIẾN ĐỘ", size=14, bold=True, align="center", font_color=NAVY)
        if has_map(content):
            page.line(NOTE, size=10, italic=True, font_color=GREY)
        map_row = page.row
        page.gap(height + 6)
    progress, missing, district_rows = lay_progress_figures(page, content, where.districts)
    missing_row, missing_height = page.row, 50 + 20 * n_groups
    shows_missing = missing is not None and page.height(breaks[-1]) + missing_height <= room
    if shows_missing:
        page.gap(missing_height + 6)
    if n_groups:
        breaks.append(page.row)
    page.line("SỐ LIỆU CỦA CÁC BIỂU ĐỒ", size=14, bold=True, align="center", font_color=NAVY)
    key_row = page.row
    page.row += 1
    operators = lay_operator_figures(page, content)
    before_quality = page.row
    waterfall, flags = lay_quality_figures(page, content)
    if page.height(breaks[-1]) > room:
        breaks.append(before_quality)
    last_printed = page.row - 1
    symbols = lay_symbol_places(page, content, where.communes)
    after, page.row = page.row, key_row
    page.line(key_of(page.marks), size=10, italic=True, font_color=GREY)
    page.row = after

    blocks = Blocks(progress, missing, operators, waterfall, flags, symbols, district_rows)
    _lay_operator_and_quality_charts(book, sheet, charts_row, blocks, content)
    _lay_progress_charts(book, sheet, map_row, height, blocks)
    if missing and shows_missing:
        chart = count_chart(book, missing, missing_title(content.policy))
        insert_chart(sheet, missing_row, 0, chart, (WIDTH - 2, missing_height), MISSING_ALT)
    lay_paper(sheet, content, landscape=False)
    sheet.print_area(0, 0, last_printed, LAST)
    sheet.set_print_scale(scale)
    sheet.set_h_pagebreaks(breaks)
    return blocks


def _key_figures(page: Page, content: Content) -> None:
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
            Card(label, shown(now, column, content), form, _change(column, now, before), change, note)
            for label, column, form, change, note in cards
        ],
    )
    since = (
        f"▲ tăng, ▼ giảm, ≈ chưa rõ vì khoảng tin cậy chồng lên nhau; so với tháng "
        f"{month_text(content.month.previous)} như đã phát hành"
    )
    page.line(since if before else "", size=9, italic=True, align="right", font_color=GREY)


def _interval_note(row: Row, metric: str) -> str:
    return f"Mbps; {sentences.interval(row, metric)}"


def _change(column: str, now: Row, before: Row | None) -> object:
    """This month's figure minus the one published for the month before; of a share, in percentage points."""
    value, earlier = now[column], before[column] if before else None
    if column == "download_mbps_median" and now["download_mbps_median_change"] is not None:
        change = float(str(now["download_mbps_median_change"]))
        return change if not change or sentences.is_clear(column, now, before) else sentences.unclear(change)
    if isinstance(value, (int, float)) and isinstance(earlier, (int, float)):
        if value != earlier and not sentences.is_clear(column, now, before):
            return sentences.unclear(value - earlier)
        return round((value - earlier) * (100 if column == "share_at_target" else 1), 6)
    return NO_EARLIER_MONTH


def _findings(page: Page, content: Content) -> None:
    page.section("Nhận xét")
    for text in sentences.findings(content):
        page.line(text, align="justify")
    page.line(sentences.fixed_note(content), size=10, italic=True, font_color=GREY)
    page.gap(6)


def _next_steps(page: Page, content: Content, where: Whereabouts) -> None:
    """What to do, and under it the communes named there, each leading to its row of Phụ lục I."""
    steps = next_steps(content)
    if not steps:
        return
    page.section("Việc cần làm tiếp")
    for text in steps:
        page.line(text, align="justify")
    named = [link for row in first_communes(content) if (link := where.communes.get(str(row["commune_code"])))]
    if named:
        page.sheet.set_row(page.row, 15)
        page.put(0, 3, "Dòng ở Phụ lục I:", font_size=10, italic=True, font_color=GREY)
        width = (COLUMNS - 4) // len(named)
        look = page.styles(font_size=10, font_color=LINK, underline=1, shrink=True)
        for place, link in enumerate(named):
            first = 4 + place * width
            page.sheet.merge_range(page.row, first, page.row, first + width - 1, "", look)
            url = f"internal:'{link.sheet}'!{link.cell}"
            page.sheet.write_url(page.row, first, url, look, plain_text(link.text))
        page.row += 1
    page.gap(6)


def _revision(page: Page, content: Content) -> None:
    policy = content.policy
    page.line(
        f"{summary(content, most=2)} Kỳ tiếp theo: {day_text(policy.next_release)}. Liên hệ: {policy.contact}. "
        f"{policy.licence.rstrip('.')}.",
        size=10,
        top=1,
        top_color=LINE,
        valign="top",
    )


def _lay_operator_and_quality_charts(
    book: Workbook, sheet: Worksheet, row: int, blocks: Blocks, content: Content
) -> None:
    half = WIDTH // 2
    if blocks.operators:
        chart = operator_bars(book, blocks.operators, "Tải xuống trung vị (Mbps)")
        insert_chart(sheet, row, 0, chart, (half - 2, 202), OPERATORS_ALT)
    if blocks.waterfall:
        chart = waterfall_chart(book, blocks.waterfall, *waterfall_steps(reconcile(content)[0]), WATERFALL_TITLE)
        insert_chart(sheet, row, COLUMNS // 2, chart, (half - 2, 202), WATERFALL_ALT, (14, 2))


def _lay_progress_charts(book: Workbook, sheet: Worksheet, row: int, height: int, blocks: Blocks) -> None:
    """The map left, the districts at its right; without places the districts over the whole width."""
    width = _MAP_SIZE[0]
    if blocks.symbols:
        chart = symbol_chart(book, blocks.symbols, (width, height))
        insert_chart(sheet, row, 0, chart, (width, height), blocks.symbols.alt_text)
    if blocks.progress:
        size = (WIDTH - width - 8, height) if blocks.symbols else (WIDTH - 2, height)
        legend = "bottom" if blocks.symbols else "right"
        chart = progress_chart(book, blocks.progress, "Theo mức lượt đo di động", legend)
        insert_chart(sheet, row, 0, chart, size, PROGRESS_ALT, (width + 6 if blocks.symbols else 0, 2))
