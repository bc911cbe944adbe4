"""`benchmarks/pandas_reference.py` reads whole columns at a time; here beside the csv module, field by field.

Texts in quotes over two lines, short and long rows, bytes that are no UTF-8, and blocks that end in the midst of it.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import random
import unicodedata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from test_agreement import load_reference

HEADER = "Mã phép đo,Thời gian đo,Mã thiết bị,Mã giới thiệu,Xã/Phường,Loại mạng,Download (Mbps),Thiết bị"
N_ROWS = 400
TEXTS = (
    "Xã Phước Đồng",
    "",
    "-",
    "NULL",
    " Lộc Thọ ",
    '"Phước, Long"',
    '"a ""b"" c"',
    '""',
    'a"b',
    '"x"y',
    '"two\nlines"',
)
TEXTS += (
    '"two\r\nlines, and more"',
    "Phước\u00a0Long",
    unicodedata.normalize("NFD", "Phước Hòa"),
    "00123",
    "a\rb",
    '"',
)
MOMENTS = ("05/10/2024 07:08:09", "5/10/2024 07:08:09", "31/02/2024 00:00:00", "29/02/2024 00:00:00", "", " ", "NULL")
MOMENTS += (
    "05/10/2024 24:00:00",
    "05/10/2024 07:08:60",
    "05-10-2024 07:08:09",
    " 05/10/2024 07:08:09 ",
    "05/10/2024 07:08:090",
)
SPEEDS = (
    "40",
    "40.5",
    "+4.25",
    "-1",
    "1e2",
    "",
    "-",
    " ",
    "NULL",
    "40,5",
    '"40.5"',
    '"40,5"',
    "lỗi",
    "nan",
    "inf",
    "1_0",
    "1e400",
)
SPEEDS += (" 7.5 ", ".5", "5.", ".", "0x10", "99999999999", "100000000000", "true", "True", "1.2.3", "0.1234567890123")


def export(seed: int) -> bytes:
    """Rows of which most are in order, and every kind of disorder."""
    chance = random.Random(seed)
    lines = [HEADER.encode("utf-8-sig")]
    for number in range(N_ROWS):
        odd = chance.random() < 0.25
        fields = [
            chance.choice([f"m{number}", f"m{number}", "", "NULL", f" m{number} ", "Đo 1"]) if odd else f"m{number}",
            chance.choice(MOMENTS) if odd else f"{1 + number % 31:02}/10/2024 07:08:09",
            chance.choice(["", "d1", '"d,2"', "d3 "]),
            chance.choice(["", "mau-a", "MAU-A", " Mau-B"]),
            chance.choice(TEXTS[:-1]) if odd else "Xã Phước Đồng",
            "4G",
            chance.choice(SPEEDS) if odd else f"{number / 8}",
            chance.choice(["", "iPhone", '"iPhone13,2"']),
        ]
        line = ",".join(fields).encode()
        kind = chance.random() if odd else 1.0
        if kind < 0.08:
            line = line.replace(b"4G", b"4\xff")
        elif kind < 0.16:
            line += b",one more"
        elif kind < 0.24:
            line = line.rpartition(b",")[0]
        elif kind < 0.3:
            line = chance.choice([b"", b"  ", b"\r", b"\x00" + line])
        lines.append(line)
    return chance.choice([b"\n", b"\r\n"]).join(lines) + chance.choice([b"", b"\n"])


def read_by_hand(content: bytes) -> list[list[str] | None]:
    """Records field by field; None for one that cannot be read."""
    text = content.decode("utf-8-sig", errors="surrogateescape")
    records = [record for record in csv.reader(io.StringIO(text, newline="")) if record]
    whole = [
        len(record) == len(records[0]) and not any("\udc80" <= x <= "\udcff" for x in "".join(record))
        for record in records
    ]
    return [record if fits else None for record, fits in zip(records, whole, strict=True)][1:]


def cleaned(text: str) -> str | None:
    text = unicodedata.normalize("NFC", text.strip())
    return None if text in ("", "NULL", "-") else text


def told(reference: ModuleType, record: list[str] | None, number: int) -> dict[str, Any]:
    """What the reference should make of a record, texts as they are."""
    if record is None:
        return {"row_number": number, "unreadable": True}
    names = (
        "measurement_id",
        "measured_at",
        "device_id",
        "referral_code",
        "commune_name",
        "technology",
        "download",
        "model",
    )
    row: dict[str, Any] = dict(zip(names, map(cleaned, record), strict=True))
    speed = reference._number(row["download"], ".")
    is_wrong = row["download"] is not None and not abs(speed) < 1e11
    moment = reference._timestamp(row["measured_at"], "%d/%m/%Y %H:%M:%S")
    return {
        "row_number": number,
        "unreadable": is_wrong,
        "referral_code": row["referral_code"] and row["referral_code"].upper(),
        "commune_name": row["commune_name"],
        "device_model": row["model"],
        "download_mbps": None if is_wrong or math.isnan(speed) else speed,
        "measured_at": None if str(moment) == "NaT" else str(moment)[:19].replace("T", " "),
        "has_time": row["measured_at"] is not None,
        "has_id": row["measurement_id"] is not None,
        "has_device": row["device_id"] is not None,
    }


@pytest.mark.parametrize("block_bytes", [100, 1_000, 1 << 25])
@pytest.mark.parametrize("seed", range(8))
def test_whole_columns_are_read_as_field_by_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, block_bytes: int
) -> None:
    reference = load_reference()
    monkeypatch.setattr(reference, "BLOCK_BYTES", block_bytes)
    (tmp_path / "2024-10").mkdir()
    (tmp_path / "2024-10" / "a.csv").write_bytes(export(seed))
    rows = reference.read_month(tmp_path, "2024-10")
    expected = [told(reference, record, number) for number, record in enumerate(read_by_hand(export(seed)), start=2)]
    rows = rows.assign(has_id=rows["measurement_id"] != 0, has_device=rows["device_id"] != 0)
    rows["measured_at"] = [None if str(moment) == "NaT" else str(moment) for moment in rows["measured_at"]]
    found = rows.astype(object).where(rows.notna(), None).to_dict("records")
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        assert {name: row[name] for name in wanted} == wanted


def test_same_ids_have_the_same_hash_and_others_have_not(tmp_path: Path) -> None:
    lines = [HEADER.split(",")[0], "m1", " m1", "m2", '"m1"', "Đo", unicodedata.normalize("NFD", "Đo"), "NULL"]
    (tmp_path / "2024-10").mkdir()
    (tmp_path / "2024-10" / "a.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    ids = load_reference().read_month(tmp_path, "2024-10")["measurement_id"]
    assert [int(number) for number in ids.factorize()[0]] == [0, 0, 1, 0, 2, 2, 3]
    assert ids.iloc[-1] == 0
