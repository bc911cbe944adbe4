"""The dead-man check: a sign that Airflow works, left every day, and a look from outside whether it is still left.

The look needs no Airflow: `python -m ispeed watch` from cron, systemd or a container of its own.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from ispeed.error_texts import in_vietnamese
from ispeed.lake import write_json
from ispeed.months import LOCAL_ZONE
from ispeed.notice import Notice, notice
from ispeed.notice_log import tell_it_is_well, tell_once
from ispeed.notice_routes import TIMEOUT_SECONDS, Routes
from ispeed.settings import Settings, is_anybody_told, watch_hours

log = logging.getLogger(__name__)

KEY: Final = "heartbeat-missing"
# The lake is all that is looked at: who watches must not need what Airflow, or a vault, keeps.
_NO_SECRETS: Final = {
    **dict.fromkeys(("ISPEED_DB", "ISPEED_DB_FILE", "ISPEED_DEVICE_KEY_FILE"), ""),
    "ISPEED_DEVICE_KEY": "not read",
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


def leave_heartbeat(settings: Settings, now: datetime, environment: Mapping[str, str] = os.environ) -> None:
    """Leave the sign: a file in the lake, and a GET to `ISPEED_HEARTBEAT_URL` where it is set.

    An address that does not answer is logged only: whoever waits there for the sign tells of it.
    """
    write_json(_sign(settings), {"at": now.astimezone(UTC).isoformat(timespec="seconds")})
    address = environment.get("ISPEED_HEARTBEAT_URL")
    if not address:
        return
    host: str | None = "an address that is none"
    try:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https"):
            raise ValueError("not an address of http or https")
        host = parts.hostname
        with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:
            log.info("The heartbeat was sent to %s: %d.", host, answer.status)
    except (OSError, ValueError, HTTPException) as error:
        # The address itself is a secret: whoever knows it can keep a dead installation alive.
        log.warning(
            "The heartbeat could not be sent to %s: %s. What to do: look whether this machine reaches that host, and "
            "at ISPEED_HEARTBEAT_URL.",
            host,
            type(error).__name__ if isinstance(error, ValueError) else error,
        )


def watch(settings: Settings, routes: Routes, now: datetime, hours: float, url: str = "") -> str | None:
    """Look for the sign; where it is older than `hours`, tell it, once a day. Returns what is wrong, or None.

    An installation that never left one is given as long from the first look. When the sign is back, that is told.
    """
    since, was_left = _last_sign(settings, now)
    age = now - since
    if age <= timedelta(hours=hours):
        tell_it_is_well(settings, KEY, _back_notice(since), routes.send)
        return None
    last = f"{since.astimezone(ZoneInfo(LOCAL_ZONE)):%H:%M ngày %d/%m/%Y}"
    told = notice(
        f"[i-Speed] Airflow không còn dấu hiệu hoạt động từ {last}",
        {
            "Phát hiện": f"Dấu hiệu hằng ngày của DAG watch_months đã {age / timedelta(hours=1):.0f} giờ chưa có"
            + ("." if was_left else "; từ khi bắt đầu theo dõi chưa có lần nào."),
            "Yêu cầu": f"Cách nhau không quá {hours:g} giờ.",
            "Cần làm": [
                "1. Máy chủ và các dịch vụ còn chạy không: docker compose ps (hoặc systemctl status).",
                "2. Scheduler có khỏe không: trang chủ Airflow, hoặc docker compose logs --tail 50 scheduler.",
                "3. DAG watch_months có bị tạm dừng (paused) hay đang lỗi không.",
                f"4. Đĩa có đầy, thư mục {settings.lake} có ghi được không.",
            ],
        },
        [("Airflow", url)] if url else [],
        "Trong lúc này không tháng nào tự chạy. Thông báo này được gửi mỗi ngày một lần.",
    )
    tell_once(settings, KEY, "missing", told, routes.send, now)
    return f"no heartbeat since {since.isoformat(timespec='seconds')}, {age / timedelta(hours=1):.1f} hours ago"


def keep_watching(every: float | None, routes: Routes, clock: Callable[[], datetime] = _utc_now) -> int:
    """Watch once, and return 1 where the sign is too old; or again and again, every so many seconds."""
    hours, url = watch_hours(), os.environ.get("AIRFLOW__API__BASE_URL", "")
    if not is_anybody_told():
        log.warning("Nobody is told: neither ISPEED_MAIL_TO nor ISPEED_CHAT is set.")
    while True:
        settings, now = Settings.from_environment({**os.environ, **_NO_SECRETS}), clock()
        try:
            wrong = watch(settings, routes, now, hours, url)
        except OSError as error:
            wrong = f"the lake cannot be used: {error}"
            # Noted where this machine keeps what is passing, as the lake cannot take it.
            elsewhere = replace(settings, lake=Path(tempfile.gettempdir()) / "ispeed-watch")
            tell_once(elsewhere, KEY, "unreadable", _unreadable_notice(settings, error), routes.send, now)
        print(f"{now.isoformat(timespec='seconds')} {wrong or 'the heartbeat is there'}", flush=True)
        if every is None:
            return 1 if wrong else 0
        time.sleep(every)


def _sign(settings: Settings) -> Path:
    return settings.lake / "notices" / "heartbeat.json"


def _last_sign(settings: Settings, now: datetime) -> tuple[datetime, bool]:
    """When the last sign was left; where there never was one, when it was first looked for."""
    first_look = settings.lake / "notices" / "first-look.json"
    for path, was_left in ((_sign(settings), True), (first_look, False)):
        try:
            return datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["at"]), was_left
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError):
            # Somebody wrote into it by hand: its own time tells as much.
            return datetime.fromtimestamp(path.stat().st_mtime, UTC), was_left
    write_json(first_look, {"at": now.astimezone(UTC).isoformat(timespec="seconds")})
    return now, False


def _back_notice(since: datetime) -> Notice:
    return notice(
        "[i-Speed] Airflow đã hoạt động trở lại",
        {"Dấu hiệu gần nhất": f"{since.astimezone(ZoneInfo(LOCAL_ZONE)):%H:%M ngày %d/%m/%Y}"},
        closing="Những tháng bị lỡ lịch chạy bù ở DAG ingest_measurements (Trigger với partition key của tháng).",
    )


def _unreadable_notice(settings: Settings, error: OSError) -> Notice:
    return notice(
        "[i-Speed] Không đọc được kho dữ liệu (lake)",
        {
            "Vị trí": str(settings.lake),
            "Phát hiện": in_vietnamese(str(error)),
            "Cần làm": "Kiểm tra đĩa hoặc ổ mạng có còn được gắn (mount) và ghi được không.",
        },
    )
