"""What is told and stops nothing: each rule passes on the demo's October, and one change trips exactly it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ispeed.checks import add_policy, check_staging, read_suite, run_suite
from ispeed.drift import add_month_drift
from ispeed.engine import Engine, open_engine
from ispeed.lake import held_months
from ispeed.landing import land
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.settings import Settings
from ispeed.staging import stage
from ispeed.tables import REPORT_TABLES
from pipeline import PublishedDemo, settings_in

MONTH = Month(2024, 10)
VOLUME, OPERATORS, NEW_DEVICES, NO_DEVICE, MEDIANS = (rule.description_vi for rule in read_suite("month_drift"))
SEEN_BEFORE = "Chưa tệp nào của tháng được nhận, nguyên từng byte, cho một tháng khác"
# What the months before are made to be, and what is then said of October.
CHANGED = [
    (
        VOLUME,
        "update compared_province set n_measurements = 3 * n_measurements where network = 'mobile'",
        "Di động: 15942, trước đó 48483 (trung vị của 2 tháng)",
    ),
    (
        VOLUME,
        "update report_province_month set n_measurements = 0 where network = 'fixed'",
        "Cố định: 0, trước đó 3399 (trung vị của 2 tháng)",
    ),
    (
        OPERATORS,
        "update compared_operator set n_measurements = 0 where operator = 'VinaPhone' and network = 'mobile'",
        "Di động, VinaPhone: 24,4%, trước đó 0,0% (trung vị của 2 tháng)",
    ),
    (
        OPERATORS,
        "update report_operator_month set operator = 'Mới', download_mbps_median = null "
        "where operator = 'MobiFone' and network = 'mobile'",
        "Di động, MobiFone: 0,0%, trước đó 15,1% (trung vị của 2 tháng)",
    ),
    (
        NEW_DEVICES,
        "update compared_device set device_hash = device_hash + 1000000 where network = 'mobile'",
        "Di động: 100,0%",
    ),
    (
        NO_DEVICE,
        "update core_measurement set device_hash = null where network = 'mobile' and row_number % 4 = 0",
        "Di động: ",
    ),
    (
        MEDIANS,
        "update compared_province set download_mbps_median = 8 * download_mbps_median where network = 'mobile'",
        "Di động: 58,70 Mbps, trước đó 456,56 Mbps (trung vị của 2 tháng)",
    ),
    (
        MEDIANS,
        "update report_operator_month set download_mbps_median = 0.01 where operator = 'Viettel' and technology = '4G'",
        "Di động, Viettel 4G: 0,01 Mbps, trước đó 69,53 Mbps (trung vị của 2 tháng)",
    ),
]


@pytest.fixture
def month(published_demo: PublishedDemo) -> Iterator[Engine]:
    """An engine with October beside the published August and September, in tables that a test may change."""
    settings = published_demo.settings
    policy = read_policy(settings.policy, MONTH.last_day)
    with open_engine() as engine:
        add_policy(engine, policy, MONTH)
        engine.read_parquet("source", settings.lake_of("core", MONTH) / "core_measurement.parquet")
        engine.create_from_query("core_measurement", "select * from source")
        for table in REPORT_TABLES:
            engine.read_parquet("source", settings.lake_of("report", MONTH) / f"{table.name}.parquet")
            engine.create_from_query(table.name, "select * from source")
        add_month_drift(engine, settings, MONTH, policy)
        yield engine


def told(engine: Engine) -> dict[str, tuple[str, ...]]:
    engine.create("month_drift", "report/month_drift.sql", is_checked=True)
    return {result.description_vi: result.examples for result in run_suite(engine, "month_drift") if not result.passed}


@pytest.mark.parametrize(("rule", "sql", "finding"), CHANGED, ids=[sql for _, sql, _ in CHANGED])
def test_a_change_trips_its_rule_and_no_other(month: Engine, rule: str, sql: str, finding: str) -> None:
    assert told(month) == {}
    month.run(sql)
    noticed = told(month)
    assert list(noticed) == [rule]
    assert any(example.startswith(finding) for example in noticed[rule]), noticed


def test_every_rule_is_tripped_above() -> None:
    assert {rule for rule, _, _ in CHANGED} == {rule.description_vi for rule in read_suite("month_drift")}
    assert {(rule.severity, rule.on_failure) for rule in read_suite("month_drift")} == {("warning", "tell")}


def test_one_odd_month_among_three_does_not_make_the_next_one_odd(month: Engine) -> None:
    month.run(
        "insert into compared_province select month - interval 1 month, network, n_measurements * 9, "
        "download_mbps_median * 9 from compared_province where month = date '2024-08-01'"
    )
    assert told(month) == {}


def test_few_measurements_say_nothing(month: Engine) -> None:
    """Under 30 now and before, a volume or a share is chance; under 300, a median."""
    month.run("update compared_province set n_measurements = 29 where network = 'mobile'")
    month.run("update report_province_month set n_measurements = 3 where network = 'mobile'")
    month.run("update report_operator_month set n_measurements = 1 where network = 'mobile'")
    assert told(month) == {}
    rows = month.rows("select * from month_drift where network = 'mobile'")
    assert rows == []


def test_without_a_published_month_nothing_is_compared(published_demo: PublishedDemo) -> None:
    note = published_demo.settings.lake_of("report", Month(2024, 8)) / "checks.json"
    results = json.loads(note.read_text(encoding="utf-8"))
    assert {r["passed"] for r in results if r["table"] == "month_drift"} == {True}


def test_at_most_three_published_months_count(published_demo: PublishedDemo) -> None:
    settings = published_demo.settings
    policy = read_policy(settings.policy, MONTH.last_day)
    counted = {}
    for n_months in (1, 3):
        with open_engine() as engine:
            add_policy(engine, policy, MONTH)
            engine.read_parquet("core_measurement", settings.lake_of("core", MONTH) / "core_measurement.parquet")
            for table in REPORT_TABLES:
                engine.read_parquet(table.name, settings.lake_of("report", MONTH) / f"{table.name}.parquet")
            add_month_drift(engine, settings, MONTH, replace(policy, drift_months=n_months))
            counted[n_months] = engine.value("select max(n_months) from month_drift")
    assert counted == {1: 1, 3: 2}  # July was not published


HEADER = "Thời gian đo,Mã thiết bị,Loại mạng,Nhà mạng,Download (Mbps)\n"


def export(settings: Settings, month: Month, n_rows: int) -> None:
    settings.exports_of(month).mkdir(parents=True)
    rows = (f"{1 + n % 28:02}/{month.number:02}/2024 08:{n // 28:02}:00,d{n % 9},4G,Viettel,50" for n in range(n_rows))
    (settings.exports_of(month) / "a.csv").write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")


def test_a_file_seen_under_another_month_is_told_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = settings_in(tmp_path)
    export(settings, MONTH, 30)

    def seen() -> tuple[bool, str]:
        caplog.clear()
        for step in (land, stage, check_staging):
            step(settings, MONTH)
        note = json.loads((settings.lake_of("quarantine", MONTH) / "quarantine.json").read_text(encoding="utf-8"))
        assert [r["description_vi"] for r in note["results"] if not r["passed"]] in ([], [SEEN_BEFORE])
        assert note["n_rows"] == {}
        (result,) = [r for r in note["results"] if r["description_vi"] == SEEN_BEFORE]
        return result["passed"], "; ".join(result["examples"])

    shutil.copytree(settings.exports_of(MONTH), settings.exports_of(MONTH.next))
    (settings.exports_of(MONTH.next) / "b.csv").write_text(HEADER + "01/11/2024 00:00:00,d1,4G,Viettel,5\n", "utf-8")
    assert seen() == (True, "")
    land(settings, MONTH.next)
    assert seen() == (False, "a.csv cũng là tệp của tháng 2024-11")
    assert "a.csv cũng là tệp của tháng 2024-11" in caplog.text
    # While a backfill runs the two side by side, October says what it says where it runs first.
    with held_months(settings, [MONTH, MONTH.next]):
        assert seen() == (True, "")
    # Taken away there, it is no longer told.
    (settings.exports_of(MONTH.next) / "a.csv").unlink()
    land(settings, MONTH.next)
    assert seen() == (True, "")
