"""The published months as a line over time: what a page shows of each, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ispeed.database import Database
from ispeed.engine import Row
from ispeed.months import Month

# A revision's fingerprint takes in just these of the months before: what else changes there does nothing here.
SHOWN: Final = (
    "month",
    "n_measurements",
    "download_mbps_median",
    "download_mbps_ci_low",
    "download_mbps_ci_high",
    "reason",
)


def published_series(database: Database, before: Month | None = None) -> list[Row]:
    """The province's mobile figures of every published month, or of those before one, oldest first."""
    return [
        row
        for month, revision in database.current_revisions().items()
        if before is None or month < before
        for row in series_rows(database.rows("report_province_month", month, revision))
    ]


def series_rows(province: Iterable[Row]) -> list[Row]:
    """What the line shows of a month's rows of `report_province_month`."""
    return [{name: row[name] for name in SHOWN} for row in province if row["network"] == "mobile"]
