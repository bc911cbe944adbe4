"""What stands published for a month, as the reports database tells it, printed for whoever ran the month."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ispeed.changes import Edition
from ispeed.database import Database
from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.settings import Settings
from ispeed.shared_folder import require_folder
from ispeed.tables import Table


def print_publication(settings: Settings, month: Month, before: int | None = None) -> None:
    """Print what stands published for a month; `before` is the revision that stood before this run."""
    database = Database(settings.database_url)
    last = database.publication(month)
    if last is None:
        print(f"nothing is published for {month}")
        return
    revision = int(last["revision"])
    folder = settings.share_of(month) / f"r{revision}"
    why = "unchanged: nothing new was published" if revision == before else last["why"]
    print(f"published    {shown(folder)}")
    for workbook in sorted(folder.glob("*.xlsx")):
        print(f"             {shown(workbook)}")
    print(f"recipients   {sum(1 for _ in (folder / 'don-vi').glob('*.xlsx'))} workbooks in {shown(folder / 'don-vi')}")
    if settings.share_uri:
        print(f"delivered    {settings.share_uri}/{month}/r{revision}")
    print(f"revision     {revision} ({why})")
    print(f"rows in      {last['n_raw']:,}")
    print(f"accepted     {last['n_accepted']:,}")
    print(f"quarantined  {last['n_quarantined']:,}")
    reasons: dict[str, int] = {}
    for row in database.rows("report_quality_month", month, revision):
        if row["outcome"] == "quarantined":
            reasons[row["reason"]] = reasons.get(row["reason"], 0) + int(row["n_rows"])
    for reason, count in reasons.items():
        print(f"  {reason:<20}{count:>8,}")
    for row in database.rows("report_province_month", month, revision):
        if row["network"] == "mobile":
            print(
                f"communes     {row['n_communes']}, of which {row['n_communes_publishable']} with at least 30 mobile "
                f"measurements and {row['n_communes_assessable']} with at least 300"
            )


def read_manifest(share: Path, revision: int) -> dict[str, Any]:
    """The manifest of a published revision below `share`. Raises `UserError` where its folder is not there."""
    folder = share / f"r{revision}"
    require_folder(folder)
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def published_edition(
    database: Database,
    share: Path,
    declared: Sequence[Table],
    month: Month,
    revision: int,
    boundaries_day: date | None = None,
) -> Edition:
    """A published revision as two are compared. Raises `UserError` where its folder is not there."""
    manifest = read_manifest(share, revision)
    tables = {table.name: database.rows(table.name, month, revision, boundaries_day) for table in declared}
    return Edition(manifest["origin"], manifest["policy"], tables)


def refuse_withdrawn(database: Database, month: Month, fingerprint: str) -> None:
    """Raise `UserError` where what would be published is, to the byte, what was withdrawn."""
    for row in database.publications(month):
        if row["withdrawn_at"] and row["fingerprint"] == fingerprint:
            raise UserError(
                f"month {month}",
                f"the same as r{row['revision']}, which {row['withdrawn_by']} withdrew: {row['withdrawn_why']}",
                "something else than what was withdrawn",
                "mend what it was withdrawn for (export, contract, registry or policy), then run the month again",
            )


def published_origin(share: Path, revision: int) -> dict[str, Any]:
    """What a revision below `share` was made from, as its manifest says; nothing where its folder is gone."""
    manifest = share / f"r{revision}" / "manifest.json"
    origin: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))["origin"] if manifest.exists() else {}
    return origin


def print_restatement(settings: Settings, month: Month, day: date) -> None:
    """Print what stands published for a month on the map of a day."""
    last = Database(settings.database_url).publication(month, boundaries_day=day)
    if last is None:
        print(f"nothing is published for {month} on the boundaries of {day}")
        return
    n_all, n_others = last["n_measurements"], last["n_from_other_province"]
    folder = settings.restated_share_of(month, day) / f"r{last['revision']}"
    print(f"\non the boundaries of {day}")
    print(f"published    {shown(folder)}")
    print(f"revision     {last['revision']} (of the month's revision {last['month_revision']})")
    print(f"measured in communes of the province  {n_all - n_others:>10,}")
    print(f"and in communes that were another's   {n_others:>10,}")
    print(f"of both, not attributable to one unit {last['n_not_attributable']:>10,}")


def shown(path: Path) -> str:
    """A path as seen from where the command was typed."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
