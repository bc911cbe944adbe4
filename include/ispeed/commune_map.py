"""Where a commune's symbol stands on a small map of the province: near its place, apart from its neighbours'.

For orientation only: one approximate point a unit of 01/07/2025 (`commune_points_2025.csv` of the registry's folder). A
unit of before stands where those stand that it became; what would lie on one another is moved apart.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import combinations
from math import cos, pi, radians, sin, sqrt
from pathlib import Path
from statistics import quantiles
from typing import Final

from ispeed.errors import UserError
from ispeed.succession import Successions, Unit

POINTS_FILE: Final = "commune_points_2025.csv"
POINTS_DAY: Final = date(2025, 7, 1)

Point = tuple[float, float]
_GOLDEN_ANGLE: Final = pi * (3 - sqrt(5))
_ROUNDS: Final = 80
# How far from the middle half of the communes a symbol may stand, in widths of that half.
_REACH: Final = 1.2
_DECIMALS: Final = 4


def read_points(folder: Path) -> dict[str, Point]:
    """Longitude and latitude by commune code of 01/07/2025; empty where the folder has no such file.

    Raises `UserError` at a row without a code or with a coordinate that is no number.
    """
    path = folder / POINTS_FILE
    if not path.exists():
        return {}
    points = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                points[row["commune_code"]] = (float(row["longitude"]), float(row["latitude"]))
            except (KeyError, TypeError, ValueError):
                raise UserError(
                    f"file {path.name}, row {number}",
                    str(dict(row)),
                    "commune_code, latitude and longitude, in degrees",
                    "correct the row, or take the file away: the reports are then without a map",
                ) from None
    return points


def commune_places(
    communes: Iterable[Unit], day: date, successions: Successions, points: Mapping[str, Point]
) -> dict[str, Point]:
    """Where each unit of `day` stands, east and north in degrees of latitude, by code; units without a point are left
    out. The same units and points give the same places on every machine.
    """
    near: dict[str, Point] = {}
    for unit in sorted(communes):
        became = successions.units_on(unit, day, POINTS_DAY)
        known = sorted(points[one.commune_code] for one in became if one and one.commune_code in points)
        if known:
            near[unit.commune_code] = _middle(known)
    if len(near) < 2:
        return near
    scale = cos(radians(_middle(list(near.values()))[1]))
    reached = _within_reach([(east * scale, north) for east, north in near.values()])
    spread = _spread(dict(zip(near, reached, strict=True)))
    apart = _apart(list(spread.values()))
    return {code: (round(x, _DECIMALS), round(y, _DECIMALS)) for code, (x, y) in zip(spread, apart, strict=True)}


def _middle(points: Sequence[Point]) -> Point:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def _spread(places: Mapping[str, Point]) -> dict[str, Point]:
    """What stands at one point put round it in a spiral, so that it can be moved apart at all."""
    n_at: dict[Point, int] = {}
    spread = {}
    for code, (x, y) in places.items():
        index = n_at.get((x, y), 0)
        n_at[x, y] = index + 1
        radius, angle = 0.01 * sqrt(index), index * _GOLDEN_ANGLE
        spread[code] = (x + round(radius * cos(angle), 6), y + round(radius * sin(angle), 6))
    return spread


def _within_reach(places: Sequence[Point]) -> list[Point]:
    """Far islands drawn in to the edge of the map, which else would be mostly sea."""
    bounds = []
    for values in zip(*places, strict=True):
        low, _, high = quantiles(values, n=4)
        bounds.append((low - _REACH * (high - low), high + _REACH * (high - low)))
    (west, east), (south, north) = bounds
    return [(min(max(x, west), east), min(max(y, south), north)) for x, y in places]


def _apart(places: list[Point]) -> list[Point]:
    """Neighbours pushed apart until no symbol lies on another, or nearly."""
    (west, east), (south, north) = ((min(values), max(values)) for values in zip(*places, strict=True))
    distance = 0.6 * sqrt(max(east - west, 0.01) * max(north - south, 0.01) / len(places))
    for _ in range(_ROUNDS):
        moved = [list(place) for place in places]
        for one, other in combinations(range(len(places)), 2):
            (x1, y1), (x2, y2) = places[one], places[other]
            dx, dy = x2 - x1, y2 - y1
            length = sqrt(dx * dx + dy * dy)
            if 0 < length < distance:
                push = (distance - length) / length / 4
                moved[one][0] -= dx * push
                moved[one][1] -= dy * push
                moved[other][0] += dx * push
                moved[other][1] += dy * push
        places = [(x, y) for x, y in moved]
    return places
