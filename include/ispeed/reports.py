"""The report tables of a month: computed from the core, checked, and kept in the lake until they are published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from ispeed.arrivals import add_arrivals, read_arrivals
from ispeed.checks import add_policy, add_source_files, require_passed, run_suite, stop_where_critical
from ispeed.core import read_staging, require_same
from ispeed.data_docs import Pages
from ispeed.database import Database
from ispeed.drift import add_month_drift
from ispeed.engine import Engine, Row, open_chosen_engine
from ispeed.integrity import add_integrity
from ispeed.lake import month_lock, read_step, replaced_folder, write_json
from ispeed.months import Month
from ispeed.policy import Policy, read_policy
from ispeed.registry import read_registry
from ispeed.settings import Settings
from ispeed.statistics import interval_ranks
from ispeed.tables import REPORT_TABLES, Table

# The tables whose download median is compared with the month before: cell, key and subkey of `cell_figure`.
_COMPARED = {
    "report_commune_month": ("commune", "commune_code", None),
    "report_commune_technology_month": ("commune_technology", "commune_code", "technology"),
    "report_referral_code_month": ("referral_code", "referral_code", None),
    "report_organisation_month": ("organisation", "organisation_code", None),
    "report_operator_month": ("operator", "operator", "technology"),
    "report_province_month": ("province", None, None),
}
CELLS = tuple(cell for cell, _, _ in _COMPARED.values())
METRICS = ("download_mbps", "upload_mbps", "ping_ms", "jitter_ms")
PREVIOUS_FIGURES = ("download_mbps_median", "download_mbps_ci_low", "download_mbps_ci_high")
_STEPS = ("month_commune", "month_referral_code", "month_organisation")


def build_reports(settings: Settings, month: Month) -> dict[str, Any]:
    """Write `report/month=…/`: one Parquet file a report table, and `report.json`. Returns rows per table."""
    policy = read_policy(settings.policy, month.last_day)
    core = read_step(settings, "core", month, "build_core")
    staging = read_step(settings, "staging", month, "stage_files")
    require_same(month, core, {"inputs": staging["inputs"], "policy": policy.fingerprint}, "build_core")
    require_passed(month, core["results"])
    with month_lock(settings, month), open_chosen_engine(settings) as engine:
        _read_core(engine, settings, month, policy)
        for name in _STEPS:
            engine.create(name, f"report/{name}.sql")
        previous = _add_previous(engine, settings, month)
        add_figures(engine)
        add_integrity(engine, policy, month)
        arrivals = read_arrivals(settings, month)
        add_arrivals(engine, arrivals)
        engine.create("asked_body", "report/asked_body.sql")
        with replaced_folder(settings.lake_of("report", month)) as folder:
            n_rows = write_tables(engine, REPORT_TABLES, folder)
            origins = {kind: arrival.origin for kind, arrival in arrivals.items()}
            told = {kind: arrival.document.get("told", []) for kind, arrival in arrivals.items()}
            note = {"n_rows": n_rows, "core": core, "previous": previous, "arrivals": origins, "told": told}
            write_json(folder / "report.json", note)
    return n_rows


def add_samples(engine: Engine) -> None:
    """Make `core_sample`, the representative samples of `core_measurement`, and what it says of its strata."""
    engine.create("sample_stratum", "core/sample_stratum.sql")
    engine.view("sample_test", "core/sample_test.sql")
    for name in ("repeated_sample", "core_sample"):
        engine.create(name, f"core/{name}.sql")
    engine.create("stratum_tally", "report/stratum_tally.sql")


def add_figures(engine: Engine) -> None:
    """Make `cell_figure`, every figure of every cell, from the measurements and what the cells are listed by."""
    add_samples(engine)
    for name in ("cell_listed", "cell_stratum"):
        engine.create(name, f"report/{name}.sql")
    # One kind of cell at a time, since each has every sample once: so memory holds the month once.
    for cell in CELLS:
        engine.add_rows("asked_cell", {"cell": "text"}, [(cell,)])
        engine.create("cell_sample", "report/cell_sample.sql")
        _add(engine, "cell_device", is_first=cell == CELLS[0])
        engine.create("cell_count", "report/cell_count.sql")
        counts = engine.rows("select distinct n from cell_count")
        engine.add_rows("interval_rank", {"n": "integer", "k": "integer"}, interval_ranks(row["n"] for row in counts))
        engine.create("cell_place", "report/cell_place.sql")
        for metric in METRICS:
            engine.add_rows("asked_metric", {"metric": "text"}, [(metric,)])
            _add(engine, "cell_metric", is_first=(cell, metric) == (CELLS[0], METRICS[0]))
    for name in ("cell_mix", "commune_progress", "cell_figure", "cell_rank"):
        engine.create(name, f"report/{name}.sql")


def _add(engine: Engine, name: str, *, is_first: bool) -> None:
    (engine.create if is_first else engine.append)(name, f"report/{name}.sql")


def write_tables(engine: Engine, tables: Sequence[Table], folder: Path) -> dict[str, int]:
    """Make the report tables and write them to `folder`, in the order in which they are published. Returns rows."""
    n_rows = {}
    for table in tables:
        engine.create(table.name, f"report/{table.name}.sql", is_checked=True)
        columns = ", ".join(name for name in table.column_names if name != "revision")
        order = ", ".join(f"{key} desc" if key == "network" else key for key in table.key)
        engine.write_parquet(f"select {columns} from {table.name} order by {order}", folder / f"{table.name}.parquet")
        n_rows[table.name] = engine.value(f"select count(*) from {table.name}")
    return n_rows


def check_reports(settings: Settings, month: Month) -> dict[str, Any]:
    """Run the suites of the report tables, and of what they are beside the months before.

    Returns checks run and failed; raises `CheckFailed` at a critical one.
    """
    policy = read_policy(settings.policy, month.last_day)
    read_step(settings, "report", month, "build_reports")
    folder = settings.lake_of("report", month)
    with month_lock(settings, month), open_chosen_engine(settings) as engine:
        _read_core(engine, settings, month, policy)
        for table in REPORT_TABLES:
            engine.read_table(table.name, folder / f"{table.name}.parquet")
        add_month_drift(engine, settings, month, policy)
        pages = Pages.of(settings, month)
        suites = (*(table.name for table in REPORT_TABLES), "month_drift")
        results = [result for suite in suites for result in run_suite(engine, suite, pages=pages)]
        write_json(folder / "checks.json", [asdict(result) for result in results])
    stop_where_critical(month, results)
    return {"n_checks": len(results), "n_failed": sum(not result.passed for result in results)}


def read_report(engine: Engine, settings: Settings, month: Month, table: Table) -> list[Row]:
    """The rows of one report table as built, in the order in which they are published, without their revision."""
    engine.read_parquet(table.name, settings.lake_of("report", month) / f"{table.name}.parquet")
    return engine.rows(f"select * from {table.name}")


def add_previous_figures(engine: Engine, is_published: bool, rows: Sequence[tuple[Any, ...]]) -> None:
    """Make `previous_figure` (cell, network, key, subkey, `PREVIOUS_FIGURES`) and `previous_month`, to compare with."""
    engine.add_rows(
        "previous_figure",
        dict.fromkeys(("cell", "network", "cell_key", "cell_subkey"), "text")
        | dict.fromkeys(PREVIOUS_FIGURES, "double"),
        rows,
    )
    engine.add_rows("previous_month", {"is_published": "integer"}, [(int(is_published),)])


def _read_core(engine: Engine, settings: Settings, month: Month, policy: Policy) -> None:
    read_staging(engine, settings, month)
    for name in ("core_measurement", "flag_measurement"):
        engine.read_parquet(name, settings.lake_of("core", month) / f"{name}.parquet")
    read_registry(engine, settings.lake_of("core", month) / "registry")
    add_policy(engine, policy, month)
    add_source_files(engine, read_step(settings, "staging", month, "stage_files")["files"])
    engine.add_rows(
        "integrity_threshold",
        {"indicator": "text", "threshold": "double"},
        list(policy.integrity_threshold.items()),
    )


def _add_previous(engine: Engine, settings: Settings, month: Month) -> int | None:
    """Make `previous_figure`: medians of the month before as last published. Returns that revision, None if none.

    A commune stands in it only where it is the same unit of the registry in both months, and a referral code only
    where it had one holder throughout: codes are reused.
    """
    database = Database(settings.database_url)
    revision = database.current_revision(month.previous)
    same_unit = _same_units(engine, month)
    holders = {row["referral_code"]: row for row in engine.rows("select * from month_referral_code")}
    rows: list[tuple[Any, ...]] = []
    if revision is not None:
        for table, (cell, key, subkey) in _COMPARED.items():
            rows += [
                (
                    cell,
                    row["network"],
                    row[key] if key else "",
                    row[subkey] if subkey else "",
                    *(row[figure] for figure in PREVIOUS_FIGURES),
                )
                for row in database.rows(table, month.previous, revision)
                if (key != "commune_code" or row["commune_code"] in same_unit)
                and (key != "referral_code" or _is_same_holder(row, holders.get(row["referral_code"])))
            ]
    add_previous_figures(engine, revision is not None, rows)
    return revision


def _is_same_holder(before: Row, now: Row | None) -> bool:
    """Whether a code had one holder, the same one, all through this month and the one before."""
    if now is None or before["holder_since"] or now["holder_since"]:
        return False
    # A commune's code may mean another unit by now; an organisation may have taken another name.
    names = ("holder_kind", "holder_code", *(("holder_name",) if now["holder_kind"] == "commune" else ()))
    return all(before[name] == now[name] for name in names)


def _same_units(engine: Engine, month: Month) -> set[str]:
    """Codes that mean the same row of the registry at the end of this month and of the one before."""

    def units(day: date) -> set[tuple[Any, ...]]:
        rows = engine.rows(
            "select commune_code, valid_from from commune where ? between valid_from and valid_to", [day]
        )
        return {(row["commune_code"], row["valid_from"]) for row in rows}

    return {code for code, _ in units(month.last_day) & units(month.previous.last_day)}
