"""Revisions: each cause shows itself and only itself; what was published can be taken back, and made anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook

import ispeed.origin
from ispeed.database import Database
from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.revision_commands import run_diff, run_verify
from ispeed.sample import make_exports
from ispeed.settings import INCLUDE, Settings
from ispeed.verification import verify
from ispeed.withdrawal import NOTE, withdraw
from pipeline import SampleMonths, run_steps, settings_in

SEPTEMBER, OCTOBER = Month(2024, 9), Month(2024, 10)
HEADER = "Thời gian đo,Mã thiết bị,Mã giới thiệu,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps)\n"
ROWS = "".join(f"15/10/2024 0{n}:00:00,d{n},MAU-22366-A,56,22366,Viettel,5G+,33\n" for n in range(1, 4))


@pytest.fixture(scope="module")
def once(sample_months: SampleMonths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months, published; three rows of October call their technology by a name that nobody knows."""
    folder = tmp_path_factory.mktemp("revisions")
    sample_months(folder, SEPTEMBER)
    settings = own_files(folder)
    make_exports(settings, [OCTOBER], n_rows=1_500)
    (settings.exports_of(OCTOBER) / "odd.csv").write_text(HEADER + ROWS, encoding="utf-8")
    run_steps(settings, OCTOBER)
    return folder


def publish_both(settings: Settings) -> None:
    sync_registry(settings)
    for month in (SEPTEMBER, OCTOBER):
        run_steps(settings, month)


@pytest.fixture
def settings(once: Path, tmp_path: Path) -> Settings:
    shutil.copytree(once, tmp_path / "var", symlinks=True)
    return own_files(tmp_path / "var")


def own_files(folder: Path) -> Settings:
    """Settings with a registry, policy and contract of their own, to be changed."""
    if not (folder / "registry").exists():
        shutil.copytree(INCLUDE / "registry", folder / "registry")
        shutil.copy(INCLUDE / "policy.yaml", folder / "policy.yaml")
        shutil.copy(INCLUDE / "sources" / "ispeed.yaml", folder / "ispeed.yaml")
    return settings_in(
        folder, registry=folder / "registry", policy=folder / "policy.yaml", source=folder / "ispeed.yaml"
    )


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def late_rows(settings: Settings, _: pytest.MonkeyPatch) -> None:
    row = "16/10/2024 08:00:00,late,MAU-22366-A,56,22366,Viettel,4G,33\n"
    (settings.exports_of(OCTOBER) / "late.csv").write_text(HEADER + row, encoding="utf-8")


def sent_again(settings: Settings, _: pytest.MonkeyPatch) -> None:
    change(settings.exports_of(OCTOBER) / "odd.csv", "5G+", "4G")


def taken_back(settings: Settings, _: pytest.MonkeyPatch) -> None:
    (settings.exports_of(OCTOBER) / "odd.csv").unlink()


def quarantine_released(settings: Settings, _: pytest.MonkeyPatch) -> None:
    change(settings.source, "    lte: 4G\n", "    lte: 4G\n    5g+: 5G\n")


def registry(settings: Settings, _: pytest.MonkeyPatch) -> None:
    change(settings.registry / "organisations.csv", "Trường Đại học Nha Trang", "Trường Đại học Nha Trang mới")
    sync_registry(settings, rewrite_published=True)


def policy(settings: Settings, _: pytest.MonkeyPatch) -> None:
    change(settings.policy, "publish_minimum:\n    - value: 30", "publish_minimum:\n    - value: 12")


def code(settings: Settings, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ispeed.origin, "rules_fingerprint", lambda: "of other code")


def previous_month(settings: Settings, _: pytest.MonkeyPatch) -> None:
    rows = "".join(f"16/09/2024 08:{n:02}:00,l{n},,56,22366,Viettel,4G,3{n}\n" for n in range(30))
    (settings.exports_of(SEPTEMBER) / "late.csv").write_text(HEADER + rows, encoding="utf-8")
    run_steps(settings, SEPTEMBER)


