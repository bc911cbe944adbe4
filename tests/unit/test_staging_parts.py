"""A month read by several tasks: the same bytes as by one, nothing of another landing, nothing left by a killed one."""

from __future__ import annotations

import fcntl
import hashlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from test_staging import HEADER

from ispeed.checks import check_staging
from ispeed.errors import UserError
from ispeed.lake import month_lock, read_step
from ispeed.landing import land
from ispeed.months import Month
from ispeed.settings import INCLUDE, Settings
from ispeed.staging import deal_out_files, finish_staging, stage, stage_files
from pipeline import settings_in

MONTH = Month(2024, 10)


def export(number: int, n_rows: int = 1) -> str:
    return HEADER + f"01/10/2024 00:00:00,4G,{number},,d{number},22366\n" * n_rows


def put(settings: Settings, files: Mapping[str, str]) -> None:
    """Make these the month's export, and land them."""
    folder = settings.exports_of(MONTH)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    land(settings, MONTH)


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def staging(settings: Settings) -> dict[str, str]:
    return hashes(settings.lake_of("staging", MONTH))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, stage_tasks=3)


def test_files_are_dealt_out_to_at_most_so_many_tasks_each_with_about_as_much(settings: Settings) -> None:
    sizes = {"a.csv": 90_000, "b.csv": 10, "c.csv": 60_000, "d.csv": 30_000, "e.csv": 10}
    put(settings, {name: export(1, n_rows) for name, n_rows in sizes.items()})
    for n_tasks, dealt in [
        (1, [["a.csv", "b.csv", "c.csv", "d.csv", "e.csv"]]),
        (2, [["a.csv", "b.csv"], ["c.csv", "d.csv", "e.csv"]]),
        (3, [["a.csv"], ["b.csv", "d.csv"], ["c.csv", "e.csv"]]),
        (8, [["a.csv"], ["b.csv"], ["c.csv"], ["d.csv"], ["e.csv"]]),
    ]:
        groups = deal_out_files(replace(settings, stage_tasks=n_tasks), MONTH)
        assert sorted([name for name, _ in group["files"]] for group in groups) == dealt
    assert [group["label"] for group in groups] == list(sizes)


def test_a_label_says_what_is_in_a_group_within_what_airflow_has_for_it(settings: Settings) -> None:
    put(settings, {f"{'x' * 240}{number}.csv": export(number) for number in range(4)})
    labels = [group["label"] for group in deal_out_files(settings, MONTH)]
    assert [label[-13:] for label in labels] == ["0.csv + 1 tệp", "xxxxxxxx1.csv", "xxxxxxxx2.csv"]
    assert all(len(label) <= 250 for label in labels)


@pytest.mark.parametrize("n_tasks", [1, 3])
def test_tasks_side_by_side_write_the_bytes_of_one_alone_in_the_order_of_the_files(
    settings: Settings, tmp_path: Path, n_tasks: int
) -> None:
    put(settings, {f"{number:02}.csv": export(number, n_rows=number) for number in range(1, 13)})
    told = stage(settings, MONTH)
    alone = staging(settings)
    assert list(told) == [f"{number:02}.csv" for number in range(1, 13)]
    assert [file["n_rows"] for file in told.values()] == list(range(1, 13))

    other = replace(settings, lake=tmp_path / "other", stage_tasks=n_tasks)
    land(other, MONTH)
    (other.lake_of("landing", MONTH) / "landing.json").write_bytes(
        (settings.lake_of("landing", MONTH) / "landing.json").read_bytes()
    )
    groups = deal_out_files(other, MONTH)
    assert len(groups) == n_tasks
    # Twice each: two runs of one month at a time.
    with ThreadPoolExecutor(2 * len(groups)) as pool:
        for done in [pool.submit(stage_files, other, MONTH, group) for group in reversed(groups * 2)]:
            done.result()
    assert finish_staging(other, MONTH) == told
    assert staging(other) == alone
    assert list(alone) and {name for name in alone if name != "staging.json"} == {f"{n:05}.parquet" for n in range(12)}


def test_one_file_that_fails_is_told_by_its_task_and_read_again_alone(settings: Settings) -> None:
    wide = export(3).replace(HEADER, HEADER.strip() + ",thừa" * 20 + "\n").replace("22366", "22366" + "," * 20)
    put(settings, {"a.csv": export(1), "b.csv": export(2), "wide.csv": wide})
    stopped = replace(settings, columns_max=10)
    groups = {group["label"]: group for group in deal_out_files(stopped, MONTH)}
    stage_files(stopped, MONTH, groups["a.csv"])
    with pytest.raises(UserError, match=r"(?s)file wide\.csv.*ISPEED_COLUMNS_MAX"):
        stage_files(stopped, MONTH, groups["wide.csv"])
    stage_files(stopped, MONTH, groups["b.csv"])
    with pytest.raises(UserError, match=r"1 of 3 files not read .*: wide\.csv"):
        finish_staging(stopped, MONTH)
    assert not settings.lake_of("staging", MONTH).exists()

    stage_files(settings, MONTH, groups["wide.csv"])
    assert list(finish_staging(settings, MONTH)) == ["a.csv", "b.csv", "wide.csv"]
    # Also of a month that is done.
    stage_files(settings, MONTH, groups["a.csv"])
    assert list(finish_staging(settings, MONTH)) == ["a.csv", "b.csv", "wide.csv"]


