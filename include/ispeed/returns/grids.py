"""The sheets of a file that somebody sent, as cells by their place: xlsx, xlsm, ods, csv.

What is no workbook is told apart by its bytes, whatever its name says. Runs in a reading process (`ispeed.child`).
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from openpyxl.cell.read_only import ReadOnlyCell
from openpyxl.utils.cell import get_column_letter, range_boundaries
from openpyxl.worksheet._reader import FORMULA_TAG, WorkSheetParser

from ispeed.archives import checked_zip
from ispeed.error_texts import in_vietnamese
from ispeed.errors import UserError
from ispeed.records.sheet import opened_workbook, part_of
from ispeed.settings import Settings

# A form has some twenty rows; other people's sheets around it are not read to their end.
LAST_ROW: Final = 1_000
LAST_COLUMN: Final = 100
_RESAVE: Final = "điền vào đúng tệp biểu mẫu xlsx đã nhận rồi gửi lại"
_EXPECTED: Final = "tệp xlsx của biểu mẫu đã điền"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_ENCODINGS: Final = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class NoResult:
    """A formula that was never calculated: what it stands for is not in the file."""


NO_RESULT: Final = NoResult()


@dataclass(frozen=True)
class Cell:
    """A cell that holds something. `is_percent`: it shows as per cent."""

    row: int
    column: int
    value: Any
    is_percent: bool = False

    @property
    def text(self) -> str:
        return "" if isinstance(self.value, NoResult) else str(self.value)

    @property
    def place(self) -> str:
        return f"{get_column_letter(self.column)}{self.row}"


@dataclass(frozen=True)
class Grid:
    """One sheet: its cells in reading order, and its merged ranges as (left, top, right, bottom)."""

    title: str
    is_hidden: bool
    cells: tuple[Cell, ...]
    merged: tuple[tuple[int, int, int, int], ...] = field(default=())

    def area_of(self, cell: Cell) -> tuple[int, int, int, int]:
        """The merged range that a cell begins, else the cell itself."""
        for left, top, right, bottom in self.merged:
            if (left, top) == (cell.column, cell.row):
                return left, top, right, bottom
        return cell.column, cell.row, cell.column, cell.row


def read_grids(settings: Settings, path: Path, name: str) -> list[Grid]:
    """Every sheet of a file, hidden ones too. Raises `UserError`, in Vietnamese, where there are none to be read."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    if not start:
        raise _refused(name, "tệp rỗng, không có byte nào")
    if start.startswith(b"PK"):
        return _packed(settings, path, name)
    if start.startswith(_OLE):
        if _ENCRYPTED in path.read_bytes():
            raise _refused(name, "tệp có mật khẩu nên không mở được", "bỏ mật khẩu, lưu lại rồi gửi lại")
        raise _refused(name, "tệp Excel hoặc Word đời cũ (.xls, .doc)", "mở bằng Excel, lưu thành .xlsx rồi gửi lại")
    if start.startswith(b"%PDF"):
        raise _refused(name, "tệp PDF: số liệu không đọc được từ bản in")
    if start.startswith(_PICTURES) or start[4:8] == b"ftyp" or start[8:12] == b"WEBP":
        raise _refused(name, "ảnh chụp: số liệu không đọc được từ ảnh")
    if start.startswith((b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b")):
        raise _refused(name, "tệp nén", "giải nén rồi gửi từng tệp biểu mẫu")
    if start.lstrip(b"\xef\xbb\xbf \r\n\t")[:5].lower() in (b"<html", b"<!doc", b"<?xml"):
        raise _refused(name, "trang web hoặc tệp XML mang tên bảng tính", "mở bằng Excel, lưu thành .xlsx rồi gửi lại")
    return [_csv(path, name)]


def _refused(name: str, found: str, remedy: str = _RESAVE) -> UserError:
    return UserError(name, found, _EXPECTED, remedy)


def _packed(settings: Settings, path: Path, name: str) -> list[Grid]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise _refused(name, "tệp hỏng, không mở được", "mở lại tệp gốc, lưu lại rồi gửi lại") from error
    try:
        if "word/document.xml" in members:
            raise _refused(name, "văn bản Word")
        if "ppt/presentation.xml" in members:
            raise _refused(name, "bản trình chiếu")
        if "content.xml" in members and "mimetype" in members:
            return _ods(settings, path, name)
        if "xl/workbook.bin" in members:
            raise _refused(name, "tệp .xlsb", "mở bằng Excel, lưu thành .xlsx rồi gửi lại")
        if "[Content_Types].xml" not in members:
            raise _refused(name, "tệp nén", "giải nén rồi gửi từng tệp biểu mẫu")
        return list(_xlsx(settings, path, name))
    except UserError as error:
        if error.expected == _EXPECTED:
            raise
        # What the bounds on hostile files say, behind what a sender needs to know.
        raise _refused(name, f"tệp hỏng hoặc vượt giới hạn an toàn ({in_vietnamese(error.found)})") from error


class _Parser(WorkSheetParser):
    """openpyxl's, which would take a formula without its result for an empty cell."""

    def parse_cell(self, element: Any) -> Any:
        cell = super().parse_cell(element)
        if cell["value"] is None and element.find(FORMULA_TAG) is not None and element.get("t") != "str":
            cell["value"] = NO_RESULT
        return cell


def _xlsx(settings: Settings, path: Path, name: str) -> Iterator[Grid]:
    with opened_workbook(settings, path, name) as (workbook, merges):
        for sheet in workbook.worksheets:
            cells = []
            with sheet._get_source() as source:
                parser = _Parser(
                    source,
                    sheet._shared_strings,
                    data_only=True,
                    epoch=workbook.epoch,
                    date_formats=workbook._date_formats,
                    timedelta_formats=workbook._timedelta_formats,
                )
                for number, row in parser.parse():
                    if number > LAST_ROW:
                        break
                    for found in row:
                        if found["value"] is None or found["column"] > LAST_COLUMN:
                            continue
                        if isinstance(found["value"], NoResult):
                            cells.append(Cell(number, found["column"], NO_RESULT))
                            continue
                        cell = ReadOnlyCell(sheet, **found)
                        cells.append(Cell(number, found["column"], cell.value, "%" in (cell.number_format or "")))
            merged = tuple(_bounds(text) for text in merges.get(part_of(sheet), ()))
            yield Grid(sheet.title, sheet.sheet_state != "visible", tuple(cells), merged)


def _bounds(text: str) -> tuple[int, int, int, int]:
    left, top, right, bottom = range_boundaries(text)
    return left or 1, top or 1, right or LAST_COLUMN, bottom or LAST_ROW


def _csv(path: Path, name: str) -> Grid:
    """A sheet saved as text: tabs, semicolons or commas between its cells."""
    content = path.read_bytes()[:1_000_000]
    encoding = next((found for mark, found in _ENCODINGS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _refused(
            name, "tệp không phải bảng tính, hoặc văn bản không ở bảng mã UTF-8", "lưu thành .xlsx rồi gửi lại"
        ) from error
    if "\0" in text:
        raise _refused(name, "tệp không phải bảng tính")
    lines = text.splitlines()
    delimiter = max("\t;,", key=lambda mark: (sum(mark in line for line in lines), "\t;,".index(mark) == 0))
    cells = [
        Cell(number, column, value, value.strip().endswith("%"))
        for number, row in enumerate(csv.reader(text.splitlines(True)[:LAST_ROW], delimiter=delimiter), start=1)
        for column, value in enumerate(row[:LAST_COLUMN], start=1)
        if value.strip()
    ]
    return Grid("", False, tuple(cells))


_TABLE, _OFFICE = (
    "urn:oasis:names:tc:opendocument:xmlns:table:1.0 ",
    "urn:oasis:names:tc:opendocument:xmlns:office:1.0 ",
)
_TEXT, _STYLE = "urn:oasis:names:tc:opendocument:xmlns:text:1.0 ", "urn:oasis:names:tc:opendocument:xmlns:style:1.0 "


def _ods(settings: Settings, path: Path, name: str) -> list[Grid]:
    with checked_zip(settings, path, name) as archive:
        manifest = "META-INF/manifest.xml"
        if manifest in archive.namelist() and b"encryption-data" in archive.read(manifest):
            raise _refused(name, "tệp có mật khẩu nên không mở được", "bỏ mật khẩu, lưu lại rồi gửi lại")
        sheets = _OdsSheets()
        try:
            with archive.open("content.xml") as part:
                while block := part.read(1 << 16):
                    sheets.parser.Parse(block, False)
            sheets.parser.Parse(b"", True)
        except (expat.ExpatError, ValueError) as error:
            raise _refused(name, "tệp hỏng, không mở được", "lưu thành .xlsx rồi gửi lại") from error
    return sheets.grids


class _OdsSheets:
    """The tables of `content.xml` as it streams by. Repeated empty rows and cells only move the place."""

    def __init__(self) -> None:
        self.grids: list[Grid] = []
        self._cells: list[Cell] = []
        self._merged: list[tuple[int, int, int, int]] = []
        self._title, self._is_hidden = "", False
        self._hidden_styles: set[str] = set()
        self._style = ""
        self._row = self._column = 0
        self._repeat_row = self._repeat = 1
        self._attributes: dict[str, str] | None = None
        self._texts: list[str] = []
        self._in_note = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters

    def _refuse(self, *_: Any) -> None:
        raise ValueError("a document type declaration")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == f"{_STYLE}style":
            self._style = attributes.get(f"{_STYLE}name", "")
        elif name == f"{_STYLE}table-properties" and attributes.get(f"{_TABLE}display") == "false":
            self._hidden_styles.add(self._style)
        elif name == f"{_TABLE}table":
            self._title, self._cells, self._merged, self._row = attributes.get(f"{_TABLE}name", ""), [], [], 0
            self._is_hidden = attributes.get(f"{_TABLE}style-name") in self._hidden_styles
        elif name == f"{_TABLE}table-row":
            self._row, self._column = self._row + 1, 0
            self._repeat_row = int(attributes.get(f"{_TABLE}number-rows-repeated", 1))
        elif name in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            self._column += 1
            self._repeat = int(attributes.get(f"{_TABLE}number-columns-repeated", 1))
            self._attributes, self._texts = attributes, []
            right = self._column + int(attributes.get(f"{_TABLE}number-columns-spanned", 1)) - 1
            bottom = self._row + int(attributes.get(f"{_TABLE}number-rows-spanned", 1)) - 1
            if (right, bottom) != (self._column, self._row):
                self._merged.append((self._column, self._row, right, bottom))
        elif name == f"{_OFFICE}annotation":
            self._in_note += 1
        elif name == f"{_TEXT}p" and self._texts:
            self._texts.append("\n")

    def _characters(self, text: str) -> None:
        if self._attributes is not None and not self._in_note:
            self._texts.append(text)

    def _end(self, name: str) -> None:
        if name == f"{_OFFICE}annotation":
            self._in_note -= 1
        elif name in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            assert self._attributes is not None
            kind, text = self._attributes.get(f"{_OFFICE}value-type", ""), "".join(self._texts)
            value: Any = text
            if kind in ("float", "percentage", "currency"):
                value = float(self._attributes.get(f"{_OFFICE}value", "nan"))
            elif kind == "date":
                value = date.fromisoformat(self._attributes.get(f"{_OFFICE}date-value", "")[:10])
            if self._row <= LAST_ROW and self._column <= LAST_COLUMN and text.strip():
                self._cells.append(Cell(self._row, self._column, value, kind == "percentage"))
            self._column += self._repeat - 1
            self._attributes = None
        elif name == f"{_TABLE}table-row":
            self._row += self._repeat_row - 1
        elif name == f"{_TABLE}table":
            self.grids.append(Grid(self._title, self._is_hidden, tuple(self._cells), tuple(self._merged)))
