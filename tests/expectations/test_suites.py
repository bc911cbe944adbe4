"""Each rule of each suite: a small sound month that passes it, and one row changed so that this rule alone must notice.

A folder of the suite's name holds the sound rows (`batch.csv`) and the cases (`cases.yaml`): the rule by its
description, the change, and what is then told, which names the row. Rules that fail with it by their very meaning
stand under `also`, with the reason why. What rules look at besides their own table is in `relations/`.

The sound month: two communes, rows 2 to 9 of a.csv and 2 to 5 of b.csv, thresholds of 4 measurements and 3 devices,
values at the edge of what passes. Row 9 is quarantined and row 7 flagged though nothing is wrong with them: no rule
compares that.
"""

from __future__ import annotations

import csv
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ispeed.checks import (
    CheckResult,
    add_judged_core,
    add_judged_measurement,
    add_policy,
    add_source_files,
    read_suite,
    run_suite,
    stop_where_critical,
)
from ispeed.engine import Engine, open_engine
from ispeed.errors import CheckFailed
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.settings import INCLUDE
from ispeed.tables import REPORT_TABLES, RESTATED_TABLES, SPEEDS
from ispeed.workbook.wording import ACTIONS, TABLES

FOLDER = Path(__file__).parent
MONTH = Month(2024, 10)
# What a month is on another day's map has measurements of its own: test_restated_suites.py.
SUITES = sorted(
    {path.stem for path in (INCLUDE / "expectations").glob("*.json")} - {table.name for table in RESTATED_TABLES}
)
# The relation that a suite runs over and the one that it puts failing rows into, where they are not as usual.
BATCH = {
    "staging_measurement": "remaining_measurement",
    "core_measurement": "judged_core",
    "quarantine_measurement": "quarantine_original",
}
PUT_INTO = {"staging_measurement": "quarantine_measurement", "core_measurement": "flag_measurement"}
KEYS = {table.name: table.key for table in REPORT_TABLES}
REPORT_COLUMNS = {
    table.name: {column.name: column.type for column in table.columns if column.name != "revision"}
    for table in REPORT_TABLES
}
TYPES = {
    **dict.fromkeys(("measured_on", "commune_valid_from", "valid_from", "valid_to"), "date"),
    **dict.fromkeys(("measured_at", "received_at"), "timestamp"),
    **dict.fromkeys(("row_number", "n_rows", "n_months", "headcount"), "integer"),
    **dict.fromkeys(("download_mbps", "upload_mbps", "ping_ms", "jitter_ms", "packet_loss_pct"), "double"),
    **dict.fromkeys(("latitude", "longitude", "location_accuracy_m", "value", "typical", "threshold"), "double"),
}


@dataclass(frozen=True)
class Case:
    table: str
    rule: str
    change: str
    told: str
    also: tuple[str, ...]
    why: str


def read_cases() -> Iterator[Case]:
    for table in SUITES:
        cases = yaml.safe_load((FOLDER / table / "cases.yaml").read_text(encoding="utf-8"))
        for rule, of_rule in cases.items():
            for case in of_rule if isinstance(of_rule, list) else [of_rule]:
                also = tuple(case.get("also", ()))
                yield Case(table, rule, case["change"], case.get("told", ""), also, case.get("why", ""))


CASES = list(read_cases())


