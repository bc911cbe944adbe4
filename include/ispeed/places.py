"""What the texts of an export mean: communes and operators of the registry, by folded spelling and day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import zip_longest
from typing import Any

from ispeed.engine import Engine
from ispeed.registry import OPEN_END
from ispeed.text import fold, fold_place, split_kind


def match_places(engine: Engine, province_code: str) -> None:
    """Make `place_match`: for each place named in `staging_measurement`, the commune it means, by days.

    Matches (province, district, kind, name) after folding; what the text leaves out is not compared, and a row
    without a province is looked for in `province_code`. On days when two communes fit, neither does.
    """
    by_name: dict[str, list[_Located]] = defaultdict(list)
    for commune in _located_communes(engine):
        by_name[fold_place(commune.row["commune_name"])].append(commune)
    places = engine.rows(
        "select distinct coalesce(province_code, '') as province_code, coalesce(district_code, '') as district_code, "
        "coalesce(district_name, '') as district_name, commune_name from staging_measurement "
        "where commune_name is not null"
    )
    rows = []
    for place in places:
        kind, name = split_kind(place["commune_name"])
        # A name may hold what looks like a kind ("Phường Sài"): try it whole too.
        candidates = [c for c in by_name[name] if kind in (None, c.row["kind"])]
        candidates = candidates or by_name[fold_place(place["commune_name"])]
        fitting = [commune.row for commune in candidates if _fits(place, commune, province_code)]
        rows += [
            (*place.values(), c["commune_code"], c["valid_from"], c["province_code"], first, last)
            for first, last, c in _alone(fitting)
        ]
    columns = dict.fromkeys(
        ("province_code", "district_code", "district_name", "commune_name", "found_commune_code"), "text"
    ) | {"found_valid_from": "date", "found_province_code": "text", "first_day": "date", "last_day": "date"}
    engine.add_rows("place_match", columns, rows)


def _alone(communes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[date, date, Mapping[str, Any]]]:
    """The spans of days on which exactly one of the communes is valid, and which."""
    starts = sorted(
        {c["valid_from"] for c in communes}
        | {c["valid_to"] + timedelta(days=1) for c in communes if c["valid_to"] < OPEN_END}
    )
    for first, following in zip_longest(starts, starts[1:]):
        last = following - timedelta(days=1) if following else OPEN_END
        valid = [c for c in communes if c["valid_from"] <= first <= c["valid_to"]]
        if len(valid) == 1:
            yield first, last, valid[0]


def match_operators(engine: Engine) -> None:
    """Make `operator_match`: the brand and host network of each operator text in `staging_measurement`."""
    known = {row["spelling"]: row for row in engine.rows("select * from operator")}
    texts = engine.rows("select distinct operator from staging_measurement where operator is not null")
    rows = [
        (row["operator"], found["brand"], found["host_network"])
        for row in texts
        if (found := known.get(fold(row["operator"])))
    ]
    engine.add_rows("operator_match", {"operator": "text", "brand": "text", "host_network": "text"}, rows)


@dataclass(frozen=True)
class _Located:
    """A commune and the districts, (code, name), that a text may give for it."""

    row: Mapping[str, Any]
    districts: tuple[tuple[str | None, str | None], ...]


def _located_communes(engine: Engine) -> Iterator[_Located]:
    """Every commune with its district, or since there are none (07/2025) those of the units that it came from.

    People go on naming the old district; it still tells xã Ninh Sơn of today from the one that Ninh Hòa had.
    """
    communes = engine.rows("select * from commune")
    by_code: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for commune in communes:
        by_code[commune["commune_code"]].append(commune)
    came_from: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for succession in engine.rows("select * from commune_succession"):
        came_from[succession["new_code"]].append(succession)
    for commune in communes:
        units: list[Mapping[str, Any]] = [commune]
        if not (commune["district_code"] or commune["district_name"]):
            units = [
                old
                for succession in came_from[commune["commune_code"]]
                if succession["effective_date"] == commune["valid_from"]
                for old in by_code[succession["old_code"]]
                if old["valid_from"] < commune["valid_from"] <= old["valid_to"] + timedelta(days=1)
            ]
        districts = {(unit["district_code"], unit["district_name"]) for unit in units}
        yield _Located(commune, tuple(districts - {(None, None)}))


def _fits(place: Mapping[str, str], commune: _Located, province_code: str) -> bool:
    if commune.row["province_code"] != (place["province_code"] or province_code):
        return False
    return not commune.districts or any(_fits_district(place, *district) for district in commune.districts)


def _fits_district(place: Mapping[str, str], code: str | None, district_name: str | None) -> bool:
    if place["district_code"] and code and place["district_code"] != code:
        return False
    if place["district_name"] and district_name:
        kind, name = split_kind(place["district_name"])
        known_kind, known_name = split_kind(district_name)
        # A cell of nothing but spaces and marks that nobody sees leaves the district out.
        return name in ("", known_name) and kind in (None, known_kind)
    return True
