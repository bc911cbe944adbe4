"""Staging: every record of every landed file, typed as the source contract says, with its file and row number."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from ispeed.child import reading_process
from ispeed.contracts import COLUMNS, UNITS, Contract, read_contract, timestamp_pattern
from ispeed.engine import DuckDB, open_engine
from ispeed.errors import UserError
from ispeed.lake import month_lock, replaced_folder, sync_folder, write_file, write_json
from ispeed.landing import LandedFile, Landing, read_landing
from ispeed.months import LOCAL_ZONE, Month
from ispeed.plain_rows import may_be_plain, write_plain_rows
from ispeed.records import Headers, define_macros, read_records
from ispeed.records.lines import Places
from ispeed.rules import rules_fingerprint, sha256_of
from ispeed.settings import Settings
from ispeed.value_maps import value_pairs

log = logging.getLogger(__name__)

# What one task of a run reads: see `deal_out_files`.
Group = dict[str, Any]

# What the start of a file costs, as bytes that could be read meanwhile.
_START_BYTES = 2_000_000
# Columns whose unit a contract may declare.
_FIGURES = tuple(column for column in COLUMNS if column.rpartition("_")[2] in UNITS)


def stage(settings: Settings, month: Month) -> dict[str, Any]:
    """Write `staging/month=…/`: one Parquet file per export file, and `staging.json`.

    Returns rows per file, and headers that the contract does not declare or the file does not have. Raises
    `UserError` where a file cannot be read as the contract says. The tasks of a run do the same in three steps.
    """
    for group in deal_out_files(replace(settings, stage_tasks=1), month):
        stage_files(settings, month, group)
    return finish_staging(settings, month)


def deal_out_files(settings: Settings, month: Month) -> list[Group]:
    """The landed files as groups that are about as large as one another, at most `settings.stage_tasks`.

    A group is what one task reads, as plain values that can be handed on: `files` (name and sha256 of each), `label`.
    """
    sources = read_landing(settings, month).sources(settings, month)
    n_groups = min(settings.stage_tasks, len(sources))
    # The largest first, each to the group with the fewest bytes so far. Each file costs a start as well.
    load = [0] * n_groups
    group_of: dict[str, int] = {}
    for file in sorted(sources, key=lambda file: -file.n_bytes):
        group = load.index(min(load))
        load[group] += file.n_bytes + _START_BYTES
        group_of[file.source_file] = group
    groups: dict[int, list[list[str]]] = {}
    for file in sources:
        groups.setdefault(group_of[file.source_file], []).append([file.source_file, file.sha256])
    return [{"label": _label(files), "files": files} for files in groups.values()]


def stage_files(settings: Settings, month: Month, group: Group) -> dict[str, int]:
    """Write each file of a group as a part for `finish_staging` to collect. Returns rows per file.

    Many may work on a month at a time. Raises `UserError` where a file cannot be read as the contract says, or where
    the month landed anew since its files were dealt out.
    """
    contract = read_contract(settings.source)
    folder = settings.lake_of("parts", month)
    folder.mkdir(parents=True, exist_ok=True)
    n_rows_of: dict[str, int] = {}
    with (
        month_lock(settings, month, to_replace=False),
        tempfile.TemporaryDirectory(prefix=".", dir=folder) as scratch,
        reading_process(settings) as process,
    ):
        parts = _parts(settings, month, contract, read_landing(settings, month))
        file_of = {file.source_file: file for file in parts}
        for name, sha256 in group["files"]:
            file = file_of.get(name)
            if file is None or file.sha256 != sha256:
                raise UserError(
                    f"month {month}, file {name}",
                    "it landed anew, or is gone, since this run dealt the files out",
                    "the files that this run landed",
                    "clear the task land of this run and what follows it, or leave the month to the run that landed it",
                )
            written = Path(scratch) / f"{parts[file]}.parquet"
            staged = process.call(name, _stage_file, settings, month, contract, file, written)
            if staged.undeclared:
                log.warning("%s: columns that no header of the contract means: %s", name, staged.undeclared)
            if staged.absent:
                log.warning("%s: columns that are not in the file: %s", name, staged.absent)
            sync_folder(Path(scratch))
            os.replace(written, folder / written.name)
            # Last: a part is there when its note is.
            write_json(folder / f"{parts[file]}.json", asdict(staged))
            n_rows_of[name] = staged.n_rows
    return n_rows_of


def finish_staging(settings: Settings, month: Month) -> dict[str, Any]:
    """Put the parts of all landed files into the place of `staging/month=…/`, in the order of the files.

    Returns what `stage` returns. Raises `UserError` where a part is missing; what was staged before then stays.
    """
    contract = read_contract(settings.source)
    if contract.constants:
        log.warning("the same in every row, since the source contract says so: %s", dict(contract.constants))
    folder = settings.lake_of("parts", month)
    with month_lock(settings, month):
        landing = read_landing(settings, month)
        parts = _parts(settings, month, contract, landing)
        missing = [file.source_file for file, part in parts.items() if not (folder / f"{part}.json").exists()]
        if missing:
            raise UserError(
                f"month {month}",
                f"{len(missing)} of {len(parts)} files not read as they landed last, by the contract and the rules of "
                f"now: {_shortened(missing)}",
                "every file read",
                "clear the task stage_files, all of it; where the month landed anew since, clear land",
            )
        files: dict[str, Any] = {}
        with replaced_folder(settings.lake_of("staging", month)) as new:
            for number, (file, part) in enumerate(parts.items()):
                files[file.source_file] = json.loads((folder / f"{part}.json").read_text(encoding="utf-8"))
                _link_or_copy(folder / f"{part}.parquet", new / f"{number:05}.parquet")
            inputs = staging_inputs(contract, landing)
            # What a revision was read by is kept, so that it can be made anew.
            write_file(settings.lake / "contracts" / f"{contract.fingerprint}.yaml", settings.source.read_bytes())
            note = {"files": files, "constants": dict(contract.constants), "inputs": inputs}
            # Beside the inputs: under another key, devices have other hashes and every figure is the same.
            write_json(new / "staging.json", note | {"device_key": settings.device_key_id})
        _remove_others(folder, set(parts.values()))
    return files


def _parts(settings: Settings, month: Month, contract: Contract, landing: Landing) -> dict[LandedFile, str]:
    """The landed files in their order, and what the part of each is called: by all that its rows depend on.

    So a part is never that of another landing, contract or version, whichever run wrote it.
    """
    rules = rules_fingerprint()
    return {
        file: sha256_of(
            [asdict(file), contract.fingerprint, rules, settings.device_key, settings.field_bytes_max],
        )
        for file in landing.sources(settings, month)
    }


def _remove_others(folder: Path, parts: set[str]) -> None:
    """Remove what other landings and killed tasks left; the parts stay, so that one file alone can be read again."""
    for left_over in folder.iterdir():
        if left_over.name.partition(".")[0] not in parts:
            shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()


def _link_or_copy(part: Path, path: Path) -> None:
    """Parts are replaced and never written to: a link is as good as a copy, where the file system has links."""
    try:
        os.link(part, path)
    except OSError:
        shutil.copyfile(part, path)


def _label(files: list[list[str]]) -> str:
    """What Airflow shows for a group, in the 250 characters that it has for that."""
    name = files[0][0] if len(files[0][0]) <= 200 else "…" + files[0][0][-199:]
    return name + (f" + {len(files) - 1} tệp" if len(files) > 1 else "")


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


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
    with open_engine(settings.reading_engine_bytes) as engine:
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
