"""What differs between two revisions of a month, as *Thay đổi* has it: for `make diff`, and for the page in Airflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ispeed.changes import Cause, causes_of, changes_of
from ispeed.database import Database
from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.publication import published_edition
from ispeed.settings import Settings
from ispeed.tables import REPORT_TABLES
from ispeed.workbook.content import Change


@dataclass(frozen=True)
class RevisionDiff:
    """Why a revision differs from an earlier one, and in which cells."""

    month: Month
    first: int
    last: int
    causes: Sequence[Cause]
    changes: Sequence[Change]


def diff_revisions(
    settings: Settings, database: Database, month: Month, first: int | None, last: int | None
) -> RevisionDiff:
    """Compare two revisions; without them, the current one and the one before it.

    Raises `UserError` where one is not there.
    """
    known = [row["revision"] for row in database.publications(month)]
    last = last or database.current_revision(month) or 0
    first = first or max((number for number in known if number < last), default=0)
    for revision in (first, last):
        if revision not in known:
            raise UserError(
                f"month {month}",
                "nothing that r1 could differ from" if len(known) == 1 else f"no revision r{revision}",
                "two revisions; there are " + (", ".join(f"r{number}" for number in known) or "none"),
                "give FROM= and TO=, or publish the month again when something changed",
            )
    before, after = (
        published_edition(database, settings.share_of(month), REPORT_TABLES, month, revision)
        for revision in (first, last)
    )
    causes = causes_of(before, after)
    return RevisionDiff(month, first, last, causes, changes_of(REPORT_TABLES, before, after, causes))
