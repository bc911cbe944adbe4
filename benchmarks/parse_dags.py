"""What reading a DAG file costs, as a ratio to an empty one: processor time of a process for each, in turns.

    PYTHONPATH=include .venv/bin/python benchmarks/parse_dags.py --times 9

`cold`: `python dags/x.py`, Airflow's own imports included. `warm`: a fork of a process that has Airflow loaded, as the
dag processor makes one for every file; `one task` is a DAG file with one empty `@task`.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from ispeed.settings import INCLUDE, PROJECT

EMPTY = "from airflow.sdk import dag\n\n\n@dag()\ndef empty():\n    pass\n\n\nempty()\n"
ONE_TASK = (
    "from airflow.sdk import dag, task\n\n\n@dag()\ndef one():\n    @task\n    def nothing(): ...\n\n    nothing()\n"
    "\n\none()\n"
)


def cold(file: Path) -> float:
    """Seconds of processor time of an interpreter that runs the file."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, str(file)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def warm(file: Path) -> float:
    """Seconds of processor time that a fork of this process takes to make the file's DAG."""
    from airflow.dag_processing.dagbag import DagBag

    answers, answer = os.pipe()
    if os.fork() == 0:
        started = time.process_time()
        bag = DagBag(file)
        seconds = time.process_time() - started
        assert len(bag.dags) == 1, bag.import_errors
        os.write(answer, str(seconds).encode())
        os._exit(0)
    os.wait()
    seconds = float(os.read(answers, 100))
    os.close(answers)
    os.close(answer)
    return seconds


def compare(name: str, measure: Callable[[Path], float], files: list[Path], times: int) -> None:
    """Print the median of each file, and its ratio to the first one."""
    seconds: dict[Path, list[float]] = {file: [] for file in files}
    for file in files:
        measure(file)
    for _ in range(times):
        for file in files:
            seconds[file].append(measure(file))
    base = statistics.median(seconds[files[0]])
    for file in files:
        median = statistics.median(seconds[file])
        print(f"{name}  {file.stem:<22}{median * 1000:>8.0f} ms{median / base:>8.2f}×")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=9)
    times = parser.parse_args().times
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPATH"] = str(INCLUDE)
    with TemporaryDirectory(prefix="ispeed-parse-") as name:
        os.environ["AIRFLOW_HOME"] = name
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        empty, one_task = Path(name) / "empty.py", Path(name) / "one_task.py"
        empty.write_text(EMPTY, encoding="utf-8")
        one_task.write_text(ONE_TASK, encoding="utf-8")
        dags = sorted((PROJECT / "dags").glob("*.py"))
        compare("cold", cold, [empty, one_task, *dags], times)

        logging.disable()
        compare("warm", warm, [one_task, *dags], times)


if __name__ == "__main__":
    main()
