"""The tidy file: every figure of a revision on a line of its own, in the words that SDMX has for statistics.

FREQ, REF_AREA, TIME_PERIOD, UNIT_MEASURE, OBS_VALUE, OBS_STATUS, DECIMALS are SDMX's cross-domain concepts; FREQ is of
its code list CL_FREQ, OBS_STATUS of CL_OBS_STATUS 2.2 (sdmx.org, code lists). SDMX has no list of units: they are
UCUM's. `_T` is SDMX's code for all of a dimension together, `_Z` for not applicable. What is beside them (TABLE,
NETWORK, REFERRAL_CODE …) are the keys of our tables, in capitals, with the same codes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ispeed.months import Month
from ispeed.tables import METRICS, Column, Table

Row = Mapping[str, object]

# CL_OBS_STATUS: A normal value; L missing, data exist but were not collected ("below a certain threshold"); M missing,
# data cannot exist; O missing, for another reason or several; Q missing, suppressed (confidentiality).
STATUS: Final = {
    "no_samples": "L",
    "below_publish_minimum": "L",
    "too_few_devices": "Q",
    "not_attributable": "M",
    "no_previous_month": "M",
    "new_unit": "M",
    "blank_before": "O",
    "no_interval": "M",
    "no_target": "M",
    "not_handed_on": "M",
    "no_headcount": "O",
    "not_returned": "O",
    "not_in_registry": "M",
    "atlas_no_figure": "L",
}
TOTAL, NOT_APPLICABLE = "_T", "_Z"
# How a key of ours is called here, what it is where a table does not have it, and what it holds.
_DIMENSIONS: Final = {
    "commune_code": ("REF_AREA", "", "Commune code, or the province's: codes of the registry", "Đơn vị hành chính"),
    "boundaries_day": ("BOUNDARIES_DAY", "", "Day on whose map of communes the figures stand", "Địa giới ngày"),
    "origin_code": ("ORIGIN_AREA", TOTAL, "Commune code as of the day of measuring", "Mã xã khi đo"),
    "attribution": ("ATTRIBUTION", TOTAL, "How measurements were attributed to the commune", "Cách phân bổ"),
    "network": ("NETWORK", TOTAL, "mobile or fixed", "Loại mạng"),
    "technology": ("TECHNOLOGY", TOTAL, "2G, 3G, 4G, 5G, WiFi or Cố định", "Công nghệ"),
    "operator": ("OPERATOR", TOTAL, "Brand of the operators registry", "Nhà mạng"),
    "referral_code": ("REFERRAL_CODE", TOTAL, "Referral code entered in the app", "Mã giới thiệu"),
    "level": ("LEVEL", NOT_APPLICABLE, "province or commune: what VNNIC publishes a figure of", "Cấp"),
    "organisation_code": ("ORGANISATION", TOTAL, "Organisation that holds the codes", "Cơ quan, đơn vị"),
    "source_file": ("SOURCE_FILE", TOTAL, "Name of the export file", "Tệp nguồn"),
    "outcome": ("OUTCOME", NOT_APPLICABLE, "raw, accepted, quarantined or flagged", "Kết quả"),
    "reason": ("REASON", NOT_APPLICABLE, "Quarantine reason or flag", "Lý do"),
}


def tidy_table(tables: Sequence[Table]) -> Table:
    """What the tidy file of these report tables holds: the keys that they have between them, and SDMX's columns."""

    def text(name: str, comment: str, heading: str, values: tuple[str, ...] = ()) -> Column:
        return Column(name, "text", comment, heading, values=values)

    met = {key for table in tables for key in table.key} | {"commune_code"}
    dimensions = [
        text(name, f"{about}; {blank} {_MEANING[blank]}" if blank else about, heading)
        for key, (name, blank, about, heading) in _DIMENSIONS.items()
        if key in met
    ]
    key = ("TABLE", "FREQ", "TIME_PERIOD", *(column.name for column in dimensions), "INDICATOR", "STAT")
    return Table(
        "tidy",
        "Every figure of the other files on a line of its own, in SDMX's words",
        key,
        (
            text("TABLE", "Report table that has the figure", "Bảng", tuple(table.name for table in tables)),
            text("FREQ", "Frequency: M monthly (CL_FREQ)", "Tần suất", ("M",)),
            text("TIME_PERIOD", "Month that was measured, such as 2024-10", "Tháng"),
            *dimensions,
            text("INDICATOR", "What is measured or counted: the column without its statistic", "Chỉ tiêu"),
            text(
                "STAT",
                "Which figure of it: a statistic over representative samples, count, ratio; value or threshold",
                "Đại lượng",
            ),
            Column("REVISION", "integer", "Revision of the month's publication, from 1", "Bản phát hành"),
            text("UNIT_MEASURE", "Unit, as in UCUM; 1 is a count or a share", "Đơn vị tính"),
            Column("OBS_VALUE", "double", "The figure, as in the report table", "Giá trị"),
            text(
                "OBS_STATUS",
                "A normal value; missing: L not collected or under a threshold, M cannot exist, Q suppressed for "
                "confidentiality, O for another reason (CL_OBS_STATUS 2.2)",
                "Trạng thái",
                ("A", *sorted(set(STATUS.values()))),
            ),
            Column(
                "DECIMALS", "integer", "Decimals of the figure, where it is rounded to so many", "Số chữ số thập phân"
            ),
            text(
                "OBS_COMMENT", "Why the figure is missing, in the report tables' word for it", "Ghi chú", tuple(STATUS)
            ),
        ),
    )


