"""Verifying: a published revision is rebuilt from what landed, in a scratch lake, and compared byte for byte.

What the revision stood on is taken from where it is kept: landed bytes by their sha256, the registry's version, the
source contract by its fingerprint, the policy as its manifest has it, and the months before as they then stood
published. Only the code is that of now.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import yaml

from ispeed.arrivals import copy_arrivals
from ispeed.checks import check_staging
from ispeed.contracts import read_contract
from ispeed.core import build_core
from ispeed.database import Database
from ispeed.draft import write_workbooks
from ispeed.engine import Row
from ispeed.errors import UserError
from ispeed.lake import write_file, write_json
from ispeed.months import Month
from ispeed.publication import read_manifest
from ispeed.registry_history import NOTE, VERSIONS
from ispeed.reports import build_reports, check_reports
from ispeed.settings import Settings
from ispeed.shared_folder import MARKER
from ispeed.staging import stage
from ispeed.tables import REPORT_TABLES
from ispeed.workbook.dump import dump

_STEPS: Final = (stage, check_staging, build_core, build_reports, check_reports, write_workbooks)
_NO_TABLES: Final[Mapping[str, list[Row]]] = {}


@dataclass(frozen=True)
class Verification:
    """What a comparison found. `notes` are differences in what both were made from, or files of somebody else's."""

    n_files: int
    differences: list[str]
    notes: list[str]


def verify(settings: Settings, month: Month, revision: int) -> Verification:
    """Compare a published revision with its manifest and with itself made anew.

    Raises `UserError` where something that it was made from is not kept any more.
    """
    database = Database(settings.database_url)
    published = database.publication(month, revision)
    if published is None:
        raise UserError(f"month {month}", f"no revision r{revision}", "one that was published", "give another R=")
    share = settings.share_of(month)
    manifest = read_manifest(share, revision)
    folder = share / f"r{revision}"
    differences = list(_not_as_published(folder, manifest, published))
    notes = [f"{name} lies beside what was published" for name in sorted(_others(folder, manifest))]
    with tempfile.TemporaryDirectory(prefix="ispeed-verify-") as scratch:
        rebuilt = _scratch_settings(settings, month, manifest, Path(scratch))
        _copy_publications(database, Database(rebuilt.database_url), month, published)
        for step in _STEPS:
            step(rebuilt, month)
        files = rebuilt.lake_of("draft", month) / "files"
        if not files.exists():
            raise UserError(
                f"month {month}, r{revision}",
                "the same as the revision before it, when it is made anew",
                "a revision of its own",
                "look at what differs: make diff",
            )
        again = json.loads((files / "manifest.json").read_text(encoding="utf-8"))
        notes += _other_origin(manifest, again)
        differences += _differences(folder, manifest, files, again)
    return Verification(len(manifest["outputs"]) + 1, differences, notes)


def _not_as_published(folder: Path, manifest: Mapping[str, Any], published: Row) -> Iterator[str]:
    if _sha256(folder / "manifest.json") != published["manifest_sha256"]:
        yield "manifest.json in the share is not the one that was published"
    for output in manifest["outputs"]:
        path = folder / output["path"]
        if not path.exists():
            yield f"{output['path']} is gone from the share"
        elif _sha256(path) != output["sha256"]:
            yield f"{output['path']} in the share was changed since it was published"


def _others(folder: Path, manifest: Mapping[str, Any]) -> set[str]:
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return there - {output["path"] for output in manifest["outputs"]} - {"manifest.json"}


def _scratch_settings(settings: Settings, month: Month, manifest: Mapping[str, Any], scratch: Path) -> Settings:
    """Settings of a lake that holds what the revision was made from, and nothing else."""
    rebuilt = replace(
        settings,
        lake=scratch / "lake",
        share=scratch / "share",
        exports=scratch / "exports",
        # What is made anew is compared, and goes nowhere.
        share_uri="",
        database_url=f"sqlite:///{scratch}/reports.sqlite",
        source=_contract(settings, manifest["origin"]["inputs"]["contract"]),
        policy=scratch / "policy.yaml",
    )
    values = {name: [{"value": value, "source": "its manifest"}] for name, value in manifest["policy"].items()}
    policy = {"province": values.pop("province")[0]["value"], "values": values}
    rebuilt.policy.write_text(yaml.safe_dump(policy, allow_unicode=True), encoding="utf-8")
    _copy_landing(settings, rebuilt, month, manifest)
    _copy_registry(settings, rebuilt, manifest["origin"]["registry"]["version"])
    copy_arrivals(settings, rebuilt, month, manifest["origin"])
    write_file(rebuilt.share / MARKER, b"")
    # A revision tells what differs from the one before it.
    for before in settings.share_of(month).glob("r*/manifest.json"):
        (rebuilt.share_of(month) / before.parent.name).mkdir(parents=True)
        shutil.copy(before, rebuilt.share_of(month) / before.parent.name)
    # Which devices are new is told by the months before.
    for core in settings.lake_of("core", month).parent.glob("month=*"):
        if core.name < f"month={month}":
            (rebuilt.lake / "core").mkdir(exist_ok=True)
            os.symlink(core, rebuilt.lake / "core" / core.name)
    return rebuilt


def _contract(settings: Settings, fingerprint: str) -> Path:
    kept = settings.lake / "contracts" / f"{fingerprint}.yaml"
    if kept.exists():
        return kept
    if read_contract(settings.source).fingerprint == fingerprint:
        return settings.source
    raise UserError(
        f"lake {kept.parent}",
        "the source contract of that revision is not kept, and that of now says something else",
        "the contract that it was read by",
        "set ISPEED_SOURCE to the contract of then",
    )


