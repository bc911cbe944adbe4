"""The records of one landed file as the relation `source_record`: text fields, numbered as a person finds them."""

from __future__ import annotations

from ispeed.contracts import COLUMNS, Contract
from ispeed.engine import Engine
from ispeed.errors import UserError
from ispeed.landing import LandedFile
from ispeed.months import Month
from ispeed.records.delimited import read_delimited
from ispeed.records.headers import Headers
from ispeed.records.lines import Places
from ispeed.records.json_text import read_json, read_json_lines
from ispeed.records.parquet import read_parquet
from ispeed.records.sheet import read_sheet
from ispeed.settings import INCLUDE, Settings

__all__ = ["Headers", "define_macros", "read_records"]

_READERS = {
    "csv": read_delimited,
    "xlsx": read_sheet,
    "json": read_json,
    "jsonl": read_json_lines,
    "parquet": read_parquet,
}


def read_records(
    engine: Engine,
    settings: Settings,
    month: Month,
    contract: Contract,
    file: LandedFile,
    *,
    with_undeclared: bool = False,
    lines: Places | None = None,
) -> Headers:
    """Make one landed file, or one member of an archive, the relation `source_record`.

    Its columns are `row_number`, `reject_text` and `reject_message` of records that cannot be read, every column of
    ours as text, and, on request only, `undeclared_text`: what stands in all other columns, as a JSON object. With
    `lines`, of a csv in which each line is a record, only these are read. Raises `UserError` where the file is damaged, beyond a bound, or lacks a required column.
    """
    if file.n_bytes > settings.file_bytes_max:
        raise UserError(
            f"file {file.source_file}",
            f"{file.n_bytes:,} bytes",
            f"at most {settings.file_bytes_max:,}, the setting ISPEED_FILE_BYTES_MAX",
            "split the export, or raise the setting",
        )
    shape = contract.shape_of(file.source_file)
    define_macros(engine)
    try:
        if lines is None:
            headers = _READERS[shape.format](engine, settings, month, contract, file, with_undeclared)
        else:
            headers = read_delimited(engine, settings, month, contract, file, with_undeclared, lines)
    except UnicodeError as error:
        # Of a codec that gives up on a whole file, and of DuckDB's own messages that quote a byte as it is.
        raise UserError(
            f"file {file.source_file}",
            f"bytes that are no text in {shape.encoding}: {error}",
            f"text in {shape.encoding}, as the source contract declares",
            "correct `encoding` of the shape in the source contract, or export the file again",
        ) from error
    _reject_long_fields(engine, settings)
    return headers


def define_macros(engine: Engine) -> None:
    """Make what staging's SQL calls on known to the engine."""
    engine.run((INCLUDE / "sql" / "staging" / "macros.sql").read_text(encoding="utf-8"))


def _reject_long_fields(engine: Engine, settings: Settings) -> None:
    too_long = " or ".join(f"strlen({column}) > $bytes_max" for column in COLUMNS)
    engine.run(
        f"update source_record set reject_message = $message where reject_message is null and ({too_long})",
        {
            "bytes_max": settings.field_bytes_max,
            "message": f"a field of more than {settings.field_bytes_max:,} bytes (setting ISPEED_FIELD_BYTES_MAX)",
        },
    )
