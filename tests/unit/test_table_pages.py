"""The page of the report tables is what the code declares."""

from __future__ import annotations

from ispeed.settings import PROJECT
from ispeed.table_pages import tables_page


def test_the_page_of_the_report_tables_is_up_to_date() -> None:
    page = (PROJECT / "docs" / "tables.md").read_text(encoding="utf-8")
    assert page == tables_page(), "run: python -m ispeed docs"
