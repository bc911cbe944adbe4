"""41,236 real M-Lab tests of 2019 (CC0), read month by month through `include/sources/mlab_ndt.yaml`.

The file lies outside the project; where it is missing, these tests say so and are skipped. It has download and RTT
only, a date without a time, and a city of another country instead of a commune.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

FILE = Path(__file__).parents[2] / ".." / "shared" / "real_exports" / "mlab_ndt_download_2019.csv"
MONTHS = tuple(f"2019-{number:02d}" for number in range(1, 13))
MEASURED = ["date", "ip", "MeanThroughputMbps", "MinRTT", "City", "ProviderName"]  # the columns of the contract
Tables = dict[str, list[dict[str, Any]]]
Run = Callable[..., Tables]

MISSING = "../shared/real_exports/mlab_ndt_download_2019.csv is not here"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason=MISSING)


def expected_outcomes(rows: pd.DataFrame, month: str) -> dict[tuple[str, str], int]:
    """Counts by (outcome, reason), zeros left out: other month, then duplicate, then implausible."""
    inside = rows[rows["date"].str.startswith(month)]
    again = inside.duplicated(MEASURED)
    speed, ping = inside["MeanThroughputMbps"].astype(float), inside["MinRTT"].astype(float)
    implausible = ~again & ~((speed > 0) & (speed <= 10_000) & (ping > 0) & (ping <= 60_000))
    accepted = int((~again & ~implausible).sum())
    counts = {
        ("raw", ""): len(rows),
        ("accepted", ""): accepted,
        ("quarantined", "other_month"): len(rows) - len(inside),
        ("quarantined", "duplicate"): int(again.sum()),
        ("quarantined", "implausible_value"): int(implausible.sum()),
        ("flagged", "unknown_commune"): accepted,
        ("flagged", "unknown_operator"): accepted,
    }
    return {key: n for key, n in counts.items() if n}


def seen_outcomes(tables: Tables) -> dict[tuple[str, str], int]:
    rows = tables["report_quality_month"]
    return {(row["outcome"], row["reason"] or ""): row["n_rows"] for row in rows if row["n_rows"]}


def assert_adds_up(outcomes: dict[tuple[str, str], int]) -> None:
    quarantined = sum(n for (outcome, _), n in outcomes.items() if outcome == "quarantined")
    assert outcomes[("raw", "")] == outcomes.get(("accepted", ""), 0) + quarantined


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.read_csv(FILE, dtype=str, keep_default_na=False)


@pytest.mark.parametrize("month", MONTHS)
def test_every_row_of_a_month_is_accounted_for(run_month: Run, rows: pd.DataFrame, month: str) -> None:
    part = rows[rows["date"].str.startswith(month)]
    seen = seen_outcomes(run_month(part.to_csv(index=False), {}, month=month, source="mlab_ndt"))
    assert_adds_up(seen)
    assert seen == expected_outcomes(part, month)


def test_the_whole_file_in_one_month_puts_the_others_aside(run_month: Run, rows: pd.DataFrame) -> None:
    seen = seen_outcomes(run_month(FILE.read_bytes(), {}, month="2019-03", source="mlab_ndt"))
    assert_adds_up(seen)
    assert seen == expected_outcomes(rows, "2019-03")


def test_the_months_hold_the_whole_file(rows: pd.DataFrame) -> None:
    assert sum(rows["date"].str.startswith(month).sum() for month in MONTHS) == len(rows) == 41_236
