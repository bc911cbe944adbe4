"""The registry's history: every version that was taken over, when, and what it changed.

`registry/` in the lake holds the version of now, `registry/versions/0001/` and so on all that ever were: what was
believed of a day stays known after it turned out otherwise.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from ispeed.database import Database
from ispeed.engine import Engine, open_engine
from ispeed.errors import UserError
from ispeed.lake import write_json
from ispeed.months import LOCAL_ZONE, Month
from ispeed.publication import published_origin
from ispeed.registry_checks import TABLES, Row, Tables
from ispeed.registry_files import BEGINNING, OPEN_END
from ispeed.registry_month import as_of_map, as_of_month
from ispeed.settings import Settings

NOTE: Final = "registry.json"
VERSIONS: Final = "versions"
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "commune": ("commune_code", "valid_from"),
    "commune_succession": ("old_code", "new_code", "effective_date"),
    "operator": ("spelling", "valid_from"),
    "referral_code": ("referral_code", "valid_from"),
    "organisation": ("organisation_code", "valid_from"),
}
# What a table of an earlier version leaves out held for all time.
_ABSENT: Final = {"valid_from": BEGINNING, "valid_to": OPEN_END}


@dataclass(frozen=True)
class Difference:
    """One row that is not as it was: which, and what of it, old and new."""

    table: str
    key: str
    kind: Literal["added", "ended", "changed", "removed"]
    old: str
    new: str

    def __str__(self) -> str:
        values = f"{self.old} → {self.new}" if self.old and self.new else self.old or self.new
        return f"{self.table} {self.key} {self.kind}: {values}"


def read_note(folder: Path) -> dict[str, Any] | None:
    """What was noted of the version in `folder`, None where there is none."""
    path = folder / NOTE
    note: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return note


def read_tables(folder: Path) -> Tables:
    """The registry's tables as a version has them."""
    with open_engine() as engine:
        for name in TABLES:
            engine.read_parquet(name, folder / f"{name}.parquet")
        return tables_of(engine)


def tables_of(engine: Engine) -> Tables:
    """The registry's tables as the relations of their names have them."""
    return {
        name: [
            {column: row.get(column, _ABSENT.get(column)) for column in columns}
            for row in engine.rows(f"select * from {name}")
        ]
        for name, columns in TABLES.items()
    }


def write_version(folder: Path, tables: Tables, note: Mapping[str, Any]) -> None:
    with open_engine() as engine:
        for name, columns in TABLES.items():
            engine.add_rows(name, columns, [tuple(row[column] for column in columns) for row in tables[name]])
            engine.write_parquet(f"select * from {name}", folder / f"{name}.parquet")
    write_json(folder / NOTE, note)


def registry_believed_on(settings: Settings, day: date) -> Path:
    """The folder of the version that held at the end of a day, here; `read_registry` reads it.

    Raises `UserError` where none had been taken over by then.
    """
    taken = {
        folder: datetime.fromisoformat(note["taken_at"]).astimezone(ZoneInfo(LOCAL_ZONE)).date()
        for folder in sorted((settings.lake / "registry" / VERSIONS).glob("*"))
        if (note := read_note(folder))
    }
    known = [folder for folder, taken_on in taken.items() if taken_on <= day]
    if not known:
        raise UserError(
            f"registry on {day}",
            f"nothing; the first version was taken over on {min(taken.values())}" if taken else "no version at all",
            "a day on or after the first version's",
            "give a later day" if taken else "run sync_registry first",
        )
    return known[-1]


def differences(before: Tables, after: Tables) -> list[Difference]:
    """Every row added, ended, changed or removed, by table and key."""
    found = []
    for table, keys in _KEYS.items():
        old_rows, new_rows = (
            {tuple(row[key] for key in keys): row for row in tables[table]} for tables in (before, after)
        )
        for key in sorted(old_rows.keys() | new_rows.keys()):
            old, new = old_rows.get(key), new_rows.get(key)
            if old != new:
                found.append(_difference(table, key, old, new))
    return found


def _difference(table: str, key: Sequence[Any], old: Row | None, new: Row | None) -> Difference:
    columns = [name for name in TABLES[table] if name not in _KEYS[table]]
    changed = [name for name in columns if not (old and new) or old[name] != new[name]]
    kind: Literal["added", "ended", "changed", "removed"] = "changed"
    if old is None:
        kind = "added"
    elif new is None:
        kind = "removed"
    elif changed == ["valid_to"] and new["valid_to"] < old["valid_to"]:
        kind = "ended"
    return Difference(table, " ".join(filter(None, map(_shown, key))), kind, *(_values(r, changed) for r in (old, new)))


def _values(row: Row | None, columns: Sequence[str]) -> str:
    return ", ".join(f"{name} {_shown(row[name]) or 'open'}" for name in columns) if row else ""


def _shown(value: Any) -> str:
    return "" if value in (None, BEGINNING, OPEN_END) else str(value)


def count_differences(found: Sequence[Difference]) -> dict[str, dict[str, int]]:
    """How many rows of each table were added, ended, changed, removed."""
    counts: dict[str, dict[str, int]] = {}
    for (table, kind), n_rows in sorted(Counter((one.table, one.kind) for one in found).items()):
        counts.setdefault(table, {})[kind] = n_rows
    return counts


def note_differences(found: Sequence[Difference]) -> list[dict[str, str]]:
    return [asdict(one) for one in found]


@dataclass(frozen=True)
class Rewritten:
    """A published month, or what it is on the map of another day, and the tables that say something else of it."""

    month: Month
    boundaries_day: date | None
    tables: Sequence[str]

    def __str__(self) -> str:
        on_map = f" on the map of {self.boundaries_day}" if self.boundaries_day else ""
        return f"{self.month}{on_map} ({', '.join(self.tables)})"


def rewritten_months(settings: Settings, before: Tables | None, after: Tables) -> list[Rewritten]:
    """The published months that `after` would give other figures, in order.

    A month counts where `after` differs, as of its days, from the registry of now (`before`) and from the one that it
    was published with: what it was taken over for once is not asked again.
    """
    database = Database(settings.database_url)
    has_boundaries = settings.boundaries is not None
    found = []
    for month, revision in database.current_revisions().items():
        listed = {row["referral_code"] for row in database.rows("report_referral_code_month", month, revision)}
        as_of = partial(as_of_month, month=month, codes_met=listed, has_boundaries=has_boundaries)
        found.append(Rewritten(month, None, _differing(as_of, before, after, settings.share_of(month), revision)))
        for day in database.restated_days(month):
            as_of = partial(as_of_map, month=month, day=day, has_boundaries=has_boundaries)
            share, restated = settings.restated_share_of(month, day), database.current_revision(month, day)
            found.append(Rewritten(month, day, _differing(as_of, before, after, share, restated)))
    return [one for one in found if one.tables]


def _differing(
    as_of: Callable[[Tables], dict[str, str]], before: Tables | None, after: Tables, share: Path, revision: int | None
) -> list[str]:
    """The tables of which `after` says something else than `before`, and than what the revision stands on."""
    new = as_of(after)
    origin = published_origin(share, revision) if revision else {}
    published = (origin.get("registry") or {}).get("as_of_month")
    old = as_of(before) if before else published
    return [name for name in new if old and old[name] != new[name] and (not published or published[name] != new[name])]
