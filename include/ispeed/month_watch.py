"""Where the months stand that are due, who has not returned theirs, and whether what was delivered still lies there.

A month is due on the policy's `report_day` of the month after it.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from ispeed.database import Database
from ispeed.delivery import mend_delivery
from ispeed.exports import ExportFolder
from ispeed.incoming import look_at_exports
from ispeed.months import LOCAL_ZONE, Month
from ispeed.notice import Notice, notice
from ispeed.notice_log import read_note
from ispeed.policy import read_policy
from ispeed.quality import MonthQuality, read_quality
from ispeed.quality_page import TASKS
from ispeed.settings import Settings
from ispeed.workbook.wording import day_text, month_text, number

log = logging.getLogger(__name__)

# A month that is never going to come out is not told of for ever.
MONTHS_LOOKED_AT: Final = 3
EXPORT_DAYS_BEFORE: Final = 2
RETURN_DAYS_BEFORE: Final = 3
# The reminder after it goes out the day after; where nothing ran on that day, on the next that something does.
RETURN_DAYS_AFTER: Final = 7
PATHS_SHOWN: Final = 10
DAGS: Final = ("ingest_measurements", "publish_reports")


@dataclass(frozen=True)
class Reminder:
    """A notice that is due: told once a day, or once `ever`, under its key."""

    key: str
    notice: Notice
    ever: bool = False


@dataclass(frozen=True)
class Standing:
    """How far a month that is not out has come, and what is to be done, for people."""

    stage: str
    why: tuple[str, ...]
    todo: str


def deadline_of(settings: Settings, month: Month) -> date:
    """The day on which the month's workbook has to be out."""
    return date(month.next.year, month.next.number, read_policy(settings.policy, month.last_day).report_day)


def deadline_reminders(settings: Settings, now: datetime, url: str) -> list[Reminder]:
    """What is to be told of the months that are due at `now`: not out on the day or later, or without export before it.

    Looked at are the month before the present one, and of the two before it those that something has landed of. `url`
    is Airflow's address.
    """
    today = now.astimezone(ZoneInfo(LOCAL_ZONE)).date()
    database = Database(settings.database_url)
    due = Month(today.year, today.month).previous
    reminders = []
    for _ in range(MONTHS_LOOKED_AT):
        quality = read_quality(settings, due)
        standing = standing_of(settings, due, quality, database)
        deadline = deadline_of(settings, due)
        is_of_now = due.next == Month(today.year, today.month)
        if standing is not None and today >= deadline and (is_of_now or quality is not None):
            reminders.append(
                Reminder(f"{due}.deadline", _overdue(settings, due, deadline, today, standing, quality, url))
            )
        days_left = (deadline - today).days
        if 0 < days_left <= EXPORT_DAYS_BEFORE and standing is not None and quality is None:
            folder = look_at_exports(settings, due)
            if not folder.is_complete:
                reminders.append(Reminder(f"{due}.export", _export_missing(due, deadline, folder), ever=True))
        due = due.previous
    return reminders


def return_reminders(settings: Settings, now: datetime, url: str) -> list[Reminder]:
    """One reminder of all bodies that have not returned the month: in the days before the deadline, one after."""
    today = now.astimezone(ZoneInfo(LOCAL_ZONE)).date()
    month = Month(today.year, today.month).previous
    returns = _returns()
    if returns is None:
        return []
    deadline = returns.deadline_of(settings, month).date()
    days_left = (deadline - today).days
    if not (0 < days_left <= RETURN_DAYS_BEFORE or -RETURN_DAYS_AFTER <= days_left < 0):
        return []
    missing = [body.name for body in returns.missing_bodies(settings, month)]
    if not missing:
        return []
    when = f"còn {days_left} ngày" if days_left > 0 else "đã quá hạn"
    place = f"{settings.returns_uri or settings.returns}/{month}"
    told = notice(
        f"[i-Speed] Tháng {month_text(month)}: {len(missing)} cơ quan, đơn vị chưa gửi báo cáo ({when})",
        {
            "Tháng": month_text(month),
            "Hạn gửi": f"trước ngày {day_text(deadline)}",
            "Chưa gửi": [f"{place}. {name}" for place, name in enumerate(missing, 1)],
            "Cần làm": f"Đôn đốc các nơi nêu trên; đặt tệp nhận được vào {place}, rồi chạy "
            "lại quy trình thu báo cáo của tháng.",
        },
        [("Tình trạng của tháng", f"{url}/ispeed/{month}/")],
    )
    return [Reminder(f"{month}.returns-{'soon' if days_left > 0 else 'late'}", told, ever=True)]


