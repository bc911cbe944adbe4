"""The shared folder: revisions that appear whole, and `latest.json` that names the current one."""

from __future__ import annotations

import getpass
import os
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

from ispeed.database import Database
from ispeed.delivery import deliver, require_remote_share
from ispeed.draft import Draft, read_draft, read_draft_tables
from ispeed.lake import month_lock, write_json
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.retention import remove_superseded, utc_now
from ispeed.settings import Settings
from ispeed.share_index import write_share_page
from ispeed.shared_folder import put_revision, require_folder, require_share, writing_to_share


def publish(settings: Settings, month: Month) -> dict[str, Any]:
    """Publish the month's draft as its next revision: folder, reports database, `latest.json`, the page of all months.

    Where the share is on SFTP or S3, it is published to the lake's copy of it, and delivered from there.
    An unchanged month publishes nothing new. Returns month, revision, path and whether it is new. A run killed at any
    point leaves what was published; the next run takes up from there.
    """
    database = Database(settings.database_url)
    with month_lock(settings, month):
        require_share(settings, database)
        require_remote_share(settings)
        draft = read_draft(settings, month)
        folder = settings.share_of(month) / f"r{draft.revision}"
        published = database.publication(month)
        is_new = published is None or published["fingerprint"] != draft.fingerprint
        if is_new:
            if draft.is_unchanged or draft.revision != database.last_revision(month) + 1:
                raise RuntimeError(f"another run published {month} since this draft was written: write it again")
            _publish_revision(settings, month, database, draft, folder)
        else:
            require_folder(folder)
        point_to_latest(database, month, settings.share_of(month))
        days = read_policy(settings.policy, month.last_day).keep_superseded_days
        remove_superseded(settings, database, month, days, utc_now())
    # What is published stands, also where this fails: the next run writes it again.
    write_share_page(settings, database)
    deliver(settings)
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
    def transaction(manifest_sha256: str) -> AbstractContextManager[None]:
        publication = {
            "fingerprint": draft.fingerprint,
            "manifest_sha256": manifest_sha256,
            "n_raw": draft.n_raw,
            "n_accepted": draft.n_accepted,
            "n_quarantined": draft.n_quarantined,
            "published_by": publisher(),
            "why": draft.why,
        }
        tables = read_draft_tables(settings, month, draft.revision)
        return database.publishing(month, draft.revision, tables, publication)

    put_revision(settings.lake_of("draft", month) / "files", folder, transaction)


def publisher() -> str:
    """Who publishes: Airflow's run, or whoever is at the keyboard."""
    return os.environ.get("AIRFLOW_CTX_DAG_RUN_ID") or getpass.getuser()


def point_to_latest(database: Database, month: Month, folder: Path, boundaries_day: date | None = None) -> None:
    """Write `latest.json` in the folder of revisions, also where a run was killed between its commit and this.

    Where every revision was withdrawn there is none.
    """
    publication = database.publication(month, boundaries_day=boundaries_day)
    with writing_to_share(folder / "latest.json"):
        if publication is None:
            (folder / "latest.json").unlink(missing_ok=True)
            return
        write_json(
            folder / "latest.json",
            {
                "month": str(month),
                **({"boundaries_day": str(boundaries_day)} if boundaries_day else {}),
                "revision": publication["revision"],
                "path": f"r{publication['revision']}",
                "manifest_sha256": publication["manifest_sha256"],
            },
        )
