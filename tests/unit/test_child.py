"""The process that reads files: what it answers, and what is told when a file is too much for it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from test_archives import CSV, ROW

from ispeed.child import reading_process
from ispeed.engine import open_engine
from ispeed.errors import UserError
from ispeed.landing import land
from ispeed.months import Month
from ispeed.settings import Settings
from ispeed.staging import stage
from pipeline import settings_in

MONTH = Month(2024, 10)


def call(settings: Settings, function: Any, *arguments: Any) -> Any:
    with reading_process(settings) as process:
        return process.call("a.csv", function, *arguments)


def test_it_answers_many_calls_and_what_is_printed_does_not_come_between(settings: Settings) -> None:
    with reading_process(settings) as process:
        child = process.call("a.csv", os.getpid)
        assert process.call("a.csv", print, "something that a library says") is None
        assert process.call("b.csv", os.getpid) == child != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_what_the_function_raises_is_raised(settings: Settings) -> None:
    with pytest.raises(ValueError, match="invalid literal") as raised:
        call(settings, int, "x")
    # Where it was raised is told too.
    assert "in _serve" in raised.value.__notes__[0]
    with pytest.raises(UserError, match="no .*landing.json") as told:
        from ispeed.landing import read_landing

        call(settings, read_landing, settings, MONTH)
    assert told.value.remedy == "run land for 2024-10 first"


@pytest.mark.parametrize("end", [signal.SIGSEGV, signal.SIGKILL])
def test_a_file_that_ends_the_process_is_named(settings: Settings, end: signal.Signals) -> None:
    with pytest.raises(UserError, match=rf"file a.csv\n.*ended by {end.name}"):
        call(settings, signal.raise_signal, end)


def test_memory_is_bounded(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, read_memory_bytes=300_000_000)
    assert len(call(settings, bytearray, 50_000_000)) == 50_000_000
    with pytest.raises(UserError, match="300,000,000 bytes, the setting ISPEED_READ_MEMORY_BYTES"):
        call(settings, bytearray, 400_000_000)


def test_time_is_bounded(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(UserError, match="at most 1 seconds, the setting ISPEED_READ_SECONDS"):
        call(settings_in(tmp_path, read_seconds=1), time.sleep, 60)
    assert time.monotonic() - start < 30


def test_a_month_whose_file_needs_too_much_names_it_and_keeps_what_was_staged(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.exports_of(MONTH).mkdir(parents=True)
    (settings.exports_of(MONTH) / "a.csv").write_bytes(CSV.encode())
    land(settings, MONTH)
    stage(settings, MONTH)
    rows = "".join(ROW.format(number) for number in range(400_000))
    (settings.exports_of(MONTH) / "a.csv").write_bytes(CSV.encode() + rows.encode())
    land(settings, MONTH)
    bounded = settings_in(tmp_path, read_memory_bytes=90_000_000)
    with pytest.raises(UserError, match="(?s)file a.csv.*ISPEED_READ_MEMORY_BYTES"):
        stage(bounded, MONTH)
    with open_engine() as engine:
        engine.read_parquet("staging", *settings.lake_of("staging", MONTH).glob("*.parquet"))
        assert engine.value("select count(*) from staging") == 1
