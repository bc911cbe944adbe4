"""Delimited text: csv of any declared delimiter, quote and encoding, parsed by DuckDB."""

from __future__ import annotations

import codecs
import csv
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import duckdb

from ispeed.archives import Readable, is_packed, opened
from ispeed.contracts import COLUMNS, Contract, Shape
from ispeed.engine import Engine
from ispeed.errors import UserError
from ispeed.landing import LandedFile
from ispeed.months import Month
from ispeed.records.headers import Headers, check_columns, check_rows, describe_headers
from ispeed.settings import Settings

# Stands for an empty line, which DuckDB would skip without counting it; it is taken out again after numbering.
EMPTY_LINE = "\x1e"
RECORD_BYTES_MAX = 2_000_000
_BLOCK_BYTES = 1 << 20
_UNDECODED = "ispeed-undecoded"
codecs.register_error(_UNDECODED, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]


def read_delimited(engine: Engine, settings: Settings, month: Month, contract: Contract, file: LandedFile) -> Headers:
    """Make a csv file the relation `source_record`, numbered by record (header = 1).

    Raises `UserError` where the file is damaged, its header row lacks a required column, or a quote that never closes
    took in the records behind it.
    """
    shape = contract.shape_of(file.source_file)
    with plain_text(settings, month, file, shape.encoding) as path:
        found = _read_header(file.source_file, path, shape)
        check_columns(settings, file.source_file, len(found))
        columns = contract.match_headers(file.source_file, found, month)
        names = [column or f"undeclared {place}" for place, column in enumerate(columns)]
        engine.run("drop table if exists reject_errors; drop table if exists reject_scans")
        try:
            engine.run(
                "create or replace table read_text as select row_number() over () as place, * from read_csv($path, "
                "header = false, skip = 1, auto_detect = false, delim = $delimiter, quote = $quote, escape = $quote, "
                "columns = $columns, strict_mode = true, store_rejects = true, rejects_limit = 0, "
                "max_line_size = $max_line_size)",
                {
                    "path": str(path),
                    "delimiter": shape.delimiter,
                    "quote": shape.quote,
                    "columns": dict.fromkeys(names, "VARCHAR"),
                    "max_line_size": RECORD_BYTES_MAX,
                },
            )
        except duckdb.Error as error:
            raise UserError(
                f"file {file.source_file}",
                str(error).splitlines()[0],
                f"records delimited by {shape.delimiter!r}, quoted by {shape.quote!r}",
                "export the file again, or correct its shape in the source contract",
            ) from error
    _refuse_open_quotes(engine, file.source_file)
    check_rows(settings, file.source_file, engine.value("select count(*) from read_text"))
    present = [name for name in COLUMNS if name in names]
    absent = [name for name in COLUMNS if name not in names]
    engine.run(
        "create or replace table source_text as select place"
        + "".join(f", {name}" for name in present)
        + "".join(f", cast(null as varchar) as {name}" for name in absent)
        + " from read_text"
    )
    for column, constant in contract.constants.items():
        engine.run(f"update source_text set {column} = ?", [constant])
    engine.run("create or replace table source_reject as select line, csv_line, error_message from reject_errors")
    engine.create("source_record", "staging/source_record.sql", {"empty_line": EMPTY_LINE, "header_rows": 1})
    return describe_headers(contract, found, columns)


def _refuse_open_quotes(engine: Engine, source_file: str) -> None:
    """A quote that never closes takes every record behind it into one: they would be lost without a word."""
    swallowed = engine.rows(
        "select line, csv_line from reject_errors where error_type = 'UNQUOTED VALUE' "
        "and contains(rtrim(csv_line, chr(10)), chr(10)) order by line limit 1"
    )
    for row in swallowed:
        n_lines = row["csv_line"].rstrip("\n").count("\n")
        raise UserError(
            f"file {source_file}, row {row['line']}",
            f"a quote that opens and does not close; it takes in the {n_lines} lines behind it",
            "a closing quote in the same record",
            "correct that record in the file, or export it again",
        )


@contextmanager
def plain_text(
    settings: Settings, month: Month, file: LandedFile, encoding: str, mark_empty_lines: bool = True
) -> Iterator[Path]:
    """The file as UTF-8 with LF line ends and empty lines marked: as it lies where it is so, else a copy."""
    is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    path = file.path(settings, month)
    if is_utf8 and not is_packed(file) and _is_plain(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="ispeed-") as folder:
        copy = Path(folder) / "plain.csv"
        with opened(settings, month, file) as source, copy.open("wb") as target:
            _copy_plain(source, target, None if is_utf8 else encoding, EMPTY_LINE if mark_empty_lines else " ")
        yield copy


def _copy_plain(source: Readable, target: BinaryIO, encoding: str | None, mark: str) -> None:
    # Bytes that do not decode become one that is not UTF-8 either, and so cost their record and no other.
    decoder = codecs.getincrementaldecoder(encoding)(errors=_UNDECODED) if encoding else None
    empty_line = b"\n" + mark.encode() + b"\n"
    held, is_start = b"", True
    while True:
        block = source.read(_BLOCK_BYTES)
        plain = decoder.decode(block, final=not block).encode("utf-8", "surrogateescape") if decoder else block
        lines = (held + plain).replace(b"\r\n", b"\n")
        # What the next block may still change is held back: a CR whose LF is to come, line ends that pile up.
        cut = len(lines) if not block else len(lines.rstrip(b"\r\n"))
        held = lines[cut:]
        lines = lines[:cut].replace(b"\r", b"\n")
        while b"\n\n" in lines:
            lines = lines.replace(b"\n\n", empty_line)
        if is_start and lines.startswith(b"\n"):
            lines = empty_line[1:-1] + lines
        is_start = is_start and not lines
        target.write(lines)
        if not block:
            return


def _is_plain(path: Path) -> bool:
    last = b"\n"
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            if b"\r" in block or b"\n\n" in last + block:
                return False
            last = block[-1:]
    return True


def _read_header(source_file: str, path: Path, shape: Shape) -> list[str]:
    try:
        # Rows below may hold bytes that do not decode; they are for the quarantine, not for the header.
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
            start = io.StringIO(text.read(RECORD_BYTES_MAX))
            header = next(csv.reader(start, delimiter=shape.delimiter, quotechar=shape.quote), [])
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
    return header
