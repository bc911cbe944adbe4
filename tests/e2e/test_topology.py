"""docker-compose.yaml's services as processes on loopback: three months through Celery, one worker lost on the way.

PostgreSQL, Redis, API server with logins, scheduler, dag processor, triggerer and two workers, each by the command and
with the settings of the file (tests/topology.py).
"""

from __future__ import annotations

import http.client
import json
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import psutil
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from test_scheduler import get, logs_where_it_fails

from ispeed.backfill import backfill
from ispeed.database import Database
from ispeed.deployment import ADMIN
from ispeed.months import Month
from ispeed.sample import make_exports
from ispeed.services import LOOPBACK, ServiceError, Services, free_port
from ispeed.settings import Settings
from ispeed.verification import verify
from postgresql import USERS, Server, postgresql
from topology import Here, read_compose, read_example

MONTHS = [Month(2024, 8), Month(2024, 9), Month(2024, 10)]
ROWS_A_MONTH = 2_000
SECONDS = 600.0
# Shorter than on a server, so that the test does not wait: a lost worker's task is found and tried again at once.
CHANGED = {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "25"}
RETRY_AT_ONCE = """
from datetime import timedelta

def task_policy(task):
    task.retry_delay, task.retry_exponential_backoff = timedelta(seconds=1), False
"""
LASTING = ("postgres", "redis", "api-server", "scheduler", "dag-processor", "triggerer", "worker")
WORKERS = ("worker", "worker-2")

if not shutil.which("redis-server"):
    pytest.skip("redis-server is not on the PATH: Celery has no queue", allow_module_level=True)


