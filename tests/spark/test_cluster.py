"""A month on a real cluster: Spark's own master and two workers, each a process of its own, on loopback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from ispeed.months import Month
from ispeed.settings import PROJECT, Settings
from pipeline import more
from reference.test_hand_worked import ROWS as HAND_WORKED
from spark.on_spark import QUICK, differences, needs_spark, twin_of

pytestmark = [needs_spark, more]
PATIENCE_SECONDS = 120
# The steps as a task runs them: all they know is in the environment. Two of them, in applications of their own: a start
# of executors takes longer than the month.
MONTH = """
import sys
from ispeed.months import Month
from ispeed.settings import Settings
from pipeline import more
from spark.on_spark import BUILT
for step in BUILT[1:]:
    step(Settings.from_environment(), Month.parse(sys.argv[1]))
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def told(page: str) -> dict[str, Any]:
    """What the master tells of itself."""
    with urlopen(f"{page}/json/", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The master's address, and that of its page."""
    import pyspark

    folder = tmp_path_factory.mktemp("cluster")
    port, page_port = free_port(), free_port()
    master, page = f"spark://127.0.0.1:{port}", f"http://127.0.0.1:{page_port}"
    home = Path(pyspark.__file__).parent
    environment = os.environ | {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_WORKER_DIR": str(folder)}
    deploy = "org.apache.spark.deploy"
    commands = [
        [f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page_port)],
        *[[f"{deploy}.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "1g", master]] * 2,
    ]
    processes = []
    try:
        for number, command in enumerate(commands):
            with (folder / f"{number}.log").open("w") as log:
                process = subprocess.Popen(
                    [str(home / "bin" / "spark-class"), *command], env=environment, stdout=log, stderr=log
                )
                processes.append(process)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if told(page)["aliveworkers"] == 2:
                    break
            except OSError:
                pass
            logs = "\n".join(path.read_text() for path in folder.glob("*.log"))
            assert time.monotonic() < deadline, f"no cluster after {PATIENCE_SECONDS} s\n{logs}"
            time.sleep(0.5)
        yield master, page
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=30)


def test_a_month_is_the_same_on_a_cluster_of_two_workers(
    cluster: tuple[str, str], build_month: Callable[..., tuple[Settings, Month]], tmp_path: Path
) -> None:
    master, page = cluster
    settings, month = build_month(HAND_WORKED, {"publish_minimum": 1, "device_minimum": 1})
    twin = twin_of(settings, tmp_path, master)
    shutil.copytree(settings.lake_of("quarantine", month), twin.lake_of("quarantine", month))
    (tmp_path / "spark-defaults.conf").write_text(
        "".join(f"{name} {value}\n" for name, value in {**QUICK, "spark.executor.memory": "512m"}.items())
    )
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(PROJECT / part) for part in ("include", "tests")),
        "SPARK_CONF_DIR": str(tmp_path),
        "ISPEED_ENGINE": twin.engine,
        "ISPEED_SPARK": twin.spark,
        "ISPEED_VAR": str(tmp_path),
        "ISPEED_LAKE": str(twin.lake),
        "ISPEED_DB": twin.database_url,
        "ISPEED_POLICY": str(twin.policy),
        "ISPEED_REGISTRY": str(twin.registry),
        "ISPEED_EXPORTS": str(twin.exports),
        "ISPEED_DEVICE_KEY": twin.device_key,
    }
    ran = subprocess.run(
        [sys.executable, "-c", MONTH, str(month)], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-5_000:]
    assert list(differences(settings, twin, month, are_checked=False)) == []
    applications = told(page)["completedapps"]
    # One a step, each on both workers.
    assert [(one["name"], one["cores"]) for one in applications] == [("ispeed", 2)] * 2
