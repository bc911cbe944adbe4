"""Withdrawing: a published revision is taken back, with a reason; what it was stays to be seen."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import Final

from ispeed.database import Database
from ispeed.delivery import require_remote_share
from ispeed.engine import Row
from ispeed.errors import UserError
from ispeed.lake import month_lock, write_file
from ispeed.months import Month, local_time
from ispeed.recipient_files import FOLDER as RECIPIENTS
from ispeed.retention import utc_now
from ispeed.settings import Settings
from ispeed.share import point_to_latest, publisher
from ispeed.share_index import write_share_page
from ispeed.shared_folder import require_share, writing_to_share
from ispeed.workbook.wording import month_text

log = logging.getLogger(__name__)

# Beside the workbook, where whoever opens the folder sees it.
NOTE: Final = "THU-HOI.txt"


def withdraw(settings: Settings, month: Month, revision: int, why: str, boundaries_day: date | None = None) -> Row:
    """Take a published revision back. Its files and rows stay, marked; the newest other one becomes current.

    A share on SFTP or S3 is told by `delivery.deliver`. Returns what the reports database says of it now. Raises
    `UserError` where there is no such revision, where it is withdrawn already, or where no reason is given.
    """
    if not why.strip():
        raise UserError(f"month {month}", "no reason", "why the revision is withdrawn", 'give it: WHY="…"')
    database = Database(settings.database_url)
    share = settings.restated_share_of(month, boundaries_day) if boundaries_day else settings.share_of(month)
    with month_lock(settings, month):
        require_share(settings, database)
        require_remote_share(settings)
        publications = {row["revision"]: row for row in database.publications(month, boundaries_day)}
        if revision not in publications:
            known = ", ".join(f"r{number} ({row['state']})" for number, row in publications.items())
            raise UserError(
                f"month {month}", f"no revision r{revision}", f"one of {known or 'none'}", "give another R="
            )
        if publications[revision]["withdrawn_at"]:
            raise UserError(
                f"month {month}, r{revision}",
                f"withdrawn already: {publications[revision]['withdrawn_why']}",
                "a revision that stands",
                "nothing",
            )
        about = {
            "withdrawn_at": utc_now(),
            "withdrawn_by": publisher(),
            "withdrawn_why": why.strip(),
        }
        database.note(month, revision, about, boundaries_day)
        tell_withdrawal(database, month, revision, share, boundaries_day)
        point_to_latest(database, month, share, boundaries_day)
        withdrawn = database.publication(month, revision, boundaries_day)
    write_share_page(settings, database)
    assert withdrawn is not None
    log.info("%s r%d withdrawn: %s", month, revision, why)
    return withdrawn


def tell_withdrawal(
    database: Database, month: Month, revision: int, share: Path, boundaries_day: date | None = None
) -> None:
    """Put the note into the folder of a withdrawn revision; where retention removed that, there is none to mark."""
    row = database.publication(month, revision, boundaries_day)
    folder = share / f"r{revision}"
    if row is None or not folder.exists():
        return
    current = database.current_revision(month, boundaries_day)
    instead = (
        f"Bản có hiệu lực thay thế: r{current}; bản mới nhất xem index.html ở đầu thư mục dùng chung."
        if current
        else "Hiện không có bản nào có hiệu lực cho tháng này."
    )
    text = (
        f"BẢN PHÁT HÀNH r{revision} CỦA THÁNG {month_text(month)} ĐÃ BỊ THU HỒI NGÀY "
        f"{local_time(row['withdrawn_at']):%d/%m/%Y}.\r\nLý do: {row['withdrawn_why']}\r\n"
        f"Không dùng số liệu trong thư mục này để báo cáo. {instead}\r\n"
    )
    for place in (folder, folder / RECIPIENTS):
        if place.exists():
            with writing_to_share(place / NOTE):
                write_file(place / NOTE, text.encode("utf-8-sig"))
