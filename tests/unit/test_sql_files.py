"""The SQL files keep the house's form, so that they can be read, run and moved to another engine as they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ispeed.settings import INCLUDE
from ispeed.tables import REPORT_TABLES, RESTATED_TABLES

SELECTS = [path for path in sorted((INCLUDE / "sql").rglob("*.sql")) if path.name != "macros.sql"]


@pytest.mark.parametrize("path", SELECTS, ids=lambda path: path.stem)
def test_a_file_is_one_select_with_a_header(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("-- ") and ":" in line][:3] == [
        "-- grain",
        "-- inputs",
        "-- rule",
    ]
    code = [line for line in lines if not line.startswith("--")]
    assert code[0] == "with"
    assert re.fullmatch(r"select \* from \w+", code[-1])
    assert not any(line.endswith(";") or re.search(r"\{[a-z_]*\}", line) for line in code)
    keywords = re.findall(r"\b(SELECT|FROM|WHERE|JOIN|GROUP BY|CASE|WITH)\b", "\n".join(code))
    assert not keywords


def test_every_report_table_has_its_sql_file_and_its_suite() -> None:
    names = {table.name for table in (*REPORT_TABLES, *RESTATED_TABLES)}
    assert {path.stem for path in (INCLUDE / "sql" / "report").glob("report_*.sql")} == names
    suites = {path.stem for path in (INCLUDE / "expectations").glob("*.json")}
    rows = {f"{layer}_measurement" for layer in ("staging", "quarantine", "core", "flag")}
    assert suites == names | rows | {"month_drift"}


def test_no_rule_names_a_reason_that_another_rule_gives() -> None:
    reasons = [
        expectation["meta"]["reason"]
        for path in (INCLUDE / "expectations").glob("*.json")
        for expectation in json.loads(path.read_text(encoding="utf-8"))["expectations"]
        if "reason" in expectation["meta"]
    ]
    assert len(reasons) == len(set(reasons)) == 18