CAUSES: dict[str, Callable[[Settings, pytest.MonkeyPatch], None]] = {
    "Số liệu đến muộn: 1 dòng trong 1 tệp mới": late_rows,
    "Tệp xuất được gửi lại: 1 tệp, 3 dòng nay là 3 dòng": sent_again,
    "Tệp xuất được rút lại: 1 tệp, 3 dòng": taken_back,
    "Cách đọc tệp (hợp đồng nguồn) thay đổi: 3 dòng cách ly được nhận lại": quarantine_released,
    "Danh mục (xã, mã giới thiệu, cơ quan, nhà mạng) thay đổi": registry,
    "Chính sách (ngưỡng, mục tiêu) thay đổi: publish_minimum 30 → 12": policy,
    "Quy tắc tính hoặc kiểm tra thay đổi": code,
    "Số liệu các tháng trước được phát hành lại": previous_month,
}


@pytest.mark.parametrize("sentence", CAUSES)
def test_a_revision_made_by_one_cause_shows_that_cause_and_only_it(
    settings: Settings, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    CAUSES[sentence](settings, monkeypatch)
    before = {path: path.read_bytes() for path in (settings.share_of(OCTOBER) / "r1").rglob("*") if path.is_file()}
    assert run_steps(settings, OCTOBER)["revision"] == 2
    published = Database(settings.database_url).publication(OCTOBER, 2)
    assert published is not None and published["why"] == sentence
    assert {path: path.read_bytes() for path in before} == before
    (workbook,) = (settings.share_of(OCTOBER) / "r2").glob("*.xlsx")
    book = load_workbook(workbook)
    assert f"so với bản r1. Nguyên nhân: {sentence}." in str([cell.value for row in book["Tổng quan"] for cell in row])
    rows = list(book["Thay đổi"].iter_rows(values_only=True))
    cells = [row for row in rows if isinstance(row[0], int)]
    assert {row[6] for row in cells} <= {sentence.partition(":")[0]}
    # Only code that changes no figure changes no cell.
    assert bool(cells) == (CAUSES[sentence] is not code)
    monkeypatch.setattr(Settings, "from_environment", lambda: settings)
    run_diff(OCTOBER, 1, 2)
    printed = capsys.readouterr().out
    assert f"2024-10: r1 → r2, {len(cells):,} cells differ\n  {sentence}\n\ncells by cause\n" in printed
    assert len(printed.split("\n\n")[2].splitlines()) == len(cells)


def test_of_two_causes_each_cell_has_the_one_that_can_explain_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cause in (late_rows, registry):
        cause(settings, monkeypatch)
    run_steps(settings, OCTOBER)
    (workbook,) = (settings.share_of(OCTOBER) / "r2").glob("*.xlsx")
    rows = [row for row in load_workbook(workbook)["Thay đổi"].iter_rows(values_only=True) if isinstance(row[0], int)]
    causes = {(row[1], row[3]): row[6] for row in rows}
    assert causes["Cơ quan đơn vị", "Cơ quan, đơn vị"] == "Danh mục (xã, mã giới thiệu, cơ quan, nhà mạng) thay đổi"
    both = "Số liệu đến muộn; Danh mục (xã, mã giới thiệu, cơ quan, nhà mạng) thay đổi"
    # A test more may have come from the file, or from another reading of its commune.
    assert causes["Phụ lục I", "Lượt đo"] == both


def test_a_withdrawn_revision_stays_marked_and_the_one_before_stands_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    late_rows(settings, monkeypatch)
    run_steps(settings, OCTOBER)
    share, database = settings.share_of(OCTOBER), Database(settings.database_url)
    with pytest.raises(UserError, match="no reason"):
        withdraw(settings, OCTOBER, 2, " ")
    with pytest.raises(UserError, match="no revision r3"):
        withdraw(settings, OCTOBER, 3, "-")
    withdraw(settings, OCTOBER, 2, "Tệp đến muộn là của tỉnh khác")
    assert [row["state"] for row in database.publications(OCTOBER)] == ["published", "withdrawn"]
    assert json.loads((share / "latest.json").read_text())["revision"] == 1
    note = (share / "r2" / NOTE).read_text(encoding="utf-8-sig")
    assert "r2 CỦA THÁNG 10/2024 ĐÃ BỊ THU HỒI" in note
    assert "Lý do: Tệp đến muộn là của tỉnh khác" in note
    assert "Bản có hiệu lực thay thế: r1;" in note
    with pytest.raises(UserError, match="withdrawn already"):
        withdraw(settings, OCTOBER, 2, "again")
    with pytest.raises(UserError, match="the same as r2, which .* withdrew: Tệp đến muộn"):
        run_steps(settings, OCTOBER)
    # What it was withdrawn for is mended: what stands now is as r1, and another late row makes r3, seen from r1.
    (settings.exports_of(OCTOBER) / "late.csv").unlink()
    assert run_steps(settings, OCTOBER)["revision"] == 1
    row = "17/10/2024 08:00:00,late,MAU-22366-A,56,22366,Viettel,4G,44\n"
    (settings.exports_of(OCTOBER) / "late2.csv").write_text(HEADER + row, encoding="utf-8")
    assert run_steps(settings, OCTOBER)["revision"] == 3
    (workbook,) = (share / "r3").glob("*.xlsx")
    assert "ô thay đổi so với bản r1." in str(load_workbook(workbook)["Thay đổi"]["A3"].value)
    assert [row["state"] for row in database.publications(OCTOBER)] == ["superseded", "withdrawn", "published"]


def test_where_every_revision_is_withdrawn_none_is_the_latest(settings: Settings) -> None:
    withdraw(settings, OCTOBER, 1, "Sai tỉnh")
    assert not (settings.share_of(OCTOBER) / "latest.json").exists()
    assert Database(settings.database_url).current_revision(OCTOBER) is None
    assert "Hiện không có bản nào" in (settings.share_of(OCTOBER) / "r1" / NOTE).read_text(encoding="utf-8-sig")


def test_a_published_revision_is_made_anew_byte_for_byte(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when since then late rows, registry, policy and contract came, and the month before was taken back."""
    for cause in (late_rows, quarantine_released, registry, policy, previous_month):
        cause(settings, monkeypatch)
    withdraw(settings, SEPTEMBER, 2, "Tệp đến muộn là của tỉnh khác")
    run_steps(settings, OCTOBER)
    monkeypatch.setattr(Settings, "from_environment", lambda: settings)
    for revision in (1, 2):
        assert run_verify(OCTOBER, revision) == 0
        assert f"2024-10 r{revision} is equal: " in capsys.readouterr().out


def test_verifying_names_what_differs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = settings.share_of(OCTOBER) / "r1"
    (folder / "~$bao-cao.xlsx").write_text("somebody has it open")
    change(folder / "csv" / "report_province_month.csv", "mobile", "fixed")
    found = verify(settings, OCTOBER, 1)
    assert found.notes == ["~$bao-cao.xlsx lies beside what was published"]
    assert found.differences == ["csv/report_province_month.csv in the share was changed since it was published"]
    code(settings, monkeypatch)
    found = verify(settings, OCTOBER, 1)
    assert "made from other rules than the code here" in found.notes
    inputs = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["inputs"]
    landed = next(file["sha256"] for file in inputs if file["name"] == "odd.csv")
    (settings.lake_of("landing", OCTOBER) / landed).unlink()
    with pytest.raises(UserError, match=r"no bytes of odd\.csv"):
        verify(settings, OCTOBER, 1)


ELSEWHERE = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]

class Backwards:
    def __init__(self, path="."):
        with scandir(path) as entries:
            self.entries = iter(sorted(entries, key=lambda entry: entry.name, reverse=True))
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def close(self): pass
    def __iter__(self): return self
    def __next__(self): return next(self.entries)

scandir, listdir = os.scandir, os.listdir
os.scandir = Backwards
os.listdir = lambda path=".": sorted(listdir(path), reverse=True)
import test_revisions
test_revisions.publish_both(test_revisions.own_files(Path(sys.argv[1])))
"""


def test_another_machine_makes_the_same_bytes(once: Path, tmp_path: Path) -> None:
    """Time zone, language, hash seed, user, umask, cores, temporary folder and order of files are of nowhere else."""
    elsewhere, temporary = tmp_path / "ở nơi khác", tmp_path / "tạm thời"
    temporary.mkdir()
    shutil.copytree(once / "exports", elsewhere / "exports")
    environment = os.environ | {
        "TZ": "Pacific/Kiritimati",
        "LANG": "tr_TR.UTF-8",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "77",
        "USER": "ai đó",
        "LOGNAME": "ai-do",
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
    }
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(elsewhere), str(Path(__file__).parent), *sys.path],
        env=environment,
        umask=0o077,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    made, published = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("r1/**/*") if path.is_file()}
        for folder in (elsewhere / "share", once / "share")
    )
    assert len(made) > 40
    assert made == published
