"""The month: `YYYY-MM` at the edges, dates inside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from ispeed.errors import UserError

# Whose calendar a month is of.
LOCAL_ZONE: Final = "Asia/Ho_Chi_Minh"


def local_time(moment: datetime) -> datetime:
    """A moment of the reports database, which is UTC, by the clock of Vietnam."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(LOCAL_ZONE))


def parse_day(text: str) -> date:
    """Read the day of a map of communes, `YYYY-MM-DD`. Raises `UserError` for any other text."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise UserError(
        "boundaries", repr(text), "a day YYYY-MM-DD, such as 2025-07-01", "give the day as BOUNDARIES=2025-07-01"
    )


_PATTERN = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, order=True)
class Month:
    """One calendar month, the partition key of everything."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read `YYYY-MM`. Raises `UserError` for any other text."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise UserError("month", repr(text), "YYYY-MM, such as 2024-10", "give the month as M=2024-10")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def first_day(self) -> date:
        return date(self.year, self.number, 1)

    @property
    def last_day(self) -> date:
        return self.next.first_day - timedelta(days=1)

    @property
    def next(self) -> Month:
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def previous(self) -> Month:
        return Month(self.year - (self.number == 1), (self.number - 2) % 12 + 1)
