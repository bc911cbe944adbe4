"""What a commune is on another day: by the real registry's 139, 132 and 65 units, and by small made-up ones."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest

from ispeed.registry_files import BEGINNING, OPEN_END
from ispeed.settings import INCLUDE
from ispeed.succession import Successions, Unit

OCTOBER, NOVEMBER, JULY = date(2024, 10, 15), date(2024, 11, 15), date(2025, 7, 1)
SPLIT = {"22435", "22438", "22450", "22456", "22465", "22471", "22711", "22768"}


def day(text: str, empty: date) -> date:
    return date.fromisoformat(text) if text else empty


def rows(name: str) -> list[dict[str, Any]]:
    with (INCLUDE / "registry" / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def small(communes: Iterable[tuple[str, str, str]], successions: Iterable[tuple[str, str, str, str]]) -> Successions:
    """Communes (code, from, to) and successions (old, new, day, whole or part)."""
    return Successions(
        [{"commune_code": c, "valid_from": day(a, BEGINNING), "valid_to": day(b, OPEN_END)} for c, a, b in communes],
        [
            {"old_code": old, "new_code": new, "effective_date": date.fromisoformat(on), "whole_or_part": how}
            for old, new, on, how in successions
        ],
    )


@pytest.fixture(scope="module")
def real() -> Successions:
    return small(
        [(row["commune_code"], row["valid_from"], row["valid_to"]) for row in rows("communes")],
        [tuple(row.values()) for row in rows("commune_succession")],  # type: ignore[misc]
    )


def codes(found: Successions, code: str, known_on: date, on: date) -> set[str | None]:
    unit = found.unit(code, known_on)
    assert unit is not None
    return {one and one.commune_code for one in found.units_on(unit, known_on, on)}


@pytest.mark.parametrize(
    ("code", "known_on", "on", "expected"),
    [
        ("22366", OCTOBER, OCTOBER, {"22366"}),
        ("22342", OCTOBER, NOVEMBER, {"22348"}),  # Xương Huân went into Vạn Thạnh
        ("22342", OCTOBER, JULY, {"22366"}),  # and that into phường Nha Trang
        ("22666", OCTOBER, JULY, {"22660"}),  # Diên Đồng went into Xuân Đồng, and that on
        ("22768", OCTOBER, JULY, {"22780", "22888"}),  # Đông Hải of Ninh Thuận, split
        ("22753", OCTOBER, JULY, {"22759"}),  # Mỹ Hương of Ninh Thuận
        ("22348", NOVEMBER, OCTOBER, {"22342", "22345", "22348"}),  # it has grown: the same row, not the same land
        ("22360", OCTOBER, OCTOBER, {"22360"}),
        ("22390", JULY, date(2030, 1, 1), {"22390"}),
    ],
)
def test_a_unit_of_the_registry_on_another_day(
    real: Successions, code: str, known_on: date, on: date, expected: set[str]
) -> None:
    assert codes(real, code, known_on, on) == expected


def test_of_139_and_132_units_all_but_the_split_ones_are_one_of_the_65(real: Successions) -> None:
    ours = [row for row in rows("communes") if row["province_code"] == "56"]
    for known_on, n in ((OCTOBER, 139), (NOVEMBER, 132)):
        units = [
            Unit(row["commune_code"], day(row["valid_from"], BEGINNING))
            for row in ours
            if day(row["valid_from"], BEGINNING) <= known_on <= day(row["valid_to"], OPEN_END)
        ]
        found = {unit: real.units_on(unit, known_on, JULY) for unit in units}
        assert len(found) == n
        assert {unit.commune_code for unit, on_july in found.items() if len(on_july) > 1} == SPLIT - {"22768"}
        assert not any(None in on_july for on_july in found.values())


def test_the_split_units_are_those_that_the_registry_calls_parts() -> None:
    parts = Counter(row["old_code"] for row in rows("commune_succession") if row["whole_or_part"] == "part")
    assert set(parts) == SPLIT
    assert sum(parts.values()) == 19


JANUARY, MARCH = date(2024, 1, 1), date(2024, 3, 1)


@pytest.mark.parametrize(
    ("communes", "successions", "code", "known_on", "on", "expected"),
    [
        ([("1", "", "2024-02-29"), ("2", "2024-03-01", "")], [], "1", JANUARY, MARCH, {None}),
        # It gives a part away and goes on under its own row: nobody knows which of the two a row of before lies in.
        ([("1", "", ""), ("2", "", "")], [("1", "2", "2024-03-01", "part")], "1", JANUARY, MARCH, {"1", "2"}),
        # A part whose rest is not told of.
        (
            [("1", "", "2024-02-29"), ("2", "", "")],
            [("1", "2", "2024-03-01", "part")],
            "1",
            JANUARY,
            MARCH,
            {"2", None},
        ),
        # Split, and joined again by a later succession: certain after all.
        (
            [("1", "", "2024-02-29"), ("2", "2024-03-01", "2024-05-31"), ("3", "2024-03-01", ""), ("4", "", "")],
            [
                ("1", "2", "2024-03-01", "part"),
                ("1", "3", "2024-03-01", "part"),
                ("2", "3", "2024-06-01", "whole"),
                ("3", "3", "2024-06-01", "whole"),
            ],
            "1",
            JANUARY,
            date(2024, 6, 1),
            {"3"},
        ),
        # Back over a split: each new unit lay in the old one.
        (
            [("1", "", "2024-02-29"), ("2", "2024-03-01", ""), ("3", "2024-03-01", "")],
            [("1", "2", "2024-03-01", "part"), ("1", "3", "2024-03-01", "part")],
            "2",
            MARCH,
            JANUARY,
            {"1"},
        ),
        # Back over a growth: the land may be its own of before, or what it was given.
        ([("1", "", ""), ("2", "", "")], [("1", "2", "2024-03-01", "part")], "2", MARCH, JANUARY, {"1", "2"}),
    ],
    ids=["ended without a successor", "goes on", "rest unknown", "split and joined", "back a split", "back a growth"],
)
def test_what_is_not_certain_is_not_one_unit(
    communes: Any, successions: Any, code: str, known_on: date, on: date, expected: set[str | None]
) -> None:
    assert codes(small(communes, successions), code, known_on, on) == expected
