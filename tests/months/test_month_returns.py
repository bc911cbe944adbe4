"""A month whose bodies returned: a revision more, its cause named, every book as it must be, and both made anew."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from openpyxl import load_workbook

from ispeed.book_checks import check_book
from ispeed.database import Database
from ispeed.month_content import workbook_policy
from ispeed.months import Month
from ispeed.policy import read_policy
from ispeed.returns import asked_bodies, missing_bodies
from ispeed.returns.collecting import collect_returns
from ispeed.returns.form import form_workbook
from ispeed.returns.publishing import publish_forms
from ispeed.settings import Settings
from ispeed.shared_folder import FORMS
from ispeed.verification import verify
from ispeed.withdrawal import withdraw
from pipeline import AGAIN, SampleMonths, run_steps
from return_forms import as_typed

MONTH = Month(2024, 10)
IN_TIME, LATE = (datetime.fromisoformat(f"2024-11-{day}T08:00:00+07:00").timestamp() for day in ("08", "12"))


def send(settings: Settings, code: str, numbers: tuple[object, ...], at: float, name: str = "") -> None:
    policy = workbook_policy(read_policy(settings.policy, MONTH.last_day), MONTH)
    [body] = [body for body in asked_bodies(settings, MONTH) if body.code == code]
    path = settings.returns / str(MONTH) / (name or f"{code}.xlsx")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_typed(*numbers)(form_workbook(policy, MONTH, body)))
    os.utime(path, (at, at))


@pytest.fixture(scope="module")
def settings(sample_months: SampleMonths, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """October published before any return came in; then three of 181 returned, and the month was published again."""
    settings = sample_months(tmp_path_factory.mktemp("month"), MONTH)
    publish_forms(settings, MONTH)
    send(settings, "DHNT", (521, 400, 300), IN_TIME)
    send(settings, "22366", ("20 người", 20, 10), LATE)
    send(settings, "TINHDOAN", (200, 0, 0), IN_TIME)
    send(settings, "SO-NV", (50, 60, 10), IN_TIME, "=sai.xlsx")
    collect_returns(settings, MONTH)
    run_steps(settings, MONTH, AGAIN)
    return settings


def folder(settings: Settings, revision: int) -> Path:
    return settings.share_of(MONTH) / f"r{revision}"


def test_the_second_revision_names_the_returns_and_nothing_else(settings: Settings) -> None:
    publication = Database(settings.database_url).publication(MONTH)
    assert publication is not None
    assert (publication["revision"], publication["why"]) == (2, "Phiếu báo cáo của cơ quan, đơn vị")
    changes = json.loads((folder(settings, 2) / "manifest.json").read_text(encoding="utf-8"))["changes"]
    assert list(changes["by_cause"]) == ["Phiếu báo cáo của cơ quan, đơn vị"]
    assert run_steps(settings, MONTH, AGAIN)["is_new"] is False


def test_both_revisions_are_made_anew_from_what_each_had(settings: Settings) -> None:
    for revision in (1, 2):
        assert verify(settings, MONTH, revision).differences == []


def test_the_first_revision_is_as_it_was_before_there_were_returns(settings: Settings) -> None:
    assert not list(folder(settings, 1).glob("tong-hop*"))
    sheet = load_workbook(next(folder(settings, 1).glob("bao-cao*.xlsx")))["Cơ quan đơn vị"]
    headings = list(sheet.tables["co_quan_don_vi"].column_names)
    assert "Tự báo cáo: số người" not in headings and "Tình trạng báo cáo" not in headings


def test_what_a_body_reported_stands_beside_what_its_code_measured(settings: Settings) -> None:
    sheet = load_workbook(next(folder(settings, 2).glob("bao-cao*.xlsx")))["Cơ quan đơn vị"]
    table = sheet.tables["co_quan_don_vi"]
    lines = list(sheet[table.ref])
    headings = [cell.value for cell in lines[0]]
    rows = {line[1].value: dict(zip(headings, (cell.value for cell in line), strict=True)) for line in lines[1:]}
    school = rows["DHNT"]
    assert (school["Tình trạng báo cáo"], school["Tự báo cáo: số người"]) == ("Đúng hạn", 521)
    assert school["Tự báo cáo: tỷ lệ đo"] == 300 / 521
    assert school["Lượt đo"] is not None and school["Số người"] == 521
    assert (rows["SO-NV"]["Tình trạng báo cáo"], rows["SO-NV"]["Tự báo cáo: đã đo"]) == (
        "Chưa gửi",
        "[chưa gửi]",
    )


def test_the_consolidated_return_adds_up_and_names_the_late_and_the_missing(settings: Settings) -> None:
    book = load_workbook(folder(settings, 2) / "tong-hop-bao-cao_khanh-hoa_2024-10.xlsx")
    cover = " ".join(str(cell.value) for row in book["Tổng quan"].iter_rows() for cell in row if cell.value is not None)
    # 521 + 20 + 200 people of three bodies; 400 + 20 + 0 installed, 300 + 10 + 0 measured.
    assert "3 trên 181 cơ quan, đơn vị" in cover and "tổng số 741" in cover
    assert "420 người đã cài đặt ứng dụng i-Speed (56,7%)" in cover
    assert "310 người đã đo ít nhất một lần trong tháng (41,8%)" in cover
    late = book["Gửi muộn, chưa gửi"]
    lines = [[cell.value for cell in line] for line in late[late.tables["gui_muon_chua_gui"].ref]][1:]
    assert len(lines) == 179
    assert [line[1:] for line in lines if line[4] == "Gửi muộn"] == [
        ["22366", "Ủy ban nhân dân phường Phước Tiến", "UBND cấp xã", "Gửi muộn", "12/11/2024 08:00"]
    ]
    files = book["Tệp nhận được"]
    told = {line[1].value: [cell.value for cell in line[2:]] for line in files[files.tables["tep_nhan_duoc"].ref][1:]}
    assert set(told) == {"DHNT.xlsx", "22366.xlsx", "TINHDOAN.xlsx", "=sai.xlsx"}
    assert told["=sai.xlsx"][2] == "Không tính được"
    assert "số người đã cài đặt 60 lớn hơn tổng số người 50" in told["=sai.xlsx"][3]


def test_a_headcount_far_from_the_registrys_is_told_and_stops_nothing(settings: Settings) -> None:
    book = load_workbook(next(folder(settings, 2).glob("bao-cao*.xlsx")))
    texts = [str(cell.value) for row in book["Chất lượng dữ liệu"].iter_rows() for cell in row]
    assert any("Tỉnh Đoàn Khánh Hòa báo cáo 200 người, danh mục có 64" in text for text in texts)


def test_every_book_of_the_revision_is_as_it_must_be(settings: Settings) -> None:
    books = [*folder(settings, 2).glob("*.xlsx"), next((folder(settings, 2) / "don-vi").glob("*.xlsx"))]
    assert len(books) == 3
    assert [str(fault) for book in books for fault in check_book(book)] == []


def test_a_figure_that_is_not_in_the_csv_is_noticed(settings: Settings, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder(settings, 2), tmp_path / "r2"))
    csv = copy / "csv" / "report_return_month.csv"
    csv.write_text(csv.read_text(encoding="utf-8").replace(",521,400,300,", ",521,401,300,"), encoding="utf-8")
    for name, sheet in (("bao-cao", "Cơ quan đơn vị"), ("tong-hop", "Theo cơ quan")):
        faults = check_book(next(copy.glob(f"{name}*.xlsx")), (31,))
        assert [(fault.sheet, fault.point) for fault in faults] == [(sheet, 31)]


def test_the_share_lists_both_books_by_what_they_are(settings: Settings) -> None:
    page = (settings.share / "index.html").read_text(encoding="utf-8")
    links = page.count("/r2/tong-hop-bao-cao_khanh-hoa_2024-10.xlsx")
    assert page.count(">Tổng hợp phiếu báo cáo</a>") == links > 0 and "/r1/tong-hop" not in page


def test_forms_lie_beside_the_revisions_and_stay_when_one_is_withdrawn(settings: Settings) -> None:
    forms = settings.share_of(MONTH) / FORMS
    before = {path.name: path.read_bytes() for path in forms.iterdir()}
    assert len(before) == 181 + 1
    assert publish_forms(settings, MONTH) == {"n_forms": 181, "n_written": 0}
    withdraw(settings, MONTH, 2, "thử")
    assert {path.name: path.read_bytes() for path in forms.iterdir()} == before
    assert {body.code for body in asked_bodies(settings, MONTH)} - {
        body.code for body in missing_bodies(settings, MONTH)
    } == {"DHNT", "22366", "TINHDOAN"}


def test_a_form_that_nobody_is_asked_by_any_more_goes_and_other_peoples_files_stay(settings: Settings) -> None:
    forms = settings.share_of(MONTH) / FORMS
    (forms / "ghi-chu.xlsx").write_bytes(b"ours")
    publish_forms(replace(settings, returns_asked=("school",)), MONTH)
    assert len(list(forms.iterdir())) == 11 + 1 + 1
    publish_forms(settings, MONTH)
    assert (forms / "ghi-chu.xlsx").exists() and len(list(forms.iterdir())) == 181 + 2
