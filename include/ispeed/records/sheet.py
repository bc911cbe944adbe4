"""One sheet of an xlsx workbook, streamed by openpyxl; numbered by the sheet's own rows."""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat

from openpyxl import load_workbook
from openpyxl.cell.read_only import ReadOnlyCell
from openpyxl.utils.cell import get_column_letter, range_boundaries
from openpyxl.utils.datetime import from_excel
from openpyxl.worksheet._reader import FORMULA_TAG, WorkSheetParser
from openpyxl.xml.constants import SHEET_MAIN_NS

from ispeed.archives import check_expansion, checked_zip, unpacked_path
from ispeed.contracts import COLUMNS, Contract, Shape
from ispeed.engine import DuckDB
from ispeed.errors import UserError
from ispeed.landing import LandedFile
from ispeed.months import Month
from ispeed.records.headers import Headers, check_columns, check_rows, describe_headers, undeclared_names
from ispeed.settings import Settings

HEADER_ROWS = 30
_LAST_ROW = 1_048_576
_LAST_COLUMN = 16_384
_BATCH_ROWS = 10_000
_BATCH_CHARS = 1 << 18
_BLOCK_BYTES = 1 << 20
# What openpyxl takes at least for an element that it keeps.
_ELEMENT_BYTES = 64
# Beyond 15 digits Excel has put zeros: such a number shows as 5.3033E+17, which staging tells of.
_EXACT_MAX = 10**15
_SERIAL_MAX = 2_958_466  # the day after 31/12/9999
_ZEROS = re.compile(r"^0+$")
_ROW, _MERGED = f"{SHEET_MAIN_NS} row", f"{SHEET_MAIN_NS} mergeCell"


def read_sheet(
    engine: DuckDB, settings: Settings, month: Month, contract: Contract, file: LandedFile, with_undeclared: bool
) -> Headers:
    """Make the declared sheet the relation `source_record`.

    Rows above the header are titles. Empty rows are no records. Numbers become text with the declared decimal mark,
    dates text in the first declared time format. A cell merged over rows counts for each; a row in which columns are
    merged, that holds an error, or a cell behind the last header, cannot be read. Raises `UserError` where there is no
    such sheet, header, or honest workbook.
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
        undeclared = undeclared_names(found, columns) if with_undeclared else None
        engine.add_rows("source_record", _TYPES, [], is_checked=False)
        records = _records(file.source_file, sheet, shape, header_row, columns, merged, contract.constants, undeclared)
        n_rows = n_chars = 0
        for batch, n_chars_of_batch in _batches(records):
            n_rows, n_chars = n_rows + len(batch), n_chars + n_chars_of_batch
            check_rows(settings, file.source_file, n_rows)
            # A text that is kept once may stand in every cell.
            check_expansion(settings, file.source_file, n_chars, file.n_bytes)
            engine.append_rows("source_record", _TYPES, batch)
    return describe_headers(contract, found, columns)


@contextmanager
def opened_workbook(settings: Settings, path: Path, name: str) -> Iterator[tuple[Any, dict[str, tuple[str, ...]]]]:
    """A workbook to be streamed, and the merged ranges of each of its parts.

    Raises `UserError` naming the file `name` where it is no honest workbook, a formula has no result, or it is beyond
    a bound.
    """
    with _told_damage(name), checked_zip(settings, path, name) as archive, path.open("rb") as content:
        merges = _scan(settings, name, path.stat().st_size, archive)
        workbook = load_workbook(content, read_only=True, data_only=True, keep_links=False)
        try:
            yield workbook, merges
        finally:
            workbook.close()


def part_of(sheet: Any) -> str:
    """The part of the workbook's archive that holds a sheet."""
    name: str = sheet._worksheet_path.lstrip("/")
    return name


_TEXTS = ("reject_text", "reject_message", "undeclared_text", *COLUMNS)
_TYPES = {"row_number": "integer"} | dict.fromkeys(_TEXTS, "text")


def _scan(settings: Settings, name: str, n_bytes: int, archive: zipfile.ZipFile) -> dict[str, tuple[str, ...]]:
    """The merged ranges of each sheet. Refuses what openpyxl would expand, or keep in more memory than is honest."""
    merges: dict[str, tuple[str, ...]] = {}
    n_kept = 0
    for info in archive.infolist():
        scan = _PartScan(f"file {name}, part {info.filename}")
        with archive.open(info) as part:
            while (block := part.read(_BLOCK_BYTES)) and (scan.n_kept or _is_xml(info.filename, block)):
                scan.parser.Parse(block, False)
                check_expansion(settings, name, (n_kept + scan.n_kept) * _ELEMENT_BYTES, n_bytes)
        if scan.n_kept or _is_xml(info.filename, b""):
            scan.parser.Parse(b"", True)
        n_kept += scan.n_kept
        merges[info.filename] = tuple(scan.merges)
    return merges


