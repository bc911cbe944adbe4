"""A task that fails for good is told, once, with what to do; that it runs again too; and telling changes no state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.sdk import DAG
from airflow.utils.session import create_session
from sqlalchemy import select

from ispeed import airflow_notices, landing, month_watch, registry
from ispeed.airflow_notices import failure_notice
from ispeed.errors import ShareFault, UserError
from ispeed.month_watch import Reminder
from ispeed.notice import notice
from receivers import Chat, MailServer, chat_server, mail_server

pytestmark = pytest.mark.usefixtures("airflow_database")
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "notice_failure.txt"
NOW = datetime(2024, 11, 2, 20, 12, tzinfo=UTC)
ERROR = UserError(
    "file “a.csv\r\nBcc: x@evil.example”, row 7, column Download (Mbps)",
    ["<script>alert(1)</script>, a number that was rounded", "… and 12 more"],
    "every digit of the code",
    "format the column as text and enter the code again",
)


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """Notices are on, by e-mail, at thirteen minutes past three in the night."""
    with mail_server(tmp_path) as server:
        monkeypatch.setenv("ISPEED_LAKE", str(tmp_path / "lake"))
        monkeypatch.setenv("ISPEED_MAIL_TO", "truc@so.example")
        monkeypatch.setenv("AIRFLOW_CONN_ISPEED_SMTP", server.connection)
        monkeypatch.setattr(airflow_notices, "_now", lambda: NOW)
        yield server


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    with chat_server() as server:
        monkeypatch.setenv("ISPEED_CHAT", "1")
        monkeypatch.setenv("AIRFLOW_CONN_ISPEED_CHAT", server.connection)
        yield server


def fail_with(monkeypatch: pytest.MonkeyPatch, *errors: BaseException | None) -> list[int]:
    """The registry's step fails with these, one a call, then with the last; returns the calls as they come."""
    calls: list[int] = []

    def sync_registry(*_: Any, **__: Any) -> None:
        calls.append(len(calls))
        if error := errors[min(len(calls), len(errors)) - 1]:
            raise error

    monkeypatch.setattr(registry, "sync_registry", sync_registry)
    return calls


def run(dag: DAG, month: str | None = None) -> DagRun:
    for task in dag.tasks:
        task.retry_delay = timedelta(0)
        task.retry_exponential_backoff = False
    try:
        return dag.test(logical_date=None, run_conf={"month": month} if month else None)
    finally:
        for task in dag.tasks:
            task.retry_delay = timedelta(minutes=5)
            task.retry_exponential_backoff = True


def states(run: DagRun) -> dict[str, str]:
    with create_session() as session:
        found = session.scalars(select(TaskInstance).where(TaskInstance.run_id == run.run_id))
        return {task.task_id: str(task.state) for task in found}


