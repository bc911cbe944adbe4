"""Recipients' workbooks as they are published with a month: their figures are the report tables'."""

from __future__ import annotations

import csv
import io
import warnings

from openpyxl import load_workbook

from ispeed.months import Month
from ispeed.workbook.wording import number
from pipeline import PublishedDemo, Tables

OCTOBER = Month(2024, 10)


def of_district(tables: Tables, code: str) -> list[dict[str, object]]:
    rows = tables["report_commune_month"]
    return [row for row in rows if row["network"] == "mobile" and row["district_code"] == code]


def test_every_districts_workbook_says_its_measurements_and_their_change_as_published(
    published_demo: PublishedDemo,
) -> None:
    folder = published_demo.settings.share_of(OCTOBER) / "r1" / "don-vi"
    listed = list(csv.DictReader(io.StringIO((folder / "danh-sach.csv").read_text(encoding="utf-8-sig"))))
    districts = [row for row in listed if row["kind"] == "district"]
    assert len(districts) == 9
    for row in districts:
        now, before = (
            sum(int(str(unit["n_measurements"])) for unit in of_district(published_demo.tables[month], row["code"]))
            for month in ("2024-10", "2024-09")
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = load_workbook(folder / row["file"])
        text = " ".join(str(cell.value) for line in book["Tổng quan"].iter_rows() for cell in line if cell.value)
        turn = "tăng" if now > before else "giảm"
        change = f"{turn} {number(abs(now - before))} lượt so với" if now != before else "bằng"
        assert (f"có {number(now)} lượt đo" if now else "chưa có lượt đo di động nào") in text
        assert f", {change} tháng 09/2024" in text
        (table,) = book["Các xã"].tables.values()
        found = {line[1].value: line[4].value for line in book["Các xã"][table.ref][1:]}
        assert found == {
            unit["commune_code"]: unit["n_measurements"]
            for unit in of_district(published_demo.tables["2024-10"], row["code"])
        }
