"""Months on the map of another day, beside a computation of its own in pandas, straight from the export's csv.

The map of 01/07/2025 is made up: each of the 65 units is a square of 0.1°, in the order of codes, ten a row from
11.5 N, 108.5 E. The export is made up too, with every unit of 10/2024, those of Ninh Thuận among them; rows of a unit
that was split have coordinates in one of its parts, or none that can be used.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from openpyxl import load_workbook
from scipy import stats

from ispeed.database import Database
from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.restatement import restate
from ispeed.settings import INCLUDE, PROJECT, Settings
from ispeed.tables import FIGURES, MIX, RANK
from pipeline import run_steps, settings_in

OCTOBER, NOVEMBER, JULY = Month(2024, 10), Month(2024, 11), Month(2025, 7)
MONTHS = (OCTOBER, NOVEMBER, JULY)
NEW_MAP, OLD_MAP = date(2025, 7, 1), date(2024, 10, 31)
SPLIT = {"22435", "22438", "22450", "22456", "22465", "22471", "22711", "22768"}
LOST = "not_attributable"
METRICS = {"Download (Mbps)": "download_mbps", "Ping (ms)": "ping_ms"}
TARGETS = {"4G": 40, "5G": 100}


@cache
def registry(name: str) -> pd.DataFrame:
    return pd.read_csv(INCLUDE / "registry" / f"{name}.csv", dtype=str, keep_default_na=False, encoding="utf-8-sig")


def units_on(day: str, provinces: tuple[str, ...] = ("56", "58")) -> list[str]:
    communes = registry("communes")
    begun = communes[(communes.valid_from <= day) & ((communes.valid_to >= day) | (communes.valid_to == ""))]
    return sorted(begun[begun.province_code.isin(provinces)].commune_code)


NEW_UNITS = units_on("2025-07-01")


def corner(code: str) -> tuple[float, float]:
    row, column = divmod(NEW_UNITS.index(code), 10)
    return round(11.5 + row / 10, 1), round(108.5 + column / 10, 1)


def unit_at(latitude: float, longitude: float) -> str | None:
    """The made-up map, said in arithmetic."""
    row, column = int((latitude - 11.5) // 0.1), int((longitude - 108.5) // 0.1)
    place = row * 10 + column
    return NEW_UNITS[place] if 0 <= column < 10 and 0 <= place < len(NEW_UNITS) else None


@cache
def successors(code: str, day: str) -> frozenset[str]:
    """The codes of 01/07/2025 that a code of a day went into, by the registry's file: two steps, or one."""
    found = frozenset({code})
    rows = registry("commune_succession")
    for step in ("2024-11-01", "2025-07-01"):
        if day < step:
            pairs = rows[rows.effective_date == step].groupby("old_code").new_code.agg(set).to_dict()
            found = frozenset().union(*(pairs.get(one, {one}) for one in found))
    return found


