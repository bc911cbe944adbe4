"""Backups: both databases, the lake, the share, the registry and the returns in one folder, with a sha256 of each file.

The databases come first: whatever they tell of has been in the lake and the share before, and what is published while
the backup runs is a revision that its database does not know, as a killed run leaves one. A month's folders are copied
while no step of that month runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from ispeed.database import Database
from ispeed.errors import UserError
from ispeed.lake import month_lock, registry_lock, replaced_folder, share_lock, write_json
from ispeed.months import Month
from ispeed.settings import Settings
from ispeed.share import point_to_latest
from ispeed.share_index import write_share_page
from ispeed.shared_folder import MARKER

NOTE: Final = "backup.json"
LOCKS: Final = "locks"


@dataclass(frozen=True)
class Backup:
    """What a backup holds."""

    folder: Path
    databases: tuple[str, ...]
    n_files: int
    n_bytes: int


def back_up(settings: Settings, metadata_url: str, target: Path) -> Backup:
    """Write a backup to the new folder `target`, which appears whole or not at all.

    Secrets are not part of it: `.env`, or `device.key`, is to be kept elsewhere. Raises `UserError` where `target` is
    there already, or where a database cannot be read.
    """
    if target.exists():
        raise UserError(f"folder {target}", "something is there already", "a new folder", "give another name")
    files: dict[str, dict[str, str | int]] = {}
    # Rows and databases: for nobody else on this machine.
    with replaced_folder(target.absolute(), 0o700) as new:
        databases = []
        for name, url in {"reports": settings.database_url, "airflow": metadata_url}.items():
            if _dump(name, sa.make_url(url), new / "databases"):
                databases.append(name)
        for path in sorted((new / "databases").iterdir()):
            path.chmod(0o600)
            files[path.relative_to(new).as_posix()] = _sum(path)
        for lock, places in _groups(settings):
            with lock:
                for path in (path for place in places for path in _files(place)):
                    name = _name(settings, path)
                    copy = new / name
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, copy)
                    files[name] = _sum(copy)
        # A restore gives a folder the mode that it has here: the lake's is its owner's only.
        for part, folder in _parts(settings).items():
            if (new / part).is_dir():
                shutil.copymode(folder, new / part)
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(new / NOTE, {"made_at": made_at, "databases": databases, "files": files})
    return Backup(target, tuple(databases), len(files), sum(int(file["n_bytes"]) for file in files.values()))


def restore(settings: Settings, metadata_url: str, source: Path, *, is_replacing: bool = False) -> Backup:
    """Put a backup where the settings say, after every file in it was compared with its sha256.

    Afterwards the share tells of what the database knows. Raises `UserError`, with nothing touched, where a file is
    not as it was backed up, where somebody is connected to a database, or where anything is in the way;
    with `is_replacing`, what is in the way is removed.
    """
    note = _checked_note(source)
    urls = {"reports": sa.make_url(settings.database_url), "airflow": sa.make_url(metadata_url)}
    urls = {name: urls[name] for name in note["databases"]}
    parts = _parts(settings)
    found = [f"{parts[part]} is not empty" for part in parts if _entries(parts[part])]
    found += [text for name, url in urls.items() if (text := _in_the_way(name, url))]
    busy = [text for name, url in urls.items() if (text := _somebody_else(name, url))]
    if busy or (found and not is_replacing):
        raise UserError(
            "where the backup is to go",
            busy or found,
            "no service running" if busy else "an empty place",
            "stop the services: docker compose stop" if busy else "give --replace to have it removed first",
        )
    for name, url in urls.items():
        _load(name, url, source / "databases")
    for path in (entry for part in parts.values() for entry in _entries(part)):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for part, folder in parts.items():
        if (source / part).exists():
            shutil.copytree(source / part, folder, dirs_exist_ok=True)
    _tell_the_share(settings)
    files: Mapping[str, Mapping[str, int]] = note["files"]
    return Backup(source, tuple(urls), len(files), sum(file["n_bytes"] for file in files.values()))


def _tell_the_share(settings: Settings) -> None:
    """Point `latest.json` and the page of all months to what the restored database knows."""
    database = Database(settings.database_url)
    for month in database.months():
        point_to_latest(database, month, settings.share_of(month))
        for day in database.restated_days(month):
            point_to_latest(database, month, settings.restated_share_of(month, day), day)
    if database.months():
        write_share_page(settings, database)


def _parts(settings: Settings) -> dict[str, Path]:
    """The folders of a backup, by name; what lies in the lake, such as a copy of a remote share, is part of it."""
    parts = {
        "lake": settings.lake,
        "share": settings.share,
        "registry": settings.registry,
        "returns": settings.returns,
    }
    return {name: folder for name, folder in parts.items() if settings.lake not in folder.parents}


def _groups(settings: Settings) -> Iterator[tuple[AbstractContextManager[None], list[Path]]]:
    """What is to be kept, by the lock under which nobody else changes it; a month's folders of all layers together."""
    registry = settings.lake / "registry"
    found = map(_month_of, (path.name for path in (*settings.lake.glob("*/month=*"), *settings.share.glob("*"))))
    layers = {
        month: [*sorted(settings.lake.glob(f"*/month={month}")), settings.share_of(month)]
        for month in sorted(month for month in set(found) if month)
    }
    yield registry_lock(settings, to_write=False), [registry]
    for month, folders in layers.items():
        yield month_lock(settings, month), folders
    taken = {registry, *(folder for folders in layers.values() for folder in folders)}
    others = [path for folder in _parts(settings).values() for path in _files(folder) if not taken & {*path.parents}]
    yield share_lock(settings), others


