"""`docs/tables.md`: the report tables as `ispeed.tables` declares them."""

from __future__ import annotations

from collections.abc import Iterator

from ispeed.tables import FIGURES, MONTH, PUBLICATION, REPORT_TABLES, REVISION, Column, Table

_HEAD = """\
# The report tables

Written by `python -m ispeed docs` from `include/ispeed/tables.py`; do not edit by hand.

Every table has `month` (its first day) and `revision`; `publication` tells which revision is current. Codes are text.
A blank figure has its reason beside it. Speeds are Mbps, times ms, both over representative samples.

## Where a column of the export is missing
| missing | then |
|---|---|
| measurement id | duplicates are rows that are equal in every column |
| device id | every row is a device, and so a representative sample, of its own |
| referral code | no row counts for a code or organisation |
| commune code | communes are found by district, kind and name |
| commune code and name | every row is flagged `unknown_commune` and counts for the province only |
| operator | every row is flagged `unknown_operator` |
| upload, ping, jitter | their figures are blank |
| location accuracy | no row is flagged `low_location_accuracy` |
"""


def tables_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD, *_section("Figures", "These columns stand wherever figures do.", FIGURES)]
    for table in (*REPORT_TABLES, PUBLICATION):
        parts += _section(f"`{table.name}`", f"{table.comment}. Key: {', '.join(table.key)}.", _own_columns(table))
    return "\n".join(parts)


def _own_columns(table: Table) -> tuple[Column, ...]:
    return tuple(column for column in table.columns if column not in (*FIGURES, MONTH, REVISION))


def _section(title: str, text: str, columns: tuple[Column, ...]) -> Iterator[str]:
    yield f"\n## {title}\n{text}\n"
    yield "| column | type | what | heading in the workbook |\n|---|---|---|---|"
    yield from (f"| `{c.name}` | {c.type} | {c.comment} | {c.heading} |" for c in columns)
