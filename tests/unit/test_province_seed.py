"""First registries of other provinces: ours made again from the public package, and each of the 34 read back."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.province_seed import write_province_seed
from ispeed.registry import sync_registry
from ispeed.settings import INCLUDE
from pipeline import settings_in

Row = dict[str, str]


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_khanh_hoa_comes_out_as_our_own_sources_have_it(tmp_path: Path) -> None:
    """Two compilations that know nothing of each other: 132 + 62 units, then 65, and what became what."""
    write_province_seed("56", tmp_path)
    told = ("commune_code", "commune_name", "kind", "district_code", "district_name", "province_code")
    for last_day, n_units in (("2025-06-30", 194), ("", 65)):
        theirs, ours = (
            {
                tuple(row[column].replace(" - ", "-") for column in told)
                for row in rows(folder / "communes.csv")
                if row["valid_to"] == last_day
            }
            for folder in (tmp_path / "registry", INCLUDE / "registry")
        )
        assert len(theirs) == n_units
        assert theirs == ours
    theirs_became, ours_became = (
        {
            tuple(row.values())
            for row in rows(folder / "commune_succession.csv")
            if row["effective_date"] == "2025-07-01"
        }
        for folder in (tmp_path / "registry", INCLUDE / "registry")
    )
    assert theirs_became == ours_became


def test_every_province_can_be_read_back(tmp_path: Path) -> None:
    with pytest.raises(UserError) as told:
        write_province_seed("00", tmp_path / "00")
    codes = [text.split()[0] for text in told.value.expected.split(", ")]
    assert len(codes) == 34
    n_communes = 0
    for code in codes:
        folder = tmp_path / code
        counts = write_province_seed(code, folder)
        settings = settings_in(folder, registry=folder / "registry", policy=folder / "policy.yaml")
        assert sync_registry(settings)
        policy = read_policy(settings.policy, Month(2025, 7).last_day)
        assert (policy.province.code, policy.reference) == (code, "")
        assert policy.parent_body == f"ỦY BAN NHÂN DÂN {counts.name.upper()}"
        n_communes += counts.n_after
    # Nghị quyết of 2025: 3,321 communes in the 34 provinces.
    assert n_communes == 3321


def test_a_registry_that_is_there_stays(tmp_path: Path) -> None:
    write_province_seed("48", tmp_path)
    with pytest.raises(UserError, match="a registry"):
        write_province_seed("48", tmp_path)
