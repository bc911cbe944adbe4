"""The folder that a month's returns are sent to: which files are in it. Light, since Airflow's triggerer looks too."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ispeed.errors import UserError

_FILES_MAX: Final = 5_000
_IGNORED: Final = ("thumbs.db", "desktop.ini")


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that were sent, those in folders too, by their names below `folder`; what programs leave is none.

    Raises `UserError` where there are more than anyone sends.
    """
    n_files = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith((".", "~$")) or name.lower() in _IGNORED or name.endswith(".part"):
                continue
            n_files += 1
            if n_files > _FILES_MAX:
                raise UserError(
                    f"folder {folder}", f"more than {_FILES_MAX:,} files", "the returns of a month", "sort them out"
                )
            path = Path(place) / name
            yield _printable(path.relative_to(folder).as_posix()), path


def _printable(name: str) -> str:
    """A name as a log, a cell and JSON can have it: what cannot be printed is escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)


def look_of(folder: Path) -> str:
    """One hash of names, sizes and times of what is there: another one where anything came, went or changed."""
    digest = hashlib.sha256()
    for name, path in files_of(folder):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
