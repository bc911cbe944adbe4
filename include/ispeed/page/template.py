"""How the shared folder's pages are rendered: templates of `include/pages/share`, and what they write in Vietnamese."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ispeed.months import Month
from ispeed.settings import INCLUDE
from ispeed.workbook.content import Row
from ispeed.workbook.marks import CHANGE_SIGNS, Mark
from ispeed.workbook.wording import SAMPLE_MARK, day_text, month_text, number, percent

# What each kind of column shows of a number; a text stays as it is.
_DECIMALS: Final = {"count": 0, "speed": 2, "change": 2}


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what it shows, and by which number its column is sorted (None: last)."""

    text: str
    key: float | None = None
    is_figure: bool = False


def render(template: str, **values: Any) -> str:
    """The page of a template; every value is escaped but the drawings."""
    return _ENVIRONMENT.get_template(template).render(**values)


def shown(value: object, kind: str) -> str:
    """A figure as a Vietnamese reader writes it; the text of a mark; any other text as it is."""
    if isinstance(value, Mark):
        return value.text
    if isinstance(value, (int, float)) and kind == "share":
        return percent(value)
    if isinstance(value, (int, float)) and kind in _DECIMALS:
        text = number(abs(value), _DECIMALS[kind])
        sign = "−" if value < 0 else "+" if value > 0 and kind == "change" else ""
        return sign + text
    return str(value)


def told(value: object, marks: dict[str, str], kind: str = "") -> str:
    """What is shown of a value; a mark goes into `marks`, for the key."""
    if isinstance(value, Mark):
        marks[value.text] = value.meaning
    return shown(value, kind)


def interval(row: Row, metric: str = "download_mbps") -> str:
    """The 95 % interval of a median: "53,10–55,20"; empty where there is none."""
    low, high = row[f"{metric}_ci_low"], row[f"{metric}_ci_high"]
    if isinstance(low, (int, float)) and isinstance(high, (int, float)):
        return f"{number(low, 2)}–{number(high, 2)}"
    return ""


def key_list(marks: Mapping[str, str]) -> list[tuple[str, str]]:
    """Marks and what they mean, in the order of their texts; the signs of changes first."""
    signs = [mark.text for mark in CHANGE_SIGNS.values()]
    return sorted(marks.items(), key=lambda mark: (mark[0] not in signs, mark[0]))


def file_size(n_bytes: int) -> str:
    """A size for readers: "45 KB", "1,2 MB"."""
    return f"{number(n_bytes / 1_000_000, 1)} MB" if n_bytes >= 999_500 else f"{number(max(1, n_bytes / 1000))} KB"


def _month(month: object) -> str:
    return month_text(month) if isinstance(month, Month) else f"{month:%m/%Y}"


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(INCLUDE / "pages" / "share"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "number": number,
    "percent": percent,
    "month": _month,
    "day": day_text,
    "size": file_size,
    # Names of files are whatever somebody called them.
    "link": lambda path: quote(str(path)),
}
_ENVIRONMENT.globals |= {"SAMPLE_MARK": SAMPLE_MARK}
