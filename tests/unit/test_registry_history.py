"""The registry's versions: what changed, what was believed when, and which months a change concerns."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import ispeed.lake
from ispeed.engine import open_engine
from ispeed.errors import UserError
from ispeed.lake import write_json
from ispeed.months import Month
from ispeed.registry import copy_registry, read_registry, sync_registry
from ispeed.registry_history import differences, read_tables, registry_believed_on
from ispeed.registry_month import as_of_map, as_of_month, version_of
from ispeed.settings import INCLUDE, Settings
from pipeline import settings_in

Tables = dict[str, list[dict[str, Any]]]
OCTOBER, AUGUST = Month(2024, 10), Month(2025, 8)


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    shutil.copytree(INCLUDE / "registry", tmp_path / "registry")
    return settings_in(tmp_path, registry=tmp_path / "registry")


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    settings = settings_in(tmp_path_factory.mktemp("registry"))
    sync_registry(settings)
    return {name: list(rows) for name, rows in read_tables(settings.lake / "registry").items()}


def put(settings: Settings, name: str, old: str, new: str) -> None:
    path = settings.registry / f"{name}.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def note(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((settings.lake / "registry" / "registry.json").read_text(encoding="utf-8"))
    return found


def unit_names(folder: Path) -> set[str]:
    with open_engine() as engine:
        read_registry(engine, folder)
        return {
            row["commune_name"] for row in engine.rows("select commune_name from commune where commune_code = '22366'")
        }


def test_the_same_files_make_no_new_version_in_whatever_order_their_rows_stand(own: Settings) -> None:
    first = sync_registry(own)
    assert (first["number"], first["is_new"], first["differences"]) == (1, True, {})
    before = {path: path.stat().st_mtime_ns for path in (own.lake / "registry").rglob("*")}
    path = own.registry / "communes.csv"
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([header, *reversed(lines), ""]), encoding="utf-8")
    again = sync_registry(own)
    assert (again["number"], again["is_new"]) == (1, False)
    assert {path: path.stat().st_mtime_ns for path in (own.lake / "registry").rglob("*")} == before


def test_a_difference_says_what_was_and_what_is(own: Settings, caplog: pytest.LogCaptureFixture) -> None:
    sync_registry(own)
    put(own, "communes", "22366,Tân Tiến,", "22366,Tân Tiến Mới,")
    put(own, "organisations", "SO-NV,Sở Nội vụ,department,,50,,", "SO-NV,Sở Nội vụ,department,,60,,2030-12-31")
    put(own, "organisations", "SO-TP,Sở Tư pháp,department,,204,,", "SO-TP,Sở Tư pháp,department,,204,,2030-12-31")
    put(own, "referral_codes", "MAU-22333-C,commune,22333,2025-07-01,\n", "MOI-1,commune,22333,2025-07-01,\n")
    with caplog.at_level("INFO", logger="ispeed.registry"):
        report = sync_registry(own)
    assert report["differences"] == {
        "commune": {"changed": 1},
        "organisation": {"changed": 1, "ended": 1},
        # The codes of the two bodies end with them.
        "referral_code": {"added": 1, "ended": 2, "removed": 1},
    }
    for line in (
        "commune 22366 2024-11-01 changed: commune_name Tân Tiến, full_name Phường Tân Tiến → "
        "commune_name Tân Tiến Mới, full_name Phường Tân Tiến Mới",
        "organisation SO-NV changed: headcount 50, valid_to open → headcount 60, valid_to 2030-12-31",
        "organisation SO-TP ended: valid_to open → valid_to 2030-12-31",
        "referral_code MAU-22333-C 2025-07-01 removed: holder_kind commune, holder_code 22333, valid_to open",
        "referral_code MOI-1 2025-07-01 added: holder_kind commune, holder_code 22333, valid_to open",
    ):
        assert line in caplog.messages
    assert len(note(own)["differences"]) == 7


def test_what_was_believed_on_a_day_stays_known(own: Settings) -> None:
    """Three versions, taken over on three days: each day has the one of its end."""
    days = [date(2026, 3, 1), date(2026, 3, 5), date(2026, 3, 5)]
    for number, day in enumerate(days, start=1):
        put(own, "communes", "22366,Tân Tiến", f"22366,Tân Tiến {number}")
        assert sync_registry(own)["number"] == number
        path = own.lake / "registry" / "versions" / f"{number:04}" / "registry.json"
        taken_at = datetime(day.year, day.month, day.day, 16, 30, tzinfo=UTC)  # half past eleven at night here
        write_json(path, json.loads(path.read_text(encoding="utf-8")) | {"taken_at": taken_at.isoformat()})
    believed = {day: registry_believed_on(own, day) for day in (days[0], date(2026, 3, 4), days[1], date(2030, 1, 1))}
    assert [folder.name for folder in believed.values()] == ["0001", "0001", "0003", "0003"]
    assert unit_names(believed[days[0]]) == {"Phước Tiến", "Tân Tiến 1", "Nha Trang"}
    assert unit_names(own.lake / "registry") == {"Phước Tiến", "Tân Tiến 3 2 1", "Nha Trang"}
    with pytest.raises(UserError, match="first version was taken over on 2026-03-01"):
        registry_believed_on(own, date(2026, 2, 28))


def test_a_version_comes_back_under_a_new_number(own: Settings) -> None:
    sync_registry(own)
    first = note(own)["version"]
    put(own, "communes", "22366,Tân Tiến,", "22366,Tân Tiến Mới,")
    sync_registry(own)
    put(own, "communes", "22366,Tân Tiến Mới,", "22366,Tân Tiến,")
    assert sync_registry(own)["number"] == 3
    assert note(own)["version"] == first


def test_a_dry_run_takes_nothing_over(own: Settings) -> None:
    assert sync_registry(own, dry_run=True)["is_new"]
    assert not (own.lake / "registry").exists()


def test_the_command_says_what_the_files_change(own: Settings) -> None:
    environment = os.environ | {
        "ISPEED_VAR": str(own.lake.parent),
        "ISPEED_REGISTRY": str(own.registry),
        "PYTHONPATH": str(INCLUDE),
    }

    def told(*options: str) -> list[str]:
        command = [sys.executable, "-m", "ispeed", "sync", *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()

    rows = "(commune 273, commune_succession 222, operator 31, referral_code 259, organisation 42)"
    assert told()[-1] == f"version 1 was taken over {rows}"
    put(own, "organisations", "SO-NV,Sở Nội vụ,department,,50,,", "SO-NV,Sở Nội vụ,department,,60,,")
    line = "organisation SO-NV changed: headcount 50 → headcount 60"
    assert told("--dry-run") == [line, f"version 2 would be taken over {rows}"]
    assert told() == [line, "registry version 2 taken over", f"version 2 was taken over {rows}"]
    assert told() == [f"unchanged: version 2 stands {rows}"]


class Killed(BaseException):
    """What a kill looks like from inside."""


@pytest.mark.parametrize("at_rename", [1, 2])
def test_a_killed_sync_leaves_the_version_before_and_the_next_one_goes_on(
    own: Settings, monkeypatch: pytest.MonkeyPatch, at_rename: int
) -> None:
    sync_registry(own)
    put(own, "communes", "22366,Tân Tiến,", "22366,Tân Tiến Mới,")
    renames: list[str] = []
    rename = os.rename

    def killed(old: str, new: str) -> None:
        renames.append(old)
        if len(renames) == at_rename:
            raise Killed
        rename(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(ispeed.lake.os, "rename", killed)
        # A kill runs no `finally` either.
        patch.setattr(ispeed.lake.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            sync_registry(own)
    assert sync_registry(own)["number"] == 2
    assert sorted(path.name for path in (own.lake / "registry" / "versions").iterdir()) == ["0001", "0002"]
    assert [path.name for path in own.lake.iterdir() if path.name.startswith(".")] == []


def test_a_copy_says_which_version_it_is_and_leaves_the_history(own: Settings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run sync_registry first"):
        copy_registry(own, tmp_path / "copy")
    sync_registry(own)
    assert (
        copy_registry(own, tmp_path / "copy")["version"]
        == note(own)["version"]
        == version_of(read_tables(tmp_path / "copy"))
    )
    assert not (tmp_path / "copy" / "versions").exists()


def test_a_registry_without_versions_becomes_the_first(own: Settings) -> None:
    """As a program before versions left it: operators without days, a note without a version."""
    sync_registry(own)
    folder = own.lake / "registry"
    shutil.rmtree(folder / "versions")
    write_json(folder / "registry.json", {"n_rows": {}, "files": {}})
    with open_engine() as engine:
        engine.read_parquet("known", folder / "operator.parquet")
        engine.create_from_query("operator", "select spelling, brand, host_network from known")
        engine.write_parquet("select * from operator", folder / "operator.parquet")
    with pytest.raises(UserError, match="run sync_registry first"):
        copy_registry(own, own.lake / "copy")
    report = sync_registry(own)
    assert (report["number"], report["is_new"], report["differences"]) == (1, True, {})


def changed(seed: Tables, table: str, where: dict[str, Any], **values: Any) -> Tables:
    tables = deepcopy(seed)
    rows = [row for row in tables[table] if all(row[name] == value for name, value in where.items())]
    assert len(rows) == 1
    rows[0].update(values)
    return tables


def added(seed: Tables, table: str, **values: Any) -> Tables:
    tables = deepcopy(seed)
    tables[table].append(dict.fromkeys(tables[table][0]) | {"valid_from": date.min, "valid_to": date.max} | values)
    return tables


def touched(seed: Tables, after: Tables, month: Month, *met: str) -> list[str]:
    before, now = as_of_month(seed, month, met), as_of_month(after, month, met)
    return [name for name in before if before[name] != now[name]]


FIRST, LAST = OCTOBER.first_day, OCTOBER.last_day
PHUOC_TIEN = {"commune_code": "22366", "commune_name": "Phước Tiến"}
CODE = {"holder_kind": "commune", "holder_code": "22348"}


@pytest.mark.parametrize(
    ("day", "tables"),
    [
        (LAST + timedelta(days=1), []),
        (LAST, ["referral_code"]),
        (FIRST, ["referral_code"]),
    ],
)
def test_a_code_concerns_a_month_from_its_first_day_in_it(seed: Tables, day: date, tables: list[str]) -> None:
    assert touched(seed, added(seed, "referral_code", referral_code="X", valid_from=day, **CODE), OCTOBER) == tables


@pytest.mark.parametrize(
    ("day", "tables"),
    [(FIRST - timedelta(days=1), []), (FIRST, ["referral_code"])],
)
def test_a_code_concerns_a_month_up_to_its_last_day_in_it(seed: Tables, day: date, tables: list[str]) -> None:
    assert touched(seed, added(seed, "referral_code", referral_code="X", valid_to=day, **CODE), OCTOBER) == tables


def test_an_end_beyond_the_month_does_not_concern_it_and_one_within_does(seed: Tables) -> None:
    where = {"referral_code": "MAU-22348-A"}
    assert touched(seed, changed(seed, "referral_code", where, valid_to=LAST), OCTOBER) == []
    earlier = changed(seed, "referral_code", where, valid_to=LAST - timedelta(days=1))
    assert touched(seed, earlier, OCTOBER) == ["referral_code"]


def test_a_code_that_was_met_concerns_the_month_whenever_it_is_valid(seed: Tables) -> None:
    """A report names who held a code that was used too early or too late."""
    later = added(seed, "referral_code", referral_code="X", valid_from=date(2025, 1, 1), **CODE)
    assert touched(seed, later, OCTOBER) == []
    assert touched(seed, later, OCTOBER, "X") == ["referral_code"]
    # But when it ended, long before, does not show.
    where = {"referral_code": "MAU-DHNT-2"}
    assert touched(seed, changed(seed, "referral_code", where, valid_to=date(2024, 9, 1)), OCTOBER, "MAU-DHNT-2") == []
    holder = changed(seed, "referral_code", where, holder_code="DHKH")
    assert touched(seed, holder, OCTOBER, "MAU-DHNT-2") == ["referral_code"]


def test_a_unit_concerns_its_months_and_the_one_that_is_compared_with_them(seed: Tables) -> None:
    renamed = changed(seed, "commune", PHUOC_TIEN, commune_name="Mới", full_name="Phường Mới")
    assert [touched(seed, renamed, month) for month in (OCTOBER, Month(2024, 11), Month(2024, 12))] == [
        ["commune"],
        ["commune"],
        [],
    ]


def test_old_districts_concern_the_months_without_districts(seed: Tables) -> None:
    """Xã Ninh Sơn of today is told by the district that texts still give for the units it came from."""
    unit = {"commune_code": "22519", "commune_name": "Vạn Thạnh"}
    renamed = changed(seed, "commune", unit, district_name="Huyện Vạn Ninh Mới")
    assert touched(seed, renamed, AUGUST) == ["commune_succession"]
    assert touched(seed, changed(seed, "commune", unit, commune_name="Mới"), AUGUST) == []


def test_a_restated_month_stands_on_the_communes_and_successions_up_to_its_map(seed: Tables) -> None:
    def touched_on(day: date, after: Tables, *, has_boundaries: bool = False) -> list[str]:
        before, now = (as_of_map(one, OCTOBER, day, has_boundaries=has_boundaries) for one in (seed, after))
        return [name for name in before if before[name] != now[name]]

    step = {"old_code": "22363", "effective_date": date(2025, 7, 1)}
    part = changed(seed, "commune_succession", step, whole_or_part="part")
    assert touched_on(date(2025, 7, 1), part) == ["commune_succession"]
    assert touched_on(date(2025, 6, 30), part) == []
    assert touched(seed, part, OCTOBER) == []
    unit = changed(seed, "commune", {"commune_code": "22366", "commune_name": "Tân Tiến"}, kind="xã")
    assert touched_on(date(2025, 7, 1), unit) == ["commune"]
    assert touched_on(date(2024, 9, 1), unit) == []
    # A polygon of the first day holds up to the next succession of its commune.
    early = deepcopy(seed)
    early["commune_succession"].append(step | {"new_code": "22366", "effective_date": date(2020, 1, 1)})
    assert touched_on(date(2025, 7, 1), early) == []
    assert touched_on(date(2025, 7, 1), early, has_boundaries=True) == ["commune_succession"]


def test_organisations_and_operators_concern_the_months_of_their_days(seed: Tables) -> None:
    body = changed(seed, "organisation", {"organisation_code": "SO-NV"}, headcount=51)
    assert touched(seed, body, OCTOBER) == ["organisation"]
    spelling = added(seed, "operator", spelling="x", brand="Viettel", valid_from=LAST + timedelta(days=1))
    assert touched(seed, spelling, OCTOBER) == []
    assert touched(seed, spelling, AUGUST) == ["operator"]


def test_rows_of_one_key_are_compared_and_no_others(seed: Tables) -> None:
    assert differences(seed, deepcopy(seed)) == []
    tables = changed(seed, "operator", {"spelling": "mobicast"}, host_network="MobiFone")
    (found,) = differences(seed, tables)
    assert str(found) == "operator mobicast changed: host_network VinaPhone → host_network MobiFone"
