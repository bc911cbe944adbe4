"""The runs of months as Airflow's own database has them: the last of each DAG, with its tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance

from ispeed.errors import UserError
from ispeed.month_stages import Run, TaskRun, as_utc
from ispeed.months import Month
from ispeed.services import MONTH_DAG_IDS

# So many runs in one question: a database takes only so many values.
_AT_A_TIME: Final = 500


def last_runs(
    session: Any, month: Month | None = None, dag_ids: Collection[str] = MONTH_DAG_IDS
) -> dict[Month, dict[str, Run]]:
    """The last run of each of these DAGs by month, or of one month: one question for the runs, one for their tasks.

    A run by hand without a partition key is one of the month that its conf names.
    """
    columns = (DagRun.id, DagRun.dag_id, DagRun.run_id, DagRun.partition_key, DagRun.conf, DagRun.state)
    query = sa.select(*columns, DagRun.queued_at, DagRun.start_date, DagRun.run_after)
    query = query.where(DagRun.dag_id.in_(dag_ids))
    if month is not None:
        query = query.where(sa.or_(DagRun.partition_key == str(month), DagRun.partition_key.is_(None)))
    last: dict[tuple[Month, str], Run] = {}
    for row in session.execute(query):
        of_run = _month_of(row.partition_key, row.conf)
        if of_run is None or (month is not None and of_run != month):
            continue
        queued_at = as_utc(row.queued_at or row.start_date or row.run_after)
        run = Run(row.id, row.dag_id, row.run_id, str(row.state), queued_at)
        before = last.get((of_run, row.dag_id))
        if before is None or (before.queued_at, before.number) < (run.queued_at, run.number):
            last[of_run, row.dag_id] = run
    tasks = _tasks(session, [run.number for run in last.values()])
    found: dict[Month, dict[str, Run]] = {}
    for (of_run, dag_id), run in last.items():
        whole = Run(run.number, dag_id, run.run_id, run.state, run.queued_at, tuple(tasks.get(run.number, ())))
        found.setdefault(of_run, {})[dag_id] = whole
    return found


def dags_of_runs(session: Any, run_ids: Iterable[str]) -> dict[str, str]:
    """Which of these runs Airflow still has, each with its DAG."""
    query = sa.select(DagRun.run_id, DagRun.dag_id).where(DagRun.dag_id.in_(MONTH_DAG_IDS), DagRun.run_id.in_(run_ids))
    return {row.run_id: row.dag_id for row in session.execute(query)}


def _month_of(partition_key: str | None, conf: Any) -> Month | None:
    text = partition_key or (conf.get("month") if isinstance(conf, Mapping) else None)
    try:
        return Month.parse(str(text))
    except UserError:
        return None


def _tasks(session: Any, numbers: list[int]) -> dict[int, list[TaskRun]]:
    tasks: dict[int, list[TaskRun]] = {}
    for first in range(0, len(numbers), _AT_A_TIME):
        query = (
            sa.select(
                DagRun.id,
                TaskInstance.task_id,
                TaskInstance.map_index,
                TaskInstance.state,
                TaskInstance.try_number,
                TaskInstance.start_date,
                TaskInstance.end_date,
            )
            .join(DagRun, sa.and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id))
            .where(DagRun.id.in_(numbers[first : first + _AT_A_TIME]))
            .order_by(TaskInstance.task_id, TaskInstance.map_index)
        )
        for row in session.execute(query):
            tasks.setdefault(row.id, []).append(
                TaskRun(
                    row.task_id,
                    row.map_index,
                    row.state and str(row.state),
                    row.try_number,
                    row.start_date and as_utc(row.start_date),
                    row.end_date and as_utc(row.end_date),
                )
            )
    return tasks
