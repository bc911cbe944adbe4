"""The registry that the project ships: complete, without contradictions, and honest about what is made up."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

import pytest

from ispeed.settings import INCLUDE

REGISTRY = INCLUDE / "registry"
LAST_OPEN_DAY = date(2100, 1, 1)
Period = tuple[date, date]


def rows(name: str) -> list[dict[str, str]]:
    with (REGISTRY / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def period(row: dict[str, str]) -> Period:
    start, end = row["valid_from"], row["valid_to"]
    return date.fromisoformat(start) if start else date.min, date.fromisoformat(end) if end else LAST_OPEN_DAY


def periods_by(name: str, column: str) -> dict[str, list[Period]]:
    periods: dict[str, list[Period]] = {}
    for row in rows(name):
        periods.setdefault(row[column], []).append(period(row))
    return periods


def overlaps(periods: list[Period]) -> Iterator[tuple[Period, Period]]:
    for earlier, later in pairwise(sorted(periods)):
        if later[0] <= earlier[1]:
            yield earlier, later


@pytest.mark.parametrize(
    ("day", "khanh_hoa", "kinds", "ninh_thuan"),
    [
        (date(2024, 10, 31), 139, {"xã": 98, "phường": 35, "thị trấn": 6}, 65),
        (date(2024, 11, 30), 132, {"xã": 96, "phường": 30, "thị trấn": 6}, 62),
        (date(2025, 7, 31), 65, {"xã": 48, "phường": 16, "đặc khu": 1}, 0),
    ],
)
def test_the_provinces_have_their_units_on_each_day(
    day: date, khanh_hoa: int, kinds: dict[str, int], ninh_thuan: int
) -> None:
    units = [row for row in rows("communes.csv") if period(row)[0] <= day <= period(row)[1]]
    ours = [row for row in units if row["province_code"] == "56"]
    assert len(ours) == khanh_hoa
    assert Counter(row["kind"] for row in ours) == kinds
    assert sum(row["province_code"] == "58" for row in units) == ninh_thuan


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("communes.csv", "commune_code"),
        ("referral_codes.csv", "referral_code"),
        ("organisations.csv", "organisation_code"),
    ],
)
def test_no_code_is_valid_twice_on_a_day(name: str, column: str) -> None:
    found = {code: list(overlaps(periods)) for code, periods in periods_by(name, column).items()}
    assert {code: pairs for code, pairs in found.items() if pairs} == {}


def test_every_period_ends_after_it_begins() -> None:
    for name in ("communes.csv", "referral_codes.csv", "organisations.csv"):
        assert [row for row in rows(name) if period(row)[0] > period(row)[1]] == []


def test_every_referral_code_has_its_holder_as_long_as_it_is_valid() -> None:
    holders = {
        "commune": periods_by("communes.csv", "commune_code"),
        "organisation": periods_by("organisations.csv", "organisation_code"),
    }
    for row in rows("referral_codes.csv"):
        start, end = period(row)
        lives = holders[row["holder_kind"]].get(row["holder_code"], [])
        # One life must hold the whole period: the next unit with the same code is another unit.
        assert any(life[0] <= start and end <= life[1] for life in lives), row


def test_every_unit_of_ours_and_every_organisation_holds_a_code_to_its_end() -> None:
    held = {(row["holder_code"], period(row)[1]) for row in rows("referral_codes.csv")}
    units = {(row["commune_code"], period(row)[1]) for row in rows("communes.csv") if row["province_code"] == "56"}
    organisations = {(row["organisation_code"], period(row)[1]) for row in rows("organisations.csv")}
    assert (units | organisations) - held == set()


def test_a_code_was_handed_on_and_a_code_was_withdrawn() -> None:
    last_day = periods_by("referral_codes.csv", "referral_code")
    handed_on = {code for code, periods in last_day.items() if len(periods) > 1}
    organisations = {row["organisation_code"]: period(row)[1] for row in rows("organisations.csv")}
    withdrawn = {
        row["referral_code"]
        for row in rows("referral_codes.csv")
        if row["holder_kind"] == "organisation"
        and max(last_day[row["referral_code"]])[1] < organisations[row["holder_code"]]
    }
    assert handed_on == {"MAU-TINHDOAN-2", "MAU-SO-TTTT-1"}
    assert withdrawn == {"MAU-SO-GDDT-2", "MAU-DHNT-2"}


def test_succession_leads_from_units_that_end_or_grow_to_units_that_are_there() -> None:
    lives = periods_by("communes.csv", "commune_code")

    def lives_on(code: str, day: date) -> bool:
        return any(start <= day <= end for start, end in lives.get(code, []))

    for row in rows("commune_succession.csv"):
        day = date.fromisoformat(row["effective_date"])
        assert lives_on(row["old_code"], day - timedelta(days=1)), row
        assert lives_on(row["new_code"], day), row


def test_every_unit_that_ends_has_a_successor() -> None:
    succeeded = {(row["old_code"], row["effective_date"]) for row in rows("commune_succession.csv")}
    ended = {
        (row["commune_code"], str(period(row)[1] + timedelta(days=1)))
        for row in rows("communes.csv")
        if row["valid_to"]
    }
    assert ended - succeeded == set()


def test_the_bodies_of_the_letter_are_there() -> None:
    organisations = rows("organisations.csv")
    kinds = Counter(row["organisation_kind"] for row in organisations)
    assert kinds == {"department": 21, "district": 9, "youth_union": 1, "school": 11}
    assert "Trường Đại học Tôn Đức Thắng (cơ sở Nha Trang)" in {row["organisation_name"] for row in organisations}
    assert all(int(row["headcount"]) > 0 for row in organisations)

    districts = {row["district_code"] for row in rows("communes.csv") if row["province_code"] == "56"} - {""}
    committees = [row for row in organisations if row["organisation_kind"] == "district"]
    assert {row["district_code"] for row in committees} == districts
    assert {row["valid_to"] for row in committees} == {"2025-06-30"}


def test_made_up_codes_say_so() -> None:
    assert all(row["referral_code"].startswith("MAU-") for row in rows("referral_codes.csv"))
    assert "made up" in (REGISTRY / "README.md").read_text(encoding="utf-8")