def write_map(folder: Path) -> Path:
    features = []
    for code in NEW_UNITS:
        south, west = corner(code)
        ring = [[west, south], [west + 0.1, south], [west + 0.1, south + 0.1], [west, south + 0.1], [west, south]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"commune_code": code}, "geometry": geometry})
    path = folder / f"communes_{NEW_MAP}.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def write_export(settings: Settings, month: Month, n_rows: int) -> None:
    rng = Random(str(month))
    day = f"{month}-15"
    ours, others = units_on(day, ("56",)), units_on(day, ("58",))
    folder = settings.exports_of(month)
    folder.mkdir(parents=True)
    with (folder / "export.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            "Thời gian đo,Mã thiết bị,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps),Ping (ms),Vĩ độ,Kinh độ,"
            "Sai số vị trí (m)".split(",")
        )
        for number in range(n_rows):
            # One row in ten in Ninh Thuận, one in three in a unit that is split; few units, so that some reach 30.
            home = rng.random()
            code = rng.choice(others) if others and home < 0.1 else rng.choice([*ours[::3], "22366"])
            if home > 0.67 and day < "2025":
                code = rng.choice(sorted(SPLIT))
            province = "58" if code in others else "56"
            part = rng.choice(sorted(successors(code, day)))
            elsewhere = next(unit for unit in NEW_UNITS if unit not in successors(code, day))
            south, west = corner(part if rng.random() < 0.85 else elsewhere)
            latitude, longitude = south + rng.uniform(0.01, 0.09), west + rng.uniform(0.01, 0.09)
            place: tuple[object, ...] = (f"{latitude:.5f}", f"{longitude:.5f}", rng.choice(("", 5, 1000)))
            place = rng.choices(
                (place, ("", "", ""), (0, 0, 5), (*reversed(place[:2]), 5), (*place[:2], 1000.5), ("11.2", "108.2", 5)),
                (12, 4, 1, 1, 1, 1),
            )[0]
            writer.writerow(
                (
                    f"{rng.randint(1, 28):02}/{month.number:02}/{month.year} {number // 3600 % 24:02}:"
                    f"{number // 60 % 60:02}:{number % 60:02}",
                    f"D{rng.randint(1, 60)}",
                    province,
                    code,
                    rng.choice(("Viettel", "MobiFone")),
                    technology := rng.choice(("3G", "4G", "4G", "5G", "WiFi")),
                    7.5 if technology == "3G" else round(rng.lognormvariate(3.9, 0.6), 2),
                    round(rng.uniform(10, 80), 1),
                    *place,
                )
            )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three months on their own maps, and on that of 07/2025: with boundaries, October without them before."""
    settings = settings_in(tmp_path_factory.mktemp("restated"))
    sync_registry(settings)
    for month in MONTHS:
        write_export(settings, month, 3_000)
        run_steps(settings, month)
    restate(settings, OCTOBER, NEW_MAP)
    located = replace(settings, boundaries=write_map(settings.exports.parent))
    for month in MONTHS:
        restate(located, month, NEW_MAP)
    return located


def expected_rows(settings: Settings, month: Month, *, with_map: bool) -> pd.DataFrame:
    """Every row of the export with the unit that it must be restated to."""
    rows = pd.read_csv(settings.exports_of(month) / "export.csv", dtype={"Mã xã": str, "Mã tỉnh": str})
    rows = rows.drop_duplicates()

    def restated(row: Any) -> str:
        found = successors(row["Mã xã"], f"{month}-15")
        if len(found) == 1:
            return next(iter(found))
        accuracy = row["Sai số vị trí (m)"]
        if not with_map or pd.isna(row["Vĩ độ"]) or accuracy > 1000:
            return LOST
        unit = unit_at(row["Vĩ độ"], row["Kinh độ"])
        return unit if unit in found else LOST

    rows["unit"] = rows.apply(restated, axis=1)
    rows["network"] = rows["Loại mạng"].map(lambda technology: "fixed" if technology == "WiFi" else "mobile")
    return rows


def rounded(value: float) -> float:
    return float(Decimal(repr(round(float(value), 6))).quantize(Decimal("0.01"), ROUND_HALF_UP))


def expected_figures(rows: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    """The figures of each unit, from its own measurements: samples formed anew within it."""
    figures = {}
    window = rows["Thời gian đo"].str[:10]
    keys = ["network", "unit", "Nhà mạng", "Loại mạng", "Mã thiết bị"]
    samples = rows.groupby([*keys, window], as_index=False)[list(METRICS)].median()
    for (network, unit), cell in samples.groupby(["network", "unit"]):
        n = int(((rows.network == network) & (rows.unit == unit)).sum())
        n_devices = cell["Mã thiết bị"].nunique()
        figure: dict[str, Any] = {"n_measurements": n, "n_samples": len(cell), "n_devices": n_devices, "reason": None}
        if unit == LOST or n < 30 or n_devices < 5:
            figure["reason"] = LOST if unit == LOST else "below_publish_minimum" if n < 30 else "too_few_devices"
        else:
            for column, metric in METRICS.items():
                values = cell[column].sort_values().reset_index(drop=True)
                figure[f"{metric}_median"] = rounded(values.median())
                figure[f"{metric}_mean"] = rounded(values.mean())
                for percent in (10, 25, 75, 90):
                    figure[f"{metric}_p{percent}"] = rounded(values.quantile(percent / 100))
                below = stats.binom(len(values), 0.5).cdf
                k = max((rank for rank in range(1, len(values) + 1) if below(rank - 1) <= 0.025), default=0)
                figure[f"{metric}_ci_low"] = rounded(values[k - 1])
                figure[f"{metric}_ci_high"] = rounded(values[len(values) - k])
            judged = cell[cell["Loại mạng"].isin(TARGETS)]
            reached = judged["Download (Mbps)"] >= judged["Loại mạng"].map(TARGETS).astype(float)
            figure["share_at_target"] = None if judged.empty else reached.mean()
        figures[network, unit] = figure
    return figures


def published(settings: Settings, month: Month, revision: int, day: date = NEW_MAP) -> dict[tuple[str, str], Any]:
    rows = Database(settings.database_url).rows("report_commune_restated", month, revision, day)
    return {(row["network"], row["commune_code"]): row for row in rows}


def origins(settings: Settings, month: Month, revision: int, day: date = NEW_MAP) -> pd.DataFrame:
    return pd.DataFrame(Database(settings.database_url).rows("report_restated_origin", month, revision, day))


# Each revision on the new map: its month, its number, whether boundaries were given.
EVERY = pytest.mark.parametrize(
    ("month", "revision", "with_map"),
    [(OCTOBER, 1, False), (OCTOBER, 2, True), (NOVEMBER, 1, True), (JULY, 1, True)],
    ids=["2024-10 without boundaries", "2024-10", "2024-11", "2025-07"],
)


@EVERY
def test_every_figure_is_that_of_pandas_from_the_csv(
    settings: Settings, month: Month, revision: int, with_map: bool
) -> None:
    expected = expected_figures(expected_rows(settings, month, with_map=with_map))
    found = published(settings, month, revision)
    assert set(found) == {(network, unit) for network in ("mobile", "fixed") for unit in (*NEW_UNITS, LOST)}
    nothing = {"n_measurements": 0, "n_samples": 0, "n_devices": 0}
    n_shown = 0
    for key, row in found.items():
        reason = LOST if key[1] == LOST else "no_samples"
        figure = expected.get(key, {**nothing, "reason": reason})
        for name, value in figure.items():
            assert row[name] == (
                value if value is None or isinstance(value, str) else pytest.approx(value, abs=1e-9)
            ), (
                key,
                name,
            )
        if row["reason"]:
            assert not any(row[f"{metric}_median"] for metric in METRICS.values())
        n_shown += row["reason"] is None
    assert n_shown > 10


def test_without_boundaries_the_eight_split_units_are_not_attributable_and_no_other(settings: Settings) -> None:
    found = origins(settings, OCTOBER, 1)
    lost = found[found.commune_code == LOST]
    assert set(lost.origin_code) == SPLIT
    assert set(lost.attribution) == {"no_location"}
    assert set(found[found.attribution == "coordinates"].origin_code) == set()
    assert not set(found[found.attribution == "whole"].origin_code) & SPLIT


def test_with_boundaries_the_coordinates_tell_the_part_and_only_a_part(settings: Settings) -> None:
    found = origins(settings, OCTOBER, 2)
    by_place = found[found.attribution == "coordinates"]
    assert set(by_place.origin_code) == SPLIT
    for row in by_place.itertuples():
        assert row.commune_code in successors(row.origin_code, "2024-10-15")
    assert set(found[found.commune_code == LOST].attribution) == {"no_location", "located_elsewhere"}
    assert {"22780", "22888"} == set(by_place[by_place.origin_code == "22768"].commune_code)


@EVERY
def test_sums_of_measurements_are_those_of_the_month(
    settings: Settings, month: Month, revision: int, with_map: bool
) -> None:
    database = Database(settings.database_url)
    restated = published(settings, month, revision)
    own = database.rows("report_commune_month", month, 1)
    province = {row["network"]: row["n_measurements"] for row in database.rows("report_province_month", month, 1)}
    found = origins(settings, month, revision)
    for network in ("mobile", "fixed"):
        total = sum(row["n_measurements"] for key, row in restated.items() if key[0] == network)
        ours = found[(found.network == network) & (found.origin_province_code == "56")].n_measurements.sum()
        others = found[(found.network == network) & (found.origin_province_code == "58")].n_measurements.sum()
        assert ours == sum(row["n_measurements"] for row in own if row["network"] == network)
        # Every accepted row has a commune here: those of Ninh Thuận are the province's from 07/2025 on.
        assert total == ours + others == province[network]


def test_the_month_s_own_revision_and_tables_stay_as_they_were(settings: Settings) -> None:
    share = settings.share_of(OCTOBER)
    assert sorted(path.name for path in share.iterdir()) == ["latest.json", "r1", "restated"]
    assert json.loads((share / "latest.json").read_text())["revision"] == 1
    assert len(Database(settings.database_url).rows("report_commune_month", OCTOBER, 1)) == 2 * 139
    result = run_steps(settings, OCTOBER)
    assert (result["revision"], result["is_new"]) == (1, False)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_again_publishes_nothing_new(settings: Settings) -> None:
    folder = settings.restated_share_of(OCTOBER, NEW_MAP)
    before = contents(folder)
    assert sorted({name.split("/")[0] for name in before}) == ["latest.json", "r1", "r2"]
    assert not restate(settings, OCTOBER)[str(NEW_MAP)]["is_new"]
    assert contents(folder) == before


def test_a_second_revision_says_what_changed_and_why(settings: Settings) -> None:
    database = Database(settings.database_url)
    states = [database.publication(OCTOBER, revision, NEW_MAP) for revision in (1, 2)]
    assert [state and state["state"] for state in states] == ["superseded", "published"]
    assert states[1] and states[1]["why"] == "Bản đồ địa giới thay đổi"
    assert (states[1]["month_revision"], states[1]["n_measurements"]) == (
        1,
        len(expected_rows(settings, OCTOBER, with_map=True)),
    )
    (path,) = (settings.restated_share_of(OCTOBER, NEW_MAP) / "r2").glob("*.xlsx")
    changes = load_workbook(path)["Thay đổi"]
    told = {str(row[2].value) for row in changes.iter_rows() if row[2].value}
    assert f"{NEW_MAP}, Di động, {LOST}" in told


def test_every_sheet_and_table_says_on_which_day_s_map_it_stands(settings: Settings) -> None:
    folder = settings.restated_share_of(OCTOBER, NEW_MAP) / "r2"
    (path,) = folder.glob("*.xlsx")
    assert path.name == "bao-cao-ispeed_khanh-hoa_2024-10_dia-gioi-2025-07-01.xlsx"
    for sheet in load_workbook(path).worksheets:
        above = " ".join(str(row[0].value) for row in sheet.iter_rows(max_row=6))
        assert "địa giới hành chính ngày 01/07/2025" in above, sheet.title
        assert sheet.oddFooter.right.text and "01/07/2025" in sheet.oddFooter.right.text
    for name in ("report_commune_restated", "report_restated_origin"):
        with (folder / "csv" / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
            assert {row["boundaries_day"] for row in csv.DictReader(file)} == {"2025-07-01"}
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["boundaries_day"], manifest["month_revision"]) == ("2025-07-01", 1)
    assert {output["path"] for output in manifest["outputs"]} == set(contents(folder)) - {"manifest.json"}


def series_query() -> str:
    """The query that docs/backfills.md gives for a series of one of today's units."""
    page = (PROJECT / "docs" / "backfills.md").read_text(encoding="utf-8")
    return page.split("```sql")[1].split("```")[0]


