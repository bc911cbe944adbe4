"""How far communes are: from 300 measurements, from 30, below, none. Charts and map show them in this order."""

from __future__ import annotations

from ispeed.workbook.content import WorkbookPolicy


def level_names(policy: WorkbookPolicy) -> tuple[str, str, str, str]:
    """The four levels, most measurements first, as headings."""
    publish, assess = policy.publish_minimum, policy.assess_minimum
    return (
        f"Từ {assess} lượt đo",
        f"{publish}–{assess - 1} lượt đo",
        f"1–{publish - 1} lượt đo",
        "Chưa có lượt đo",
    )


def level_of(n_measurements: int, policy: WorkbookPolicy) -> int:
    """The place among `level_names` of so many measurements."""
    if n_measurements >= policy.assess_minimum:
        return 0
    if n_measurements >= policy.publish_minimum:
        return 1
    return 2 if n_measurements else 3
