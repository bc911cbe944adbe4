"""Whole months from SFTP and S3 and back: what readers of a remote share see, also while it is written to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ispeed import commands, delivery
from ispeed.book_checks.command import check_books
from ispeed.database import Database
from ispeed.delivery import Delivered, Difference, deliver, mend_delivery
from ispeed.draft import write_workbooks
from ispeed.errors import RemoteFault, ShareFault, UserError
from ispeed.month_watch import share_reminders
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.remote_folder import RemoteFolder
from ispeed.retention import remove_superseded, utc_now
from ispeed.sample import make_exports
from ispeed.settings import PROJECT, Settings
from ispeed.share import publish
from ispeed.shared_folder import MARKER
from ispeed.verification import verify
from ispeed.withdrawal import NOTE, withdraw
from pipeline import BUILD, run_steps, settings_in
from remote_servers import Proxy, Remote

OCTOBER = Month(2024, 10)
REGISTRY = PROJECT / "tests" / "reference" / "registry"
LATE = "Thời gian đo,Loại mạng,Download (Mbps)\n15/10/2024 08:00:00,4G,33\n"


@pytest.fixture(params=["s3", "sftp"])
def remote(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """An empty folder on each kind of server, which Airflow has a connection to."""
    server: Remote = request.getfixturevalue(request.param)
    folder = server.below(f"share-{time.monotonic_ns()}")
    if folder.scheme == "sftp":
        folder.root.mkdir()
    for name, value in folder.environment().items():
        monkeypatch.setenv(name, value)
    return folder


@dataclass(frozen=True)
class Made:
    """Installations that tests copy: October published twice; and published once, with the second time drafted."""

    exports: Path
    twice: Path
    drafted: Path


def small(folder: Path, **changed: Any) -> Settings:
    """Settings with a registry of some communes: of a revision there are forty files and not ninety."""
    return settings_in(folder, registry=REGISTRY, **changed)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    settings = small(folder / "twice")
    make_exports(settings, [OCTOBER], n_rows=400)
    shutil.copytree(settings.exports, folder / "exports")
    sync_registry(settings)
    run_steps(settings, OCTOBER)
    (settings.exports_of(OCTOBER) / "late.csv").write_text(LATE, encoding="utf-8")
    run_steps(settings, OCTOBER, (*BUILD, write_workbooks))
    shutil.copytree(folder / "twice", folder / "drafted")
    publish(settings, OCTOBER)
    return Made(folder / "exports", folder / "twice", folder / "drafted")


@pytest.fixture
def settings(made: Made, tmp_path: Path, remote: Remote) -> Settings:
    """October published twice, with nothing of it delivered yet."""
    shutil.copytree(made.twice, tmp_path / "var")
    return small(tmp_path / "var", share_uri=remote.uri)


def local(settings: Settings) -> dict[str, bytes]:
    share = settings.share
    return {path.relative_to(share).as_posix(): path.read_bytes() for path in share.rglob("*") if path.is_file()}


def check_readable(contents: dict[str, bytes]) -> None:
    """Whatever names other files, at any moment: they are there, and are what it says."""
    for path, content in contents.items():
        folder, _, name = path.rpartition("/")
        if name == "manifest.json" and f"{folder}/{NOTE}" not in contents:
            for output in json.loads(content)["outputs"]:
                there = contents[f"{folder}/{output['path']}"]
                assert sha256(there).hexdigest() == output["sha256"], f"{folder}/{output['path']}"
        if name == "latest.json":
            latest = json.loads(content)
            assert sha256(contents[f"{folder}/{latest['path']}/manifest.json"]).hexdigest() == latest["manifest_sha256"]
        if path == "index.html":
            for link in ("2024-10/r1/index.html", "2024-10/r2/index.html"):
                assert (link in content.decode()) <= (link in contents)


def test_a_month_comes_from_a_server_and_goes_to_one_as_it_does_here(
    s3: Remote, sftp: Remote, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here from SFTP to S3; `tests/e2e/test_remote_month.py` goes the other way."""
    places = {"exports": sftp.below("exports"), "registry": sftp.below("registry"), "share": s3.below("share")}
    places["exports"].copy(made.exports)
    places["registry"].copy(REGISTRY)
    addresses = {f"ISPEED_{name.upper()}": place.uri for name, place in places.items()}
    addresses["ISPEED_SHARE"] = addresses["ISPEED_SHARE"].replace("ispeed_test", "ispeed_share")
    monkeypatch.setenv("AIRFLOW_CONN_ISPEED_TEST", json.dumps(sftp.connection))
    monkeypatch.setenv("AIRFLOW_CONN_ISPEED_SHARE", json.dumps(s3.connection))
    settings = Settings.from_environment(
        {"ISPEED_VAR": str(tmp_path / "var"), "ISPEED_DEVICE_KEY": "for tests", **addresses}
    )
    assert sync_registry(settings)["is_new"]
    assert not sync_registry(settings)["is_new"]
    published = run_steps(settings, OCTOBER)
    assert (published["revision"], published["is_new"]) == (1, True)
    contents = places["share"].contents()
    assert contents == local(settings)
    assert len(contents) > 30
    check_readable(contents)
    # What it is where all is here.
    assert sha256_of_revision(settings) == sha256_of_revision(small(made.twice))
    # The commands work on what was published here.
    assert verify(settings, OCTOBER, 1).differences == []
    assert check_books([], settings.share) == 0
    # The export's copy is gone: its bytes lie in the landing.
    assert not settings.exports_of(OCTOBER).exists()
    assert not publish(settings, OCTOBER)["is_new"]
    assert places["share"].contents() == contents