def add_csv(engine: Engine, name: str, path: Path) -> None:
    """Make a csv file the relation `name`: an empty cell is nothing, in a key the empty text."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
        columns = REPORT_COLUMNS.get(name) or {column: TYPES.get(column, "text") for column in rows[0]}
        empty = dict.fromkeys(KEYS.get(name, ()), "")
        assert set(rows[0]) <= set(columns), f"{path}: columns that {name} does not have"
        engine.add_rows(name, columns, [[row.get(column) or empty.get(column) for column in columns] for row in rows])


@pytest.fixture(scope="module")
def sound_month() -> Iterator[Engine]:
    """An engine with every relation of the sound month, and a copy of each in the schema `sound`."""
    policy = replace(
        read_policy(INCLUDE / "policy.yaml", MONTH.last_day),
        publish_minimum=4,
        assess_minimum=4,
        device_minimum=3,
        integrity_measurements_minimum=4,
    )
    with open_engine() as engine:
        add_policy(engine, policy, MONTH)
        add_source_files(engine, {})
        for path in (FOLDER / "relations").glob("*.csv"):
            add_csv(engine, path.stem, path)
        for table in SUITES:
            relation = "quarantine_original" if table == "quarantine_measurement" else table
            add_csv(engine, relation, FOLDER / table / "batch.csv")
        engine.run(
            "create table quarantine_measurement as select source_file, row_number, reason from quarantine_original"
        )
        add_judged_measurement(engine)
        add_judged_core(engine)
        engine.run("create schema sound")
        for table in tables_of(engine):
            engine.run(f"create table sound.{table} as select * from main.{table}")
        yield engine


@pytest.fixture(scope="module")
def sound_rows(sound_month: Engine) -> Counter[tuple[Any, ...]]:
    return rows_of(sound_month)


@pytest.fixture
def month(sound_month: Engine, sound_rows: Counter[tuple[Any, ...]]) -> Iterator[Engine]:
    """The sound month, in tables that a test may change."""
    yield sound_month
    left = rows_of(sound_month)
    for table in {table for table, *_ in (*(sound_rows - left), *(left - sound_rows))}:
        sound_month.run(f"delete from {table}; insert into {table} select * from sound.{table}")


def tables_of(engine: Engine) -> list[str]:
    return [
        row["table_name"] for row in engine.rows("select table_name from duckdb_tables() where schema_name = 'main'")
    ]


def rows_of(engine: Engine) -> Counter[tuple[Any, ...]]:
    """Every row of every table, to see what a change changed."""
    return Counter(
        (table, *row.values()) for table in tables_of(engine) for row in engine.rows(f"select * from {table}")
    )


def run_on(engine: Engine, table: str) -> list[CheckResult]:
    """Run a suite as its task does: nothing is put anywhere yet."""
    if put_into := PUT_INTO.get(table):
        engine.run(f"delete from {put_into}")
    return run_suite(engine, table, BATCH.get(table), rows=put_into)


@pytest.mark.parametrize("table", SUITES)
def test_a_sound_month_passes(month: Engine, table: str) -> None:
    results = run_on(month, table)
    assert [result.description_vi for result in results if not result.passed] == []
    assert month.value(f"select count(*) from {BATCH.get(table, table)}") > 0
    stop_where_critical(MONTH, results)


def test_the_log_holds_what_is_found_and_nothing_of_how(month: Engine, caplog: pytest.LogCaptureFixture) -> None:
    month.run("update staging_measurement set read_error = 'ping_ms 3x' where row_number = 5 and source_file = 'a.csv'")
    with caplog.at_level("INFO"):
        run_on(month, "staging_measurement")
    told = [record.name for record in caplog.records if record.name != "py.warnings"]
    assert told == ["ispeed.checks"]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.table}: {case.rule}: {case.change}" for case in CASES])
def test_one_row_trips_its_rule_and_no_other(
    month: Engine, sound_rows: Counter[tuple[Any, ...]], case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    rule = next(rule for rule in read_suite(case.table) if rule.description_vi == case.rule)
    month.run(case.change)
    changed = rows_of(month)
    is_one_row = {(sound_rows - changed).total(), (changed - sound_rows).total()} in ({1}, {0, 1})
    assert is_one_row or case.why
    assert not case.also or case.why

    results = run_on(month, case.table)
    failed = {result.description_vi: result for result in results if not result.passed}
    assert set(failed) == {case.rule, *case.also}
    assert "; ".join(failed[case.rule].examples) == case.told

    # What a failing row gets is what the suite says: the month stops, or the row is put where it belongs, or neither.
    with pytest.raises(CheckFailed, match=re.escape(case.rule)) if rule.on_failure == "stop" else nullcontext():
        stop_where_critical(MONTH, [failed[case.rule]])
    if is_one_row and (put_into := PUT_INTO.get(case.table)):
        put = rows_of(month) - changed
        source_file, _, row_number = case.told.rpartition(" row ")
        is_put = rule.on_failure in ("quarantine", "flag")
        assert put == Counter([(put_into, source_file, int(row_number), rule.reason)] if is_put else [])
    (record,) = [record for record in caplog.records if f"{case.table}: {case.rule}: " in record.message]
    assert record.levelno == (logging.ERROR if rule.severity == "critical" else logging.WARNING)
    assert case.told in record.message


def test_every_rule_has_its_case() -> None:
    rules = {(table, rule.description_vi) for table in SUITES for rule in read_suite(table)}
    assert rules == {(case.table, case.rule) for case in CASES}


def fails(engine: Engine, table: str, rule: str, change: str) -> bool:
    """Whether a rule's own query finds something after a change, which is taken back."""
    query = next(found.query for found in read_suite(table) if found.description_vi.startswith(rule)) or ""
    engine.run(change)
    found = engine.rows(query.replace("{batch}", table))
    engine.run(f"delete from {table}; insert into {table} select * from sound.{table}")
    return bool(found)


