from __future__ import annotations

from pathlib import Path

import pytest

from ispeed.contracts import COLUMNS, read_contract
from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.settings import INCLUDE

MONTH = Month(2024, 10)
ISPEED = INCLUDE / "sources" / "ispeed.yaml"
DESIGNED = (
    "Mã phép đo,Thời gian đo,Mã thiết bị,Mã giới thiệu,Mã tỉnh,Mã huyện,Quận/Huyện,Mã xã,Xã/Phường,Nhà mạng,Loại mạng,"
    "Download (Mbps),Upload (Mbps),Ping (ms),Jitter (ms),Tỷ lệ mất gói (%),Vĩ độ,Kinh độ,Sai số vị trí (m),"
    "Hệ điều hành,Thiết bị,Phiên bản"
).split(",")


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = ISPEED.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "contract.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_the_default_contract_reads_the_designed_headers_in_order() -> None:
    assert read_contract(ISPEED).match_headers("x.csv", DESIGNED, MONTH) == list(COLUMNS)


def test_a_header_that_is_not_declared_is_not_guessed() -> None:
    assert read_contract(ISPEED).match_headers("x.csv", [*DESIGNED, "Download"], MONTH)[-1] is None


def test_a_missing_required_header_names_file_and_what_to_do() -> None:
    headers = [text for text in DESIGNED if text != "Download (Mbps)"]
    with pytest.raises(UserError) as error:
        read_contract(ISPEED).match_headers("thang-10.csv", headers, MONTH)
    assert "thang-10.csv, row 1" in str(error.value)
    assert "one of 'Download (Mbps)', 'Tải xuống (Mbps)'" in str(error.value)


def test_two_headers_for_one_column_are_refused() -> None:
    with pytest.raises(UserError, match="2 headers for measured_at"):
        read_contract(ISPEED).match_headers("x.csv", [*DESIGNED, "Thời điểm"], MONTH)


