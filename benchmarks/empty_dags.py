"""A province's month under Airflow's own scheduler, beside the same DAGs with empty steps: what is ours, task by task.

    PYTHONPATH=include .venv/bin/python benchmarks/empty_dags.py --rows 65000

The empty ones are the same DAG files, operators and settings; the modules that do the work are replaced by ones that do
nothing. Times are those of three months, medians; a run is from the start of `ingest_measurements` to the end of
`publish_reports`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from ispeed.backfill import FINISHED
from ispeed.months import Month
from ispeed.sample import make_exports
from ispeed.services import MONTH_DAG_IDS, Services, airflow_environment
from ispeed.settings import INCLUDE, Settings

# Seldom: each look is one more reader of the scheduler's SQLite.
LOOK_SECONDS = 1.0
MONTHS = [Month(2024, 8), Month(2024, 9), Month(2024, 10)]
# What DAG files and their operators themselves are made of.
KEPT = ("__init__", "airflow", "errors", "exports", "lake", "months", "settings")
EMPTY = {
    "registry": ("sync_registry",),
    "landing": ("land",),
    "staging": ("stage_files", "finish_staging"),
    "checks": ("check_staging",),
    "core": ("build_core",),
    "reports": ("build_reports", "check_reports"),
    "draft": ("write_workbooks",),
    "share": ("publish",),
    "restatement": ("restate",),
}


def write_empty_steps(folder: Path, n_groups: int) -> None:
    """A package `ispeed` whose steps do nothing; files are dealt out to `n_groups` tasks."""
    (folder / "ispeed").mkdir(parents=True)
    for name in KEPT:
        shutil.copy(INCLUDE / "ispeed" / f"{name}.py", folder / "ispeed")
    for module, functions in EMPTY.items():
        lines = [f"def {function}(*_, **__):\n    return {{}}\n" for function in functions]
        if module == "staging":
            groups = [{"label": str(number), "files": []} for number in range(n_groups)]
            lines.append(f"def deal_out_files(*_):\n    return {groups!r}\n")
        (folder / "ispeed" / f"{module}.py").write_text("\n".join(lines), encoding="utf-8")


def run_months(name: str, var: Path, exports: Path, path: Sequence[Path]) -> list[dict[str, float]]:
    """Seconds of each month's run (`run`) and of each task in it, mapped tasks added up."""
    environment = airflow_environment(
        {
            **{key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "ISPEED_"))},
            "ISPEED_VAR": str(var),
            "ISPEED_EXPORTS": str(exports),
            "ISPEED_REGISTRY": str(INCLUDE / "registry"),
            # The month that the schedule asks for is not there: it is to end at once.
            "ISPEED_WAIT_SECONDS": "0",
            "PYTHONPATH": os.pathsep.join(map(str, path)),
        }
    )
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if name == "empty":
        # Our pages are read by nobody here, and want the modules that are replaced.
        environment["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(var.with_name("no-plugins"))
    found = []
    with Services(name, environment, var / "log") as services:
        services.unpause(("sync_registry", *MONTH_DAG_IDS))
        while not (synced := services.runs("sync_registry")):
            time.sleep(LOOK_SECONDS)
        wait_for(services, "sync_registry", synced[0])
        for month in MONTHS:
            asked = {"logical_date": None, "partition_key": str(month)}
            ingest = wait_for(
                services,
                "ingest_measurements",
                services.request("POST", runs_of("ingest_measurements"), asked),
            )
            while not (made := [r for r in services.runs("publish_reports") if r["partition_key"] == str(month)]):
                time.sleep(LOOK_SECONDS)
            publish = wait_for(services, "publish_reports", made[0])
            seconds = {"run": seconds_between(ingest["start_date"], publish["end_date"])}
            for dag_id, run in (("ingest_measurements", ingest), ("publish_reports", publish)):
                tasks = f"{runs_of(dag_id)}/{quote(run['dag_run_id'], safe='')}/taskInstances"
                for task in services.request("GET", tasks)["task_instances"]:
                    before = seconds.get(task["task_id"], 0.0)
                    seconds[task["task_id"]] = before + seconds_between(task["start_date"], task["end_date"])
            print(f"{name} {month}  {seconds['run']:.1f} s", flush=True)
            found.append(seconds)
    return found


def runs_of(dag_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns"


def wait_for(services: Services, dag_id: str, run: dict[str, Any]) -> dict[str, Any]:
    while run["state"] not in FINISHED:
        services.check_alive()
        time.sleep(LOOK_SECONDS)
        run = services.request("GET", f"{runs_of(dag_id)}/{quote(run['dag_run_id'], safe='')}")
    assert run["state"] == "success", f"{dag_id} {run['state']}"
    return run


def seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=65_000)
    n_rows = parser.parse_args().rows
    # So that `with` blocks end and no service stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with TemporaryDirectory(prefix="ispeed-empty-") as name:
        folder = Path(name)
        settings = Settings.from_environment({"ISPEED_VAR": name, "ISPEED_REGISTRY": str(INCLUDE / "registry")})
        make_exports(settings, MONTHS, n_rows=n_rows)
        for month in MONTHS:
            (settings.exports_of(month) / ".done").touch()
        n_files = max(len([*settings.exports_of(month).glob("[!.]*")]) for month in MONTHS)
        write_empty_steps(folder / "empty", n_files)
        empty = run_months("empty", folder / "var-empty", settings.exports, [folder / "empty", INCLUDE])
        ours = run_months("ours", folder / "var", settings.exports, [INCLUDE])

    def middle(found: Sequence[dict[str, float]], task: str) -> float:
        return statistics.median(seconds[task] for seconds in found)

    print(f"\n{'task':<20}{'empty':>8}{'ours':>8}{'more':>8}")
    for task in ours[0]:
        print(f"{task:<20}{middle(empty, task):>8.1f}{middle(ours, task):>8.1f}", end="")
        print(f"{middle(ours, task) - middle(empty, task):>8.1f}")
    limit = 1.5 * middle(empty, "run") + 10
    result = {"rows": n_rows, "empty_s": middle(empty, "run"), "ours_s": middle(ours, "run"), "limit_s": limit}
    print(json.dumps({key: round(value, 1) for key, value in result.items()}))


if __name__ == "__main__":
    main()
