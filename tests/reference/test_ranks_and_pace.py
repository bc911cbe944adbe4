"""Worked examples on one screen each: ranks, signs of change, the pace to 300, and what a figure pools."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from test_corner_cases import only

from ispeed.months import Month
from ispeed.registry import sync_registry
from pipeline import BUILD, PUBLISH, built_tables, run_steps, settings_in

Tables = dict[str, list[dict[str, Any]]]
HEADER = "Thời gian đo,Mã thiết bị,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps)\n"


def month_of(cells: dict[str, list[float]], month: int = 10, operator: str = "Viettel", technology: str = "4G") -> str:
    """For each commune 36 measurements of 6 devices on 6 days, their speeds in turn from the list."""
    return "".join(
        f"{day:02}/{month:02}/2024 08:00:00,{commune}-{device},56,{commune},{operator},{technology},"
        f"{speeds[(6 * day + device) % len(speeds)]}\n"
        for commune, speeds in cells.items()
        for day in range(1, 7)
        for device in range(6)
    )


def test_overlapping_intervals_share_a_rank(run_month: Callable[..., Tables]) -> None:
    # Intervals: [50, 50], [50, 50], [20, 50] and [20, 20]. Wholly above the last lie the first two, and not the third.
    text = HEADER + month_of({"22363": [50], "22366": [50], "22372": [20, 50], "22375": [20]})
    communes = run_month(text)["report_commune_month"]
    ranks = {
        row["commune_code"]: (
            row["download_mbps_ci_low"],
            row["download_mbps_ci_high"],
            row["download_mbps_median_rank"],
        )
        for row in communes
        if row["network"] == "mobile" and row["n_measurements"]
    }
    assert ranks == {"22363": (50, 50, 1), "22366": (50, 50, 1), "22372": (20, 50, 1), "22375": (20, 20, 3)}
    assert {row["n_ranked"] for row in communes} == {4, None}
    unmeasured = only(communes, network="fixed", commune_code="22363")
    assert (unmeasured["download_mbps_median_rank"], unmeasured["n_ranked"]) == (None, None)


def test_technologies_are_ranked_apart_and_pooled_in_the_open(run_month: Callable[..., Tables]) -> None:
    text = HEADER + month_of({"22363": [40]}) + month_of({"22363": [200]}, technology="5G", operator="MobiFone")
    tables = run_month(text + month_of({"22366": [30]}))
    pooled = only(tables["report_commune_month"], network="mobile", commune_code="22363")
    assert (pooled["download_mbps_median"], pooled["technology_mix"]) == (120, "5G 36, 4G 36")
    # Of as many samples, the first name by the alphabet.
    assert (pooled["top_operator"], pooled["top_operator_share"]) == ("MobiFone", 0.5)
    apart = {
        (row["commune_code"], row["technology"]): (row["download_mbps_median"], row["download_mbps_median_rank"])
        for row in tables["report_commune_technology_month"]
    }
    assert apart == {("22363", "4G"): (40, 1), ("22363", "5G"): (200, 1), ("22366", "4G"): (30, 2)}


def test_few_devices_do_not_tell_what_they_are(run_month: Callable[..., Tables]) -> None:
    rows = "".join(f"{day:02}/10/2024 08:00:00,D{day % 4},56,22363,Viettel,4G,50\n" for day in range(1, 32))
    cell = only(run_month(HEADER + rows)["report_commune_month"], network="mobile", commune_code="22363")
    assert (cell["reason"], cell["n_devices"]) == ("too_few_devices", 4)
    assert (cell["technology_mix"], cell["top_operator"], cell["top_operator_share"]) == (None, None, None)


def test_the_day_of_the_300th_measurement_or_when_it_would_come(run_month: Callable[..., Tables]) -> None:
    def rows(commune: str, per_day: int, days: int) -> str:
        return "".join(
            f"{day:02}/10/2024 08:{minute:02}:00,{commune}-{minute},56,{commune},Viettel,4G,50\n"
            for day in range(1, days + 1)
            for minute in range(per_day)
        )

    # 10 a day: 300 on the 30th. 2 a day for 31 days: 62, and 300 after 150 days, on 27/02/2025. 20 on the first five
    # days: 100 in 31 days, and 300 after 93 days, on 01/01/2025.
    text = HEADER + rows("22363", 10, 31) + rows("22366", 2, 31) + rows("22372", 20, 5)
    communes = run_month(text)["report_commune_month"]
    found = {
        row["commune_code"]: (
            row["n_missing_to_publish"],
            row["n_missing_to_assess"],
            row["n_measurements_per_day"],
            row["assess_day"],
        )
        for row in communes
        if row["network"] == "mobile" and row["commune_code"] in ("22363", "22366", "22372", "22375")
    }
    assert found == {
        "22363": (0, 0, 10, date(2024, 10, 30)),
        "22366": (0, 238, 2, date(2025, 2, 27)),
        "22372": (0, 200, 3.23, date(2025, 1, 1)),
        "22375": (30, 300, None, None),
    }


def test_a_change_has_a_sign_only_beyond_the_intervals(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    september = {"22363": [50.0], "22366": [50.0], "22372": [20.0, 50.0], "22375": [50.0]}
    october = {"22363": [60.0], "22366": [40.0], "22372": [50.0], "22378": [50.0]}
    for month, cells in ((9, september), (10, october)):
        folder = settings.exports_of(Month(2024, month))
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text(HEADER + month_of(cells, month=month), encoding="utf-8")
    sync_registry(settings)
    run_steps(settings, Month(2024, 9), BUILD + PUBLISH)
    run_steps(settings, Month(2024, 10), BUILD)
    signs = {
        row["commune_code"]: (row["download_mbps_median_change"], row["change_sign"])
        for row in built_tables(settings, Month(2024, 10))["report_commune_month"]
        if row["network"] == "mobile" and row["commune_code"] in september | october
    }
    assert signs == {
        "22363": (10, "up"),
        "22366": (-10, "down"),
        "22372": (15, "unclear"),
        "22375": (None, None),
        "22378": (None, None),
    }


def test_staff_that_can_have_measured_is_capped(run_month: Callable[..., Tables]) -> None:
    def rows(code: str, n_devices: int) -> str:
        return "".join(f"05/10/2024 08:00:00,{code}-{n},{code},56,22363,Viettel,4G,50\n" for n in range(n_devices))

    # The seed's headcounts: 66 and 227.
    header = HEADER.replace("Mã thiết bị", "Mã thiết bị,Mã giới thiệu")
    organisations = run_month(header + rows("MAU-BAN-DT-1", 70) + rows("MAU-BQL-VP-1", 25))["report_organisation_month"]
    dan_toc = only(organisations, network="mobile", organisation_code="BAN-DT")
    van_phong = only(organisations, network="mobile", organisation_code="BQL-VP")
    assert (dan_toc["headcount"], dan_toc["n_measurements_per_head"], dan_toc["staff_share_at_most"]) == (66, 1.06, 1)
    assert (van_phong["headcount"], van_phong["staff_share_at_most"]) == (227, 25 / 227)
