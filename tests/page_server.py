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
from datetime import datetime
from pathlib import Path
from typing import Self

from atlas_server import Reply, listed, place, running_site
from ispeed.month_content import workbook_policy
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.returns import asked_bodies
from ispeed.returns.form import form_workbook
from ispeed.sample import make_exports
from ispeed.services import ServiceError, Services, airflow_environment
from ispeed.settings import INCLUDE, PROJECT, Settings
from return_forms import as_typed

GOOD, STOPPED, FOREIGN = Month(2024, 10), Month(2024, 11), Month(2024, 12)
STOPPED_FILE, STOPPED_LINE = f"ispeed_{STOPPED}_1.csv", 412
PREFIX = "/dieu-hanh"
USERS = {"admin": "admin", "chuyen-vien": "user", "khach": "viewer"}
REFUSED, PHOTO = "=phiếu <b>đoàn.xlsx", "IMG_0001.jpg"
RETURNS = (
    ("DHNT", "DHNT.xlsx", (521, 400, 300), "08"),
    ("HVHQ", "HVHQ.xlsx", (150, 100, 60), "12"),
    ("TINHDOAN", REFUSED, (64, 50, 60), "08"),
)
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
for asked in sys.argv[1:]:
    month, _, dag_ids = asked.partition("/")
    runs = [(dag_id, Month.parse(month)) for dag_id in dag_ids.split(",") if dag_id]
    if runs:
        month_run.run_dags(runs, lambda text: None, time.monotonic())
    else:
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
            # Twelve bodies: what the page tells of them does not hang on how many they are.
            "ISPEED_RETURNS_ASKED": "school,youth_union",
            "NO_PROXY": "127.0.0.1,localhost",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": users,
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        }
    )


def run_months(environment: Mapping[str, str], *months: Month | str) -> None:
    """Run months in a process of its own, whether they get through or not; `2024-10/DAG,DAG` are other DAGs of one."""
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
    send_returns(settings)
    with running_site() as site:
        # VNNIC's site has figures of mobile networks, and none of fixed ones.
        here = {
            "-1": listed(place("56", 784, 44.54, 46.01, 25.43, 6.74)),
            "56": listed(place("22366", 31, 60, 20, 30, 5)),
        }
        site.answer = lambda network, city: here[city] if network == "mobile" else Reply(status=404)
        with_site = {**environment, "ISPEED_ATLAS_URL": site.url}
        run_months(with_site, GOOD, STOPPED, FOREIGN, f"{GOOD}/collect_returns,compare_atlas")
    return settings


def send_returns(settings: Settings) -> None:
    """October's folder of returns: one in time, one late, one with more measured than installed, and a photo."""
    bodies = {body.code: body for body in asked_bodies(settings, GOOD)}
    policy = workbook_policy(read_policy(settings.policy, GOOD.last_day), GOOD)
    folder = settings.returns / str(GOOD)
    folder.mkdir(parents=True)
    for code, name, numbers, day in RETURNS:
        path = folder / name
        path.write_bytes(as_typed(*numbers)(form_workbook(policy, GOOD, bodies[code])))
        sent_at = datetime.fromisoformat(f"2024-11-{day}T08:00:00+07:00").timestamp()
        os.utime(path, (sent_at, sent_at))
    (folder / PHOTO).write_bytes(b"\xff\xd8\xff\xe0" + b"\0" * 99)


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
