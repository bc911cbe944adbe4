"""A warning is told in the log, in the workbook, on the Data Docs and in the steps' notes, never in one of them only.

The page of a run in Airflow shows what the steps noted.
"""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from ispeed.checks import Rule, read_suite
from ispeed.database import Database
from ispeed.lake import read_step
from ispeed.landing import land
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.settings import INCLUDE, Settings
from ispeed.tables import RESTATED_TABLES
from ispeed.workbook.wording import ACTIONS, TABLES
from pipeline import run_steps, settings_in

MONTH = Month(2024, 10)
SUITES = sorted(
    {path.stem for path in (INCLUDE / "expectations").glob("*.json")} - {table.name for table in RESTATED_TABLES}
)
SEEN_BEFORE = "Chưa tệp nào của tháng được nhận, nguyên từng byte, cho một tháng khác"
HEADER = (
    "Mã phép đo,Thời gian đo,Mã thiết bị,Mã giới thiệu,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps),Jitter (ms),"
    "Tỷ lệ mất gói (%),Vĩ độ,Kinh độ,Sai số vị trí (m),Ghi chú\n"
)
SOUND = "{n},{day}/{month:02}/2024 08:{minute:02}:00,d{device},,56,22366,Viettel,4G,50,3,0,12.24,109.19,20,\n"
# What a row is changed to, and the rule of the suite that it trips.
ROWS = {
    "unreadable_row": "901,15/10/2024 08:00:00,d1,,56,22366,Viettel,4G,fast,3,0,12.24,109.19,20,",
    "missing_required": "902,15/10/2024 08:00:00,d1,,56,22366,Viettel,4G,,3,0,12.24,109.19,20,",
    "bad_timestamp": "903,31/02/2024 08:00:00,d1,,56,22366,Viettel,4G,50,3,0,12.24,109.19,20,",
    "other_month": "904,15/09/2024 08:00:00,d1,,56,22366,Viettel,4G,50,3,0,12.24,109.19,20,",
    "duplicate": "1,15/10/2024 08:00:00,d1,,56,22366,Viettel,4G,50,3,0,12.24,109.19,20,",
    "implausible_value": "905,15/10/2024 08:00:00,d1,,56,22366,Viettel,4G,99999,3,0,12.24,109.19,20,",
    "Biến động trễ không âm và không vượt mức tối đa của độ trễ": (
        "906,15/10/2024 08:00:00,d1,,56,22366,Viettel,4G,50,-3,0,12.24,109.19,20,"
    ),
    "Tỷ lệ mất gói từ 0 đến 100%": "907,15/10/2024 08:00:00,d1,,56,22366,Viettel,4G,50,3,101,12.24,109.19,20,",
    "Vị trí đo có đủ vĩ độ và kinh độ có thật, sai số không âm": (
        "908,15/10/2024 08:00:00,d1,,56,22366,Viettel,4G,50,3,0,109.19,12.24,20,"
    ),
    "unknown_commune": "909,15/10/2024 08:00:00,d1,,56,99999,Viettel,4G,50,3,0,12.24,109.19,20,",
    "outside_province": "910,15/10/2024 08:00:00,d1,,58,22738,Viettel,4G,50,3,0,12.24,109.19,20,",
    "unknown_referral_code": "911,15/10/2024 08:00:00,d1,NONE,56,22366,Viettel,4G,50,3,0,12.24,109.19,20,",
    "expired_referral_code": "912,15/10/2024 08:00:00,d1,MAU-22366-B,56,22366,Viettel,4G,50,3,0,12.24,109.19,20,",
    "commune_mismatch": "913,15/10/2024 08:00:00,d1,MAU-22327-A,56,22366,Viettel,4G,50,3,0,12.24,109.19,20,",
    "low_location_accuracy": "914,15/10/2024 08:00:00,d1,,56,22366,Viettel,4G,50,3,0,12.24,109.19,5000,",
    "unknown_operator": "915,15/10/2024 08:00:00,d1,,56,22366,Nobody,4G,50,3,0,12.24,109.19,20,",
}
TOLD = {
    "Tệp nào của tháng cũng có dòng số liệu": "c.csv không có dòng nào",
    SEEN_BEFORE: "b.csv cũng là tệp của tháng 2024-11",
    "Biến động trễ không âm và không vượt mức tối đa của độ trễ": "a.csv: 1 dòng",
    "Tỷ lệ mất gói từ 0 đến 100%": "a.csv: 1 dòng",
    "Vị trí đo có đủ vĩ độ và kinh độ có thật, sai số không âm": "a.csv: 1 dòng",
    "Số lượt đo của mỗi mạng không lệch quá mức so với các tháng đã phát hành trước đó": (
        "Di động: 111, trước đó 40 (trung vị của 1 tháng)"
    ),
}


