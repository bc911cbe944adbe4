"""What an unknown export looks like: its format, how it is written, its columns, and where that leaves a doubt.

Nothing here reads a month: the pipeline reads what a source contract declares. This is for who writes the first one.
The files are opened by the same readers, within the same bounds.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any, Final

import duckdb

from ispeed.archives import opened, unpacked_path
from ispeed.column_look import Column
from ispeed.column_meaning import likeness_of_header
from ispeed.contracts import Shape
from ispeed.engine import open_engine
from ispeed.errors import UserError
from ispeed.landing import LandedFile
from ispeed.months import Month
from ispeed.records.delimited import MARK, plain_text
from ispeed.records.headers import check_columns
from ispeed.records.json_text import load_array, load_lines, pointer_to, read_keys
from ispeed.records.parquet import opened_parquet, text_of_field
from ispeed.records.sheet import HEADER_ROWS, header_texts, opened_workbook, text_of_cell
from ispeed.settings import INCLUDE, Settings
from ispeed.text_encoding import read_text

BYTES_MAX: Final = 16 << 20
ROWS_MAX: Final = 100_000
_MACROS: Final = INCLUDE / "sql" / "staging" / "macros.sql"
_DELIMITERS: Final = (",", ";", "\t", "|")
# Dates that a file keeps as such are written so by the readers, which nobody can take for day and month exchanged.
_PROVISIONAL: Final = Shape("*", ("%Y-%m-%d %H:%M:%S",))


@dataclass(frozen=True)
class Look:
    """What was seen of a file, or of a member of an archive.

    `shape` holds what a contract's shape would declare beside pattern, marks and time formats. `doubts` are sentences
    on what the bytes do not settle.
    """

    source_file: str
    format: str
    shape: Mapping[str, Any]
    columns: tuple[Column, ...]
    doubts: tuple[str, ...]


def look_at(settings: Settings, month: Month, file: LandedFile) -> Look:
    """Look at a landed file: its first 16 MiB of text, or 100,000 rows.

    Raises `UserError` where the file is damaged, beyond a bound, or holds no table.
    """
    with opened(settings, month, file) as source:
        data = b""
        while len(data) <= BYTES_MAX and (block := source.read(1 << 20)):
            data += block
    format = _format_of(file.source_file, data)
    match format:
        case "xlsx":
            look = _look_at_sheet(settings, month, file)
        case "parquet":
            look = _look_at_parquet(settings, month, file)
        case "json" | "jsonl":
            look = _look_at_json(settings, month, file, format, data)
        case _:
            look = _look_at_text(file, data)
    if not any(column.values for column in look.columns):
        raise UserError(
            f"file {file.source_file}", "no row under a header", "a header row and measurements", "give a fuller file"
        )
    return look


def _format_of(source_file: str, data: bytes) -> str:
    """The format by the first bytes, whatever the name says; a name that the readers would go by must fit them."""
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    start = data[:4096].decode("utf-16" if is_wide else "utf-8-sig", errors="replace").lstrip()
    found, expected, remedy = "", "", "export it as csv, xlsx, json, jsonl or Parquet"
    if data.startswith(b"\x1f\x8b"):
        found, expected, remedy = "gzip bytes", "a name that ends in .gz", "rename the file"
    elif data.startswith(b"PK\x03\x04") and b"[Content_Types].xml" not in data and b"xl/" not in data:
        found, expected, remedy = "a zip archive", "a name that ends in .zip", "rename the file"
    elif data.startswith(b"\xd0\xcf\x11\xe0"):
        found, expected = "an old Excel workbook, or one with a password", "an open .xlsx workbook"
        remedy = "open it in Excel and save it as .xlsx, without password"
    elif start[:15].lower().startswith(("<html", "<!doctype", "<table", "<?xml", "<meta")):
        found, expected = "a web page or XML", "a table of one of the formats"
        remedy = "open it in Excel and save it as .xlsx, whatever its name says"
    if found:
        raise UserError(f"file {source_file}", found, expected, remedy)
    if data.startswith(b"PK\x03\x04"):
        return "xlsx"
    if data.startswith(b"PAR1"):
        return "parquet"
    return {"[": "json", "{": "jsonl"}.get(start[:1], "csv")


def _look_at_text(file: LandedFile, data: bytes) -> Look:
    is_whole = len(data) <= BYTES_MAX
    doubts = [] if is_whole else [f"only the first {BYTES_MAX >> 20} MiB were looked at"]
    encoding, text, of_encoding = read_text(data[:BYTES_MAX])
    if not is_whole:
        text = text[: text.rfind("\n") + 1]
    doubts += of_encoding
    delimiter, of_delimiter = _delimiter_of(text)
    doubts += of_delimiter
    quote = _quote_of(text, delimiter)
    if "\\" + quote in text:
        doubts.append(
            f"a backslash stands before a quote: a quote within quotes is read where it is doubled ({quote * 2})"
        )
    records = list(_records(text, delimiter, quote))
    above = _rows_above_header(records)
    if above:
        doubts.append(
            f"the headers stand in record {above + 1}, but those of a csv are read from its first: have what stands "
            "above them left out"
        )
    header, rows = (records[above], records[above + 1 :]) if records else ([], [])
    of_other_length = [number for number, row in enumerate(rows, start=above + 2) if len(row) != len(header)]
    if of_other_length:
        doubts.append(
            f"{len(of_other_length):,} of {len(rows):,} rows do not have the header's {len(header)} fields "
            f"(the first is record {of_other_length[0]}): they will be put aside as unreadable_row"
        )
    if sum(bool(re.fullmatch(r"[+-]?[\d.,]+", text.strip())) for text in header) * 2 > len(header):
        doubts.append("the first row looks like measurements, not like a header row")
    whole = [row for row in rows if len(row) == len(header)]
    columns = []
    for place, name in enumerate(header):
        values = tuple(row[place].strip() for row in whole)
        columns.append(Column(name.strip().lstrip("\ufeff"), place, values, values))
    doubts += _repeated_headers(columns)
    shape = {"encoding": encoding, "delimiter": delimiter, "quote": quote}
    return Look(file.source_file, "csv", shape, tuple(columns), tuple(doubts))


def _look_at_sheet(settings: Settings, month: Month, file: LandedFile) -> Look:
    """The sheet and the row whose texts are most like headers; other sheets that hold a table too are told."""
    with (
        unpacked_path(settings, month, file) as path,
        opened_workbook(settings, path, file.source_file) as (workbook, _),
    ):
        found = []
        for sheet in workbook.worksheets:
            # What a file says of its own dimensions is often wrong, and would cut rows off.
            sheet.reset_dimensions()
            rows = sheet.iter_rows(max_row=HEADER_ROWS, max_col=settings.columns_max)
            texts_of = {number: header_texts(row) for number, row in enumerate(rows, start=1)}
            likely = [(likeness_of_header(texts), number, texts) for number, texts in texts_of.items() if texts]
            # Of rows that are as like, the first is the header.
            found += [(*max(likely, key=lambda row: (row[0], len(row[2]) > 1, -row[1])), sheet)] if likely else []
        if not found:
            raise UserError(
                f"file {file.source_file}", "no cell in any sheet", "a sheet of measurements", "give a fuller file"
            )
        is_visible = {sheet.title: sheet.sheet_state == "visible" for sheet in workbook.worksheets}
        best, number, header, sheet = max(found, key=lambda table: (table[0], is_visible[table[3].title]))
        first_visible = next((title for title, visible in is_visible.items() if visible), None)
        doubts = [f"the headers are taken from row {number} of sheet {sheet.title!r}"] if number > 1 else []
        others = [table[3].title for table in found if table[3] is not sheet and best and table[0] > best / 2]
        if others:
            doubts.append(
                f"sheet {sheet.title!r} is taken; {', '.join(map(repr, others))} may hold measurements too, and one "
                "sheet of a workbook is read"
            )
        shape = {}
        if sheet.title != first_visible:
            shape["sheet"] = sheet.title
            doubts.append(f"sheet {sheet.title!r} is declared: it is not the first one, or hidden")
        cells: list[list[tuple[str, Any]]] = [[] for _ in header]
        n_rows = 0
        for row in sheet.iter_rows(min_row=number + 1, max_row=number + ROWS_MAX, max_col=len(header)):
            if not any(cell.value is not None for cell in row):
                continue
            n_rows += 1
            for place, cell in enumerate(row):
                text = "" if cell.value is None else text_of_cell(cell, _PROVISIONAL, workbook.epoch, False)
                cells[place].append((text.strip(), cell.value))
            for place in range(len(row), len(header)):
                cells[place].append(("", None))
    if n_rows >= ROWS_MAX:
        doubts.append(f"only the first {ROWS_MAX:,} rows were looked at")
    columns = [
        Column(
            name.strip(),
            place,
            tuple(text for text, _ in cells[place]),
            tuple(text for text, value in cells[place] if isinstance(value, str)),
            sum(isinstance(value, date) for _, value in cells[place]),
        )
        for place, name in enumerate(header)
    ]
    doubts += _repeated_headers(columns)
    return Look(file.source_file, "xlsx", shape, tuple(columns), tuple(doubts))


def _look_at_json(settings: Settings, month: Month, file: LandedFile, format: str, data: bytes) -> Look:
    encoding, _, of_encoding = read_text(data[:BYTES_MAX])
    doubts = list(of_encoding)
    load = load_array if format == "json" else load_lines
    with (
        open_engine() as engine,
        plain_text(settings, month, file, encoding, mark=MARK if format == "jsonl" else " ") as text,
    ):
        try:
            load(engine, str(text.path))
        except duckdb.Error as error:
            raise UserError(
                f"file {file.source_file}",
                str(error).splitlines()[0],
                "an array of objects" if format == "json" else "one object a line",
                "export the file again",
            ) from error
        keys = read_keys(engine)
        check_columns(settings, file.source_file, len(keys))
        if not keys:
            raise UserError(
                f"file {file.source_file}", "no object with a key", "objects of measurements", "give a fuller file"
            )
        engine.run(_MACROS.read_text(encoding="utf-8"))
        columns = []
        for place, key in enumerate(keys):
            rows = engine.rows(
                "select trim(coalesce(json_field(record, $pointer, '.'), '')) as value, "
                "json_type(record, $pointer) as kind from json_record where record is not null "
                "order by row_number limit $n_rows",
                {"pointer": pointer_to(key), "n_rows": ROWS_MAX},
            )
            kinds = Counter(row["kind"] for row in rows)
            if kinds["OBJECT"] + kinds["ARRAY"]:
                doubts.append(f"{key!r} holds objects or lists, which are not read: have it exported flat")
            columns.append(
                Column(
                    key,
                    place,
                    tuple(row["value"] for row in rows),
                    tuple(row["value"] for row in rows if row["kind"] == "VARCHAR"),
                )
            )
        n_rows = engine.value("select count(*) from json_record")
    if n_rows > ROWS_MAX:
        doubts.append(f"only the first {ROWS_MAX:,} rows were looked at")
    shape = {"encoding": encoding} if encoding != "utf-8" else {}
    return Look(file.source_file, format, shape, tuple(columns), tuple(doubts))


def _look_at_parquet(settings: Settings, month: Month, file: LandedFile) -> Look:
    bound = {"decimal": ".", "format": _PROVISIONAL.timestamp_formats[0], "zone": "UTC"}
    doubts = []
    columns = []
    with open_engine() as engine, opened_parquet(engine, settings, month, file) as (path, types):
        engine.run(_MACROS.read_text(encoding="utf-8"))
        names = ", ".join(f"c{place}" for place in range(len(types)))
        for place, (header, kind) in enumerate(types.items()):
            if kind.startswith(("STRUCT", "MAP")) or kind.endswith("]"):
                doubts.append(f"{header!r} holds objects or lists, which are not read: have it exported flat")
            query = (
                f"select trim(coalesce({text_of_field(f'c{place}', kind)}, '')) as value "
                f"from read_parquet($path, hive_partitioning = false) as source ({names}) limit $n_rows"
            )
            parameters = {"path": str(path), "n_rows": ROWS_MAX} | bound
            rows = engine.rows(query, {name: value for name, value in parameters.items() if f"${name}" in query})
            values = tuple(row["value"] for row in rows)
            is_time = kind.startswith("TIMESTAMP") or kind == "DATE"
            columns.append(
                Column(header, place, values, values if kind == "VARCHAR" else (), len(values) if is_time else 0)
            )
            if kind == "TIMESTAMP WITH TIME ZONE":
                doubts.append(f"{header!r} holds moments: whatever zone is declared, they are read right")
        if any(len(column.values) >= ROWS_MAX for column in columns):
            doubts.append(f"only the first {ROWS_MAX:,} rows were looked at")
    return Look(file.source_file, "parquet", {}, tuple(columns), tuple(doubts))


def _rows_above_header(records: Sequence[Sequence[str]]) -> int:
    """How many records stand above the one that is most like headers; none where the first is like them at all."""
    likely = [likeness_of_header(record) for record in records[:HEADER_ROWS]]
    return likely.index(max(likely)) if likely and not likely[0] else 0


def _repeated_headers(columns: Sequence[Column]) -> list[str]:
    repeated = [name for name, n in Counter(column.header for column in columns).items() if n > 1]
    return ["headers that stand more than once: " + ", ".join(map(repr, repeated))] if repeated else []


def _delimiter_of(text: str) -> tuple[str, list[str]]:
    """The mark by which the most of the first rows have as many fields, at least two."""
    widths: dict[str, tuple[float, int]] = {}
    for delimiter in _DELIMITERS:
        records = list(islice(_records(text, delimiter), 1_000))
        for width, n_rows in Counter(map(len, records)).most_common(1):
            if width > 1:
                widths[delimiter] = (n_rows / len(records), width)
    if not widths:
        return ",", ["no delimiter splits the rows: one column, or a mark that was not tried (, ; tab |)"]
    best = max(widths, key=lambda delimiter: widths[delimiter])
    rivals = [mark for mark, (share, _) in widths.items() if mark != best and share > 0.95]
    return best, [f"delimiter {best!r} is taken; {mark!r} would split the rows evenly too" for mark in rivals]


def _quote_of(text: str, delimiter: str) -> str:
    """The mark that most fields stand between, the double one where none does."""
    edge = re.escape(delimiter)
    counts = {
        quote: len(
            re.findall(rf"(?:^|{edge}){quote}[^{quote}\n]*{quote}(?={edge}|\r?$)", text[: 1 << 20], re.MULTILINE)
        )
        for quote in ('"', "'")
    }
    return max(counts, key=lambda quote: counts[quote])


def _records(text: str, delimiter: str, quote: str = '"') -> Iterator[list[str]]:
    lines = io.StringIO(text, newline="")
    try:
        yield from (record for record in csv.reader(lines, delimiter=delimiter, quotechar=quote) if record)
    except csv.Error:
        return
