"""What Airflow's tasks tell people: that one failed for good, that it runs again, that a month is late.

Airflow calls `on_failure_callback` in the task's own process once the state is settled (`task_runner.finalize`), and
never for a try that another follows. Where a task's process was killed, nobody does (or the dag processor, without the
error, where the supervisor went too): the DAG's own `on_failure_callback`, in the dag processor, tells of such a run.
None of it changes a state.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from airflow.sdk import Connection, Context, conf
from airflow.sdk.log import redact  # type: ignore[attr-defined]

from ispeed.airflow import month_of, settings_of_task
from ispeed.error_texts import fault_in_vietnamese, in_vietnamese, place_in_vietnamese
from ispeed.months import LOCAL_ZONE, Month
from ispeed.notice import Notice, notice
from ispeed.notice_log import read_note, tell_it_is_well, tell_once
from ispeed.notice_routes import Routes
from ispeed.settings import Settings, is_anybody_told
from ispeed.workbook.wording import month_text

if TYPE_CHECKING:
    from ispeed.month_watch import Reminder

log = logging.getLogger(__name__)

FAULT_LENGTH: Final = 200
LOOK: Final = (
    "The task's state is not touched by this. What to do: see docs/notifications.md, and the settings ISPEED_MAIL_TO "
    "and ISPEED_CHAT."
)
KILLED: Final = "Xem máy chủ có khởi động lại hoặc hết bộ nhớ không (dmesg, docker compose ps)."
CLOSING: Final = (
    "Bản đã phát hành giữ nguyên. Cùng một lỗi chỉ báo một lần trong ngày; khi chạy lại được sẽ có thông báo."
)
MENDED: Final = (
    "Sửa xong: nếu tệp xuất hoặc danh mục đã thay, chạy lại tháng ở DAG ingest_measurements (Trigger, partition key "
    "của tháng); nếu không, mở nhật ký bên dưới, bấm Clear tác vụ này."
)
AGAIN: Final = "Sửa xong, mở nhật ký bên dưới, bấm Clear tác vụ này để chạy tiếp."


def tell_failure(context: Context) -> None:
    """Tell that a task failed, once a day for the same thing."""
    try:
        now = _now()
        about, told = failure_notice(context, now)
        settings, run = settings_of_task(), str(context["run_id"])
        tell_once(settings, _key(context), about, told, routes_of().send, now, run=run)
    except Exception:
        log.exception("Nobody was told of this failure. %s", LOOK)


def tell_failed_run(context: Context) -> None:
    """Tell that a run failed of which no task could tell: Airflow calls it in the dag processor.

    A task whose process was killed, for want of memory say, is failed by its supervisor, and nobody calls for it.
    """
    try:
        now, run = _now(), str(context["run_id"])
        settings, told = settings_of_task(), failed_run_notice(context, now)
        tell_once(settings, _key(context), "run", told, routes_of().send, now, run=run, is_of_run=True)
    except Exception:
        log.exception("Nobody was told of this failure. %s", LOOK)


def tell_recovery(context: Context) -> None:
    """Tell that a DAG went through for a month, where people were told that it did not."""
    try:
        settings, key = settings_of_task(), _key(context)
        before = str(read_note(settings, key).get("title", ""))
        tell_it_is_well(settings, key, recovery_notice(context, before, _now()), routes_of().send)
    except Exception:
        log.exception("Nobody was told that this runs again. %s", LOOK)


def tell_reminders(settings: Settings, reminders: Sequence[Reminder], now: datetime) -> list[str]:
    """Send what is due and was not told yet; returns the titles of what was sent now, for the log."""
    if not is_anybody_told():
        log.info("%d reminders, told to nobody: neither ISPEED_MAIL_TO nor ISPEED_CHAT is set.", len(reminders))
        return []
    send = routes_of().send
    return [
        reminder.notice.title
        for reminder in reminders
        if tell_once(settings, reminder.key, reminder.key, reminder.notice, send, now, ever=reminder.ever)
    ]


def routes_of(addresses: str = "ISPEED_MAIL_TO") -> Routes:
    """The routes by Airflow's connections, from whichever of its secrets backends."""
    return Routes.from_environment(Connection.get, addresses=addresses)


def airflow_url() -> str:
    """Where people reach Airflow: its setting `[api] base_url`."""
    return str(conf.get("api", "base_url", fallback="") or "http://localhost:8080").rstrip("/")


