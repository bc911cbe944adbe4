"""Delimited text: csv of any declared delimiter, quote and encoding, parsed by DuckDB.

DuckDB overlooks some of what is wrong with a record: a surplus empty field, quotes behind a space, an empty line.
A mark in that place makes it see; the mark is a control character and is taken out again. Every line of the file must
then be found in a record, read or rejected, or the file is refused.
"""

from __future__ import annotations

import codecs
import csv
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb

from ispeed.archives import Readable, is_packed, opened, unpacked_path
from ispeed.contracts import COLUMNS, Contract, Shape
from ispeed.engine import DuckDB
from ispeed.errors import UserError
from ispeed.landing import LandedFile
from ispeed.months import Month
from ispeed.records.headers import (
    Headers,
    check_columns,
    check_rows,
    describe_headers,
    json_of_undeclared,
    undeclared_names,
)
from ispeed.records.lines import RECORD_BYTES_MAX, Places, copy_lines
from ispeed.settings import Settings

MARK = "\x1e"
_BLOCK_BYTES = 1 << 20
_BLANKS_MAX = 1 << 20
_BYTE_ORDER_MARK = codecs.BOM_UTF8
_UNDECODED = "ispeed-undecoded"
codecs.register_error(_UNDECODED, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]


@dataclass(frozen=True)
class PlainText:
    """A text as UTF-8 with LF line ends, without byte order marks, marked where its parser would overlook something."""

    path: Path
    n_lines: int


def read_delimited(
    engine: DuckDB,
    settings: Settings,
    month: Month,
    contract: Contract,
    file: LandedFile,
    with_undeclared: bool,
    lines: Places | None = None,
) -> Headers:
    """Make a csv file the relation `source_record`, numbered by record (header = 1).

    With `lines`, of a file in which each line is a record, only these of it. The numbers are those in the file.

    Raises `UserError` where the file is damaged, its header row lacks a required column, or a quote that does not close
    in its record took in others.
    """
    shape = contract.shape_of(file.source_file)
    blanks = [blank for blank in " \t" if shape.quote and blank != shape.delimiter]
    oversights = tuple(
        (before.encode(), after.encode())
        for before, after in (
            (shape.delimiter, "\n"),
            *((before, blank) for before in (shape.delimiter, "\n") for blank in blanks),
            *((blank, shape.quote) for blank in blanks),
        )
    )
    with (
        _selected(settings, month, file, lines) as selected,
        plain_text(settings, month, file, shape.encoding, oversights, selected=selected) as text,
    ):
        found, n_header_lines = read_header(file.source_file, text.path, shape)
        check_columns(settings, file.source_file, len(found))
        columns = contract.match_headers(file.source_file, found, month)
        names = [column or f'"undeclared {place}"' for place, column in enumerate(columns)]
        _read_text(engine, file.source_file, text.path, shape, names)
    check_rows(settings, file.source_file, engine.value("select count(*) from read_text"))
    _account_for_lines(engine, file.source_file, shape, names, text.n_lines - n_header_lines)
    undeclared = undeclared_names(found, columns) if with_undeclared else {}
    _create_source_text(engine, contract, shape, names, found, undeclared)
    engine.create("source_record", "staging/source_record.sql", {"mark": MARK, "header_rows": 1})
    _reject_neighbours_of_fragments(engine, shape)
    if lines is not None:
        engine.add_rows("line", {"place": "integer", "number": "integer"}, list(enumerate(lines.tolist(), start=2)))
        engine.run("update source_record set row_number = line.number from line where line.place = row_number")
    return describe_headers(contract, found, columns)


@contextmanager
def _selected(settings: Settings, month: Month, file: LandedFile, lines: Places | None) -> Iterator[Path | None]:
    if lines is None:
        yield None
        return
    with unpacked_path(settings, month, file) as path, tempfile.TemporaryDirectory(prefix="ispeed-") as folder:
        target = Path(folder) / "selected.csv"
        copy_lines(path, target, lines)
        yield target


