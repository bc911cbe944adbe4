"""What stands published for a month, as the reports database tells it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ispeed.months import Month
from ispeed.settings import Settings


def latest_revision(settings: Settings, month: Month) -> int | None:
    engine = sa.create_engine(settings.database_url)
    relation = sa.table("publication", sa.column("month", sa.Date), sa.column("revision", sa.Integer))
    if settings.database_url.startswith("sqlite") and not Path(engine.url.database or "").exists():
        return None
    if not sa.inspect(engine).has_table("publication"):
        return None
    query = sa.select(sa.func.max(relation.c.revision)).where(relation.c.month == month.first_day)
    with engine.connect() as connection:
        revision: int | None = connection.scalar(query)
    return revision


def print_publication(settings: Settings, month: Month, before: int | None = None) -> None:
    """Print what stands published for a month; `before` is the revision that stood before this run."""

    def rows(table: str, revision: int | None, *columns: str) -> list[Any]:
        """The rows of one report table for the month and revision (None: any)."""
        relation = sa.table(
            table,
            sa.column("month", sa.Date),
            sa.column("revision", sa.Integer),
            *(sa.column(name) for name in columns if name != "revision"),
        )
        query = sa.select(*(relation.c[name] for name in columns)).where(relation.c.month == month.first_day)
        if revision is not None:
            query = query.where(relation.c.revision == revision)
        return list(connection.execute(query))

    with sa.create_engine(settings.database_url).connect() as connection:
        published = rows("publication", None, "revision", "state", "n_raw", "n_accepted", "n_quarantined", "why")
        if not published:
            print(f"nothing is published for {month}")
            return
        last = max(published, key=lambda row: int(row.revision))
        quality = rows("report_quality_month", last.revision, "outcome", "reason", "n_rows")
        provinces = rows(
            *("report_province_month", last.revision, "network"),
            *("n_communes", "n_communes_publishable", "n_communes_assessable"),
        )
    folder = settings.share_of(month) / f"r{last.revision}"
    unchanged = " (unchanged: nothing new was published)" if last.revision == before else f" ({last.why})"
    print(f"published    {shown(folder)}")
    for workbook in sorted(folder.glob("*.xlsx")):
        print(f"             {shown(workbook)}")
    print(f"revision     {last.revision}{unchanged}")
    print(f"rows in      {last.n_raw:,}")
    print(f"accepted     {last.n_accepted:,}")
    print(f"quarantined  {last.n_quarantined:,}")
    reasons: dict[str, int] = {}
    for row in quality:
        if row.outcome == "quarantined":
            reasons[row.reason] = reasons.get(row.reason, 0) + int(row.n_rows)
    for reason, count in reasons.items():
        print(f"  {reason:<20}{count:>8,}")
    for row in provinces:
        if row.network == "mobile":
            print(
                f"communes     {row.n_communes}, of which {row.n_communes_publishable} with at least 30 mobile "
                f"measurements and {row.n_communes_assessable} with at least 300"
            )


def shown(path: Path) -> str:
    """A path as seen from where the command was typed."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
