"""Retention: files of superseded revisions are removed after the days that policy gives; by default none ever are."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ispeed.database import Database
from ispeed.months import Month
from ispeed.settings import Settings
from ispeed.shared_folder import writing_to_share

log = logging.getLogger(__name__)


def remove_superseded(settings: Settings, database: Database, month: Month, days: int, now: datetime) -> list[int]:
    """Remove the files of a month's revisions that were superseded more than `days` ago; 0 keeps them all.

    Manifests stay, as do the rows in the reports database, withdrawn revisions, and whatever others put there. So a
    revision that was removed can still be made anew. Returns the revisions whose files went.
    """
    removed: list[int] = []
    if not days:
        return removed
    publications = database.publications(month)
    for row in publications:
        later = [other["published_at"] for other in publications if other["revision"] > row["revision"]]
        is_due = row["state"] == "superseded" and later and now - min(later) > timedelta(days=days)
        folder = settings.share_of(month) / f"r{row['revision']}"
        if is_due and not row["files_removed_at"] and folder.exists():
            with writing_to_share(folder):
                _remove_files(folder)
            database.note(month, row["revision"], {"files_removed_at": now})
            removed.append(row["revision"])
            log.info("%s r%d: files removed, superseded more than %d days ago", month, row["revision"], days)
    return removed


def utc_now() -> datetime:
    """The moment as the reports database has it: UTC, without its zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def _remove_files(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for output in manifest["outputs"]:
        (folder / output["path"]).unlink(missing_ok=True)
    for below in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(below.iterdir()):
            below.rmdir()
