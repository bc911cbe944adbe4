"""The published tables of the three demo months beside `benchmarks/pandas_reference.py`, which shares no code."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

MONTHS = ("2024-08", "2024-09", "2024-10")
KEYS = {
    "report_commune_month": ("network", "commune_code"),
    "report_commune_technology_month": ("network", "commune_code", "technology"),
    "report_referral_code_month": ("network", "referral_code"),
    "report_organisation_month": ("network", "organisation_code"),
    "report_operator_month": ("network", "operator", "technology"),
    "report_province_month": ("network",),
    "report_quality_month": ("source_file", "outcome", "reason"),
    "report_integrity_month": ("referral_code", "indicator"),
}
SHOWN = 10
Row = dict[str, Any]


def load_reference() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "pandas_reference.py"
    spec = importlib.util.spec_from_file_location("pandas_reference", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def blank(value: Any) -> bool:
    return value is None or value == "" or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def same(column: str, published: Any, expected: Any) -> bool:
    if blank(published) or blank(expected):
        return blank(published) and blank(expected)
    if column == "evidence":  # worded by the pipeline: it has to tell both counts
        told = re.findall(r"\d+", re.sub(r"(?<=\d)\.(?=\d{3}\b)", "", published))
        return set(expected.split("/")) <= set(told)
    if isinstance(expected, float):
        return abs(float(published) - expected) <= 1e-9
    return bool(published == expected)


def differences(published: list[Row], expected: list[Row], key: tuple[str, ...]) -> list[str]:
    """One line a difference: keys on one side only, columns on one side only, then cell by cell."""
    ours = {tuple(row[name] for name in key): row for row in published}
    theirs = {tuple(row[name] for name in key): row for row in expected}
    found = [f"{cell}: published only" for cell in sorted(ours.keys() - theirs.keys())]
    found += [f"{cell}: reference only" for cell in sorted(theirs.keys() - ours.keys())]
    if len(ours) != len(published):
        found.append(f"published: {len(published)} rows but {len(ours)} keys")
    for cell in sorted(ours.keys() & theirs.keys()):
        mine, other = ours[cell], theirs[cell]
        columns = set(mine) - {"month", "revision"}
        found += [f"{cell}: column {name} on one side only" for name in sorted(columns ^ set(other))]
        for name in sorted(columns & set(other)):
            if not same(name, mine[name], other[name]):
                found.append(f"{cell} {name}: published {mine[name]!r}, reference {other[name]!r}")
    return found


@pytest.fixture(scope="module")
def expected(published_demo: Any) -> dict[str, dict[str, list[Row]]]:
    reference, tables, previous = load_reference(), {}, None
    for month in MONTHS:
        computed = reference.reference_tables(
            published_demo.exports, published_demo.registry, month, published_demo.received_at, previous
        )
        tables[month] = {name: table.astype(object).to_dict("records") for name, table in computed.items()}
        previous = {name: pd.DataFrame(rows) for name, rows in published_demo.tables[month].items()}
    return tables


@pytest.mark.parametrize("table", KEYS)
@pytest.mark.parametrize("month", MONTHS)
def test_published_and_reference_agree(
    published_demo: Any, expected: dict[str, dict[str, list[Row]]], month: str, table: str
) -> None:
    found = differences(published_demo.tables[month][table], expected[month][table], KEYS[table])
    more = f"\n… {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    assert not found, f"{table} {month}: {len(found)} differences\n" + "\n".join(found[:SHOWN]) + more


def test_a_difference_is_seen() -> None:
    row = {"network": "mobile", "n_measurements": 30, "download_mbps_median": 40.0, "reason": None}
    for change in ({"n_measurements": 31}, {"download_mbps_median": 40.01}, {"download_mbps_median": None}):
        assert len(differences([row | change], [row], ("network",))) == 1
    assert len(differences([], [row], ("network",))) == 1
    assert differences([row | {"reason": ""}], [row], ("network",)) == []
