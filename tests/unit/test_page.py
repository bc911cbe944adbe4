"""The pages of the share: what they say is what the workbook says, whatever the data is called."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from openpyxl import load_workbook
from test_workbook import content, figures, without_rows

from ispeed.months import Month
from ispeed.page.commune_table import commune_table
from ispeed.page.drawings import LEVELS, MonthPoint, month_lines
from ispeed.page.month_page import Download, downloads_in, month_page
from ispeed.page.share_page import ShareMonth, ShareRevision, share_page
from ispeed.series import SHOWN
from ispeed.workbook.book import Change, Content, write_workbook
from ispeed.workbook.wording import number
from page_reader import Element, read_page

FILES = [
    Download("bao cao #1.xlsx", 126_672),
    Download("quarantine.csv", 12),
    Download("csv/report_commune_month.csv", 9),
]
HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd|'/c calc'!A1",
    "\"'><b>",
    "{{ 7 * 7 }}",
    "&lt;",
    "</style></script>",
    "\u202egnp",
]


def of(what: Content) -> Element:
    return read_page(month_page(what, FILES))


def series(*months: tuple[date, int, float | None]) -> list[dict[str, object]]:
    return [
        dict(
            zip(
                SHOWN,
                (day, n, median, median and median - 1, median and median + 2, None if median else "no_samples"),
                strict=True,
            )
        )
        for day, n, median in months
    ]


def with_places(what: Content) -> Content:
    rows = what.rows("report_commune_month", "mobile")
    places = {str(row["commune_code"]): (109 + 0.1 * (n % 12), 12 + 0.1 * (n // 12)) for n, row in enumerate(rows)}
    return replace(what, places=places)


def many_communes(n: int) -> Content:
    """A month of that many communes, all with figures."""
    full = content()
    first = full.tables["report_commune_month"][0]
    rows = [
        {**first, "commune_code": f"{22_000 + i}", "commune_name": f"Đơn vị số {i}", **figures(40 + i, 40 + i / 7)}
        for i in range(n)
    ]
    return with_places(replace(full, tables={**full.tables, "report_commune_month": rows}))


def test_every_commune_stands_in_the_table_with_its_figures_or_the_mark_of_why_there_are_none() -> None:
    heading, *rows = of(content()).table("theo danh mục ngày cuối tháng")
    found = {row[0]: dict(zip(heading, row, strict=True)) for row in rows}
    assert list(found) == ["Phước Tiến", "Vĩnh Phước", "Cam Đức", "Suối Tân"]
    first = found["Phước Tiến"]
    assert (first["Lượt đo"], first["Tải xuống trung vị (Mbps)"], first["Tải xuống, khoảng 95% (Mbps)"]) == (
        "320",
        "61,25",
        "55,12–70,44",
    )
    assert (first["Tỷ lệ mẫu đạt mục tiêu"], first["Còn thiếu đến 300"], first["Trạng thái"]) == (
        "66,7%",
        "0",
        "Đủ đánh giá",
    )
    assert (found["Suối Tân"]["Tải xuống trung vị (Mbps)"], found["Suối Tân"]["Trạng thái"]) == (
        "[–]",
        "[dưới 30 lượt đo]",
    )
    assert found["Cam Đức"]["Trạng thái"] == "[không có mẫu]"


def test_the_key_figures_are_those_of_the_workbook(tmp_path: Path) -> None:
    before = [
        {**content().tables["report_province_month"][0], "download_mbps_median": 55.5, "n_communes_publishable": 3}
    ]
    now = replace(content(), previous_province=before)
    write_workbook(now, tmp_path / "book.xlsx")
    sheet = load_workbook(tmp_path / "book.xlsx")["Tổng quan"]
    cells = [[cell.value for cell in row if cell.value is not None] for row in sheet.iter_rows(min_row=9, max_row=11)]
    labels, values, changes = cells
    (cards,) = (item for item in of(now).all("ul") if item.attributes.get("class") == "cards")
    shown = [[part.text for part in card.children if isinstance(part, Element)] for card in cards.all("li")]
    assert [card[0] for card in shown] == labels
    forms = (
        f"{values[0]}/4",
        f"{values[1]}/4",
        f"{number(values[2], 2)} Mbps",
        f"{number(values[3], 2)} Mbps",
        "66,7%",
    )
    assert [card[1] for card in shown] == list(forms)
    assert changes[:3] == [-1, 0, "≈ +1,50"]
    assert [card[2] for card in shown] == ["▼ 1", "Không đổi", "≈ +1,50", "Không đổi", "Không đổi"]


def test_sort_keys_follow_the_vietnamese_alphabet_and_the_numbers_behind_the_text() -> None:
    names = ["Bình", "Đa", "Da", "Ẩn", "An", "Ăn", "Ân"]
    full = content()
    first = full.tables["report_commune_month"][0]
    rows = [
        {**first, "commune_code": str(i), "commune_name": name, **figures(1_000 * i + 30, 50.0 + i, n_devices=9)}
        for i, name in enumerate(names)
    ]
    table = commune_table(replace(full, tables={**full.tables, "report_commune_month": rows}))
    by_name = sorted(table.rows, key=lambda row: row.name.key if row.name.key is not None else 99)
    assert [row.name.text for row in by_name] == ["An", "Ăn", "Ân", "Ẩn", "Bình", "Da", "Đa"]
    column = table.headings.index("Lượt đo") - 1
    assert {row.cells[column].text: row.cells[column].key for row in table.rows}["6.030"] == 6030
    median = table.headings.index("Tải xuống trung vị (Mbps)") - 1
    blank = commune_table(full).rows[-1].cells[median]
    assert (blank.text, blank.key) == ("[–]", None)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_wherever_it_stands(name: str) -> None:
    full = with_places(content())
    communes = [
        {**row, "commune_name": name, "district_name": name, "kind": name}
        for row in full.tables["report_commune_month"]
    ]
    operators = [{**row, "operator": name} for row in full.tables["report_operator_month"]]
    quality = [{**row, "source_file": name} for row in full.tables["report_quality_month"]]
    tables = {"report_commune_month": communes, "report_operator_month": operators, "report_quality_month": quality}
    changes = [Change("report_commune_month", name, name, name, None, name)]
    policy = replace(full.policy, contact=name, issuer=name, licence=name)
    hostile = replace(
        full,
        tables={**full.tables, **tables},
        changes=changes,
        change_causes=[name],
        policy=policy,
        revision=2,
        compared_with=1,
    )
    page = read_page(month_page(hostile, [*FILES, Download(f"{name}.xlsx", 1)]))
    plain = of(full)
    for tag in ("script", "style", "b", "img", "iframe"):
        assert len(page.all(tag)) == len(plain.all(tag))
    names = [row[0] for row in page.table("theo danh mục ngày cuối tháng")[1:]]
    assert names == [" ".join(name.split())] * 4
    links = [link.attributes["href"] for link in page.all("a")]
    assert all(re.fullmatch(r"[\w./#%~-]*", link) for link in links)


def test_file_names_are_percent_encoded_in_links_and_plain_in_texts() -> None:
    links = {link.attributes["href"]: link.text for link in of(content()).all("a")}
    assert links["bao%20cao%20%231.xlsx"] == "bao cao #1.xlsx"
    assert {"../../index.html", "quarantine.csv", "data-docs/index.html"} <= set(links)


def test_the_page_leads_to_every_file_of_its_folder_and_to_the_first_page_of_the_data_docs(tmp_path: Path) -> None:
    for name in ("a.xlsx", "csv/report_commune_month.csv", "data-docs/index.html", "data-docs/x.html", "don-vi/b.xlsx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    page = read_page(month_page(content(), downloads_in(tmp_path)))
    (section,) = (one for one in page.all("section") if one.attributes.get("aria-labelledby") == "tai-ve")
    links = [link.attributes["href"] for link in section.all("a")]
    assert links == ["a.xlsx", "data-docs/index.html", "manifest.json", "csv/report_commune_month.csv", "don-vi/b.xlsx"]


def test_a_month_without_a_row_has_a_page_that_says_so() -> None:
    page = of(without_rows())
    assert [row[-1] for row in page.table("theo danh mục ngày cuối tháng")[1:]] == ["[không có mẫu]"] * 4
    assert "không có lượt đo di động nào" in page.text
    assert "[không có mẫu]" in [term.text for term in page.all("dt")]
    nothing = replace(without_rows(), tables={})
    assert len(of(nothing).table("theo danh mục ngày cuối tháng")) == 1


def test_a_month_without_districts_has_neither_their_column_nor_their_filter() -> None:
    full = with_places(content())
    rows = [{**row, "district_code": None, "district_name": None} for row in full.tables["report_commune_month"]]
    later = replace(full, month=Month(2025, 7), tables={**full.tables, "report_commune_month": rows})
    page = of(later)
    assert "Cấp huyện" not in page.text
    assert [field.attributes["id"] for field in page.all("select")] == ["loc-muc"]
    assert [row[0] for row in page.table("theo mức lượt đo")] == ["Loại", "xã", "phường", "thị trấn"]
    assert "tháng 07/2025" in page.all("h1")[0].text


def test_the_map_tells_by_shape_and_title_how_far_each_commune_is() -> None:
    page = of(with_places(content()))
    (drawn,) = (svg for svg in page.all("svg") if svg.attributes.get("class") == "map")
    signs = {
        group.all("title")[0].text: (child.tag, child.attributes["class"])
        for group in drawn.all("g")
        for child in group.children
        if isinstance(child, Element) and child.tag != "title"
    }
    assert signs == {
        "phường Phước Tiến, Thành phố Nha Trang: 320 lượt đo, tải xuống trung vị 61,25 Mbps": ("circle", "l-enough"),
        "phường Vĩnh Phước, Thành phố Nha Trang: 45 lượt đo, tải xuống trung vị 48,50 Mbps": ("rect", "l-some"),
        "xã Suối Tân, Huyện Cam Lâm: 12 lượt đo, [dưới 30 lượt đo]": ("path", "l-few"),
        "thị trấn Cam Đức, Huyện Cam Lâm: 0 lượt đo, [không có mẫu]": ("path", "l-none"),
    }
    assert page.table("theo mức lượt đo")[1:] == [
        ["Thành phố Nha Trang", "2", "1", "1", "0", "0", "255"],
        ["Huyện Cam Lâm", "2", "0", "0", "1", "1", "588"],
    ]
    assert '<svg class="map"' not in month_page(replace(content(), places={}), FILES)
    assert set(LEVELS) == {row.level for row in commune_table(content()).rows}


def test_rows_add_up_step_by_step() -> None:
    steps = of(content()).table("Đối soát số dòng, mọi tệp")[1:]
    assert [row[:3] for row in steps] == [
        ["Nhận được", "400", "100,0%"],
        ["Cách ly: Trùng lặp", "−20", "5,0%"],
        ["Cách ly: Thuộc tháng khác", "−3", "0,8%"],
        ["Chấp nhận", "377", "94,3%"],
    ]
    wrong = content()
    rows = [row | {"n_rows": 401} if row["outcome"] == "raw" else row for row in wrong.tables["report_quality_month"]]
    assert "(KHÔNG KHỚP)" in of(replace(wrong, tables={**wrong.tables, "report_quality_month": rows})).text


def test_the_months_stand_in_a_table_and_a_month_that_is_missing_breaks_the_line() -> None:
    months = series((date(2024, 7, 1), 10, None), (date(2024, 8, 1), 15_000, 56.0), (date(2024, 10, 1), 16_000, 58.7))
    page = of(replace(content(), series=months))
    assert page.table("lượt đo di động theo tháng")[1:] == [
        ["07/2024", "10", "[không có mẫu]", "[không có mẫu]"],
        ["08/2024", "15.000", "56,00", "55,00–58,00"],
        ["10/2024", "16.000", "58,70", "57,70–60,70"],
    ]
    points = [MonthPoint(date(2024, n, 1), 100, 50.0, 49.0, 51.0) for n in (6, 7, 8, 10)]
    (line,) = re.findall(r'class="line" d="([^"]*)"', month_lines(points, "t", "d"))
    assert re.findall("[ML]", line) == ["M", "L", "L", "M"]
    long = [MonthPoint(date(2020 + n // 12, 1 + n % 12, 1), 100 + n, 50.0 + n, None, None) for n in range(72)]
    assert len(re.findall(r">\d\d/20\d\d<", month_lines(long, "t", "d"))) <= 13


def test_a_revision_tells_how_many_cells_changed_and_why() -> None:
    changes = [Change("report_commune_month", "a", "b", 1, 2, "Số liệu đến muộn")] * 3
    changes += [Change("report_operator_month", "a", "b", 1, 2, "Chính sách thay đổi")]
    page = of(
        replace(content(), revision=3, compared_with=1, changes=changes, change_causes=["Số liệu đến muộn: 2 tệp"])
    )
    assert page.table("Số ô thay đổi so với bản r1")[1:] == [
        ["Chính sách thay đổi", "Nhà mạng", "1"],
        ["Số liệu đến muộn", "Phụ lục I", "3"],
    ]
    assert "4 ô thay đổi so với bản r1" in page.all("header")[0].text


def test_sample_data_is_named_on_the_screen_in_print_and_in_the_title() -> None:
    page = month_page(replace(content(), is_sample=True), FILES)
    assert page.count("DỮ LIỆU MẪU") == 4
    assert '@top-right { content: "DỮ LIỆU MẪU' in page
    assert "DỮ LIỆU MẪU" not in month_page(replace(content(), places={}), FILES)


def test_every_mark_in_a_cell_stands_in_the_key() -> None:
    page = of(content())
    cells = {text for cell in page.all("td") for text in re.findall(r"\[[^\]]+\]", cell.text)}
    assert cells
    assert cells <= {term.text for term in page.all("dt")}


def test_the_page_asks_for_nothing_and_forbids_that_it_does() -> None:
    page = month_page(with_places(content()), FILES)
    (policy,) = (meta.attributes["content"] for meta in read_page(page).all("meta") if "http-equiv" in meta.attributes)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:")
    assert not re.search(r"\bsrc=|https?:|url\(|@import|fetch\(|XMLHttpRequest|type=\"module\"", page)


def test_the_same_month_gives_the_same_page_and_a_whole_province_stays_small() -> None:
    page = month_page(many_communes(139), FILES)
    assert month_page(many_communes(139), FILES) == page
    assert page.count("<tr data-district") == 139
    assert len(gzip.compress(page.encode())) < 300_000


PUBLICATION = {
    "state": "published",
    "n_raw": 20_000,
    "n_accepted": 19_560,
    "n_quarantined": 440,
    "published_at": datetime(2024, 11, 9, 18, 5),
    "why": "Phát hành lần đầu",
    "withdrawn_at": None,
    "withdrawn_why": None,
    "files_removed_at": None,
}


def test_the_top_page_names_each_month_its_figures_and_where_its_files_are() -> None:
    province = content().tables["report_province_month"][0]
    october = ShareMonth(
        Month(2024, 10),
        [
            ShareRevision(2, PUBLICATION | {"why": "<b>muộn"}, ["2024-10/r2/index.html", "2024-10/r2/a b.xlsx"]),
            ShareRevision(1, PUBLICATION | {"state": "superseded", "files_removed_at": datetime(2024, 12, 1)}, []),
        ],
        [(date(2025, 7, 1), ShareRevision(1, PUBLICATION | RESTATED, ["2024-10/restated/2025-07-01/r1/q.xlsx"]))],
        province,
    )
    withdrawn = PUBLICATION | {
        "state": "withdrawn",
        "withdrawn_at": datetime(2024, 12, 1, 2, 0),
        "withdrawn_why": "Sai tệp",
    }
    september = ShareMonth(Month(2024, 9), [ShareRevision(1, withdrawn, ["2024-09/r1/a.xlsx"])])
    page = read_page(share_page([september, october], series((date(2024, 10, 1), 377, 57.0)), content().policy))
    assert [row[:5] + row[7:8] + row[9:] for row in page.table("mới nhất ở trên")[1:]] == [
        ["10/2024", "r2", "Trang web · Sổ Excel", "Đang phát hành", "377", "57,00"]
        + ["20.000", "19.560", "440", "10/11/2024 01:05"],
        ["09/2024", "[không có]", "[không có]", "Đã thu hồi", "[không có]", "[không có]"]
        + ["20.000", "19.560", "440", "10/11/2024 01:05"],
    ]
    history = page.table("Mỗi bản nêu lý do")[1:]
    assert [row[:4] for row in history] == [
        ["10/2024", "r2", "Đang phát hành", "<b>muộn"],
        ["10/2024", "r1", "Đã có bản mới hơn", "Phát hành lần đầu"],
        ["09/2024", "r1", "Đã thu hồi 01/12/2024 09:00. Lý do: Sai tệp", "Phát hành lần đầu"],
    ]
    assert history[1][-1] == "[đã xóa theo thời hạn lưu]"
    assert page.table("tính lại trên các đơn vị")[1][:3] == ["10/2024", "01/07/2025", "r1"]
    links = [link.attributes["href"] for link in page.all("a")]
    assert "2024-10/r2/a%20b.xlsx" in links
    assert "2024-10/restated/2025-07-01/r1/q.xlsx" in links


RESTATED = {"month_revision": 2, "n_measurements": 377, "n_not_attributable": 12}
