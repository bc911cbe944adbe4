"""Delivery: what is published, sent on to a share on SFTP or S3.

Months are published to the lake's copy of the share as to any local one, and every command works on that. Delivery
then sends what the remote share does not have yet, of all months. A cut delivery is a fault that Airflow retries; what
was sent is noted, and whatever is published or delivered next completes it. Between the two a reader of the remote
share has what stood before, whole: the reports database and Airflow's pages are ahead of it. Once a day, and when
somebody asks, what lies there is compared with what was sent.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ispeed.errors import ShareFault, UserError
from ispeed.lake import share_lock, write_json
from ispeed.remote_folder import RemoteEntry, RemoteFolder
from ispeed.settings import Settings
from ispeed.shared_folder import FORMS, FORMS_LIST, MARKER

log = logging.getLogger(__name__)

MANIFEST: Final = "manifest.json"
LATEST: Final = "latest.json"
PAGE: Final = "index.html"


@dataclass(frozen=True)
class Difference:
    """A delivered file that does not lie there as it was sent. `can_be_mended`: it is here, and was sent again."""

    path: str
    found: Literal["gone", "changed"]
    can_be_mended: bool


@dataclass(frozen=True)
class Delivered:
    """How many files were sent or removed, and what was found not to lie there as it was sent."""

    n_files: int
    differences: tuple[Difference, ...]


def require_remote_share(settings: Settings) -> None:
    """Raise where the remote share cannot be reached, or is not the one that months were delivered to.

    Before anything is published, so that a wrong key or a bucket of that name elsewhere stops all of it.
    """
    if settings.share_uri:
        with RemoteFolder(settings.share_uri) as remote:
            _require_ours(settings, remote, _read_note(settings))


def deliver(settings: Settings) -> int:
    """Make the remote share what the local one is, and return how many files were sent or removed.

    In the order in which a reader may come: a revision's files, its manifest, then `latest.json`, then the page of all
    months, then the removal of what a withdrawal or retention took away. What others put there is left alone, and what
    was sent is not sent again. Nothing where the share is a local one. Raises `UserError` where something of somebody
    else's stands in the place of a revision, and `RemoteFault` where the other side does not answer.
    """
    return _deliver(settings, "note").n_files


def mend_delivery(settings: Settings, *, by_content: bool = False) -> Delivered:
    """As `deliver`, and send again what does not lie there as it was sent: by names and sizes, or `by_content`.

    The latter fetches all that was ever delivered. What somebody changed there is written over.
    """
    return _deliver(settings, "content" if by_content else "listing")


def _deliver(settings: Settings, by: Literal["note", "listing", "content"]) -> Delivered:
    if not settings.share_uri:
        return Delivered(0, ())
    with share_lock(settings):
        note = _read_note(settings)
        # What points to others first: by the time these are listed, all that is pointed to is there.
        pointers = {path: (settings.share / path).read_bytes() for path in _paths(settings.share) if _is_pointer(path)}
        files = {path: _sha256(settings.share / path) for path in _paths(settings.share) if not _is_pointer(path)}
        files |= {path: hashlib.sha256(content).hexdigest() for path, content in pointers.items()}
        to_send = {path for path in files if note.get(path) != files[path]}
        to_remove = sorted(path for path in note.keys() - files.keys() if _is_taken_away(settings.share, path))
        pending = {*to_send, *to_remove}
        if not pending and (by == "note" or not note):
            return Delivered(0, ())
        with RemoteFolder(settings.share_uri) as remote, tempfile.TemporaryDirectory(prefix="ispeed-") as scratch:
            _require_ours(settings, remote, note)
            differences: tuple[Difference, ...] = ()
            if by != "note":
                sizes = {path: (settings.share / path).stat().st_size for path in files.keys() - pointers.keys()}
                sizes |= {path: len(content) for path, content in pointers.items()}
                sent = {path: sha256 for path, sha256 in note.items() if path not in pending}
                differences = tuple(_differences(remote, sent, sizes, by_content=by == "content"))
                to_send |= {difference.path for difference in differences if difference.can_be_mended}
            in_turn = sorted(to_send, key=_turn)
            for path in in_turn:
                if path.endswith(f"/{MANIFEST}") and path not in note:
                    _require_place(settings, remote, path)
            for path in in_turn:
                source = settings.share / path
                if path in pointers:
                    source = Path(scratch) / Path(path).name
                    source.write_bytes(pointers[path])
                remote.put(source, path)
                note[path] = files[path]
                _write_note(settings, note)
            for path in to_remove:
                remote.remove(path)
                del note[path]
                _write_note(settings, note)
            emptied = {folder.as_posix() for path in to_remove for folder in Path(path).parents}
            # The innermost first.
            for folder in sorted(emptied, reverse=True):
                if not (settings.share / folder).exists():
                    remote.remove_empty(folder)
        log.info("Delivered to %s: %d files sent, %d removed.", settings.share_uri, len(to_send), len(to_remove))
        return Delivered(len(to_send) + len(to_remove), differences)


def _differences(
    remote: RemoteFolder, sent: Mapping[str, str], sizes: Mapping[str, int], *, by_content: bool
) -> Iterator[Difference]:
    """Which of the delivered files (`sent`: their sha256) do not lie there as they were; logged, too.

    Of one that is not here any more (no size of it) only that it is there is looked at, or its content.
    """
    there: dict[str, int] = {}
    for folder in sorted({path.rpartition("/")[0] for path in sent}):
        there |= {f"{folder}/{entry.name}".lstrip("/"): entry.size for entry in _files(remote, folder)}
    for path in sorted(sent):
        if path not in there:
            found: Literal["gone", "changed"] = "gone"
        elif there[path] != sizes.get(path, there[path]) or (by_content and _content(remote, path) != sent[path]):
            found = "changed"
        else:
            continue
        log.warning("Not as it was delivered: %s is %s", remote.shown(path), found)
        yield Difference(path, found, can_be_mended=path in sizes)


def _files(remote: RemoteFolder, folder: str) -> list[RemoteEntry]:
    return [entry for entry in remote.entries(folder) if entry.kind == "file"]


def _content(remote: RemoteFolder, path: str) -> str:
    """The sha256 of a file there; empty where it went meanwhile."""
    digest = hashlib.sha256()
    try:
        for block in remote.blocks(path):
            digest.update(block)
    except FileNotFoundError:
        return ""
    return digest.hexdigest()


def _paths(share: Path) -> list[str]:
    """The published files of the local share, relative to it; not what a run leaves there while it writes."""
    paths = (path.relative_to(share) for path in share.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in paths
        if path.as_posix() != MARKER and not any(part.startswith(".") for part in path.parts)
    )


def _is_pointer(path: str) -> bool:
    return path == PAGE or path.endswith(f"/{LATEST}")


def _turn(path: str) -> tuple[int, str]:
    """Where a file stands in the order of delivery: whatever names other files comes after them."""
    if path == PAGE:
        return 3, path
    if path.endswith(f"/{LATEST}"):
        return 2, path
    return int(path.endswith(f"/{MANIFEST}")), path


def _is_taken_away(share: Path, path: str) -> bool:
    """Whether a delivered file that is gone here went on purpose: a revision that retention thinned keeps its manifest.

    A local share that lost whole folders is no reason to take them from readers.
    """
    place = share / path
    if place.name == LATEST:
        return place.parent.is_dir()
    if place.parent.name == FORMS:
        return (place.parent / FORMS_LIST).is_file()
    return any((folder / MANIFEST).is_file() for folder in place.parents if folder.is_relative_to(share))


def _require_ours(settings: Settings, remote: RemoteFolder, note: dict[str, str]) -> None:
    """Raise `ShareFault` where what was delivered is gone, and `UserError` where another's files have our names.

    The first delivery marks the share.
    """
    there = {entry.name for entry in remote.entries()}
    if MARKER in there:
        return
    if note:
        raise ShareFault(
            remote.uri,
            f"no file {MARKER}, though months were delivered there",
            "the share with what was published",
            "see that it is the same bucket or folder, and nobody emptied it; where it is a new place, copy what was "
            f"published there first, with the file {MARKER}",
        )
    if PAGE in there:
        raise UserError(
            remote.uri,
            f"{PAGE}, and no file {MARKER}: somebody else's pages",
            "an empty place, or a share of ours",
            "give a folder of its own",
        )
    remote.put(settings.share / MARKER, MARKER)


def _require_place(settings: Settings, remote: RemoteFolder, path: str) -> None:
    """Raise `UserError` where another revision than ours stands where one is to be delivered."""
    there = remote.read(path, most=1 << 26)
    if there is not None and there != (settings.share / path).read_bytes():
        raise UserError(
            remote.shown(path),
            "something that was not published from here",
            "nothing: the revision goes there",
            "ask whose it is, and have it moved elsewhere",
        )


def _note_path(settings: Settings) -> Path:
    return settings.lake / "delivery.json"


def _read_note(settings: Settings) -> dict[str, str]:
    """The sha256 of each file that was delivered to this share, by its path there."""
    try:
        note: dict[str, Any] = json.loads(_note_path(settings).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return dict(note["files"]) if note["uri"] == settings.share_uri else {}


def _write_note(settings: Settings, note: dict[str, str]) -> None:
    write_json(_note_path(settings), {"uri": settings.share_uri, "files": note})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
