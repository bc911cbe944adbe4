"""The pages in Airflow: each asks who wants to read it, and no process pays for them but the one that serves them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models.xcom import XComModel
from airflow.plugins_manager import get_fastapi_plugins
from airflow.sdk import DAG
from airflow.utils.session import create_session
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import select

from ispeed import checks, landing, staging
from ispeed.airflow import approval, page_path
from ispeed.arrival_looks import AtlasLook, Late, Problem, ReturnsLook, note_look
from ispeed.arrivals import Kind
from ispeed.errors import CheckFailed
from ispeed.month_arrivals import ARRIVAL_DAGS, ARRIVAL_TASKS
from ispeed.month_stages import STAGES
from ispeed.months import Month
from ispeed.quality_page import STAGE_NAMES, TASKS
from ispeed.settings import INCLUDE, PROJECT, Settings

PLUGIN = PROJECT / "plugins" / "ispeed_pages.py"
ADDRESS = {
    "month": "2024-10",
    "page": "index.html",
    "revision": "r1",
    "first": "r1",
    "last": "r2",
    "day": "2025-07-01",
    "file_id": "0" * 64,
    "dag_id": "ingest_measurements",
    "run_id": "x",
}
pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """The pages as Airflow finds them in its plugins folder."""
    (mounted,) = (app for app in get_fastapi_plugins()[0] if app["url_prefix"] == "/ispeed")
    return mounted["app"]


@pytest.fixture
def auth_manager() -> Iterator[BaseAuthManager]:
    yield init_auth_manager()


def addresses(app: FastAPI) -> list[str]:
    """An address of every route of the application, whatever kind of route it is."""
    paths = []
    for route in app.routes:
        assert isinstance(route, APIRoute), route
        assert route.methods == {"GET"}, "the pages only read"
        path = route.path
        for name, value in ADDRESS.items():
            path = path.replace("{" + name + "}", value)
        assert "{" not in path, "a new kind of address: give an example of it"
        paths.append(path)
    return paths


def test_every_page_wants_a_login_and_the_permission_to_read_the_dag(
    app: FastAPI, auth_manager: BaseAuthManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = addresses(app)
    assert len(paths) == 9
    client = TestClient(app, follow_redirects=False)
    assert {path: client.get(path).status_code for path in paths} == dict.fromkeys(paths, 401)

    asked = []

    def is_authorized_dag(*, method: str, details: object, **_: object) -> bool:
        asked.append((method, details.id))
        return False

    token = auth_manager.generate_jwt(SimpleAuthManagerUser(username="hoa", role="VIEWER"))
    client.headers["Authorization"] = f"Bearer {token}"
    assert 401 not in {client.get(path).status_code for path in paths}
    monkeypatch.setattr(auth_manager, "is_authorized_dag", is_authorized_dag)
    assert {path: client.get(path).status_code for path in paths} == dict.fromkeys(paths, 403)
    assert set(asked) == {("GET", "ingest_measurements")}


def reader(app: FastAPI, auth_manager: BaseAuthManager) -> TestClient:
    """A browser of somebody who is logged in and may only look."""
    token = auth_manager.generate_jwt(SimpleAuthManagerUser(username="hoa", role="VIEWER"))
    return TestClient(app, follow_redirects=False, headers={"Authorization": f"Bearer {token}"})


def let_read(auth_manager: BaseAuthManager, monkeypatch: pytest.MonkeyPatch, *dag_ids: str) -> None:
    monkeypatch.setattr(auth_manager, "is_authorized_dag", lambda *, details, **_: details.id in dag_ids)


def test_a_run_of_another_dag_leads_to_its_month_only_who_may_read_that_dag(
    app: FastAPI, auth_manager: BaseAuthManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = reader(app, auth_manager)
    let_read(auth_manager, monkeypatch, "ingest_measurements")
    assert client.get("/runs/ingest_measurements/x").status_code == 404
    assert client.get("/runs/publish_reports/x").status_code == 403


SENT, EVIL = "2024-11-08T08:00:00+07:00", "<script>alert(1)</script>"
LOOKS: dict[Kind, ReturnsLook | AtlasLook] = {
    "returns": ReturnsLook(
        looked_at=SENT,
        deadline="2024-11-10T00:00:00+07:00",
        n_asked=12,
        n_returned=9,
        late=(Late(f"Sở {EVIL}", SENT),),
        missing=("Sở Tư pháp", f"UBND {EVIL}", "Thanh tra tỉnh"),
        refused=(Problem(f"Sở {EVIL}", f"=cmd|'/c calc'!A0 {EVIL}.xlsx, ô Q15", f"80% {EVIL}", "số nguyên", "ghi số"),),
    ),
    "atlas": AtlasLook(SENT, (), (Problem("Di động, cấp tỉnh", f"http://x/{EVIL}", f"503 {EVIL}", "200", "xem lại"),)),
}


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, airflow_runs: sa.Engine) -> None:
    """A month of which there are only returns and VNNIC's warnings, with names that mean harm."""
    monkeypatch.setenv("ISPEED_VAR", str(tmp_path))
    for kind, look in LOOKS.items():
        note_look(Settings.from_environment(), Month(2024, 10), kind, look)


