"""Months run by Airflow's own services, each until it is published: one after the other, or some side by side."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Final
from urllib.parse import quote

from ispeed.lake import held_months
from ispeed.months import Month
from ispeed.services import MONTH_DAG_IDS, Services
from ispeed.settings import Settings

FINISHED: Final = ("success", "failed")
PUBLISH_STARTS_SECONDS: Final = 120.0


def backfill(
    services: Services,
    months: Sequence[Month],
    say: Callable[[str], None],
    boundaries: date | None = None,
    n_parallel: int = 1,
) -> dict[Month, str]:
    """Sync the registry, backfill the months, and wait until each is published, also on the map of a day.

    At most `n_parallel` are ingested at a time. They are published in order all the same: a month is compared with
    those before it. Months that were done before are done again. Returns for each month `success`, or which DAG failed
    and why.
    """
    settings = Settings.from_environment(services.environment)
    with held_months(settings, months if n_parallel > 1 else ()):
        return _backfill(services, months, say, boundaries, n_parallel)


def _backfill(
    services: Services,
    months: Sequence[Month],
    say: Callable[[str], None],
    boundaries: date | None,
    n_parallel: int,
) -> dict[Month, str]:
    services.unpause(("sync_registry", *MONTH_DAG_IDS))
    # A run that was cut off goes on now, and counts; what is finished was another time.
    seen = {run["dag_run_id"] for dag_id in MONTH_DAG_IDS for run in services.runs(dag_id) if run["state"] in FINISHED}
    sync = services.request("POST", "/api/v2/dags/sync_registry/dagRuns", {"logical_date": None})["dag_run_id"]
    state = _wait_for_run(services, "sync_registry", sync)
    say(f"sync_registry: {state}")
    if state != "success":
        return dict.fromkeys(months, f"sync_registry {state}: {_failure_text(services, 'sync_registry', sync)}")
    # Airflow allows one backfill of a DAG; one that was stopped with its services still counts.
    for left in services.request("GET", "/api/v2/backfills?dag_id=ingest_measurements")["backfills"]:
        if left["completed_at"] is None:
            services.request("PUT", f"/api/v2/backfills/{left['id']}/cancel")
    conf = {"boundaries": str(boundaries)} if boundaries else {}
    services.airflow(
        *("backfill", "create", "--dag-id", "ingest_measurements"),
        *("--from-date", str(months[0].first_day), "--to-date", str(months[-1].last_day)),
        *("--max-active-runs", str(n_parallel), "--reprocess-behavior", "completed"),
        *(("--dag-run-conf", json.dumps(conf)) if conf else ()),
    )
    states: dict[Month, str] = {}
    told: dict[tuple[Month, str], str] = {}
    ingested_at: dict[Month, float] = {}
    # Side by side, months may be ingested in another order than they are published in: those runs are ours to start.
    started: dict[Month, str] = {}
    while len(states) < len(months):
        services.check_alive()
        runs = {
            (dag_id, run["partition_key"]): run
            for dag_id in MONTH_DAG_IDS
            for run in reversed(services.runs(dag_id))
            if run["dag_run_id"] not in seen
            and (n_parallel == 1 or dag_id != "publish_reports" or run["dag_run_id"] in started.values())
        }
        for month in months:
            for dag_id in MONTH_DAG_IDS:
                run = runs.get((dag_id, str(month)))
                if run is None or month in states:
                    continue
                if told.get((month, dag_id)) != run["state"]:
                    told[month, dag_id] = run["state"]
                    say(f"{month} {dag_id}: {run['state']}")
                if run["state"] == "running":
                    retried = _failure_text(services, dag_id, run["dag_run_id"], "up_for_retry")
                    if retried and retried != told.get((month, f"{dag_id} retry")):
                        told[month, f"{dag_id} retry"] = retried
                        say(f"{month} {dag_id}: will be tried again after {retried}")
                if run["state"] == "failed":
                    states[month] = f"{dag_id} failed: {_failure_text(services, dag_id, run['dag_run_id'])}"
                elif run["state"] == "success" and dag_id == "publish_reports":
                    if month in ingested_at:
                        states[month] = "success"
                elif run["state"] == "success":
                    since = ingested_at.setdefault(month, time.monotonic())
                    late = time.monotonic() - since > PUBLISH_STARTS_SECONDS
                    if n_parallel == 1 and late and ("publish_reports", str(month)) not in runs:
                        states[month] = "publish_reports was not started by the asset event"
        if n_parallel > 1:
            first = next((month for month in months if month not in states), None)
            if first in ingested_at and first not in started:
                asked = {"logical_date": None, "partition_key": str(first), "conf": conf}
                run = services.request("POST", "/api/v2/dags/publish_reports/dagRuns", asked)
                started[first] = run["dag_run_id"]
        time.sleep(1)
    return states


def _wait_for_run(services: Services, dag_id: str, run_id: str) -> str:
    while True:
        services.check_alive()
        states = {run["dag_run_id"]: str(run["state"]) for run in services.runs(dag_id)}
        if states[run_id] in FINISHED:
            return states[run_id]
        time.sleep(1)


def _failure_text(services: Services, dag_id: str, run_id: str, state: str = "failed") -> str:
    """What the log of the run's task in that state tells: the text of the error, without the traceback; else empty."""
    path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances"
    for task in services.request("GET", path)["task_instances"]:
        if task["state"] != state:
            continue
        log = services.request(
            "GET",
            f"{path}/{task['task_id']}/logs/{task['try_number']}?full_content=true&map_index={task['map_index']}",
        )
        for line in reversed(log["content"]):
            if line.get("level") in ("error", "critical"):
                details = line.get("error_detail") or [{}]
                return f"{task['task_id']}: {details[0].get('exc_value') or line['event']}"
        return f"{task['task_id']}: its log tells no error"
    return ""
