"""The core: accepted measurements, joined to the registry as of their day, with flags beside them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ispeed.boundaries import boundary_hashes, match_locations
from ispeed.checks import (
    add_judged_core,
    add_policy,
    add_row_reasons,
    add_source_files,
    add_suspects,
    require_passed,
    run_suite,
    stop_where_critical,
)
from ispeed.data_docs import Pages
from ispeed.engine import Engine, open_chosen_engine
from ispeed.errors import UserError
from ispeed.lake import month_lock, read_step, replaced_folder, write_json
from ispeed.months import Month
from ispeed.places import match_operators, match_places
from ispeed.policy import Policy, read_policy
from ispeed.registry import copy_registry, read_registry
from ispeed.registry_history import tables_of
from ispeed.registry_month import as_of_month
from ispeed.settings import Settings


def build_core(settings: Settings, month: Month) -> dict[str, Any]:
    """Write `core/month=…/`: core_measurement, flag_measurement, and `core.json`.

    Returns the numbers of accepted and flagged rows. Raises `CheckFailed` where rows do not add up or another
    critical check of the core fails; the core that was there before then stays.
    """
    policy = read_policy(settings.policy, month.last_day)
    quarantine = read_step(settings, "quarantine", month, "check")
    staging = read_step(settings, "staging", month, "stage_files")
    require_same(month, quarantine, {"inputs": staging["inputs"], "policy": policy.fingerprint}, "check_staging")
    require_passed(month, quarantine["results"])
    folder = settings.lake_of("core", month)
    with month_lock(settings, month), replaced_folder(folder) as new, open_chosen_engine(settings) as engine:
        read_staging(engine, settings, month)
        add_policy(engine, policy, month)
        # The registry may be replaced before the reports are built: what this month stands on stays beside it.
        registry = copy_registry(settings, new / "registry")
        read_registry(engine, new / "registry")
        match_measurements(engine, settings, policy, month)
        path = new / "core_measurement.parquet"
        engine.write_file("core/core_measurement.sql", path)
        engine.read_parquet("core_measurement", path)
        add_judged_core(engine)
        add_suspects(engine, "core_measurement", "judged_core")
        add_row_reasons(engine, "flag_measurement")
        add_source_files(engine, staging["files"])
        pages = Pages.of(settings, month)
        results = run_suite(
            engine,
            "core_measurement",
            "judged_core",
            rows="flag_measurement",
            suspects="suspect_measurement",
            pages=pages,
        )
        results += run_suite(engine, "flag_measurement", pages=pages)
        stop_where_critical(month, results)
        engine.write_parquet(
            "select * from flag_measurement order by source_file, row_number, reason", new / "flag_measurement.parquet"
        )
        met = engine.rows("select distinct referral_code from core_measurement where referral_code is not null")
        codes_met = {row["referral_code"] for row in met}
        as_of = as_of_month(tables_of(engine), month, codes_met, has_boundaries=settings.boundaries is not None)
        flags = engine.rows("select reason, count(*) as n_rows from flag_measurement group by reason")
        note = {
            "inputs": staging["inputs"],
            "device_key": staging.get("device_key"),
            "policy": policy.fingerprint,
            "registry": registry | {"as_of_month": as_of},
            "boundaries": boundary_hashes(settings.boundaries),
            "n_accepted": engine.value("select count(*) from core_measurement"),
            "n_flagged": {row["reason"]: row["n_rows"] for row in flags},
            "results": [asdict(result) for result in results],
        }
        write_json(new / "core.json", note)
    return {"n_accepted": note["n_accepted"], "n_flagged": note["n_flagged"]}


def match_measurements(engine: Engine, settings: Settings, policy: Policy, month: Month) -> None:
    """Make what `core_measurement` is read from beside staging, quarantine, policy and registry: what texts mean."""
    match_places(engine, policy.province.code)
    match_locations(
        engine, settings.boundaries, policy.province.code, "staging_measurement", month.first_day, month.last_day
    )
    match_operators(engine)


def require_same(month: Month, noted: dict[str, Any], now: dict[str, Any], task: str) -> None:
    """Raise `UserError` where a step was made from something else than is there now; trying again would not help."""
    for name, value in now.items():
        if noted[name] != value:
            raise UserError(
                f"month {month}",
                f"the result of {task}, made from other {name} than there are now",
                f"a result made from the {name} of now",
                f"run {task} for {month} again, and what follows it",
            )


def read_staging(engine: Engine, settings: Settings, month: Month) -> None:
    """Make the month's staging and quarantine the relations staging_measurement and quarantine_measurement."""
    engine.read_parquet("staging_measurement", *settings.lake_of("staging", month).glob("*.parquet"))
    engine.read_parquet(
        "quarantine_measurement", settings.lake_of("quarantine", month) / "quarantine_measurement.parquet"
    )
