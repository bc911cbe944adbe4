"""Columns that several sheets share, under the headings of `ispeed.tables`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ispeed.tables import REPORT_TABLES, RESTATED_TABLES
from ispeed.workbook.content import Row, WorkbookPolicy
from ispeed.workbook.marks import NOT_RETURNED, WITHHELD, figure, status
from ispeed.workbook.table_sheet import Field, Kind
from ispeed.workbook.wording import RETURN_STATES

_HEADINGS: Final = {
    table.name: {column.name: column.heading for column in table.columns}
    for table in (*REPORT_TABLES, *RESTATED_TABLES)
}

_FIGURES: Final[tuple[tuple[str, int, Kind], ...]] = (
    ("n_measurements", 54, "count"),
    ("n_samples", 54, "count"),
    ("n_devices", 54, "count"),
    ("download_mbps_median", 64, "speed"),
    ("download_mbps_ci_low", 64, "speed"),
    ("download_mbps_ci_high", 64, "speed"),
    ("download_mbps_mean", 64, "speed"),
    ("upload_mbps_median", 64, "speed"),
    ("ping_ms_median", 64, "speed"),
    ("share_at_target", 60, "share"),
    ("n_missing_to_assess", 58, "count"),
    ("download_mbps_median_change", 68, "change"),
    ("change_sign", 46, "centre"),
)


def heading_of(table: str, column: str) -> str:
    """The Vietnamese heading of a report column, or its name where the table is not a report."""
    return _HEADINGS.get(table, {}).get(column, column)


def report_field(
    table: str, column: str, width: int, kind: Kind, value: Callable[[Row], object] | None = None
) -> Field[Row]:
    """A column of a report table as a column of a sheet."""
    return Field(heading_of(table, column), width, kind, value or (lambda row: row[column]))


def figure_fields(table: str, policy: WorkbookPolicy, *, without: tuple[str, ...] = ()) -> list[Field[Row]]:
    """Counts, download with its interval and mean, upload, ping, share, missing, change and status of a report row.

    The other metrics and percentiles stand in the csv files: a page has no room for 32 columns of speeds.
    """

    def value_of(column: str) -> Callable[[Row], object]:
        return lambda row: figure(row, column)

    return [
        *(
            report_field(table, column, width, kind, value_of(column))
            for column, width, kind in _FIGURES
            if column not in without
        ),
        Field("Trạng thái", 104, "centre", lambda row: status(row, policy)),
    ]


def mix_field(table: str) -> Field[Row]:
    """What is in figures that pool technologies; the operators' part stands in the csv files."""
    return report_field(
        table,
        "technology_mix",
        206,
        "small",
        lambda row: WITHHELD if row["technology_mix"] is None else row["technology_mix"],
    )


def return_fields() -> list[Field[Row]]:
    """What a body reported: staff, installed, measured, and the shares."""

    def reported(name: str, width: int, kind: Kind) -> Field[Row]:
        return report_field(
            "report_return_month", name, width, kind, lambda row: NOT_RETURNED if row[name] is None else row[name]
        )

    return [
        reported("headcount", 62, "count"),
        reported("n_installed", 62, "count"),
        reported("installed_share", 62, "share"),
        reported("n_measured", 62, "count"),
        reported("measured_share", 62, "share"),
    ]


def state_of(row: Row) -> str:
    """Whether a body reported, in Vietnamese."""
    return RETURN_STATES[str(row["state"])]
