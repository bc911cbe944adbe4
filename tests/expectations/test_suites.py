"""Each rule of each suite is seen to fail: a sound month, one thing broken, and the rule that must notice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from ispeed.checks import CheckResult, add_policy, read_suite, run_suite
from ispeed.core import read_staging
from ispeed.engine import Engine, open_engine
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.registry import read_registry
from ispeed.restatement import restate
from ispeed.settings import INCLUDE
from ispeed.tables import REPORT_TABLES, RESTATED_TABLES
from pipeline import PublishedDemo

MONTH, NEW_MAP = Month(2024, 10), date(2025, 7, 1)
ORDER, BLANK, EMPTY, MINIMUM, COUNTS, SHARE, KEY = (
    "Các phân vị tăng dần và trung vị nằm trong khoảng tin cậy",
    "Ô để trống có lý do và không mang số liệu tốc độ",
    "Ô không có lý do để trống thì có trung vị tải xuống",
    "Không công bố tốc độ khi chưa đủ lượt đo hoặc thiết bị",
    "Số thiết bị ≤ số mẫu đại diện ≤ số lượt đo",
    "Tỷ lệ nằm trong khoảng 0 đến 1",
    "Mỗi khóa chỉ có một dòng",
)
FIGURES = {
    ORDER: "update {table} set upload_mbps_p10 = 1e6 where reason is null",
    BLANK: "update {table} set reason = 'too_few_devices' where reason is null",
    EMPTY: "update {table} set download_mbps_median = null, download_mbps_p10 = null where reason is null",
    MINIMUM: "update {table} set n_measurements = 29, n_samples = 29, n_devices = 5 where reason is null",
    COUNTS: "update {table} set n_samples = n_measurements + 1",
    SHARE: "update {table} set share_at_target = 1.5 where share_at_target is not null",
    KEY: "insert into {table} select * from {table} limit 1",
}
ONE_MORE = "update {table} set n_measurements = n_measurements + 1 where n_measurements > 0"
BROKEN = {
    **dict.fromkeys(
        (
            "report_commune_month",
            "report_referral_code_month",
            "report_organisation_month",
            "report_operator_month",
            "report_province_month",
        ),
        FIGURES,
    ),
    "report_quality_month": {
        KEY: FIGURES[KEY],
        "Từng tệp: số dòng nhận = số dòng chấp nhận + số dòng cách ly": "update {table} set n_rows = n_rows + 1 "
        "where outcome = 'accepted'",
        "Số dòng không âm": "update {table} set n_rows = -1 where outcome = 'flagged'",
    },
    "report_integrity_month": {
        KEY: FIGURES[KEY],
        "Mọi dòng thuộc tháng báo cáo, có đủ mã, giá trị, ngưỡng và số liệu làm căn cứ": "update {table} "
        "set threshold = null",
        "Dấu hiệu có trong chính sách, và ngưỡng của mã cao hơn mức thông thường của chính sách": "update {table} "
        "set threshold = 0.3 where indicator = 'night_share'",
        "Giá trị của dấu hiệu nằm trong miền của nó": "update {table} set value = -1",
        "Chỉ xét các mã của Phụ lục II có đủ lượt đo": "update report_referral_code_month set n_measurements = 0",
        "Số liệu làm căn cứ chỉ gồm số đếm, không có mã thiết bị": "update {table} "
        "set evidence = '9 lượt của 00c0ffee00c0ffee / 10 lượt đo'",
    },
    "core_measurement": {
        "Mỗi dòng nguồn chỉ xuất hiện một lần sau khi ghép danh mục": FIGURES[KEY],
        "Từng tệp: số dòng nhận = số dòng chấp nhận + số dòng cách ly": "delete from {table} where row_number = "
        "(select min(row_number) from {table})",
        "Dòng được chấp nhận có đủ thời gian, loại mạng, tốc độ tải xuống và thiết bị": "update {table} "
        "set network = null",
    },
}
TOTALS = {
    "report_commune_month": {
        "Tổng lượt đo theo xã bằng số dòng đã xác định được xã": ONE_MORE,
        "Có đủ mọi xã, phường, thị trấn của danh mục cho cả hai loại mạng": "delete from {table} "
        "where commune_code = '22366'",
    },
    "report_referral_code_month": {"Tổng lượt đo theo mã giới thiệu bằng số dòng có mã": ONE_MORE},
    "report_organisation_month": {"Tổng lượt đo theo cơ quan bằng số dòng mang mã của cơ quan": ONE_MORE},
    "report_operator_month": {"Tổng lượt đo theo nhà mạng bằng số dòng được chấp nhận": ONE_MORE},
    "report_province_month": {"Tổng lượt đo của tỉnh bằng số dòng được chấp nhận": ONE_MORE},
}
RESTATED = {
    "report_commune_restated": {
        **FIGURES,
        "Chỉ phần không phân bổ được mang lý do đó": "update {table} set reason = 'no_samples' "
        "where commune_code = 'not_attributable'",
        "Có đủ mọi đơn vị cấp xã của ngày quy đổi và phần không phân bổ được, cho cả hai loại mạng": "delete from "
        "{table} where commune_code = '22366'",
        "Tổng lượt đo theo đơn vị bằng số lượt đo được quy đổi": ONE_MORE,
    },
    "report_restated_origin": {
        KEY: FIGURES[KEY],
        "Từng đơn vị khi đo: số lượt đo quy đổi bằng số lượt đo ở Phụ lục I của tháng": "delete from {table} "
        "where origin_code = '22366'",
        "Từng đơn vị quy đổi: số lượt đo bằng tổng từ các đơn vị khi đo": "update {table} set commune_code = '22390' "
        "where origin_code = '22366'",
        "Chỉ lượt đo được phân bổ mới có đơn vị quy đổi": "update {table} set attribution = 'whole'",
    },
}
CASES = [
    (table, rule, sql) for table, rules in BROKEN.items() for rule, sql in {**rules, **TOTALS.get(table, {})}.items()
]


RESTATED_CASES = [(table, rule, sql) for table, rules in RESTATED.items() for rule, sql in rules.items()]


@pytest.fixture
def month(published_demo: PublishedDemo) -> Iterator[Engine]:
    """An engine with the relations of the published October."""
    settings = published_demo.settings
    with open_engine() as engine:
        read_staging(engine, settings, MONTH)
        read_registry(engine, settings.lake_of("core", MONTH) / "registry")
        add_policy(engine, read_policy(settings.policy, MONTH.last_day), MONTH)
        engine.read_parquet("core_source", settings.lake_of("core", MONTH) / "core_measurement.parquet")
        engine.create_from_query("core_measurement", "select * from core_source")
        for table in REPORT_TABLES:
            engine.read_parquet("source", settings.lake_of("report", MONTH) / f"{table.name}.parquet")
            engine.create_from_query(table.name, "select * from source")
        yield engine


@pytest.fixture
def restated(published_demo: PublishedDemo) -> Iterator[Engine]:
    """An engine with the relations of October on the map of 07/2025."""
    settings = published_demo.settings
    restate(settings, MONTH, NEW_MAP)
    lake = settings.restated_lake_of(MONTH, NEW_MAP)
    with open_engine() as engine:
        read_registry(engine, lake / "registry")
        add_policy(engine, read_policy(settings.policy, MONTH.last_day), MONTH)
        engine.add_rows("map_day", {"boundaries_day": "date"}, [(NEW_MAP,)])
        engine.read_parquet("core_measurement", lake / "core_measurement.parquet")
        engine.read_parquet("report_commune_month", settings.lake_of("report", MONTH) / "report_commune_month.parquet")
        for table in RESTATED_TABLES:
            engine.read_parquet("source", lake / f"{table.name}.parquet")
            engine.create_from_query(table.name, "select * from source")
        yield engine


def outcome(engine: Engine, table: str, rule: str) -> CheckResult:
    return next(result for result in run_suite(engine, table) if result.description_vi == rule)


@pytest.mark.parametrize(("table", "rule", "sql"), CASES, ids=[f"{table}: {rule}" for table, rule, _ in CASES])
def test_a_broken_month_is_noticed(month: Engine, table: str, rule: str, sql: str) -> None:
    assert outcome(month, table, rule).passed
    month.run(sql.format(table=table))
    noticed = outcome(month, table, rule)
    assert not noticed.passed
    assert noticed.severity == "critical"
    assert noticed.n_rows > 0
    assert 1 <= len(noticed.examples) <= 3


@pytest.mark.parametrize(
    ("table", "rule", "sql"), RESTATED_CASES, ids=[f"{table}: {rule}" for table, rule, _ in RESTATED_CASES]
)
def test_a_broken_restatement_is_noticed(restated: Engine, table: str, rule: str, sql: str) -> None:
    test_a_broken_month_is_noticed(restated, table, rule, sql)


def test_every_critical_rule_is_broken_once_above() -> None:
    above = {(table, rule) for table, rule, _ in CASES + RESTATED_CASES}
    suites = [path.stem for path in (INCLUDE / "expectations").glob("*.json") if path.stem != "staging_measurement"]
    rules = {
        (table, rule.description_vi) for table in suites for rule in read_suite(table) if rule.severity == "critical"
    }
    assert rules == above


@pytest.mark.parametrize("path", sorted((INCLUDE / "expectations").glob("*.json")), ids=lambda path: path.stem)
def test_a_suite_says_what_a_failing_row_gets(path: Path) -> None:
    for rule in read_suite(path.stem):
        assert rule.table == path.stem
        assert rule.on_failure in ("stop", "quarantine", "flag", "tell")
        assert (rule.severity == "critical") == (rule.on_failure == "stop")
        # A reason goes with a row; what stops the month or is only told has none.
        has_reason = rule.on_failure in ("quarantine", "flag")
        assert has_reason == (rule.reason != "") == (rule.reason_vi != "")
        if rule.on_failure == "tell":
            assert rule.query is not None and "finding_vi" in rule.query
