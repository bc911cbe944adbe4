"""Two real exports, read by the contracts that `make contract` drafts for them, with every row accounted for.

The files lie outside the project; where one is missing, its test says so and is skipped. What a person answers to the
draft stands in ANSWERS, and nothing else is changed. The counts are made a second time with pandas.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ispeed.checks import check_staging
from ispeed.contract_draft import draft_contract
from ispeed.lake import read_step
from ispeed.landing import land
from ispeed.months import Month
from ispeed.settings import Settings
from ispeed.staging import stage
from pipeline import run_steps, settings_in

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "real_exports"
CROWD, MLAB = "crowd_5g_gbk.csv", "mlab_ndt_download_2019.csv"
# Texts of the draft, and what is put in their place.
ANSWERS = {
    CROWD: {
        # The file has no time column. Its tests are those of one campaign, which a person dates; the month says so.
        '# constants:\n#   measured_at: "01/10/2024 00:00:00"': 'constants:\n  measured_at: "15/10/2024 12:00:00"',
        "timezone: Asia/Ho_Chi_Minh": "timezone: Asia/Shanghai",
    },
    MLAB: {
        # NDT ran over the lines of fixed access networks, and M-Lab counts days in UTC.
        "# constants:\n#   technology:": "constants:\n  technology:",
        "timezone: Asia/Ho_Chi_Minh": "timezone: UTC",
    },
}


def here(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (FOLDER / name).exists(), reason=f"../shared/real_exports/{name} is not here")


def checked(tmp_path: Path, registry_tables: Path, name: str, month: Month) -> tuple[Settings, dict[str, int]]:
    """The month of one file by its drafted contract and the answers: rows by outcome, zeros left out."""
    text = draft_contract(FOLDER / name, registry_tables).text
    for drafted, answer in ANSWERS[name].items():
        assert text.count(drafted) == 1
        text = text.replace(drafted, answer)
    settings = settings_in(tmp_path, source=tmp_path / "drafted.yaml")
    settings.source.write_text(text, encoding="utf-8")
    settings.exports_of(month).mkdir(parents=True)
    (settings.exports_of(month) / name).write_bytes((FOLDER / name).read_bytes())
    run_steps(settings, month, (land, stage, check_staging))
    raw = read_step(settings, "staging", month, "stage")["files"][name]["n_rows"]
    put_aside = read_step(settings, "quarantine", month, "check")["n_rows"]
    return settings, {"raw": raw, "accepted": raw - sum(put_aside.values()), **put_aside}


@here(CROWD)
def test_the_crowd_export_is_read_to_its_last_row_and_its_time_is_declared(
    tmp_path: Path, registry_tables: Path
) -> None:
    month = Month(2024, 10)
    settings, seen = checked(tmp_path, registry_tables, CROWD, month)
    rows = pd.read_csv(FOLDER / CROWD, encoding="gb18030", dtype=str, keep_default_na=False)
    # What the contract reads; the brand is not among it.
    read = ["model", "os_version", "network_type", "user_isp_id", "bandwidth_Mbps", "user_uid"]
    again = rows[read].apply(lambda column: column.str.strip()).duplicated()
    speed = rows["bandwidth_Mbps"].astype(float)
    implausible = ~again & ~((speed > 0) & (speed <= 5_000))
    wanted = {
        "raw": 10_000,
        "accepted": int((~again & ~implausible).sum()),
        "duplicate": int(again.sum()),
        "implausible_value": int(implausible.sum()),
    }
    assert len(rows) == 10_000
    assert seen == {outcome: n for outcome, n in wanted.items() if n}
    staged = json.loads((settings.lake_of("staging", month) / "staging.json").read_text(encoding="utf-8"))
    assert staged["constants"] == {"measured_at": "15/10/2024 12:00:00"}
    assert "measured_at" not in staged["files"][CROWD]["absent"]


@here(MLAB)
def test_the_mlab_export_is_read_to_its_last_row(tmp_path: Path, registry_tables: Path) -> None:
    _, seen = checked(tmp_path, registry_tables, MLAB, Month(2019, 3))
    rows = pd.read_csv(FOLDER / MLAB, dtype=str, keep_default_na=False)
    inside = rows[rows["date"].str.startswith("2019-03")]
    again = inside.duplicated(["date", "ip", "MeanThroughputMbps", "MinRTT", "ProviderName"])
    speed, ping = inside["MeanThroughputMbps"].astype(float), inside["MinRTT"].astype(float)
    implausible = ~again & ~((speed > 0) & (speed <= 10_000) & (ping > 0) & (ping <= 60_000))
    wanted = {
        "raw": 41_236,
        "accepted": int((~again & ~implausible).sum()),
        "other_month": len(rows) - len(inside),
        "duplicate": int(again.sum()),
        "implausible_value": int(implausible.sum()),
    }
    assert len(rows) == 41_236
    assert seen == {outcome: n for outcome, n in wanted.items() if n}
