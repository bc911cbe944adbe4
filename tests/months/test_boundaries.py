"""Months on the maps of their time: 139 communes in 10/2024, 132 from 11/2024, 65 from 07/2025."""

from __future__ import annotations

from typing import Any

import pytest

from ispeed.database import Database
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.sample import make_exports
from ispeed.settings import Settings
from pipeline import run_steps, settings_in

OCTOBER, NOVEMBER, JULY = Month(2024, 10), Month(2024, 11), Month(2025, 7)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_in(tmp_path_factory.mktemp("boundaries"))
    make_exports(settings, [OCTOBER, NOVEMBER, JULY], n_rows=4_000)
    sync_registry(settings)
    for month in (OCTOBER, NOVEMBER, JULY):
        run_steps(settings, month)
    return settings


def communes(settings: Settings, month: Month) -> dict[str, dict[str, Any]]:
    rows = Database(settings.database_url).rows("report_commune_month", month, 1)
    return {row["commune_code"]: row for row in rows if row["network"] == "mobile"}


@pytest.mark.parametrize(("month", "n"), [(OCTOBER, 139), (NOVEMBER, 132), (JULY, 65)], ids=str)
def test_a_month_has_the_units_of_its_time(published: Settings, month: Month, n: int) -> None:
    assert len(communes(published, month)) == n


def test_one_code_is_three_units(published: Settings) -> None:
    names = [communes(published, month)["22366"]["commune_name"] for month in (OCTOBER, NOVEMBER, JULY)]
    assert names == ["Phước Tiến", "Tân Tiến", "Nha Trang"]


def test_a_code_with_another_meaning_is_not_compared_with_the_month_before(published: Settings) -> None:
    november = communes(published, NOVEMBER)
    assert november["22366"]["change_reason"] == "new_unit"
    assert november["22366"]["download_mbps_median_change"] is None
    unchanged = [row for row in november.values() if row["change_reason"] is None]
    october = communes(published, OCTOBER)
    assert unchanged
    for row in unchanged:
        before = october[row["commune_code"]]
        assert before["commune_name"] == row["commune_name"]
        change = row["download_mbps_median"] - before["download_mbps_median"]
        assert row["download_mbps_median_change"] == pytest.approx(change, abs=1e-9)


def test_without_the_month_before_there_is_a_reason_instead_of_a_change(published: Settings) -> None:
    assert {row["change_reason"] for row in communes(published, JULY).values()} == {"no_previous_month"}


def test_from_july_2025_there_are_no_districts(published: Settings) -> None:
    assert {row["district_code"] for row in communes(published, JULY).values()} == {None}
