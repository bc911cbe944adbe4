"""Points in polygons: which commune coordinates lie in, on which days, and what is refused of a file of boundaries."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ispeed.boundaries import match_locations
from ispeed.engine import Engine, open_engine
from ispeed.errors import UserError
from ispeed.registry_files import BEGINNING, OPEN_END

JUNE, JULY, END = date(2025, 6, 1), date(2025, 7, 1), date(2025, 7, 31)
COMMUNES = [
    ("1", "Một", "56", BEGINNING, date(2025, 6, 30)),
    ("1", "Một Mới", "56", JULY, OPEN_END),
    ("2", "Hai", "56", BEGINNING, OPEN_END),
    ("3", "Ba", "58", BEGINNING, OPEN_END),
]


def box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def feature(code: Any, *rings: list[list[float]], **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"commune_code": code, **properties},
        "geometry": {"type": "Polygon", "coordinates": list(rings)},
    }


# Commune 1 with a hole, commune 2 beside it (they share the edge at 110) and on an island.
ONE = feature("1", box(109, 12, 110, 13), box(109.4, 12.4, 109.6, 12.6), valid_from="2025-07-01")
TWO = feature("2", valid_from="2020-01-01") | {
    "geometry": {"type": "MultiPolygon", "coordinates": [[box(110, 12, 111, 13)], [box(115, 8, 115.5, 8.5)]]}
}


def write(folder: Path, *features: dict[str, Any], name: str = "map.geojson") -> Path:
    path = folder / name
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


@pytest.fixture
def engine() -> Any:
    with open_engine() as engine:
        columns = {"commune_code": "text", "commune_name": "text", "province_code": "text"}
        engine.add_rows("commune", columns | {"valid_from": "date", "valid_to": "date"}, COMMUNES)
        engine.add_rows(
            "commune_succession",
            {"old_code": "text", "new_code": "text", "effective_date": "date", "whole_or_part": "text"},
            [("1", "1", JULY, "whole")],
        )
        yield engine


def located(engine: Engine, path: Path | None, *points: tuple[float, float], first: date = JULY) -> list[Any]:
    """For each (latitude, longitude): the code found on the first day, "edge" between two, None in no polygon."""
    engine.add_rows("measured", {"latitude": "double", "longitude": "double"}, points)
    match_locations(engine, path, "56", "measured", first, END)
    found = {
        (row["latitude"], row["longitude"]): row["commune_code"] or "edge"
        for row in engine.rows("select * from location_match where ? between first_day and last_day", [first])
    }
    return [found.get(point) for point in points]


@pytest.mark.parametrize(
    ("point", "code"),
    [
        ((12.2, 109.2), "1"),
        ((12.5, 109.5), None),  # in the hole
        ((12.4, 109.5), "1"),  # on the edge of the hole
        ((12.2, 110.2), "2"),
        ((8.2, 115.2), "2"),  # on its island
        ((12.0, 109.5), "1"),  # on the outer edge, which no other shares
        ((12.5, 110.0), "edge"),  # on the edge that both share
        ((14.0, 109.5), None),  # outside
        ((0.0, 0.0), None),
        ((109.2, 12.2), None),  # swapped
        ((float("nan"), 109.2), None),
    ],
)
def test_a_point_lies_in_one_polygon_or_in_none(engine: Engine, tmp_path: Path, point: Any, code: str | None) -> None:
    assert located(engine, write(tmp_path, ONE, TWO), point) == [code]


def test_polygons_hold_from_their_day_until_the_next_change(engine: Engine, tmp_path: Path) -> None:
    before = feature("1", box(109, 12, 109.5, 13), valid_from="2025-01-01")
    path = write(tmp_path, before, ONE, TWO)
    both = (12.2, 109.2), (12.2, 109.8)
    assert located(engine, path, *both, first=JUNE) == ["1", None]
    assert engine.rows(
        "select distinct commune_valid_from as day from location_match where commune_code = '1' order by day"
    ) == [
        {"day": BEGINNING},
        {"day": JULY},
    ]
    assert located(engine, path, *both, first=JULY) == ["1", "1"]
    # Without its new polygon the old one does not stand for the commune that changed on 01/07.
    assert located(engine, write(tmp_path, before, TWO), *both, first=JULY) == [None, None]


def test_the_day_may_stand_in_the_file_s_name_and_files_in_a_folder(engine: Engine, tmp_path: Path) -> None:
    one = {**ONE, "properties": {"commune_code": "1", "commune_name": "Xã Một Mới"}}
    write(tmp_path, one, name="communes_2025-07-01.geojson")
    write(tmp_path, TWO, name="other.json")
    assert located(engine, tmp_path, (12.2, 109.2), (12.2, 110.2)) == ["1", "2"]


def test_a_map_is_complete_only_with_every_commune_of_the_province(engine: Engine, tmp_path: Path) -> None:
    located(engine, write(tmp_path, ONE, TWO), (12.2, 109.2), first=JUNE)
    assert engine.rows("select * from complete_map") == [{"first_day": JULY, "last_day": END}]
    located(engine, write(tmp_path, ONE), (12.2, 109.2))
    assert engine.rows("select * from complete_map") == []


def test_without_boundaries_nothing_is_located(engine: Engine) -> None:
    assert located(engine, None, (12.2, 109.2)) == [None]
    assert engine.rows("select * from complete_map") == []


CROSSED = [[109, 12], [110, 13], [110, 12], [109, 13], [109, 12]]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (feature("9", box(109, 12, 110, 13), valid_from="2025-07-01"), "a commune that the registry has"),
        (feature(1, box(109, 12, 110, 13), valid_from="2025-07-01"), "a code as text"),
        (feature("1", box(109, 12, 110, 13)), "the property valid_from, or in the file's name"),
        (feature("1", box(109, 12, 110, 13), valid_from="01/07/2025"), "valid_from '01/07/2025'"),
        (feature("1", box(109, 12, 110, 13), valid_from=20250701), "valid_from 20250701"),
        (feature("1", box(109, 12, 110, 13), valid_from="2025-06-30", commune_name="Một Mới"), "Một, which has"),
        (feature("1", CROSSED, valid_from="2025-07-01"), "Self-intersection"),
        (feature("1", box(12, 109, 13, 110), valid_from="2025-07-01"), "longitude, then latitude"),
        (feature("1", box(600000, 1300000, 610000, 1310000), valid_from="2025-07-01"), "WGS 84"),
        (feature("1", [[109, 12], [110, 12]], valid_from="2025-07-01"), "a Polygon or MultiPolygon"),
        (feature("1", valid_from="2025-07-01"), "leave it out"),
        (ONE | {"geometry": {"type": "Point", "coordinates": [109, 12]}}, "Point"),
        (ONE | {"geometry": None}, "a Polygon or MultiPolygon"),
        ({"type": "Feature"}, "KeyError: 'properties'"),
    ],
)
def test_a_wrong_feature_is_named_with_its_file(engine: Engine, tmp_path: Path, wrong: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        located(engine, write(tmp_path, TWO, wrong), (12.2, 109.2))
    assert told in str(error.value)
    assert "file map.geojson" in str(error.value)


def test_two_polygons_of_one_commune_and_day_are_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 from 2025-07-01, like file map\.geojson, feature 1"):
        located(engine, write(tmp_path, ONE, ONE), (12.2, 109.2))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"features": 1}', b"[" * 100_000])
def test_what_is_no_geojson_is_refused(engine: Engine, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "map.geojson").write_bytes(content)
    with pytest.raises(UserError, match="a GeoJSON FeatureCollection"):
        located(engine, tmp_path / "map.geojson", (12.2, 109.2))


def test_an_empty_folder_or_a_missing_file_is_named_by_its_setting(engine: Engine, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.geojson"):
        with pytest.raises(UserError, match="ISPEED_BOUNDARIES"):
            located(engine, path, (12.2, 109.2))
