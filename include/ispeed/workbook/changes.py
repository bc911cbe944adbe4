"""Thay đổi: each cell that differs from the revision before, and why."""

from __future__ import annotations

from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.content import Change, Content, count_by_cause
from ispeed.workbook.fields import heading_of
from ispeed.workbook.marks import CHANGE_MARKS, EMPTIED, FIRST_ISSUE, NONE_FOUND, reason_marks
from ispeed.workbook.style import Styles
from ispeed.workbook.table_sheet import Field, Heading, lay_table_sheet
from ispeed.workbook.wording import NETWORKS, RETURN_STATES, TABLES, month_text, number


def summary(content: Content, most: int | None = None) -> str:
    """What this revision is, in one sentence or two, with at most so many of its causes."""
    edition = f"{content.edition[0].upper()}{content.edition[1:]}"
    if content.compared_with is None:
        return f"{edition} của tháng {month_text(content.month)}: phát hành lần đầu."
    causes = [cause.rstrip(". ") for cause in content.change_causes]
    if most is not None and len(causes) > most:
        causes = [*causes[:most], f"{number(len(causes) - most)} nguyên nhân khác (xem trang Thay đổi)"]
    return (
        f"{edition} của tháng {month_text(content.month)}: {number(len(content.changes))} ô thay đổi so với bản "
        f"r{content.compared_with}. Nguyên nhân: {'; '.join(causes) or 'chưa ghi'}."
    )


def by_cause(content: Content) -> str:
    """How many cells each cause explains: "Số liệu đến muộn: 214 ô; …"; empty where there is nothing to tell apart."""
    counted = count_by_cause(content.changes)
    if len(counted) < 2:
        return ""
    return " Số ô theo nguyên nhân – " + ". ".join(f"{cause}: {number(n)} ô" for cause, n in counted.items()) + "."


def lay_changes(sheet: Worksheet, styles: Styles, content: Content) -> None:
    """On the first revision one row says so."""
    heading = Heading(
        "thay_doi",
        f"THAY ĐỔI SO VỚI BẢN PHÁT HÀNH TRƯỚC, THÁNG {month_text(content.month)}",
        summary(content) + (by_cause(content) + " Các bản trước được giữ nguyên." if content.compared_with else ""),
    )
    fields: list[Field[Change]] = [
        Field("Trang", 140, "text", lambda change: TABLES.get(change.table, change.table)),
        Field("Dòng", 250, "text", lambda change: _key(change)),
        Field("Cột", 190, "text", lambda change: heading_of(change.table, change.column)),
        Field("Giá trị cũ", 120, "any", lambda change: _shown(change.old, content)),
        Field("Giá trị mới", 120, "any", lambda change: _shown(change.new, content)),
        Field("Nguyên nhân", 300, "text", lambda change: change.cause),
    ]
    none = NONE_FOUND if content.compared_with else FIRST_ISSUE
    lay_table_sheet(sheet, styles, content, heading, fields, content.changes, none=none)


def _key(change: Change) -> str:
    return ", ".join(NETWORKS.get(part, part) for part in change.key.split(", "))


def _shown(value: object, content: Content) -> object:
    """A cell as it stands on its sheet: reason codes as their marks."""
    if value is None:
        return EMPTIED
    if isinstance(value, bool):
        return "có" if value else "không"
    return {**RETURN_STATES, **CHANGE_MARKS, **reason_marks(content.policy)}.get(str(value), value)
