"""How runs find their month and how errors end them, on the real DAGs with stand-ins for the steps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.utils.session import create_session
from sqlalchemy import select

from ispeed import checks, core, landing, registry, staging
from ispeed.airflow import (
    CORE_MEASUREMENT,
    announce_month,
    boundaries_of,
    leave_held_month,
    month_of,
    no_retry_on_user_error,
)
from ispeed.errors import CheckFailed, UserError
from ispeed.lake import held_months
from ispeed.months import Month
from ispeed.settings import Settings

USER_ERROR = CheckFailed("file a.csv, row 7", "12 rows", "none", "mend the file")
pytestmark = pytest.mark.usefixtures("airflow_database")


def run_context(
    key: str | None = None, conf: Any = None, params: Any = None, user: str | None = None, events: Any = None
) -> dict[str, Any]:
    run = SimpleNamespace(dag_id="d", run_id="r", partition_key=key, conf=conf, triggering_user_name=user)
    return {"dag_run": run, "params": params, "triggering_asset_events": events or {}}


def core_event(**extra: str) -> dict[Any, Any]:
    return {CORE_MEASUREMENT: [SimpleNamespace(extra=extra)]}


@pytest.mark.parametrize(
    "context",
    [
        run_context(key="2024-10", conf={"month": "2024-09"}, params={"month": "2024-08"}),
        run_context(conf={"month": "2024-10"}, params={"month": "2024-08"}),
        run_context(conf={}, params={"month": "2024-10"}),
        run_context(params={"month": "2024-10"}),
    ],
    ids=["partition key first", "then conf", "then params", "params without conf"],
)
def test_the_month_is_the_partition_key_else_conf_else_params(context: dict[str, Any]) -> None:
    assert month_of(context) == Month(2024, 10)


@pytest.mark.parametrize("context", [run_context(), run_context(params={"month": None}), run_context(key="2024-13")])
def test_a_run_without_a_proper_month_is_a_user_error(context: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="2024-10"):
        month_of(context)


@pytest.mark.parametrize(
    ("context", "day"),
    [
        (run_context(key="2024-10"), None),
        (run_context(conf={"month": "2024-10"}, params={"boundaries": None}, events=core_event()), None),
        (run_context(conf={"boundaries": "2025-07-01"}, params={"boundaries": "2024-11-01"}), date(2025, 7, 1)),
        (run_context(params={"boundaries": "2025-07-01"}), date(2025, 7, 1)),
        (run_context(key="2024-10", events=core_event(boundaries="2025-07-01")), date(2025, 7, 1)),
    ],
    ids=["none", "an event without", "conf", "params", "the event that started it"],
)
def test_the_day_of_another_map_is_that_of_conf_params_or_the_event(context: dict[str, Any], day: date | None) -> None:
    assert boundaries_of(context) == day


def test_a_day_that_is_none_is_a_user_error() -> None:
    with pytest.raises(UserError, match="YYYY-MM-DD"):
        boundaries_of(run_context(conf={"boundaries": "07/2025"}))


def test_a_user_error_ends_the_task_with_its_full_text(caplog: pytest.LogCaptureFixture) -> None:
    @no_retry_on_user_error
    def step() -> None:
        raise USER_ERROR

    with pytest.raises(AirflowFailException) as raised:
        step()
    assert str(raised.value) == str(USER_ERROR)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert str(USER_ERROR) in caplog.text


def test_any_other_error_stays_what_it_is() -> None:
    @no_retry_on_user_error
    def step() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        step()


@pytest.mark.parametrize(("error", "tries"), [(USER_ERROR, 1), (OSError("the share went away"), 3)])
def test_a_fault_is_retried_twice_and_a_user_error_never(
    dags: dict[str, DAG], monkeypatch: pytest.MonkeyPatch, error: Exception, tries: int
) -> None:
    calls = []

    def fail(settings: object, **options: object) -> None:
        calls.append(options)
        raise error

    monkeypatch.setattr(registry, "sync_registry", fail)
    dag = dags["sync_registry"]
    monkeypatch.setattr(dag.task_dict["sync_registry"], "retry_delay", timedelta(0))
    monkeypatch.setattr(dag.task_dict["sync_registry"], "retry_exponential_backoff", 0)

    assert dag.test(logical_date=None).state == "failed"
    assert calls == [{"rewrite_published": False}] * tries


def test_published_months_are_rewritten_only_where_the_run_asks_for_it(
    dags: dict[str, DAG], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(registry, "sync_registry", lambda settings, **options: calls.append(options))
    dag = dags["sync_registry"]
    for conf in ({"month": "2024-10"}, {"rewrite_published": True}):
        assert dag.test(logical_date=None, run_conf=conf).state == "success"
    assert calls == [{"rewrite_published": False}, {"rewrite_published": True}]
    # `dag.test` keeps what a run was given as the DAG's own.
    dag.params["rewrite_published"] = False


def test_a_run_takes_its_month_through_every_step_in_order(
    dags: dict[str, DAG], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "2024-10").mkdir()
    (tmp_path / "2024-10" / "a.csv").touch()
    (tmp_path / "2024-10" / ".done").touch()
    monkeypatch.setenv("ISPEED_EXPORTS", str(tmp_path))
    calls: list[tuple[Any, ...]] = []
    # What a hostile file name would do, were it read as a template.
    groups = [{"label": "{{ 7 * 7 }}.csv", "files": [["{{ 7 * 7 }}.csv", "0"]]}, {"label": "b.csv", "files": []}]

    def stand_in(module: ModuleType, name: str, result: Any = None) -> None:
        def call(settings: object, month: object, *group: object) -> Any:
            calls.append((name, str(month), *group))
            return result

        monkeypatch.setattr(module, name, call)

    stand_in(landing, "land")
    stand_in(staging, "deal_out_files", groups)
    for module, name in (
        (staging, "stage_files"),
        (staging, "finish_staging"),
        (checks, "check_staging"),
        (core, "build_core"),
    ):
        stand_in(module, name)

    run = dags["ingest_measurements"].test(logical_date=None, run_conf={"month": "2024-10"})
    assert run.state == "success"
    # Groups are read in any order.
    calls[2:4] = sorted(calls[2:4], key=str)
    assert calls == [
        ("land", "2024-10"),
        ("deal_out_files", "2024-10"),
        *sorted((("stage_files", "2024-10", group) for group in groups), key=str),
        *((name, "2024-10") for name in ("finish_staging", "check_staging", "build_core")),
    ]
    with create_session() as session:
        tasks = session.scalars(select(TaskInstance).where(TaskInstance.run_id == run.run_id))
        shown = sorted(task.rendered_map_index for task in tasks if task.task_id == "stage_files")
    assert shown == ["b.csv", "{{ 7 * 7 }}.csv"]


@pytest.mark.parametrize(
    ("context", "announced"),
    [
        (run_context(conf={"month": "2024-10"}, user="hoa"), ["2024-10"]),
        (run_context(key="2024-10"), []),
        (run_context(conf={"month": "2024-10"}, user="dag_test"), []),
    ],
    ids=["a run by hand tells the month", "a partitioned run has it told", "dag.test() tells nobody"],
)
def test_the_next_dag_learns_the_month(context: dict[str, Any], announced: list[str]) -> None:
    told: list[str] = []
    add: Callable[[str], None] = told.append
    event = SimpleNamespace(add_partitions=add, extra={})
    announce_month({**context, "outlet_events": {CORE_MEASUREMENT: event}}, CORE_MEASUREMENT)
    assert (told, event.extra) == (announced, {})


def test_the_next_dag_learns_the_day_of_another_map() -> None:
    event = SimpleNamespace(extra={})
    context = run_context(key="2024-10", conf={"boundaries": "2025-07-01"})
    announce_month({**context, "outlet_events": {CORE_MEASUREMENT: event}}, CORE_MEASUREMENT)
    assert boundaries_of(run_context(events=core_event(**event.extra))) == date(2025, 7, 1)


def test_a_run_of_an_event_leaves_a_held_month_to_the_backfill_and_one_by_hand_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ISPEED_VAR", str(tmp_path))
    started_by_event, by_hand = run_context(key="2024-10", events=core_event()), run_context(key="2024-10")
    leave_held_month(started_by_event)
    with held_months(Settings.from_environment(), [Month(2024, 10)]):
        with pytest.raises(AirflowSkipException, match="2024-10 is published by the backfill"):
            leave_held_month(started_by_event)
        leave_held_month(by_hand)
        leave_held_month(run_context(key="2024-11", events=core_event()))