def _read_text(engine: DuckDB, source_file: str, path: Path, shape: Shape, names: Sequence[str]) -> None:
    """Make `read_text` of the records that fit, numbered by place, and `source_reject` of the others."""
    engine.run("drop table if exists reject_errors; drop table if exists reject_scans")
    try:
        # A null would excuse a surplus field: only a line break without quotes is one, which there is not. In parallel,
        # a thread that starts inside a quoted field takes its lines for records.
        engine.run(
            "create or replace table read_text as select row_number() over () as place, * from read_csv($path, "
            "header = false, skip = 1, auto_detect = false, delim = $delimiter, quote = $quote, escape = $quote, "
            "columns = $columns, nullstr = chr(10), allow_quoted_nulls = false, parallel = false, "
            "strict_mode = true, store_rejects = true, rejects_limit = 0, max_line_size = $max_line_size)",
            {
                "path": str(path),
                "delimiter": shape.delimiter,
                "quote": shape.quote,
                "columns": dict.fromkeys((name.strip('"') for name in names), "VARCHAR"),
                "max_line_size": RECORD_BYTES_MAX,
            },
        )
    except duckdb.Error as error:
        raise UserError(
            f"file {source_file}",
            str(error).splitlines()[0],
            f"records delimited by {shape.delimiter!r}, quoted by {shape.quote!r}",
            "export the file again, or correct its shape in the source contract",
        ) from error
    engine.run(
        "create or replace table source_reject as select line, rtrim(csv_line, chr(10)) as csv_line, error_type, "
        "error_message from reject_errors"
    )


def _account_for_lines(engine: DuckDB, source_file: str, shape: Shape, names: Sequence[str], n_lines: int) -> None:
    """Refuse a text in which a record took in others, or in which one of the lines is in no record."""
    breaks_in = "length({0}) - length(replace({0}, chr(10), ''))"
    n_least = len(names) - 1  # delimiters in a record; a line of a text has not half as many
    # DuckDB keeps the first 10,000 characters of a rejected record, and loses its way in one of many megabytes.
    odd = engine.rows(
        f"select line, any_value(csv_line) as text, list(error_type) as errors, max({breaks_in.format('csv_line')}) "
        "as n_breaks from source_reject group by line "
        "having n_breaks > 0 or list_has_any(errors, ['LINE SIZE OVER MAXIMUM', 'INVALID ENCODING']) order by line"
    )
    for row in odd:
        n_surplus = row["text"].count(shape.delimiter) - n_least
        is_unclosed = "UNQUOTED VALUE" in row["errors"] or n_surplus >= row["n_breaks"] * n_least / 2
        is_lost = "LINE SIZE OVER MAXIMUM" in row["errors"] and shape.quote and shape.quote in row["text"]
        if is_lost or (row["n_breaks"] and is_unclosed):
            raise _swallowing(source_file, row["line"], row["n_breaks"])
    n_records = engine.value("select count(*) from read_text") + _n_rejected(engine)
    if n_records == n_lines:
        return
    swallowing = " or ".join(
        f"(contains({name}, chr(10)) and length({name}) - length(replace({name}, $delimiter, '')) "
        f">= greatest($n_least, ({breaks_in.format(name)}) * $n_least / 2))"
        for name in names
    )
    n_breaks = " + ".join(map(breaks_in.format, names))
    for row in engine.rows(
        f"select place, {n_breaks} as n_breaks from read_text where {swallowing} order by place limit 1",
        {"delimiter": shape.delimiter, "n_least": n_least},
    ):
        raise _swallowing(source_file, _row_number(engine, row["place"]), row["n_breaks"])
    n_breaks_read = engine.value(f"select sum({n_breaks}) from read_text") or 0
    n_lost = n_lines - n_records - n_breaks_read - sum(row["n_breaks"] for row in odd)
    if n_lost:
        # The last record, which does not end; or one whose line ends went with bytes that do not decode.
        undecoded = (row["line"] for row in odd if "INVALID ENCODING" in row["errors"] and shape.quote in row["text"])
        raise _swallowing(source_file, next(undecoded, n_records + 2), abs(n_lost) - 1)


def _n_rejected(engine: DuckDB, up_to_row: int | None = None) -> int:
    count: int = engine.value(
        "select count(distinct line) from source_reject where line <= coalesce($row, line)", {"row": up_to_row}
    )
    return count


def _row_number(engine: DuckDB, place: int) -> int:
    before, number = 0, place + 1
    while number != before:
        before, number = number, place + 1 + _n_rejected(engine, number)
    return number


