"""The figures that the charts draw, in small ruled tables on Tổng quan, which nobody sorts or filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ispeed.workbook import sentences
from ispeed.workbook.charts import Block
from ispeed.workbook.content import Content, Row
from ispeed.workbook.levels import level_names, level_of
from ispeed.workbook.marks import NOT_APPLICABLE, NOT_MEASURED, figure, reason_marks
from ispeed.workbook.operators import operator_name
from ispeed.workbook.page import Page, lay_block
from ispeed.workbook.quality import reconcile, waterfall_steps
from ispeed.workbook.table_sheet import Kind, Link
from ispeed.workbook.wording import alphabetical

PROGRESS_TITLE: Final = "Số đơn vị cấp xã theo mức lượt đo di động"

_COUNTS: Final[tuple[Kind, ...]] = ("count",) * 6
_SPEEDS: Final[tuple[Kind, ...]] = ("speed",) * 6


def lay_progress_figures(
    page: Page, content: Content, districts: Mapping[str, Link]
) -> tuple[Block | None, Block | None]:
    """Communes by district (by kind where there are no districts) and by how many measurements they have, with totals.

    A district's name leads to its first row of Phụ lục I.
    """
    policy = content.policy
    rows = content.rows("report_commune_month", "mobile")
    if not rows:
        return None, None
    by_district = any(row["district_name"] for row in rows)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        code, name = ("district_code", "district_name") if by_district else ("kind", "kind")
        groups.setdefault((str(row[code] or ""), str(row[name] or "Không rõ")), []).append(row)

    def line(label: object, members: list[Row]) -> list[object]:
        levels = [level_of(sentences.whole(row, "n_measurements"), policy) for row in members]
        missing = sum(sentences.whole(row, "n_missing_to_assess") for row in members)
        return [label, *(levels.count(level) for level in range(4)), len(members), missing]

    lines = [
        line(districts.get(code, name) if by_district else name.capitalize(), members)
        for (code, name), members in sorted(groups.items())
    ]
    headings = (
        "Địa bàn" if by_district else "Loại",
        *level_names(policy),
        "Số đơn vị cấp xã",
        f"Lượt đo còn thiếu đến {policy.assess_minimum}",
    )
    first, starts = lay_block(
        page, PROGRESS_TITLE, headings, [*lines, line("Toàn địa bàn", rows)], ("text", *_COUNTS), 7, 3, total=True
    )
    last = first + len(lines) - 1
    return (
        Block(first, last, 0, tuple(starts[1:5]), headings[1:5]),
        Block(first, last, 0, (starts[6],), (headings[6],)),
    )


def operator_rows(content: Content) -> list[Row]:
    """The operators' rows on the two technologies that have a target."""
    return [row for row in content.rows("report_operator_month", "mobile") if row["technology"] in ("4G", "5G")]


def lay_operator_figures(page: Page, content: Content) -> Block | None:
    """Median download of each operator on 4G and 5G with its interval, operators with most measurements first.

    Operators of which nothing is published stand last, outside the chart.
    """
    found = {(operator_name(row), str(row["technology"])): row for row in operator_rows(content)}
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
    first, starts = lay_block(page, title, headings, lines, ("text", *_SPEEDS), 7, 3)
    medians, whiskers = (starts[1], starts[4]), ((starts[2], starts[3]), (starts[5], starts[6]))
    return Block(first, first + len(drawn) - 1, 0, medians, technologies, whiskers) if drawn else None


def _reach(row: Row | None, content: Content) -> tuple[object, object, object]:
    """The median, and how far its 95 % interval reaches down and up; marks where there are none."""
    median, low, high = (shown(row, f"download_mbps_{part}", content) for part in ("median", "ci_low", "ci_high"))
    if isinstance(median, (int, float)) and isinstance(low, (int, float)) and isinstance(high, (int, float)):
        return median, round(median - low, 6), round(high - median, 6)
    return median, low, high


def shown(row: Row | None, column: str, content: Content) -> object:
    """The figure, or the mark of why there is none: the blocks have no column for it."""
    reasons = reason_marks(content.policy)
    if row is None:
        return reasons["no_samples"]
    return figure(row, column) if not row["reason"] else reasons.get(str(row["reason"]), NOT_MEASURED)


def lay_quality_figures(page: Page, content: Content) -> tuple[Block | None, Block | None]:
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
    first, starts = lay_block(page, "Đối soát số dòng, mọi tệp", headings, lines, ("text", "count", "count"), 15, 5)
    waterfall = Block(first, first + len(lines) - 1, 0, (starts[1], starts[2]), headings[1:])
    if not total.flagged:
        return waterfall, None
    flags = [[content.reasons.get(reason, reason), count] for reason, count in total.flagged.items()]
    first, starts = lay_block(
        page, "Đánh dấu trên các dòng được chấp nhận", ("Đánh dấu", "Số dòng"), flags, ("text", "count"), 20, 5
    )
    return waterfall, Block(first, first + len(flags) - 1, 0, (starts[1],), ("Số dòng",))
