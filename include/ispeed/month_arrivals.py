"""Where a month's returns and VNNIC's figures stand: the last run of the DAG of each, and what its last look noted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ispeed.arrival_looks import AtlasLook, ReturnsLook, read_look
from ispeed.arrivals import Kind
from ispeed.failures import Failure, read_failures
from ispeed.month_stages import FailedTask, Run, State, failed_of, state_of
from ispeed.months import Month
from ispeed.settings import Settings

ARRIVAL_DAGS: Final[Mapping[Kind, str]] = {"returns": "collect_returns", "atlas": "compare_atlas"}
# As the DAGs show them; a test compares.
ARRIVAL_TASKS: Final = {
    "publish_forms": "Gửi biểu mẫu",
    "wait_for_returns": "Thu phiếu, chờ đủ phiếu hoặc hết hạn",
    "announce_returns": "Báo phát hành lại, khi có phiếu mới",
    "ask_atlas": "Hỏi VNNIC, lưu nguyên bản câu trả lời",
    "announce_atlas": "Báo phát hành lại, khi số liệu đã đổi",
}


@dataclass(frozen=True)
class MonthArrival:
    """One kind of what arrives beside a month's measurements: where its last run stands, what the last look found,
    and the tasks that failed. No run where only notes tell, no look before the first.
    """

    kind: Kind
    state: State
    run: Run | None
    look: ReturnsLook | AtlasLook | None
    failures: tuple[FailedTask, ...]


Arrivals = Mapping[Kind, MonthArrival]


def read_month_arrivals(
    settings: Settings, month: Month, runs: Mapping[str, Run], kinds: Sequence[Kind]
) -> dict[Kind, MonthArrival]:
    """How these kinds stand for a month, each of them; `runs` are the month's last ones by their DAG."""
    noted = read_failures(settings, month)
    return {kind: _read(settings, month, kind, runs.get(ARRIVAL_DAGS[kind]), noted) for kind in kinds}


def looked_for(settings: Settings, kinds: Sequence[Kind]) -> Iterable[Month]:
    """The months that something of these kinds was looked for in, also where Airflow has no run of it any more."""
    for kind in kinds:
        for look in settings.lake.glob(f"{kind}/month=????-??/look.json"):
            yield Month.parse(look.parent.name.removeprefix("month="))


def _read(settings: Settings, month: Month, kind: Kind, run: Run | None, noted: Sequence[Failure]) -> MonthArrival:
    look = read_look(settings, month, kind)
    if run is not None and (run.is_at_work or any(task.state for task in run.tasks)):
        return MonthArrival(kind, _state(run), run, look, tuple(failed_of(run, noted)))
    # None, or one whose tasks were cleared and not run again.
    since = datetime.fromisoformat(look.looked_at) if look else None
    failed = tuple(
        FailedTask(note.task_id, None, None, note)
        for note in noted
        if note.dag_id == ARRIVAL_DAGS[kind] and (since is None or (note.noted_at or since) >= since)
    )
    return MonthArrival(kind, "failed" if failed else "done" if look else "never", run, look, failed)


def _state(run: Run) -> State:
    """Where a run stands; a task of it that was skipped, as there was nothing new to publish, is no news."""
    if run.state == "success":
        return "done"
    state = state_of(run.tasks)
    return "waiting" if state in ("never", "skipped") and run.is_at_work else state
