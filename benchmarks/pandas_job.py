"""A month with pandas, Great Expectations and openpyxl: what `make bench` races the pipeline against.

    python benchmarks/pandas_job.py EXPORTS_FOLDER REGISTRY_FOLDER MONTH OUT_FOLDER

Reads the month's exports, checks them as a data frame, makes the report tables (`pandas_reference.py`, which also says
whether the pipeline's are right), checks these, and writes each as `OUT_FOLDER/<table>.csv` and all as
`OUT_FOLDER/report.xlsx`. The last line is JSON: seconds by step, rows and peak memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandas_reference as reference

POLICY = reference.POLICY
KEYS = {
    "report_commune_month": ["network", "commune_code"],
    "report_commune_technology_month": ["network", "commune_code", "technology"],
    "report_referral_code_month": ["network", "referral_code"],
    "report_organisation_month": ["network", "organisation_code"],
    "report_operator_month": ["network", "operator", "technology"],
    "report_province_month": ["network"],
    "report_quality_month": ["source_file", "outcome", "reason"],
    "report_integrity_month": ["referral_code", "indicator"],
}

REQUIRED = ("measured_at", "technology", "download_mbps")


def main(exports: Path, registry: Path, month: str, out: Path) -> dict[str, float]:
    """Seconds by step, number of rows and peak memory."""
    seconds: dict[str, float] = {}

    def timed(name: str, step: Callable[..., Any], *given: Any) -> Any:
        started = time.perf_counter()
        result = step(*given)
        seconds[name] = round(time.perf_counter() - started, 3)
        print(f"{name:<20}{seconds[name]:>8.2f} s", flush=True)
        return result

    out.mkdir(parents=True, exist_ok=True)
    received_at = datetime.now(UTC)
    rows = timed("read", reference.read_month, exports, month)
    n_rows = len(rows)
    checks = timed("check_rows", check_rows, rows, month, received_at)
    outcomes = timed("judge_and_join", reference.outcomes_of, rows, registry, month, received_at)
    del rows
    tables = timed("tables", reference.tables_of, outcomes, exports, registry, month, None)
    checks |= timed("check_tables", check_tables, tables)
    timed("write", write, tables, checks, out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**seconds, "total": round(sum(seconds.values()), 3), "rows": n_rows, "peak_mb": round(peak)}


# Checks --------------------------------------------------------------------------------------------------------------


def validate(frame: pd.DataFrame, name: str, expectations: list[Any]) -> dict[str, int]:
    """Rows that miss each expectation, by its name. One that could not be tried is an error, not a finding."""
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    result = batch.validate(gx.ExpectationSuite(name, expectations=expectations), result_format="BASIC")
    found: dict[str, int] = {}
    for told in result.results:
        config = told.expectation_config
        if told.exception_info.get("raised_exception") or any(
            isinstance(part, dict) and part.get("raised_exception") for part in told.exception_info.values()
        ):
            raise RuntimeError(f"{name}: {config.type} {config.kwargs}: {told.exception_info}")
        columns = [str(value) for key, value in config.kwargs.items() if key.startswith("column")]
        missed = told.result.get("unexpected_count", 0 if told.success else 1)
        found[" ".join([name, config.type, *columns])] = int(missed)
    return found


def check_rows(rows: pd.DataFrame, month: str, received_at: datetime) -> dict[str, int]:
    """What each row must be. Rows that are not are quarantined or flagged later on; here they are counted."""
    import great_expectations.expectations as gxe

    first = date.fromisoformat(f"{month}-01")
    following = (first + timedelta(days=31)).replace(day=1)
    received = received_at.astimezone(reference.LOCAL).replace(tzinfo=None)
    last_moment = min(datetime.combine(following, datetime.min.time()), received)
    maximum = max(POLICY.speed_maxima.values())
    # A row without an id is no other's twin.
    own = np.arange(len(rows), dtype=np.uint64)
    frame = rows.assign(measurement_id=np.where(rows["measurement_id"] == 0, own, rows["measurement_id"]))
    ranges: dict[str, dict[str, Any]] = {
        "download_mbps": {"min_value": 0, "max_value": maximum, "strict_min": True},
        "upload_mbps": {"min_value": 0, "max_value": maximum, "strict_min": True},
        "ping_ms": {"min_value": 0, "max_value": POLICY.ping_maximum_ms, "strict_min": True},
        "jitter_ms": {"min_value": 0},
        "packet_loss_pct": {"min_value": 0, "max_value": 100},
        "latitude": {"min_value": -90, "max_value": 90},
        "longitude": {"min_value": -180, "max_value": 180},
        "location_accuracy_m": {"min_value": 0, "max_value": POLICY.accuracy_maximum_m},
        "measured_at": {"min_value": pd.Timestamp(first), "max_value": pd.Timestamp(last_moment), "strict_max": True},
    }
    return validate(
        frame,
        "measurement",
        [
            gxe.ExpectTableRowCountToBeBetween(min_value=1),
            gxe.ExpectColumnValuesToBeInSet(column="unreadable", value_set=[False]),
            *(
                gxe.ExpectColumnValuesToNotBeNull(column=name)
                for name in ("measured_at", "technology", "download_mbps")
            ),
            gxe.ExpectColumnValuesToBeInSet(column="technology", value_set=list(POLICY.speed_maxima)),
            *(gxe.ExpectColumnValuesToBeBetween(column=name, **bounds) for name, bounds in ranges.items()),
            gxe.ExpectColumnValuesToBeUnique(column="measurement_id"),
        ],
    )


def check_tables(tables: dict[str, pd.DataFrame]) -> dict[str, int]:
    """What each report table must be. A table that is not stops the job."""
    import great_expectations.expectations as gxe

    found: dict[str, int] = {}
    for name, table in tables.items():
        expectations: list[Any] = [
            *(gxe.ExpectColumnValuesToNotBeNull(column=column) for column in KEYS[name]),
            gxe.ExpectColumnValuesToBeUnique(column="cell"),
        ]
        if "n_samples" in table:
            shares = [column for column in table if column.endswith("_share") or column == "share_at_target"]
            expectations += [
                *(gxe.ExpectColumnValuesToBeBetween(column=column, min_value=0, max_value=1) for column in shares),
                *(_in_order(gxe, larger, smaller) for larger, smaller in ORDERED),
            ]
        numbers = [column for pair in ORDERED for column in pair if column in table]
        frame = table.assign(cell=table[KEYS[name]].agg("|".join, axis=1)) if len(table) else table.assign(cell="")
        found |= validate(frame.astype(dict.fromkeys(numbers, float)), name, expectations)
    wrong = {check: n for check, n in found.items() if n}
    if wrong:
        raise RuntimeError(f"report tables: {wrong}")
    quality = tables["report_quality_month"].pivot_table("n_rows", "source_file", "outcome", aggfunc="sum")
    if (quality["raw"] != quality["accepted"] + quality["quarantined"]).any():
        raise RuntimeError(f"rows that are not accounted for: {quality}")
    return found


ORDERED = (
    ("n_measurements", "n_samples"),
    ("n_samples", "n_devices"),
    *((f"{metric}_ci_high", f"{metric}_median") for metric in reference.METRICS),
    *((f"{metric}_median", f"{metric}_ci_low") for metric in reference.METRICS),
    *((f"{metric}_p90", f"{metric}_p10") for metric in reference.METRICS),
)


def _in_order(gxe: Any, larger: str, smaller: str) -> Any:
    return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=larger, column_B=smaller, or_equal=True, ignore_row_if="either_value_is_missing"
    )


# Output --------------------------------------------------------------------------------------------------------------


def write(tables: dict[str, pd.DataFrame], checks: dict[str, int], out: Path) -> None:
    """Each table as csv with every digit, and all of them with the checks as a workbook."""
    from openpyxl import Workbook
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter

    found = pd.DataFrame({"check": list(checks), "n_rows": list(checks.values())})
    bold, grey = Font(bold=True), PatternFill("solid", fgColor="DDDDDD")
    workbook = Workbook()
    workbook.remove(workbook.active)
    for name, table in {**tables, "checks": found}.items():
        table.to_csv(out / f"{name}.csv", index=False)
        sheet = workbook.create_sheet(name[:31])
        sheet.append(list(table.columns))
        for line in table.astype(object).where(table.notna(), None).itertuples(index=False, name=None):
            sheet.append([value.item() if isinstance(value, np.generic) else value for value in line])
        for column, cells in enumerate(sheet.iter_cols(), start=1):
            cells[0].font, cells[0].fill = bold, grey
            texts = [len(str(cell.value)) for cell in cells if cell.value is not None]
            sheet.column_dimensions[get_column_letter(column)].width = min(50, max(texts) + 2)
            if str(cells[0].value).startswith(reference.METRICS):
                for cell in cells[1:]:
                    cell.number_format = "0.00"
            for cell in cells[1:]:
                if isinstance(cell.value, str):
                    cell.data_type = "s"  # a text that starts with = is no formula
        sheet.freeze_panes, sheet.auto_filter.ref = "A2", sheet.dimensions
    workbook.save(out / "report.xlsx")


if __name__ == "__main__":
    exports_folder, registry_folder, month_key, out_folder = sys.argv[1:]
    print(json.dumps(main(Path(exports_folder), Path(registry_folder), month_key, Path(out_folder))))