def share_reminders(settings: Settings) -> list[Reminder]:
    """What does not lie on a share at an address as it was delivered, by names and sizes; it is sent again.

    Nothing where the share is a local one. Raises `RemoteFault` where the other side does not answer.
    """
    found = mend_delivery(settings).differences
    if not found:
        return []
    told = notice(
        f"[i-Speed] Thư mục dùng chung ở xa: {len(found)} tệp đã phát hành bị xóa hoặc bị sửa",
        {
            "Nơi": settings.share_uri,
            "Bị xóa": _some([one.path for one in found if one.found == "gone"]),
            "Bị sửa": _some([one.path for one in found if one.found == "changed"]),
            "Đã làm": f"Gửi lại {sum(one.can_be_mended for one in found)} tệp đúng như đã phát hành.",
            "Chưa gửi lại được": _some([one.path for one in found if not one.can_be_mended]),
            "Cần làm": [
                "Hỏi những người có quyền ghi vào thư mục này. Muốn thu hồi một bản: make withdraw; muốn ghi chú: làm "
                "trên bản sao.",
                *(
                    ["Tệp chưa gửi lại được cũng không còn trong kho dữ liệu: khôi phục lake/share từ bản sao lưu."]
                    if not all(one.can_be_mended for one in found)
                    else []
                ),
            ],
        },
    )
    return [Reminder("share-changed", told)]


def _some(paths: Sequence[str]) -> list[str]:
    more = len(paths) - PATHS_SHOWN
    return [*paths[:PATHS_SHOWN], *([f"… và {number(more)} tệp khác"] if more > 0 else [])]


def _returns() -> Any:
    """The module that collects returns; None where this installation has none."""
    try:
        return importlib.import_module("ispeed.returns")
    except ModuleNotFoundError as error:
        if error.name != "ispeed.returns":
            raise
        log.info("Returns are not collected by this installation: there is no ispeed.returns.")
        return None


