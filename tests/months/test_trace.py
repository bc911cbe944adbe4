"""From a cell to its rows: what a published figure is made of, row by row, and nothing that tells of a device."""

from __future__ import annotations

import csv
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ispeed.command_line import main
from ispeed.database import Database
from ispeed.engine import open_engine
from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.settings import INCLUDE, Settings
from ispeed.shared_folder import MARKER
from ispeed.tables import REPORT_TABLES, RESTATED_TABLES, Table
from ispeed.trace import traced
from ispeed.trace_cell import Cell, find_cell, traced_columns
from pipeline import BUILD, run_steps, settings_in

MONTH, DAY = Month(2024, 10), date(2025, 7, 1)
HEADER = (
    "Mã phép đo,Thời gian đo,Mã thiết bị,Mã giới thiệu,Mã xã,Nhà mạng,Loại mạng,"
    "Download (Mbps),Upload (Mbps),Ping (ms),Jitter (ms)\n"
)


def row(number: int, day: int, device: str, download: float, technology: str = "4G", upload: str = "5") -> str:
    at = f"{day:02}/10/2024 08:00:{number % 60:02}"
    code = "HANDED-ON" if 5 <= number <= 10 else ""
    return f"m{number},{at},{device},{code},22366,Viettel,{technology},{download},{upload},30,3\n"


# 33 tests of 6 devices in Phước Tiến: the first tests three times on one day, twice without an upload. Rows 5 to 10, of
# the days 7 to 10 and 2 and 3, have a code that passed from an office to the commune on the 9th.
TESTS = [
    row(2, 1, "secret-a", 50, upload=""),
    row(3, 1, "secret-a", 10, upload=""),
    row(4, 1, "secret-a", 60),
    *(row(number, 2 + number % 9, f"secret-{'bcdef'[number % 5]}", 20 + number) for number in range(5, 34)),
    row(34, 1, "secret-a", 700, "5G"),
]
QUARANTINED = ["m4,01/10/2024 08:00:04,secret-a,,22366,Viettel,4G,60,5,30,3\n", row(36, 40, "secret-z", 5)]


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("by_hand")
    registry = Path(shutil.copytree(INCLUDE / "registry", folder / "registry"))
    with (registry / "referral_codes.csv").open("a", encoding="utf-8") as codes:
        codes.write("HANDED-ON,organisation,SO-NV,2024-01-01,2024-10-08\nHANDED-ON,commune,22366,2024-10-09,\n")
    settings = settings_in(folder, registry=registry)
    settings.exports_of(MONTH).mkdir(parents=True)
    (settings.exports_of(MONTH) / "=x.csv").write_text(HEADER + "".join(TESTS + QUARANTINED), encoding="utf-8")
    sync_registry(settings)
    # September is published in the database alone.
    settings.share.mkdir()
    (settings.share / MARKER).touch()
    publish_september(settings, 1, 30.0)
    run_steps(settings, MONTH)
    # October's change stands against revision 1 all the same.
    publish_september(settings, 2, 99.0)
    return settings


def publish_september(settings: Settings, revision: int, median: float) -> None:
    """The month before, of which only a median is wanted."""
    month = MONTH.previous
    row = {"month": month.first_day, "revision": revision, "network": "mobile", "commune_code": "22366"}
    tables = {"report_commune_month": [row | {"n_measurements": 40, "download_mbps_median": median}]}
    about = {"fingerprint": "f", "why": "-", "n_raw": 40, "n_accepted": 40, "n_quarantined": 0}
    with Database(settings.database_url).publishing(month, revision, tables, about):
        pass


def look(settings: Settings, *arguments: Any, **named: Any) -> tuple[Any, list[dict[str, Any]]]:
    """A trace of October, and its rows as dicts."""
    cell = find_cell(Database(settings.database_url), MONTH, *arguments, **named)
    with traced(settings, cell) as trace:
        return trace, [dict(zip(trace.columns, found, strict=True)) for found in trace.rows()]


