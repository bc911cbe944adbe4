"""The plain rows of a csv, read by many threads and typed while they are parsed; what is not plain is left over.

To read every field as text, trim it, normalise it and ask what it may mean takes ten times as long as to parse it.
Nearly all lines of an export need none of that, and `ispeed.records.lines` can tell which ones do: those are left to
the exact reader. Both ways give the same rows (tests/hostile/test_plain_rows.py).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np

from ispeed.archives import unpacked_path
from ispeed.contracts import COLUMNS, UNITS, Contract, Shape
from ispeed.engine import AS_LARGE_PARQUET, DuckDB
from ispeed.landing import LandedFile
from ispeed.months import LOCAL_ZONE, Month
from ispeed.records import Headers
from ispeed.records.delimited import read_header
from ispeed.records.headers import check_columns, check_rows, describe_headers
from ispeed.records.lines import RECORD_BYTES_MAX, Lines, Marks, Places, read_lines
from ispeed.settings import INCLUDE, Settings
from ispeed.value_maps import value_pairs

_FIGURES: Final = ("latitude", "longitude", *(name for name in COLUMNS if name.rpartition("_")[2] in UNITS))
_MAPPED: Final = (
    *("referral_code", "province_code", "district_code", "district_name"),
    *("commune_code", "commune_name", "operator", "technology", "os", "device_model", "app_version"),
)
# Parts that strptime reads and strftime writes with the same number of digits.
_TIMESTAMP: Final = re.compile(r"(%[dmYHMS]|[^%A-Za-z0-9])+")
# Beyond this many odd lines all of a file is read exactly. They are held as Python's numbers.
_ODD_SHARE_MAX, _ODD_ALWAYS, _ODD_MAX = 0.2, 1_000, 1_000_000
_BLOCK: Final = 64  # as line_block.sql has it


@dataclass(frozen=True)
class PlainRows:
    """What became of a file: rows written, those among them that the exact reader read."""

    headers: Headers
    n_rows: int
    n_left: int


def may_be_plain(contract: Contract, shape: Shape) -> bool:
    """Whether the contract lets a file of this shape be read so: csv in UTF-8, one way to write times, no constants."""
    return (
        shape.format == "csv"
        and codecs.lookup(shape.encoding).name in ("utf-8", "utf-8-sig")
        and not shape.thousands
        and not contract.constants
        and len(shape.timestamp_formats) == 1
        and _TIMESTAMP.fullmatch(shape.timestamp_formats[0]) is not None
        and contract.timezone == LOCAL_ZONE
        and contract.values.keys() <= set(_MAPPED)
    )


def write_plain_rows(
    engine: DuckDB,
    settings: Settings,
    month: Month,
    contract: Contract,
    file: LandedFile,
    parameters: Mapping[str, Any],
    read_left: Callable[[Places], Any],
    target: Path,
) -> PlainRows | None:
    """Write the rows of a file to `target`; `parameters` are those of staging_measurement.sql.

    `read_left` makes `staging_measurement` of the lines that are not plain, read exactly. None, and nothing written,
    where not each line is a record, or too many are not plain. Raises `UserError` where a required column is missing
    or a bound is passed.
    """
    shape = contract.shape_of(file.source_file)
    with unpacked_path(settings, month, file) as path:
        found, n_header_lines = read_header(file.source_file, path, shape)
        check_columns(settings, file.source_file, len(found))
        columns = contract.match_headers(file.source_file, found, month)
        marks = Marks.of(shape.delimiter, shape.quote, contract.missing, settings.field_bytes_max)
        lines = read_lines(path, marks, len(found)) if n_header_lines == 1 else None
        if lines is None or _are_too_many(len(lines.odd), lines.n_lines):
            return None
        check_rows(settings, file.source_file, lines.n_lines - 1)
        records = target.with_suffix(".records")
        try:
            _parse(engine, contract, shape, path, columns, parameters, records)
            _map_values(engine, contract, records)
            left = _number(engine, lines)
            if left is None or _are_too_many(len(left), lines.n_lines):
                return None
            read_left(left)
            n_rows = _write(engine, left, parameters, target)
        except duckdb.InvalidInputException:
            # The parser lost its way in a quote: the exact reader will find where, and say so.
            return None
        finally:
            records.unlink(missing_ok=True)
    return PlainRows(describe_headers(contract, found, columns), n_rows, len(left))


def _parse(
    engine: DuckDB,
    contract: Contract,
    shape: Shape,
    path: Path,
    columns: Sequence[str | None],
    parameters: Mapping[str, Any],
    records: Path,
) -> None:
    """Write the records that fit their types to `records`, in the file's order, and the others to reject_errors."""
    names = [column or f"undeclared {place}" for place, column in enumerate(columns)]
    types = {name: "DOUBLE" if name in _FIGURES else "VARCHAR" for name in names}
    fields = ", ".join(
        name if name in names else f"cast(null as {'double' if name in _FIGURES else 'varchar'}) as {name}"
        for name in COLUMNS
    )
    sql = (INCLUDE / "sql" / "staging" / "plain_record.sql").read_text(encoding="utf-8")
    statement = (
        f"copy (with plain_text as (select {fields} from read_csv($path, header = false, skip = 1, "
        "auto_detect = false, delim = $delimiter, quote = $quote, escape = $quote, columns = $columns, "
        "nullstr = $missing_texts, decimal_separator = $decimal, strict_mode = true, "
        "store_rejects = true, rejects_limit = 0, max_line_size = $max_line_size)) "
        f"select * from ({sql}) as record) to $records {AS_LARGE_PARQUET}"
    )
    values = {
        **{name: parameters[name] for name in ("device_key", "missing_figures", "times", "per", "decimal")},
        "path": str(path),
        "records": str(records),
        "delimiter": shape.delimiter,
        "quote": shape.quote,
        "columns": types,
        "missing_texts": ["", *(text for text in contract.missing if text)],
        "max_line_size": RECORD_BYTES_MAX,
        "timestamp_format": shape.timestamp_formats[0],
    }
    engine.run("drop table if exists reject_errors; drop table if exists reject_scans")
    engine.run(statement, values)


