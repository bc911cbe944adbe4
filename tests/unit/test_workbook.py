"""The workbook as its readers and their machines meet it: read back with openpyxl, and as the XML that Excel opens."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.cell import Cell
from openpyxl.worksheet.worksheet import Worksheet

from ispeed.months import Month
from ispeed.policy import INDICATORS
from ispeed.tables import COUNTS, FIGURES, MIX, RANK, REPORT_TABLES, SPEEDS
from ispeed.workbook.book import SHEETS, Change, CheckLine, Content, SourceFile, WorkbookPolicy, write_workbook
from ispeed.workbook.content import IntegrityPolicy
from ispeed.workbook.dump import dump
from ispeed.workbook.integrity import SIGNS
from ispeed.workbook.quality import ALL_FILES
from ispeed.workbook.style import lines_of
from ispeed.workbook.wording import alphabetical, kinds_of, listing, number, roman

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "workbook_2024-10.txt"
TABLES = {
    "Phụ lục I": "phu_luc_i",
    "Phụ lục II": "phu_luc_ii",
    "Cơ quan đơn vị": "co_quan_don_vi",
    "Nhà mạng": "nha_mang",
    "Tiến độ mẫu": "tien_do_mau",
    "Dấu hiệu bất thường": "dau_hieu_bat_thuong",
    "Chất lượng dữ liệu": "chat_luong_du_lieu",
    "Phương pháp": "phuong_phap",
    "Thay đổi": "thay_doi",
}
DANGEROUS = ["=1+1", "+84", "-5", "@SUM(A1)", "\tTab", "\rCR", "\nLF", "<r><t>x</t></r>", "_x0041_", "&<>\"'", " a "]


RULE = {
    "night_from_hour": 23,
    "night_to_hour": 5,
    "deadline_days": 3,
    "deadline_measurements": 3,
    "interval_measurements": 20,
    "interval_min_s": 60,
    "interval_max_s": 3600,
    "interval_tolerance_s": 5,
}


def figures(n: int, down: float | None = None, **others: object) -> dict[str, object]:
    """The figures of a report row: `n` measurements, and speeds made from one median."""
    row: dict[str, object] = dict.fromkeys(column.name for column in (*COUNTS, *FIGURES, *MIX, *RANK))
    row |= {"n_measurements": n, "n_samples": n * 3 // 4, "n_devices": n // 3}
    row |= {"n_missing_to_publish": max(0, 30 - n), "n_missing_to_assess": max(0, 300 - n)}
    if n // 3 >= 5:
        row["technology_mix"] = f"4G {n * 3 // 4}"
    row |= {"reason": None, "change_reason": "no_previous_month"}
    if down is not None:
        for column in SPEEDS:
            metric, _, statistic = column.name.rpartition("s_")
            factor = {"median": 1.0, "mean": 1.1, "ci_low": 0.9, "ci_high": 1.15}.get(statistic, 1.0)
            row[column.name] = round(down * factor * (1 if metric.startswith("down") else 0.4), 2)
        row["share_at_target"] = 2 / 3
        row["download_mbps_median_rank"] = 1
    return row | others


def content(**changes: object) -> Content:
    """A small month: four communes, one of each status, two codes and an unknown one, one school, three operators."""
    month = Month(2024, 10)
    units = [
        ("22366", "Phước Tiến", "phường", "568", "Thành phố Nha Trang", figures(320, 61.25)),
        ("22333", "Vĩnh Phước", "phường", "568", "Thành phố Nha Trang", figures(45, 48.5)),
        ("22711", "Suối Tân", "xã", "570", "Huyện Cam Lâm", figures(12, reason="below_publish_minimum")),
        ("22453", "Cam Đức", "thị trấn", "570", "Huyện Cam Lâm", figures(0, reason="no_samples")),
    ]
    communes = [
        {
            "commune_code": code,
            "commune_name": name,
            "kind": kind,
            "district_code": district,
            "district_name": of,
            "n_measurements_per_day": row["n_measurements"] / 31 if row["n_measurements"] else None,
            "assess_day": date(2024, 11, 5) if row["n_measurements"] else None,
            **row,
        }
        for code, name, kind, district, of, row in units
    ]
    holder = {"holder_kind": "commune", "holder_code": "22366", "holder_name": "Phường Phước Tiến"}
    holder |= dict.fromkeys(("holder_since", "earlier_holder_name", "n_measurements_earlier"))
    handed_on = holder | {
        "holder_since": date(2024, 10, 16),
        "earlier_holder_name": "Tỉnh Đoàn",
        "n_measurements_earlier": 11,
    }
    codes = [
        {"referral_code": "KH22366", **holder, **figures(60, 55.0)},
        {"referral_code": "KH22333", **handed_on, **figures(31, reason="too_few_devices", n_devices=2)},
        {"referral_code": "0123", **dict.fromkeys(holder), **figures(3, reason="below_publish_minimum")},
    ]
    school = {
        "organisation_code": "T01",
        "organisation_name": "Trường Đại học Nha Trang",
        "organisation_kind": "school",
    }
    operators = [
        {"operator": "Viettel", "host_network": "Viettel", "technology": "4G", **figures(250, 62.5)},
        {"operator": "Viettel", "host_network": "Viettel", "technology": "5G", **figures(80, 310.0)},
        {"operator": "unknown", "host_network": None, "technology": "4G", **figures(9, reason="below_publish_minimum")},
    ]
    counts = {"n_communes": 4, "n_communes_publishable": 2, "n_communes_assessable": 1}
    province = {"province_code": "56", "province_name": "Khánh Hòa", **counts, **figures(377, 57.0)}
    quality = [
        ("raw", "", 400),
        ("accepted", "", 377),
        ("quarantined", "duplicate", 20),
        ("quarantined", "other_month", 3),
    ]
    quality += [("flagged", "unknown_operator", 9)]
    evidence = {"referral_code": "KH22366", "threshold": 3.0, "evidence": "60 lượt đo, 15 mẫu đại diện"}

    def rows(*found: dict[str, object], network: bool = True) -> list[dict[str, object]]:
        key = {"month": month.first_day, "revision": 1} | ({"network": "mobile"} if network else {})
        return [key | row for row in found]

    values: dict[str, Any] = {
        "month": month,
        "revision": 1,
        "tables": {
            "report_commune_month": rows(*communes),
            "report_referral_code_month": rows(*codes),
            "report_organisation_month": rows(
                {
                    **school,
                    "headcount": 120,
                    "n_measurements_per_head": 0.5,
                    "staff_share_at_most": 1 / 6,
                    **figures(60, 55.0),
                }
            ),
            "report_operator_month": rows(*operators),
            "report_province_month": rows(province),
            "report_quality_month": rows(
                *({"source_file": "a.csv", "outcome": o, "reason": r, "n_rows": n} for o, r, n in quality),
                network=False,
            ),
            "report_integrity_month": rows(
                {**evidence, "indicator": "measurements_per_sample", "value": 4.0},
                {**evidence, "indicator": "top_device_share", "value": 0.2, "threshold": 0.5},
                network=False,
            ),
        },
        "policy": WorkbookPolicy(
            province_code="56",
            province_name="Khánh Hòa",
            parent_body="ỦY BAN NHÂN DÂN TỈNH KHÁNH HÒA",
            issuer="SỞ THÔNG TIN VÀ TRUYỀN THÔNG",
            place="Khánh Hòa",
            publish_minimum=30,
            assess_minimum=300,
            device_minimum=5,
            targets={"4G": 40, "5G": 100},
            speed_max={"4G": 1200, "5G": 5000},
            low_location_accuracy_m=1000,
            drift_months=3,
            drift_threshold={
                "volume": 2,
                "operator_share": 0.1,
                "new_device_share": 0.95,
                "no_device_share": 0.125,
                "download_median": 1.5,
            },
            window="một ngày, giờ Việt Nam",
            next_release=date(2024, 12, 10),
            contact="Phòng Công nghệ thông tin và Bưu chính, Viễn thông",
            licence="Được phép sử dụng lại khi ghi rõ nguồn",
            integrity=IntegrityPolicy(
                n_measurements=20,
                chance=1e-5,
                levels={name: 0.3 if name.endswith("_share") else 2.5 for name in INDICATORS},
                rule=RULE,
                fewest_cases=dict.fromkeys(INDICATORS, 10),
            ),
            reference="Công văn số 3761/STTTT-CNTTBCVT ngày 15/11/2024",
        ),
        "checks": [
            CheckLine("staging_measurement", "Không trùng lặp", "warning", "quarantine", "duplicate", False, 20),
            CheckLine("report_quality_month", "Số dòng khớp", "critical", "stop", "", True, 0),
        ],
        "reasons": {
            "duplicate": "Trùng lặp",
            "other_month": "Thuộc tháng khác",
            "unknown_operator": "Không xác định được nhà mạng",
        },
        "sources": [SourceFile("a.csv", "ab" * 32, 12_345)],
        "changes": [],
        "change_causes": [],
        "is_sample": False,
        "places": {"22366": (1.0, 2.0), "22333": (1.2, 2.1), "22711": (0.8, 1.9), "22453": (0.9, 1.7)},
    }
    return Content(**values | changes)


def without_rows() -> Content:
    """A month in which nothing was measured: every unit stands there, and nothing else."""
    full = content()
    empty = {name: [] for name in full.tables}
    units = [row | figures(0, reason="no_samples") for row in full.tables["report_commune_month"]]
    return replace(full, tables=empty | {"report_commune_month": units}, checks=[], sources=[])


def read(what: Content, folder: Path) -> Workbook:
    path = folder / "book.xlsx"
    write_workbook(what, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_workbook(path)


def parts(what: Content, folder: Path) -> dict[str, str]:
    """The XML of every part, by name."""
    path = folder / "book.xlsx"
    write_workbook(what, path)
    with zipfile.ZipFile(path) as book:
        return {name: book.read(name).decode() for name in book.namelist()}


def table_rows(sheet: Worksheet) -> list[dict[str, object]]:
    """The rows of a sheet's only table, by heading."""
    (table,) = sheet.tables.values()
    first, *rows = [[cell.value for cell in row] for row in sheet[table.ref]]
    return [dict(zip(map(str, first), row, strict=True)) for row in rows]