def test_a_series_of_one_of_today_s_units_is_the_one_query_of_the_docs(settings: Settings) -> None:
    with sa.create_engine(settings.database_url).connect() as connection:
        rows = [dict(row) for row in connection.execute(sa.text(series_query())).mappings()]
    assert [str(row["month"])[:7] for row in rows] == [str(month) for month in MONTHS]
    for month, row in zip(MONTHS, rows, strict=True):
        current = Database(settings.database_url).current_revision(month, NEW_MAP)
        assert current
        figure = published(settings, month, current)["mobile", "22366"]
        assert row["n_measurements"] == figure["n_measurements"] > 0
        assert row["download_mbps_median"] == figure["download_mbps_median"]


def test_the_change_is_against_the_month_before_on_the_same_map(settings: Settings) -> None:
    before, now = published(settings, OCTOBER, 2), published(settings, NOVEMBER, 1)
    compared = [key for key in now if now[key]["change_reason"] is None]
    assert len(compared) > 10
    for key in compared:
        change = now[key]["download_mbps_median"] - before[key]["download_mbps_median"]
        assert now[key]["download_mbps_median_change"] == pytest.approx(change, abs=1e-9)
    assert {row["change_reason"] for row in published(settings, OCTOBER, 2).values()} == {"no_previous_month"}


