"""Landing: the export files of a month as received, kept by the sha256 of their bytes."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ispeed.archives import is_archive, read_members
from ispeed.contracts import Contract, read_contract
from ispeed.errors import UserError
from ispeed.exports import DONE, read_export_folder
from ispeed.incoming import bring, forget_exports
from ispeed.lake import month_lock, read_step, write_json
from ispeed.months import Month
from ispeed.settings import Settings

log = logging.getLogger(__name__)

SAMPLE_MARK = ".sample"


@dataclass(frozen=True)
class LandedFile:
    """One export file, or a member of one. `received_at` is when these bytes first came, ISO 8601 in UTC.

    A member is named `archive.zip/member.csv`; sha256 and landed bytes are those of its archive, `n_bytes` its own.
    """

    source_file: str
    sha256: str
    n_bytes: int
    received_at: str
    member: str = ""

    def path(self, settings: Settings, month: Month) -> Path:
        return settings.lake_of("landing", month) / self.sha256


@dataclass(frozen=True)
class Landing:
    """What a month consists of now. `is_sample`: made up, and to be marked so wherever it is shown."""

    files: tuple[LandedFile, ...]
    is_sample: bool

    def sources(self, settings: Settings, month: Month) -> tuple[LandedFile, ...]:
        """The files that hold records: each file as it came, and of an archive each member."""
        sources: list[LandedFile] = []
        for file in self.files:
            if is_archive(file.source_file):
                for member in read_members(settings, file.path(settings, month), file.source_file):
                    name = member.filename
                    sources.append(
                        replace(file, source_file=f"{file.source_file}/{name}", n_bytes=member.file_size, member=name)
                    )
            else:
                sources.append(file)
        return tuple(sources)


def land(settings: Settings, month: Month) -> dict[str, Any]:
    """Copy the month's exports into the lake, from SFTP or S3 if they are there, and note them in `landing.json`.

    Returns and logs counts. Raises `UserError` where there is no file or one that the source contract has no
    shape for. Bytes that landed before stay, also those of files that are gone or replaced.
    """
    contract = read_contract(settings.source)
    with month_lock(settings, month):
        folder = bring(settings, "exports", str(month))
        _check_other_entries(folder, contract)
        paths = [folder / file.name for file in read_export_folder(folder).files]
        if not paths:
            where = f"folder {settings.export_place(month)}"
            raise UserError(where, "no export file", f"the export of {month}", "put the files there")
        for path in paths:
            _check_file(settings, contract, path)
        target = settings.lake_of("landing", month)
        target.mkdir(parents=True, exist_ok=True)
        for left_over in target.glob(".*.part"):
            left_over.unlink()
        known = _first_receipts(target)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        files = [_land_file(path, target, known, now) for path in paths]
        is_sample = (folder / SAMPLE_MARK).exists()
        receipts = known | {file.sha256: file.received_at for file in files}
        write_json(
            target / "landing.json",
            {"files": [asdict(file) for file in files], "is_sample": is_sample, "receipts": receipts},
        )
        forget_exports(settings, month)
    landed = {"n_files": len(files), "n_bytes": sum(file.n_bytes for file in files), "is_sample": is_sample}
    log.info("Landed: %s.", landed)
    return landed


def read_landing(settings: Settings, month: Month) -> Landing:
    """The month's landing. Raises `UserError` where the month has not landed."""
    step = read_step(settings, "landing", month, "land")
    return Landing(tuple(LandedFile(**file) for file in step["files"]), step["is_sample"])


def _check_other_entries(folder: Path, contract: Contract) -> None:
    """Raise `UserError` for what is no file but stands where one is expected: it would be left out without a word."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if "\\" in path.name:
            raise UserError(
                f"folder {folder}", f"a name that leads elsewhere: {path.name!r}", "a file name", "rename the file"
            )
        if path.name.startswith((".", "~$")) or path.name.endswith(DONE):
            continue
        if path.is_symlink():
            raise UserError(f"file {path.name}", "a link", "a file", "put the file itself into the folder")
        if path.is_dir() and not _is_declared(contract, path.name):
            log.warning("%s is a folder: what lies in it is not part of the export", path)
        elif not path.is_file():
            kind = "a folder" if path.is_dir() else "a pipe, a socket or a device"
            raise UserError(f"file {path.name}", kind, "a file", "put the export file itself into the folder")


def _is_declared(contract: Contract, name: str) -> bool:
    try:
        contract.shape_of(name)
    except UserError:
        return is_archive(name)
    return True


def _check_file(settings: Settings, contract: Contract, path: Path) -> None:
    if not path.name.isprintable():
        raise UserError(
            f"folder {path.parent}",
            f"a file name that cannot be printed: {path.name!r}",
            "a name of letters, digits and the like",
            "rename the file",
        )
    if path.stat().st_size > settings.file_bytes_max:
        raise UserError(
            f"file {path.name}",
            f"{path.stat().st_size:,} bytes",
            f"at most {settings.file_bytes_max:,}, the setting ISPEED_FILE_BYTES_MAX",
            "split the export, or raise the setting",
        )
    try:
        path.open("rb").close()
    except PermissionError as error:
        raise UserError(
            f"file {path.name}",
            "no permission to read it",
            "a file that the account which runs the pipeline may read",
            "change its owner or its permissions",
        ) from error
    if is_archive(path.name):
        for member in read_members(settings, path, path.name):
            contract.shape_of(f"{path.name}/{member.filename}")
    else:
        contract.shape_of(path.name)


def _first_receipts(target: Path) -> dict[str, str]:
    note = target / "landing.json"
    if not note.exists():
        return {}
    receipts: dict[str, str] = json.loads(note.read_text(encoding="utf-8"))["receipts"]
    return receipts


def _land_file(path: Path, target: Path, known: dict[str, str], now: str) -> LandedFile:
    """Copy and hash in one reading, so that the hash is that of the bytes kept, whatever happens to the source."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=target)
    part = Path(name)
    try:
        digest, n_bytes = hashlib.sha256(), 0
        with open(path, "rb") as source, os.fdopen(handle, "wb") as copy:
            while block := source.read(1 << 20):
                digest.update(block)
                copy.write(block)
                n_bytes += len(block)
            copy.flush()
            os.fsync(copy.fileno())
        sha256 = digest.hexdigest()
        if (target / sha256).exists():
            part.unlink()
        else:
            part.chmod(0o444)
            shutil.move(part, target / sha256)
    finally:
        part.unlink(missing_ok=True)
    return LandedFile(path.name, sha256, n_bytes, known.get(sha256, now))
