"""Where each month stands, stage by stage: Airflow's runs of it, what its steps noted, and what is published of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from ispeed.database import Row
from ispeed.errors import UserError
from ispeed.failures import Failure, read_failures
from ispeed.months import Month
from ispeed.quality import MonthQuality, read_quality
from ispeed.settings import Settings

INGEST: Final = "ingest_measurements"
PUBLISH: Final = "publish_reports"
# Only where somebody's word is wanted: `ISPEED_APPROVAL`.
APPROVAL: Final = "approve_month"
State = Literal["done", "running", "waiting", "retry", "failed", "skipped", "never", "unasked"]
# As Airflow calls them, the one that tells most of several tasks first.
_STATES: Final[dict[str, State]] = {
    "failed": "failed",
    "up_for_retry": "retry",
    "running": "running",
    "restarting": "running",
    "up_for_reschedule": "waiting",
    "deferred": "waiting",
    "queued": "waiting",
    "scheduled": "waiting",
}
_AT_WORK: Final = ("queued", "running")


@dataclass(frozen=True)
class Stage:
    """One column of the list: the tasks of a DAG that make it up, the last of which notes it (`MonthQuality.steps`)."""

    name: str
    dag_id: str
    tasks: tuple[str, ...]
    noted_by: str = ""

    @property
    def main_task(self) -> str:
        return self.noted_by if self.noted_by in self.tasks else self.tasks[0]


STAGES: Final = (
    Stage("wait", INGEST, ("wait_for_export",), "land"),
    Stage("land", INGEST, ("land",), "land"),
    Stage("stage", INGEST, ("stage_files", "finish_staging"), "stage_files"),
    Stage("check", INGEST, ("check_staging",), "check_staging"),
    Stage("core", INGEST, ("build_core",), "build_core"),
    Stage("reports", PUBLISH, ("build_reports",), "build_reports"),
    Stage("check_reports", PUBLISH, ("check_reports",), "check_reports"),
    Stage("workbooks", PUBLISH, ("write_workbooks",), "write_workbooks"),
    Stage("publish", PUBLISH, (APPROVAL, "publish"), "publish"),
    Stage("restated", PUBLISH, ("restate",)),
)


@dataclass(frozen=True)
class TaskRun:
    """One task of a run as Airflow has it; `map_index` is -1 where it is not one of many."""

    task_id: str
    map_index: int
    state: str | None
    try_number: int
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class Run:
    """A run of one of the month's DAGs. `queued_at` is when it was asked for, last of all by clearing its tasks."""

    number: int
    dag_id: str
    run_id: str
    state: str
    queued_at: datetime
    tasks: tuple[TaskRun, ...] = ()

    @property
    def is_at_work(self) -> bool:
        return self.state in _AT_WORK


@dataclass(frozen=True)
class StageState:
    """Where a month stands in one stage, by which run, and that run's tasks of it; no run where only notes tell."""

    stage: Stage
    state: State
    run: Run | None = None
    tasks: tuple[TaskRun, ...] = ()


@dataclass(frozen=True)
class FailedTask:
    """A task that failed: of a run of Airflow, or as a note alone tells of it; without a note where it was killed."""

    task_id: str
    run: Run | None
    task: TaskRun | None
    note: Failure | None


@dataclass(frozen=True)
class MonthOverview:
    """All that a page tells of one month.

    `publications` and `restatements` are the rows of the reports database, the first revision first. `failures` are
    those of the runs that `stages` tells of, in the order of the tasks.
    """

    month: Month
    stages: tuple[StageState, ...]
    runs: Mapping[str, Run]
    quality: MonthQuality | None
    publications: tuple[Row, ...]
    restatements: tuple[Row, ...]
    failures: tuple[FailedTask, ...]

    @property
    def current(self) -> Row | None:
        """The revision that stands published."""
        return next((row for row in self.publications if row["state"] == "published"), None)

    @property
    def withdrawn(self) -> list[Row]:
        return [row for row in self.publications if row["withdrawn_at"]]

    @property
    def is_sample(self) -> bool:
        return self.quality is not None and self.quality.is_sample

    @property
    def counts(self) -> tuple[int | None, int | None, int | None]:
        """Rows in, accepted and quarantined, of the last run; where the lake has nothing, of what stands published."""
        if self.quality:
            return self.quality.n_raw, self.quality.n_accepted, self.quality.n_quarantined
        row = self.current
        return (row["n_raw"], row["n_accepted"], row["n_quarantined"]) if row else (None, None, None)

    @property
    def n_warnings(self) -> int | None:
        return len(self.quality.warnings) if self.quality else None

    @property
    def stopped(self) -> StageState | None:
        """The stage that failed, or that failed and is to be tried again."""
        return next((one for one in self.stages if one.state in ("failed", "retry")), None)

    @property
    def next_stage(self) -> StageState | None:
        """The first stage that is not done, None where all are."""
        return next((one for one in self.stages if one.state not in ("done", "unasked", "skipped")), None)

    @property
    def at_work(self) -> Run | None:
        """A run that is under way or waits for its turn."""
        return next((run for run in self.runs.values() if run.is_at_work), None)