def standing_of(settings: Settings, month: Month, quality: MonthQuality | None, database: Database) -> Standing | None:
    """How far a month has come, as its page in Airflow tells it; None where it is out, in database and share."""
    publication = database.publication(month)
    if publication is not None:
        folder = settings.share_of(month) / f"r{publication['revision']}"
        if folder.is_dir():
            return None
        return Standing(
            "Đã phát hành nhưng không thấy trên thư mục dùng chung",
            (f"Cơ sở dữ liệu báo cáo ghi bản r{publication['revision']} đang phát hành; không có thư mục {folder}.",),
            "Kiểm tra thư mục dùng chung có được gắn (mount) không; nếu thư mục đã mất, xem mục khôi phục trong sổ tay "
            "vận hành.",
        )
    if quality is None:
        export = look_at_exports(settings, month)
        return Standing(
            "Chờ tệp xuất của tháng",
            (_export_text(export),),
            "Xem lần chạy của DAG ingest_measurements; nếu chưa có lần chạy nào cho tháng này, bấm Trigger với "
            f"partition key {month}."
            if export.is_complete
            else f"Xin tệp xuất từ i-Speed, đặt vào {export.path}, sau cùng đặt tệp rỗng .done.",
        )
    failures = tuple(f"{result.description_vi}: {number(result.n_rows)} dòng" for result in quality.failures)
    if failures:
        return Standing(
            f"Dừng ở bước “{TASKS[quality.last_step.task]}”: {len(failures)} phép kiểm tra nghiêm trọng không đạt",
            failures,
            "Sửa tệp xuất, danh mục hoặc hợp đồng nguồn theo các dòng nêu trên trang chất lượng, rồi chạy lại tháng.",
        )
    last, following = quality.last_step, quality.next_step
    at = f"{last.finished_at.astimezone(ZoneInfo(LOCAL_ZONE)):%H:%M ngày %d/%m/%Y}" if last.finished_at else "không rõ"
    withdrawn = [row for row in database.publications(month) if row["withdrawn_at"]]
    if withdrawn and following and following.task == "publish":
        return Standing(
            "Đã thu hồi, chưa có bản thay thế",
            tuple(f"Bản r{row['revision']}: {row['withdrawn_why']}." for row in withdrawn),
            "Sửa nguyên nhân thu hồi (tệp xuất, hợp đồng nguồn, danh mục hoặc chính sách), rồi chạy lại tháng.",
        )
    task = following.task if following else "publish"
    return Standing(
        f"Chưa xong bước “{TASKS[task]}”",
        (f"Bước trước, “{TASKS[last.task]}”, xong lúc {at}.",),
        f"Mở tác vụ {task} trong Airflow: nếu báo lỗi, làm theo nhật ký rồi bấm Clear; nếu đang chờ duyệt, trả lời.",
    )


def _overdue(
    settings: Settings,
    month: Month,
    deadline: date,
    today: date,
    standing: Standing,
    quality: MonthQuality | None,
    url: str,
) -> Notice:
    late = (today - deadline).days
    counts = quality and {"nhận": quality.n_raw, "chấp nhận": quality.n_accepted, "cách ly": quality.n_quarantined}
    failures = [read_note(settings, f"{month}.{dag_id}").get("title") for dag_id in DAGS]
    return notice(
        f"[i-Speed] Tháng {month_text(month)}: đến hạn {day_text(deadline)} mà chưa phát hành",
        {
            "Tháng": month_text(month),
            "Hạn": f"{day_text(deadline)}, " + (f"đã quá {late} ngày" if late else "là hôm nay"),
            "Đang ở": standing.stage,
            "Lý do": standing.why,
            "Số dòng": ", ".join(f"{label} {number(n)}" for label, n in (counts or {}).items() if n is not None),
            "Lỗi đã báo": [str(title) for title in failures if title],
            "Cần làm": standing.todo,
        },
        [("Tình trạng của tháng", f"{url}/ispeed/{month}/")] if quality else [("Các tháng", f"{url}/ispeed/")],
        "Thông báo này được gửi mỗi ngày một lần cho đến khi tháng được phát hành.",
    )


def _export_missing(month: Month, deadline: date, folder: ExportFolder) -> Notice:
    return notice(
        f"[i-Speed] Tháng {month_text(month)}: chưa đủ tệp xuất, hạn phát hành {day_text(deadline)}",
        {
            "Tháng": month_text(month),
            "Hạn": day_text(deadline),
            "Hiện có": _export_text(folder),
            "Cần làm": f"Xin tệp xuất từ i-Speed, đặt vào {folder.path}, sau cùng đặt tệp rỗng .done.",
        },
        closing="Khi đủ tệp, tháng tự chạy tiếp; không cần làm gì trong Airflow.",
    )


def _export_text(folder: ExportFolder) -> str:
    if not folder.files:
        return f"Không có tệp nào trong {folder.path}."
    names = ", ".join(file.name for file in folder.files[:5]) + (", …" if len(folder.files) > 5 else "")
    done = "đã có .done" if folder.is_marked_done else "chưa có .done"
    return f"{len(folder.files)} tệp trong {folder.path}, {done}: {names}"
