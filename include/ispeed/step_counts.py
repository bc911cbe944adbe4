"""What a step of a month counted, of all of it and of each file: for the log, the metrics and the lineage.

Read from what the step returned and from what it left in the lake, when it has ended: no step counts for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ispeed.engine import open_engine
from ispeed.lake import read_step
from ispeed.landing import read_landing
from ispeed.months import Month
from ispeed.settings import Settings

Number = int | float | bool


@dataclass(frozen=True)
class StepCounts:
    """`totals` by name, `files` the same of each file, `rows` those of each table that the step wrote."""

    totals: Mapping[str, Number] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Number]] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)


def counts_of(settings: Settings, month: Month | None, stage: str, result: Any) -> StepCounts:
    """What the step `stage` (its task id) counted, now that it has ended with `result`."""
    if month is None:
        return _numbers(result)
    return _COUNTED[stage](settings, month, result) if stage in _COUNTED else _numbers(result)


def _land(settings: Settings, month: Month, _: Any) -> StepCounts:
    files = {file.source_file: {"bytes": file.n_bytes} for file in read_landing(settings, month).files}
    return StepCounts({"files": len(files), "bytes": sum(file["bytes"] for file in files.values())}, files)


def _stage_files(settings: Settings, month: Month, result: Mapping[str, int]) -> StepCounts:
    n_rows = sum(result.values())
    totals = {"files": len(result), "rows": n_rows}
    return StepCounts(totals, {name: {"rows": n} for name, n in result.items()}, {"staging_part": n_rows})


def _finish_staging(settings: Settings, month: Month, result: Mapping[str, Mapping[str, Any]]) -> StepCounts:
    files = {name: {"rows": int(file["n_rows"])} for name, file in result.items()}
    n_rows = sum(file["rows"] for file in files.values())
    return StepCounts({"files": len(files), "rows": n_rows}, files, {"staging_measurement": n_rows})


def _check_staging(settings: Settings, month: Month, result: Mapping[str, int]) -> StepCounts:
    staged = read_step(settings, "staging", month, "stage_files")["files"]
    [put_aside] = _rows_by_file(settings, month, "quarantine", "quarantine_measurement")
    files = {name: {"rows": file["n_rows"], "quarantined": put_aside.get(name, 0)} for name, file in staged.items()}
    n_rows, n_quarantined = sum(file["rows"] for file in files.values()), sum(result.values())
    totals = {"rows": n_rows, "quarantined": n_quarantined, "quarantine_share": n_quarantined / max(n_rows, 1)}
    return StepCounts(totals | dict(sorted(result.items())), files, {"quarantine_measurement": n_quarantined})


def _build_core(settings: Settings, month: Month, result: Mapping[str, Any]) -> StepCounts:
    n_flagged = sum(result["n_flagged"].values())
    accepted, flagged = _rows_by_file(settings, month, "core", "core_measurement", "flag_measurement")
    files = {name: {"accepted": n, "flagged": flagged.get(name, 0)} for name, n in accepted.items()}
    rows = {"core_measurement": result["n_accepted"], "flag_measurement": n_flagged}
    return StepCounts({"accepted": result["n_accepted"], "flagged": n_flagged}, files, rows)


def _build_reports(settings: Settings, month: Month, result: Mapping[str, int]) -> StepCounts:
    path = settings.lake_of("report", month) / "report_quality_month.parquet"
    with open_engine() as engine:
        engine.read_parquet("quality", path)
        told = engine.rows(
            "select source_file, outcome, cast(sum(n_rows) as bigint) as n from quality group by all order by all"
        )
    files: dict[str, dict[str, Number]] = {}
    for row in told:
        files.setdefault(row["source_file"], {})[row["outcome"]] = row["n"]
    return StepCounts({"tables": len(result), "rows": sum(result.values())}, files, result)


def _publish(settings: Settings, month: Month, result: Mapping[str, Any]) -> StepCounts:
    quarantine_share = result["n_quarantined"] / max(result["n_raw"], 1)
    rows: Mapping[str, int] = read_step(settings, "report", month, "build_reports")["n_rows"]
    return StepCounts({**_numbers(result).totals, "quarantine_share": quarantine_share}, rows=rows)


def _numbers(result: Any) -> StepCounts:
    """What a step returned of numbers: `n_raw` is told as `raw`, and those below `n_rows` are rows of tables."""
    told: Mapping[str, Any] = result if isinstance(result, Mapping) else {}
    totals = {name.removeprefix("n_"): number for name, number in told.items() if isinstance(number, Number)}
    rows = told.get("n_rows")
    return StepCounts(totals, rows=rows if isinstance(rows, Mapping) else {})


def _rows_by_file(settings: Settings, month: Month, layer: str, *tables: str) -> list[dict[str, int]]:
    """Of each table of a layer, how many rows it has of each file."""
    counted = []
    with open_engine() as engine:
        for table in tables:
            engine.read_parquet(table, settings.lake_of(layer, month) / f"{table}.parquet")
            rows = engine.rows(f"select source_file, count(*) as n from {table} group by all order by all")
            counted.append({row["source_file"]: row["n"] for row in rows})
    return counted


_COUNTED: Final[Mapping[str, Callable[[Settings, Month, Any], StepCounts]]] = {
    "land": _land,
    "stage_files": _stage_files,
    "finish_staging": _finish_staging,
    "check_staging": _check_staging,
    "build_core": _build_core,
    "build_reports": _build_reports,
    "publish": _publish,
}