def test_every_accepted_row_of_the_cell_is_listed_with_its_file_and_number(by_hand: Settings) -> None:
    trace, rows = look(by_hand, "report_commune_month", "22366", "n_measurements")
    assert [(row["source_file"], row["row_number"]) for row in rows] == [("=x.csv", number) for number in range(2, 35)]
    assert {(row["outcome"], row["reason"]) for row in rows} == {("accepted", None)}
    assert trace.adds_up and trace.cell.published == 33


def test_tests_of_one_device_on_one_day_share_a_sample_with_a_number_of_the_cell(by_hand: Settings) -> None:
    trace, rows = look(by_hand, "report_commune_month", "22366", "n_samples")
    samples = {row["row_number"]: row["sample"] for row in rows}
    # By commune, operator, technology, device and day: the 5G test is a sample of its own.
    assert [samples[number] for number in (2, 3, 4, 5, 34)] == [1, 1, 1, 2, 31]
    assert len(set(samples.values())) == trace.cell.published == 31
    trace, rows = look(by_hand, "report_commune_month", "22366", "n_devices")
    devices = {row["row_number"]: row["device"] for row in rows}
    # In the order of their first rows.
    assert [devices[number] for number in (2, 3, 4, 5, 6, 7, 8, 9, 34)] == [1, 1, 1, 2, 3, 4, 5, 6, 1]
    assert len(set(devices.values())) == trace.cell.published == 6


def test_a_median_lists_the_tests_that_have_the_metric_and_the_values_of_their_samples(by_hand: Settings) -> None:
    _, rows = look(by_hand, "report_commune_month", "22366", "download_mbps_median")
    assert [(row["download_mbps"], row["sample_value"]) for row in rows[:3]] == [(50, 50), (10, 50), (60, 50)]
    trace, rows = look(by_hand, "report_commune_month", "22366", "upload_mbps_p90")
    assert [row["row_number"] for row in rows] == list(range(4, 35))
    assert trace.adds_up


def test_a_change_adds_up_with_the_month_before_as_it_was_published_then(by_hand: Settings) -> None:
    trace, rows = look(by_hand, "report_commune_month", "22366", "download_mbps_median_change")
    assert trace.adds_up and len(rows) == 33
    median = look(by_hand, "report_commune_month", "22366", "download_mbps_median")[0].cell.published
    assert trace.sums[-1].found == trace.cell.published == round(median - 30, 2)


def test_the_share_at_target_says_of_each_row_whether_its_sample_reaches_the_target(by_hand: Settings) -> None:
    trace, rows = look(by_hand, "report_commune_month", "22366", "share_at_target")
    found = {row["row_number"]: (row["target_download_mbps"], row["reaches_target"]) for row in rows}
    assert [found[number] for number in (2, 3, 5, 34)] == [(40, True), (40, True), (40, False), (100, True)]
    assert trace.adds_up and trace.sums[-1].what == "share_at_target"


def test_a_code_that_was_handed_on_lists_the_rows_before_that(by_hand: Settings) -> None:
    trace, rows = look(by_hand, "report_referral_code_month", "HANDED-ON", "n_measurements_earlier")
    assert [row["row_number"] for row in rows] == [5, 6, 9, 10]
    assert trace.cell.published == 4 and trace.adds_up
    _, rows = look(by_hand, "report_organisation_month", "so-nv", "n_measurements_per_head")
    assert [row["row_number"] for row in rows] == [5, 6, 9, 10]


def test_quarantined_rows_are_listed_by_file_and_reason(by_hand: Settings) -> None:
    _, rows = look(by_hand, "report_quality_month", "=x.csv,quarantined,duplicate", "n_rows")
    assert [(row["row_number"], row["reason"]) for row in rows] == [(35, "duplicate")]
    _, rows = look(by_hand, "report_quality_month", "=x.csv,quarantined,bad_timestamp", "n_rows")
    assert [(row["row_number"], row["outcome"]) for row in rows] == [(36, "quarantined")]
    for key, n in (("=x.csv,raw", 35), ("=x.csv,accepted,", 33), ("=x.csv,quarantined,unreadable_row", 0)):
        trace, rows = look(by_hand, "report_quality_month", key, "n_rows")
        assert trace.adds_up and len(rows) == n


