"""First registry files and policy for any province, from the public package `vietnamadminunits` (MIT licence).

The package holds the units of early 2025 and those from 01/07/2025 with the Statistics Office's codes, one point a
unit, and which unit became which. It knows no month before its first picture: for those the department's own list
must take the place of `communes.csv`.
"""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from ispeed.errors import UserError
from ispeed.settings import INCLUDE
from ispeed.text import slug

PACKAGE = "vietnamadminunits"
_DAY_BEFORE, _DAY = "2025-06-30", "2025-07-01"


@dataclass(frozen=True)
class SeedCounts:
    """What was written, and what the package has but the registry cannot hold."""

    name: str
    n_before: int
    n_after: int
    n_districts: int
    without_communes: tuple[str, ...]


def write_province_seed(province_code: str, folder: Path) -> SeedCounts:
    """Write `registry/*.csv`, their README and `policy.yaml` for a province of the 34 since 07/2025 to `folder`.

    Raises `UserError` where the package is missing, the code is none of the 34, or the folder holds a registry.
    """
    units = _Units.read()
    names = {row["provinceCode"]: row["province"] for row in units.after}
    if province_code not in names:
        raise UserError(
            f"province {province_code!r}",
            "no such code since 01/07/2025",
            ", ".join(f"{code} {name}" for code, name in sorted(names.items())),
            "give one of these codes",
        )
    registry = folder / "registry"
    if registry.exists():
        raise UserError(f"folder {registry}", "a registry", "none", "remove it, or give another folder")
    name = names[province_code]
    after = [row for row in units.after if row["provinceCode"] == province_code]
    new_key = after[0]["provinceKey"]
    every_before = [row for row in units.before if row["provinceKey"] in units.provinces[new_key]]
    before = [row for row in every_before if row["wardCode"]]
    districts = {row["districtCode"]: row for row in every_before if row["districtCode"]}
    registry.mkdir(parents=True)
    _write(
        registry / "communes.csv",
        "commune_code,commune_name,kind,district_code,district_name,province_code,province_name,valid_from,valid_to",
        [_commune(row, row["districtCode"], row["district"], "", _DAY_BEFORE) for row in before]
        + [_commune(row, "", "", _DAY, "") for row in after],
    )
    _write(
        registry / "commune_succession.csv",
        "old_code,new_code,effective_date,whole_or_part",
        units.succession(before, new_key),
    )
    _write(
        registry / "commune_points_2025.csv",
        "commune_code,commune_name,kind,latitude,longitude",
        [(province_code, name, "province", *_town_centre(after))]
        + [
            (row["wardCode"], row["wardShort"], row["wardType"].lower(), row["wardLat"], row["wardLon"])
            for row in after
        ],
    )
    bodies = [
        (f"UBND-{code}", f"Ủy ban nhân dân {row['district']}", "district", code, "", "", _DAY_BEFORE)
        for code, row in sorted(districts.items())
        if row["provinceCode"] == province_code
    ]
    _write(
        registry / "organisations.csv",
        "organisation_code,organisation_name,organisation_kind,district_code,headcount,valid_from,valid_to",
        bodies,
    )
    _write(
        registry / "referral_codes.csv",
        "referral_code,holder_kind,holder_code,valid_from,valid_to",
        [
            (f"MAU-{row['wardCode']}-A", "commune", row["wardCode"], "2024-01-01", _DAY_BEFORE)
            for row in before
            if row["provinceCode"] == province_code
        ]
        + [(f"MAU-{row['wardCode']}-B", "commune", row["wardCode"], _DAY, "") for row in after]
        + [(f"MAU-{body[0]}", "organisation", body[0], "2024-01-01", _DAY_BEFORE) for body in bodies],
    )
    shutil.copyfile(INCLUDE / "registry" / "operators.csv", registry / "operators.csv")
    (registry / "README.md").write_text(_README.format(name=name, version=units.version), encoding="utf-8")
    _write_policy(folder / "policy.yaml", province_code, name, after[0]["provinceShort"])
    ours = [row for row in before if row["provinceCode"] == province_code]
    without = tuple(row["district"] for row in every_before if not row["wardCode"])
    return SeedCounts(name, len(ours), len(after), len(bodies), without)


