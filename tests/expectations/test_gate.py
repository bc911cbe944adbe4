"""A critical failure stops the month before anything is published, and says which check, how many rows, and where."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

import ispeed.checks
from ispeed.checks import read_suite
from ispeed.errors import CheckFailed
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.settings import INCLUDE, Settings
from pipeline import BUILD, run_steps, settings_in

MONTH = Month(2024, 10)
HEADER = "Thời gian đo,Loại mạng,Download (Mbps)\n"


@pytest.fixture
def month(tmp_path: Path) -> Settings:
    settings = settings_in(tmp_path)
    settings.exports_of(MONTH).mkdir(parents=True)
    sync_registry(settings)
    return settings


def export(settings: Settings, *rows: str) -> None:
    (settings.exports_of(MONTH) / "a.csv").write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")


def test_a_month_without_an_acceptable_row_stops(month: Settings) -> None:
    export(month, "01/11/2024 00:00:00,4G,1", "01/10/2024 00:00:00,4G,0")
    with pytest.raises(CheckFailed, match="Còn ít nhất một dòng được chấp nhận"):
        run_steps(month, MONTH)
    assert not month.share_of(MONTH).exists()
    note = json.loads((month.lake_of("quarantine", MONTH) / "quarantine.json").read_text(encoding="utf-8"))
    assert note["n_rows"] == {"other_month": 1, "implausible_value": 1}


def test_a_month_without_a_row_stops(month: Settings) -> None:
    export(month)
    with pytest.raises(CheckFailed, match="ít nhất một dòng"):
        run_steps(month, MONTH)


def test_a_critical_rule_names_itself_its_rows_and_three_examples(
    month: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    """The suite is changed as a data engineer would: slow rows become critical."""
    rule = {
        "type": "unexpected_rows_expectation",
        "kwargs": {"unexpected_rows_query": "select source_file, row_number from {batch} where download_mbps < 3"},
        "severity": "critical",
        "meta": {"description_vi": "Tốc độ tải xuống ít nhất 3 Mbps", "on_failure": "stop"},
    }
    shutil.copytree(INCLUDE / "expectations", tmp_path / "expectations")
    suite = json.loads((tmp_path / "expectations" / "staging_measurement.json").read_text(encoding="utf-8"))
    suite["expectations"].append(rule)
    (tmp_path / "expectations" / "staging_measurement.json").write_text(json.dumps(suite), encoding="utf-8")
    monkeypatch.setattr(ispeed.checks, "INCLUDE", tmp_path)
    read_suite.cache_clear()
    request.addfinalizer(read_suite.cache_clear)
    export(month, *(f"0{day}/10/2024 00:00:00,4G,{day % 3 + 1}" for day in range(1, 9)))
    with caplog.at_level(logging.ERROR), pytest.raises(CheckFailed) as error:
        run_steps(month, MONTH, BUILD)
    told = str(error.value)
    assert "Tốc độ tải xuống ít nhất 3 Mbps: 5 rows" in told
    assert told.count("a.csv row ") == 3
    assert "nothing was published" in told
    assert "Tốc độ tải xuống ít nhất 3 Mbps" in caplog.text


def test_a_rule_that_cannot_run_is_a_fault_whatever_its_severity(
    month: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    rules = [
        replace(rule, kwargs={"unexpected_rows_query": "select no_such_column from {batch}"})
        if rule.reason == "duplicate"
        else rule
        for rule in read_suite("staging_measurement")
    ]
    monkeypatch.setattr(ispeed.checks, "read_suite", lambda _: rules)
    export(month, "01/10/2024 00:00:00,4G,1")
    with pytest.raises(RuntimeError, match="could not run"):
        run_steps(month, MONTH, BUILD)
