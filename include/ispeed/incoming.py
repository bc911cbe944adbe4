"""What comes in from SFTP or S3: a folder's copy in the lake, as it stood at one moment, or none."""

from __future__ import annotations

import filecmp
import hashlib
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ispeed.errors import RemoteFault, UserError
from ispeed.exports import ExportFile, ExportFolder, export_folder, read_export_folder
from ispeed.lake import incoming_lock, replaced_folder
from ispeed.months import Month
from ispeed.remote_folder import RemoteEntry, RemoteFolder
from ispeed.return_folder import BYTES_MAX, DEPTH_MAX, FILES_MAX, printable
from ispeed.settings import Settings

log = logging.getLogger(__name__)

# What changes on each of so many looks is still being written.
LOOKS: Final = 4
_LONGEST_NAME_BYTES: Final = 255
_LONGEST_SHOWN: Final = 200
# Why an entry is not read: a link or a device, its name, its size, a folder and a file of one name, too deep a folder.
Why = Literal["no file", "name", "size", "twice", "deep"]


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


@dataclass(frozen=True)
class SetAside:
    """An entry of a folder of returns that did not come in: its name below it as a cell can have it, and why."""

    name: str
    why: Why


def look_at_remote_returns(uri: str) -> str:
    """One hash of names, sizes and times of a month's returns at an address: another one where anything changed."""
    base, _, month = uri.rpartition("/")
    with RemoteFolder(base) as remote:
        return hashlib.sha256(repr(_tree(remote, month, DEPTH_MAX, FILES_MAX)).encode()).hexdigest()


def bring(settings: Settings, what: Literal["exports", "registry"], below: str = "") -> Path:
    """The folder of a setting, or one below it such as `2024-10`, on this machine and as it is now.

    A local folder is given as it is. One at an address is copied into the lake, and the copy of before replaced when
    all of it is there: files of one moment, no more and no larger than the settings allow. Hidden files stay behind,
    but `.sample`; of a subfolder there is its name. Raises `UserError` for what may not come in, since figures would
    lack it, and `RemoteFault` where the other side does not answer or a file changes while it is read; the copy of
    before then stays.
    """
    local, uri = {
        "exports": (settings.exports, settings.exports_uri),
        "registry": (settings.registry, settings.registry_uri),
    }[what]
    _bring(settings, uri, below, local / below, is_strict=True)
    return local / below


def bring_returns(settings: Settings, month: Month) -> tuple[Path, tuple[SetAside, ...]]:
    """The month's folder of returns as `bring` does, with the files of its subfolders, and what did not come in.

    One entry that may not come in stops no other: links, names that are none, what is too large or too deep.
    """
    folder = settings.returns / str(month)
    return folder, _bring(settings, settings.returns_uri, str(month), folder, is_strict=False)


def _bring(settings: Settings, uri: str, below: str, folder: Path, *, is_strict: bool) -> tuple[SetAside, ...]:
    if not uri:
        return ()
    with incoming_lock(settings, folder), RemoteFolder(uri) as remote:
        new = folder.with_name(f".new-{folder.name}")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        try:
            n_bytes, aside = _fetch(settings, remote, below, new, is_strict=is_strict)
            _take_over(new, folder)
        finally:
            shutil.rmtree(new)
    log.info("Fetched %d bytes from %s.", n_bytes, remote.shown(below))
    return aside


def _take_over(new: Path, folder: Path) -> None:
    """Put a copy in the place of the one before. One that says the same stays: another task may be reading it."""
    names = _names(new)
    if folder.is_dir() and names == _names(folder):
        files = [name for name in names if (new / name).is_file()]
        # It remembers answers by size and time, and other bytes can have the same of both.
        filecmp.clear_cache()
        if filecmp.cmpfiles(new, folder, files, shallow=False)[0] == files:
            return
    with replaced_folder(folder) as target:
        for path in list(new.iterdir()):
            path.rename(target / path.name)


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def forget_exports(settings: Settings, month: Month) -> None:
    """Remove the copy of a month's export that has landed: its bytes lie in the lake once more."""
    if settings.exports_uri:
        shutil.rmtree(settings.exports_of(month), ignore_errors=True)


def _fetch(
    settings: Settings, remote: RemoteFolder, below: str, new: Path, *, is_strict: bool
) -> tuple[int, tuple[SetAside, ...]]:
    """Copy what is there until a look finds just what was copied. Returns how many bytes these are, and what is not."""
    have: dict[str, RemoteEntry] = {}
    changed: list[str] = []
    for look in range(LOOKS):
        entries, aside = _wanted(settings, remote, below, is_strict=is_strict)
        for path in have.keys() - entries.keys():
            _remove(new / path)
            del have[path]
        changed = [path for path, entry in entries.items() if have.get(path) != entry]
        if not changed:
            return sum(entry.size for entry in have.values()), aside
        if look:
            log.warning("Changed while it was read, and read again: %s", ", ".join(changed))
        for path in changed:
            entry, copy = entries[path], new / path
            _remove(copy)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if entry.kind == "directory":
                copy.mkdir()
                have[path] = entry
            elif _fetch_file(remote, _joined(below, path), copy, entry.size) == entry.size:
                have[path] = entry
                # When it was written counts: of two returns of one body the later stands.
                if entry.modified_ns:
                    os.utime(copy, ns=(entry.modified_ns,) * 2)
            else:
                # The next look tells what became of it.
                _remove(copy)
                have.pop(path, None)
    raise RemoteFault(
        remote.shown(below),
        f"changed while it was read: {', '.join(changed)}",
        "files that nobody writes any more",
        "have the sender finish, and write .done last; the task is tried again by itself",
    )


