"""What of the registry a publication stands on: its rows as of the month's days, told by a hash a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from datetime import date, timedelta
from itertools import chain
from typing import Any

from ispeed.months import Month
from ispeed.registry_checks import Row, Tables
from ispeed.registry_files import BEGINNING

Facts = Iterator[Any]


def as_of_month(
    tables: Tables, month: Month, codes_met: Collection[str], *, has_boundaries: bool = False
) -> dict[str, str]:
    """The sha256 of what each table says of the month's days. Where two registries agree on it, so do its figures.

    `codes_met` are the referral codes of the month's measurements: the report names also those that are not valid.
    With boundaries, a polygon holds up to its commune's next succession.
    """
    first, last = month.first_day, month.last_day
    steps = _steps(tables, BEGINNING, last) if has_boundaries else iter(())
    facts = {
        # The last day of the month before: only a unit that was there then is compared with it.
        "commune": _valid(tables["commune"], "commune_code", first - timedelta(days=1), last),
        "commune_succession": chain(_old_districts(tables, month), steps),
        "operator": _valid(tables["operator"], "spelling", first, last),
        "referral_code": _codes(tables, month, codes_met),
        "organisation": _valid(tables["organisation"], "organisation_code", first, last),
    }
    return {name: _sha256(found) for name, found in facts.items()}


def as_of_map(tables: Tables, month: Month, day: date, *, has_boundaries: bool = False) -> dict[str, str]:
    """The same for the month on the map of another day: its communes there, here and between, and their successions."""
    first, last = min(month.first_day, day), max(month.last_day, day)
    facts = {
        "commune": _valid(tables["commune"], "commune_code", first, last),
        "commune_succession": _steps(tables, BEGINNING if has_boundaries else first, last),
    }
    return {name: _sha256(found) for name, found in facts.items()}


def version_of(tables: Tables) -> str:
    """The sha256 of a registry: the same wherever its files lie, in whatever order their rows stand."""
    return _sha256((name, sorted(row.items())) for name, rows in tables.items() for row in rows)


def _valid(rows: Collection[Row], code: str, first: date, last: date) -> Facts:
    """Rows valid on any of the days, with what they say of days beyond cut off."""
    for row in rows:
        if row["valid_from"] <= last and row["valid_to"] >= first:
            days = {"valid_from": max(row["valid_from"], first), "valid_to": min(row["valid_to"], last)}
            yield row[code], sorted({**row, **days}.items())


def _old_districts(tables: Tables, month: Month) -> Facts:
    """The districts that a text may still name for the units that have none: those of the units they came from."""
    for new in tables["commune"]:
        if new["district_code"] or new["district_name"]:
            continue
        if new["valid_from"] > month.last_day or new["valid_to"] < month.first_day or new["valid_from"] == BEGINNING:
            continue
        day_before = new["valid_from"] - timedelta(days=1)
        for step in tables["commune_succession"]:
            if (step["new_code"], step["effective_date"]) == (new["commune_code"], new["valid_from"]):
                for old in tables["commune"]:
                    if old["commune_code"] == step["old_code"] and old["valid_from"] <= day_before <= old["valid_to"]:
                        yield new["commune_code"], old["district_code"], old["district_name"]


def _steps(tables: Tables, first: date, last: date) -> Facts:
    for row in tables["commune_succession"]:
        if first <= row["effective_date"] <= last:
            yield sorted(row.items())


def _codes(tables: Tables, month: Month, codes_met: Collection[str]) -> Facts:
    """Codes valid in the month with their holders' names, and of those met besides the last holder that is known."""
    rows = tables["referral_code"]
    valid = list(_valid(rows, "referral_code", month.first_day, month.last_day))
    yield from valid
    listed = {code for code, _ in valid}
    for code in sorted(set(codes_met) - listed):
        known = sorted((row for row in rows if row["referral_code"] == code), key=lambda row: row["valid_from"])
        begun = [row for row in known if row["valid_from"] <= month.last_day]
        for row in begun[-1:] or known[:1]:
            day = min(row["valid_to"], month.last_day)
            yield code, row["holder_kind"], row["holder_code"], _name(tables, row, day)


def _name(tables: Tables, code: Row, day: date) -> str | None:
    """The name that a code's holder last had up to a day."""
    kind = code["holder_kind"]
    name = "full_name" if kind == "commune" else "organisation_name"
    begun = [row for row in tables[kind] if row[f"{kind}_code"] == code["holder_code"] and row["valid_from"] <= day]
    return max(begun, key=lambda row: row["valid_from"])[name] if begun else None


def _sha256(facts: Any) -> str:
    lines = sorted(json.dumps(fact, ensure_ascii=False, default=str) for fact in facts)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