def test_no_speed_is_left_out_of_its_rules(month: Engine) -> None:
    """Equal percentiles are in order; each one of them out of it, below 0, or beside a reason is noticed."""
    table = "report_commune_month"
    order, speed, blank = "Các phân vị tăng dần", "Tốc độ, độ trễ công bố", "Ô để trống có lý do"
    for share in (0, 1):
        assert not fails(month, table, "Tỷ lệ nằm trong", f"update {table} set share_at_target = {share}")
    equal = f"update {table} set " + ", ".join(f"{column.name} = 5" for column in SPEEDS) + " where reason is null"
    assert not fails(month, table, order, equal)
    for column in SPEEDS:
        # Jitter below 0 is told of where rows are checked, and stops no report.
        below = f"{equal}; update {table} set {column.name} = -1 where reason is null"
        assert fails(month, table, speed, below) == (not column.name.startswith("jitter_ms"))
        given = f"update {table} set {column.name} = 5 where reason is not null"
        assert fails(month, table, blank, given)
        is_low = column.name.endswith(("_p10", "_p25", "_ci_low"))
        moved = f"{equal}; update {table} set {column.name} = {6 if is_low else 4} where reason is null"
        assert fails(month, table, order, moved) == (not column.name.endswith("_mean"))


@pytest.mark.parametrize("table", REPORT_COLUMNS)
def test_no_key_and_no_count_may_be_missing(month: Engine, table: str) -> None:
    counts = ("n_measurements", "n_samples", "n_devices", "n_missing_to_assess", "n_rows", "value", "evidence")
    for column in ("month", *KEYS[table], *counts):
        # That an indicator is one of policy is a rule of its own.
        if column in REPORT_COLUMNS[table] and column != "indicator":
            assert fails(month, table, "Mọi dòng thuộc tháng báo cáo", f"update {table} set {column} = null"), column


def test_tables_of_figures_share_their_rules() -> None:
    """What is tried in several ways on the communes holds for the others: their rules differ in the key only."""

    def conditions(table: str) -> dict[str, str]:
        return {rule.description_vi: (rule.query or "").partition(" from ")[2] for rule in read_suite(table)}

    communes = conditions("report_commune_month")
    others = [
        table
        for table in SUITES
        if "n_missing_to_assess" in REPORT_COLUMNS.get(table, ()) and table != "report_commune_month"
    ]
    assert len(others) == 5
    for table in others:
        shared = communes.keys() & conditions(table).keys()
        different = {rule for rule in shared if communes[rule] != conditions(table)[rule]}
        assert different == {
            "Mỗi khóa chỉ có một dòng",
            "Mọi dòng thuộc tháng báo cáo, có đủ khóa và các số đếm",
        }
        assert len(shared) >= 11


@pytest.mark.parametrize("table", SUITES)
def test_a_suite_says_what_a_failing_row_gets(table: str) -> None:
    rules = read_suite(table)
    assert len({rule.description_vi for rule in rules}) == len(rules)
    assert table in TABLES
    for rule in rules:
        assert rule.table == table
        assert rule.on_failure in ACTIONS
        assert (rule.severity == "critical") == (rule.on_failure == "stop")
        # A reason goes with a row; what stops the month or is only told has none.
        has_reason = rule.on_failure in ("quarantine", "flag")
        assert has_reason == (rule.reason != "") == (rule.reason_vi != "")
        if rule.on_failure == "tell":
            assert rule.query is not None and "finding_vi" in rule.query