def text_of(sheet: Worksheet) -> str:
    return "\n".join(str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value is not None)


MONTHS = {
    "a month": content(),
    "sample": content(is_sample=True),
    "nothing measured": without_rows(),
    "no places": content(places={}),
    "no communes": replace(content(), tables={table.name: [] for table in REPORT_TABLES}),
}


@pytest.fixture(params=list(MONTHS))
def month(request: pytest.FixtureRequest) -> Content:
    return MONTHS[request.param]


def test_the_cells_are_those_of_the_golden_dump(tmp_path: Path) -> None:
    write_workbook(content(), tmp_path / "book.xlsx")
    found = "\n".join(dump(tmp_path / "book.xlsx")) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_the_same_content_gives_the_same_bytes(month: Content, tmp_path: Path) -> None:
    for name in ("one.xlsx", "two.xlsx"):
        write_workbook(month, tmp_path / name)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()


def test_ten_sheets_in_order_open_on_the_first_with_the_cursor_at_the_top(month: Content, tmp_path: Path) -> None:
    book = read(month, tmp_path)
    assert tuple(book.sheetnames) == SHEETS
    assert book.active is book["Tổng quan"]
    assert all(sheet.sheet_view.selection[-1].activeCell in (None, "A1") for sheet in book)
    assert all(sheet.sheet_state == "visible" for sheet in book)


