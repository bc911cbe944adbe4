"""The real stage through Airflow's mapped tasks: a month of many files, and one whose file cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.sdk import DAG
from airflow.utils.session import create_session
from sqlalchemy import select

from ispeed import checks, core
from ispeed.lake import read_step
from ispeed.months import Month
from ispeed.settings import Settings

MONTH = Month(2024, 10)
HEADER = "Thời gian đo,Loại mạng,Download (Mbps)\n"
pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings on an empty folder, for the tasks too; what follows staging is not run."""
    monkeypatch.setenv("ISPEED_VAR", str(tmp_path))
    monkeypatch.setenv("ISPEED_STAGE_TASKS", "5")
    for module, name in ((checks, "check_staging"), (core, "build_core")):
        monkeypatch.setattr(module, name, lambda *_: None)
    settings = Settings.from_environment()
    settings.exports_of(MONTH).mkdir(parents=True)
    (settings.exports_of(MONTH) / ".done").touch()
    return settings


def run(dag: DAG) -> tuple[str, dict[tuple[str, int], tuple[str, str]]]:
    """How a run of the month ended, and the state and label of every task in it."""
    done: DagRun = dag.test(logical_date=None, run_conf={"month": str(MONTH)})
    with create_session() as session:
        tasks = session.scalars(select(TaskInstance).where(TaskInstance.run_id == done.run_id))
        return done.state, {(t.task_id, t.map_index): (str(t.state), str(t.rendered_map_index)) for t in tasks}


def test_a_month_of_200_files_is_read_by_five_tasks(dags: dict[str, DAG], settings: Settings) -> None:
    for number in range(200):
        text = HEADER + "05/10/2024 08:00:00,4G,33.5\n" * (number % 7 + 1)
        (settings.exports_of(MONTH) / f"{number:03}.csv").write_text(text, encoding="utf-8")
    state, tasks = run(dags["ingest_measurements"])
    assert state == "success"
    readers = {number: label for (task, number), (_, label) in tasks.items() if task == "stage_files"}
    assert sorted(readers) == [0, 1, 2, 3, 4]
    assert all(label.endswith(".csv + 39 tệp") for label in readers.values())
    files = read_step(settings, "staging", MONTH, "stage_files")["files"]
    assert {name: file["n_rows"] for name, file in files.items()} == {f"{n:03}.csv": n % 7 + 1 for n in range(200)}
    assert len(list(settings.lake_of("staging", MONTH).glob("*.parquet"))) == 200


def test_a_file_that_cannot_be_read_stops_its_own_task_and_what_follows(
    dags: dict[str, DAG], settings: Settings
) -> None:
    for name, header in (("a.csv", HEADER), ("b.csv", "Thời gian đo,Download (Mbps)\n"), ("c.csv", HEADER)):
        (settings.exports_of(MONTH) / name).write_text(f"{header}05/10/2024 08:00:00,4G,33.5\n", encoding="utf-8")
    state, tasks = run(dags["ingest_measurements"])
    assert state == "failed"
    assert {key: found for key, found in tasks.items() if key[0] not in ("wait_for_export", "land")} == {
        ("stage_files", 0): ("success", "a.csv"),
        ("stage_files", 1): ("failed", "b.csv"),
        ("stage_files", 2): ("success", "c.csv"),
        ("finish_staging", -1): ("upstream_failed", "None"),
        ("check_staging", -1): ("upstream_failed", "None"),
        ("build_core", -1): ("upstream_failed", "None"),
    }
