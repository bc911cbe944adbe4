"""A workbook as text, row by row, to be read and compared without Excel: `python -m ispeed.workbook.dump FILE`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from openpyxl import load_workbook


def dump(path: Path) -> Iterator[str]:
    """A heading for each sheet and a line for each row that holds anything; numbers unrounded, cells between tabs."""
    with warnings.catch_warnings():
        # openpyxl says that it does not keep data bars; nothing is written back here.
        warnings.simplefilter("ignore")
        book = load_workbook(path)
    for sheet in book.worksheets:
        tables = ", ".join(f"{table.name} {table.ref}" for table in sheet.tables.values())
        yield f"== {sheet.title} ({tables or 'không có bảng'})"
        for row in sheet.iter_rows():
            cells = ["" if cell.value is None else str(cell.value) for cell in row]
            if any(cells):
                line = "\t".join(text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t") for text in cells)
                yield f"{row[0].row}\t{line}".rstrip("\t")


if __name__ == "__main__":
    for line in dump(Path(sys.argv[1])):
        print(line)
