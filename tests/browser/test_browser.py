"""The pages as a browser opens them from a folder: no network, with a keyboard, on paper, and without scripts."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chromium import ARGUMENTS, CHROMIUM, missing
from ispeed.workbook.wording import alphabetical
from page_reader import read_page
from pipeline import PublishedDemo

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

MISSING = missing("pypdf")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the pages are not opened: {', '.join(MISSING)} is not here")
NUMBERS = str.maketrans({".": "", ",": ".", "−": "-", "%": ""})


@pytest.fixture(scope="module")
def share(published_demo: PublishedDemo) -> Path:
    return published_demo.settings.share


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@dataclass
class Seen:
    """What a page asked for and what it was given, and what its console said."""

    requests: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


Open = Callable[..., tuple["Page", Seen]]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Opens a file by its address, offline."""
    contexts = []

    def open_file(path: Path, **options: Any) -> tuple[Page, Seen]:
        context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        page, seen = context.new_page(), Seen()
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("requestfinished", lambda request: seen.answered.append(request.url))
        page.on("console", lambda message: seen.faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: seen.faults.append(str(error)))
        page.goto(path.as_uri())
        return page, seen

    yield open_file
    for context in contexts:
        context.close()


@pytest.fixture
def month(share: Path) -> Path:
    return share / "2024-10" / "r1" / "index.html"


def packed(text: str) -> str:
    """A text without blanks: letters of one word come from several fonts, and a PDF's reader sets them apart."""
    return "".join(text.split())


def column(page: Page, heading: str) -> list[str]:
    """The texts of a column of the communes, of the rows that are to be seen, from the top."""
    texts: list[str] = page.evaluate(
        """heading => {
            const table = document.getElementById("bang-xa");
            const at = [...table.tHead.rows[0].cells].findIndex(cell => cell.textContent.startsWith(heading));
            return [...table.tBodies[0].rows].filter(row => row.offsetParent).map(row => row.cells[at].textContent);
        }""",
        heading,
    )
    return texts


def button(page: Page, heading: str) -> Locator:
    return page.locator("#bang-xa thead").get_by_role("button", name=heading)


def numbers(texts: Sequence[str]) -> list[float]:
    return [float(text.translate(NUMBERS)) for text in texts if not text.startswith("[")]


@pytest.mark.parametrize("name", ["index.html", "2024-10/r1/index.html"])
def test_a_page_asks_for_itself_alone_and_its_console_is_silent(share: Path, opened: Open, name: str) -> None:
    page, seen = opened(share / name)
    page.wait_for_load_state("networkidle")
    assert seen.requests == [(share / name).as_uri()]
    assert seen.faults == []
    assert page.evaluate("document.documentElement.lang") == "vi"


def test_a_request_that_a_page_would_make_is_forbidden(month: Path, opened: Open) -> None:
    page, seen = opened(month)
    page.evaluate("const i = new Image(); i.src = 'other.png'; fetch('manifest.json').catch(() => 0)")
    page.wait_for_timeout(200)
    assert seen.answered == [month.as_uri()]
    assert sum("violates the following Content Security Policy" in fault for fault in seen.faults) == 2


def test_communes_are_sorted_by_number_both_ways_with_blanks_last(month: Path, opened: Open) -> None:
    page, seen = opened(month)
    assert page.locator("#bang-xa [aria-sort]").count() == 0
    heading = page.locator("#bang-xa thead th", has_text="Lượt đo")
    button(page, "Lượt đo").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    counts = numbers(column(page, "Lượt đo"))
    assert len(counts) == 139
    assert counts == sorted(counts)
    assert counts[-1] > 300
    button(page, "Lượt đo").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert numbers(column(page, "Lượt đo")) == sorted(counts, reverse=True)
    for order in ("ascending", "descending"):
        button(page, "Thay đổi trung vị").click()
        texts = [text.removeprefix("≈ ").removeprefix("▲ ").removeprefix("▼ ") for text in column(page, "Thay đổi")]
        figures = numbers(texts)
        assert figures == sorted(figures, reverse=order == "descending")
        assert all(text.startswith("[") for text in texts[len(figures) :])
        assert 30 <= len(figures) < 139
    assert page.locator("#bang-xa [aria-sort]").count() == 1
    assert seen.faults == []


def test_names_are_sorted_by_the_vietnamese_alphabet(month: Path, opened: Open) -> None:
    page, _ = opened(month)
    assert column(page, "Tên đơn vị") != sorted(column(page, "Tên đơn vị"), key=alphabetical)
    button(page, "Tên đơn vị").click()
    names = column(page, "Tên đơn vị")
    assert names == sorted(names, key=alphabetical)
    assert names.index("Đại Lãnh") > names.index("Diên An")


