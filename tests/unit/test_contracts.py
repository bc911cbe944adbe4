from __future__ import annotations

from pathlib import Path

import pytest

from ispeed.contracts import COLUMNS, read_contract
from ispeed.errors import UserError
from ispeed.settings import INCLUDE

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
    assert read_contract(ISPEED).match_headers("x.csv", DESIGNED) == list(COLUMNS)


def test_a_header_that_is_not_declared_is_not_guessed() -> None:
    assert read_contract(ISPEED).match_headers("x.csv", [*DESIGNED, "Download"])[-1] is None


def test_a_missing_required_header_names_file_and_what_to_do() -> None:
    headers = [text for text in DESIGNED if text != "Download (Mbps)"]
    with pytest.raises(UserError) as error:
        read_contract(ISPEED).match_headers("thang-10.csv", headers)
    assert "thang-10.csv, row 1" in str(error.value)
    assert "'Download (Mbps)' or 'Tải xuống (Mbps)'" in str(error.value)


def test_two_headers_for_one_column_are_refused() -> None:
    with pytest.raises(UserError, match="2 headers for measured_at"):
        read_contract(ISPEED).match_headers("x.csv", [*DESIGNED, "Thời điểm"])


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
        ("  technology:\n    lte", "  operator:\n    lte", "values"),
    ],
)
def test_a_wrong_contract_names_the_key(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(UserError, match=named):
        read_contract(changed(tmp_path, old, new))


def test_comments_do_not_change_the_fingerprint(tmp_path: Path) -> None:
    assert read_contract(changed(tmp_path, "# Our column", "# Ours")).fingerprint == read_contract(ISPEED).fingerprint


def test_a_column_that_the_contract_requires_must_be_there(tmp_path: Path) -> None:
    contract = read_contract(changed(tmp_path, "[Nhà mạng]}", "[Nhà mạng], required: true}"))
    with pytest.raises(UserError, match="operator"):
        contract.match_headers("x.csv", [text for text in DESIGNED if text != "Nhà mạng"])
