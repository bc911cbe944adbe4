"""The one module that knows Airflow: the month of a run, errors that end a task, the wait for an export, the assets,
links from a task to the pages of its month."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import Asset, BaseOperator, BaseOperatorLink, Context, Param, conf, task
from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.triggers.base import BaseTrigger, TriggerEvent

from ispeed.errors import UserError
from ispeed.exports import read_export_folder
from ispeed.months import Month, parse_day
from ispeed.settings import Settings, approval_hours, is_anybody_told

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

REGISTRY: Final = Asset(name="registry", uri="x-ispeed://lake/registry")
CORE_MEASUREMENT: Final = Asset(name="core_measurement", uri="x-ispeed://lake/core")
REPORTS: Final = Asset(name="reports", uri="x-ispeed://share/reports")


def tell_failure(context: Context) -> None:
    """Tell people that a task failed for good; Airflow calls it in the task's own process, its state being settled."""
    if is_anybody_told():
        from ispeed import airflow_notices  # only when something failed: DAG files are read often

        airflow_notices.tell_failure(context)


def tell_failed_run(context: Context) -> None:
    """Tell people of a failed run of which no task could; Airflow calls it in the dag processor."""
    if is_anybody_told():
        from ispeed import airflow_notices

        airflow_notices.tell_failed_run(context)


def tell_recovery(context: Context) -> None:
    """Tell people that a DAG that they were told of went through; its last task does, the others do nothing."""
    if is_anybody_told() and not context["task"].downstream_task_ids:
        from ispeed import airflow_notices

        airflow_notices.tell_recovery(context)


RETRIES: Final = {
    "retries": 2,
    "retry_delay": timedelta(minutes=5),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(hours=1),
    "on_failure_callback": tell_failure,
    "on_success_callback": tell_recovery,
}
SPARK_CONNECTION: Final = "ispeed_spark"
LONGEST_PAUSE_SECONDS: Final = 60.0


def monthly() -> dict[str, Any]:
    """What the DAGs of a month have in common.

    Their parameters may be left empty: `month` (`YYYY-MM`) is for runs by hand and for `dag.test()`, `boundaries`
    (`YYYY-MM-DD`) a day on whose map of communes the month is published too.
    """
    params = {
        "month": Param(
            None,
            type=["null", "string"],
            pattern=r"^\d{4}-(0[1-9]|1[0-2])$",
            title="Tháng (YYYY-MM)",
            description="Chỉ điền khi chạy tay mà không có partition key, ví dụ 2024-10.",
        ),
        "boundaries": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Quy đổi theo địa giới ngày (YYYY-MM-DD)",
            description="Chỉ điền khi muốn có thêm số liệu theo địa giới hành chính của ngày khác, ví dụ 2025-07-01.",
        ),
    }
    return {
        "start_date": datetime(2019, 1, 1),
        "catchup": False,
        "default_args": RETRIES,
        "on_failure_callback": tell_failed_run,
        "params": params,
        "tags": ["ispeed", "hằng tháng"],
    }


def boundaries_of(context: Mapping[str, Any]) -> date | None:
    """The day on whose map the run's month is wanted too: of its conf, its params, or the event that started it.

    Raises `UserError` where it is not `YYYY-MM-DD`.
    """
    text = (context["dag_run"].conf or {}).get("boundaries") or (context.get("params") or {}).get("boundaries")
    for events in (context.get("triggering_asset_events") or {}).values():
        for event in events:
            text = text or event.extra.get("boundaries")
    return parse_day(str(text)) if text else None


def month_of(context: Mapping[str, Any]) -> Month:
    """The month that a run is for: its partition key, else `month` of its conf, else of its params.

    Raises `UserError` where there is none, or where it is not `YYYY-MM`.
    """
    run = context["dag_run"]
    text = run.partition_key or (run.conf or {}).get("month") or (context.get("params") or {}).get("month")
    if not text:
        raise UserError(
            f"run {run.run_id} of {run.dag_id}",
            "neither a partition key nor a month",
            "the partition key YYYY-MM, such as 2024-10",
            "trigger the DAG with a partition key, or with the parameter month",
        )
    return Month.parse(str(text))