def test_communes_are_filtered_by_name_without_accents_by_district_and_by_level(month: Path, opened: Open) -> None:
    page, seen = opened(month)
    status = page.get_by_role("status")
    assert status.text_content() == "Hiện 139 trong 139 đơn vị."
    page.get_by_label("Tìm tên, mã").fill("phuoc đong ")
    assert column(page, "Tên đơn vị") == ["Phước Đồng", "Cam Phước Đông"]
    assert status.text_content() == "Hiện 2 trong 139 đơn vị."
    page.get_by_label("Tìm tên, mã").fill("")
    page.get_by_role("combobox", name="Cấp huyện").select_option("Huyện Trường Sa")
    assert set(column(page, "Cấp huyện")) == {"Huyện Trường Sa"}
    page.get_by_role("combobox", name="Mức lượt đo").select_option("enough")
    assert column(page, "Tên đơn vị") == []
    page.get_by_role("combobox", name="Cấp huyện").select_option("")
    counts = numbers(column(page, "Lượt đo"))
    assert counts
    assert min(counts) >= 300
    assert seen.faults == []


def test_a_heading_is_reached_and_pressed_with_the_keyboard_alone(month: Path, opened: Open) -> None:
    page, _ = opened(month)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Đến nội dung chính"
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('th button')"):
            break
    assert page.evaluate("document.activeElement.textContent") == "Tên đơn vị"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.locator("#bang-xa thead th").first.get_attribute("aria-sort") == "ascending"
    assert page.evaluate("document.activeElement.textContent") == "Tên đơn vị"
    page.keyboard.press("Space")
    assert page.locator("#bang-xa thead th").first.get_attribute("aria-sort") == "descending"


def test_the_top_page_leads_to_a_month_that_to_its_checks_and_files_and_back(share: Path, opened: Open) -> None:
    page, seen = opened(share / "index.html")
    page.get_by_role("link", name="Trang web, tháng 10/2024 r1").click()
    assert page.url == (share / "2024-10/r1/index.html").as_uri()
    page.get_by_role("link", name="data-docs/index.html").click()
    assert page.url == (share / "2024-10/r1/data-docs/index.html").as_uri()
    page.go_back()
    with page.expect_download() as download:
        page.get_by_role("link", name="bao-cao-ispeed_khanh-hoa_2024-10.xlsx").click()
    folder = share / "2024-10" / "r1"
    assert download.value.path().read_bytes() == (folder / "bao-cao-ispeed_khanh-hoa_2024-10.xlsx").read_bytes()
    page.get_by_role("link", name="Mọi tháng đã phát hành").click()
    assert page.url == (share / "index.html").as_uri()
    assert all(url.startswith("file:") for url in seen.requests)


@pytest.mark.parametrize(
    ("name", "told"), [("index.html", "Lịch sử các bản"), ("2024-10/r1/index.html", "Phương pháp và chú giải")]
)
def test_a_page_prints_on_a4_with_its_title_and_the_sample_mark_on_every_sheet(
    share: Path, opened: Open, name: str, told: str
) -> None:
    from pypdf import PdfReader

    page, _ = opened(share / name)
    title = page.locator("h1").text_content()
    sheets = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True))).pages
    texts = [packed(sheet.extract_text()) for sheet in sheets]
    assert 1 <= len(texts) <= 12
    assert title is not None
    assert packed(title) in texts[0]
    assert all(packed("KHÔNG DÙNG ĐỂ BÁO CÁO") in text for text in texts)
    assert {tuple(sorted(round(float(side)) for side in sheet.mediabox[2:])) for sheet in sheets} == {(595, 842)}
    assert (packed(told) in "".join(texts)) is (name != "index.html")
    if name != "index.html":
        # Wide tables lie across; their headings stand on each sheet.
        across = [text for sheet, text in zip(sheets, texts, strict=True) if sheet.mediabox[2] > sheet.mediabox[3]]
        assert len(across) > 1
        assert all(packed("Tên đơn vị") in text and packed("Trạng thái") in text for text in across)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["index.html", "2024-10/r1/index.html"])
def test_axe_finds_no_serious_fault(share: Path, opened: Open, name: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page, _ = opened(share / name, bypass_csp=True)
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    found = Axe().run(page).response
    faults = {
        fault["id"]: [node["html"][:200] for node in fault["nodes"]]
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    }
    assert faults == {}
    assert {"color-contrast", "document-title", "html-has-lang"} <= {rule["id"] for rule in found["passes"]}


@pytest.mark.parametrize("name", ["index.html", "2024-10/r1/index.html"])
def test_nothing_but_tables_and_figures_is_wider_than_a_phone(share: Path, opened: Open, name: str) -> None:
    page, _ = opened(share / name)
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_scripts_the_page_is_whole_and_shows_no_control_that_does_nothing(month: Path, opened: Open) -> None:
    page, seen = opened(month, java_script_enabled=False)
    rows = read_page(page.content()).table("theo danh mục ngày cuối tháng")
    assert rows == read_page(month.read_text(encoding="utf-8")).table("theo danh mục ngày cuối tháng")
    assert len(rows) == 140
    assert page.get_by_role("button").count() == 0
    assert page.get_by_label("Tìm tên, mã").is_hidden()
    assert page.locator("#bang-xa tbody tr").last.is_visible()
    assert seen.faults == []
