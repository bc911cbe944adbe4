from __future__ import annotations

from datetime import date

import pytest

from ispeed.errors import UserError
from ispeed.months import Month, parse_day


@pytest.mark.parametrize("text", ["2024-13", "2024-0", "24-10", "2024-10-01", "2024/10", "", " 2024-10", "2024-10\n"])
def test_only_a_year_and_a_month_are_a_month(text: str) -> None:
    with pytest.raises(UserError, match="YYYY-MM"):
        Month.parse(text)


@pytest.mark.parametrize("text", ["2025-07", "2025-07-32", "01/07/2025", "20250701", "2025-W27-2", "", "2025-07-01\n"])
def test_only_a_year_a_month_and_a_day_are_a_day(text: str) -> None:
    assert parse_day("2025-07-01") == date(2025, 7, 1)
    with pytest.raises(UserError, match="YYYY-MM-DD"):
        parse_day(text)


def test_a_month_knows_its_neighbours_and_days() -> None:
    january = Month.parse("2024-01")
    assert str(january.previous) == "2023-12"
    assert str(Month.parse("2024-12").next) == "2025-01"
    assert Month.parse("2024-02").last_day == date(2024, 2, 29)
    assert str(january) == "2024-01"
