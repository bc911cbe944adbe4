"""Recipients' workbooks: who receives one, how its file is called, what its paragraph says, where it stands."""

from __future__ import annotations

import csv
import io
import os
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from test_workbook import DANGEROUS, content, figures, table_rows, text_of

from ispeed.errors import UserError
from ispeed.months import Month
from ispeed.recipient_files import write_recipients
from ispeed.recipients import Recipient, file_names, is_committee_of, peers_of, recipients_of
from ispeed.workbook.content import Content, Row
from ispeed.workbook.dump import dump
from ispeed.workbook.paragraph import paragraph
from ispeed.workbook.recipient import Shared, recipient_workbook
from ispeed.workbook.wording import number

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
KEY = {"network": "mobile", "revision": 1}
DISTRICTS = {"570": "Huyện Cam Lâm", "574": "Huyện Diên Khánh", "576": "Huyện Trường Sa"}


def commune(code: str, name: str, district: str | None, n: int, down: float | None = None, kind: str = "xã") -> Row:
    """A commune's row with so many measurements; blank below 30."""
    reason = None if n >= 30 else "below_publish_minimum" if n else "no_samples"
    of = {"district_code": district, "district_name": DISTRICTS.get(str(district)), "kind": kind}
    return {**KEY, "commune_code": code, "commune_name": name, **of, **figures(n, down, reason=reason)}


def code(of: str, holder: str, name: str, n: int, kind: str = "organisation") -> Row:
    reason = None if n >= 30 else "below_publish_minimum" if n else "no_samples"
    held = {"holder_kind": kind, "holder_code": holder, "holder_name": name, "holder_since": None}
    return {**KEY, "referral_code": of, **held, **figures(n, 50.0 if n >= 30 else None, reason=reason)}


