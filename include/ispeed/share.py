"""The shared folder: revisions that appear whole, and `latest.json` that names the current one."""

from __future__ import annotations

import getpass
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ispeed.database import Database
from ispeed.draft import Draft, read_draft, read_draft_tables
from ispeed.errors import UserError
from ispeed.lake import month_lock, sync_folder, write_json
from ispeed.months import Month
from ispeed.settings import Settings


def publish(settings: Settings, month: Month) -> dict[str, Any]:
    """Publish the month's draft as its next revision: folder, reports database, then `latest.json`.

    An unchanged month publishes nothing new. Returns month, revision, path and whether it is new. A run killed at any
    point leaves what was published; the next run takes up from there.
    """
    database = Database(settings.database_url)
    with month_lock(settings, month):
        draft = read_draft(settings, month)
        folder = settings.share_of(month) / f"r{draft.revision}"
        published = database.publication(month)
        is_new = published is None or published["fingerprint"] != draft.fingerprint
        if is_new:
            if draft.is_unchanged or draft.revision != database.last_revision(month) + 1:
                raise RuntimeError(f"another run published {month} since this draft was written: write it again")
            _publish_revision(settings, month, database, draft, folder)
        elif not folder.exists():
            raise UserError(
                f"folder {folder}",
                "nothing, though the reports database says that it was published",
                "the files of that revision",
                "restore the folder from the backup",
            )
        _point_to_latest(settings, month, database)
    return {
        "month": str(month),
        "revision": draft.revision,
        "is_new": is_new,
        "path": str(folder),
        "n_raw": draft.n_raw,
        "n_accepted": draft.n_accepted,
        "n_quarantined": draft.n_quarantined,
    }


def _publish_revision(settings: Settings, month: Month, database: Database, draft: Draft, folder: Path) -> None:
    """The folder is in its place before the database commits: a reader of either finds the other."""
    files = settings.lake_of("draft", month) / "files"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # What a run left that was killed before its commit: files half copied, or a folder that no publication names.
    for left_over in (*folder.parent.glob(".r*"), folder):
        if left_over.exists():
            shutil.rmtree(left_over)
    new = Path(tempfile.mkdtemp(prefix=".r", dir=folder.parent))
    try:
        shutil.copytree(files, new, dirs_exist_ok=True)
        new.chmod(0o755)
        sync_folder(new)
        publication = {
            "fingerprint": draft.fingerprint,
            "manifest_sha256": hashlib.sha256((new / "manifest.json").read_bytes()).hexdigest(),
            "n_raw": draft.n_raw,
            "n_accepted": draft.n_accepted,
            "n_quarantined": draft.n_quarantined,
            "published_by": os.environ.get("AIRFLOW_CTX_DAG_RUN_ID") or getpass.getuser(),
            "why": draft.why,
        }
        tables = read_draft_tables(settings, month, draft.revision)
        with database.publishing(month, draft.revision, tables, publication):
            os.rename(new, folder)
            sync_folder(folder.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _point_to_latest(settings: Settings, month: Month, database: Database) -> None:
    """Write `latest.json`, also where a run was killed between its commit and this."""
    publication = database.publication(month)
    if publication is not None:
        write_json(
            settings.share_of(month) / "latest.json",
            {
                "month": str(month),
                "revision": publication["revision"],
                "path": f"r{publication['revision']}",
                "manifest_sha256": publication["manifest_sha256"],
            },
        )
