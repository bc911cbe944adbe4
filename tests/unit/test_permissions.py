"""Who may read what the pipeline writes: the lake and the device key its owner only, the share everybody."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from ispeed.lake import month_lock, replaced_folder, write_file
from ispeed.months import Month
from ispeed.settings import Settings
from ispeed.shared_folder import put_revision


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=lambda mask: f"umask {mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.usefixtures("umask")
def test_a_lake_and_a_device_key_that_are_made_are_their_owners_only(tmp_path: Path) -> None:
    settings = Settings.from_environment({"ISPEED_VAR": str(tmp_path / "var")})
    assert mode(tmp_path / "var" / "device.key") == 0o600
    with month_lock(settings, Month(2024, 10)):
        assert mode(settings.lake) == 0o700


def test_a_lake_that_was_there_keeps_the_mode_that_its_owner_gave_it(settings: Settings) -> None:
    settings.lake.mkdir(mode=0o750)
    settings.lake.chmod(0o750)
    with month_lock(settings, Month(2024, 10)):
        assert mode(settings.lake) == 0o750


@pytest.mark.usefixtures("umask")
def test_what_is_published_can_be_read_by_everybody_and_written_by_its_owner_only(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    with replaced_folder(tmp_path / "draft") as files:
        write_file(files / "manifest.json", b"{}")
        write_file(files / "csv" / "a.csv", b"")
        # As XlsxWriter does, with what the umask leaves.
        (files / "a.xlsx").touch()

    put_revision(tmp_path / "draft", share / "2024-10" / "r1", lambda _: nullcontext())
    write_file(share / "latest.json", b"{}")
    modes = {str(path.relative_to(share)): mode(path) for path in share.rglob("*")}
    assert modes == {
        "2024-10": 0o755,
        "2024-10/r1": 0o755,
        "2024-10/r1/a.xlsx": 0o644,
        "2024-10/r1/csv": 0o755,
        "2024-10/r1/csv/a.csv": 0o644,
        "2024-10/r1/manifest.json": 0o644,
        "latest.json": 0o644,
    }
