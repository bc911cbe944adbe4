"""Staging: every record of every landed file, typed as the source contract says, with its file and row number."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ispeed.child import reading_process
from ispeed.contracts import COLUMNS, UNITS, Contract, read_contract, timestamp_pattern
from ispeed.engine import DuckDB, open_engine
from ispeed.lake import month_lock, replaced_folder, write_json
from ispeed.landing import LandedFile, Landing, read_landing
from ispeed.months import Month
from ispeed.policy import TECHNOLOGY_NETWORK
from ispeed.records import Headers, read_records
from ispeed.settings import Settings
from ispeed.text import fold

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
            headers, n_rows = process.call(
                file.source_file, _stage_file, settings, month, contract, file, new / f"{number:05}.parquet"
            )
            files[file.source_file] = {"n_rows": n_rows, **asdict(headers)}
            if headers.undeclared:
                log.warning(
                    "%s: columns that no header of the contract means: %s", file.source_file, headers.undeclared
                )
            if headers.absent:
                log.warning("%s: columns that are not in the file: %s", file.source_file, headers.absent)
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
        "is_sample": landing.is_sample,
    }


def _stage_file(
    settings: Settings, month: Month, contract: Contract, file: LandedFile, path: Path
) -> tuple[Headers, int]:
    with open_engine(settings.read_memory_bytes // 2) as engine:
        headers = _read_measurements(engine, settings, month, contract, file)
        engine.write_parquet("select * from staging_measurement order by row_number", path)
        return headers, engine.value("select count(*) from staging_measurement")


def _read_measurements(
    engine: DuckDB, settings: Settings, month: Month, contract: Contract, file: LandedFile
) -> Headers:
    headers = read_records(engine, settings, month, contract, file)
    _map_values(engine, contract)
    shape = contract.shape_of(file.source_file)
    received = datetime.fromisoformat(file.received_at).astimezone(ZoneInfo(LOCAL_ZONE)).replace(tzinfo=None)
    engine.create(
        "staging_measurement",
        "staging/staging_measurement.sql",
        {
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
        },
    )
    return headers


def _map_values(engine: DuckDB, contract: Contract) -> None:
    """Give texts of `source_record` the value that the contract says they mean; a technology's own name in any case."""
    technologies = {fold(name): name for name in TECHNOLOGY_NETWORK} | dict(contract.values.get("technology", {}))
    for column, meanings in ({**contract.values, "technology": technologies}).items():
        # Whoever sends a file decides how many texts there are: they are looked at in parts, and few are kept.
        found = [
            (raw, meanings[fold(text)])
            for batch in engine.batches(f"select distinct {column}, clean_text({column}, []) from source_record")
            for raw, text in batch
            if text is not None and meanings.get(fold(text), raw) != raw
        ]
        if found:
            engine.add_rows("value_map", {"found": "text", "value": "text"}, found)
            engine.run(
                f"update source_record set {column} = value_map.value from value_map "
                f"where source_record.{column} = value_map.found"
            )
