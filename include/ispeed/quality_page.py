"""The pages of the months as they stand in Airflow: HTML in Vietnamese with English beside, of `include/pages/`.

They have no script but one: the page of a month, for who may run it again.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ispeed.arrivals import Kind
from ispeed.checks import CheckResult, row_reasons
from ispeed.database import Row
from ispeed.error_texts import fault_in_vietnamese, in_vietnamese, place_in_vietnamese
from ispeed.errors import UserError
from ispeed.failures import Failure
from ispeed.month_arrivals import ARRIVAL_TASKS, Arrivals
from ispeed.month_stages import APPROVAL, INGEST, PUBLISH, FailedTask, MonthOverview, Run, State, TaskRun, state_of
from ispeed.months import LOCAL_ZONE, Month, local_time
from ispeed.published_files import PublishedFile
from ispeed.revision_diff import RevisionDiff
from ispeed.settings import INCLUDE, Settings
from ispeed.shared_folder import FORMS
from ispeed.workbook.content import count_by_cause
from ispeed.workbook.wording import ACTIONS, COLUMNS, SAMPLE_MARK, TABLES, day_text, month_text, number, percent

# As the DAGs show them; a test compares.
TASKS: Final = {
    "wait_for_export": "Chờ đủ tệp của tháng",
    "land": "Lưu tệp nguyên bản",
    "stage_files": "Đọc từng dòng",
    "finish_staging": "Gom các tệp đã đọc",
    "check_staging": "Kiểm tra chất lượng, cách ly dòng lỗi",
    "build_core": "Gắn với danh mục theo ngày đo",
    "build_reports": "Tính các bảng báo cáo",
    "check_reports": "Kiểm tra các bảng báo cáo",
    "write_workbooks": "Viết sổ Excel",
    "approve_month": "Chờ duyệt khi có cảnh báo",
    "publish": "Phát hành vào thư mục dùng chung",
    "restate": "Quy đổi theo địa giới của ngày khác, khi được yêu cầu",
}
# Each stage in a column's width, in Vietnamese and in English.
STAGE_NAMES: Final = {
    "wait": ("Chờ tệp", "Wait"),
    "land": ("Lưu tệp", "Land"),
    "stage": ("Đọc dòng", "Stage"),
    "check": ("Kiểm tra", "Check"),
    "core": ("Gắn mã", "Core"),
    "reports": ("Tính bảng", "Reports"),
    "check_reports": ("Kiểm bảng", "Check"),
    "workbooks": ("Sổ Excel", "Books"),
    "publish": ("Phát hành", "Publish"),
    "restated": ("Quy đổi", "Restate"),
}
# What arrives beside the measurements, and where a month's page tells of it.
ARRIVAL_NAMES: Final[Mapping[Kind, tuple[str, str, str]]] = {
    "returns": ("Phiếu cơ quan", "Returns", "phieu"),
    "atlas": ("Số liệu VNNIC", "VNNIC's figures", "vnnic"),
}
# A mark, the word, and English.
STATES: Final[Mapping[State, tuple[str, str, str]]] = {
    "done": ("✓", "Xong", "done"),
    "running": ("▸", "Chạy", "running"),
    "waiting": ("…", "Đợi", "waiting"),
    "retry": ("↻", "Thử lại", "to be retried"),
    "failed": ("✕", "Lỗi", "failed"),
    "skipped": ("»", "Bỏ qua", "skipped"),
    "never": ("·", "Chưa", "not yet"),
    "unasked": ("–", "Không", "not asked for"),
}
# As Airflow calls those of a whole run.
RUN_STATES: Final = {"success": "thành công", "failed": "lỗi", "running": "đang chạy", "queued": "đang đợi"}
SCRIPT: Final = (INCLUDE / "pages" / "rerun.js").read_text(encoding="utf-8")
# What a policy for content says of this script and of no other.
SCRIPT_SOURCE: Final = f"'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
_STYLE: Final = (INCLUDE / "pages" / "airflow.css").read_text(encoding="utf-8")
_ROW: Final = re.compile(r"(.+) row (\d+)", re.DOTALL)
_CELLS_MAX: Final = 1_000


@dataclass(frozen=True)
class Rerun:
    """The one thing that can be done on a page: where Airflow takes runs and shows them, and the new one's name."""

    runs: str
    pages: str
    run_id: str
    is_paused: bool

    @classmethod
    def of(cls, overview: MonthOverview, airflow: str, *, is_paused: bool) -> Rerun:
        """The name is made of the last run's number, so that two who press at once do not start two runs."""
        before = overview.runs.get(INGEST)
        return cls(
            runs=f"{airflow}/api/v2/dags/{INGEST}/dagRuns",
            pages=f"{airflow}/dags/{INGEST}/runs",
            run_id=f"manual__{overview.month}__after-{before.number if before else 0}",
            is_paused=is_paused,
        )