def body(
    code: str, name: str, kind: str, headcount: int | None, n: int, down: float | None = None, **more: object
) -> Row:
    """An organisation's row; `n` measurements by a third as many devices."""
    reason = None if n >= 30 else "below_publish_minimum" if n else "no_samples"
    heads = {
        "headcount": headcount,
        "n_measurements_per_head": n / headcount if headcount else None,
        "staff_share_at_most": min(1, n // 3 / headcount) if headcount else None,
    }
    of = {"organisation_code": code, "organisation_name": name, "organisation_kind": kind}
    return {**KEY, **of, **heads, **figures(n, down, reason=reason, **more)}


def month(communes: Sequence[Row], codes: Sequence[Row] = (), bodies: Sequence[Row] = (), **changes: object) -> Content:
    tables = {
        "report_commune_month": list(communes),
        "report_referral_code_month": list(codes),
        "report_organisation_month": list(bodies),
    }
    return content(**{"tables": tables, **changes})


COMMUNES = [
    commune("22651", "Diên Khánh", "574", 320, 61.25, "thị trấn"),
    commune("22654", "Diên Lâm", "574", 45, 48.5),
    commune("22657", "Diên Điền", "574", 12),
    commune("22660", "Diên Xuân", "574", 0),
    commune("22711", "Suối Tân", "570", 377, 55.0),
    commune("22736", "Trường Sa", "576", 0, None, "thị trấn"),
]
CODES = [
    code("DK1", "22651", "Thị trấn Diên Khánh", 60, "commune"),
    code("CL1", "22711", "Xã Suối Tân", 31, "commune"),
    code("UB1", "UBND-574", "Ủy ban nhân dân huyện Diên Khánh", 28),
    code("NT1", "DHNT", "Trường Đại học Nha Trang", 60),
    code("NT2", "DHNT", "Trường Đại học Nha Trang", 0),
    {**KEY, "referral_code": "0123", "holder_kind": None, "holder_code": None, "holder_name": None,
     "holder_since": None, **figures(3, reason="below_publish_minimum")},
]  # fmt: skip
BODIES = [
    body("DHNT", "Trường Đại học Nha Trang", "school", 120, 60, 55.0, download_mbps_median_change=3.5,
         change_sign="unclear", change_reason=None),
    body("DHKH", "Trường Đại học Khánh Hòa", "school", 50, 60, 58.0),
    body("HVHQ", "Học viện Hải quân", "school", None, 90, 90.0),
    body("CDYT", "Trường Cao đẳng Y tế Khánh Hòa", "school", 300, 0),
    body("UBND-574", "Ủy ban nhân dân huyện Diên Khánh", "district", 200, 28),
    body("TINHDOAN", "Tỉnh Đoàn Khánh Hòa", "youth_union", 64, 0),
]  # fmt: skip
BEFORE: Mapping[str, Sequence[Row]] = {
    "report_commune_month": [
        {"commune_code": "22651", "district_code": "574", "n_measurements": 290, "n_missing_to_assess": 10},
        {"commune_code": "22654", "district_code": "574", "n_measurements": 20, "n_missing_to_assess": 280},
    ],
    "report_organisation_month": [{"organisation_code": "DHNT", "n_measurements": 72}],
}
# From 07/2025: no districts.
LATER = [
    commune("22651", "Diên Khánh", None, 161, 84.0),
    commune("22657", "Diên Điền", None, 161, 20.0),
    commune("22366", "Nha Trang", None, 870, 98.0, "phường"),
    commune("22736", "Trường Sa", None, 0, None, "đặc khu"),
]
OCTOBER = month(COMMUNES, CODES, BODIES, previous_counts=BEFORE)
AUGUST = month(LATER, CODES, [], month=Month(2025, 8))


def named(recipients: Sequence[Recipient], name: str) -> Recipient:
    return next(one for one in recipients if one.name == name)


def told(what: Content, name: str, groups: Mapping[str, Sequence[str]] | None = None) -> str:
    """The paragraph of one recipient."""
    recipients = recipients_of(what, groups or {})
    one = named(recipients, name)
    return paragraph(what, one, peers_of(recipients)[one.kind, one.organisation_kind])


def made(what: Content, name: str) -> bytes:
    recipients = recipients_of(what, {})
    return recipient_workbook(Shared(what, recipients), named(recipients, name))


def read(what: Content, name: str) -> Workbook:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_workbook(BytesIO(made(what, name)))


def test_up_to_june_2025_districts_receive_and_every_organisation() -> None:
    assert [(one.kind, one.code, one.name) for one in recipients_of(OCTOBER, {})] == [
        ("district", "570", "Huyện Cam Lâm"),
        ("district", "574", "Huyện Diên Khánh"),
        ("district", "576", "Huyện Trường Sa"),
        ("organisation", "UBND-574", "Ủy ban nhân dân huyện Diên Khánh"),
        ("organisation", "TINHDOAN", "Tỉnh Đoàn Khánh Hòa"),
        ("organisation", "HVHQ", "Học viện Hải quân"),
        ("organisation", "CDYT", "Trường Cao đẳng Y tế Khánh Hòa"),
        ("organisation", "DHKH", "Trường Đại học Khánh Hòa"),
        ("organisation", "DHNT", "Trường Đại học Nha Trang"),
    ]


def test_from_july_2025_communes_receive_or_the_groups_of_policy() -> None:
    alone = recipients_of(AUGUST, {})
    assert [one.name for one in alone] == ["Xã Diên Điền", "Xã Diên Khánh", "Phường Nha Trang", "Đặc khu Trường Sa"]
    grouped = recipients_of(AUGUST, {"Khu vực Diên Khánh": ["22651", "22657"]})
    assert [(one.kind, one.name) for one in grouped] == [
        ("commune_group", "Khu vực Diên Khánh"),
        ("commune", "Phường Nha Trang"),
        ("commune", "Đặc khu Trường Sa"),
    ]
    assert [row["commune_code"] for row in grouped[0].communes] == ["22657", "22651"]
    # While there are districts, groups say nothing: the code may be another unit's.
    assert [one.kind for one in recipients_of(OCTOBER, {"Khu vực Diên Khánh": ["22651"]})][:3] == ["district"] * 3


@pytest.mark.parametrize("groups", [{"A": ["99999"]}, {"A": ["22651"], "B": ["22651"]}])
def test_a_code_of_a_group_that_is_no_commune_of_the_month_is_named(groups: dict[str, list[str]]) -> None:
    with pytest.raises(UserError, match=rf"recipient_groups, {list(groups)[-1]}\n.*{list(groups.values())[-1][0]}"):
        recipients_of(AUGUST, groups)


def test_a_district_has_the_codes_of_its_communes_and_of_its_committee_a_body_its_own() -> None:
    recipients = recipients_of(OCTOBER, {})

    def held(name: str) -> list[object]:
        return [row["referral_code"] for row in named(recipients, name).codes]

    assert held("Huyện Diên Khánh") == ["DK1", "UB1"]
    assert held("Huyện Cam Lâm") == ["CL1"]
    assert held("Trường Đại học Nha Trang") == ["NT1", "NT2"]
    assert held("Học viện Hải quân") == []


@pytest.mark.parametrize(
    ("body_name", "district", "is_its"),
    [
        ("Ủy ban nhân dân thành phố Nha Trang", "Thành phố Nha Trang", True),
        ("UBND TP. Nha Trang", "Thành phố Nha Trang", True),
        ("Uỷ ban nhân dân huyện Diên Khánh", "Huyện Diên Khánh", True),
        ("Phòng Văn hóa và Thông tin huyện Diên Khánh", "Huyện Diên Khánh", True),
        ("Ủy ban nhân dân huyện Khánh Sơn", "Huyện Khánh Vĩnh", False),
        ("Ủy ban nhân dân thị xã Cam Ranh", "Thành phố Cam Ranh", False),
    ],
)
def test_a_districts_committee_is_known_by_its_name(body_name: str, district: str, is_its: bool) -> None:
    assert is_committee_of(body_name, district) is is_its


def of(name: str, code: str) -> Recipient:
    return Recipient("organisation", code, name)


def test_file_names_are_readable() -> None:
    recipients = [Recipient("district", "574", "Huyện Diên Khánh"), of("Trường Đại học Nha Trang", "DHNT")]
    assert file_names(recipients) == ["huyen-dien-khanh_574.xlsx", "truong-dai-hoc-nha-trang_DHNT.xlsx"]
    assert file_names([of("Đặc khu Hoàng Sa", "")]) == ["dac-khu-hoang-sa.xlsx"]


@pytest.mark.parametrize(
    ("name", "code", "file"),
    [
        ("../../etc/passwd", "a/b", "etc-passwd_a-b.xlsx"),
        ("=1+1", "..", "1-1.xlsx"),
        ("CON", "", "con-2.xlsx"),
        ("nul", "NUL", "nul_NUL.xlsx"),
        ("数", "", "don-vi.xlsx"),
        ("a\0b\nc", "\\", "a-b-c.xlsx"),
        ("x" * 300, "y" * 300, f"{'x' * 48}_{'y' * 20}.xlsx"),
    ],
)
def test_hostile_names_stay_inside_the_folder(name: str, code: str, file: str) -> None:
    assert file_names([of(name, code)]) == [file]


def test_names_that_differ_only_in_capitals_or_accents_give_two_files() -> None:
    assert file_names([of("Thành Hải", "a"), of("Thanh Hải", "A"), of("THANH HAI", "a")]) == [
        "thanh-hai_a.xlsx",
        "thanh-hai_A-2.xlsx",
        "thanh-hai_a-3.xlsx",
    ]


HOSTILE = st.one_of(
    st.text(max_size=120),
    st.sampled_from(["", ".", "..", "/", "a/b", "..\\x", "con", "AUX", "com1", "lpt9.", "don-vi", "=x", "-2", "x_2"]),
    st.text(alphabet="aAáÁ_-. 12", max_size=6),
)


@given(st.lists(st.tuples(HOSTILE, HOSTILE), max_size=12))
def test_any_names_give_safe_file_names_each_once(names: list[tuple[str, str]]) -> None:
    files = file_names([of(name, code) for name, code in names])
    assert len({file.lower() for file in files}) == len(names)
    for file in files:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*\.xlsx", file) and len(file) <= 80
        assert not re.fullmatch(r"con|prn|aux|nul|com\d|lpt\d", file.removesuffix(".xlsx").lower())


def test_a_districts_paragraph_says_the_sums_of_its_communes_and_where_they_miss() -> None:
    text = told(OCTOBER, "Huyện Diên Khánh")
    rows = [row for row in COMMUNES if row["district_code"] == "574"]
    n, missing = (sum(int(str(row[name])) for row in rows) for name in ("n_measurements", "n_missing_to_assess"))
    assert (n, missing) == (377, 843)
    assert f"tại huyện Diên Khánh có {number(n)} lượt đo di động" in text
    assert "tăng 67 lượt so với tháng 09/2024" in text  # 377 - 290 - 20
    assert "Trong 4 xã, thị trấn, 2 đơn vị đủ 30 lượt đo để công bố và 1 đơn vị đủ 300 lượt đo để đánh giá." in text
    assert f"3 đơn vị còn thiếu tổng cộng {missing} lượt để đủ 300 lượt đo; chưa có lượt đo nào: xã Diên Xuân" in text
    assert "đã đo nhưng còn thiếu: xã Diên Điền (thiếu 288) và xã Diên Lâm (thiếu 255)" in text
    assert "đứng thứ 1 trong 3 đơn vị cấp huyện, cùng hạng với 1 nơi khác" in text  # both have 377
    assert "Mbps" not in text and "không gộp thành một số chung" in text
    assert "Đề nghị Ủy ban nhân dân huyện Diên Khánh vận động" in text
    assert text.endswith("(Nguồn: báo cáo i-Speed tháng 10/2024, bản phát hành r1.)")


def test_a_schools_paragraph_says_heads_codes_places_and_what_cannot_be_ranked() -> None:
    text = told(OCTOBER, "Trường Đại học Nha Trang")
    assert "2 mã giới thiệu do Trường Đại học Nha Trang giữ có 60 lượt đo" in text
    assert "từ 20 thiết bị, giảm 12 lượt so với tháng 09/2024" in text
    assert "Bình quân 0,50 lượt đo mỗi người trên 120 người theo danh mục" in text
    assert "nhiều nhất 16,7% số người có thể đã đo bằng các mã này" in text
    assert "tức còn ít nhất 100 người chưa đo hoặc đo mà không nhập mã" in text
    assert "Mã chưa có lượt đo nào: NT2." in text
    assert "thứ 2 trong 4 trường, cùng hạng với 1 nơi khác; về lượt đo mỗi người, đứng thứ 2 trong 3" in text
    # 49,50–63,25: Khánh Hòa's 52,20–66,70 overlaps, the academy's begins at 81.
    assert "trung vị 55,00 Mbps (khoảng tin cậy 95%: 49,50–63,25), chưa rõ tăng hay giảm so với tháng trước" in text
    assert "so với 2 trường khác có khoảng tin cậy: 1 nơi cao hơn hẳn, 1 nơi chưa đủ căn cứ nói hơn kém" in text


def test_who_measured_nothing_or_stands_alone_or_has_no_code_is_told_so() -> None:
    assert "tại huyện Trường Sa chưa có lượt đo di động nào" in told(OCTOBER, "Huyện Trường Sa")
    assert "Đã có lượt đo ở 2 trong 3 đơn vị cấp huyện." in told(OCTOBER, "Huyện Trường Sa")
    alone = told(OCTOBER, "Tỉnh Đoàn Khánh Hòa")
    assert "không giữ mã giới thiệu nào" in alone and "Không có đơn vị cùng loại nào khác để so sánh." in alone
    assert "Chưa công bố tốc độ: không có lượt đo nào trong tháng." in alone
    assert "Danh mục chưa có số người" in told(OCTOBER, "Học viện Hải quân")


def test_a_communes_paragraph_says_what_is_missing_and_which_intervals_overlap() -> None:
    text = told(AUGUST, "Xã Diên Khánh")
    assert "Đã đủ 30 lượt đo để công bố; còn thiếu 139 lượt để đủ 300 lượt đo dùng cho đánh giá." in text
    assert "thứ 2 trong 4 đơn vị cấp xã, cùng hạng với 1 nơi khác" in text
    assert "so với 2 đơn vị cấp xã khác có khoảng tin cậy: 1 nơi thấp hơn hẳn, 1 nơi chưa đủ căn cứ" in text
    group = told(AUGUST, "Khu vực Diên Khánh", {"Khu vực Diên Khánh": ["22651", "22657"]})
    assert "tại Khu vực Diên Khánh có 322 lượt đo" in group and "thiếu tổng cộng 278 lượt" in group
    assert "Đề nghị Ủy ban nhân dân các đơn vị cấp xã thuộc Khu vực Diên Khánh vận động" in group


def test_a_unit_that_is_not_the_one_of_a_month_ago_is_not_compared() -> None:
    same, other = (
        [{**row, "change_reason": reason} if row["commune_code"] == "22651" else row for row in LATER]
        for reason in (None, "new_unit")
    )
    before = {"report_commune_month": [{"commune_code": "22651", "district_code": None, "n_measurements": 100}]}
    assert "tăng 61 lượt" in told(month(same, month=Month(2025, 8), previous_counts=before), "Xã Diên Khánh")
    assert "so với tháng 07" not in told(month(other, month=Month(2025, 8), previous_counts=before), "Xã Diên Khánh")


@pytest.mark.parametrize(
    ("what", "name", "sheets"),
    [
        (OCTOBER, "Huyện Diên Khánh", ["Các xã", "Mã giới thiệu", "So với đơn vị khác", "Phương pháp"]),
        (OCTOBER, "Trường Đại học Nha Trang", ["Mã giới thiệu", "So với đơn vị khác", "Phương pháp"]),
        (AUGUST, "Xã Diên Khánh", ["Mã giới thiệu", "So với đơn vị khác", "Phương pháp"]),
        (OCTOBER, "Tỉnh Đoàn Khánh Hòa", ["Mã giới thiệu", "So với đơn vị khác", "Phương pháp"]),
    ],
)
def test_each_sheet_but_the_first_is_one_whole_table_and_blanks_are_explained(
    what: Content, name: str, sheets: list[str]
) -> None:
    book = read(what, name)
    assert book.sheetnames == ["Tổng quan", *sheets]
    names = {"Các xã": "cac_xa", "Mã giới thiệu": "ma_gioi_thieu", "So với đơn vị khác": "so_voi_don_vi_khac"}
    for title in sheets:
        (table,) = book[title].tables.values()
        cells = book[title][table.ref]
        assert table.name == names.get(title, "phuong_phap")
        assert all(cell.value not in (None, "") for row in cells for cell in row), title
    for sheet in book:
        texts = [str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value is not None]
        keys = " ".join(text for text in texts if text.startswith("Chú giải: "))
        marks = {text for text in texts if re.fullmatch(r"\[.+\]", text)}
        if sheet.title != "Phương pháp":
            assert not [mark for mark in marks if f"{mark} " not in keys], sheet.title


def test_the_first_page_is_addressed_and_holds_the_paragraph_in_one_cell() -> None:
    sheet = read(OCTOBER, "Huyện Diên Khánh")["Tổng quan"]
    assert "Kính gửi: Ủy ban nhân dân huyện Diên Khánh" in text_of(sheet)
    (cell,) = [cell for row in sheet.iter_rows() for cell in row if cell.value == told(OCTOBER, "Huyện Diên Khánh")]
    assert cell.alignment.wrap_text
    assert any(cell.coordinate == area.coord.split(":")[0] for area in sheet.merged_cells.ranges)


def test_its_place_stands_among_its_peers_own_line_in_words_and_bold() -> None:
    sheet = read(OCTOBER, "Trường Đại học Nha Trang")["So với đơn vị khác"]
    rows = table_rows(sheet)
    assert [(row["Hạng theo lượt đo"], row["Đơn vị"], row["Đơn vị nhận sổ"]) for row in rows] == [
        (1, "Học viện Hải quân", "đơn vị khác"),
        (2, "Trường Đại học Khánh Hòa", "đơn vị khác"),
        (2, "Trường Đại học Nha Trang", "Đơn vị này"),
        (4, "Trường Cao đẳng Y tế Khánh Hòa", "đơn vị khác"),
    ]
    assert rows[0]["Số người"] == "[chưa khai]"
    assert rows[3]["Tải xuống trung vị (Mbps)"] == "[–]"
    (table,) = sheet.tables.values()
    bold = [all(cell.font.bold for cell in row) for row in sheet[table.ref]]
    assert bold == [True, False, False, True, False]


def test_speeds_that_a_peer_does_not_publish_are_not_in_its_peers_workbooks_either() -> None:
    few = commune("22999", "Ít Thiết Bị", None, 40, 12.34)
    withheld = {name: None if name.startswith(("download", "upload", "ping")) else value for name, value in few.items()}
    what = month([*LATER, {**withheld, "reason": "too_few_devices"}], month=Month(2025, 8))
    (row,) = [
        row
        for row in table_rows(read(what, "Xã Diên Khánh")["So với đơn vị khác"])
        if row["Đơn vị"] == "Xã Ít Thiết Bị"
    ]
    assert (row["Tải xuống trung vị (Mbps)"], row["Trạng thái"]) == ("[–]", "[dưới 5 thiết bị]")


def test_of_many_peers_the_first_and_those_beside_it_are_listed() -> None:
    many = [commune(f"{30000 + index}", f"Số {index}", None, 1000 - index) for index in range(300)]
    rows = table_rows(read(month(many, month=Month(2025, 8)), "Xã Số 200")["So với đơn vị khác"])
    assert [row["Hạng theo lượt đo"] for row in rows] == [*range(1, 51), *range(176, 227)]


def test_districts_are_compared_by_counts_alone() -> None:
    rows = table_rows(read(OCTOBER, "Huyện Diên Khánh")["So với đơn vị khác"])
    assert [(row["Đơn vị"], row["Lượt đo"], row["Lượt đo còn thiếu đến 300"]) for row in rows] == [
        ("Huyện Cam Lâm", 377, 0),
        ("Huyện Diên Khánh", 377, 843),
        ("Huyện Trường Sa", 0, 300),
    ]
    assert not [heading for heading in rows[0] if "Mbps" in heading]


def test_a_recipient_without_any_code_or_measurement_gets_a_workbook_that_says_so() -> None:
    book = read(OCTOBER, "Tỉnh Đoàn Khánh Hòa")
    (row,) = table_rows(book["Mã giới thiệu"])
    assert row["Đơn vị giữ mã"] == "[không có dòng nào]"
    (own,) = table_rows(book["So với đơn vị khác"])
    assert (own["Đơn vị nhận sổ"], own["Lượt đo"], own["Trạng thái"]) == ("Đơn vị này", 0, "[không có mẫu]")


def test_charts_and_tables_say_in_words_what_they_show() -> None:
    with zipfile.ZipFile(BytesIO(made(OCTOBER, "Huyện Diên Khánh"))) as book:
        parts = {name: book.read(name).decode() for name in book.namelist()}
    (chart,) = [part for name, part in parts.items() if "drawings/drawing" in name]
    assert 'descr="Biểu đồ thanh: Số lượt đo còn thiếu để đủ 300 lượt đo.' in chart
    tables = [part for name, part in parts.items() if name.startswith("xl/tables/")]
    assert len(tables) == 4 and all(re.search(r' altText="[^"]+" altTextSummary="[^"]+"', table) for table in tables)
    assert not [name for name in parts if "externalLink" in name or "vba" in name]
    links = set(re.findall(r'location="([^"]+)"', "".join(parts.values())))
    assert links == {f"'{name}'!A1" for name in re.findall(r'<sheet name="([^"]+)"', parts["xl/workbook.xml"])}


@pytest.mark.parametrize("text", [text for text in DANGEROUS if text.strip()])
def test_hostile_names_come_back_unchanged_and_never_as_formulas(text: str) -> None:
    what = month([{**COMMUNES[0], "district_name": text}], [], [body("=1", text, "school", 5, 40, 50.0)])
    for recipient in recipients_of(what, {}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = load_workbook(BytesIO(recipient_workbook(Shared(what, recipients_of(what, {})), recipient)))
        assert not [cell for sheet in book for line in sheet.iter_rows() for cell in line if cell.data_type == "f"]
        assert table_rows(book["So với đơn vị khác"])[0]["Đơn vị"] == text


def test_sample_data_is_marked_on_every_sheet_and_in_what_is_pasted_into_letters() -> None:
    book = read(replace(OCTOBER, is_sample=True), "Huyện Diên Khánh")
    assert all("DỮ LIỆU MẪU" in text_of(sheet) for sheet in book)
    assert told(replace(OCTOBER, is_sample=True), "Huyện Diên Khánh").startswith("[DỮ LIỆU MẪU] Tháng 10/2024")
    assert not [sheet for sheet in read(OCTOBER, "Huyện Diên Khánh") if "DỮ LIỆU MẪU" in text_of(sheet)]


def test_the_folder_holds_a_workbook_each_and_their_list_the_same_bytes_twice(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    assert [write_recipients(folder, OCTOBER, {}) for folder in folders] == [9, 9]
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert one == two
    listed = list(csv.DictReader(io.StringIO(one.pop("danh-sach.csv").decode("utf-8-sig"))))
    assert {row["file"] for row in listed} == one.keys()
    assert listed[1] == {
        "recipient": "Huyện Diên Khánh",
        "kind": "district",
        "kind_vi": "Cấp huyện",
        "code": "574",
        "file": "huyen-dien-khanh_574.xlsx",
    }


@pytest.mark.parametrize(
    ("name", "golden"),
    [("Huyện Diên Khánh", "recipient_district.txt"), ("Trường Đại học Nha Trang", "recipient_school.txt")],
)
def test_the_cells_are_those_of_the_golden_dump(tmp_path: Path, name: str, golden: str) -> None:
    (tmp_path / "book.xlsx").write_bytes(made(OCTOBER, name))
    found = "\n".join(dump(tmp_path / "book.xlsx")) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / golden).write_text(found, encoding="utf-8")
    assert found == (GOLDEN / golden).read_text(encoding="utf-8")