def test_a_month_on_its_own_map_is_the_month(settings: Settings) -> None:
    own = Database(settings.database_url).rows("report_commune_month", JULY, 1)
    restated = published(settings, JULY, 1)
    shared = {column.name for column in (*FIGURES, *MIX, *RANK) if "change" not in column.name}
    for row in own:
        twin = restated[row["network"], row["commune_code"]]
        assert {name: twin[name] for name in shared} == {name: row[name] for name in shared}
    assert restated["mobile", LOST]["n_measurements"] == 0


def test_backward_a_unit_that_has_grown_is_not_attributable_and_all_others_are(settings: Settings) -> None:
    restate(settings, NOVEMBER, OLD_MAP)
    found = origins(settings, NOVEMBER, 1, OLD_MAP)
    grown = {"22348", "22351", "22366", "22606", "22660"}
    met = set(found.origin_code)
    assert met & grown
    assert set(found[found.commune_code == LOST].origin_code) == met & grown
    others = found[found.commune_code != LOST]
    assert (others.origin_code == others.commune_code).all()
    # What is Ninh Thuận on that map stays outside.
    assert set(found.origin_province_code) == {"56"}
    assert len(published(settings, NOVEMBER, 1, OLD_MAP)) == 2 * (139 + 1)


def test_backward_over_a_merger_of_provinces_what_was_the_neighbour_s_is_counted_as_such(settings: Settings) -> None:
    day = date(2025, 6, 30)
    restate(settings, JULY, day)
    found = origins(settings, JULY, 1, day)
    # Each of the 65 has several predecessors: without a map of that day none of them can be told.
    assert set(found.commune_code) == {LOST}
    assert found.n_measurements.sum() == len(expected_rows(settings, JULY, with_map=True))


