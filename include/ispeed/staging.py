"""Staging: every record of every landed file, typed as the source contract says, with its file and row number."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ispeed.child import reading_process
from ispeed.contracts import COLUMNS, UNITS, Contract, read_contract
from ispeed.engine import Engine, open_engine
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
        step = {"files": files, "inputs": staging_inputs(contract, landing)}
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
    engine: Engine, settings: Settings, month: Month, contract: Contract, file: LandedFile
) -> Headers:
    headers = read_records(engine, settings, month, contract, file)
    engine.add_rows("value_map", {"found": "text", "value": "text"}, list(_technologies(contract).items()))
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
            "timestamp_pattern": "|".join(map(_pattern_of, shape.timestamp_formats)),
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


def _technologies(contract: Contract) -> dict[str, str]:
    """Each technology by its folded spelling: its own name in any case, and what the contract declares."""
    return {fold(name): name for name in TECHNOLOGY_NETWORK} | dict(contract.values.get("technology", {}))


def _pattern_of(timestamp_format: str) -> str:
    """A format's regular expression: strptime alone would also take 1/10/24 for %d/%m/%Y."""
    digits = {"%d": 2, "%m": 2, "%Y": 4, "%y": 2, "%H": 2, "%I": 2, "%M": 2, "%S": 2, "%j": 3}
    parts = re.split(r"(%.)", timestamp_format)
    return "".join(
        f"[0-9]{{{digits[part]}}}" if part in digits else ".+" if part.startswith("%") else re.escape(part)
        for part in parts
    )
