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
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from atlas_server import listed, place, running_site
from ispeed.backfill import FINISHED, backfill
from ispeed.database import Database
from ispeed.deployment import ADMIN
from ispeed.months import Month
from ispeed.returns.publishing import publish_forms
from ispeed.sample import make_exports
from ispeed.services import LOOPBACK, ServiceError, Services, free_port
from ispeed.settings import Settings
from ispeed.verification import verify
from postgresql import USERS, Server, postgresql
from return_forms import as_typed
from running_services import get, logs_where_it_fails, lose_a_worker, memory
from topology import Here, read_compose, read_example

MONTHS = [Month(2024, 8), Month(2024, 9), Month(2024, 10)]
KEYS = [str(month) for month in MONTHS]
NEW_MAP = date(2025, 7, 1)
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
def atlas() -> Iterator[str]:
    """The address of a site that answers as VNNIC's does."""
    with running_site() as site:
        site.answer = lambda network, city: listed(place("56" if city == "-1" else "22366", 40, 50.5, 20, 30, 5))
        yield site.url


@pytest.fixture(scope="module")
def here(folder: Path, atlas: str) -> Here:
    """A filled .env, free ports, and folders in place of the volumes."""
    values = {
        name: secrets.token_hex(16) for name, (is_comment, value) in read_example().items() if not (is_comment or value)
    }
    values["AIRFLOW__CORE__FERNET_KEY"] = Fernet.generate_key().decode()
    values |= {"ISPEED_SETTLE_SECONDS": "1", "ISPEED_ATLAS_URL": atlas}
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
        watch = threading.Thread(target=lose_a_worker, args=(services, WORKERS, MONTHS[-1], lost, say), daemon=True)
        watch.start()
        states = backfill(services, MONTHS, say, n_parallel=3)
        say(f"memory, MB: {memory(services)}")
        yield Topology(here, server, services, settings, states, lost)


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


def test_each_month_ran_under_its_own_key(topology: Topology) -> None:
    ingested = [run for run in topology.services.runs("ingest_measurements") if run["run_type"] == "backfill"]
    assert sorted(run["partition_key"] for run in ingested) == KEYS
    assert {run["partition_key"] for run in topology.services.runs("publish_reports")} == set(KEYS)


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


@pytest.mark.parametrize(
    ("dag_id", "task_id"), [("ingest_measurements", "check_staging"), ("publish_reports", "check_reports")]
)
def test_a_check_task_links_to_what_the_checks_of_its_month_found(
    topology: Topology, dag_id: str, task_id: str
) -> None:
    services, token = topology.services, topology.services.token
    run = next(run for run in services.runs(dag_id) if run["partition_key"] == "2024-10")
    task = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run['dag_run_id'])}/taskInstances/{task_id}"
    links = services.request("GET", f"{task}/links")["extra_links"]
    assert links == {
        "Chất lượng dữ liệu": "/ispeed/2024-10/",
        "Data Docs": "/ispeed/2024-10/data-docs/index.html",
    }
    status, page = get(services, links["Chất lượng dữ liệu"], token=token)
    assert status == 200
    assert "Mã giới thiệu có trong danh mục" in page.partition("Cảnh báo (")[2]
    status, page = get(services, links["Data Docs"], token=token)
    assert status == 200
    assert 'href="core_measurement.html"' in page
    assert get(services, f"/ispeed/runs/{dag_id}/{quote(run['dag_run_id'])}", token=token)[0] == 200


def test_the_pages_are_in_the_navigation_and_on_every_run(topology: Topology) -> None:
    plugins = topology.services.request("GET", "/api/v2/plugins")["plugins"]
    views = [view for plugin in plugins for view in plugin["external_views"]]
    assert {view["destination"]: view["href"] for view in views} == {
        "nav": "/ispeed/",
        "dag_run": "/ispeed/runs/{DAG_ID}/{RUN_ID}",
    }
    assert topology.services.request("GET", "/api/v2/plugins/importErrors")["import_errors"] == []


PAGES = [
    "/ispeed/",
    "/ispeed/2024-10/",
    "/ispeed/2024-10/data-docs/index.html",
    "/ispeed/2024-10/data-docs/month_drift.html",
    "/ispeed/2024-10/r1/data-docs/index.html",
    "/ispeed/2024-10/r1/data-docs/staging_measurement.html",
]
FORGED = [
    "/ispeed/2024-11/",
    "/ispeed/2024-13/",
    "/ispeed/month=2024-10/",
    "/ispeed/../2024-10/",
    "/ispeed/%2e%2e/",
    "/ispeed/2024-10/data-docs/",
    "/ispeed/2024-10/data-docs/unknown.html",
    "/ispeed/2024-10/data-docs/staging_measurement",
    "/ispeed/2024-10/data-docs/../data-docs/index.html",
    "/ispeed/2024-10/data-docs/%2e%2e/index.html",
    "/ispeed/2024-10/data-docs/%2e%2e%2fmanifest.json",
    "/ispeed/2024-10/data-docs/..%2f..%2f..%2flanding%2fmonth=2024-10%2flanding.json",
    "/ispeed/2024-10/data-docs/%2Fetc%2Fpasswd",
    "/ispeed/2024-10/r0/data-docs/index.html",
    "/ispeed/2024-10/r2/data-docs/index.html",
    "/ispeed/2024-10/r1/data-docs/manifest.json",
    "/ispeed/2024-10/r1/manifest.json",
    "/ispeed/2024-10/r1/data-docs/..%2fmanifest.json",
    "/ispeed/runs/ingest_measurements/none",
    "/ispeed/docs",
    "/ispeed/openapi.json",
]