def test_a_month_that_changed_is_restated_again_by_itself(settings: Settings) -> None:
    export = settings.exports_of(JULY) / "late.csv"
    header = "Thời gian đo,Mã thiết bị,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps)\n"
    export.write_text(header + "15/07/2025 08:00:00,late,56,22366,Viettel,4G,33\n", encoding="utf-8")
    assert run_steps(settings, JULY)["revision"] == 2
    before = published(settings, JULY, Database(settings.database_url).current_revision(JULY, NEW_MAP) or 0)
    results = restate(settings, JULY)
    assert all(result["is_new"] for result in results.values())
    after = published(settings, JULY, results[str(NEW_MAP)]["revision"])
    key = ("mobile", "22366")
    assert after[key]["n_measurements"] == before[key]["n_measurements"] + 1


def test_what_cannot_be_restated_is_named(settings: Settings, tmp_path: Path) -> None:
    fresh = settings_in(tmp_path)
    sync_registry(fresh)
    with pytest.raises(UserError, match="run write_workbooks for 2024-10 first|run publish_reports for 2024-10 first"):
        restate(fresh, OCTOBER, NEW_MAP)
    with pytest.raises(UserError, match="no commune of Tỉnh Khánh Hòa|no commune of Khánh Hòa"):
        small = replace(settings, registry=tmp_path / "small")
        (tmp_path / "small").mkdir()
        for name in ("communes", "commune_succession", "operators", "organisations", "referral_codes"):
            text = (INCLUDE / "registry" / f"{name}.csv").read_text(encoding="utf-8")
            text = text.replace(",2025-07-01,\n", ",2025-07-01,2030-12-31\n") if name == "communes" else text
            (tmp_path / "small" / f"{name}.csv").write_text(text, encoding="utf-8")
        sync_registry(small)
        restate(small, OCTOBER, date(2031, 1, 1))


def test_a_commune_that_the_registry_lost_is_named(settings: Settings, tmp_path: Path) -> None:
    small = replace(settings, registry=tmp_path / "small")
    (tmp_path / "small").mkdir()
    for path in (INCLUDE / "registry").glob("*.csv"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if "22363" not in line]
        (tmp_path / "small" / path.name).write_text("".join(kept), encoding="utf-8")
    sync_registry(small, rewrite_published=True)
    with pytest.raises(UserError, match="commune 22363 valid from 0001-01-01, which the registry does not have"):
        restate(small, OCTOBER, NEW_MAP)


@pytest.fixture(autouse=True)
def _registry_back(settings: Settings) -> Iterator[None]:
    yield
    sync_registry(settings, rewrite_published=True)
