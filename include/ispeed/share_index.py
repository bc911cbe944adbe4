"""The page at the top of the share, rebuilt whole from the reports database whenever a month is published."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ispeed.database import Database
from ispeed.engine import Row
from ispeed.lake import share_lock, write_file
from ispeed.month_content import workbook_policy
from ispeed.months import Month
from ispeed.page.share_page import ShareMonth, ShareRevision, share_page
from ispeed.policy import read_policy
from ispeed.series import published_series
from ispeed.settings import Settings


def write_share_page(settings: Settings, database: Database) -> None:
    """Write `index.html` at the top of the share; nothing where nothing was ever published.

    It is read from the database under the share's lock: of two months that are published at the same time, whoever
    writes last has read both.
    """
    with share_lock(settings):
        months = _months(settings, database)
        if not months:
            return
        latest = max(month.month for month in months)
        policy = workbook_policy(read_policy(settings.policy, latest.last_day), latest)
        page = share_page(months, published_series(database), policy)
        write_file(settings.share / "index.html", page.encode())


def _months(settings: Settings, database: Database) -> list[ShareMonth]:
    register = _by_month(database.publications())
    restated = _by_month(database.publications(restated=True))
    months = []
    for month, rows in register.items():
        revisions = [_revision(settings, settings.share_of(month), row) for row in reversed(rows)]
        current = next((revision.number for revision in revisions if revision.is_current), None)
        province = database.rows("report_province_month", month, current) if current else []
        months.append(
            ShareMonth(
                month,
                revisions,
                [
                    (
                        row["boundaries_day"],
                        _revision(settings, settings.restated_share_of(month, row["boundaries_day"]), row),
                    )
                    for row in restated.get(month, [])
                    if row["state"] == "published"
                ],
                next((row for row in province if row["network"] == "mobile"), None),
            )
        )
    return months


def _by_month(rows: Iterable[Row]) -> dict[Month, list[Row]]:
    months: dict[Month, list[Row]] = {}
    for row in rows:
        months.setdefault(Month(row["month"].year, row["month"].month), []).append(row)
    return months


def _revision(settings: Settings, folder: Path, row: Row) -> ShareRevision:
    """What there is of a revision in its folder; one of before may have no page, or be gone."""
    found = folder / f"r{row['revision']}"
    files = [path for path in (found / "index.html", *sorted(found.glob("*.xlsx"))) if path.is_file()]
    manifest = found / "manifest.json"
    is_sample = manifest.is_file() and bool(json.loads(manifest.read_text(encoding="utf-8")).get("is_sample"))
    paths = [path.relative_to(settings.share).as_posix() for path in files]
    return ShareRevision(row["revision"], row, paths, is_sample)
