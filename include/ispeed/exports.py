"""The export folder of one month: which files are in it, and whether they are all there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DONE = ".done"


@dataclass(frozen=True)
class ExportFile:
    """One file as a look at the folder found it."""

    name: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class ExportFolder:
    """What one look found. `is_marked_done`: the sender says that all files are there."""

    path: Path
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
    """Look once at the folder of a month's export; a folder that does not exist has no files.

    Hidden files, the lock files of office programs (`~$…`), markers and subfolders are not files of the export. The
    folder is marked done by `.done` in it, or by `<name>.done` beside every file.
    """
    files: list[ExportFile] = []
    markers: set[str] = set()
    for entry in sorted(path.iterdir()) if path.is_dir() else ():
        try:
            if entry.name.endswith(DONE):
                markers.add(entry.name)
            elif entry.is_file() and not entry.name.startswith((".", "~$")):
                status = entry.stat()
                files.append(ExportFile(entry.name, status.st_size, status.st_mtime_ns))
        except FileNotFoundError:
            # Renamed or removed between the listing and the look: the next look will tell.
            continue
    every_file_marked = bool(files) and all(f"{file.name}{DONE}" in markers for file in files)
    return ExportFolder(path, tuple(files), DONE in markers or every_file_marked)