def read_overviews(
    settings: Settings,
    runs: Mapping[Month, Mapping[str, Run]],
    publications: Sequence[Row],
    restatements: Sequence[Row],
) -> list[MonthOverview]:
    """Every month that Airflow ran, that landed, or that was published, newest first.

    `runs` are the last run of each DAG by month, the others the rows of the reports database.
    """
    published, restated = _by_month(publications), _by_month(restatements)
    months = sorted({*runs, *published, *_landed(settings)}, reverse=True)
    return [
        read_overview(settings, month, runs.get(month, {}), published.get(month, ()), restated.get(month, ()))
        for month in months
    ]


def read_overview(
    settings: Settings,
    month: Month,
    runs: Mapping[str, Run],
    publications: Sequence[Row],
    restatements: Sequence[Row],
) -> MonthOverview:
    """What there is of one month; `runs` are the last ones of its DAGs, of which its own two make its stages."""
    runs = {dag_id: runs[dag_id] for dag_id in (INGEST, PUBLISH) if dag_id in runs}
    current = next((row for row in publications if row["state"] == "published"), None)
    quality = read_quality(settings, month, current)
    noted = read_failures(settings, month)
    stages = tuple(_states(runs, quality, noted, bool(restatements)))
    return MonthOverview(
        month=month,
        stages=stages,
        runs=runs,
        quality=quality,
        publications=tuple(publications),
        restatements=tuple(restatements),
        failures=tuple(_failed_tasks(stages, noted)),
    )


def _failed_tasks(stages: Sequence[StageState], noted: Sequence[Failure]) -> Iterable[FailedTask]:
    """The tasks that failed of the runs that the stages tell of, and what the notes say of stages without a run."""
    for run in {one.run.dag_id: one.run for one in stages if one.run}.values():
        yield from failed_of(run, noted)
    for one in stages:
        if one.state == "failed" and one.run is None:
            yield from (FailedTask(note.task_id, None, None, note) for note in noted if _is_of(one.stage, note))


def failed_of(run: Run, noted: Sequence[Failure]) -> Iterable[FailedTask]:
    """The tasks of a run that failed, each with what was noted of it."""
    by_task = {(note.run_id, note.task_id, note.map_index): note for note in noted}
    for task in run.tasks:
        if state_of([task]) in ("failed", "retry"):
            yield FailedTask(task.task_id, run, task, by_task.get((run.run_id, task.task_id, task.map_index)))


def _landed(settings: Settings) -> Iterable[Month]:
    for folder in settings.lake.glob("landing/month=*"):
        try:
            yield Month.parse(folder.name.removeprefix("month="))
        except UserError:
            # Somebody's copy, such as month=2024-10.old
            continue


def _by_month(rows: Sequence[Row]) -> dict[Month, list[Row]]:
    by_month: dict[Month, list[Row]] = {}
    for row in rows:
        by_month.setdefault(Month(row["month"].year, row["month"].month), []).append(row)
    return by_month


def _states(
    runs: Mapping[str, Run], quality: MonthQuality | None, noted: Sequence[Failure], is_restated: bool
) -> Iterable[StageState]:
    ingest, publish = runs.get(INGEST), runs.get(PUBLISH)
    is_next = ingest is not None and ingest.is_at_work
    for stage in STAGES:
        run = runs.get(stage.dag_id)
        if stage.dag_id == PUBLISH and ingest and (publish is None or publish.queued_at < ingest.queued_at):
            # What was published before is of an earlier pass; this one starts by itself when the core is built.
            is_first = stage.noted_by == "build_reports"
            yield StageState(stage, "waiting" if is_first and ingest.state == "success" else "never")
            continue
        if run is None or not (run.is_at_work or any(task.state for task in run.tasks)):
            # None, or one whose tasks were cleared and not run again.
            yield StageState(stage, _noted_state(stage, quality, noted, is_restated))
            continue
        tasks = tuple(task for task in run.tasks if task.task_id in stage.tasks)
        state = state_of(tasks)
        if stage.name == "restated" and state == "done" and not is_restated:
            state = "unasked"
        if state == "never" and run.is_at_work and is_next:
            state = "waiting"
        is_next = state == "done" or (stage.dag_id == INGEST and stage.name == "core")
        yield StageState(stage, state, run, tasks)


def state_of(tasks: Sequence[TaskRun]) -> State:
    """Where tasks stand together: what most needs to be told of them."""
    states = {task.state for task in tasks}
    for state, told in _STATES.items():
        if state in states:
            return told
    if states == {"success"}:
        return "done"
    if "success" in states and None in states:
        return "running"
    return "skipped" if states == {"skipped"} else "never"


def _noted_state(stage: Stage, quality: MonthQuality | None, noted: Sequence[Failure], is_restated: bool) -> State:
    """What the notes tell where Airflow has no run: somebody removed it, or the month was run without a scheduler."""
    since = quality.last_step.finished_at if quality else None
    if any(_is_of(stage, note) and (since is None or (note.noted_at or since) >= since) for note in noted):
        return "failed"
    if stage.name == "restated":
        return "done" if is_restated else "unasked" if quality and quality.next_step is None else "never"
    step = next((step for step in quality.steps if step.task == stage.noted_by), None) if quality else None
    if quality is None or step is None or not step.is_current:
        return "never"
    return "failed" if quality.failures and step == quality.last_step else "done"


def _is_of(stage: Stage, note: Failure) -> bool:
    return (note.dag_id, note.task_id) in ((stage.dag_id, task_id) for task_id in stage.tasks)


def as_utc(moment: datetime) -> datetime:
    """A moment of Airflow's database, whose zone SQLite does not keep."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