def _copy_landing(settings: Settings, rebuilt: Settings, month: Month, manifest: Mapping[str, Any]) -> None:
    """The month's landed bytes as the revision had them, and the notes of other months' landings of before it."""
    source, target = settings.lake_of("landing", month), rebuilt.lake_of("landing", month)
    target.mkdir(parents=True)
    receipts = json.loads((source / "landing.json").read_text(encoding="utf-8"))["receipts"]
    files = []
    for file in manifest["inputs"]:
        sha256 = file["sha256"]
        if not (source / sha256).exists():
            raise UserError(
                f"landing of {month}",
                f"no bytes of {file['name']} ({sha256[:12]}…)",
                "the bytes that landed",
                "restore the lake from the backup",
            )
        os.symlink(source / sha256, target / sha256)
        files.append(
            {
                "source_file": file["name"],
                "sha256": sha256,
                "n_bytes": file["n_bytes"],
                "received_at": receipts[sha256],
                "member": "",
            }
        )
    write_json(target / "landing.json", {"files": files, "is_sample": manifest["is_sample"], "receipts": receipts})
    last = max(file["received_at"] for file in files)
    for note in source.parent.glob("month=*/landing.json"):
        if note.parent.name != source.name:
            other = json.loads(note.read_text(encoding="utf-8"))
            other["files"] = [file for file in other["files"] if file["received_at"] <= last]
            write_json(rebuilt.lake / "landing" / note.parent.name / "landing.json", other)


def _copy_registry(settings: Settings, rebuilt: Settings, version: str) -> None:
    for folder in sorted((settings.lake / "registry" / VERSIONS).glob("*")):
        if json.loads((folder / NOTE).read_text(encoding="utf-8"))["version"] == version:
            shutil.copytree(folder, rebuilt.lake / "registry")
            return
    raise UserError(
        f"lake {settings.lake / 'registry'}",
        f"no version {version[:12]}… of the registry",
        "the registry that the revision stands on",
        "restore the lake from the backup",
    )


def _copy_publications(database: Database, scratch: Database, month: Month, published: Row) -> None:
    """Every month as it stood published when this revision was; of each, the tables of the revision that then stood."""
    moment: datetime = published["published_at"]
    for other in database.months():
        rows = [row for row in database.publications(other) if row["published_at"] < moment]
        for row in rows:
            if row["withdrawn_at"] and row["withdrawn_at"] > moment:
                row |= dict.fromkeys(("withdrawn_at", "withdrawn_by", "withdrawn_why"))
            row["state"] = "withdrawn" if row["withdrawn_at"] else "published"
        standing = max((row["revision"] for row in rows if not row["withdrawn_at"]), default=None)
        # The one that stood last: each that is put in supersedes what was published before it.
        for row in sorted(rows, key=lambda row: (row["revision"] == standing, row["revision"])):
            revision = row.pop("revision")
            tables = _NO_TABLES
            if revision == standing:
                tables = {table.name: database.rows(table.name, other, revision) for table in REPORT_TABLES}
            with scratch.publishing(other, revision, tables, {**row, "month": other.first_day}):
                pass


def _other_origin(manifest: Mapping[str, Any], again: Mapping[str, Any]) -> Iterator[str]:
    """What the two were made from that is not the same: mostly other code."""
    for part in ("origin", "versions"):
        for name in sorted(manifest[part].keys() | again[part].keys()):
            if name == "device_key":
                yield from _other_key(manifest[part].get(name), again[part].get(name))
            elif manifest[part].get(name) != again[part].get(name):
                yield f"made from other {name}" + (" than the code here" if name in ("rules", "version") else "")


def _other_key(published: str | None, here: str | None) -> Iterator[str]:
    if published and published != here:
        yield (
            f"made under device key {published}, and here it is {here}: every figure must be equal all the same; only "
            "which devices are new beside the months before (a warning of month_drift) needs the key of then"
        )


def _differences(folder: Path, manifest: Mapping[str, Any], files: Path, again: Mapping[str, Any]) -> Iterator[str]:
    old, new = ({output["path"]: output["sha256"] for output in made["outputs"]} for made in (manifest, again))
    for path in sorted(old.keys() | new.keys()):
        if path not in new:
            yield f"{path} is not made any more"
        elif path not in old:
            yield f"{path} was not there"
        elif old[path] != new[path]:
            yield f"{path}{_first_difference(folder / path, files / path)}"
    manifests = (folder / "manifest.json", files / "manifest.json")
    if old == new and _but_for_key(manifest) != _but_for_key(again):
        yield f"manifest.json{_first_difference(*manifests)}"


def _but_for_key(manifest: Mapping[str, Any]) -> str:
    return json.dumps({**manifest, "origin": {**manifest["origin"], "device_key": None}})


def _first_difference(published: Path, rebuilt: Path) -> str:
    """Where two files part, for a reader: the first line, or row of a sheet, that differs."""
    if not published.exists():
        return ""
    for old, new in zip_longest(_lines(published), _lines(rebuilt), fillvalue=""):
        if old != new:
            return f"\n    published: {old[:300]}\n    rebuilt:   {new[:300]}"
    return " (in its bytes, not in what it says)"


def _lines(path: Path) -> Iterator[str]:
    if path.suffix == ".xlsx":
        return dump(path)
    return iter(path.read_text(encoding="utf-8", errors="replace").splitlines())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
