"""Published workbooks, before and after 07/2025 and on another day's map: against the standard, and in LibreOffice."""

from __future__ import annotations

import csv
import math
import re
import shutil
import subprocess
import warnings
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from ispeed.book_checks import check_book
from ispeed.book_checks.command import check_books
from ispeed.months import Month
from ispeed.registry import sync_registry
from ispeed.restatement import restate
from ispeed.sample import make_exports
from ispeed.settings import Settings
from ispeed.workbook.book import SHEETS
from pipeline import run_steps, settings_in

OLD, NEW = Month(2024, 10), Month(2025, 8)
MAP = date(2025, 7, 1)
# So many rows stand on a page at least; what stands above a table may take half of one.
FEWEST_ROWS = 12


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_in(tmp_path_factory.mktemp("books"))
    make_exports(settings, [OLD, NEW], n_rows=4_000)
    sync_registry(settings)
    for month in (OLD, NEW):
        run_steps(settings, month)
    restate(settings, OLD, MAP)
    return settings


def books_of(settings: Settings) -> list[Path]:
    return sorted(settings.share.rglob("*.xlsx"))


def province_book(settings: Settings, month: Month) -> Path:
    (path,) = (settings.share_of(month) / "r1").glob("*.xlsx")
    return path


def test_every_published_workbook_is_as_the_standard_has_it(
    published: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_books([], published.share) == 0, capsys.readouterr().out
    assert f"workbooks checked: {len(books_of(published))}," in capsys.readouterr().out
    assert len(books_of(published)) >= 3


def other_figure(rows: list[dict[str, str]]) -> None:
    row = next(row for row in rows if row["download_mbps_median"])
    row["download_mbps_median"] = str(float(row["download_mbps_median"]) + 0.01)


def other_name(rows: list[dict[str, str]]) -> None:
    rows[0]["commune_name"] = "'=1+1"


def emptied(rows: list[dict[str, str]]) -> None:
    next(row for row in rows if row["download_mbps_mean"])["download_mbps_mean"] = ""


def filled(rows: list[dict[str, str]]) -> None:
    next(row for row in rows if row["network"] == "mobile" and not row["download_mbps_mean"])["download_mbps_mean"] = (
        "1.5"
    )


def one_more(rows: list[dict[str, str]]) -> None:
    rows.append(rows[0] | {"network": "mobile", "commune_code": "99999"})


def one_less(rows: list[dict[str, str]]) -> None:
    rows.remove(next(row for row in rows if row["network"] == "mobile"))


@pytest.mark.parametrize("spoil", [other_figure, other_name, emptied, filled, one_more, one_less])
def test_a_cell_unlike_the_csv_is_told(
    spoil: Callable[[list[dict[str, str]]], None], published: Settings, tmp_path: Path
) -> None:
    book = province_book(published, OLD)
    shutil.copytree(book.parent, tmp_path / "r1")
    path = tmp_path / "r1" / "csv" / "report_commune_month.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["network"] == "mobile"]
    spoil(rows)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    faults = check_book(tmp_path / "r1" / book.name)
    assert {fault.point for fault in faults} == {31}
    assert {fault.sheet for fault in faults} <= {"Phụ lục I", "Tiến độ mẫu"}


@pytest.fixture(scope="module")
def converted(published: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path, Path]]:
    """Each workbook, as a PDF and as LibreOffice writes it again; all in one start a format."""
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("soffice (LibreOffice Calc) is not installed: no workbook was opened in it")
    folder = tmp_path_factory.mktemp("office")
    (folder / "in").mkdir()
    books = {path.stem: path for path in books_of(published)}
    for name, path in books.items():
        shutil.copy(path, folder / "in" / f"{name}.xlsx")
    for kind in ("pdf", "xlsx"):
        done = subprocess.run(
            [office, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless", "--convert-to", kind,
             "--outdir", folder / kind, *sorted((folder / "in").iterdir())],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert {path.stem for path in (folder / kind).iterdir()} == set(books), done.stderr
    return {
        name: (path, folder / "pdf" / f"{name}.pdf", folder / "xlsx" / f"{name}.xlsx") for name, path in books.items()
    }


def opened(path: Path) -> Workbook:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_workbook(path)


def same(one: object, other: object) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12)
    if isinstance(one, (date, datetime)):
        return str(one) == str(other)
    return (one or "") == (other or "")


def test_libreoffice_reads_every_cell_as_it_was_written(converted: dict[str, tuple[Path, Path, Path]]) -> None:
    for name, (ours, _, theirs) in converted.items():
        written, read = opened(ours), opened(theirs)
        assert written.sheetnames == read.sheetnames
        for sheet in written:
            for row in sheet.iter_rows():
                for cell in row:
                    found = read[sheet.title][cell.coordinate].value
                    assert same(cell.value, found), (
                        f"{name}, {sheet.title}!{cell.coordinate}: {cell.value!r}, {found!r}"
                    )


def test_pages_are_as_many_as_a_sheet_needs(converted: dict[str, tuple[Path, Path, Path]], published: Settings) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed: no page was counted")
    for month in (OLD, NEW):
        ours, pdf, _ = converted[province_book(published, month).stem]
        text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
        pages = [page.strip() for page in text.split("\f") if page.strip()]
        # A sheet's first page has no number, as the decree wants.
        numbers = [int(found[1]) if (found := re.match(r"(\d+)\s", page)) else 1 for page in pages]
        starts = [place for place, number in enumerate(numbers) if number == 1]
        counts = dict(
            zip(
                SHEETS, (end - start for start, end in zip(starts, [*starts[1:], len(pages)], strict=True)), strict=True
            )
        )
        assert counts["Tổng quan"] == 3
        assert "SỐ LIỆU CỦA CÁC BIỂU ĐỒ" in pages[2] and "Việc cần làm tiếp" in pages[0]
        for sheet in opened(ours):
            if sheet.tables:
                assert counts[sheet.title] <= 1 + sheet.max_row / FEWEST_ROWS, sheet.title
