"""A month with warnings waits for a word; others do not. What is shown, what each answer does, what is noted of it."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models.hitl import HITLDetail, HITLUser
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import handle_event_submit
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import TaskAwaitingInput
from airflow.triggers.base import TriggerEvent
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from ispeed import airflow_approval, draft, reports, restatement, share
from ispeed.airflow import StoppedByUserError
from ispeed.airflow_approval import ApproveMonth
from ispeed.approval import APPROVE, REFUSE, body_of, escaped, read_approval
from ispeed.checks import CheckResult
from ispeed.draft import Draft
from ispeed.months import Month
from ispeed.quality import MonthQuality
from ispeed.settings import PROJECT, Settings
from receivers import MailServer, mail_server

OCTOBER = Month(2024, 10)
HOSTILE = "<img src=x onerror=alert(1)> [bấm](http://evil.example) | **a**\n| 1 | 2 |"
WARNING = CheckResult(
    "core_measurement",
    "Mã giới thiệu có trong danh mục",
    "warning",
    "flag",
    "unknown_referral_code",
    False,
    12,
    (HOSTILE,),
)
DRAFT = Draft(2, "f1", False, 100, 90, 10, "Dòng đến muộn")
QUALITY = MonthQuality(OCTOBER, False, (), (), 1100, 90, {"duplicate": 1010, "bad_timestamp": 0}, {}, (WARNING,), (), 1)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What Airflow is asked to ask, of a month with one warning."""
    requests: list[dict[str, Any]] = []
    monkeypatch.setenv("ISPEED_LAKE", str(tmp_path / "lake"))
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **request: requests.append(request))
    monkeypatch.setattr(airflow_approval, "read_draft", lambda *_: DRAFT)
    monkeypatch.setattr(airflow_approval, "read_quality", lambda *_: QUALITY)
    return requests


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with mail_server(tmp_path) as server:
        monkeypatch.setenv("ISPEED_APPROVERS", "truong-phong@so.example")
        monkeypatch.setenv("AIRFLOW_CONN_ISPEED_SMTP", server.connection)
        yield server


def task() -> ApproveMonth:
    return ApproveMonth(task_id="approve_month", response_timeout=timedelta(hours=48))


def context(user: str | None = "hoa") -> Any:
    run = SimpleNamespace(partition_key="2024-10", conf=None, triggering_user_name=user)
    of_task = SimpleNamespace(id="1", dag_id="publish_reports", run_id="r+1", task_id="approve_month", map_index=-1)
    return {"dag_run": run, "ti": of_task, "task_instance": of_task, "params": {}}


def answer(option: str) -> dict[str, Any]:
    at = datetime(2024, 11, 5, 2, 0, tzinfo=UTC)
    user = {"id": "7", "name": "lan"}
    return {"chosen_options": [option], "params_input": {}, "responded_at": at, "responded_by_user": user}


def wait() -> None:
    with pytest.raises(TaskAwaitingInput):
        task().execute(context())


def settings() -> Settings:
    return Settings.from_environment()


def test_who_decides_sees_what_became_of_the_rows_and_the_warnings(asked: list[dict[str, Any]]) -> None:
    wait()
    (request,) = asked
    assert request["subject"] == "Phát hành tháng 10/2024, bản r2? Có 1 cảnh báo."
    assert request["options"] == [APPROVE, REFUSE]
    assert request["defaults"] is None, "no answer is no approval"
    lines = request["body"].splitlines()
    assert lines[0].endswith("không phát hành; bản r1 đang phát hành giữ nguyên.")
    assert "| Nhận | 1.100 |" in lines
    assert "| Chấp nhận | 90 |" in lines
    assert [line for line in lines if line.startswith("| Cách ly")] == ["| Cách ly\\: Trùng lặp | 1.010 |"]
    (warning,) = [line for line in lines if line.startswith("- ")]
    assert warning.startswith("- Dòng đo được chấp nhận\\: Mã giới thiệu có trong danh mục\\: 12 dòng\\; ví dụ\\: ")


def test_what_files_say_is_not_read_as_markdown(asked: list[dict[str, Any]]) -> None:
    page = "http://airflow.example/ispeed/2024-10/"
    body = body_of(OCTOBER, replace(DRAFT, why=HOSTILE), QUALITY, page)
    assert escaped(HOSTILE) in body
    unescaped = re.sub(r"\\[!-/:-@\[-`{-~]", "", body)
    for mark in ("<", "](http://evil", "://evil", "**a**", "| 1 |"):
        assert mark not in unescaped
    assert body.endswith(f"[Trang chất lượng của tháng]({page})")


def test_the_approvers_are_told_where_to_answer_once_a_draft(asked: list[dict[str, Any]], mail: MailServer) -> None:
    wait()
    wait()
    (message,) = mail.messages
    assert message["To"] == "truong-phong@so.example"
    assert message["Subject"] == "[i-Speed] Tháng 10/2024: chờ duyệt phát hành bản r2"
    text = message.get_body(("plain",)).get_content()
    assert "/dags/publish_reports/runs/r%2B1/tasks/approve_month/required_actions" in text
    assert "Mã giới thiệu có trong danh mục: 12 dòng" in text