def sha256_of_revision(settings: Settings) -> dict[str, str]:
    """What a revision holds, without what names the moment or the address at which it came."""
    manifest = json.loads((settings.share_of(OCTOBER) / "r1" / "manifest.json").read_text(encoding="utf-8"))
    return {output["path"]: output["sha256"] for output in manifest["outputs"]}


def test_what_stands_there_is_not_sent_again(
    settings: Settings, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_files = len(local(settings))
    assert deliver(settings) == n_files - 1
    assert remote.contents() == local(settings)
    sent: list[str] = []
    put = RemoteFolder.put
    monkeypatch.setattr(
        RemoteFolder, "put", lambda folder, source, path: (sent.append(path), put(folder, source, path))
    )
    assert deliver(settings) == 0
    publish(settings, OCTOBER)
    assert sent == []


def test_whatever_moment_a_reader_comes_what_is_named_is_there(
    settings: Settings, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at before each of the files that name others, where an order could be wrong, and once between."""
    put = RemoteFolder.put
    looks: list[str] = []

    def watched(folder: RemoteFolder, source: Path, path: str) -> None:
        put(folder, source, path)
        if path.endswith((".json", ".html", ".xlsx")) and path.count("/") <= 2:
            looks.append(path)
            check_readable(remote.contents())

    monkeypatch.setattr(RemoteFolder, "put", watched)
    deliver(settings)
    assert looks[-4:] == ["2024-10/r1/manifest.json", "2024-10/r2/manifest.json", "2024-10/latest.json", "index.html"]


@pytest.mark.parametrize("n_files", [20, 60])
def test_a_killed_delivery_is_completed_by_the_next(settings: Settings, remote: Remote, n_files: int) -> None:
    code = f"""
import os, signal
from ispeed.delivery import deliver
from ispeed.remote_folder import RemoteFolder
from ispeed.settings import Settings
put, n = RemoteFolder.put, 0
def counted(folder, source, path):
    global n
    n += 1
    if n > {n_files}:
        os.kill(os.getpid(), signal.SIGKILL)
    put(folder, source, path)
RemoteFolder.put = counted
deliver(Settings.from_environment())
"""
    environment = os.environ | {
        "ISPEED_VAR": str(settings.lake.parent),
        "ISPEED_LAKE": str(settings.lake),
        "ISPEED_SHARE": remote.uri,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    # Whose local copy of the share is in the lake.
    settings.share.rename(settings.lake / "share")
    settings = replace(settings, share=settings.lake / "share")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    there = remote.contents()
    assert len(there) == n_files
    check_readable(there)
    # What was sent, but for the marker, is not sent again.
    assert deliver(settings) == len(local(settings)) - n_files
    assert remote.contents() == local(settings)


def test_a_line_that_is_cut_is_a_fault_and_the_next_run_completes_it(
    settings: Settings, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(remote.port)
    for name, value in remote.through(proxy).environment().items():
        monkeypatch.setenv(name, value)
    (book,) = (settings.share_of(OCTOBER) / "r1").glob("*.xlsx")
    proxy.cut_after = {"up": book.stat().st_size // 2}
    with pytest.raises(RemoteFault, match=r"2024-10/r1/[\s\S]*connection ispeed_test"):
        publish(settings, OCTOBER)
    assert proxy.n_cut
    check_readable({path: content for path, content in remote.contents().items() if ".ispeed-new-" not in path})
    assert not any(path.endswith("manifest.json") for path in remote.contents())
    proxy.cut_after = {}
    publish(settings, OCTOBER)
    proxy.close()
    assert remote.contents() == local(settings)


@pytest.mark.parametrize("remote", ["s3"], indirect=True)
def test_a_share_that_cannot_be_reached_stops_a_month_before_anything_is_published(
    made: Made, remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made.drafted, tmp_path / "var")
    settings = small(tmp_path / "var", share_uri=remote.uri)
    down = remote.with_connection(port=9, extra={"endpoint_url": "http://127.0.0.1:9"})
    for name, value in down.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RemoteFault, match="connection ispeed_test"):
        publish(settings, OCTOBER)
    assert Database(settings.database_url).current_revision(OCTOBER) == 1
    assert not (settings.share_of(OCTOBER) / "r2").exists()
    for name, value in remote.environment().items():
        monkeypatch.setenv(name, value)
    assert publish(settings, OCTOBER)["revision"] == 2
    assert remote.contents() == local(settings)


def test_a_withdrawal_and_retention_reach_the_readers_and_what_others_put_there_stays(
    settings: Settings, remote: Remote
) -> None:
    deliver(settings)
    theirs = {"Ghi chú.docx": b"x", "2024-10/r1/nhận xét.txt": b"y", "2024-10/r1/csv/tính lại.csv": b"z"}
    for path, content in theirs.items():
        remote.write(path, content)
    withdraw(settings, OCTOBER, 2, "mã giới thiệu sai")
    deliver(settings)
    there = remote.contents()
    assert json.loads(there["2024-10/latest.json"])["revision"] == 1
    assert "ĐÃ BỊ THU HỒI" in there[f"2024-10/r2/{NOTE}"].decode("utf-8-sig")
    assert there == local(settings) | theirs
    withdraw(settings, OCTOBER, 1, "cả bản trước")
    deliver(settings)
    there = remote.contents()
    assert "2024-10/latest.json" not in there
    assert there == local(settings) | theirs


def test_the_files_that_retention_removes_go_there_too(settings: Settings, remote: Remote) -> None:
    deliver(settings)
    remote.write("2024-10/r1/csv/tính lại.csv", b"theirs")
    later = utc_now() + timedelta(days=40)
    assert remove_superseded(settings, Database(settings.database_url), OCTOBER, 30, later) == [1]
    deliver(settings)
    there = remote.contents()
    assert [path for path in there if path.startswith("2024-10/r1/")] == [
        "2024-10/r1/csv/tính lại.csv",
        "2024-10/r1/manifest.json",
    ]
    assert {path: there[path] for path in local(settings)} == local(settings)
    if remote.scheme == "sftp":
        folders = sorted(path.name for path in (remote.root / "2024-10" / "r1").iterdir() if path.is_dir())
        assert folders == ["csv"]


def test_what_somebody_deleted_or_changed_there_is_told_and_sent_again(settings: Settings, remote: Remote) -> None:
    deliver(settings)
    assert share_reminders(settings) == []
    (book,) = (path for path in local(settings) if path.startswith("2024-10/r1/bao-cao"))
    theirs = {"2024-10/r2/manifest.json": b"theirs", "index.html": b"theirs", "Ghi chú.docx": b"x"}
    same_size = "2024-10/r2/csv/report_operator_month.csv"
    theirs[same_size] = b"9" * len(local(settings)[same_size])
    remote.remove(book)
    for path, content in theirs.items():
        remote.write(path, content)
    (reminder,) = share_reminders(settings)
    told = {fact.label: fact.lines for fact in reminder.notice.facts}
    assert told["Bị xóa"] == (book,)
    assert told["Bị sửa"] == ("2024-10/r2/manifest.json", "index.html")
    assert told["Đã làm"] == ("Gửi lại 3 tệp đúng như đã phát hành.",)
    assert "Chưa gửi lại được" not in told
    # Names and sizes tell nothing of this one; what others put there stays.
    expected = local(settings) | {"Ghi chú.docx": b"x"}
    assert remote.contents() == expected | {same_size: theirs[same_size]}
    assert share_reminders(settings) == []
    assert mend_delivery(settings, by_content=True) == Delivered(1, (Difference(same_size, "changed", True),))
    assert remote.contents() == expected


@pytest.mark.parametrize("remote", ["s3"], indirect=True)
def test_where_nothing_was_delivered_yet_nothing_is_compared(remote: Remote, tmp_path: Path) -> None:
    assert share_reminders(small(tmp_path, share_uri=remote.uri)) == []
    assert share_reminders(small(tmp_path)) == []
    assert remote.contents() == {}


@pytest.mark.parametrize("remote", ["s3"], indirect=True)
def test_a_local_share_that_lost_a_revision_does_not_take_it_from_readers(
    settings: Settings, remote: Remote, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(settings)
    before = remote.contents()
    shutil.rmtree(settings.share_of(OCTOBER) / "r1")
    deliver(settings)
    assert remote.contents() == before
    assert mend_delivery(settings, by_content=True) == Delivered(0, ())
    # What is neither here nor there any more.
    remote.remove("2024-10/r1/manifest.json")
    (reminder,) = share_reminders(settings)
    told = {fact.label: fact.lines for fact in reminder.notice.facts}
    assert told["Chưa gửi lại được"] == ("2024-10/r1/manifest.json",)
    assert "khôi phục lake/share từ bản sao lưu" in told["Cần làm"][1]
    # As make deliver tells it.
    monkeypatch.setattr(commands, "settings_with_connections", lambda: settings)
    assert commands.run_deliver(by_content=False) == commands.FAULT
    assert "gone     2024-10/r1/manifest.json (not here any more either" in capsys.readouterr().out
    remote.write("2024-10/r1/manifest.json", before["2024-10/r1/manifest.json"])
    remote.remove("2024-10/r2/manifest.json")
    assert commands.run_deliver(by_content=True) == commands.OK
    out = capsys.readouterr().out
    assert "gone     2024-10/r2/manifest.json (sent again)" in out
    assert "1 files sent or removed" in out
    assert remote.contents() == before


@pytest.mark.parametrize("name", ["index.html", "2024-10/r1/manifest.json"])
def test_what_somebody_else_has_in_our_place_is_not_written_over(settings: Settings, remote: Remote, name: str) -> None:
    remote.write(name, b"theirs")
    with pytest.raises(UserError, match="somebody else's pages|not published from here"):
        deliver(settings)
    assert remote.read(name) == b"theirs"
    assert not any(path.endswith(".xlsx") for path in remote.contents())


def test_a_share_without_its_mark_is_not_delivered_to(settings: Settings, remote: Remote) -> None:
    deliver(settings)
    remote.remove(MARKER)
    with pytest.raises(ShareFault, match=r"no file \.ispeed-share, though months were delivered there"):
        publish(settings, OCTOBER)
    remote.write(MARKER, b"")
    publish(settings, OCTOBER)


@pytest.mark.parametrize("remote", ["sftp"], indirect=True)
def test_another_address_gets_all_that_is_published(settings: Settings, remote: Remote) -> None:
    deliver(settings)
    other = remote.below("other")
    if other.scheme == "sftp":
        other.root.mkdir()
    elsewhere = replace(settings, share_uri=other.uri)
    assert delivery._read_note(settings)["2024-10/r1/manifest.json"]
    assert delivery._read_note(elsewhere) == {}
    deliver(elsewhere)
    assert other.contents() == local(settings)


def test_a_file_that_arrived_short_is_a_fault(
    settings: Settings, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = RemoteFolder.put
    short = settings.lake.parent / "short"
    short.write_bytes(b"x")

    def shortened(folder: RemoteFolder, source: Path, path: str) -> None:
        fs: Any = folder._fs
        put_file = fs.put_file
        fs.put_file = lambda _, target: put_file(str(short), target)
        try:
            put(folder, source, path)
        finally:
            fs.put_file = put_file

    monkeypatch.setattr(RemoteFolder, "put", shortened)
    with pytest.raises(RemoteFault, match="1 bytes after the upload"):
        deliver(settings)
