"""Dấu hiệu bất thường, worked by hand: twelve tests of one code, and what each indicator counts.

10/2024, Phường Lộc Thọ (22363), code MAU-22363-A; "away" is Phường Phước Tiến (22366). All Viettel 4G. X Y Z W: points.

    row  device  when          download  where        what it is there for
    1-2  P       29 23:10, :12  50  50   at X, at X   the same result twice; night; last three days
    3-5  P       29 23:14:00, 23:16:04, 23:20:00  60 61 62  at X
                                                      pauses 120 120 124 236 s: pairs (120, 120) and (120, 124) are
                                                      equal within 5 s, (124, 236) is not           -> 2 of 3
    6    P       10 09:00       47       away, at Y
    7    Q       08 10:00       52       at X         the three days before the 10th
    8-9  Q       15, 16 10:00   46  44   away, at x, Z   x has three decimals: no point
    10   R       20 10:00        5       at W         R also measures for the code of Phước Tiến, on the 21st
    11   -       12 04:59       56       no point     night; no upload: not a full result
    12   -       13 05:00       57       no point     no night any more
    without a code, six devices: 10 20 30 40 50 55 -> n = 6, k = 1: the interval of their median is [10, 55]

    tests 12; samples P 29, P 10, Q 08, Q 15, Q 16, R, and the two without a device: 8; devices P Q R and those two: 5
    measurements_per_sample      12 / 8 = 1.5
    samples_per_device           8 / 5 = 1.6
    top_device_share             P: 6 of 12
    shared_device_share          R, of the devices P Q R: 1 of 3
    identical_coordinates_share  stays: P 29 23h X, P 10 Y, Q 08 X, Q 16 Z, R W: 2 at X of 5
    commune_mismatch_share       away 6, 8, 9; those of Q, who has most, are left out: 1 of 12 - 2 = 10
    regular_interval_share       2 of 3
    night_share                  1-5 and 11: 6 of 12
    deadline_repeat_share        P's tests after the third of the 29th to 31st: 2 of 12
    identical_result_share       1 and 2, of the 11 full results: 2 of 11
    speed_difference_share       samples in Lộc Thọ: P 60, Q 52, R 5, 56 and 57: three above 55, one below 10: 3 of 5

Thresholds of this example: a level of 1/2 (a mean of 2), a chance of 1/5. P(Binomial(n, 1/2) >= k) <= 1/5 first at
    n = 12: k = 8 (794/4096 = 0.194; 7: 0.387)   n = 11: k = 8 (0.113; 7: 0.274)   n = 10: k = 7 (0.172; 6: 0.377)
    n = 7: k = 6 (0.0625; 5: 0.227)              n = 5: k = 4 (0.1875; 3: 0.5)     n = 3: k = 3 (0.125; 2: 0.5)
A mean has one case less: 12 tests make 11 cases, so from 8 tests on that add no sample: 12 / (12 - 8) = 3; 8 samples
make 7 cases: 8 / (8 - 6) = 4.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from math import comb
from typing import Any

import pytest

from ispeed.integrity import deadline_windows, fewest_cases
from ispeed.months import Month
from ispeed.policy import INDICATORS, read_policy
from ispeed.settings import INCLUDE
from ispeed.statistics import unlikely_hits

ROWS = """\
Thời gian đo,Mã thiết bị,Mã giới thiệu,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps),Upload (Mbps),Ping (ms),\
Jitter (ms),Vĩ độ,Kinh độ
29/10/2024 23:10:00,P,MAU-22363-A,56,22363,Viettel,4G,50,10,20,2,12.24511,109.19611
29/10/2024 23:12:00,P,MAU-22363-A,56,22363,Viettel,4G,50,10,20,2,12.24511,109.19611
29/10/2024 23:14:00,P,MAU-22363-A,56,22363,Viettel,4G,60,10,20,2,12.24511,109.19611
29/10/2024 23:16:04,P,MAU-22363-A,56,22363,Viettel,4G,61,10,20,2,12.24511,109.19611
29/10/2024 23:20:00,P,MAU-22363-A,56,22363,Viettel,4G,62,10,20,2,12.24511,109.19611
10/10/2024 09:00:00,P,MAU-22363-A,56,22366,Viettel,4G,47,10,20,2,12.24522,109.19522
08/10/2024 10:00:00,Q,MAU-22363-A,56,22363,Viettel,4G,52,10,20,2,12.24511,109.19611
15/10/2024 10:00:00,Q,MAU-22363-A,56,22366,Viettel,4G,46,10,20,2,12.245,109.195
16/10/2024 10:00:00,Q,MAU-22363-A,56,22366,Viettel,4G,44,10,20,2,12.24533,109.195
20/10/2024 10:00:00,R,MAU-22363-A,56,22363,Viettel,4G,5,10,20,2,12.24544,109.19644
12/10/2024 04:59:00,,MAU-22363-A,56,22363,Viettel,4G,56,,20,2,,
13/10/2024 05:00:00,,MAU-22363-A,56,22363,Viettel,4G,57,10,20,2,,
21/10/2024 10:00:00,R,MAU-22366-A,56,22366,Viettel,4G,50,10,20,2,,
05/10/2024 10:00:00,A,,56,22363,Viettel,4G,10,10,20,2,,
05/10/2024 10:00:00,B,,56,22363,Viettel,4G,20,10,20,2,,
05/10/2024 10:00:00,C,,56,22363,Viettel,4G,30,10,20,2,,
05/10/2024 10:00:00,D,,56,22363,Viettel,4G,40,10,20,2,,
05/10/2024 10:00:00,E,,56,22363,Viettel,4G,50,10,20,2,,
05/10/2024 10:00:00,F,,56,22363,Viettel,4G,55,10,20,2,,
"""
ON_PAPER = {
    "measurements_per_sample": (1.5, 3, "12 lượt đo / 8 mẫu đại diện / 5 thiết bị"),
    "samples_per_device": (1.6, 4, "8 mẫu đại diện / 5 thiết bị"),
    "top_device_share": (6 / 12, 8 / 12, "6 lượt của một thiết bị / 12 lượt đo"),
    "shared_device_share": (1 / 3, 3 / 3, "1 thiết bị còn đo cho đơn vị khác / 3 thiết bị"),
    "identical_coordinates_share": (2 / 5, 4 / 5, "2 đợt đo ở đúng một tọa độ / 5 đợt đo có tọa độ"),
    "commune_mismatch_share": (
        1 / 10,
        7 / 10,
        "1 lượt đo ngoài xã của mã / 10 lượt đo xác định được xã, không kể thiết bị đo ngoài xã nhiều nhất",
    ),
    "regular_interval_share": (2 / 3, 3 / 3, "2 quãng nghỉ bằng quãng nghỉ liền trước / 3 cặp quãng nghỉ"),
    "night_share": (6 / 12, 8 / 12, "6 lượt đo từ 23 giờ đến 5 giờ sáng / 12 lượt đo"),
    "deadline_repeat_share": (2 / 12, 8 / 12, "2 lượt đo thêm trong 3 ngày cuối tháng (1 thiết bị) / 12 lượt đo"),
    "identical_result_share": (2 / 11, 8 / 11, "2 lượt đo có kết quả giống hệt lượt khác / 11 lượt đo đủ kết quả"),
    "speed_difference_share": (3 / 5, 4 / 5, "3 mẫu nhanh hơn / 5 mẫu so sánh được"),
}
RULE = {
    "night_from_hour": 23,
    "night_to_hour": 5,
    "deadline_days": 3,
    "deadline_measurements": 3,
    "interval_measurements": 5,
    "interval_min_s": 60,
    "interval_max_s": 3600,
    "interval_tolerance_s": 5,
}
LEVELS = {name: 0.5 if name.endswith("_share") else 2 for name in INDICATORS}
Found = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def found(run_month: Callable[..., dict[str, list[dict[str, Any]]]]) -> Found:
    policy = {"integrity_measurements_minimum": 2, "integrity_chance": 0.2}
    tables = run_month(ROWS, policy | {"integrity_threshold": LEVELS, "integrity_rule": RULE})
    rows = tables["report_integrity_month"]
    assert {row["referral_code"] for row in rows} == {"MAU-22363-A"}  # the other code has one test
    return {row["indicator"]: row for row in rows}


def test_every_indicator_is_worked_by_hand() -> None:
    assert set(ON_PAPER) == set(INDICATORS)


@pytest.mark.parametrize("indicator", ON_PAPER)
def test_an_indicator_is_the_one_on_paper(found: Found, indicator: str) -> None:
    value, threshold, evidence = ON_PAPER[indicator]
    row = found[indicator]
    assert (row["value"], row["threshold"]) == (pytest.approx(value, abs=5e-7), pytest.approx(threshold, abs=5e-7))
    assert row["evidence"] == evidence


def test_the_page_tells_the_levels_and_cases_of_policy() -> None:
    policy = read_policy(INCLUDE / "policy.yaml", date(2024, 10, 31))
    page = (INCLUDE.parent / "docs" / "integrity.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \|.*\| (.+? \| \d+)[a-z ]* \|$", page, re.MULTILINE))
    needed = fewest_cases(policy)
    for name, level in policy.integrity_threshold.items():
        written = f"{100 * level:.0f} %" if name.endswith("_share") else f"{level:g} "
        assert told[name].startswith(written), name
        assert told[name].endswith(f" {needed[name]}"), name


def test_the_days_before_a_deadline_are_those_of_the_month() -> None:
    policy = read_policy(INCLUDE / "policy.yaml", date(2025, 2, 28))
    before_return, before_end = deadline_windows(Month(2025, 2), policy)
    assert before_return == (date(2025, 2, 7), date(2025, 2, 9))
    assert before_end == (date(2025, 2, 26), date(2025, 2, 28))


@pytest.mark.parametrize(("rate", "chance"), [(0.05, 1e-5), (0.3, 1e-5), (0.75, 1e-5), (0.9, 0.01), (0.5, 0.2)])
def test_thresholds_are_exact(rate: float, chance: float) -> None:
    p = Fraction(rate)

    def at_least(k: int, n: int) -> Fraction:
        return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1)), Fraction(0))

    found = dict(unlikely_hits(range(1, 200), rate, chance))
    assert found.keys() == {n for n in range(1, 200) if p**n <= Fraction(chance)}
    for n, k in found.items():
        assert at_least(k, n) <= Fraction(chance) < at_least(k - 1, n)
