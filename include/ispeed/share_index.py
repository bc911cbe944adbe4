"""The page at the top of the share, rebuilt whole from the reports database whenever a month is published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from ispeed.database import Database
from ispeed.engine import Row
from ispeed.lake import share_lock, write_file
from ispeed.month_content import workbook_policy
from ispeed.months import Month
from ispeed.page.share_page import ShareMonth, ShareRevision, share_page
from ispeed.policy import read_policy
from ispeed.series import published_series
from ispeed.settings import Settings
from ispeed.shared_folder import writing_to_share

PAGE: Final = "index.html"


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
        with writing_to_share(settings.share / PAGE):
            write_file(settings.share / PAGE, page.encode())


def _months(settings: Settings, database: Database) -> list[ShareMonth]:
    return [_month(settings, database, month) for month in database.months()]


def _month(settings: Settings, database: Database, month: Month) -> ShareMonth:
    share = settings.share_of(month)
    revisions = [_revision(settings, share, row) for row in reversed(database.publications(month))]
    current = database.current_revision(month)
    province = database.rows("report_province_month", month, current) if current else []
    restated = [
        (day, _revision(settings, settings.restated_share_of(month, day), row))
        for day in database.restated_days(month)
        for row in reversed(database.publications(month, day))
    ]
    return ShareMonth(month, revisions, restated, next((row for row in province if row["network"] == "mobile"), None))


def _revision(settings: Settings, share: Path, row: Row) -> ShareRevision:
    """What there is of a revision in its folder; one of before may have no page, or be gone."""
    folder = share / f"r{row['revision']}"
    files = [path for path in (folder / "index.html", *sorted(folder.glob("*.xlsx"))) if path.is_file()]
    manifest = folder / "manifest.json"
    is_sample = manifest.is_file() and bool(json.loads(manifest.read_text(encoding="utf-8")).get("is_sample"))
    paths = [path.relative_to(settings.share).as_posix() for path in files]
    return ShareRevision(row["revision"], row, paths, is_sample)
