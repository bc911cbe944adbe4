"""`index.html` of a revision: the month's figures, communes, operators, quality and history on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markupsafe import Markup

from ispeed.page.commune_table import INTERVAL, areas, commune_table, levels, month_map
from ispeed.page.drawings import interval_bar, nice_top, short, waterfall_bars
from ispeed.page.over_time import over_time
from ispeed.page.template import Cell, interval, key_list, render, told
from ispeed.workbook import sentences
from ispeed.workbook.changes import summary
from ispeed.workbook.charts import axis_start
from ispeed.workbook.content import Content, Row
from ispeed.workbook.fields import heading_of
from ispeed.workbook.marks import NO_EARLIER_MONTH, Mark, figure, reason_marks, status
from ispeed.workbook.operators import TECHNOLOGIES, operator_name
from ispeed.workbook.quality import reconcile, waterfall_steps
from ispeed.workbook.wording import NETWORKS, TABLES, alphabetical, kinds_of, month_text, number, percent

_FOLDERS: Final = {"csv": "Bảng số liệu (csv)", "don-vi": "Sổ của từng đơn vị nhận"}
_FILES: Final = {
    "quarantine.csv": "Các dòng bị cách ly, lý do và nội dung gốc",
    "data-docs/index.html": "Từng phép kiểm tra chất lượng dữ liệu (Data Docs)",
    "manifest.json": "Bản kê: nguồn gốc và sha256 của mọi tệp",
    "tidy.csv": "Mọi số liệu, mỗi số một dòng, theo SDMX",
    "danh-sach.csv": "Danh sách đơn vị nhận, mỗi đơn vị một sổ",
    "datapackage.json": "Mô tả mọi cột của các bảng",
}
_OPERATORS: Final = "report_operator_month"
_OPERATOR_FIGURES: Final = (
    ("n_measurements", "count"),
    ("n_samples", "count"),
    ("n_devices", "count"),
    ("download_mbps_median", "speed"),
    ("interval", "speed"),
    ("download_mbps_mean", "speed"),
    ("upload_mbps_median", "speed"),
    ("ping_ms_median", "speed"),
    ("download_mbps_median_rank", "count"),
)


@dataclass(frozen=True)
class Download:
    """A file of the revision by its path in the folder; its size where it is written already."""

    path: str
    n_bytes: int | None = None


@dataclass(frozen=True)
class _File:
    path: str
    about: str
    n_bytes: int | None


@dataclass(frozen=True)
class _Card:
    label: str
    value: str
    change: str
    note: str


@dataclass(frozen=True)
class _Operator:
    name: str
    cells: Sequence[Cell]
    bar: Markup


@dataclass(frozen=True)
class _Technology:
    name: str
    network: str
    most: str
    operators: Sequence[_Operator]


@dataclass(frozen=True)
class _Step:
    wording: str
    n_rows: int
    is_whole: bool
    share: str
    bar: Markup


def downloads_in(folder: Path) -> list[Download]:
    """What there is to be downloaded from a revision's folder, and the manifest, which is written last.

    Of the Data Docs, the first page leads to the others.
    """
    files = sorted((path.relative_to(folder), path.stat().st_size) for path in folder.rglob("*") if path.is_file())
    found = [
        Download(path.as_posix(), size)
        for path, size in files
        if path.parts[0] != "data-docs" or path.as_posix() == "data-docs/index.html"
    ]
    return [*found, Download("manifest.json")]


def month_page(content: Content, downloads: Sequence[Download]) -> str:
    """The whole page of a month; the same content gives the same text. `content.series` ends with the month itself."""
    communes = commune_table(content)
    marks = dict(communes.marks)
    technologies = _technologies(content, marks)
    cards = _cards(content, marks)
    files = reconcile(content)
    history = over_time(content.series, content.policy, marks)
    return render(
        "month.html",
        content=content,
        is_sample=content.is_sample,
        policy=content.policy,
        month=month_text(content.month),
        summary=summary(content),
        cards=cards,
        has_earlier=bool(content.previous_province),
        findings=[text.partition(". ")[2] for text in sentences.findings(content)],
        fixed_note=sentences.fixed_note(content),
        kinds=kinds_of(row["kind"] for row in content.rows("report_commune_month", "mobile")),
        communes=communes,
        levels=levels(content),
        map=month_map(content),
        areas=areas(content),
        technologies=technologies,
        operator_headings=[
            *(INTERVAL if column == "interval" else heading_of(_OPERATORS, column) for column, _ in _OPERATOR_FIGURES),
            "Trạng thái",
        ],
        targets=", ".join(f"{name} {number(speed)} Mbps" for name, speed in content.policy.targets.items()),
        total=files[0],
        files=files[1:],
        steps=_steps(content),
        axis_start=axis_start(files[0].raw, files[0].accepted),
        flagged=[(content.reasons.get(reason, reason), n_rows) for reason, n_rows in files[0].flagged.items()],
        warnings=[check for check in content.checks if check.finding],
        history=history,
        changes=_changes(content),
        groups=_groups(downloads),
        key=key_list(marks),
    )


def _cards(content: Content, marks: dict[str, str]) -> list[_Card]:
    """The five figures of Tổng quan: what it is, the figure, its change, what it is measured against."""
    policy, now = content.policy, sentences.province(content)
    before = next((row for row in content.previous_province if row["network"] == "mobile"), None)
    of_all = f"/{number(sentences.whole(now, 'n_communes'))}"
    targets = ", ".join(f"{name} ≥ {number(speed)}" for name, speed in policy.targets.items())
    cards = (
        (f"Xã đủ {policy.publish_minimum} lượt đo", "n_communes_publishable", "count", of_all, "mức đủ để công bố"),
        (f"Xã đủ {policy.assess_minimum} lượt đo", "n_communes_assessable", "count", of_all, "mức đủ để đánh giá"),
        ("Tải xuống trung vị", "download_mbps_median", "speed", " Mbps", sentences.interval(now, "download_mbps")),
        ("Tải lên trung vị", "upload_mbps_median", "speed", " Mbps", sentences.interval(now, "upload_mbps")),
        ("Mẫu đạt mục tiêu", "share_at_target", "share", "", f"{targets} Mbps"),
    )
    return [
        _Card(
            label,
            told(value, marks, kind) + (unit if isinstance(value, (int, float)) else ""),
            _change(column, kind, now, before, marks),
            note,
        )
        for label, column, kind, unit, note in cards
        for value in [_figure(now, column, content)]
    ]


def _figure(row: Row, column: str, content: Content) -> object:
    """The figure, or the mark of why there is none: there is no column for the reason here."""
    value = figure(row, column)
    return reason_marks(content.policy).get(str(row["reason"]), value) if isinstance(value, Mark) else value


def _change(column: str, kind: str, now: Row, before: Row | None, marks: dict[str, str]) -> str:
    """This month's figure minus the one published for the month before; of a share, in percentage points."""
    value, earlier = now[column], before[column] if before else None
    if not isinstance(value, (int, float)) or not isinstance(earlier, (int, float)):
        return told(NO_EARLIER_MONTH, marks)
    published = now["download_mbps_median_change"] if column == "download_mbps_median" else None
    change = (value - earlier) * (100 if kind == "share" else 1)
    if isinstance(published, (int, float)):
        change = published
    text, unit = number(abs(change), {"count": 0, "share": 1}.get(kind, 2)), " điểm %" if kind == "share" else ""
    if not any(digit in text for digit in "123456789"):
        return "Không đổi"
    if not sentences.is_clear(column, now, before):
        return f"≈ {'+' if change > 0 else '−'}{text}{unit}"
    return f"{'▲' if change > 0 else '▼'} {text}{unit}"


