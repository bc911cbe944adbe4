"""One sheet of an xlsx workbook, streamed by openpyxl; numbered by the sheet's own rows."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat

from openpyxl import load_workbook
from openpyxl.utils.cell import range_boundaries
from openpyxl.utils.datetime import from_excel

from ispeed.archives import checked_zip, unpacked_path
from ispeed.contracts import COLUMNS, Contract, Shape
from ispeed.engine import Engine
from ispeed.errors import UserError
from ispeed.landing import LandedFile
from ispeed.months import Month
from ispeed.records.headers import Headers, check_columns, check_rows, describe_headers
from ispeed.settings import Settings

HEADER_ROWS = 30
_LAST_ROW = 1_048_576
_BATCH_ROWS = 10_000
_BLOCK_BYTES = 1 << 20
# Beyond 15 digits Excel has put zeros: such a number shows as 5.3033E+17, which staging tells of.
_EXACT_MAX = 10**15
_SERIAL_MAX = 2_958_466  # the day after 31/12/9999
_ZEROS = re.compile(r"^0+$")
_MERGE = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref=[\"']([A-Z]{1,3}[0-9]+:[A-Z]{1,3}[0-9]+)[\"']")
_FAR_CELL = re.compile(rb"\sr=[\"'][A-Za-z]{4,}[0-9]")
_UNSTORED_FORMULA = re.compile(
    rb"<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)\s*(?:<(?:\w+:)?v\s*/>\s*)?</(?:\w+:)?c>"
)
_OVERLAP_BYTES = 64 * 1024


def read_sheet(engine: Engine, settings: Settings, month: Month, contract: Contract, file: LandedFile) -> Headers:
    """Make the declared sheet the relation `source_record`.

    Rows above the header are titles. Empty rows are no records. Numbers become text with the declared decimal mark,
    dates text in the first declared time format. A cell merged over rows counts for each; a row in which columns are
    merged cannot be read. Raises `UserError` where there is no such sheet, header, or honest workbook.
    """
    shape = contract.shape_of(file.source_file)
    with (
        unpacked_path(settings, month, file) as path,
        opened_workbook(settings, path, file.source_file) as (workbook, merges),
    ):
        sheet = _find_sheet(file.source_file, workbook, shape)
        # What a file says of its own dimensions is often wrong, and would cut rows off.
        sheet.reset_dimensions()
        header_row, found, columns = _find_header(settings, month, contract, file.source_file, sheet, shape)
        if shape.sheet is None:
            _refuse_second_sheet(settings, month, contract, file.source_file, workbook, sheet)
        merged = _Merged(merges[part_of(sheet)], header_row, columns)
        engine.add_rows("source_record", _TYPES, [])
        records = _records(sheet, shape, workbook.epoch, header_row, columns, merged, contract.constants)
        n_rows = 0
        while batch := list(islice(records, _BATCH_ROWS)):
            n_rows += len(batch)
            check_rows(settings, file.source_file, n_rows)
            engine.append_rows("source_record", _TYPES, batch)
    return describe_headers(contract, found, columns)


@contextmanager
def opened_workbook(settings: Settings, path: Path, name: str) -> Iterator[tuple[Any, dict[str, tuple[str, ...]]]]:
    """A workbook to be streamed, and the merged ranges of each of its parts.

    Raises `UserError` naming the file `name` where it is no honest workbook, a formula has no result, or it is beyond
    a bound.
    """
    with _told_damage(name), checked_zip(settings, path, name) as archive, path.open("rb") as content:
        merges = _scan(name, archive)
        workbook = load_workbook(content, read_only=True, data_only=True, keep_links=False)
        try:
            yield workbook, merges
        finally:
            workbook.close()


def part_of(sheet: Any) -> str:
    """The part of the workbook's archive that holds a sheet."""
    name: str = sheet._worksheet_path.lstrip("/")
    return name


_TYPES = {"row_number": "integer", "reject_text": "text", "reject_message": "text"} | dict.fromkeys(COLUMNS, "text")


