"""The log of backfills keeps who ran what, why, and how it ended."""

from __future__ import annotations

from ispeed.backfill_log import log_table, note_backfill, read_backfills
from ispeed.months import Month
from ispeed.settings import Settings

AUGUST, SEPTEMBER = Month(2024, 8), Month(2024, 9)


def test_each_backfill_is_a_line_and_none_is_changed(settings: Settings) -> None:
    assert read_backfills(settings) == []
    note_backfill(settings, "mã sai", "2026-01-05T01:00:00+00:00", {AUGUST: "success", SEPTEMBER: "success"})
    first = (settings.lake / "backfills.jsonl").read_bytes()
    failed = "ingest_measurements failed: land: file a|b.csv\n  found: a quote"
    note_backfill(settings, "", "2026-01-06T01:00:00+00:00", {AUGUST: failed})
    assert (settings.lake / "backfills.jsonl").read_bytes().startswith(first)
    assert [(one.first, one.last, one.why) for one in read_backfills(settings)] == [
        ("2024-08", "2024-09", "mã sai"),
        ("2024-08", "2024-08", ""),
    ]


def test_the_table_has_the_newest_first_and_names_what_failed(settings: Settings) -> None:
    note_backfill(settings, "mã sai", "2026-01-05T01:00:00+00:00", {AUGUST: "success", SEPTEMBER: "success"})
    note_backfill(settings, "", "2026-01-06T01:00:00+00:00", {AUGUST: "land: file a|b.csv\n  found: a quote"})
    _, _, newest, oldest = log_table(read_backfills(settings)).splitlines()
    assert newest.startswith("| 2024-08 to 2024-08 | not told | ")
    assert newest.endswith(" | 0 of 1 done; 2024-08: land: file a\\|b.csv |")
    assert oldest.startswith("| 2024-08 to 2024-09 | mã sai | ")
    assert oldest.endswith(" | 2 of 2 done |")
