"""The suites of a month on another day's map: a sound one, one thing broken, and the rule that must notice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from ispeed.checks import CheckResult, add_policy, read_suite, run_suite
from ispeed.engine import Engine, open_engine
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.registry import read_registry
from ispeed.restatement import restate
from ispeed.tables import RESTATED_TABLES
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
CASES = [(table, rule, sql) for table, rules in BROKEN.items() for rule, sql in rules.items()]


@pytest.fixture
def month(published_demo: PublishedDemo) -> Iterator[Engine]:
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


def test_every_rule_has_its_case() -> None:
    rules = {(table.name, rule.description_vi) for table in RESTATED_TABLES for rule in read_suite(table.name)}
    assert rules == {(table, rule) for table, rule, _ in CASES}
