"""JSON and Parquet: typed values become the text that the contract declares, and staging reads them as any other."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from test_staging import staged

from ispeed.errors import UserError
from ispeed.settings import INCLUDE

TIME = "01/10/2024 00:00:00"


def measured(**changed: Any) -> dict[str, Any]:
    return {"Thời gian đo": TIME, "Loại mạng": "4G", "Download (Mbps)": 1.5} | changed


def lines(*records: Any) -> bytes:
    return "\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode()


def parquet(tmp_path: Path, query: str) -> bytes:
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / "made.parquet"
    duckdb.sql(query).write_parquet(str(path))
    return path.read_bytes()


def test_an_array_is_numbered_by_place_and_lines_by_line(tmp_path: Path) -> None:
    array = json.dumps([measured(), measured(**{"Download (Mbps)": 2})], indent=1, ensure_ascii=False).encode()
    text = lines(measured()) + b"\n\n\n" + lines(measured(**{"Download (Mbps)": 2})) + b"\n"
    rows = staged(tmp_path, {"a.json": array, "b.jsonl": text})
    assert [(row["source_file"], row["row_number"], row["download_mbps"]) for row in rows] == [
        ("a.json", 1, 1.5),
        ("a.json", 2, 2),
        ("b.jsonl", 1, 1.5),
        ("b.jsonl", 4, 2),
    ]


def test_numbers_and_texts_are_read_whatever_mark_is_declared(tmp_path: Path) -> None:
    content = lines(
        measured(**{"Upload (Mbps)": "2,5", "Mã xã": 22366, "Quận/Huyện": "Nha Trang"}),
        measured(**{"Upload (Mbps)": "2.5", "Mã xã": "00123"}),
        measured(**{"Upload (Mbps)": None, "Mã xã": 22366.0}),
    )
    shapes = [{"pattern": "*.jsonl", "format": "jsonl", "timestamp_formats": ["%d/%m/%Y %H:%M:%S"], "decimal": ","}]
    rows = staged(tmp_path, {"a.jsonl": content}, shapes=shapes)
    assert [(row["download_mbps"], row["upload_mbps"], row["commune_code"]) for row in rows] == [
        (1.5, 2.5, "22366"),
        (1.5, None, "00123"),
        (1.5, None, "22366"),
    ]
    assert [row["read_error"] for row in rows] == [None, "upload_mbps 2.5", None]
    assert rows[0]["district_name"] == "Nha Trang"


def test_a_record_that_cannot_be_read_costs_one_row(tmp_path: Path) -> None:
    twice = b'{"Download (Mbps)": 1, "Download (Mbps)": 2}'
    bad = b'{"Download (Mbps)": "\xff"}'
    content = b"\n".join([b'{"x": ', lines(5), twice, lines(measured(**{"Mã xã": {"a": 1}})), bad, lines(measured())])
    rows = staged(tmp_path, {"a.jsonl": content})
    assert [row["row_number"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["read_error"] for row in rows[:4]] == [
        "no JSON",
        "no object",
        "a key that is there twice",
        "a field that holds an object or a list",
    ]
    assert rows[4]["read_error"] is not None
    assert (rows[5]["read_error"], rows[5]["download_mbps"]) == (None, 1.5)


def test_a_byte_order_mark_and_gzip_do_not_matter(tmp_path: Path) -> None:
    shapes = [
        {"pattern": pattern, "format": form, "timestamp_formats": ["%d/%m/%Y %H:%M:%S"]}
        for pattern, form in (("*.json*", "json"), ("*.ndjson*", "jsonl"))
    ]
    files = {
        "a.json": "\ufeff".encode() + json.dumps([measured()]).encode(),
        "b.json.gz": gzip.compress(json.dumps([measured()]).encode()),
        "c.ndjson": "\ufeff".encode() + lines(measured()),
        "d.ndjson.gz": gzip.compress(lines(measured())),
    }
    assert [row["download_mbps"] for row in staged(tmp_path, files, shapes=shapes)] == [1.5] * 4


def test_empty_lines_at_the_start_count(tmp_path: Path) -> None:
    rows = staged(tmp_path, {"a.jsonl": b"\n\n" + lines(measured()) + b"\n\n"})
    assert [row["row_number"] for row in rows] == [3]


def test_a_constant_stands_for_every_record(tmp_path: Path) -> None:
    record = {"Thời gian đo": TIME, "Download (Mbps)": 1}
    content = {
        "a.jsonl": lines(record),
        "b.parquet": parquet(tmp_path, f"""select '{TIME}' as "Thời gian đo", 1 as "Download (Mbps)" """),
    }
    columns = yaml.safe_load((INCLUDE / "sources" / "ispeed.yaml").read_text(encoding="utf-8"))["columns"]
    del columns["technology"]
    rows = staged(tmp_path, content, columns=columns, values={}, constants={"technology": "4G"})
    assert [row["technology"] for row in rows] == ["4G", "4G"]


def test_parquet_types_become_what_the_contract_declares(tmp_path: Path) -> None:
    content = parquet(
        tmp_path,
        """select * from (values
            (timestamp '2024-10-01 08:00:00', '4G', 1.5::double, 2::decimal(9, 2), 22366::bigint, 0.1::float, 'x'),
            (null, '5G', 3::double, 2.25::decimal(9, 2), null, null, 'y')
        ) as measured ("Thời gian đo", "Loại mạng", "Download (Mbps)", "Upload (Mbps)", "Mã xã", "Ping (ms)", x)""",
    )
    rows = staged(tmp_path, {"a.parquet": content})
    assert [row["row_number"] for row in rows] == [1, 2]
    assert [rows[0][name] for name in ("measured_at", "download_mbps", "upload_mbps", "commune_code", "ping_ms")] == [
        datetime(2024, 10, 1, 8), 1.5, 2, "22366", 0.1,
    ]  # fmt: skip
    assert [rows[1][name] for name in ("measured_at", "download_mbps", "upload_mbps", "commune_code")] == [
        None, 3, 2.25, None,
    ]  # fmt: skip


def test_parquet_times_with_a_zone_are_moments(tmp_path: Path) -> None:
    content = parquet(
        tmp_path,
        """select timestamptz '2024-10-01 08:00:00+00' as "Thời gian đo", '4G' as "Loại mạng", 1 as "Download (Mbps)" """,  # noqa: E501
    )
    assert staged(tmp_path, {"a.parquet": content})[0]["measured_at"] == datetime(2024, 10, 1, 15)


def test_the_folder_that_a_file_lies_in_is_no_column(tmp_path: Path) -> None:
    query = """select '1' as "Thời gian đo", '4G' as "Loại mạng", 1 as "Download (Mbps)", 2 as x"""
    staged(tmp_path, {"a.parquet": parquet(tmp_path, query)})
    note = json.loads((tmp_path / "lake/staging/month=2024-10/staging.json").read_text(encoding="utf-8"))
    assert note["files"]["a.parquet"]["undeclared"] == ["x"]


def test_rows_made_of_nothing_are_refused(tmp_path: Path) -> None:
    content = parquet(
        tmp_path,
        f"""select '{TIME}' as "Thời gian đo", '4G' as "Loại mạng", 1 as "Download (Mbps)" from range(1_000_000)""",
    )
    with pytest.raises(UserError, match="ISPEED_EXPANSION_MAX"):
        staged(tmp_path, {"a.parquet": content})


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("a.json", b"", "measured_at"),
        ("a.json", b"[]", "measured_at"),
        ("a.json", b'[{"a": 1}, {"b', "array of objects"),
        ("a.json", b'{"data": []}', "array of objects"),
        ("a.json", json.dumps([{f"x{number}": 1 for number in range(1_001)}]).encode(), "ISPEED_COLUMNS_MAX"),
        ("a.jsonl", b"", "measured_at"),
        ("a.jsonl", lines({"Thời gian đo": 1}), "technology"),
        ("a.parquet", b"", "no readable Parquet"),
        ("a.parquet", b"PAR1" + b"\0" * 50 + b"PAR1", "no readable Parquet"),
    ],
)
def test_what_is_no_export_is_one_clear_error(tmp_path: Path, name: str, content: bytes, named: str) -> None:
    with pytest.raises(UserError, match=named) as error:
        staged(tmp_path, {name: content})
    assert name in str(error.value)
