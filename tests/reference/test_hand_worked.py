"""Twelve rows, worked by hand: the arithmetic below was done on paper, and the pipeline has to arrive at it.

All rows: 10/2024, Phường Lộc Thọ (22363). Thresholds of this example: 1 measurement, 1 device.

    row  device  day  network   download                     sample (median of a device's tests of one day)
    2-4  A       05   4G        30    50    40               S1  40      odd: the middle one       at target 40
    5-6  B       05   4G        20    25                     S2  22.5    even: (20 + 25) / 2       below
    7    B       06   4G        60                           S3  60      another day               at target
    8    C       05   5G        100                          S4  100                               at target 100
    9    C       05   4G        39.99                        S5  39.99   another technology        below
    10   D       07   5G        99.99                        S6  99.99                             below
    11   E       07   3G        8                            S7  8       3G has no target          -
    12   -       07   3G        12                           S8  12      a row without a device is a device of its own
    13   F       07   WiFi      500                          fixed, never pooled with the others

download, in order: x(1..8) = 8  12  22.5  39.99  40  60  99.99  100
    median  (39.99 + 40) / 2 = 39.995 -> 40.00 (half up)      mean  382.48 / 8 = 47.81
    p10  place 0.10 * 7 = 0.70:  8 + 0.70 * (12 - 8)            = 10.8
    p25  place 0.25 * 7 = 1.75:  12 + 0.75 * (22.5 - 12)        = 19.875 -> 19.88
    p75  place 0.75 * 7 = 5.25:  60 + 0.25 * (99.99 - 60)       = 69.9975 -> 70.00
    p90  place 0.90 * 7 = 6.30:  99.99 + 0.30 * (100 - 99.99)   = 99.993 -> 99.99
    interval, n = 8:  P(B < 1) = 1/256 = 0.0039 <= 0.025;  P(B < 2) = 9/256 = 0.0352 > 0.025  =>  k = 1: x(1), x(8)
    at target: S1, S3, S4 of the six on 4G or 5G = 3/6 = 0.5 (4 of 9 tests, had the tests been counted)

upload, rows 2-4 give 10 14 12 -> 12; rows 5-6 give 5 6 -> 5.5; then 20, 30, 11, 25, none (row 11), 3
    x(1..7) = 3  5.5  11  12  20  25  30      median x(4) = 12      mean 106.5 / 7 = 15.2142... -> 15.21
    p10  place 0.6: 3 + 0.6 * 2.5 = 4.5       p25  place 1.5: 5.5 + 0.5 * 5.5 = 8.25
    p75  place 4.5: 20 + 0.5 * 5 = 22.5       p90  place 5.4: 25 + 0.4 * 5 = 27
    interval, n = 7:  1/128 = 0.0078 <= 0.025;  8/128 = 0.0625 > 0.025  =>  k = 1: x(1), x(7)

ping, rows 2-4 give 20 30 28 -> 28; rows 5-6 give 40 and none -> 40; then 22, 15, 24, none (row 10), 90, 70
    x(1..7) = 15  22  24  28  40  70  90      median x(4) = 28      mean 289 / 7 = 41.2857... -> 41.29
    p10  place 0.6: 15 + 0.6 * 7 = 19.2       p25  place 1.5: 22 + 0.5 * 2 = 23
    p75  place 4.5: 40 + 0.5 * 30 = 55        p90  place 5.4: 70 + 0.4 * 20 = 78        interval k = 1: x(1), x(7)

jitter, rows 2-4 give 2 4 3 -> 3; rows 5-6 give 7 8 -> 7.5; then 1, 2, 10
    x(1..5) = 1  2  3  7.5  10                median x(3) = 3       mean 23.5 / 5 = 4.7
    p10  place 0.4: 1 + 0.4 * 1 = 1.4         p25  place 1: 2
    p75  place 3: 7.5                         p90  place 3.6: 7.5 + 0.6 * 2.5 = 9
    interval, n = 5:  P(B < 1) = 1/32 = 0.03125 > 0.025  =>  k = 0: no interval
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Row = dict[str, Any]
Tables = dict[str, list[Row]]

ROWS = """\
Thời gian đo,Mã thiết bị,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps),Upload (Mbps),Ping (ms),Jitter (ms)
05/10/2024 08:00:00,A,56,22363,Viettel,4G,30,10,20,2
05/10/2024 12:30:00,A,56,22363,Viettel,4G,50,14,30,4
05/10/2024 20:15:00,A,56,22363,Viettel,4G,40,12,28,3
05/10/2024 09:00:00,B,56,22363,Viettel,4G,20,5,40,7
05/10/2024 09:10:00,B,56,22363,Viettel,4G,25,6,,8
06/10/2024 09:00:00,B,56,22363,Viettel,4G,60,20,22,1
05/10/2024 10:00:00,C,56,22363,Viettel,5G,100,30,15,2
05/10/2024 10:05:00,C,56,22363,Viettel,4G,39.99,11,24,10
07/10/2024 07:00:00,D,56,22363,Viettel,5G,99.99,25,,
07/10/2024 07:30:00,E,56,22363,VNPT,3G,8,,90,
07/10/2024 07:45:00,,56,22363,VNPT,3G,12,3,70,
07/10/2024 21:00:00,F,56,22363,Viettel,WiFi,500,400,3,0.5
"""

STATISTICS = ("median", "mean", "p10", "p25", "p75", "p90", "ci_low", "ci_high")
MOBILE = {
    "download_mbps": (40.00, 47.81, 10.8, 19.88, 70.00, 99.99, 8, 100),
    "upload_mbps": (12, 15.21, 4.5, 8.25, 22.5, 27, 3, 30),
    "ping_ms": (28, 41.29, 19.2, 23, 55, 78, 15, 90),
    "jitter_ms": (3, 4.7, 1.4, 2, 7.5, 9, None, None),
}


@pytest.fixture(scope="module")
def tables(run_month: Callable[..., Tables]) -> Tables:
    return run_month(ROWS, {"publish_minimum": 1, "device_minimum": 1})


def one_row(tables: Tables, table: str, **key: str) -> Row:
    (row,) = (row for row in tables[table] if all(row[name] == value for name, value in key.items()))
    return row


def counts(row: Row) -> tuple[int, int, int, int]:
    return row["n_measurements"], row["n_samples"], row["n_devices"], row["n_missing_to_assess"]


@pytest.mark.parametrize("metric", MOBILE)
def test_mobile_figures_are_the_ones_on_paper(tables: Tables, metric: str) -> None:
    row = one_row(tables, "report_commune_month", network="mobile", commune_code="22363")
    assert tuple(row[f"{metric}_{statistic}"] for statistic in STATISTICS) == MOBILE[metric]


def test_counts_and_share_are_the_ones_on_paper(tables: Tables) -> None:
    row = one_row(tables, "report_commune_month", network="mobile", commune_code="22363")
    assert counts(row) == (11, 8, 6, 289)  # devices: A B C D E and the one without a name
    assert (row["share_at_target"], row["reason"]) == (0.5, None)


def test_the_fixed_row_stands_alone(tables: Tables) -> None:
    row = one_row(tables, "report_commune_month", network="fixed", commune_code="22363")
    assert counts(row) == (1, 1, 1, 299)
    assert (row["download_mbps_median"], row["download_mbps_ci_low"]) == (500, None)
    assert (row["share_at_target"], row["reason"]) == (None, None)


def test_a_commune_without_rows_says_so(tables: Tables) -> None:
    row = one_row(tables, "report_commune_month", network="mobile", commune_code="22366")
    assert counts(row) == (0, 0, 0, 300)
    assert (row["download_mbps_median"], row["reason"]) == (None, "no_samples")


def test_operators_and_technologies_are_kept_apart(tables: Tables) -> None:
    figures = ("n_measurements", "n_samples", "download_mbps_median", "download_mbps_mean", "share_at_target")
    seen = {
        (row["operator"], row["technology"]): tuple(row[name] for name in figures)
        for row in tables["report_operator_month"]
    }
    assert seen == {
        ("Viettel", "4G"): (7, 4, 40.00, 40.62, 0.5),  # 22.5 39.99 40 60: mean 162.49 / 4 = 40.6225
        ("Viettel", "5G"): (2, 2, 100.00, 100.00, 0.5),  # (99.99 + 100) / 2 = 99.995 -> 100.00
        ("VinaPhone", "3G"): (2, 2, 10, 10, None),
        ("Viettel", "WiFi"): (1, 1, 500, 500, None),
    }


def test_the_province_sums_up_both_networks_apart(tables: Tables) -> None:
    mobile = one_row(tables, "report_province_month", network="mobile")
    fixed = one_row(tables, "report_province_month", network="fixed")
    assert (counts(mobile), counts(fixed)) == ((11, 8, 6, 289), (1, 1, 1, 299))
    assert (mobile["n_communes_publishable"], mobile["n_communes_assessable"]) == (1, 0)
    assert (mobile["download_mbps_median"], mobile["share_at_target"]) == (40.00, 0.5)


def test_the_first_month_has_nothing_to_compare_with(tables: Tables) -> None:
    row = one_row(tables, "report_province_month", network="mobile")
    assert (row["download_mbps_median_change"], row["change_reason"]) == (None, "no_previous_month")
