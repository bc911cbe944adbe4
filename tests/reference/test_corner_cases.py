"""Small months with one corner each, and what must stand in the tables."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.settings import INCLUDE
from pipeline import BUILD, built_tables, run_steps, settings_in

Tables = dict[str, list[dict[str, Any]]]
HEADER = (
    "Thời gian đo,Mã thiết bị,Mã giới thiệu,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps),Upload (Mbps),"
    "Jitter (ms)\n"
)


def only(rows: list[dict[str, Any]], **key: Any) -> dict[str, Any]:
    found = [row for row in rows if all(row[name] == value for name, value in key.items())]
    assert len(found) == 1
    return found[0]


def test_a_metric_that_few_devices_measured_is_blank_though_the_cell_is_not(run_month: Callable[..., Tables]) -> None:
    lines = [
        f"{day:02}/10/2024 08:00:00,D{device},,56,22366,Viettel,4G,50,{9 if device == 0 else ''},{device + 1}\n"
        for day in range(1, 7)
        for device in range(6)
    ]
    cell = only(run_month(HEADER + "".join(lines))["report_commune_month"], network="mobile", commune_code="22366")
    assert (cell["n_measurements"], cell["n_devices"], cell["reason"]) == (36, 6, None)
    assert (cell["download_mbps_median"], cell["jitter_ms_median"]) == (50, 3.5)
    assert (cell["upload_mbps_median"], cell["upload_mbps_ci_low"]) == (None, None)


def test_a_code_ends_with_the_organisation_that_holds_it(run_month: Callable[..., Tables], tmp_path: Path) -> None:
    shutil.copytree(INCLUDE / "registry", tmp_path / "registry")
    with (tmp_path / "registry" / "organisations.csv").open("a", encoding="utf-8") as file:
        file.write("CU,Cơ quan cũ,other,,10,2024-01-01,2024-09-15\n")
    with (tmp_path / "registry" / "referral_codes.csv").open("a", encoding="utf-8") as file:
        file.write("CU-1,organisation,CU,2024-01-01,\n")
    rows = HEADER + "".join(
        f"{day}/09/2024 08:00:00,D{day},cu-1,56,22366,Viettel,4G,50,,\n" for day in ("14", "15", "16")
    )
    tables = run_month(rows, registry=tmp_path / "registry", month="2024-09")
    assert only(tables["report_organisation_month"], network="mobile", organisation_code="CU")["n_measurements"] == 2
    code = only(tables["report_referral_code_month"], network="mobile", referral_code="CU-1")
    assert (code["holder_name"], code["n_measurements"]) == ("Cơ quan cũ", 3)
    assert [(flag["row_number"], flag["reason"]) for flag in tables["flags"]] == [(4, "expired_referral_code")]


def test_a_code_handed_on_within_a_month_shows_both_holders(run_month: Callable[..., Tables], tmp_path: Path) -> None:
    shutil.copytree(INCLUDE / "registry", tmp_path / "registry")
    with (tmp_path / "registry" / "referral_codes.csv").open("a", encoding="utf-8") as file:
        file.write("X-1,organisation,DHNT,2024-01-01,2024-10-10\nX-1,commune,22348,2024-10-11,\n")
    rows = HEADER + "".join(
        f"{day}/10/2024 08:00:00,D{day},x-1,56,22348,Viettel,4G,50,,\n" for day in ("09", "10", "11", "12", "13")
    )
    tables = run_month(rows, registry=tmp_path / "registry")
    code = only(tables["report_referral_code_month"], network="mobile", referral_code="X-1")
    assert (code["holder_kind"], code["holder_name"]) == ("commune", "Phường Vạn Thạnh")
    assert (code["holder_since"], code["earlier_holder_name"]) == (date(2024, 10, 11), "Trường Đại học Nha Trang")
    assert (code["n_measurements"], code["n_measurements_earlier"]) == (5, 2)
    school = only(tables["report_organisation_month"], network="mobile", organisation_code="DHNT")
    assert school["n_measurements"] == 2
    assert tables["flags"] == []
    fixed = only(tables["report_referral_code_month"], network="fixed", referral_code="X-1")
    assert fixed["n_measurements_earlier"] == 0
    kept = only(tables["report_referral_code_month"], network="mobile", referral_code="MAU-22348-A")
    assert (kept["holder_since"], kept["earlier_holder_name"], kept["n_measurements_earlier"]) == (None, None, None)


def test_a_brand_and_its_host_network_are_those_of_the_day(run_month: Callable[..., Tables], tmp_path: Path) -> None:
    shutil.copytree(INCLUDE / "registry", tmp_path / "registry")
    (tmp_path / "registry" / "operators.csv").write_text(
        "brand,vnnic_mobile_label,host_network,seen_spellings,valid_from,valid_to\n"
        "Reddi,,VinaPhone,Mobicast,,2024-10-10\n"
        "Wintel,,VinaPhone,Mobicast,2024-10-11,2024-10-20\n"
        "Wintel,,MobiFone,Mobicast,2024-10-21,\n",
        encoding="utf-8",
    )
    rows = HEADER + "".join(
        f"{day}/10/2024 08:00:00,D{day},,56,22348,{operator},4G,50,,\n"
        for day, operator in (
            ("10", "MOBICAST"),
            ("11", "Mobicast"),
            ("20", "wintel"),
            ("21", "Mobicast"),
            ("09", "Wintel"),
        )
    )
    tables = run_month(rows, registry=tmp_path / "registry")
    found = {row["operator"]: (row["host_network"], row["n_measurements"]) for row in tables["report_operator_month"]}
    assert found == {"Reddi": ("VinaPhone", 1), "Wintel": ("VinaPhone → MobiFone", 3), "unknown": (None, 1)}


def test_phuong_van_thanh_and_xa_van_thanh_stay_apart(run_month: Callable[..., Tables]) -> None:
    header = "Thời gian đo,Mã thiết bị,Quận/Huyện,Xã/Phường,Loại mạng,Download (Mbps)\n"
    places = [
        *(["TP. Nha Trang,Phường Vạn Thạnh"] * 3 + [",P. Vạn Thạnh", "Nha Trang,Vạn Thạnh"]),
        *(["Huyện Vạn Ninh,Xã Vạn Thạnh"] * 2 + [",X. Vạn Thạnh", "Vạn Ninh,Vạn Thạnh"]),
        ",Vạn Thạnh",
    ]
    rows = header + "".join(
        f"{day:02}/10/2024 08:00:00,D{day},{place},4G,{day}\n" for day, place in enumerate(places, start=1)
    )
    tables = run_month(rows)
    mobile = [row for row in tables["report_commune_month"] if row["network"] == "mobile"]
    found = {(row["commune_code"], row["kind"]): row["n_measurements"] for row in mobile if row["n_measurements"]}
    assert found == {("22348", "phường"): 5, ("22519", "xã"): 4}
    assert [flag["row_number"] for flag in tables["flags"] if flag["reason"] == "unknown_commune"] == [11]


def test_a_code_of_a_commune_that_ended_keeps_that_commune_s_name(run_month: Callable[..., Tables]) -> None:
    rows = HEADER + "05/11/2024 08:00:00,D,MAU-22366-A,56,22366,Viettel,4G,50,,\n"
    tables = run_month(rows, month="2024-11")
    code = only(tables["report_referral_code_month"], network="mobile", referral_code="MAU-22366-A")
    assert code["holder_name"] == "Phường Phước Tiến"
    assert [flag["reason"] for flag in tables["flags"]] == ["expired_referral_code"]


def test_a_file_without_a_row_is_told_with_zeros(tmp_path: Path) -> None:
    settings, month = settings_in(tmp_path), Month(2024, 10)
    settings.exports_of(month).mkdir(parents=True)
    (settings.exports_of(month) / "a.csv").write_text(HEADER + "05/10/2024 08:00:00,D,,56,22366,Viettel,4G,50,,\n")
    (settings.exports_of(month) / "empty.csv").write_text(HEADER)
    sync_registry(settings)
    run_steps(settings, month, BUILD)
    rows = [row for row in built_tables(settings, month)["report_quality_month"] if row["source_file"] == "empty.csv"]
    assert len(rows) == 20
    assert {row["n_rows"] for row in rows} == {0}


def test_only_the_three_required_columns_make_a_month(run_month: Callable[..., Tables]) -> None:
    rows = "Thời gian đo,Loại mạng,Download (Mbps)\n" + "".join(
        f"{day:02}/10/2024 08:00:00,4G,{day + 10}\n" for day in range(1, 32)
    )
    tables = run_month(rows)
    province = only(tables["report_province_month"], network="mobile")
    assert (province["n_measurements"], province["n_samples"], province["n_devices"]) == (31, 31, 31)
    assert (province["download_mbps_median"], province["upload_mbps_median"]) == (26, None)
    assert {flag["reason"] for flag in tables["flags"]} == {"unknown_commune", "unknown_operator"}


def test_a_quarantined_row_keeps_its_text_but_not_its_device(tmp_path: Path) -> None:
    import duckdb

    settings, month = settings_in(tmp_path), Month(2024, 10)
    settings.exports_of(month).mkdir(parents=True)
    rows = (
        "05/10/2024 08:00:00,SECRET,,56,22366,Viettel,4G,50,,\n05/10/2024 08:00:00,SECRET,,56,22366,Viettel,4G,,7.5,\n"
    )
    (settings.exports_of(month) / "a.csv").write_text(HEADER + rows)
    sync_registry(settings)
    run_steps(settings, month, BUILD[:3])
    path = settings.lake_of("quarantine", month) / "quarantine_measurement.parquet"
    columns = "source_file, row_number, reason, detail, device_hash, original_text"
    ((file, row, reason, detail, device, text),) = (
        duckdb.read_parquet(str(path)).select(*columns.split(", ")).fetchall()
    )
    assert (file, row, reason, detail) == ("a.csv", 3, "missing_required", None)
    assert '"upload_mbps":"7.5"' in text
    assert "SECRET" not in f"{text} {device}"
