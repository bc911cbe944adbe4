"""What a filled form says, wherever its cells came to lie: found by the words beside them, never by their place.

`read_forms` is called in a reading process (`ispeed.child`): the file is a stranger's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.returns.figures import count_of
from ispeed.returns.form import FIGURES, FormCode, find_code
from ispeed.returns.grids import Cell, Grid, NoResult, read_grids
from ispeed.settings import Settings
from ispeed.text import fold

_LABELS: Final = {
    "headcount": re.compile(r"(?:\d[.)]?\s*)?tổng số .*(?:cán bộ|công chức|viên chức|người lao động)"),
    "n_installed": re.compile(r"(?:\d[.)]?\s*)?số người đã cài đặt"),
    "n_measured": re.compile(r"(?:\d[.)]?\s*)?số người đã (?:thực hiện )?đo\b"),
}
_NUMBER_HEADING, _SHARE_HEADING = "số lượng", "tỷ lệ"
_MONTH: Final = re.compile(r"tháng\s*(1[0-2]|0?[1-9])\s*[/.-]\s*(20\d\d)")
_NAME: Final = re.compile(r"cơ quan, đơn vị\s*:\s*(.+)")


@dataclass(frozen=True)
class Figure:
    """One of the three: the number, or what stands in its place. `place` is its cell; empty where there is none."""

    value: int | None
    place: str
    problem: str = ""


@dataclass(frozen=True)
class Filled:
    """One form in a file. Its code may be gone: then `name` and `month_told` are what else says whose it is."""

    sheet: str
    is_hidden: bool
    code: FormCode | None
    name: str
    month_told: str
    figures: Mapping[str, Figure]

    @property
    def is_empty(self) -> bool:
        return all(figure.value is None and not figure.problem for figure in self.figures.values())


def read_forms(settings: Settings, path: Path, name: str) -> list[Filled]:
    """The forms in a file, a sheet each. Raises `UserError` where the file cannot be read or holds none."""
    grids = read_grids(settings, path, name)
    forms = [form for grid in grids if (form := _form_in(grid)) is not None]
    if not forms:
        sheets = ", ".join(f"“{grid.title}”" for grid in grids if grid.title)
        raise UserError(
            name,
            "không thấy biểu mẫu" + (f" ở trang nào ({sheets})" if sheets else ""),
            "dòng “Mã phiếu” và ba dòng số của biểu mẫu",
            "điền vào đúng tệp biểu mẫu xlsx đã nhận rồi gửi lại",
        )
    return forms


def _form_in(grid: Grid) -> Filled | None:
    code: FormCode | None = None
    name, month = "", ""
    labels: dict[str, Cell] = {}
    for cell in grid.cells:
        text = cell.text
        code = code or find_code(text)
        folded = fold(text)
        if not name and (found := _NAME.match(folded)):
            name = found[1]
        if not month and (told := _MONTH.search(folded)):
            month = str(Month(int(told[2]), int(told[1])))
        for figure, pattern in _LABELS.items():
            if figure not in labels and pattern.match(folded):
                labels[figure] = cell
    if code is None and len(labels) < len(_LABELS):
        return None
    numbers, shares = _columns(grid, labels)
    figures = {figure: _figure(grid, labels.get(figure), numbers, shares) for figure in FIGURES}
    return Filled(grid.title, grid.is_hidden, code, name, month, figures)


def _columns(grid: Grid, labels: Mapping[str, Cell]) -> tuple[range | None, range | None]:
    """The columns under the headings of numbers and shares, by the last such heading above the first label."""
    first = min((cell.row for cell in labels.values()), default=0)
    found: dict[str, range] = {}
    for cell in grid.cells:
        if cell.row < first:
            for heading in (_NUMBER_HEADING, _SHARE_HEADING):
                if fold(cell.text).startswith(heading):
                    left, _, right, _ = grid.area_of(cell)
                    found[heading] = range(left, right + 1)
    return found.get(_NUMBER_HEADING), found.get(_SHARE_HEADING)


def _figure(grid: Grid, label: Cell | None, numbers: range | None, shares: range | None) -> Figure:
    if label is None:
        return Figure(None, "", "mất dòng này trong biểu mẫu")
    _, top, right, bottom = grid.area_of(label)
    beside = [cell for cell in grid.cells if top <= cell.row <= bottom and cell.column > right and cell.text != "–"]
    filled = [cell for cell in beside if cell.text.strip() or isinstance(cell.value, NoResult)]
    if numbers is None:
        found: Sequence[Cell] = filled[:1]
    else:
        found = [cell for cell in filled if _reaches(grid, cell, numbers)]
    if found:
        count = count_of(found[0])
        place = found[0].place
        return Figure(None, place, count) if isinstance(count, str) else Figure(count, place)
    for cell in filled:
        if shares is not None and _reaches(grid, cell, shares):
            if _is_typed(cell):
                return Figure(None, cell.place, f"chỉ có tỷ lệ ({cell.text[:20]}), không có số người")
        elif not isinstance(count_of(cell), str):
            return Figure(None, cell.place, f"số {cell.text} nằm ngoài cột “Số lượng”")
    return Figure(None, "")


def _reaches(grid: Grid, cell: Cell, columns: range) -> bool:
    left, _, right, _ = grid.area_of(cell)
    return left < columns.stop and right >= columns.start


def _is_typed(cell: Cell) -> bool:
    """Whether a share was typed: those of the form itself have nothing to show without numbers."""
    return bool(cell.text.strip()) and cell.value not in (0, "0", "0%", "-")
