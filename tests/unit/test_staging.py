"""Records as staging reads them: numbered as in the file, typed as declared, never guessed."""

from __future__ import annotations

import gzip
import unicodedata
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from ispeed.checks import check_staging
from ispeed.contracts import read_contract
from ispeed.engine import open_engine
from ispeed.errors import UserError
from ispeed.landing import land
from ispeed.months import Month
from ispeed.settings import INCLUDE
from ispeed.staging import stage
from pipeline import settings_in

MONTH = Month(2024, 10)
HEADER = "Thời gian đo,Loại mạng,Download (Mbps),Upload (Mbps),Mã thiết bị,Mã xã\n"


def staged(tmp_path: Path, files: dict[str, bytes], **contract: Any) -> list[dict[str, Any]]:
    """The staged rows of a month of `files`, with the keys of the first shape changed as given."""
    document = yaml.safe_load((INCLUDE / "sources" / "ispeed.yaml").read_text(encoding="utf-8"))
    for key, value in contract.items():
        (document if key in document or key in ("constants", "ignored") else document["shapes"][0])[key] = value
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
        "another,short,one",  # 7
        "01/10/2024 00:00:00,4G,8,,,",  # 8
    ]
    rows = staged(tmp_path, {"a.csv": (HEADER + "\n".join(lines) + "\n").encode()})
    assert [row["row_number"] for row in rows] == [2, 3, 4, 5, 6, 7, 8]
    read = {row["row_number"]: row["download_mbps"] for row in rows if row["read_error"] is None}
    assert read == {2: 2, 4: 4, 5: 5, 8: 8}


def test_empty_lines_count_in_row_numbers_and_are_no_records(tmp_path: Path) -> None:
    lines = ["01/10/2024 00:00:00,4G,2,,,", "", "", "01/10/2024 00:00:00,4G,5,,,", "short", "", ""]
    rows = staged(tmp_path, {"a.csv": (HEADER + "\n".join(lines)).encode()})
    assert [(row["row_number"], row["download_mbps"]) for row in rows] == [(2, 2), (5, 5), (6, None)]


def test_a_line_with_one_field_may_be_a_part_of_the_records_beside_it(tmp_path: Path) -> None:
    lines = [f"01/10/2024 00:00:00,4G,{number},,,22366" for number in range(2, 6)]
    rows = staged(tmp_path, {"a.csv": (HEADER + "\n".join([*lines[:2], "8", "", *lines[2:]]) + "\n").encode()})
    assert [(row["row_number"], row["read_error"] is None) for row in rows] == [
        (2, True),
        (3, False),  # …,22366 and 8 may have been one
        (4, False),
        (6, False),
        (7, True),
    ]


def test_a_surplus_field_costs_its_record_even_where_it_is_empty(tmp_path: Path) -> None:
    lines = [
        "01/10/2024 00:00:00,4G,2,,,",
        "01/10/2024 00:00:00,4G,,3,,,",
        "01/10/2024 00:00:00,4G,4,,,,",
        '01/10/2024 00:00:00,4G,5,,,,""',
        "01/10/2024 00:00:00,4G,6,,,",
    ]
    rows = staged(tmp_path, {"a.csv": (HEADER + "\n".join(lines)).encode()})
    assert [(row["row_number"], row["download_mbps"]) for row in rows] == [
        (2, 2),
        (3, None),
        (4, None),
        (5, None),
        (6, 6),
    ]


def test_the_delimiter_behind_every_record_and_the_header_is_harmless(tmp_path: Path) -> None:
    good = [f"01/10/2024 00:00:00,4G,{number},,,,\n" for number in (2, 3)]
    content = HEADER.replace("\n", ",\n") + "".join(good) + "01/10/2024 00:00:00,,4G,4,,,x\n"
    rows = staged(tmp_path, {"a.csv": content.encode()})
    assert [(row["download_mbps"], row["read_error"]) for row in rows] == [
        (2, None),
        (3, None),
        (None, "a value behind the last header"),
    ]


