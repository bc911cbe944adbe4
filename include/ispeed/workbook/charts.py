"""The charts: their figures stand in the blocks of Tổng quan, which nobody sorts or filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any, Final, cast

from xlsxwriter import Workbook
from xlsxwriter.chart import Chart
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from ispeed.workbook.style import BLUE, COUNT, FONT, NAVY, PALE

OVERVIEW: Final = "Tổng quan"

# Dark to light, so that the order also shows in black and white; the last is told by its outline.
_SHADES: Final = (NAVY, BLUE, PALE, "#FFFFFF")
_TEXT_ON: Final = ("#FFFFFF", "#000000", "#000000", "#000000")
_HIDE_ZERO: Final = f"{COUNT};;"


@dataclass(frozen=True)
class Block:
    """Rows of figures on Tổng quan: first and last row, the column of the labels and those of the figures, from 0.

    `whiskers` are the columns of how far the interval of each figure reaches down and up.
    """

    first_row: int
    last_row: int
    labels: int
    figures: tuple[int, ...]
    headings: tuple[str, ...]
    whiskers: tuple[tuple[int, int], ...] = ()

    def cells(self, column: int) -> list[str | int]:
        return [OVERVIEW, self.first_row, column, self.last_row, column]

    def reference(self, column: int) -> str:
        """The same as a formula: LibreOffice draws whiskers only from cells."""
        name = xl_col_to_name(column)
        return f"='{OVERVIEW}'!${name}${self.first_row + 1}:${name}${self.last_row + 1}"


def insert_chart(
    sheet: Worksheet,
    row: int,
    column: int,
    chart: Chart,
    size: tuple[int, int],
    alt_text: str,
    offset: tuple[int, int] = (0, 2),
) -> None:
    """Place a chart of so many pixels, so many right of and below a cell, that says in words what it shows."""
    chart.set_size({"width": size[0], "height": size[1]})
    sheet.insert_chart(
        row,
        column,
        chart,
        {"description": alt_text, "object_position": 2, "x_offset": offset[0], "y_offset": offset[1]},
    )


def progress_chart(book: Workbook, block: Block, title: str, legend: str = "right") -> Chart:
    """Bars of communes by district, stacked by how many measurements they have."""
    chart = new_chart(book, {"type": "bar", "subtype": "stacked"})
    for index, (column, heading) in enumerate(zip(block.figures, block.headings, strict=True)):
        chart.add_series(
            {
                "name": heading,
                "categories": block.cells(block.labels),
                "values": block.cells(column),
                "fill": {"color": _SHADES[index]},
                "border": {"color": NAVY, "width": 0.75},
                "gap": 40,
                "data_labels": {
                    "value": True,
                    "num_format": _HIDE_ZERO,
                    "position": "center",
                    "font": font(8, color=_TEXT_ON[index]),
                },
            }
        )
    dress(chart, title, legend=legend)
    chart.set_y_axis(
        {"reverse": True, "num_font": font(8), "line": {"color": NAVY}, "major_tick_mark": "none", "interval_unit": 1}
    )
    chart.set_x_axis({"visible": False, "major_gridlines": {"visible": False}, "num_format": COUNT})
    return chart


def count_chart(book: Workbook, block: Block, title: str) -> Chart:
    """Plain bars of one count each."""
    chart = new_chart(book, {"type": "bar"})
    chart.add_series(
        {
            "name": block.headings[0],
            "categories": block.cells(block.labels),
            "values": block.cells(block.figures[0]),
            "fill": {"color": BLUE},
            "border": {"color": NAVY, "width": 0.75},
            "gap": 40,
            "data_labels": {"value": True, "num_format": COUNT, "position": "outside_end", "font": font(9)},
        }
    )
    dress(chart, title, legend=None)
    chart.set_y_axis(
        {"reverse": True, "num_font": font(9), "line": {"color": NAVY}, "major_tick_mark": "none", "interval_unit": 1}
    )
    chart.set_x_axis({"visible": False, "major_gridlines": {"visible": False}, "num_format": COUNT, "min": 0})
    return chart


def operators_chart(book: Workbook, block: Block, title: str) -> Chart:
    """Columns of median download by operator, one series a technology, with the interval as whiskers."""
    chart = new_chart(book, {"type": "column"})
    for column, heading, (down, up), fill in zip(
        block.figures, block.headings, block.whiskers, (BLUE, NAVY), strict=True
    ):
        chart.add_series(
            {
                "name": heading,
                "categories": block.cells(block.labels),
                "values": block.cells(column),
                "fill": {"color": fill},
                "border": {"color": NAVY, "width": 0.75},
                "gap": 60,
                "overlap": -5,
                "data_labels": {
                    "value": True,
                    "num_format": f"{COUNT};;",
                    "position": "inside_base",
                    "font": font(9, bold=True),
                    "fill": {"color": "#FFFFFF"},
                    "border": {"color": NAVY, "width": 0.5},
                },
                "y_error_bars": {
                    "type": "custom",
                    "plus_values": block.reference(up),
                    "minus_values": block.reference(down),
                    "line": {"color": "#000000", "width": 1},
                },
            }
        )
    dress(chart, title, legend="bottom")
    chart.set_x_axis({"num_font": font(9), "line": {"color": NAVY}, "major_tick_mark": "none", "interval_unit": 1})
    chart.set_y_axis(
        {
            "num_font": font(9),
            "num_format": COUNT,
            "min": 0,
            "major_gridlines": {"visible": True, "line": {"color": "#D9D9D9", "width": 0.5}},
            "line": {"none": True},
            "name": "Mbps",
            "name_font": font(9),
        }
    )
    return chart


def operator_bars(book: Workbook, block: Block, title: str) -> Chart:
    """The same medians as bars with their figures, for a small space."""
    chart = new_chart(book, {"type": "bar"})
    for column, heading, fill in zip(block.figures, block.headings, (BLUE, NAVY), strict=False):
        chart.add_series(
            {
                "name": heading,
                "categories": block.cells(block.labels),
                "values": block.cells(column),
                "fill": {"color": fill},
                "border": {"color": NAVY, "width": 0.75},
                "gap": 30,
                "data_labels": {"value": True, "num_format": _HIDE_ZERO, "position": "outside_end", "font": font(8)},
            }
        )
    dress(chart, title, legend="right")
    chart.set_y_axis(
        {
            "reverse": True,
            "num_font": font(8),
            "line": {"color": NAVY},
            "major_tick_mark": "none",
            "interval_unit": 1,
        }
    )
    chart.set_x_axis({"visible": False, "major_gridlines": {"visible": False}, "num_format": COUNT, "min": 0})
    return chart


def waterfall_chart(book: Workbook, block: Block, kept: Sequence[int], removed: Sequence[int], title: str) -> Chart:
    """Rows received, what each reason took away, rows accepted.

    The first and the last bar stand on the axis; between them what is left carries the removed part and is not drawn.
    The axis begins below the accepted rows, as its name says: removed rows are a few in a hundred.
    """
    last = len(kept) - 1
    left, taken = block.figures
    start = axis_start(kept[0], kept[last])
    ends = (0, last)
    chart = new_chart(book, {"type": "bar", "subtype": "stacked"})
    chart.add_series(
        {
            "name": block.headings[0],
            "categories": block.cells(block.labels),
            "values": block.cells(left),
            "fill": {"color": NAVY},
            "gap": 35,
            "points": [
                {"fill": {"color": NAVY}} if index in ends else {"fill": {"none": True}, "border": {"none": True}}
                for index in range(last + 1)
            ],
            "data_labels": {
                "value": True,
                "position": "inside_end",
                "font": font(8),
                "custom": [
                    {
                        "value": _grouped(kept[index]) if index in ends else f"−{_grouped(removed[index])}",
                        "font": font(8, color="#FFFFFF" if index in ends else "#000000", bold=index in ends),
                    }
                    for index in range(last + 1)
                ],
            },
        }
    )
    chart.add_series(
        {
            "name": block.headings[1],
            "categories": block.cells(block.labels),
            "values": block.cells(taken),
            "fill": {"color": BLUE},
            "border": {"color": NAVY, "width": 0.75},
        }
    )
    dress(chart, title, legend=None)
    chart.set_y_axis(
        {
            "reverse": True,
            "num_font": font(8),
            "line": {"color": NAVY},
            "major_tick_mark": "none",
            "interval_unit": 1,
            "crossing": "max",
        }
    )
    chart.set_x_axis(
        {
            "min": start,
            "label_position": "none",
            "major_gridlines": {"visible": True, "line": {"color": "#E3E3E3", "width": 0.5}},
            "major_tick_mark": "none",
            "line": {"none": True},
            "name": f"Số dòng; trục bắt đầu từ {_grouped(start)}" if start else "Số dòng",
            "name_font": font(8),
        }
    )
    return chart


def new_chart(book: Workbook, options: dict[str, str]) -> Chart:
    """An empty chart of a type."""
    return cast(Chart, book.add_chart(options))


def axis_start(received: int, accepted: int) -> int:
    """A round number a little below the accepted rows, or 0 where the removed part shows anyway."""
    removed = received - accepted
    if removed <= 0 or removed * 4 >= received:
        return 0
    step = 10 ** floor(log10(removed))
    return max(0, int((accepted - removed) // step * step))


def _grouped(value: int) -> str:
    return f"{value:,}".replace(",", ".")


def dress(chart: Chart, title: str, *, legend: str | None) -> None:
    """Title, legend and frame as all charts have them."""
    chart.set_title({"name": title, "name_font": font(10.5, bold=True, color=NAVY), "overlay": False})
    if legend:
        chart.set_legend({"position": legend, "font": font(9)})
    else:
        chart.set_legend({"none": True})
    chart.set_chartarea({"border": {"color": "#BFBFBF", "width": 0.75}, "fill": {"color": "#FFFFFF"}})
    # A reader's filter on a sheet must not take bars out of a chart.
    chart.show_hidden_data()


def font(size: float, **look: Any) -> dict[str, Any]:
    """The house's letters of a size in points."""
    return {"name": FONT, "size": size, "bold": False, "color": "#000000", **look}
