"""`docs/tables.md`: the report tables as `ispeed.tables` declares them."""

from __future__ import annotations

from collections.abc import Iterator

from ispeed.tables import (
    FIGURES,
    MONTH,
    PUBLICATION,
    REPORT_TABLES,
    RESTATED_TABLES,
    RESTATEMENT,
    REVISION,
    Column,
    Table,
)

_HEAD = """\
# The report tables

Written by `python -m ispeed docs` from `include/ispeed/tables.py`; do not edit by hand.

Every table has `month` (its first day) and `revision`; `publication` tells which revision is current. Codes are text.
A blank figure has its reason beside it. Speeds are Mbps, times ms, both over representative samples. Units are as in
UCUM: `1` is a count or a share. [analysts.md](analysts.md) says how to read the tables: a view of what is current of
each, csv files with a data package, one tidy file.

A month may also stand on the map of another day (`boundaries_day`): `report_commune_restated` has every commune of that
day and a row `not_attributable`, `report_restated_origin` where each measurement came from, `restatement` which
revision of that month and day is current. Their `n_measurements` add up to those of `report_commune_month`, and of
communes that then were another province's. `docs/backfills.md` has the query for a series of one unit.

## Where a measurement counts
| place | from | used for |
|---|---|---|
| as declared | commune code or name of the export, on the day | the reports |
| as located | coordinates on the map of the day (`ISPEED_BOUNDARIES`) | the reports, where nothing declared is found |
| as promoted | the referral code's holder on the day | `report_referral_code_month` |

Coordinates less accurate than policy allows are not located. A row that counts by its coordinates has the flag
`located_by_coordinates`. Mismatches are flags too, counted in `report_quality_month`: `location_mismatch` (located, not
declared), `commune_mismatch` (the code's, not the one that counts), `code_location_mismatch` (the code's, not located),
`outside_boundaries` (coordinates in no commune, where the map of the day has all of them). A point on the edge of two
communes is located in neither.

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
| latitude or longitude | no row is located |
| location accuracy | no row is flagged `low_location_accuracy`; all coordinates are used |
"""


def tables_page() -> str:
    """The page as Markdown."""
    parts = [_HEAD, *_section("Figures", "These columns stand wherever figures do.", FIGURES)]
    for table in (*REPORT_TABLES, PUBLICATION, *RESTATED_TABLES, RESTATEMENT):
        parts += _section(f"`{table.name}`", f"{table.comment}. Key: {', '.join(table.key)}.", _own_columns(table))
    return "\n".join(parts)


def _own_columns(table: Table) -> tuple[Column, ...]:
    return tuple(column for column in table.columns if column not in (*FIGURES, MONTH, REVISION))


def _section(title: str, text: str, columns: tuple[Column, ...]) -> Iterator[str]:
    yield f"\n## {title}\n{text}\n"
    yield "| column | type | unit | what | heading in the workbook |\n|---|---|---|---|---|"
    yield from (f"| `{c.name}` | {c.type} | {c.unit} | {c.comment} | {c.heading} |" for c in columns)
