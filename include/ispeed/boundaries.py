"""Boundaries: communes as polygons, each valid from a day, and the commune in which a measurement's coordinates lie."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ispeed.engine import Engine
from ispeed.errors import UserError
from ispeed.succession import ONE_DAY, Successions, Unit
from ispeed.text import fold_place, split_kind

_POINTS_AT_ONCE = 500_000
_DAY = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")
_KINDS = ("Polygon", "MultiPolygon")
_LOCATION_MATCH = {
    "latitude": "double",
    "longitude": "double",
    "first_day": "date",
    "last_day": "date",
    "commune_code": "text",
    "commune_valid_from": "date",
}


@dataclass(frozen=True)
class Boundary:
    """One commune's polygon (shapely; longitude and latitude in degrees), and the days on which it holds."""

    unit: Unit
    first_day: date
    last_day: date
    polygon: Any


def match_locations(
    engine: Engine, path: Path | None, province_code: str, measurements: str, first_day: date, last_day: date
) -> None:
    """Make `location_match`: for each pair of coordinates in the relation `measurements`, its commune, by days.

    A point on the edge that two communes share, or where two polygons overlap, lies in neither (its commune is
    empty); a point in no polygon is left out. `complete_map` holds the days on which every commune of the province
    has its polygon: on these, a point that is left out lies outside. Both are empty where no boundaries are given.
    """
    engine.add_rows("location_match", _LOCATION_MATCH, [])
    maps = list(_maps(engine, path, first_day, last_day)) if path else []
    complete = [
        (first, last)
        for first, last, found in maps
        if all(_is_complete(engine, found, province_code, day) for day in (first, last))
    ]
    engine.add_rows("complete_map", {"first_day": "date", "last_day": "date"}, complete)
    if not any(found for _, _, found in maps):
        return
    import numpy as np
    import shapely  # a third of a second to import, and only where boundaries are given

    coordinates = engine.arrays(
        f"select distinct latitude, longitude from {measurements} "
        "where latitude between -90 and 90 and longitude between -180 and 180"
    )
    for start in range(0, len(coordinates["latitude"]), _POINTS_AT_ONCE):
        latitudes, longitudes = (
            coordinates[name][start : start + _POINTS_AT_ONCE] for name in ("latitude", "longitude")
        )
        tree = shapely.STRtree(shapely.points(longitudes, latitudes))
        for first, last, found in maps:
            polygons, points = tree.query([boundary.polygon for boundary in found], predicate="intersects")
            n_polygons = np.bincount(points, minlength=len(latitudes))
            polygon_of = np.zeros(len(latitudes), dtype=int)
            polygon_of[points] = polygons
            rows = []
            for point in np.flatnonzero(n_polygons).tolist():
                unit = found[polygon_of[point]].unit if n_polygons[point] == 1 else None
                code, valid_from = (unit.commune_code, unit.valid_from) if unit else (None, None)
                rows.append((float(latitudes[point]), float(longitudes[point]), first, last, code, valid_from))
            if rows:
                engine.append_rows("location_match", _LOCATION_MATCH, rows)