@dataclass(frozen=True)
class _Error:
    """A task that failed, for readers."""

    name: str
    task: str
    state: str
    failure: Failure | None
    log: str | None

    @property
    def title(self) -> str:
        place = self.failure.file_and_row if self.failure else None
        return f"{self.name}: tệp {place[0]}, dòng {place[1]}" if place else self.name

    @property
    def summary(self) -> str:
        if self.failure is None:
            return "Không có ghi chú; xem nhật ký."
        if not self.failure.is_told:
            return f"Sự cố máy móc: {self.fault} ({self.failure.found}); xem nhật ký."
        where, found = place_in_vietnamese(self.failure.where), in_vietnamese(self.failure.found)
        return found if self.failure.file_and_row else f"{where}: {found}"

    @property
    def fault(self) -> str:
        """What it is that is none of ours."""
        return fault_in_vietnamese(self.failure.found) if self.failure else ""

    @property
    def parts(self) -> list[tuple[str, str, str, str]]:
        """Each part: its name in Vietnamese and in English, its text in Vietnamese and as the log has it."""
        return (
            parts_of(self.failure.where, self.failure.found, self.failure.expected, self.failure.remedy)
            if self.failure
            else []
        )


def months_page(
    months: Sequence[MonthOverview],
    airflow: str = "",
    notes: Sequence[str] = (),
    arrivals: Mapping[Month, Arrivals] | None = None,
) -> str:
    """A line a month and a cell a stage; its links lead to `YYYY-MM/` below its address.

    `airflow` is the path that Airflow is served under; `notes` say what could not be read; `arrivals` are, for each of
    the months, the kinds that the reader may see.
    """
    arrived = arrivals or {}
    errors = {month.month: _errors(month, airflow, arrived.get(month.month, {})) for month in months}
    return _render(
        "months.html",
        "i-Speed theo tháng",
        months=months,
        attention=[(month, errors[month.month]) for month in months if errors[month.month]],
        arrivals=arrived,
        kinds=list(next(iter(arrived.values()), ())),
        airflow=airflow,
        notes=notes,
    )


