"""`benchmarks/pandas_job.py` as a process of its own: a file and a sheet for each table, with the same figures."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pandas as pd
from test_agreement import KEYS, differences, load_reference

from ispeed.months import Month
from ispeed.sample import make_exports
from ispeed.settings import INCLUDE
from pipeline import settings_in

JOB = Path(__file__).parents[2] / "benchmarks" / "pandas_job.py"


def test_the_job_writes_the_tables_of_the_reference(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    make_exports(settings, [Month(2024, 10)], n_rows=3_000)
    out = tmp_path / "out"
    command = [sys.executable, str(JOB), str(settings.exports), str(INCLUDE / "registry"), "2024-10", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert {"read", "check_rows", "judge_and_join", "tables", "check_tables", "write", "total", "peak_mb"} <= set(told)

    expected = load_reference().reference_tables(
        settings.exports, INCLUDE / "registry", "2024-10", datetime.now(UTC), None
    )
    workbook = openpyxl.load_workbook(out / "report.xlsx")
    assert told["rows"] == expected["report_quality_month"].query("outcome == 'raw'")["n_rows"].sum()
    for table, key in KEYS.items():
        written = pd.read_csv(out / f"{table}.csv", dtype=str, keep_default_na=False)
        wanted = expected[table].astype(object)
        wanted = wanted.map(lambda value: "" if value is None or value != value else str(value))
        assert differences(written.to_dict("records"), wanted.to_dict("records"), key) == []
        assert len(workbook[table[:31]]["A"]) == len(written) + 1

    checks = pd.read_csv(out / "checks.csv").set_index("check")["n_rows"]
    quality = expected["report_quality_month"].groupby("reason")["n_rows"].sum()
    unreadable = checks["measurement expect_column_values_to_be_in_set unreadable"]
    assert unreadable == quality["unreadable_row"] > 0
    assert math.prod(checks.filter(like="report_") + 1) == 1, "nothing is amiss in the tables"
