"""The folder `don-vi/` of a revision: a workbook for each recipient, and the list of them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ispeed.csv_folder import csv_cell
from ispeed.recipients import file_names, recipients_of
from ispeed.workbook.content import Content
from ispeed.workbook.recipient import Shared, recipient_workbook

FOLDER: Final = "don-vi"
LIST: Final = "danh-sach.csv"


def write_recipients(folder: Path, content: Content, groups: Mapping[str, Sequence[str]]) -> int:
    """Write the month's recipients' workbooks and `danh-sach.csv` to the new folder; how many recipients there are.

    Raises `UserError` where a group of policy names what is no commune of the month.
    """
    recipients = recipients_of(content, groups)
    names = file_names(recipients)
    shared = Shared(content, recipients)
    folder.mkdir()
    for one, name in zip(recipients, names, strict=True):
        (folder / name).write_bytes(recipient_workbook(shared, one))
    with (folder / LIST).open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(("recipient", "kind", "kind_vi", "code", "file"))
        writer.writerows(
            map(csv_cell, (one.name, one.kind, one.kind_vi, one.code, name))
            for one, name in zip(recipients, names, strict=True)
        )
    return len(recipients)
