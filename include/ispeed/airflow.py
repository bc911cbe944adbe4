"""The one module that knows Airflow: the month of a run, errors that end a task, the wait for an export, the assets,
links from a task to the pages of its month."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import Asset, BaseOperator, BaseOperatorLink, Context, Param, conf, get_current_context
from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
)

from ispeed.errors import UserError
from ispeed.months import Month, parse_day
from ispeed.services import MONTH_DAG_IDS
from ispeed.settings import Settings, approval_hours, is_anybody_told

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

REGISTRY: Final = Asset(name="registry", uri="x-ispeed://lake/registry")
CORE_MEASUREMENT: Final = Asset(name="core_measurement", uri="x-ispeed://lake/core")
RETURNS: Final = Asset(name="returns", uri="x-ispeed://lake/returns")
ATLAS: Final = Asset(name="atlas", uri="x-ispeed://lake/atlas")
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
    "on_skipped_callback": tell_recovery,
}
SPARK_CONNECTION: Final = "ispeed_spark"


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
    settings = settings_of_task()
    if settings.engine == "spark" and not settings.spark:
        settings = replace(settings, spark=_spark_of_connection())
    return settings, month_of(context)


def settings_of_task() -> Settings:
    """The settings, whose secrets are not shown in a task's log, wherever they came from."""
    from airflow.sdk.log import mask_secret

    settings = Settings.from_environment()
    password = urlsplit(settings.database_url).password or ""
    for secret in filter(None, {settings.device_key, password, unquote(password)}):
        mask_secret(secret)
    return settings


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
    """Make a task end at once on a `UserError`, with its full text; any other error stays a fault that is retried.

    Either is noted for the page in Airflow.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            _note_failure(error)
            stopped = StoppedByUserError(error)
            log.error(str(error))
        except AirflowSkipException:
            raise
        except Exception as error:
            _note_failure(error)
            raise
        # Raised out here, so that the log shows the text and not where in the code it came about.
        raise stopped

    return call


class StepOperator(DecoratedOperator, PythonOperator):
    """A Python task that is a step of ours: it closes with a line in the log that can be grepped, with gauges where
    Airflow's metrics are on, and with the data sets that it read and wrote where its lineage is.
    """

    custom_operator_name = "@step"
    context: Context
    lineage: Callable[[], Any] | None = None

    def __init__(self, *, python_callable: Callable[..., Any], op_args: Any, op_kwargs: Any, **kwargs: Any) -> None:
        upstream = {"python_callable": python_callable, "op_args": op_args, "op_kwargs": op_kwargs}
        super().__init__(kwargs_to_upstream=upstream, **upstream, **kwargs)

    def execute(self, context: Context) -> Any:
        # Links are asked for without it.
        self.context = context
        result, outcome, started = None, "failed", time.monotonic()
        try:
            result = super().execute(context)
            outcome = "done"
        except AirflowSkipException:
            outcome = "skipped"
            raise
        finally:
            self._close(outcome, result, time.monotonic() - started)
        return result

    def get_openlineage_facets_on_complete(self, _: Any) -> Any:
        """What Airflow's OpenLineage provider tells of the step; asked for only where it has somewhere to tell it."""
        return self.lineage and self.lineage()

    def _close(self, outcome: str, result: Any, seconds: float) -> None:
        """Tell how the step ended. What cannot be told is no reason to do it again."""
        from ispeed.log_lines import log_end
        from ispeed.step_counts import StepCounts, counts_of

        try:
            settings, month = settings_of_task(), self._month()
            counts = counts_of(settings, month, self.task_id, result) if outcome == "done" else StepCounts()
            log_end(self.task_id, str(month or "-"), outcome, counts, seconds)
            if outcome == "done":
                self._measure(month, counts.totals, seconds)
            self.lineage = lambda: _lineage_of(settings, month, self.task_id, outcome, counts)
        except Exception:
            log.warning("How %s ended cannot be told", self.task_id, exc_info=True)

    def _month(self) -> Month | None:
        try:
            return month_of(self.context)
        except UserError:
            return None

    def _measure(self, month: Month | None, totals: Mapping[str, float], seconds: float) -> None:
        """Airflow's own metrics, off by default: the last month's figures; the month is a tag, never part of a name."""
        from airflow.sdk.observability import stats

        name, tags = f"ispeed.{self.task_id}", {"month": str(month)} if month else {}
        stats.timing(f"{name}.duration", timedelta(seconds=seconds), tags=tags)
        if self.context["ti"].map_index is None or self.context["ti"].map_index < 0:
            numbers = {**totals, "month": int(str(month).replace("-", ""))} if month else {}
            for of_what, number in numbers.items():
                stats.gauge(f"{name}.{of_what}", float(number) if isinstance(number, float) else int(number), tags=tags)


def _lineage_of(*arguments: Any) -> Any:
    from ispeed.lineage import lineage_of  # what it needs is installed only where it is used

    return lineage_of(*arguments)


def _note_failure(error: Exception) -> None:
    """Note why the task that runs now fails. Where that cannot be noted, the log has it."""
    from ispeed.failures import note_failure
    from ispeed.month_arrivals import ARRIVAL_DAGS

    try:
        context = get_current_context()
        if context["dag_run"].dag_id in (*MONTH_DAG_IDS, *ARRIVAL_DAGS.values()):
            note_failure(settings_of_task(), month_of(context), context["ti"], error)
    except Exception as fault:
        log.warning("the failure is not noted for the page: %s", type(fault).__name__)


def step(**arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """As `@task(…)`, for a step of ours: a `UserError` ends it at once, and its end is told."""
    step_task = task_decorator_factory(decorated_operator_class=StepOperator, **arguments)
    return lambda function: step_task(no_retry_on_user_error(function))


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


def leave_published_atlas(context: Mapping[str, Any]) -> None:
    """Skip the word to `publish_reports` where it would publish nothing new of VNNIC's figures, or has no month yet."""
    from ispeed.atlas import awaits_publishing

    settings, month = run_of(context)
    if not awaits_publishing(settings, month):
        raise AirflowSkipException(f"{month}: nothing of VNNIC's figures that is not published, or no month to add to")


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


def leave_published_returns(context: Mapping[str, Any]) -> None:
    """Skip the word to `publish_reports` where it would publish nothing new of the returns, or has no month yet."""
    from ispeed.arrivals import awaits_publishing

    settings, month = run_of(context)
    if not awaits_publishing(settings, month, "returns"):
        raise AirflowSkipException(f"{month}: no return that is not published, or no month to add them to yet")


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


class CheckOperator(StepOperator):
    """A step that runs checks, with links to the pages that tell what they found."""

    operator_extra_links = (QualityLink(), DataDocsLink())
    custom_operator_name = "@check_step"


def check_step(**arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """As `@step(…)`, for one that runs checks."""
    check_task = task_decorator_factory(decorated_operator_class=CheckOperator, **arguments)
    return lambda function: check_task(no_retry_on_user_error(function))