def test_each_sheet_but_the_first_is_one_whole_table(month: Content, tmp_path: Path) -> None:
    book = read(month, tmp_path)
    assert not book["Tổng quan"].tables
    for name, table_name in TABLES.items():
        sheet = book[name]
        (table,) = sheet.tables.values()
        cells = sheet[table.ref]
        headings = [cell.value for cell in cells[0]]
        assert table.name == table_name
        assert cells[0][0].column == 1, f"{name}: the table starts in column A"
        assert cells[-1][0].row == sheet.max_row, f"{name}: nothing stands below the table"
        assert all(headings) and len(set(headings)) == len(headings), f"{name}: headings are unique"
        assert [column.name for column in table.tableColumns] == headings
        assert all(cell.value not in (None, "") for row in cells for cell in row), f"{name}: no cell is left empty"
        assert not [area for area in sheet.merged_cells.ranges if area.max_row >= cells[0][0].row], f"{name}: no merges"
        assert not any(line.hidden for line in (*sheet.row_dimensions.values(), *sheet.column_dimensions.values()))


def test_every_mark_has_its_meaning_on_its_sheet(month: Content, tmp_path: Path) -> None:
    for sheet in read(month, tmp_path):
        texts = [str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value is not None]
        marks = {text for text in texts if re.fullmatch(r"\[.+\]", text)}
        keys = " ".join(text for text in texts if text.startswith("Chú giải: "))
        if sheet.title != "Phương pháp":
            assert not [mark for mark in marks if f"{mark} " not in keys], sheet.title


def test_figures_are_the_report_tables_numbers_and_blanks_say_why(tmp_path: Path) -> None:
    rows = {row["Mã xã"]: row for row in table_rows(read(content(), tmp_path)["Phụ lục I"])}
    assert list(rows) == ["22366", "22333", "22453", "22711"]  # by district, then by the alphabet
    best, few, none = rows["22366"], rows["22711"], rows["22453"]
    assert (best["Lượt đo"], best["Tải xuống trung vị (Mbps)"], best["Trạng thái"]) == (320, 61.25, "Đủ đánh giá")
    assert best["Tỷ lệ mẫu đạt mục tiêu"] == 2 / 3  # rounding is the format's
    assert best["Thay đổi trung vị tải xuống (Mbps)"] == "[tháng đầu]"
    assert rows["22333"]["Trạng thái"] == "Đủ công bố"
    assert (few["Lượt đo"], few["Tải xuống trung vị (Mbps)"], few["Trạng thái"]) == (12, "[–]", "[dưới 30 lượt đo]")
    assert (none["Lượt đo"], none["Độ trễ trung vị (ms)"], none["Trạng thái"]) == (0, "[–]", "[không có mẫu]")