def boundary_hashes(path: Path | None) -> dict[str, str]:
    """sha256 of each file of boundaries, by name; none where no boundaries are given."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in _files(path)} if path else {}


def read_boundaries(path: Path, successions: Successions, names: Mapping[Unit, str]) -> list[Boundary]:
    """The polygons of a GeoJSON file, or of all files of a folder, with the days on which they hold.

    A feature has `commune_code`, and the day from which it holds: its property `valid_from`, else the day in its
    file's name. It holds until its commune ends, next takes part in a succession, or has another polygon. Raises
    `UserError` naming file and feature of the first thing that is wrong.
    """
    begun: dict[str, dict[date, tuple[str, Any]]] = {}
    for file in _files(path):
        for place, properties, polygon in _features(file):
            code = properties.get("commune_code")
            if not isinstance(code, str) or not code:
                raise UserError(place, f"commune_code {code!r}", "a code as text, such as 22333", "add it to the file")
            day = _day_of(place, file, properties)
            unit = successions.unit(code, day)
            if unit is None:
                raise UserError(
                    place, f"{code} from {day}", "a commune that the registry has on that day", "correct code or day"
                )
            name = properties.get("commune_name")
            if isinstance(name, str) and fold_place(names[unit]) not in (fold_place(name), split_kind(name)[1]):
                raise UserError(
                    place, f"{code} {name} from {day}", f"{names[unit]}, which has the code then", "correct code or day"
                )
            other, _ = begun.setdefault(code, {}).setdefault(day, (place, polygon))
            if other != place:
                raise UserError(
                    place, f"{code} from {day}, like {other}", "one polygon, or one MultiPolygon", "join or remove one"
                )
    boundaries = []
    for code, polygons in begun.items():
        ends = sorted({*polygons, *(step for step in successions.days if successions.has_part_in(code, step))})
        for day, (_, polygon) in polygons.items():
            unit = successions.unit(code, day)
            assert unit is not None
            following = next((end for end in ends if end > day), None)
            last = successions.last_day(unit)
            boundaries.append(Boundary(unit, day, min(last, following - ONE_DAY) if following else last, polygon))
    return boundaries


def _maps(
    engine: Engine, path: Path, first_day: date, last_day: date
) -> Iterator[tuple[date, date, Sequence[Boundary]]]:
    """The spans of days within which the polygons stay the same, from first to last day, and these polygons."""
    communes = engine.rows("select * from commune")
    successions = Successions(communes, engine.rows("select * from commune_succession"))
    names = {Unit(row["commune_code"], row["valid_from"]): row["commune_name"] for row in communes}
    boundaries = read_boundaries(path, successions, names)
    starts = {boundary.first_day for boundary in boundaries} | {
        boundary.last_day + ONE_DAY for boundary in boundaries if boundary.last_day < last_day
    }
    days = [first_day, *sorted(day for day in starts if first_day < day <= last_day)]
    for first, last in zip(days, [*(day - ONE_DAY for day in days[1:]), last_day], strict=True):
        yield first, last, [one for one in boundaries if one.first_day <= first and last <= one.last_day]


def _is_complete(engine: Engine, found: Sequence[Boundary], province_code: str, day: date) -> bool:
    """Whether every commune that the province has on that day is among the polygons."""
    units = engine.rows(
        "select commune_code, valid_from from commune where province_code = ? and ? between valid_from and valid_to",
        [province_code, day],
    )
    return {Unit(**unit) for unit in units} <= {boundary.unit for boundary in found}


def _files(path: Path) -> list[Path]:
    files = sorted((*path.glob("*.geojson"), *path.glob("*.json"))) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise UserError(
            "setting ISPEED_BOUNDARIES", str(path), "a GeoJSON file, or a folder of some", "correct or unset it"
        )
    return files


def _features(file: Path) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """Each feature of a file: its place, its properties, its polygon."""
    import shapely

    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
        features = document["features"]
        parts = [(feature["properties"] or {}, feature["geometry"]) for feature in features]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"file {file.name}",
            f"{type(error).__name__}: {error}",
            "a GeoJSON FeatureCollection in UTF-8",
            "export it from the map again",
        ) from error
    for number, (properties, geometry) in enumerate(parts, start=1):
        place = f"file {file.name}, feature {number}"
        try:
            polygon = shapely.from_geojson(json.dumps(geometry))
        except shapely.errors.GEOSException as error:
            raise UserError(place, str(error), "a Polygon or MultiPolygon", "export it from the map again") from error
        if polygon.geom_type not in _KINDS or polygon.is_empty:
            raise UserError(
                place, polygon.geom_type, f"one of {', '.join(_KINDS)}", "leave it out, or draw it as an area"
            )
        if not polygon.is_valid:
            raise UserError(
                place, shapely.is_valid_reason(polygon), "lines that do not cross", "mend the polygon in the map"
            )
        west, south, east, north = polygon.bounds
        if west < -180 or south < -90 or east > 180 or north > 90:
            raise UserError(
                place,
                f"coordinates from {west:g}, {south:g} to {east:g}, {north:g}",
                "longitude, then latitude, in degrees (WGS 84)",
                "export it in WGS 84",
            )
        yield place, properties, polygon


def _day_of(place: str, file: Path, properties: Mapping[str, Any]) -> date:
    text = properties.get("valid_from")
    if text is None and (found := _DAY.search(file.stem)):
        text = found[0]
    try:
        return date.fromisoformat(text)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UserError(
            place,
            f"valid_from {text!r}",
            "the day from which the polygon holds: the property valid_from, or in the file's name "
            "(communes_2025-07-01.geojson)",
            "add it",
        ) from error
