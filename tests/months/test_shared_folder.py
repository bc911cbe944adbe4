"""The shared folder: others write to it too, it may be full, held or gone; a publication is whole or not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import ispeed.lake
from ispeed.database import Database
from ispeed.draft import write_workbooks
from ispeed.errors import ShareFault, UserError
from ispeed.months import Month
from ispeed.retention import remove_superseded, utc_now
from ispeed.sample import make_exports
from ispeed.settings import Settings
from ispeed.share import publish
from ispeed.shared_folder import MARKER
from ispeed.verification import verify
from pipeline import BUILD, SampleMonths, run_steps, settings_in

SEPTEMBER, OCTOBER = Month(2024, 9), Month(2024, 10)


@pytest.fixture(scope="module")
def once(sample_months: SampleMonths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """September published, October ready to be."""
    folder = tmp_path_factory.mktemp("share")
    settings = sample_months(folder, SEPTEMBER)
    make_exports(settings, [OCTOBER], n_rows=400)
    run_steps(settings, OCTOBER, (*BUILD, write_workbooks))
    return folder


@pytest.fixture
def settings(once: Path, tmp_path: Path) -> Settings:
    shutil.copytree(once, tmp_path / "var", symlinks=True)
    return settings_in(tmp_path / "var")


def is_published(settings: Settings) -> bool:
    """Whether October is, in the database and in the share, or in neither."""
    in_database = Database(settings.database_url).current_revision(OCTOBER) == 1
    in_share = (settings.share_of(OCTOBER) / "r1" / "manifest.json").exists()
    assert in_database == in_share
    return in_database


@pytest.fixture
def small_disk(settings: Settings) -> Iterator[Path]:
    """A small real file system in the place of the share, with what was published on it."""
    kept = settings.share.with_name("kept")
    settings.share.rename(kept)
    settings.share.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(settings.share)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted by root")
    shutil.copytree(kept, settings.share, dirs_exist_ok=True)
    try:
        yield settings.share
    finally:
        subprocess.run(["umount", "-l", str(settings.share)], capture_output=True, check=False)


def test_on_a_full_disk_nothing_is_half_published_and_the_next_run_goes_through(
    settings: Settings, small_disk: Path
) -> None:
    others = small_disk / "big"
    free = shutil.disk_usage(small_disk).free
    others.write_bytes(b"x" * (free - 64 * 1024))
    with pytest.raises(ShareFault, match="No space left on device[\\s\\S]*make room on the share"):
        publish(settings, OCTOBER)
    assert not is_published(settings)
    assert not list(settings.share_of(OCTOBER).glob(".ispeed-new-*"))
    others.unlink()
    publish(settings, OCTOBER)
    assert is_published(settings)


def test_nothing_is_published_into_the_place_of_a_share_that_is_not_mounted(
    settings: Settings, small_disk: Path
) -> None:
    subprocess.run(["umount", str(small_disk)], check=True)
    with pytest.raises(ShareFault, match="none of the revisions that the reports database says were published"):
        publish(settings, OCTOBER)
    assert list(small_disk.iterdir()) == []
    small_disk.rmdir()
    with pytest.raises(ShareFault, match="no such folder[\\s\\S]*mount it"):
        publish(settings, OCTOBER)
    small_disk.with_name("kept").rename(small_disk)
    publish(settings, OCTOBER)
    assert is_published(settings)
    small_disk.mkdir(exist_ok=True)


def test_a_file_that_somebody_holds_open_is_named_and_the_next_run_heals(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a share of Windows answers when `latest.json` is to be replaced while Excel or a viewer has it open."""
    replace = os.replace

    def held(old: str, new: Path) -> None:
        if Path(new).name == "latest.json":
            raise PermissionError(errno.EACCES, "Permission denied", str(new))
        replace(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(ispeed.lake.os, "replace", held)
        with pytest.raises(ShareFault, match=r"latest\.json[\s\S]*have the file closed"):
            publish(settings, OCTOBER)
    assert is_published(settings)
    publish(settings, OCTOBER)
    assert json.loads((settings.share_of(OCTOBER) / "latest.json").read_text())["revision"] == 1


def test_what_others_put_there_is_left_alone(settings: Settings) -> None:
    theirs = {
        settings.share / "Ghi chú.docx": b"notes",
        settings.share_of(OCTOBER) / ".r-draft" / "x": b"hidden",
        settings.share_of(OCTOBER) / "~$bao-cao.xlsx": b"open",
        settings.share_of(SEPTEMBER) / "r1" / "nhận xét.txt": b"remarks",
    }
    for path, content in theirs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    publish(settings, OCTOBER)
    assert is_published(settings)
    assert {path: path.read_bytes() for path in theirs} == theirs


def test_somebody_elses_folder_in_the_place_of_a_revision_is_not_written_over(settings: Settings) -> None:
    folder = settings.share_of(OCTOBER) / "r1"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"revision": "theirs"}')
    with pytest.raises(UserError, match="something that was not published from here"):
        publish(settings, OCTOBER)
    assert (folder / "manifest.json").read_text() == '{"revision": "theirs"}'
    assert Database(settings.database_url).current_revision(OCTOBER) is None


def test_a_share_of_before_there_were_marks_is_known_by_what_stands_in_it(settings: Settings) -> None:
    (settings.share / MARKER).unlink()
    publish(settings, OCTOBER)
    assert is_published(settings)
    assert (settings.share / MARKER).exists()


def test_files_of_superseded_revisions_go_only_when_policy_says_so_and_can_be_made_anew(settings: Settings) -> None:
    publish(settings, OCTOBER)
    late = "Thời gian đo,Loại mạng,Download (Mbps)\n15/10/2024 08:00:00,4G,33\n"
    (settings.exports_of(OCTOBER) / "late.csv").write_text(late, encoding="utf-8")
    run_steps(settings, OCTOBER)
    folder, database = settings.share_of(OCTOBER) / "r1", Database(settings.database_url)
    (folder / "nhận xét.txt").write_text("theirs")
    later = utc_now() + timedelta(days=40)
    assert remove_superseded(settings, database, OCTOBER, 0, later) == []
    assert remove_superseded(settings, database, OCTOBER, 60, later) == []
    assert remove_superseded(settings, database, OCTOBER, 30, later) == [1]
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "nhận xét.txt"]
    assert len(list((settings.share_of(OCTOBER) / "r2").glob("*.xlsx"))) == 1
    assert remove_superseded(settings, database, OCTOBER, 30, later) == []
    found = verify(settings, OCTOBER, 1)
    assert {difference.partition(" ")[2] for difference in found.differences} == {"is gone from the share"}
