"""Why a task of a month failed, noted in the lake, so that the page in Airflow tells it beside the link to the log."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from ispeed.errors import ShareFault, UserError
from ispeed.lake import write_json
from ispeed.months import Month
from ispeed.settings import Settings

_FILE_AND_ROW: Final = re.compile(r"file (?P<file>.+?), (?:row|line) (?P<row>[0-9,]+)")


@dataclass(frozen=True)
class Failure:
    """One task that failed, of one run of Airflow; `map_index` is -1 where the task is not one of many,
    `noted_at` is when it was noted.

    What a person must mend has its four parts. Of any other fault only its kind stands in `found`: what it says may
    hold a password, which Airflow masks in its logs and nobody would mask here.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    where: str
    found: str
    expected: str
    remedy: str
    noted_at: datetime | None = None

    @property
    def file_and_row(self) -> tuple[str, str] | None:
        """The file and the row, or line, that `where` names, if it names both."""
        match = _FILE_AND_ROW.match(self.where)
        return (match["file"], match["row"]) if match else None

    @property
    def is_told(self) -> bool:
        """Whether it says what to do; a fault that may pass does not."""
        return bool(self.remedy)


def note_failure(settings: Settings, month: Month, task: Any, error: BaseException) -> None:
    """Note why `task`, a task instance of Airflow, failed; what it noted of a run before goes."""
    told = error if isinstance(error, UserError | ShareFault) else None
    failure = Failure(
        dag_id=task.dag_id,
        run_id=task.run_id,
        task_id=task.task_id,
        map_index=-1 if task.map_index is None else task.map_index,
        where=told.where if told else "",
        found=told.found if told else type(error).__name__,
        expected=told.expected if told else "",
        remedy=told.remedy if told else "",
    )
    name = f"{failure.dag_id}.{failure.task_id}.{failure.map_index}.json"
    write_json(settings.lake_of("failures", month) / name, asdict(failure))


def read_failures(settings: Settings, month: Month) -> list[Failure]:
    """What is noted of a month's tasks that failed, in whichever run; the run tells whether it still holds."""
    found = []
    for note in sorted(settings.lake_of("failures", month).glob("*.json")):
        # One that goes meanwhile, or that another version wrote, is told by the log alone.
        with suppress(FileNotFoundError, ValueError, TypeError):
            failure = Failure(**json.loads(note.read_text(encoding="utf-8")))
            found.append(replace(failure, noted_at=datetime.fromtimestamp(note.stat().st_mtime, UTC)))
    return found
