"""Great Expectations' own pages of a month: one a suite, in Vietnamese, without a network, also where a month stops."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from ispeed.checks import Rule, read_suite
from ispeed.data_docs import describe
from ispeed.errors import CheckFailed
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.settings import INCLUDE, Settings
from pipeline import SampleMonths, run_steps

MONTH = Month(2024, 10)
SUITES = sorted(path.stem for path in (INCLUDE / "expectations").glob("*.json") if "restated" not in path.stem)


@pytest.fixture(scope="module")
def folder(sample_months: SampleMonths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Data Docs of a published sample month."""
    settings = sample_months(tmp_path_factory.mktemp("month"), MONTH)
    return settings.share_of(MONTH) / "r1" / "data-docs"


@pytest.mark.parametrize("table", SUITES)
def test_a_page_has_each_rule_of_its_suite_in_order(folder: Path, table: str) -> None:
    page = (folder / f"{table}.html").read_text(encoding="utf-8")
    places = [page.find(describe(rule)) for rule in read_suite(table)]
    assert -1 not in places
    assert places == sorted(places)
    assert page.count("DỮ LIỆU MẪU") == 1


def test_a_page_says_how_many_rows_failed(folder: Path) -> None:
    page = re.sub(r"<[^>]+>|\s+", " ", (folder / "staging_measurement.html").read_text(encoding="utf-8"))
    found = re.search(r"unreadable_row\)\s+(\d+)", page)
    assert found is not None
    assert int(found[1]) > 0


def test_the_pages_ask_nothing_of_a_network_and_lead_only_to_each_other(folder: Path) -> None:
    for page in folder.iterdir():
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"https?:|//\w|<script|<link|<img|@import|url\(", text), page.name
        links = {unescape(link) for link in re.findall(r'href="([^"]*)"', text)}
        assert links <= {path.name for path in folder.iterdir()}
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert sorted(re.findall(r'href="([^"]*)"', index)) == [f"{table}.html" for table in SUITES]


def test_the_pages_hold_no_row(folder: Path) -> None:
    for page in folder.iterdir():
        assert "ispeed_2024-10_1.csv" not in page.read_text(encoding="utf-8")


def test_a_description_is_text_whatever_it_holds() -> None:
    rule = Rule("t", "x", {}, "warning", "<b>3 < $n & 5", "flag", "why", "Vì sao")
    assert describe(rule) == "&lt;b&gt;3 &lt; &#36;n &amp; 5. Cảnh báo – Đánh dấu dòng (Vì sao, why)"


def test_a_month_that_stops_leaves_its_page_in_the_lake_and_nothing_in_the_share(settings: Settings) -> None:
    folder = settings.exports_of(MONTH)
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("Thời gian đo,Loại mạng,Download (Mbps)\n15/09/2024 08:00:00,4G,33\n")
    sync_registry(settings)
    with pytest.raises(CheckFailed):
        run_steps(settings, MONTH)
    page = (settings.lake_of("data-docs", MONTH) / "staging_measurement.html").read_text(encoding="utf-8")
    assert "fa-times" in page.partition("Còn ít nhất một dòng")[0]
    assert not settings.share_of(MONTH).exists()
