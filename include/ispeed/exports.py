"""The export folder of one month: which files are in it, and whether they are all there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DONE = ".done"


@dataclass(frozen=True)
class ExportFile:
    """One file as a look at the folder found it. `version` is what an object store calls these bytes."""

    name: str
    size: int
    modified_ns: int
    version: str = ""


@dataclass(frozen=True)
class ExportFolder:
    """What one look found. `is_marked_done`: the sender says that all files are there."""

    path: Path | str
    files: tuple[ExportFile, ...]
    is_marked_done: bool

    @property
    def is_complete(self) -> bool:
        return bool(self.files) and self.is_marked_done

    def __str__(self) -> str:
        if not self.files:
            return "a .done marker but no file" if self.is_marked_done else "no file"
        size = sum(file.size for file in self.files)
        marker = "marked .done" if self.is_marked_done else "no .done marker"
        names = ", ".join(file.name for file in self.files[:5]) + (", …" if len(self.files) > 5 else "")
        return f"{len(self.files)} file{'s' * (len(self.files) > 1)}, {size:,} bytes, {marker} ({names})"


def read_export_folder(path: Path) -> ExportFolder:
    """Look once at the folder of a month's export; a folder that does not exist has no files."""
    files: list[ExportFile] = []
    for entry in path.iterdir() if path.is_dir() else ():
        try:
            if entry.is_file() or entry.name.endswith(DONE):
                status = entry.stat()
                files.append(ExportFile(entry.name, status.st_size, status.st_mtime_ns))
        except FileNotFoundError:
            # Renamed or removed between the listing and the look: the next look will tell.
            continue
    return export_folder(path, files)


def export_folder(path: Path | str, found: Iterable[ExportFile]) -> ExportFolder:
    """A month's export among all files of its folder.

    Hidden files, the lock files of office programs (`~$…`), markers and subfolders are not files of the export. The
    folder is marked done by `.done` in it, or by `<name>.done` beside every file.
    """
    files = sorted(found, key=lambda file: file.name)
    markers = {file.name for file in files if file.name.endswith(DONE)}
    exports = tuple(file for file in files if file.name not in markers and not file.name.startswith((".", "~$")))
    every_file_marked = bool(exports) and all(f"{file.name}{DONE}" in markers for file in exports)
    return ExportFolder(path, exports, DONE in markers or every_file_marked)