def _is_xml(name: str, start: bytes) -> bool:
    """Whether a part is XML, by what it is called or how it begins: a workbook may call its parts as it likes."""
    first = start.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")[:1]
    return first == b"<" or name.lower().endswith((".xml", ".rels", ".vml"))


class _PartScan:
    """One XML part as it streams by: its merged ranges, and how many of its elements openpyxl keeps at a time.

    Rows of a sheet are kept one at a time, all else until the end. Stops at a document type, which is where entities
    are declared, and at another encoding.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self.merges: list[str] = []
        self._n_outside = self._n_in_row = self._n_widest = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.parser.XmlDeclHandler = self._refuse_encoding
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    @property
    def n_kept(self) -> int:
        return self._n_outside + max(self._n_widest, self._n_in_row)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._n_outside += 1
        if name == _ROW:
            self._n_in_row = 0
            self.parser.StartElementHandler = self._start_in_row
        elif name == _MERGED:
            self.merges.append(attributes.get("ref", ""))

    def _start_in_row(self, _name: str, _attributes: dict[str, str]) -> None:
        self._n_in_row += 1

    def _end(self, name: str) -> None:
        if name == _ROW:
            self._n_widest = max(self._n_widest, self._n_in_row)
            self.parser.StartElementHandler = self._start

    def _refuse_doctype(self, *_: Any) -> NoReturn:
        raise UserError(
            self._where,
            "a document type declaration",
            "plain XML, as Excel writes it",
            "save the workbook again in Excel",
        )

    def _refuse_encoding(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.upper() not in ("UTF-8", "US-ASCII"):
            raise UserError(self._where, f"encoding {encoding}", "UTF-8, as Excel writes it", "save it again in Excel")


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
        "sheets " + (", ".join(f"{sheet.title!r} ({sheet.sheet_state})" for sheet in workbook.worksheets) or "none"),
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
        self._spread = (0, "")

    def fill(self, number: int, texts: list[str | None]) -> str | None:
        """Give the cells of row `number` what is merged into them; what makes the row unreadable, if anything."""
        while self._down and self._down[-1][0] <= number:
            top, bottom, place = self._down.pop()
            # Rows that hold nothing may not be in the file.
            self._open[place] = (bottom, texts[place] if top == number and place < len(texts) else None)
        for place, (bottom, text) in list(self._open.items()):
            if number > bottom:
                del self._open[place]
            elif place < len(texts):
                texts[place] = text
        while self._across and self._across[-1][0] <= number:
            _, bottom, text = self._across.pop()
            # The one that reaches farthest stands for all: there may be as many as the file likes.
            self._spread = max(self._spread, (bottom, text), key=lambda spread: spread[0])
        bottom, text = self._spread
        return f"cells merged over several columns: {text}" if bottom >= number else None


class _Parser(WorkSheetParser):
    """openpyxl's, which would take a formula without its result for an empty cell and pass over rows in disorder."""

    def __init__(self, source_file: str, sheet: Any, source: Any) -> None:
        self._where = f"file {source_file}, sheet {sheet.title!r}"
        book = sheet.parent
        super().__init__(
            source,
            sheet._shared_strings,
            data_only=True,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )

    def rows(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Each row that is there by its number, with the cells that are there. Raises `UserError` where rows do not
        rise from 1 on: a row that another hides would be lost without a word.
        """
        last = 0
        for number, cells in self.parse():
            if cells and max(cell["column"] for cell in cells) > _LAST_COLUMN:
                raise UserError(
                    f"{self._where}, row {number}",
                    "a cell beyond column XFD",
                    "a sheet that Excel wrote",
                    "save it again",
                )
            if not last < number <= _LAST_ROW:
                raise UserError(
                    f"{self._where}, row {number}",
                    f"it stands behind row {last}",
                    f"rows that rise from 1 to {_LAST_ROW:,}, each once",
                    "save the workbook again in Excel",
                )
            last = number
            # What openpyxl notes of every row is not asked for.
            self.row_dimensions.clear()
            yield number, cells

    def parse_cell(self, element: Any) -> Any:
        cell = super().parse_cell(element)
        if cell["value"] is None and element.find(FORMULA_TAG) is not None and element.get("t") != "str":
            raise UserError(
                f"{self._where}, cell {element.get('r', '')}",
                "a formula without its result",
                "values",
                "open the workbook in Excel, calculate, and save it again",
            )
        return cell


def read_rows(source_file: str, sheet: Any) -> Iterator[tuple[int, list[Any]]]:
    """The rows of a sheet that are there, by number, with the cells that are there.

    Raises `UserError` at a formula without its result, a cell beyond the last column, and rows in disorder.
    """
    with sheet._get_source() as source:
        for number, cells in _Parser(source_file, sheet, source).rows():
            yield number, [ReadOnlyCell(sheet, **cell) for cell in cells]


def _records(
    source_file: str,
    sheet: Any,
    shape: Shape,
    header_row: int,
    columns: Sequence[str | None],
    merged: _Merged,
    constants: Mapping[str, str],
    undeclared: Mapping[int, str] | None,
) -> Iterator[tuple[Any, ...]]:
    place_of = {column: place for place, column in enumerate(columns) if column is not None}
    absent = tuple(constants.get(column) for column in COLUMNS)
    places = [place_of.get(column) for column in COLUMNS]
    with sheet._get_source() as source:
        for number, cells in _Parser(source_file, sheet, source).rows():
            if number <= header_row:
                continue
            texts, behind, problems = _read_row(sheet, shape, columns, number, cells)
            is_empty = not any(texts) and not problems
            merge = merged.fill(number, texts)
            if is_empty:
                continue
            fields = (
                constant if place is None or constant is not None else texts[place]
                for place, constant in zip(places, absent, strict=True)
            )
            others = None
            if undeclared is not None:
                there = {name: texts[place] for place, name in undeclared.items() if texts[place]} | behind
                others = json.dumps(there, ensure_ascii=False) if there else None
            yield (number, None, "; ".join(problems) or merge, others, *fields)


def _read_row(
    sheet: Any, shape: Shape, columns: Sequence[str | None], number: int, cells: Sequence[dict[str, Any]]
) -> tuple[list[str | None], dict[str, str], list[str]]:
    """The texts under the headers, those behind the last one by their column, and what makes the row unreadable."""
    texts: list[str | None] = [None] * len(columns)
    behind: dict[str, str] = {}
    problems = []
    last = 0
    for cell in cells:
        column, value = cell["column"], cell["value"]
        if column <= last or cell["row"] != number:
            problems.append(f"cell {get_column_letter(column)}{cell['row']} is out of its place")
        last = column
        if value is None:
            continue
        if column > len(columns):
            # It must not widen the row, however far off it stands; but its row is shifted, or lacks a header.
            if str(value).strip():
                behind[get_column_letter(column)] = str(value)
            continue
        name = columns[column - 1]
        if cell["data_type"] == "e" and name is not None:
            problems.append(f"{name} {value}")
        is_time = name == "measured_at"
        texts[column - 1] = text_of_cell(ReadOnlyCell(sheet, **cell), shape, sheet.parent.epoch, is_time)
    if behind:
        problems.append(f"a value behind the last header, in column {', '.join(list(behind)[:5])}")
    return texts, behind, problems


def _batches(records: Iterator[tuple[Any, ...]]) -> Iterator[tuple[list[tuple[Any, ...]], int]]:
    """Records in parts that memory holds, and how many characters each part has."""
    batch: list[tuple[Any, ...]] = []
    n_chars = 0
    for record in records:
        batch.append(record)
        n_chars += sum(len(field) for field in record[1:] if field is not None)
        if len(batch) >= _BATCH_ROWS or n_chars >= _BATCH_CHARS:
            yield batch, n_chars
            batch, n_chars = [], 0
    if batch:
        yield batch, n_chars


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
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value != int(value):
        return repr(value).replace(".", decimal)
    if abs(value) >= _EXACT_MAX:
        return f"{Decimal(value):.6E}".replace(".", decimal)
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
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        # openpyxl lets through whatever a crafted or damaged part makes of its own code.
        raise UserError(
            f"file {source_file}",
            f"no readable xlsx workbook: {type(error).__name__}: {error}",
            "an xlsx workbook as Excel saves it, without password",
            "open it in Excel, save it as xlsx, and send it again",
        ) from error
