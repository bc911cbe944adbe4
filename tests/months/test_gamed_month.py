"""An honest month in which three codes are gamed, each in its own way: the evidence names these three and no other."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
from openpyxl import load_workbook

from ispeed.draft import write_workbooks
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.sample import Device, Row, make_month, make_test, network_age, read_registry, write_exports
from ispeed.settings import Settings
from pipeline import BUILD, Tables, built_tables, run_steps, settings_in

OCTOBER = Month(2024, 10)
SEED = 7
HAMMERED, SCRIPTED, COPIED = "one phone hammers", "a script at night", "copied results before the deadline"
# What each way of gaming must be seen by; it may be seen by more.
SEEN_BY = {
    HAMMERED: {"measurements_per_sample", "top_device_share"},
    SCRIPTED: {"regular_interval_share", "night_share", "identical_coordinates_share"},
    COPIED: {"deadline_repeat_share", "identical_result_share", "shared_device_share"},
}


def load_false_alarms() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "false_alarms.py"
    spec = importlib.util.spec_from_file_location("false_alarms", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Gamed:
    settings: Settings
    rows: list[Row]
    codes: dict[str, str]  # way of gaming → code
    tables: Tables


class Gaming:
    """Makes tests of a code on top of an honest month's."""

    def __init__(self, settings: Settings, rows: Sequence[Row]) -> None:
        self.rng = Random(SEED)
        self.registry = read_registry(settings, OCTOBER)
        self.rows = rows
        self.made: list[Row] = []

    def phones(self, code: str) -> list[Device]:
        """Phones that honestly measure with the code, busiest first."""
        tests = [row.device for row in self.rows if row.values["referral_code"] == code and row.values["device_id"]]
        by_id = {device.device_id: device for device in tests}
        return [by_id[name] for name, _ in Counter(device.device_id for device in tests).most_common()]

    def test(self, code: str, phone: Device, when: datetime, like: Row | None = None, **told: float) -> None:
        """One test of a phone at home, with the result of another where that is copied."""
        row = make_test(self.rng, self.registry, phone, phone.home, when, network_age(OCTOBER))
        row.values |= {"referral_code": code, "device_id": phone.device_id, **told}
        if like is not None:
            columns = ("technology", "operator", "download_mbps", "upload_mbps", "ping_ms", "jitter_ms")
            row.values |= {column: like.values[column] for column in columns}
        row.place_in_file = len(self.rows) + len(self.made)
        self.made.append(row)

    def hammer(self, code: str) -> None:
        """500 tests of one phone on two working days, one after the other."""
        (phone, *_) = self.phones(code)
        for day in (16, 17):
            when = datetime(2024, 10, day, 8, 0)
            for _ in range(250):
                when += timedelta(seconds=35 + self.rng.expovariate(1 / 30))
                self.test(code, phone, when.replace(microsecond=0))

    def script(self, code: str) -> None:
        """A phone on a shelf on 15 nights: from half past midnight a test every ten minutes, at one given point."""
        (phone, *_) = self.phones(code)
        point = {"latitude": 12.30417, "longitude": 109.21038}
        for day in range(4, 19):
            start = datetime.combine(OCTOBER.first_day.replace(day=day), time(0, 30))
            for number in range(26):
                when = start + timedelta(minutes=10 * number, seconds=self.rng.randrange(3))
                self.test(code, phone, when, **point)

    def copy(self, code: str, lent_by: Sequence[str]) -> None:
        """Phones of other codes, one of each, in the last two days: 12 tests with 3 results each."""
        for lender in lent_by:
            phone = self.phones(lender)[-1]
            results: list[Row] = []
            for number in range(12):
                day = OCTOBER.last_day - timedelta(days=number % 2)
                when = datetime.combine(day, time(self.rng.randrange(8, 17), self.rng.randrange(60)))
                self.test(code, phone, when, results[number % 3] if number >= 3 else None)
                results.append(self.made[-1])


def codes_by_tests(rows: Sequence[Row]) -> list[str]:
    """The communes' codes that have 30 to 60 honest tests, in the alphabet's order."""
    counts = Counter(str(row.values["referral_code"]) for row in rows if row.reason is None)
    return sorted(code for code, n in counts.items() if 30 <= n <= 60 and code.startswith("MAU-2"))


@pytest.fixture(scope="module")
def gamed(tmp_path_factory: pytest.TempPathFactory) -> Gamed:
    settings = settings_in(tmp_path_factory.mktemp("gamed"))
    honest = make_month(settings, OCTOBER, 20_000, SEED, honest=True)
    gaming = Gaming(settings, honest)
    hammered, scripted, copied, *others = codes_by_tests(honest)
    gaming.hammer(hammered)
    gaming.script(scripted)
    gaming.copy(copied, others[:20])
    rows = honest + gaming.made
    write_exports(settings, OCTOBER, rows, "three codes gamed")
    sync_registry(settings)
    run_steps(settings, OCTOBER, (*BUILD, write_workbooks))
    codes = {HAMMERED: hammered, SCRIPTED: scripted, COPIED: copied}
    return Gamed(settings, rows, codes, built_tables(settings, OCTOBER))


def named(rows: Sequence[dict[str, Any]]) -> dict[str, set[str]]:
    """The codes with an indicator at or above its threshold, and which."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row["value"] >= row["threshold"]:
            found.setdefault(row["referral_code"], set()).add(row["indicator"])
    return found


def test_the_evidence_points_to_the_three_gamed_codes_and_to_no_other(gamed: Gamed) -> None:
    found = named(gamed.tables["report_integrity_month"])
    assert set(found) == set(gamed.codes.values())
    for way, code in gamed.codes.items():
        assert found[code] >= SEEN_BY[way], way


def test_the_sheet_names_them_and_explains_each(gamed: Gamed) -> None:
    (path,) = (gamed.settings.lake_of("draft", OCTOBER) / "files").glob("*.xlsx")
    sheet = load_workbook(path)["Dấu hiệu bất thường"]
    (table,) = sheet.tables.values()
    headings, *lines = ([cell.value for cell in row] for row in sheet[table.ref])
    rows = [dict(zip(headings, line, strict=True)) for line in lines]
    assert {row["Mã giới thiệu"] for row in rows} == set(gamed.codes.values())
    assert all("(ngưỡng " in row["Giải thích"] for row in rows)
    devices = {row.device.device_id for row in gamed.rows}
    texts = " ".join(str(value) for line in lines for value in line)
    assert not [device for device in devices if device in texts]


def test_the_short_way_of_the_benchmark_finds_what_the_pipeline_finds(gamed: Gamed) -> None:
    found = load_false_alarms().evidence_of(gamed.settings, OCTOBER, gamed.rows)
    assert found == gamed.tables["report_integrity_month"]


def test_honest_months_name_nobody(tmp_path: Path) -> None:
    false_alarms = load_false_alarms()
    settings, tally = false_alarms.settings_for(tmp_path), false_alarms.Tally()
    for seed, month in enumerate(false_alarms.MONTHS[::6]):
        tally.add(false_alarms.evidence_of(settings, month, false_alarms.honest_month(settings, month, 20_000, seed)))
    assert len(tally.months_named) == 4
    assert tally.n_code_months > 500
    assert tally.n_code_months_named == 0
