"""Another device key: the same figures to the byte, and whatever compares devices over months says that it cannot."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from ispeed.draft import read_draft
from ispeed.engine import open_engine
from ispeed.lake import read_step
from ispeed.months import Month
from ispeed.settings import Settings
from ispeed.verification import verify
from pipeline import BUILD, PUBLISH, SampleMonths, run_steps

NEW_DEVICES = "Không phải hầu hết thiết bị của tháng đều chưa từng gặp"
SEPTEMBER, OCTOBER = Month(2024, 9), Month(2024, 10)


@pytest.fixture(scope="module")
def under_first_key(sample_months: SampleMonths, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """September and October published, staged under the key of all tests."""
    return sample_months(tmp_path_factory.mktemp("key"), SEPTEMBER, OCTOBER)


def hashes(settings: Settings) -> set[int]:
    with open_engine() as engine:
        engine.read_parquet("core", settings.lake_of("core", OCTOBER) / "core_measurement.parquet")
        return {row["device_hash"] for row in engine.rows("select distinct device_hash from core")} - {None}


def test_the_id_of_the_key_is_noted_and_the_key_is_nowhere(under_first_key: Settings) -> None:
    key, key_id = under_first_key.device_key.encode(), under_first_key.device_key_id
    for folder in (under_first_key.lake, under_first_key.share):
        for path in folder.rglob("*"):
            assert path.is_dir() or key not in path.read_bytes(), path
    for layer in ("staging", "core"):
        assert read_step(under_first_key, layer, OCTOBER, "")["device_key"] == key_id
    manifest = json.loads((under_first_key.share_of(OCTOBER) / "r1" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["origin"]["device_key"] == key_id


def test_under_another_key_a_revision_is_made_anew_byte_for_byte_and_it_is_told_what_is_not_compared(
    under_first_key: Settings,
) -> None:
    rotated = replace(under_first_key, device_key="the second key")
    found = verify(rotated, OCTOBER, 1)
    assert found.differences == []
    (note,) = found.notes
    assert under_first_key.device_key_id in note
    assert rotated.device_key_id in note
    assert "every figure must be equal" in note


def test_a_month_run_again_under_another_key_has_other_hashes_and_publishes_nothing_new(
    under_first_key: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    rotated = replace(under_first_key, device_key="the second key")
    before = hashes(under_first_key)
    with caplog.at_level(logging.INFO):
        run_steps(rotated, OCTOBER, (*BUILD, *PUBLISH))
    assert before
    assert hashes(rotated)
    assert not before & hashes(rotated)
    assert read_draft(rotated, OCTOBER).is_unchanged
    # Not as a warning that all devices are new.
    assert f"2024-09 was staged under device key {under_first_key.device_key_id}" in caplog.text
    assert NEW_DEVICES not in caplog.text