def _swallowing(source_file: str, row_number: int, n_lines: int) -> UserError:
    return UserError(
        f"file {source_file}, row {row_number}",
        f"a quote that does not close in its record; it takes in the {n_lines or 'rest of the'} lines behind it",
        "a closing quote in the same record",
        "correct that record in the file, or export it again",
    )


def _create_source_text(
    engine: DuckDB,
    contract: Contract,
    shape: Shape,
    names: Sequence[str],
    found: Sequence[str],
    undeclared: Mapping[int, str],
) -> None:
    """Make `source_text`: our columns, and what is wrong with a record although it has as many fields as the header."""
    # The delimiter at the end of a header is harmless where every record has it; a value there was shifted.
    n_named = len(found)
    while not found[n_named - 1].strip():
        n_named -= 1
    behind = " or ".join(f"trim({name}) not in ('', $mark)" for name in names[n_named:])
    after_blank = " or ".join(
        f"(starts_with({name}, $mark) and starts_with(ltrim({name}, $mark || ' ' || chr(9)), $quote))"
        for name in names
        if shape.quote
    )
    fields = {
        column: "$constant_" + column
        if column in contract.constants
        else f"nullif(replace({column}, $mark, ''), '')"
        if column in names
        else "cast(null as varchar)"
        for column in COLUMNS
    }
    undeclared_text, names_of_undeclared = json_of_undeclared(
        undeclared, {place: f"replace({names[place]}, $mark, '')" for place in undeclared}
    )
    statement = (
        f"create or replace table source_text as select place, {undeclared_text} as undeclared_text, "
        f"case when {behind or 'false'} then 'a value behind the last header' "
        f"when {after_blank or 'false'} then 'blanks before a quote' end as reject_message, "
        f"case when reject_message is not null then concat_ws($delimiter, {', '.join(names)}) end as reject_text"
        + "".join(f", {field} as {column}" for column, field in fields.items())
        + " from read_text"
    )
    parameters = {"mark": MARK, "quote": shape.quote, "delimiter": shape.delimiter, **names_of_undeclared} | {
        f"constant_{column}": value for column, value in contract.constants.items()
    }
    engine.run(statement, {name: value for name, value in parameters.items() if f"${name}" in statement})


def _reject_neighbours_of_fragments(engine: DuckDB, shape: Shape) -> None:
    """A line with one field may be the end of the last field above it, or the start of the first one below it."""
    engine.run(
        "create or replace table fragment as select row_number from source_record "
        "where not contains(reject_text, $delimiter) and trim(reject_text, $blanks) <> ''",
        {"delimiter": shape.delimiter, "blanks": " \t\ufeff\x00\x1a"},
    )
    if not engine.value("select count(*) from fragment"):
        return
    engine.run(
        "with whole as (select row_number from source_record anti join fragment using (row_number)) "
        "update source_record set reject_message = 'beside a line with one field, which may be a part of it' "
        "where reject_message is null and row_number in ("
        "select whole.row_number from fragment asof join whole on fragment.row_number > whole.row_number "
        "union all "
        "select whole.row_number from fragment asof join whole on fragment.row_number < whole.row_number)"
    )


@contextmanager
def plain_text(
    settings: Settings,
    month: Month,
    file: LandedFile,
    encoding: str,
    oversights: Sequence[tuple[bytes, bytes]] = (),
    mark: str = MARK,
    selected: Path | None = None,
) -> Iterator[PlainText]:
    """The file, or what was selected of it, as plain text: as it lies where it is so, else a copy.

    A mark stands in empty lines, and between the two parts of each of the `oversights`.
    """
    is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    path = selected or file.path(settings, month)
    if is_utf8 and (selected or not is_packed(file)):
        n_lines = _count_plain_lines(path, oversights)
        if n_lines is not None:
            yield PlainText(path, n_lines)
            return
    with tempfile.TemporaryDirectory(prefix="ispeed-") as folder:
        copy = Path(folder) / "plain.csv"
        with (
            selected.open("rb") if selected else opened(settings, month, file) as source,
            copy.open("wb") as target,
        ):
            n_lines = _copy_plain(
                file.source_file, source, target, None if is_utf8 else encoding, oversights, mark.encode()
            )
        yield PlainText(copy, n_lines)