def test_files_of_two_landings_do_not_mix(settings: Settings, tmp_path: Path) -> None:
    put(settings, {"a.csv": export(1), "b.csv": export(2), "c.csv": export(3)})
    stage(settings, MONTH)
    before = staging(settings)
    earlier = deal_out_files(settings, MONTH)
    stage_files(settings, MONTH, earlier[0])

    put(settings, {"a.csv": export(1), "b.csv": export(20)})
    for group, found in ((earlier[1], "file b.csv"), (earlier[2], "file c.csv")):
        with pytest.raises(UserError, match=rf"(?s){found}\n.*landed anew, or is gone.*clear the task land"):
            stage_files(settings, MONTH, group)
    with pytest.raises(UserError, match=r"1 of 2 files not read .*: b\.csv"):
        finish_staging(settings, MONTH)
    assert staging(settings) == before, "what was staged before stays"
    with pytest.raises(RuntimeError, match="stage it again"):
        check_staging(settings, MONTH)

    # The other run's tasks finish for both: what lies in staging is the landing of now, and of no other.
    for group in deal_out_files(settings, MONTH):
        stage_files(settings, MONTH, group)
    assert list(finish_staging(settings, MONTH)) == ["a.csv", "b.csv"]
    files = read_step(settings, "landing", MONTH, "land")["files"]
    inputs = read_step(settings, "staging", MONTH, "stage_files")["inputs"]
    assert inputs["files"] == [[file["source_file"], file["sha256"]] for file in files]
    assert len(hashes(settings.lake_of("parts", MONTH))) == 4, "the parts of the landing before are gone"


@pytest.mark.parametrize("changed", ["contract", "device_key", "field_bytes_max"])
def test_parts_by_another_contract_key_or_bound_do_not_mix(settings: Settings, tmp_path: Path, changed: str) -> None:
    put(settings, {"a.csv": export(1), "b.csv": export(2)})
    groups = deal_out_files(settings, MONTH)
    stage_files(settings, MONTH, groups[0])
    contract = tmp_path / "contract.yaml"
    text = (INCLUDE / "sources" / "ispeed.yaml").read_text(encoding="utf-8")
    contract.write_text(text.replace("timezone: Asia/Ho_Chi_Minh", "timezone: UTC"), encoding="utf-8")
    values = {"contract": {"source": contract}, "device_key": {"device_key": "k"}, "field_bytes_max": {changed: 99}}
    later = replace(settings, **values[changed])
    stage_files(later, MONTH, groups[1])
    for either, absent in ((settings, "b.csv"), (later, "a.csv")):
        with pytest.raises(UserError, match=rf"1 of 2 files not read .*: {absent}"):
            finish_staging(either, MONTH)


def test_a_task_that_is_killed_leaves_nothing_that_trips_the_next(settings: Settings, tmp_path: Path) -> None:
    put(settings, {f"{number:02}.csv": export(number) for number in range(40)})
    folder = settings.lake_of("parts", MONTH)
    code = (
        "from dataclasses import replace; from pathlib import Path; from ispeed.months import Month\n"
        "from ispeed.staging import stage; from pipeline import settings_in\n"
        f"stage(settings_in(Path({str(tmp_path)!r})), Month(2024, 10))"
    )
    path = [str(INCLUDE), str(Path(__file__).parents[1])]
    task = subprocess.Popen([sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"])
    try:
        deadline = time.monotonic() + 60
        while len(list(folder.glob("*.json"))) < 3:
            assert time.monotonic() < deadline and task.poll() is None
            time.sleep(0.01)
    finally:
        task.send_signal(signal.SIGKILL)
        task.wait()
    assert 3 <= len(list(folder.glob("*.json"))) < 40
    assert list(folder.glob(".*")) != [], "what it was writing is still there"
    with pytest.raises(UserError, match="of 40 files not read"):
        finish_staging(settings, MONTH)

    for group in deal_out_files(settings, MONTH):
        stage_files(settings, MONTH, group)
    assert len(finish_staging(settings, MONTH)) == 40
    assert list(folder.glob(".*")) == []
    assert len(list(folder.iterdir())) == 80


def test_a_finish_that_is_cut_off_has_its_parts_the_next_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings, {"a.csv": export(1), "b.csv": export(2)})
    stage(settings, MONTH)
    before = staging(settings)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr("ispeed.lake.sync_folder", cut_off)
        with pytest.raises(KeyboardInterrupt):
            finish_staging(settings, MONTH)
    assert staging(settings) == before
    finish_staging(settings, MONTH)
    assert staging(settings) == before


def test_a_file_system_without_links_gets_copies(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    put(settings, {"a.csv": export(1)})
    stage(settings, MONTH)
    linked = staging(settings)

    def no_links(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr("os.link", no_links)
    finish_staging(settings, MONTH)
    assert staging(settings) == linked


def test_many_may_read_a_month_at_a_time_and_none_while_it_is_replaced(settings: Settings) -> None:
    lock = settings.lake / "locks" / f"{MONTH}.lock"
    order: list[str] = []

    def replace_something() -> None:
        with month_lock(settings, MONTH):
            order.append("replaced")

    waiting = threading.Thread(target=replace_something)
    with month_lock(settings, MONTH, to_replace=False), month_lock(settings, MONTH, to_replace=False):
        waiting.start()
        with lock.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.1)
        order.append("read")
    waiting.join()
    assert order == ["read", "replaced"]


@pytest.mark.parametrize("value", ["0", "1001", "many", "-1"])
def test_a_number_of_tasks_that_airflow_cannot_map_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UserError, match="(?s)ISPEED_STAGE_TASKS.*from 1 to 1000"):
        Settings.from_environment({"ISPEED_VAR": str(tmp_path), "ISPEED_STAGE_TASKS": value})
