"""Which commune a text means, in the pipeline and in `benchmarks/pandas_reference.py`, before 07/2025 and after.

Both read the same export: units of the registry and of other days, written in the ways of forms and old programs, with
their district, another one, or none. Neither knows of the other's code.
"""

from __future__ import annotations

import csv
import random
import unicodedata
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from test_agreement import load_reference

from ispeed.checks import check_staging
from ispeed.core import build_core
from ispeed.engine import open_engine
from ispeed.landing import land
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.settings import INCLUDE
from ispeed.staging import stage
from pipeline import run_steps, settings_in

pytestmark = pytest.mark.tells

N_ROWS = 1_500
HEADERS = ("Thời gian đo", "Mã tỉnh", "Mã huyện", "Quận/Huyện", "Xã/Phường", "Loại mạng", "Download (Mbps)")
SHORT = {"xã": "X", "phường": "P", "thị trấn": "TT", "đặc khu": "ĐK", "thành phố": "TP", "thị xã": "TX", "huyện": "H"}
WRITINGS = (
    str,
    str.upper,
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: text.replace("òa", "oà").replace("ủy", "uỷ").replace("ọe", "oẹ"),
    lambda text: text.replace("Đ", "\u00d0").replace(" ", "\u00a0"),
    lambda text: "\u200b" + text.replace(" ", " \u2060"),
    lambda text: text.replace("-", " \u2013 "),
    lambda text: text.replace("-", " "),
)


def units() -> list[dict[str, str]]:
    with (INCLUDE / "registry" / "communes.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written(kind: str, name: str, chance: random.Random) -> str:
    short = SHORT[kind]
    forms = (name, f"{kind.capitalize()} {name}", f"{short}. {name}", f"{short}.{name}", f"{short} {name}")
    form = chance.choice([*forms, f"{'.'.join(short)}. {name}", f"{short.lower()}.{name}"])
    return chance.choice(WRITINGS)(form)


def exported(month: Month) -> Iterator[tuple[str, ...]]:
    """Rows that name a unit of any day: most with a district of its own, some with another's code or name."""
    chance = random.Random(f"places of {month}")
    known = units()
    districts = sorted({(unit["district_code"], unit["district_name"]) for unit in known if unit["district_name"]})
    for number in range(N_ROWS):
        unit = chance.choice(known)
        code, full = (
            chance.choice(districts) if chance.random() < 0.3 else (unit["district_code"], unit["district_name"])
        )
        kind = next((kind for kind in SHORT if full.lower().startswith(f"{kind} ")), "")
        district = written(kind, full[len(kind) + 1 :], chance) if kind else full
        given = chance.choice([("", ""), (code, ""), ("", district), (code, district), ("", " \u200b")])
        commune = written(chance.choice([unit["kind"]] * 5 + ["xã"]), unit["commune_name"], chance)
        province = chance.choice([unit["province_code"], "", "56"])
        yield (
            f"15/{month.number:02}/{month.year} 08:00:00",
            province,
            *given,
            commune,
            "4G",
            f"{1 + number / 100}",
        )


@pytest.mark.parametrize("month", [Month(2024, 10), Month(2024, 12), Month(2025, 7)], ids=str)
def test_pipeline_and_reference_find_the_same_commune(tmp_path: Path, month: Month) -> None:
    settings = settings_in(tmp_path)
    settings.exports_of(month).mkdir(parents=True)
    with (settings.exports_of(month) / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADERS, *exported(month)])
    sync_registry(settings)
    run_steps(settings, month, (land, stage, check_staging, build_core))
    with open_engine() as engine:
        engine.read_parquet("core", settings.lake_of("core", month) / "core_measurement.parquet")
        rows = engine.rows("select row_number, coalesce(commune_code, '') as code from core")
    ours = {row["row_number"]: row["code"] for row in rows}
    outcomes = load_reference().reference_outcomes(settings.exports, settings.registry, str(month), datetime.now(UTC))
    theirs = dict(zip(outcomes.accepted["row_number"], outcomes.accepted["found_commune_code"], strict=True))
    assert len(ours) == len(theirs) == N_ROWS
    texts = list(exported(month))
    assert [(texts[n - 2], ours[n], theirs[n]) for n in ours if ours[n] != theirs[n]][:5] == []
    found = Counter(bool(code) for code in ours.values())
    print(f"{month}: {found[True]:,} of {N_ROWS:,} texts name a commune of their day, {found[False]:,} none or two")
    # As many of both as the comparison needs to say something.
    assert min(found[True], found[False]) > N_ROWS / 10