def _month_of(name: str) -> Month | None:
    try:
        return Month.parse(name.removeprefix("month="))
    except UserError:
        return None


def _files(place: Path) -> Iterator[Path]:
    """A file itself, or the files below a folder, without locks and without what a step is just writing."""
    if place.is_file():
        yield place
        return
    for path in sorted(place.rglob("*")):
        parts = path.relative_to(place).parts
        is_unfinished = any(name.startswith(".") and name != MARKER for name in parts)
        if path.is_file() and not path.is_symlink() and not is_unfinished and parts[0] != LOCKS:
            yield path


def _name(settings: Settings, path: Path) -> str:
    """What a file is called in the backup."""
    part, folder = next((part, folder) for part, folder in _parts(settings).items() if folder in path.parents)
    return f"{part}/{path.relative_to(folder).as_posix()}"


def _entries(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.name != LOCKS] if folder.is_dir() else []


def _sum(path: Path) -> dict[str, str | int]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "n_bytes": path.stat().st_size}


def _checked_note(source: Path) -> dict[str, dict[str, dict[str, int]]]:
    """What the backup says of itself, once each of its files was found as it says."""
    if not (source / NOTE).exists():
        raise UserError(f"folder {source}", f"no {NOTE}", "a backup", "give the folder that make backup wrote")
    note: dict[str, dict[str, dict[str, int]]] = json.loads((source / NOTE).read_text(encoding="utf-8"))
    bad = [name for name, said in note["files"].items() if not (source / name).is_file() or _sum(source / name) != said]
    there = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    bad += sorted(there - set(note["files"]) - {NOTE})
    if bad:
        raise UserError(
            f"backup {source}",
            [f"{name} is not as it was backed up" for name in bad[:20]],
            f"{len(note['files']):,} files with the sha256 that {NOTE} has",
            "take another copy of the backup, or the one before it",
        )
    return note


def _dump(name: str, url: sa.URL, folder: Path) -> bool:
    """One database as of now, in one transaction; whether there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        if not path.is_file():
            return False
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database,
            closing(sqlite3.connect(folder / f"{name}.sqlite")) as copy,
        ):
            database.backup(copy)
        return True
    # Owners and rights are those of the place that it is restored to.
    options = ("--format=custom", "--no-owner", "--no-acl", f"--file={folder / name}.dump")
    _run("pg_dump", name, url, *options)
    return True


def _load(name: str, url: sa.URL, folder: Path) -> None:
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_dumped(folder / f"{name}.sqlite"), path)
        return
    dump = _dumped(folder / f"{name}.dump")
    if _in_the_way(name, url):
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("drop owned by current_user cascade"))
        engine.dispose()
    _run("pg_restore", name, url, "--single-transaction", "--exit-on-error", "--no-owner", "--no-acl", str(dump))


def _dumped(path: Path) -> Path:
    if not path.exists():
        raise UserError(
            f"backup {path.parent.parent}",
            f"no {path.name}: it was made from another kind of database",
            "SQLite from SQLite, PostgreSQL from PostgreSQL",
            "restore it with the settings that it was made with",
        )
    return path


def _in_the_way(name: str, url: sa.URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"the database {name} is there" if Path(url.database or "").exists() else ""
    n_tables = _scalar(name, url, "select count(*) from pg_tables where schemaname = 'public'")
    return f"the database {name} has {n_tables} tables" if n_tables else ""


def _somebody_else(name: str, url: sa.URL) -> str:
    if url.get_backend_name() == "sqlite":
        return ""
    # Nobody but the superuser sees who the others are; that they are there is told to all.
    query = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    n_others = _scalar(name, url, query)
    return f"the database {name} has {n_others} other connections" if n_others else ""


def _scalar(name: str, url: sa.URL, query: str) -> int:
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            return int(connection.scalar(sa.text(query)) or 0)
    except sa.exc.OperationalError as error:
        raise UserError(
            f"database {name}",
            str(error.orig).strip(),
            "a database that answers",
            "start it: docker compose up postgres",
        ) from error
    finally:
        engine.dispose()


def _run(program: str, name: str, url: sa.URL, *options: str) -> None:
    """One of PostgreSQL's programs on a database; the password goes by the environment."""
    path = shutil.which(program)
    if path is None:
        raise UserError(f"program {program}", "it is not there", "PostgreSQL's client", "apt install postgresql-client")
    login = {
        "PGHOST": url.host or url.query.get("host", ""),
        "PGPORT": str(url.port or url.query.get("port", "")),
        "PGUSER": url.username or "",
        "PGPASSWORD": url.password or "",
    }
    if program == "pg_restore":
        options = (f"--dbname={url.database}", *options)
    else:
        login["PGDATABASE"] = url.database or ""
    environment = os.environ | {key: str(value) for key, value in login.items() if value}
    done = subprocess.run([path, *options], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(
            f"database {name}",
            f"{program}: {done.stderr.strip()}",
            "a database that answers to its user, and a client that is not older",
            "mend that, then give the command again",
        )
