"""The registry: communes, succession, operators, referral codes and organisations, each valid from a day to a day."""

from __future__ import annotations

import getpass
import logging
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ispeed.engine import Engine
from ispeed.errors import UserError
from ispeed.incoming import bring
from ispeed.lake import recover_folder, registry_lock, replaced_folder
from ispeed.registry_checks import TABLES, checked_tables
from ispeed.registry_files import read_registry_files
from ispeed.registry_history import (
    NOTE,
    VERSIONS,
    Difference,
    Rewritten,
    count_differences,
    differences,
    note_differences,
    read_note,
    read_tables,
    rewritten_months,
    write_version,
)
from ispeed.registry_month import version_of
from ispeed.settings import Settings

log = logging.getLogger(__name__)

_SHOWN = 20


def sync_registry(settings: Settings, *, rewrite_published: bool = False, dry_run: bool = False) -> dict[str, Any]:
    """Read, check and take over the registry files as the lake's registry tables, where they say something new.

    Returns rows per table, the version's number and whether it is new, the differences by table and kind, the number of
    warnings, and the published months to run again. Raises `UserError` naming file, row and column of all that is
    wrong, or the published months that the change would rewrite, unless `rewrite_published`. The registry of before
    then stays, as it does with `dry_run`.
    """
    bring(settings, "registry")
    files = read_registry_files(settings)
    tables, warnings = checked_tables(files.entries)
    for warning in warnings:
        log.warning("%s", warning)
    folder = settings.lake / "registry"
    with registry_lock(settings, to_write=True):
        recover_folder(folder)
        stored = read_note(folder)
        before = read_tables(folder) if stored else None
        version = version_of(tables)
        is_new = stored is None or stored.get("version") != version
        found = differences(before, tables) if before else []
        rewritten = rewritten_months(settings, before, tables) if is_new else []
        _tell(found, rewritten)
        if rewritten and not (rewrite_published or dry_run):
            raise _refusal(found, rewritten)
        number = (stored or {}).get("number", 0) + is_new
        report = {
            "number": number,
            "n_rows": {name: len(rows) for name, rows in tables.items()},
            "rewritten_months": list(dict.fromkeys(str(one.month) for one in rewritten)),
        }
        if is_new and not dry_run:
            taken = {
                "version": version,
                "files": files.sha256,
                "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "taken_by": os.environ.get("AIRFLOW_CTX_DAG_RUN_ID") or getpass.getuser(),
                "warnings": warnings,
                "differences": note_differences(found),
            }
            with replaced_folder(folder) as new:
                if (folder / VERSIONS).exists():
                    shutil.copytree(folder / VERSIONS, new / VERSIONS)
                kept = new / VERSIONS / f"{number:04}"
                kept.mkdir(parents=True)
                write_version(kept, tables, report | taken)
                shutil.copytree(kept, new, dirs_exist_ok=True)
            log.info("registry version %d taken over", number)
    return report | {"is_new": is_new, "differences": count_differences(found), "n_warnings": len(warnings)}


def _tell(found: Sequence[Difference], rewritten: Sequence[Rewritten]) -> None:
    for difference in found:
        log.info("%s", difference)
    if rewritten:
        listed = ", ".join(map(str, rewritten))
        log.warning("published months that stand on what changes, to be run again in order: %s", listed)


def _refusal(found: Sequence[Difference], rewritten: Sequence[Rewritten]) -> UserError:
    lines = [str(difference) for difference in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"… and {len(found) - _SHOWN:,} more: make sync DRY=1 lists them")
    return UserError(
        "registry files",
        [f"a change to what published months stand on: {', '.join(map(str, rewritten))}", *lines],
        "a registry under which published months stay as they are",
        "correct the files; or, if the change is right, take it over with make sync REWRITE_PUBLISHED=1 (or trigger "
        "sync_registry with rewrite_published) and run these months again, in order",
    )


def copy_registry(settings: Settings, target: Path) -> dict[str, Any]:
    """Copy the registry as it is now to `target`, so that all that follows sees the same one.

    Returns its version and the sha256 of the files that it was read from. Raises `UserError` where it has not been
    synced.
    """
    folder = settings.lake / "registry"
    with registry_lock(settings, to_write=False):
        note = read_note(folder)
        if note is None or "version" not in note:
            found = "no registry" if note is None else "a registry of an earlier program"
            raise UserError(f"folder {folder}", found, "the result of sync_registry", "run sync_registry first")
        target.mkdir(parents=True)
        for name in (*(f"{table}.parquet" for table in TABLES), NOTE):
            shutil.copy(folder / name, target / name)
    return {"version": note["version"], "files": note["files"]}


def read_registry(engine: Engine, folder: Path) -> None:
    """Make a copy of the registry the relations commune, commune_succession, operator, referral_code, organisation."""
    for name in TABLES:
        engine.read_table(name, folder / f"{name}.parquet")
