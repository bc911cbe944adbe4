"""What a month's page in Airflow tells: the same as the log and the workbook, of the last run, as far as it came."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from openpyxl import load_workbook

import ispeed.core
from ispeed.data_docs import INDEX
from ispeed.database import Database
from ispeed.errors import CheckFailed
from ispeed.landing import land
from ispeed.month_stages import MonthOverview, read_overview, read_overviews
from ispeed.months import Month
from ispeed.published_files import NotPublished, published_files, published_row, read_published_docs
from ispeed.quality import MonthQuality, read_data_docs, read_quality
from ispeed.quality_page import month_page, months_page
from ispeed.registry import sync_registry
from ispeed.settings import Settings
from ispeed.staging import stage
from ispeed.workbook.wording import number, percent
from pipeline import PublishedDemo, run_steps, settings_in

MONTH = Month(2024, 10)
SEEN_BEFORE = "Chưa tệp nào của tháng được nhận, nguyên từng byte, cho một tháng khác"
EXPORT = """Thời gian đo,Loại mạng,Download (Mbps),<b>Lạ & mới
15/10/2024 08:00:00,4G,33,x
15/09/2024 08:00:00,4G,33,x
16/10/2024 08:00:00,6G,33,x
"""


@pytest.fixture
def month(tmp_path: Path) -> Settings:
    """October's one file, not landed yet."""
    settings = settings_in(tmp_path)
    settings.exports_of(MONTH).mkdir(parents=True)
    (settings.exports_of(MONTH) / "a.csv").write_text(EXPORT, encoding="utf-8")
    sync_registry(settings)
    return settings


def overview_of(settings: Settings) -> MonthOverview:
    return read_overview(settings, MONTH, {}, Database(settings.database_url).register(MONTH), [])


def quality_of(settings: Settings) -> MonthQuality:
    quality = overview_of(settings).quality
    assert quality is not None
    return quality


def page_of(settings: Settings, quality: MonthQuality | None = None) -> str:
    """October's page as Airflow serves it, where Airflow has no run of it."""
    overview = overview_of(settings)
    if quality is not None:
        overview = replace(overview, quality=quality)
    files = {f"r{row['revision']}": published_files(settings, row) for row in overview.publications}
    return month_page(overview, files)


