"""Airflow's own services on this machine: scheduler, dag processor, triggerer, and the API server with its page."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ispeed.settings import INCLUDE, PROJECT, Settings

MONTH_DAG_IDS: Final = ("ingest_measurements", "publish_reports")
# Of these, no month waits for the last three: what is looked for beside it, and what looks after it.
DAG_IDS: Final = ("sync_registry", *MONTH_DAG_IDS, "collect_returns", "compare_atlas", "watch_months")
START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 20.0
# The first answers of a server that has just started are late where the machine is busy.
ANSWER_SECONDS: Final = 120.0
LOOPBACK: Final = "127.0.0.1"


class ServiceError(RuntimeError):
    """A service did not come up, or went away."""


def airflow_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which Airflow finds this project: its home under `var/`, the DAGs, the modules.

    `AIRFLOW_HOME` and whatever else is set stays, save for where the DAGs and plugins are.
    """
    var = Path(environment.get("ISPEED_VAR") or PROJECT / "var").absolute()
    path = [*filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)), str(INCLUDE)]
    no_proxy = [LOOPBACK, "localhost", *filter(None, environment.get("NO_PROXY", "").split(","))]
    return {
        "AIRFLOW_HOME": str(var / "airflow"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        **environment,
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        "NO_PROXY": ",".join(dict.fromkeys(no_proxy)),
        "no_proxy": ",".join(dict.fromkeys(no_proxy)),
    }


def settings_with_connections() -> Settings:
    """The settings, for a command that is no task of Airflow's and needs its connections.

    They are found as tasks find them: in the environment, a secrets backend, or Airflow's database.
    """
    settings = Settings.from_environment()
    if any((settings.exports_uri, settings.registry_uri, settings.returns_uri, settings.share_uri)):
        os.environ.update(airflow_environment())
        # As Airflow's own commands do: without it, its database is not looked into.
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    return settings


def free_port(preferred: int = 0) -> int:
    """A port that nothing listens on: `preferred` where it is free."""
    for port in (preferred, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((LOOPBACK, port))
            except OSError:
                continue
            number: int = listener.getsockname()[1]
            return number
    raise ServiceError("no free port")


@dataclass(frozen=True)
class Command:
    """How a service is started, and the environment that it, and no other, has."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]


class Services:
    """The four services, running inside a `with` block. Everything they print goes to `logs/<name>-<service>.log`.

    With `commands`, these are started, in order, in place of the four, on metadata that is there already. `login` is
    whose calls of the API are made, with the password, where it is not the user that the API server makes up.
    """

    def __init__(
        self,
        name: str,
        environment: Mapping[str, str],
        logs: Path,
        port: int = 0,
        commands: Mapping[str, Command] | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.name, self.logs, self._commands, self._login = name, logs, commands, login
        self.port = free_port(port)
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.environment = {
            # Shared by the four, new for each start: a token of a run before is worth nothing.
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            **environment,
            "AIRFLOW__API__HOST": LOOPBACK,
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._token: str | None = None
        # A proxy of the environment is not for loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self) -> Self:
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            if self._commands is None:
                self.airflow("db", "migrate")
            for service, command in (self._four() if self._commands is None else self._commands).items():
                self._start(service, command)
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def log_of(self, service: str) -> Path:
        return self.logs / f"{self.name}-{service}.log"

    @property
    def password(self) -> str:
        """The password of the page's user `admin`, which the API server makes up at its first start."""
        name = self.environment.get("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE") or str(
            Path(self.environment["AIRFLOW_HOME"]) / "simple_auth_manager_passwords.json.generated"
        )
        password: str = json.loads(Path(name).read_text())["admin"]
        return password

    @property
    def token(self) -> str:
        """A bearer token of the page's user `admin`, or of the login that was given."""
        if self._token is None:
            self._token = self.token_of(*(self._login or ("admin", self.password)))
        return self._token

    def token_of(self, user: str, password: str) -> str:
        """A bearer token of one user. Raises `ServiceError` where the password is not theirs."""
        return str(self.request("POST", "/auth/token", {"username": user, "password": password})["access_token"])

    def airflow(self, *arguments: str) -> str:
        """Run one command of Airflow's command line; its output is returned and appended to the log.

        Raises `ServiceError` where it fails.
        """
        log = self.log_of("command")
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        with log.open("a") as file:
            file.write(f"$ airflow {' '.join(arguments)}\n{done.stdout}\n")
        if done.returncode:
            raise ServiceError(f"airflow {' '.join(arguments)} ended with {done.returncode}: see {log}")
        return done.stdout

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One call of Airflow's REST API, such as `GET`, `/api/v2/dags`. Raises `ServiceError` where it is refused."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if path != "/auth/token" and not path.startswith("/api/v2/monitor"):
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with self._opener.open(request, timeout=ANSWER_SECONDS) as answer:
                content: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise ServiceError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error
        return content

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The runs of a DAG, newest first."""
        answer = self.request("GET", f"/api/v2/dags/{dag_id}/dagRuns?limit=100&order_by=-id")
        runs: list[dict[str, Any]] = answer["dag_runs"]
        return runs

    def unpause(self, dag_ids: Sequence[str]) -> None:
        for dag_id in dag_ids:
            self.request("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def check_alive(self) -> None:
        """Raises `ServiceError` where a service has ended."""
        for service, process in self._processes.items():
            if (code := process.poll()) is not None:
                raise ServiceError(f"the {service} ended with {code}: see {self.log_of(service)}")

    def stop(self) -> None:
        """End all services: ask, wait, then kill whatever is left of their process groups."""
        for process in reversed(self._processes.values()):
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()

    def kill(self, service: str) -> None:
        """End a service at once, as a machine does that loses its power, and count on it no more."""
        process = self._processes.pop(service)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @property
    def running(self) -> list[str]:
        return list(self._processes)

    def pid(self, service: str) -> int:
        return self._processes[service].pid

    def _four(self) -> dict[str, Command]:
        arguments = {
            "api-server": ("--host", LOOPBACK, "--port", str(self.port)),
            "scheduler": ("--skip-serve-logs",),
            "dag-processor": (),
            "triggerer": ("--skip-serve-logs",),
        }
        return {
            service: Command((sys.executable, "-m", "airflow", service, *options), self.environment)
            for service, options in arguments.items()
        }

    def _start(self, service: str, command: Command) -> None:
        with self.log_of(service).open("wb") as log:
            self._processes[service] = subprocess.Popen(
                command.arguments,
                env=command.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches this process only, which then ends the services in order.
                start_new_session=True,
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        missing = "the API server does not answer"
        while time.monotonic() < deadline:
            self.check_alive()
            try:
                health = self.request("GET", "/api/v2/monitor/health")
                missing = ", ".join(
                    name
                    for name in ("metadatabase", "scheduler", "triggerer", "dag_processor")
                    if health[name]["status"] != "healthy"
                )
                if not missing:
                    known = {dag["dag_id"] for dag in self.request("GET", "/api/v2/dags")["dags"]}
                    missing = ", ".join(sorted(set(DAG_IDS) - known))
                    if not missing:
                        return
            except (OSError, FileNotFoundError):
                pass
            time.sleep(0.5)
        raise ServiceError(f"not ready after {START_SECONDS:g} seconds: {missing}; see {self.logs}")