def test_every_row_of_a_commune_adds_up_to_its_measurements_samples_and_devices(
    small_month: tuple[Settings, Month],
) -> None:
    settings, month = small_month
    rows = Database(settings.database_url).rows("report_commune_month", month, 1)
    table = REPORT_TABLES[0]
    n_listed = 0
    for row in rows:
        with traced(settings, Cell(month, table, row, "n_measurements")) as trace:
            assert [(found.what, found.published) for found in trace.sums] == [
                (name, row[name]) for name in ("n_measurements", "n_samples", "n_devices")
            ]
            assert trace.adds_up, row["commune_code"]
            assert trace.n_rows == row["n_measurements"]
            n_listed += trace.n_rows
    assert len(rows) == 278 and n_listed == sum(row["n_measurements"] for row in rows) > 2_000


def looked_at(table: Table) -> list[str]:
    """Every column of Phụ lục I that can be traced; of the other tables one metric stands for all four."""
    others = ("upload_mbps", "ping_ms", "jitter_ms")
    return [name for name in traced_columns(table) if table is REPORT_TABLES[0] or not name.startswith(others)]


def telling(table: Table, rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str]]:
    """For each of these columns, the row with most measurements that has a figure there; a blank median too."""
    rows = sorted(rows, key=lambda row: -row.get("n_measurements", row.get("n_rows", 0)))
    for column in looked_at(table):
        yield from [(row, column) for row in rows if row[column] is not None][:1]
        if column == "download_mbps_median":
            yield from [(row, column) for row in rows if row[column] is None][:1]


@pytest.mark.parametrize("table", [*REPORT_TABLES, *RESTATED_TABLES], ids=lambda table: table.name)
def test_each_figure_of_a_table_is_what_its_rows_add_up_to(table: Table, small_month: tuple[Settings, Month]) -> None:
    settings, month = small_month
    day = DAY if table in RESTATED_TABLES else None
    looked: Counter[bool] = Counter()
    for row, column in telling(table, Database(settings.database_url).rows(table.name, month, 1, day)):
        with traced(settings, Cell(month, table, row, column, day)) as trace:
            assert trace.adds_up, (column, trace.sums)
            assert trace.n_rows or not row.get("n_measurements", 1) or row[column] is None
            if row[column] is None:
                assert "sample_value" not in trace.columns
            told = {found.what for found in trace.sums}
            if row[column] is not None and column not in ("value", "threshold", "evidence"):
                assert column in told
            looked[row[column] is not None] += 1
    # No month before was published, no code changed hands.
    blank = {"download_mbps_median_change", "n_measurements_earlier"}
    assert looked[True] == len(set(looked_at(table)) - blank)


def test_nothing_that_is_printed_or_written_tells_of_a_device(
    by_hand: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, by_hand)
    with open_engine() as engine:
        engine.read_parquet("core", by_hand.lake_of("core", MONTH) / "core_measurement.parquet")
        hashes = {str(row["device_hash"]) for row in engine.rows("select distinct device_hash from core")}
    assert len(hashes) == 6
    for table, key, columns in (
        ("report_commune_month", "22366", traced_columns(REPORT_TABLES[0])),
        ("report_quality_month", "=x.csv,quarantined,duplicate", ["n_rows"]),
        ("report_quality_month", "=x.csv,raw,", ["n_rows"]),
        ("report_quality_month", "=x.csv,quarantined,bad_timestamp", ["n_rows"]),
    ):
        for column in columns:
            out = tmp_path / "rows.csv"
            asked = ["--table", table, "--key", key, "--column", column, "--limit", "100", "--csv", str(out)]
            assert main(["trace", "2024-10", *asked]) == 0
            told = capsys.readouterr().out + out.read_text(encoding="utf-8-sig")
            assert "=x.csv" in told
            assert "secret" not in told and not any(device in told for device in hashes)