@dataclass(frozen=True)
class _Units:
    """The package's tables: units before and after, and the keys of what became what."""

    version: str
    before: Sequence[Mapping[str, Any]]
    after: Sequence[Mapping[str, Any]]
    provinces: Mapping[str, Sequence[str]]
    whole: Mapping[str, Mapping[str, Sequence[str]]]
    divided: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]

    @classmethod
    def read(cls) -> _Units:
        # Its data files alone are read: to import it costs seconds and a wish for the network.
        try:
            package = distribution(PACKAGE)
        except PackageNotFoundError as error:
            raise UserError(
                f"package {PACKAGE}", "not installed", "the version of requirements-dev.txt", "run make registry"
            ) from error
        data = Path(str(package.locate_file(PACKAGE))) / "data"
        database = sqlite3.connect(f"file:{data / 'dataset.db'}?mode=ro", uri=True)
        database.row_factory = sqlite3.Row
        try:
            before = database.execute("select * from admin_units_legacy order by wardCode").fetchall()
            after = database.execute("select * from admin_units order by wardCode").fetchall()
        finally:
            database.close()
        became = json.loads((data / "converter_2025.json").read_text(encoding="utf-8"))
        return cls(
            package.version,
            [dict(row) for row in before],
            [dict(row) for row in after],
            became["DICT_PROVINCE"],
            became["DICT_PROVINCE_WARD_NO_DIVIDED"],
            became["DICT_PROVINCE_WARD_DIVIDED"],
        )

    def succession(self, before: Iterable[Mapping[str, Any]], new_key: str) -> list[tuple[str, str, str, str]]:
        """(old, new, day, whole or part) for each unit; one that became several is in part in each."""
        codes = {row["wardKey"]: row["wardCode"] for row in self.after if row["provinceKey"] == new_key}
        became: dict[str, set[str]] = defaultdict(set)
        for key, olds in self.whole.get(new_key, {}).items():
            for old in olds:
                became[old].add(codes[key])
        for old, parts in self.divided.get(new_key, {}).items():
            became[old] |= {codes[part["newWardKey"]] for part in parts}
        rows = []
        for row in before:
            news = sorted(became[f"{row['provinceKey']}_{row['districtKey']}_{row['wardKey']}"])
            rows += [(row["wardCode"], new, _DAY, "whole" if len(news) == 1 else "part") for new in news]
        return rows


def _commune(
    row: Mapping[str, Any], district_code: str, district_name: str, valid_from: str, valid_to: str
) -> tuple[str, ...]:
    return (
        row["wardCode"],
        row["wardShort"],
        row["wardType"].lower(),
        district_code,
        district_name,
        row["provinceCode"],
        row["province"],
        valid_from,
        valid_to,
    )


def _town_centre(communes: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """The middle of the wards, where people live; of all communes where there is no ward."""
    towns = [row for row in communes if row["wardType"] == "Phường"] or communes
    return (
        round(fmean(row["wardLat"] for row in towns), 4),
        round(fmean(row["wardLon"] for row in towns), 4),
    )


def _write(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)


def _write_policy(path: Path, code: str, name: str, short: str) -> None:
    """The shipped policy with another province; its letters and its own body's name are not another one's."""
    policy = yaml.safe_load((INCLUDE / "policy.yaml").read_text(encoding="utf-8"))
    policy["province"] = {"code": code, "name": short, "slug": slug(short), "place": short}
    policy["values"] |= {
        "parent_body": [{"value": f"ỦY BAN NHÂN DÂN {name.upper()}", "source": "Nghị định 30/2020/NĐ-CP, Phụ lục I"}],
        "reference": [{"value": "", "source": "No letter is known"}],
        "recipient_groups": [{"value": {}, "source": "No grouping is known"}],
    }
    path.write_text(
        "# Made from include/policy.yaml for another province: read each value and its source first.\n"
        + yaml.safe_dump(policy, allow_unicode=True, sort_keys=False, width=120),
        encoding="utf-8",
    )


_README = """# Registry of {name}, a first version

| file | what | source |
|---|---|---|
| `communes.csv` | units up to 30/06/2025 (as of early 2025), and since | `vietnamadminunits` {version}, MIT licence |
| `commune_succession.csv` | old unit → new unit on 01/07/2025 | the same |
| `commune_points_2025.csv` | one approximate point a unit; only sample data use it | the same |
| `operators.csv` | brands, host networks, spellings | as in the project's seed |
| `organisations.csv` | district committees up to 30/06/2025, **no headcounts**; codes made up | the same |
| `referral_codes.csv` | **made up**: every code begins with `MAU-` (mẫu = sample) | none |

Months before early 2025 may have had other units: put the department's own list in the place of `communes.csv` before
you report them.
"""