def test_a_notice_that_cannot_go_out_does_not_keep_the_month_from_waiting(
    asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISPEED_APPROVERS", "nobody")
    wait()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("written", "quality", "user"),
    [
        (DRAFT, replace(QUALITY, results=()), "hoa"),
        (replace(DRAFT, is_unchanged=True), QUALITY, "hoa"),
        (DRAFT, QUALITY, "dag_test"),
    ],
    ids=["no warnings", "nothing new to publish", "a command at the terminal"],
)
def test_a_month_that_nobody_need_decide_goes_on_at_once(
    asked: list[dict[str, Any]], written: Draft, quality: MonthQuality, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_approval, "read_draft", lambda *_: written)
    monkeypatch.setattr(airflow_approval, "read_quality", lambda *_: quality)
    assert task().execute(context(user)) is None
    assert asked == []


def test_an_approval_lets_the_month_go_on_and_is_noted(asked: list[dict[str, Any]]) -> None:
    wait()
    told = task().execute_complete(context(), answer(APPROVE))
    assert told == {"answer": APPROVE, "by": "lan", "at": "2024-11-05T02:00:00+00:00"}
    noted = read_approval(settings(), OCTOBER)
    assert noted is not None
    assert (noted.revision, noted.fingerprint, noted.answer, noted.answered_by) == (2, "f1", APPROVE, "lan")
    json.dumps(told)


def test_a_refusal_ends_the_run_and_says_who_refused_and_what_to_do(asked: list[dict[str, Any]]) -> None:
    wait()
    with pytest.raises(StoppedByUserError, match=f"“{REFUSE}” by lan at 2024-11-05T02:00:00") as stopped:
        task().execute_complete(context(), answer(REFUSE))
    assert "clear the task approve_month to ask again; what was published before stays" in stopped.value.error.remedy
    noted = read_approval(settings(), OCTOBER)
    assert noted is not None
    assert (noted.answer, noted.answered_by) == (REFUSE, "lan")


def test_no_answer_in_time_is_no_approval(asked: list[dict[str, Any]]) -> None:
    wait()
    with pytest.raises(StoppedByUserError, match="no answer within 48 hours"):
        task().execute_complete(context(), {"error": "too late", "error_type": "timeout"})


def test_an_approval_is_not_of_another_draft_than_was_shown(
    asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wait()
    monkeypatch.setattr(airflow_approval, "read_draft", lambda *_: replace(DRAFT, fingerprint="f2"))
    with pytest.raises(StoppedByUserError, match="another draft than lan was shown"):
        task().execute_complete(context(), answer(APPROVE))


@pytest.mark.usefixtures("airflow_database")
@pytest.mark.parametrize(
    ("option", "ends"), [(APPROVE, ["success", "success"]), (REFUSE, ["failed", "upstream_failed"])]
)
def test_a_run_waits_and_goes_on_or_ends_with_the_answer(
    option: str, ends: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ISPEED_APPROVAL", "1")
    monkeypatch.setenv("ISPEED_LAKE", str(tmp_path / "lake"))
    monkeypatch.setattr(airflow_approval, "read_draft", lambda *_: DRAFT)
    monkeypatch.setattr(airflow_approval, "read_quality", lambda *_: QUALITY)
    monkeypatch.setattr(airflow_approval, "is_typed", lambda _: False)
    for module, name in (
        (reports, "build_reports"),
        (reports, "check_reports"),
        (draft, "write_workbooks"),
        (share, "publish"),
        (restatement, "restate"),
    ):
        monkeypatch.setattr(module, name, lambda *_: None)
    dag = DagBag(PROJECT / "dags" / "publish_reports.py").dags["publish_reports"]
    person = threading.Thread(target=give, args=(option,))
    person.start()
    run = dag.test(logical_date=None, run_conf={"month": "2024-10"})
    person.join()
    with create_session() as session:
        tasks = session.scalars(select(TaskInstance).where(TaskInstance.run_id == run.run_id)).all()
        states = {task.task_id: str(task.state) for task in tasks}
    assert [states[task] for task in ("approve_month", "publish")] == ends
    noted = read_approval(settings(), OCTOBER)
    assert noted is not None
    assert (noted.answer, noted.answered_by) == (option, "lan")


def give(option: str) -> None:
    """Answer the first task that waits, as Airflow's API server does when somebody presses the button."""
    for _ in range(600):
        time.sleep(0.1)
        with create_session() as session:
            waiting = select(TaskInstance).where(TaskInstance.state == TaskInstanceState.AWAITING_INPUT)
            if (task := session.scalar(waiting)) is None:
                continue
            detail = session.scalars(select(HITLDetail).where(HITLDetail.ti_id == task.id)).one()
            detail.responded_by = HITLUser(id="7", name="lan")
            detail.responded_at = datetime.now(UTC)
            detail.chosen_options, detail.params_input = [option], {}
            handle_event_submit(TriggerEvent(detail.as_resume_event_payload()), task_instance=task, session=session)
            return