def _technologies(content: Content, marks: dict[str, str]) -> list[_Technology]:
    """Operators within their technology, since only there one scale suits them all; mobile first."""
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in content.rows(_OPERATORS):
        rows.setdefault((str(row["network"]), str(row["technology"])), []).append(row)
    order = {name: place for place, name in enumerate(TECHNOLOGIES)}
    found = []
    for (network, technology), members in sorted(
        rows.items(), key=lambda item: (item[0][0] != "mobile", order.get(item[0][1], len(order)), item[0][1])
    ):
        ends = [row[column] for row in members for column in ("download_mbps_median", "download_mbps_ci_high")]
        most = nice_top(max((end for end in ends if isinstance(end, (int, float))), default=0))
        members.sort(key=lambda row: (operator_name(row) == "Không xác định", alphabetical(operator_name(row))))
        operators = [_operator(row, most, content, marks) for row in members]
        found.append(_Technology(technology, NETWORKS.get(network, network), short(most), operators))
    return found


def _operator(row: Row, most: float, content: Content, marks: dict[str, str]) -> _Operator:
    cells = []
    for column, kind in _OPERATOR_FIGURES:
        value = figure(row, "download_mbps_ci_low") if column == "interval" else figure(row, column)
        text = told(value, marks, kind)
        cells.append(Cell(interval(row) or text if column == "interval" else text, is_figure=True))
    cells.append(Cell(told(status(row, content.policy), marks)))
    median, low, high = (row[f"download_mbps_{part}"] for part in ("median", "ci_low", "ci_high"))
    return _Operator(operator_name(row), cells, interval_bar(median, low, high, most))


def _steps(content: Content) -> list[_Step]:
    """Rows received, those that each reason took away, rows accepted."""
    total = reconcile(content)[0]
    kept, removed = waterfall_steps(total)
    reasons = [f"Cách ly: {content.reasons.get(reason, reason)}" for reason in total.quarantined]
    bars = waterfall_bars(kept, removed, axis_start(total.raw, total.accepted))
    last = len(kept) - 1
    return [
        _Step(
            wording,
            kept[index] if index in (0, last) else removed[index],
            index in (0, last),
            percent((kept[index] if index in (0, last) else removed[index]) / total.raw) if total.raw else "",
            bar,
        )
        for index, (wording, bar) in enumerate(zip(("Nhận được", *reasons, "Chấp nhận"), bars, strict=True))
    ]


def _changes(content: Content) -> list[tuple[str, str, int]]:
    """How many cells changed, by cause and table."""
    counts = Counter((change.cause, TABLES.get(change.table, change.table)) for change in content.changes)
    return [(cause, table, n_cells) for (cause, table), n_cells in sorted(counts.items())]


def _groups(downloads: Sequence[Download]) -> Mapping[str, Sequence[_File]]:
    """The files to download by folder; those of the revision itself, and the Data Docs' first page, under ''."""
    groups: dict[str, list[_File]] = {"": []}
    for file in downloads:
        folder, _, name = file.path.rpartition("/")
        about = _FILES.get(file.path) or _FILES.get(name) or TABLES.get(name.removesuffix(".csv"), "")
        if file.path.endswith(".xlsx") and not folder:
            about = "Sổ báo cáo Excel"
        group = "" if folder == "data-docs" else _FOLDERS.get(folder, folder)
        groups.setdefault(group, []).append(_File(file.path, about, file.n_bytes))
    groups[""].sort(key=lambda file: (not file.path.endswith(".xlsx"), file.path))
    return groups
