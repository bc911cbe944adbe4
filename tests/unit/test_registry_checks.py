"""What the registry's rows may not say of each other, all of it told at once, and what is only odd."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

import pytest

from ispeed.errors import UserError
from ispeed.registry_checks import checked_tables
from ispeed.registry_files import FILES, Entry

# Two wards become one on 01/11/2024 under a code that one of them had; a third goes on; a fourth is split in 2025.
COMMUNES = """
22360,Phước Tân,phường,568,Nha Trang,56,Khánh Hòa,,2024-10-31
22366,Phước Tiến,phường,568,Nha Trang,56,Khánh Hòa,,2024-10-31
22366,Tân Tiến,phường,568,Nha Trang,56,Khánh Hòa,2024-11-01,
22348,Vạn Thạnh,phường,568,Nha Trang,56,Khánh Hòa,,
22435,Cam Phúc,xã,569,Cam Ranh,56,Khánh Hòa,,2025-06-30
22708,Bắc Cam Ranh,phường,,,56,Khánh Hòa,2025-07-01,
22453,Cam Hiệp,xã,,,56,Khánh Hòa,2025-07-01,
"""
SUCCESSION = """
22360,22366,2024-11-01,whole
22366,22366,2024-11-01,whole
22435,22708,2025-07-01,part
22435,22453,2025-07-01,part
"""
ORGANISATIONS = """
DHNT,Trường Đại học Nha Trang,school,568,600,2024-01-01,
UBND-CR,UBND thành phố Cam Ranh,district,569,,,2025-06-30
"""
CODES = """
A1,commune,22366,2024-01-01,2024-10-31
A1,commune,22348,2024-11-01,
DHNT,organisation,DHNT,2024-01-01,
"""
OPERATORS = """
Viettel,VIETTEL,Viettel,Viettel Telecom|VIETTEL,,
Reddi,,VinaPhone,Mobicast,,2024-10-10
Wintel,,VinaPhone,Mobicast|Reddi,2024-10-11,
"""
SOUND = {
    "communes": COMMUNES,
    "commune_succession": SUCCESSION,
    "organisations": ORGANISATIONS,
    "referral_codes": CODES,
    "operators": OPERATORS,
}


def entries(**changed: str) -> dict[str, list[Entry]]:
    """The sound registry with lines added to its files, or with `old => new` put in place."""
    found = {}
    for name, text in SOUND.items():
        for line in changed.get(name, "").splitlines():
            old, _, new = line.partition(" => ")
            assert not new or old in text
            text = text.replace(old, new) if new else f"{text}{line}\n"
        rows = csv.reader(io.StringIO(text.strip()))
        found[name] = [
            Entry(f"file {name}.csv, row {number}", dict(zip(FILES[name], [cell or None for cell in row], strict=True)))
            for number, row in enumerate(rows, start=2)
        ]
    return found


def test_a_sound_registry_makes_tables_without_a_warning() -> None:
    tables, warnings = checked_tables(entries())
    assert warnings == []
    assert {name: len(rows) for name, rows in tables.items()} == {
        "commune": 7,
        "commune_succession": 4,
        "operator": 7,
        "referral_code": 3,
        "organisation": 2,
    }


@pytest.mark.parametrize(
    ("name", "line", "where", "found"),
    [
        (
            "communes",
            "22348,Mới,xã,568,N,56,K,2030-01-01,",
            "communes.csv, row 9, column valid_from",
            "22348 valid from",
        ),
        ("communes", "123,Mới,xã,568,N,56,K,,", "row 9, column commune_code", "123, shorter than the others"),
        ("communes", "22999,Mới,xã,68,N,56,K,,", "row 9, column district_code", "68, shorter than the others"),
        ("communes", "22999,Mới,xã,568,N,5.6E+01,K,,", "row 9, column province_code", "a number that was rounded"),
        ("communes", "22999,,xã,568,N,56,K,,", "row 9, column commune_name", "nothing"),
        ("commune_succession", "22999,22366,2024-11-01,whole", "row 6, column old_code", "22999"),
        ("commune_succession", "22348,22453,2025-06-30,part", "row 6, column new_code", "22453"),
        ("commune_succession", "22348,22453,2025-07-01,whole", "row 6, column effective_date", "22348 passes on whole"),
        ("commune_succession", "22360,22366,2024-11-01,whole", "row 6, column new_code", "22360 → 22366 twice"),
        ("commune_succession", "22360,22348,2024-11-01,part", "row 6, column whole_or_part", "whole, and to 2 units"),
        ("commune_succession", "22360,22366,2024-11-01,all", "row 6, column whole_or_part", "'all'"),
        ("commune_succession", "22360,22366,,whole", "row 6, column effective_date", "nothing"),
        (
            "commune_succession",
            "22360,22366,2024-11-01,whole => 22360,22366,2024-11-01,part",
            "row 2, column whole_or_part",
            "22360 passes on in part, to 22366 alone",
        ),
        ("referral_codes", "X,commune,99999,,", "row 5, column holder_code", "99999, no commune on any day"),
        ("referral_codes", "X,commune,22360,2024-11-01,", "row 5, column holder_code", "22360, no commune on any day"),
        ("referral_codes", "X,organisation,22360,,", "row 5, column holder_code", "22360, no organisation"),
        ("referral_codes", "a1,commune,22348,2024-10-31,", "row 5, column valid_from", "A1 valid from"),
        ("organisations", "X,Trường X,school,568,nhiều,,", "row 4, column headcount", "nhiều"),
        ("operators", "Mobi,,MobiFone,Mobicast,2024-10-10,", "row 5, column seen_spellings", "also means Reddi"),
        (
            "operators",
            "Viettel,,Gmobile,,2024-10-10,",
            "row 5, column valid_from",
            "on days that file operators.csv, row 2",
        ),
    ],
)
def test_what_cannot_be_is_named_with_its_cell(name: str, line: str, where: str, found: str) -> None:
    with pytest.raises(UserError) as error:
        checked_tables(entries(**{name: line}))
    assert where in str(error.value)
    assert found in str(error.value)


@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        (
            "communes",
            "22999,Mới,xã,568,N,56,K,,2024-12-31",
            ["communes.csv, row 9, column valid_to: 22999 ends without a successor in commune_succession"],
        ),
        (
            "communes",
            "22999,Mới,xã,568,N,56,K,2024-12-01,",
            ["communes.csv, row 9, column valid_from: 22999 begins without a predecessor in commune_succession"],
        ),
        (
            "communes",
            "22999,Vạn  THẠNH,phường,568,N,56,K,,",
            ["communes.csv, row 9, column commune_name: Phường Vạn  THẠNH has the name that file communes.csv, row 5"],
        ),
        (
            "referral_codes",
            "A1,commune,22366,2024-01-01,2024-10-31 => A1,commune,22360,2024-01-01,2024-10-31\nX,commune,22360,,",
            [
                "row 5, column holder_code: X is valid from the beginning, but its holder 22360 exists only from the "
                "beginning to 2024-10-31",
            ],
        ),
        (
            "organisations",
            "X,Trường X,school,999,10,,",
            ["row 4, column district_code: no commune lies in district 999"],
        ),
        (
            "referral_codes",
            "X,commune,22366,2024-01-01,",
            ["X is held by 22366, which means 2 units in its time: Phường Phước Tiến, Phường Tân Tiến"],
        ),
        (
            "referral_codes",
            "123456,commune,22348,,\n00123,commune,22348,,",
            ["00123 is shorter than others of 6 digits"],
        ),
    ],
)
def test_what_is_odd_is_told_and_taken(name: str, line: str, told: list[str]) -> None:
    _, warnings = checked_tables(entries(**{name: line}))
    assert len(warnings) == len(told)
    for warning, text in zip(warnings, told, strict=True):
        assert text in warning


def test_a_unit_that_changes_within_a_month_is_told() -> None:
    _, warnings = checked_tables(
        entries(
            communes="22348,Vạn Thạnh,phường,568,Nha Trang,56,Khánh Hòa,, => "
            "22348,Vạn Thạnh,phường,568,Nha Trang,56,Khánh Hòa,,2024-10-09\n22348,Mới,phường,568,N,56,K,2024-10-10,",
            commune_succession="22348,22348,2024-10-10,whole",
            referral_codes="A1,commune,22348,2024-11-01, => A1,commune,22366,2024-11-01,",
        )
    )
    assert len(warnings) == 1
    assert "22348 means another unit from 2024-10-10 on, within a month" in warnings[0]


def held(**changed: str) -> list[tuple[Any, ...]]:
    tables, _ = checked_tables(entries(**changed))
    return [tuple(row.values()) for row in tables["referral_code"] if row["referral_code"] == "X"]


def test_a_code_is_held_only_while_its_holder_exists() -> None:
    """The code has no end, its holders have: rows for the days on which there is one, and none for the gap."""
    days = (date(2024, 1, 1), date(2025, 6, 30))
    assert held(referral_codes="X,organisation,UBND-CR,2024-01-01,") == [("X", "organisation", "UBND-CR", *days)]
    assert held(
        organisations="UBND-CR,UBND mới,district,569,,2025-08-01,", referral_codes="X,organisation,UBND-CR,2024-01-01,"
    ) == [
        ("X", "organisation", "UBND-CR", *days),
        ("X", "organisation", "UBND-CR", date(2025, 8, 1), date.max),
    ]
    # A code that means one unit after the other without a gap stays one row.
    assert held(referral_codes="X,commune,22366,2024-01-01,") == [("X", "commune", "22366", date(2024, 1, 1), date.max)]


def test_a_code_without_its_zeros_is_told_by_the_one_that_it_may_be() -> None:
    sound = entries(communes="00022,Phúc Xá,phường,568,N,56,K,,", referral_codes="X,commune,22,,")
    with pytest.raises(UserError, match="22, which is 00022 without its leading zeros"):
        checked_tables(sound)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(UserError) as error:
        checked_tables(
            entries(
                commune_succession="22999,22366,2024-11-01,whole",
                referral_codes="X,commune,99999,,",
                organisations="DHNT,Trường X,school,568,10,,",
            )
        )
    told = str(error.value)
    assert "registry files, 3 findings" in told
    for place in (
        "commune_succession.csv, row 6, column old_code",
        "referral_codes.csv, row 5, column holder_code",
        "organisations.csv, row 2, column valid_from",
    ):
        assert told.count(place) == 1


def test_many_findings_are_told_up_to_twenty_and_counted() -> None:
    lines = "\n".join(f"X{number},commune,99999,," for number in range(25))
    with pytest.raises(UserError) as error:
        checked_tables(entries(referral_codes=lines))
    told = str(error.value)
    assert "25 findings" in told
    assert told.count("referral_codes.csv, row") == 20
    assert "… and 5 more" in told


def test_cells_that_cannot_be_read_are_told_before_what_rows_say_of_each_other() -> None:
    with pytest.raises(UserError) as error:
        checked_tables(
            entries(communes="22999,Mới,Xã,568,N,56,K,15/10/2024,", organisations="X,Trường X,college,999,10,,")
        )
    assert "2 findings" in str(error.value)
    assert "'Xã'" in str(error.value)
    assert "'college'" in str(error.value)
    assert "999" not in str(error.value)
