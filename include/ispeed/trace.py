"""From a cell to its rows: file, row number and reason of every row behind a published figure, from the lake.

No device id and no hash of one leaves: devices and representative samples have numbers that hold within the cell only.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ispeed.csv_folder import csv_cell
from ispeed.database import Database
from ispeed.engine import DuckDB, open_engine
from ispeed.errors import UserError
from ispeed.lake import month_lock, read_step
from ispeed.policy import Policy, read_policy
from ispeed.settings import Settings
from ispeed.tables import RESTATED_TABLES
from ispeed.trace_cell import Cell
from ispeed.trace_sums import Sum, count_rows, recompute

_CORE: Final = (
    "source_file, row_number, measured_on, window_start, device_key, stratum_number, network, technology, operator, "
    "target_download_mbps, commune_code, commune_valid_from, referral_code, holder_kind, holder_code, "
    "download_mbps, upload_mbps, ping_ms, jitter_ms"
)
_ROW: Final = ("source_file", "row_number", "measured_on", "outcome", "reason", "technology", "operator")


@dataclass(frozen=True)
class Trace:
    """The rows behind a figure: how many, in how many files, whether they add up to it, and what is told of each."""

    cell: Cell
    columns: tuple[str, ...]
    sums: tuple[Sum, ...]
    n_rows: int
    n_files: int
    engine: DuckDB

    @property
    def adds_up(self) -> bool:
        return all(found.adds_up for found in self.sums)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Every row, in the order of files and rows, a part at a time."""
        query = f"select {', '.join(self.columns)} from listed order by source_file, row_number"
        for batch in self.engine.batches(query):
            yield from batch


@contextmanager
def traced(settings: Settings, cell: Cell) -> Iterator[Trace]:
    """Look up the rows behind a figure in the lake as it is now. Raises `UserError` where the month is not in it."""
    month = cell.month
    policy = read_policy(settings.policy, month.last_day)
    read_step(settings, "core", month, "build_core")
    with month_lock(settings, month, to_replace=False), open_engine(settings.memory_bytes) as engine:
        if cell.kind == "outcome":
            columns, sums = _trace_outcome(engine, settings, cell)
        else:
            _add_measurements(engine, settings, cell, policy)
            columns, sums = _trace_measurements(engine, settings, cell, policy)
        n_rows = engine.value("select count(*) from listed")
        n_files = engine.value("select count(distinct source_file) from listed")
        yield Trace(cell, columns, tuple(sums), n_rows, n_files, engine)


def print_trace(settings: Settings, cell: Cell, limit: int, out: Path | None = None) -> bool:
    """Print a figure, how its rows add up to it, and the first `limit` rows; `out` gets them all as csv.

    Returns whether they add up: where they do not, the lake is not any more what the revision was made from.
    """
    with traced(settings, cell) as trace:
        for line in _head(trace):
            print(line)
        rows = islice(trace.rows(), max(limit, 0))
        print()
        for line in _aligned([trace.columns, *rows]):
            print(line)
        if trace.n_rows > limit:
            print(f"… and {trace.n_rows - max(limit, 0):,} more rows: CSV=FILE writes them all")
        if out is not None:
            _write(trace, out)
            print(f"written: {out} ({trace.n_rows:,} rows)")
        return trace.adds_up


def _write(trace: Trace, path: Path) -> None:
    try:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, lineterminator="\r\n")
            writer.writerow(trace.columns)
            writer.writerows(map(csv_cell, row) for row in trace.rows())
    except OSError as error:
        raise UserError(f"file {path}", str(error), "a file that can be written", "give another CSV=FILE") from error


def _head(trace: Trace) -> Iterator[str]:
    cell = trace.cell
    row, day = cell.row, cell.boundaries_day
    yield f"{cell.month} revision {row['revision']}, {cell.table.name}" + (f" on the map of {day}" if day else "")
    if "network" in cell.table.key:
        yield f"  {'network':<28}{row['network']}"
    names = [str(row[name]) for name in ("commune_name", "holder_name", "organisation_name") if row.get(name)]
    for place, (name, value) in enumerate(cell.keys.items()):
        yield f"  {name:<28}{_shown(value)}" + (f" ({', '.join(map(_shown, names))})" if names and not place else "")
    blank = f"blank: {row.get('reason') or 'see the columns beside it'}"
    yield f"  {cell.column:<28}{_shown(cell.published) if cell.published is not None else blank}"
    yield f"{trace.n_rows:,} rows of {trace.n_files:,} files are behind it"
    for found in trace.sums:
        sign = "=" if found.adds_up else "≠"
        yield f"  {found.what:<28}{_shown(found.published)} published {sign} {_shown(found.found)} from the rows"
    if not trace.adds_up:
        yield (
            f"DOES NOT ADD UP: the lake has moved on since revision {row['revision']}; trace the latest revision, or "
            f"publish the month as it is now: make month M={cell.month}"
        )


