"""Each bound on a file is a setting that its error names."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from test_archives import CSV, ROW
from test_staging import HEADER

from ispeed.engine import open_engine
from ispeed.errors import UserError
from ispeed.landing import land
from ispeed.months import Month
from ispeed.settings import PROJECT
from ispeed.staging import stage
from pipeline import settings_in

MONTH = Month(2024, 10)


def stage_with(tmp_path: Path, name: str, content: bytes, **changed: Any) -> list[dict[str, Any]]:
    settings = settings_in(tmp_path, **changed)
    settings.exports_of(MONTH).mkdir(parents=True)
    (settings.exports_of(MONTH) / name).write_bytes(content)
    land(settings, MONTH)
    stage(settings, MONTH)
    with open_engine() as engine:
        engine.read_parquet("staging", *settings.lake_of("staging", MONTH).glob("*.parquet"))
        return engine.rows("select row_number, read_error from staging order by row_number")


def test_too_many_columns(tmp_path: Path) -> None:
    header = HEADER.rstrip("\n") + "".join(f",x{number}" for number in range(10_000)) + "\n"
    with pytest.raises(UserError, match="10,006 columns\n.*ISPEED_COLUMNS_MAX"):
        stage_with(tmp_path, "a.csv", header.encode())


def test_too_many_records(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ISPEED_ROWS_MAX"):
        stage_with(tmp_path, "a.csv", (CSV + ROW.format(2)).encode(), rows_max=1)
    stage_with(tmp_path / "2", "a.csv", CSV.encode(), rows_max=1)


def test_a_long_field_costs_its_record(tmp_path: Path) -> None:
    content = CSV + f"01/10/2024 00:00:00,4G,1,,{'x' * 101},\n" + ROW.format(3)
    rows = stage_with(tmp_path, "a.csv", content.encode(), field_bytes_max=100)
    assert [row["read_error"] for row in rows] == [
        None,
        "a field of more than 100 bytes (setting ISPEED_FIELD_BYTES_MAX)",
        None,
    ]


def test_a_record_of_many_megabytes_costs_itself(tmp_path: Path) -> None:
    content = CSV + f"01/10/2024 00:00:00,4G,1,,{'x' * 5_000_000},\n" + ROW.format(3)
    rows = stage_with(tmp_path, "a.csv", content.encode())
    assert [(row["row_number"], row["read_error"] is None) for row in rows] == [(2, True), (3, False), (4, True)]


def test_a_gzip_bomb_is_refused_while_it_unpacks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ISPEED_EXPANSION_MAX"):
        stage_with(tmp_path, "a.csv.gz", gzip.compress(b"0" * 30_000_000))


def test_the_example_of_settings_lists_every_bound() -> None:
    listed = (PROJECT / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r'number\(\s*"(ISPEED_\w+)"', (PROJECT / "include/ispeed/settings.py").read_text()))
    assert len(named) >= 8
    assert [name for name in sorted(named) if f"#{name}=" not in listed] == []
