"""The pages of a month's quality, in Vietnamese, as they stand in Airflow: plain HTML without scripts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ispeed.checks import row_reasons
from ispeed.data_docs import STYLE
from ispeed.months import LOCAL_ZONE
from ispeed.quality import MonthQuality
from ispeed.settings import INCLUDE
from ispeed.workbook.wording import ACTIONS, COLUMNS, SAMPLE_MARK, SEVERITIES, TABLES, month_text, number, percent

# As the DAGs show them; a test compares.
TASKS: Final = {
    "land": "Lưu tệp nguyên bản",
    "stage_files": "Đọc từng dòng",
    "check_staging": "Kiểm tra chất lượng, cách ly dòng lỗi",
    "build_core": "Gắn với danh mục theo ngày đo",
    "build_reports": "Tính các bảng báo cáo",
    "check_reports": "Kiểm tra các bảng báo cáo",
    "write_workbooks": "Viết sổ Excel",
    "publish": "Phát hành vào thư mục dùng chung",
}
_ROW: Final = re.compile(r"(.+) row (\d+)", re.DOTALL)


def month_page(quality: MonthQuality) -> str:
    """Everything that is noted of one month. Its links lead to `data-docs/` and `rN/data-docs/` below its address."""
    return _render(
        "month.html",
        f"Chất lượng dữ liệu tháng {month_text(quality.month)}",
        quality=quality,
        reasons={reason: wording for _, reason, wording in row_reasons()},
    )


def months_page(months: Sequence[MonthQuality]) -> str:
    """A line a month, to see where each stands; its links lead to `YYYY-MM/` below its address."""
    return _render("months.html", "Chất lượng dữ liệu theo tháng", months=months)


def message_page(title: str, text: str, link: tuple[str, str] | None = None) -> str:
    """A page that only says something; `link` is an address and what it is called."""
    return _render("message.html", title, text=text, link=link)


def _render(template: str, title: str, **values: Any) -> str:
    return _ENVIRONMENT.get_template(template).render(title=title, style=STYLE, **values)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(ZoneInfo(LOCAL_ZONE)):%H:%M %d/%m/%Y}"


def _places(examples: Sequence[str]) -> list[str]:
    """Examples for readers: `a.csv row 7` and `a.csv row 9`, as the checks note rows, become one line of the file."""
    rows: dict[str, list[str]] = {}
    others = []
    for example in examples:
        if place := _ROW.fullmatch(example):
            rows.setdefault(place[1], []).append(place[2])
        else:
            others.append(example)
    return [f"Ví dụ: {file}, dòng {', '.join(numbers)}" for file, numbers in rows.items()] + others


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(INCLUDE / "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "number": number,
    "percent": percent,
    "month": month_text,
    "moment": _moment,
    "places": _places,
}
_ENVIRONMENT.globals |= {
    "TASKS": TASKS,
    "TABLES": TABLES,
    "ACTIONS": ACTIONS,
    "SEVERITIES": SEVERITIES,
    "COLUMNS": COLUMNS,
    "SAMPLE_MARK": SAMPLE_MARK,
}