def failure_notice(context: Context, now: datetime) -> tuple[str, Notice]:
    """What failed, where, and what to do; beside it what makes it the same failure as another."""
    task, month = context["ti"], month_of_run(context)
    exception: Any = context.get("exception")
    error = getattr(exception, "error", exception)
    display = str(context["task"].task_display_name)
    title = f"tác vụ “{display}” bị dừng vì lỗi"
    facts: dict[str, str | Sequence[str]] = {
        "Tháng": month_text(month) if month else "",
        "Quy trình": f"{context['dag'].dag_display_name} ({task.dag_id})",
        "Tác vụ": f"{display} ({task.task_id})",
        "Phần": str(getattr(task, "rendered_map_index", None) or ""),
        "Lúc": _moment(now),
    }
    if hasattr(error, "remedy"):
        about = f"{task.task_id}\n{error}"
        facts |= {
            "Vị trí": _redacted(place_in_vietnamese(error.where)),
            "Phát hiện": [_redacted(line) for line in in_vietnamese(error.found).split("\n")],
            "Yêu cầu": _redacted(in_vietnamese(error.expected)),
            "Cần làm": [_redacted(in_vietnamese(error.remedy)), MENDED if month else AGAIN],
        }
    elif isinstance(error, BaseException):
        # Of the same kind is the same: ports, times and names of temporary files differ from one time to the next.
        # Further lines may quote rows, which do not leave the lake.
        about = f"{task.task_id}\n{type(error).__name__}"
        first, kind = next(iter(str(error).splitlines()), ""), type(error).__name__
        facts |= {
            "Sự cố": [f"{fault_in_vietnamese(kind)}.", f"{kind}: {_redacted(first)[:FAULT_LENGTH]}"],
            "Cần làm": [
                f"Airflow đã thử {task.try_number} lần. Tìm nguyên nhân (mạng, đĩa, cơ sở dữ liệu) trong nhật ký.",
                AGAIN,
            ],
        }
    else:
        about = f"{task.task_id}\nkilled"
        facts |= {
            "Sự cố": "Tiến trình của tác vụ mất hoặc bị dừng từ bên ngoài, không để lại lỗi.",
            "Cần làm": [KILLED, AGAIN],
        }
    links = [("Nhật ký của tác vụ", str(task.log_url)), *_quality_link(month)]
    return about, notice(_title(month, title), facts, links, CLOSING)


def failed_run_notice(context: Context, now: datetime) -> Notice:
    """That a run failed, where none of its tasks could tell why."""
    month, dag = month_of_run(context), context["dag"]
    address = f"{airflow_url()}/dags/{dag.dag_id}/runs/{quote(str(context['run_id']))}"
    return notice(
        _title(month, f"“{dag.dag_display_name}” bị dừng vì lỗi"),
        {
            "Tháng": month_text(month) if month else "",
            "Quy trình": f"{dag.dag_display_name} ({dag.dag_id})",
            "Lúc": _moment(now),
            "Sự cố": "Tiến trình của một tác vụ mất hoặc bị dừng từ bên ngoài, không để lại lỗi.",
            "Cần làm": [KILLED, "Mở lần chạy bên dưới, bấm Clear tác vụ màu đỏ để chạy tiếp."],
        },
        [("Lần chạy", address), *_quality_link(month)],
        CLOSING,
    )


def recovery_notice(context: Context, before: str, now: datetime) -> Notice:
    """That a DAG went through; `before` is the title of what was told."""
    month, dag = month_of_run(context), context["dag"]
    return notice(
        _title(month, f"“{dag.dag_display_name}” đã chạy lại được"),
        {"Quy trình": f"{dag.dag_display_name} ({dag.dag_id})", "Lúc": _moment(now), "Lỗi đã báo trước đó": before},
        _quality_link(month),
    )


def month_of_run(context: Context) -> Month | None:
    """The run's month, None for a DAG that runs for no month, and where Airflow tells of the DAG only."""
    return month_of(context) if "month" in context["dag"].params and "dag_run" in context else None


def _now() -> datetime:
    return datetime.now(UTC)


def _key(context: Context) -> str:
    month, dag_id = month_of_run(context), context["dag"].dag_id
    return f"{month}.{dag_id}" if month else dag_id


def _quality_link(month: Month | None) -> list[tuple[str, str]]:
    return [("Chất lượng dữ liệu của tháng", f"{airflow_url()}/ispeed/{month}/")] if month else []


def _title(month: Month | None, text: str) -> str:
    return f"[i-Speed] Tháng {month_text(month)}: {text}" if month else f"[i-Speed] {text[0].upper()}{text[1:]}"


def _moment(now: datetime) -> str:
    return f"{now.astimezone(ZoneInfo(LOCAL_ZONE)):%H:%M ngày %d/%m/%Y}"


def _redacted(text: str) -> str:
    return str(redact(text))