def test_the_csv_holds_every_row_and_no_formula_and_the_screen_the_first_ones(
    by_hand: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, by_hand)
    out = tmp_path / "rows.csv"
    asked = ["--table", "report_commune_month", "--key", "22366", "--column", "n_measurements"]
    assert main(["trace", "2024-10", *asked, "--limit", "2", "--csv", str(out)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[1:5] == [
        "  network                     mobile",
        "  commune_code                22366 (Phước Tiến)",
        "  n_measurements              33",
        "33 rows of 1 files are behind it",
    ]
    assert told[5] == "  n_measurements              33 published = 33 from the rows"
    assert [line.split()[:2] for line in told[9:12]] == [
        ["source_file", "row_number"],
        ["=x.csv", "2"],
        ["=x.csv", "3"],
    ]
    assert told[12] == "… and 31 more rows: CSV=FILE writes them all"
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (len(rows), rows[0]["source_file"]) == (33, "'=x.csv")


def test_a_lake_that_has_moved_on_since_the_revision_is_told_loudly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    settings.exports_of(MONTH).mkdir(parents=True)
    export = settings.exports_of(MONTH) / "a.csv"
    export.write_text(HEADER + "".join(TESTS), encoding="utf-8")
    sync_registry(settings)
    run_steps(settings, MONTH)
    export.write_text(HEADER + "".join(TESTS[:-1]), encoding="utf-8")
    run_steps(settings, MONTH, BUILD)
    environment(monkeypatch, settings)
    asked = ["--table", "report_commune_month", "--key", "22366", "--column", "n_measurements"]
    assert main(["trace", "2024-10", *asked]) == 2
    told = capsys.readouterr().out
    assert "33 published ≠ 32 from the rows" in told
    assert "DOES NOT ADD UP: the lake has moved on since revision 1" in told


def test_letters_of_a_key_may_be_large_or_small_and_parts_stand_between_commas(by_hand: Settings) -> None:
    database = Database(by_hand.database_url)
    for key in ("Viettel,4G", "viettel,4g", "VIETTEL,4G"):
        cell = find_cell(database, MONTH, "report_operator_month", key, "n_measurements")
        assert cell.keys == {"operator": "Viettel", "technology": "4G"}
    assert find_cell(database, MONTH, "report_province_month", "", "n_measurements").published == 33


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"table": "report_comune_month"}, "TABLE=report_comune_month.*report_commune_month"),
        ({"column": "n_measurement"}, "COLUMN=n_measurement.*n_measurements"),
        ({"column": "download_mbps_median_rank"}, "no rows of its own are behind"),
        ({"column": "commune_name"}, "no rows of its own are behind"),
        ({"key": "2236"}, "KEY .commune_code.=2236.*139 keys of report_commune_month, such as .*22366"),
        ({"key": ""}, "KEY .commune_code.="),
        ({"network": "wifi"}, "NETWORK=wifi.*mobile, fixed"),
        ({"revision": 7}, "no revision 7.*revisions 1 to 1"),
        ({"month": Month(2024, 11)}, "month 2024-11.*no publication"),
        ({"boundaries_day": DAY}, "only for them"),
        ({"table": "report_commune_restated"}, "give BOUNDARIES"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(asked: dict[str, Any], told: str, by_hand: Settings) -> None:
    right = {"month": MONTH, "table": "report_commune_month", "key": "22366", "column": "n_measurements"}
    with pytest.raises(UserError) as caught:
        find_cell(Database(by_hand.database_url), **(right | asked))
    assert re.search(told, str(caught.value).replace("\n", " "))


def environment(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("ISPEED_VAR", str(settings.lake.parent))
    monkeypatch.setenv("ISPEED_REGISTRY", str(settings.registry))
    for name in ("ISPEED_LAKE", "ISPEED_DB", "ISPEED_SHARE"):
        monkeypatch.delenv(name, raising=False)
