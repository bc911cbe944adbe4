"""Chất lượng dữ liệu: where every row of every file went, what was flagged, and each check as it ran."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.charts import Block, count_chart, insert_chart, waterfall_chart
from ispeed.workbook.content import CheckLine, Content, Row
from ispeed.workbook.marks import NOT_APPLICABLE
from ispeed.workbook.style import Styles
from ispeed.workbook.table_sheet import Field, Heading, lay_table_sheet
from ispeed.workbook.wording import ACTIONS, COLUMNS, SEVERITIES, TABLES, month_text, number

ALL_FILES = "Tất cả các tệp"
WATERFALL_TITLE = "Từ dòng nhận đến dòng chấp nhận"
WATERFALL_ALT = (
    "Biểu đồ thác nước: số dòng nhận, số dòng cách ly theo từng lý do, số dòng chấp nhận. "
    "Số liệu ở trang Tổng quan, mục Số liệu của các biểu đồ, và ở bảng của trang Chất lượng dữ liệu."
)
_CHART_WIDTH = 400


@dataclass(frozen=True)
class Reconciliation:
    """Where the rows of one file (or of all) went: received, quarantined and flagged by reason, accepted."""

    file: str
    raw: int
    accepted: int
    quarantined: dict[str, int]
    flagged: dict[str, int]

    @property
    def n_quarantined(self) -> int:
        return sum(self.quarantined.values())

    @property
    def adds_up(self) -> bool:
        return self.raw == self.accepted + self.n_quarantined


def reconcile(content: Content) -> list[Reconciliation]:
    """All files together first, then each file by name; reasons in the order in which they are tried."""
    order = {reason: place for place, reason in enumerate(content.reasons)}
    rows = sorted(content.rows("report_quality_month"), key=lambda row: order.get(str(row["reason"] or ""), len(order)))
    files = sorted({str(row["source_file"]) for row in rows})
    return [
        _reconciliation(ALL_FILES, rows),
        *(_reconciliation(file, [row for row in rows if row["source_file"] == file]) for file in files),
    ]


def _reconciliation(file: str, rows: Sequence[Row]) -> Reconciliation:
    def counts(outcome: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in rows:
            if row["outcome"] == outcome:
                count = row["n_rows"]
                reason = str(row["reason"] or "")
                found[reason] = found.get(reason, 0) + (count if isinstance(count, int) else 0)
        return found

    return Reconciliation(
        file,
        sum(counts("raw").values()),
        sum(counts("accepted").values()),
        counts("quarantined"),
        counts("flagged"),
    )


@dataclass(frozen=True)
class _Line:
    group: str
    where: str
    what: str
    severity: object
    outcome: str
    n_rows: int
    share: object


def lay_quality(
    book: Workbook,
    sheet: Worksheet,
    styles: Styles,
    content: Content,
    waterfall: Block | None,
    flags: Block | None,
) -> None:
    """One table for files, flags and checks, so that it can be filtered; the charts at its right."""
    files = reconcile(content)
    total = files[0]
    lines = [
        *(line for file in files for line in _file_lines(file, content)),
        *_header_lines(content),
        *_atlas_lines(content),
        *_check_lines(content.checks),
    ]
    failed = sum(not check.passed for check in content.checks)
    balance = "khớp" if all(file.adds_up for file in files) else "KHÔNG KHỚP"
    heading = Heading(
        "chat_luong_du_lieu",
        f"CHẤT LƯỢNG DỮ LIỆU VÀ ĐỐI SOÁT SỐ DÒNG THÁNG {month_text(content.month)}",
        f"Đối soát: {number(total.raw)} dòng nhận = {number(total.accepted)} dòng chấp nhận + "
        f"{number(total.n_quarantined)} dòng cách ly ({balance}). Dòng đánh dấu vẫn nằm trong số chấp nhận. "
        f"Đã chạy {number(len(content.checks))} phép kiểm tra, {number(failed)} phép có dòng không đạt, nêu từng phép. "
        f"Bảng gồm {number(len(lines))} dòng. Từng dòng cách ly, kèm lý do và nội dung gốc không có mã thiết bị: "
        "tệp quarantine.csv cùng thư mục với sổ này; từng phép kiểm tra do Great Expectations ghi lại: "
        "data-docs/index.html.",
    )
    fields: list[Field[_Line]] = [
        Field("Nhóm", 74, "centre", lambda line: line.group),
        Field("Tệp nguồn hoặc bảng", 176, "text", lambda line: line.where),
        Field("Nội dung", 252, "text", lambda line: line.what),
        Field("Mức độ", 92, "centre", lambda line: line.severity),
        Field("Xử lý và kết quả", 182, "text", lambda line: line.outcome),
        Field("Số dòng", 60, "count", lambda line: line.n_rows),
        Field("Tỷ lệ trên số dòng nhận", 64, "share", lambda line: line.share),
    ]
    placed = lay_table_sheet(
        sheet,
        styles,
        content,
        heading,
        fields,
        lines,
        landscape=False,
        beside=_CHART_WIDTH + 16 if waterfall else 0,
    )
    if not waterfall:
        return
    chart = waterfall_chart(book, waterfall, *waterfall_steps(total), WATERFALL_TITLE)
    insert_chart(sheet, placed.first_row, placed.next_column, chart, (_CHART_WIDTH, 330), WATERFALL_ALT, (14, 2))
    if flags:
        chart = count_chart(book, flags, "Dòng được chấp nhận có đánh dấu")
        alt = "Biểu đồ thanh: số dòng được chấp nhận có từng loại đánh dấu. Số liệu ở trang Tổng quan."
        insert_chart(sheet, placed.first_row, placed.next_column, chart, (_CHART_WIDTH, 250), alt, (14, 346))


def waterfall_steps(total: Reconciliation) -> tuple[list[int], list[int]]:
    """Rows left and rows taken away at each step: received, each reason in its order, accepted."""
    kept, removed = [total.raw], [0]
    for count in total.quarantined.values():
        kept.append(kept[-1] - count)
        removed.append(count)
    return [*kept, total.accepted], [*removed, 0]


def _file_lines(file: Reconciliation, content: Content) -> Iterable[_Line]:
    def line(group: str, what: str, outcome: str, count: int) -> _Line:
        share = count / file.raw if file.raw else NOT_APPLICABLE
        return _Line(group, file.file, what, NOT_APPLICABLE, outcome, count, share)

    yield line("Đối soát", "Số dòng nhận được", "Nhận", file.raw)
    for reason, count in file.quarantined.items():
        yield line("Cách ly", content.reasons.get(reason, reason), "Cách ly", count)
    yield line("Đối soát", "Số dòng chấp nhận", "Chấp nhận", file.accepted)
    for reason, count in file.flagged.items():
        yield line("Đánh dấu", content.reasons.get(reason, reason), "Giữ lại, vẫn tính", count)


def _header_lines(content: Content) -> Iterable[_Line]:
    """What a file's columns mean for the figures: those declared for every row, lacking, and that nobody declared."""
    for column, value in content.constants.items():
        what = f"Tệp không có cột {COLUMNS[column][0]}: mọi dòng lấy {value}"
        meaning = "Do hợp đồng nguồn khai báo"
        yield _Line("Cột tệp", ALL_FILES, what, NOT_APPLICABLE, meaning, 0, NOT_APPLICABLE)
    for file, columns in content.absent_columns.items():
        for column in columns:
            name, meaning = COLUMNS[column]
            yield _Line("Cột tệp", file, f"Tệp không có cột {name}", NOT_APPLICABLE, meaning, 0, NOT_APPLICABLE)
    for file, headers in content.undeclared_headers.items():
        for header in headers:
            yield _Line("Cột tệp", file, f"Cột chưa khai báo: {header}", NOT_APPLICABLE, "Không đọc", 0, NOT_APPLICABLE)