def _fetch_file(remote: RemoteFolder, path: str, target: Path, n_listed: int) -> int | None:
    """Copy one file, no further than just over the size that was listed: what bounds the listing bounds the copy.

    Returns how many bytes came; None where the file went, or became another, while it was read.
    """
    n_bytes = 0
    try:
        with target.open("wb") as copy:
            for block in remote.blocks(path):
                copy.write(block)
                n_bytes += len(block)
                if n_bytes > n_listed:
                    break
    except FileNotFoundError:
        return None
    return n_bytes


def _wanted(
    settings: Settings, remote: RemoteFolder, below: str, *, is_strict: bool
) -> tuple[dict[str, RemoteEntry], tuple[SetAside, ...]]:
    """What there is to copy, by its path, and what may not come in; `is_strict` raises `UserError` for the latter."""
    where = remote.shown(below)
    depth = 0 if is_strict else DEPTH_MAX
    most = settings.file_bytes_max if is_strict else min(settings.file_bytes_max, BYTES_MAX)
    found = _tree(remote, below, depth, settings.files_max)
    files = {path for path, entry in found if entry.kind == "file"}
    wanted: dict[str, RemoteEntry] = {}
    aside: list[SetAside] = []
    for path, entry in found:
        fault = _fault(f"{where}/{path}", entry, most, is_twice=entry.kind == "directory" and path in files)
        if fault and is_strict:
            raise fault[1]
        if fault:
            aside.append(_set_aside(path, fault[0]))
        elif not is_strict and entry.kind == "directory":
            if path.count("/") >= depth:
                aside.append(_set_aside(path, "deep"))
        else:
            wanted[path] = entry
    n_bytes = sum(entry.size for entry in wanted.values())
    if n_bytes > settings.fetch_bytes_max:
        raise UserError(
            where,
            f"{n_bytes:,} bytes in {len(files):,} files",
            f"at most {settings.fetch_bytes_max:,} of one folder, the setting ISPEED_FETCH_BYTES_MAX",
            "take away what does not belong there, or raise the setting where the lake has room for it twice",
        )
    return wanted, tuple(aside)


def _set_aside(path: str, why: Why) -> SetAside:
    return SetAside(printable(path)[:_LONGEST_SHOWN] or "(không tên)", why)


def _tree(remote: RemoteFolder, below: str, depth: int, most: int) -> list[tuple[str, RemoteEntry]]:
    """What lies in a folder and in those within it, down to `depth`, with its path; hidden entries are left out.

    Links are not followed. Raises `UserError` where there are more than `most` entries.
    """
    found: list[tuple[str, RemoteEntry]] = []
    places = [""]
    for place in places:
        entries = [entry for entry in remote.entries(_joined(below, place)) if not _is_hidden(entry.name)]
        files = {entry.name for entry in entries if entry.kind == "file"}
        for entry in entries:
            path = _joined(place, entry.name)
            found.append((path, entry))
            is_folder = entry.kind == "directory" and entry.name not in files and not _name_fault(entry.name)
            if is_folder and path.count("/") < depth:
                places.append(path)
        if len(found) > most:
            raise UserError(
                remote.shown(below),
                f"{len(found):,} files and folders",
                f"at most {most:,}, the setting ISPEED_FILES_MAX",
                "take away what does not belong there, or raise the setting",
            )
    return found


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "~$")) and name != ".sample" and not _name_fault(name)


def _fault(where: str, entry: RemoteEntry, most: int, *, is_twice: bool) -> tuple[Why, UserError] | None:
    """Why an entry may not come in, if it may not."""
    if found := _name_fault(entry.name):
        folder = where.removesuffix(f"/{entry.name}")
        return "name", UserError(folder, found, "a name of letters, digits and the like", "rename the file")
    if entry.kind not in ("file", "directory"):
        kind = "a link" if entry.kind == "link" else "a pipe, a socket or a device"
        return "no file", UserError(where, kind, "a file", "put the file itself into the folder")
    if is_twice:
        return "twice", UserError(where, "a file and a folder of one name", "a file", "rename one of them")
    if entry.size > most:
        expected = f"at most {most:,}, the setting ISPEED_FILE_BYTES_MAX"
        return "size", UserError(where, f"{entry.size:,} bytes", expected, "split the file, or raise the setting")
    return None


def _name_fault(name: str) -> str:
    if not name.isprintable():
        return f"a file name that cannot be printed: {name!r}"
    if not name or name in (".", "..") or "/" in name or "\\" in name or "?versionId=" in name:
        return f"a name that leads elsewhere: {name!r}"
    if len(name.encode()) > _LONGEST_NAME_BYTES:
        return f"a name of {len(name.encode())} bytes: {name[:40]}…"
    return ""


def _joined(below: str, name: str) -> str:
    return "/".join(filter(None, (below, name)))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
