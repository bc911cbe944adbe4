"""The list of months: what Airflow's runs say of each stage, and how fast five years of months are told."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.plugins_manager import get_fastapi_plugins
from airflow.utils.session import create_session
from fastapi.testclient import TestClient

from ispeed.airflow_runs import last_runs
from ispeed.arrival_looks import AtlasAnswer, AtlasLook, Problem, ReturnsLook, note_look
from ispeed.arrivals import KINDS
from ispeed.database import Database
from ispeed.errors import UserError
from ispeed.failures import note_failure
from ispeed.month_arrivals import ARRIVAL_DAGS, read_month_arrivals
from ispeed.month_stages import APPROVAL, INGEST, PUBLISH, STAGES, Run, TaskRun, read_overview
from ispeed.months import Month
from ispeed.quality_page import month_page, months_page
from ispeed.settings import Settings
from pipeline import settings_in

pytestmark = pytest.mark.usefixtures("airflow_database")
NOON = datetime(2024, 11, 3, 12, tzinfo=UTC)
OCTOBER = Month(2024, 10)
TASKS = {
    dag_id: [task for stage in STAGES if stage.dag_id == dag_id for task in stage.tasks if task != APPROVAL]
    for dag_id in (INGEST, PUBLISH)
}
TASKS |= {
    "collect_returns": ["publish_forms", "wait_for_returns", "announce_returns"],
    "compare_atlas": ["ask_atlas", "announce_atlas"],
}


def run_of(dag_id: str, states: str, state: str, hour: int = 0, **mapped: tuple[str | None, ...]) -> Run:
    """A run whose tasks are in these states, in order: `S`uccess, `R`unning, `F`ailed, `.` not yet, and so on."""
    names = {
        "S": "success",
        "R": "running",
        "F": "failed",
        "U": "upstream_failed",
        "D": "deferred",
        "Y": "up_for_retry",
    }
    names |= {"K": "skipped", "Q": "queued"}
    tasks = [
        TaskRun(task_id, number if task_id in mapped else -1, told, 1, None, None)
        for task_id, letter in zip(TASKS[dag_id], states, strict=True)
        for number, told in enumerate(mapped.get(task_id, (names.get(letter),)))
    ]
    return Run(hour, dag_id, f"{dag_id} at {hour}", state, NOON + timedelta(hours=hour), tuple(tasks))


DONE = run_of(INGEST, "SSSSSS", "success")
PUBLISHED = run_of(PUBLISH, "SSSSS", "success", 1)
COLLECTED, COMPARED = run_of("collect_returns", "SSK", "success", 2), run_of("compare_atlas", "SK", "success", 3)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([DONE, PUBLISHED], "done " * 9 + "unasked"),
        ([run_of(INGEST, "D.....", "running")], "waiting " + "never " * 9),
        ([run_of(INGEST, "......", "queued")], "waiting " + "never " * 9),
        ([run_of(INGEST, "SSR...", "running")], "done done running " + "never " * 7),
        ([run_of(INGEST, "SS....", "running")], "done done waiting " + "never " * 7),
        (
            [run_of(INGEST, "SS....", "running", stage_files=("success", "running"))],
            "done done running " + "never " * 7,
        ),
        ([run_of(INGEST, "SS.UUU", "failed", stage_files=("success", "failed"))], "done done failed " + "never " * 7),
        ([run_of(INGEST, "SSSSY.", "running")], "done done done retry " + "never " * 6),
        ([DONE], "done " * 5 + "waiting " + "never " * 4),
        # Of a pass before: what this one publishes is still to come.
        ([run_of(INGEST, "SSSSFU", "failed", 5), PUBLISHED], "done done done failed " + "never " * 6),
        ([run_of(INGEST, "SSSSSS", "success", 5), PUBLISHED], "done " * 5 + "waiting " + "never " * 4),
        ([DONE, run_of(PUBLISH, "SSF..", "failed", 1)], "done " * 7 + "failed never never"),
        ([DONE, run_of(PUBLISH, "KKKKK", "success", 1)], "done " * 5 + "skipped " * 5),
    ],
)
def test_a_stage_is_where_the_tasks_of_the_last_run_are(tmp_path: Path, runs: list[Run], expected: str) -> None:
    overview = read_overview(settings_in(tmp_path), OCTOBER, {run.dag_id: run for run in runs}, [], [])
    assert [one.state for one in overview.stages] == expected.split()


@pytest.mark.parametrize(
    ("of_approval", "of_publish", "expected"),
    [("deferred", None, "waiting"), ("failed", "upstream_failed", "failed"), ("success", "success", "done")],
)
def test_a_month_that_waits_for_somebodys_word_waits_to_be_published(
    tmp_path: Path, of_approval: str, of_publish: str | None, expected: str
) -> None:
    tasks = [
        TaskRun(task_id, -1, {APPROVAL: of_approval, "publish": of_publish}.get(task_id, "success"), 1, None, None)
        for task_id in (*TASKS[PUBLISH], APPROVAL)
    ]
    publishing = Run(2, PUBLISH, "x", "running", NOON + timedelta(hours=1), tuple(tasks))
    overview = read_overview(settings_in(tmp_path), OCTOBER, {INGEST: DONE, PUBLISH: publishing}, [], [])
    assert [one.state for one in overview.stages if one.stage.name == "publish"] == [expected]


def test_a_failure_is_told_for_the_run_that_it_was_noted_of_and_no_other(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    failed = run_of(INGEST, "SSSSFU", "failed")

    class Instance:
        dag_id, run_id, task_id, map_index = INGEST, failed.run_id, "check_staging", -1

    note_failure(settings, OCTOBER, Instance, RuntimeError("password=hunter2"))
    (told,) = read_overview(settings, OCTOBER, {INGEST: failed}, [], []).failures
    assert told.note is not None
    assert (told.note.found, told.note.is_told) == ("RuntimeError", False)
    assert "hunter2" not in "".join(path.read_text() for path in settings.lake.rglob("*.json"))
    (untold,) = read_overview(settings, OCTOBER, {INGEST: run_of(INGEST, "SSSSFU", "failed", 9)}, [], []).failures
    assert untold.note is None


BODIES = tuple(f"Ủy ban nhân dân xã {number}" for number in range(181))
LOOK = ReturnsLook(NOON.isoformat(), "2024-11-10T00:00:00+07:00", 181, 0, (), BODIES, ())
ASKED = AtlasLook(NOON.isoformat(), (AtlasAnswer("Di động, cấp tỉnh", NOON.isoformat(), 63, 0),), ())


@pytest.mark.parametrize(
    ("states", "state", "expected"),
    [
        ("SSK", "success", "done"),
        ("SD.", "running", "waiting"),
        ("R..", "running", "running"),
        ("...", "queued", "waiting"),
        ("SYU", "running", "retry"),
        ("FUU", "failed", "failed"),
        # Cleared, and not run again: the notes tell.
        ("...", "failed", "never"),
    ],
)
def test_returns_are_where_their_last_run_is_and_hold_up_no_stage(
    tmp_path: Path, states: str, state: str, expected: str
) -> None:
    settings, runs = settings_in(tmp_path), {INGEST: DONE, PUBLISH: PUBLISHED}
    run = run_of("collect_returns", states, state)
    found = read_month_arrivals(settings, OCTOBER, runs | {run.dag_id: run}, KINDS)
    assert (found["returns"].state, found["atlas"].state) == (expected, "never")
    overview = read_overview(settings, OCTOBER, runs | {run.dag_id: run}, [], [])
    assert (overview.runs, overview.at_work, overview.stopped, overview.failures) == (runs, None, None, ())


def test_why_returns_could_not_be_collected_is_told_for_its_run_and_by_notes_where_there_is_none(
    tmp_path: Path,
) -> None:
    settings, failed = settings_in(tmp_path), run_of("collect_returns", "FUU", "failed")

    class Instance:
        dag_id, run_id, task_id, map_index = failed.dag_id, failed.run_id, "publish_forms", -1

    note_failure(settings, OCTOBER, Instance, UserError("nơi x", "không có gì", "có", "làm lại"))
    (told,) = read_month_arrivals(settings, OCTOBER, {failed.dag_id: failed}, KINDS)["returns"].failures
    assert (told.task_id, told.note and told.note.found) == ("publish_forms", "không có gì")
    without = read_month_arrivals(settings, OCTOBER, {}, KINDS)
    assert (without["returns"].state, without["atlas"].state) == ("failed", "never")
    page = months_page([read_overview(settings, OCTOBER, {}, [], [])], arrivals={OCTOBER: without})
    assert "Gửi biểu mẫu</a>" in page and "nơi x: không có gì" in page
    # Collected since.
    note_look(settings, OCTOBER, "returns", replace(LOOK, looked_at="2999-01-01T00:00:00+00:00"))
    assert read_month_arrivals(settings, OCTOBER, {}, KINDS)["returns"].state == "done"


def test_the_list_says_when_figures_came_and_of_a_site_that_was_down_why_not(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    fault = Problem("Di động, cấp xã", "http://x", "máy chủ im lặng", "200", "xem lại")
    told = {}
    for look in (ASKED, replace(ASKED, faults=(fault,)), AtlasLook(NOON.isoformat(), (), (fault,))):
        note_look(settings, OCTOBER, "atlas", look)
        arrivals = {OCTOBER: read_month_arrivals(settings, OCTOBER, {}, ("atlas",))}
        page = months_page([read_overview(settings, OCTOBER, {}, [], [])], arrivals=arrivals)
        cell = page.partition('data-label="Số liệu VNNIC"')[2].partition("</td>")[0]
        told[look] = [text for text in ("03/11/2024", "1 cảnh báo", "máy chủ im") if text in cell]
        assert "Phiếu cơ quan" not in page
    assert list(told.values()) == [["03/11/2024"], ["03/11/2024", "1 cảnh báo"], ["1 cảnh báo", "máy chủ im"]]


def add_run(run: Run, partition_key: str | None, conf: Mapping[str, str] | None = None) -> None:
    with create_session() as session:
        row = DagRun(
            dag_id=run.dag_id,
            run_id=f"{run.run_id}-{partition_key}".replace(" ", "-"),
            run_type="manual",
            state=run.state,
            partition_key=partition_key,
            conf=conf,
            run_after=run.queued_at,
            queued_at=run.queued_at,
            start_date=run.queued_at,
        )
        session.add(row)
        session.flush()
        table = TaskInstance.__table__
        for task in run.tasks:
            values = {
                "id": uuid.uuid4(),
                "task_id": task.task_id,
                "dag_id": run.dag_id,
                "run_id": row.run_id,
                "map_index": task.map_index,
                "state": task.state,
                "try_number": 1,
                "pool": "default_pool",
                "pool_slots": 1,
            }
            session.execute(sa.insert(table).values({name: values[name] for name in values if name in table.c}))


def test_the_last_run_of_a_month_counts_whether_by_its_key_or_by_hand(airflow_runs: sa.Engine) -> None:
    add_run(run_of(INGEST, "SSSSFU", "failed", 1), "2024-10")
    add_run(run_of(INGEST, "SSSSSS", "success", 3), None, {"month": "2024-10"})
    add_run(run_of(INGEST, "SSR...", "running", 2), "2024-11")
    add_run(run_of(INGEST, "SSR...", "running", 9), "no month")
    with create_session() as session:
        found = last_runs(session)
        assert {str(month): runs[INGEST].state for month, runs in found.items()} == {
            "2024-10": "success",
            "2024-11": "running",
        }
        assert [task.state for task in found[OCTOBER][INGEST].tasks] == ["success"] * 6
        assert last_runs(session, OCTOBER) == {OCTOBER: found[OCTOBER]}
        add_run(COLLECTED, "2024-10")
        assert last_runs(session) == found
        assert list(last_runs(session, OCTOBER, tuple(ARRIVAL_DAGS.values()))[OCTOBER]) == ["collect_returns"]


N_MONTHS = 60
SECONDS = 2.0


@pytest.mark.tells
def test_five_years_of_months_are_listed_at_once_and_the_share_is_not_looked_at(
    small_month: tuple[Settings, Month],
    airflow_runs: sa.Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, month = small_month
    monkeypatch.setenv("ISPEED_VAR", str(tmp_path))
    settings = Settings.from_environment()
    database, published = Database(settings.database_url), Database(source.database_url).publication(month)
    assert published is not None
    one = Month(2020, 1)
    for _ in range(N_MONTHS):
        for note in source.lake.glob("*/month=2024-10/*.json"):
            target = settings.lake / note.parent.parent.name / f"month={one}" / note.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(note, target)
        about = {name: published[name] for name in ("fingerprint", "manifest_sha256", "n_raw", "n_accepted")}
        about |= {"n_quarantined": published["n_quarantined"], "published_by": "a run", "why": "thử"}
        with database.publishing(one, 1, {}, about):
            pass
        for run in (DONE, PUBLISHED, COLLECTED, COMPARED):
            add_run(run, str(one))
        note_look(settings, one, "returns", LOOK)
        note_look(settings, one, "atlas", ASKED)
        one = one.next
    (mounted,) = (app for app in get_fastapi_plugins()[0] if app["url_prefix"] == "/ispeed")
    token = init_auth_manager().generate_jwt(SimpleAuthManagerUser(username="hoa", role="VIEWER"))
    client = TestClient(mounted["app"], headers={"Authorization": f"Bearer {token}"})
    asked: list[str] = []
    sa.event.listen(airflow_runs, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    client.get("/")
    asked.clear()
    started = time.perf_counter()
    page = client.get("/")
    seconds = time.perf_counter() - started
    assert page.status_code == 200
    assert page.text.count('<th scope="row">') == N_MONTHS
    assert page.text.count("Xong</span>") >= N_MONTHS * 9
    assert (page.text.count(">0/181<"), page.text.count("03/11/2024")) == (N_MONTHS, N_MONTHS)
    assert page.text.count("Xong</a>") == N_MONTHS * 2
    of_runs = [text for text in asked if "dag_run" in text or "task_instance" in text]
    assert len(of_runs) == 2, of_runs
    assert not settings.share.exists()
    print(f"the list of {N_MONTHS} months: {seconds * 1000:.0f} ms, {len(page.content):,} bytes")
    assert seconds < SECONDS


@pytest.mark.parametrize(
    ("error", "shown", "of_list"),
    [
        (
            UserError("file <b>.csv, row 1,234", "12,345 bytes", "a file", "rename the file"),
            [
                '<dd class="where">Tệp &lt;b&gt;.csv, dòng 1.234'
                '<small lang="en">file &lt;b&gt;.csv, row 1,234</small></dd>',
                '<dd>12.345 byte<small lang="en">12,345 bytes</small></dd>',
                '<dd>Đổi tên tệp<small lang="en">rename the file</small></dd>',
            ],
            '<span class="found">12.345 byte</span>',
        ),
        (
            UserError("month 2024-10", "no such table: x", "a file", "rename the file"),
            # What is none of ours stands once, as it is.
            ["<dd>no such table: x</dd>"],
            '<span class="found">Tháng 2024-10: no such table: x</span>',
        ),
        (
            sa.exc.OperationalError("select 1", {}, Exception("password=hunter2")),
            ["Mất kết nối với cơ sở dữ liệu", "<code>OperationalError</code>", "chi tiết ở nhật ký"],
            "Sự cố máy móc: Mất kết nối với cơ sở dữ liệu",
        ),
    ],
)
def test_the_page_tells_an_error_in_vietnamese_and_in_small_as_the_log_has_it(
    tmp_path: Path, error: Exception, shown: list[str], of_list: str
) -> None:
    settings, failed = settings_in(tmp_path), run_of(INGEST, "SSSSFU", "failed")

    class Instance:
        dag_id, run_id, task_id, map_index = INGEST, failed.run_id, "check_staging", -1

    note_failure(settings, OCTOBER, Instance, error)
    overview = read_overview(settings, OCTOBER, {INGEST: failed}, [], [])
    page = month_page(overview, {})
    for text in shown:
        assert text in page
    assert of_list in months_page([overview])
    assert "hunter2" not in page
    assert "<small>lỗi, " in page
