"""A whole month beside VNNIC's figures: r1 without them, r2 with them, every difference worked out by hand."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from atlas_server import Reply, Site, listed, place, running_site
from ispeed import atlas
from ispeed.atlas import awaits_publishing, compare_atlas
from ispeed.book_checks import check_book
from ispeed.database import Database
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.settings import Settings
from ispeed.verification import verify
from pipeline import AGAIN, BUILD, built_tables, run_steps, settings_in

MONTH = Month(2024, 10)
PHUOC_TIEN, VINH_NGOC, PHUOC_HAI, PHUOC_TAN, LOC_THO = "22366", "22390", "22357", "22360", "22363"
# Commune, number of tests, tests of one phone, the first one's Mbps; each next one is faster by 1.
TESTS = ((PHUOC_TIEN, 40, 1, 1), (VINH_NGOC, 40, 1, 101), (PHUOC_HAI, 40, 2, 201), (PHUOC_TAN, 12, 1, 150))
PROVINCES = {
    "mobile": listed(place("56", 784, 44.54, 46.01, 25.43, 6.74), place("01", 18866, 47.09, 48.02, 11.65, 4.92)),
    "ftth": listed(place("56", 500, 45.0, 40.0, 10.0, 3.0)),
}
COMMUNES = {
    "mobile": listed(
        place(PHUOC_TIEN, 38, 20.0, 9.5, 21.25, 0),
        place(VINH_NGOC, 41, 60.0, 10.0, 20.0, 2.0),
        place(PHUOC_HAI, 30, 250.0, 10.0, 20.0, 2.0),
        place(PHUOC_TAN, 35, 44.0, 10.0, 20.0, 2.0),
        place(LOC_THO, 3, 0, 0, 0, 0),
        place("99999", 31, 50.0, 10.0, 20.0, 2.0),
    ),
    # A place that cannot be read, and one of which VNNIC has nothing.
    "ftth": listed(place("12345", "x", 1, 1, 1, 1), place(LOC_THO, 0, 0, 0, 0, 0)),
}


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The month as published before anybody asked VNNIC."""
    folder = tmp_path_factory.mktemp("atlas")
    settings = settings_in(folder)
    settings.exports_of(MONTH).mkdir(parents=True)
    with (settings.exports_of(MONTH) / "export.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            "Thời gian đo,Mã thiết bị,Mã tỉnh,Mã xã,Nhà mạng,Loại mạng,Download (Mbps),Upload (Mbps),Ping (ms),"
            "Jitter (ms)".split(",")
        )
        for code, n_tests, of_one, first in TESTS:
            for number in range(n_tests):
                moment = f"15/10/2024 08:{number:02}:00"
                device = f"{code}-{number // of_one}"
                writer.writerow((moment, device, "56", code, "Viettel", "4G", first + number, 10, 20, 2))
    sync_registry(settings)
    run_steps(settings, MONTH)
    return folder


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """VNNIC's site as it answers in this month."""
    with pytest.MonkeyPatch.context() as patch, running_site() as site:
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setattr(atlas, "PAUSES", ())
        patch.setattr(atlas, "PAUSE_SECONDS", 0)
        site.answer = answer
        yield site


def answer(network: str, city: str) -> Reply:
    return (PROVINCES if city == "-1" else COMMUNES)[network]


@pytest.fixture(scope="module")
def compared(once: Path, site: Site) -> Settings:
    """The month published again with VNNIC's figures, as r2; nobody may change it."""
    settings = replace(settings_in(once), atlas_url=site.url)
    compare_atlas(settings, MONTH)
    assert awaits_publishing(settings, MONTH)
    assert run_steps(settings, MONTH, AGAIN)["revision"] == 2
    return settings


@pytest.fixture
def copied(compared: Settings, once: Path, tmp_path: Path) -> Settings:
    """The same, to be changed."""
    shutil.copytree(once, tmp_path / "var", symlinks=True)
    return replace(settings_in(tmp_path / "var"), atlas_url=compared.atlas_url)


def figures(settings: Settings, revision: int = 2) -> dict[tuple[str, str], dict[str, Any]]:
    rows = Database(settings.database_url).rows("report_atlas_month", MONTH, revision)
    return {(row["network"], row["code"]): row for row in rows}


def book_path(settings: Settings, revision: int) -> Path:
    (path,) = (settings.share_of(MONTH) / f"r{revision}").glob("bao-cao-*.xlsx")
    return path


