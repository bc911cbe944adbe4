"""Staging: every record of every landed file, typed as the source contract says, with its file and row number."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from ispeed.child import reading_process
from ispeed.contracts import COLUMNS, UNITS, Contract, read_contract, timestamp_pattern
from ispeed.engine import DuckDB, open_engine
from ispeed.lake import month_lock, replaced_folder, write_json
from ispeed.landing import LandedFile, Landing, read_landing
from ispeed.months import Month
from ispeed.plain_rows import may_be_plain, write_plain_rows
from ispeed.records import Headers, define_macros, read_records
from ispeed.records.lines import Places
from ispeed.settings import Settings
from ispeed.value_maps import value_pairs

log = logging.getLogger(__name__)

LOCAL_ZONE = "Asia/Ho_Chi_Minh"
# Columns whose unit a contract may declare.
_FIGURES = tuple(column for column in COLUMNS if column.rpartition("_")[2] in UNITS)


def stage(settings: Settings, month: Month) -> dict[str, Any]:
    """Write `staging/month=…/`: one Parquet file per export file, and `staging.json`.

    Returns rows per file, and headers that the contract does not declare or the file does not have. Raises
    `UserError` where a file cannot be read as the contract says.
    """
    contract = read_contract(settings.source)
    landing = read_landing(settings, month)
    files: dict[str, dict[str, Any]] = {}
    folder = settings.lake_of("staging", month)
    with month_lock(settings, month), replaced_folder(folder) as new, reading_process(settings) as process:
        for number, file in enumerate(landing.sources(settings, month)):
            staged = process.call(
                file.source_file, _stage_file, settings, month, contract, file, new / f"{number:05}.parquet"
            )
            files[file.source_file] = asdict(staged)
            if staged.undeclared:
                log.warning("%s: columns that no header of the contract means: %s", file.source_file, staged.undeclared)
            if staged.absent:
                log.warning("%s: columns that are not in the file: %s", file.source_file, staged.absent)
        if contract.constants:
            log.warning("the same in every row, since the source contract says so: %s", dict(contract.constants))
        step = {"files": files, "constants": dict(contract.constants), "inputs": staging_inputs(contract, landing)}
        write_json(new / "staging.json", step)
    return files


def staging_inputs(contract: Contract, landing: Landing) -> dict[str, Any]:
    """What staging was made from; another answer later means that it must be made again."""
    return {
        "files": [[file.source_file, file.sha256] for file in landing.files],
        "contract": contract.fingerprint,
        # Its hashes of measurements are the same within a version only.
        "duckdb": duckdb.__version__,
        "is_sample": landing.is_sample,
    }


@dataclass(frozen=True)
class _StagedFile:
    """What is noted of a file. `is_by_line`: each line is a record, so that a row's number is that of its line."""

    n_rows: int
    undeclared: tuple[str, ...]
    absent: tuple[str, ...]
    is_by_line: bool


def _stage_file(settings: Settings, month: Month, contract: Contract, file: LandedFile, path: Path) -> _StagedFile:
    """Write the rows of one file to `path`."""
    with open_engine(settings.read_memory_bytes // 2) as engine:
        parameters = _parameters_of(settings, contract, file)

        def read_exactly(lines: Places | None = None) -> Headers:
            return _read_measurements(engine, settings, month, contract, file, parameters, lines)

        if may_be_plain(contract, contract.shape_of(file.source_file)):
            define_macros(engine)
            plain = write_plain_rows(engine, settings, month, contract, file, parameters, read_exactly, path)
            if plain is not None:
                return _StagedFile(plain.n_rows, plain.headers.undeclared, plain.headers.absent, is_by_line=True)
        headers = read_exactly()
        engine.write_parquet("select * from staging_measurement order by row_number", path)
        n_rows = engine.value("select count(*) from staging_measurement")
        return _StagedFile(n_rows, headers.undeclared, headers.absent, is_by_line=False)


def _read_measurements(
    engine: DuckDB,
    settings: Settings,
    month: Month,
    contract: Contract,
    file: LandedFile,
    parameters: Mapping[str, Any],
    lines: Places | None,
) -> Headers:
    """Make `staging_measurement` of a file's records, or of these lines of it."""
    headers = read_records(engine, settings, month, contract, file, lines=lines)
    for column, pairs in value_pairs(engine, contract, "source_record", COLUMNS).items():
        engine.add_rows("value_map", {"found": "text", "value": "text"}, pairs)
        engine.run(
            f"update source_record set {column} = value_map.value from value_map "
            f"where source_record.{column} = value_map.found"
        )
    engine.create("staging_measurement", "staging/staging_measurement.sql", parameters)
    return headers


def _parameters_of(settings: Settings, contract: Contract, file: LandedFile) -> dict[str, Any]:
    shape = contract.shape_of(file.source_file)
    received = datetime.fromisoformat(file.received_at).astimezone(ZoneInfo(LOCAL_ZONE)).replace(tzinfo=None)
    return {
        "source_file": file.source_file,
        "received_at": received,
        "zone": contract.timezone,
        "local_zone": LOCAL_ZONE,
        "timestamp_formats": list(shape.timestamp_formats),
        "timestamp_pattern": "|".join(map(timestamp_pattern, shape.timestamp_formats)),
        "missing": list(contract.missing),
        "missing_figures": list(contract.missing_figures),
        "times": {column: float(contract.unit_of(column)[0]) for column in _FIGURES},
        "per": {column: float(contract.unit_of(column)[1]) for column in _FIGURES},
        "device_key": settings.device_key,
        "decimal": shape.decimal,
        "thousands": shape.thousands,
    }