def test_codes_are_texts_and_unknown_ones_come_last(tmp_path: Path) -> None:
    rows = table_rows(read(content(), tmp_path)["Phụ lục II"])
    assert [row["Mã giới thiệu"] for row in rows] == ["KH22333", "KH22366", "0123"]
    assert [row["Trạng thái"] for row in rows] == ["[dưới 5 thiết bị]", "Đủ công bố", "[dưới 30 lượt đo]"]
    assert rows[-1]["Đơn vị giữ mã"] == "[ngoài danh mục]"


def test_progress_begins_with_those_that_miss_most(tmp_path: Path) -> None:
    rows = table_rows(read(content(), tmp_path)["Tiến độ mẫu"])
    assert [row["Còn thiếu đến 300"] for row in rows] == [300, 288, 255, 0]


def test_only_indicators_at_their_threshold_are_shown_and_explained(tmp_path: Path) -> None:
    sheet = read(content(), tmp_path)["Dấu hiệu bất thường"]
    (row,) = table_rows(sheet)
    assert row["Đơn vị giữ mã"] == "Phường Phước Tiến"
    assert str(row["Giải thích"]).startswith("Trung bình mỗi mẫu đại diện gộp 4,00 lượt đo (ngưỡng 3,00)")
    assert "không phải kết luận sai phạm" in text_of(sheet)


def test_every_indicator_has_a_sentence_and_a_definition(tmp_path: Path) -> None:
    assert set(SIGNS) == set(INDICATORS)
    evidence = {"referral_code": "KH22366", "value": 0.95, "threshold": 0.5, "evidence": "19 / 20", "revision": 1}
    rows = [evidence | {"month": date(2024, 10, 1), "indicator": name} for name in INDICATORS]
    month = content()
    book = read(replace(month, tables={**month.tables, "report_integrity_month": rows}), tmp_path)
    lines = {row["Dấu hiệu"]: str(row["Giải thích"]) for row in table_rows(book["Dấu hiệu bất thường"])}
    notes = {row["Mục"]: str(row["Giải thích"]) for row in table_rows(book["Phương pháp"])}
    for name, sign in SIGNS.items():
        assert ("95,0%" if name.endswith("_share") else "0,95") in lines[sign.name]
        assert "Mức thông thường: đến " in notes[sign.name]
        assert "{" not in lines[sign.name] + notes[sign.name]


def test_every_row_received_is_accounted_for(tmp_path: Path) -> None:
    sheet = read(content(), tmp_path)["Chất lượng dữ liệu"]
    assert "400 dòng nhận = 377 dòng chấp nhận + 23 dòng cách ly (khớp)" in text_of(sheet)
    assert [(row["Tệp nguồn hoặc bảng"], row["Nội dung"], row["Số dòng"]) for row in table_rows(sheet)] == [
        *(
            (file, what, count)
            for file in ("Tất cả các tệp", "a.csv")
            for what, count in (
                ("Số dòng nhận được", 400),
                ("Trùng lặp", 20),
                ("Thuộc tháng khác", 3),
                ("Số dòng chấp nhận", 377),
                ("Không xác định được nhà mạng", 9),
            )
        ),
        ("Dòng đo như đã nhận", "Không trùng lặp", 20),
        ("Chất lượng dữ liệu", "1/1 phép kiểm tra", 0),
    ]


def test_columns_that_vanished_are_new_or_are_declared_for_every_row_are_told(tmp_path: Path) -> None:
    what = content(
        absent_columns={"a.csv": ["upload_mbps"]},
        undeclared_headers={"a.csv": ["Tín hiệu"]},
        constants={"measured_at": "15/10/2024 12:00:00"},
    )
    sheet = read(what, tmp_path)["Chất lượng dữ liệu"]
    told = [row for row in table_rows(sheet) if row["Nhóm"] == "Cột tệp"]
    assert [(row["Tệp nguồn hoặc bảng"], row["Nội dung"], row["Xử lý và kết quả"]) for row in told] == [
        (ALL_FILES, "Tệp không có cột thời gian đo: mọi dòng lấy 15/10/2024 12:00:00", "Do hợp đồng nguồn khai báo"),
        ("a.csv", "Tệp không có cột tốc độ tải lên", "Không có số liệu tải lên"),
        ("a.csv", "Cột chưa khai báo: Tín hiệu", "Không đọc"),
    ]


def test_rows_that_do_not_add_up_are_said_loudly(tmp_path: Path) -> None:
    wrong = content()
    rows = [
        row | {"n_rows": 376} if row["outcome"] == "accepted" else row for row in wrong.rows("report_quality_month")
    ]
    book = read(replace(wrong, tables={**wrong.tables, "report_quality_month": rows}), tmp_path)
    assert "(KHÔNG KHỚP)" in text_of(book["Chất lượng dữ liệu"])