def test_mixed_line_ends_lose_nothing(tmp_path: Path) -> None:
    lines = HEADER + "".join(
        f"01/10/2024 00:00:00,4G,{number},,,{end}" for number, end in enumerate(["\r\n", "\n", "\r", "\r\n"], start=1)
    )
    assert [row["download_mbps"] for row in staged(tmp_path, {"a.csv": lines.encode()})] == [1, 2, 3, 4]


def test_a_quote_that_never_closes_is_refused_before_it_takes_rows_with_it(tmp_path: Path) -> None:
    good = "01/10/2024 00:00:00,4G,1,,,\n"
    with pytest.raises(UserError, match="row 3") as error:
        staged(tmp_path, {"a.csv": (HEADER + good + '01/10/2024 00:00:00,4G,1,,"open,\n' + good * 5).encode()})
    assert "5 lines behind it" in str(error.value)


@pytest.mark.parametrize(
    "damage", [lambda gz: gz[: len(gz) // 2], lambda gz: gz[:20] + b"\xff" + gz[21:], lambda gz: gz[:-4]]
)
def test_a_damaged_gzip_file_is_refused_whole(tmp_path: Path, damage: Any) -> None:
    content = "Tải xuống (Mbps);Công nghệ;Thời điểm\n" + "".join(
        f"{number},5;5G;2024-10-02 01:02:03\n" for number in range(1, 2_000)
    )
    with pytest.raises(UserError, match=r"a\.csv\.gz"):
        staged(tmp_path, {"a.csv.gz": damage(gzip.compress(content.encode()))})


def test_an_unpacked_file_has_a_limit_that_names_its_setting(tmp_path: Path) -> None:
    from dataclasses import replace

    from ispeed.landing import read_landing
    from ispeed.records import read_records

    content = "Tải xuống (Mbps);Công nghệ;Thời điểm\n" + "1,5;5G;2024-10-02 01:02:03\n" * 5_000
    settings = settings_in(tmp_path)
    settings.exports_of(MONTH).mkdir(parents=True)
    (settings.exports_of(MONTH) / "a.csv.gz").write_bytes(gzip.compress(content.encode()))
    land(settings, MONTH)
    file = read_landing(settings, MONTH).files[0]
    bounded = replace(settings, file_bytes_max=100_000)
    with open_engine() as engine, pytest.raises(UserError, match="ISPEED_FILE_BYTES_MAX"):
        read_records(engine, bounded, MONTH, read_contract(settings.source), file)


@pytest.mark.parametrize(
    "text", ["1/10/2024 3:4:5", "01/10/24 08:00:00", "infinity", "epoch", "01/10/2024", "2024-10-01 08:00:00"]
)
def test_a_time_in_another_format_is_not_guessed(tmp_path: Path, text: str) -> None:
    row = staged(tmp_path, {"a.csv": (HEADER + f"{text},4G,1,,,\n").encode()})[0]
    assert (row["measured_at"], row["measured_at_text"]) == (None, text)


@pytest.mark.parametrize("code", ["5.3033E+11", "2.2366e+4", "1E+14"])
def test_a_code_that_excel_made_a_number_of_is_told(tmp_path: Path, code: str) -> None:
    row = staged(tmp_path, {"a.csv": (HEADER + f"01/10/2024 00:00:00,4G,1,,,{code}\n").encode()})[0]
    assert row["read_error"] == f"commune_code {code}"


@pytest.mark.parametrize("text", ["4g", "LTE", " 4G ", "4G"])
def test_a_technology_is_known_in_any_case_and_by_declared_names(tmp_path: Path, text: str) -> None:
    row = staged(tmp_path, {"a.csv": (HEADER + f"01/10/2024 00:00:00,{text},1,,,\n").encode()})[0]
    assert row["technology"] == "4G"


@pytest.mark.parametrize(
    ("column", "header", "text", "value"),
    [
        ("operator", "Nhà mạng", " VTL ", "Viettel"),
        ("operator", "Nhà mạng", "v\u00a0T  l", "VinaPhone"),
        ("province_code", "Mã tỉnh", "Khánh Hoà", "56"),
        ("province_code", "Mã tỉnh", unicodedata.normalize("NFD", "KHÁNH HÒA"), "56"),
        ("commune_name", "Xã/Phường", "Vinh Hai", "Phường Vĩnh Hải"),
        ("commune_code", "Mã xã", "22366A", "22366"),
        ("referral_code", "Mã giới thiệu", "old-1", "MAU-1"),
        ("os", "Hệ điều hành", "adr", "Android"),
        ("technology", "Loại mạng", "Cáp quang", "Cố định"),
    ],
)
def test_a_text_means_what_the_contract_says_however_it_is_typed(
    tmp_path: Path, column: str, header: str, text: str, value: str
) -> None:
    values = {
        "operator": {"vtl": "Viettel", "v t l": "VinaPhone"},
        "province_code": {"khánh hòa": "56"},
        "commune_name": {"Vinh Hai": "Phường Vĩnh Hải"},
        "commune_code": {"22366a": "22366"},
        "referral_code": {"OLD-1": "MAU-1"},
        "os": {"ADR": "Android"},
        "technology": {"cáp quang": "Cố định"},
    }
    plain = {"Thời gian đo": "01/10/2024 00:00:00", "Loại mạng": "4G", "Download (Mbps)": "1"} | {header: "as it is"}
    mapped = plain | {header: text}
    lines = [plain.keys(), mapped.values(), plain.values()]
    rows = staged(tmp_path, {"a.csv": "\n".join(map(",".join, lines)).encode()}, values=values)
    assert rows[0][column] == value
    # What no map has stays as it was; a referral code is always in capitals.
    assert rows[1][column] == ("AS IT IS" if column == "referral_code" else "as it is")


def test_original_text_is_kept_whatever_it_means(tmp_path: Path) -> None:
    content = (HEADER + "01/10/2024 00:00:00,vtl,,,,\n01/10/2024 00:00:00,4G,1,,,\n").encode()
    staged(tmp_path, {"a.csv": content}, values={"technology": {"vtl": "4G"}})
    check_staging(settings_in(tmp_path, source=tmp_path / "contract.yaml"), MONTH)
    with open_engine() as engine:
        engine.read_parquet("quarantine", *(tmp_path / "lake/quarantine/month=2024-10").glob("*.parquet"))
        row = engine.rows("select reason, original_text from quarantine")[0]
    assert row["reason"] == "missing_required"
    assert '"technology":"vtl"' in row["original_text"]


def test_a_measurement_without_id_is_the_same_in_another_shape(tmp_path: Path) -> None:
    second = "Tải xuống (Mbps);Công nghệ;Thời điểm;Mã xã\n2,5;LTE;2024-10-01 00:00:00;22366\n"
    first = HEADER + "01/10/2024 00:00:00,4G,2.5,,,22366\n"
    rows = staged(tmp_path, {"b.csv.gz": gzip.compress(second.encode()), "a.csv": first.encode()})
    assert rows[0]["measurement_hash"] == rows[1]["measurement_hash"]


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


@pytest.mark.parametrize("text", ["33,5", "1,23", "12,3456", "1,234,5", ",234", "1,,234", "1,234,", "1.5,234"])
def test_a_mark_for_thousands_stands_before_three_digits(tmp_path: Path, text: str) -> None:
    assert numbers(tmp_path, text, thousands=",") == (None, f"download_mbps {text}")


@pytest.mark.parametrize(
    ("text", "value"), [("1,234.5", 1234.5), ("1,234,567", 1234567), ("-1,234", -1234), ("12", 12)]
)
def test_thousands_are_read_in_threes(tmp_path: Path, text: str, value: float) -> None:
    assert numbers(tmp_path, text, thousands=",") == (value, None)


@pytest.mark.parametrize("text", ["1/10/2024 8:05", "01/10/2024 08:05", "1/10/2024 08:05"])
def test_days_and_hours_may_lack_their_zero_where_it_is_declared(tmp_path: Path, text: str) -> None:
    content = (HEADER + f"{text},4G,1,,,\n").encode()
    rows = staged(tmp_path, {"a.csv": content}, timestamp_formats=["%-d/%-m/%Y %-H:%M"])
    assert rows[0]["measured_at"] == datetime(2024, 10, 1, 8, 5)


@pytest.mark.parametrize("mark", ["", "NULL", "-", "  ", "\u00a0"])
def test_a_missing_mark_is_nothing_and_no_error(tmp_path: Path, mark: str) -> None:
    rows = staged(tmp_path, {"a.csv": (HEADER + f"01/10/2024 00:00:00,4G,1,{mark},,\n").encode()})
    assert (rows[0]["upload_mbps"], rows[0]["read_error"]) == (None, None)


@pytest.mark.parametrize("text", ["2147483647", "2147483647.0", "2.147483647E9", " 2147483647 "])
def test_a_number_that_means_missing_does_so_however_it_is_written(tmp_path: Path, text: str) -> None:
    content = (HEADER + f"01/10/2024 00:00:00,4G,1,{text},,2147483647\n").encode()
    row = staged(tmp_path, {"a.csv": content}, missing=["", 2147483647])[0]
    assert (row["upload_mbps"], row["commune_code"], row["read_error"]) == (None, None, None)


@pytest.mark.parametrize(
    ("column", "unit", "text", "value"),
    [
        ("upload_mbps", "kbit/s", "12345", 12.345),
        ("upload_mbps", "B/s", "1250000", 10),
        ("upload_mbps", "bit/s", "25300000", 25.3),
        ("upload_mbps", "MB/s", "1.5", 12),
        ("ping_ms", "s", "0.0253", 25.3),
        ("ping_ms", "ms", "25.3", 25.3),
        ("packet_loss_pct", "share", "0.05", 5),
        ("location_accuracy_m", "km", "0.02", 20),
    ],
)
def test_a_declared_unit_becomes_ours(tmp_path: Path, column: str, unit: str, text: str, value: float) -> None:
    columns = yaml.safe_load((INCLUDE / "sources" / "ispeed.yaml").read_text(encoding="utf-8"))["columns"]
    columns[column] = {"headers": ["Của họ"], "unit": unit}
    content = f"Thời gian đo,Loại mạng,Download (Mbps),Của họ\n01/10/2024 00:00:00,4G,1,{text}\n".encode()
    row = staged(tmp_path, {"a.csv": content}, columns=columns)[0]
    assert (row[column], row["download_mbps"]) == (value, 1)


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
    assert rows[0]["device_hash"] == int(sha256(b"for tests:phone-1").hexdigest()[:16], 16) >> 1
    assert not any("phone-1" in str(value) for value in rows[0].values())


def test_files_of_two_shapes_make_one_month(tmp_path: Path) -> None:
    second = "Tải xuống (Mbps);Công nghệ;Thời điểm\n1,5;5G;2024-10-02 01:02:03\n"
    first = HEADER + "01/10/2024 00:00:00,4G,2.5,,,\n"
    rows = staged(tmp_path, {"b.csv.gz": gzip.compress(second.encode()), "a.csv": first.encode()})
    assert [(row["source_file"], row["download_mbps"]) for row in rows] == [("a.csv", 2.5), ("b.csv.gz", 1.5)]


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("a.csv", b"", "nothing"),
        ("a.csv.gz", b"no gzip", "damaged gzip"),
        ("a.csv", "Thời gian đo,Loại mạng\n".encode(), "download_mbps"),
        ("a.csv", "Thời gian đo;Loại mạng;Download (Mbps)\n".encode(), "measured_at"),
        ("a.xls", b"", "a.xls"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path, name: str, content: bytes, named: str) -> None:
    with pytest.raises(UserError, match=named) as error:
        staged(tmp_path, {name: content})
    assert name in str(error.value)
