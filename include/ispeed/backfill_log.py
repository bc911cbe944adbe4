"""The log of backfills: which months were run again, why, by whom, and how each ended. One line each, never changed."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ispeed.months import Month
from ispeed.settings import Settings


@dataclass(frozen=True)
class Backfill:
    """One backfill. Times are ISO 8601 in UTC; `outcome` has what stands of each month, or why it failed."""

    first: str
    last: str
    why: str
    by: str
    started_at: str
    ended_at: str
    outcome: Mapping[str, str]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def note_backfill(settings: Settings, why: str, started_at: str, outcome: Mapping[Month, str]) -> None:
    """Add a backfill that has ended to the log in the lake."""
    months = [str(month) for month in outcome]
    told = {str(month): text.splitlines()[0] for month, text in outcome.items()}
    backfill = Backfill(months[0], months[-1], why, getpass.getuser(), started_at, now(), told)
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(asdict(backfill), ensure_ascii=False) + "\n").encode()
    # One write to the end of the file: two backfills that end together do not mix their lines.
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line)
        os.fsync(handle)
    finally:
        os.close(handle)


def read_backfills(settings: Settings) -> list[Backfill]:
    """Every backfill that ended, oldest first."""
    path = _path(settings)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Backfill(**json.loads(line)) for line in lines]


def log_table(backfills: list[Backfill]) -> str:
    """The log as a Markdown table, newest first."""
    rows = ["| months | why | by | from | to | outcome |", "|---|---|---|---|---|---|"]
    for one in reversed(backfills):
        failed = [f"{month}: {text}" for month, text in one.outcome.items() if text != "success"]
        done = f"{len(one.outcome) - len(failed)} of {len(one.outcome)} done"
        cells = (
            *(f"{one.first} to {one.last}", one.why or "not told", one.by, one.started_at, one.ended_at),
            "; ".join([done, *failed]),
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _path(settings: Settings) -> Path:
    return settings.lake / "backfills.jsonl"