def test_the_message_of_a_failed_month_says_where_what_and_what_to_do(
    dags: dict[str, DAG], mail: MailServer, chat: Chat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def land(*_: Any) -> None:
        raise ERROR

    monkeypatch.setattr(landing, "land", land)
    folder = tmp_path / "2024-10"
    folder.mkdir()
    for name in ("a.csv", ".done"):
        (folder / name).touch()
    monkeypatch.setenv("ISPEED_EXPORTS", str(tmp_path))
    failed = run(dags["ingest_measurements"], "2024-10")
    assert states(failed)["land"] == "failed"
    (message,) = mail.messages
    assert message["Bcc"] is None
    plain, page = (part.get_content().replace("\r\n", "\n") for part in message.iter_parts())
    found = plain.replace(quote(failed.run_id), "RUN")
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;, là số đã bị làm tròn<br>… và 12 chỗ nữa" in page
    assert chat.messages[0]["title"] == message["Subject"] == plain.partition("\n")[0]


def test_a_fault_is_told_after_the_last_try_only_and_once_a_day(
    dags: dict[str, DAG], mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fail_with(monkeypatch, *(ConnectionError(f"host, port {port}: refused") for port in range(1000, 1010)))
    for _ in range(2):
        assert run(dags["sync_registry"]).state == "failed"
    assert len(calls) == 6, "three tries a run"
    (message,) = mail.messages
    told = message.get_body(("plain",)).get_content()
    assert "Mất kết nối mạng." in told and "ConnectionError: host, port 1002: refused" in told
    monkeypatch.setattr(airflow_notices, "_now", lambda: NOW + timedelta(days=1))
    run(dags["sync_registry"])
    assert len(mail.messages) == 2


def test_that_it_runs_again_is_told_once(
    dags: dict[str, DAG], mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, ERROR, ERROR, None)
    states_told = [str(run(dags["sync_registry"]).state) for _ in range(4)]
    assert states_told == ["failed", "failed", "success", "success"]
    assert [str(message["Subject"]) for message in mail.messages] == [
        "[i-Speed] Tác vụ “Kiểm tra và ghi bảng danh mục” bị dừng vì lỗi",
        "[i-Speed] “Đồng bộ danh mục” đã chạy lại được",
    ]


def test_a_notice_that_cannot_go_out_leaves_the_states_and_says_so_in_the_log(
    dags: dict[str, DAG], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ISPEED_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("ISPEED_MAIL_TO", "truc@so.example")
    for connection in ("", '{"conn_type": "smtp", "host": "127.0.0.1", "port": 1, "extra": {"from_email": "a@b.vn"}}'):
        monkeypatch.setenv("AIRFLOW_CONN_ISPEED_SMTP", connection)
        fail_with(monkeypatch, ERROR)
        assert states(run(dags["sync_registry"])) == {"sync_registry": "failed"}
        fail_with(monkeypatch, None)
        assert states(run(dags["sync_registry"])) == {"sync_registry": "success"}
    # By the task, and again by the DAG, as people do not know of the run.
    assert caplog.text.count("What to do: look at the connection ispeed_smtp") == 4
    monkeypatch.setenv("ISPEED_MAIL_TO", "nobody")
    fail_with(monkeypatch, ERROR)
    assert states(run(dags["sync_registry"])) == {"sync_registry": "failed"}
    assert "Nobody was told of this failure" in caplog.text


def test_where_nothing_is_configured_nothing_is_looked_at(
    dags: dict[str, DAG], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ISPEED_LAKE", str(tmp_path / "lake"))
    monkeypatch.setattr(airflow_notices, "tell_failure", lambda _: pytest.fail("asked"))
    fail_with(monkeypatch, ERROR)
    run(dags["sync_registry"])
    assert not (tmp_path / "lake" / "notices").exists()


def context(error: BaseException | None, **of_task: Any) -> Any:
    task = SimpleNamespace(
        **{"dag_id": "ingest_measurements", "task_id": "stage_files", "run_id": "r", "try_number": 3}
        | {"rendered_map_index": None, "log_url": "http://airflow.example/dags/a"}
        | of_task
    )
    found: dict[str, Any] = {
        "run_id": "r",
        "ti": task,
        "task": SimpleNamespace(task_display_name="Đọc từng dòng"),
        "dag": SimpleNamespace(dag_id="ingest_measurements", dag_display_name="Nạp số liệu", params={"month": None}),
        "dag_run": SimpleNamespace(partition_key="2024-10"),
    }
    return found if error is None else {**found, "exception": error}


def test_a_process_that_was_killed_leaves_no_error_and_is_told_as_that() -> None:
    _, told = failure_notice(context(None), NOW)
    assert "Tiến trình của tác vụ mất hoặc bị dừng từ bên ngoài" in told.text


def test_a_run_of_which_no_task_could_tell_is_told_by_the_dag_and_others_are_not(mail: MailServer) -> None:
    airflow_notices.tell_failure(context(ERROR))
    airflow_notices.tell_failed_run(context(ERROR))
    assert len(mail.messages) == 1, "of this run people know"
    airflow_notices.tell_failure({**context(ERROR), "run_id": "another"})
    airflow_notices.tell_failed_run({**context(ERROR), "run_id": "another"})
    assert len(mail.messages) == 1, "and of the same error again today"
    for _ in range(2):
        airflow_notices.tell_failed_run({**context(None), "run_id": "killed"})
    assert [str(message["Subject"]) for message in mail.messages[1:]] == [
        "[i-Speed] Tháng 10/2024: “Nạp số liệu” bị dừng vì lỗi"
    ]
    assert "/dags/ingest_measurements/runs/killed" in mail.messages[1].get_body(("plain",)).get_content()


def test_a_fault_that_says_what_to_do_is_told_with_it() -> None:
    fault = ShareFault("share /mnt/share", "it is full", "room for a revision", "remove what is not needed")
    _, told = failure_notice(context(fault, rendered_map_index="b.csv"), NOW)
    assert "remove what is not needed" in told.text
    assert "Phần:" in told.text


def test_no_row_and_no_secret_leaves_with_a_fault() -> None:
    error = RuntimeError("UNIQUE failed at postgresql://u:hunter-22@h/db\n[parameters: ('0912345678', 12.5)]")
    _, told = failure_notice(context(error), NOW)
    assert "RuntimeError: UNIQUE failed" in told.text
    assert "hunter-22" not in told.text
    assert "0912345678" not in told.text


def test_failures_of_mapped_tasks_are_the_same_where_their_error_is() -> None:
    alike = {failure_notice(context(ERROR, rendered_map_index=name), NOW)[0] for name in ("a.csv", "b.csv")}
    assert len(alike) == 1
    assert failure_notice(context(RuntimeError("x")), NOW)[0] != failure_notice(context(None), NOW)[0]


def test_the_daily_run_leaves_its_sign_and_tells_what_is_due_once(
    dags: dict[str, DAG], mail: MailServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    due = Reminder("2024-10.deadline", notice("[i-Speed] Tháng 10/2024: đến hạn", {"Tháng": "10/2024"}))
    monkeypatch.setattr(month_watch, "deadline_reminders", lambda *_: [due])
    monkeypatch.setattr(month_watch, "return_reminders", lambda *_: [])
    for _ in range(2):
        assert run(dags["watch_months"]).state == "success"
    assert [str(message["Subject"]) for message in mail.messages] == ["[i-Speed] Tháng 10/2024: đến hạn"]
    assert (tmp_path / "lake" / "notices" / "heartbeat.json").exists()
