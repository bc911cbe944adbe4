"""What comes in from SFTP or S3: a folder's copy in the lake, as it stood at one moment, or none."""

from __future__ import annotations

import filecmp
import logging
import os
import shutil
from pathlib import Path
from typing import Final, Literal

from ispeed.errors import RemoteFault, UserError
from ispeed.exports import ExportFile, ExportFolder, export_folder, read_export_folder
from ispeed.lake import incoming_lock, replaced_folder
from ispeed.months import Month
from ispeed.remote_folder import RemoteEntry, RemoteFolder
from ispeed.settings import Settings

log = logging.getLogger(__name__)

# What changes on each of so many looks is still being written.
LOOKS: Final = 4
_LONGEST_NAME_BYTES = 255


def look_at_exports(settings: Settings, month: Month) -> ExportFolder:
    """Look once at a month's export, wherever it is."""
    if settings.exports_uri:
        return read_remote_exports(settings.export_place(month))
    return read_export_folder(settings.exports_of(month))


def read_remote_exports(uri: str) -> ExportFolder:
    """Look once at a month's export at an address. Raises `UserError` and `RemoteFault` as `RemoteFolder` does."""
    base, _, month = uri.rpartition("/")
    with RemoteFolder(base) as remote:
        files = [entry for entry in remote.entries(month) if entry.kind == "file"]
    return export_folder(uri, [ExportFile(f.name, f.size, f.modified_ns, f.version) for f in files])


def bring(settings: Settings, what: Literal["exports", "registry", "returns"], below: str = "") -> Path:
    """The folder of a setting, or one below it such as `2024-10`, on this machine and as it is now.

    A local folder is given as it is. One at an address is copied into the lake, and the copy of before replaced when
    all of it is there: files of one moment, no more and no larger than the settings allow. Hidden files stay behind,
    but `.sample`; of a subfolder there is its name. Raises `UserError` for what may not come in, and `RemoteFault`
    where the other side does not answer or a file changes while it is read; the copy of before then stays.
    """
    local, uri = {
        "exports": (settings.exports, settings.exports_uri),
        "registry": (settings.registry, settings.registry_uri),
        "returns": (settings.returns, settings.returns_uri),
    }[what]
    folder = local / below
    if uri:
        with incoming_lock(settings, folder), RemoteFolder(uri) as remote:
            new = folder.with_name(f".new-{folder.name}")
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            try:
                n_bytes = _fetch(settings, remote, below, new)
                _take_over(new, folder)
            finally:
                shutil.rmtree(new)
        log.info("Fetched %d bytes from %s.", n_bytes, remote.shown(below))
    return folder


def _take_over(new: Path, folder: Path) -> None:
    """Put a copy in the place of the one before. One that says the same stays: another task may be reading it."""
    names = sorted(path.name for path in new.iterdir())
    if folder.is_dir() and names == sorted(path.name for path in folder.iterdir()):
        files = [name for name in names if (new / name).is_file()]
        # It remembers answers by size and time, and other bytes can have the same of both.
        filecmp.clear_cache()
        if filecmp.cmpfiles(new, folder, files, shallow=False)[0] == files:
            return
    with replaced_folder(folder) as target:
        for name in names:
            (new / name).rename(target / name)


def forget_exports(settings: Settings, month: Month) -> None:
    """Remove the copy of a month's export that has landed: its bytes lie in the lake once more."""
    if settings.exports_uri:
        shutil.rmtree(settings.exports_of(month), ignore_errors=True)


def _fetch(settings: Settings, remote: RemoteFolder, below: str, new: Path) -> int:
    """Copy what is there until a look finds just what was copied. Returns how many bytes these are."""
    have: dict[str, RemoteEntry] = {}
    changed: list[str] = []
    for look in range(LOOKS):
        entries = _checked(settings, remote, below)
        for name in have.keys() - entries.keys():
            _remove(new / name)
            del have[name]
        changed = [name for name, entry in entries.items() if have.get(name) != entry]
        if not changed:
            return sum(entry.size for entry in have.values())
        if look:
            log.warning("Changed while it was read, and read again: %s", ", ".join(changed))
        for name in changed:
            _remove(new / name)
            if entries[name].kind == "directory":
                (new / name).mkdir()
                have[name] = entries[name]
            elif _fetch_file(settings, remote, f"{below}/{name}" if below else name, new / name) == entries[name].size:
                have[name] = entries[name]
                # When it was written counts: of two returns of one body the later stands.
                if entries[name].modified_ns:
                    os.utime(new / name, ns=(entries[name].modified_ns,) * 2)
            else:
                # The next look tells what became of it.
                _remove(new / name)
                have.pop(name, None)
    raise RemoteFault(
        remote.shown(below),
        f"changed while it was read: {', '.join(changed)}",
        "files that nobody writes any more",
        "have the sender finish, and write .done last; the task is tried again by itself",
    )


def _fetch_file(settings: Settings, remote: RemoteFolder, path: str, target: Path) -> int | None:
    """Copy one file. Returns how many bytes it had; None where it went, or became another, while it was read."""
    n_bytes = 0
    try:
        with target.open("wb") as copy:
            for block in remote.blocks(path):
                n_bytes += len(block)
                _check_size(settings, remote.shown(path), n_bytes)
                copy.write(block)
    except FileNotFoundError:
        return None
    return n_bytes


def _checked(settings: Settings, remote: RemoteFolder, below: str) -> dict[str, RemoteEntry]:
    """What there is to copy, by name. Raises `UserError` for what may not come in."""
    where = remote.shown(below)
    wanted: dict[str, RemoteEntry] = {}
    for entry in remote.entries(below):
        _check_name(where, entry.name)
        if entry.name.startswith((".", "~$")) and entry.name != ".sample":
            continue
        if entry.kind in ("link", "other"):
            kind = "a link" if entry.kind == "link" else "a pipe, a socket or a device"
            raise UserError(f"{where}/{entry.name}", kind, "a file", "put the file itself into the folder")
        if entry.name in wanted:
            raise UserError(f"{where}/{entry.name}", "a file and a folder of one name", "a file", "rename one of them")
        _check_size(settings, f"{where}/{entry.name}", entry.size)
        wanted[entry.name] = entry
    if len(wanted) > settings.files_max:
        raise UserError(
            where,
            f"{len(wanted):,} files and folders",
            f"at most {settings.files_max:,}, the setting ISPEED_FILES_MAX",
            "take away what does not belong there, or raise the setting",
        )
    return wanted


def _check_name(where: str, name: str) -> None:
    if not name.isprintable():
        found = f"a file name that cannot be printed: {name!r}"
    elif not name or name in (".", "..") or "/" in name or "\\" in name or "?versionId=" in name:
        found = f"a name that leads elsewhere: {name!r}"
    elif len(name.encode()) > _LONGEST_NAME_BYTES:
        found = f"a name of {len(name.encode())} bytes: {name[:40]}…"
    else:
        return
    raise UserError(where, found, "a name of letters, digits and the like", "rename the file")


def _check_size(settings: Settings, where: str, n_bytes: int) -> None:
    if n_bytes > settings.file_bytes_max:
        raise UserError(
            where,
            f"{n_bytes:,} bytes",
            f"at most {settings.file_bytes_max:,}, the setting ISPEED_FILE_BYTES_MAX",
            "split the file, or raise the setting",
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
