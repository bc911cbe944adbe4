"""Months through the three DAGs in this process, without a scheduler.

Airflow reads its settings when it is imported: set the environment (`ispeed.services.airflow_environment`) before this
module is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.listeners import hookimpl
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.listener import get_listener_manager
from airflow.utils.db import initdb

from ispeed.months import Month
from ispeed.services import MONTH_DAG_IDS
from ispeed.settings import PROJECT


@dataclass(frozen=True)
class Failure:
    """Why a month did not get through. `is_user_error`: it is the data or the settings that must be mended."""

    text: str
    is_user_error: bool
    is_stopped: bool = False


def run_months(
    months: Sequence[Month], say: Callable[[str], None], started: float, boundaries: date | None = None
) -> Failure | None:
    """Run every DAG for the months, in order, and tell, task by task, how long it took. Returns why one failed.

    `started` is the moment (`time.monotonic`) from which the time to load Airflow counts, `boundaries` the day on
    whose map the months are published too.
    """
    asked = {"boundaries": str(boundaries)} if boundaries else {}
    runs = [("sync_registry", months[-1]), *((dag_id, month) for month in months for dag_id in MONTH_DAG_IDS)]
    return run_dags(runs, say, started, asked)


def run_dags(
    runs: Sequence[tuple[str, Month]],
    say: Callable[[str], None],
    started: float,
    asked: Mapping[str, str] | None = None,
) -> Failure | None:
    """Run DAGs for months, in order; `asked` are further parameters of each. Told and returned as by `run_months`."""
    tasks = _TaskTimes(say)
    get_listener_manager().add_listener(tasks)
    initdb()
    dags = DagBag(PROJECT / "dags")
    if dags.import_errors:
        return Failure("\n".join(f"{file}: {text}" for file, text in dags.import_errors.items()), is_user_error=False)
    say(f"{'Airflow loaded':<46}{time.monotonic() - started:>7.1f} s\n")
    for dag_id, month in runs:
        dag = dags.dags[dag_id]
        for task in dag.tasks:
            # Someone is watching: a fault is told at once, and the command typed again.
            task.retries = 0
        tasks.prefix = "" if dag_id == "sync_registry" else f"{month} "
        run = dag.test(logical_date=None, run_conf={"month": str(month), **(asked or {})})
        if run.state != "success":
            errors = tasks.errors or [f"{dag_id} ended as {run.state}"]
            return Failure(
                "\n".join(dict.fromkeys(map(str, errors))),
                is_user_error=all(isinstance(error, AirflowFailException) for error in errors),
                is_stopped=any(isinstance(error, KeyboardInterrupt) for error in errors),
            )
    return None


class _TaskTimes:
    """A listener of Airflow's: tells of each task when it begins and when it ends, and keeps their errors."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._started: dict[str, float] = {}
        self.errors: list[BaseException | str] = []
        self.prefix = ""

    @hookimpl
    def on_task_instance_running(self, task_instance: Any) -> None:
        """A task begins; a deferred task begins twice."""
        name = self._name(task_instance)
        if name not in self._started:
            self._started[name] = time.monotonic()
            self._say(f"{name:<46}")

    @hookimpl
    def on_task_instance_success(self, task_instance: Any) -> None:
        """A task is done."""
        seconds = time.monotonic() - self._started[self._name(task_instance)]
        self._say(f"{seconds:>7.1f} s\n")

    @hookimpl
    def on_task_instance_failed(self, error: BaseException | str | None) -> None:
        """A task failed."""
        if error is not None:
            self.errors.append(error)
        self._say(" failed\n")

    def _name(self, task_instance: Any) -> str:
        """Files are read by a task each, or a group of them by one: they are told apart by their number."""
        number = task_instance.map_index
        of_many = "" if number is None or number < 0 else f"[{number}]"
        return f"{self.prefix}{task_instance.dag_id}.{task_instance.task_id}{of_many}"
