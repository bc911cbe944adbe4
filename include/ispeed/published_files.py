"""Files of published revisions, looked up by what the reports database and the manifest say of them.

A file's id is the sha256 of its bytes. The reports database names the revision and the sha256 of its manifest, the
manifest the sha256 of each file: whatever else lies in the share, or took a file's place there, is not found.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

from ispeed.database import Database, Row
from ispeed.months import Month
from ispeed.recipient_files import FOLDER as RECIPIENTS
from ispeed.settings import Settings

_BYTES_AT_A_TIME: Final = 1 << 20
_REVISION: Final = re.compile(r"r([1-9][0-9]{0,5})")
_ID: Final = re.compile(r"[0-9a-f]{64}")
_TYPES: Final = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".csv": "text/csv; charset=utf-8",
}
_QUARANTINE: Final = "quarantine.csv"
_DATA_DOCS: Final = "data-docs"


class NotPublished(LookupError):
    """There is nothing published of that name."""


class TakenBack(LookupError):
    """It was published, and then withdrawn or removed; the text says so in Vietnamese."""


@dataclass(frozen=True)
class PublishedFile:
    """One file of a revision; `path` is its place in the revision's folder."""

    path: PurePosixPath
    sha256: str
    n_bytes: int

    @property
    def is_recipients(self) -> bool:
        return self.path.parts[0] == RECIPIENTS

    @property
    def is_offered(self) -> bool:
        """Whether the page gives it: workbooks, and the rows that were put aside."""
        is_workbook = self.path.suffix == ".xlsx" and (len(self.path.parts) == 1 or self.is_recipients)
        return is_workbook or str(self.path) == _QUARANTINE

    @property
    def media_type(self) -> str:
        return _TYPES[self.path.suffix]


def revision_number(text: str) -> int:
    """The number of a revision as an address names it, `r2`. Raises `NotPublished`."""
    match = _REVISION.fullmatch(text)
    if match is None:
        raise NotPublished
    return int(match[1])


def published_row(database: Database, month: Month, revision: int, day: date | None = None) -> Row:
    """The row of a revision that stands, or that a later one took the place of.

    Raises `NotPublished`, or `TakenBack` where it was withdrawn or its files were removed.
    """
    row = database.publication(month, revision, day)
    if row is None:
        raise NotPublished
    if row["withdrawn_at"]:
        raise TakenBack(f"Bản r{revision} đã bị thu hồi: {row['withdrawn_why']}")
    if row.get("files_removed_at"):
        raise TakenBack(f"Các tệp của bản r{revision} đã được dọn theo thời hạn lưu giữ.")
    return row


def published_files(settings: Settings, row: Row) -> list[PublishedFile] | None:
    """All files of a revision as its manifest lists them; None where that is not there as it was published."""
    try:
        content = (folder_of(settings, row) / "manifest.json").read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest() != row["manifest_sha256"]:
        return None
    manifest: Mapping[str, Any] = json.loads(content)
    return [PublishedFile(PurePosixPath(one["path"]), one["sha256"], one["n_bytes"]) for one in manifest["outputs"]]


def open_published(settings: Settings, row: Row, file_id: str) -> tuple[PublishedFile, BinaryIO]:
    """One of the files that the page offers, by its id, at its first byte; whoever asked for it closes it.

    Raises `NotPublished`, also where the bytes in the share are not those that were published.
    """
    files = published_files(settings, row) if _ID.fullmatch(file_id) else None
    file = next((one for one in files or () if one.sha256 == file_id and one.is_offered), None)
    if file is None:
        raise NotPublished
    return file, _opened(settings, row, file)


def read_published_docs(settings: Settings, row: Row, page: str) -> str:
    """A page of a revision's Data Docs by its name. Raises `NotPublished`."""
    files = published_files(settings, row) or ()
    file = next((one for one in files if one.path.parts[:-1] == (_DATA_DOCS,) and one.path.name == page), None)
    if file is None or file.path.suffix != ".html":
        raise NotPublished
    with _opened(settings, row, file) as content:
        return content.read().decode()


def parts_of(content: BinaryIO) -> Iterator[bytes]:
    """A file in parts, as it is sent; closed at its end."""
    with content:
        while part := content.read(_BYTES_AT_A_TIME):
            yield part


def folder_of(settings: Settings, row: Row) -> Path:
    """The folder of a revision in the share."""
    month, day = Month(row["month"].year, row["month"].month), row.get("boundaries_day")
    share = settings.restated_share_of(month, day) if day else settings.share_of(month)
    return share / f"r{row['revision']}"


def _opened(settings: Settings, row: Row, file: PublishedFile) -> BinaryIO:
    """The file, once its bytes are known to be the published ones. The same handle is read again to be sent."""
    with suppress(OSError):
        content = (folder_of(settings, row) / file.path).open("rb")
        found = hashlib.sha256()
        while part := content.read(_BYTES_AT_A_TIME):
            found.update(part)
        if found.hexdigest() == file.sha256:
            content.seek(0)
            return content
        content.close()
    raise NotPublished
