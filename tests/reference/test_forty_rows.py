"""Forty rows made by hand: every quarantine reason, every flag, and the cases that are easy to get wrong.

`forty_rows.csv` is read as bytes (row 13 is not UTF-8). Rows are numbered as records, with the header as 1, so the
line break inside row 10 moves nothing. `registry/` holds the few units, codes and operators that the rows need.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Tables = dict[str, list[dict[str, Any]]]
HERE = Path(__file__).parent

QUARANTINED = {
    11: "unreadable_row",  # 18 fields of 22
    12: "unreadable_row",  # 23 fields: a delimiter without quotes
    13: "unreadable_row",  # bytes that are no UTF-8
    14: "unreadable_row",  # download 5o.2
    15: "unreadable_row",  # jitter 12,5 where the decimal sign is a point
    16: "missing_required",  # no time
    17: "missing_required",  # technology '-'
    18: "missing_required",  # download 'NULL'
    19: "unreadable_row",  # no time either, but upload 'n/a' comes first
    20: "bad_timestamp",  # 29/02/2023
    21: "bad_timestamp",  # 2024-10-05, not the declared format
    22: "future_timestamp",  # 2099, which is another month too
    23: "other_month",  # 30/09/2024 23:59:59
    24: "other_month",  # 01/11/2024 00:00:00
    26: "other_month",  # first of D1; it has an earlier reason, so 27 stays
    28: "duplicate",  # of 27, by id, though its download differs
    29: "implausible_value",  # download 0; first of D2
    30: "duplicate",  # of 29: duplicates are found before values are judged
    32: "duplicate",  # of 31: no id, all columns equal
    35: "implausible_value",  # ping 60000.1
    36: "implausible_value",  # technology 6G
}
FLAGGED = {
    7: {"unknown_commune", "unknown_operator"},  # 'Vạn Thạnh' is a phường and a xã; no operator
    38: {"expired_referral_code"},  # KH22327, withdrawn on 30/09/2024
    39: {"commune_mismatch"},  # ' kh22363 ' is KH22363, measured in 22327
    40: {"unknown_referral_code", "unknown_operator", "low_location_accuracy"},  # KH99999, 'Alo', 1500.5 m
    41: {"outside_province"},  # Phường Đô Vinh, Ninh Thuận
}
CLEAN = {2, 3, 4, 5, 6, 8, 9, 10, 25, 27, 31, 33, 34, 37}
MEASURED_IN = {
    "22363": 11,  # Lộc Thọ: rows 2 6 9 10 25 27 31 33 34 37 40; row 6 has the name alone
    "22366": 2,  # Phước Tiến until 31/10/2024: row 3 by code, row 4 by a decomposed name
    "22372": 1,  # row 5: 'P.', a no-break space, two spaces, 'Hoà', 'TP.'
    "22519": 1,  # row 8: 'Xã Vạn Thạnh', 'H. Vạn Ninh'
    "22327": 2,  # rows 38 39
}


@pytest.fixture(scope="module")
def tables(run_month: Callable[..., Tables]) -> Tables:
    return run_month((HERE / "forty_rows.csv").read_bytes(), {}, registry=HERE / "registry", month="2024-10")


def test_every_row_stands_in_exactly_one_of_the_three_lists() -> None:
    assert sorted([*QUARANTINED, *FLAGGED, *CLEAN]) == list(range(2, 42))


def test_each_quarantined_row_has_the_first_reason_that_applies(tables: Tables) -> None:
    seen = [(row["row_number"], row["reason"]) for row in tables["quarantine"]]
    assert sorted(seen) == sorted(QUARANTINED.items())


def test_each_accepted_row_has_its_flags_and_no_other(tables: Tables) -> None:
    seen = [(row["row_number"], row["reason"]) for row in tables["flags"]]
    assert sorted(seen) == sorted((number, flag) for number, flags in FLAGGED.items() for flag in flags)


def test_raw_is_accepted_plus_quarantined(tables: Tables) -> None:
    quality = tables["report_quality_month"]
    n_rows = {
        outcome: sum(row["n_rows"] for row in quality if row["outcome"] == outcome)
        for outcome in ("raw", "accepted", "quarantined", "flagged")
    }
    assert n_rows == {"raw": 40, "accepted": 19, "quarantined": 21, "flagged": 8}
    assert len({row["source_file"] for row in quality}) == 1


def test_rows_are_counted_in_the_commune_as_of_the_day(tables: Tables) -> None:
    measured = [row for row in tables["report_commune_month"] if row["network"] == "mobile"]
    assert {row["commune_code"]: row["n_measurements"] for row in measured if row["n_measurements"]} == MEASURED_IN
    (unit,) = (row for row in measured if row["commune_code"] == "22366")
    assert (unit["commune_name"], unit["kind"]) == ("Phước Tiến", "phường")


def test_the_withdrawn_and_the_unknown_code_are_listed_with_what_is_known_of_them(tables: Tables) -> None:
    mobile = [row for row in tables["report_referral_code_month"] if row["network"] == "mobile"]
    seen = {row["referral_code"]: (row["holder_kind"] or "", row["n_measurements"]) for row in mobile}
    assert seen == {
        "DHNT": ("organisation", 0),
        "KH22327": ("commune", 1),
        "KH22363": ("commune", 2),
        "KH22366": ("commune", 1),
        "KH99999": ("", 1),
    }
