"""What a published workbook must be, point by point, checked on the file itself: `python -m ispeed check-books`.

The points are those of the standard that the workbooks follow (the UK Government Analysis Function's checklist for
accessible spreadsheets, Nghị định 30/2020/NĐ-CP, our own on trust), under their numbers. What only an eye can judge
(22 readable without colour, 25 LibreOffice, 29 method beside estimates, 30 revision log) is not among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from ispeed.book_checks import beside_csv, look, structure, table_form, trust
from ispeed.book_checks.opened import Fault, Found, OpenedBook, open_book

__all__ = ["POINTS", "Fault", "check_book"]

Check = Callable[[OpenedBook], Iterator[Found]]
POINTS: Final[Mapping[int, tuple[str, Check]]] = {
    1: ("cover first", structure.cover_first),
    2: ("linked list of sheets", structure.linked_list),
    3: ("notes in one place", structure.notes_in_one_place),
    4: ("one table a sheet", structure.one_table),
    5: ("unique sheet names of at most 31 characters", structure.sheet_names),
    6: ("no blank sheets", structure.no_blank_sheets),
    7: ("tables start in column A", structure.starts_in_column_a),
    8: ("nothing below a table", structure.nothing_below),
    9: ("title: topic, area, month", structure.title),
    10: ("a line on what the sheet holds and how many rows", structure.n_rows_told),
    11: ("opens on the first sheet, cursor at the top, frozen panes that leave room", structure.view),
    12: ("marked-up tables with stable names", table_form.table_names),
    13: ("one header row, unique texts, units", table_form.headers),
    14: ("no merged cells inside tables", table_form.no_merges),
    15: ("no blank rows or columns", table_form.no_blank_rows),
    16: ("no empty cell; marks with a key on the sheet", table_form.no_empty_cells),
    17: ("no superscript notes", table_form.no_superscript),
    18: ("numbers as numbers", table_form.numbers),
    19: ("text wrapped, no ####", look.texts_fit),
    20: ("no hidden rows, columns or sheets", table_form.nothing_hidden),
    21: ("codes are text", table_form.codes_are_text),
    23: ("contrast at least 4.5 : 1", look.contrast),
    24: ("alt text on charts, pictures and tables", look.alt_texts),
    26: ("prints on A4 as the decree asks", look.paper),
    27: ("document title, language, issuer", trust.document),
    28: ("contact, next release, licence", trust.contact),
    31: ("every cell equals the csv beside it", beside_csv.equals_csv),
    32: ("the same bytes on every machine", trust.fixed_times),
    33: ("no macros, external links, formulas", trust.nothing_runs),
}


def check_book(path: Path, points: tuple[int, ...] = tuple(POINTS)) -> list[Fault]:
    """Every fault of a workbook, in the order of the points.

    Raises `UserError` where the file is no workbook that can be read.
    """
    book = open_book(path)
    return [
        Fault(path, found.sheet, found.cell, point, found.found, found.expected)
        for point in points
        for found in POINTS[point][1](book)
    ]