def book(settings: Settings, revision: int) -> Any:
    return load_workbook(book_path(settings, revision))


def sheet_rows(settings: Settings, name: str) -> list[dict[str, Any]]:
    sheet = book(settings, 2)[name]
    (table,) = sheet.tables.values()
    first, *rows = [[cell.value for cell in row] for row in sheet[table.ref]]
    return [dict(zip(first, row, strict=True)) for row in rows]


def test_the_first_revision_has_no_sheet_and_the_second_names_its_cause(compared: Settings) -> None:
    assert "Đối chiếu VNNIC" not in book(compared, 1).sheetnames
    sheets = book(compared, 2).sheetnames
    assert sheets[sheets.index("Đối chiếu VNNIC") - 1] == "Nhà mạng"
    publication = Database(compared.database_url).publication(MONTH)
    assert publication is not None
    assert (publication["revision"], publication["why"]) == (2, "Số liệu VNNIC công bố")
    changes = {(row["Trang"], row["Nguyên nhân"]) for row in sheet_rows(compared, "Thay đổi")}
    assert changes == {("Đối chiếu VNNIC", "Số liệu VNNIC công bố")}


def test_differences_are_those_worked_out_by_hand(compared: Settings) -> None:
    found = figures(compared)
    assert len(found) == 9

    def told(network: str, code: str, *columns: str) -> tuple[Any, ...]:
        return tuple(found[network, code][column] for column in columns)

    download = ("atlas_download_mbps_median", "download_mbps_median", "download_mbps_difference")
    # 1 to 40: between 20 and 21; the 14th and the 27th of 40 are the interval's ends, and 20 lies between them.
    assert told("mobile", PHUOC_TIEN, *download) == (20.0, 20.5, 0.5)
    assert told("mobile", PHUOC_TIEN, "download_mbps_ci_low", "download_mbps_ci_high") == (14.0, 27.0)
    assert told("mobile", PHUOC_TIEN, "likely_cause", "reason") == ("within_interval", None)
    assert told("mobile", PHUOC_TIEN, "upload_mbps_difference", "ping_ms_difference") == (0.5, -1.25)
    # VNNIC's 0 is no jitter of 0 ms.
    assert told("mobile", PHUOC_TIEN, "atlas_jitter_ms_median", "jitter_ms_difference") == (None, None)
    # 101 to 140, and VNNIC has 41 samples of 40 tests: others than ours.
    assert told("mobile", VINH_NGOC, *download) == (60.0, 120.5, 60.5)
    assert told("mobile", VINH_NGOC, "atlas_n_samples", "n_measurements", "likely_cause") == (
        41,
        40,
        "other_measurements",
    )
    # Two tests of each of 20 phones: 201.5, 203.5 … 239.5, in the middle 219.5 and 221.5; 30 lies between 20 and 40.
    assert told("mobile", PHUOC_HAI, *download) == (250.0, 220.5, -29.5)
    assert told("mobile", PHUOC_HAI, "atlas_n_samples", "n_samples", "likely_cause") == (30, 20, "other_method")
    # 12 tests: ours stays blank whatever VNNIC has.
    assert told("mobile", PHUOC_TAN, *download) == (44.0, None, None)
    assert told("mobile", PHUOC_TAN, "reason", "likely_cause") == ("below_publish_minimum", None)
    assert told("mobile", LOC_THO, *download, "reason") == (None, None, None, "atlas_no_figure")
    assert told("mobile", "99999", "name", "reason") == (None, "not_in_registry")
    # All 112 samples: 40 up to 40, then 101 to 140; the 56th and 57th are 116 and 117.
    assert told("mobile", "56", *download) == (44.54, 116.5, 71.96)
    assert told("mobile", "56", "atlas_n_samples", "n_measurements", "n_samples") == (784, 132, 112)
    # Nobody measured on a fixed network.
    assert told("fixed", "56", *download, "reason") == (45.0, None, None, "no_samples")
    # Hanoi is in the note, and in no report.
    assert ("mobile", "01") not in found


