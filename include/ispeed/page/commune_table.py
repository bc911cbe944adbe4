"""The communes on a month's page: a table whose columns can be sorted and filtered, and the same on a small map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from ispeed.page.drawings import LEVELS, Symbol, commune_map, legend_symbol
from ispeed.page.template import Cell, interval, shown, told
from ispeed.workbook.appendices import commune_order
from ispeed.workbook.content import Content, Row, WorkbookPolicy
from ispeed.workbook.fields import heading_of
from ispeed.workbook.marks import CHANGE_SIGNS, figure, status, text_or
from ispeed.workbook.sentences import commune, whole
from ispeed.workbook.wording import KINDS, alphabetical, month_text, number

_TABLE: Final = "report_commune_month"
INTERVAL: Final = "Tải xuống, khoảng 95% (Mbps)"
_PREFIXES: Final = ("Thành phố ", "Thị xã ", "Quận ", "Huyện ")
# The figures of a commune that a page has room for; all others stand in the workbook and the csv files.
_FIGURES: Final = (
    ("n_measurements", "count"),
    ("n_samples", "count"),
    ("n_devices", "count"),
    ("download_mbps_median", "speed"),
    ("interval", "speed"),
    ("download_mbps_mean", "speed"),
    ("upload_mbps_median", "speed"),
    ("ping_ms_median", "speed"),
    ("share_at_target", "share"),
    ("n_missing_to_assess", "count"),
    ("download_mbps_median_change", "change"),
)


@dataclass(frozen=True)
class CommuneRow:
    """A commune: its cells, the first that names it apart, and what the filters go by."""

    name: Cell
    cells: Sequence[Cell]
    district: str
    level: str


@dataclass(frozen=True)
class CommuneTable:
    """Headings (the first is the name's), rows, the districts in order, and the marks in the cells."""

    headings: Sequence[str]
    rows: Sequence[CommuneRow]
    districts: Sequence[str]
    marks: Mapping[str, str]


@dataclass(frozen=True)
class Level:
    """How far measurements reach: the name of its sign, in words, and how many communes are there."""

    name: str
    wording: str
    sign: Markup
    n_communes: int


@dataclass(frozen=True)
class Area:
    """An area's number of communes, of all and by level from most to none, and the measurements still missing there."""

    name: str
    n_communes: int
    by_level: Sequence[int]
    n_missing: int


def level_of(row: Row, policy: WorkbookPolicy) -> str:
    """Of a commune's measurements: none, few (under the publishing minimum), some, enough to assess."""
    count = whole(row, "n_measurements")
    reached = (count > 0) + (count >= policy.publish_minimum) + (count >= policy.assess_minimum)
    return LEVELS[reached] if count else "none"


def levels(content: Content) -> list[Level]:
    """The levels from most to none, each with its number of communes."""
    policy = content.policy
    wording = {
        "enough": f"từ {policy.assess_minimum} lượt đo",
        "some": f"{policy.publish_minimum}–{policy.assess_minimum - 1} lượt đo",
        "few": f"dưới {policy.publish_minimum} lượt đo",
        "none": "không có mẫu",
    }
    found = [level_of(row, policy) for row in content.rows(_TABLE, "mobile")]
    return [Level(name, text, legend_symbol(name), found.count(name)) for name, text in wording.items()]


def commune_table(content: Content) -> CommuneTable:
    """Every commune of the month by district and name."""
    policy = content.policy
    rows = sorted(content.rows(_TABLE, "mobile"), key=commune_order)
    has_districts = any(row["district_name"] for row in rows)
    marks: dict[str, str] = {}

    def text_column(value: Callable[[Row], object]) -> list[Cell]:
        texts = [told(value(row), marks) for row in rows]
        ranks = {text: rank for rank, text in enumerate(sorted(set(texts), key=alphabetical))}
        return [Cell(text, ranks[text]) for text in texts]

    def figure_column(column: str, kind: str) -> list[Cell]:
        return [_figure(row, column, kind, marks) for row in rows]

    names = text_column(lambda row: row["commune_name"])
    columns = {
        heading_of(_TABLE, "kind"): text_column(lambda row: text_or(row["kind"])),
        heading_of(_TABLE, "commune_code"): text_column(lambda row: row["commune_code"]),
    }
    if has_districts:
        columns[heading_of(_TABLE, "district_name")] = text_column(lambda row: text_or(row["district_name"]))
    for column, kind in _FIGURES:
        heading = INTERVAL if column == "interval" else heading_of(_TABLE, column)
        columns[heading] = figure_column(column, kind)
    columns["Trạng thái"] = [Cell(told(status(row, policy), marks), whole(row, "n_measurements")) for row in rows]
    cells = list(zip(*columns.values(), strict=True))
    districts = {str(row["district_name"]): str(row["district_code"]) for row in rows if row["district_name"]}
    return CommuneTable(
        headings=[heading_of(_TABLE, "commune_name"), *columns],
        rows=[
            CommuneRow(name, of_row, str(row["district_name"] or ""), level_of(row, policy))
            for row, name, of_row in zip(rows, names, cells, strict=True)
        ],
        districts=sorted(districts, key=alphabetical),
        marks=marks,
    )


def areas(content: Content) -> tuple[str, list[Area]]:
    """What areas are called, and each with its communes by level: districts, or kinds where there are none."""
    rows = sorted(content.rows(_TABLE, "mobile"), key=commune_order)
    column = "district_name" if any(row["district_name"] for row in rows) else "kind"
    members: dict[str, list[Row]] = {}
    if column == "kind":
        rows.sort(key=lambda row: KINDS.index(str(row["kind"])) if row["kind"] in KINDS else len(KINDS))
    for row in rows:
        members.setdefault(str(row[column] or "Không rõ"), []).append(row)
    found = []
    for name, of_area in members.items():
        reached = [level_of(row, content.policy) for row in of_area]
        missing = sum(whole(row, "n_missing_to_assess") for row in of_area)
        found.append(Area(name, len(of_area), [reached.count(level) for level in reversed(LEVELS)], missing))
    return heading_of(_TABLE, column), found


def month_map(content: Content) -> Markup:
    """The communes that have a place, each a sign of its level; empty where the registry tells no places."""
    rows = [row for row in content.rows(_TABLE, "mobile") if row["commune_code"] in content.places]
    rows.sort(key=lambda row: str(row["commune_code"]))
    symbols = [
        Symbol(content.places[str(row["commune_code"])], level_of(row, content.policy), _title(row, content.policy))
        for row in rows
    ]
    of_district: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["district_name"]:
            of_district.setdefault(str(row["district_name"]), []).append(content.places[str(row["commune_code"])])
    counts = "; ".join(f"{level.wording}: {number(level.n_communes)} đơn vị" for level in levels(content))
    title = f"Sơ đồ các đơn vị cấp xã theo số lượt đo di động tháng {month_text(content.month)}"
    return commune_map(
        symbols,
        {_short(name): places for name, places in of_district.items()},
        title,
        f"{counts}. Số liệu từng đơn vị ở bảng các đơn vị cấp xã.",
    )


def _title(row: Row, policy: WorkbookPolicy) -> str:
    where = f", {row['district_name']}" if row["district_name"] else ""
    text = f"{commune(row)}{where}: {number(whole(row, 'n_measurements'))} lượt đo"
    median = row["download_mbps_median"]
    if isinstance(median, (int, float)):
        return f"{text}, tải xuống trung vị {number(median, 2)} Mbps"
    return f"{text}, {shown(status(row, policy), '')}"


def _short(district: str) -> str:
    return next((district.removeprefix(prefix) for prefix in _PREFIXES if district.startswith(prefix)), district)


def _figure(row: Row, column: str, kind: str, marks: dict[str, str]) -> Cell:
    if column == "interval":
        low = row["download_mbps_ci_low"]
        if text := interval(row):
            return Cell(text, low if isinstance(low, (int, float)) else None, is_figure=True)
        return Cell(told(figure(row, "download_mbps_ci_low"), marks), is_figure=True)
    value = figure(row, column)
    if not isinstance(value, (int, float)):
        return Cell(told(value, marks), is_figure=True)
    text = shown(value, kind)
    if column == "download_mbps_median_change" and (sign := CHANGE_SIGNS.get(str(row["change_sign"]))):
        text = f"{told(sign, marks)} {text}"
    return Cell(text, value, is_figure=True)
