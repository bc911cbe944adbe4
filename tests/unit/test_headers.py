"""Columns that came and went: told where the month can do without, and the end of the month where it cannot."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import xlsxwriter
from test_staging import staged

from ispeed.contracts import COLUMNS
from ispeed.errors import UserError

Row = dict[str, str]
ROW: Row = {"Thời gian đo": "01/10/2024 08:00:00", "Loại mạng": "4G", "Download (Mbps)": "33.5", "Nhà mạng": "VNPT"}


def csv(row: Row) -> bytes:
    return (",".join(row) + "\n" + ",".join(row.values()) + "\n").encode()


def packed_csv(row: Row) -> bytes:
    second = row | {"Thời gian đo": "2024-10-01 08:00:00", "Download (Mbps)": "33,5"}
    kept = {key: second[key] for key in row}
    return gzip.compress((";".join(kept) + "\n" + ";".join(kept.values()) + "\n").encode())


def xlsx(row: Row) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, row)
        sheet.write_row(1, 0, row.values())
    return buffer.getvalue()


def parquet(row: Row) -> bytes:
    with duckdb.connect() as connection, tempfile.TemporaryDirectory() as folder:
        columns = ", ".join(f"""'{value}' as "{key}" """ for key, value in row.items())
        connection.sql(f"select {columns}").write_parquet(f"{folder}/made.parquet")
        return Path(folder, "made.parquet").read_bytes()


FORMATS: dict[str, Callable[[Row], bytes]] = {
    "a.csv": csv,
    "a.csv.gz": packed_csv,
    "a.xlsx": xlsx,
    "a.json": lambda row: json.dumps([row]).encode(),
    "a.jsonl": lambda row: json.dumps(row).encode(),
    "a.parquet": parquet,
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("header", ["Thời gian đo", "Loại mạng", "Download (Mbps)"])
def test_a_vanished_required_column_ends_the_month(tmp_path: Path, name: str, header: str) -> None:
    row = {key: value for key, value in ROW.items() if key != header}
    with pytest.raises(UserError) as error:
        staged(tmp_path, {name: FORMATS[name](row)})
    assert name in error.value.where
    assert "header" in error.value.found
    assert not (tmp_path / "lake" / "staging" / "month=2024-10").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_a_new_column_and_a_vanished_one_are_told(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    row = {key: value for key, value in ROW.items() if key != "Nhà mạng"} | {"Tín hiệu": "-90", "Ghi chú": "x"}
    (read,) = staged(tmp_path, {name: FORMATS[name](row)}, ignored=["GHI CHÚ"])
    assert (read["download_mbps"], read["operator"]) == (33.5, None)
    note = json.loads((tmp_path / "lake/staging/month=2024-10/staging.json").read_text(encoding="utf-8"))
    file: dict[str, Any] = note["files"][name]
    assert file["undeclared"] == ["Tín hiệu"]
    assert file["absent"] == [c for c in COLUMNS if c not in ("measured_at", "technology", "download_mbps")]
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("no header of the contract" in line and "Tín hiệu" in line for line in told)
    assert any("not in the file" in line and "operator" in line for line in told)
