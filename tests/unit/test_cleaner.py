"""The service that removes old logs, by its own command: what is old goes, what is new stays, and it tells it ran."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from topology import Here

DAY = 86_400.0


def aged(path: Path, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    moment = time.time() - days * DAY
    os.utime(path, (moment, moment))
    os.utime(path.parent, (moment, moment))
    return path


def test_old_task_logs_and_what_killed_tasks_left_are_removed_once_a_day(tmp_path: Path) -> None:
    here = Here(tmp_path, {"LOG_DAYS": "90"}, {5432: 1}, (), {})
    (tmp_path / "tmp").mkdir()
    logs, scratch = tmp_path / "var/lib/airflow/logs", tmp_path / "scratch"
    old = aged(logs / "dag_id=ingest_measurements/run_id=old/attempt=1.log", 92)
    new = aged(logs / "dag_id=ingest_measurements/run_id=new/attempt=1.log", 88)
    left = aged(scratch / "ispeed-abc/scratch.duckdb", 4)
    used = aged(scratch / "ispeed-def/scratch.duckdb", 0)
    assert here.health("cleaner").returncode != 0
    command = here.command("cleaner")
    with subprocess.Popen(command.arguments, env=command.environment, start_new_session=True) as process:
        try:
            deadline = time.monotonic() + 30
            while not (tmp_path / "tmp/cleaned").exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert (old.exists(), new.exists(), left.exists(), used.exists()) == (False, True, False, True)
            assert here.health("cleaner").returncode == 0
            aged(tmp_path / "tmp/cleaned", 2)
            assert here.health("cleaner").returncode != 0
        finally:
            # With the sleep that it began.
            os.killpg(process.pid, signal.SIGKILL)