def _map_values(engine: DuckDB, contract: Contract, records: Path) -> None:
    """Make `plain_record`, with the values that the contract says its texts mean."""
    engine.read_numbered_parquet("parsed_record", records)
    replaced, joined = [], []
    for column, pairs in value_pairs(engine, contract, "parsed_record", _MAPPED).items():
        engine.add_rows(f"meaning_of_{column}", {"found": "text", "value": "text"}, pairs)
        replaced.append(f"coalesce(meaning_of_{column}.value, parsed_record.{column}) as {column}")
        joined.append(f"left join meaning_of_{column} on meaning_of_{column}.found = parsed_record.{column}")
    all_columns = f"parsed_record.* replace ({', '.join(replaced)})" if replaced else "parsed_record.*"
    engine.run(f"create or replace view plain_record as select {all_columns} from parsed_record {' '.join(joined)}")


def _number(engine: DuckDB, lines: Lines) -> Places | None:
    """Make `numbered_record`. Returns the lines left to the exact reader; None where a line is in no record."""
    if _are_too_many(engine.value("select count(distinct line) from reject_errors"), lines.n_lines):
        return None
    rejects = engine.rows("select line, list(error_type) as errors from reject_errors group by line")
    rejected = np.array(sorted(row["line"] for row in rejects), dtype=np.int64)
    skipped = np.union1d(rejected, lines.empty)
    n_records: int = engine.value("select count(*) from parsed_record")
    if n_records + len(skipped) != lines.n_lines - 1:
        return None
    places = skipped - 2 - np.arange(len(skipped))
    engine.add_rows("skipped_line", {"place": "integer"}, [(place,) for place in places.tolist()])
    engine.create("line_block", "staging/line_block.sql", {"n_blocks": n_records // _BLOCK + 1})
    engine.view("numbered_record", "staging/numbered_record.sql")
    if _are_too_many(engine.value("select count(*) from plain_record where not is_plain"), lines.n_lines):
        return None
    not_plain = [row["row_number"] for row in engine.rows("select row_number from numbered_record where not is_plain")]
    fragments = [row["line"] for row in rejects if {"MISSING COLUMNS", "TOO MANY COLUMNS"} & set(row["errors"])]
    empty = set(lines.empty.tolist())
    beside = [number for line in fragments for number in _beside(line, empty, lines.n_lines)]
    left = np.unique(np.concatenate((rejected, lines.odd, np.array([*not_plain, *beside], dtype=np.int64))))
    return left[(left > 1) & ~np.isin(left, lines.empty)]


def _beside(line: int, empty: Collection[int], n_lines: int) -> list[int]:
    """The lines before and behind one that may be a piece of them; an empty one is no piece of anything."""
    before, behind = line - 1, line + 1
    while before in empty:
        before -= 1
    while behind in empty:
        behind += 1
    return [number for number in (before, behind) if 1 < number <= n_lines]


def _write(engine: DuckDB, left: Places, parameters: Mapping[str, Any], target: Path) -> int:
    engine.add_rows("left_line", {"number": "integer"}, [(number,) for number in left.tolist()])
    sql = (INCLUDE / "sql" / "staging" / "plain_measurement.sql").read_text(encoding="utf-8")
    engine.run(
        f"copy (select * from ({sql}) as plain union all by name select * from staging_measurement) to $target "
        f"{AS_LARGE_PARQUET}",
        {"target": str(target), "source_file": parameters["source_file"], "received_at": parameters["received_at"]},
    )
    engine.read_parquet("written", target)
    n_rows: int = engine.value("select count(*) from written")
    return n_rows


def _are_too_many(n_odd: int, n_lines: int) -> bool:
    return n_odd > min(max(_ODD_SHARE_MAX * n_lines, _ODD_ALWAYS), _ODD_MAX)