def _add_measurements(engine: DuckDB, settings: Settings, cell: Cell, policy: Policy) -> None:
    """Make what `traced_measurement.sql` reads, and it: the accepted rows of the cell, numbered."""
    core, is_restated = settings.lake_of("core", cell.month), cell.table in RESTATED_TABLES
    folder = settings.restated_lake_of(cell.month, cell.boundaries_day) if cell.boundaries_day else core
    if not (folder / "core_measurement.parquet").exists():
        raise UserError(
            f"month {cell.month}", f"no {folder}", "the month in the lake", f"run make month M={cell.month}"
        )
    engine.read_parquet("core_measurement", folder / "core_measurement.parquet")
    engine.read_parquet("flag_measurement", core / "flag_measurement.parquet")
    origin = "origin_code, attribution" if is_restated else "'' as origin_code, '' as attribution"
    engine.create_view("traced_core", f"select {_CORE}, {origin} from core_measurement")
    engine.read_parquet("commune", folder / "registry" / "commune.parquet")
    columns = {"first_day": "date", "last_day": "date", "province_code": "text"}
    _add(engine, "params", columns, (cell.month.first_day, cell.month.last_day, policy.province.code))
    _add(engine, "map_day", {"boundaries_day": "date"}, (cell.boundaries_day,))
    engine.create("month_commune", f"report/{'map' if is_restated else 'month'}_commune.sql")
    # Signs that need a second look take networks, and indicators, together.
    keys = [*cell.keys.values()] if cell.table.name != "report_integrity_month" else [cell.keys["referral_code"]]
    names = ("cell", "network", "cell_key", "cell_subkey", "third_key")
    asked = (cell.kind, cell.row.get("network"), *keys, *[""] * (3 - len(keys)))
    _add(engine, "asked_cell", dict.fromkeys(names, "text"), asked)
    _add(engine, "asked_metric", {"metric": "text"}, (_metric(cell),))
    engine.create("traced", "trace/traced_measurement.sql")


def _trace_measurements(
    engine: DuckDB, settings: Settings, cell: Cell, policy: Policy
) -> tuple[tuple[str, ...], list[Sum]]:
    """Make `listed` the rows behind the figure; what to tell of each, and how they add up."""
    columns, where = _listed(cell)
    _add(engine, "asked_day", {"holder_since": "date"}, (cell.row.get("holder_since"),))
    engine.create_view("listed", f"select *, value as {_metric(cell)} from traced where {where}")
    counted = count_rows(engine)
    published = {name: cell.row[name] for name in counted if name in cell.row}
    if cell.table.name == "report_integrity_month":
        published = {"n_measurements": _of_code(settings, cell)}
    sums = [Sum(name, published[name], counted[name]) for name in published]
    if cell.published is not None and cell.column not in published:
        found = recompute(engine, settings, cell, policy, counted)
        sums += [Sum(cell.column, cell.published, found)] if found is not None else []
    return columns, sums


def _listed(cell: Cell) -> tuple[tuple[str, ...], str]:
    """Which columns of `traced` are told for a figure, and of which of its rows."""
    # A figure that is blank for want of measurements or devices is not told by its rows either.
    values = (_metric(cell), "sample_value") if cell.published is not None else ()
    if cell.column == "n_measurements_earlier":
        return _ROW, "measured_on < (select holder_since from asked_day)"
    if cell.column == "share_at_target":
        reaches = ("target_download_mbps", *(("reaches_target",) if values else ()))
        return (*_ROW, "sample", *values, *reaches), "target_download_mbps is not null"
    if cell.metric:
        return (*_ROW, "sample", *values), "value is not null"
    if cell.column in ("n_samples", "technology_mix", "top_operator", "top_operator_share"):
        return (*_ROW, "sample"), "true"
    if cell.column in ("n_devices", "staff_share_at_most"):
        return (*_ROW, "device"), "true"
    if cell.table.name == "report_integrity_month":
        return (*_ROW, "sample", "device"), "true"
    return _ROW, "true"


def _metric(cell: Cell) -> str:
    return cell.metric or "download_mbps"


def _of_code(settings: Settings, cell: Cell) -> int:
    """How many measurements a referral code has, of all networks, as published."""
    rows = Database(settings.database_url).rows("report_referral_code_month", cell.month, cell.row["revision"])
    return sum(row["n_measurements"] for row in rows if row["referral_code"] == cell.row["referral_code"])


def _trace_outcome(engine: DuckDB, settings: Settings, cell: Cell) -> tuple[tuple[str, ...], list[Sum]]:
    """Make `listed` the rows of a file that have an outcome and reason."""
    engine.read_parquet("staging_measurement", *settings.lake_of("staging", cell.month).glob("*.parquet"))
    for layer, name in (
        ("quarantine", "quarantine_measurement"),
        ("core", "core_measurement"),
        ("core", "flag_measurement"),
    ):
        engine.read_parquet(name, settings.lake_of(layer, cell.month) / f"{name}.parquet")
    names = ("source_file", "outcome", "reason")
    _add(engine, "asked_outcome", dict.fromkeys(names, "text"), tuple(cell.row[name] for name in names))
    engine.create("listed", "trace/traced_row.sql")
    columns = ("source_file", "row_number", "outcome", "reason", "detail")
    return columns, [Sum("n_rows", cell.row["n_rows"], engine.value("select count(*) from listed"))]


def _add(engine: DuckDB, name: str, columns: Mapping[str, str], row: Sequence[Any]) -> None:
    engine.add_rows(name, columns, [row], is_checked=False)


def _aligned(rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    texts = [[_shown(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _shown(value: Any) -> str:
    """One line that a terminal shows as it is: names and texts of exports are anybody's."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.6g}" if isinstance(value, float) and value != round(value, 2) else str(value)
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