def test_the_sheet_tells_them_in_words(compared: Settings) -> None:
    rows = {(row["Loại mạng"], row["Mã đơn vị"]): row for row in sheet_rows(compared, "Đối chiếu VNNIC")}
    assert [key[1] for key in rows] == [
        "56",
        LOC_THO,
        PHUOC_HAI,
        PHUOC_TAN,
        PHUOC_TIEN,
        VINH_NGOC,
        "99999",
        "56",
        LOC_THO,
    ]
    ours, theirs, status = "Tải xuống trung vị (Mbps)", "Tải xuống VNNIC (Mbps)", "Trạng thái"
    difference = "Tải xuống chênh lệch (Mbps)"

    def told(network: str, code: str) -> tuple[Any, ...]:
        return tuple(rows[network, code][column] for column in (theirs, ours, difference, status))

    assert told("Di động", PHUOC_TIEN) == (20, 20.5, 0.5, "Trong khoảng tin cậy")
    assert told("Di động", VINH_NGOC) == (60, 120.5, 60.5, "Khác tập lượt đo")
    assert told("Di động", PHUOC_HAI) == (250, 220.5, -29.5, "Khác cách tính")
    assert told("Di động", PHUOC_TAN) == (44, "[–]", "[không so]", "[dưới 30 lượt đo]")
    assert told("Di động", LOC_THO) == ("[VNNIC 0]", "[–]", "[không so]", "[không có mẫu]")
    assert told("Di động", "99999") == (50, "[–]", "[không so]", "[mã lạ]")
    text = " ".join(
        str(cell.value) for row in book(compared, 2)["Đối chiếu VNNIC"].iter_rows(max_row=6) for cell in row
    )
    assert "Mạng di động: VNNIC không nêu 134/139 đơn vị cấp xã." in text
    method = {row["Mục"] for row in sheet_rows(compared, "Phương pháp") if row["Nhóm"] == "Đối chiếu VNNIC"}
    assert {"Vì sao có thể khác", "Số liệu VNNIC", "Khác tập lượt đo"} <= method
    noted = "Số liệu VNNIC cấp xã, mạng cố định: 1 dòng không đọc được, không dùng"
    assert noted in text
    assert noted in {row["Nội dung"] for row in sheet_rows(compared, "Chất lượng dữ liệu")}
    quality = [row for row in sheet_rows(compared, "Chất lượng dữ liệu") if "99999" in row["Xử lý và kết quả"]]
    assert [row["Xử lý và kết quả"] for row in quality] == ["Không đạt: nêu để xem xét – Mạng di động: mã 99999"]


def test_the_workbook_is_as_a_workbook_must_be(compared: Settings) -> None:
    assert [str(fault) for fault in check_book(book_path(compared, 2))] == []


def test_a_site_that_is_gone_or_says_the_same_leaves_the_second_revision_standing(copied: Settings) -> None:
    assert compare_atlas(copied, MONTH)["is_changed"] is False
    nowhere = replace(copied, atlas_url="http://127.0.0.1:9/i-speed")
    assert compare_atlas(nowhere, MONTH) == {"n_rows": 9, "n_faults": 4, "is_changed": False}
    assert not awaits_publishing(copied, MONTH)
    assert run_steps(copied, MONTH, AGAIN)["revision"] == 2
    assert Database(copied.database_url).last_revision(MONTH) == 2


def test_figures_that_vnnic_changed_await_a_revision_of_their_own_and_each_can_be_made_anew(
    copied: Settings, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = listed(place("56", 790, 45.54, 46.01, 25.43, 6.74))
    monkeypatch.setattr(
        site, "answer", lambda network, city: later if (network, city) == ("mobile", "-1") else answer(network, city)
    )
    assert compare_atlas(copied, MONTH)["is_changed"] is True
    assert awaits_publishing(copied, MONTH)
    assert run_steps(copied, MONTH, AGAIN)["revision"] == 3
    assert not awaits_publishing(copied, MONTH)
    assert figures(copied, 3)["mobile", "56"]["download_mbps_difference"] == 70.96
    assert figures(copied, 2)["mobile", "56"]["download_mbps_difference"] == 71.96
    manifest = json.loads((copied.share_of(MONTH) / "r3" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["changes"]["by_cause"] == {"Số liệu VNNIC công bố": 3}
    for revision in (2, 3):
        again = verify(copied, MONTH, revision)
        assert (again.differences, again.notes) == ([], [])


def test_a_month_asked_before_it_is_published_has_the_figures_in_its_first_revision(
    once: Path, site: Site, tmp_path: Path
) -> None:
    fresh = replace(settings_in(tmp_path), atlas_url=site.url)
    shutil.copytree(once / "exports", tmp_path / "exports")
    sync_registry(fresh)
    compare_atlas(fresh, MONTH)
    assert not awaits_publishing(fresh, MONTH)
    run_steps(fresh, MONTH, BUILD)
    assert len(built_tables(fresh, MONTH)["report_atlas_month"]) == 9