def test_nobody_reads_a_page_without_login_and_forged_addresses_are_not_found(topology: Topology) -> None:
    services, token = topology.services, topology.services.token
    assert {path: get(services, path, token=token)[0] for path in PAGES} == dict.fromkeys(PAGES, 200)
    assert {path: get(services, path, token=None)[0] for path in PAGES} == dict.fromkeys(PAGES, 401)
    assert {get(services, path, token="a.forged.token")[0] for path in PAGES} <= {401, 403}
    assert {path: get(services, path, token=token)[0] for path in FORGED} == dict.fromkeys(FORGED, 404)
    assert {get(services, path, token=None)[0] for path in FORGED} <= {401, 404}


def test_redis_answers_nobody_without_the_password(topology: Topology) -> None:
    asked = ["redis-cli", "-h", LOOPBACK, "-p", str(topology.here.ports[6379]), "ping"]
    assert "NOAUTH" in subprocess.run(asked, capture_output=True, text=True).stdout


def test_what_this_test_has_otherwise_is_set_in_the_file(topology: Topology) -> None:
    services = read_compose()["services"]
    for name in CHANGED:
        assert name in services["scheduler"]["environment"], name


@pytest.fixture(scope="module")
def again(topology: Topology) -> dict[str, dict[str, Any]]:
    """The run of `publish_reports` that an asset started for each month: a backfill's, a return's, VNNIC's figures'."""
    settings, services = topology.settings, topology.services
    august, september, october = MONTHS
    publish_forms(settings, october)
    [form] = settings.share_of(october).glob("phieu-bao-cao/*_DHNT_*.xlsx")
    (settings.returns / str(october)).mkdir(parents=True)
    (settings.returns / str(october) / "phiếu.xlsx").write_bytes(as_typed(521, 400, 300)(form.read_bytes()))
    before = {run["dag_run_id"] for run in services.runs("publish_reports")}
    services.unpause(["collect_returns", "compare_atlas"])
    for dag_id, month in {"collect_returns": october, "compare_atlas": august}.items():
        asked = {"logical_date": None, "partition_key": str(month)}
        services.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", asked)
    assert backfill(services, [september], print, NEW_MAP) == {september: "success"}
    return {run["partition_key"]: run for run in ended(services, before, 3)}


def ended(services: Services, before: set[str], n_runs: int) -> list[dict[str, Any]]:
    """So many runs of `publish_reports` that were not there before, each at its end."""
    deadline = time.monotonic() + SECONDS
    while True:
        runs = [run for run in services.runs("publish_reports") if run["dag_run_id"] not in before]
        if len(runs) == n_runs and all(run["state"] in FINISHED for run in runs):
            return runs
        services.check_alive()
        assert time.monotonic() < deadline
        time.sleep(1)


def why(topology: Topology, month: Month) -> list[tuple[str, str]]:
    """State and reason of each revision of a month."""
    return [(row["state"], row["why"]) for row in Database(topology.settings.database_url).publications(month)]


def test_a_month_backfilled_again_is_unchanged_and_its_map_is_handed_on_with_the_event(
    topology: Topology, again: dict[str, dict[str, Any]]
) -> None:
    assert (again["2024-09"]["triggered_by"], again["2024-09"]["state"]) == ("asset", "success")
    assert [state for state, _ in why(topology, MONTHS[1])] == ["published"]
    assert Database(topology.settings.database_url).restated_days(MONTHS[1]) == [NEW_MAP]


@pytest.mark.parametrize(
    ("month", "reason"),
    [(MONTHS[2], "Phiếu báo cáo của cơ quan, đơn vị"), (MONTHS[0], "Số liệu VNNIC công bố")],
    ids=["a return", "VNNIC's figures"],
)
def test_what_came_in_beside_has_its_month_published_anew_by_its_asset(
    topology: Topology, again: dict[str, dict[str, Any]], month: Month, reason: str
) -> None:
    assert (again[str(month)]["triggered_by"], again[str(month)]["state"]) == ("asset", "success")
    (first, _), second = why(topology, month)
    assert (first, second) == ("superseded", ("published", reason))


def test_a_run_by_hand_with_the_parameter_month_hands_its_month_on(
    topology: Topology, again: dict[str, dict[str, Any]]
) -> None:
    services = topology.services
    before, n_revisions = {run["dag_run_id"] for run in services.runs("publish_reports")}, len(why(topology, MONTHS[2]))
    asked = {"logical_date": None, "conf": {"month": KEYS[2]}}
    services.request("POST", "/api/v2/dags/ingest_measurements/dagRuns", asked)
    [run] = ended(services, before, 1)
    assert (run["partition_key"], run["triggered_by"], run["state"]) == (KEYS[2], "asset", "success")
    assert len(why(topology, MONTHS[2])) == n_revisions, "unchanged: nothing new"
