"""The csv folder of a revision: every figure, and a description of every column beside them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ispeed.lake import write_json
from ispeed.tables import Table
from ispeed.workbook.content import Content

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_ADAPTED = {"text": "string", "integer": "integer", "double": "number", "date": "date", "timestamp": "datetime"}


def write_csv(folder: Path, tables: Sequence[Table], content: Content) -> None:
    """Write the tables as csv files, with a description of every column beside them."""
    folder.mkdir()
    for table in tables:
        (folder / f"{table.name}.csv").write_bytes(_csv(table, content.tables[table.name]))
    write_json(folder / "datapackage.json", _data_package(tables, content))


def _csv(table: Table, rows: Sequence[Mapping[str, object]]) -> bytes:
    """UTF-8 with a byte order mark, for Excel; a text that a spreadsheet would run as a formula gets a leading '."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(table.column_names)
    for row in rows:
        writer.writerow([csv_cell(row[name]) for name in table.column_names])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def csv_cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def uncsv_cell(text: str) -> str:
    """The text that `csv_cell` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA_STARTS) else text


def _data_package(tables: Sequence[Table], content: Content) -> dict[str, Any]:
    """The csv folder's description (Frictionless Data Package)."""
    day = content.boundaries_day
    return {
        "profile": "tabular-data-package",
        "name": f"ispeed-{content.policy.province_code}-{content.month}-"
        + (f"boundaries-{day}-" if day else "")
        + f"r{content.revision}",
        "title": f"i-Speed {content.policy.province_name} {content.month}"
        + (f" on the boundaries of {day}" if day else "")
        + (" (DỮ LIỆU MẪU)" * content.is_sample),
        "version": str(content.revision),
        "resources": [
            {
                "name": table.name,
                "path": f"{table.name}.csv",
                "profile": "tabular-data-resource",
                "encoding": "utf-8-sig",
                "title": table.comment,
                "description": "Text that starts with = + - @ tab or line break has a ' put before it.",
                "schema": {
                    "primaryKey": ["month", "revision", *table.key],
                    "missingValues": [""],
                    "fields": [
                        {
                            "name": column.name,
                            "type": _ADAPTED[column.type],
                            "title": column.heading,
                            "description": column.comment,
                        }
                        for column in table.columns
                    ],
                },
            }
            for table in tables
        ],
    }
