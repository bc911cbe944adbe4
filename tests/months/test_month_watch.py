"""Who looks at a month that is due reads how far it has come and what to do; what is out is not spoken of."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import ModuleType

import pytest

from ispeed.errors import CheckFailed
from ispeed.lake import write_json
from ispeed.month_watch import Reminder, deadline_reminders, return_reminders
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.sample import make_exports
from ispeed.settings import Settings
from ispeed.withdrawal import withdraw
from pipeline import BUILD, run_steps

OCTOBER = Month(2024, 10)
URL = "http://airflow.example"


def reminders(settings: Settings, day: str) -> list[Reminder]:
    """At eight in the morning of a day in Vietnam, when the DAG runs."""
    return deadline_reminders(settings, datetime.fromisoformat(f"{day}T08:00+07:00"), URL)


def facts(reminder: Reminder) -> dict[str, tuple[str, ...]]:
    return {fact.label: fact.lines for fact in reminder.notice.facts}


def test_a_missing_export_is_told_two_days_before_once_and_the_month_daily_from_its_day_on(settings: Settings) -> None:
    told = {day: [(one.key, one.ever) for one in reminders(settings, f"2024-11-{day:02d}")] for day in range(1, 31)}
    assert {day: keys for day, keys in told.items() if keys} == {
        **dict.fromkeys((8, 9), [("2024-10.export", True)]),
        **dict.fromkeys(range(10, 31), [("2024-10.deadline", False)]),
    }


def test_before_midnight_in_vietnam_is_still_the_day_before(settings: Settings) -> None:
    for moment, n in ((datetime(2024, 11, 7, 16, 59, tzinfo=UTC), 0), (datetime(2024, 11, 7, 17, 0, tzinfo=UTC), 1)):
        assert len(deadline_reminders(settings, moment, URL)) == n


def test_an_export_that_is_there_but_not_marked_is_told_as_that(settings: Settings) -> None:
    folder = settings.exports_of(OCTOBER)
    folder.mkdir(parents=True)
    (folder / "<b>a.csv").write_text("x")
    (reminder,) = reminders(settings, "2024-11-08")
    assert facts(reminder)["Hiện có"] == (f"1 tệp trong {folder}, chưa có .done: <b>a.csv",)
    assert "&lt;b&gt;a.csv" in reminder.notice.html
    (folder / ".done").touch()
    assert reminders(settings, "2024-11-08") == []
    (reminder,) = reminders(settings, "2024-11-10")
    assert "bấm Trigger với partition key 2024-10" in facts(reminder)["Cần làm"][0]


@pytest.fixture(scope="module")
def landed(small_month: tuple[Settings, Month], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of a published month that may be changed."""
    settings, _ = small_month
    folder = tmp_path_factory.mktemp("watched")
    shutil.copytree(settings.lake, folder / "lake", copy_function=shutil.copy2)
    shutil.copytree(settings.share, folder / "share", copy_function=shutil.copy2)
    shutil.copy(settings.database_url.removeprefix("sqlite:///"), folder / "reports.sqlite")
    return replace(
        settings,
        lake=folder / "lake",
        share=folder / "share",
        exports=folder / "exports",
        database_url=f"sqlite:///{folder}/reports.sqlite",
    )


def test_a_month_that_is_out_is_not_spoken_of(landed: Settings) -> None:
    assert [day for day in range(1, 31) if reminders(landed, f"2024-11-{day:02d}")] == []


def test_a_month_whose_folder_is_gone_from_the_share_is_not_out(landed: Settings) -> None:
    revision = landed.share_of(OCTOBER) / "r1"
    revision.rename(revision.with_name("away"))
    (reminder,) = reminders(landed, "2024-11-12")
    revision.with_name("away").rename(revision)
    assert facts(reminder)["Hạn"] == ("10/11/2024, đã quá 2 ngày",)
    assert facts(reminder)["Đang ở"] == ("Đã phát hành nhưng không thấy trên thư mục dùng chung",)


def test_a_month_that_was_withdrawn_is_not_out(landed: Settings) -> None:
    withdraw(landed, OCTOBER, 1, "sai số liệu")
    (reminder,) = reminders(landed, "2024-11-12")
    assert facts(reminder)["Đang ở"] == ("Đã thu hồi, chưa có bản thay thế",)
    assert facts(reminder)["Lý do"] == ("Bản r1: sai số liệu.",)