def test_the_first_page_says_how_many_how_fast_and_who_is_behind(tmp_path: Path) -> None:
    text = text_of(read(content(), tmp_path)["Tổng quan"])
    assert "trong 4 xã, phường, thị trấn, 2 đơn vị đủ 30 lượt đo để công bố và 1 đơn vị đủ 300 lượt đo" in text
    assert "Tốc độ tải xuống trung vị toàn địa bàn là 57,00 Mbps (khoảng tin cậy 95%: 51,30–65,55)" in text
    assert "thiếu tổng cộng 843 lượt, nhiều nhất ở huyện Cam Lâm (588) và thành phố Nha Trang (255)" in text
    assert "1 đơn vị chưa có lượt đo nào (thị trấn Cam Đức)" in text


def test_key_figures_change_against_what_was_published_for_the_month_before(tmp_path: Path) -> None:
    now = content()
    before = [
        row | {"n_communes_publishable": 1, "upload_mbps_median": 20.8, "share_at_target": 0.5}
        for row in now.rows("report_province_month")
    ]
    sheet = read(replace(now, previous_province=before), tmp_path)["Tổng quan"]
    labels = next(row for row in sheet.iter_rows() if row[0].value == "Xã đủ 30 lượt đo")
    changes = [sheet.cell(labels[0].row + 2, column).value for column in (1, 6, 11, 16, 21)]
    # Upload rose, but the intervals of the two months are one and the same.
    assert changes == [1, 0, 0, "≈ +2,00", 16.666667]
    assert "so với tháng 09/2024 như đã phát hành" in text_of(sheet)


def test_a_median_rises_only_where_the_intervals_of_the_two_months_do_not_overlap(tmp_path: Path) -> None:
    now = content()
    moved = [row | {"download_mbps_median_change": 9.0} for row in now.rows("report_province_month")]
    ends = {"download_mbps_median": 48.0, "download_mbps_ci_low": 44.0}
    for high, sign, shown, told in (
        (50.0, "up", 9.0, "tăng 9,00 Mbps so với tháng trước"),
        (52.0, "unclear", "≈ +9,00", "chênh +9,00 Mbps so với tháng trước nhưng khoảng tin cậy của hai tháng chồng"),
    ):
        before = [row | ends | {"download_mbps_ci_high": high} for row in now.rows("report_province_month")]
        tables = {**now.tables, "report_province_month": [row | {"change_sign": sign} for row in moved]}
        sheet = read(replace(now, tables=tables, previous_province=before), tmp_path)["Tổng quan"]
        labels = next(row for row in sheet.iter_rows() if row[0].value == "Xã đủ 30 lượt đo")
        assert sheet.cell(labels[0].row + 2, 11).value == shown
        assert told in text_of(sheet)


def test_only_a_commune_whose_interval_lies_below_the_provinces_is_called_slow(tmp_path: Path) -> None:
    now = content()
    rows = [dict(row) for row in now.rows("report_commune_month")]
    assert "thấp hơn rõ" not in text_of(read(now, tmp_path)["Tổng quan"])
    rows[0] |= {"download_mbps_median": 30.0, "download_mbps_ci_low": 25.0, "download_mbps_ci_high": 40.0}
    tables = {**now.tables, "report_commune_month": rows}
    found = text_of(read(replace(now, tables=tables), tmp_path)["Tổng quan"])
    assert "thấp hơn rõ so với toàn địa bàn (Mbps): " in found and "30,0 (95%: 25,00–40,00)" in found


def test_what_ends_with_the_month_is_not_to_be_measured_in_the_next(tmp_path: Path) -> None:
    text = text_of(read(replace(content(), ending={"22711": "22712"}, n_communes_next=3), tmp_path)["Tổng quan"])
    assert "gần đủ nhất: thị trấn Cam Đức (thiếu 30)" in text
    assert "toàn địa bàn 30 lượt mỗi ngày, theo 3 đơn vị từ 01/11/2024" in text


def test_the_first_page_says_what_to_do_next(tmp_path: Path) -> None:
    text = text_of(read(content(), tmp_path)["Tổng quan"])
    assert "ở 2 đơn vị chưa đủ 30 lượt đo (còn thiếu 48 lượt), tập trung ở huyện Cam Lâm (2)" in text
    assert "gần đủ nhất: xã Suối Tân (thiếu 18), thị trấn Cam Đức (thiếu 30)" in text
    assert "Trong tháng 11/2024, duy trì ở mỗi đơn vị ít nhất 10 lượt đo mỗi ngày để đủ 300 lượt" in text
    assert "mã giới thiệu lạ (số lượt đo): 0123 (3); gửi nơi xuất số liệu 23 dòng cách ly để sửa" in text
    assert "Việc cần làm tiếp" not in text_of(read(MONTHS["no communes"], tmp_path)["Tổng quan"])


