"""A registry that says something else of a published month: refused, then taken over, and named as the reason of r2."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from ispeed.database import Database
from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.restatement import restate
from ispeed.settings import INCLUDE, Settings
from pipeline import SampleMonths, run_steps

SEPTEMBER, OCTOBER = Month(2024, 9), Month(2024, 10)
REASON = "Danh mục (xã, mã giới thiệu, cơ quan, nhà mạng) thay đổi"


@pytest.fixture(scope="module")
def published(sample_months: SampleMonths, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("rewrite")
    shutil.copytree(INCLUDE / "registry", folder / "registry")
    return replace(sample_months(folder, SEPTEMBER, OCTOBER), registry=folder / "registry")


def put(settings: Settings, name: str, old: str, new: str) -> None:
    path = settings.registry / f"{name}.csv"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def commune(settings: Settings, revision: int) -> dict[str, Any]:
    rows = Database(settings.database_url).rows("report_commune_month", OCTOBER, revision)
    return next(row for row in rows if (row["network"], row["commune_code"]) == ("mobile", "22348"))


def test_a_rewritten_month_is_refused_then_taken_then_published_again_with_its_reason(published: Settings) -> None:
    """Each step stands on the one before: days to come, days past, the refusal, the taking, the second revision."""
    settings, folder = published, published.lake / "registry"

    # What only concerns days to come is taken over without a question.
    put(
        settings,
        "referral_codes",
        "MAU-22348-A,commune,22348,2024-01-01,2025-06-30",
        "MAU-22348-A,commune,22348,2024-01-01,2025-05-31",
    )
    report = sync_registry(settings)
    assert (report["number"], report["rewritten_months"]) == (2, [])
    assert report["differences"] == {"referral_code": {"ended": 1}}

    # A new name from the beginning on is what September and October stand on.
    put(settings, "communes", "22348,Vạn Thạnh,phường", "22348,Vạn Thạnh Mới,phường")
    with pytest.raises(UserError) as error:
        sync_registry(settings)
    told = str(error.value)
    assert "stand on: 2024-09 (commune), 2024-10 (commune)" in told
    assert "commune_name Vạn Thạnh, full_name Phường Vạn Thạnh → commune_name Vạn Thạnh Mới" in told
    assert "REWRITE_PUBLISHED=1" in told
    assert json.loads((folder / "registry.json").read_text())["number"] == 2
    # A month run meanwhile stays what it is.
    assert run_steps(settings, OCTOBER)["is_new"] is False

    asked = sync_registry(settings, dry_run=True)
    assert asked["rewritten_months"] == ["2024-09", "2024-10"]
    assert json.loads((folder / "registry.json").read_text())["number"] == 2

    taken = sync_registry(settings, rewrite_published=True)
    assert (taken["number"], taken["is_new"]) == (3, True)
    assert taken["rewritten_months"] == ["2024-09", "2024-10"]
    # It is not asked again, neither by the same files nor by others that leave these months alone.
    assert sync_registry(settings)["is_new"] is False
    put(settings, "organisations", "SO-NV,Sở Nội vụ,department,,50,,", "SO-NV,Sở Nội vụ,department,,50,,2030-12-31")
    assert sync_registry(settings)["rewritten_months"] == []

    result = run_steps(settings, OCTOBER)
    assert (result["revision"], result["is_new"]) == (2, True)
    assert [commune(settings, revision)["commune_name"] for revision in (1, 2)] == ["Vạn Thạnh", "Vạn Thạnh Mới"]
    second = Database(settings.database_url).publication(OCTOBER, 2)
    assert second is not None
    assert second["why"] == REASON
    (path,) = Path(result["path"]).glob("*.xlsx")
    sheet = load_workbook(path, read_only=True)["Thay đổi"]
    lines = [[str(cell) for cell in row if cell is not None] for row in sheet.iter_rows(values_only=True)]
    changed = [line for line in lines if "Vạn Thạnh" in line and "Vạn Thạnh Mới" in line]
    assert changed
    assert all(line[-1] == REASON for line in changed)
    manifests = [
        json.loads((settings.share_of(OCTOBER) / f"r{n}" / "manifest.json").read_text())["origin"] for n in (1, 2)
    ]
    versions = [json.loads((folder / "versions" / number / "registry.json").read_text()) for number in ("0001", "0004")]
    assert [origin["registry"]["version"] for origin in manifests] == [note["version"] for note in versions]

    # A month on the map of another day stands on the way there, too.
    restate(settings, OCTOBER, date(2025, 7, 1))
    put(settings, "commune_succession", "22363,22366,2025-07-01,whole", "22363,22402,2025-07-01,whole")
    with pytest.raises(UserError) as error:
        sync_registry(settings)
    assert "stand on: 2024-10 on the map of 2025-07-01 (commune_succession)\n" in str(error.value)
    assert sync_registry(settings, rewrite_published=True)["rewritten_months"] == ["2024-10"]
    assert run_steps(settings, OCTOBER)["is_new"] is False
    restated = restate(settings, OCTOBER)["2025-07-01"]
    assert (restated["revision"], restated["is_new"]) == (2, True)
    second = Database(settings.database_url).publication(OCTOBER, 2, date(2025, 7, 1))
    assert second is not None
    assert second["why"] == REASON

    # October now stands on the new name; September still on the old one: going back concerns October alone.
    put(settings, "communes", "22348,Vạn Thạnh Mới,phường", "22348,Vạn Thạnh,phường")
    with pytest.raises(UserError) as error:
        sync_registry(settings)
    assert "stand on: 2024-10 (commune), 2024-10 on the map of 2025-07-01 (commune)\n" in str(error.value)
