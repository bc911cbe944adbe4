"""The shared folder: a place that others write to as well, and that may be full, held or gone when we come."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from ispeed.database import Database
from ispeed.errors import ShareFault, UserError
from ispeed.lake import sync_folder, write_file
from ispeed.settings import Settings

# Where a share is not mounted, an empty folder is in its place: a month must not be published into that.
MARKER: Final = ".ispeed-share"
_MARK: Final = (
    b"i-Speed monthly reports are published here. Without this file nothing is: a share that is not mounted has none.\n"
)
# The forms of the bodies, outside the revisions, and the list of them.
FORMS: Final = "phieu-bao-cao"
FORMS_LIST: Final = "danh-sach.csv"
_UNFINISHED: Final = ".ispeed-new-"

_FULL: Final = ("room for the revision", "make room on the share, then run the task again")
_HELD: Final = (
    "a place that may be written",
    "have the file closed (somebody may have it open in Excel) or the permissions mended, then run the task again",
)
_GONE: Final = ("the share, mounted", "mount it again, then run the task again")
_ADVICE: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _FULL),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EBUSY, errno.ETXTBSY, errno.EROFS), _HELD),
    **dict.fromkeys((errno.ENOENT, errno.ESTALE, errno.ENOTCONN, errno.EIO, errno.EHOSTDOWN, errno.ETIMEDOUT), _GONE),
}


def require_share(settings: Settings, database: Database) -> None:
    """Raise `ShareFault` where the shared folder is not the one that months were published to.

    The first publication marks it. A share of before there were marks is known by what stands in it.
    """
    share = settings.share
    if (share / MARKER).exists():
        return
    published = database.current_revisions().items()
    if published and not any((settings.share_of(month) / f"r{revision}").exists() for month, revision in published):
        raise ShareFault(
            f"folder {share}",
            "none of the revisions that the reports database says were published"
            if share.exists()
            else "no such folder",
            "the shared folder, with what was published",
            f"mount it; where it is a new place, copy what was published there first, with the file {MARKER}",
        )
    with writing_to_share(share):
        write_file(share / MARKER, _MARK)


@contextmanager
def writing_to_share(path: Path) -> Iterator[None]:
    """Turn what the file system says against writing `path` into a `ShareFault` that tells what to do."""
    try:
        yield
    except OSError as error:
        text = str(error.args[0][0][2]) if isinstance(error, shutil.Error) and error.args[0] else str(error)
        number = error.errno or int((re.search(r"\[Errno (\d+)\]", text) or [0, 0])[1])
        expected, remedy = _ADVICE.get(number, ("a share that can be written", "mend it, then run the task again"))
        raise ShareFault(str(path), text, expected, remedy) from error


def put_revision(files: Path, folder: Path, transaction: Callable[[str], AbstractContextManager[None]]) -> None:
    """Copy `files` to `folder` inside the transaction that tells the reports database of them.

    `transaction` is given the sha256 of their manifest. The folder is in its place before the database commits: a
    reader of either finds the other. Raises `ShareFault` where the share cannot be written, and `UserError` where
    something of somebody else's stands in the place; nothing is then published.
    """
    with writing_to_share(folder):
        missing = [place for place in (folder.parent, *folder.parent.parents) if not place.exists()]
        folder.parent.mkdir(parents=True, exist_ok=True)
        _let_read(missing)
        _remove_unfinished(folder)
        new = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{folder.name}-", dir=folder.parent))
        try:
            shutil.copytree(files, new, dirs_exist_ok=True)
            _let_read((new, *new.rglob("*")))
            sync_folder(new)
            with transaction(hashlib.sha256((new / "manifest.json").read_bytes()).hexdigest()):
                os.rename(new, folder)
                sync_folder(folder.parent)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _let_read(paths: Iterable[Path]) -> None:
    """Everybody may read what is published, and nobody but the pipeline write it, whatever its umask."""
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _remove_unfinished(folder: Path) -> None:
    """Remove what a run left that was killed before its commit: files half copied, or a folder no publication names."""
    for left_over in folder.parent.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left_over)
    if folder.exists():
        if not _is_ours(folder):
            raise UserError(
                f"folder {folder}",
                "something that was not published from here",
                "nothing: the next revision goes there",
                "ask whose it is, and have it moved elsewhere",
            )
        shutil.rmtree(folder)


def _is_ours(folder: Path) -> bool:
    """Whether a manifest in the folder says that it is this revision."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return f"r{manifest['revision']}" == folder.name and "fingerprint" in manifest
    except (OSError, ValueError, TypeError, KeyError):
        return False


def require_folder(folder: Path) -> None:
    """Raise `UserError` where the folder of a published revision is not there."""
    if not (folder / "manifest.json").exists():
        raise UserError(
            f"folder {folder}",
            "no manifest, though the reports database says that it was published",
            "the files of that revision",
            "restore the folder from the backup",
        )
