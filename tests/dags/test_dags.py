"""What each DAG promises: its schedule, its steps, its page, and that reading its file costs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, CronPartitionTimetable, CronTriggerTimetable, PartitionedAssetTimetable
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from ispeed.airflow import ATLAS, CORE_MEASUREMENT, RETURNS
from ispeed.dag_pages import dags_page
from ispeed.services import DAG_IDS
from ispeed.settings import INCLUDE, PROJECT

STEPS = {
    "sync_registry": ["sync_registry"],
    "ingest_measurements": ["wait_for_export", "land", "stage_files", "finish_staging", "check_staging", "build_core"],
    "collect_returns": ["publish_forms", "wait_for_returns", "announce_returns"],
    "compare_atlas": ["ask_atlas", "announce_atlas"],
    "publish_reports": ["build_reports", "check_reports", "write_workbooks", "publish", "restate"],
    "watch_months": ["leave_heartbeat", "watch_deadlines", "remind_bodies", "watch_share"],
}
FILES = sorted((PROJECT / "dags").glob("*.py"))
EVERY_DAG = pytest.mark.parametrize("dag_id", STEPS)


def test_every_dag_file_holds_the_dag_of_its_name_and_every_dag_is_known(dags: dict[str, DAG]) -> None:
    assert [file.stem for file in FILES] == sorted(STEPS) == sorted(dags) == sorted(DAG_IDS)
    assert {dag_id: Path(dag.fileloc).stem for dag_id, dag in dags.items()} == {dag_id: dag_id for dag_id in dags}


@EVERY_DAG
def test_the_steps_stand_in_one_line(dags: dict[str, DAG], dag_id: str) -> None:
    tasks = dags[dag_id].task_dict
    steps = STEPS[dag_id]
    assert list(tasks) == steps
    assert [sorted(tasks[step].downstream_task_ids) for step in steps] == [*([step] for step in steps[1:]), []]


@EVERY_DAG
def test_the_page_says_input_output_schedule_and_how_to_redo(dags: dict[str, DAG], dag_id: str) -> None:
    page = dags[dag_id].doc_md or ""
    for part in ("**Đầu vào:**", "**Đầu ra:**", "**Lịch:**", "**Làm lại:**"):
        assert part in page


@EVERY_DAG
def test_readers_see_vietnamese_names(dags: dict[str, DAG], dag_id: str) -> None:
    dag = dags[dag_id]
    for identifier, shown in [
        (dag_id, dag.dag_display_name),
        *((task.task_id, task.task_display_name) for task in dag.tasks),
    ]:
        assert shown != identifier
        assert not shown.isascii()


@EVERY_DAG
def test_faults_are_retried_later_and_later_and_the_past_is_left_to_backfills(
    dags: dict[str, DAG], dag_id: str
) -> None:
    assert dags[dag_id].catchup is False
    for task in dags[dag_id].tasks:
        assert (task.retries, bool(task.retry_exponential_backoff)) == (2, True)
        assert task.retry_delay == timedelta(minutes=5)


def test_months_are_published_one_at_a_time_and_a_waiting_month_does_not_hold_up_another(dags: dict[str, DAG]) -> None:
    assert dags["publish_reports"].max_active_runs == 1
    assert dags["ingest_measurements"].max_active_runs > 1


def test_the_schedules_are_those_of_the_design(dags: dict[str, DAG]) -> None:
    assert dags["sync_registry"].timetable == CronTriggerTimetable("0 2 * * *", timezone="Asia/Ho_Chi_Minh")
    assert dags["ingest_measurements"].timetable == CronPartitionTimetable(
        "0 3 3 * *", timezone="Asia/Ho_Chi_Minh", run_offset=-1, key_format="%Y-%m"
    )
    assert dags["compare_atlas"].timetable == CronPartitionTimetable(
        "0 4 8 * *", timezone="Asia/Ho_Chi_Minh", run_offset=-1, key_format="%Y-%m"
    )
    assert dags["publish_reports"].timetable == PartitionedAssetTimetable(assets=CORE_MEASUREMENT | RETURNS | ATLAS)
    assert dags["collect_returns"].timetable == CronPartitionTimetable(
        "30 2 1 * *", timezone="Asia/Ho_Chi_Minh", run_offset=-1, key_format="%Y-%m"
    )
    assert dags["collect_returns"].task_dict["announce_returns"].outlets == [RETURNS]
    assert dags["compare_atlas"].task_dict["announce_atlas"].outlets == [ATLAS]
    assert dags["ingest_measurements"].task_dict["build_core"].outlets == [CORE_MEASUREMENT]


def test_months_are_watched_every_morning(dags: dict[str, DAG]) -> None:
    assert dags["watch_months"].timetable == CronTriggerTimetable("0 8 * * *", timezone="Asia/Ho_Chi_Minh")


def test_only_where_it_is_asked_for_a_month_waits_for_a_word_before_it_is_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ISPEED_APPROVAL", "1")
    monkeypatch.setenv("ISPEED_APPROVAL_HOURS", "48")
    bag = DagBag(PROJECT / "dags" / "publish_reports.py")
    assert bag.import_errors == {}
    steps = bag.dags["publish_reports"].task_dict
    assert list(steps) == ["build_reports", "check_reports", "write_workbooks", "approve_month", "publish", "restate"]
    assert steps["approve_month"].upstream_task_ids == {"write_workbooks"}
    assert steps["approve_month"].downstream_task_ids == {"publish"}
    assert steps["approve_month"].response_timeout == timedelta(hours=48)


def test_a_backfill_of_three_months_makes_the_keys_of_just_these(dags: dict[str, DAG]) -> None:
    dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dags["ingest_measurements"]))
    first, last = (datetime.fromisoformat(day + "T00:00+00:00") for day in ("2024-08-01", "2024-10-31"))
    assert [run.partition_key for run in dag.iter_dagrun_infos_between(first, last)] == [
        "2024-08",
        "2024-09",
        "2024-10",
    ]


def test_the_month_parameter_takes_a_month_or_nothing(dags: dict[str, DAG]) -> None:
    for dag_id in ("ingest_measurements", "publish_reports"):
        month = dags[dag_id].params.get_param("month")
        assert month.resolve() is None
        assert month.resolve("2024-10") == "2024-10"
        for wrong in ("2024-13", "10/2024", "2024-10-01", 202410):
            with pytest.raises(ParamValidationError):
                month.resolve(wrong)


def test_the_boundaries_parameter_takes_a_day_or_nothing(dags: dict[str, DAG]) -> None:
    for dag_id in ("ingest_measurements", "publish_reports"):
        day = dags[dag_id].params.get_param("boundaries")
        assert day.resolve() is None
        assert day.resolve("2025-07-01") == "2025-07-01"
        for wrong in ("2025-07", "01/07/2025", "2025-07-32", 20250701):
            with pytest.raises(ParamValidationError):
                day.resolve(wrong)


def modules_of(code: str, folder: Path) -> set[str]:
    """What an interpreter of its own has imported when it has run the code."""
    file = folder / "code.py"
    file.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", f"import runpy, sys; runpy.run_path({str(file)!r}); print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(INCLUDE)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_reading_a_dag_file_imports_little_more_than_a_dag_with_one_task_does(tmp_path: Path) -> None:
    """Imports and not seconds: those depend on the machine. benchmarks/parse_dags.py measures them."""
    one_task = "from airflow.sdk import dag, task\n@dag\ndef a():\n    @task\n    def b(): ...\n    b()\na()\n"
    known = modules_of(one_task, tmp_path)
    for file in FILES:
        more = modules_of(file.read_text(encoding="utf-8"), tmp_path) - known
        ours = {name for name in more if name.split(".")[0] == "ispeed"}
        waits = ("airflow_waits", "exports", "return_folder") if "airflow_waits" in file.read_text("utf-8") else ()
        light = ("airflow", "errors", "months", "services", "settings", *waits)
        assert ours - {"ispeed"} == {f"ispeed.{name}" for name in light}
        # What our base classes are made of; pydantic is what Airflow makes its own of.
        airflows = {name for name in more if name.startswith(("airflow.triggers", "airflow.sdk.bases", "pydantic."))}
        others = more - ours - airflows
        assert {name for name in others if name.split(".")[0] not in sys.stdlib_module_names} == set()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dag_file_fits_on_a_screen(file: Path) -> None:
    code = file.read_text(encoding="utf-8").split('"""')[2]
    assert len(code.strip().splitlines()) <= 66


def test_the_page_of_the_dags_is_up_to_date() -> None:
    page = (PROJECT / "docs" / "dags.md").read_text(encoding="utf-8")
    assert page == dags_page(), "run: python -m ispeed docs"
