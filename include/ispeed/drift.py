"""Drift: what a month is compared with, so that a change of the export is told before a reader stumbles over it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

from ispeed.database import Database
from ispeed.engine import Engine
from ispeed.lake import is_held, read_step
from ispeed.landing import Landing
from ispeed.months import Month
from ispeed.policy import Policy
from ispeed.settings import Settings

log = logging.getLogger(__name__)

_COMPARED = {
    "report_province_month": ("compared_province", {"network": "text"}),
    "report_operator_month": ("compared_operator", {"network": "text", "operator": "text", "technology": "text"}),
}
_FIGURES = {"n_measurements": "integer", "download_mbps_median": "double"}


def add_month_drift(engine: Engine, settings: Settings, month: Month, policy: Policy) -> None:
    """Make `month_drift`: each figure that is watched, now and in the months before; none where no month is published.

    Needs the month's core and report tables. Figures of the months before are those last published; devices are not
    published, so they are read from the lake where it still has the month, staged under the same device key.
    """
    database = Database(settings.database_url)
    revisions = {
        earlier: revision
        for earlier in _months_before(month, policy.drift_months)
        if (revision := database.current_revision(earlier)) is not None
    }
    for table, (name, keys) in _COMPARED.items():
        columns = {"month": "date", **keys, **_FIGURES}
        published = [row for earlier in revisions for row in database.rows(table, earlier, revisions[earlier])]
        engine.add_rows(name, columns, [[row[column] for column in columns] for row in published])
    engine.add_rows(
        "compared_device",
        {"month": "date", "network": "text", "device_hash": "integer", "n_measurements": "integer"},
        [],
    )
    key = read_step(settings, "core", month, "build_core").get("device_key")
    for earlier in revisions:
        core = settings.lake_of("core", earlier) / "core_measurement.parquet"
        key_then = core.exists() and read_step(settings, "core", earlier, "build_core").get("device_key")
        # A month of an earlier program does not say its key.
        if key and key_then and key != key_then:
            log.info(
                "%s was staged under device key %s, %s under %s: which of its devices are known is not told",
                *(earlier, key_then, month, key),
            )
        elif core.exists():
            engine.read_parquet("earlier_measurement", core)
            engine.append_query(
                "compared_device",
                "select ? as month, network, device_hash, count(*) as n_measurements from earlier_measurement "
                "group by network, device_hash",
                [earlier.first_day],
            )
    engine.add_rows(
        "drift_threshold", {"indicator": "text", "threshold": "double"}, list(policy.drift_threshold.items())
    )
    engine.create("month_drift", "report/month_drift.sql", is_checked=True)


def add_landed_elsewhere(engine: Engine, settings: Settings, month: Month, landing: Landing) -> None:
    """Make `landed_elsewhere`: the month's files whose very bytes also stand in the landing of another month.

    Not of later months that a backfill runs side by side: one by one, they would land when this one is done.
    """
    database = Database(settings.database_url)
    months_of: dict[str, list[str]] = {}
    for note in sorted(settings.lake_of("landing", month).parent.glob("month=*/landing.json")):
        other = note.parent.name.removeprefix("month=")
        for file in json.loads(note.read_text(encoding="utf-8"))["files"] if other != str(month) else ():
            months_of.setdefault(file["sha256"], []).append(other)
    rows = [
        (file.source_file, other)
        for file in landing.files
        for other in months_of.get(file.sha256, ())
        if other < str(month) or not _is_beside(settings, database, Month.parse(other))
    ]
    engine.add_rows("landed_elsewhere", {"source_file": "text", "other_month": "text"}, rows)


def _is_beside(settings: Settings, database: Database, later: Month) -> bool:
    return is_held(settings, later) and database.current_revision(later) is None


def _months_before(month: Month, n_months: int) -> Iterator[Month]:
    for _ in range(n_months):
        month = month.previous
        yield month