def _copy_plain(
    source_file: str,
    source: Readable,
    target: BinaryIO,
    encoding: str | None,
    oversights: Sequence[tuple[bytes, bytes]],
    mark: bytes,
) -> int:
    """Copy as plain text; the number of lines."""
    # Bytes that do not decode become one that is not UTF-8 either, and so cost their record and no other. Where a
    # character takes several bytes, one that is lost or too many turns all behind it into others.
    is_wide = encoding is not None and len("\n".encode(encoding)) > 1
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict" if is_wide else _UNDECODED) if encoding else None
    # What the next block may still change is held back: line ends, blanks, and what else a mark may stand beside.
    undecided = b"\r\n" + _BYTE_ORDER_MARK + b"".join(before + after for before, after in oversights)
    held, n_lines, is_ended = b"\n", 0, True
    skipped = 1  # the line end before the first line, which is not the file's
    while True:
        block = source.read(_BLOCK_BYTES)
        try:
            plain = decoder.decode(block, final=not block).encode("utf-8", "surrogateescape") if decoder else block
        except UnicodeError as error:
            raise UserError(
                f"file {source_file}, line {n_lines + 1} or after it",
                f"bytes that are no {encoding}: {error}",
                f"{encoding} from the first byte to the last: one lost or too many changes all that follow",
                "fetch or export the file again, or correct `encoding` of its shape in the source contract",
            ) from error
        lines = held + plain
        cut = len(lines.rstrip(undecided)) if block else len(lines)
        held, lines = lines[cut:], lines[:cut]
        if len(held) > _BLANKS_MAX:
            raise UserError(
                f"file {source_file}",
                f"more than {_BLANKS_MAX:,} empty lines, blanks or delimiters in a row",
                "an export of measurements",
                "look at the file; export it again",
            )
        lines = lines.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        while b"\n" + _BYTE_ORDER_MARK in lines:
            lines = lines.replace(b"\n" + _BYTE_ORDER_MARK, b"\n")
        while b"\n\n" in lines:
            lines = lines.replace(b"\n\n", b"\n" + mark + b"\n")
        for before, after in oversights:
            lines = lines.replace(before + after, before + mark + after)
            if not block and after == b"\n" and lines.endswith(before):
                lines += mark
        if lines:
            target.write(lines[skipped:])
            n_lines += lines.count(b"\n") - skipped
            is_ended, skipped = lines.endswith(b"\n"), 0
        if not block:
            return n_lines + (not is_ended)


def _count_plain_lines(path: Path, oversights: Sequence[tuple[bytes, bytes]]) -> int | None:
    """The number of lines of a text that is plain as it lies, and None for one that is not."""
    signs = [b"\r", b"\n\n", b"\n" + _BYTE_ORDER_MARK, *(before + after for before, after in oversights)]
    n_overlap = max(map(len, signs)) - 1
    last, n_lines = b"\n", 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            text = last + block
            if any(sign in text for sign in signs):
                return None
            n_lines += block.count(b"\n")
            last = text[-n_overlap:]
    if any(after == b"\n" and last.endswith(before) for before, after in oversights):
        return None
    return n_lines + (not last.endswith(b"\n"))


def read_header(source_file: str, path: Path, shape: Shape) -> tuple[list[str], int]:
    """The header's texts, and how many lines it takes."""
    try:
        # Rows below may hold bytes that do not decode; they are for the quarantine, not for the header.
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
            start = io.StringIO(text.read(RECORD_BYTES_MAX), newline="")
            reader = csv.reader(
                start,
                delimiter=shape.delimiter,
                quotechar=shape.quote or None,
                quoting=csv.QUOTE_MINIMAL if shape.quote else csv.QUOTE_NONE,
                strict=True,
            )
            header = [field.replace(MARK, "") for field in next(reader, [])]
    except csv.Error as error:
        raise UserError(
            f"file {source_file}, row 1",
            str(error),
            f"a header row delimited by {shape.delimiter!r}",
            "export the file again, or correct its shape in the source contract",
        ) from error
    if not any(text.strip() for text in header):
        raise UserError(
            f"file {source_file}, row 1", "nothing", "a header row, then measurements", "export the file again"
        )
    if any("\n" in text and text.count(shape.delimiter) >= len(header) - 1 > 0 for text in header):
        raise _swallowing(source_file, 1, reader.line_num - 1)
    return header, reader.line_num