def month_page(
    overview: MonthOverview,
    published: Mapping[str, Sequence[PublishedFile] | None],
    airflow: str = "",
    rerun: Rerun | None = None,
    notes: Sequence[str] = (),
    run_ids: Mapping[str, str] | None = None,
    arrivals: Arrivals | None = None,
    places: Mapping[str, str] | None = None,
) -> str:
    """Everything that is noted of one month; `published` are the files of its revisions by their `place_of`.

    Its links lead to `data-docs/` and `rN/…` below its address, and to Airflow's own pages of runs and logs. `rerun` is
    given for who may run the month again, `run_ids` tell the DAG of each run that Airflow still has, `arrivals` are the
    kinds of them that the reader may see, `places` the `places_of` the month.
    """
    quality = overview.quality
    failures: Sequence[CheckResult] = quality.failures if quality and overview.stopped else ()
    standing = [row for row in overview.publications if not row["withdrawn_at"] and not row["files_removed_at"]]
    runs = sorted(overview.runs.values(), key=lambda run: run.number, reverse=True)
    return _render(
        "month.html",
        f"i-Speed tháng {month_text(overview.month)}",
        month=overview,
        quality=quality,
        failures=failures,
        unfinished_suites=quality.unfinished_suites if quality and not overview.at_work else (),
        errors=_errors(overview, airflow, arrivals or {}),
        arrivals=arrivals or {},
        arrival_runs={kind: _run_link(airflow, arrival.run) for kind, arrival in (arrivals or {}).items()},
        places=places or {},
        steps=list(_steps(overview, airflow)),
        published=published,
        diffs={
            place_of(after): f"diff/r{before['revision']}/r{after['revision']}"
            for before, after in zip(standing, standing[1:], strict=False)
        },
        runs=[_run_link(airflow, run) for run in runs],
        run_links={run_id: _run_page(airflow, dag_id, run_id) for run_id, dag_id in (run_ids or {}).items()},
        rerun=rerun,
        airflow=airflow,
        notes=notes,
        reasons={reason: wording for _, reason, wording in row_reasons()},
    )


def diff_page(diff: RevisionDiff) -> str:
    """What `make diff` prints, as a page; it stands two folders below that of the month."""
    title = f"Tháng {month_text(diff.month)}: r{diff.first} → r{diff.last}"
    return _render(
        "diff.html", title, diff=diff, by_cause=count_by_cause(diff.changes), shown=diff.changes[:_CELLS_MAX]
    )


def message_page(title: str, text: str, link: tuple[str, str] | None = None, error: UserError | None = None) -> str:
    """A page that only says something; `link` is an address and what it is called, `error` what is told of in parts."""
    parts = parts_of(error.where, error.found, error.expected, error.remedy) if error else []
    return _render("message.html", title, text=text, link=link, parts=parts)


def parts_of(where: str, found: str, expected: str, remedy: str) -> list[tuple[str, str, str, str]]:
    """The parts of an error: of each the name in Vietnamese and in English, the text in Vietnamese and as logged."""
    return [
        ("Vị trí", "where", place_in_vietnamese(where), where),
        ("Phát hiện", "found", in_vietnamese(found), "\n".join(map(str.strip, found.split("\n")))),
        ("Yêu cầu", "expected", in_vietnamese(expected), expected),
        ("Cần làm", "what to do", in_vietnamese(remedy), remedy),
    ]


def place_of(row: Row) -> str:
    """Where a revision's files are below the month's address: `r2`, or `restated/2025-07-01/r1`."""
    day = row.get("boundaries_day")
    return f"restated/{day}/r{row['revision']}" if day else f"r{row['revision']}"


def places_of(settings: Settings, month: Month) -> dict[str, str]:
    """Where the month's forms are, and where the filled ones are put: a folder, or an address."""
    return {
        "forms": f"{settings.share_uri or settings.share}/{month}/{FORMS}",
        "returns": f"{settings.returns_uri or settings.returns}/{month}",
    }


def _errors(overview: MonthOverview, airflow: str, arrivals: Arrivals) -> list[_Error]:
    errors = [_error(failed, airflow) for failed in overview.failures]
    if not errors and overview.stopped:
        # Airflow has no run of it any more: the notes alone say that it stopped.
        errors.append(
            _Error(TASKS[overview.stopped.stage.noted_by], overview.stopped.stage.noted_by, "failed", None, None)
        )
    return errors + [_error(failed, airflow) for arrival in arrivals.values() for failed in arrival.failures]


def _error(failed: FailedTask, airflow: str) -> _Error:
    return _Error(
        name=(TASKS | ARRIVAL_TASKS).get(failed.task_id, failed.task_id),
        task=failed.task_id,
        state=state_of([failed.task]) if failed.task else "failed",
        failure=failed.note,
        log=_log(airflow, failed.run, failed.task) if failed.run and failed.task else None,
    )


