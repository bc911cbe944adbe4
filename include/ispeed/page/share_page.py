"""`index.html` at the top of the share: every month, its revisions, and the same on other days' maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from ispeed.months import Month, local_time
from ispeed.page.over_time import over_time
from ispeed.page.template import interval, key_list, render, shown, told
from ispeed.workbook.content import Row, WorkbookPolicy
from ispeed.workbook.marks import NO_TEXT, Mark, figure, reason_marks

_STATES: Final = {"published": "Đang phát hành", "superseded": "Đã có bản mới hơn", "withdrawn": "Đã thu hồi"}


@dataclass(frozen=True)
class ShareRevision:
    """A revision as the share has it: `publication` is its row in the register, `files` what of it can be opened.

    `files` are paths from the top of the share: its page first, where it has one, then its workbook.
    """

    number: int
    publication: Row
    files: Sequence[str]
    is_sample: bool = False

    @property
    def is_current(self) -> bool:
        return self.publication["state"] == "published"

    @property
    def is_withdrawn(self) -> bool:
        return self.publication["state"] == "withdrawn"

    @property
    def state(self) -> str:
        return _STATES.get(str(self.publication["state"]), str(self.publication["state"]))

    @property
    def withdrawal(self) -> str:
        """When and why it was withdrawn; empty where it was not."""
        if not self.is_withdrawn:
            return ""
        return f"{_local(self.publication['withdrawn_at'])}. Lý do: {self.publication['withdrawn_why']}"

    @property
    def published_on(self) -> str:
        return _local(self.publication["published_at"])

    @property
    def gone(self) -> str:
        """Why none of its files can be opened, where that is so."""
        return "[đã xóa theo thời hạn lưu]" if self.publication["files_removed_at"] else "[thư mục không còn]"


@dataclass(frozen=True)
class ShareMonth:
    """A month: its revisions, the latest first, those on other days' maps by day, and what it shows of the province."""

    month: Month
    revisions: Sequence[ShareRevision]
    restated: Sequence[tuple[date, ShareRevision]] = ()
    province: Row | None = None

    @property
    def current(self) -> ShareRevision | None:
        """The revision that stands; none where the month was withdrawn."""
        return next((revision for revision in self.revisions if revision.is_current), None)


def _local(moment: object) -> str:
    """A moment of the register, which is UTC, by the clock of Vietnam."""
    if not isinstance(moment, datetime):
        return NO_TEXT.text
    return f"{local_time(moment):%d/%m/%Y %H:%M}"


@dataclass(frozen=True)
class _Line:
    month: ShareMonth
    measurements: str
    publishable: str
    assessable: str
    median: str
    interval: str


def share_page(months: Sequence[ShareMonth], series: Sequence[Row], policy: WorkbookPolicy) -> str:
    """The page of these months, the latest first; `policy` is that of the latest, `series` as in `ispeed.series`."""
    marks: dict[str, str] = {}
    ordered = sorted(months, key=lambda month: month.month, reverse=True)
    return render(
        "share.html",
        policy=policy,
        is_sample=any(month.current.is_sample for month in months if month.current),
        lines=[_line(month, policy, marks) for month in ordered],
        months=[month for month in ordered if len(month.revisions) > bool(month.current)],
        restated=[(month.month, day, revision) for month in ordered for day, revision in month.restated],
        history=over_time(series, policy, marks),
        key=key_list(marks),
    )


def _line(month: ShareMonth, policy: WorkbookPolicy, marks: dict[str, str]) -> _Line:
    row = month.province
    if row is None:
        return _Line(month, *(told(NO_TEXT, marks),) * 5)
    of_all = f"/{shown(row['n_communes'], 'count')}"
    median = figure(row, "download_mbps_median")
    if isinstance(median, Mark):
        median = reason_marks(policy).get(str(row["reason"]), median)
    return _Line(
        month,
        shown(row["n_measurements"], "count"),
        shown(row["n_communes_publishable"], "count") + of_all,
        shown(row["n_communes_assessable"], "count") + of_all,
        told(median, marks, "speed"),
        interval(row) or told(figure(row, "download_mbps_ci_low") if row["reason"] is None else median, marks),
    )
