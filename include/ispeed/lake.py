"""The lake on disk: one folder a layer and month, replaced whole, by one run at a time."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.settings import Settings


@contextmanager
def month_lock(settings: Settings, month: Month, *, to_replace: bool = True) -> Iterator[None]:
    """Hold the month, so that two runs of it cannot interleave within a step; a killed process lets go by itself.

    One step may replace what the month has; steps that only add to it, under names of their own, may do so together.
    """
    with _lock(settings, str(month), fcntl.LOCK_EX if to_replace else fcntl.LOCK_SH):
        yield


@contextmanager
def registry_lock(settings: Settings, *, to_write: bool) -> Iterator[None]:
    """Hold the registry: many may read it, or one replace it."""
    with _lock(settings, "registry", fcntl.LOCK_EX if to_write else fcntl.LOCK_SH):
        yield


@contextmanager
def share_lock(settings: Settings) -> Iterator[None]:
    """Hold what the share has for all months together: whoever writes it last has read all that is published."""
    with _lock(settings, "share", fcntl.LOCK_EX):
        yield


@contextmanager
def notice_lock(settings: Settings, key: str) -> Iterator[None]:
    """Hold what was told under a key, so that tasks that fail together tell it once."""
    with _lock(settings, f"notice-{key}", fcntl.LOCK_EX):
        yield


@contextmanager
def incoming_lock(settings: Settings, folder: Path) -> Iterator[None]:
    """Hold the lake's copy of a folder that is elsewhere, to replace it."""
    name = folder.relative_to(settings.lake).as_posix().replace("/", "-")
    with _lock(settings, name, fcntl.LOCK_EX):
        yield


@contextmanager
def held_months(settings: Settings, months: Sequence[Month]) -> Iterator[None]:
    """Keep the publishing of these months to whoever runs the block; a killed process lets go by itself."""
    _locks(settings)
    with _held(settings).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(" ".join(map(str, months)))
        file.flush()
        yield


def is_held(settings: Settings, month: Month) -> bool:
    """Whether somebody keeps the publishing of the month to themselves just now."""
    path = _held(settings)
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return str(month) in file.read().split()
    return False


def _held(settings: Settings) -> Path:
    return settings.lake / "locks" / "held.lock"


def _locks(settings: Settings) -> Path:
    """The folder of locks, in a lake that is made for its owner only: it holds rows. An older one keeps its mode."""
    settings.lake.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = settings.lake / "locks"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def _lock(settings: Settings, name: str, kind: int) -> Iterator[None]:
    # Over NFS, a lock to share needs a file that may be read, and one to hold alone a file that may be written.
    with (_locks(settings) / f"{name}.lock").open("a+") as file:
        fcntl.flock(file, kind)
        yield


@contextmanager
def replaced_folder(target: Path, mode: int = 0o755) -> Iterator[Path]:
    """A new folder beside `target` that takes its place, synced, when the block ends well, and goes when it does not.

    What killed runs left beside `target` goes too, or comes back where it was put aside; hold a lock.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    recover_folder(target)
    new = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield new
        new.chmod(mode)
        sync_folder(new)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
            os.rename(target, old / "old")
            os.rename(new, target)
            shutil.rmtree(old)
        else:
            os.rename(new, target)
        _sync(target.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def recover_folder(target: Path) -> None:
    """Remove what killed runs left beside `target`, or put it back where they had put it aside; hold a lock."""
    for left_over in target.parent.glob(f".{target.name}.*"):
        if (left_over / "old").exists() and not target.exists():
            os.rename(left_over / "old", target)
        shutil.rmtree(left_over)


def sync_folder(folder: Path) -> None:
    """Have every file and folder below `folder` on disk before anyone is told of it."""
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
        _sync(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    write_file(path, (json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode())


def read_step(settings: Settings, layer: str, month: Month, task: str) -> dict[str, Any]:
    """What the task that wrote a layer noted of it. Raises `UserError` naming the task to run where it did not run."""
    path = settings.lake_of(layer, month) / f"{layer}.json"
    if not path.exists():
        raise UserError(
            f"month {month}", f"no {path}", f"the result of the task {task}", f"run {task} for {month} first"
        )
    step: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return step


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