def _steps(overview: MonthOverview, airflow: str) -> Any:
    """A line a task of the last run; of one that is many, the one that says most stands for all."""
    noted = (
        {step.task: step.finished_at for step in overview.quality.steps if step.is_current} if overview.quality else {}
    )
    for stage in overview.stages:
        for task_id in stage.stage.tasks:
            tasks = [task for task in stage.tasks if task.task_id == task_id]
            if task_id == APPROVAL and not tasks:
                continue
            started = [task.started_at for task in tasks if task.started_at]
            ended = [task.ended_at for task in tasks if task.ended_at]
            state = state_of(tasks) if tasks and len(stage.stage.tasks) > 1 else stage.state
            if state == "never":
                # Airflow gives a moment also to a task whose turn never came.
                started, ended = [], []
            is_ended = bool(tasks) and len(ended) == len(tasks)
            yield {
                "label": TASKS[task_id] + (f" ({number(len(tasks))} phần)" if len(tasks) > 1 else ""),
                "task": task_id,
                "state": state,
                "started_at": min(started, default=None),
                "ended_at": max(ended) if is_ended else None if tasks else noted.get(task_id),
                "seconds": (max(ended) - min(started)).total_seconds() if is_ended and started else None,
                "log": _log(airflow, stage.run, tasks[0]) if stage.run and tasks and started else None,
            }


def _run_link(airflow: str, run: Run | None) -> dict[str, Any] | None:
    if run is None:
        return None
    label = {INGEST: "Lần nạp", PUBLISH: "Lần phát hành"}.get(run.dag_id, "Lần chạy")
    href = _run_page(airflow, run.dag_id, run.run_id)
    return {"href": href, "label": label, "state": run.state, "queued_at": run.queued_at}


def _run_page(airflow: str, dag_id: str, run_id: str) -> str:
    return f"{airflow}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def _log(airflow: str, run: Run, task: TaskRun) -> str:
    mapped = f"/mapped/{task.map_index}" if task.map_index >= 0 else ""
    page = f"{_run_page(airflow, run.dag_id, run.run_id)}/tasks/{quote(task.task_id, safe='')}{mapped}"
    return f"{page}?try_number={max(task.try_number, 1)}"


def _render(template: str, title: str, **values: Any) -> str:
    return _ENVIRONMENT.get_template(template).render(title=title, style=_STYLE, **values)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(ZoneInfo(LOCAL_ZONE)):%H:%M %d/%m/%Y}"


def _places(examples: Sequence[str]) -> list[str]:
    """Examples for readers: `a.csv row 7` and `a.csv row 9`, as the checks note rows, become one line of the file."""
    rows: dict[str, list[str]] = {}
    others = []
    for example in examples:
        if place := _ROW.fullmatch(example):
            rows.setdefault(place[1], []).append(place[2])
        else:
            others.append(example)
    return [f"Ví dụ: {file}, dòng {', '.join(numbers)}" for file, numbers in rows.items()] + others


def _cell(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value, 0 if isinstance(value, int) else 2)
    return "–" if value is None else str(value)


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(INCLUDE / "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "number": number,
    "percent": percent,
    "month": month_text,
    "day": day_text,
    "moment": _moment,
    "parts": lambda error: parts_of(error.where, error.found, error.expected, error.remedy),
    "vietnamese": in_vietnamese,
    "noted": lambda text: _moment(datetime.fromisoformat(text)),
    "local": lambda moment: f"{local_time(moment):%H:%M %d/%m/%Y}",
    "places": _places,
    "place": place_of,
    "cell": _cell,
}
_ENVIRONMENT.globals |= {
    "TASKS": TASKS,
    "STAGES": STAGE_NAMES,
    "STATES": STATES,
    "RUN_STATES": RUN_STATES,
    "TABLES": TABLES,
    "ACTIONS": ACTIONS,
    "COLUMNS": COLUMNS,
    "SAMPLE_MARK": SAMPLE_MARK,
    "SCRIPT": SCRIPT,
    "ARRIVALS": ARRIVAL_NAMES,
}
