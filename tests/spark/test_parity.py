"""DuckDB and Spark: the same tables, quarantine, flags, and checks with the same counts, bit by bit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ispeed.arrivals import note_arrival
from ispeed.months import Month
from ispeed.reports import build_reports, check_reports
from ispeed.settings import Settings
from ispeed.tables import METRICS
from pipeline import PublishedDemo, built_tables, more, run_steps
from reference.test_corner_cases import HEADER
from reference.test_hand_worked import ROWS as HAND_WORKED
from spark.on_spark import BUILT, COMPUTED, IN_SHORT, OF_FORTY_ROWS, QUICK, differences, needs_spark, twin_of

pytestmark = needs_spark
REFERENCE = Path(__file__).parents[1] / "reference"
MASTER = "local[2]"


def returned(code: str, numbers: tuple[int, int, int], sent: str, *, is_late: bool = False) -> dict[str, Any]:
    headcount, n_installed, n_measured = numbers
    counts = {"headcount": headcount, "n_installed": n_installed, "n_measured": n_measured}
    named = {"organisation_code": code, "submitted_at": sent, "is_late": is_late, "source_file": f"={code}.xlsx"}
    return named | counts


def told(network: str, level: str, code: str, n_samples: int, *medians: float) -> dict[str, Any]:
    named = {"network": network, "level": level, "code": code, "atlas_n_samples": n_samples}
    return named | {f"atlas_{metric}_median": value for metric, value in zip(METRICS, medians, strict=False)}


RETURNS = {
    "asked_kinds": ["school", "commune"],
    "rows": [
        returned("DHNT", (601, 400, 7), "2024-11-08T08:30:00+07:00"),
        returned("22366", (3, 2, 1), "2024-11-11T03:59:59+07:00", is_late=True),
        returned("22363", (49, 0, 0), "2024-11-09T16:59:59+00:00"),
        # Of nobody who is asked.
        returned("LA", (9, 9, 9), "2024-11-09T16:59:59+00:00"),
    ],
    "told": [],
}
# Differences of half a hundredth, either way, among them.
ATLAS = {
    "rows": [
        told("mobile", "province", "56", 900, 50.0, 12.345, 20.0, 3.333),
        told("mobile", "commune", "22363", 11, 1.125, 12.345, 20.115, 3.005),
        told("mobile", "commune", "22366", 1, 999.995, 0.125),
        told("mobile", "commune", "22372", 0),
        told("fixed", "commune", "22363", 40, 50.0, 20.0, 30.0, 5.0),
        told("fixed", "province", "56", 40, 50.0, 20.0, 30.0, 5.0),
        told("mobile", "commune", "99999", 40, 50.0, 20.0, 30.0, 5.0),
    ],
    "told": [],
}


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for all: the engine uses the one that is there."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(MASTER)
    quick = QUICK | IN_SHORT | ({} if os.environ.get("ISPEED_TEST_ALL") else OF_FORTY_ROWS)
    for name, value in quick.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    yield
    spark.stop()


@pytest.fixture(scope="module")
def demo_twin(published_demo: PublishedDemo, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return twin_of(published_demo.settings, tmp_path_factory.mktemp("spark"), MASTER)


def note_arrivals(settings: Settings, month: Month) -> None:
    """The bodies' returns and VNNIC's figures come in, and the report tables are computed with them; every case of
    both tables is among them.
    """
    note_arrival(settings, month, "returns", RETURNS)
    note_arrival(settings, month, "atlas", ATLAS)
    run_steps(settings, month, (build_reports, check_reports))
    tables = built_tables(settings, month)
    assert {row["state"] for row in tables["report_return_month"]} == {"returned", "late", "missing"}
    of_atlas = tables["report_atlas_month"]
    assert {row["reason"] for row in of_atlas} >= {None, "atlas_no_figure", "no_samples", "not_in_registry"}
    causes = {row["likely_cause"] for row in of_atlas}
    assert causes == {None, "within_interval", "other_measurements", "other_method"}


# A check is a job or two on Spark: the report tables of one month are checked there, and those of all compared.
@pytest.mark.parametrize(
    ("month", "steps"),
    [
        pytest.param("2024-08", BUILT, marks=more),
        pytest.param("2024-09", BUILT, marks=more),
        pytest.param("2024-10", COMPUTED, marks=more),
    ],
)
def test_a_demo_month_is_the_same(
    published_demo: PublishedDemo, demo_twin: Settings, month: str, steps: tuple[Callable[..., object], ...]
) -> None:
    run_steps(demo_twin, Month.parse(month), steps)
    found = differences(published_demo.settings, demo_twin, Month.parse(month), are_checked=steps == COMPUTED)
    assert list(found) == []


@more
def test_a_month_worked_by_hand_is_the_same(build_month: Callable[..., tuple[Settings, Month]], tmp_path: Path) -> None:
    settings, month = build_month(HAND_WORKED, {"publish_minimum": 1, "device_minimum": 1})
    note_arrivals(settings, month)
    twin = twin_of(settings, tmp_path, MASTER)
    run_steps(twin, month, BUILT)
    assert list(differences(settings, twin, month, are_checked=False)) == []


def test_forty_rows_are_put_aside_and_flagged_the_same(
    build_month: Callable[..., tuple[Settings, Month]], tmp_path: Path
) -> None:
    settings, month = build_month(
        (REFERENCE / "forty_rows.csv").read_bytes(),
        {"publish_minimum": 1, "device_minimum": 1},
        registry=REFERENCE / "registry",
    )
    note_arrivals(settings, month)
    twin = twin_of(settings, tmp_path, MASTER)
    run_steps(twin, month, COMPUTED)
    assert list(differences(settings, twin, month)) == []


@more
def test_blank_metrics_unknown_places_and_windows_are_the_same(
    build_month: Callable[..., tuple[Settings, Month]], tmp_path: Path
) -> None:
    lines = [
        f"{day:02}/10/2024 {hour:02}:59:59,D{device},MAU-22366-A,56,22366,Viettel,4G,{50 + device / 3:.3f},"
        f"{9 if device == 0 else ''},{device + 1}\n"
        for day in range(1, 7)
        for device in range(6)
        for hour in (3, 4)
    ]
    # Neither place, operator nor device.
    lines += [f"{day:02}/10/2024 08:00:00,,,,,,4G,{day + 10},,\n" for day in range(1, 32)]
    settings, month = build_month(HEADER + "".join(lines), {"window": "4h"})
    twin = twin_of(settings, tmp_path, MASTER)
    run_steps(twin, month, BUILT)
    assert list(differences(settings, twin, month, are_checked=False)) == []


@more
def test_a_difference_is_seen(published_demo: PublishedDemo, demo_twin: Settings) -> None:
    path = demo_twin.lake_of("report", Month(2024, 10)) / "report_province_month.parquet"
    import duckdb

    rows = duckdb.read_parquet(str(path)).project("* replace (download_mbps_median + 0.01 as download_mbps_median)")
    rows.to_table("changed")
    duckdb.table("changed").write_parquet(str(path))
    found = list(differences(published_demo.settings, demo_twin, Month(2024, 10)))
    assert found and all("download_mbps_median" in line for line in found)