_MEANING = {TOTAL: "all together", NOT_APPLICABLE: "not applicable"}


def tidy_rows(
    tables: Sequence[Table], rows: Mapping[str, Sequence[Row]], month: Month, province_code: str
) -> Iterator[tuple[object, ...]]:
    """The lines of the tidy file, in the order of `tables`, their rows and columns; values as in the report tables."""
    keys = [key for key in _DIMENSIONS if key == "commune_code" or any(key in table.key for table in tables)]
    for table in tables:
        named = [(column, *_name(column)) for column in table.figures if column.name not in table.key]
        for row in rows[table.name]:
            place = [_dimension(table, row, key, province_code) for key in keys]
            for column, indicator, stat in named:
                value = row[column.name]
                comment = "" if value is not None else _why(row, column.name)
                yield (
                    table.name,
                    "M",
                    str(month),
                    *place,
                    row["indicator"] if "indicator" in table.key else indicator,
                    column.name if "indicator" in table.key else stat,
                    row["revision"],
                    column.unit,
                    value,
                    "A" if value is not None else STATUS.get(comment, "O"),
                    _decimals(column),
                    comment,
                )


def _dimension(table: Table, row: Row, key: str, province_code: str) -> object:
    if key in table.key:
        return row[key] if row[key] != "" else NOT_APPLICABLE
    if key == "commune_code":
        # VNNIC's places have one key for both levels.
        return row["code"] if "code" in table.key else province_code
    return _DIMENSIONS[key][1]


def _name(column: Column) -> tuple[str, str]:
    """What a column tells, and which statistic of it: download_mbps and median of download_mbps_median."""
    for metric in METRICS:
        if column.name.startswith(f"atlas_{metric}_"):
            return metric, "atlas_median"
        if column.name.startswith(f"{metric}_"):
            return metric, column.name.removeprefix(f"{metric}_")
    return column.name, "count" if column.type == "integer" else "ratio"


def _decimals(column: Column) -> int | None:
    if column.type == "integer":
        return 0
    return None if column.unit == "1" else 2


def _why(row: Row, name: str) -> str:
    """Why a figure is blank, in the word that stands beside it, or in one of ours where nothing does."""
    reason = str(row.get("reason") or "")
    if row.get("state") == "missing" and name != "registry_headcount":
        return "not_returned"
    if name == "registry_headcount" or (name in ("installed_share", "measured_share") and "state" in row):
        return "no_headcount"
    if name in ("headcount", "n_measurements_per_head", "staff_share_at_most"):
        return "no_headcount"
    if name == "n_measurements_earlier":
        return "not_handed_on"
    if name == "download_mbps_median_change" and row["change_reason"] not in (None, "blank_now"):
        return str(row["change_reason"])
    # What a unit's figures pool is told with 5 devices, whether or not there are 30 measurements.
    if name == "top_operator_share":
        return "too_few_devices" if row["n_measurements"] else "no_samples"
    if reason:
        return reason
    if any(name.startswith(f"{metric}_") for metric in str(row.get("blank_metrics") or "").split(", ") if metric):
        return "too_few_devices"
    return "no_target" if name == "share_at_target" else "no_interval"