def test_a_month_that_stands_at_a_step_is_told_with_its_rows_and_its_last_error(settings: Settings) -> None:
    make_exports(settings, [OCTOBER], n_rows=300)
    sync_registry(settings)
    run_steps(settings, OCTOBER, BUILD[:3])
    write_json(settings.lake / "notices" / "2024-10.ingest_measurements.json", {"title": "Tháng 10/2024: lỗi"})
    (reminder,) = reminders(settings, "2024-11-10")
    told = facts(reminder)
    assert told["Đang ở"] == ("Chưa xong bước “Gắn với danh mục theo ngày đo”",)
    assert told["Lý do"][0].startswith("Bước trước, “Kiểm tra chất lượng, cách ly dòng lỗi”, xong lúc ")
    assert told["Số dòng"][0].startswith("nhận 300, cách ly ")
    assert told["Lỗi đã báo"] == ("Tháng 10/2024: lỗi",)
    assert reminder.notice.links == (("Tình trạng của tháng", f"{URL}/ispeed/2024-10/"),)
    # Until it is out, also in the months after.
    assert [one.key for one in reminders(settings, "2024-12-02")] == ["2024-10.deadline"]
    assert [one.key for one in reminders(settings, "2025-01-10")] == ["2024-12.deadline", "2024-10.deadline"]
    assert [one.key for one in reminders(settings, "2025-02-10")] == ["2025-01.deadline"]


def test_a_month_that_a_check_stopped_is_told_with_the_check(settings: Settings) -> None:
    folder = settings.exports_of(OCTOBER)
    folder.mkdir(parents=True)
    header = "Thời gian đo,Loại mạng,Download (Mbps)"
    (folder / "a.csv").write_text("\n".join([header, *["hôm qua,4G,10"] * 50]), encoding="utf-8")
    sync_registry(settings)
    with pytest.raises(CheckFailed):
        run_steps(settings, OCTOBER, BUILD)
    (reminder,) = reminders(settings, "2024-11-10")
    assert "nghiêm trọng không đạt" in facts(reminder)["Đang ở"][0]
    assert facts(reminder)["Lý do"][0].endswith(" dòng")


@dataclass(frozen=True)
class Body:
    name: str


def test_bodies_that_have_not_returned_are_named_in_one_message_before_the_deadline_and_after_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def missing_bodies(_: Settings, month: Month) -> list[Body]:
        asked.append(str(month))
        return [Body("Sở Y tế"), Body("<b>Huyện Vạn Ninh</b>")]

    returns = ModuleType("ispeed.returns")
    returns.missing_bodies = missing_bodies  # type: ignore[attr-defined]
    returns.deadline_of = lambda *_: datetime.fromisoformat("2024-11-10T00:00+07:00")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ispeed.returns", returns)

    def on(day: int) -> list[Reminder]:
        return return_reminders(settings, datetime.fromisoformat(f"2024-11-{day:02d}T08:00+07:00"), URL)

    told = {day: [(one.key, one.ever) for one in on(day)] for day in range(1, 31)}
    assert {day: keys for day, keys in told.items() if keys} == {
        **dict.fromkeys((7, 8, 9), [("2024-10.returns-soon", True)]),
        **dict.fromkeys(range(11, 18), [("2024-10.returns-late", True)]),
    }
    assert set(asked) == {"2024-10"}
    (before,), (after,) = on(7), on(11)
    assert before.notice.title == "[i-Speed] Tháng 10/2024: 2 cơ quan, đơn vị chưa gửi báo cáo (còn 3 ngày)"
    assert after.notice.title.endswith("(đã quá hạn)")
    assert facts(before)["Chưa gửi"] == ("1. Sở Y tế", "2. <b>Huyện Vạn Ninh</b>")
    monkeypatch.setattr(returns, "missing_bodies", lambda *_: [])
    assert on(7) == []


def test_where_returns_are_not_collected_nobody_is_reminded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_module(name: str) -> ModuleType:
        raise ModuleNotFoundError(name, name=name)

    monkeypatch.setattr("ispeed.month_watch.importlib.import_module", no_module)
    assert return_reminders(settings, datetime(2024, 11, 7, 1, tzinfo=UTC), URL) == []
