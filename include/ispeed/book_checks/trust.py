"""Points 27, 28, 32 and 33: who issued it, and that nothing in it runs or leads away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ispeed.book_checks.opened import Found, OpenedBook, quoted
from ispeed.book_checks.structure import NOTES_SHEET

_TITLE: Final = re.compile(r".+, [^,]+, tháng \d{2}/\d{4}(?:, .+)?")
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
_TERMS: Final = ("Liên hệ", "Kỳ phát hành tiếp theo", "Giấy phép sử dụng")
_RUNS: Final = re.compile(
    r"vbaProject|vbaData|macrosheets|externalLinks|connections\.xml|queryTables|ctrlProps|activeX|embeddings|"
    r"customXml|calcChain|xl/model|externalReferences",
    re.IGNORECASE,
)
_FORMULA: Final = re.compile(rb"<c [^>]*r=\"([A-Z]+\d+)\"[^>]*>\s*<f[ >/]")


def document(book: OpenedBook) -> Iterator[Found]:
    properties = book.book.properties
    if not _TITLE.fullmatch(str(properties.title or "")):
        yield Found(
            "", "", f"the title {quoted(properties.title)}", "topic, area, month: '…, Khánh Hòa, tháng 10/2024'"
        )
    if properties.language != "vi-VN":
        yield Found("", "", f"the language {quoted(properties.language)}", "vi-VN")
    if not str(properties.creator or "").strip():
        yield Found("", "", "no author", "the issuer")


def contact(book: OpenedBook) -> Iterator[Found]:
    area = next((area for area in book.areas if area.sheet.title == NOTES_SHEET), None)
    if area is None:
        return
    told = {str(row[-2].value): row[-1].value for row in area.rows if len(row) > 1}
    for term in _TERMS:
        if not str(told.get(term) or "").strip():
            yield Found(NOTES_SHEET, "", f"nothing on {term}", "contact, next release, licence")


def fixed_times(book: OpenedBook) -> Iterator[Found]:
    for entry in book.entries:
        if entry.date_time != _ZIP_TIME or entry.create_system != 0:
            found = f"{entry.filename} of {entry.date_time[:3]}, system {entry.create_system}"
            yield Found("", "", found, "1980-01-01 and system 0 in the zip")


def nothing_runs(book: OpenedBook) -> Iterator[Found]:
    for name, part in sorted(book.parts.items()):
        if _RUNS.search(name):
            yield Found("", "", f"the part {name}", "no macro, no link to elsewhere, no connection")
        if name.endswith(".rels") and b'TargetMode="External"' in part:
            yield Found("", "", f"{name} leads out of the file", "links within this workbook")
        if name.startswith("xl/worksheets/sheet"):
            for cell in _FORMULA.findall(part):
                yield Found(_title_of(book, name), cell.decode(), "a formula", "values")
    for name, defined in book.book.defined_names.items():
        if "[" in str(defined.value):
            yield Found("", "", f"the name {name} leads to {quoted(defined.value)}", "names within this workbook")


def _title_of(book: OpenedBook, part: str) -> str:
    place = int(re.sub(r"\D", "", part.rsplit("/", 1)[-1]) or 1) - 1
    names: list[str] = book.book.sheetnames
    return names[place] if place < len(names) else part
