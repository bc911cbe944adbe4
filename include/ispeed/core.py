"""The core: accepted measurements, joined to the registry as of their day, with flags beside them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ispeed.checks import add_policy, add_row_reasons, run_suite, stop_where_critical
from ispeed.engine import Engine, open_engine
from ispeed.lake import month_lock, read_step, replaced_folder, write_json
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.registry import match_operators, match_places, read_registry
from ispeed.settings import Settings


def build_core(settings: Settings, month: Month) -> dict[str, Any]:
    """Write `core/month=…/`: core_measurement, flag_measurement, and `core.json`.

    Returns the numbers of accepted and flagged rows. Raises `CheckFailed` where rows do not add up or another
    critical check of the core fails; the core that was there before then stays.
    """
    policy = read_policy(settings.policy, month.last_day)
    quarantine = read_step(settings, "quarantine", month, "check")
    staging = read_step(settings, "staging", month, "stage")
    if (quarantine["inputs"], quarantine["policy"]) != (staging["inputs"], policy.fingerprint):
        raise RuntimeError(f"the quarantine of {month} was made from another staging or policy: check it again")
    with month_lock(settings, month), open_engine() as engine:
        read_staging(engine, settings, month)
        add_policy(engine, policy, month)
        read_registry(engine, settings)
        match_places(engine, policy.province.code)
        match_operators(engine)
        engine.create("core_measurement", "core/core_measurement.sql")
        add_row_reasons(engine, "flag_measurement")
        results = run_suite(engine, "core_measurement", rows="flag_measurement")
        stop_where_critical(month, results)
        with replaced_folder(settings.lake_of("core", month)) as folder:
            for name in ("core_measurement", "flag_measurement"):
                engine.write_parquet(
                    f"select * from {name} order by source_file, row_number", folder / f"{name}.parquet"
                )
            flags = engine.rows("select reason, count(*) as n_rows from flag_measurement group by reason")
            note = {
                "inputs": staging["inputs"],
                "policy": policy.fingerprint,
                "n_accepted": engine.value("select count(*) from core_measurement"),
                "n_flagged": {row["reason"]: row["n_rows"] for row in flags},
                "results": [asdict(result) for result in results],
            }
            write_json(folder / "core.json", note)
    return {"n_accepted": note["n_accepted"], "n_flagged": note["n_flagged"]}


def read_staging(engine: Engine, settings: Settings, month: Month) -> None:
    """Make the month's staging and quarantine the relations staging_measurement and quarantine_measurement."""
    engine.read_parquet("staging_measurement", *settings.lake_of("staging", month).glob("*.parquet"))
    engine.read_parquet(
        "quarantine_measurement", settings.lake_of("quarantine", month) / "quarantine_measurement.parquet"
    )
