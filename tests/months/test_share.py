"""Publishing: once, whole, and again only when something changed."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from urllib.parse import unquote

import pytest

import ispeed.share
import ispeed.share_index
from ispeed.core import build_core
from ispeed.database import Database
from ispeed.draft import write_workbooks
from ispeed.engine import open_engine
from ispeed.errors import CheckFailed, ShareFault, UserError
from ispeed.lake import share_lock
from ispeed.landing import land
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.reports import build_reports
from ispeed.settings import INCLUDE, Settings
from ispeed.share import publish
from ispeed.share_index import write_share_page
from ispeed.staging import stage
from ispeed.tables import REPORT_TABLES
from made_once import copy
from page_reader import Element, read_page
from pipeline import AGAIN, BUILD, PUBLISH, SampleMonths, run_steps, settings_in

MONTH = Month(2024, 10)
# What a month runs by itself: not those of a restated one.
SUITES = sorted(path.stem for path in (INCLUDE / "expectations").glob("*.json") if "restated" not in path.stem)
BUILD_AND_DRAFT = (*BUILD, write_workbooks)


@pytest.fixture
def published(sample_months: SampleMonths, tmp_path: Path) -> Settings:
    return sample_months(tmp_path, MONTH)


@pytest.fixture(scope="module")
def late_rows(sample_months: SampleMonths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """October published; a row has come since, which its drafted second revision has."""
    folder = tmp_path_factory.mktemp("late")
    settings = sample_months(folder, MONTH)
    late = "Thời gian đo,Mã thiết bị,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps)\n"
    late += "15/10/2024 08:00:00,late,56,22366,Viettel,4G,33\n"
    (settings.exports_of(MONTH) / "late.csv").write_text(late, encoding="utf-8")
    run_steps(settings, MONTH, BUILD_AND_DRAFT)
    return folder


@pytest.fixture
def drafted(late_rows: Path, tmp_path: Path) -> Settings:
    return copy(late_rows, tmp_path)


def latest(settings: Settings) -> dict[str, object]:
    found: dict[str, object] = json.loads((settings.share_of(MONTH) / "latest.json").read_text())
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_revision_holds_workbook_tables_and_a_manifest_of_their_hashes(published: Settings) -> None:
    folder = published.share_of(MONTH) / "r1"
    files = contents(folder)
    listed = list(csv.DictReader(io.StringIO(files["don-vi/danh-sach.csv"].decode("utf-8-sig"))))
    # Nine districts, and the bodies of the registry that are valid in the month.
    assert [sum(row["kind"] == kind for row in listed) for kind in ("district", "organisation")] == [9, 42]
    assert set(files) == {
        "bao-cao-ispeed_khanh-hoa_2024-10.xlsx",
        "index.html",
        "manifest.json",
        "quarantine.csv",
        "data-docs/index.html",
        *(f"data-docs/{name}.html" for name in SUITES),
        "csv/datapackage.json",
        "csv/tidy.csv",
        *(f"csv/{table.name}.csv" for table in REPORT_TABLES),
        "don-vi/danh-sach.csv",
        *(f"don-vi/{row['file']}" for row in listed),
    }
    manifest = json.loads(files["manifest.json"])
    assert {output["path"]: output["sha256"] for output in manifest["outputs"]} == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != "manifest.json"
    }
    for file in manifest["inputs"]:
        received = (published.exports_of(MONTH) / file["name"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(received).hexdigest()
    assert latest(published)["revision"] == 1
    assert latest(published)["manifest_sha256"] == hashlib.sha256(files["manifest.json"]).hexdigest()


def test_an_unchanged_month_publishes_nothing_new(published: Settings) -> None:
    before = contents(published.share_of(MONTH))
    result = run_steps(published, MONTH)
    assert (result["revision"], result["is_new"]) == (1, False)
    assert contents(published.share_of(MONTH)) == before


def test_the_same_input_gives_the_same_bytes_anywhere(published: Settings, tmp_path: Path) -> None:
    other = settings_in(tmp_path / "other", exports=published.exports, device_key="another key")
    sync_registry(other)
    run_steps(other, MONTH)
    here, there = (contents(settings.share_of(MONTH)) for settings in (published, other))
    # The manifest alone tells that the devices were hashed with another key, and latest.json the manifest's hash.
    manifests = [json.loads(files.pop("r1/manifest.json")) for files in (here, there)]
    assert manifests[0]["origin"].pop("device_key") != manifests[1]["origin"].pop("device_key")
    assert manifests[0] == manifests[1]
    latest = [json.loads(files.pop("latest.json")) for files in (here, there)]
    assert {**latest[0], "manifest_sha256": ""} == {**latest[1], "manifest_sha256": ""}
    assert here == there


def test_quarantined_rows_go_out_with_reason_and_text_but_without_their_devices(settings: Settings) -> None:
    header = "Thời gian đo,Mã thiết bị,Loại mạng,Download (Mbps),Nhà mạng\n"
    folder = settings.exports_of(MONTH)
    folder.mkdir(parents=True)
    (folder / "=a.csv").write_text(
        header
        + "15/10/2024 08:00:00,secret-1,4G,33,Viettel\n"
        + "15/10/2024 08:00:00,secret-1,4G,33,Viettel\n"
        + "15/09/2024 08:00:00,secret-2,4G,33,=1+1\n"
        + "15/10/2024 08:00:00,secret-3,4G,fast,Viettel\n"
        + "secret-4,15/10/2024 08:00:00,4G\n",
        encoding="utf-8",
    )
    sync_registry(settings)
    run_steps(settings, MONTH)
    content = (settings.share_of(MONTH) / "r1" / "quarantine.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [(row["source_file"], row["row_number"], row["reason"], row["reason_vi"]) for row in rows] == [
        ("'=a.csv", "3", "duplicate", "Trùng lặp"),
        ("'=a.csv", "4", "other_month", "Thuộc tháng khác"),
        ("'=a.csv", "5", "unreadable_row", "Dòng không đọc được"),
        ("'=a.csv", "6", "unreadable_row", "Dòng không đọc được"),
    ]
    assert json.loads(rows[1]["original_text"])["operator"] == "=1+1"
    assert rows[2]["detail"] == "download_mbps fast"
    assert (bool(rows[3]["detail"]), rows[3]["original_text"]) == (True, "")
    assert b"secret" not in content
    hashes = quarantine_hashes(settings)
    assert hashes
    assert not any(str(device).encode() in content for device in hashes)


def quarantine_hashes(settings: Settings) -> list[int]:
    with open_engine() as engine:
        engine.read_parquet("q", settings.lake_of("quarantine", MONTH) / "quarantine_measurement.parquet")
        return [row["device_hash"] for row in engine.rows("select device_hash from q where device_hash is not null")]


def test_the_quarantine_published_holds_as_many_rows_as_the_reports_say(published: Settings) -> None:
    folder = published.share_of(MONTH) / "r1"
    with (folder / "quarantine.csv").open(encoding="utf-8-sig", newline="") as file:
        n_rows = sum(1 for _ in csv.DictReader(file))
    assert n_rows == json.loads((folder / "manifest.json").read_text())["rows"]["quarantined"] > 0


def test_late_rows_make_a_second_revision_that_names_every_changed_cell(drafted: Settings) -> None:
    first = contents(drafted.share_of(MONTH) / "r1")
    result = publish(drafted, MONTH)
    assert (result["revision"], result["is_new"]) == (2, True)
    assert contents(drafted.share_of(MONTH) / "r1") == first
    assert latest(drafted)["revision"] == 2
    database = Database(drafted.database_url)
    before, after = (database.rows("report_commune_month", MONTH, revision) for revision in (1, 2))
    key = ("mobile", "22366")
    counts = [
        next(row["n_measurements"] for row in rows if (row["network"], row["commune_code"]) == key)
        for rows in (before, after)
    ]
    assert counts[1] == counts[0] + 1
    states = [database.publication(MONTH, revision) for revision in (1, 2)]
    assert [state["state"] for state in states if state] == ["superseded", "published"]
    assert "Số liệu đến muộn: 1 dòng trong 1 tệp mới" in str(states[1] and states[1]["why"])


class Killed(BaseException):
    """What a kill looks like from inside."""


@pytest.mark.parametrize("at", ["copytree", "rename", "latest"])
def test_a_killed_publication_leaves_what_was_there_and_the_next_run_goes_on(
    drafted: Settings, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    rename = os.rename

    def killed_after_rename(old: str, new: str) -> None:
        rename(old, new)
        raise Killed

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if at == "copytree":
            patch.setattr(shutil, "copytree", killed)
        elif at == "rename":
            patch.setattr(ispeed.share.os, "rename", killed_after_rename)
        else:
            patch.setattr(ispeed.share, "point_to_latest", killed)
        with pytest.raises(Killed):
            publish(drafted, MONTH)
    assert latest(drafted)["revision"] == 1
    result = run_steps(drafted, MONTH, PUBLISH)
    assert result["revision"] == 2
    assert latest(drafted)["revision"] == 2
    assert sorted(path.name for path in drafted.share_of(MONTH).iterdir()) == ["latest.json", "r1", "r2"]


def test_a_draft_that_another_run_overtook_is_not_published(drafted: Settings) -> None:
    draft = drafted.lake_of("draft", MONTH) / "draft.json"
    overtaken = json.loads(draft.read_text())
    publish(drafted, MONTH)
    draft.write_text(json.dumps({**overtaken, "fingerprint": "of another time"}))
    with pytest.raises(RuntimeError, match="write it again"):
        publish(drafted, MONTH)
    assert latest(drafted)["revision"] == 2


def test_a_step_does_not_go_on_from_a_failed_check(published: Settings) -> None:
    checks = published.lake_of("report", MONTH) / "checks.json"
    results = json.loads(checks.read_text(encoding="utf-8"))
    results[0] |= {"passed": False, "severity": "critical", "n_rows": 1}
    checks.write_text(json.dumps(results), encoding="utf-8")
    with pytest.raises(CheckFailed):
        write_workbooks(published, MONTH)


def test_reports_are_not_built_from_a_core_of_other_files(published: Settings) -> None:
    late = "Thời gian đo,Loại mạng,Download (Mbps)\n15/10/2024 08:00:00,4G,33\n"
    (published.exports_of(MONTH) / "late.csv").write_text(late, encoding="utf-8")
    run_steps(published, MONTH, (land, stage))
    for step in (build_core, build_reports):
        with pytest.raises(UserError, match="run (check_staging|build_core) for 2024-10 again"):
            step(published, MONTH)


def test_a_revision_whose_folder_is_gone_is_told(published: Settings) -> None:
    shutil.rmtree(published.share_of(MONTH) / "r1")
    with pytest.raises(UserError, match="restore the folder"):
        run_steps(published, MONTH, PUBLISH)


def top_page(settings: Settings) -> Element:
    return read_page((settings.share / "index.html").read_text(encoding="utf-8"))


def test_the_page_at_the_top_lists_each_month_and_leads_to_its_page_and_workbook(published: Settings) -> None:
    (row,) = top_page(published).table("mới nhất ở trên")[1:]
    assert row[:4] == ["10/2024", "r1", "Trang web · Sổ Excel", "Đang phát hành (DỮ LIỆU MẪU)"]
    links = [link.attributes["href"] for link in top_page(published).all("a")]
    for link in ("2024-10/r1/index.html", "2024-10/r1/bao-cao-ispeed_khanh-hoa_2024-10.xlsx"):
        assert link in links
        assert (published.share / link).is_file()
    month = read_page((published.share_of(MONTH) / "r1" / "index.html").read_text(encoding="utf-8"))
    for link in (link.attributes["href"] for link in month.all("a")):
        assert link.startswith("#") or (published.share_of(MONTH) / "r1" / unquote(link)).is_file(), link


def test_a_top_page_that_cannot_be_written_is_told_and_the_month_stays_published(
    drafted: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (drafted.share / "index.html").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ispeed.share_index, "write_file", full)
        with pytest.raises(ShareFault, match="make room on the share"):
            run_steps(drafted, MONTH, PUBLISH)
    assert latest(drafted)["revision"] == 2
    assert Database(drafted.database_url).current_revision(MONTH) == 2
    assert (drafted.share / "index.html").read_bytes() == before
    assert run_steps(drafted, MONTH, PUBLISH)["is_new"] is False
    (row,) = top_page(drafted).table("mới nhất ở trên")[1:]
    assert row[1] == "r2"


def test_whoever_waits_to_write_the_top_page_reads_what_was_published_meanwhile(published: Settings) -> None:
    database = Database(published.database_url)
    about = {name: value for name, value in (database.publication(MONTH) or {}).items() if name not in KEY}
    with ThreadPoolExecutor(1) as pool:
        with share_lock(published):
            writing = pool.submit(write_share_page, published, Database(published.database_url))
            wait([writing], timeout=1)
            with database.publishing(Month(2024, 7), 1, {}, about):
                pass
        writing.result()
    assert [row[0] for row in top_page(published).table("mới nhất ở trên")[1:]] == ["10/2024", "07/2024"]


KEY = ("month", "revision", "state", "published_at")


def test_an_earlier_month_that_reads_otherwise_now_makes_a_revision_that_says_so(
    sample_months: SampleMonths, tmp_path: Path
) -> None:
    august = Month(2024, 8)
    settings = sample_months(tmp_path, august, MONTH)
    unknown = "Thời gian đo,Mã thiết bị,Loại mạng,Download (Mbps)\n15/08/2024 08:00:00,late,{},33\n"
    (settings.exports_of(august) / "late.csv").write_text(unknown.format("WiFi"), encoding="utf-8")
    assert run_steps(settings, august)["revision"] == 2
    # A fixed measurement is not in the line: nothing that October shows of August is other than it was.
    assert run_steps(settings, MONTH, AGAIN)["is_new"] is False
    (settings.exports_of(august) / "late.csv").write_text(unknown.format("4G"), encoding="utf-8")
    run_steps(settings, august)
    assert run_steps(settings, MONTH, AGAIN)["revision"] == 2
    published = Database(settings.database_url).publication(MONTH)
    assert published is not None
    assert published["why"] == "Số liệu các tháng trước được phát hành lại"
