"""A symbol for each commune about where it lies, by how many measurements it has: a scatter chart without axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from xlsxwriter import Workbook
from xlsxwriter.chart import Chart

from ispeed.commune_map import Point
from ispeed.workbook.appendices import commune_order
from ispeed.workbook.charts import Block, dress, font, new_chart
from ispeed.workbook.content import Content, Row
from ispeed.workbook.levels import level_names, level_of
from ispeed.workbook.page import Page, lay_block
from ispeed.workbook.sentences import commune, whole
from ispeed.workbook.style import BLUE, NAVY
from ispeed.workbook.table_sheet import Link

TITLE: Final = "Các đơn vị cấp xã theo mức lượt đo di động"
NOTE: Final = (
    "Sơ đồ ký hiệu: mỗi ký hiệu là một đơn vị cấp xã, đặt gần đúng nơi của đơn vị (các ký hiệu gần nhau được tách ra, "
    "đảo xa được kéo lại gần), không phải bản đồ địa giới."
)
FIGURES_TITLE: Final = "Vị trí các ký hiệu trên sơ đồ (gần đúng; phần này không in)"

# Told by shape and by shade, so that they also show in black and white; LibreOffice draws no outlines of symbols.
_SYMBOLS: Final[tuple[tuple[str, str], ...]] = (
    ("circle", NAVY),
    ("square", BLUE),
    ("diamond", "#A9C1E4"),
    ("x", "#000000"),
)
# Where the symbols stand within the chart: between its title and its legend, in parts of it.
_PLOT: Final = {"x": 0.03, "y": 0.09, "width": 0.94, "height": 0.76}
_MARGIN: Final = 0.04
_MOST_NAMED: Final = 6
_MANY: Final = 100
# What a name takes beside its symbol.
_LABEL_PX: Final = (70, 12)


@dataclass(frozen=True)
class SymbolMap:
    """The rows of each level on Tổng quan (None where it has no commune), and what may be named beside its symbols."""

    levels: tuple[Block | None, ...]
    named: tuple[tuple[tuple[str, Point], ...], ...]
    bounds: tuple[float, float, float, float]
    alt_text: str


def has_map(content: Content) -> bool:
    """Whether the places of communes make a map: at least two are known."""
    return len(_placed(content)) > 1


def _placed(content: Content) -> list[Row]:
    return [row for row in content.rows("report_commune_month", "mobile") if row["commune_code"] in content.places]


def lay_symbol_places(page: Page, content: Content, communes: Mapping[str, Link]) -> SymbolMap | None:
    """The figures behind the map, a row a commune that leads to its row of Phụ lục I; None where no place is known."""
    if not has_map(content):
        return None
    rows = _placed(content)
    levels = level_names(content.policy)
    level = {str(row["commune_code"]): level_of(whole(row, "n_measurements"), content.policy) for row in rows}
    rows.sort(key=lambda row: (level[str(row["commune_code"])], commune_order(row)))
    lines: list[list[object]] = []
    for row in rows:
        code = str(row["commune_code"])
        found = communes.get(code)
        name = Link(commune(row), found.sheet, found.cell) if found else commune(row)
        lines.append([name, levels[level[code]], row["n_measurements"], *content.places[code]])
    headings = ("Đơn vị cấp xã", "Mức lượt đo", "Lượt đo", "Vị trí ngang trên sơ đồ", "Vị trí dọc trên sơ đồ")
    first, starts = lay_block(page, FIGURES_TITLE, headings, lines, ("text", "centre", "count", "any", "any"), 9, 4)
    blocks, named = [], []
    next_row = first
    for number, heading in enumerate(levels):
        members = [line for line in rows if level[str(line["commune_code"])] == number]
        last = next_row + len(members) - 1
        blocks.append(Block(next_row, last, starts[3], (starts[4],), (heading,)) if members else None)
        # Few stand out and are named; many names would lie on one another.
        few = 0 < len(members) <= _MOST_NAMED
        codes = [(str(line["commune_name"]), content.places[str(line["commune_code"])]) for line in members]
        named.append(tuple(codes) if few else ())
        next_row = last + 1
    places = [content.places[code] for code in level]
    (west, east), (south, north) = ((min(values), max(values)) for values in zip(*places, strict=True))
    counts = "; ".join(
        f"{heading.lower()}: {list(level.values()).count(place)}" for place, heading in enumerate(levels)
    )
    alt = (
        f"Biểu đồ ký hiệu: nơi của {len(rows)} đơn vị cấp xã (gần đúng) theo mức lượt đo ({counts}). "
        "Số liệu ở cuối trang Tổng quan và ở trang Tiến độ mẫu."
    )
    return SymbolMap(tuple(blocks), tuple(named), (west, east, south, north), alt)


def symbol_chart(book: Workbook, found: SymbolMap, size: tuple[int, int]) -> Chart:
    """The chart, as wide as high in degrees on its paper."""
    chart = new_chart(book, {"type": "scatter"})
    n_symbols = sum(block.last_row - block.first_row + 1 for block in found.levels if block)
    symbol_size = 5 if n_symbols > _MANY else 7
    (left, right), (low, high) = _window(found.bounds, size)
    degrees = (right - left) / (size[0] * _PLOT["width"])
    told: list[Point] = []
    for block, named, (shape, fill) in zip(found.levels, found.named, _SYMBOLS, strict=True):
        if block is None:
            continue
        series: dict[str, Any] = {
            "name": block.headings[0],
            "categories": block.cells(block.labels),
            "values": block.cells(block.figures[0]),
            "marker": {
                "type": shape,
                "size": symbol_size,
                "fill": {"color": fill},
                "border": {"color": "#000000" if shape == "x" else NAVY, "width": 1.25 if shape == "x" else 0.75},
            },
        }
        if named:
            labels = [_label(name, place, degrees, told) for name, place in named]
            series["data_labels"] = {"value": True, "position": "right", "font": font(8), "custom": labels}
        chart.add_series(series)
    dress(chart, TITLE, legend="bottom")
    chart.set_plotarea({"layout": _PLOT})
    hidden = {"visible": False, "major_gridlines": {"visible": False}}
    chart.set_x_axis({**hidden, "min": left, "max": right})
    chart.set_y_axis({**hidden, "min": low, "max": high})
    return chart


def _label(name: str, place: Point, degrees: float, told: list[Point]) -> dict[str, Any]:
    """A commune's name, or none where it would lie on one of those `told` before (XlsxWriter takes = for a formula)."""
    room_x, room_y = (pixels * degrees for pixels in _LABEL_PX)
    taken = any(abs(place[0] - x) < room_x and abs(place[1] - y) < room_y for x, y in told)
    if taken or name.startswith("="):
        return {"delete": True}
    told.append(place)
    return {"value": name, "font": font(8)}


def _window(
    bounds: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """From where to where the axes go, so that a degree is as long on both."""
    west, east, south, north = bounds
    across, up = size[0] * _PLOT["width"], size[1] * _PLOT["height"]
    degrees = max((east - west) / across, (north - south) / up, 1e-6) * (1 + 2 * _MARGIN)
    x, y = (west + east) / 2, (south + north) / 2
    half_x, half_y = degrees * across / 2, degrees * up / 2
    return (round(x - half_x, 4), round(x + half_x, 4)), (round(y - half_y, 4), round(y + half_y, 4))
