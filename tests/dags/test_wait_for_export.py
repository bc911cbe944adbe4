"""When an export counts as complete, and how the wait for it ends."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from ispeed import airflow_waits
from ispeed.airflow_waits import ExportTrigger, WaitForExport
from ispeed.exports import ExportFolder, read_export_folder

SETTLE = 0.3
CONTEXT: Any = {"dag_run": SimpleNamespace(partition_key="2024-10")}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty export folder of 2024-10."""
    monkeypatch.setenv("ISPEED_EXPORTS", str(tmp_path))
    monkeypatch.setenv("ISPEED_SETTLE_SECONDS", str(SETTLE))
    # Several looks within the settle time: it is the time that counts, not the number of looks.
    monkeypatch.setattr(airflow_waits, "LONGEST_PAUSE_SECONDS", SETTLE / 4)
    folder = tmp_path / "2024-10"
    folder.mkdir()
    return folder


def wait_until(
    folder: Path, *, deadline_in: float = 20.0, meanwhile: Callable[[], Coroutine[Any, Any, None]] | None = None
) -> tuple[dict[str, Any], float]:
    """Run the trigger until its event, and something else meanwhile: what the event says, and when it came."""

    async def first_event() -> tuple[dict[str, Any], float]:
        trigger = ExportTrigger(str(folder), SETTLE, time.time() + deadline_in)
        other = asyncio.create_task(meanwhile()) if meanwhile else None
        event = await anext(trigger.run())
        ended = time.monotonic()
        if other:
            await other
        return event.payload, ended

    return asyncio.run(first_event())


def wait(folder: Path, deadline_in: float = 20.0) -> dict[str, Any]:
    return wait_until(folder, deadline_in=deadline_in)[0]


def execute(method: str, *arguments: Any) -> Any:
    operator = WaitForExport(task_id="wait_for_export")
    # Airflow lets nobody but its task runner call `execute`; the function below its guard is what is tested.
    function = getattr(WaitForExport, method)
    return (function.__wrapped__ if method == "execute" else function)(operator, CONTEXT, *arguments)


@pytest.mark.parametrize(
    ("names", "n_files", "is_complete"),
    [
        ([], 0, False),
        ([".done"], 0, False),
        (["a.csv"], 1, False),
        (["a.csv", ".done"], 1, True),
        (["a.csv", "a.csv.done"], 1, True),
        (["a.csv", "b.csv", "a.csv.done"], 2, False),
        (["a.csv", "b.csv", "a.csv.done", "b.csv.done"], 2, True),
        ([".hidden.csv", "~$a.xlsx", ".done"], 0, False),
        (["b.csv.done"], 0, False),
    ],
)
def test_an_export_is_marked_complete_by_done_in_it_or_beside_every_file(
    folder: Path, names: list[str], n_files: int, is_complete: bool
) -> None:
    for name in names:
        (folder / name).touch()
    (folder / "subfolder").mkdir()
    look = read_export_folder(folder)
    assert (len(look.files), look.is_complete) == (n_files, is_complete)


def test_a_folder_that_does_not_exist_has_no_files(folder: Path) -> None:
    assert read_export_folder(folder / "none") == ExportFolder(folder / "none", (), False)


def test_a_done_marker_ends_the_wait_at_once(folder: Path) -> None:
    (folder / "a.csv").write_text("x")
    (folder / ".done").touch()
    started = time.monotonic()
    assert wait(folder)["is_complete"] is True
    assert time.monotonic() - started < SETTLE


def test_files_that_keep_still_are_complete_after_the_settle_time(folder: Path) -> None:
    (folder / "a.csv").write_text("x")
    started = time.monotonic()
    assert wait(folder)["is_complete"] is True
    assert time.monotonic() - started >= SETTLE


@pytest.mark.parametrize("change", ["grows", "is touched", "gets a neighbour"])
def test_an_export_that_still_changes_is_not_complete(folder: Path, change: str) -> None:
    file = folder / "a.csv"
    file.write_text("x")
    last_change = time.monotonic()

    async def keep_changing() -> None:
        nonlocal last_change
        for turn in range(8):
            await asyncio.sleep(SETTLE / 2)
            if change == "grows":
                file.write_text("x" * (turn + 2))
                os.utime(file, (0, 0))
            elif change == "is touched":
                os.utime(file, (turn, turn))
            else:
                (folder / f"{turn}.csv").write_text("x")
            last_change = time.monotonic()

    event, ended = wait_until(folder, meanwhile=keep_changing)
    assert event["is_complete"] is True
    assert ended - last_change >= SETTLE


def test_the_wait_ends_at_its_deadline_and_says_what_was_there(folder: Path) -> None:
    assert wait(folder, deadline_in=0.2) == {"is_complete": False, "found": "no file"}


def test_a_folder_that_cannot_be_read_for_a_while_does_not_end_the_wait(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.csv").touch()
    (folder / ".done").touch()
    looks: list[Path] = []

    def flaky(path: Path) -> ExportFolder:
        looks.append(path)
        if len(looks) < 3:
            raise OSError("the share went away")
        return read_export_folder(path)

    monkeypatch.setattr(airflow_waits, "read_export_folder", flaky)
    assert wait(folder)["is_complete"] is True
    assert len(looks) == 3


def test_a_slow_share_does_not_block_the_other_triggers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(path: Path) -> ExportFolder:
        time.sleep(0.4)
        return ExportFolder(path, (), False)

    monkeypatch.setattr(airflow_waits, "read_export_folder", slow)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        for _ in range(15):
            await asyncio.sleep(0.02)
            ticks += 1
        assert time.monotonic() - started < 0.39

    started = time.monotonic()
    wait_until(folder, deadline_in=0.0, meanwhile=tick)
    assert ticks == 15


def test_a_triggerer_that_restarts_keeps_the_deadline() -> None:
    path, arguments = ExportTrigger("/exports/2024-10", 60.0, 1234.5).serialize()
    assert path == f"{ExportTrigger.__module__}.{ExportTrigger.__qualname__}"
    assert ExportTrigger(**arguments).serialize() == (path, arguments)
    assert arguments["deadline"] == 1234.5


def test_a_complete_export_is_not_deferred(folder: Path) -> None:
    (folder / "a.csv").write_text("x")
    (folder / ".done").touch()
    assert "1 file, 1 bytes" in execute("execute")


def test_an_export_not_known_to_be_complete_is_deferred_until_the_deadline(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISPEED_WAIT_SECONDS", "100")
    (folder / "a.csv").write_text("x")
    with pytest.raises(TaskDeferred) as deferred:
        execute("execute")
    _, arguments = deferred.value.trigger.serialize()
    assert (arguments["folder"], arguments["settle_seconds"]) == (str(folder), SETTLE)
    assert 95 < arguments["deadline"] - time.time() <= 100
    assert hasattr(WaitForExport, deferred.value.method_name)


def test_after_the_deadline_the_task_fails_for_good_and_says_what_to_do(folder: Path) -> None:
    with pytest.raises(AirflowFailException) as failed:
        execute("execute_complete", {"is_complete": False, "found": "a .done marker but no file"})
    text = str(failed.value)
    for part in (str(folder), "a .done marker but no file", "at least one export file of 2024-10", "clear this task"):
        assert part in text


def test_after_a_complete_export_the_task_goes_on(folder: Path) -> None:
    assert execute("execute_complete", {"is_complete": True, "found": "2 files"}) == "2 files"
