"""A number of people as somebody typed it: whole, or told why it is none. Nothing is guessed."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any, Final

from ispeed.returns.grids import Cell, NoResult

MOST: Final = 1_000_000
_PEOPLE: Final = re.compile(
    r"(?P<number>[0-9][0-9., ]*?)\s*(?:người|nguời|ng|cán bộ|cb|đồng chí|đ/c|nhân viên|nv)?\s*\.?", re.IGNORECASE
)
_THOUSANDS: Final = re.compile(r"[0-9]{1,3}(?:([., ])[0-9]{3})(?:\1[0-9]{3})*")
_WHOLE: Final = re.compile(r"([0-9]+)(?:[.,]0{1,2})?")


def count_of(cell: Cell) -> int | str:
    """The number of people that a cell says, or in Vietnamese what it says instead."""
    value: Any = cell.value
    if isinstance(value, NoResult):
        return "công thức chưa được tính nên không có kết quả"
    if isinstance(value, bool):
        return "giá trị đúng/sai"
    if isinstance(value, (int, float)):
        return _of_number(float(value), cell.is_percent)
    if not isinstance(value, str):
        return f"ngày tháng hoặc giờ ({value})"
    return _of_text(value)


def _of_number(value: float, is_percent: bool) -> int | str:
    if not math.isfinite(value):
        return "một số không xác định"
    shown = f"{value:g}".replace(".", ",")
    if is_percent or 0 < value < 1:
        return f"tỷ lệ ({value * 100:g}%) thay cho số người".replace(".", ",")
    if value != int(value):
        return f"{shown}, không phải số nguyên"
    return _in_bounds(int(value))


def _of_text(text: str) -> int | str:
    plain = " ".join(unicodedata.normalize("NFKC", text).split()).lstrip("'")
    if "%" in plain:
        return f"tỷ lệ (“{plain}”) thay cho số người"
    match = _PEOPLE.fullmatch(plain)
    if match is None:
        return f"“{plain[:80]}”"
    number = match["number"].strip()
    if _THOUSANDS.fullmatch(number):
        return _in_bounds(int(re.sub(r"[., ]", "", number)))
    whole = _WHOLE.fullmatch(number)
    if whole is None:
        return f"“{plain[:80]}”, không phải số nguyên"
    return _in_bounds(int(whole[1]))


def _in_bounds(value: int) -> int | str:
    if value < 0:
        return f"{value}, nhỏ hơn 0"
    return value if value <= MOST else f"{value}, quá lớn"