def text_of(page: str) -> str:
    """What a reader sees of a page."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)))


def test_the_numbers_are_those_that_were_published(published_demo: PublishedDemo) -> None:
    settings = published_demo.settings
    quality, page = quality_of(settings), text_of(page_of(settings))
    told: dict[tuple[str, str], int] = {("raw", ""): quality.n_raw or 0, ("accepted", ""): quality.n_accepted or 0}
    told |= {("quarantined", reason): n_rows for reason, n_rows in (quality.quarantined or {}).items()}
    told |= {("flagged", reason): n_rows for reason, n_rows in (quality.flagged or {}).items()}
    published: dict[tuple[str, str], int] = {}
    rows = Database(settings.database_url).rows("report_quality_month", MONTH, 1)
    for row in rows:
        key = (row["outcome"], row["reason"])
        published[key] = published.get(key, 0) + row["n_rows"]
    assert told == published
    assert quality.adds_up is True
    n_mismatched = published["flagged", "commune_mismatch"]
    n_read = {row["source_file"]: row["n_rows"] for row in rows if row["outcome"] == "raw"}
    for text in (
        "20.000 dòng nhận = 19.560 dòng chấp nhận + 440 dòng cách ly (khớp)",
        "Cách ly: Trùng lặp duplicate 150 0,8%",
        f"Xã của mã khác xã nơi đo commune_mismatch {number(n_mismatched)} {percent(n_mismatched / 20_000)}",
        f"ispeed_2024-10_2.csv.gz {number(n_read['ispeed_2024-10_2.csv.gz'])} tỷ lệ mất gói (Không dùng trong số liệu)",
        f"Đã xong mọi bước. {len(quality.warnings)} cảnh báo. Bản đang phát hành: r1 , ",
    ):
        assert text in page
    assert "19.559 dòng chấp nhận + 440 dòng cách ly (KHÔNG KHỚP)" in text_of(
        page_of(settings, replace(quality, n_accepted=19_559))
    )
    months = read_overviews(settings, {}, Database(settings.database_url).register(), [])
    assert [overview.month for overview in months] == [Month(2024, 10), Month(2024, 9), Month(2024, 8)]
    done = "✓ Xong " * 9 + "– Không"
    page = text_of(months_page(months))
    assert re.search(rf"10/2024 MẪU {done} 20.000 19.560 440 {len(quality.warnings)} r1 [0-9:/ ]+ 09/2024", page)
    assert "Không tháng nào đang gặp lỗi." in page
    assert 'href="2024-10/"' in months_page(months)


def test_each_warning_is_told_in_the_log_in_the_workbook_and_on_the_page(
    month: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    (month.exports_of(MONTH.previous)).mkdir()
    (month.exports_of(MONTH.previous) / "a.csv").write_text(EXPORT, encoding="utf-8")
    land(month, MONTH.previous)
    with caplog.at_level(logging.WARNING):
        run_steps(month, MONTH)
    quality = quality_of(month)
    page = text_of(page_of(month))
    (workbook,) = month.share_of(MONTH).glob("r1/*.xlsx")
    sheet = load_workbook(workbook)["Chất lượng dữ liệu"]
    cells = " ".join(str(cell) for row in sheet.iter_rows(values_only=True) for cell in row if cell is not None)
    warnings = [warning.description_vi for warning in quality.warnings]
    # The one that no row answers for, two reasons of the quarantine, and what the one row left lacks.
    assert warnings[0] == SEEN_BEFORE
    assert len(warnings) == 5
    assert f"Cảnh báo ({len(warnings)})" in page
    for told in (*warnings, "a.csv cũng là tệp của tháng 2024-09", "<b>Lạ & mới"):
        for place, text in {"log": caplog.text, "workbook": cells, "page": page}.items():
            assert told in text, (told, place)


def test_what_a_file_says_is_text_whatever_it_holds(month: Settings) -> None:
    land(month, MONTH)
    stage(month, MONTH)
    page = page_of(month)
    assert "&lt;b&gt;Lạ &amp; mới" in page
    assert "<b>Lạ" not in page


def test_a_page_has_nothing_of_a_network_and_no_script(month: Settings) -> None:
    run_steps(month, MONTH)
    page = page_of(month)
    assert not re.search(r"https?:|//\w|<script|<link|<img|@import|url\(", page)
    links = set(re.findall(r'href="([^"]*)"', page))
    assert links >= {"../", "data-docs/index.html", "data-docs/staging_measurement.html", "r1/data-docs/index.html"}
    published = published_row(Database(month.database_url), MONTH, 1)
    for link in links:
        place, _, name = link.rpartition("/")
        if place == "data-docs":
            assert read_data_docs(month, MONTH, name) is not None, link
        elif place == "r1/data-docs":
            assert read_published_docs(month, published, name), link


def test_a_month_is_told_as_far_as_it_has_come(month: Settings) -> None:
    assert read_quality(month, MONTH) is None
    land(month, MONTH)
    quality = quality_of(month)
    assert (quality.n_raw, quality.quarantined, quality.n_accepted, quality.adds_up) == (None, None, None, None)
    assert "Chưa xong bước “Đọc từng dòng”" in text_of(page_of(month))
    stage(month, MONTH)
    quality = quality_of(month)
    assert (quality.n_raw, quality.quarantined, quality.adds_up) == (3, None, None)
    assert "Chưa xong bước “Kiểm tra chất lượng, cách ly dòng lỗi”" in text_of(page_of(month))
    # Somebody's copy is no month.
    (month.lake / "landing" / "month=2024-10.old").mkdir()
    assert [overview.month for overview in read_overviews(month, {}, [], [])] == [MONTH]


def test_a_month_that_stops_tells_the_check_and_nothing_of_the_run_before(month: Settings) -> None:
    run_steps(month, MONTH)
    (month.exports_of(MONTH) / "a.csv").write_text(EXPORT.replace("15/10/2024", "15/09/2024"), encoding="utf-8")
    with pytest.raises(CheckFailed):
        run_steps(month, MONTH)
    quality = quality_of(month)
    page = text_of(page_of(month))
    assert [failure.description_vi for failure in quality.failures] == [
        "Còn ít nhất một dòng được chấp nhận sau kiểm tra"
    ]
    assert {result.table for result in quality.results} == {"staging_measurement", "quarantine_measurement"}
    assert (quality.n_raw, quality.n_quarantined, quality.n_accepted, quality.flagged) == (3, 3, None, None)
    assert "Dừng ở bước “Kiểm tra chất lượng, cách ly dòng lỗi” : 1 phép kiểm tra nghiêm trọng không đạt" in page
    assert re.search(r"Bản đang phát hành: r1 , [0-9:/ ]+, của lần chạy trước\.", page)
    assert "3 dòng nhận = số dòng chấp nhận (chưa có) + 3 dòng cách ly" in page


def test_a_step_that_stops_without_a_note_leads_to_its_page(month: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    run_steps(month, MONTH)
    assert quality_of(month).unfinished_suites == ()

    def stop(*_: object) -> None:
        raise CheckFailed("month 2024-10", "rows that do not add up", "that they do", "tell us")

    monkeypatch.setattr(ispeed.core, "stop_where_critical", stop)
    with pytest.raises(CheckFailed):
        run_steps(month, MONTH)
    quality = quality_of(month)
    assert quality.unfinished_suites == ("core_measurement", "flag_measurement")
    page = page_of(month)
    assert "Chưa xong bước “Gắn với danh mục theo ngày đo”" in text_of(page)
    assert 'Bộ kiểm tra của bước chưa xong:\n<a href="data-docs/core_measurement.html">' in page


def test_only_pages_that_there_can_be_are_read(published_demo: PublishedDemo) -> None:
    settings = published_demo.settings
    published = published_row(Database(settings.database_url), MONTH, 1)
    names = [INDEX, "staging_measurement.html", "month_drift.html"]
    for name in names:
        last = read_data_docs(settings, MONTH, name)
        assert last is not None
        assert last == read_published_docs(settings, published, name)
    forged = ["", ".", "..", "../manifest.json", "manifest.json", "staging_measurement", "/etc/passwd", "x.html"]
    for name in forged:
        assert read_data_docs(settings, MONTH, name) is None
        with pytest.raises(NotPublished):
            read_published_docs(settings, published, name)
    for month, revision in ((MONTH, 2), (Month(2024, 11), 1)):
        with pytest.raises(NotPublished):
            published_row(Database(settings.database_url), month, revision)
    assert read_data_docs(settings, Month(2024, 11), INDEX) is None
