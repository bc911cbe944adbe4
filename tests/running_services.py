"""Services that run for a test: what they answer, what they hold, what they said where it fails."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from ispeed.months import Month
from ispeed.services import LOOPBACK, Services


@contextmanager
def logs_where_it_fails(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for log in sorted(folder.rglob("*.log")):
            print(f"==> {log}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n")
        raise


def get(services: Services, path: str, *, token: str | None) -> tuple[int, str]:
    """Status and text of what the API server answers to exactly this path; a redirect is followed."""
    connection = http.client.HTTPConnection(LOOPBACK, services.port, timeout=30)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status in (302, 307):
        return get(services, answer.headers["Location"].removeprefix(services.url), token=token)
    return answer.status, text


def lose_a_worker(
    services: Services, workers: Sequence[str], month: Month, lost: dict[str, Any], say: Callable[[str], None]
) -> None:
    """Kill the worker, and all that it started, on which a task of the month is seen to run; note which."""
    running = "/api/v2/dags/ingest_measurements/dagRuns/~/taskInstances?state=running&limit=50"
    while not lost:
        time.sleep(0.3)
        of_worker = {name: processes_of(services, name) for name in workers}
        for task in services.request("GET", running)["task_instances"]:
            worker = next((name for name in workers if task["pid"] in of_worker[name]), None)
            if worker is None or task["task_id"] == "wait_for_export" or f"__{month}__" not in task["dag_run_id"]:
                continue
            process = of_worker[worker][task["pid"]]
            # Held, so that it cannot end between the look and the blow.
            process.suspend()
            if task["id"] not in {each["id"] for each in services.request("GET", running)["task_instances"]}:
                process.resume()
                continue
            processes = of_worker[worker] | processes_of(services, worker)
            services.kill(worker)
            for process in processes.values():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            lost.update(task, worker=worker)
            say(f"{worker} killed in {task['task_id']} of {task['dag_run_id']}")
            return


def processes_of(services: Services, name: str) -> dict[int, psutil.Process]:
    """What a service has started, by process id."""
    return {process.pid: process for process in psutil.Process(services.pid(name)).children(recursive=True)}


def memory(services: Services) -> dict[str, int]:
    """What each service and its children hold, shared pages counted in parts, in MB."""
    found = {}
    for name in services.running:
        process = psutil.Process(services.pid(name))
        held = 0
        for each in (process, *process.children(recursive=True)):
            try:
                held += each.memory_full_info().pss
            except psutil.NoSuchProcess:
                continue
        found[name] = held // 2**20
    return found
