"""What is asked of revisions that are published: `python -m ispeed diff | verify | trace | withdraw`."""

from __future__ import annotations

import argparse
import sys

from ispeed.database import Database
from ispeed.errors import RemoteFault, UserError
from ispeed.log_lines import errors_alone
from ispeed.months import Month, parse_day
from ispeed.revision_diff import diff_revisions
from ispeed.services import settings_with_connections
from ispeed.settings import Settings
from ispeed.workbook.content import count_by_cause

OK, DIFFERS, USER_ERROR = 0, 1, 2


def run_diff(month: Month, first: int | None, last: int | None) -> int:
    """Print what differs between two revisions of a month, as *Thay đổi* has it: why, how many cells, each cell.

    Without revisions, the current one and the one before it. Raises `UserError` where one is not there.
    """
    settings = Settings.from_environment()
    found = diff_revisions(settings, Database(settings.database_url), month, first, last)
    print(f"{month}: r{found.first} → r{found.last}, {len(found.changes):,} cells differ")
    for cause in found.causes:
        print(f"  {cause.sentence}")
    print("\ncells by cause")
    for label, n_cells in count_by_cause(found.changes).items():
        print(f"  {n_cells:>7,}  {label}")
    print()
    for change in found.changes:
        cell = f"{change.table}  {change.key}  {change.column}"
        print(f"{cell}: {_shown(change.old)} → {_shown(change.new)}  ({change.cause})")
    return OK


def run_withdraw(month: Month, revision: int, why: str) -> int:
    """Take a revision back, and say what stands now."""
    from ispeed.delivery import deliver
    from ispeed.withdrawal import withdraw

    settings = settings_with_connections()
    withdraw(settings, month, revision, why)
    current = Database(settings.database_url).current_revision(month)
    print(f"{month} r{revision} is withdrawn: {why}")
    print(f"current revision: r{current}" if current else "no revision of the month stands; latest.json is gone")
    try:
        deliver(settings)
    except RemoteFault as fault:
        print(
            f"\n{fault}\n\nit is withdrawn here; to tell the readers of {settings.share_uri}: make deliver",
            file=sys.stderr,
        )
        return DIFFERS
    return OK


def run_verify(month: Month, revision: int | None) -> int:
    """Rebuild a published revision from what landed and say whether it is equal, or what differs."""
    from ispeed.verification import verify

    settings = Settings.from_environment()
    revision = revision or Database(settings.database_url).current_revision(month)
    if revision is None:
        raise UserError(f"month {month}", "nothing published", "a published revision", "give R=, or publish the month")
    # What the steps find was told when the revision was made.
    with errors_alone("ispeed"):
        found = verify(settings, month, revision)
    for note in found.notes:
        print(f"note: {note}")
    for difference in found.differences:
        print(f"differs: {difference}")
    if not found.differences:
        print(f"{month} r{revision} is equal: {found.n_files} files rebuilt from what landed, byte for byte")
    return DIFFERS if found.differences else OK


def run_trace(asked: argparse.Namespace) -> int:
    """List the rows behind a published figure; 2 where they do not add up to it any more."""
    from ispeed.trace import print_trace
    from ispeed.trace_cell import find_cell

    settings, month = Settings.from_environment(), Month.parse(asked.month)
    day = parse_day(asked.boundaries) if asked.boundaries else None
    database = Database(settings.database_url)
    cell = find_cell(database, month, asked.table, asked.key, asked.column, asked.network, asked.revision, day)
    return OK if print_trace(settings, cell, asked.limit, asked.csv) else USER_ERROR


def _shown(value: object) -> str:
    return "–" if value is None else str(value)
