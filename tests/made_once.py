"""Folders that several test processes of one run need alike: the first that asks makes them, the others find them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.sample import make_exports
from ispeed.settings import Settings
from pipeline import run_steps, settings_in


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, made by `make` unless a process of this run has. Nobody may change it: copy it."""
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            begun = folder.with_suffix(".begun")
            begun.mkdir()
            make(begun)
            begun.rename(folder)
    return folder


def published_sample(root: Path, months: Sequence[Month], n_rows: int) -> Path:
    """A folder under `root` with sample exports of the months, each published as r1 with the seed registry, in order.

    No file in it names the folder, so that a copy of it is as good as one made there.
    """
    *earlier, month = months

    def make(folder: Path) -> None:
        settings = settings_in(folder)
        if earlier:
            copy(published_sample(root, earlier, n_rows), folder)
        else:
            sync_registry(settings)
        make_exports(settings, [month], n_rows=n_rows)
        run_steps(settings, month)

    return made_once(root / "-".join(["sample", *map(str, months), str(n_rows)]), make)


def copy(made: Path, folder: Path) -> Settings:
    """Settings on a copy of `made` that is the caller's own."""
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return settings_in(folder)