def run_of(context: Mapping[str, Any]) -> tuple[Settings, Month]:
    """What every step of a month takes: the settings, and the run's month.

    Where Spark computes and `ISPEED_SPARK` names none, Airflow's connection `ispeed_spark` does.
    """
    settings = Settings.from_environment()
    if settings.engine == "spark" and not settings.spark:
        settings = replace(settings, spark=_spark_of_connection())
    return settings, month_of(context)


def _spark_of_connection() -> str:
    """The master or remote that the connection means, however it was entered; nothing where there is none."""
    from airflow.sdk import Connection  # only where Spark is asked for: DAG files are read often

    try:
        connection = Connection.get(SPARK_CONNECTION)
    except AirflowNotFoundException:
        return ""
    host = connection.host or ""
    if "://" not in host and not host.startswith(("local", "yarn")):
        host = f"{'sc' if connection.conn_type == 'spark_connect' else 'spark'}://{host}"
    return f"{host}:{connection.port}" if connection.port else host


class StoppedByUserError(AirflowFailException):
    """Ends a task without retries; `error` tells in its parts what a person must mend."""

    def __init__(self, error: UserError) -> None:
        super().__init__(str(error))
        self.error = error


def no_retry_on_user_error(function: Callable[P, R]) -> Callable[P, R]:
    """Make a task end at once on a `UserError`, with its full text; any other error stays a fault that is retried."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            stopped = StoppedByUserError(error)
            log.error(str(error))
        # Raised out here, so that the log shows the text and not where in the code it came about.
        raise stopped

    return call


def step(**arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """As `@task(…)`, for a step of ours: a `UserError` ends it at once."""
    return lambda function: task(**arguments)(no_retry_on_user_error(function))


def announce_month(context: Mapping[str, Any], asset: Asset) -> None:
    """Give the asset's event the month where the run has no partition key, so that the next DAG runs for it too.

    Not in `dag.test()`: whoever calls it runs the next DAG themselves. The day of `boundaries` goes with the event.
    """
    run = context["dag_run"]
    if boundaries := boundaries_of(context):
        context["outlet_events"][asset].extra["boundaries"] = str(boundaries)
    if run.partition_key is None and run.triggering_user_name != "dag_test":
        context["outlet_events"][asset].add_partitions(str(month_of(context)))


def leave_held_month(context: Mapping[str, Any]) -> None:
    """Skip a run that an asset's event started where a backfill of parallel months publishes the month in its turn.

    A month is compared with those before it: it is not published before they are.
    """
    from ispeed.lake import is_held

    settings, month = run_of(context)
    if context.get("triggering_asset_events") and is_held(settings, month):
        raise AirflowSkipException(f"{month} is published by the backfill that runs now, when the months before it are")


def approval() -> list[BaseOperator]:
    """The task in which a month with warnings waits for somebody's word; none unless `ISPEED_APPROVAL` is 1."""
    hours = approval_hours()
    if hours is None:
        return []
    from ispeed.airflow_approval import ApproveMonth

    return [
        ApproveMonth(
            task_id="approve_month",
            task_display_name="Chờ duyệt khi có cảnh báo",
            response_timeout=timedelta(hours=hours),
        )
    ]


def page_path(path: str) -> str:
    """A path of Airflow's page, behind the prefix that it may be served under.

    Without its host: readers reach it by more than one name.
    """
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/") + path


class QualityLink(BaseOperatorLink):
    """From a check task to what the checks of its month found."""

    name = "Chất lượng dữ liệu"
    page = ""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The page's path; asked for in the task's own process when it has ended, well or not."""
        return page_path(f"/ispeed/{month_of(operator.context)}/{self.page}")


class DataDocsLink(QualityLink):
    """From a check task to Great Expectations' own pages of its month."""

    name = "Data Docs"
    page = "data-docs/index.html"


class CheckOperator(DecoratedOperator, PythonOperator):
    """A Python task that runs checks, with links to the pages that tell what they found."""

    operator_extra_links = (QualityLink(), DataDocsLink())
    custom_operator_name = "@check_step"
    context: Context

    def __init__(self, *, python_callable: Callable[..., Any], **kwargs: Any) -> None:
        upstream = {"python_callable": python_callable}
        super().__init__(kwargs_to_upstream=upstream, python_callable=python_callable, **kwargs)

    def execute(self, context: Context) -> Any:
        # Links are asked for without it.
        self.context = context
        return super().execute(context)


