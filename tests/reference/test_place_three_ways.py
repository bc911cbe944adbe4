"""Place three ways: as declared, as located, as promoted; each mismatch is a flag, and the declared place counts.

The map of 10/2024 is made up: each commune of Khánh Hòa is a square of 0.1°, in the order of codes, ten a row from
11.5 N, 109.0 E; the fourth has a hole, and the last is drawn as two squares.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from ispeed.settings import INCLUDE

Tables = dict[str, list[dict[str, Any]]]
HEADER = (
    "Thời gian đo,Mã tỉnh,Mã xã,Xã/Phường,Mã giới thiệu,Nhà mạng,Loại mạng,Download (Mbps),Vĩ độ,Kinh độ,"
    "Sai số vị trí (m)"
)
with (INCLUDE / "registry" / "communes.csv").open(encoding="utf-8-sig", newline="") as file:
    UNITS = sorted(
        row["commune_code"] for row in csv.DictReader(file) if row["province_code"] == "56" and not row["valid_from"]
    )
A, B, C, HOLED, LAST = *UNITS[:4], UNITS[-1]
ISLAND = (8.05, 115.05)


def corner(code: str) -> tuple[float, float]:
    """South and west of a commune's square."""
    row, column = divmod(UNITS.index(code), 10)
    return round(11.5 + row / 10, 1), round(109 + column / 10, 1)


def within(code: str, north: float = 0.02, east: float = 0.02) -> str:
    south, west = corner(code)
    return f"{south + north:.5f},{west + east:.5f}"


def ring(south: float, west: float, size: float) -> list[list[float]]:
    return [
        [west, south],
        [west + size, south],
        [west + size, south + size],
        [west, south + size],
        [west, south],
    ]