@pytest.mark.usefixtures("looked_at")
def test_what_returns_and_vnnic_tell_is_for_who_may_read_their_dag_only(
    app: FastAPI, auth_manager: BaseAuthManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = reader(app, auth_manager)
    let_read(auth_manager, monkeypatch, "ingest_measurements")
    # Not even that there is such a month.
    assert "10/2024" not in client.get("/").text
    assert client.get("/2024-10/").status_code == 404
    of_kind = {
        "collect_returns": ("9/12", "1 muộn", "1 bị từ chối", "Thanh tra tỉnh"),
        "compare_atlas": ("1 cảnh báo", "503", "Di động, cấp tỉnh", "Chưa có số liệu nào"),
    }
    for dag_id, told in of_kind.items():
        let_read(auth_manager, monkeypatch, "ingest_measurements", dag_id)
        pages = client.get("/").text + client.get("/2024-10/").text
        assert [text in pages for text in told] == [True] * 4, dag_id
        [other] = of_kind.keys() - {dag_id}
        assert [text for text in of_kind[other] if text in pages] == [], dag_id
        assert ('id="phieu"' in pages, 'id="vnnic"' in pages) == (dag_id[:7] == "collect", dag_id[:7] == "compare")


@pytest.mark.usefixtures("looked_at")
def test_a_month_tells_who_has_not_returned_what_was_refused_and_where_forms_are_as_plain_text(
    app: FastAPI, auth_manager: BaseAuthManager, tmp_path: Path
) -> None:
    client = reader(app, auth_manager)
    of_list, page = client.get("/").text, client.get("/2024-10/").text
    assert EVIL not in of_list + page
    safe = EVIL.replace("<", "&lt;").replace(">", "&gt;")
    for text in (
        "Đã gửi <b>9/12</b> cơ quan, đơn vị được yêu cầu",
        "gửi muộn 1; chưa gửi 3; bị từ chối 1 phiếu",
        "trước ngày 10/11/2024",
        f"<li>UBND {safe}</li>",
        f"<li>Sở {safe} <small>08:00 08/11/2024</small></li>",
        f"=cmd|&#39;/c calc&#39;!A0 {safe}.xlsx, ô Q15</dd>",
        f"<dd>80% {safe}</dd>",
        "<dd>số nguyên</dd>",
        "<dd>ghi số</dd>",
        f"<code>{tmp_path}/share/2024-10/phieu-bao-cao</code>",
        f"<code>{tmp_path}/returns/2024-10</code>",
        f"http://x/{safe}</dd>",
        "Không tháng nào dừng vì các cảnh báo này.",
    ):
        assert text in page, text


def test_every_answer_forbids_scripts_and_is_not_kept(app: FastAPI, auth_manager: BaseAuthManager) -> None:
    client = TestClient(app, follow_redirects=False)
    token = auth_manager.generate_jwt(SimpleAuthManagerUser(username="hoa", role="VIEWER"))
    for headers in ({}, {"Authorization": f"Bearer {token}"}):
        for path in [*addresses(app), "/none"]:
            answer = client.get(path, headers=headers)
            if answer.status_code != 307:
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
                assert answer.headers["Cache-Control"] == "no-store"


def test_who_is_not_logged_in_is_led_to_the_login_and_back(app: FastAPI) -> None:
    page = TestClient(app, base_url="http://airflow.test").get("/2024-10/").text
    assert 'href="/api/v2/auth/login?next=http%3A//airflow.test/2024-10/"' in page


def test_a_check_task_that_stops_the_month_has_its_links_too(
    dags: dict[str, DAG], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "2024-10").mkdir()
    for name in ("a.csv", ".done"):
        (tmp_path / "2024-10" / name).touch()
    monkeypatch.setenv("ISPEED_EXPORTS", str(tmp_path))
    for module, name in ((landing, "land"), (staging, "stage_files"), (staging, "finish_staging")):
        monkeypatch.setattr(module, name, lambda *_: None)
    monkeypatch.setattr(staging, "deal_out_files", lambda *_: [{"label": "a.csv"}])

    def stop(*_: object) -> None:
        raise CheckFailed("month 2024-10", "3 rows", "none", "mend the file")

    monkeypatch.setattr(checks, "check_staging", stop)
    run = dags["ingest_measurements"].test(logical_date=None, run_conf={"month": "2024-10"})
    assert run.state == "failed"
    with create_session() as session:
        pushed = session.scalars(select(XComModel).where(XComModel.run_id == run.run_id))
        links = {row.key: row.value for row in pushed if row.task_id == "check_staging"}
    assert links == {
        "_link_QualityLink": "/ispeed/2024-10/",
        "_link_DataDocsLink": "/ispeed/2024-10/data-docs/index.html",
    }


def test_the_steps_of_a_page_are_called_as_the_dags_show_them(
    dags: dict[str, DAG], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {
        task.task_id: task.task_display_name
        for dag_id in ("ingest_measurements", "publish_reports")
        for task in dags[dag_id].tasks
    }
    beside = [task for dag_id in ARRIVAL_DAGS.values() for task in dags[dag_id].tasks]
    assert {task.task_id: task.task_display_name for task in beside} == ARRIVAL_TASKS
    monkeypatch.setenv("ISPEED_APPROVAL", "1")
    shown |= {task.task_id: task.task_display_name for task in approval()}
    assert shown == TASKS
    assert [task_id for stage in STAGES for task_id in stage.tasks] == list(TASKS), "each task is of one stage"
    assert [stage.name for stage in STAGES] == list(STAGE_NAMES)


@pytest.mark.parametrize(("base_url", "path"), [("http://a:8080", "/ispeed/"), ("https://a/flow/", "/flow/ispeed/")])
def test_an_address_keeps_the_prefix_that_airflow_is_served_under(
    monkeypatch: pytest.MonkeyPatch, base_url: str, path: str
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    assert page_path("/ispeed/") == path


def test_loading_the_plugin_makes_no_application() -> None:
    """Every process of Airflow loads the plugins, that of each task too, and FastAPI with its needs takes a second."""
    code = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("ispeed_pages", {str(PLUGIN)!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(*sorted(sys.modules))
"""
    environment = {**os.environ, "PYTHONPATH": str(INCLUDE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "ispeed.airflow" in modules
    heavy = {"fastapi", "airflow.models.dagrun", "duckdb", "ispeed.checks", "great_expectations"}
    assert modules & heavy == set()
