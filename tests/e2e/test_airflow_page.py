"""The page in Airflow as an engineer uses it: real Chromium, a real API server behind a path of its host."""

from __future__ import annotations

import hashlib
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from chromium import ARGUMENTS, CHROMIUM, missing
from ispeed.settings import Settings
from page_server import (
    FOREIGN,
    GOOD,
    PHOTO,
    REFUSED,
    STOPPED,
    STOPPED_FILE,
    STOPPED_LINE,
    ApiServer,
    installation,
    make_months,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MISSING = missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the page is not opened: {', '.join(MISSING)} is not here")
RUNS = "/api/v2/dags/ingest_measurements/dagRuns"
ATLAS_RUNS = "/api/v2/dags/compare_atlas/dagRuns"


@dataclass(frozen=True)
class Site:
    """A running API server and the months that it tells of."""

    server: ApiServer
    settings: Settings

    def get(self, path: str, user: str | None, method: str = "GET") -> tuple[int, bytes]:
        """Status and content of what is answered to a user, by a token."""
        headers = {"Authorization": f"Bearer {self.server.token_for(user)}"} if user else {}
        request = urllib.request.Request(self.server.url + path, headers=headers, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("page")
    environment = installation(folder)
    settings = make_months(environment)
    with ApiServer(environment, folder / "log") as server:
        yield Site(server, settings)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


Open = Callable[..., "Page"]


@pytest.fixture
def opened(browser: Browser, site: Site) -> Iterator[Open]:
    """Opens a page as a user whose session is in the browser, as after the login."""
    contexts = []

    def open_page(path: str, user: str = "chuyen-vien", width: int = 1280) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
        contexts.append(context)
        cookie = {"name": "_token", "value": site.server.token_for(user), "url": site.server.url}
        context.add_cookies([{**cookie, "httpOnly": True, "sameSite": "Lax"}])
        page = context.new_page()
        page.faults = []  # type: ignore[attr-defined]
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
        page.goto(site.server.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_the_list_shows_where_each_month_stands(opened: Open) -> None:
    page = opened("/ispeed/")
    states = {
        row.locator("th a").inner_text(): [cell.inner_text().strip(" ✓✕·–") for cell in row.locator("td.s").all()]
        for row in page.locator("table.months tbody tr").all()
    }
    assert list(states) == ["12/2024", "11/2024", "10/2024"]
    assert states["10/2024"] == ["Xong"] * 9 + ["Không"]
    assert states["11/2024"] == ["Xong", "Xong", "Lỗi"] + ["Chưa"] * 7
    assert states["12/2024"] == ["Xong", "Xong", "Xong", "Lỗi"] + ["Chưa"] * 6
    october = page.locator("table.months tbody tr", has_text="10/2024").locator("td.n").all_inner_texts()
    assert october[0] == "850"
    assert page.locator(".attention li").count() == 2
    beside = {
        row.locator("th a").inner_text(): [" ".join(cell.inner_text().split()) for cell in row.locator("td.a").all()]
        for row in page.locator("table.months tbody tr").all()
    }
    of_returns, of_vnnic = beside["10/2024"]
    assert of_returns == "✓Xong 2/12 1 muộn 2 bị từ chối"
    assert re.fullmatch(r"✓Xong \d\d/\d\d/\d{4} 2 cảnh báo", of_vnnic)
    assert beside["11/2024"] == beside["12/2024"] == ["·Chưa", "·Chưa"]
    assert page.faults == []


def test_refused_returns_and_a_site_that_was_down_are_one_click_from_the_list(opened: Open, site: Site) -> None:
    page = opened("/ispeed/")
    page.get_by_role("link", name="2 bị từ chối").click()
    assert page.url.endswith(f"/ispeed/{GOOD}/#phieu")
    page.wait_for_load_state()
    refused, photo = page.locator("section.error.bad").all()
    assert refused.get_by_role("heading").inner_text() == "Tỉnh Đoàn Khánh Hòa"
    assert refused.locator("dd").all_inner_texts() == [
        f"{REFUSED}, trang “Phiếu báo cáo”, ô Q16",
        "số người đã đo 60 lớn hơn số người đã cài đặt 50 (120,0%)",
        "số người đã đo không lớn hơn số người đã cài đặt",
        "kiểm tra hai số, sửa rồi gửi lại",
    ]
    assert photo.locator("dd").first.inner_text() == PHOTO
    missing = page.locator("details", has_text="Chưa gửi (10)").locator("li").all_inner_texts()
    assert (len(missing), "Tỉnh Đoàn Khánh Hòa" in missing, "Trường Đại học Nha Trang" in missing) == (10, True, False)
    assert (
        page.locator("code", has_text="phieu-bao-cao").inner_text() == f"{site.settings.share_of(GOOD)}/phieu-bao-cao"
    )
    warnings = page.locator("section.error.open")
    assert [one.get_by_role("heading").inner_text() for one in warnings.all()] == [
        "Cố định, cấp tỉnh",
        "Cố định, cấp xã",
    ]
    assert "404 Not Found" in warnings.first.locator("dd").nth(1).inner_text()
    assert page.locator("table", has_text="Số liệu đang dùng").locator("tbody tr").count() == 2
    run = site.server.request("GET", f"{ATLAS_RUNS}?partition_key_pattern={GOOD}")["dag_runs"][0]
    page.get_by_role("link", name="Lần chạy", exact=True).last.click()
    assert page.url == f"{site.server.url}/dags/compare_atlas/runs/{quote(run['dag_run_id'], safe='')}"


def test_the_failed_file_and_row_are_found_in_two_clicks(opened: Open, site: Site) -> None:
    page, clicks = opened("/ispeed/"), 0
    page.locator("table.months tbody tr", has_text="11/2024").get_by_role("link", name="Lỗi").click()
    clicks += 1
    error = page.locator("section.error").first
    assert error.get_by_role("heading").inner_text() == f"Đọc từng dòng: tệp {STOPPED_FILE}, dòng {STOPPED_LINE}"
    # In Vietnamese, and below it as the log has it.
    assert [text.split("\n") for text in error.locator("dd").all_inner_texts()] == [
        [f"Tệp {STOPPED_FILE}, dòng {STOPPED_LINE}", f"file {STOPPED_FILE}, row {STOPPED_LINE}"],
        [
            "Dấu bao (thường là dấu ngoặc kép) không đóng trong cùng dòng, nên 171 dòng phía sau bị gộp vào",
            "a quote that does not close in its record; it takes in the 171 lines behind it",
        ],
        ["Có dấu bao đóng trong cùng dòng", "a closing quote in the same record"],
        ["Sửa dòng đó trong tệp, hoặc xuất lại tệp", "correct that record in the file, or export it again"],
    ]
    error.get_by_role("link", name="Mở nhật ký của tác vụ").click()
    clicks += 1
    assert clicks == 2
    run = site.server.request("GET", f"{RUNS}?partition_key_pattern={STOPPED}")["dag_runs"][0]
    run_id = quote(run["dag_run_id"], safe="")
    log = f"/dags/ingest_measurements/runs/{run_id}/tasks/stage_files/mapped/0?try_number=1"
    assert page.url == site.server.url + log
    task = site.server.request("GET", f"{RUNS}/{run_id}/taskInstances/stage_files/0")
    assert task["state"] == "failed"


def test_a_check_that_stops_a_month_shows_examples_of_its_rows(opened: Open) -> None:
    page = opened("/ispeed/")
    page.locator(".attention").get_by_role("link", name="12/2024").click()
    assert page.locator("section.error dd").nth(1).inner_text().startswith("Còn ít nhất một dòng được chấp nhận")
    warnings = page.locator("table", has_text="Thời gian đo thuộc tháng báo cáo").last.inner_text()
    assert f"Ví dụ: ispeed_{FOREIGN}_1.csv, dòng 2, 3, 4" in warnings


def test_a_workbook_is_downloaded_byte_for_byte(opened: Open, site: Site) -> None:
    page = opened(f"/ispeed/{GOOD}/")
    name = f"bao-cao-ispeed_khanh-hoa_{GOOD}.xlsx"
    with page.expect_download() as waited:
        page.get_by_role("link", name=name).first.click()
    assert waited.value.suggested_filename == name
    assert waited.value.path().read_bytes() == (site.settings.share_of(GOOD) / "r2" / name).read_bytes()
    page.get_by_role("link", name="So với bản trước").click()
    assert page.locator("h1").inner_text().startswith("Tháng 10/2024: r1 → r2")
    assert page.locator("main ul").first.inner_text().startswith("Số liệu đến muộn: 50 dòng trong 1 tệp mới")
    page.get_by_role("link", name="← Tháng 10/2024").click()
    assert page.locator("h1").inner_text().startswith("i-Speed tháng 10/2024")


def test_who_may_only_look_sees_no_way_to_run_a_month_and_airflow_refuses_it(opened: Open, site: Site) -> None:
    page = opened(f"/ispeed/{GOOD}/", "khach")
    assert page.locator("h1").inner_text().startswith("i-Speed tháng 10/2024")
    assert page.get_by_text("Chạy lại tháng này").count() == 0
    assert page.locator("script").count() == 0
    body = json.dumps({"logical_date": None, "partition_key": str(GOOD)})
    sent = page.evaluate(
        """([url, body]) => fetch(url, {method: "POST", body, headers: {"Content-Type": "application/json"}})
        .then(a => a.status).catch(e => String(e))""",
        [site.server.url + RUNS, body],
    )
    # This page's policy for content lets nothing be called at all; the API refuses it by itself.
    assert "Failed to fetch" in str(sent)
    token = site.server.token_for("khach")
    request = urllib.request.Request(site.server.url + RUNS, body.encode(), {"Content-Type": "application/json"})
    request.add_header("Authorization", f"Bearer {token}")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60)


def test_another_sites_form_cannot_run_a_month(opened: Open, site: Site) -> None:
    """The session's cookie does not go with another site's request, nor does Airflow read what a form can send."""
    before = site.server.request("GET", RUNS)["total_entries"]
    page = opened(f"/ispeed/{GOOD}/", "admin")
    elsewhere = site.server.url.replace("127.0.0.1", "localhost")
    page.goto(f"{elsewhere}/api/v2/monitor/health")
    page.set_content(
        f'<form method="post" enctype="text/plain" action="{site.server.url}{RUNS}">'
        f'<input name=\'{{"logical_date":null,"partition_key":"{GOOD}","note":"\' value=\'"}}\'></form>'
    )
    with page.expect_navigation():
        page.evaluate("document.forms[0].submit()")
    assert site.server.request("GET", RUNS)["total_entries"] == before


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", ["/ispeed/", f"/ispeed/{STOPPED}/", f"/ispeed/{GOOD}/", f"/ispeed/{GOOD}/diff/r1/r2"])
def test_a_page_fits_its_width_and_has_no_serious_fault_of_accessibility(
    opened: Open, site: Site, path: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = opened(path, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # axe is a script of the test's: the pages' own policy would not let it run.
    page.context.new_cdp_session(page).send("Page.setBypassCSP", {"enabled": True})
    page.reload()
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"][:90] for node in one["nodes"]][:3]) for one in found if is_serious(one)] == []
    if folder := os.environ.get("ISPEED_PICTURES"):
        names = {"/ispeed/": "trang-airflow", f"/ispeed/{STOPPED}/": "trang-airflow-loi"}
        names[f"/ispeed/{GOOD}/"] = "trang-airflow-phieu"
        if path == f"/ispeed/{GOOD}/":
            page.goto(f"{page.url}#phieu")
        # Where this test has its folders is nobody's business.
        page.evaluate(
            "folder => document.querySelectorAll('code').forEach("
            "code => code.textContent = code.textContent.replace(folder, '/srv/ispeed'))",
            str(site.settings.lake.parent),
        )
        if path in names:
            suffix = "" if width == 1280 else "-hep"
            page.screenshot(path=Path(folder) / f"{names[path]}{suffix}.png", full_page=path == "/ispeed/")


def is_serious(violation: dict[str, object]) -> bool:
    return violation["impact"] in ("serious", "critical")


def test_no_route_answers_without_login_and_a_forged_token_is_refused(site: Site) -> None:
    row = hashlib.sha256(next((site.settings.share_of(GOOD) / "r2").glob("*.xlsx")).read_bytes()).hexdigest()
    paths = [
        *("/ispeed/", f"/ispeed/{GOOD}/", f"/ispeed/{GOOD}/data-docs/index.html", f"/ispeed/{GOOD}/diff/r1/r2"),
        *(f"/ispeed/{GOOD}/r2/files/{row}", f"/ispeed/{GOOD}/r2/data-docs/index.html"),
        *("/ispeed/runs/ingest_measurements/x", "/ispeed/none", "/ispeed/docs", "/ispeed/openapi.json"),
    ]
    for path in paths:
        assert site.get(path, None)[0] in (401, 404), path
    assert [site.get(path, None)[0] for path in paths[:7]] == [401] * 7
    assert [site.get(path, "khach")[0] for path in paths[:6]] == [200] * 6
    assert site.get("/ispeed/", "khach", "POST")[0] == 405


# The last, as it changes what the list shows.
def test_a_month_is_run_again_by_keyboard_and_twice_at_once_starts_one_run(opened: Open, site: Site) -> None:
    before = site.server.request("GET", f"{RUNS}?partition_key_pattern={STOPPED}")["total_entries"]
    one, other = opened(f"/ispeed/{STOPPED}/"), opened(f"/ispeed/{STOPPED}/", "admin")
    for page in (one, other):
        summary = page.get_by_text("Chạy lại tháng này")
        for _ in range(60):
            page.keyboard.press("Tab")
            if summary.evaluate("(e) => document.activeElement === e.closest('summary')"):
                break
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Mở lần chạy").wait_for()
    assert one.get_by_role("status").inner_text() == "Đã bắt đầu chạy lại. Mở lần chạy"
    assert other.get_by_role("status").inner_text() == "Tháng này đang chạy; không chạy thêm. Mở lần chạy"
    answer = site.server.request("GET", f"{RUNS}?partition_key_pattern={STOPPED}&order_by=-id")
    run = answer["dag_runs"][0]
    assert (answer["total_entries"], run["partition_key"], run["state"]) == (before + 1, str(STOPPED), "queued")
    assert run["triggering_user_name"] == "chuyen-vien"
    one.get_by_role("link", name="Mở lần chạy").click()
    assert one.url == f"{site.server.url}/dags/ingest_measurements/runs/{quote(run['dag_run_id'], safe='')}"
    # The name that both asked for is taken: where both looked before either had sent, Airflow itself refuses.
    again = {"logical_date": None, "partition_key": str(STOPPED), "dag_run_id": run["dag_run_id"]}
    with pytest.raises(Exception, match="409"):
        site.server.request("POST", RUNS, again)
