"""The csv folder: a valid data package whose every cell is as described, and the same figures once more, tidy."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import frictionless
import pytest

from ispeed.csv_folder import csv_cell, write_csv
from ispeed.month_content import workbook_policy
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.settings import Settings
from ispeed.tables import METRICS, REPORT_TABLES, RESTATED_TABLES, Table
from ispeed.tidy import STATUS, tidy_rows, tidy_table
from ispeed.workbook.content import Content, SourceFile

DAY = date(2025, 7, 1)
MADE = {"month": REPORT_TABLES, "restated": RESTATED_TABLES}


def folder_of(made: str, small_month: tuple[Settings, Month]) -> Path:
    settings, month = small_month
    share = settings.share_of(month) if made == "month" else settings.restated_share_of(month, DAY)
    return share / "r1" / "csv"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def described(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    return found


def faults(folder: Path) -> list[tuple[str, str]]:
    """What Frictionless finds, in the description and in every cell: file and kind of fault."""
    report = frictionless.validate(str(folder / "datapackage.json"))
    return [("", error.type) for error in report.errors] + [
        (task.name, error.type) for task in report.tasks for error in task.errors
    ]


@pytest.mark.parametrize("made", MADE)
def test_frictionless_finds_every_cell_as_the_package_describes_it(
    made: str, small_month: tuple[Settings, Month]
) -> None:
    folder = folder_of(made, small_month)
    assert faults(folder) == []
    package = described(folder)
    assert {resource["path"] for resource in package["resources"]} | {"datapackage.json"} == {
        path.name for path in folder.iterdir()
    }
    assert [resource["name"] for resource in package["resources"]] == [*(table.name for table in MADE[made]), "tidy"]


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("report_province_month", "mobile", "mobil", "constraint-error"),
        ("report_operator_month", ",4G,", ",6G,", "constraint-error"),
        ("report_province_month", "2024-10-01", "01/10/2024", "type-error"),
        ("report_province_month", "fixed", "mobile", "primary-key"),
        ("tidy", ",A,0,", ",X,0,", "constraint-error"),
        ("tidy", ",n_samples,", ",n_measurements,", "primary-key"),
        ("datapackage", '"type": "yearmonth"', '"type": "mont"', "field-error"),
    ],
)
def test_a_cell_that_is_not_as_described_is_noticed(
    file: str, old: str, new: str, fault: str, small_month: tuple[Settings, Month], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folder_of("month", small_month), tmp_path / "csv"))
    path = next(folder.glob(f"{file}.*"))
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert fault in {kind for _, kind in faults(folder)}


def test_the_package_tells_units_titles_sources_licence_and_issuer_and_no_time_of_its_making(
    small_month: tuple[Settings, Month],
) -> None:
    settings, month = small_month
    folder = folder_of("month", small_month)
    package = described(folder)
    manifest = json.loads((folder.parent / "manifest.json").read_text(encoding="utf-8"))
    assert [(source["title"], source["sha256"]) for source in package["sources"]] == [
        (source["name"], source["sha256"]) for source in manifest["inputs"]
    ]
    policy = workbook_policy(read_policy(settings.policy, month.last_day), month)
    assert package["licenses"][0]["title"] == policy.licence
    assert package["contributors"][0]["title"] == policy.issuer
    assert "created" not in package
    for resource in package["resources"]:
        content = (folder / resource["path"]).read_bytes()
        assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        for field in resource["schema"]["fields"]:
            assert field["title"] and field["description"]
            if resource["name"] != "tidy" and field["type"] in ("integer", "number"):
                assert field.get("unit") or field["name"].endswith(("revision", "_rank"))
            for metric in METRICS:
                if field["name"].startswith(metric) and not field["name"].endswith("_rank"):
                    assert field["unit"] == ("Mbit/s" if metric.endswith("_mbps") else "ms")


def wide_figures(folder: Path, tables: Sequence[Table]) -> dict[tuple[str, ...], str]:
    """Every number of the wide files but months, revisions and keys: by table, key and column."""
    return {
        (table.name, *(row[key] for key in table.key), column.name): row[column.name]
        for table in tables
        for row in read(folder / f"{table.name}.csv")
        for column in table.columns
        if column.type in ("integer", "double") and column.name not in ("revision", *table.key)
    }


def tidy_figures(folder: Path, tables: Sequence[Table]) -> dict[tuple[str, ...], str]:
    """The same of the tidy file, with its words put back into ours."""
    by_name = {table.name: table for table in tables}
    words = {
        "commune_code": "REF_AREA",
        "organisation_code": "ORGANISATION",
        "origin_code": "ORIGIN_AREA",
        "code": "REF_AREA",
    }
    found: dict[tuple[str, ...], str] = {}
    for row in read(folder / "tidy.csv"):
        table = by_name[row["TABLE"]]
        keys = [
            row["INDICATOR"] if key == "indicator" else re.sub("^_Z$", "", row[words.get(key, key.upper())])
            for key in table.key
        ]
        if "indicator" in table.key:
            column = row["STAT"]
        elif row["INDICATOR"] in METRICS:
            column = f"{row['INDICATOR']}_{row['STAT']}"
        else:
            column = row["INDICATOR"]
        place = (table.name, *keys, column)
        assert place not in found
        found[place] = row["OBS_VALUE"]
    return found


@pytest.mark.parametrize("made", MADE)
def test_the_tidy_file_has_every_figure_of_the_wide_ones_and_no_other(
    made: str, small_month: tuple[Settings, Month]
) -> None:
    folder = folder_of(made, small_month)
    wide = wide_figures(folder, MADE[made])
    assert tidy_figures(folder, MADE[made]) == wide
    assert sum(value != "" for value in wide.values()) > 1_000


@pytest.mark.parametrize("made", MADE)
def test_a_blank_observation_says_why_and_a_figure_is_a_normal_value(
    made: str, small_month: tuple[Settings, Month]
) -> None:
    rows = read(folder_of(made, small_month) / "tidy.csv")
    for row in rows:
        if row["OBS_VALUE"] == "":
            assert STATUS[row["OBS_COMMENT"]] == row["OBS_STATUS"]
        else:
            assert (row["OBS_STATUS"], row["OBS_COMMENT"]) == ("A", "")
        assert (row["FREQ"], row["TIME_PERIOD"], row["REVISION"]) == ("M", "2024-10", "1")
        if row["DECIMALS"] and row["OBS_VALUE"]:
            assert float(row["OBS_VALUE"]) == round(float(row["OBS_VALUE"]), int(row["DECIMALS"]))


COMMUNE = {column.name: None for column in REPORT_TABLES[0].columns} | {
    "network": "mobile",
    "commune_code": "22366",
    "revision": 1,
    "n_measurements": 40,
    "change_reason": "no_previous_month",
}


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        ({"reason": "no_samples"}, "download_mbps_median", ("L", "no_samples")),
        ({"reason": "below_publish_minimum"}, "ping_ms_p10", ("L", "below_publish_minimum")),
        ({"reason": "too_few_devices"}, "share_at_target", ("Q", "too_few_devices")),
        ({"blank_metrics": "upload_mbps, ping_ms"}, "upload_mbps_mean", ("Q", "too_few_devices")),
        ({"blank_metrics": "upload_mbps, ping_ms"}, "ping_ms_ci_low", ("Q", "too_few_devices")),
        ({"blank_metrics": "upload_mbps"}, "jitter_ms_ci_low", ("M", "no_interval")),
        ({}, "share_at_target", ("M", "no_target")),
        ({}, "download_mbps_median_rank", ("M", "no_interval")),
        ({}, "download_mbps_median_change", ("M", "no_previous_month")),
        ({"change_reason": "blank_before"}, "download_mbps_median_change", ("O", "blank_before")),
        (
            {"change_reason": "blank_now", "reason": "too_few_devices"},
            "download_mbps_median_change",
            ("Q", "too_few_devices"),
        ),
        ({"n_measurements": 0, "reason": "no_samples"}, "top_operator_share", ("L", "no_samples")),
        ({"reason": "below_publish_minimum"}, "top_operator_share", ("Q", "too_few_devices")),
        ({"n_samples": 3}, "n_samples", ("A", "")),
    ],
)
def test_a_blank_has_the_code_of_sdmx_for_its_reason(
    row: dict[str, object], column: str, expected: tuple[str, str]
) -> None:
    table = REPORT_TABLES[0]
    rows = {table.name: [COMMUNE | row]}
    names = tidy_table([table]).column_names
    lines = [dict(zip(names, line, strict=True)) for line in tidy_rows([table], rows, Month(2024, 10), "56")]
    [line] = [line for line in lines if column in (line["INDICATOR"], f"{line['INDICATOR']}_{line['STAT']}")]
    assert (line["OBS_STATUS"], line["OBS_COMMENT"]) == expected


@pytest.mark.parametrize("text", ["=1+1", "+84", "-1", "@a", "\tx", "\rx", '=a,"b"\n;x'])
def test_a_text_that_would_run_as_a_formula_stays_text_in_a_valid_package(
    text: str, small_month: tuple[Settings, Month], tmp_path: Path
) -> None:
    settings, month = small_month
    table = next(table for table in REPORT_TABLES if table.name == "report_operator_month")
    row = {column.name: None for column in table.columns} | {
        "month": month.first_day,
        "revision": 1,
        "network": "mobile",
        "operator": text,
        "technology": "4G",
        "n_measurements": 0,
        "n_samples": 0,
        "n_devices": 0,
        "reason": "no_samples",
    }
    content = Content(
        month=month,
        revision=1,
        tables={table.name: [row]},
        policy=workbook_policy(read_policy(settings.policy, month.last_day), month),
        checks=[],
        reasons={},
        sources=[SourceFile(text, "0" * 64, 1)],
        changes=[],
        change_causes=[],
        is_sample=False,
    )
    write_csv(tmp_path / "csv", [table], content)
    assert faults(tmp_path / "csv") == []
    assert {row["OPERATOR"] for row in read(tmp_path / "csv" / "tidy.csv")} == {"'" + text} == {csv_cell(text)}
