"""Records as staging reads them: numbered as in the file, typed as declared, never guessed."""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import settings_in

from ispeed.engine import open_engine
from ispeed.errors import UserError
from ispeed.landing import land
from ispeed.months import Month
from ispeed.settings import INCLUDE
from ispeed.staging import stage

MONTH = Month(2024, 10)
HEADER = "Thời gian đo,Loại mạng,Download (Mbps),Upload (Mbps),Mã thiết bị,Mã xã\n"


def staged(tmp_path: Path, files: dict[str, bytes], **contract: Any) -> list[dict[str, Any]]:
    """The staged rows of a month of `files`, with the keys of the first shape changed as given."""
    document = yaml.safe_load((INCLUDE / "sources" / "ispeed.yaml").read_text(encoding="utf-8"))
    for key, value in contract.items():
        (document if key in document else document["shapes"][0])[key] = value
    source = tmp_path / "contract.yaml"
    tmp_path.mkdir(exist_ok=True)
    source.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    settings = settings_in(tmp_path, source=source)
    settings.exports_of(MONTH).mkdir(parents=True)
    for name, content in files.items():
        (settings.exports_of(MONTH) / name).write_bytes(content)
    land(settings, MONTH)
    stage(settings, MONTH)
    with open_engine() as engine:
        engine.read_parquet("staging", *settings.lake_of("staging", MONTH).glob("*.parquet"))
        return engine.rows("select * from staging order by source_file, row_number")


def numbers(tmp_path: Path, text: str, **contract: Any) -> tuple[float | None, str | None]:
    rows = staged(tmp_path, {"a.csv": (HEADER + f'01/10/2024 00:00:00,4G,"{text}",,,\n').encode()}, **contract)
    return rows[0]["download_mbps"], rows[0]["read_error"]


def test_records_keep_their_number_around_broken_ones(tmp_path: Path) -> None:
    lines = [
        "01/10/2024 00:00:00,4G,2,,,",  # 2
        "short,4G",  # 3
        "01/10/2024 00:00:00,4G,4,,,",  # 4
        '01/10/2024 00:00:00,4G,5,,"a line\nbreak",',  # 5
        "01/10/2024 00:00:00,4G,6,,,,long,long",  # 6
        "another short one",  # 7
        "01/10/2024 00:00:00,4G,8,,,",  # 8
    ]
    rows = staged(tmp_path, {"a.csv": (HEADER + "\n".join(lines) + "\n").encode()})
    assert [row["row_number"] for row in rows] == [2, 3, 4, 5, 6, 7, 8]
    read = {row["row_number"]: row["download_mbps"] for row in rows if row["read_error"] is None}
    assert read == {2: 2, 4: 4, 5: 5, 8: 8}


def test_bytes_that_do_not_decode_cost_one_record(tmp_path: Path) -> None:
    good = "01/10/2024 00:00:00,4G,1,,,\n"
    content = (HEADER + good).encode() + b"01/10/2024 00:00:00,4G,1,,\xff\xfe,\n" + good.encode()
    rows = staged(tmp_path, {"a.csv": content})
    assert [row["read_error"] is None for row in rows] == [True, False, True]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_endings_and_byte_order_marks_do_not_matter(tmp_path: Path, ending: str, mark: str) -> None:
    content = mark + (HEADER + "01/10/2024 00:00:00,4G,1.5,,,22366\n").replace("\n", ending)
    assert staged(tmp_path, {"a.csv": content.encode()})[0]["commune_code"] == "22366"


@pytest.mark.parametrize("text", ["12,5", "12.5.1", "abc", "1e999", "nan", "inf", "12 Mbps", "0x10", "1_000"])
def test_a_number_that_is_not_one_is_told_and_not_guessed(tmp_path: Path, text: str) -> None:
    value, error = numbers(tmp_path, text)
    assert value is None
    assert error == f"download_mbps {text}"


def test_thousands_are_read_only_where_they_are_declared(tmp_path: Path) -> None:
    assert numbers(tmp_path / "1", "1.234,5", decimal=",", thousands=".") == (1234.5, None)
    assert numbers(tmp_path / "2", "1.234,5", decimal=",")[0] is None
    assert numbers(tmp_path / "3", "12.5", decimal=",")[0] is None


@pytest.mark.parametrize("mark", ["", "NULL", "-", "  ", "\u00a0"])
def test_a_missing_mark_is_nothing_and_no_error(tmp_path: Path, mark: str) -> None:
    rows = staged(tmp_path, {"a.csv": (HEADER + f"01/10/2024 00:00:00,4G,1,{mark},,\n").encode()})
    assert (rows[0]["upload_mbps"], rows[0]["read_error"]) == (None, None)


def test_times_of_another_zone_become_local(tmp_path: Path) -> None:
    content = (HEADER + "30/09/2024 17:00:00,4G,1,,,\n").encode()
    assert staged(tmp_path, {"a.csv": content}, timezone="UTC")[0]["measured_at"] == datetime(2024, 10, 1)


def test_a_day_that_does_not_exist_is_no_time(tmp_path: Path) -> None:
    row = staged(tmp_path, {"a.csv": (HEADER + "31/09/2024 17:00:00,4G,1,,,\n").encode()})[0]
    assert (row["measured_at"], row["measured_at_text"]) == (None, "31/09/2024 17:00:00")


def test_another_encoding_is_read_where_it_is_declared(tmp_path: Path) -> None:
    content = (HEADER + "01/10/2024 00:00:00,Cố định,1,,,\n").encode("utf-16")
    assert staged(tmp_path, {"a.csv": content}, encoding="utf-16")[0]["technology"] == "Cố định"


def test_devices_are_known_by_their_keyed_hash_only(tmp_path: Path) -> None:
    rows = staged(tmp_path, {"a.csv": (HEADER + "01/10/2024 00:00:00,4G,1,,phone-1,\n" * 2).encode()})
    assert rows[0]["device_hash"] == rows[1]["device_hash"] != "phone-1"
    assert len(rows[0]["device_hash"]) == 16
    assert not any("phone-1" in str(value) for value in rows[0].values())


def test_files_of_two_shapes_make_one_month(tmp_path: Path) -> None:
    second = "Tải xuống (Mbps);Công nghệ;Thời điểm\n1,5;5G;2024-10-02 01:02:03\n"
    first = HEADER + "01/10/2024 00:00:00,4G,2.5,,,\n"
    rows = staged(tmp_path, {"b.csv.gz": gzip.compress(second.encode()), "a.csv": first.encode()})
    assert [(row["source_file"], row["download_mbps"]) for row in rows] == [("a.csv", 2.5), ("b.csv.gz", 1.5)]


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv.gz", b"no gzip", "not readable"),
        ("a.csv", "Thời gian đo,Loại mạng\n".encode(), "download_mbps"),
        ("a.csv", "Thời gian đo;Loại mạng;Download (Mbps)\n".encode(), "measured_at"),
        ("a.xls", b"", "a.xls"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path, name: str, content: bytes, named: str) -> None:
    with pytest.raises(UserError, match=named) as error:
        staged(tmp_path, {name: content})
    assert name in str(error.value)