def _scan(source_file: str, archive: zipfile.ZipFile) -> dict[str, tuple[str, ...]]:
    """The merged ranges of each sheet. Refuses what openpyxl would expand, allocate or leave out without a word."""
    merges: dict[str, tuple[str, ...]] = {}
    for info in archive.infolist():
        if not info.filename.lower().endswith((".xml", ".rels", ".vml")):
            continue
        where = f"file {source_file}, part {info.filename}"
        ranges: list[str] = []
        parser = _plain_parser(where)
        tail = b""
        with archive.open(info) as part:
            while block := part.read(_BLOCK_BYTES):
                parser.Parse(block, False)
                text = tail + block
                if _FAR_CELL.search(text):
                    raise UserError(where, "a cell beyond column XFD", "a sheet that Excel wrote", "save it again")
                if formula := _UNSTORED_FORMULA.search(text):
                    cell = text[: formula.start()].rpartition(b'r="')[2].partition(b'"')[0].decode(errors="replace")
                    raise UserError(
                        f"{where}, cell {cell}",
                        "a formula without its result",
                        "values",
                        "open the workbook in Excel, calculate, and save it again",
                    )
                ranges += [match.decode() for match in _MERGE.findall(text)]
                tail = text[-_OVERLAP_BYTES:]
        parser.Parse(b"", True)
        # The overlap of two blocks is looked at twice.
        merges[info.filename] = tuple(dict.fromkeys(ranges))
    return merges