def target_of(cell: Cell) -> int:
    """The row that a cell's link leads to."""
    assert cell.hyperlink and cell.hyperlink.location
    return int(re.sub(r".*!\D+", "", cell.hyperlink.location))


def test_links_lead_from_the_first_page_and_the_progress_to_the_row_in_the_appendix_and_back(tmp_path: Path) -> None:
    book = read(content(), tmp_path)
    appendix = book["Phụ lục I"]
    found: dict[str, set[str]] = {}
    for sheet in (book["Tổng quan"], book["Tiến độ mẫu"]):
        for row in sheet.iter_rows():
            for cell in row:
                if cell.hyperlink and "Phụ lục I'!A" in (cell.hyperlink.location or "") and target_of(cell) > 1:
                    target = target_of(cell)
                    names = tuple(str(appendix.cell(target, column).value) for column in range(1, 7))
                    assert str(cell.value).endswith(names), f"{cell.value} leads to {names}"
                    found.setdefault(sheet.title, set()).add(str(cell.value))
    assert {"Suối Tân", "Huyện Cam Lâm", "xã Suối Tân"} < found["Tổng quan"]
    assert found["Tiến độ mẫu"] == {"Phước Tiến", "Vĩnh Phước", "Suối Tân", "Cam Đức"}
    back = {cell.value: target_of(cell) for cell in appendix["C"] if cell.hyperlink}
    assert list(back) == ["Thành phố Nha Trang", "Huyện Cam Lâm"]
    assert [book["Tổng quan"].cell(row, 1).value for row in back.values()] == list(back)


def test_the_map_has_a_symbol_for_each_commune_in_its_level(tmp_path: Path) -> None:
    month = content()
    (chart,) = (part for part in parts(month, tmp_path).values() if "<c:scatterChart>" in part)
    sheet = read(month, tmp_path)["Tổng quan"]
    series = re.findall(r"<c:ser>.*?</c:ser>", chart, re.DOTALL)
    seen: dict[str, list[tuple[float, float]]] = {}
    for one in series:
        name = re.findall(r"<c:tx>.*?<c:v>(.*?)</c:v>", one, re.DOTALL)[0]
        cells = []
        for axis in "xy":
            letter, top, end = re.findall(rf"<c:{axis}Val>.*?!\$(\w+)\$(\d+)(?::\$\w+\$(\d+))?</c:f>", one, re.DOTALL)[
                0
            ]
            cells.append([sheet[f"{letter}{row}"].value for row in range(int(top), int(end or top) + 1)])
        seen[name] = list(zip(*cells, strict=True))
    assert seen == {
        "Từ 300 lượt đo": [(1.0, 2.0)],
        "30–299 lượt đo": [(1.2, 2.1)],
        "1–29 lượt đo": [(0.8, 1.9)],
        "Chưa có lượt đo": [(0.9, 1.7)],
    }
    assert len({re.search(r'<c:symbol val="(\w+)"', one)[1] for one in series}) == 4  # type: ignore[index]
    assert "không phải bản đồ địa giới" in text_of(sheet)


def test_a_province_without_places_has_no_map_and_no_hole(tmp_path: Path) -> None:
    assert not [part for part in parts(MONTHS["no places"], tmp_path).values() if "<c:scatterChart>" in part]
    assert "Sơ đồ" not in text_of(read(MONTHS["no places"], tmp_path)["Tổng quan"])


def test_a_name_that_looks_like_a_formula_is_no_label_on_the_map(tmp_path: Path) -> None:
    rows = [row | {"commune_name": "=1+1"} for row in content().tables["report_commune_month"]]
    what = content(tables={**content().tables, "report_commune_month": rows})
    (chart,) = (part for part in parts(what, tmp_path).values() if "<c:scatterChart>" in part)
    assert "1+1" not in chart


def test_communes_stand_by_district_and_a_line_says_where_one_begins(tmp_path: Path) -> None:
    sheet = read(content(), tmp_path)["Phụ lục I"]
    (table,) = sheet.tables.values()
    rows = list(sheet[table.ref])[1:]
    assert [(row[1].value, row[2].value) for row in rows] == [
        ("I", "Thành phố Nha Trang"),
        ("I", "Thành phố Nha Trang"),
        ("II", "Huyện Cam Lâm"),
        ("II", "Huyện Cam Lâm"),
    ]
    assert [{cell.border.top.style for cell in row} for row in rows] == [{"medium"}, {"thin"}, {"medium"}, {"thin"}]
    assert [row[2].font.b for row in rows] == [True, False, True, False]
    assert "Nét đậm và ô tô nền: bắt đầu một đơn vị cấp huyện." in text_of(sheet)


def test_districts_are_summed_up_on_the_first_sheet(tmp_path: Path) -> None:
    rows = [[cell.value for cell in row if cell.value is not None] for row in read(content(), tmp_path)["Tổng quan"]]
    assert ["Huyện Cam Lâm", 0, 0, 1, 1, 2, 588] in rows
    assert ["Toàn địa bàn", 1, 1, 1, 1, 4, 843] in rows


