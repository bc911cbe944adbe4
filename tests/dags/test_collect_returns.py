"""collect_returns, on the real DAG: forms go out, returns are collected as they come, the month is published anew."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.assets.evaluation import AssetEvaluator
from airflow.models.taskinstance import TaskInstance
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred
from airflow.serialization.definitions.assets import SerializedAssetUniqueKey
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.session import create_session
from sqlalchemy import select

from ispeed import airflow_waits, arrivals
from ispeed.airflow import ATLAS, CORE_MEASUREMENT, RETURNS
from ispeed.airflow_waits import ReturnsTrigger, WaitForReturns
from ispeed.failures import read_failures
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.return_folder import files_of, look_of
from ispeed.returns import missing_bodies
from ispeed.settings import INCLUDE, Settings
from return_forms import as_typed

SETTLE = 0.2
PAST, COMING = Month(2024, 10), Month(2098, 1)
pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """An installation in which the Youth Union alone is asked."""
    monkeypatch.setenv("ISPEED_VAR", str(tmp_path))
    monkeypatch.setenv("ISPEED_REGISTRY", str(INCLUDE / "registry"))
    monkeypatch.setenv("ISPEED_RETURNS_ASKED", "youth_union")
    monkeypatch.setenv("ISPEED_SETTLE_SECONDS", str(SETTLE))
    monkeypatch.setattr(airflow_waits, "LONGEST_PAUSE_SECONDS", SETTLE / 4)
    settings = Settings.from_environment()
    sync_registry(settings)
    return settings


def states(dag: DAG, month: Month) -> dict[str, Any]:
    """What a run of the month ended as, and each of its tasks."""
    run = dag.test(logical_date=None, run_conf={"month": str(month)})
    with create_session() as session:
        tasks = session.scalars(select(TaskInstance).where(TaskInstance.run_id == run.run_id))
        return {"run": run.state, **{task.task_id: task.state for task in tasks}}


def send_back(settings: Settings, month: Month) -> None:
    """The one form that is in the share, filled in and sent."""
    [form] = settings.share_of(month).glob("phieu-bao-cao/*.xlsx")
    folder = settings.returns / str(month)
    folder.mkdir(parents=True)
    (folder / "phieu.xlsx").write_bytes(as_typed(64, 60, 50)(form.read_bytes()))


def test_forms_go_out_and_a_month_that_is_not_published_is_told_to_nobody(
    dags: dict[str, DAG], settings: Settings
) -> None:
    tasks = {"publish_forms": "success", "wait_for_returns": "success", "announce_returns": "skipped"}
    assert states(dags["collect_returns"], PAST) == {"run": "success", **tasks}
    assert [body.code for body in missing_bodies(settings, PAST)] == ["TINHDOAN"]
    send_back(settings, PAST)
    assert states(dags["collect_returns"], PAST) == {"run": "success", **tasks}
    assert missing_bodies(settings, PAST) == []


def test_returns_that_are_not_published_yet_are_announced(
    dags: dict[str, DAG], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "awaits_publishing", lambda settings, month, kind: (month, kind) == (PAST, "returns"))
    assert states(dags["collect_returns"], PAST)["announce_returns"] == "success"


def test_a_registry_that_was_not_synced_ends_the_task_with_what_to_do(
    dags: dict[str, DAG], settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ISPEED_LAKE", str(tmp_path / "other"))
    assert states(dags["collect_returns"], PAST) == {
        "run": "failed",
        "publish_forms": "failed",
        "wait_for_returns": "upstream_failed",
        "announce_returns": "upstream_failed",
    }
    # The page in Airflow tells it.
    [note] = read_failures(Settings.from_environment(), PAST)
    assert (note.dag_id, note.task_id, note.found) == ("collect_returns", "publish_forms", "no registry")


def collect(month: Month) -> str:
    context: Any = {"dag_run": SimpleNamespace(partition_key=str(month))}
    operator = WaitForReturns(task_id="wait_for_returns")
    return operator.execute_complete(context, {"is_over": False})


def test_before_the_deadline_it_waits_without_a_worker_until_all_are_in(
    dags: dict[str, DAG], settings: Settings
) -> None:
    from ispeed.returns.publishing import publish_forms

    publish_forms(settings, COMING)
    with pytest.raises(TaskDeferred) as deferred:
        collect(COMING)
    trigger = deferred.value.trigger
    assert isinstance(trigger, ReturnsTrigger)
    # Before 10/02/2098 begins in Vietnam.
    assert time.strftime("%Y-%m-%d %H:%M", time.gmtime(trigger.deadline)) == "2098-02-09 17:00"
    send_back(settings, COMING)
    assert collect(COMING) == "1 of 1 bodies returned"


def event_of(trigger: ReturnsTrigger, meanwhile: Callable[[], Any] = lambda: None) -> bool:
    async def first() -> bool:
        events = trigger.run()
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(SETTLE)
        meanwhile()
        event = await waiting
        return bool(event.payload["is_over"])

    return asyncio.run(first())


def test_the_trigger_tells_of_a_file_that_keeps_still_and_of_the_deadline(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "returns"
    folder.mkdir()
    seen = look_of(folder)
    started = time.time()
    assert event_of(ReturnsTrigger(str(folder), seen, SETTLE, started + 1)) is True
    assert time.time() - started >= 1
    again = ReturnsTrigger(str(folder), seen, SETTLE, time.time() + 20)
    assert event_of(again, lambda: (folder / "a.xlsx").write_bytes(b"a")) is False
    assert ReturnsTrigger(**again.serialize()[1]).serialize() == again.serialize()


def test_what_programs_leave_in_the_folder_is_no_return(tmp_path: Path) -> None:
    before = look_of(tmp_path)
    for name in ("~$a.xlsx", ".hidden", "Thumbs.db", "a.part"):
        (tmp_path / name).write_bytes(b"x")
    assert (look_of(tmp_path), list(files_of(tmp_path))) == (before, [])
    (tmp_path / "so").mkdir()
    (tmp_path / "so" / "a.xlsx").write_bytes(b"x")
    assert [name for name, _ in files_of(tmp_path)] == ["so/a.xlsx"]
    seen = look_of(tmp_path)
    os.utime(tmp_path / "so" / "a.xlsx", (0, 0))
    assert look_of(tmp_path) != seen


@pytest.mark.parametrize("asset", [CORE_MEASUREMENT, RETURNS, ATLAS], ids=lambda asset: asset.name)
def test_each_asset_alone_starts_publish_reports_with_its_month(dags: dict[str, DAG], asset: Any) -> None:
    """As the scheduler evaluates it: of the month's key, only the assets that have an event are known."""
    dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dags["publish_reports"]))
    timetable = dag.timetable
    assert timetable.partitioned
    with create_session() as session:
        condition, evaluator = timetable.asset_condition, AssetEvaluator(session)
        known = {SerializedAssetUniqueKey(name=asset.name, uri=asset.uri): True}
        assert evaluator.run(condition, statuses=known)
        assert not evaluator.run(condition, statuses={SerializedAssetUniqueKey(name="reports", uri="x://y"): True})
    mapper = timetable.get_partition_mapper(name=asset.name, uri=asset.uri)
    assert mapper.to_downstream("2024-10") == "2024-10"