def made_up_map(*codes: str) -> dict[str, Any]:
    features = []
    for code in codes:
        south, west = corner(code)
        polygons = [[ring(south, west, 0.1)]]
        if code == HOLED:
            polygons[0].append(ring(south + 0.04, west + 0.04, 0.02))
        if code == LAST:
            polygons.append([ring(*(place - 0.05 for place in ISLAND), 0.1)])
        geometry = {"type": "MultiPolygon", "coordinates": polygons}
        features.append({"type": "Feature", "properties": {"commune_code": code}, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


# What a row declares (province, code, name), its referral code, its coordinates and accuracy; its flags, and the
# commune that it counts for.
CASES: list[tuple[str, str, str, set[str], str | None]] = [
    (f"56,{A},", f"MAU-{A}", f"{within(A)},20", set(), A),
    (f"56,{A},", f"MAU-{A}", ",,", set(), A),
    (f"56,{A},", f"MAU-{A}", f"{within(B)},20", {"location_mismatch", "code_location_mismatch"}, A),
    (f"56,{A},", f"MAU-{B}", f"{within(A)},20", {"commune_mismatch", "code_location_mismatch"}, A),
    (f"56,{A},", f"MAU-{B}", f"{within(B)},20", {"commune_mismatch", "location_mismatch"}, A),
    (
        f"56,{A},",
        f"MAU-{B}",
        f"{within(C)},20",
        {"commune_mismatch", "location_mismatch", "code_location_mismatch"},
        A,
    ),
    # Nothing declared, a name of two communes, a code that no commune has: the coordinates tell, and that is told.
    ("56,,", f"MAU-{B}", f"{within(B)},20", {"located_by_coordinates"}, B),
    ("56,,Vạn Thạnh", "", f"{within('22348')},20", {"located_by_coordinates"}, "22348"),
    (
        ",99999,",
        f"MAU-{A}",
        f"{within(B)},",
        {"located_by_coordinates", "commune_mismatch", "code_location_mismatch"},
        B,
    ),
    # … but not into this province against what the row says of its own.
    ("58,,", "", f"{within(B)},20", {"unknown_commune", "outside_province"}, None),
    # An accuracy beyond policy (1,000 m) is not used; one at it, or none, is.
    (f"56,{A},", "", f"{within(B)},1001", {"low_location_accuracy"}, A),
    (f"56,{A},", "", f"{within(B)},1000", {"location_mismatch"}, A),
    (f"56,{A},", "", f"{within(B)},", {"location_mismatch"}, A),
    ("56,,", "", f"{within(B)},1001", {"unknown_commune", "low_location_accuracy"}, None),
    # Hole, island, the edge that two communes share, an outer edge.
    (f"56,{HOLED},", "", f"{within(HOLED, 0.05, 0.05)},20", {"outside_boundaries"}, HOLED),
    (f"56,{A},", "", f"{ISLAND[0]},{ISLAND[1]},20", {"location_mismatch"}, A),
    (f"56,{A},", "", f"{within(B, 0.02, 0)},20", set(), A),
    ("56,,", "", f"{within(B, 0.02, 0)},20", {"unknown_commune"}, None),
    (f"56,{A},", "", f"{within(A, 0, 0.02)},20", set(), A),
    # Zeros, latitude and longitude exchanged, the sea, half a pair.
    (f"56,{A},", "", "0,0,20", {"outside_boundaries"}, A),
    (f"56,{A},", "", f"{','.join(reversed(within(A).split(',')))},20", {"outside_boundaries"}, A),
    (f"56,{A},", "", "12.0,112.0,20", {"outside_boundaries"}, A),
    (f"56,{A},", "", f"{within(A).split(',')[0]},,20", set(), A),
]
LOCATED = {"located_by_coordinates", "outside_boundaries", "location_mismatch", "code_location_mismatch"}


def export() -> str:
    lines = [
        f"05/10/2024 08:{number:02}:00,{declared},{code + '-A' if code else ''},Viettel,4G,50,{location}"
        for number, (declared, code, location, _, _) in enumerate(CASES)
    ]
    return "\n".join([HEADER, *lines]) + "\n"


@pytest.fixture(scope="module")
def run(run_month: Callable[..., Tables], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Tables]:
    def with_map(*codes: str) -> Tables:
        if not codes:
            return run_month(export(), {"publish_minimum": 1, "device_minimum": 1})
        path = tmp_path_factory.mktemp("map") / "communes_2024-01-01.geojson"
        path.write_text(json.dumps(made_up_map(*codes)), encoding="utf-8")
        return run_month(export(), {"publish_minimum": 1, "device_minimum": 1}, boundaries=path)

    return with_map


@pytest.fixture(scope="module")
def located(run: Callable[..., Tables]) -> Tables:
    return run(*UNITS)


def flags(tables: Tables) -> list[set[str]]:
    found: list[set[str]] = [set() for _ in CASES]
    for flag in tables["flags"]:
        found[flag["row_number"] - 2].add(flag["reason"])
    return found


def test_each_row_has_the_flags_of_its_place(located: Tables) -> None:
    assert flags(located) == [expected for *_, expected, _ in CASES]


def test_the_declared_place_counts_and_coordinates_only_where_there_is_none(located: Tables) -> None:
    expected = Counter(counted for *_, counted in CASES if counted)
    found = {row["commune_code"]: row["n_measurements"] for row in located["report_commune_month"] if row["n_devices"]}
    assert found == expected


def test_each_mismatch_is_counted(located: Tables) -> None:
    expected = Counter(flag for *_, flags_of_row, _ in CASES for flag in flags_of_row)
    found = {row["reason"]: row["n_rows"] for row in located["report_quality_month"] if row["outcome"] == "flagged"}
    assert {flag: n for flag, n in found.items() if n} == expected
    assert set(expected) >= LOCATED


def test_without_boundaries_no_coordinates_are_used(run: Callable[..., Tables]) -> None:
    found = flags(run())
    for row, (declared, *_, expected, _) in zip(found, CASES, strict=True):
        without = expected - LOCATED
        if "located_by_coordinates" in expected:
            without = without - {"commune_mismatch"} | {"unknown_commune"}
        assert row == without, declared


def test_a_map_of_some_communes_locates_in_them_and_calls_nothing_outside(run: Callable[..., Tables]) -> None:
    found = flags(run(A, B))
    assert not any("outside_boundaries" in row for row in found)
    assert found[2] == {"location_mismatch", "code_location_mismatch"}
    assert found[5] == {"commune_mismatch"}
