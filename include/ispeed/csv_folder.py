"""The csv folder of a revision: every figure, wide as in the report tables and tidy, and a description of it all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from ispeed.data_package import data_package
from ispeed.lake import write_json
from ispeed.tables import Table
from ispeed.tidy import tidy_rows, tidy_table
from ispeed.workbook.content import Content

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_csv(folder: Path, tables: Sequence[Table], content: Content) -> None:
    """Write the tables as csv files, their figures once more as `tidy.csv`, and what is in them as a data package."""
    folder.mkdir()
    tidy = tidy_table(tables)
    files = {
        table.name: _csv(table, ([row[name] for name in table.column_names] for row in content.tables[table.name]))
        for table in tables
    }
    files[tidy.name] = _csv(tidy, tidy_rows(tables, content.tables, content.month, content.policy.province_code))
    for name, file in files.items():
        (folder / f"{name}.csv").write_bytes(file)
    write_json(folder / "datapackage.json", data_package([*tables, tidy], files, content))


def _csv(table: Table, rows: Iterable[Sequence[object]]) -> bytes:
    """UTF-8 with a byte order mark, for Excel; a text that a spreadsheet would run as a formula gets a leading '."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(table.column_names)
    writer.writerows(map(csv_cell, row) for row in rows)
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def csv_cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def uncsv_cell(text: str) -> str:
    """The text that `csv_cell` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA_STARTS) else text