def test_a_file_without_a_shape_is_named() -> None:
    with pytest.raises(UserError, match=r"report\.pdf"):
        read_contract(ISPEED).shape_of("report.pdf")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("Asia/Ho_Chi_Minh", "Asia/Saigon City", "timezone"),
        ("timezone: Asia/Ho_Chi_Minh\n", "", "timezone"),
        ("  measured_at:", "  measured_on:", "measured_on"),
        ('decimal: ","', 'decimal: ";"', "decimal"),
        ('    delimiter: ";"\n', "", "delimiter"),
        ('delimiter: ";"', 'delimiter: ""', "shapes.1.delimiter"),
        ('missing: ["", "NULL", "-"]', "missing: [null]", "missing.0"),
        ('timestamp_formats: ["%Y-%m-%d %H:%M:%S"]', "timestamp_formats: '%Y-%m-%d'", "shapes.1.timestamp_formats"),
        ("%H:%M:%S", "%H:%M:%Q", "timestamp_formats"),
        ("encoding: utf-8", "encoding: utf-9", "utf-9"),
        ("  technology:\n    lte", "  device_id:\n    lte", "values"),
    ],
)
def test_a_wrong_contract_names_the_key(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(UserError, match=named):
        read_contract(changed(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("timezone: Asia/Ho_Chi_Minh", "timezone: Asia/Saigon City", "line 4, timezone"),
        ('    decimal: ","', '    decimal: ""', "line 20, shapes.1.decimal"),
        ("[Mã tỉnh]}", "[Mã tỉnh], needed: true}", "line 44, columns.province_code.needed\n.*unexpected"),
        ("name: i-Speed\n", "name: i-Speed\nname: other\n", "line 4, name\n.*the same key as in line 3"),
        ("[Mã tỉnh]}", "[Mã tỉnh, Mã xã]}", "line [0-9]+, columns.commune_code.headers.0\n.*province_code"),
        ("[Jitter (ms)]}", "[Jitter (ms)], unit: kbit/s}", "columns.jitter_ms.unit\n.*kbit/s"),
        ("[Nhà mạng]}", "[Nhà mạng], unit: s}", "columns.operator.unit"),
        ("[Nhà mạng]}", "[{text: Nhà mạng, valid_from: 2024-13}]}", "columns.operator.headers.0.valid_from"),
        ("name: i-Speed", "name: [", "line"),
        ("encoding: utf-8", "encoding: hex", "line 10, shapes.0.encoding"),
        ("encoding: utf-8", "coding: utf-8", "line 9, shapes.0\n.*'encoding' is a required property"),
        ("    format: xlsx\n", "    format: xlsx\n    encoding: utf-8\n", "line 25, shapes.2.encoding\n.*this format"),
        ("    encoding: utf-8\n", "    encoding: utf-8\n    sheet: A\n", "line 11, shapes.0.sheet\n.*this format"),
        ('["%d/%m/%Y %H:%M:%S"]', '["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"]', "shapes.0.timestamp_formats.1\n.*same texts"),
        ('["%d/%m/%Y %H:%M:%S"]', '["%d/%m/%Y %H:%M", "%-m/%-d/%Y %-H:%M"]', "shapes.0.timestamp_formats.1"),
        ("lte: 4G", "lte: 4g", "values.technology.lte\n.*'4g'"),
        ("lte: 4G", "lte: 4G\n    LTE: 5G", "values.technology.LTE\n.*the same text as 'lte'"),
        ("lte: 4G", "'-': 4G", "values.technology.-\n.*nothing"),
        ("lte: 4G", "lte: 4", "values.technology.lte\n.*4 is not of type"),
        ("values:\n", "values:\n  province_code:\n    056: '56'\n", "values.province_code.056\n.*quotes|quotes"),
        ("values:\n", "values:\n  ping_ms:\n    fast: '1'\n", "values.ping_ms\n.*no column that this"),
        ("values:\n", "constants: {device_id: x}\nvalues:\n", "constants.device_id\n.*no column that this"),
        ("values:\n", "constants: {operator: Viettel}\nvalues:\n", "constants.operator\n.*has headers"),
        ("values:\n", "constants: {operator: ''}\nvalues:\n", "constants.operator\n.*non-empty"),
        ("values:\n", "constants: {operator: 4}\nvalues:\n", "constants.operator\n.*4 is not of type"),
        ('"*.csv.gz"', '"*.CSV"', "shapes.1.pattern\n.*the same as shape 0"),
        ("values:\n", "ignored: [Mã  xã]\nvalues:\n", "ignored.0\n.*also a header of commune_code"),
    ],
)
def test_a_wrong_contract_names_line_and_key(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(UserError, match=named):
        read_contract(changed(tmp_path, old, new))


def test_a_header_may_count_from_a_month_on(tmp_path: Path) -> None:
    contract = read_contract(changed(tmp_path, "[Nhà mạng]", "[Nhà mạng, {text: ISP, valid_from: 2024-11}]"))
    renamed = ["ISP" if text == "Nhà mạng" else text for text in DESIGNED]
    assert "operator" in contract.match_headers("x.csv", renamed, Month(2024, 11))
    assert "operator" in contract.match_headers("x.csv", DESIGNED, Month(2024, 11))
    assert "operator" not in contract.match_headers("x.csv", renamed, MONTH)


def test_a_required_header_that_came_too_early_is_told(tmp_path: Path) -> None:
    contract = read_contract(
        changed(tmp_path, "[Thời gian đo, Thời điểm]", "[{text: Thời gian đo, valid_from: 2025-01}]")
    )
    with pytest.raises(UserError, match=r"'Thời gian đo' \(2025-01 →\)"):
        contract.match_headers("x.csv", DESIGNED, MONTH)


def test_comments_do_not_change_the_fingerprint(tmp_path: Path) -> None:
    assert read_contract(changed(tmp_path, "# Our column", "# Ours")).fingerprint == read_contract(ISPEED).fingerprint


def test_a_column_that_the_contract_requires_must_be_there(tmp_path: Path) -> None:
    contract = read_contract(changed(tmp_path, "[Nhà mạng]}", "[Nhà mạng], required: true}"))
    with pytest.raises(UserError, match="operator"):
        contract.match_headers("x.csv", [text for text in DESIGNED if text != "Nhà mạng"], MONTH)