def _atlas_lines(content: Content) -> Iterable[_Line]:
    """What of VNNIC's figures is lacking or could not be read."""
    for sentence in content.told.get("atlas", ()):
        where = TABLES["report_atlas_month"]
        yield _Line("Nguồn khác", where, str(sentence), NOT_APPLICABLE, "Nêu để xem xét", 0, NOT_APPLICABLE)


def _check_lines(checks: Sequence[CheckLine]) -> Iterable[_Line]:
    """Each check that failed, then how many passed by table: one by one they stand in the Data Docs."""
    yield from (_check_line(check) for check in checks if not check.passed)
    for table in dict.fromkeys(check.table for check in checks):
        of_table = [check for check in checks if check.table == table]
        n_passed = sum(check.passed for check in of_table)
        if n_passed:
            what = f"{number(n_passed)}/{number(len(of_table))} phép kiểm tra"
            yield _Line("Kiểm tra", TABLES.get(table, table), what, NOT_APPLICABLE, "Đạt", 0, NOT_APPLICABLE)


def _check_line(check: CheckLine) -> _Line:
    outcome = f"Không đạt: {ACTIONS[check.action].lower()}"
    if check.finding:
        outcome += f" – {check.finding}"
    return _Line(
        "Kiểm tra",
        TABLES.get(check.table, check.table),
        check.description_vi,
        SEVERITIES.get(check.severity, check.severity),
        outcome,
        check.n_rows,
        NOT_APPLICABLE,
    )