def check_step(**arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """As `@step(…)`, for one that runs checks."""
    check_task = task_decorator_factory(decorated_operator_class=CheckOperator, **arguments)
    return lambda function: check_task(no_retry_on_user_error(function))


class ExportTrigger(BaseTrigger):
    """Looks at a month's export folder until its files are all there or `deadline` (seconds since 1970) has passed."""

    def __init__(self, folder: str, settle_seconds: float, deadline: float) -> None:
        super().__init__()
        self.folder, self.settle_seconds, self.deadline = folder, settle_seconds, deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "ispeed.airflow.ExportTrigger",
            # The deadline is a moment, not a duration: a triggerer that restarts must not begin to wait anew.
            {"folder": self.folder, "settle_seconds": self.settle_seconds, "deadline": self.deadline},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: whether the export is complete, and what the last look found."""
        pause = min(max(self.settle_seconds, 0.05), LONGEST_PAUSE_SECONDS)
        files = None
        found = ""
        unchanged_since = time.monotonic()
        while True:
            try:
                # In a thread: a network share that hangs must not hold up the other triggers.
                look = await asyncio.to_thread(read_export_folder, Path(self.folder))
            except OSError as error:
                files, found_now = None, f"the folder cannot be read: {error}"
            else:
                found_now = str(look)
                if look.is_complete:
                    yield self._event(is_complete=True, found=found_now)
                    return
                if not look.files or look.files != files:
                    files, unchanged_since = look.files, time.monotonic()
                elif time.monotonic() - unchanged_since >= self.settle_seconds:
                    yield self._event(
                        is_complete=True, found=f"{found_now}, unchanged for {self.settle_seconds:g} seconds"
                    )
                    return
            if found_now != found:
                found = found_now
                self.log.info("Waiting for the export in %s: %s.", self.folder, found)
            remaining = self.deadline - time.time()
            if remaining <= 0:
                yield self._event(is_complete=False, found=found)
                return
            await asyncio.sleep(min(pause, remaining))

    @staticmethod
    def _event(*, is_complete: bool, found: str) -> TriggerEvent:
        return TriggerEvent({"is_complete": is_complete, "found": found})


class WaitForExport(BaseOperator):
    """Waits until the month's export is complete, without holding a worker meanwhile.

    Complete: at least one file, and a `.done` marker, or no change for `ISPEED_SETTLE_SECONDS`. After
    `ISPEED_WAIT_SECONDS` the task fails, without retries.
    """

    @no_retry_on_user_error
    def execute(self, context: Context) -> str:
        settings, month = run_of(context)
        folder = read_export_folder(settings.exports_of(month))
        if folder.is_complete:
            self.log.info("The export of %s is complete: %s.", month, folder)
            return str(folder)
        deadline = time.time() + settings.wait_seconds
        self.log.info(
            "The export of %s is not known to be complete: %s. Waiting until %s at most.",
            month,
            folder,
            datetime.fromtimestamp(deadline, UTC).isoformat(" ", "seconds"),
        )
        trigger = ExportTrigger(str(folder.path), settings.settle_seconds, deadline)
        raise TaskDeferred(trigger=trigger, method_name="execute_complete")

    @no_retry_on_user_error
    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Resume after the wait with what the trigger found. Raises where the deadline has passed."""
        settings, month = run_of(context)
        if not event["is_complete"]:
            raise UserError(
                f"export folder {settings.exports_of(month)}",
                f"{event['found']}, after waiting for {timedelta(seconds=round(settings.wait_seconds))}",
                f"at least one export file of {month}, and either a file .done beside it or no change "
                f"for {settings.settle_seconds:g} seconds",
                "put the export there (write .done last), then clear this task; "
                "ISPEED_WAIT_SECONDS sets how long to wait",
            )
        self.log.info("The export of %s is complete: %s.", month, event["found"])
        return str(event["found"])
