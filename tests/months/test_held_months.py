"""Months side by side are published in order: whoever keeps them to himself is waited for, and a killed one is not."""

from __future__ import annotations

import signal
import subprocess
import sys

from ispeed.lake import held_months, is_held
from ispeed.months import Month
from ispeed.settings import INCLUDE, Settings

MONTHS = [Month(2024, 9), Month(2024, 10)]


def test_months_are_held_for_the_block_and_no_others(settings: Settings) -> None:
    assert not is_held(settings, MONTHS[0])
    with held_months(settings, MONTHS):
        assert [is_held(settings, month) for month in (*MONTHS, Month(2024, 11))] == [True, True, False]
    assert not is_held(settings, MONTHS[0])
    with held_months(settings, MONTHS[:1]):
        assert [is_held(settings, month) for month in MONTHS] == [True, False]


def test_a_killed_backfill_lets_go(settings: Settings) -> None:
    code = (
        "import sys, time; from dataclasses import replace; from pathlib import Path\n"
        "from ispeed.lake import held_months; from ispeed.months import Month; from ispeed.settings import Settings\n"
        f"settings = Settings.from_environment({{'ISPEED_VAR': {str(settings.lake.parent)!r}}})\n"
        "with held_months(settings, [Month(2024, 10)]):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    backfill = subprocess.Popen([sys.executable, "-c", code], env={"PYTHONPATH": str(INCLUDE)}, stdout=subprocess.PIPE)
    assert backfill.stdout is not None
    assert backfill.stdout.readline() == b"held\n"
    assert is_held(settings, MONTHS[1])
    backfill.send_signal(signal.SIGKILL)
    backfill.wait()
    assert not is_held(settings, MONTHS[1])
