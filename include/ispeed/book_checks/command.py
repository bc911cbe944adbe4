"""`python -m ispeed check-books`: every published workbook against the standard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ispeed.book_checks import POINTS, check_book
from ispeed.errors import UserError
from ispeed.publication import shown


def check_books(places: Sequence[Path], share: Path) -> int:
    """Check workbooks, print a line for each fault, then what was checked. Returns the number of faults.

    `places` are workbooks, or folders in which every workbook is checked; without any, every workbook of every current
    revision in the shared folder, those of recipients and of other days' maps too. Raises `UserError` where there is
    none.
    """
    books = list(dict.fromkeys(_named(places) if places else _published(share)))
    if not books:
        where = ", ".join(map(str, places)) or str(share)
        raise UserError(
            f"folder {where}", "no workbook", "published workbooks", "publish a month: make month M=2024-10"
        )
    n_faults = 0
    for path in books:
        faults = check_book(path)
        n_faults += len(faults)
        for fault in faults:
            print(f"{shown(path.parent)}/{fault}")
    print(f"workbooks checked: {len(books)}, points each: {len(POINTS)}, faults: {n_faults}")
    return n_faults


def _named(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            yield from _within(place)
        elif place.is_file():
            yield place
        else:
            raise UserError(
                f"path {place}", "nothing", "a workbook or a folder", "give the path of a published workbook"
            )


def _published(share: Path) -> Iterator[Path]:
    for latest in sorted(share.rglob("latest.json")):
        yield from _within(latest.parent / str(json.loads(latest.read_text(encoding="utf-8"))["path"]))


def _within(folder: Path) -> Iterator[Path]:
    """Every workbook below a folder; what another program keeps while one is open is none."""
    yield from sorted(path for path in folder.rglob("*.xlsx") if not path.name.startswith((".", "~")))