def _plain_parser(where: str) -> expat.XMLParserType:
    """A parser that stops at a document type, which is where entities are declared, and at another encoding."""

    def refuse_doctype(*_: Any) -> NoReturn:
        raise UserError(
            where, "a document type declaration", "plain XML, as Excel writes it", "save the workbook again in Excel"
        )

    def refuse_encoding(_version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.upper() not in ("UTF-8", "US-ASCII"):
            raise UserError(where, f"encoding {encoding}", "UTF-8, as Excel writes it", "save it again in Excel")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.XmlDeclHandler = refuse_encoding
    return parser


def _find_sheet(source_file: str, workbook: Any, shape: Shape) -> Any:
    """The sheet that the contract names, hidden or not, else the first that is not hidden."""
    if shape.sheet is not None:
        for sheet in workbook.worksheets:
            if sheet.title == shape.sheet:
                return sheet
    else:
        for sheet in workbook.worksheets:
            if sheet.sheet_state == "visible":
                return sheet
    raise UserError(
        f"file {source_file}",
        "sheets " + ", ".join(f"{sheet.title!r} ({sheet.sheet_state})" for sheet in workbook.worksheets),
        f"a sheet named {shape.sheet!r}" if shape.sheet is not None else "a visible sheet",
        "correct `sheet` of the shape in the source contract, or the workbook",
    )


def _refuse_second_sheet(
    settings: Settings, month: Month, contract: Contract, source_file: str, workbook: Any, read: Any
) -> None:
    """Where two visible sheets hold measurements and none is named, one of them would be lost without a word."""
    for sheet in workbook.worksheets:
        if sheet is read or sheet.sheet_state != "visible":
            continue
        sheet.reset_dimensions()
        for row in sheet.iter_rows(max_row=HEADER_ROWS, max_col=settings.columns_max):
            if contract.has_required(header_texts(row), month):
                raise UserError(
                    f"file {source_file}",
                    f"measurements in the sheets {read.title!r} and {sheet.title!r}",
                    "one sheet with measurements, or its name in the source contract",
                    "declare `sheet` of the shape, put the sheets together, or send a file for each",
                )


def _find_header(
    settings: Settings, month: Month, contract: Contract, source_file: str, sheet: Any, shape: Shape
) -> tuple[int, list[str], list[str | None]]:
    """The header row: the declared one, else the first in which every required column has its header."""
    if shape.header_row is not None:
        row = next(iter(sheet.iter_rows(min_row=shape.header_row, max_row=shape.header_row)), ())
        found = header_texts(row)
        check_columns(settings, source_file, len(found))
        return shape.header_row, found, contract.match_headers(source_file, found, month, shape.header_row)
    seen: list[str] = []
    for number, row in enumerate(sheet.iter_rows(max_row=HEADER_ROWS), start=1):
        found = header_texts(row)
        if contract.has_required(found, month):
            check_columns(settings, source_file, len(found))
            return number, found, contract.match_headers(source_file, found, month, number)
        if len(found) > len(seen):
            seen = found
    raise UserError(
        f"file {source_file}, sheet {sheet.title!r}",
        f"no header row in the first {HEADER_ROWS} rows; the widest has: " + (", ".join(seen[:50]) or "nothing"),
        "a row with a header for each of " + ", ".join(contract.required),
        "add the new header texts to the source contract, or declare `sheet` and `header_row` of the shape",
    )


def header_texts(row: Sequence[Any]) -> list[str]:
    texts = ["" if cell.value is None else str(cell.value) for cell in row]
    while texts and not texts[-1].strip():
        texts.pop()
    return texts


class _Merged:
    """Merged cells below the header: which cell takes its text from above, and which rows cannot be told apart."""

    def __init__(self, ranges: Sequence[str], header_row: int, columns: Sequence[str | None]) -> None:
        self._down: list[tuple[int, int, int]] = []
        self._across: list[tuple[int, int, str]] = []
        for text in ranges:
            left, top, right, bottom = range_boundaries(text)
            assert left is not None and right is not None and top is not None and bottom is not None
            if bottom <= header_row or not any(columns[left - 1 : right]):
                continue
            if left == right:
                self._down.append((max(top, header_row + 1), bottom, left - 1))
            else:
                self._across.append((top, bottom, text))
        self._down.sort(reverse=True)
        self._across.sort(reverse=True)
        self._open: dict[int, tuple[int, str | None]] = {}
        self._spread: list[tuple[int, str]] = []

    def fill(self, number: int, texts: list[str | None]) -> str | None:
        """Give the cells of row `number` what is merged into them; what makes the row unreadable, if anything."""
        while self._down and self._down[-1][0] <= number:
            _, bottom, place = self._down.pop()
            self._open[place] = (bottom, texts[place] if place < len(texts) else None)
        for place, (bottom, text) in list(self._open.items()):
            if number > bottom:
                del self._open[place]
            elif place < len(texts):
                texts[place] = text
        while self._across and self._across[-1][0] <= number:
            _, bottom, text = self._across.pop()
            self._spread.append((bottom, text))
        self._spread = [(bottom, text) for bottom, text in self._spread if bottom >= number]
        return f"cells merged over several columns: {self._spread[0][1]}" if self._spread else None


def _records(
    sheet: Any,
    shape: Shape,
    epoch: datetime,
    header_row: int,
    columns: Sequence[str | None],
    merged: _Merged,
    constants: Any,
) -> Iterator[tuple[Any, ...]]:
    place_of = {column: place for place, column in enumerate(columns) if column is not None}
    is_time = [column == "measured_at" for column in columns]
    absent = tuple(constants.get(column) for column in COLUMNS)
    places = [place_of.get(column) for column in COLUMNS]
    # Cells without a header are not read: one at XFD1048576 must not widen every row.
    for number, row in enumerate(
        sheet.iter_rows(min_row=header_row + 1, max_row=_LAST_ROW, max_col=len(columns)), start=header_row + 1
    ):
        texts = [
            None if cell.value is None else text_of_cell(cell, shape, epoch, is_time[place])
            for place, cell in enumerate(row)
        ] or [None] * len(columns)
        is_empty = not any(texts)
        message = merged.fill(number, texts)
        if is_empty:
            continue
        fields = tuple(
            constant if place is None or constant is not None else texts[place]
            for place, constant in zip(places, absent, strict=True)
        )
        yield (number, None, message, *fields)


def text_of_cell(cell: Any, shape: Shape, epoch: datetime, is_time: bool) -> str:
    """A cell as the contract would have it written."""
    value = cell.value
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        if is_time and 0 < value < _SERIAL_MAX and not _is_all_digits(shape):
            return _time_text(from_excel(value, epoch), shape)
        return number_text(value, cell.number_format, shape.decimal)
    return _time_text(value, shape)


def number_text(value: float, number_format: str, decimal: str) -> str:
    """A number as text, with the leading zeros that its format shows."""
    if not math.isfinite(value):
        return str(value)
    if value != int(value):
        return repr(value).replace(".", decimal)
    if abs(value) >= _EXACT_MAX:
        return f"{value:E}".replace(".", decimal) if decimal != "." else f"{value:E}"
    # A code kept as a number with the format 00000 shows its leading zeros.
    return str(int(value)).zfill(len(number_format) if _ZEROS.match(number_format) else 0)


def _time_text(value: Any, shape: Shape) -> str:
    if isinstance(value, (time, timedelta)) or not isinstance(value, date):
        return str(value)
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
    form = shape.timestamp_formats[0]
    if not any(part in form for part in ("%f", "%g", "%n")):
        # Excel keeps days as fractions: 08:00:00 may lie a microsecond before the hour.
        moment = (moment + timedelta(microseconds=500_000)).replace(microsecond=0)
    form = form.replace("%g", f"{moment.microsecond // 1000:03}").replace("%n", f"{moment.microsecond * 1000:09}")
    return moment.strftime(form)


def _is_all_digits(shape: Shape) -> bool:
    """Times declared as digits alone, such as 01102024: then a number is no serial."""
    return any(not re.sub(r"%[dmYyHIMSfgnj]", "", form) for form in shape.timestamp_formats)


@contextmanager
def _told_damage(source_file: str) -> Iterator[None]:
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        # openpyxl lets through whatever a crafted or damaged part makes of its own code.
        raise UserError(
            f"file {source_file}",
            f"no readable xlsx workbook: {type(error).__name__}: {error}",
            "an xlsx workbook as Excel saves it, without password",
            "open it in Excel, save it as xlsx, and send it again",
        ) from error