@dataclass(frozen=True)
class Topology:
    """The services, with the three months backfilled as `states` says.

    `lost` is the task whose worker was killed, `killed` that worker, `left` the other one.
    """

    here: Here
    server: Server
    services: Services
    settings: Settings
    states: dict[Month, str]
    lost: dict[str, Any]

    @property
    def killed(self) -> str:
        return str(self.lost["worker"])

    @property
    def left(self) -> str:
        return next(name for name in WORKERS if name != self.killed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("topology")


@pytest.fixture(scope="module")
def here(folder: Path) -> Here:
    """A filled .env, free ports, and folders in place of the volumes."""
    values = {
        name: secrets.token_hex(16) for name, (is_comment, value) in read_example().items() if not (is_comment or value)
    }
    values["AIRFLOW__CORE__FERNET_KEY"] = Fernet.generate_key().decode()
    values["ISPEED_SETTLE_SECONDS"] = "1"
    ports = {port: free_port() for port in (5432, 6379, 8080, 8793, 8794, 8974)}
    for name in ("data/returns", "data/registry", "data/lake", "data/share", "scratch", "tmp", "var/lib/airflow/logs"):
        (folder / name).mkdir(parents=True)
    (folder / "policy").mkdir()
    (folder / "policy" / "airflow_local_settings.py").write_text(RETRY_AT_ONCE)
    path = {"PYTHONPATH": f"{folder / 'policy'}:{Path(__file__).parents[2] / 'include'}"}
    return Here(folder, values, ports, (), {**CHANGED, **path})


@pytest.fixture(scope="module")
def server(here: Here, folder: Path) -> Iterator[Server]:
    passwords = {name: here.values[name] for name in USERS}
    with postgresql(folder / "postgres", passwords, here.ports[5432]) as server:
        yield server


@pytest.fixture(scope="module")
def topology(here: Here, server: Server, folder: Path) -> Iterator[Topology]:
    here = replace(here, programs=(server.programs,))
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}")
        assert time.monotonic() - started < SECONDS

    prepared = here.run("airflow-init")
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    say("prepared")
    settings = Settings.from_environment(here.environment("worker"))
    make_exports(settings, MONTHS, n_rows=ROWS_A_MONTH)
    only_here = {"AIRFLOW__API__HOST": LOOPBACK}
    commands = {name: here.command(name, **only_here) for name in LASTING if name not in ("postgres", "worker")}
    for name in WORKERS:
        # Two on one machine: each needs a port of its own for its logs.
        of_its_own = {"AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port())} if name != WORKERS[0] else {}
        commands[name] = here.command("worker", HOSTNAME=name, **of_its_own)
    services = Services(
        "topology",
        here.environment("scheduler"),
        folder / "log",
        here.ports[8080],
        commands,
        (ADMIN, here.values["ADMIN_PASSWORD"]),
    )
    with logs_where_it_fails(folder), services:
        say("services ready")
        lost: dict[str, Any] = {}
        watch = threading.Thread(target=lose_a_worker, args=(services, MONTHS[-1], lost, say), daemon=True)
        watch.start()
        states = backfill(services, MONTHS, say, n_parallel=3)
        say(f"memory, MB: {memory(services)}")
        yield Topology(here, server, services, settings, states, lost)


def lose_a_worker(services: Services, month: Month, lost: dict[str, Any], say: Callable[[str], None]) -> None:
    """Kill the worker, and all that it started, on which a task of the month is seen to run; note which."""
    running = "/api/v2/dags/ingest_measurements/dagRuns/~/taskInstances?state=running&limit=50"
    while not lost:
        time.sleep(0.3)
        of_worker = {name: processes_of(services, name) for name in WORKERS}
        for task in services.request("GET", running)["task_instances"]:
            worker = next((name for name in WORKERS if task["pid"] in of_worker[name]), None)
            if worker is None or task["task_id"] == "wait_for_export" or f"__{month}__" not in task["dag_run_id"]:
                continue
            process = of_worker[worker][task["pid"]]
            # Held, so that it cannot end between the look and the blow.
            process.suspend()
            if task["id"] not in {each["id"] for each in services.request("GET", running)["task_instances"]}:
                process.resume()
                continue
            processes = of_worker[worker] | processes_of(services, worker)
            services.kill(worker)
            for process in processes.values():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            lost.update(task, worker=worker)
            say(f"{worker} killed in {task['task_id']} of {task['dag_run_id']}")
            return


def processes_of(services: Services, name: str) -> dict[int, psutil.Process]:
    """What a service has started, by process id."""
    return {process.pid: process for process in psutil.Process(services.pid(name)).children(recursive=True)}


def memory(services: Services) -> dict[str, int]:
    """What each service and its children hold, shared pages counted in parts, in MB."""
    found = {}
    for name in services.running:
        process = psutil.Process(services.pid(name))
        held = 0
        for each in (process, *process.children(recursive=True)):
            try:
                held += each.memory_full_info().pss
            except psutil.NoSuchProcess:
                continue
        found[name] = held // 2**20
    return found


def test_three_months_side_by_side_are_published_once_each_though_a_worker_was_lost(topology: Topology) -> None:
    settings, database = topology.settings, Database(topology.settings.database_url)
    assert topology.states == dict.fromkeys(MONTHS, "success")
    rows = [row for month in MONTHS for row in database.publications(month)]
    assert [(f"{row['month']:%Y-%m}", row["revision"], row["state"]) for row in rows] == [
        (str(month), 1, "published") for month in MONTHS
    ]
    moments = [row["published_at"] for row in rows]
    assert moments == sorted(moments), "a month is compared with those before it"
    for month, row in zip(MONTHS, rows, strict=True):
        assert row["n_raw"] == row["n_accepted"] + row["n_quarantined"]
        assert row["n_raw"] == counted(settings, month)
        assert json.loads((settings.share_of(month) / "latest.json").read_text())["revision"] == 1
        assert sorted(path.name for path in settings.share_of(month).iterdir()) == ["latest.json", "r1"]


def counted(settings: Settings, month: Month) -> int:
    """The rows of a month's export files, counted by nothing of ours."""
    files = settings.exports_of(month).glob("ispeed_*.csv*")
    query = "select count(*) from read_csv(?, all_varchar=true, header=false, delim='\x01', quote='', escape='')"
    return sum(duckdb.execute(query, [str(path)]).fetchall()[0][0] - 1 for path in files)


def test_the_lost_task_was_really_running_and_was_tried_again_by_another_worker(topology: Topology) -> None:
    lost = topology.lost
    assert (lost["state"], lost["try_number"]) == ("running", 1)
    path = f"/api/v2/dags/{lost['dag_id']}/dagRuns/{quote(lost['dag_run_id'])}/taskInstances/{lost['task_id']}"
    tries = topology.services.request("GET", f"{path}/tries?map_index={lost['map_index']}")["task_instances"]
    assert [(each["try_number"], each["state"]) for each in tries] == [(1, "failed"), (2, "success")]


def test_a_month_that_was_made_on_two_workers_can_be_made_anew_to_the_byte(topology: Topology) -> None:
    found = verify(topology.settings, MONTHS[0], 1)
    assert (found.differences, found.notes) == ([], [])


@pytest.mark.parametrize("service", LASTING)
def test_a_service_that_runs_is_well_by_its_health_check(service: str, topology: Topology) -> None:
    more = topology.server.environment() if service == "postgres" else {"HOSTNAME": topology.left}
    done = topology.here.health(service, **more)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_worker_that_is_gone_is_not_well(topology: Topology) -> None:
    assert topology.here.health("worker", HOSTNAME=topology.killed).returncode != 0


def refused(topology: Topology, user: str, database: str, statement: str = "select 1") -> str:
    """What PostgreSQL says to a user who does something; empty where it lets them."""
    engine = sa.create_engine(topology.server.url(user, database))
    try:
        with engine.begin() as connection:
            connection.execute(sa.text(statement))
    except sa.exc.DBAPIError as error:
        return str(error.orig)
    finally:
        engine.dispose()
    return ""


def test_each_database_user_reaches_its_own_and_no_more(topology: Topology) -> None:
    assert "permission denied for database" in refused(topology, "airflow", "reports")
    assert "permission denied for database" in refused(topology, "ispeed", "airflow")
    assert "permission denied for database" in refused(topology, "ispeed_pages", "airflow")
    assert "permission denied for database" in refused(topology, "airflow", "postgres")
    assert refused(topology, "ispeed_pages", "reports", "select * from latest_report_province_month") == ""
    for statement in ("delete from publication", "create table public.mine (n int)", "set role ispeed"):
        assert "permission denied" in refused(topology, "ispeed_pages", "reports", statement)
    assert "permission denied" in refused(topology, "ispeed", "reports", "create role somebody")
    assert topology.server.superuser("--command", "select rolname from pg_roles where rolsuper") == "postgres"


def test_a_worker_and_the_page_hold_no_secret_that_they_do_not_need(topology: Topology) -> None:
    def secrets_of(service: str) -> set[str]:
        given = " ".join(topology.here.environment(service).values())
        return {name for name, value in topology.here.values.items() if len(value) >= 32 and value in given}

    assert secrets_of("worker") == {
        "REPORTS_DB_PASSWORD",
        "REDIS_PASSWORD",
        "AIRFLOW__API__SECRET_KEY",
        "ISPEED_DEVICE_KEY",
    }
    assert not secrets_of("api-server") & {"REPORTS_DB_PASSWORD", "REDIS_PASSWORD", "ISPEED_DEVICE_KEY"}
    for service in ("api-server", "scheduler", "dag-processor", "triggerer", "worker", "redis"):
        assert not secrets_of(service) & {"POSTGRES_PASSWORD", "ADMIN_PASSWORD"}, service


def test_people_log_in_with_roles_and_one_who_only_looks_starts_nothing(topology: Topology) -> None:
    services = topology.services
    for name, role in (("engineer", "Op"), ("viewer", "Viewer")):
        person = {"username": name, "first_name": name, "last_name": name, "email": f"{name}@example.org"}
        login = {"roles": [{"name": role}], "password": f"{name}-password"}
        services.request("POST", "/auth/fab/v1/users", person | login)
    with pytest.raises(ServiceError, match="401"):
        services.token_of(ADMIN, "admin")
    runs = "/api/v2/dags/sync_registry/dagRuns"
    codes = {}
    for name in ("engineer", "viewer"):
        token = services.token_of(name, f"{name}-password")
        codes[name] = (get(services, "/ispeed/2024-10/", token=token)[0], post(services, runs, token))
    assert codes == {"engineer": (200, 200), "viewer": (200, 403)}
    assert get(services, "/ispeed/2024-10/", token=None)[0] == 401


def post(services: Services, path: str, token: str) -> int:
    connection = http.client.HTTPConnection(LOOPBACK, services.port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps({"logical_date": None}), headers)
    return connection.getresponse().status


def test_preparing_again_changes_nothing_and_wants_a_password_all_the_same(topology: Topology) -> None:
    again = topology.here.run("airflow-init", ADMIN_PASSWORD="another one, and long enough")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "ready: the services may start"), again.stderr
    assert "was made" not in again.stdout
    assert topology.services.token_of(ADMIN, topology.here.values["ADMIN_PASSWORD"])
    for password in ("", "short"):
        none = topology.here.run("airflow-init", ADMIN_PASSWORD=password)
        assert none.returncode == 2
        assert "setting ADMIN_PASSWORD" in none.stderr


def test_redis_answers_nobody_without_the_password(topology: Topology) -> None:
    asked = ["redis-cli", "-h", LOOPBACK, "-p", str(topology.here.ports[6379]), "ping"]
    assert "NOAUTH" in subprocess.run(asked, capture_output=True, text=True).stdout


def test_what_this_test_has_otherwise_is_set_in_the_file(topology: Topology) -> None:
    services = read_compose()["services"]
    for name in CHANGED:
        assert name in services["scheduler"]["environment"], name