@dataclass(frozen=True)
class Published:
    """October after September, with one row for each warning that a row can earn."""

    settings: Settings
    log: str
    lines: list[list[object]]
    index: str


def export(settings: Settings, month: Month, n_rows: int, more: str = "") -> None:
    settings.exports_of(month).mkdir(parents=True)
    rows = (
        SOUND.format(n=n, day=f"{1 + n % 28:02}", month=month.number, minute=n // 28, device=n % 9)
        for n in range(n_rows)
    )
    (settings.exports_of(month) / "a.csv").write_text(HEADER + "".join(rows) + more, encoding="utf-8")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    settings = settings_in(tmp_path_factory.mktemp("month"))
    sync_registry(settings)
    export(settings, MONTH.previous, 40)
    run_steps(settings, MONTH.previous)
    export(settings, MONTH, 100, "\n".join(ROWS.values()) + "\n")
    row = SOUND.format(n=800, day="01", month=10, minute=0, device=1)
    (settings.exports_of(MONTH) / "b.csv").write_text(HEADER + row, encoding="utf-8")
    (settings.exports_of(MONTH) / "c.csv").write_text(HEADER, encoding="utf-8")
    settings.exports_of(MONTH.next).mkdir()
    shutil.copy(settings.exports_of(MONTH) / "b.csv", settings.exports_of(MONTH.next))
    land(settings, MONTH.next)
    records: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("ispeed").addHandler(handler)
    try:
        run_steps(settings, MONTH)
    finally:
        logging.getLogger("ispeed").removeHandler(handler)
    folder = settings.share_of(MONTH) / "r1"
    (path,) = folder.glob("*.xlsx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sheet = load_workbook(path)["Chất lượng dữ liệu"]
    lines = [[cell.value for cell in row] for row in sheet.iter_rows()]
    return Published(settings, "\n".join(records), lines, (folder / "data-docs" / "index.html").read_text("utf-8"))


def test_each_rule_that_a_row_earns_is_tripped_here(published: Published) -> None:
    warned = {rule.reason or rule.description_vi: rule for rule in rules()}
    not_here = {
        "future_timestamp": "a file that was received before its own month cannot be made here",
        "Dòng cách ly nào cũng giữ được nội dung gốc": "nothing loses a text",
        **{rule.description_vi: "test_drift.py" for rule in read_suite("month_drift")},
        **{rule.description_vi: "test_month_returns.py" for rule in read_suite("report_return_month")},
        **dict.fromkeys(
            ("located_by_coordinates", "outside_boundaries", "location_mismatch", "code_location_mismatch"),
            "test_place_three_ways.py, with boundaries",
        ),
    }
    assert warned.keys() - not_here.keys() == (ROWS.keys() | TOLD.keys()) - not_here.keys()


def rules() -> list[Rule]:
    """Every rule that stops nothing."""
    return [rule for table in SUITES for rule in read_suite(table) if rule.severity == "warning"]


def failed(published: Published) -> list[dict[str, Any]]:
    """What the steps noted of checks that did not pass."""
    settings = published.settings
    notes = [
        *read_step(settings, "quarantine", MONTH, "check_staging")["results"],
        *read_step(settings, "core", MONTH, "build_core")["results"],
        *json.loads((settings.lake_of("report", MONTH) / "checks.json").read_text(encoding="utf-8")),
    ]
    return [result for result in notes if not result["passed"]]


@pytest.mark.parametrize("what", [*ROWS, *(rule for rule in TOLD if rule not in ROWS)])
def test_a_warning_stands_in_notes_log_workbook_and_data_docs(published: Published, what: str) -> None:
    (rule,) = [rule for rule in rules() if what in (rule.reason, rule.description_vi)]
    (noted,) = [result for result in failed(published) if result["description_vi"] == rule.description_vi]
    assert noted["n_rows"] == 1

    place = TOLD.get(what) or f"a.csv row {101 + list(ROWS).index(what) + 1}"
    assert noted["examples"] == [place]
    assert f"{rule.table}: {rule.description_vi}: 1 rows, such as {place}" in published.log

    (line,) = [line for line in published.lines if rule.description_vi in line]
    outcome = f"Không đạt: {ACTIONS[rule.on_failure].lower()}" + (f" – {TOLD[what]}" if what in TOLD else "")
    assert line[1:8] == ["Kiểm tra", TABLES[rule.table], rule.description_vi, "Cảnh báo", outcome, 1, "[–]"]
    if rule.reason:
        group = {"quarantine": "Cách ly", "flag": "Đánh dấu"}[rule.on_failure]
        told = [line for line in published.lines if line[1:4:2] == [group, rule.reason_vi] and line[6] == 1]
        assert [line[2] for line in told] == ["Tất cả các tệp", "a.csv"]

    assert escape(rule.description_vi) in published.index


def test_nothing_else_is_told(published: Published) -> None:
    assert {result["reason"] or result["description_vi"] for result in failed(published)} == ROWS.keys() | TOLD.keys()


def test_failed_checks_come_one_by_one_and_those_that_passed_are_counted(published: Published) -> None:
    lines = [line for line in published.lines if line[1] == "Kiểm tra"]
    outcomes = [str(line[5]) for line in lines]
    assert outcomes == sorted(outcomes, key=lambda outcome: outcome == "Đạt")
    n_failed = {TABLES[table]: 0 for table in SUITES}
    for line in lines:
        n_failed[str(line[2])] += line[5] != "Đạt"
    passed = {str(line[2]): line[3] for line in lines if line[5] == "Đạt"}
    n_rules = {TABLES[table]: len(read_suite(table)) for table in SUITES}
    assert passed == {
        table: f"{n - n_failed[table]}/{n} phép kiểm tra" for table, n in n_rules.items() if n > n_failed[table]
    }


def test_columns_that_are_missing_or_that_nobody_declared_stand_in_notes_log_and_workbook(published: Published) -> None:
    note = read_step(published.settings, "staging", MONTH, "stage")["files"]["a.csv"]
    assert (note["undeclared"], "upload_mbps" in note["absent"]) == (["Ghi chú"], True)
    assert "a.csv: columns that no header of the contract means: ('Ghi chú',)" in published.log
    assert "a.csv: columns that are not in the file: ('district_code', " in published.log
    told = [line[1:6] for line in published.lines if line[2] == "a.csv"]
    assert ["Cột tệp", "a.csv", "Cột chưa khai báo: Ghi chú", "[–]", "Không đọc"] in told
    assert ["Cột tệp", "a.csv", "Tệp không có cột tốc độ tải lên", "[–]", "Không có số liệu tải lên"] in told


def test_a_warning_that_comes_or_goes_makes_a_revision_that_says_so(tmp_path: Path) -> None:
    """The tables stay the same: what a month shares with another changed."""
    settings = settings_in(tmp_path)
    sync_registry(settings)
    export(settings, MONTH, 30)
    assert run_steps(settings, MONTH)["revision"] == 1
    shutil.copytree(settings.exports_of(MONTH), settings.exports_of(MONTH.next))
    land(settings, MONTH.next)
    assert run_steps(settings, MONTH)["revision"] == 2
    assert run_steps(settings, MONTH)["is_new"] is False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = load_workbook(next((settings.share_of(MONTH) / "r2").glob("*.xlsx")))
    cause = "Cảnh báo nêu để xem xét thay đổi"
    (change,) = [[cell.value for cell in row][2:] for row in book["Thay đổi"].iter_rows(min_row=6)]
    assert change == [SEEN_BEFORE, "Cảnh báo", "[trống]", "a.csv cũng là tệp của tháng 2024-11", cause]
    publication = Database(settings.database_url).publication(MONTH)
    assert publication is not None and publication["why"] == cause
