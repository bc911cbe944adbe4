"""The original text of quarantined rows, read once more from the landed files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ispeed.child import reading_process
from ispeed.contracts import COLUMNS, Contract
from ispeed.engine import Engine, open_engine
from ispeed.landing import LandedFile, Landing
from ispeed.months import Month
from ispeed.records import read_records
from ispeed.settings import Settings

_ORIGINAL = {
    "source_file": "text",
    "row_number": "integer",
    "original_text": "text",
    "is_raw_line": "boolean",
    "undeclared_text": "text",
}


def add_originals(
    engine: Engine,
    settings: Settings,
    month: Month,
    contract: Contract,
    landing: Landing,
    files: Mapping[str, Mapping[str, Any]],
) -> None:
    """Make `quarantine_original`: the quarantined rows with what is wrong in detail and the text as received.

    The device stands beside the text by its hash; only a record that could not be split into fields keeps its line
    (`is_raw_line`), which may hold the device id. What stands in columns that the contract does not declare is a text
    of its own (`undeclared_text`): nobody knows what it may hold. `files` is what staging noted of each file: of one in
    which each line is a record, only the lines that are wanted are read.
    """
    quarantined = {row["source_file"] for row in engine.rows("select distinct source_file from quarantine_measurement")}
    target = settings.lake_of("quarantine", month)
    target.parent.mkdir(parents=True, exist_ok=True)
    # In the lake, since all machines that compute see it; what a killed run leaves of it goes with the next one.
    scratch_folder = tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent)
    with scratch_folder as scratch, reading_process(settings) as process:
        wanted = Path(scratch) / "wanted.parquet"
        engine.write_parquet("select source_file, row_number from quarantine_measurement", wanted)
        engine.add_rows("original", _ORIGINAL, [])
        for file in landing.sources(settings, month):
            if file.source_file in quarantined:
                found = Path(scratch) / "found.parquet"
                is_by_line = files[file.source_file]["is_by_line"]
                process.call(
                    file.source_file, _write_originals, settings, month, contract, file, is_by_line, wanted, found
                )
                engine.read_parquet("found", found)
                engine.append_query("original", f"select {', '.join(_ORIGINAL)} from found")
    engine.create_from_query(
        "quarantine_original",
        "select quarantine_measurement.*, "
        "staging_measurement.read_error as detail, staging_measurement.device_hash, original.original_text, "
        "coalesce(original.is_raw_line, true) as is_raw_line, original.undeclared_text "
        "from quarantine_measurement "
        "inner join staging_measurement using (source_file, row_number) "
        "left join original using (source_file, row_number)",
    )


def _write_originals(
    settings: Settings,
    month: Month,
    contract: Contract,
    file: LandedFile,
    is_by_line: bool,
    wanted: Path,
    found: Path,
) -> None:
    fields = ", ".join(f"{column} := {column}" for column in COLUMNS if column != "device_id")
    with open_engine(settings.reading_engine_bytes) as engine:
        engine.read_parquet("wanted", wanted)
        engine.add_rows("file", {"source_file": "text"}, [(file.source_file,)])
        lines = None
        if is_by_line:
            numbers = engine.arrays("select row_number from wanted inner join file using (source_file) order by all")
            lines = numbers["row_number"]
        read_records(engine, settings, month, contract, file, with_undeclared=True, lines=lines)
        engine.write_parquet(
            f"select source_file, row_number, coalesce(reject_text, cast(to_json(struct_pack({fields})) as varchar)) "
            "as original_text, reject_text is not null as is_raw_line, undeclared_text "
            "from file inner join wanted using (source_file) inner join source_record using (row_number)",
            found,
        )
