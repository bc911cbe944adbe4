"""The forms in the shared folder: `phieu-bao-cao/` of the month, outside its revisions."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ispeed.csv_folder import csv_cell
from ispeed.database import Database
from ispeed.delivery import deliver
from ispeed.lake import month_lock, write_file
from ispeed.month_content import workbook_policy
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.returns.bodies import Body, asked_bodies
from ispeed.returns.form import form_workbook
from ispeed.settings import Settings
from ispeed.shared_folder import FORMS, FORMS_LIST, require_share, writing_to_share
from ispeed.text import slug

_LONGEST_SLUG: Final = 60


def publish_forms(settings: Settings, month: Month) -> dict[str, int]:
    """Write the form of each body that is asked, and the list of them; a form that is there as it should be stays.

    Forms of an earlier list that nobody is asked by any more go. Returns how many there are and how many were written.
    Raises `ShareFault` where the share cannot be written.
    """
    bodies = asked_bodies(settings, month)
    policy = workbook_policy(read_policy(settings.policy, month.last_day), month)
    names = form_names(month, bodies)
    folder = settings.share_of(month) / FORMS
    with month_lock(settings, month):
        require_share(settings, Database(settings.database_url))
        with writing_to_share(folder):
            gone = _listed(folder) - set(names)
            written = sum(
                _write(folder / name, form_workbook(policy, month, body))
                for body, name in zip(bodies, names, strict=True)
            )
            _write(folder / FORMS_LIST, _list(bodies, names))
            for name in gone:
                (folder / name).unlink(missing_ok=True)
    deliver(settings)
    return {"n_forms": len(bodies), "n_written": written}


def form_names(month: Month, bodies: Sequence[Body]) -> list[str]:
    """What the form of each is called: safe on every file system, and no two alike."""
    names: list[str] = []
    for body in bodies:
        code = re.sub(r"[^A-Za-z0-9]+", "-", body.code).strip("-")
        stem = f"{slug(body.name)[:_LONGEST_SLUG].strip('-')}_{code}_{month}"
        same = sum(name.casefold().startswith(f"{stem}.".casefold()) for name in names)
        names.append(f"{stem}.{same + 1}.xlsx" if same else f"{stem}.xlsx")
    return names


def _write(path: Path, content: bytes) -> bool:
    """Write a file that is not there or another; whether it was written. Somebody may have an equal one open."""
    if path.exists() and path.read_bytes() == content:
        return False
    write_file(path, content)
    return True


def _list(bodies: Sequence[Body], names: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(("code", "name", "kind", "deadline", "file"))
    writer.writerows(
        map(csv_cell, (body.code, body.name, body.kind, body.deadline.date().isoformat(), name))
        for body, name in zip(bodies, names, strict=True)
    )
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _listed(folder: Path) -> set[str]:
    """The forms that were written here before, by our own list: whatever else lies there is somebody else's."""
    path = folder / FORMS_LIST
    if not path.exists():
        return set()
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = {row.get("file") or "" for row in csv.DictReader(file)}
    return {name for name in names if name.endswith(".xlsx") and Path(name).name == name}
