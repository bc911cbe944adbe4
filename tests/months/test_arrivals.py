"""What arrives beside the measurements: a revision of its own, its cause named, and the ones before it made anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ispeed.arrivals import note_arrival
from ispeed.database import Database
from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.settings import Settings
from ispeed.verification import verify
from pipeline import AGAIN, SampleMonths, run_steps

MONTH = Month(2024, 10)
RETURNS = {
    "asked_kinds": ["school", "commune"],
    "rows": [
        {
            "organisation_code": "DHNT",
            "headcount": 500,
            "n_installed": 400,
            "n_measured": 250,
            "submitted_at": "2024-11-11T08:30:00+07:00",
            "is_late": True,
            "source_file": "=DHNT.xlsx",
        }
    ],
    "files": {"anh.jpg": "refused"},
}
ATLAS = {
    "rows": [
        {
            "network": "mobile",
            "level": "province",
            "code": "56",
            "atlas_n_samples": 900,
            "atlas_download_mbps_median": 50.5,
        },
        {"network": "mobile", "level": "commune", "code": "22366", "atlas_n_samples": 0},
        {
            "network": "fixed",
            "level": "commune",
            "code": "99999",
            "atlas_n_samples": 40,
            "atlas_download_mbps_median": 1,
        },
    ],
}


@pytest.fixture
def settings(sample_months: SampleMonths, tmp_path: Path) -> Settings:
    return sample_months(tmp_path / "var", MONTH)


def published_again(settings: Settings) -> tuple[int, str]:
    revision = run_steps(settings, MONTH, AGAIN)["revision"]
    publication = Database(settings.database_url).publication(MONTH, revision)
    assert publication is not None
    return revision, publication["why"]


def rows(settings: Settings, table: str, revision: int) -> dict[str, dict[str, Any]]:
    found = Database(settings.database_url).rows(table, MONTH, revision)
    return {row.get("organisation_code") or row["code"]: row for row in found}


def test_without_arrivals_the_tables_are_empty_and_nothing_is_told_of_them(settings: Settings) -> None:
    manifest = json.loads((settings.share_of(MONTH) / "r1" / "manifest.json").read_text(encoding="utf-8"))
    assert not {"returns", "atlas"} & set(manifest["origin"])
    tables = manifest["rows"]["tables"]
    assert (tables["report_return_month"], tables["report_atlas_month"]) == (0, 0)
    csv = (settings.share_of(MONTH) / "r1" / "csv" / "report_return_month.csv").read_bytes()
    assert csv.startswith(b"\xef\xbb\xbfmonth,revision,organisation_code,") and csv.count(b"\r\n") == 1
    assert published_again(settings)[0] == 1


def test_returns_make_a_revision_that_names_them_alone_and_each_is_made_anew(settings: Settings) -> None:
    note_arrival(settings, MONTH, "returns", RETURNS)
    assert published_again(settings) == (2, "Phiếu báo cáo của cơ quan, đơn vị")
    found = rows(settings, "report_return_month", 2)
    # 11 schools and the 139 communes of October's registry: whoever was asked, returned or not.
    assert len(found) == 11 + 139
    school = found["DHNT"]
    assert (school["state"], school["installed_share"], school["measured_share"]) == ("late", 0.8, 0.5)
    assert (str(school["submitted_at"]), school["is_late"]) == ("2024-11-11 01:30:00", True)
    measured = Database(settings.database_url).rows("report_organisation_month", MONTH, 2)
    of_codes = {
        row["organisation_code"]: (row["n_measurements"], row["n_devices"])
        for row in measured
        if (row["network"], row["organisation_kind"]) == ("mobile", "school")
    }
    assert of_codes == {code: (found[code]["n_measurements"], found[code]["n_devices"]) for code in of_codes}
    assert sum(n for n, _ in of_codes.values()) > 0
    assert found["22366"]["organisation_name"] == "Ủy ban nhân dân phường Phước Tiến"
    assert (found["22366"]["state"], found["22366"]["n_measured"]) == ("missing", None)

    changed = json.loads((settings.share_of(MONTH) / "r2" / "manifest.json").read_text(encoding="utf-8"))["changes"]
    assert set(changed["by_cause"]) == {"Phiếu báo cáo của cơ quan, đơn vị"}
    # What only says more of the same makes no revision.
    note_arrival(settings, MONTH, "returns", RETURNS | {"files": {}})
    assert published_again(settings)[0] == 2
    # A return more is a revision more, and those before stay what they were.
    late = {**RETURNS["rows"][0], "organisation_code": "22366"}  # type: ignore[index]
    note_arrival(settings, MONTH, "returns", RETURNS | {"rows": [*RETURNS["rows"], late]})  # type: ignore[misc]
    assert published_again(settings)[0] == 3
    for revision in (1, 2, 3):
        found_again = verify(settings, MONTH, revision)
        assert (found_again.differences, found_again.notes) == ([], [])


def test_figures_of_vnnic_stand_beside_ours_with_the_reason_where_they_cannot(settings: Settings) -> None:
    note_arrival(settings, MONTH, "atlas", ATLAS)
    assert published_again(settings) == (2, "Số liệu VNNIC công bố")
    found = rows(settings, "report_atlas_month", 2)
    province = found["56"]
    [ours] = [
        row
        for row in Database(settings.database_url).rows("report_province_month", MONTH, 2)
        if row["network"] == "mobile"
    ]
    assert province["download_mbps_difference"] == round(ours["download_mbps_median"] - 50.5, 2)
    assert (province["name"], province["reason"], province["upload_mbps_difference"]) == ("Khánh Hòa", None, None)
    assert (found["22366"]["name"], found["22366"]["reason"]) == ("phường Phước Tiến", "atlas_no_figure")
    assert (found["99999"]["name"], found["99999"]["reason"]) == (None, "not_in_registry")
    assert verify(settings, MONTH, 2).differences == []


def test_with_two_causes_each_cell_has_its_own(settings: Settings) -> None:
    note_arrival(settings, MONTH, "returns", RETURNS)
    note_arrival(settings, MONTH, "atlas", ATLAS)
    assert published_again(settings) == (2, "Phiếu báo cáo của cơ quan, đơn vị; Số liệu VNNIC công bố")
    manifest = json.loads((settings.share_of(MONTH) / "r2" / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["changes"]["by_cause"]) == {"Phiếu báo cáo của cơ quan, đơn vị", "Số liệu VNNIC công bố"}


def test_a_version_that_is_gone_is_named(settings: Settings) -> None:
    arrival = note_arrival(settings, MONTH, "returns", RETURNS)
    published_again(settings)
    (settings.lake_of("returns", MONTH) / f"{arrival.sha256}.json").unlink()
    with pytest.raises(UserError, match=rf"no {arrival.sha256}\.json, which the revision was made from"):
        verify(settings, MONTH, 2)