def test_a_month_with_much_to_tell_is_printed_smaller(tmp_path: Path) -> None:
    plain = read(content(), tmp_path)["Tổng quan"].page_setup.scale
    causes = ["Tệp " + "rất dài " * 120, "Quy tắc " + "đổi " * 200]
    much = read(content(revision=2, compared_with=1, change_causes=causes), tmp_path)["Tổng quan"].page_setup.scale
    assert plain == 91 and 60 <= much < plain


def test_the_first_revision_says_so(tmp_path: Path) -> None:
    sheet = read(content(), tmp_path)["Thay đổi"]
    assert "Bản phát hành r1 của tháng 10/2024: phát hành lần đầu." in text_of(sheet)
    assert table_rows(sheet)[0]["Trang"] == "[phát hành lần đầu]"


def test_a_later_revision_lists_each_cell_with_its_cause(tmp_path: Path) -> None:
    cause = "Có 3 dòng đến muộn"
    changes = [
        Change("report_commune_month", "mobile, 22333", "n_measurements", 42, 45, cause),
        Change("report_commune_month", "mobile, 22333", "download_mbps_median", None, 48.5, cause),
        Change("report_commune_month", "mobile, 22333", "reason", "below_publish_minimum", None, cause),
    ]
    book = read(content(revision=2, compared_with=1, changes=changes, change_causes=[cause + "."]), tmp_path)
    rows = table_rows(book["Thay đổi"])
    assert [(row["Cột"], row["Giá trị cũ"], row["Giá trị mới"]) for row in rows] == [
        ("Lượt đo", 42, 45),
        ("Tải xuống trung vị (Mbps)", "[trống]", 48.5),
        ("Lý do để trống", "[dưới 30 lượt đo]", "[trống]"),
    ]
    assert rows[0]["Dòng"] == "Di động, 22333"
    assert "r2 của tháng 10/2024: 3 ô thay đổi so với bản r1. Nguyên nhân: Có 3 dòng đến muộn." in text_of(
        book["Tổng quan"]
    )


def test_from_july_2025_there_are_no_districts(tmp_path: Path) -> None:
    old = content()
    kinds = ("phường", "phường", "xã", "đặc khu")
    units = [
        row | {"district_code": None, "district_name": None, "kind": kind}
        for row, kind in zip(old.rows("report_commune_month"), kinds, strict=True)
    ]
    policy = replace(old.policy, issuer="SỞ KHOA HỌC VÀ CÔNG NGHỆ", reference="")
    book = read(
        content(month=Month(2025, 7), policy=policy, tables={**old.tables, "report_commune_month": units}), tmp_path
    )
    appendix = book["Phụ lục I"]
    assert "Cấp huyện" not in table_rows(appendix)[0]
    assert "TẠI XÃ, PHƯỜNG, ĐẶC KHU THỰC HIỆN ĐO BĂNG RỘNG DI ĐỘNG THÁNG 07/2025" in text_of(appendix)
    assert "SỞ KHOA HỌC VÀ CÔNG NGHỆ" in text_of(book["Tổng quan"])
    assert "Đặc khu" in text_of(book["Tổng quan"])  # progress by kind instead


@pytest.mark.parametrize("text", [*DANGEROUS, "x" * 32_767])
def test_texts_come_back_unchanged_and_never_as_formulas(text: str, tmp_path: Path) -> None:
    row = content().tables["report_commune_month"][0] | {"commune_name": text, "kind": text, "district_name": text}
    what = content(
        tables={**content().tables, "report_commune_month": [row]},
        changes=[Change(text, text, text, text, text, text)],
        revision=2,
        compared_with=1,
    )
    book = read(what, tmp_path)
    assert not [cell for sheet in book for line in sheet.iter_rows() for cell in line if cell.data_type == "f"]
    found = table_rows(book["Phụ lục I"])[0]
    assert found["Tên đơn vị"] == found["Cấp huyện"] == text
    assert table_rows(book["Thay đổi"])[0]["Giá trị mới"] == text


def test_a_text_too_long_for_excel_ends_in_a_sign_that_it_was_cut(tmp_path: Path) -> None:
    what = content(changes=[Change("t", "x" * 40_000, "c", 1, 2, "v")], revision=2)
    found = str(table_rows(read(what, tmp_path)["Thay đổi"])[0]["Dòng"])
    assert (len(found), found[-1]) == (32_767, "…")


