"""Somebody learns of it when nothing runs any more, once a day, without anything of Airflow running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ispeed.heartbeat import leave_heartbeat, watch
from ispeed.notice import Notice
from ispeed.notice_routes import Routes
from ispeed.settings import INCLUDE, Settings
from receivers import chat_server, mail_server

NOW = datetime(2024, 11, 12, 1, 0, tzinfo=UTC)
HOURS = 26.0


class Told(Routes):
    """Takes every notice and keeps it."""

    notices: list[Notice]

    def send(self, notice: Notice) -> bool:
        self.notices.append(notice)
        return True


@pytest.fixture
def told() -> Told:
    routes = Told((), False, lambda name: pytest.fail(name))
    object.__setattr__(routes, "notices", [])
    return routes


def test_while_the_sign_is_left_every_day_nobody_is_told(settings: Settings, told: Told) -> None:
    for day in range(3):
        leave_heartbeat(settings, NOW + timedelta(days=day), {})
        assert watch(settings, told, NOW + timedelta(days=day, hours=25), HOURS) is None
    assert told.notices == []


def test_where_it_is_missing_that_is_told_once_a_day_and_then_that_it_is_back(settings: Settings, told: Told) -> None:
    leave_heartbeat(settings, NOW, {})
    for hours in range(26, 26 + 48):
        wrong = watch(settings, told, NOW + timedelta(hours=hours, minutes=1), HOURS)
        assert wrong is not None
        assert wrong.startswith("no heartbeat since 2024-11-12T01:00:00+00:00")
    assert [notice.title for notice in told.notices] == [
        "[i-Speed] Airflow không còn dấu hiệu hoạt động từ 08:00 ngày 12/11/2024"
    ] * 3, "on the 13th, the 14th and the 15th by the clock of Vietnam"
    leave_heartbeat(settings, NOW + timedelta(days=4), {})
    for _ in range(2):
        assert watch(settings, told, NOW + timedelta(days=4), HOURS) is None
    assert [notice.title for notice in told.notices[3:]] == ["[i-Speed] Airflow đã hoạt động trở lại"]


def test_an_installation_that_has_just_begun_has_as_long_for_its_first_sign(settings: Settings, told: Told) -> None:
    assert watch(settings, told, NOW, HOURS) is None
    assert watch(settings, told, NOW + timedelta(hours=25), HOURS) is None
    assert watch(settings, told, NOW + timedelta(hours=27), HOURS) is not None
    assert "chưa có lần nào" in told.notices[0].text


def test_a_sign_spoilt_by_hand_counts_from_when_that_was_done(settings: Settings, told: Told) -> None:
    path = settings.lake / "notices" / "heartbeat.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    assert watch(settings, told, NOW + timedelta(hours=1), HOURS) is None
    assert watch(settings, told, NOW + timedelta(hours=27), HOURS) is not None


def test_a_sign_goes_to_somebody_outside_too_and_its_address_stays_secret(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with chat_server() as outside:
        address = f"http://127.0.0.1:{outside.port}/ping/1234-5678"
        leave_heartbeat(settings, NOW, {"ISPEED_HEARTBEAT_URL": address})
        assert outside.messages == [{"path": "/ping/1234-5678"}]
        outside.status = 500
        leave_heartbeat(settings, NOW, {"ISPEED_HEARTBEAT_URL": address})
    for broken in (address, "ftp://somewhere/1234-5678", "http://[1234-5678", "http://127.0.0.1:port/1234-5678"):
        leave_heartbeat(settings, NOW, {"ISPEED_HEARTBEAT_URL": broken})
    assert caplog.text.count("What to do: look whether this machine reaches that host") == 5
    assert "1234-5678" not in caplog.text


def test_the_command_tells_by_mail_and_chat_and_ends_with_1_without_airflow(tmp_path: Path) -> None:
    with mail_server(tmp_path) as mail, chat_server() as chat:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(INCLUDE),
            "AIRFLOW_HOME": str(tmp_path / "no-airflow"),
            "ISPEED_VAR": str(tmp_path),
            # It needs neither, and so no vault.
            "ISPEED_DB": "airflow:ispeed_reports",
            "ISPEED_DEVICE_KEY": "airflow:ispeed_device_key",
            "ISPEED_MAIL_TO": "a@x.vn",
            "ISPEED_CHAT": "1",
            "AIRFLOW_CONN_ISPEED_SMTP": mail.connection,
            "AIRFLOW_CONN_ISPEED_CHAT": chat.connection,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://nobody@127.0.0.1:1/none",
        }
        sign = tmp_path / "lake" / "notices" / "heartbeat.json"
        sign.parent.mkdir(parents=True)
        sign.write_text(json.dumps({"at": "2024-11-12T01:00:00+00:00"}))
        command = [sys.executable, "-m", "ispeed", "watch"]
        for _ in range(2):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
            assert done.returncode == 1, done.stderr
            assert "no heartbeat since 2024-11-12T01:00:00+00:00" in done.stdout
        assert len(mail.messages) == len(chat.messages) == 1
        assert str(mail.messages[0]["Subject"]).startswith("[i-Speed] Airflow không còn dấu hiệu")
        sign.write_text(json.dumps({"at": datetime.now(UTC).isoformat()}))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout.split()[1:]) == (0, "the heartbeat is there".split())
        assert len(mail.messages) == len(chat.messages) == 2, "that it is back"
