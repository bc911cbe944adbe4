"""What `sync_registry` refuses, and how it finds a commune from what a row says of its place."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from ispeed.engine import Engine, open_engine
from ispeed.errors import UserError
from ispeed.places import match_places
from ispeed.registry import read_registry, sync_registry
from ispeed.settings import INCLUDE, Settings
from pipeline import settings_in

OCTOBER, JULY = date(2024, 10, 15), date(2025, 7, 15)


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """Settings with a registry folder of one's own, as the seed is."""
    shutil.copytree(INCLUDE / "registry", tmp_path / "registry")
    return settings_in(tmp_path, registry=tmp_path / "registry")


def add_line(settings: Settings, name: str, line: str) -> None:
    with (settings.registry / f"{name}.csv").open("a", encoding="utf-8") as file:
        file.write(line + "\n")


@pytest.mark.parametrize(
    ("name", "line", "named"),
    [
        (
            "communes",
            "22366,Mới,phường,568,Thành phố Nha Trang,56,Tỉnh Khánh Hòa,2024-10-15,",
            "22366 valid from 2024-10",
        ),
        ("communes", "99999,Mới,xã,568,Nha Trang,56,Khánh Hòa,2024-10-15,2024-10-14", "before valid_from"),
        ("communes", "99999,Mới,xã,568,Nha Trang,56,Khánh Hòa,15/10/2024,", "15/10/2024"),
        ("commune_succession", "99998,22366,2024-11-01,whole", "99998"),
        ("referral_codes", "X1,commune,99999,2024-01-01,", "99999"),
        ("referral_codes", "X1,person,22366,2024-01-01,", "person"),
        ("referral_codes", "mau-22366-a,commune,22366,2024-01-01,", "one meaning of a code on any day"),
        ("organisations", "X,Trường X,college,568,10,,", "college"),
        ("organisations", "X,Trường X,school,568,nhiều,,", "nhiều"),
        ("organisations", "X,Trường X,school,568,99999999999999999999,,", "99999999999999999999"),
        ("communes", "99999,Mới,Xã,568,Nha Trang,56,Khánh Hòa,2024-10-15,", "'Xã'"),
        ("operators", ",Other,,Other,MNO,,active,Viettel,", "which also means Viettel"),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_row(own: Settings, name: str, line: str, named: str) -> None:
    n_rows = len((own.registry / f"{name}.csv").read_text(encoding="utf-8").splitlines())
    add_line(own, name, line)
    with pytest.raises(UserError, match=named) as error:
        sync_registry(own)
    assert f"file {name}.csv, row " in str(error.value)
    if "valid from" not in named and "meaning" not in named:
        assert f"row {n_rows + 1}" in str(error.value)


def test_a_refused_registry_leaves_the_one_before(own: Settings) -> None:
    counts = sync_registry(own)
    add_line(own, "referral_codes", "X1,commune,99999,2024-01-01,")
    with pytest.raises(UserError):
        sync_registry(own)
    with open_engine() as engine:
        read_registry(engine, own.lake / "registry")
        assert engine.value("select count(*) from referral_code") == counts["referral_code"]


def test_a_missing_file_and_a_missing_column_are_named(own: Settings) -> None:
    path = own.registry / "organisations.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("headcount", "staff"), encoding="utf-8")
    with pytest.raises(UserError, match="0 columns headcount"):
        sync_registry(own)
    path.unlink()
    with pytest.raises(UserError, match=r"neither organisations\.csv nor organisations\.xlsx"):
        sync_registry(own)


def test_an_excel_file_is_read_like_a_csv_file(own: Settings) -> None:
    (own.registry / "referral_codes.csv").unlink()
    workbook = Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.append(["referral_code", "holder_kind", "holder_code", "valid_from", "valid_to"])
    sheet.append(["00123", "commune", 22366, date(2024, 1, 1), None])
    workbook.save(own.registry / "referral_codes.xlsx")
    sync_registry(own)
    with open_engine() as engine:
        read_registry(engine, own.lake / "registry")
        assert engine.rows("select referral_code, holder_code, valid_from from referral_code") == [
            {"referral_code": "00123", "holder_code": "22366", "valid_from": date(2024, 1, 1)}
        ]


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_in(tmp_path_factory.mktemp("registry"))
    sync_registry(settings)
    return settings


def found(engine: Engine, place: dict[str, str], day: date) -> Any:
    columns = ("province_code", "district_code", "district_name", "commune_name")
    row = tuple(place.get(column) for column in columns)
    engine.add_rows("staging_measurement", dict.fromkeys(columns, "text"), [row])
    match_places(engine, "56")
    return engine.value("select max(found_commune_code) from place_match where ? between first_day and last_day", [day])


@pytest.mark.parametrize(
    ("place", "day", "code"),
    [
        ({"commune_name": "Phường Phước Tiến", "district_name": "TP. Nha Trang"}, OCTOBER, "22366"),
        ({"commune_name": "P. Phước Tiến"}, OCTOBER, "22366"),
        ({"commune_name": "Phước Tiến"}, OCTOBER, "22366"),
        ({"commune_name": "Phường Nha Trang"}, JULY, "22366"),
        ({"commune_name": "Phường Nha Trang"}, OCTOBER, None),
        ({"commune_name": "Phường Phước Tiến", "district_name": "Huyện Vạn Ninh"}, OCTOBER, None),
        ({"commune_name": "Phường Phước Tiến", "district_code": "574"}, OCTOBER, None),
        ({"commune_name": "Phường Phước Tiến", "province_code": "58"}, OCTOBER, None),
        # phường Vạn Thạnh in Nha Trang and xã Vạn Thạnh in Vạn Ninh: the kind or the district must tell
        ({"commune_name": "Vạn Thạnh"}, OCTOBER, None),
        ({"commune_name": "Phường Vạn Thạnh"}, OCTOBER, "22348"),
        ({"commune_name": "Vạn Thạnh", "district_name": "Nha Trang"}, OCTOBER, "22348"),
        # phường Vạn Thắng ended on 31/10/2024: from then on only xã Vạn Thắng has the name
        ({"commune_name": "Vạn Thắng"}, OCTOBER, None),
        ({"commune_name": "Vạn Thắng"}, date(2024, 11, 1), "22516"),
    ],
)
def test_a_commune_is_found_as_of_the_day_or_not_at_all(
    synced: Settings, place: dict[str, str], day: date, code: str | None
) -> None:
    with open_engine() as engine:
        read_registry(engine, synced.lake / "registry")
        assert found(engine, place, day) == code


def test_every_unit_is_found_by_its_own_full_name(synced: Settings) -> None:
    with open_engine() as engine:
        read_registry(engine, synced.lake / "registry")
        units = engine.rows("select * from commune")
        columns = ("province_code", "district_code", "district_name", "commune_name")
        rows = [(u["province_code"], None, u["district_name"], u["full_name"]) for u in units]
        engine.add_rows("staging_measurement", dict.fromkeys(columns, "text"), rows)
        match_places(engine, "56")
        matches = {(m["found_commune_code"], m["found_valid_from"]) for m in engine.rows("select * from place_match")}
        assert {(u["commune_code"], u["valid_from"]) for u in units} == matches