def test_sample_data_is_marked_everywhere_and_real_data_nowhere(tmp_path: Path) -> None:
    book = read(content(is_sample=True), tmp_path)
    for sheet in book:
        assert "DỮ LIỆU MẪU" in text_of(sheet)
        for place in (sheet.oddHeader.right, sheet.firstHeader.right, sheet.oddFooter.right, sheet.firstFooter.right):
            assert "DỮ LIỆU MẪU" in place.text
    assert "DỮ LIỆU MẪU" in book.properties.keywords
    assert not [name for name, part in parts(content(), tmp_path).items() if "DỮ LIỆU MẪU" in part]


def test_the_document_says_who_what_and_in_which_language(tmp_path: Path) -> None:
    properties = read(content(), tmp_path).properties
    assert properties.title == "Báo cáo kết quả đo băng rộng di động bằng i-Speed, Khánh Hòa, tháng 10/2024"
    assert properties.creator == "SỞ THÔNG TIN VÀ TRUYỀN THÔNG"
    assert properties.language == "vi-VN"
    assert f"{properties.created:%Y-%m-%d}" == "2024-10-31"


def test_sheets_print_on_a4_as_the_decree_asks(month: Content, tmp_path: Path) -> None:
    for sheet in read(month, tmp_path):
        assert sheet.page_setup.paperSize == 9
        assert 30 <= sheet.page_margins.left * 25.4 <= 35
        assert all(20 <= side * 25.4 <= 25 for side in (sheet.page_margins.top, sheet.page_margins.bottom))
        assert 15 <= sheet.page_margins.right * 25.4 <= 20
        assert sheet.oddHeader.center.text == "&P" and not sheet.firstHeader.center.text
        assert sheet.HeaderFooter.differentFirst and sheet.page_setup.useFirstPageNumber
        if sheet.title != "Tổng quan":
            (table,) = sheet.tables.values()
            header = re.match(r"A(\d+)", table.ref)
            assert header and sheet.print_title_rows == f"${header[1]}:${header[1]}"
            assert sheet.page_setup.fitToHeight == 0 and sheet.sheet_properties.pageSetUpPr.fitToPage


def test_everything_is_set_in_times_new_roman(month: Content, tmp_path: Path) -> None:
    found = parts(month, tmp_path)
    assert set(re.findall(r'<name val="([^"]+)"', found["xl/styles.xml"])) == {"Times New Roman"}
    for name, part in found.items():
        if name.startswith("xl/charts/chart"):
            assert set(re.findall(r'<a:latin typeface="([^"]+)"', part)) == {"Times New Roman"}, name


def test_charts_and_tables_say_in_words_what_they_show(tmp_path: Path) -> None:
    found = parts(content(), tmp_path)
    charts = [text for name, part in found.items() if "drawings/drawing" in name for text in
              re.findall(r"<xdr:cNvPr [^>]*>", part)]  # fmt: skip
    assert len(charts) == 10
    assert all('descr="Biểu đồ' in chart for chart in charts)
    tables = [part for name, part in found.items() if name.startswith("xl/tables/")]
    assert len(tables) == 9
    assert all(re.search(r' altText="[^"]+" altTextSummary="[^"]+"', table) for table in tables)


def test_nothing_leads_out_of_the_file(tmp_path: Path) -> None:
    found = parts(content(is_sample=True), tmp_path)
    assert not [name for name in found if "vba" in name or "externalLink" in name]
    assert not [
        name for name, part in found.items() if 'TargetMode="External"' in part or "<f>" in part.replace("c:f", "")
    ]
    targets = {re.sub("!.*", "", link).strip("'") for part in found.values() for link in
               re.findall(r'<hyperlink [^>]*location="([^"]+)"', part)}  # fmt: skip
    assert targets == set(SHEETS)


def test_numbers_words_and_names_are_written_as_vietnamese_readers_expect() -> None:
    assert (number(1234567.5, 2), number(0.125, 2), number(-3.5), number(20512)) == (
        "1.234.567,50",
        "0,13",
        "-4",
        "20.512",
    )
    assert [roman(value) for value in (1, 4, 9, 14, 39, 101)] == ["I", "IV", "IX", "XIV", "XXXIX", "CI"]
    assert listing(["a", "b", "c"]) == "a, b và c" and listing(["a"]) == "a" and listing([]) == ""
    assert kinds_of(["phường", "đặc khu", "xã"]) == "xã, phường, đặc khu"
    names = ["Đại Lãnh", "Ba Ngòi", "Ấp", "An", "Diên An", "Ăng", "Cam Đức"]
    assert sorted(names, key=alphabetical) == ["An", "Ăng", "Ấp", "Ba Ngòi", "Cam Đức", "Diên An", "Đại Lãnh"]


def test_wrapped_texts_get_the_lines_that_they_need() -> None:
    assert lines_of("Thành phố Nha Trang", 148) == 1
    assert lines_of("Trường Cao đẳng Sư phạm Trung ương Nha Trang", 208) == 2
    assert lines_of("một\nhai", 500) == 2
    assert lines_of("ab" * 32, 100) >= 4
