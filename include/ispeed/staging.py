"""Staging: every record of every landed file, typed as the source contract says, with its file and row number."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ispeed.contracts import COLUMNS, Contract, Shape, read_contract
from ispeed.engine import Engine, open_engine
from ispeed.errors import UserError
from ispeed.lake import month_lock, replaced_folder, write_json
from ispeed.landing import LandedFile, Landing, read_landing
from ispeed.months import Month
from ispeed.settings import INCLUDE, Settings

log = logging.getLogger(__name__)

LOCAL_ZONE = "Asia/Ho_Chi_Minh"
_RECORD_BYTES_MAX = 2_000_000


def stage(settings: Settings, month: Month) -> dict[str, Any]:
    """Write `staging/month=…/`: one Parquet file per export file, and `staging.json`.

    Returns rows per file and the headers that the contract does not declare. Raises `UserError` where a file cannot
    be read as the contract says.
    """
    contract = read_contract(settings.source)
    landing = read_landing(settings, month)
    rows: dict[str, int] = {}
    undeclared: dict[str, list[str]] = {}
    with (
        month_lock(settings, month),
        replaced_folder(settings.lake_of("staging", month)) as folder,
        open_engine() as engine,
    ):
        for number, file in enumerate(landing.files):
            headers = _stage_file(engine, settings, month, contract, file)
            if headers:
                log.warning("%s: headers that the source contract does not declare: %s", file.source_file, headers)
            undeclared[file.source_file] = headers
            engine.write_parquet(
                "select * from staging_measurement order by row_number", folder / f"{number:05}.parquet"
            )
            rows[file.source_file] = engine.value("select count(*) from staging_measurement")
        step = {"n_rows": rows, "undeclared_headers": undeclared, "inputs": staging_inputs(contract, landing)}
        write_json(folder / "staging.json", step)
    return step


def staging_inputs(contract: Contract, landing: Landing) -> dict[str, Any]:
    """What staging was made from; another answer later means that it must be made again."""
    return {
        "files": [[file.source_file, file.sha256] for file in landing.files],
        "contract": contract.fingerprint,
        "is_sample": landing.is_sample,
    }


def read_records(engine: Engine, settings: Settings, month: Month, contract: Contract, file: LandedFile) -> list[str]:
    """Make one landed file the relation `source_record`: its fields as text, numbered.

    Returns the headers that the contract does not declare. Raises `UserError` where the header row cannot be read or
    lacks a required column.
    """
    shape = contract.shape_of(file.source_file)
    with _utf8_copy(file, file.path(settings, month), shape) as (path, compression):
        found = _read_header(file.source_file, path, compression, shape)
        columns = contract.match_headers(file.source_file, found)
        names = [column or f"undeclared {place}" for place, column in enumerate(columns)]
        engine.run("drop table if exists reject_errors; drop table if exists reject_scans")
        engine.run(
            "create or replace table read_text as select row_number() over () as place, * from read_csv($path, "
            "header = false, skip = 1, auto_detect = false, delim = $delimiter, quote = $quote, escape = $quote, "
            "columns = $columns, nullstr = $missing, compression = $compression, strict_mode = true, "
            "store_rejects = true, rejects_limit = 0, max_line_size = $max_line_size)",
            {
                "path": str(path),
                "delimiter": shape.delimiter,
                "quote": shape.quote,
                "columns": dict.fromkeys(names, "VARCHAR"),
                "missing": list(contract.missing) or [""],
                "compression": compression,
                "max_line_size": _RECORD_BYTES_MAX,
            },
        )
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
    engine.create("source_record", "staging/source_record.sql")
    return [
        text for text, column in zip(found, columns, strict=True) if column is None and text not in contract.ignored
    ]


def _stage_file(engine: Engine, settings: Settings, month: Month, contract: Contract, file: LandedFile) -> list[str]:
    undeclared = read_records(engine, settings, month, contract, file)
    engine.run((INCLUDE / "sql" / "staging" / "macros.sql").read_text(encoding="utf-8"))
    engine.add_rows(
        "value_map",
        {"column_name": "text", "found": "text", "value": "text"},
        [(column, found, value) for column, values in contract.values.items() for found, value in values.items()],
    )
    shape = contract.shape_of(file.source_file)
    engine.create(
        "staging_measurement",
        "staging/staging_measurement.sql",
        {
            "source_file": file.source_file,
            "received_at": datetime.fromisoformat(file.received_at)
            .astimezone(ZoneInfo(LOCAL_ZONE))
            .replace(tzinfo=None),
            "zone": contract.timezone,
            "local_zone": LOCAL_ZONE,
            "timestamp_formats": list(shape.timestamp_formats),
            "device_key": settings.device_key,
            "decimal": shape.decimal,
            "thousands": shape.thousands,
        },
    )
    return undeclared


@contextmanager
def _utf8_copy(file: LandedFile, path: Path, shape: Shape) -> Iterator[tuple[Path, str]]:
    """The file in an encoding that the parser reads, and its compression; bytes that do not decode are told."""
    compression = "gzip" if file.source_file.lower().endswith(".gz") else "none"
    if shape.encoding.lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig"):
        yield path, compression
        return
    with tempfile.TemporaryDirectory(prefix="ispeed-") as folder:
        copy = Path(folder) / "utf8.csv"
        opened = gzip.open(path) if compression == "gzip" else open(path, "rb")
        try:
            with opened as source, open(copy, "w", encoding="utf-8", newline="") as target:
                for text in io.TextIOWrapper(source, encoding=shape.encoding, newline=""):
                    target.write(text)
        except UnicodeDecodeError as error:
            raise UserError(
                f"file {file.source_file}, byte {error.start}",
                f"bytes that are not {shape.encoding}: {error.reason}",
                f"text in {shape.encoding}, as the source contract declares",
                "correct the encoding in the source contract, or export the file again",
            ) from error
        yield copy, "none"


def _read_header(source_file: str, path: Path, compression: str, shape: Shape) -> list[str]:
    opened = gzip.open(path) if compression == "gzip" else open(path, "rb")
    try:
        with opened as source:
            # Rows below may hold bytes that do not decode; they are for the quarantine, not for the header.
            text = io.TextIOWrapper(source, encoding="utf-8-sig", errors="replace", newline="")
            header = next(csv.reader(text, delimiter=shape.delimiter, quotechar=shape.quote), [])
    except (gzip.BadGzipFile, EOFError, csv.Error) as error:
        raise UserError(
            f"file {source_file}, row 1",
            f"not readable as {shape.encoding} text: {error}",
            f"a header row in {shape.encoding}, delimited by {shape.delimiter!r}",
            "export the file again, or correct its shape in the source contract",
        ) from error
    if not any(header):
        raise UserError(f"file {source_file}", "it is empty", "a header row and measurements", "export the file again")
    return header
