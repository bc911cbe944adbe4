"""`python -m ispeed backup | restore`: what is typed, and what it says."""

from __future__ import annotations

from pathlib import Path

from ispeed.backup import back_up, restore
from ispeed.database import Database
from ispeed.publication import shown
from ispeed.services import airflow_environment
from ispeed.settings import Settings


def run_backup(folder: Path) -> int:
    """Back up what the settings name, and say what is not in it."""
    done = back_up(Settings.from_environment(), metadata_url(), folder)
    print(f"backup       {shown(done.folder)}")
    print(f"databases    {', '.join(done.databases)}")
    print(f"files        {done.n_files:,}, {done.n_bytes:,} bytes")
    print("not in it    .env (or device.key), exports that have not landed, boundaries: keep them elsewhere")
    return 0


def run_restore(folder: Path, *, is_replacing: bool) -> int:
    """Restore a backup, and say which months it published and how to look whether they are right."""
    settings = Settings.from_environment()
    done = restore(settings, metadata_url(), folder, is_replacing=is_replacing)
    print(f"restored     {shown(done.folder)}: {', '.join(done.databases)}, {done.n_files:,} files as backed up")
    months = Database(settings.database_url).current_revisions()
    for month, revision in months.items():
        print(f"{month}      r{revision}")
    if months:
        print(f"next: make verify M={max(months)}")
    return 0


def metadata_url() -> str:
    """Airflow's metadata database: the setting, or the file that Airflow makes in its home."""
    environment = airflow_environment()
    name = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
    return environment.get(name) or f"sqlite:///{environment['AIRFLOW_HOME']}/airflow.db"
