"""The cell that is traced: a published figure, found by table, key and column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any, Final

from ispeed.database import Database
from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.tables import METRICS, NETWORK, REPORT_TABLES, RESTATED_TABLES, STATISTICS, Table
from ispeed.text import fold

Row = dict[str, Any]
# What each table's rows are cells of, as in `cell_listed`; `outcome` and `code` are not cells of measurements there.
# What bodies returned and VNNIC published has no rows behind it; our figures beside it stand in the other tables.
CELLS: Final = {
    "report_commune_month": "commune",
    "report_commune_technology_month": "commune_technology",
    "report_referral_code_month": "referral_code",
    "report_organisation_month": "organisation",
    "report_operator_month": "operator",
    "report_province_month": "province",
    "report_quality_month": "outcome",
    "report_integrity_month": "referral_code",
    "report_commune_restated": "commune",
    "report_restated_origin": "origin",
}
# Columns that rows are behind; others come from other cells (ranks, communes counted) or from the registry.
_TRACED: Final = (
    "n_measurements",
    "n_measurements_earlier",
    "n_missing_to_publish",
    "n_missing_to_assess",
    "n_measurements_per_day",
    "n_measurements_per_head",
    "n_samples",
    "n_devices",
    "staff_share_at_most",
    *(f"{metric}_{statistic}" for metric in METRICS for statistic in STATISTICS),
    "download_mbps_median_change",
    "share_at_target",
    "technology_mix",
    "top_operator",
    "top_operator_share",
    "n_rows",
    "value",
    "threshold",
    "evidence",
)


@dataclass(frozen=True)
class Cell:
    """One published figure: the row of the report table that has it, and its column."""

    month: Month
    table: Table
    row: Row
    column: str
    boundaries_day: date | None = None

    @property
    def kind(self) -> str:
        return CELLS[self.table.name]

    @property
    def keys(self) -> dict[str, str]:
        """The row's key without its network, by column."""
        return {name: str(self.row[name]) for name in _own_key(self.table)}

    @property
    def metric(self) -> str | None:
        """The metric that the column is a statistic of."""
        return next((metric for metric in METRICS if self.column.startswith(f"{metric}_")), None)

    @property
    def published(self) -> Any:
        return self.row[self.column]


def traced_columns(table: Table) -> list[str]:
    """The columns of a table that rows of the export are behind."""
    return [name for name in table.column_names if name in _TRACED and table.name in CELLS]


def find_cell(
    database: Database,
    month: Month,
    table: str,
    key: str,
    column: str,
    network: str = "mobile",
    revision: int | None = None,
    boundaries_day: date | None = None,
) -> Cell:
    """The figure that is asked for, as published. `key` is the table's key without network, parts joined by commas.

    Letters of a key may be large or small where that leaves one row. Raises `UserError` naming what there is.
    """
    tables = {found.name: found for found in (*REPORT_TABLES, *RESTATED_TABLES) if found.name in CELLS}
    if table not in tables:
        raise _unknown("TABLE", table, list(tables), "report tables")
    found = tables[table]
    if column not in traced_columns(found):
        if column in found.column_names:
            raise UserError(
                f"COLUMN={column} of {table}",
                "a column that no rows of its own are behind: it names the row, or compares or counts other cells",
                "one of " + ", ".join(traced_columns(found)),
                "trace the figure that it is made from",
            )
        raise _unknown("COLUMN", column, traced_columns(found), f"columns of {table} that can be traced")
    if network not in NETWORK.values:
        raise _unknown("NETWORK", network, list(NETWORK.values), "networks")
    if (found in RESTATED_TABLES) != (boundaries_day is not None):
        days = ", ".join(map(str, database.restated_days(month))) or "none"
        raise UserError(
            f"TABLE={table}",
            f"BOUNDARIES={boundaries_day or ''}",
            f"a day for the restated tables, and only for them; {month} stands on the maps of: {days}",
            "give BOUNDARIES=YYYY-MM-DD with a restated table, and none with another",
        )
    publication = database.publication(month, revision, boundaries_day)
    if publication is None:
        last = database.last_revision(month, boundaries_day)
        raise UserError(
            f"month {month}",
            f"no revision {revision}" if revision else "no publication",
            f"revisions 1 to {last}"
            if (last := database.last_revision(month, boundaries_day))
            else "a published month",
            "give another REVISION=, or none for the latest" if last else f"run make month M={month} first",
        )
    rows = database.rows(table, month, publication["revision"], boundaries_day)
    if "network" in found.key:
        rows = [row for row in rows if row["network"] == network]
    return Cell(month, found, _row_of(found, rows, key), column, boundaries_day)


def _row_of(table: Table, rows: Sequence[Row], key: str) -> Row:
    names = _own_key(table)
    by_key = {",".join(str(row[name]) for name in names): row for row in rows}
    # A key may end in nothing: the rows of a file that are raw have no reason.
    exact = by_key.get(key) or by_key.get(key + ",")
    if exact is not None:
        return exact
    alike = [row for text, row in by_key.items() if fold(text).rstrip(",") == fold(key).rstrip(",")]
    if len(alike) == 1:
        return alike[0]
    raise _unknown(f"KEY ({','.join(names)})", key, list(by_key), f"keys of {table.name}")


def _own_key(table: Table) -> list[str]:
    return [name for name in table.key if name not in ("network", "boundaries_day")]


def _unknown(where: str, found: str, there: Sequence[str], what: str) -> UserError:
    nearest = get_close_matches(found, there, n=5, cutoff=0.5) or list(there[:5])
    some = ", ".join(nearest)
    return UserError(
        f"{where}={found}",
        "nothing of that name",
        f"one of the {len(there)} {what}, such as {some}" if len(there) > len(nearest) else f"one of {some}",
        "give one of them",
    )
