"""The folder that a month's returns are sent to: which files are in it. Light, since Airflow's triggerer looks too."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ispeed.errors import UserError

FILES_MAX: Final = 5_000
# Folders within folders: people file what they send by district, body and the like.
DEPTH_MAX: Final = 5
# A form has some 12 KB; a photo in it some megabytes.
BYTES_MAX: Final = 20_000_000
_IGNORED: Final = ("thumbs.db", "desktop.ini")


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that were sent, those in folders too, by their names below `folder`; what programs leave is none.

    What is not read comes as it is, so that it is told of: links, and folders more than `DEPTH_MAX` deep. Raises
    `UserError` where there is more than anyone sends.
    """
    n_entries = 0
    for place, folders, names in os.walk(folder):
        here = Path(place)
        is_deepest = len(here.relative_to(folder).parts) == DEPTH_MAX
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        n_entries += len(folders)
        names += [name for name in folders if is_deepest or (here / name).is_symlink()]
        for name in sorted(names):
            if name.startswith((".", "~$")) or name.lower() in _IGNORED or name.endswith(".part"):
                continue
            n_entries += 1
            if n_entries > FILES_MAX:
                raise UserError(
                    f"folder {folder}",
                    f"more than {FILES_MAX:,} files and folders",
                    "the returns of a month",
                    "sort them out",
                )
            yield printable(here.joinpath(name).relative_to(folder).as_posix()), here / name
        if is_deepest:
            folders.clear()


def printable(name: str) -> str:
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
