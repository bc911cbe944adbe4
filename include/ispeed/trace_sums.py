"""Whether the rows of a traced cell add up to what was published: figures computed once more, from `traced`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from typing import Any, Final

from ispeed.database import Database
from ispeed.engine import DuckDB
from ispeed.policy import Policy
from ispeed.settings import Settings
from ispeed.statistics import interval_ranks
from ispeed.trace_cell import Cell

_PERCENTILES: Final = {"median": 0.5, "p10": 0.1, "p25": 0.25, "p75": 0.75, "p90": 0.9}
_TECHNOLOGIES: Final = ("5G", "4G", "3G", "2G", "WiFi", "Cố định")
_SAMPLES: Final = "(select distinct sample, sample_value as x from traced where sample_value is not null)"


@dataclass(frozen=True)
class Sum:
    """A published number and the same counted from the rows."""

    what: str
    published: Any
    found: Any

    @property
    def adds_up(self) -> bool:
        if isinstance(self.published, float) and isinstance(self.found, float):
            # Two ways to interpolate may fall on either side of a half; counts beside it are exact.
            return isclose(self.published, self.found, rel_tol=1e-9, abs_tol=0.0101)
        return bool(self.published == self.found)


def count_rows(engine: DuckDB) -> dict[str, int]:
    """Measurements, representative samples and devices of `traced`."""
    [row] = engine.rows(
        "select count(*) as n_measurements, count(distinct sample) as n_samples, count(distinct device) as n_devices "
        "from traced"
    )
    return row


def recompute(engine: DuckDB, settings: Settings, cell: Cell, policy: Policy, counted: Mapping[str, int]) -> Any:
    """The cell's figure from `traced`, as it is published; None where rows alone do not say it."""
    n, headcount = counted["n_measurements"], cell.row.get("headcount")
    match cell.column:
        case "n_missing_to_publish":
            return max(policy.publish_minimum - n, 0)
        case "n_missing_to_assess":
            return max(policy.assess_minimum - n, 0)
        case "n_measurements_per_day":
            return n / engine.value("select extract(day from max(measured_on)) from core_measurement")
        case "n_measurements_per_head":
            return n / headcount if headcount else None
        case "staff_share_at_most":
            return min(counted["n_devices"] / headcount, 1.0) if headcount else None
        case "n_measurements_earlier":
            return engine.value("select count(*) from listed")
        case "share_at_target":
            return engine.value(
                "select avg(cast(reaches_target as integer)) from "
                "(select distinct sample, reaches_target from traced where reaches_target is not null)"
            )
        case "technology_mix" | "top_operator" | "top_operator_share":
            return _mix(engine, cell.column)
    return _statistic(engine, settings, cell) if cell.metric else None


def _mix(engine: DuckDB, column: str) -> Any:
    """What the representative samples are of, as the columns of the mix tell it."""
    if column == "technology_mix":
        rows = engine.rows("select technology, count(distinct sample) as n from traced group by technology")
        n_by_technology = {row["technology"]: row["n"] for row in rows}
        return ", ".join(f"{name} {n_by_technology[name]}" for name in _TECHNOLOGIES if name in n_by_technology)
    rows = engine.rows(
        "select operator, count(distinct sample) as n, (select count(distinct sample) from traced) as n_all "
        "from traced group by operator order by n desc, operator limit 1"
    )
    if not rows:
        return None
    return rows[0]["operator"] if column == "top_operator" else rows[0]["n"] / rows[0]["n_all"]


def _statistic(engine: DuckDB, settings: Settings, cell: Cell) -> float | None:
    """The column's statistic of the samples' values, rounded as it is published."""
    statistic = cell.column.removeprefix(f"{cell.metric}_")
    if statistic == "median_change":
        previous = _previous_median(settings, cell)
        median = _rounded(engine, f"select quantile_cont(x, 0.5) from {_SAMPLES}")
        return None if previous is None or median is None else round(median - previous, 2)
    if statistic == "mean":
        return _rounded(engine, f"select avg(x) from {_SAMPLES}")
    if statistic in _PERCENTILES:
        return _rounded(engine, f"select quantile_cont(x, {_PERCENTILES[statistic]}) from {_SAMPLES}")
    n = engine.value(f"select count(*) from {_SAMPLES}")
    ranks = interval_ranks([n])
    if not ranks:
        return None
    [(_, k)] = ranks
    place = k if statistic == "ci_low" else n - k + 1
    return _rounded(engine, f"select x from {_SAMPLES} order by x limit 1 offset {place - 1}")


def _rounded(engine: DuckDB, query: str) -> float | None:
    value = engine.value(f"select cast(round(cast(({query}) as decimal(18, 6)), 2) as double)")
    return None if value is None else float(value)


def _previous_median(settings: Settings, cell: Cell) -> float | None:
    """The download median that the change is counted from: of the same cell in the month before, as published now."""
    database, day, before = Database(settings.database_url), cell.boundaries_day, cell.month.previous
    revision = database.current_revision(before, day)
    rows = database.rows(cell.table.name, before, revision, day) if revision else []
    same = [row for row in rows if all(row[name] == cell.row[name] for name in cell.table.key)]
    return same[0]["download_mbps_median"] if same else None
