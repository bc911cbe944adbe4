"""Being told by a real scheduler: one mail for a task that fails for good, and a month that waits for a word."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from ispeed.approval import APPROVE, REFUSE, read_approval
from ispeed.backfill import FINISHED
from ispeed.database import Database
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.sample import make_exports
from ispeed.services import Services, airflow_environment
from ispeed.settings import INCLUDE, PROJECT, Settings
from pipeline import BUILD, more, run_steps
from receivers import MailServer, mail_server
from running_services import logs_where_it_fails

OCTOBER = Month(2024, 10)
SECONDS = 120.0
FAILING = """
import os, signal
from datetime import timedelta
from airflow.sdk import dag
from ispeed.airflow import monthly, step

quick = monthly()
quick["default_args"] |= {"retry_delay": timedelta(seconds=1), "retry_exponential_backoff": False}

@dag(dag_display_name="Hỏng", schedule=None, **quick)
def failing():
    @step(task_display_name="Mất mạng")
    def lose_network(**context):
        raise ConnectionError(f"try {context['ti'].try_number}: no route to host")

    lose_network()

@dag(dag_display_name="Hết bộ nhớ", schedule=None, **quick)
def killed():
    @step(task_display_name="Bị dừng", retries=0)
    def be_killed():
        os.kill(os.getpid(), signal.SIGKILL)

    be_killed()

failing()
killed()
"""


@dataclass(frozen=True)
class Running:
    settings: Settings
    services: Services
    mail: MailServer

    def known_dags(self) -> list[str]:
        return [str(dag["dag_id"]) for dag in self.services.request("GET", "/api/v2/dags")["dags"]]

    def subjects(self) -> list[str]:
        return [str(message["Subject"]) for message in self.mail.messages]

    def trigger(self, dag_id: str, body: dict[str, Any]) -> str:
        body = {"logical_date": None, **body}
        return str(self.services.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        return self.services.request("GET", f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}")

    def answer(self, run_id: str, option: str) -> None:
        path = f"/api/v2/dags/publish_reports/dagRuns/{quote(run_id)}/taskInstances/approve_month"
        wait_until(self, lambda: self.task("publish_reports", run_id, "approve_month")["state"] == "awaiting_input")
        # An answer within the scheduler's next second finds the end of the task's first process not yet taken note of;
        # Airflow takes that for a task that was killed, and tries it again.
        time.sleep(5)
        self.services.request("PATCH", f"{path}/-1/hitlDetails", {"chosen_options": [option], "params_input": {}})

    def end(self, dag_id: str, run_id: str) -> str:
        def state() -> str:
            return str(next(run for run in self.services.runs(dag_id) if run["dag_run_id"] == run_id)["state"])

        wait_until(self, lambda: state() in FINISHED)
        return state()


def wait_until(running: Running, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    with logs_where_it_fails(running.settings.lake.parent):
        while not is_so():
            running.services.check_alive()
            assert time.monotonic() < deadline
            time.sleep(0.5)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Airflow with notices and approval on, and a month that is built and not yet published."""
    folder = tmp_path_factory.mktemp("notices")
    shutil.copytree(PROJECT / "dags", folder / "dags")
    (folder / "dags" / "failing.py").write_text(FAILING, encoding="utf-8")
    shutil.copy(INCLUDE / "policy.yaml", folder / "policy.yaml")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ISPEED_"))}
    with mail_server(folder) as mail:
        environment = airflow_environment(
            {
                **kept,
                "ISPEED_VAR": str(folder / "var"),
                "ISPEED_POLICY": str(folder / "policy.yaml"),
                "ISPEED_MAIL_TO": "truc@so.example",
                "ISPEED_APPROVAL": "1",
                "AIRFLOW_CONN_ISPEED_SMTP": mail.connection,
            }
        ) | {"AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags")}
        settings = Settings.from_environment(environment)
        shutil.copytree(INCLUDE / "registry", settings.registry)
        make_exports(settings, [OCTOBER], n_rows=500)
        sync_registry(settings)
        run_steps(settings, OCTOBER, BUILD[:4])
        with (
            logs_where_it_fails(folder / "var"),
            Services("notices", environment, folder / "var" / "log") as services,
        ):
            yield Running(settings, services, mail)


def test_a_task_that_fails_for_good_is_told_once_after_its_tries_and_one_that_is_killed_too(running: Running) -> None:
    wait_until(running, lambda: {"failing", "killed"} <= set(running.known_dags()))
    running.services.unpause(["failing", "killed"])
    run_id, killed = (running.trigger(dag_id, {"conf": {"month": str(OCTOBER)}}) for dag_id in ("failing", "killed"))
    assert running.end("failing", run_id) == running.end("killed", killed) == "failed"
    assert running.task("failing", run_id, "lose_network")["try_number"] == 3
    wait_until(running, lambda: len(running.mail.messages) >= 2)
    assert set(running.subjects()) == {
        "[i-Speed] Tháng 10/2024: “Hết bộ nhớ” bị dừng vì lỗi",
        "[i-Speed] Tháng 10/2024: tác vụ “Mất mạng” bị dừng vì lỗi",
    }
    assert len(running.subjects()) == 2
    assert "ConnectionError: try 3: no route to host" in text_of(running, "Mất mạng")


def text_of(running: Running, subject: str) -> str:
    (message,) = [message for message in running.mail.messages if subject in message["Subject"]]
    return str(message.get_body(("plain",)).get_content())  # type: ignore[union-attr]


@more
def test_a_month_is_published_when_it_is_approved_and_stays_as_it_was_when_it_is_refused(running: Running) -> None:
    settings, database = running.settings, Database(running.settings.database_url)
    running.services.unpause(["publish_reports"])
    run_id = running.trigger("publish_reports", {"partition_key": str(OCTOBER)})
    running.answer(run_id, APPROVE)
    assert running.end("publish_reports", run_id) == "success"
    assert database.current_revision(OCTOBER) == 1

    policy = yaml.safe_load(settings.policy.read_text(encoding="utf-8"))
    policy["values"]["publish_minimum"] = [{"value": 5, "source": "this test"}]
    settings.policy.write_text(yaml.safe_dump(policy, allow_unicode=True), encoding="utf-8")
    run_steps(settings, OCTOBER, BUILD[2:4])
    before = {path: path.read_bytes() for path in settings.share.rglob("*") if path.is_file()}
    run_id = running.trigger("publish_reports", {"partition_key": str(OCTOBER)})
    running.answer(run_id, REFUSE)
    assert running.end("publish_reports", run_id) == "failed"
    states = {task: running.task("publish_reports", run_id, task)["state"] for task in ("approve_month", "publish")}
    assert states == {"approve_month": "failed", "publish": "upstream_failed"}
    assert running.task("publish_reports", run_id, "approve_month")["try_number"] == 1, "asked once"
    assert database.last_revision(OCTOBER) == 1
    assert {path: path.read_bytes() for path in settings.share.rglob("*") if path.is_file()} == before
    noted = read_approval(settings, OCTOBER)
    assert noted is not None
    assert (noted.revision, noted.answer) == (2, REFUSE)
    wait_until(running, lambda: any("Chờ duyệt khi có cảnh báo" in subject for subject in running.subjects()))
    assert "“Từ chối” by" in text_of(running, "Chờ duyệt khi có cảnh báo")
    assert [subject for subject in running.subjects() if "chờ duyệt" in subject] == [
        "[i-Speed] Tháng 10/2024: chờ duyệt phát hành bản r1",
        "[i-Speed] Tháng 10/2024: chờ duyệt phát hành bản r2",
    ]
