"""Airflow's API server on months that went well and months that stopped, for tests that look at its pages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from ispeed.months import Month
from ispeed.sample import make_exports
from ispeed.services import ServiceError, Services, airflow_environment
from ispeed.settings import INCLUDE, PROJECT, Settings

GOOD, STOPPED, FOREIGN = Month(2024, 10), Month(2024, 11), Month(2024, 12)
STOPPED_FILE, STOPPED_LINE = f"ispeed_{STOPPED}_1.csv", 412
PREFIX = "/dieu-hanh"
USERS = {"admin": "admin", "chuyen-vien": "user", "khach": "viewer"}
# Each month through the real DAGs, one after the other; what fails is wanted. Airflow's `dag.test()` removes the run
# before it, which has no date either, and clears the tasks of all: each run is given its month, as the scheduler does,
# a date of its own, and at the end its tasks as they were.
_RUN = """
import sys, time
from datetime import UTC, datetime
import sqlalchemy as sa
from ispeed import month_run
from ispeed.months import Month
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance as Task
from airflow.utils.session import create_session
key, kept = (Task.dag_id, Task.run_id, Task.task_id, Task.map_index), (Task.state, Task.start_date, Task.end_date)
seen = {}
for month in sys.argv[1:]:
    month_run.run_months([Month.parse(month)], lambda text: None, time.monotonic())
    with create_session() as session:
        of_month = sa.update(DagRun).where(DagRun.logical_date.is_(None))
        session.execute(of_month.values(partition_key=month, logical_date=datetime.now(UTC)))
        seen |= {tuple(row[:4]): tuple(row[4:]) for row in session.execute(sa.select(*key, *kept)) if row.state}
with create_session() as session:
    for place, was in seen.items():
        of_task = sa.update(Task).where(*(column == value for column, value in zip(key, place)))
        session.execute(of_task.values({column.key: value for column, value in zip(kept, was)}))
"""


def installation(folder: Path) -> dict[str, str]:
    """The environment of an Airflow in an empty folder that is served under a path of its host, with three users."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ISPEED_"))}
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({name: f"mk-{name}" for name in USERS}))
    users = ",".join(f"{name}:{role}" for name, role in USERS.items())
    return airflow_environment(
        {
            **kept,
            "ISPEED_VAR": str(folder / "var"),
            "ISPEED_WAIT_SECONDS": "1",
            "ISPEED_SETTLE_SECONDS": "1",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": users,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        }
    )


def run_months(environment: Mapping[str, str], *months: Month) -> None:
    """Run months in a process of its own, whether they get through or not."""
    command = [sys.executable, "-c", _RUN, *map(str, months)]
    done = subprocess.run(
        command, env=dict(environment), cwd=PROJECT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def make_months(environment: Mapping[str, str], n_rows: int = 800) -> Settings:
    """October, published twice; November, which stops at a line of its file; December, with rows of November only."""
    settings = Settings.from_environment(environment)
    make_exports(settings, [GOOD, STOPPED], n_rows=n_rows)
    shutil.copytree(INCLUDE / "registry", settings.registry)
    spoiled = settings.exports_of(STOPPED) / STOPPED_FILE
    lines = spoiled.read_bytes().splitlines(keepends=True)
    # A quote that is never closed: what stands behind it would all be one field.
    lines[STOPPED_LINE - 1 :] = [line.replace(b'"', b"") for line in lines[STOPPED_LINE - 1 :]]
    lines[STOPPED_LINE - 1] = b'"' + lines[STOPPED_LINE - 1]
    spoiled.write_bytes(b"".join(lines))
    foreign = settings.exports_of(FOREIGN)
    foreign.mkdir()
    head = "Thời gian đo,Loại mạng,Download (Mbps)\n"
    (foreign / "ispeed_2024-12_1.csv").write_text(head + "15/11/2024 08:00:00,4G,33\n" * 40, encoding="utf-8")
    (foreign / ".done").touch()
    run_months(environment, GOOD)
    late = settings.exports_of(GOOD) / "ispeed_2024-10_3.csv"
    late.write_text(
        head + "".join(f"2{n % 8}/10/2024 08:{n:02d}:00,4G,{30 + n}\n" for n in range(50)), encoding="utf-8"
    )
    run_months(environment, GOOD, STOPPED, FOREIGN)
    return settings


class ApiServer(Services):
    """Only the API server, under a path of its host as behind a proxy: what the pages show is already there."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        super().__init__("page", environment, logs)
        self.root = self.url
        self.url = f"{self.root}{PREFIX}"
        self.environment["AIRFLOW__API__BASE_URL"] = self.url

    def __enter__(self) -> Self:
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            self.airflow("db", "migrate")
            self.airflow("dags", "reserialize")
            self._start("api-server", self._four()["api-server"])
            deadline = time.monotonic() + 120
            while True:
                self.check_alive()
                try:
                    self.request("GET", "/api/v2/monitor/health")
                    return self
                except (OSError, urllib.error.URLError, ServiceError):
                    assert time.monotonic() < deadline, f"the API server does not answer: see {self.logs}"
                    time.sleep(0.5)
        except BaseException:
            self.stop()
            raise

    def token_for(self, user: str) -> str:
        """A token of one of the users."""
        return self.token_of(user, f"mk-{user}")
