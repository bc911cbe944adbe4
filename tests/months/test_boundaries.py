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

OCTOBER, NOVEMBER, DECEMBER, AUGUST = Month(2024, 10), Month(2024, 11), Month(2024, 12), Month(2025, 8)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_in(tmp_path_factory.mktemp("boundaries"))
    make_exports(settings, [OCTOBER, NOVEMBER, DECEMBER, AUGUST], n_rows=4_000)
    sync_registry(settings)
    for month in (OCTOBER, NOVEMBER, DECEMBER, AUGUST):
        run_steps(settings, month)
    return settings


def communes(settings: Settings, month: Month) -> dict[str, dict[str, Any]]:
    rows = Database(settings.database_url).rows("report_commune_month", month, 1)
    return {row["commune_code"]: row for row in rows if row["network"] == "mobile"}


@pytest.mark.parametrize(("month", "n"), [(OCTOBER, 139), (NOVEMBER, 132), (DECEMBER, 132), (AUGUST, 65)], ids=str)
def test_a_month_has_the_units_of_its_time(published: Settings, month: Month, n: int) -> None:
    assert len(communes(published, month)) == n


def test_code_22366_is_three_units(published: Settings) -> None:
    """Phường Phước Tiến in 10/2024, phường Tân Tiến in 12/2024, phường Nha Trang in 08/2025."""
    found = {month: communes(published, month)["22366"] for month in (OCTOBER, DECEMBER, AUGUST)}
    assert [(row["kind"], row["commune_name"], row["district_name"]) for row in found.values()] == [
        ("phường", "Phước Tiến", "Thành phố Nha Trang"),
        ("phường", "Tân Tiến", "Thành phố Nha Trang"),
        ("phường", "Nha Trang", None),
    ]
    assert all(row["n_measurements"] > 0 for row in found.values())


def test_the_codes_that_22366_held_are_three_codes_of_three_units(published: Settings) -> None:
    database = Database(published.database_url)
    names = {}
    for month in (OCTOBER, DECEMBER, AUGUST):
        rows = database.rows("report_referral_code_month", month, 1)
        names |= {
            (month, row["referral_code"]): row["holder_name"]
            for row in rows
            if row["holder_code"] == "22366" and row["network"] == "mobile" and row["referral_code"][-1] in "ABC"
        }
    assert names[OCTOBER, "MAU-22366-A"] == "Phường Phước Tiến"
    assert names[DECEMBER, "MAU-22366-B"] == "Phường Tân Tiến"
    assert names[AUGUST, "MAU-22366-C"] == "Phường Nha Trang"


def test_both_van_thanh_stay_apart(published: Settings) -> None:
    """Phường Vạn Thạnh of Nha Trang and xã Vạn Thạnh of Vạn Ninh; in 08/2025 neither is left."""
    for month in (OCTOBER, DECEMBER):
        found = {
            row["commune_code"]: (row["kind"], row["district_name"], row["n_measurements"] > 0)
            for row in communes(published, month).values()
            if row["commune_name"] == "Vạn Thạnh"
        }
        assert found == {
            "22348": ("phường", "Thành phố Nha Trang", True),
            "22519": ("xã", "Huyện Vạn Ninh", True),
        }
    assert "Vạn Thạnh" not in {row["commune_name"] for row in communes(published, AUGUST).values()}


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
    assert {row["change_reason"] for row in communes(published, AUGUST).values()} == {"no_previous_month"}


def test_from_july_2025_there_are_no_districts(published: Settings) -> None:
    assert {row["district_code"] for row in communes(published, AUGUST).values()} == {None}
