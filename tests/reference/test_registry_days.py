"""Operators and referral codes whose validity begins or ends within the month, in the pipeline and in the reference.

A brand that moves to another host network, one that ends, a spelling that passes to another brand, codes that outlive
their holder, a holder that is away for some days, and one that is renamed.
"""

from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from test_agreement import KEYS, differences, load_reference

from ispeed.settings import INCLUDE

Tables = dict[str, list[dict[str, Any]]]
Row = dict[str, str]
HEADER = "Mã phép đo,Thời gian đo,Mã thiết bị,Mã giới thiệu,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps)\n"
OPERATORS = (
    ("Viettel", "Viettel", "Viettel", "", ""),
    ("Local", "MobiFone", "Local|Asim", "", "2024-10-14"),
    ("Local", "VinaPhone", "Local", "2024-10-15", ""),
    ("Asim", "VinaPhone", "", "2024-10-15", ""),
    ("Gmobile", "Gmobile", "Beeline", "", "2024-10-10"),
)
ORGANISATIONS = (
    ("ENDS", "Trường Cũ", "", "2024-10-12"),
    ("AWAY", "Trường Xa", "", "2024-10-07"),
    ("AWAY", "Trường Xa", "2024-10-20", ""),
    ("RENAMED", "Trường Một", "", "2024-10-09"),
    ("RENAMED", "Trường Hai", "2024-10-10", ""),
    ("NEXT", "Trường Sau", "", ""),
    ("GONE", "Trường Đã Mất", "", "2024-03-31"),
    ("LATER", "Trường Mới", "2024-11-01", ""),
)
CODES = (
    ("C-ENDS", "ENDS", "2024-01-01", ""),
    ("C-AWAY", "AWAY", "2024-01-01", ""),
    ("C-RENAMED", "RENAMED", "2024-01-01", "2024-10-25"),
    ("C-HANDED", "ENDS", "2024-01-01", "2024-10-20"),
    ("C-HANDED", "NEXT", "2024-10-21", ""),
    ("C-GONE", "GONE", "2024-01-01", ""),
    ("C-LATER", "LATER", "2024-01-01", ""),
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry") / "registry"
    shutil.copytree(INCLUDE / "registry", folder)
    validity = ("valid_from", "valid_to")
    replace(folder / "operators.csv", ("brand", "host_network", "seen_spellings", *validity), OPERATORS)
    replace(folder / "organisations.csv", ("organisation_code", "organisation_name", *validity), ORGANISATIONS)
    replace(folder / "referral_codes.csv", ("referral_code", "holder_code", *validity), CODES)
    return folder


def replace(path: Path, names: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None:
    """The rows of a registry file, other columns as they may be."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file))
    columns = list(dict.fromkeys([*header, *names]))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        constants = {"organisation_kind": "school", "holder_kind": "organisation"}
        kept = {name: value for name, value in constants.items() if name in columns}
        writer.writerows([kept | dict(zip(names, row, strict=True)) for row in rows])


def content() -> str:
    chance = random.Random(7)
    lines = []
    for number in range(3_000):
        moment = f"{chance.randrange(1, 32):02}/10/2024 {chance.randrange(24):02}:{chance.randrange(60):02}:00"
        code = chance.choice(["", "C-UNKNOWN", *(code for code, *_ in CODES)])
        operator = chance.choice(["Viettel", "LOCAL", "asim", "Beeline", "gmobile"])
        device, speed = chance.randrange(60), chance.lognormvariate(3.5, 0.6)
        lines.append(f"m{number},{moment},D{device},{code},56,22363,{operator},4G,{speed:.2f}\n")
    return HEADER + "".join(lines)


def test_days_of_operators_and_codes_agree_with_the_reference(
    run_month: Callable[..., Tables], registry: Path, tmp_path: Path
) -> None:
    published = run_month(content(), registry=registry)
    (tmp_path / "2024-10").mkdir()
    (tmp_path / "2024-10" / "export.csv").write_text(content(), encoding="utf-8")
    expected = load_reference().reference_tables(tmp_path, registry, "2024-10", datetime.now(UTC), None)
    for table, key in KEYS.items():
        found = differences(published[table], expected[table].astype(object).to_dict("records"), key)
        assert not found, f"{table}: {len(found)} differences\n" + "\n".join(found[:10])
    operators = {row["operator"]: row["host_network"] for row in published["report_operator_month"]}
    assert operators["Local"] == "MobiFone → VinaPhone"
    assert set(operators) == {"Viettel", "Local", "Asim", "Gmobile", "unknown"}
    flagged = {row["reason"] for row in published["flags"]}
    assert {"expired_referral_code", "unknown_referral_code", "unknown_operator"} <= flagged
