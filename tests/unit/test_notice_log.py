"""A thing is told once a day, by the clock of Vietnam, however often it is tried and by however many at a time."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from ispeed import notice_log
from ispeed.notice import Notice, notice
from ispeed.notice_log import MOST_A_DAY, read_note, tell_it_is_well, tell_once
from ispeed.settings import Settings

KEY = "2024-10.ingest_measurements"
# 16:59 UTC is one minute before midnight in Vietnam.
EVENING = datetime(2024, 11, 3, 16, 59, tzinfo=UTC)
TOLD = notice("[i-Speed] Lỗi", {"Tháng": "10/2024"}, environment={})


class Sent(list[str]):
    """A route that takes everything, or nothing."""

    def __init__(self, *, works: bool = True) -> None:
        super().__init__()
        self.works = works

    def __call__(self, told: Notice) -> bool:
        if self.works:
            self.append(told.title)
        return self.works


def test_the_same_is_told_once_a_day_and_again_after_midnight_in_vietnam(settings: Settings) -> None:
    sent = Sent()
    for minutes in (-600, 0, 0.5, 2, 3):
        tell_once(settings, KEY, "row 7", TOLD, sent, EVENING + timedelta(minutes=minutes))
    assert len(sent) == 2


def test_another_error_of_the_same_day_is_told_too_but_not_without_end(settings: Settings) -> None:
    sent = Sent()
    for number in range(20):
        tell_once(settings, KEY, f"row {number}", TOLD, sent, EVENING)
        tell_once(settings, KEY, f"row {number}", TOLD, sent, EVENING)
    assert len(sent) == MOST_A_DAY


def test_months_are_told_for_themselves(settings: Settings) -> None:
    sent = Sent()
    for key in (KEY, "2024-09.ingest_measurements", "2024-10.publish_reports"):
        tell_once(settings, key, "row 7", TOLD, sent, EVENING)
    assert len(sent) == 3


def test_what_goes_once_ever_goes_once_ever(settings: Settings) -> None:
    sent = Sent()
    for days in range(3):
        tell_once(settings, KEY, "soon", TOLD, sent, EVENING + timedelta(days=days), ever=True)
    assert len(sent) == 1


def test_what_nobody_took_is_told_at_the_next_occasion(settings: Settings) -> None:
    assert tell_once(settings, KEY, "row 7", TOLD, Sent(works=False), EVENING) is False
    assert read_note(settings, KEY) == {}
    assert tell_once(settings, KEY, "row 7", TOLD, Sent(), EVENING) is True


def test_that_it_is_well_is_told_once_and_only_where_something_was_told(settings: Settings) -> None:
    sent = Sent()
    assert tell_it_is_well(settings, KEY, TOLD, sent) is False
    tell_once(settings, KEY, "row 7", TOLD, sent, EVENING)
    assert [tell_it_is_well(settings, KEY, TOLD, sent) for _ in range(2)] == [True, False]
    tell_once(settings, KEY, "row 7", TOLD, sent, EVENING)
    assert len(sent) == 3, "failing again after that is told again"


@pytest.mark.parametrize("content", ["", '{"day": "2024-11-', "[]", "null"])
def test_a_note_that_was_spoilt_by_hand_is_none(settings: Settings, content: str) -> None:
    path = settings.lake / "notices" / f"{KEY}.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert tell_once(settings, KEY, "row 7", TOLD, Sent(), EVENING) is True
    assert read_note(settings, KEY)["title"] == "[i-Speed] Lỗi"


def test_tasks_that_fail_together_tell_it_once(settings: Settings) -> None:
    sent = Sent()

    def slow(told: Notice) -> bool:
        time.sleep(0.02)
        return sent(told)

    tasks = [threading.Thread(target=tell_once, args=(settings, KEY, "row 7", TOLD, slow, EVENING)) for _ in range(8)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    assert len(sent) == 1


def _is_killed_while_sending(settings: Settings) -> None:
    def send(_: Notice) -> bool:
        os._exit(9)

    tell_once(settings, KEY, "row 7", TOLD, send, EVENING)


def test_a_process_killed_while_it_tells_holds_up_nobody(settings: Settings) -> None:
    process = multiprocessing.get_context("fork").Process(target=_is_killed_while_sending, args=(settings,))
    process.start()
    process.join(30)
    assert process.exitcode == 9
    assert tell_once(settings, KEY, "row 7", TOLD, Sent(), EVENING) is True


@pytest.mark.parametrize("name", ["notice_lock", "write_json"])
def test_a_full_disk_is_no_reason_to_keep_silent(
    settings: Settings, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(notice_log, name, full)
    sent = Sent()
    assert tell_once(settings, KEY, "row 7", TOLD, sent, EVENING) is True
    assert len(sent) == 1
    assert "may be told again" in caplog.text
