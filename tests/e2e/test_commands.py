"""What the commands print and how they end, each in a process of its own on an empty `var/`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ispeed.contracts import read_contract
from ispeed.months import Month
from ispeed.sample import make_exports
from ispeed.settings import INCLUDE, PROJECT, Settings


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ISPEED_"))}
    return {**kept, "ISPEED_VAR": str(tmp_path), "PYTHONPATH": str(INCLUDE), "ISPEED_WAIT_SECONDS": "0"}


def ispeed(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ispeed", *arguments]
    return subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, timeout=600)


def test_a_month_is_published_and_the_same_again_publishes_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    make_exports(Settings.from_environment(environment), [Month(2024, 10)], n_rows=2_000)
    first = ispeed(environment, "month", "2024-10")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "seed registry copied" in first.stdout
    for step in ("sync_registry.sync_registry", "ingest_measurements.wait_for_export", "publish_reports.publish"):
        assert step in first.stdout
    for line in ("revision     1 (", "rows in      2,000", "accepted  ", "quarantined  ", "communes     139"):
        assert line in first.stdout
    assert str(tmp_path / "share" / "2024-10" / "r1") in first.stdout
    assert "DagRun Finished" in (tmp_path / "log" / "month-2024-10.log").read_text()
    assert "DagRun Finished" not in first.stdout

    again = ispeed(environment, "month", "2024-10", "--boundaries", "2025-07-01")
    assert again.returncode == 0
    assert "revision     1 (unchanged" in again.stdout
    assert str(tmp_path / "share" / "2024-10" / "restated" / "2025-07-01" / "r1") in again.stdout
    assert "revision     1 (of the month's revision 1)" in again.stdout


def test_what_the_user_must_mend_is_told_in_full_and_ends_with_2(environment: dict[str, str], tmp_path: Path) -> None:
    done = ispeed(environment, "month", "2024-11")
    assert done.returncode == 2
    assert f"export folder {tmp_path / 'exports' / '2024-11'}\n  found: no file" in done.stderr
    assert "what to do: put the export there" in done.stderr
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "log" / "month-2024-11.log") in done.stderr


def test_a_contract_is_drafted_for_an_unknown_export(environment: dict[str, str], tmp_path: Path) -> None:
    export, out = tmp_path / "export.csv", tmp_path / "new.yaml"
    export.write_text("Thời gian đo,Loại mạng,Download (Mbps)\n05/10/2024 08:00:00,4G,33.5\n", encoding="utf-8")
    printed = ispeed(environment, "contract", str(export))
    assert printed.returncode == 0, printed.stderr
    assert "row 2: measured_at=2024-10-05 08:00:00, technology=4G, download_mbps=33.5" in printed.stderr
    assert "not sure:\n  - Thời gian đo: %d/%m/%Y %H:%M:%S is taken" in printed.stderr
    source = tmp_path / "printed.yaml"
    source.write_text(printed.stdout, encoding="utf-8")
    assert read_contract(source).required == ("measured_at", "technology", "download_mbps")

    assert ispeed(environment, "contract", str(export), "--out", str(out)).returncode == 0
    assert out.read_text(encoding="utf-8").strip() == printed.stdout.strip()
    again = ispeed(environment, "contract", str(export), "--out", str(out))
    assert (again.returncode, "a file of that name" in again.stderr) == (2, True)


def test_a_fault_ends_with_1_and_names_the_log(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where the folder should be")
    done = ispeed(environment, "month", "2024-11")
    assert done.returncode == 1
    log = tmp_path / "log" / "month-2024-11.log"
    assert str(log) in done.stderr
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("month", "2024-13"), "expected: YYYY-MM"),
        (("month", "2024-10", "--boundaries", "07/2025"), "BOUNDARIES=2025-07-01"),
        (("backfill", "2024-10", "2024-08"), "FROM=2024-10 TO=2024-08"),
        (("backfill", "2024-08", "2024-08"), "expected: the export of 2024-08"),
    ],
)
def test_a_mistake_in_what_was_typed_is_told_before_anything_starts(
    environment: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = ispeed(environment, *arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert told in done.stderr
    assert not (tmp_path / "airflow").exists()
